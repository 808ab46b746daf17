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
from typing import TYPE_CHECKING, NamedTuple, Optional

import numpy as np

from partition_agent.codecs.masks import pack_mask, unpack_mask
from partition_agent.codecs.runs import gather, scatter
from partition_agent.codecs.tensors import BLOCK, CodecError

if TYPE_CHECKING:
    from partition_agent.codecs.tensors import Array, Bytes

_HEAD = struct.Struct("<B3xIdd")
_DENSE = 0

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
    values = np.ascontiguousarray(array, np.float64 if array.dtype.name == "float64" else np.float32).reshape(-1)
    least, largest = float(values.min()), float(values.max())
    if not (least > -_MOST and largest < _MOST and isfinite(low) and (high is None or abs(high) < _MOST)):
        return None
    if high is None and (largest < low or largest <= 0):
        levels: Optional[Levels] = _NOTHING
    else:
        levels = levels_of(low, largest if high is None else high, bits)
    return None if levels is None else _written(_quantised(values, levels, bits), levels, bits)


def _quantised(values: "Array", levels: Levels, bits: int) -> "Bytes":
    if levels == _NOTHING:
        return np.zeros(values.size, np.uint8)
    out = np.empty(values.size, np.uint8)
    dtype = values.dtype.type
    most, factor, offset, low = (dtype(x) for x in ((1 << bits) - 1, 1 / levels.step, levels.offset, levels.low))
    scratch = np.empty(min(BLOCK, values.size), values.dtype)
    for start in range(0, values.size, BLOCK):
        block = values[start : start + BLOCK]
        scaled = scratch[: block.size]
        np.subtract(block, offset, out=scaled)
        with np.errstate(over="ignore"):
            scaled *= factor
        np.rint(scaled, out=scaled)
        np.minimum(scaled, most, out=scaled)
        np.maximum(scaled, dtype(0), out=scaled)
        if low > 0:
            scaled *= block >= low
        np.copyto(out[start : start + BLOCK], scaled, casting="unsafe")
    return out


def _written(quantised: "Bytes", levels: Levels, bits: int) -> "Bytes":
    """Return the data, in the shortest of its forms."""
    mask = quantised != 0
    count = int(np.count_nonzero(mask))
    form, packed = pack_mask(mask)
    if _packed_size(count, bits) + packed.size >= _packed_size(quantised.size, bits):
        form, packed = _DENSE, packed[:0]
    else:
        kept = np.empty(count, np.uint8)
        gather(quantised, mask, kept)
        quantised = kept
    head = np.frombuffer(_HEAD.pack(form, packed.size, levels.offset, levels.step), np.uint8)
    return np.concatenate([head, _pack_levels(quantised, bits), packed])


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
    values = _values(_unpack_levels(packed, bits, stored), dtype, offset, step)
    if mask is None:
        return values
    out = np.zeros(count, dtype)
    scatter(values, mask, out)
    return out


def _values(levels: "Bytes", dtype: "np.dtype[np.generic]", offset: float, step: float) -> "Array":
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


def _pack_levels(levels: "Bytes", bits: int) -> "Bytes":
    each = 8 // bits
    if each == 1:
        return levels
    padded = np.zeros(-(-levels.size // each) * each, np.uint8)
    padded[: levels.size] = levels
    out = padded[::each].copy()
    for place in range(1, each):
        out |= padded[place::each] << np.uint8(place * bits)
    return out


def _unpack_levels(packed: "Bytes", bits: int, count: int) -> "Bytes":
    each = 8 // bits
    if each == 1:
        return packed
    out = np.empty((packed.size, each), np.uint8)
    for place in range(each):
        np.right_shift(packed, np.uint8(place * bits), out=out[:, place])
    out &= np.uint8((1 << bits) - 1)
    return out.reshape(-1)[:count]
