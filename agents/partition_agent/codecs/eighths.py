"""Eight bits a number, symmetric about zero, with a scale for each channel: error at most half a step.

A channel is an index of axis 1 where a tensor has 3 or 4 axes and channels are worth a scale of their own; else the
tensor is one channel. Data: the scales as float32, then a signed byte for each element; x = byte * scale, and
scale = max|x| / 127 (Jacob et al., Quantization and Training of Neural Networks for Efficient Integer-Arithmetic-Only
Inference, CVPR 2018, section 2.1, with the zero point 0).
"""

from math import prod
from typing import TYPE_CHECKING, Optional, Tuple

import numpy as np

from partition_agent.codecs.tensors import CodecError, raw_bytes

if TYPE_CHECKING:
    from partition_agent.codecs.tensors import Array, Bytes

_LEVELS = 127

#: A channel of fewer elements shares its scale with the others.
_LEAST_ELEMENTS = 16

#: Scales beyond these are no normal float32, or may make values that are none.
_LEAST_SCALE = float(np.finfo(np.float32).tiny)
_MOST = 1e38

_DTYPES = ("float16", "float32", "float64")


def _layout(shape: Tuple[int, ...]) -> Tuple[int, int, int]:
    """Return the tensor's extents before, of, and after its channels."""
    if len(shape) in (3, 4):
        before, channels, after = shape[0], shape[1], prod(shape[2:])
        if before * after >= _LEAST_ELEMENTS:
            return before, channels, after
    return 1, 1, prod(shape)


def encode(array: "Array") -> "Optional[Bytes]":
    """Return scales and bytes, or None for other types, values that are not finite, or of a size without scale."""
    if array.dtype.name not in _DTYPES or not array.size:
        return None
    # Products of halves would be rounded to halves.
    dtype = np.float64 if array.dtype.name == "float64" else np.float32
    values = np.ascontiguousarray(array, dtype).reshape(_layout(array.shape))
    most = np.maximum(values.max(axis=2).max(axis=0), -values.min(axis=2).min(axis=0))
    if not float(most.max()) <= _MOST:
        return None
    scales = (most / _LEVELS).astype("<f4")
    if bool(((scales < _LEAST_SCALE) & (most > 0)).any()):
        return None
    steps = np.divide(1, scales, out=np.zeros(scales.shape, dtype), where=scales > 0, dtype=dtype)
    scaled = np.multiply(values, steps[:, np.newaxis])
    np.rint(scaled, out=scaled)
    out = np.empty(scales.nbytes + values.size, np.uint8)
    out[: scales.nbytes] = raw_bytes(scales)
    np.copyto(out[scales.nbytes :].view(np.int8).reshape(values.shape), scaled, casting="unsafe")
    return out


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
    with np.errstate(over="ignore"):
        values = np.multiply(quantised, scales[:, np.newaxis], dtype=wide)
        floats: Array = values.reshape(-1).astype(dtype, copy=False)
        return floats
