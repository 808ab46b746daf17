"""Codecs: what comes back is what went in, or as near as the codec promises; hostile bytes are refused."""

from __future__ import annotations

import random
import struct
import subprocess
import sys
import tracemalloc
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from partition_agent.codecs import (
    CODECS,
    LOSSLESS,
    CodecError,
    byte_size,
    decode,
    encode,
    header_of,
    missing_codecs,
)
from partition_agent.codecs.packers import pack
from partition_agent.protocol import LinkCodec, TensorHeader, TensorSpec

Array = npt.NDArray[Any]

DTYPES = (
    "bool", "int8", "uint8", "int16", "uint16", "int32", "uint32", "int64", "uint64",
    "float16", "float32", "float64", "complex64", "complex128",
)  # fmt: skip
SHAPES = arrays.array_shapes(min_dims=0, max_dims=5, min_side=0, max_side=9)


def there_and_back(array: Array, codec: LinkCodec) -> tuple[str, int, Array]:
    name, data = encode(array, codec)
    back = decode(header_of("x", array, name, data.nbytes), data.tobytes())
    assert back.dtype == array.dtype.newbyteorder("<")
    assert back.shape == array.shape
    assert not back.flags.writeable
    return name, data.nbytes, back


def same_bits(a: Array, b: Array) -> bool:
    return a.astype(a.dtype.newbyteorder("<")).tobytes() == b.astype(b.dtype.newbyteorder("<")).tobytes()


