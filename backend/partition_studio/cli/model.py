"""`partition-studio model`: the networks that the studio holds."""

import json
from pathlib import Path
from typing import Annotated, Any

import typer

from partition_studio.cli.client import StudioClient
from partition_studio.cli.options import (
    ChannelsOption,
    DataDirOption,
    MeanOption,
    ScaleOption,
    StdOption,
    UrlOption,
    open_client,
    preprocessing_from,
)
from partition_studio.cli.output import JsonOption, bytes_text, count_text, print_json, say, shape_text, table
from partition_studio.errors import BadInputError, ConflictError, NotFoundError
from partition_studio.schemas import ExampleOut, ModelChangeIn, ModelOut, ModelSummaryOut

app = typer.Typer(help="Networks: add, list, show, simplify, remove.", no_args_is_help=True)


def read_bytes(path: Path) -> bytes:
    """Return a file's bytes. Raises BadInputError naming it."""
    try:
        return path.read_bytes()
    except OSError as error:
        raise BadInputError(f"{path} cannot be read: {error.strerror}", path=str(path)) from error


def find_model(client: StudioClient, word: str) -> ModelSummaryOut:
    """Return the model with this id, digest, name or example name; or whose file this path is."""
    models = client.get("/api/models", list[ModelSummaryOut])
    exact = [model for model in models if word in (model.id, model.digest)]
    named = [model for model in models if word in (model.name, model.example)]
    path = Path(word)
    if not exact and not named and path.is_file():
        named = [model for model in models if model.name == path.stem]
        if not named:
            return add_file(client, path, name=None, preprocessing=None, labels=None)
    if exact or len(named) == 1:
        return (exact or named)[0]
    if named:
        raise ConflictError(f"{len(named)} models are called {word!r}", next_step="Use the model's id.")
    raise NotFoundError(f"There is no model {word!r}", next_step="List them with `partition-studio model list`.")


def _external_files(path: Path, data: bytes) -> list[tuple[str, tuple[str, Any]]]:
    """Return the external data files that an ONNX file names and that lie beside it."""
    import onnx
    from onnx.external_data_helper import ExternalDataInfo, uses_external_data

    try:
        model = onnx.ModelProto.FromString(data)
    except Exception:  # protobuf's error class depends on its build; the studio tells what is wrong
        return []
    names = {ExternalDataInfo(t).location for t in model.graph.initializer if uses_external_data(t)}
    return [
        ("data", (name, (path.parent / name).open("rb")))
        for name in sorted(names)
        # Names that lead elsewhere are not followed; the studio refuses the model and says why.
        if Path(name).name == name and (path.parent / name).is_file()
    ]


def add_file(
    client: StudioClient,
    path: Path,
    *,
    name: str | None,
    preprocessing: str | None,
    labels: str | None,
    simplify: bool | None = None,
    dims: dict[str, int] | None = None,
) -> ModelSummaryOut:
    """Upload an ONNX file with its external data."""
    data = read_bytes(path)
    form = {
        "name": name,
        "preprocessing": preprocessing,
        "labels": labels,
        "simplify": None if simplify is None else str(simplify).lower(),
        "dims": json.dumps(dims) if dims else None,
    }
    return client.post_form(
        "/api/models",
        ModelSummaryOut,
        {key: value for key, value in form.items() if value is not None},
        [("file", (path.name, data)), *_external_files(path, data)],
    )


def _size(word: str) -> tuple[str, int]:
    name, _, text = word.rpartition("=")
    if not name or not text.isascii() or not text.isdecimal() or not 0 < int(text[:12]) < 2**31:
        raise typer.BadParameter(f"{word!r} is not of the form NAME=SIZE", param_hint="--dim")
    return name, int(text)


def _check_source(source: str, examples: list[str]) -> None:
    """Check that a word is a file, where it is no example. Raises BadInputError, which names the examples."""
    if not Path(source).exists():
        raise BadInputError(
            f"{source} is no file and no example.",
            next_step=f"Give an ONNX file, or one of the examples: {', '.join(examples)}.",
            path=source,
        )


def _other_form(error: ConflictError, simplify: bool | None) -> ConflictError:
    """Say how the form of a network is changed that is there already, where the person asked for one."""
    if error.code == "model_exists" and simplify is not None:
        undo = "" if simplify else " --undo"
        error.next_step = f"Use the one that is there in that form: partition-studio model simplify MODEL{undo}."
    return error


