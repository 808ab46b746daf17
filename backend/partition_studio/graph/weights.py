"""Weights: constants of the network, whose data may stay on disk until they are written into a sub-model."""

from collections.abc import Iterator
from dataclasses import dataclass
from math import prod
from typing import Any

import numpy as np
from numpy.typing import NDArray
from onnx import TensorProto, numpy_helper

from partition_studio.graph.dtypes import element_bits

#: No more than this is read from a weight at once when it is copied.
CHUNK_BYTES = 1 << 20


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


@dataclass(frozen=True, slots=True, eq=False)
class Part:
    """A part of another weight."""

    base: "Weight"
    ranges: tuple[Range, ...]


WeightData = Held | Part


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

    def array(self) -> NDArray[Any]:
        """Return the data as an array; do not change it."""
        match self.data:
            case Held(tensor):
                return numpy_helper.to_array(tensor)
            case Part(base, ranges):
                whole = base.array()
                return whole[index_of(whole.ndim, ranges)]

    def chunks(self) -> Iterator[bytes]:
        """Yield the raw little-endian data, at most `CHUNK_BYTES` at once."""
        raw = self.tensor().raw_data
        for start in range(0, len(raw), CHUNK_BYTES):
            yield raw[start : start + CHUNK_BYTES]

    def tensor(self) -> TensorProto:
        """Return the weight as an ONNX tensor with its data inside."""
        if isinstance(self.data, Held):
            tensor = TensorProto()
            tensor.CopyFrom(self.data.tensor)
            tensor.name = self.name
            return tensor
        return numpy_helper.from_array(np.ascontiguousarray(self.array()), name=self.name)

    def part(self, name: str, *ranges: Range) -> "Weight":
        """Return a part of this weight as a weight of its own. Raises ValueError for ranges outside it."""
        dims = list(self.dims)
        for cut in ranges:
            if not 0 <= cut.start < cut.stop <= self.dims[cut.axis]:
                raise ValueError(f"{cut} is not within {self.name!r} of shape {list(self.dims)}")
            dims[cut.axis] = cut.length
        return Weight(name, self.data_type, tuple(dims), Part(self, ranges))


def index_of(rank: int, ranges: tuple[Range, ...]) -> tuple[slice, ...]:
    """Return numpy's index of some ranges."""
    index = [slice(None)] * rank
    for cut in ranges:
        index[cut.axis] = slice(cut.start, cut.stop)
    return tuple(index)
