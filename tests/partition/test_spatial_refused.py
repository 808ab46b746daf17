"""Layers whose tiles would not equal the whole are refused, and the reason is said."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from partition_studio.partition.draft import ShardError

from .one_layer import Make, f32, plain, transposed, with_constants
from .tiles import Builder, divided, independent, spatial


def symmetric_rows() -> Builder:
    b = Builder((1, 2, 7, 16), opset=19)
    more = {"mode": "linear", "coordinate_transformation_mode": "half_pixel_symmetric"}
    b.add("Resize", None, "", b.const([1, 1, 0.45, 2]), **more)
    return b


def rounded_aspect() -> Builder:
    b = Builder((1, 2, 9, 7), opset=19)
    more = {"mode": "linear", "keep_aspect_ratio_policy": "not_larger"}
    b.add("Resize", None, "", "", b.const([6, 20], np.int64), axes=[2, 3], **more)
    return b


REFUSED: dict[str, tuple[Make, str]] = {
    "rows that half_pixel_symmetric shifts": (symmetric_rows, "depend on the whole map's size"),
    "rounded aspect ratio": (rounded_aspect, "keeps an aspect ratio"),
    "antialiasing": (
        with_constants("Resize", None, f32([1, 1, 1.25, 1]), shape=(1, 2, 12, 8), opset=18, mode="linear", antialias=1),
        "its antialiasing",
    ),
    "negative padding": (
        plain("LpPool", (1, 2, 9, 8), 22, kernel_shape=[1, 1], strides=[3, 1], auto_pad="SAME_UPPER"),
        "its padding is negative",
    ),
    "statistics of each place": (
        with_constants("BatchNormalization", *[np.full((4, 13, 14), n, np.float32) for n in (1, 2, 3, 4)],
                       opset=7, spatial=0),
        "normalises each place",
    ),
    "transposed beyond its reach": (
        transposed([4, 2], (1, 4, 13, 8), auto_pad="SAME_UPPER", output_shape=[14, 24], strides=[1, 3]),
        "larger than what its kernel reaches",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", REFUSED)
@pytest.mark.parametrize("strategy", [spatial, independent])
def test_what_tiles_cannot_equal_is_refused_with_the_reason(name: str, strategy: Callable[..., Any]) -> None:
    make, words = REFUSED[name]
    with pytest.raises(ShardError) as caught:
        divided(make().model(), strategy(["n0"], [1, 1]))
    assert words in caught.value.message
    assert caught.value.details["layer"] == "n0"


def test_a_tile_of_one_output_does_not_take_the_coordinates_of_a_map_of_one() -> None:
    b = Builder((1, 2, 8, 7))
    more = {"mode": "linear", "coordinate_transformation_mode": "pytorch_half_pixel"}
    b.add("Resize", None, "", "", b.const([1, 2, 2, 1], np.int64), **more)
    with pytest.raises(ShardError, match="a tile with one row or column has other coordinates"):
        divided(b.model(), spatial(["n0"], [1, 1]))
