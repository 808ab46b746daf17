"""Clipped ReLU, uniform quantisation to 2, 4 or 8 bits, and run lengths for zeros.

After ADCNN (Zhang, Lin and Zhang, Adaptive Distributed Convolutional Neural Network Inference at the Network Edge with
ADCNN, ICPP 2020, on the compression of what tiles send): what is below `low` counts as 0, what is above `high` as
`high`, and what lies between is rounded to the nearest level; error there at most half a step. Level 0 is the value 0;
the others lie at offset + level * step: from 0 on, or from `low` on where that makes steps smaller.

Data: 24 bytes (form of the mask, or 0 without one, three zeros, length of the mask, offset, step), the levels packed
into bytes, lowest bits first, the mask. Without a mask all levels are there, else those that are not 0.
"""

import struct
from math import isfinite
from typing import TYPE_CHECKING, Iterator, NamedTuple, Optional, Tuple

import numpy as np

from partition_agent.codecs.masks import pack_mask, unpack_mask
from partition_agent.codecs.runs import gather, scatter
from partition_agent.codecs.tensors import BLOCK, CodecError, magnitude_bits, native

if TYPE_CHECKING:
    from partition_agent.codecs.tensors import Array, Bytes

_HEAD = struct.Struct("<B3xIdd")
_DENSE = 0

#: Bits of a level that fills its byte.
_WHOLE = 8

_DTYPES = ("float16", "float32", "float64")

#: Smaller steps have no reciprocal, larger values no sum with others.
_LEAST_STEP = 1e-37
_MOST = 1e37


class Levels(NamedTuple):
    """Where the levels lie, and below what a value counts as 0."""

    offset: float
    step: float
    low: float


#: Where nothing reaches the lower bound.
_NOTHING = Levels(0.0, 0.0, 0.0)


def levels_of(low: float, high: float, bits: int) -> Optional[Levels]:
    """Return the levels between two bounds; None where there are none that numbers can express."""
    most = (1 << bits) - 1
    low = max(low, 0.0)
    if high <= low or high <= 0:
        return None
    step, offset = high / most, 0.0
    narrow = (high - low) / (most - 1)
    if 0 < narrow < step:
        step, offset = narrow, low - narrow
    return Levels(offset, step, low) if step >= _LEAST_STEP else None


def encode(array: "Array", bits: int, low: float, high: Optional[float]) -> "Optional[Bytes]":
    """Return head, levels and mask, or None for other types and values that are not finite or too large.

    `high` None is the largest value of the array.
    """
    if array.dtype.name not in _DTYPES or not array.size:
        return None
    values = native(array).reshape(-1)
    least, largest = _bounds(values)
    if not (least > -_MOST and largest < _MOST and isfinite(low) and (high is None or abs(high) < _MOST)):
        return None
    # The highest level is the upper bound, and has to be a number of the tensor's type.
    high = None if high is None else min(high, float(np.finfo(array.dtype).max))
    if high is None and (largest < low or largest <= 0):
        levels: Optional[Levels] = _NOTHING
    else:
        levels = levels_of(low, largest if high is None else high, bits)
    return None if levels is None else _written(_quantised(values, levels, bits), bits, levels)


def _wide(values: "Array") -> "Iterator[Array]":
    """Yield the values block by block, in which halves are single floats."""
    for start in range(0, values.size, BLOCK):
        block = values[start : start + BLOCK]
        yield block if block.dtype.name == "float64" else block.astype(np.float32, copy=False)


def _bounds(values: "Array") -> Tuple[float, float]:
    """Return the least and the largest value; something that is not finite where there is such a value."""
    if values.dtype.name == "float16":
        return _bounds_of_halves(values)
    least, largest = np.transpose([(block.min(), block.max()) for block in _wide(values)])
    return float(least.min()), float(largest.max())


def _bounds_of_halves(values: "Array") -> Tuple[float, float]:
    """Return what `_bounds` does, by the bits: as integers, halves from 0 on have the same order."""
    bits = values.view(np.int16)
    largest, size = bits.max(), magnitude_bits(values)
    if largest < 0:
        # All are negative: the nearest to 0 has the fewest.
        largest = bits.min()
    least, most = np.array([size, largest], np.int16).view(np.float16)
    return -float(least), float(most)


