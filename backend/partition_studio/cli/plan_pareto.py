"""`partition-studio plan pareto`: the plans of which none is better in all that counts."""

from contextlib import closing
from pathlib import Path
from typing import Annotated

import typer

from partition_studio.cli.model import find_model
from partition_studio.cli.options import DataDirOption, UrlOption, open_client
from partition_studio.cli.output import JsonOption, bytes_text, complaints, print_json, say, table
from partition_studio.cli.plan_files import OutputFileError, write_texts
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
    run_search,
)
from partition_studio.cli.planner_tables import print_baselines, print_notes
from partition_studio.planner.search.text import energy_text, number_text, share_text, time_text
from partition_studio.schemas import AnswerOut, JobOut, ParetoIn


def pareto(
    model: ModelWord,
    devices: DevicesOption = None,
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
    most: Annotated[int, typer.Option(help="At most so many plans.", min=2, max=200)] = 40,
    out: Annotated[Path | None, typer.Option("--out", help="Folder for the plans: point-1.json and so on.")] = None,
    url: UrlOption = None,
    data_dir: DataDirOption = None,
    as_json: JsonOption = False,
) -> None:
    """Find the plans of which none is better in throughput, largest energy and largest memory of a device at once."""
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
    request = ParetoIn(devices=devices_of(devices), limits=limits, seconds=above_zero(seconds), most=most)
    with closing(open_client(url, data_dir)) as client:
        model_id = find_model(client, model).id
        path = f"/api/models/{model_id}/fronts"
        found = run_search(client, model_id, lambda: client.post(path, JobOut, request), quiet=as_json)
    if out is not None:
        _write(out, found.front)
    if as_json:
        print_json(found)
        return
    table(
        ("point", "frames/s", "latency", "largest energy", "largest memory", "devices", ""),
        (
            (
                str(number),
                number_text(point.prediction.throughput_per_s, 4),
                time_text(point.prediction.latency_s),
                energy_text(point.prediction.max_energy_j),
                bytes_text(point.prediction.max_memory_bytes),
                ", ".join(point.plan.devices()),
                "" if point.proved else f"gap {share_text(point.gap)}",
            )
            for number, point in enumerate(found.front, 1)
        ),
        right=("point", "frames/s", "latency", "largest energy", "largest memory"),
    )
    print_baselines(found.baselines)
    print_notes([note for point in found.front for note in point.notes])
    if out is not None:
        say(f"wrote {len(found.front)} plans to {out}")
    else:
        complaints.print("Nothing was written: --out FOLDER keeps the plans.", style="dim")


def _write(folder: Path, front: list[AnswerOut]) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OutputFileError(f"{folder} cannot be made a folder: {error.strerror}.", path=str(folder)) from error
    width = len(str(len(front)))
    write_texts({folder / f"point-{n:0{width}}.json": point.plan.to_json() for n, point in enumerate(front, 1)})
