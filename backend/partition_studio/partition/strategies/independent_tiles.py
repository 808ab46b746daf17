"""Independent tiles (FDSP of ADCNN): every tile of the run's input is computed as if it were an image of its own.

Nothing passes between tiles: what a layer would read beyond its tile's border counts as padding, which for layers that
keep the map's size, or divide it by their stride, is their own padding. The result is approximate wherever that makes
a difference, and exact where the run has no halo. The numbers of rows and columns are those of the run's input (its
largest map); tiles begin at multiples of what the run divides the map by, and the last takes the rest.
"""

from collections.abc import Mapping, Sequence
from fractions import Fraction
from itertools import pairwise
from math import lcm

from partition_studio.partition.draft import Draft, ShardError
from partition_studio.partition.halo import Box, Interval, full_box
from partition_studio.partition.plan import IndependentSharding
from partition_studio.partition.run import find_run
from partition_studio.partition.shares import intervals
from partition_studio.partition.strategies.spatial_tiles import Grid, Layer, Part, Side, TiledRun, read_run, write_parts

#: Where the tiles of a tensor begin and end along one side, its ends included.
Borders = list[int]


def apply(draft: Draft, sharding: IndependentSharding) -> None:
    """Divide a run into tiles of their own. Raises ShardError, which names the layer that stands in the way."""
    tiled = read_run(draft, find_run(draft, sharding.layers), Grid.of(sharding))
    _check_all_divisible(tiled)
    sides = [_borders(draft, tiled, place) for place in range(len(tiled.grid.sides))]
    boxes = _boxes(draft, tiled, sides)
    parts, inexact = [], []
    for number in range(len(tiled.grid.tiles)):
        part, cut = _plan(tiled, {tensor: cells[number] for tensor, cells in boxes.items()})
        parts.append(part)
        inexact.append(cut)
    write_parts(draft, tiled, tiled.layers, parts, {tensor: boxes[tensor] for tensor in tiled.run.outputs}, inexact)


def _check_all_divisible(tiled: TiledRun) -> None:
    for layer in tiled.layers:
        if layer.rule is None:
            raise ShardError(
                f"The layer {layer.name!r} ({layer.view.node.op_type}) cannot be computed in independent tiles: "
                f"{layer.reason}.",
                next_step=f"End the run before {layer.name!r}, or begin it behind.",
                layer=layer.name,
            )


def _borders(draft: Draft, tiled: TiledRun, place: int) -> dict[str, Borders]:
    """Return the borders of every tensor along one side; of none that has one row only."""
    side = tiled.grid.sides[place]
    sizes = {tensor: draft.shape(tensor)[axes[place]] for tensor, axes in tiled.axes.items()}
    inputs = [tensor for tensor in tiled.run.inputs if sizes.get(tensor, 1) > 1]
    if not inputs:
        raise _one_row_only(tiled.layers[0], side)
    largest = max(inputs, key=lambda tensor: sizes[tensor])
    scales = _scales(tiled, place, {tensor: Fraction(sizes[tensor], sizes[largest]) for tensor in inputs})
    step = lcm(*(scale.denominator for scale in scales.values()))
    first = next(layer.name for layer in tiled.layers if largest in layer.view.node.input)
    cuts = intervals(sizes[largest], side.numbers, unit=tiled.grid.unit, what=side.what, layer=first, step=step)
    inner = [stop for _, stop in cuts[:-1]]
    borders = {tensor: [0, *(int(end * scales[tensor]) for end in inner), sizes[tensor]] for tensor in inputs}
    for layer in tiled.layers:
        moved = _moved(tiled, layer, borders, place)
        for tensor in layer.view.outputs:
            borders[tensor] = [0, *moved, sizes[tensor]]
            _check_none_empty(layer, side, borders[tensor], step)
    return borders