def _quantised(values: "Array", levels: Levels, bits: int) -> "Bytes":
    if levels == _NOTHING:
        return np.zeros(values.size, np.uint8)
    out = np.empty(values.size, np.uint8)
    dtype = np.float64 if values.dtype.name == "float64" else np.float32
    most, factor, offset, low = (dtype(x) for x in ((1 << bits) - 1, 1 / levels.step, levels.offset, levels.low))
    scratch: Array = np.empty(min(BLOCK, values.size), dtype)
    start = 0
    for block in _wide(values):
        scaled = scratch[: block.size]
        np.subtract(block, offset, out=scaled)
        with np.errstate(over="ignore"):
            scaled *= factor
        np.rint(scaled, out=scaled)
        np.minimum(scaled, most, out=scaled)
        np.maximum(scaled, dtype(0), out=scaled)
        if low > 0:
            scaled *= block >= low
        np.copyto(out[start : start + block.size], scaled, casting="unsafe")
        start += block.size
    return out


def _written(quantised: "Bytes", bits: int, levels: Levels) -> "Bytes":
    """Return the data, in the shortest of its forms."""
    mask = quantised != 0
    count = int(np.count_nonzero(mask))
    form, packed = pack_mask(mask)
    is_dense = _packed_size(count, bits) + packed.size >= _packed_size(quantised.size, bits)
    if is_dense:
        form, packed, count = _DENSE, packed[:0], quantised.size
    levels_end = _HEAD.size + _packed_size(count, bits)
    out = np.empty(levels_end + packed.size, np.uint8)
    out[: _HEAD.size] = np.frombuffer(_HEAD.pack(form, packed.size, levels.offset, levels.step), np.uint8)
    out[levels_end:] = packed
    room = out[_HEAD.size : levels_end]
    if is_dense:
        _pack_levels(quantised, bits, room)
    elif bits == _WHOLE:
        gather(quantised, mask, room)
    else:
        kept = np.empty(count, np.uint8)
        gather(quantised, mask, kept)
        _pack_levels(kept, bits, room)
    return out


def decode(data: "Bytes", dtype: "np.dtype[np.generic]", count: int, bits: int) -> "Array":
    """Return `count` floats. Raises CodecError for data that `encode` does not make."""
    if dtype.name not in _DTYPES or data.size < _HEAD.size:
        raise CodecError("clipped levels lack their head")
    form, mask_bytes, offset, step = _HEAD.unpack(data[: _HEAD.size].tobytes())
    if not (abs(offset) < _MOST and 0 <= step < _MOST) or (form == _DENSE and mask_bytes):
        raise CodecError("levels that cannot be")
    levels_end = data.size - mask_bytes
    if levels_end < _HEAD.size:
        raise CodecError("a mask that is longer than all")
    mask = None if form == _DENSE else unpack_mask(form, data[levels_end:], count)
    stored = count if mask is None else int(np.count_nonzero(mask))
    packed = data[_HEAD.size : levels_end]
    if packed.size != _packed_size(stored, bits):
        raise CodecError("not as many levels as the tensor needs")
    values = _values(bits, dtype, offset, step)
    levels = _unpack_levels(packed, bits, stored)
    if mask is None:
        out = np.empty(count, dtype)
        for start in range(0, count, BLOCK):
            values.take(levels[start : start + BLOCK], out=out[start : start + BLOCK], mode="clip")
    else:
        out = np.zeros(count, dtype)
        scatter(levels, mask, out, values)
    return out


def _values(bits: int, dtype: "np.dtype[np.generic]", offset: float, step: float) -> "Array":
    """Return the value of each level."""
    levels = np.arange(1 << bits)
    wide = np.float64 if dtype.name == "float64" else np.float32
    # Only what no encoder makes is too large.
    with np.errstate(over="ignore", invalid="ignore"):
        values = np.multiply(levels, wide(step), dtype=wide)
        if offset:
            values += wide(offset)
            values *= levels != 0
        floats: Array = values.astype(dtype, copy=False)
    return floats


def _packed_size(count: int, bits: int) -> int:
    return -(-count * bits // 8)


def _pack_levels(levels: "Bytes", bits: int, out: "Bytes") -> None:
    each = _WHOLE // bits
    out[:] = levels[::each]
    for place in range(1, each):
        here = levels[place::each]
        out[: here.size] |= here << np.uint8(place * bits)


def _unpack_levels(packed: "Bytes", bits: int, count: int) -> "Bytes":
    each = _WHOLE // bits
    if each == 1:
        return packed
    out = np.empty((packed.size, each), np.uint8)
    for place in range(each):
        np.right_shift(packed, np.uint8(place * bits), out=out[:, place])
    out &= np.uint8((1 << bits) - 1)
    return out.reshape(-1)[:count]
