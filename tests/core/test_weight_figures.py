"""What a weight holds is told truly, whatever is in it and wherever it lies, without holding it."""

import math
import tracemalloc
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from onnx import TensorProto, helper

from partition_studio.graph.disk import CHUNK_BYTES, DiskFile, identity_of
from partition_studio.graph.examples import build_example
from partition_studio.graph.weight_figures import (
    BINS,
    MOST_BYTES,
    MOST_SLICES,
    WeightFigures,
    WeightUnreadableError,
    dtype_of,
    figures_of,
)
from partition_studio.graph.weights import Held, OnDisk, Weight
from tests.core.networks import load


def seen(weight: Weight) -> WeightFigures:
    figures = figures_of(weight)
    assert figures is not None
    return figures


def check(figures: WeightFigures, array: np.ndarray[Any, Any]) -> None:
    """Compare with what numpy says of all values at once."""
    values = array.astype(np.float64).ravel()
    good = values[np.isfinite(values)]
    assert figures.looked_at == values.size
    assert figures.zeros == np.count_nonzero(values == 0)
    assert figures.not_numbers == np.count_nonzero(np.isnan(values))
    assert figures.infinite == np.count_nonzero(np.isinf(values))
    if good.size == 0:
        assert (figures.minimum, figures.maximum, figures.mean, figures.std, figures.histogram) == (None,) * 5
        return
    assert (figures.minimum, figures.maximum) == (good.min(), good.max())
    assert figures.mean == pytest.approx(good.mean(), rel=1e-9, abs=1e-12 * max(1, np.abs(good).max()))
    assert figures.std == pytest.approx(good.std(), rel=1e-6, abs=1e-9 * max(1, np.abs(good).max()))
    assert figures.histogram is not None
    assert sum(figures.histogram.counts) == good.size
    assert len(figures.histogram.edges) == len(figures.histogram.counts) + 1 <= BINS + 1
    assert figures.histogram.edges[0] <= good.min() <= good.max() <= figures.histogram.edges[-1]


