"""`partition-studio plan shard`: divides layers of a plan, offline."""

from typing import Annotated, Any

import typer

from partition_studio.cli.output import JsonOption, complaints
from partition_studio.cli.plan_files import ModelArgument, OutOption, PlanArgument, give_plan, load_planned, names

#: Short names, as the papers have them.
STRATEGIES = {"lop": "output_channels", "lip": "input_channels", "fdsp": "spatial_independent"}

_NUMBERS = "with commas"


def shard(
    model: ModelArgument,
    plan: PlanArgument,
    strategy: Annotated[
        str,
        typer.Option(
            help="spatial, spatial_independent (fdsp), output_channels (lop) or input_channels (lip).", metavar="NAME"
        ),
    ],
    devices: Annotated[str, typer.Option(help="The device of each part, with commas; 2 to 16.")],
    layers: Annotated[
        str | None, typer.Option(help="The layers to divide together, with commas; `block:NAME` is a block's.")
    ] = None,
    first: Annotated[str | None, typer.Option("--from", help="The first layer, instead of --layers.")] = None,
    last: Annotated[str | None, typer.Option("--to", help="The last layer: all on the ways to it are divided.")] = None,
    shares: Annotated[str | None, typer.Option(help=f"A number for each device, {_NUMBERS}: proportions.")] = None,
    sizes: Annotated[
        str | None, typer.Option(help=f"Channels (or rows of tiles) of each device, {_NUMBERS}, instead of shares.")
    ] = None,
    rows: Annotated[str | None, typer.Option(help=f"Heights of the rows of tiles, {_NUMBERS}.")] = None,
    columns: Annotated[str | None, typer.Option(help=f"Widths of the columns of tiles, {_NUMBERS}.")] = None,
    unit: Annotated[str, typer.Option(help="What --rows and --columns are: share or size.")] = "share",
    exchange_before: Annotated[
        str | None, typer.Option(help="Layers before which neighbours exchange halos, with commas.")
    ] = None,
    out: OutOption = None,
    as_json: JsonOption = False,
) -> None:
    """Divide layers of a plan: adds an entry to its `shards`, and takes the layers out of its placement."""
    from partition_studio.graph.blocks import expand, find_blocks, with_manual
    from partition_studio.partition.add_shard import add_sharding, sharding_of
    from partition_studio.partition.check import check_plan

    if (layers is None) == (first is None) or (first is None) != (last is None):
        raise typer.BadParameter("give either --layers, or both --from and --to", param_hint="--layers")
    strategy = STRATEGIES.get(strategy, strategy.replace("-", "_"))
    network, before = load_planned(model, plan)
    named = names(layers) if first is None else [first]
    if any(name.startswith("block:") for name in named):
        named = expand(with_manual(network, find_blocks(network), before.blocks), named)
    document: dict[str, Any] = {
        "strategy": strategy,
        "layers": named,
        "devices": names(devices),
        "unit": unit,
    }
    if strategy.startswith("spatial"):
        document |= _tiles(len(names(devices)), shares, sizes, rows, columns)
    elif rows is not None or columns is not None:
        raise typer.BadParameter("rows and columns are for spatial strategies", param_hint="--rows")
    else:
        document |= _shares(shares, sizes)
    if exchange_before is not None:
        document["exchange_before"] = names(exchange_before)
    after = add_sharding(network, before, sharding_of(document), last=last)
    for problem in check_plan(network, after).problems:
        complaints.print(f"{problem.severity}: {problem.message}", markup=False)
    give_plan(after, out, as_json)


def _shares(shares: str | None, sizes: str | None) -> dict[str, Any]:
    if shares is not None and sizes is not None:
        raise typer.BadParameter("give shares or sizes, not both", param_hint="--sizes")
    if sizes is not None:
        return {"shares": _numbers(sizes, "--sizes"), "unit": "size"}
    return {"shares": _numbers(shares, "--shares")} if shares is not None else {}


def _tiles(count: int, shares: str | None, sizes: str | None, rows: str | None, columns: str | None) -> dict[str, Any]:
    """Return the rows and columns of tiles; shares or sizes alone are those of rows, and so are devices alone."""
    if rows is None and columns is None:
        told = _shares(shares, sizes)
        return {"rows": told.pop("shares", [1.0] * count), **told}
    if shares is not None or sizes is not None:
        raise typer.BadParameter("with rows or columns, say --unit size where they are sizes", param_hint="--sizes")
    found = {}
    if rows is not None:
        found["rows"] = _numbers(rows, "--rows")
    if columns is not None:
        found["columns"] = _numbers(columns, "--columns")
    return found


def _numbers(text: str, option: str) -> list[float]:
    try:
        return [float(word) for word in names(text)]
    except ValueError:
        raise typer.BadParameter(f"{text!r} are no numbers with commas", param_hint=option) from None
