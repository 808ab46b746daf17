"""Codecs: whatever bytes come, they are a tensor as announced, or refused."""

from __future__ import annotations

import random
import struct
import tracemalloc

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.agent.tensors import DTYPES, SHAPES, relu

from partition_agent.codecs import (
    CODECS,
    CodecError,
    byte_size,
    decode,
    encode,
    header_of,
)
from partition_agent.codecs.packers import pack
from partition_agent.protocol import LinkCodec, TensorHeader, TensorSpec


def refused_or_harmless(header: TensorHeader, data: bytes) -> None:
    try:
        back = decode(header, data)
    except CodecError:
        return
    assert (back.dtype.name, back.shape) == (header.dtype, header.shape)


@settings(max_examples=200, deadline=None)
@given(st.sampled_from(CODECS), st.sampled_from(DTYPES), SHAPES, st.binary(max_size=200))
def test_any_bytes_are_a_tensor_or_refused(codec: str, dtype: str, shape: tuple[int, ...], data: bytes) -> None:
    refused_or_harmless(TensorHeader("x", dtype, shape, codec, len(data)), data)


@pytest.mark.parametrize("codec", CODECS)
def test_flipped_cut_and_lengthened_bytes_are_a_tensor_or_refused(codec: str) -> None:
    array = relu((1, 8, 12, 12), bias=-0.5)
    generator = random.Random(codec)
    name, encoded = encode(array, LinkCodec(codec))
    assert name == codec
    good = encoded.tobytes()
    for _ in range(300):
        data = bytearray(good)
        for _ in range(generator.randint(1, 4)):
            # The head is where most can go wrong.
            place = generator.randrange(min(len(data), generator.choice([8, 24, 1 << 30])))
            data[place] = generator.randrange(256)
        if generator.random() < 0.3:
            data = data[: generator.randrange(len(data))]
        elif generator.random() < 0.3:
            data += b"12345"
        refused_or_harmless(TensorHeader("x", "float32", array.shape, codec, len(data)), bytes(data))


@pytest.mark.parametrize("codec", [name for name in CODECS if name != "none"])
def test_a_payload_for_another_shape_is_refused(codec: str) -> None:
    array = relu((1, 8, 12, 12), bias=-0.5)
    name, encoded = encode(array, LinkCodec(codec))
    assert name == codec
    for shape in [(1, 8, 12, 13), (1, 8, 24, 24), (1, 8, 12, 11), ()]:
        with pytest.raises(CodecError):
            decode(TensorHeader("x", "float32", shape, codec, encoded.nbytes), encoded)


@pytest.mark.parametrize("packer", ["lz4", "zstd"])
def test_a_bomb_takes_no_more_memory_than_its_header_says(packer: str) -> None:
    zeros = bytes(64 << 20)
    bomb = pack(packer, zeros)
    behind = pack(packer, bytes(1 << 20)) + bomb if packer == "zstd" else bomb
    for data, header in (
        (bomb, TensorHeader("x", "float32", (1 << 18,), packer, len(bomb))),
        (bomb, TensorHeader("x", "float32", (1 << 18,), f"int8+{packer}", len(bomb))),
        (behind, TensorHeader("x", "float32", (1 << 18,), packer, len(behind))),
    ):
        tracemalloc.start()
        with pytest.raises(CodecError):
            decode(header, data)
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert peak < 4 << 20


@pytest.mark.parametrize("codec", CODECS)
def test_decoding_takes_a_small_multiple_of_the_tensors_memory(codec: str) -> None:
    array = relu((1, 32, 64, 64))
    name, encoded = encode(array, LinkCodec(codec))
    header = header_of("x", array, name, encoded.nbytes)
    decode(header, encoded)
    tracemalloc.start()
    back = decode(header, encoded)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert back.shape == array.shape
    assert peak < 2.2 * array.nbytes + (1 << 20)


@pytest.mark.parametrize("payload", [b"", b"\xff\xff", b"\xff\x00", bytes([200, 100]), bytes([0] * 100)])
def test_runs_that_do_not_add_up_are_refused(payload: bytes) -> None:
    data = struct.pack("<B3xI", 2, len(payload)) + payload
    with pytest.raises(CodecError):
        decode(TensorHeader("x", "float32", (250,), "rle", len(data)), data)


@pytest.mark.parametrize("offset", [np.nan, np.inf, 1e300])
@pytest.mark.parametrize("step", [np.nan, -1.0, np.inf])
def test_levels_that_are_no_numbers_are_refused(offset: float, step: float) -> None:
    data = struct.pack("<B3xIdd", 0, 0, offset, step) + bytes(100)
    with pytest.raises(CodecError):
        decode(TensorHeader("x", "float32", (100,), "clip8+rle", len(data)), data)


@pytest.mark.parametrize("dtype", ["float16", "float32", "float64"])
def test_levels_and_scales_beyond_the_type_are_refused_or_infinite_without_a_warning(dtype: str) -> None:
    levels = bytes([0, 1, 255] * 40)
    for offset in (0.0, 9e36):
        data = struct.pack("<B3xIdd", 0, 0, offset, 9e36) + levels
        refused_or_harmless(TensorHeader("x", dtype, (120,), "clip8+rle", len(data)), data)
    data = struct.pack("<f", 3e38) + levels
    refused_or_harmless(TensorHeader("x", dtype, (120,), "int8", len(data)), data)


@pytest.mark.parametrize("shape", [(1 << 70, 0), (0, 1 << 62, 1 << 62), (1,) * 200, (-1,), (1 << 40,)])
def test_impossible_shapes_are_refused(shape: tuple[int, ...]) -> None:
    for codec in CODECS:
        for data in (b"", bytes(4)):
            with pytest.raises(CodecError):
                decode(TensorHeader("x", "float32", shape, codec, len(data)), data)
    with pytest.raises(CodecError):
        byte_size(TensorSpec("x", "float32", (1 << 40,)))
