"""What every codec needs to know of a tensor: its dtype, its bytes, its header."""

from typing import TYPE_CHECKING, Any

import numpy as np

from partition_agent.protocol import MAX_TENSOR_BYTES, TensorHeader, TensorSpec

if TYPE_CHECKING:
    Array = np.ndarray[Any, Any]
    Bytes = np.ndarray[Any, np.dtype[np.uint8]]

#: numpy kinds that have a fixed layout: bool, signed, unsigned, float, complex. Never object or text.
_KINDS = frozenset("biufc")

#: Elements that are worked on at once: what is made on the way stays in the processor's cache, and small.
BLOCK = 1 << 15


class CodecError(ValueError):
    """Bytes and header do not describe a tensor that may be taken."""


def dtype_of(name: str) -> "np.dtype[Any]":
    """Return the dtype of that name, in little-endian order. Raises CodecError for one that cannot cross a link."""
    try:
        dtype = np.dtype(name)
    except TypeError:
        raise CodecError(f"unknown dtype {name[:40]!r}") from None
    if dtype.kind not in _KINDS or dtype.name != name:
        raise CodecError(f"dtype {name[:40]!r} cannot cross a link")
    return dtype.newbyteorder("<")


def byte_size(spec: TensorSpec) -> int:
    """Return the bytes of a tensor. Raises CodecError for a shape or dtype that cannot be, or is too large."""
    size = dtype_of(spec.dtype).itemsize
    for extent in spec.shape:
        if extent < 0:
            raise CodecError(f"tensor {spec.name!r} has a negative extent")
        size *= extent
    if size > MAX_TENSOR_BYTES:
        raise CodecError(f"tensor {spec.name!r} has {size} bytes; {MAX_TENSOR_BYTES} is the limit")
    return size


def header_of(name: str, array: "Array", codec: str, byte_length: int) -> TensorHeader:
    """Describe an encoded tensor."""
    return TensorHeader(name=name, dtype=array.dtype.name, shape=array.shape, codec=codec, byte_length=byte_length)


def native(array: "Array") -> "Array":
    """Return the array in this processor's byte order and in C order; itself where it is so."""
    return np.ascontiguousarray(array, dtype=np.dtype(array.dtype.name))


def magnitude_bits(halves: "Array") -> int:
    """Return the bits of the largest absolute value of an array of halves; of infinity or NaN, if there are any."""
    bits = halves.reshape(-1).view(np.int16)
    return max(int((bits[b : b + BLOCK] & 0x7FFF).max()) for b in range(0, bits.size, BLOCK))


def raw_bytes(array: "Array") -> "Bytes":
    """Return the bytes of an array, little-endian and in C order; its own where they lie so."""
    return np.ascontiguousarray(array, dtype=array.dtype.newbyteorder("<")).reshape(-1).view(np.uint8)


def read_only(array: "Array") -> "Array":
    """Return the array, not to be written any more."""
    array.flags.writeable = False
    return array
