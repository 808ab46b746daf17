"""How layers that move, join, cut or pad maps are tiled."""

from collections.abc import Mapping, Sequence
from fractions import Fraction
from math import prod
from typing import Any

import numpy as np

from partition_studio.partition.halo import (
    Affine,
    Box,
    Interval,
    Piece,
    UnreachableError,
    Window,
    ceil_div,
    full_box,
    lengths,
    mirrored_piece,
)
from partition_studio.partition.strategies.spatial_layers import Axes, IndivisibleError, LayerView, Rule, Step


class Joined(Rule):
    """Concat along an axis that is not divided. `first` and `every` say which inputs are joined."""

    def __init__(self, first: int = 0, every: int = 1) -> None:
        self._first, self._every = first, every

    def _indices(self, view: LayerView) -> range:
        return range(self._first, len(view.node.input), self._every)

    def _carry(self, view: LayerView, axes: Mapping[int, Axes]) -> Axes:
        found = {axes[index] for index in self._indices(view) if index in axes}
        if len(found) != 1:
            raise IndivisibleError("its inputs' maps do not lie alike" if found else "it works on no map")
        kept = found.pop()
        if view.attributes["axis"] % len(view.output_shape()) in kept:
            raise IndivisibleError("it joins along an axis of the map")
        return kept

    def _step(self, view: LayerView, wanted: Sequence[Box], limits: Mapping[str, Box] | None) -> Step:
        along = view.attributes["axis"] % len(wanted[0])
        reads = {
            index: tuple(
                Interval(0, size) if axis == along else wanted[0][axis] for axis, size in enumerate(view.shape(index))
            )
            for index in self._indices(view)
        }
        return Step(reads, tuple(wanted))


class Transposition(Rule):
    """Transpose."""

    def _order(self, view: LayerView) -> list[int]:
        rank = len(view.shape(0))
        return view.ints("perm", range(rank)[::-1])

    def _carry(self, view: LayerView, axes: Mapping[int, Axes]) -> Axes:
        order = self._order(view)
        return tuple(order.index(axis) for axis in super()._carry(view, axes))

    def _step(self, view: LayerView, wanted: Sequence[Box], limits: Mapping[str, Box] | None) -> Step:
        order = self._order(view)
        source = tuple(wanted[0][order.index(axis)] for axis in range(len(order)))
        return Step({0: source}, tuple(wanted))


class Reshaping(Rule):
    """Reshape that leaves the last axes, those of the map among them, as they are (as in a channel shuffle)."""

    def _carry(self, view: LayerView, axes: Mapping[int, Axes]) -> Axes:
        kept, old, new = super()._carry(view, axes), view.shape(0), view.output_shape()
        tail = len(old) - min(kept)
        if tail > len(new) or old[-tail:] != new[-tail:] or prod(old[:-tail]) != prod(new[:-tail]):
            raise IndivisibleError("it changes how the map lies in memory")
        if view.constant(1) is None:
            raise IndivisibleError("its shape is computed")
        return tuple(axis + len(new) - len(old) for axis in kept)

    def _step(self, view: LayerView, wanted: Sequence[Box], limits: Mapping[str, Box] | None) -> Step:
        old, box = view.shape(0), wanted[0]
        same = 0
        while same < min(len(old), len(box)) and old[-1 - same] == view.output_shape()[-1 - same]:
            same += 1
        source = (*full_box(old[: len(old) - same]), *box[len(box) - same :])
        return Step({0: source}, tuple(wanted), constants={1: np.array(lengths(box), np.int64)})


