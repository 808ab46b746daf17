"""Leaving out zeros without loss: which elements are not zero (`masks`), and those.

Zero is what has no bit set: -0.0 is kept. Data: 8 bytes (form of the mask, three zeros, length of the mask), the
elements that are not zero, the mask.
"""

import struct
from typing import TYPE_CHECKING, Optional

import numpy as np

from partition_agent.codecs.masks import pack_mask, unpack_mask
from partition_agent.codecs.tensors import BLOCK, CodecError

if TYPE_CHECKING:
    from partition_agent.codecs.tensors import Array, Bytes

_HEAD = struct.Struct("<B3xI")


def _word(itemsize: int) -> "np.dtype[np.generic]":
    return np.dtype(f"<u{min(itemsize, 8)}")


def encode(raw: "Bytes", itemsize: int) -> "Optional[Bytes]":
    """Return what a tensor's bytes become, or None where that would not be shorter."""
    words = raw.view(_word(itemsize))
    mask = words != 0
    count = int(np.count_nonzero(mask))
    if count * words.itemsize + _HEAD.size >= raw.size:
        return None
    form, packed = pack_mask(mask)
    values_end = _HEAD.size + count * words.itemsize
    if values_end + packed.size >= raw.size:
        return None
    out = np.empty(values_end + packed.size, np.uint8)
    out[: _HEAD.size] = np.frombuffer(_HEAD.pack(form, packed.size), np.uint8)
    out[values_end:] = packed
    gather(words, mask, out[_HEAD.size : values_end].view(words.dtype))
    return out


def decode(data: "Bytes", itemsize: int, size: int) -> "Bytes":
    """Return the `size` bytes of a tensor. Raises CodecError."""
    if data.size < _HEAD.size:
        raise CodecError("zeros that were left out lack their head")
    form, mask_bytes = _HEAD.unpack(data[: _HEAD.size].tobytes())
    word = _word(itemsize)
    values_bytes = data.size - _HEAD.size - mask_bytes
    if values_bytes < 0 or values_bytes % word.itemsize:
        raise CodecError("a mask that leaves no room for its elements")
    mask = unpack_mask(form, data[data.size - mask_bytes :], size // word.itemsize)
    values = np.frombuffer(data[_HEAD.size : _HEAD.size + values_bytes], word)
    out = np.zeros(mask.size, word)
    scatter(values, mask, out)
    return out.view(np.uint8)


def gather(values: "Array", mask: "Array", out: "Array") -> None:
    """Write the elements of `values` that are in the mask into `out`, which has room for just them."""
    position = 0
    for start in range(0, mask.size, BLOCK):
        places = np.flatnonzero(mask[start : start + BLOCK])
        values[start : start + BLOCK].take(places, out=out[position : position + places.size], mode="clip")
        position += places.size


def scatter(values: "Array", mask: "Array", out: "Array", table: "Optional[Array]" = None) -> None:
    """Write `values`, or what they stand for in a table, to the places of `out` in the mask.

    Raises CodecError unless there are as many.
    """
    if int(np.count_nonzero(mask)) != values.size:
        raise CodecError("a mask of another number of elements")
    position = 0
    for start in range(0, mask.size, BLOCK):
        places = np.flatnonzero(mask[start : start + BLOCK])
        part = values[position : position + places.size]
        out[start : start + BLOCK][places] = part if table is None else table.take(part, mode="clip")
        position += places.size
