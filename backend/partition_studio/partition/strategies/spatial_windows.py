"""How convolutions, transposed convolutions and pools are tiled: copies with explicit padding at true borders only."""

from collections.abc import Mapping, Sequence
from fractions import Fraction
from typing import Any

from partition_studio.partition.halo import (
    Affine,
    Box,
    Interval,
    Piece,
    TransposedWindow,
    UnreachableError,
    Window,
    full_box,
    same_padding,
)
from partition_studio.partition.strategies.spatial_layers import Axes, IndivisibleError, LayerView, Rule, Step


class _Sliding(Rule):
    """What convolutions and pools have in common: maps from axis 2 on, one window for each axis."""

    def __init__(self, weight: int | None = None, data: int = 0, addend: int | None = None) -> None:
        """`weight` is the index of the kernel (None for pools), `addend` that of a map added to the output."""
        self.data, self._weight, self._addend = data, weight, addend

    def _carry(self, view: LayerView, axes: Mapping[int, Axes]) -> Axes:
        kept = super()._carry(view, axes)
        if min(kept) < 2:
            raise IndivisibleError("the map lies along its channels")
        if len(view.outputs) > 1:
            raise IndivisibleError("its second output counts places in the whole map")
        if view.attributes.get("channels_last", 0):
            raise IndivisibleError("its channels come last")
        for axis in range(2, len(view.shape(self.data))):
            self.window(view, axis)
        return kept

    def window(self, view: LayerView, axis: int) -> Window | TransposedWindow:
        """Return the window along one axis of the map. Raises IndivisibleError where it cannot be divided."""
        raise NotImplementedError

    def _kernel(self, view: LayerView) -> list[int]:
        if self._weight is None:
            return view.ints("kernel_shape", ())
        return view.ints("kernel_shape", view.shape(self._weight)[2:])

    def _step(self, view: LayerView, wanted: Sequence[Box], limits: Mapping[str, Box] | None) -> Step:
        bounds = view.bounds(self.data, limits)
        pieces = [self._piece(view, axis, wanted[0][axis], bounds[axis]) for axis in range(2, len(bounds))]
        channels = full_box(view.shape(self.data)[:2])
        made = (*wanted[0][:2], *(piece.made for piece in pieces))
        reads = {self.data: (*channels, *(piece.source for piece in pieces))}
        if self._addend is not None and view.has(self._addend):
            reads[self._addend] = made
        return Step(reads, (made,), self._attributes(view, pieces))

    def _piece(self, view: LayerView, axis: int, wanted: Interval, bounds: Interval) -> Piece:
        raise NotImplementedError

    def _attributes(self, view: LayerView, pieces: Sequence[Piece]) -> dict[str, Any]:
        pads = [piece.before for piece in pieces] + [piece.after for piece in pieces]
        return {"auto_pad": None, "pads": pads}


class Sliding(_Sliding):
    """Convolution or pool."""

    def window(self, view: LayerView, axis: int) -> Window:
        """Return the window along one axis of the map."""
        place, rank = axis - 2, len(view.shape(self.data)) - 2
        kernel = self._kernel(view)[place]
        stride, dilation = (view.ints(name, [1] * rank)[place] for name in ("strides", "dilations"))
        size, outputs = view.shape(self.data)[axis], view.output_shape()[axis]
        auto = view.attributes.get("auto_pad", "NOTSET")
        if auto.startswith("SAME"):
            # The padding of the runtime's pools knows no dilation; its convolutions take none along with SAME.
            reach = kernel if self._weight is None else dilation * (kernel - 1) + 1
            before, after = same_padding(size, reach, stride, upper=auto == "SAME_UPPER")
            if before < 0 or (after < 0 and dilation > 1):
                raise IndivisibleError("its stride is so much larger than its kernel that its padding is negative")
            after = max(after, 0)  # Less than a stride is left out there: no window more.
        elif auto == "VALID":
            before, after = 0, 0
        else:
            pads = view.ints("pads", [0] * 2 * rank)
            before, after = pads[place], pads[place + rank]
        ceil = bool(view.attributes.get("ceil_mode", 0))
        return Window(size, outputs, kernel, stride, dilation, before, after, ceil)

    def _piece(self, view: LayerView, axis: int, wanted: Interval, bounds: Interval) -> Piece:
        window = self.window(view, axis)
        try:
            piece = window.piece(wanted, bounds)
        except UnreachableError:
            raise IndivisibleError("a tile of it would be made of padding alone") from None
        if self._weight is None and max(piece.before, piece.after) >= window.kernel and piece != window.whole:
            # No runtime takes a pool whose padding is not smaller than its kernel, which dilation may ask for here.
            raise IndivisibleError("it would need more padding at a tile's border than its kernel is wide")
        return piece

    def _border(self, view: LayerView, index: int, axis: int) -> Affine:
        if index != self.data:
            return Affine()
        window = self.window(view, axis)
        # The window's middle: a layer that keeps the map's size, or divides it by its stride, moves no border.
        shift = (window.extent - window.stride) // 2 - window.before
        return Affine(Fraction(1, window.stride), Fraction(-shift, window.stride))


class Transposed(_Sliding):
    """Transposed convolution."""

    def window(self, view: LayerView, axis: int) -> TransposedWindow:
        """Return the window along one axis of the map."""
        place, rank = axis - 2, len(view.shape(self.data)) - 2
        kernel = self._kernel(view)[place]
        stride, dilation = (view.ints(name, [1] * rank)[place] for name in ("strides", "dilations"))
        extra = view.ints("output_padding", [0] * rank)[place]
        size, outputs = view.shape(self.data)[axis], view.output_shape()[axis]
        auto = view.attributes.get("auto_pad", "NOTSET")
        total = (size - 1) * stride + dilation * (kernel - 1) + 1 + extra - outputs
        if "output_shape" in view.attributes or auto.startswith("SAME"):
            if total < 0:
                raise IndivisibleError("its output is larger than what its kernel reaches")
            small, large = total // 2, total - total // 2
            before, after = (small, large) if auto == "SAME_UPPER" else (large, small)
        else:
            pads = view.ints("pads", [0] * 2 * rank)
            before, after = pads[place], pads[place + rank]
        return TransposedWindow(size, outputs, kernel, stride, dilation, before, after, extra)

    def _piece(self, view: LayerView, axis: int, wanted: Interval, bounds: Interval) -> Piece:
        try:
            return self.window(view, axis).piece(wanted, bounds)
        except UnreachableError:
            raise IndivisibleError("a tile of it would begin where no input reaches") from None

    def _attributes(self, view: LayerView, pieces: Sequence[Piece]) -> dict[str, Any]:
        extra = [piece.extra for piece in pieces]
        changed = {**super()._attributes(view, pieces), "output_shape": None}
        return {**changed, "output_padding": extra if any(extra) else None}

    def _border(self, view: LayerView, index: int, axis: int) -> Affine:
        window = self.window(view, axis)
        shift = (window.extent - window.stride) // 2 - window.before
        return Affine(Fraction(window.stride), Fraction(shift))