def relu(shape: tuple[int, ...], seed: int = 0, *, dtype: str = "float32", bias: float = 0.0) -> Array:
    """Make something like what a ReLU leaves: smooth, zero where it was negative."""
    generator = np.random.default_rng(seed)
    coarse = generator.standard_normal((*shape[:-2], -(-shape[-2] // 4), -(-shape[-1] // 4)))
    smooth = np.kron(coarse, np.ones((4, 4)))[..., : shape[-2], : shape[-1]]
    noisy: Array = np.maximum(smooth + 0.2 * generator.standard_normal(shape) + bias, 0).astype(dtype)
    return noisy


@settings(max_examples=150, deadline=None)
@given(st.data(), st.sampled_from(LOSSLESS), st.sampled_from(DTYPES), st.booleans())
def test_lossless_codecs_give_back_every_bit_of_any_tensor(
    data: st.DataObject, codec: str, dtype: str, big: bool
) -> None:
    fill = st.just(0) if data.draw(st.booleans()) else None
    kind = np.dtype(dtype).newbyteorder(">" if big else "<")
    array = data.draw(arrays.arrays(kind, SHAPES, fill=fill))
    name, size, back = there_and_back(array, LinkCodec(codec))
    assert same_bits(array, back)
    assert size <= array.nbytes
    assert name in ("none", codec)


@pytest.mark.parametrize("codec", LOSSLESS)
@pytest.mark.parametrize("dtype", DTYPES)
def test_lossless_codecs_give_back_every_bit_of_large_sparse_tensors(codec: str, dtype: str) -> None:
    generator = np.random.default_rng(5)
    itemsize = np.dtype(dtype).itemsize
    rows = np.frombuffer(generator.bytes(70_001 * itemsize), np.uint8).reshape(-1, itemsize).copy()
    rows &= 1 if dtype == "bool" else 255
    rows[generator.random(len(rows)) < 0.8] = 0
    array = rows.reshape(-1).view(dtype)
    name, size, back = there_and_back(array, LinkCodec(codec))
    assert name == codec
    assert same_bits(array, back)
    assert size < array.nbytes or codec == "none"


@pytest.mark.parametrize("codec", CODECS)
def test_strided_and_transposed_arrays_travel_as_what_they_show(codec: str) -> None:
    array = relu((2, 16, 20, 24))[:, ::2].transpose(0, 1, 3, 2)
    _, _, back = there_and_back(array, LinkCodec(codec))
    _, _, straight = there_and_back(np.ascontiguousarray(array), LinkCodec(codec))
    assert same_bits(back, straight)
    assert float(np.abs(back - array).max()) <= float(array.max()) / 6 * 1.0001


def test_run_lengths_keep_the_sign_of_zero_and_what_is_no_number() -> None:
    array = np.zeros(4096, np.float32)
    array[::50] = [-0.0, np.nan, np.inf, -np.inf, 1e-45] * 16 + [5.0, 6.0]
    name, _, back = there_and_back(array, LinkCodec("rle"))
    assert name == "rle"
    assert same_bits(array, back)


@pytest.mark.parametrize("share", [0.0, 0.001, 0.03, 0.5, 0.9])
@pytest.mark.parametrize("first", [0, 1])
def test_run_lengths_are_shorter_than_bits_and_values_together(share: float, first: int) -> None:
    generator = np.random.default_rng(1)
    array = (generator.random(100_000) < share).astype(np.float32)
    array[0] = first
    name, size, back = there_and_back(array, LinkCodec("rle"))
    assert (name, same_bits(array, back)) == ("rle", True)
    assert size <= 8 + int(np.count_nonzero(array)) * 4 + array.size // 8
    if share <= 0.001:
        # A byte for every 255 zeros instead of a bit for each.
        assert size < 8 + int(np.count_nonzero(array)) * 6 + array.size // 255 + 8


@settings(max_examples=150, deadline=None)
@given(
    arrays.arrays(
        st.sampled_from([np.dtype(name) for name in ("<f4", ">f4", "<f8")]),
        arrays.array_shapes(min_dims=1, max_dims=3, max_side=40),
        elements=st.floats(-65504, 65504, width=32),
    )
)
def test_half_precision_errs_by_its_last_place_at_most(array: Array) -> None:
    name, size, back = there_and_back(array, LinkCodec("fp16"))
    assert (name, size) == ("fp16", array.size * 2)
    exact = array.astype(np.float64)
    assert (np.abs(back - exact) <= np.maximum(2.0**-11 * np.abs(exact), 2.0**-25)).all()


def test_half_precision_is_what_ieee_754_says_for_every_half_and_between_them() -> None:
    halves = np.arange(1 << 16, dtype=np.uint16).view(np.float16)
    finite = halves[np.isfinite(halves)].astype(np.float32)
    bits = finite.view(np.uint32)[:, np.newaxis] + np.array([0, 1, 0xFFF, 0x1000, 0x1001, 0x1FFF], np.uint32)
    values = np.concatenate(
        [bits.view(np.float32).reshape(-1), np.array([1e-45, -1e-45, 1e-38, 2.0**-25, 2.0**-26], np.float32)]
    )
    values = values[np.abs(values) < 65520]
    _, _, back = there_and_back(values, LinkCodec("fp16"))
    assert same_bits(back, values.astype(np.float16).astype(np.float32))


@pytest.mark.parametrize("wrong", [65520.0, 1e9, np.inf, -np.inf, np.nan])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("codec", ["fp16", "fp16+lz4", "fp16+zstd"])
def test_what_half_precision_cannot_hold_travels_without_loss(codec: str, dtype: str, wrong: float) -> None:
    array = relu((1, 4, 24, 24), dtype=dtype)
    array[0, 3, 20, 1] = wrong
    name, _, back = there_and_back(array, LinkCodec(codec))
    assert name == (codec.partition("+")[2] or "none")
    assert same_bits(array, back)


@settings(max_examples=150, deadline=None)
@given(
    arrays.arrays(
        st.sampled_from([np.dtype(name) for name in ("float32", "float64", "float16")]),
        arrays.array_shapes(min_dims=1, max_dims=5, max_side=7),
        elements=st.floats(-1000, 1000, width=16),
        fill=st.just(0.0),
    )
)
def test_eight_bits_err_by_half_a_step_of_their_channel_at_most(array: Array) -> None:
    name, size, back = there_and_back(array, LinkCodec("int8"))
    assert size <= array.nbytes
    exact = array.astype(np.float64)
    per_channel = array.ndim in (3, 4) and array.size // array.shape[1] >= 16
    axes = tuple(axis for axis in range(array.ndim) if axis != 1) if per_channel else None
    steps = np.abs(exact).max(axis=axes, keepdims=True) / 127
    # A result of float16 is rounded once more.
    rounding = np.abs(exact) * 2.0**-10 + 2.0**-24 if array.dtype.name == "float16" else 0.0
    assert (np.abs(back - exact) <= steps * (0.5 + 1e-4) + rounding).all() or name == "none"
    assert (back[np.broadcast_to(steps, array.shape) == 0] == 0).all()


def test_eight_bits_have_a_scale_for_each_channel() -> None:
    array = relu((1, 3, 16, 16), bias=0.5) * np.array([1e-6, 1.0, 1e6], np.float32).reshape(1, 3, 1, 1)
    _, size, back = there_and_back(array, LinkCodec("int8"))
    assert size == array.size + 3 * 4
    for channel in range(3):
        most = float(array[0, channel].max())
        assert most > 0
        assert float(np.abs(back - array)[0, channel].max()) <= most / 254 * 1.0001


@pytest.mark.parametrize("wrong", [np.inf, -np.inf, np.nan, 3e38])
@pytest.mark.parametrize("codec", ["int8", "int8+lz4", "int8+zstd", "clip2+rle", "clip4+rle", "clip8+rle"])
def test_values_without_a_scale_travel_without_loss(codec: str, wrong: float) -> None:
    array = relu((1, 4, 24, 24))
    array[0, 3, 20, 1] = wrong
    name, _, back = there_and_back(array, LinkCodec(codec))
    assert name == (codec.partition("+")[2] or "none")
    assert same_bits(array, back)


@pytest.mark.parametrize("codec", [name for name in CODECS if name not in LOSSLESS])
@pytest.mark.parametrize("dtype", ["int32", "bool", "complex64", "int64"])
def test_other_types_travel_without_loss(codec: str, dtype: str) -> None:
    array = (relu((1, 4, 24, 24)) * 5).astype(dtype)
    name, _, back = there_and_back(array, LinkCodec(codec))
    assert name in LOSSLESS
    assert same_bits(array, back)


@settings(max_examples=150, deadline=None)
@given(
    arrays.arrays(
        st.sampled_from([np.dtype(name) for name in ("float32", "float64")]),
        st.integers(30, 500),
        elements=st.floats(-100, 100, width=32),
        fill=st.just(0.0),
    ),
    st.sampled_from([2, 4, 8]),
    st.floats(-1, 60),
    st.one_of(st.none(), st.floats(61, 120)),
)
def test_clipping_errs_by_half_a_level_between_its_bounds(
    array: Array, bits: int, low: float, high: float | None
) -> None:
    name, _, back = there_and_back(array, LinkCodec(f"clip{bits}+rle", low, high))
    exact = array.astype(np.float64)
    if name != f"clip{bits}+rle":
        assert same_bits(array, back)
        return
    low = max(low, 0.0)
    top = float(exact.max()) if high is None else high
    # Rounding of float32 decides on which side of a bound a value lies.
    close = 1e-5 * max(top, 1.0)
    assert (back[exact < low - close] == 0).all()
    assert (back[exact <= 0] == 0).all()
    half_a_level = min(top, max(top - low, 0.0) * (1 + 1 / (2**bits - 2))) / (2**bits - 1) / 2
    inside = exact >= low + close
    assert (np.abs(back - np.minimum(exact, top))[inside] <= half_a_level + close).all()


def test_clipping_makes_use_of_a_high_lower_bound() -> None:
    array = np.linspace(0, 11, 5000, dtype=np.float32)
    name, _, back = there_and_back(array, LinkCodec("clip2+rle", 9.0, 11.0))
    assert name == "clip2+rle"
    assert sorted(set(back.tolist())) == [0.0, 9.0, 10.0, 11.0]
    assert (back[array < 9] == 0).all()


@pytest.mark.parametrize("bits", [2, 4, 8])
@pytest.mark.parametrize("low", [0.0, 3.0])
def test_a_frame_in_which_nothing_reaches_the_lower_bound_is_all_zeros(bits: int, low: float) -> None:
    array = np.full(10_000, low - 1, np.float32)
    name, size, back = there_and_back(array, LinkCodec(f"clip{bits}+rle", low))
    assert name == f"clip{bits}+rle"
    assert size < 100
    assert not back.any()


@pytest.mark.parametrize(
    ("codec", "least"),
    [
        *[("lz4", 1.5), ("zstd", 1.8), ("rle", 1.8), ("fp16", 2), ("fp16+lz4", 2.5), ("fp16+zstd", 3), ("int8", 3.8)],
        *[("int8+lz4", 5), ("int8+zstd", 6.5), ("clip8+rle", 6), ("clip4+rle", 10), ("clip2+rle", 16)],
    ],
)
def test_activations_shrink_as_measured(codec: str, least: float) -> None:
    array = relu((1, 64, 56, 56))
    name, size, _ = there_and_back(array, LinkCodec(codec))
    assert name == codec
    assert array.nbytes / size >= least


@pytest.mark.parametrize("codec", CODECS)
@pytest.mark.parametrize("shape", [(), (1,), (2, 3), (1, 2, 2, 2), (0,), (3, 0, 5)])
def test_tiny_tensors_are_never_longer_than_they_are(codec: str, shape: tuple[int, ...]) -> None:
    array = np.full(shape, 1.5, np.float32)
    _, size, back = there_and_back(array, LinkCodec(codec))
    assert size <= array.nbytes
    assert np.allclose(back, array, rtol=0.01)


@pytest.mark.parametrize("codec", CODECS)
def test_noise_is_never_longer_than_it_is(codec: str) -> None:
    array = np.random.default_rng(3).integers(0, 1 << 32, 5000, dtype=np.uint32)
    name, size, back = there_and_back(array, LinkCodec(codec))
    assert (name, size) == ("none", array.nbytes)
    assert same_bits(array, back)


def test_a_packer_that_does_not_help_after_quantising_is_left_out() -> None:
    array = np.random.default_rng(3).uniform(-1, 1, 50_000).astype(np.float32)
    for codec in ("int8+lz4", "fp16+lz4"):
        name, _, _ = there_and_back(array, LinkCodec(codec))
        assert name == codec.partition("+")[0]


def test_an_unknown_codec_is_refused_at_both_ends() -> None:
    array = np.zeros(3, np.float32)
    with pytest.raises(CodecError, match="brotli"):
        encode(array, LinkCodec("brotli"))
    with pytest.raises(CodecError, match="brotli"):
        decode(TensorHeader("x", "float32", (3,), "brotli", 12), bytes(12))


# --- hostile bytes ----------------------------------------------------------------------------------------------------


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


# --- packers that are not there ---------------------------------------------------------------------------------------

_WITHOUT = """
import sys
from importlib.abc import MetaPathFinder

class Absent(MetaPathFinder):
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in ("lz4", "backports", "pyzstd", "compression"):
            raise ImportError("no such package")

sys.meta_path.insert(0, Absent())
from partition_agent.codecs import CodecError, encode, missing_codecs
from partition_agent.protocol import LinkCodec
import numpy as np
array = np.zeros(5000, np.float32)
assert encode(array, LinkCodec("rle"))[0] == "rle"
assert encode(array, LinkCodec("int8"))[0] == "int8"
for name in ("lz4", "fp16+zstd"):
    try:
        encode(array, LinkCodec(name))
        raise AssertionError(name)
    except CodecError as error:
        assert "is not there" in str(error), error
told = missing_codecs(["none", "rle", "lz4", "int8+lz4", "fp16+zstd", "clip4+rle", "new"])
assert sorted(told) == ["fp16+zstd", "int8+lz4", "lz4", "new"], told
assert "lz4" in told["lz4"] and "backports.zstd" in told["fp16+zstd"] and "does not know" in told["new"]
"""

_LAZY = """
import sys
import numpy as np
from partition_agent.codecs import encode, missing_codecs
from partition_agent.protocol import LinkCodec
names = ["none", "rle", "fp16", "int8", "clip4+rle"]
assert missing_codecs(names) == {}
for name in names:
    encode(np.zeros(5000, np.float32), LinkCodec(name))
loaded = [name for name in sys.modules if name.partition(".")[0] in ("lz4", "pyzstd") or name.endswith("zstd")]
assert not loaded, loaded
"""


@pytest.mark.parametrize("code", [_WITHOUT, _LAZY], ids=["missing packers are told of", "packers load when needed"])
def test_packers(code: str) -> None:
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)


def test_every_codec_is_there_with_the_locked_packages() -> None:
    assert missing_codecs(CODECS) == {}