def _scales(tiled: TiledRun, place: int, inputs: Mapping[str, Fraction]) -> dict[str, Fraction]:
    """Return how many rows of each tensor stand for one row of the largest input."""
    scales = dict(inputs)
    for layer in tiled.layers:
        found = [
            scales[tensor] * layer.border(index, tiled.axes[tensor][place]).scale
            for index, tensor in layer.reads()
            if tensor in scales
        ]
        if not found:
            raise _one_row_only(layer, tiled.grid.sides[place])
        # Branches that do not agree are refused where their borders do not meet.
        scales.update(dict.fromkeys(layer.view.outputs, max(found, key=lambda scale: scale.denominator)))
    return scales


def _one_row_only(layer: Layer, side: Side) -> ShardError:
    return ShardError(
        f"The layer {layer.name!r} reads a map of a single one of the {side.what} that are to be divided.",
        next_step=f"Do not divide its {side.what}, or divide other layers.",
        layer=layer.name,
    )


def _moved(tiled: TiledRun, layer: Layer, borders: Mapping[str, Borders], place: int) -> Borders:
    """Return the inner borders of a layer's outputs. Raises ShardError where those of its inputs do not meet."""
    found: dict[tuple[int, ...], str] = {}
    for index, tensor in layer.reads():
        if tensor in borders:
            affine = layer.border(index, tiled.axes[tensor][place])
            found[tuple(affine(border) for border in borders[tensor][1:-1])] = tensor
    if len(found) > 1:
        one, other = list(found.values())[:2]
        raise ShardError(
            f"The tiles of {one!r} and {other!r} do not meet at the layer {layer.name!r}.",
            next_step=f"End the run before {layer.name!r}, or divide it into exact tiles (`spatial`).",
            layer=layer.name,
        )
    return list(next(iter(found)))


def _check_none_empty(layer: Layer, side: Side, borders: Borders, step: int) -> None:
    if any(start >= stop for start, stop in pairwise(borders)):
        raise ShardError(
            f"The layer {layer.name!r} has {borders[-1]} {side.what}: a tile of it would be empty.",
            next_step=f"Divide into fewer or other tiles (they begin at multiples of {step} {side.what}), or end the "
            f"run before {layer.name!r}.",
            layer=layer.name,
        )


def _boxes(draft: Draft, tiled: TiledRun, sides: Sequence[Mapping[str, Borders]]) -> dict[str, list[Box]]:
    """Return the box of each part on every tensor of the run."""
    count = len(tiled.grid.tiles)
    boxes = {}
    tensors = dict.fromkeys([*tiled.run.inputs, *tiled.axes])
    for tensor in tensors:
        shape, axes = draft.shape(tensor), tiled.axes.get(tensor)
        if axes is None:
            boxes[tensor] = [full_box(shape)] * count
            continue
        cuts = []
        for side, axis, borders in zip(tiled.grid.sides, axes, sides, strict=True):
            ends = borders.get(tensor)
            whole = [Interval(0, shape[axis])] * len(side.numbers)
            cuts.append(whole if ends is None else [Interval(*pair) for pair in pairwise(ends)])
        boxes[tensor] = tiled.grid.cells(shape, axes, cuts)
    return boxes


def _plan(tiled: TiledRun, boxes: Mapping[str, Box]) -> tuple[Part, frozenset[str]]:
    """Return how one part is computed, and the layers whose pieces differ because of the tile's borders."""
    steps, cut = {}, set()
    for layer in tiled.layers:
        wanted = [boxes[tensor] for tensor in layer.view.outputs]
        steps[layer.name] = layer.step(wanted, boxes)
        if not _is_exact(layer, wanted, boxes):
            cut.add(layer.name)
    return Part(steps, boxes), frozenset(cut)


def _is_exact(layer: Layer, wanted: Sequence[Box], boxes: Mapping[str, Box]) -> bool:
    """Say whether a layer needs nothing beyond the tile."""
    try:
        free = layer.step(wanted)
    except ShardError:
        return False
    return free.same_as(layer.step(wanted, boxes))
