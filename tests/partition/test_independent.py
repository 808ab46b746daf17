"""Independent tiles (FDSP): each is computed as an image of its own."""

from typing import Any

import numpy as np
import pytest

from partition_studio.graph.frames import random_frame
from partition_studio.graph.runtime import run_model
from partition_studio.partition.draft import ShardError
from tests.core.networks import load

from .plans import explains
from .tiles import Builder, divided, equal, independent, require_exact_pieces, spatial

PADS = {"pads": [1, 1, 1, 1]}


def vgg(shape: tuple[int, ...] = (1, 3, 24, 32)) -> Builder:
    """Two blocks of convolution and pool, each halving the map."""
    b = Builder(shape)
    b.conv(None, 3, 4, [3, 3], **PADS)
    b.add("Relu")
    b.add("MaxPool", kernel_shape=[2, 2], strides=[2, 2])
    b.conv(None, 4, 4, [3, 3], strides=[2, 2], **PADS)
    b.add("BatchNormalization", None, b.random(4), b.random(4), b.random(4), b.const([1, 2, 3, 1]))
    return b


def refusal(b: Builder, sharding: Any) -> ShardError:
    with pytest.raises(ShardError) as caught:
        divided(b.model(), sharding)
    assert explains(caught.value)
    return caught.value


@pytest.mark.parametrize(("rows", "columns"), [(2, 1), (1, 4), (3, 2)])
def test_a_tile_is_computed_as_an_image_of_its_own(rows: int, columns: int) -> None:
    b = vgg()
    _, result = divided(b.model(), independent(b.names, [1] * rows, [1] * columns), seed=3)
    image = random_frame(load(b.model()).inputs, 3)["x"]
    height, width = 24 // rows, 32 // columns
    own = vgg((1, 3, height, width)).model()
    joined = np.concatenate(
        [
            np.concatenate(
                [
                    run_model(own, {"x": image[:, :, r : r + height, c : c + width]}, optimise=False)[b.last]
                    for c in range(0, 32, width)
                ],
                axis=3,
            )
            for r in range(0, 24, height)
        ],
        axis=2,
    )
    np.testing.assert_allclose(result.part_outputs[b.last], joined, rtol=1e-5, atol=1e-5)
    assert result.approximate
    assert result.max_rel > 1e-3, "tile borders make a difference"


def test_nothing_but_the_input_passes_between_devices() -> None:
    b = vgg()
    parted, _ = divided(b.model(), independent(b.names, [1, 1]))
    taken = {
        node.output[0]: parted.network.tensors[node.output[0]].shape
        for node in parted.network.nodes
        if "take" in node.name
    }
    assert taken == {"x#0": (1, 3, 12, 32), "x#1": (1, 3, 12, 32)}


def test_a_run_without_halo_is_exact() -> None:
    b = Builder((1, 3, 24, 32))
    b.conv(None, 3, 4, [1, 1])
    b.add("Relu")
    b.add("AveragePool", kernel_shape=[2, 2], strides=[2, 2])
    parted = equal(b.model(), independent(b.names, [1, 2], [1, 1]))
    assert not parted.division.approximate


def test_layers_before_the_first_halo_are_exact_and_all_behind_it_approximate() -> None:
    b = Builder((1, 3, 24, 32))
    b.conv(None, 3, 4, [1, 1])
    b.conv(None, 4, 4, [3, 3], **PADS)
    b.add("Relu")
    model = b.model()
    parted, result = divided(model, independent(["n0", "n1"], [1, 1]))
    assert {"t1#0", "t1#1", "t1", "t2"} <= parted.division.approximate
    assert {"t0#0", "t0#1"} <= set(require_exact_pieces(model, parted))
    result.require_equal()


def test_tiles_begin_at_multiples_of_the_strides_and_the_last_takes_the_rest() -> None:
    b = vgg((1, 3, 26, 32))
    parted, _ = divided(b.model(), independent(b.names, [1, 1, 1]))
    assert [parted.network.tensors[f"x#{i}"].shape[2] for i in range(3)] == [12, 8, 6]


def test_sizes_are_rows_of_the_input() -> None:
    b = vgg()
    parted, _ = divided(b.model(), independent(b.names, [8, 16], unit="size"))
    assert [parted.network.tensors[f"x#{i}"].shape[2] for i in range(2)] == [8, 16]


def test_a_valid_convolution_is_padded_at_the_borders_between_tiles() -> None:
    b = Builder((1, 3, 20, 20))
    b.conv(None, 3, 4, [5, 5])
    parted, _ = divided(b.model(), independent(b.names, [1, 1]))
    assert [parted.network.tensors[f"t0#{i}"].shape[2] for i in range(2)] == [8, 8]