@pytest.mark.parametrize("kind", [np.float32, np.float64, np.float16, np.int8, np.uint8, np.int32, np.int64, np.bool_])
@pytest.mark.parametrize("size", [(), (1,), (7, 3), (3, 5, 2, 2), (2, CHUNK_BYTES // 3)])
def test_figures_are_those_of_all_values_at_once(kind: Any, size: tuple[int, ...], tmp_path: Path) -> None:
    chance = np.random.default_rng(0)
    array = np.asarray(
        chance.standard_normal(size) if np.issubdtype(kind, np.floating) else chance.integers(0, 2, size)
    ).astype(kind)
    path = tmp_path / "data"
    path.write_bytes(b"xyz" + array.tobytes() + b"after")
    place = OnDisk(DiskFile(path, identity_of(path.stat())), 3, array.nbytes)
    held = Weight.of_array("w", array)
    on_disk = Weight("w", held.data_type, held.dims, place)
    check(seen(held), array)
    assert seen(on_disk) == seen(held)
    assert dtype_of(held) == array.dtype.name


@settings(deadline=None, max_examples=80)
@given(values=st.lists(st.floats(width=64), max_size=40), columns=st.sampled_from([1, 2, 4]))
def test_no_value_however_odd_makes_the_figures_false(values: list[float], columns: int) -> None:
    array = np.array(values[: len(values) // columns * columns], np.float64).reshape(-1, columns)
    figures = seen(Weight.of_array("w", array))
    good = array[np.isfinite(array)]
    assert (figures.minimum, figures.maximum) == ((good.min(), good.max()) if good.size else (None, None))
    for number in (figures.mean, figures.std, *(figures.histogram.edges if figures.histogram else ())):
        assert number is None or math.isfinite(number)
    if figures.histogram is not None:
        assert sum(figures.histogram.counts) == good.size


def test_odd_values_are_counted_and_left_out_of_the_rest() -> None:
    figures = seen(Weight.of_array("w", np.array([[math.nan, 1, 0], [math.inf, -math.inf, math.nan]], np.float32)))
    assert (figures.not_numbers, figures.infinite, figures.zeros) == (2, 2, 1)
    assert (figures.minimum, figures.maximum, figures.mean, figures.std) == (0, 1, 0.5, 0.5)
    assert figures.slices is not None
    assert figures.slices.minimum == (0, None)
    assert figures.slices.maximum == (1, None)


@pytest.mark.parametrize(
    ("data_type", "raw", "count", "expected"),
    [
        (TensorProto.BFLOAT16, b"\x80\x3f\x00\xc0", 2, [1, -2]),
        (TensorProto.FLOAT8E4M3FN, b"\x38\xb8", 2, [1, -1]),
        (TensorProto.INT4, b"\x1f\x07", 3, [-1, 1, 7]),
        (TensorProto.UINT4, b"\x1f\x07", 3, [15, 1, 7]),
    ],
)
def test_small_types_are_read_as_the_numbers_that_they_are(
    data_type: int, raw: bytes, count: int, expected: list[int]
) -> None:
    weight = Weight.of_tensor(TensorProto(name="w", data_type=data_type, dims=[count], raw_data=raw))
    check(seen(weight), np.array(expected))


def test_every_whole_number_of_a_small_range_has_its_own_bin() -> None:
    figures = seen(Weight.of_array("w", np.array([-3, -3, 0, 4], np.int8)))
    assert figures.histogram is not None
    assert figures.histogram.edges == tuple(value - 0.5 for value in range(-3, 6))
    assert figures.histogram.counts == (2, 0, 0, 1, 0, 0, 0, 1)
    wide = seen(Weight.of_array("w", np.arange(256, dtype=np.uint8)))
    assert wide.histogram is not None
    assert set(wide.histogram.counts) == {256 // BINS}


def test_each_filter_has_its_range() -> None:
    array = np.random.default_rng(0).standard_normal((700, 11, 37)).astype(np.float32)
    slices = seen(Weight.of_array("w", array)).slices
    assert slices is not None
    assert slices.minimum == tuple(array.min((1, 2)).tolist())
    assert slices.maximum == tuple(array.max((1, 2)).tolist())
    assert seen(Weight.of_array("w", np.zeros((MOST_SLICES + 1, 2), np.int8))).slices is None
    assert seen(Weight.of_array("w", np.zeros(9, np.float32))).slices is None


def test_complex_numbers_have_no_histogram() -> None:
    assert figures_of(Weight.of_array("w", np.ones(2, np.complex64))) is None


@pytest.mark.parametrize("given", [b"", b"\0" * 15, b"\0" * 17, b"\0" * 400])
def test_data_that_is_not_what_its_shape_says_is_refused(given: bytes) -> None:
    tensor = TensorProto(name="w", data_type=TensorProto.FLOAT, dims=[2, 2], raw_data=given)
    if len(given) > 16:
        # More is there than belongs to it: what belongs to it is looked at.
        assert seen(Weight("w", TensorProto.FLOAT, (2, 2), Held(tensor))).looked_at == 4
        return
    with pytest.raises(WeightUnreadableError, match="'w'"):
        figures_of(Weight("w", TensorProto.FLOAT, (2, 2), Held(tensor)))


def test_of_a_huge_weight_spread_pieces_are_read_and_no_memory_is_held(tmp_path: Path) -> None:
    # A file of holes: 3 GB by its size, next to nothing on the disk.
    path, size = tmp_path / "data", 3 * 10**9
    with path.open("wb") as file:
        file.truncate(size)
        file.seek(size - 4)
        file.write(np.float32(7).tobytes())
    place = OnDisk(DiskFile(path, identity_of(path.stat())), 0, size)
    tracemalloc.start()
    try:
        figures = seen(Weight("w", TensorProto.FLOAT, (size // 4000, 1000), place))
        held_bytes = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert figures.looked_at == MOST_BYTES // 4
    assert figures.slices is None
    assert held_bytes < 16 * CHUNK_BYTES
    # The last piece ends where the file does.
    assert (figures.maximum, figures.zeros) == (7, figures.looked_at - 1)


@pytest.mark.parametrize("example", ["digits", "squeezenet", "densenet-121"])
def test_every_weight_of_an_example_is_read(example: str) -> None:
    model = build_example(example)
    network = load(model)
    arrays = {t.name: onnx.numpy_helper.to_array(t) for t in onnx.ModelProto.FromString(model).graph.initializer}
    names = [name for name in network.weights if name in arrays]
    assert names
    for name in names[:: max(1, len(names) // 12)]:
        check(seen(network.weights[name]), arrays[name])


def test_a_quantised_layer_shows_its_weights_as_they_are_stored() -> None:
    filters = np.random.default_rng(0).integers(-128, 128, (8, 3, 3, 3)).astype(np.int8)
    nodes = [
        helper.make_node("DequantizeLinear", ["w", "s", "z"], ["f"], name="dq"),
        helper.make_node("Conv", ["x", "f"], ["y"], name="conv", pads=[1, 1, 1, 1]),
    ]
    graph = helper.make_graph(
        nodes,
        "g",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [1, 3, 8, 8])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, [1, 8, 8, 8])],
        [
            onnx.numpy_helper.from_array(filters, "w"),
            onnx.numpy_helper.from_array(np.array(0.02, np.float32), "s"),
            onnx.numpy_helper.from_array(np.array(0, np.int8), "z"),
        ],
    )
    network = load(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8))
    assert set(network.layer("conv").weights) == {"w", "s", "z"}
    check(seen(network.weights["w"]), filters)
