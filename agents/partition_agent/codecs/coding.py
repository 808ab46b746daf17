"""Encoding and decoding by the names of codecs."""

from typing import TYPE_CHECKING, Any, Callable, Dict, Iterable, Optional, Tuple

import numpy as np

from partition_agent.codecs import clipped, eighths, half, runs
from partition_agent.codecs.packers import PACKERS, missing, pack, unpack
from partition_agent.codecs.tensors import CodecError, byte_size, dtype_of, raw_bytes, read_only
from partition_agent.protocol import LinkCodec, TensorHeader, TensorSpec

if TYPE_CHECKING:
    from partition_agent.codecs.tensors import Array, Bytes

#: Codec names that `encode` and `decode` know.
CODECS = (
    "none", "lz4", "zstd", "rle", "fp16", "fp16+lz4", "fp16+zstd", "int8", "int8+lz4", "int8+zstd",
    "clip2+rle", "clip4+rle", "clip8+rle",
)  # fmt: skip

#: Those of them that give back every bit.
LOSSLESS = ("none", "lz4", "zstd", "rle")

#: How a tensor travels where nothing else was said.
AS_IT_IS = LinkCodec()

_BITS = {"clip2": 2, "clip4": 4, "clip8": 8}

_QUANTISERS: "Dict[str, Callable[[Array], Optional[Bytes]]]" = {"fp16": half.encode, "int8": eighths.encode}


def missing_codecs(names: Iterable[str]) -> Dict[str, str]:
    """Return those of the codecs that cannot be used here, and why, for the person. Loads what the others need."""
    reasons = {}
    for name in dict.fromkeys(names):
        packer = name.rpartition("+")[2]
        reason = missing(packer) if packer in PACKERS else None
        if name not in CODECS:
            reason = "this agent does not know it; install the studio's own version of the agent"
        if reason is not None:
            reasons[name] = reason
    return reasons


def encode(array: "Array", codec: LinkCodec = AS_IT_IS) -> "Tuple[str, Bytes]":
    """Return the codec that was used and the bytes that it made, which are never more than the array's own.

    What the codec cannot hold (other types, values that are not finite or too large) travels without loss: packed by
    the same packer, or as it is. With `none` the bytes are those of the array itself where its layout allows, so it
    must not be changed afterwards. Raises CodecError for an unknown codec, or one that `missing_codecs` tells of.
    """
    name = codec.name
    if name not in CODECS:
        raise CodecError(f"unknown codec {name[:40]!r}")
    raw_size = array.nbytes
    used, data = _encoded(array, codec) if name != "none" and raw_size else ("none", None)
    if data is None or data.size >= raw_size:
        return "none", raw_bytes(array)
    return used, data


def _encoded(array: "Array", codec: LinkCodec) -> "Tuple[str, Optional[Bytes]]":
    """Return the shortest that a codec, or else its part without loss, makes of an array."""
    first, _, second = codec.name.partition("+")
    if first in _BITS:
        data = clipped.encode(array, _BITS[first], codec.low, codec.high)
        return (codec.name, data) if data is not None else _lossless(array, second)
    if first not in _QUANTISERS:
        return _lossless(array, first)
    data = _QUANTISERS[first](array)
    if data is None:
        return _lossless(array, second)
    if second:
        packed = pack(second, data)
        if len(packed) < data.size:
            return codec.name, np.frombuffer(packed, np.uint8)
    return first, data


def _lossless(array: "Array", name: str) -> "Tuple[str, Optional[Bytes]]":
    if name == "rle":
        return name, runs.encode(raw_bytes(array), array.dtype.itemsize)
    if name in PACKERS:
        return name, np.frombuffer(pack(name, raw_bytes(array)), np.uint8)
    return "none", None


def decode(header: TensorHeader, buffer: Any) -> "Array":
    """Return the tensor that `header` describes, read-only.

    With `none` it is a view of `buffer`: nothing is copied, save where the bytes do not lie as the processor needs
    them. Raises CodecError when header and bytes do not fit one another, before more memory is taken than a small
    multiple of the tensor's own.
    """
    if header.codec not in CODECS:
        raise CodecError(f"unknown codec {header.codec[:40]!r}")
    size = byte_size(TensorSpec(name=header.name, dtype=header.dtype, shape=header.shape))
    data = np.frombuffer(memoryview(buffer).toreadonly(), np.uint8) if _length(buffer) else np.empty(0, np.uint8)
    is_raw = header.codec == "none"
    if header.byte_length != data.size or (data.size != size if is_raw else data.size >= size):
        raise CodecError(f"tensor {header.name[:80]!r} needs {size} bytes and came with {data.size}")
    dtype = dtype_of(header.dtype)
    try:
        array = _decoded(header, data, dtype, size).view(dtype).reshape(header.shape)
    except (ValueError, OverflowError) as error:
        if isinstance(error, CodecError):
            raise
        raise CodecError(f"tensor {header.name[:80]!r} has a shape that cannot be") from None
    return read_only(array if array.flags.aligned else array.copy())


def _length(buffer: Any) -> int:
    return memoryview(buffer).nbytes


def _decoded(header: TensorHeader, data: "Bytes", dtype: "np.dtype[Any]", size: int) -> "Array":
    """Return the tensor's elements or bytes, flat."""
    count = size // dtype.itemsize
    first, _, second = header.codec.partition("+")
    if first in _BITS:
        return clipped.decode(data, dtype, count, _BITS[first])
    if first == "rle":
        return runs.decode(data, dtype.itemsize, size)
    if first in PACKERS:
        return np.frombuffer(unpack(first, data, size), np.uint8)
    if first == "fp16":
        return half.decode(_inner(second, data, half.size_of(count)), dtype, count)
    if first == "int8":
        return eighths.decode(_inner(second, data, eighths.size_of(header.shape)), dtype, header.shape)
    return data


def _inner(packer: str, data: "Bytes", size: int) -> "Bytes":
    return np.frombuffer(unpack(packer, data, size), np.uint8) if packer else data
