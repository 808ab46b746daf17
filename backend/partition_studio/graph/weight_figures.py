"""What a weight holds: its range, mean, deviation, zeros and histogram, read in pieces.

A weight may be of any size and of any content: the memory that is taken does not grow with it, and of a very large one
pieces spread evenly over its data are looked at, not all of it.
"""

import math
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from onnx import TensorProto, numpy_helper

from partition_studio.errors import NetworkError
from partition_studio.graph.dtypes import INNER_NAMES, element_bits, onnx_type_name
from partition_studio.graph.weights import CHUNK_BYTES, Weight

BINS: Final = 64

#: Of a weight with more data than this, so much is looked at.
MOST_BYTES: Final = 64 * CHUNK_BYTES

#: The range of each slice along the first axis is told of weights with no more of them.
MOST_SLICES: Final = 2048

#: Complex numbers and text have no order.
_UNORDERED = {"complex64", "complex128", "string", "undefined"}

_Values = NDArray[np.float64]


class WeightUnreadableError(NetworkError):
    """The data of a weight is not what its type and shape say."""

    code = "weight_unreadable"
    next_step = "Export the network again."


@dataclass(frozen=True, slots=True)
class Histogram:
    """Counts of finite values: bin `i` is `[edges[i], edges[i + 1])`, the last one with its end."""

    edges: tuple[float, ...]
    counts: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Slices:
    """The range of the finite values of each slice along the first axis; None where it has none."""

    minimum: tuple[float | None, ...]
    maximum: tuple[float | None, ...]


@dataclass(frozen=True, slots=True)
class WeightFigures:
    """What a weight holds. `looked_at` is fewer than its elements where only a part of its data was read.

    `minimum`, `maximum`, `mean`, `std` are of the finite values; None where there are none, or floats cannot tell.
    """

    looked_at: int
    zeros: int
    not_numbers: int
    infinite: int
    minimum: float | None
    maximum: float | None
    mean: float | None
    std: float | None
    histogram: Histogram | None
    slices: Slices | None


def dtype_of(weight: Weight) -> str:
    """Return the name of a weight's element type: numpy's, or else ONNX's own."""
    return INNER_NAMES.get(weight.data_type) or onnx_type_name(weight.data_type)


def figures_of(weight: Weight) -> WeightFigures | None:
    """Look at a weight's data; None for a type without an order. Raises WeightUnreadableError, NetworkChangedError."""
    bits = element_bits(weight.data_type)
    if bits == 0 or dtype_of(weight) in _UNORDERED:
        return None
    with np.errstate(all="ignore"):
        tally = _Tally(weight)
        for start, values in _pieces(weight, bits):
            tally.take(start, values)
        counts: NDArray[np.int64] | None = None
        edges = _edges(tally.minimum, tally.maximum, is_whole=tally.is_whole) if tally.finite else None
        if edges is not None:
            counts = np.zeros(len(edges) - 1, np.int64)
            for _, values in _pieces(weight, bits):
                counts += _counted(values[np.isfinite(values)], edges)
    return WeightFigures(
        looked_at=tally.looked_at,
        zeros=tally.zeros,
        not_numbers=tally.not_numbers,
        infinite=tally.looked_at - tally.finite - tally.not_numbers,
        minimum=tally.minimum if tally.finite else None,
        maximum=tally.maximum if tally.finite else None,
        mean=_told(tally.mean) if tally.finite else None,
        std=_told(math.sqrt(tally.squares / tally.finite)) if tally.finite else None,
        histogram=None if edges is None or counts is None else Histogram(tuple(edges.tolist()), tuple(counts.tolist())),
        slices=tally.slices(),
    )


def _told(value: float) -> float | None:
    return value if math.isfinite(value) else None


