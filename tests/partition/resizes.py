"""Networks of one Resize, with every mode and way to give scales that tiles know."""

from collections.abc import Callable, Sequence

import numpy as np

from .one_layer import Make
from .tiles import Builder

RESIZED: dict[str, Make] = {}


def resized(name: str) -> Callable[[Make], Make]:
    def register(make: Make) -> Make:
        assert name not in RESIZED
        RESIZED[name] = make
        return make

    return register


RESIZES = [
    ("nearest", "asymmetric", "floor", (2, 2)),
    ("nearest", "asymmetric", "ceil", (2, 3)),
    ("nearest", "half_pixel", "round_prefer_floor", (2, 4)),
    ("nearest", "half_pixel", "round_prefer_ceil", (3, 2)),
    ("nearest", "half_pixel", "floor", (0.5, 0.25)),
    ("nearest", "pytorch_half_pixel", "round_prefer_floor", (0.5, 2)),
    ("nearest", "tf_half_pixel_for_nn", "floor", (2, 2)),
    ("nearest", "tf_half_pixel_for_nn", "round_prefer_ceil", (2, 1)),
    ("linear", "tf_half_pixel_for_nn", "", (2, 0.5)),
    ("linear", "asymmetric", "", (2, 2)),
    ("linear", "half_pixel", "", (2, 3)),
    ("linear", "half_pixel", "", (1.5, 0.5)),
    ("linear", "pytorch_half_pixel", "", (2, 1.5)),
    ("linear", "half_pixel", "", (4 / 3, 2)),
    ("cubic", "half_pixel", "", (2, 2)),
    ("cubic", "asymmetric", "", (2, 1.5)),
]


def resize(mode: str, coordinates: str, nearest: str, scales: Sequence[float], *, sizes: bool) -> Make:
    def make() -> Builder:
        b = Builder((1, 2, 12, 16))
        more = {"nearest_mode": nearest} if nearest else {}
        full = [1.0, 1.0, *scales]
        numbers = ["", "", b.const([round(s * n) for s, n in zip(full, (1, 2, 12, 16), strict=True)], np.int64)]
        names = numbers if sizes else ["", b.const(full)]
        b.add("Resize", None, *names, mode=mode, coordinate_transformation_mode=coordinates, **more)
        return b

    return make


for mode, coordinates, nearest, scales in RESIZES:
    for sizes in (False, True):
        words = [mode, coordinates, nearest, *(f"{s:.2g}" for s in scales), "sizes" if sizes else "scales"]
        RESIZED["resize " + " ".join(filter(None, words))] = resize(mode, coordinates, nearest, scales, sizes=sizes)


@resized("resize by half_pixel_symmetric")
def _symmetric() -> Builder:
    b = Builder((1, 2, 12, 16), opset=19)
    b.add(
        "Resize",
        None,
        "",
        b.const([1, 1, 2, 1.5]),
        mode="linear",
        coordinate_transformation_mode="half_pixel_symmetric",
    )
    return b


@resized("resize by half_pixel_symmetric, inexact beside the tiles")
def _inexact_symmetric() -> Builder:
    b = Builder((1, 2, 16, 7), opset=19)
    more = {"mode": "linear", "coordinate_transformation_mode": "half_pixel_symmetric"}
    b.add("Resize", None, "", b.const([1, 1, 2, 0.45]), **more)
    return b


@resized("resize by pytorch_half_pixel to one column")
def _one_column() -> Builder:
    b = Builder((1, 2, 28, 7))
    more = {"mode": "linear", "coordinate_transformation_mode": "pytorch_half_pixel"}
    b.add("Resize", None, "", "", b.const([1, 2, 14, 1], np.int64), **more)
    return b


@resized("resize that keeps an aspect ratio exactly")
def _aspect() -> Builder:
    b = Builder((1, 2, 12, 16), opset=19)
    more = {"mode": "linear", "keep_aspect_ratio_policy": "not_larger"}
    b.add("Resize", None, "", "", b.const([18, 48], np.int64), axes=[2, 3], **more)
    return b


@resized("resize of some axes")
def _some_axes() -> Builder:
    b = Builder((1, 2, 12, 16), opset=18)
    b.add("Resize", None, "", "", b.const([32, 24], np.int64), mode="linear", axes=[-1, -2])
    return b
