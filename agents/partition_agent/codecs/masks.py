"""Which elements of a tensor are zero, as bits or as run lengths, whichever is shorter.

Runs alternate, beginning with one of zeros (which may be empty); a byte of 255 says that its run goes on.
"""

from typing import TYPE_CHECKING, Tuple

import numpy as np

from partition_agent.codecs.tensors import BLOCK, CodecError

if TYPE_CHECKING:
    from partition_agent.codecs.tensors import Array, Bytes

BITS, RUNS = 1, 2

_GOES_ON = 255

#: Elements, or bytes of runs, at once: each block takes a dozen calls, and 8 bytes for each of its runs several times.
_BLOCK = 4 * BLOCK


def pack_mask(mask: "Array") -> "Tuple[int, Bytes]":
    """Return how a flat mask was written, and the bytes."""
    bits_bytes = -(-mask.size // 8)
    if mask.size and _edges(mask) + 2 + mask.size // _GOES_ON < bits_bytes:
        runs = _runs(mask)
        if runs.size < bits_bytes:
            return RUNS, runs
    return BITS, np.packbits(mask)


def _edges(mask: "Array") -> int:
    """Return how often the mask changes."""
    return sum(int(np.count_nonzero(_changes(mask, start))) for start in range(0, mask.size, _BLOCK))


def _changes(mask: "Array", start: int) -> "Array":
    """Say of the block that begins at `start` which elements differ from the one before them; the first has none."""
    block = mask[max(start - 1, 0) : start + _BLOCK]
    changes: Array = block[1:] != block[:-1]
    return changes


def _runs(mask: "Array") -> "Bytes":
    parts = [np.zeros(1, np.uint8)] if mask[0] else []
    begin = 0
    for start in range(0, mask.size, _BLOCK):
        edges = np.flatnonzero(_changes(mask, start))
        if edges.size:
            edges += max(start, 1)
            lengths = edges.copy()
            lengths[0] -= begin
            lengths[1:] -= edges[:-1]
            begin = int(edges[-1])
            parts.append(_written(lengths))
    return np.concatenate([*parts, _written(np.array([mask.size - begin]))])


def _written(lengths: "Array") -> "Bytes":
    more, rest = np.divmod(lengths, _GOES_ON)
    ends = np.cumsum(more + 1)
    out = np.full(int(ends[-1]), _GOES_ON, np.uint8)
    out[ends - 1] = rest
    return out


def unpack_mask(form: int, data: "Bytes", size: int) -> "Array":
    """Return the flat mask of `size` elements. Raises CodecError."""
    if data.size > -(-size // 8):
        raise CodecError("a mask that is longer than its bits")
    if form == BITS:
        if data.size * 8 < size:
            raise CodecError("a mask that is too short")
        return np.unpackbits(data, count=size).view(np.bool_)
    if form != RUNS:
        raise CodecError(f"unknown mask {form}")
    if not data.size or data[-1] == _GOES_ON:
        raise CodecError("a mask whose last run does not end")
    if int(data.sum(dtype=np.int64)) != size:
        raise CodecError("a mask whose runs do not add up")
    mask = np.empty(size, np.bool_)
    position, number, begun = 0, 0, 0
    for start in range(0, data.size, _BLOCK):
        block = data[start : start + _BLOCK]
        ends = np.cumsum(block, dtype=np.int64)[block != _GOES_ON]
        going_on = int(block.sum(dtype=np.int64)) + begun
        if ends.size:
            lengths = np.diff(ends, prepend=0)
            lengths[0] += begun
            whole = int(ends[-1]) + begun
            is_in = (np.arange(number, number + lengths.size) & 1).astype(np.bool_)
            mask[position : position + whole] = np.repeat(is_in, lengths)
            position, number, going_on = position + whole, number + lengths.size, going_on - whole
        # Elements of a run that ends in a later block.
        begun = going_on
    return mask
