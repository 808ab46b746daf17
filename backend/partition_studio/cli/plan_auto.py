"""`partition-studio plan auto`: the best plan, with its proof."""

from contextlib import closing
from pathlib import Path
from typing import Annotated

import typer

from partition_studio.cli.model import find_model
from partition_studio.cli.options import DataDirOption, UrlOption, open_client
from partition_studio.cli.output import JsonOption, complaints, print_json, say
from partition_studio.cli.plan_files import write_texts
from partition_studio.cli.planner_options import (
    CodecsOption,
    ContiguousOption,
    DevicesOption,
    ExcludeOption,
    InputOnOption,
    MaxChangeOption,
    MaxDevicesOption,
    MaxEnergyOption,
    MaxLatencyOption,
    MaxMemoryOption,
    MaxTotalEnergyOption,
    MinThroughputOption,
    ModelWord,
    PinOption,
    SecondsOption,
    StrategiesOption,
    above_zero,
    devices_of,
    limits_in,
    objective_of,
    run_search,
)
from partition_studio.cli.planner_tables import print_baselines, print_notes, print_prediction, proof_text
from partition_studio.schemas import JobOut, QuestionIn


def auto(
    model: ModelWord,
    devices: DevicesOption = None,
    objective: Annotated[
        str,
        typer.Option(help="What is to be best: throughput, latency, max-energy, total-energy or max-memory."),
    ] = "throughput",
    max_memory: MaxMemoryOption = None,
    pin: PinOption = None,
    exclude: ExcludeOption = None,
    max_devices: MaxDevicesOption = None,
    input_on: InputOnOption = None,
    strategies: StrategiesOption = None,
    contiguous: ContiguousOption = False,
    codecs: CodecsOption = None,
    max_change: MaxChangeOption = 0.0,
    min_throughput: MinThroughputOption = None,
    max_latency: MaxLatencyOption = None,
    max_energy: MaxEnergyOption = None,
    max_total_energy: MaxTotalEnergyOption = None,
    seconds: SecondsOption = 60.0,
    out: Annotated[Path | None, typer.Option("--out", help="File for the best plan.")] = None,
    url: UrlOption = None,
    data_dir: DataDirOption = None,
    as_json: JsonOption = False,
) -> None:
    """Look for the best plan by what was measured of devices and links, and prove how good it is."""
    limits = limits_in(
        max_memory=max_memory,
        pin=pin,
        exclude=exclude,
        max_devices=max_devices,
        input_on=input_on,
        strategies=strategies,
        contiguous=contiguous,
        codecs=codecs,
        max_change=max_change,
        min_throughput=min_throughput,
        max_latency=max_latency,
        max_energy=max_energy,
        max_total_energy=max_total_energy,
    )
    question = QuestionIn.model_validate(
        {
            "devices": devices_of(devices),
            "objective": objective_of(objective),
            "limits": limits,
            "seconds": above_zero(seconds),
        }
    )
    with closing(open_client(url, data_dir)) as client:
        model_id = find_model(client, model).id
        path = f"/api/models/{model_id}/searches"
        found = run_search(client, model_id, lambda: client.post(path, JobOut, question), quiet=as_json)
    answer = found.answer
    assert answer is not None
    if out is not None:
        write_texts({out: answer.plan.to_json()})
    if as_json:
        print_json(found)
        return
    say(proof_text(answer))
    print_prediction(answer.prediction)
    print_baselines(found.baselines)
    print_notes(answer.notes)
    if out is not None:
        say(f"wrote {out}")
    else:
        complaints.print("Nothing was written: --out FILE keeps the plan.", style="dim")
