"""`partition-studio plan import-...` and `export-autodice`: plans from and for other tools, offline."""

from pathlib import Path
from typing import Annotated

import typer

from partition_studio.cli.output import JsonOption, print_json, say
from partition_studio.cli.plan_files import (
    DeviceOption,
    DimOption,
    ImportFormOption,
    ModelArgument,
    OutOption,
    PlanArgument,
    give_plan,
    import_in_form,
    load_planned,
    names,
    pairs,
    read_text,
    write_texts,
)
from partition_studio.errors import BadInputError


def import_autodice(
    model: ModelArgument,
    mapping: Annotated[Path, typer.Option(help="AutoDiCE's mapping file (JSON).")],
    horizontal: Annotated[Path | None, typer.Option(help="Its file of divided layers (JSON).")] = None,
    platform: Annotated[Path | None, typer.Option(help="Its file of hosts, to check the mapping against.")] = None,
    device: DeviceOption = None,
    out: OutOption = None,
    simplify: ImportFormOption = None,
    dim: DimOption = None,
    as_json: JsonOption = False,
) -> None:
    """Make a plan of AutoDiCE's files; its names stay the plan's devices where --device does not say another."""
    from partition_studio.partition.formats.autodice import AutodiceFiles
    from partition_studio.partition.formats.autodice import import_autodice as read_files
    from partition_studio.partition.formats.outline import outline

    files = AutodiceFiles(read_text(mapping) or "", read_text(horizontal), read_text(platform))
    devices = pairs(device, "--device")
    original = outline(model)
    imported = import_in_form(
        model, simplify, dim, lambda network: read_files(network, files, devices=devices, original=original)
    )
    give_plan(imported.plan, out, as_json, imported.notes)


def export_autodice(
    model: ModelArgument,
    plan: PlanArgument,
    out_mapping: Annotated[Path, typer.Option(help="File for the mapping.")],
    out_horizontal: Annotated[Path | None, typer.Option(help="File for the divided layers, if there are any.")] = None,
    as_json: JsonOption = False,
) -> None:
    """Write a plan as AutoDiCE's files; what they cannot say is an error that names it."""
    from partition_studio.partition.formats.autodice_export import export_autodice as write_files
    from partition_studio.partition.formats.outline import outline

    if out_horizontal is not None and out_horizontal.absolute() == out_mapping.absolute():
        raise typer.BadParameter("both files would be the same", param_hint="--out-horizontal")
    network, document = load_planned(model, plan)
    files = write_files(network, document, original=outline(model))
    if files.horizontal is not None and out_horizontal is None:
        raise BadInputError(
            "The plan divides layers, which AutoDiCE keeps in a file of its own.",
            next_step="Give that file's name, too: --out-horizontal FILE.",
        )
    texts = {out_mapping: files.mapping}
    if out_horizontal is not None:
        texts[out_horizontal] = files.horizontal or "{}\n"
    write_texts(texts)
    renamed = {name: resource.device for name, resource in document.resources.items() if name != resource.device}
    if as_json:
        print_json({"mapping": str(out_mapping), "horizontal": _text(out_horizontal), "devices": renamed})
        return
    say(f"wrote {' and '.join(str(path) for path in texts)}")
    if renamed:
        options = " ".join(f"--device {theirs}={ours}" for theirs, ours in renamed.items())
        say(f"An import gives the same plan with: {options}")


def _text(path: Path | None) -> str | None:
    return None if path is None else str(path)


def import_map(
    model: ModelArgument,
    map_file: Annotated[Path, typer.Option("--map", help="JSON object {node: device}.")],
    device: DeviceOption = None,
    out: OutOption = None,
    simplify: ImportFormOption = None,
    dim: DimOption = None,
    as_json: JsonOption = False,
) -> None:
    """Make a plan of a map {node: device}."""
    from partition_studio.partition.formats.device_map import import_map as read_map
    from partition_studio.partition.formats.outline import outline

    text, devices = read_text(map_file) or "", pairs(device, "--device")
    original = outline(model).names
    imported = import_in_form(
        model, simplify, dim, lambda network: read_map(network, text, devices=devices, original=original)
    )
    give_plan(imported.plan, out, as_json, imported.notes)


def import_cuts(
    model: ModelArgument,
    cuts: Annotated[str, typer.Option(help="Tensors at which the network is cut, in order, with commas.")],
    devices: Annotated[str, typer.Option(help="The device of each part, with commas: one more than cuts.")],
    out: OutOption = None,
    simplify: ImportFormOption = None,
    dim: DimOption = None,
    as_json: JsonOption = False,
) -> None:
    """Make a plan of cuts: a part is all that its tensor depends on and no earlier part has; the last is the rest."""
    from partition_studio.partition.formats.cut_list import import_cuts as read_cuts

    imported = import_in_form(model, simplify, dim, lambda network: read_cuts(network, names(cuts), names(devices)))
    give_plan(imported.plan, out, as_json, imported.notes)