@app.command("add")
def add(
    source: Annotated[str, typer.Argument(help="An ONNX file, or the name of an example.", metavar="FILE|EXAMPLE")],
    name: Annotated[str | None, typer.Option(help="Name for people; the file's own when left out.")] = None,
    labels: Annotated[Path | None, typer.Option(help="File with one class label a line.")] = None,
    channels: ChannelsOption = None,
    scale: ScaleOption = None,
    mean: MeanOption = None,
    std: StdOption = None,
    simplify: Annotated[
        bool | None,
        typer.Option("--simplify/--no-simplify", help="Left out: simplified where that is proven to be equal."),
    ] = None,
    dim: Annotated[
        list[str] | None,
        typer.Option("--dim", help="Size of a free dimension; may be given again.", metavar="NAME=SIZE"),
    ] = None,
    url: UrlOption = None,
    data_dir: DataDirOption = None,
    as_json: JsonOption = False,
) -> None:
    """Add a network; images become inputs by (pixel * scale - mean) / std."""
    preprocessing = preprocessing_from(channels, scale, mean, std)
    dims = dict(_size(word) for word in dim or [])
    client = open_client(url, data_dir)
    examples = [example.id for example in client.get("/api/examples", list[ExampleOut])]
    if source in examples and not Path(source).exists():
        model = client.post(f"/api/examples/{source}", ModelSummaryOut)
        if simplify is not None and simplify != model.simplified and (model.simplifiable or not simplify):
            model = client.patch(f"/api/models/{model.id}", ModelSummaryOut, ModelChangeIn(simplified=simplify))
    else:
        _check_source(source, examples)
        try:
            model = add_file(
                client,
                Path(source),
                name=name,
                preprocessing=None if preprocessing is None else preprocessing.model_dump_json(),
                labels=None if labels is None else read_bytes(labels).decode(errors="replace"),
                simplify=simplify,
                dims=dims,
            )
        except ConflictError as error:
            raise _other_form(error, simplify) from error
    if as_json:
        print_json(model)
    else:
        if model.simplification:
            say(model.simplification)
        say(f"added {model.name} as {model.id}: {model.layer_count} layers, {count_text(model.macs)}MACs")


@app.command("list")
def list_models(url: UrlOption = None, data_dir: DataDirOption = None, as_json: JsonOption = False) -> None:
    """List the networks."""
    models = open_client(url, data_dir).get("/api/models", list[ModelSummaryOut])
    if as_json:
        print_json(models)
        return
    table(
        ("id", "name", "layers", "MACs", "parameters", "weights"),
        (
            (m.id, m.name, str(m.layer_count), count_text(m.macs), count_text(m.parameters), bytes_text(m.weight_bytes))
            for m in models
        ),
        right=("layers", "MACs", "parameters", "weights"),
    )


@app.command("show")
def show(
    model: Annotated[str, typer.Argument(help="Id or name.")],
    url: UrlOption = None,
    data_dir: DataDirOption = None,
    as_json: JsonOption = False,
) -> None:
    """Show a network's layers: shapes, MACs, parameters, activation bytes; and its blocks."""
    client = open_client(url, data_dir)
    found = client.get(f"/api/models/{find_model(client, model).id}", ModelOut)
    if as_json:
        print_json(found)
        return
    say(f"{found.name}  {found.digest}")
    say(f"{'simplified' if found.simplified else 'as in the file'}  {found.simplification}".rstrip())
    for symbol, size in found.dims.items():
        say(f"dimension {symbol} = {size}")
    for kind, tensors in (("input", found.inputs), ("output", found.outputs)):
        for tensor in tensors:
            say(f"{kind} {tensor.name}  {tensor.dtype}  {shape_text(tensor.shape)}")
    table(
        ("layer", "op", "output", "MACs", "parameters", "activation"),
        (
            (
                layer.name,
                layer.op_type,
                shape_text(layer.output_shape),
                count_text(layer.macs),
                count_text(layer.parameters),
                bytes_text(layer.activation_bytes),
            )
            for layer in found.layers
        ),
        right=("MACs", "parameters", "activation"),
    )
    if found.blocks:
        table(
            ("block", "kind", "in", "layers", "first", "last"),
            ((b.name, b.kind, b.parent or "", str(len(b.layers)), b.layers[0], b.layers[-1]) for b in found.blocks),
            right=("layers",),
        )
    say(
        f"{found.layer_count} layers, {count_text(found.macs)} MACs, {count_text(found.parameters)} parameters, "
        f"{bytes_text(found.weight_bytes)} of weights"
    )


@app.command("simplify")
def simplify_model(
    model: Annotated[str, typer.Argument(help="Id or name.")],
    undo: Annotated[bool, typer.Option("--undo", help="Use the network as it is in the file again.")] = False,
    url: UrlOption = None,
    data_dir: DataDirOption = None,
    as_json: JsonOption = False,
) -> None:
    """Use a network simplified, where that is proven to be equal; plans are for the form they were made for."""
    client = open_client(url, data_dir)
    found = find_model(client, model)
    changed = client.patch(f"/api/models/{found.id}", ModelSummaryOut, ModelChangeIn(simplified=not undo))
    if as_json:
        print_json(changed)
    else:
        form = "simplified" if changed.simplified else "as in the file"
        say(f"{changed.name} is used {form}: {changed.layer_count} layers")


@app.command("remove")
def remove(
    model: Annotated[str, typer.Argument(help="Id or name.")],
    url: UrlOption = None,
    data_dir: DataDirOption = None,
    as_json: JsonOption = False,
) -> None:
    """Remove a network and its saved plans."""
    client = open_client(url, data_dir)
    found = find_model(client, model)
    client.delete(f"/api/models/{found.id}")
    if as_json:
        print_json({"removed": found.id})
    else:
        say(f"removed {found.name} ({found.id})")
