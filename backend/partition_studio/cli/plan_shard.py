"""`partition-studio plan shard`: divides layers of a plan, offline."""

from typing import TYPE_CHECKING, Annotated, Any

import typer

from partition_studio.cli.output import JsonOption, complaints
from partition_studio.cli.plan_files import ModelArgument, OutOption, PlanArgument, give_plan, load_planned, names

if TYPE_CHECKING:
    from partition_studio.partition.plan import Sharding

#: Short names, as the papers have them.
STRATEGIES = {"lop": "output_channels", "lip": "input_channels", "fdsp": "spatial_independent"}

NAMES = ("spatial", "spatial_independent", "output_channels", "input_channels")
_SHORT = "fdsp, lop or lip for the last three"

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
    unit: Annotated[
        str,
        typer.Option(
            help="What the numbers of --shares, --rows and --columns are: share (proportions) or size (exact)."
        ),
    ] = "share",
    exchange_before: Annotated[
        str | None, typer.Option(help="Layers before which neighbours exchange halos, with commas.")
    ] = None,
    out: OutOption = None,
    as_json: JsonOption = False,
) -> None:
    """Divide layers of a plan: adds an entry to its `shards`, and takes the layers out of its placement."""
    from partition_studio.graph.blocks import expand, find_blocks, with_manual
    from partition_studio.partition.add_shard import add_sharding, sharding_of
    from partition_studio.partition.check import check_plan, require_network
    from partition_studio.partition.formats.outline import outline

    if (layers is None) == (first is None) or (first is None) != (last is None):
        raise typer.BadParameter("give either --layers, or both --from and --to", param_hint="--layers")
    strategy = _strategy(strategy)
    _check_options(strategy, names(devices), unit, exchange_before)
    network, before = load_planned(model, plan)
    require_network(network, before)
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
    after = add_sharding(network, before, sharding_of(document), last=last, original=lambda: outline(model))
    for problem in check_plan(network, after).problems:
        complaints.print(f"{problem.severity}: {problem.message}", markup=False)
    give_plan(after, out, as_json, what=_told(after.shards[-1]))


def _told(sharding: "Sharding") -> str:
    """Say what was divided, into how many parts, and on which devices."""
    layers, parts = sharding.layers, len(sharding.devices)
    run = layers[0] if len(layers) == 1 else f"{layers[0]} ... {layers[-1]} ({len(layers)} layers)"
    return f"{run} divided by {sharding.strategy} into {parts} parts on {', '.join(sharding.devices)}"


def _strategy(word: str) -> str:
    """Return a strategy's name in plans."""
    strategy = STRATEGIES.get(word, word.replace("-", "_"))
    if strategy not in NAMES:
        raise typer.BadParameter(
            f"there is no strategy {word!r}; use one of {', '.join(NAMES)}, or " + _SHORT, param_hint="--strategy"
        )
    return strategy


def _check_options(strategy: str, devices: list[str], unit: str, exchange_before: str | None) -> None:
    from partition_studio.partition.plan import MAX_PARTS, MIN_PARTS

    if not MIN_PARTS <= len(devices) <= MAX_PARTS:
        raise typer.BadParameter(
            f"name {MIN_PARTS} to {MAX_PARTS} devices, one for each part, not {len(devices)}", param_hint="--devices"
        )
    if exchange_before is not None and strategy != "spatial":
        raise typer.BadParameter(
            f"halos are exchanged with --strategy spatial only, not with {strategy}", param_hint="--exchange-before"
        )
    if unit not in ("share", "size"):
        raise typer.BadParameter(f"must be share or size, not {unit!r}", param_hint="--unit")


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
        found = [float(word) for word in names(text)]
    except ValueError:
        raise typer.BadParameter(f"{text!r} are no numbers with commas", param_hint=option) from None
    wrong = next((number for number in found if not 0 < number <= 2**31), None)
    if wrong is not None:
        raise typer.BadParameter(f"every number must be above 0 and at most 2^31, not {wrong:g}", param_hint=option)
    if not found:
        raise typer.BadParameter("give at least one number", param_hint=option)
    return found
