"""`partition-studio split`: the sub-models of a plan, proven equal to the whole; offline."""

import secrets
from pathlib import Path
from typing import Annotated

import typer

from partition_studio.cli.model import read_bytes
from partition_studio.cli.options import ChannelsOption, MeanOption, ScaleOption, StdOption, preprocessing_from
from partition_studio.cli.output import JsonOption, bytes_text, print_json, say, table
from partition_studio.cli.plan import ModelArgument, PlanArgument
from partition_studio.schemas import PreprocessingOut


def split(
    model: ModelArgument,
    plan: PlanArgument,
    out: Annotated[Path, typer.Option(help="Folder for the sub-models; it appears whole or not at all.")],
    input: Annotated[  # the option's name is part of the command
        Path | None, typer.Option("--input", help="Frame to verify with: .npz, .npy, .pb or an image; else random.")
    ] = None,
    seed: Annotated[int | None, typer.Option(help="Seed of the random frame.")] = None,
    channels: ChannelsOption = None,
    scale: ScaleOption = None,
    mean: MeanOption = None,
    std: StdOption = None,
    as_json: JsonOption = False,
) -> None:
    """Write the sub-models of a plan and verify that together they give the whole network's answer."""
    from partition_studio.graph.frames import random_frame, read_frame
    from partition_studio.graph.load import load_network, original_model
    from partition_studio.partition.check import require_valid
    from partition_studio.partition.extract import submodels, write_submodels
    from partition_studio.partition.plan import parse_plan
    from partition_studio.partition.verify import verify
    from partition_studio.services.models import preprocessing_of

    network = load_network(model)
    _, partition = require_valid(network, parse_plan(read_bytes(plan)))
    graph = partition.graph
    if input is not None:
        preprocessing = preprocessing_of(preprocessing_from(channels, scale, mean, std) or PreprocessingOut())
        frame = read_frame(read_bytes(input), input.name, network.inputs, preprocessing)
        shown_input = str(input)
    else:
        seed = secrets.randbelow(2**31) if seed is None else seed
        frame = random_frame(network.inputs, seed)
        shown_input = f"random (seed {seed})"
    parts = submodels(partition.network, graph)
    result = verify(original_model(model), partition, {name: part.data for name, part in parts.items()}, frame)
    result.require_equal()
    files = write_submodels(partition.network, graph, out)
    if as_json:
        print_json(
            {
                "out": str(out),
                "input": shown_input,
                "equal": result.ok,
                "max_abs": result.max_abs,
                "max_rel": result.max_rel,
                "tolerance": result.tolerance,
                "stages": [
                    {
                        "name": stage.name,
                        "device": stage.device,
                        "layers": len(stage.layers),
                        "file": str(files[stage.name]),
                        "size_bytes": len(parts[stage.name].data),
                        "sha256": parts[stage.name].digest,
                    }
                    for stage in graph.stages
                ],
                "tensors": [
                    {"tensor": d.tensor, "stage": d.made_by, "max_abs": d.max_abs, "max_rel": d.max_rel}
                    for d in result.per_tensor
                ],
            }
        )
        return
    table(
        ("stage", "device", "layers", "file", "size"),
        (
            (s.name, s.device, str(len(s.layers)), str(files[s.name]), bytes_text(len(parts[s.name].data)))
            for s in graph.stages
        ),
        right=("layers", "size"),
    )
    say(
        f"\nThe parts equal the whole on {shown_input}: outputs differ by at most {result.max_abs:.3g} absolutely, "
        f"{result.max_rel:.3g} of their largest value (allowed {result.tolerance:.0e}); "
        f"{len(result.per_tensor)} tensors were compared."
    )
