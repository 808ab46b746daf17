"""Weights: constants of the network, whose data may stay on disk until they are written into a sub-model."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from math import prod
from typing import Any

import numpy as np
from numpy.typing import NDArray
from onnx import TensorProto, numpy_helper

from partition_studio.graph.disk import CHUNK_BYTES, DiskFile
from partition_studio.graph.dtypes import element_bits

__all__ = ["CHUNK_BYTES", "HELD_BYTES", "Held", "OnDisk", "Part", "Range", "Weight", "WeightData", "index_of"]

#: Weights up to this size are held in memory when a network is loaded.
HELD_BYTES = 1 << 14


@dataclass(frozen=True, slots=True)
class Range:
    """Half-open interval `[start, stop)` along one axis of a tensor."""

    axis: int
    start: int
    stop: int

    @property
    def length(self) -> int:
        """Number of indices."""
        return self.stop - self.start


@dataclass(frozen=True, slots=True, eq=False)
class Held:
    """Data in memory, as an ONNX tensor (its name does not matter)."""

    tensor: TensorProto

    def raw(self) -> bytes:
        """Return the raw little-endian data."""
        if self.tensor.HasField("raw_data"):
            return bytes(self.tensor.raw_data)
        return bytes(numpy_helper.from_array(numpy_helper.to_array(self.tensor)).raw_data)


@dataclass(frozen=True, slots=True, eq=False)
class OnDisk:
    """Raw little-endian data in a file: `length` bytes from `offset`."""

    file: DiskFile
    offset: int
    length: int


@dataclass(frozen=True, slots=True, eq=False)
class Part:
    """A part of another weight, which is no part itself."""

    base: "Weight"
    ranges: tuple[Range, ...]


WeightData = Held | OnDisk | Part

#: Returns some bytes of a weight's raw data: (offset, length).
_Read = Callable[[int, int], bytes]


@dataclass(frozen=True, slots=True, eq=False)
class Weight:
    """A constant: its type, and where its data is. `data_type` is ONNX's number; `dims` the shape."""

    name: str
    data_type: int
    dims: tuple[int, ...]
    data: WeightData

    @staticmethod
    def of_tensor(tensor: TensorProto) -> "Weight":
        """Return a weight that holds an ONNX tensor with its data inside."""
        return Weight(tensor.name, tensor.data_type, tuple(tensor.dims), Held(tensor))

    @staticmethod
    def of_array(name: str, array: NDArray[Any]) -> "Weight":
        """Return a weight that holds an array."""
        return Weight.of_tensor(numpy_helper.from_array(array, name=name))

    @property
    def elements(self) -> int:
        """Number of elements."""
        return prod(self.dims)

    @property
    def size_bytes(self) -> int:
        """Bytes of the data."""
        return (self.elements * element_bits(self.data_type) + 7) // 8

    @property
    def streams(self) -> bool:
        """Whether `chunks` gives all of the data without holding a copy of it."""
        match self.data:
            case Held(tensor):
                return bool(tensor.HasField("raw_data"))
            case OnDisk():
                return True
            case Part(base, _):
                return base.streams and element_bits(self.data_type) % 8 == 0

    def array(self) -> NDArray[Any]:
        """Return the data as an array; do not change it. Raises NetworkChangedError."""
        if isinstance(self.data, Part) and (isinstance(self.data.base.data, Held) or not self.streams):
            whole = self.data.base.array()
            return whole[index_of(whole.ndim, self.data.ranges)]
        return numpy_helper.to_array(self.data.tensor if isinstance(self.data, Held) else self.tensor())

    def chunks(self) -> Iterator[bytes]:
        """Yield the raw little-endian data, at most about `CHUNK_BYTES` at once. Raises NetworkChangedError."""
        match self.data:
            case OnDisk(file, offset, length):
                yield from file.chunks(offset, length)
            case Part(base, ranges) if self.streams:
                with base.reader() as read:
                    yield from _slabs(base.dims, ranges, element_bits(self.data_type) // 8, read)
            case _:
                raw = self._raw()
                for start in range(0, len(raw), CHUNK_BYTES):
                    yield raw[start : start + CHUNK_BYTES]

    def tensor(self) -> TensorProto:
        """Return the weight as an ONNX tensor with its data inside. Raises NetworkChangedError."""
        if isinstance(self.data, Held):
            tensor = TensorProto()
            tensor.CopyFrom(self.data.tensor)
            tensor.name = self.name
            return tensor
        return TensorProto(name=self.name, data_type=self.data_type, dims=self.dims, raw_data=b"".join(self.chunks()))

    def part(self, name: str, *ranges: Range) -> "Weight":
        """Return a part of this weight as a weight of its own. Raises ValueError for ranges outside it."""
        dims = list(self.dims)
        base = self
        cuts: dict[int, Range] = {}
        if isinstance(self.data, Part):
            base = self.data.base
            cuts = {cut.axis: cut for cut in self.data.ranges}
        for cut in ranges:
            if not 0 <= cut.start < cut.stop <= self.dims[cut.axis]:
                raise ValueError(f"{cut} is not within {self.name!r} of shape {list(self.dims)}")
            first = cuts[cut.axis].start if cut.axis in cuts else 0
            cuts[cut.axis] = Range(cut.axis, first + cut.start, first + cut.stop)
            dims[cut.axis] = cut.length
        return Weight(name, self.data_type, tuple(dims), Part(base, tuple(cuts[axis] for axis in sorted(cuts))))

    @contextmanager
    def reader(self) -> Iterator[_Read]:
        """Give a function that returns bytes of the raw data of a weight that is no part."""
        if isinstance(self.data, OnDisk):
            file, start = self.data.file, self.data.offset
            with file.open() as descriptor:
                yield lambda offset, length: file.read(descriptor, start + offset, length)
        else:
            raw = self._raw()
            yield lambda offset, length: raw[offset : offset + length]

    def _raw(self) -> bytes:
        if isinstance(self.data, Held):
            return self.data.raw()
        return bytes(numpy_helper.from_array(np.ascontiguousarray(self.array())).raw_data)


def _slabs(dims: tuple[int, ...], ranges: tuple[Range, ...], item_bytes: int, read: _Read) -> Iterator[bytes]:
    """Yield a part of a tensor in order; what is read at once, unwanted elements between included, is bounded."""
    spans = [(0, size) for size in dims]
    for cut in ranges:
        spans[cut.axis] = (cut.start, cut.stop)

    def along(axis: int, offset: int) -> Iterator[bytes]:
        row_bytes = prod(dims[axis + 1 :]) * item_bytes
        first, stop = spans[axis]
        if row_bytes > CHUNK_BYTES:
            for index in range(first, stop):
                yield from along(axis + 1, offset + index * row_bytes)
            return
        inner = tuple(slice(*span) for span in spans[axis + 1 :])
        step = max(1, CHUNK_BYTES // max(1, row_bytes))
        for start in range(first, stop, step):
            count = min(step, stop - start)
            data = read(offset + start * row_bytes, count * row_bytes)
            slab = np.frombuffer(data, np.dtype((np.void, item_bytes))).reshape(count, *dims[axis + 1 :])
            yield slab[(slice(None), *inner)].tobytes()

    yield from along(0, 0)


def index_of(rank: int, ranges: tuple[Range, ...]) -> tuple[slice, ...]:
    """Return numpy's index of some ranges."""
    index = [slice(None)] * rank
    for cut in ranges:
        index[cut.axis] = slice(cut.start, cut.stop)
    return tuple(index)
