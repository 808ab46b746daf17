"""Codecs: what comes back is what went in, or as near as the codec promises."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from tests.agent.tensors import DTYPES, SHAPES, Array, relu

from partition_agent.codecs import (
    CODECS,
    LOSSLESS,
    CodecError,
    decode,
    encode,
    header_of,
    missing_codecs,
)
from partition_agent.protocol import LinkCodec, TensorHeader


def there_and_back(array: Array, codec: LinkCodec) -> tuple[str, int, Array]:
    name, data = encode(array, codec)
    back = decode(header_of("x", array, name, data.nbytes), data.tobytes())
    assert back.dtype == array.dtype.newbyteorder("<")
    assert back.shape == array.shape
    assert not back.flags.writeable
    return name, data.nbytes, back


def same_bits(a: Array, b: Array) -> bool:
    return a.astype(a.dtype.newbyteorder("<")).tobytes() == b.astype(b.dtype.newbyteorder("<")).tobytes()


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
