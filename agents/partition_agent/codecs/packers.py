"""Packing bytes by LZ4 and Zstandard, which are loaded when they are first needed.

LZ4 is a bare block; the size that it must have unpacked is known from the tensor's header. Zstandard is one frame that
says its size, at level 1: level 3 takes 1.8 times as long for 1 % less, level -1 leaves 8 % more (SqueezeNet's
activations). Sorting the bytes of the elements by their place first, which helps dense floats, makes activations
with zeros in them longer (by up to 30 % with LZ4) and takes longer, so that it is not done.
"""

from functools import lru_cache
from importlib import import_module
from typing import Any, Optional

from partition_agent.codecs.tensors import CodecError

LEVEL = 1

PACKERS = ("lz4", "zstd")

#: The same library under the names that it has in Python 3.14, from 3.9 on, and before.
_ZSTD = ("compression.zstd", "backports.zstd", "pyzstd")


@lru_cache(maxsize=1)
def _lz4() -> Any:
    return import_module("lz4.block")


@lru_cache(maxsize=1)
def _zstd() -> Any:
    for name in _ZSTD[:-1]:
        try:
            return import_module(name)
        except ImportError:
            continue
    return import_module(_ZSTD[-1])


def missing(packer: str) -> Optional[str]:
    """Return why a packer cannot be used here, for the person; None when it can."""
    try:
        _lz4() if packer == "lz4" else _zstd()
    except ImportError as error:
        package = "lz4" if packer == "lz4" else "backports.zstd (or pyzstd)"
        return f"the Python package {package} is not there or does not load ({error})"
    return None


def pack(packer: str, data: Any) -> bytes:
    """Return bytes packed. Raises CodecError where the packer is missing."""
    reason = missing(packer)
    if reason is not None:
        raise CodecError(reason)
    if packer == "lz4":
        return bytes(_lz4().compress(data, store_size=False))
    return bytes(_zstd().compress(data, LEVEL))


def unpack(packer: str, data: Any, size: int) -> bytes:
    """Return exactly `size` bytes unpacked; memory is taken for no more. Raises CodecError."""
    reason = missing(packer)
    if reason is not None:
        raise CodecError(reason)
    unpacked = _unlz4(data, size) if packer == "lz4" else _unzstd(data, size)
    if len(unpacked) != size:
        raise CodecError(f"{size} bytes were packed by {packer}, and {len(unpacked)} came out")
    return unpacked


def _unlz4(data: Any, size: int) -> bytes:
    try:
        return bytes(_lz4().decompress(data, uncompressed_size=size))
    except (_lz4().LZ4BlockError, ValueError, OverflowError):
        raise CodecError("not what LZ4 packs") from None


def _unzstd(data: Any, size: int) -> bytes:
    zstd = _zstd()
    try:
        # Before anything is unpacked: a frame that lies about its size fails, one without it is not ours. The library
        # takes a window of at most that many bytes.
        if zstd.get_frame_info(data).decompressed_size != size:
            raise CodecError("what Zstandard packed has another size")
        unpacker = zstd.ZstdDecompressor()
        unpacked = bytes(unpacker.decompress(data, size))
    except (zstd.ZstdError, ValueError, EOFError):
        raise CodecError("not what Zstandard packs") from None
    if not unpacker.eof or unpacker.unused_data:
        raise CodecError("not one frame of Zstandard")
    return unpacked
