"""Eight bits a number, symmetric about zero, with a scale for each channel: error at most half a step.

A channel is an index of axis 1 where a tensor has 3 or 4 axes and channels are worth a scale of their own; else the
tensor is one channel. Data: the scales as float32, then a signed byte for each element; x = byte * scale, and
scale = max|x| / 127 (Jacob et al., Quantization and Training of Neural Networks for Efficient Integer-Arithmetic-Only
Inference, CVPR 2018, section 2.1, with the zero point 0).
"""

from math import prod
from typing import TYPE_CHECKING, Any, Iterator, Optional, Tuple

import numpy as np

from partition_agent.codecs.tensors import BLOCK, CodecError, native, raw_bytes

if TYPE_CHECKING:
    from partition_agent.codecs.tensors import Array, Bytes

_LEVELS = 127

#: A channel of fewer elements shares its scale with the others.
_LEAST_ELEMENTS = 16

#: Scales beyond these are no normal float32, or may make values that are none.
_LEAST_SCALE = float(np.finfo(np.float32).tiny)
_MOST = 1e38

#: Each takes several calls for each block, and goes over it twice only.
_BLOCK = 4 * BLOCK

_DTYPES = ("float16", "float32", "float64")


def _layout(shape: Tuple[int, ...]) -> Tuple[int, int, int]:
    """Return the tensor's extents before, of, and after its channels."""
    if len(shape) in (3, 4):
        before, channels, after = shape[0], shape[1], prod(shape[2:])
        if before * after >= _LEAST_ELEMENTS:
            return before, channels, after
    return 1, 1, prod(shape)


def _blocks(layout: Tuple[int, int, int]) -> Iterator[Tuple[slice, slice, slice]]:
    """Yield parts of at most _BLOCK elements, of as many whole channels as go in, in the order of memory."""
    before, channels, after = layout
    if channels * after <= _BLOCK:
        whole = max(_BLOCK // max(channels * after, 1), 1)
        for start in range(0, before, whole):
            yield slice(start, start + whole), slice(None), slice(None)
        return
    some, part = (max(_BLOCK // after, 1), after) if after <= _BLOCK else (1, _BLOCK)
    for index in range(before):
        for channel in range(0, channels, some):
            for start in range(0, after, part):
                yield slice(index, index + 1), slice(channel, channel + some), slice(start, start + part)


def encode(array: "Array") -> "Optional[Bytes]":
    """Return scales and bytes, or None for other types, values that are not finite, or of a size without scale."""
    if array.dtype.name not in _DTYPES or not array.size:
        return None
    # Products of halves would be rounded to halves.
    dtype = np.float64 if array.dtype.name == "float64" else np.float32
    layout = _layout(array.shape)
    values = native(array).reshape(layout)
    most = _largest(values, dtype)
    if not float(most.max()) <= _MOST:
        return None
    scales = (most / _LEVELS).astype("<f4")
    if bool(((scales < _LEAST_SCALE) & (most > 0)).any()):
        return None
    steps = np.divide(1, scales, out=np.zeros(scales.shape, dtype), where=scales > 0, dtype=dtype)
    out = np.empty(scales.nbytes + values.size, np.uint8)
    out[: scales.nbytes] = raw_bytes(scales)
    quantised = out[scales.nbytes :].view(np.int8).reshape(layout)
    scratch = np.empty(min(_BLOCK, values.size), dtype)
    for block in _blocks(layout):
        part = values[block]
        scaled = scratch[: part.size].reshape(part.shape)
        np.multiply(part, steps[block[1], np.newaxis], dtype=dtype, out=scaled)
        np.rint(scaled, out=scaled)
        np.copyto(quantised[block], scaled, casting="unsafe")
    return out


def _largest(values: "Array", dtype: "type[np.floating[Any]]") -> "Array":
    """Return the largest absolute value of each channel; where there is one that is no number, that."""
    most = np.zeros(values.shape[1], dtype)
    if values.dtype.name == "float16":
        # As integers, without the sign, halves have the same order; infinity and NaN come last.
        bits = values.view(np.int16)
        sizes = np.zeros(values.shape[1], np.int16)
        for block in _blocks(values.shape):
            here = sizes[block[1]]
            np.maximum(here, (bits[block] & np.int16(0x7FFF)).max(axis=2).max(axis=0), out=here)
        return sizes.view(np.float16).astype(dtype)
    for block in _blocks(values.shape):
        part, here = values[block], most[block[1]]
        np.maximum(here, part.max(axis=2).max(axis=0), out=here)
        np.maximum(here, -part.min(axis=2).min(axis=0), out=here)
    return most


def size_of(shape: Tuple[int, ...]) -> int:
    """Return the bytes that a tensor of a shape becomes."""
    return _layout(shape)[1] * 4 + prod(shape)


def decode(data: "Bytes", dtype: "np.dtype[np.generic]", shape: Tuple[int, ...]) -> "Array":
    """Return the floats, flat. Raises CodecError for data that `encode` does not make."""
    if dtype.name not in _DTYPES or data.size != size_of(shape):
        raise CodecError("not as many scales and bytes as the tensor needs")
    layout = _layout(shape)
    scales = np.frombuffer(data[: layout[1] * 4], "<f4")
    if not bool(np.isfinite(scales).all()):
        raise CodecError("scales that are not finite")
    quantised = np.frombuffer(data[layout[1] * 4 :], np.int8).reshape(layout)
    wide = np.float64 if dtype.name == "float64" else np.float32
    floats: Array = np.empty(layout, dtype)
    with np.errstate(over="ignore"):
        np.multiply(quantised, scales[:, np.newaxis], dtype=wide, out=floats)
    return floats.reshape(-1)