class Blocks(Rule):
    """DepthToSpace or SpaceToDepth (`to_depth`): squares of the map become channels, or come from them."""

    def __init__(self, *, to_depth: bool) -> None:
        self._to_depth = to_depth

    def _carry(self, view: LayerView, axes: Mapping[int, Axes]) -> Axes:
        kept = super()._carry(view, axes)
        if min(kept) < 2:
            raise IndivisibleError("the map lies along its channels")
        return kept

    def _step(self, view: LayerView, wanted: Sequence[Box], limits: Mapping[str, Box] | None) -> Step:
        size, places = view.attributes["blocksize"], wanted[0][2:]
        if self._to_depth:
            source = [Interval(place.start * size, place.stop * size) for place in places]
            made = list(places)
        else:
            source = [Interval(place.start // size, ceil_div(place.stop, size)) for place in places]
            made = [Interval(place.start * size, place.stop * size) for place in source]
        return Step({0: (*full_box(view.shape(0)[:2]), *source)}, ((*wanted[0][:2], *made),))

    def _border(self, view: LayerView, index: int, axis: int) -> Affine:
        size = view.attributes["blocksize"]
        return Affine(Fraction(1, size) if self._to_depth else Fraction(size))


class Cutting(Rule):
    """Slice with constant places; forward along divided axes."""

    def _places(self, view: LayerView) -> dict[int, tuple[int, int, int]]:
        """Return start, stop and step for each axis that is cut."""
        names = ("starts", "ends", "axes", "steps")
        if view.opset < 10:
            values = [view.ints(name, ()) for name in names[:2]]
            optional = [view.attributes.get("axes"), None]
        else:
            arrays = [view.constant(index + 1) for index in range(4)]
            if any(view.has(index + 1) and arrays[index] is None for index in range(4)):
                raise IndivisibleError("it cuts at computed places")
            values = [[int(n) for n in array] for array in arrays[:2] if array is not None]
            optional = [None if array is None else [int(n) for n in array] for array in arrays[2:]]
        starts, ends = values
        shape = view.shape(0)
        axes = [axis % len(shape) for axis in (optional[0] or range(len(starts)))]
        steps = optional[1] or [1] * len(starts)
        # numpy's own reading of a slice is ONNX's, once numbers beyond the ends are clipped.
        return {
            axis: slice(start, end if step > 0 or end > -shape[axis] - 1 else None, step).indices(shape[axis])
            for axis, start, end, step in zip(axes, starts, ends, steps, strict=True)
        }

    def _carry(self, view: LayerView, axes: Mapping[int, Axes]) -> Axes:
        kept, places = super()._carry(view, axes), self._places(view)
        if any(places[axis][2] < 0 for axis in kept if axis in places):
            raise IndivisibleError("it turns the map around")
        return kept

    def _step(self, view: LayerView, wanted: Sequence[Box], limits: Mapping[str, Box] | None) -> Step:
        places, shape, box = self._places(view), view.shape(0), wanted[0]
        whole = full_box(view.output_shape())
        source = list(full_box(shape))
        cuts = {}
        for axis in range(len(shape)):
            if axis not in places:
                source[axis] = box[axis]
                continue
            start, stop, step = places[axis]
            cuts[axis] = (start, stop if stop >= 0 else -shape[axis] - 1, step)
            if box[axis] != whole[axis]:
                first, last = start + box[axis].start * step, start + (box[axis].stop - 1) * step
                source[axis] = Interval(first, last + 1)
                cuts[axis] = (0, last + 1 - first, step)
        lists = dict(zip(("starts", "ends", "steps"), map(list, zip(*cuts.values(), strict=True)), strict=True))
        lists["axes"] = list(cuts)
        if view.opset < 10:
            return Step({0: tuple(source)}, (box,), {key: lists[key] for key in ("starts", "ends", "axes")})
        order = ("starts", "ends", "axes", "steps")
        arrays = {index: np.array(lists[key], np.int64) for index, key in enumerate(order, start=1)}
        return Step({0: tuple(source)}, (box,), constants=arrays)

    def _border(self, view: LayerView, index: int, axis: int) -> Affine:
        """An element belongs to the tile that it is taken from: the border is rounded up."""
        start, _, step = self._places(view).get(axis, (0, 0, 1))
        return Affine(Fraction(1, step), Fraction(step - 1 - start, step))


class Padding(Rule):
    """Pad: with a constant anywhere, with the map's border or mirror image where one tile holds what that needs."""

    def _carry(self, view: LayerView, axes: Mapping[int, Axes]) -> Axes:
        kept = super()._carry(view, axes)
        pads = self._pads(view)
        if self._mode(view) != "constant":
            rank = len(view.shape(0))
            for axis in kept:
                before, after = pads[axis], pads[axis + rank]
                if (before or after) and (self._mode(view) == "wrap" or min(before, after) < 0):
                    raise IndivisibleError("it repeats the map's far border")
        return kept

    def _mode(self, view: LayerView) -> str:
        return str(view.attributes.get("mode", "constant"))

    def _pads(self, view: LayerView) -> list[int]:
        """Return the padding before each axis, then that behind each."""
        rank = len(view.shape(0))
        if view.opset < 11:
            return view.ints("pads", view.attributes.get("paddings", ()))
        given, axes = view.constant(1), view.constant(3)
        if given is None or (view.has(3) and axes is None):
            raise IndivisibleError("its padding is computed")
        pads = [0] * 2 * rank
        which = list(range(rank)) if axes is None else [int(axis) % rank for axis in axes]
        for place, axis in enumerate(which):
            pads[axis], pads[axis + rank] = int(given[place]), int(given[place + len(which)])
        return pads

    def _step(self, view: LayerView, wanted: Sequence[Box], limits: Mapping[str, Box] | None) -> Step:
        bounds, box = view.bounds(0, limits), wanted[0]
        pieces = [self._piece(view, axis, box[axis], bounds[axis]) for axis in range(len(box))]
        pads = [piece.before for piece in pieces] + [piece.after for piece in pieces]
        attributes: dict[str, Any] = {"pads": pads} if view.opset < 11 else {}
        constants = {} if view.opset < 11 else {1: np.array(pads, np.int64)}
        if view.has(3):
            constants[3] = np.arange(len(box), dtype=np.int64)
        made = tuple(piece.made for piece in pieces)
        return Step({0: tuple(piece.source for piece in pieces)}, (made,), attributes, constants)

    def _piece(self, view: LayerView, axis: int, wanted: Interval, bounds: Interval) -> Piece:
        size, outputs = view.shape(0)[axis], view.output_shape()[axis]
        pads, rank = self._pads(view), len(view.shape(0))
        before, after = pads[axis], pads[axis + rank]
        if wanted == (0, outputs) and bounds == (0, size):
            return Piece(bounds, before, after, wanted)
        if self._mode(view) == "constant":
            try:
                return Window(size, outputs, before=before, after=after).piece(wanted, bounds)
            except UnreachableError:
                raise IndivisibleError("a tile of it would be made of padding alone") from None
        piece = mirrored_piece(wanted, size, before, after, 1 if self._mode(view) == "reflect" else 0)
        if not bounds.holds(piece.source):
            raise IndivisibleError("its padding needs more of the map than the tile at the border holds")
        return piece

    def _border(self, view: LayerView, index: int, axis: int) -> Affine:
        return Affine(offset=Fraction(self._pads(view)[axis]))
