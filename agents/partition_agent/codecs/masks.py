"""Which elements of a tensor are zero, as bits or as run lengths, whichever is shorter.

Runs alternate, beginning with one of zeros (which may be empty); a byte of 255 says that its run goes on.
"""

from typing import TYPE_CHECKING, Tuple

import numpy as np

from partition_agent.codecs.tensors import CodecError

if TYPE_CHECKING:
    from partition_agent.codecs.tensors import Array, Bytes

BITS, RUNS = 1, 2

_GOES_ON = 255


def pack_mask(mask: "Array") -> "Tuple[int, Bytes]":
    """Return how a flat mask was written, and the bytes."""
    bits_bytes = -(-mask.size // 8)
    if mask.size and int(np.count_nonzero(mask[1:] != mask[:-1])) + 2 + mask.size // _GOES_ON < bits_bytes:
        runs = _runs(mask)
        if runs.size < bits_bytes:
            return RUNS, runs
    return BITS, np.packbits(mask)


def _runs(mask: "Array") -> "Bytes":
    edges = np.flatnonzero(mask[1:] != mask[:-1]) + 1
    first = [0, 0] if mask[0] else [0]
    lengths = np.diff(np.concatenate([first, edges, [mask.size]]))
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
    sums = np.cumsum(data, dtype=np.int64)
    if sums[-1] != size:
        raise CodecError("a mask whose runs do not add up")
    lengths = np.diff(sums[data != _GOES_ON], prepend=0)
    return np.repeat((np.arange(lengths.size) & 1).astype(np.bool_), lengths)
