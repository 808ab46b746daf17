"""What tiling must know of an operator: which axes stay a map, and what a piece of its output needs."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import NodeProto

from partition_studio.graph.walk import subgraphs
from partition_studio.partition.draft import Draft
from partition_studio.partition.halo import Affine, Box, full_box

#: The axes of a tensor that are divided: rows, then columns, or one of them.
Axes = tuple[int, ...]


class IndivisibleError(Exception):
    """A layer cannot be divided along the run's axes; says why, in words that follow "because"."""


@dataclass(frozen=True, slots=True)
class Step:
    """How to compute a piece of a layer's outputs.

    Attributes:
        reads: for each input by index that is read in part: which box of it. All others are read whole.
        makes: the box of each output that the copy gives.
        attributes: those that change (None: left out).
        constants: inputs by index that are replaced by new constants.
        keeps: where the copy's outputs are right only in part: that part, for each output. None: all of it.
    """

    reads: Mapping[int, Box]
    makes: tuple[Box, ...]
    attributes: Mapping[str, Any] = field(default_factory=dict)
    constants: Mapping[int, NDArray[Any]] = field(default_factory=dict)
    keeps: tuple[Box, ...] | None = None

    def same_as(self, other: "Step") -> bool:
        """Say whether both compute the same."""
        mine, others = ((s.reads, s.makes, s.attributes, s.keeps) for s in (self, other))
        return (
            mine == others
            and self.constants.keys() == other.constants.keys()
            and all(np.array_equal(array, other.constants[index]) for index, array in self.constants.items())
        )


class LayerView:
    """A node of a draft with its attributes, shapes and constants at hand."""

    def __init__(self, draft: Draft, node: NodeProto) -> None:
        self.draft, self.node = draft, node
        self.name, self.opset = node.name, draft.opset

    @cached_property
    def attributes(self) -> Mapping[str, Any]:
        """Its attributes; strings decoded."""
        values = {a.name: onnx.helper.get_attribute_value(a) for a in self.node.attribute}
        return {key: value.decode() if isinstance(value, bytes) else value for key, value in values.items()}

    def ints(self, name: str, default: Sequence[int]) -> list[int]:
        """Return an attribute of whole numbers."""
        return [int(number) for number in self.attributes.get(name, default)]

    def has(self, index: int) -> bool:
        """Say whether an input is given."""
        return index < len(self.node.input) and bool(self.node.input[index])

    def is_activation(self, index: int) -> bool:
        """Say whether an input is given and no constant."""
        return self.has(index) and self.node.input[index] in self.draft.types

    def shape(self, index: int) -> tuple[int, ...]:
        """Return the shape of an input. Raises IndivisibleError where a constant's is not known."""
        return self.shape_of(self.node.input[index])

    def shape_of(self, tensor: str) -> tuple[int, ...]:
        """Return the shape of a tensor; a dequantised constant has that of its first input."""
        while tensor not in self.draft.types and tensor not in self.draft.weights:
            maker = self.draft.maker(tensor)
            if maker is None or maker.op_type not in _SHAPE_KEEPERS:
                raise IndivisibleError(f"the shape of its constant {tensor!r} is not known")
            tensor = maker.input[0]
        return self.draft.shape(tensor)

    def constant(self, index: int) -> NDArray[Any] | None:
        """Return the value of an input that is a stored constant; None where it is left out, or computed."""
        if not self.has(index) or self.node.input[index] not in self.draft.weights:
            return None
        return self.draft.weights[self.node.input[index]].array()

    @property
    def outputs(self) -> list[str]:
        """The outputs that are used."""
        return [name for name in self.node.output if name]

    def output_shape(self, index: int = 0) -> tuple[int, ...]:
        """Return the shape of one of the outputs that are used."""
        return self.draft.shape(self.outputs[index])

    def bounds(self, index: int, limits: Mapping[str, Box] | None) -> Box:
        """Return the box of an input that may be read: all of it, or what `limits` say."""
        tensor = self.node.input[index]
        return (limits or {}).get(tensor) or full_box(self.shape(index))


_SHAPE_KEEPERS = ("DequantizeLinear", "QuantizeLinear", "Identity", "Cast")


