"""How Resize and Upsample are tiled: a tile begins where the grids of input and output meet, and is cropped."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from math import ceil, floor
from typing import Any

import numpy as np

from partition_studio.partition.halo import Affine, Box, Interval, full_box
from partition_studio.partition.strategies.spatial_layers import Axes, IndivisibleError, LayerView, Rule, Step

#: Coordinate modes in which a whole number of grid meetings further on everything is the same.
_SHIFTED_BY_HALF = ("half_pixel", "pytorch_half_pixel", "half_pixel_symmetric", "tf_half_pixel_for_nn")

#: Input elements beyond the place of an output, on either side, that its value depends on.
_REACH = {"nearest": 0, "linear": 1, "cubic": 2}

#: A scale is taken for the fraction that is so near to it, with a denominator of at most this.
_MOST, _NEAR = 64, 1e-6


@dataclass(frozen=True, slots=True)
class Scale:
    """One axis: `size` becomes `outputs`; places are multiplied by `exact`, stored as `stored` where scales are."""

    size: int
    outputs: int
    exact: Fraction
    stored: float

    def place(self, output: int, coordinates: str) -> Fraction:
        """Return the place in the input of an output."""
        half = Fraction(0 if coordinates == "asymmetric" else 1, 2)
        return (output + half) / self.exact - (0 if coordinates == "tf_half_pixel_for_nn" else half)


class Resizing(Rule):
    """Resize from opset 10 on, and Upsample."""

    def _carry(self, view: LayerView, axes: Mapping[int, Axes]) -> Axes:
        kept = super()._carry(view, axes)
        self._check_policy(view)
        for axis in kept:
            scale = self._scale(view, axis)
            if scale.exact == 1 and scale.size == scale.outputs:
                continue
            self._check_modes(view, scale)
        return kept

    def _check_policy(self, view: LayerView) -> None:
        """A kept aspect ratio scales all axes alike and rounds their sizes: tiles know only the sizes."""
        policy = view.attributes.get("keep_aspect_ratio_policy", "stretch")
        if policy == "stretch" or self._inputs(view)[1] is None:
            return
        axes, shape, outputs = self._axes(view), view.shape(0), view.output_shape()
        asked = [Fraction(int(number), shape[axis]) for number, axis in zip(self._numbers(view), axes, strict=True)]
        common = min(asked) if policy == "not_larger" else max(asked)
        if any(common * shape[axis] != outputs[axis] for axis in axes):
            raise IndivisibleError(f"it keeps an aspect ratio ({policy}) by a scale that its sizes do not tell")

    def _check_modes(self, view: LayerView, scale: Scale) -> None:
        mode, coordinates = self._mode(view), self._coordinates(view)
        if coordinates not in ("asymmetric", *_SHIFTED_BY_HALF):
            raise IndivisibleError(f"its coordinates ({coordinates}) depend on the whole map's size")
        if coordinates == "half_pixel_symmetric" and scale.size * scale.exact != scale.outputs:
            raise IndivisibleError("its coordinates (half_pixel_symmetric) depend on the whole map's size")
        if view.attributes.get("antialias", 0):
            raise IndivisibleError("its antialiasing weighs what lies at the map's border in another way")
        up, down = scale.exact.numerator, scale.exact.denominator
        if mode == "nearest" and not (down == 1 or (up == 1 and down & (down - 1) == 0)):
            raise IndivisibleError(f"the nearest element at a scale of {up}/{down} depends on rounding")

    def _mode(self, view: LayerView) -> str:
        mode = str(view.attributes.get("mode", "nearest"))
        return "linear" if mode in ("bilinear", "trilinear") else mode

    def _coordinates(self, view: LayerView) -> str:
        old = view.node.op_type == "Upsample" or view.opset < 11
        return "asymmetric" if old else str(view.attributes.get("coordinate_transformation_mode", "half_pixel"))

    def _inputs(self, view: LayerView) -> tuple[int | None, int | None]:
        """Return the index of the input with scales, and that with sizes: the one that is used."""
        if view.node.op_type == "Upsample" or view.opset < 11:
            return (None if view.opset < 9 and view.node.op_type == "Upsample" else 1), None
        if view.has(3):
            return None, 3
        return 2, None

    def _axes(self, view: LayerView) -> list[int]:
        """Return the axes that scales or sizes speak of."""
        rank = len(view.shape(0))
        return [axis % rank for axis in view.ints("axes", range(rank))]

    def _numbers(self, view: LayerView) -> list[float]:
        scales, sizes = self._inputs(view)
        index = sizes if scales is None else scales
        if index is None:
            return [float(scale) for scale in view.attributes["scales"]]
        given = view.constant(index)
        if given is None:
            raise IndivisibleError("its scales are computed")
        return [float(number) for number in given]

    def _scale(self, view: LayerView, axis: int) -> Scale:
        size, outputs = view.shape(0)[axis], view.output_shape()[axis]
        axes = self._axes(view)
        if axis not in axes:
            return Scale(size, outputs, Fraction(1), 1.0)
        number = self._numbers(view)[axes.index(axis)]
        if self._inputs(view)[1] is not None:
            return Scale(size, outputs, Fraction(outputs, size), outputs / size)
        exact = Fraction(number).limit_denominator(_MOST)
        if abs(float(exact) - number) > _NEAR * number:
            raise IndivisibleError(f"its scale of {number:g} is no simple fraction")
        return Scale(size, outputs, exact, number)

    def _step(self, view: LayerView, wanted: Sequence[Box], limits: Mapping[str, Box] | None) -> Step:
        bounds, box = view.bounds(0, limits), wanted[0]
        source, makes = list(full_box(view.shape(0))), list(full_box(view.output_shape()))
        for axis in range(len(box)):
            scale = self._scale(view, axis)
            if box[axis] != (0, scale.outputs) or bounds[axis] != (0, scale.size):
                source[axis], makes[axis] = self._piece(view, scale, box[axis], bounds[axis])
        attributes: dict[str, Any] = {}
        constants = {}
        if self._coordinates(view) == "pytorch_half_pixel":
            attributes = self._without_size(view, makes)
        sizes = self._inputs(view)[1]
        if sizes is not None:
            constants[sizes] = np.array([makes[axis].stop - makes[axis].start for axis in self._axes(view)], np.int64)
            attributes["keep_aspect_ratio_policy"] = None
        return Step({0: tuple(source)}, (tuple(makes),), attributes, constants, keeps=tuple(wanted))

    def _without_size(self, view: LayerView, makes: Sequence[Interval]) -> dict[str, Any]:
        """Return the attributes of tiles of pytorch_half_pixel, where an axis of one output has coordinates of its own.

        It is half_pixel on all others; an axis that is not divided may be such a one, and then no tile may be.
        """
        resized = [(made, s) for axis, made in enumerate(makes) if (s := self._scale(view, axis)).exact != 1]
        if all(scale.outputs > 1 for _, scale in resized):
            return {"coordinate_transformation_mode": "half_pixel"}
        if any(made.length == 1 < scale.outputs for made, scale in resized):
            raise IndivisibleError("a tile with one row or column has other coordinates (pytorch_half_pixel)")
        return {}

    def _piece(self, view: LayerView, scale: Scale, wanted: Interval, bounds: Interval) -> tuple[Interval, Interval]:
        """Return which input makes which output, larger than `wanted` and aligned."""
        reach = _REACH[self._mode(view)]
        if scale.exact == 1:
            return wanted, wanted
        first, last = (scale.place(output, self._coordinates(view)) for output in (wanted.start, wanted.stop - 1))
        grid = scale.exact.denominator
        if self._mode(view) == "nearest":
            start, stop = self._nearest(view, first), self._nearest(view, last) + 1
        else:
            start, stop = floor(first) - reach + 1, ceil(last) + reach
        # The tile must also give every output that is asked for: place and number of outputs go by the input's edges.
        start = min(start, floor(wanted.start / scale.exact))
        stop = max(stop, ceil(wanted.stop / scale.exact))
        start = max(start // grid * grid, bounds.start)
        stop = min(-(-stop // grid) * grid, bounds.stop)
        if start % grid or (stop % grid and stop != scale.size):
            raise IndivisibleError(f"its tiles must begin at multiples of {grid}")
        made = Interval(int(start * scale.exact), min(floor(stop * scale.exact), scale.outputs))
        if int(np.float32(scale.stored) * np.float32(stop - start)) != made.length:
            raise IndivisibleError(f"its scale of {scale.stored:g} is not exact")
        return Interval(start, stop), made

    def _nearest(self, view: LayerView, place: Fraction) -> int:
        old = view.node.op_type == "Upsample" or view.opset < 11
        match "floor" if old else view.attributes.get("nearest_mode", "round_prefer_floor"):
            case "floor":
                return floor(place)
            case "ceil":
                return ceil(place)
            case "round_prefer_ceil":
                return floor(place + Fraction(1, 2))
            case _:
                return ceil(place - Fraction(1, 2))

    def _border(self, view: LayerView, index: int, axis: int) -> Affine:
        return Affine(self._scale(view, axis).exact)
