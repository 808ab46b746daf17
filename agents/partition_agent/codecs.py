"""How a tensor becomes bytes on the wire, and bytes a tensor."""

from typing import Any, Tuple

import numpy as np

from partition_agent.protocol import MAX_TENSOR_BYTES, LinkCodec, TensorHeader, TensorSpec

#: Codec names that `encode` and `decode` know.
CODECS = ("none",)

#: How a tensor travels where nothing else was said.
AS_IT_IS = LinkCodec()

#: numpy kinds that have a fixed layout: bool, signed, unsigned, float, complex. Never object or text.
_KINDS = frozenset("biufc")


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


def encode(
    array: "np.ndarray[Any, Any]", codec: LinkCodec = AS_IT_IS
) -> "Tuple[str, np.ndarray[Any, np.dtype[np.uint8]]]":
    """Return the codec that was used and the bytes that it made.

    With `none` they are those of the array itself where its layout allows, so it must not be changed afterwards.
    """
    if codec.name not in CODECS:
        raise CodecError(f"unknown codec {codec.name[:40]!r}")
    flat = np.ascontiguousarray(array, dtype=array.dtype.newbyteorder("<")).reshape(-1)
    return "none", flat.view(np.uint8)


def header_of(name: str, array: "np.ndarray[Any, Any]", codec: str, byte_length: int) -> TensorHeader:
    """Describe an encoded tensor."""
    return TensorHeader(name=name, dtype=array.dtype.name, shape=array.shape, codec=codec, byte_length=byte_length)


def decode(header: TensorHeader, buffer: Any) -> "np.ndarray[Any, Any]":
    """Return a read-only view of `buffer` as the tensor that `header` describes.

    Nothing is copied, save where the bytes do not lie as the processor needs them. Raises CodecError when they do not
    fit one another.
    """
    view = memoryview(buffer).toreadonly()
    if header.codec not in CODECS:
        raise CodecError(f"unknown codec {header.codec[:40]!r}")
    size = byte_size(TensorSpec(name=header.name, dtype=header.dtype, shape=header.shape))
    if not size == header.byte_length == view.nbytes:
        raise CodecError(f"tensor {header.name[:80]!r} needs {size} bytes and came with {view.nbytes}")
    array = np.frombuffer(view, dtype=dtype_of(header.dtype)).reshape(header.shape)
    if not array.flags.aligned:
        array = array.copy()
        array.flags.writeable = False
    return array
