"""Exact tiles: each device computes a tile of the map through a run of layers, its halo included (fused tiles).

What each part needs is found backward from its tile of the outputs: the hull of what all readers of a tensor need, so
that halos are computed twice rather than sent (DeepThings, Zhao et al. 2018). Where halos are to be exchanged, and
before layers that need the whole map, the tiles are joined; tiling goes on behind them.

A halo *swallows* a tile when, with several tiles along an axis, one part needs all of that axis from every map that
the tiled layers read: it would compute all that the whole does, and dividing saves nothing.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal

from partition_studio.partition.draft import Draft, ShardError
from partition_studio.partition.halo import Box, Interval
from partition_studio.partition.plan import SpatialSharding
from partition_studio.partition.run import find_run
from partition_studio.partition.shares import intervals
from partition_studio.partition.strategies.spatial_tiles import (
    Grid,
    Layer,
    Part,
    Side,
    TiledRun,
    plan_part,
    read_run,
    write_parts,
)


@dataclass(frozen=True)
class Group:
    """Layers of a run that are computed together, in tiles or not; `outputs` are read by other layers."""

    layers: tuple[Layer, ...]
    tiled: bool
    outputs: tuple[str, ...]


def apply(draft: Draft, sharding: SpatialSharding) -> None:
    """Divide a run into exact tiles. Raises ShardError, which names the layer that stands in the way."""
    grid = Grid.of(sharding)
    tiled = read_run(draft, find_run(draft, sharding.layers), grid)
    _check_exchanges(sharding)
    _check_crossings(draft, tiled)
    groups = _groups(draft, tiled, sharding.exchange_before)
    _check_something_is_tiled(tiled, groups)
    _check_sizes(draft, tiled, groups)
    plans = []
    for group in groups:
        if group.tiled:
            outputs = _cells(draft, tiled, group)
            parts = _plan(tiled, group, outputs)
            _check_halos(draft, tiled, group, parts)
            plans.append((group, parts, outputs))
    for group, parts, outputs in plans:
        write_parts(draft, tiled, group.layers, parts, outputs)
    for group in groups:
        if not group.tiled:
            draft.devices.update((layer.name, grid.devices[0]) for layer in group.layers)


def _check_exchanges(sharding: SpatialSharding) -> None:
    for name in sharding.exchange_before:
        if name not in sharding.layers:
            raise ShardError(
                f"Halos are to be exchanged before {name!r}, which is no layer of the run.",
                next_step="Name layers of the same entry in `exchange_before`.",
                layer=name,
            )


def _check_crossings(draft: Draft, tiled: TiledRun) -> None:
    """Refuse a run that ends in something that is no map, and name the layer where the map is lost."""
    makers = {tensor: layer for layer in tiled.layers for tensor in layer.view.outputs}
    for tensor in tiled.run.outputs:
        lost = None
        pending = tensor
        while pending in makers and pending not in tiled.axes:
            lost = makers[pending]
            pending = next((name for _, name in lost.reads()), "")
        if lost is not None:
            raise ShardError(
                f"A spatial run cannot cross the {lost.view.node.op_type} layer {lost.name!r}: there is no map of rows "
                "and columns behind it.",
                next_step=f"End the run before {lost.name!r}.",
                layer=lost.name,
            )


def _groups(draft: Draft, tiled: TiledRun, exchange_before: Sequence[str]) -> list[Group]:
    """Divide the run into groups, in the order in which they can be computed.

    A layer's phase is that of the layers it reads from; it goes up where tiling begins or ends, and where halos are
    exchanged. No edge leads to a lower phase, so each group is computed in one go.
    """
    phase_of: dict[str, int] = {}
    groups: dict[tuple[int, bool], list[Layer]] = {}
    kinds: dict[str, bool] = {}
    for layer in tiled.layers:
        divided = layer.rule is not None
        phase = 0
        for tensor in draft.activations(layer.view.node):
            if tensor in phase_of:
                new = kinds[tensor] != divided or layer.name in exchange_before
                phase = max(phase, phase_of[tensor] + new)
        for tensor in layer.view.outputs:
            phase_of[tensor], kinds[tensor] = phase, divided
        groups.setdefault((phase, divided), []).append(layer)
    return [
        Group(tuple(layers), divided, _outputs(draft, layers))
        for (_, divided), layers in sorted(groups.items(), key=lambda item: item[0][0])
    ]


def _outputs(draft: Draft, layers: Sequence[Layer]) -> tuple[str, ...]:
    names = {layer.name for layer in layers}
    return tuple(
        tensor
        for layer in layers
        for tensor in layer.view.outputs
        if tensor in draft.outputs or any(reader.name not in names for reader in draft.readers(tensor))
    )


def _check_something_is_tiled(tiled: TiledRun, groups: Sequence[Group]) -> None:
    if not any(group.tiled for group in groups):
        first = tiled.layers[0]
        raise ShardError(
            f"The layer {first.name!r} ({first.view.node.op_type}) cannot be divided into tiles: {first.reason}.",
            layer=first.name,
        )


def _check_sizes(draft: Draft, tiled: TiledRun, groups: Sequence[Group]) -> None:
    """Exact sizes must be those of an output of the run; of the last tiled layer's where that is not in tiles."""
    if tiled.grid.unit == "share":
        return
    made = {tensor: group for group in groups if group.tiled for tensor in group.outputs}
    last = [tensor for tensor in made if tensor in tiled.run.outputs] or list(made)[-1:]
    makers = {tensor: layer.name for layer in tiled.layers for tensor in layer.view.outputs}
    for place, side in enumerate(tiled.grid.sides):
        sizes = [draft.shape(tensor)[tiled.axes[tensor][place]] for tensor in last]
        if sum(side.numbers) not in sizes or any(number % 1 for number in side.numbers):
            intervals(sizes[-1], side.numbers, unit="size", what=side.what, layer=makers[last[-1]])