class Rule:
    """How one kind of operator is divided. The first input carries the map unless a subclass says otherwise."""

    data = 0

    def carry(self, view: LayerView, axes: Mapping[int, Axes]) -> Axes:
        """Return the divided axes of the outputs, given those of the inputs that have some.

        Raises IndivisibleError where this layer cannot be divided along them.
        """
        return self._carry(view, axes)

    def step(self, view: LayerView, wanted: Sequence[Box], limits: Mapping[str, Box] | None) -> Step:
        """Return how to compute `wanted` (a box for each output), reading activations within `limits` only.

        Raises IndivisibleError where these boxes cannot be computed by themselves.
        """
        step = self._step(view, wanted, limits)
        for index in range(len(view.node.input)) if limits else ():
            if view.is_activation(index):
                needed = step.reads.get(index) or full_box(view.shape(index))
                within = zip(view.bounds(index, limits), needed, strict=True)
                if not all(bounds.holds(place) for bounds, place in within):
                    raise IndivisibleError("a tile of it would read beyond its own border, where nothing is padded")
        return step

    def border(self, view: LayerView, index: int, axis: int) -> Affine:
        """Return how a border between tiles moves from an axis of input `index` to the same divided axis behind."""
        return self._border(view, index, axis)

    def _carry(self, view: LayerView, axes: Mapping[int, Axes]) -> Axes:
        if self.data not in axes:
            raise IndivisibleError("the input that it works on is no map")
        return axes[self.data]

    def _step(self, view: LayerView, wanted: Sequence[Box], limits: Mapping[str, Box] | None) -> Step:
        return Step({self.data: wanted[0]}, tuple(wanted))

    def _border(self, view: LayerView, index: int, axis: int) -> Affine:
        return Affine()


class Same(Rule):
    """One input is a map, and each element of the output needs the element at its place alone (on divided axes).

    `across` gives the axes along which the layer computes; it cannot be divided along those.
    """

    def __init__(self, across: Callable[[LayerView], Sequence[int]] | None = None, data: int = 0) -> None:
        self._across, self.data = across, data

    def _carry(self, view: LayerView, axes: Mapping[int, Axes]) -> Axes:
        kept = super()._carry(view, axes)
        rank = len(view.shape(self.data))
        across = {axis % rank for axis in self._across(view)} if self._across else set()
        if across.intersection(kept):
            raise IndivisibleError("it computes along an axis of the map")
        for shape in (view.output_shape(index) for index in range(len(view.outputs))):
            if len(shape) != rank or any(shape[axis] != view.shape(self.data)[axis] for axis in kept):
                raise IndivisibleError("it changes the map's shape")
        return kept

    def _step(self, view: LayerView, wanted: Sequence[Box], limits: Mapping[str, Box] | None) -> Step:
        """Off the divided axes everything is read: the outputs may have other channels than the input."""
        shape = view.shape(self.data)
        whole = [view.output_shape(index) for index in range(len(wanted))]
        common = [
            (min(box[axis].start for box in wanted), max(box[axis].stop for box in wanted))
            for axis in range(len(shape))
        ]
        source = list(full_box(shape))
        makes = [list(full_box(size)) for size in whole]
        for axis, (start, stop) in enumerate(common):
            if all(size[axis] == shape[axis] for size in whole) and (start, stop) != (0, shape[axis]):
                source[axis] = type(source[axis])(start, stop)
                for box in makes:
                    box[axis] = source[axis]
        return Step({self.data: tuple(source)}, tuple(tuple(box) for box in makes))


class Broadcast(Rule):
    """Element by element with ONNX's broadcasting over the inputs `indices` (all where None)."""

    def __init__(self, indices: Sequence[int] | None = None) -> None:
        self._indices = indices

    def _inputs(self, view: LayerView) -> list[int]:
        indices = range(len(view.node.input)) if self._indices is None else self._indices
        return [index for index in indices if view.has(index)]

    def _carry(self, view: LayerView, axes: Mapping[int, Axes]) -> Axes:
        rank = len(view.output_shape())
        found: set[Axes] = set()
        for index in self._inputs(view):
            shift = rank - len(view.shape(index))
            mine = tuple(axis + shift for axis in axes.get(index, ()))
            # A map of one row is spread over the others: it says nothing of where the rows are.
            if mine and any(view.shape(index)[axis - shift] > 1 for axis in mine):
                found.add(mine)
        if len(found) != 1:
            raise IndivisibleError("its inputs' maps do not lie alike" if found else "it works on no map")
        return found.pop()

    def _step(self, view: LayerView, wanted: Sequence[Box], limits: Mapping[str, Box] | None) -> Step:
        box = wanted[0]
        reads: dict[int, Box] = {}
        for index in self._inputs(view):
            shape = view.shape(index)
            shift = len(box) - len(shape)
            reads[index] = tuple(
                place if size == 1 else box[axis + shift]
                for axis, (size, place) in enumerate(zip(shape, full_box(shape), strict=True))
            )
        return Step(reads, tuple(wanted))


def has_subgraph(node: NodeProto) -> bool:
    """Say whether a node holds a graph of its own."""
    return next(iter(subgraphs(node)), None) is not None
