"""What the plan commands share: networks in a plan's form, plans read and written."""

import os
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from partition_studio.cli.model import read_bytes
from partition_studio.cli.output import complaints, print_json, say
from partition_studio.errors import BadInputError, ConflictError, PlanError

if TYPE_CHECKING:
    from partition_studio.graph.network import Network
    from partition_studio.partition.formats.imported import Imported
    from partition_studio.partition.plan import Plan

ModelArgument = Annotated[Path, typer.Argument(help="The network's ONNX file.", metavar="MODEL")]
PlanArgument = Annotated[Path, typer.Argument(help="The plan's JSON file.", metavar="PLAN")]
OutOption = Annotated[Path | None, typer.Option("--out", help="File to write; standard output when left out.")]
SimplifyOption = Annotated[
    bool,
    typer.Option("--simplify/--no-simplify", help="Plan for the simplified network, where that is proven to be equal."),
]
ImportFormOption = Annotated[
    bool | None,
    typer.Option(
        "--simplify/--no-simplify",
        help="Plan for the simplified network, or for that in the file. Left out: simplified, where that is proven "
        "to be equal and has what the plan speaks of.",
    ),
]
DimOption = Annotated[
    list[str] | None, typer.Option("--dim", help="Size of a free dimension; may be given again.", metavar="NAME=SIZE")
]
DeviceOption = Annotated[
    list[str] | None,
    typer.Option("--device", help="What a name in the file is here; may be given again.", metavar="THEIRS=OURS"),
]


class OutputFileError(ConflictError):
    """A file cannot be written."""

    code = "output_file"
    next_step = "Choose a file in a folder that is there and may be written."


def names(text: str | None) -> list[str]:
    """Return the names in a list with commas."""
    return [name.strip() for name in (text or "").split(",") if name.strip()]


def pairs(words: list[str] | None, option: str) -> dict[str, str]:
    """Return what options of the form NAME=VALUE say."""
    found: dict[str, str] = {}
    for word in words or []:
        name, sign, value = word.partition("=")
        if not (name and sign and value):
            raise typer.BadParameter(f"{word!r} is not of the form NAME=VALUE", param_hint=option)
        if name in found:
            raise typer.BadParameter(f"{name!r} is given twice", param_hint=option)
        found[name] = value
    return found


def read_text(path: Path | None) -> str | None:
    """Return a file's text. Raises BadInputError naming it."""
    if path is None:
        return None
    try:
        return read_bytes(path).decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise BadInputError(f"{path} is not a text file.", path=str(path)) from error


def load_planned(model: Path, plan: Path) -> "tuple[Network, Plan]":
    """Return a plan, and the network in the form that the plan is for."""
    from partition_studio.graph.load import load_network
    from partition_studio.partition.plan import parse_plan

    document = parse_plan(read_bytes(plan))
    return load_network(model, form=document.network.form), document


def load_form(model: Path, simplify: bool, dims: list[str] | None, *, tell: bool = True) -> "Network":
    """Return a network with sizes for its free dimensions; simplified if asked for and proven to be equal."""
    from partition_studio.graph.load import load_network
    from partition_studio.graph.network import NetworkForm
    from partition_studio.graph.simplify_check import choose_form

    sizes = {name: _size(name, text) for name, text in pairs(dims, "--dim").items()}
    simplified = False
    if simplify:
        verdict = choose_form(model, dims=sizes)
        if tell:
            complaints.print(verdict.sentence, markup=False)
        simplified = verdict.passes
    return load_network(model, form=NetworkForm(simplified, tuple(sorted(sizes.items()))))


def import_in_form(
    model: Path, simplify: bool | None, dims: list[str] | None, read: "Callable[[Network], Imported]"
) -> "Imported":
    """Return what `read` makes of the network in the form that was asked for, or else in the one that it fits."""
    network = load_form(model, simplify is not False, dims, tell=False)
    try:
        imported = read(network)
        if simplify and not network.form.simplified:
            note = "The plan is for the network as it is in the file: it is not simplified."
            return replace(imported, notes=(*imported.notes, note))
        return imported
    except PlanError as error:
        if simplify is not None or not network.form.simplified:
            raise
        reason = error.message
    imported = read(load_form(model, False, dims))
    note = f"The plan is for the network as it is in the file. Of the simplified one it was said: {reason}"
    return replace(imported, notes=(*imported.notes, note))


def _size(name: str, text: str) -> int:
    if not text.isascii() or not text.isdigit() or not 0 < int(text[:12]) < 2**31:
        raise typer.BadParameter(f"{text!r} is no size for {name!r}", param_hint="--dim")
    return int(text)


def write_texts(texts: Mapping[Path, str]) -> None:
    """Write files: every one as a whole, and none where one of them cannot be written. Raises OutputFileError."""
    ready: dict[Path, str] = {}
    try:
        for path, text in texts.items():
            if path.is_dir():
                raise OutputFileError(f"{path} is a folder.", path=str(path))
            ready[path] = _write_beside(path, text)
        for path in texts:
            os.replace(ready.pop(path), path)
    except OSError as error:
        raise OutputFileError(f"{error.filename or 'A file'} cannot be written: {error.strerror}.") from error
    finally:
        for left in ready.values():
            os.unlink(left)


def _write_beside(path: Path, text: str) -> str:
    """Return a new file in the folder of `path` that holds `text`."""
    try:
        descriptor, beside = tempfile.mkstemp(prefix=f".{path.name[:100]}.", dir=path.parent)
    except OSError as error:
        raise OutputFileError(f"{path} cannot be written: {error.strerror}.", path=str(path)) from error
    try:
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            file.write(text)
        os.chmod(beside, 0o644)
    except OSError:
        os.unlink(beside)
        raise
    return beside


def give_plan(
    plan: "Plan", out: Path | None, as_json: bool, notes: tuple[str, ...] = (), *, what: str | None = None
) -> None:
    """Write a plan to a file, or to standard output; `notes` go where they do not mix with it.

    `what` says what became of it; without, the layers are counted and the devices named.
    """
    if out is None:
        for note in notes:
            complaints.print(note, markup=False)
        typer.echo(plan.to_json(), nl=False)
        return
    write_texts({out: plan.to_json()})
    layers = len(plan.placement) + sum(len(sharding.layers) for sharding in plan.shards)
    if as_json:
        print_json({"out": str(out), "layers": layers, "devices": list(plan.places()), "notes": list(notes)})
        return
    for note in notes:
        say(note)
    counted = f"{layers} layer{'' if layers == 1 else 's'} on {', '.join(plan.places())}"
    say(f"wrote {out}: {what or counted}")