def _cells(draft: Draft, tiled: TiledRun, group: Group) -> dict[str, list[Box]]:
    """Return the boxes of every output of a group: the shares hold for each, whatever its resolution."""
    makers = {tensor: layer.name for layer in group.layers for tensor in layer.view.outputs}
    cells = {}
    for tensor in group.outputs:
        shape, axes = draft.shape(tensor), tiled.axes[tensor]
        sides = zip(tiled.grid.sides, axes, strict=True)
        cuts = [_cut(shape[axis], side, tiled.grid, makers[tensor]) for side, axis in sides]
        cells[tensor] = tiled.grid.cells(shape, axes, cuts)
    return cells


def _cut(size: int, side: Side, grid: Grid, layer: str) -> list[Interval]:
    # Sizes are those of an output of the run; maps of other sizes are divided in the same proportion.
    unit: Literal["share", "size"] = "size" if grid.unit == "size" and sum(side.numbers) == size else "share"
    return [Interval(*pair) for pair in intervals(size, side.numbers, unit=unit, what=side.what, layer=layer)]


def _plan(tiled: TiledRun, group: Group, outputs: Mapping[str, Sequence[Box]]) -> list[Part]:
    return [
        plan_part(tiled, group.layers, {tensor: boxes[number] for tensor, boxes in outputs.items()})
        for number in range(len(tiled.grid.tiles))
    ]


def _check_halos(draft: Draft, tiled: TiledRun, group: Group, parts: Sequence[Part]) -> None:
    found = _swallowed(draft, tiled, group, parts)
    if found is None:
        return
    number, place, tensor = found
    side = tiled.grid.sides[place]
    most = _most_tiles(draft, tiled, group, place)
    first, last = group.layers[0].name, group.layers[-1].name
    size = draft.shape(tensor)[tiled.axes[tensor][place]]
    fewer = f"Divide it into {most} equal {side.what}" if most > 1 else "Divide fewer layers at once"
    raise ShardError(
        f"The halo swallows the tile: for its piece of the run from {first!r} to {last!r}, part {number} needs all "
        f"{size} {side.what} of {tensor!r}, so that dividing saves nothing.",
        next_step=f"{fewer}, or exchange halos in the middle of the run (`exchange_before`).",
        layer=first,
        most_parts=max(most, 1),
    )


def _swallowed(draft: Draft, tiled: TiledRun, group: Group, parts: Sequence[Part]) -> tuple[int, int, str] | None:
    """Return a part, the side along which it needs all of every map that the group reads, and one such map."""
    made = {tensor for layer in group.layers for tensor in layer.view.outputs}
    read = dict.fromkeys(t for layer in group.layers for _, t in layer.reads() if t not in made and t in tiled.axes)
    for number, part in enumerate(parts):
        for place in range(len(tiled.grid.sides)):
            sizes = {t: draft.shape(t)[tiled.axes[t][place]] for t in read if t in part.boxes}
            maps = [tensor for tensor, size in sizes.items() if size > 1]
            if maps and all(part.boxes[t][tiled.axes[t][place]].length == sizes[t] for t in maps):
                return number, place, maps[0]
    return None


def _most_tiles(draft: Draft, tiled: TiledRun, group: Group, place: int) -> int:
    """Return the largest number of equal tiles on a side, the other left as it is, whose halos swallow none."""
    numbers = tiled.grid.sides[place].numbers
    for count in range(len(numbers) - (len(set(numbers)) == 1), 1, -1):
        sides = list(tiled.grid.sides)
        sides[place] = replace(sides[place], numbers=(1.0,) * count)
        fewer = replace(tiled, grid=replace(tiled.grid, sides=tuple(sides), unit="share"))
        try:
            outputs = _cells(draft, fewer, group)
            parts = _plan(fewer, group, outputs)
        except ShardError:
            continue
        found = _swallowed(draft, fewer, group, parts)
        if found is None or found[1] != place:
            return count
    return 0
