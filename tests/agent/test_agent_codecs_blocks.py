"""Codecs work block by block: the same result as all at once, in little memory."""

from __future__ import annotations

import tracemalloc
from collections.abc import Callable

import numpy as np
import pytest
from tests.agent.tensors import Array, relu

from partition_agent.codecs import CODECS, decode, encode, header_of
from partition_agent.codecs.masks import BITS, RUNS, pack_mask, unpack_mask
from partition_agent.protocol import LinkCodec
from partition_studio.partition.memory import CODEC_BYTES, CODEC_SCRATCH

#: Layouts whose blocks are of many, some, one and a part of a channel, with a rest.
LAYOUTS = [(3000, 3, 17), (2, 700, 300), (1, 3, 300, 301), (2, 5, 131_073), (400_003,), (70_001, 5)]


@pytest.mark.parametrize("shape", LAYOUTS)
@pytest.mark.parametrize("dtype", ["float16", "float32", "float64"])
def test_eight_bits_block_by_block_are_those_of_the_whole(shape: tuple[int, ...], dtype: str) -> None:
    array = np.random.default_rng(1).standard_normal(shape).astype(dtype)
    wide = array.astype(np.float64 if dtype == "float64" else np.float32)
    whole = wide.reshape(shape[0], shape[1], -1) if len(shape) > 2 else wide.reshape(1, 1, -1)
    scales = (np.abs(whole).max(axis=(0, 2)) / 127).astype(np.float32)
    steps = np.divide(1, scales, dtype=wide.dtype)
    expected = np.rint(whole * steps[:, np.newaxis]).astype(np.int8)
    name, data = encode(array, LinkCodec("int8"))
    assert name == "int8"
    assert data.tobytes() == scales.tobytes() + expected.tobytes()
    back = decode(header_of("x", array, name, data.nbytes), data)
    with np.errstate(over="ignore"):
        values = (expected * scales[:, np.newaxis].astype(wide.dtype)).astype(dtype)
    assert back.tobytes() == values.tobytes()


@pytest.mark.parametrize("wrong", [np.inf, -np.inf, np.nan])
@pytest.mark.parametrize("dtype", ["float16", "float32"])
@pytest.mark.parametrize("codec", ["int8", "clip2+rle", "clip8+rle"])
def test_a_value_that_is_not_finite_is_found_in_any_block(wrong: float, dtype: str, codec: str) -> None:
    array = np.ones((2, 3, 70_001), dtype)
    array[1, 1, 70_000] = wrong
    name, data = encode(array, LinkCodec(codec))
    assert decode(header_of("x", array, name, data.nbytes), data).tobytes() == array.tobytes()


@pytest.mark.parametrize("values", [[-3.0, -0.5], [-0.0, -7.0], [0.0, 0.25], [-4.0, 60000.0]])
def test_the_largest_half_is_found_whatever_the_signs(values: list[float]) -> None:
    array = np.array(values * 40_000, np.float16)
    name, data = encode(array, LinkCodec("clip8+rle"))
    assert name == "clip8+rle"
    back = decode(header_of("x", array, name, data.nbytes), data)
    assert np.isfinite(back).all()
    assert float(back.max()) == pytest.approx(max(0.0, *values), rel=1e-3)


@pytest.mark.parametrize("bits", [2, 4, 8])
@pytest.mark.parametrize("high", [65504.0, 65520.0, 1e5, 1e30])
def test_a_bound_above_what_halves_hold_makes_nothing_infinite(bits: int, high: float) -> None:
    array = np.linspace(0, 60000, 1001).astype(np.float16)
    name, data = encode(array, LinkCodec(f"clip{bits}+rle", 0.0, high))
    assert name == f"clip{bits}+rle"
    back = decode(header_of("x", array, name, data.nbytes), data)
    step = 65504 / ((1 << bits) - 1)
    assert np.abs(back.astype(np.float64) - array.astype(np.float64)).max() <= step / 2 + 32


@pytest.mark.parametrize("lengths", [[131_071, 2, 131_071, 400_000], [1, 600_000, 1], [5, 65_536, 65_536, 65_536, 9]])
@pytest.mark.parametrize("first", [False, True])
def test_runs_over_the_edges_of_blocks_are_whole(lengths: list[int], first: bool) -> None:
    mask = np.repeat(np.arange(len(lengths)) % 2 == (0 if first else 1), lengths)
    form, data = pack_mask(mask)
    assert form == RUNS
    assert (unpack_mask(form, data, mask.size) == mask).all()
    # Each run's bytes: those that go on, and its last. One that begins the mask follows an empty one of zeros.
    assert data.size == sum(length // 255 + 1 for length in lengths) + first


@pytest.mark.parametrize("seed", range(6))
def test_masks_of_any_runs_come_back(seed: int) -> None:
    generator = np.random.default_rng(seed)
    mean = [2, 40, 255, 256, 5_000, 90_000][seed]
    lengths = generator.geometric(1 / mean, 2_000_000 // mean)
    mask = np.repeat(np.arange(lengths.size) % 2 == 1, lengths)[:500_001]
    form, data = pack_mask(mask)
    assert form == (BITS if seed == 0 else RUNS)
    assert (unpack_mask(form, data, mask.size) == mask).all()


def peak_bytes(work: Callable[[], object]) -> int:
    tracemalloc.start()
    try:
        work()
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("dtype", ["float16", "float32", "float64", "uint8"])
@pytest.mark.parametrize("codec", CODECS)
def test_a_codec_takes_no_more_memory_than_the_plan_counts(codec: str, dtype: str) -> None:
    zeros = relu((1, 32, 128, 128), dtype="float32")
    for array in (zeros, zeros - np.float32(0.7), np.where(zeros > 1, zeros, np.float32(0))):
        tensor: Array = (array * 60).astype(dtype)
        link = LinkCodec(codec, 0.3, 20.0) if codec.startswith("clip") else LinkCodec(codec)
        encode(tensor, link)  # Loads what it needs.
        name, data = encode(tensor, link)
        most = (1 + CODEC_SCRATCH) * tensor.nbytes + CODEC_BYTES
        assert peak_bytes(lambda tensor=tensor, link=link: encode(tensor, link)) <= most  # type: ignore[misc]
        header = header_of("x", tensor, name, data.nbytes)
        assert peak_bytes(lambda header=header, data=data: decode(header, data)) <= most  # type: ignore[misc]
