"""Interval maths of tiles: which input rows a piece of a layer's output needs, and the padding that is left to it.

All functions work on one axis. Intervals are half-open; "bounds" is the part of the input that may be read: the whole
axis for exact tiles, a tile's own interval for independent ones (what lies beyond counts as padding).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import NamedTuple


class Interval(NamedTuple):
    """Half-open range `[start, stop)` along one axis."""

    start: int
    stop: int

    @property
    def length(self) -> int:
        """Number of indices."""
        return self.stop - self.start

    def clipped(self, bounds: "Interval") -> "Interval":
        """Return what lies within `bounds`; its length may come out negative."""
        return Interval(max(self.start, bounds.start), min(self.stop, bounds.stop))

    def holds(self, other: "Interval") -> bool:
        """Say whether the other lies within this one."""
        return self.start <= other.start and other.stop <= self.stop


#: One interval for each axis of a tensor.
Box = tuple[Interval, ...]


def full_box(shape: Sequence[int]) -> Box:
    """Return the box that is all of a tensor."""
    return tuple(Interval(0, size) for size in shape)


def hull(one: Box | None, other: Box | None) -> Box | None:
    """Return the smallest box that holds both."""
    if one is None or other is None:
        return one or other
    return tuple(Interval(min(a.start, b.start), max(a.stop, b.stop)) for a, b in zip(one, other, strict=True))


def lengths(box: Box) -> tuple[int, ...]:
    """Return the shape of a box."""
    return tuple(interval.length for interval in box)


def ceil_div(number: int, divisor: int) -> int:
    """Return the quotient rounded up."""
    return -(-number // divisor)


class UnreachableError(ValueError):
    """A piece of the output would be made of padding alone, and cannot be computed by itself."""


@dataclass(frozen=True, slots=True)
class Piece:
    """How to compute a piece of one axis.

    `source` of the input gives `made` of the output when `before` and `after` are its padding (what is cropped, for
    transposed windows) and `extra` its output padding.
    """

    source: Interval
    before: int
    after: int
    made: Interval
    extra: int = 0


@dataclass(frozen=True, slots=True)
class Window:
    """A sliding window (convolution, pooling, constant padding) along one axis of `size`, giving `outputs`."""

    size: int
    outputs: int
    kernel: int = 1
    stride: int = 1
    dilation: int = 1
    before: int = 0
    after: int = 0
    ceil: bool = False

    @property
    def extent(self) -> int:
        """Inputs from the first to the last that one window reads."""
        return self.dilation * (self.kernel - 1) + 1

    @property
    def whole(self) -> Piece:
        """The layer as it is."""
        return Piece(Interval(0, self.size), self.before, self.after, Interval(0, self.outputs))

    def piece(self, wanted: Interval, bounds: Interval | None = None) -> Piece:
        """Return how to compute `wanted`; more than that is made where it would be of padding alone.

        Raises UnreachableError when no input within `bounds` has any part in it.
        """
        everything = Interval(0, self.size)
        bounds = bounds or everything
        if wanted == (0, self.outputs) and bounds == everything:
            return self.whole
        made = self._reaching(wanted, bounds)
        if made is None:
            if bounds != everything:
                raise UnreachableError
            return self.whole
        start = made.start * self.stride - self.before
        stop = (made.stop - 1) * self.stride - self.before + self.extent
        source = Interval(start, stop).clipped(bounds)
        if self.ceil and made.stop == self.outputs and bounds.stop == self.size:
            # The last window may reach beyond the padding, which averages do not count: as in the whole layer.
            return Piece(Interval(source.start, self.size), source.start - start, self.after, made)
        return Piece(source, source.start - start, stop - source.stop, made)

    def _reaching(self, wanted: Interval, bounds: Interval) -> Interval | None:
        """Extend `wanted` until its windows touch `bounds`; None where they never do."""
        # First output whose window ends after the bounds' start, last one whose window starts before their stop.
        first = ceil_div(bounds.start + 1 + self.before - self.extent, self.stride)
        last = (bounds.stop - 1 + self.before) // self.stride
        start, stop = min(wanted.start, last), max(wanted.stop, first + 1)
        if start < 0 or stop > self.outputs or first > last:
            return None
        return Interval(start, stop)


@dataclass(frozen=True, slots=True)
class TransposedWindow:
    """A transposed convolution along one axis: `before` and `after` are cropped, `extra` is its output padding."""

    size: int
    outputs: int
    kernel: int = 1
    stride: int = 1
    dilation: int = 1
    before: int = 0
    after: int = 0
    extra: int = 0

    @property
    def extent(self) -> int:
        """Outputs from the first to the last that one input adds to."""
        return self.dilation * (self.kernel - 1) + 1

    def piece(self, wanted: Interval, bounds: Interval | None = None) -> Piece:
        """Return how to compute `wanted`. Raises UnreachableError where that would need a negative crop."""
        everything = Interval(0, self.size)
        bounds = bounds or everything
        if wanted == (0, self.outputs) and bounds == everything:
            return Piece(everything, self.before, self.after, wanted, self.extra)
        top, bottom = wanted.start + self.before, wanted.stop + self.before
        first = min(ceil_div(top - self.extent + 1, self.stride), top // self.stride)
        first = min(max(first, bounds.start), bounds.stop - 1)
        last = max(min((bottom - 1) // self.stride, bounds.stop - 1), first)
        before = top - first * self.stride
        after = last * self.stride + self.extent - bottom
        if before < 0:
            raise UnreachableError
        return Piece(Interval(first, last + 1), before, max(0, after), wanted, max(0, -after))


def same_padding(size: int, extent: int, stride: int, *, upper: bool) -> tuple[int, int]:
    """Return the padding that ONNX Runtime takes `SAME_UPPER` or `SAME_LOWER` for.

    Where the stride is larger than the window, they may be negative: windows begin inside, or the end is left out.
    """
    total = (ceil_div(size, stride) - 1) * stride + extent - size
    before = int((total if upper else total + 1) / 2)  # Rounded towards zero, as the runtime does.
    return before, total - before


def mirrored_piece(wanted: Interval, size: int, before: int, after: int, reach: int) -> Piece:
    """Return how to compute a piece of a map padded with its own border (`edge`: `reach` 1) or its mirror image.

    `reach` is how many elements beyond the border one the padding repeats, 0 for `edge`. A piece that begins within
    the padding begins at the padding's start, and holds what the padding is made of.
    """
    outputs = size + before + after
    at_start, at_end = wanted.start < before, wanted.stop > before + size
    start = 0 if at_start else wanted.start - before
    stop = size if at_end else wanted.stop - before
    if at_start:
        stop = max(stop, before * reach + 1)
    if at_end:
        start = min(start, size - 1 - after * reach)
    stop, start = min(stop, size), max(start, 0)
    made = Interval(0 if at_start else start + before, outputs if at_end else stop + before)
    return Piece(Interval(start, stop), before if at_start else 0, after if at_end else 0, made)


@dataclass(frozen=True, slots=True)
class Affine:
    """How a border between tiles moves through a layer: `floor(place * scale + offset)`."""

    scale: Fraction = Fraction(1)
    offset: Fraction = Fraction(0)

    def __call__(self, place: int) -> int:
        """Return the place of the border in the output."""
        return int((place * self.scale + self.offset) // 1)
