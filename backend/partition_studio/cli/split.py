"""`partition-studio split`: the sub-models of a plan, proven equal to the whole; offline."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from partition_studio.cli.options import ChannelsOption, MeanOption, ScaleOption, StdOption
from partition_studio.cli.output import JsonOption, bytes_text, print_json, say, table
from partition_studio.cli.plan import ModelArgument, PlanArgument
from partition_studio.cli.plan_files import load_planned
from partition_studio.cli.verify import (
    InputOption,
    LabelledOption,
    Proof,
    SeedOption,
    preprocessing_of_options,
    prove,
)
from partition_studio.errors import StudioError

if TYPE_CHECKING:
    from partition_studio.partition.check import PlanReport
    from partition_studio.partition.partition import Partition


class WeightsDifferError(StudioError):
    """The files of a device hold other weights than the plan's check said."""

    code = "weights_differ"
    next_step = "This is a fault of the studio: please report it with the network and the plan."


@dataclass(frozen=True, slots=True)
class DeviceWeights:
    """Bytes of weights of one device: in the files that were written, and as the plan's check predicted."""

    device: str
    files: int
    weight_bytes: int
    predicted_bytes: int


def split(
    model: ModelArgument,
    plan: PlanArgument,
    out: Annotated[Path, typer.Option(help="Folder for the sub-models; it appears whole or not at all.")],
    input_file: InputOption = None,
    seed: SeedOption = None,
    verify: Annotated[
        bool, typer.Option("--verify/--no-verify", help="Compare the parts with the whole before they are written.")
    ] = True,
    labelled: LabelledOption = None,
    channels: ChannelsOption = None,
    scale: ScaleOption = None,
    mean: MeanOption = None,
    std: StdOption = None,
    as_json: JsonOption = False,
) -> None:
    """Write the sub-models of a plan and verify that together they give the whole network's answer."""
    from partition_studio.partition.check import require_valid
    from partition_studio.partition.extract import Contents, submodels, write_submodels

    if not verify and (input_file is not None or seed is not None or labelled is not None):
        raise typer.BadParameter("--input, --seed and --labelled are for verifying", param_hint="--no-verify")
    network, document = load_planned(model, plan)
    report, partition = require_valid(network, document)
    proof = None
    if verify:
        proof = prove(
            model,
            partition,
            document,
            Contents(submodels(partition.network, partition.graph)),
            input_file=input_file,
            seed=seed,
            labelled=labelled,
            preprocessing=preprocessing_of_options(channels, scale, mean, std),
        )
        proof.result.require_equal()
    files = write_submodels(partition.network, partition.graph, out)
    weights = _weigh(partition, report, files)
    if as_json:
        print_json(_document(partition, files, weights, proof, out))
    else:
        _say(partition, files, weights, proof)


def _weigh(partition: "Partition", report: "PlanReport", files: Mapping[str, Path]) -> list[DeviceWeights]:
    """Return the weights in each device's files. Raises WeightsDifferError where they are not what was predicted."""
    from partition_studio.partition.weigh import weight_bytes_in

    graph = partition.graph
    found = []
    for cost in report.costs:
        own = [files[stage.name] for stage in graph.on(cost.device)]
        held = DeviceWeights(cost.device, len(own), sum(weight_bytes_in(file) for file in own), cost.weight_bytes)
        if held.weight_bytes != held.predicted_bytes:
            raise WeightsDifferError(
                f"The files of the device {cost.device!r} hold {held.weight_bytes} bytes of weights; the plan's check "
                f"said {held.predicted_bytes}.",
                device=cost.device,
            )
        found.append(held)
    return found


def _document(
    partition: "Partition", files: Mapping[str, Path], weights: list[DeviceWeights], proof: Proof | None, out: Path
) -> dict[str, Any]:
    from partition_studio.partition.extract import MANIFEST

    manifest = json.loads((out / MANIFEST).read_text(encoding="utf-8"))
    written = {entry["name"]: entry for entry in manifest["stages"]}
    stages = [
        {
            "name": stage.name,
            "device": stage.device,
            "layers": len(stage.layers),
            "file": str(files[stage.name]),
            "size_bytes": written[stage.name]["bytes"],
            "sha256": written[stage.name]["sha256"],
        }
        for stage in partition.graph.stages
    ]
    devices = [
        {
            "device": held.device,
            "files": held.files,
            "weight_bytes": held.weight_bytes,
            "predicted_weight_bytes": held.predicted_bytes,
        }
        for held in weights
    ]
    return {
        "out": str(out),
        "verified": proof is not None,
        **({} if proof is None else proof.document()),
        "stages": stages,
        "devices": devices,
        "weight_bytes": sum(held.weight_bytes for held in weights),
        "whole_weight_bytes": partition.whole.weight_bytes,
    }


def _say(partition: "Partition", files: Mapping[str, Path], weights: list[DeviceWeights], proof: Proof | None) -> None:
    table(
        ("stage", "device", "layers", "file", "size"),
        (
            (s.name, s.device, str(len(s.layers)), str(files[s.name]), bytes_text(files[s.name].stat().st_size))
            for s in partition.graph.stages
        ),
        right=("layers", "size"),
    )
    say("")
    table(
        ("device", "files", "weights in files", "predicted"),
        (
            (held.device, str(held.files), bytes_text(held.weight_bytes), bytes_text(held.predicted_bytes))
            for held in weights
        ),
        right=("files", "weights in files", "predicted"),
    )
    total, whole = sum(held.weight_bytes for held in weights), partition.whole.weight_bytes
    ratio = f" ({total / whole:.3f} times)" if whole else ""
    say(f"\nWeights of all parts: {bytes_text(total)}; of the whole: {bytes_text(whole)}{ratio}.")
    if proof is None:
        say("Not verified.")
    else:
        proof.say()