@dataclass
class _Tally:
    """Sums over all pieces; mean and squares are joined so that nothing cancels."""

    weight: Weight
    looked_at: int = 0
    finite: int = 0
    zeros: int = 0
    not_numbers: int = 0
    minimum: float = math.inf
    maximum: float = -math.inf
    mean: float = 0.0
    squares: float = 0.0
    is_whole: bool = True
    _low: NDArray[np.float64] | None = field(init=False, default=None)
    _high: NDArray[np.float64] | None = field(init=False, default=None)
    _row: int = field(init=False, default=1)

    def __post_init__(self) -> None:
        dims = self.weight.dims
        if len(dims) > 1 and 1 < dims[0] <= MOST_SLICES and self.weight.size_bytes <= MOST_BYTES:
            self._row = math.prod(dims[1:])
            self._low, self._high = np.full(dims[0], np.nan), np.full(dims[0], np.nan)

    def take(self, start: int, values: _Values) -> None:
        """Add the values from element `start` on."""
        good = values[np.isfinite(values)]
        self.looked_at += values.size
        self.zeros += int(np.count_nonzero(values == 0))
        self.not_numbers += int(np.count_nonzero(np.isnan(values)))
        if good.size > 0:
            mean = float(good.mean())
            delta, total = mean - self.mean, self.finite + good.size
            self.squares += float(np.square(good - mean).sum()) + delta * delta * self.finite * good.size / total
            self.mean += delta * good.size / total
            self.finite = total
            self.minimum, self.maximum = min(self.minimum, float(good.min())), max(self.maximum, float(good.max()))
            self.is_whole = self.is_whole and bool((good == np.trunc(good)).all())
        if self._low is not None and self._high is not None and values.size > 0:
            first, last = start // self._row, (start + values.size - 1) // self._row
            offsets = np.maximum(np.arange(first, last + 1) * self._row - start, 0)
            known = np.where(np.isfinite(values), values, np.nan)
            span = slice(first, last + 1)
            self._low[span] = np.fmin(self._low[span], np.fmin.reduceat(known, offsets))
            self._high[span] = np.fmax(self._high[span], np.fmax.reduceat(known, offsets))

    def slices(self) -> Slices | None:
        if self._low is None or self._high is None or self.looked_at == 0:
            return None
        low, high = (
            [None if math.isnan(value) else value for value in ends.tolist()] for ends in (self._low, self._high)
        )
        return Slices(tuple(low), tuple(high))


def _edges(low: float, high: float, *, is_whole: bool) -> _Values | None:
    """Return the ends of the bins; of whole numbers each bin holds as many."""
    span = high - low
    if is_whole and max(-low, high) < 2**52:
        width = max(1.0, math.ceil((span + 1) / BINS))
        return low - 0.5 + width * np.arange(math.ceil((span + 1) / width) + 1, dtype=np.float64)
    if low == high:
        return np.array([low, high])
    # By halves: the whole span may be more than a float holds.
    edges: _Values = 2 * (low / 2 + (high / 2 - low / 2) * np.linspace(0, 1, BINS + 1, dtype=np.float64))
    edges[0], edges[-1] = low, high
    return edges if bool((np.diff(edges / 2) > 0).all()) else np.array([low, high])


def _counted(values: _Values, edges: _Values) -> NDArray[np.int64]:
    places = np.clip(np.searchsorted(edges, values, side="right") - 1, 0, len(edges) - 2)
    return np.bincount(places, minlength=len(edges) - 1).astype(np.int64)


def _pieces(weight: Weight, bits: int) -> Iterator[tuple[int, _Values]]:
    """Yield values and where they begin: all of them, or pieces that are spread evenly."""
    if weight.size_bytes <= MOST_BYTES:
        yield from _all(weight, bits)
        return
    count = MOST_BYTES // CHUNK_BYTES
    last = weight.size_bytes - CHUNK_BYTES
    with ExitStack() as stack:
        read = stack.enter_context(weight.reader())
        for place in range(count):
            # A multiple of every element's size.
            offset = last * place // (count - 1) // 16 * 16
            data = read(offset, CHUNK_BYTES)
            yield offset * 8 // bits, _decoded(weight, data, CHUNK_BYTES * 8 // bits)


def _all(weight: Weight, bits: int) -> Iterator[tuple[int, _Values]]:
    done = 0
    for data in weight.chunks():
        count = min(len(data) * 8 // bits, weight.elements - done)
        yield done, _decoded(weight, data, count)
        done += count
    if done != weight.elements:
        raise _unreadable(weight, f"{done} of {weight.elements} elements are there")


def _decoded(weight: Weight, data: bytes, count: int) -> _Values:
    tensor = TensorProto(
        data_type=weight.data_type, dims=[count], raw_data=data[: (count * element_bits(weight.data_type) + 7) // 8]
    )
    try:
        values: NDArray[Any] = numpy_helper.to_array(tensor)
        return values.astype(np.float64)
    except (TypeError, ValueError) as error:
        raise _unreadable(weight, str(error)) from error


def _unreadable(weight: Weight, why: str) -> WeightUnreadableError:
    return WeightUnreadableError(f"The weight {weight.name!r} cannot be read: {why}.", tensor=weight.name)