def test_upsampled_and_skipped_branches_meet() -> None:
    b = Builder((1, 3, 16, 16))
    root = b.conv(None, 3, 4, [3, 3], **PADS)
    b.conv(None, 4, 4, [3, 3], strides=[2, 2], **PADS)
    b.add("ConvTranspose", None, b.random(4, 4, 2, 2), strides=[2, 2])
    b.add("Add", [root, b.last])
    b.add("Resize", None, "", b.const([1, 1, 2, 2]), mode="linear")
    parted, result = divided(b.model(), independent(b.names, [1, 1], [1, 1]))
    assert parted.network.tensors["t4#3"].shape == (1, 4, 16, 16)
    result.require_equal()


@pytest.mark.parametrize(("start", "step"), [(2, 3), (1, 2), (5, 1)])
def test_every_tile_cuts_what_it_holds_itself(start: int, step: int) -> None:
    b = Builder((1, 2, 24, 11))
    b.add("Slice", None, *(b.const([n], np.int64) for n in (start, 23, 2, step)))
    parted = equal(b.model(), independent(b.names, [1, 1]))
    assert not parted.division.approximate


def test_cuts_that_begin_at_different_rows_meet() -> None:
    b = Builder((1, 2, 24, 12))
    cuts = [b.add("Slice", ["x"], *(b.const([n], np.int64) for n in (at, 24, 2, 2))) for at in (0, 1)]
    b.add("Concat", cuts, axis=1)
    equal(b.model(), independent(b.names, [1, 1, 1]))


@pytest.mark.parametrize("operator", ["MaxPool", "AveragePool", "LpPool"])
def test_a_pool_takes_the_padding_that_the_runtime_gives_it(operator: str) -> None:
    b = Builder((1, 2, 14, 16), opset=22)
    b.add(operator, kernel_shape=[1, 3], strides=[2, 3], dilations=[1, 2], ceil_mode=1, auto_pad="SAME_UPPER")
    equal(b.model(), independent(b.names, [1, 1]))


def test_a_transposed_convolution_beyond_its_reach_is_refused_by_name() -> None:
    b = Builder((1, 4, 13, 8))
    more = {"auto_pad": "SAME_UPPER", "output_shape": [14, 24], "strides": [1, 3]}
    b.add("ConvTranspose", None, b.random(4, 3, 4, 2), name="up", **more)
    assert refusal(b, independent(b.names, columns=[1, 1])).details["layer"] == "up"


def test_a_tile_that_would_read_beyond_its_border_is_refused() -> None:
    b = Builder((1, 2, 24, 8))
    b.add("Pad", None, b.const([0, 0, 1, 0, 0, 0, 1, 0], np.int64))
    b.add("SpaceToDepth", blocksize=2, name="deep")
    assert "read beyond its own border" in refusal(b, independent(b.names, [1, 1])).message


@pytest.mark.parametrize(
    ("sharding", "words"),
    [
        (independent(["n0", "n1", "n2", "n3"], [6, 18], unit="size"), "only every 4 rows; 6 is no such place"),
        (independent(["n0", "n1", "n2", "n3"], [8, 8], unit="size"), "sum to 16 rows; it has 24"),
        (independent(["n0", "n1", "n2", "n3"], [1] * 7), "24 rows in steps of 4: they cannot be divided into 7 parts"),
    ],
)
def test_a_division_that_does_not_fit_the_strides_is_refused_with_what_does(sharding: Any, words: str) -> None:
    assert words in refusal(vgg(), sharding).message


@pytest.mark.parametrize("operator", ["InstanceNormalization", "GlobalAveragePool", "Flatten"])
def test_a_layer_that_needs_the_whole_map_is_refused_by_name(operator: str) -> None:
    b = Builder((1, 3, 24, 32))
    b.conv(None, 3, 3, [3, 3], **PADS)
    weights = [b.random(3), b.random(3)] if operator == "InstanceNormalization" else []
    b.add(operator, None, *weights, name="whole")
    error = refusal(b, independent(b.names, [1, 1]))
    assert error.details["layer"] == "whole"
    assert f"'whole' ({operator}) cannot be computed in independent tiles" in error.message


def test_branches_whose_tiles_do_not_meet_are_refused() -> None:
    b = Builder((1, 3, 24, 24))
    one = b.conv("x", 3, 3, [3, 3], pads=[2, 2, 0, 0])
    other = b.conv("x", 3, 3, [3, 3], pads=[0, 0, 2, 2])
    b.add("Add", [one, other], name="sum")
    error = refusal(b, independent(b.names, [1, 1]))
    assert "do not meet at the layer 'sum'" in error.message


def test_a_map_of_one_row_is_not_divided_into_rows() -> None:
    b = Builder((1, 3, 1, 24))
    b.conv(None, 3, 3, [1, 3], pads=[2, 1, 2, 1])
    assert "'n0' reads a map of a single one of the rows" in refusal(b, independent(["n0"], [1, 1])).message


def test_parts_of_exact_tiles_are_divided_into_independent_ones() -> None:
    b = vgg()
    parted, result = divided(b.model(), spatial(b.names, [1, 1]), independent(["n0#1", "n1#1"], columns=[1, 1]))
    assert "t0#1#0" in parted.division.approximate
    assert "t0#0" not in parted.division.approximate
    result.require_equal()
