"""For each operator that works channel by channel: what the part that makes some channels reads."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from math import prod
from typing import Any

import numpy as np
from onnx import NodeProto

from partition_studio.graph.weights import Range
from partition_studio.partition.strategies.channels_constants import attribute_int, attribute_ints
from partition_studio.partition.strategies.channels_work import Bounds, ChannelWork, refuse

_UNARY = (
    "Abs Acos Acosh Asin Asinh Atan Atanh BitwiseNot Cast Ceil Celu Clip Cos Cosh Dropout Elu Erf Exp Floor Gelu "
    "HardSigmoid HardSwish Identity IsInf IsNaN LeakyRelu Log Mish Neg Not Reciprocal Relu Round Selu Shrink Sigmoid "
    "Sign Sin Sinh Softplus Softsign Sqrt Swish Tan Tanh ThresholdedRelu"
)
_SEVERAL = (
    "Add And BitwiseAnd BitwiseOr BitwiseXor Div Equal Greater GreaterOrEqual Less LessOrEqual Max Mean Min Mod Mul Or "
    "PRelu Pow Sub Sum Where Xor"
)
_CONTRIBUTED = "FastGelu Gelu QLinearAdd QLinearLeakyRelu QLinearMul QLinearSigmoid QuickGelu"

#: Operators whose every result depends on the operands' values at the same place alone.
ELEMENTWISE = {("", name) for name in f"{_UNARY} {_SEVERAL}".split()} | {
    ("com.microsoft", name) for name in _CONTRIBUTED.split()
}


def _none(bounds: Bounds) -> Mapping[str, Any]:
    return {}


@dataclass(frozen=True, slots=True)
class Recipe:
    """How a layer is computed by channel.

    Attributes:
        axis: of the output that is divided.
        inputs: from an interval of the input's channels to the names that the part reads.
        attributes: from the same interval to the attributes that change (None: left out).
        scale: `(a, b)`: an input channel `c` begins at index `c * a / b` of the output's axis.
    """

    axis: int
    inputs: Callable[[Bounds], list[str]]
    attributes: Callable[[Bounds], Mapping[str, Any]] = _none
    scale: tuple[int, int] = (1, 1)

    def at(self, node: NodeProto, channel: int) -> int:
        """Return where an input channel begins in the output. Raises ShardError where that is inside an index."""
        index, rest = divmod(channel * self.scale[0], self.scale[1])
        if rest:
            refuse(node, f"the border at channel {channel} lies inside one of the rows that it makes")
        return index


Rule = Callable[[ChannelWork, NodeProto, int], Recipe]


def elementwise(work: ChannelWork, node: NodeProto, axis: int) -> Recipe:
    """Operands that span the divided axis of the output are cut; others are read as a whole."""
    shape = work.shape(node.output[0])

    def inputs(bounds: Bounds) -> list[str]:
        return [work.operand(name, axis, len(shape), shape[axis], bounds) for name in node.input]

    return Recipe(axis, inputs)


def _first(work: ChannelWork, node: NodeProto, axis: int) -> Callable[[Bounds], list[str]]:
    """Return the inputs of a layer of which only the first is cut."""

    def inputs(bounds: Bounds) -> list[str]:
        return [work.piece(node.input[0], Range(axis, *bounds)), *(work.full(name) for name in node.input[1:])]

    return inputs


def _pool(work: ChannelWork, node: NodeProto, axis: int) -> Recipe:
    if axis != 1 or attribute_int(node, "channels_last", 0):
        refuse(node, "its input is divided along an axis over which it pools")
    return Recipe(axis, _first(work, node, axis))


def _normalise(work: ChannelWork, node: NodeProto, axis: int) -> Recipe:
    """Batch and instance normalisation: every other input is a vector with an element per channel."""
    if axis != 1:
        refuse(node, "its input is divided along another axis than that of its channels")

    def inputs(bounds: Bounds) -> list[str]:
        vectors = [work.piece(name, Range(0, *bounds)) for name in node.input[1:]]
        return [work.piece(node.input[0], Range(1, *bounds)), *vectors]

    return Recipe(axis, inputs)


def _group_normalise(work: ChannelWork, node: NodeProto, axis: int) -> Recipe:
    """Each group is a layer of its own; scale and bias have an element per channel, before opset 21 per group."""
    groups, channels = attribute_int(node, "num_groups", 1), work.shape(node.input[0])[1]
    size = channels // groups
    if axis != 1:
        refuse(node, "its input is divided along another axis than that of its channels")

    def of_groups(bounds: Bounds) -> Bounds:
        if bounds[0] % size or bounds[1] % size:
            refuse(node, f"it normalises {size} channels at a time, and a part ends between them")
        return bounds[0] // size, bounds[1] // size

    def inputs(bounds: Bounds) -> list[str]:
        own = bounds if work.draft.opset >= 21 else of_groups(bounds)
        vectors = [work.piece(name, Range(0, *own)) for name in node.input[1:]]
        return [work.piece(node.input[0], Range(1, *bounds)), *vectors]

    def attributes(bounds: Bounds) -> Mapping[str, Any]:
        first, last = of_groups(bounds)
        return {"num_groups": last - first}

    return Recipe(axis, inputs, attributes)


def _layer_normalise(work: ChannelWork, node: NodeProto, axis: int) -> Recipe:
    shape = work.shape(node.input[0])
    if axis >= attribute_int(node, "axis", -1) % len(shape):
        refuse(node, "it normalises over the channels")

    def inputs(bounds: Bounds) -> list[str]:
        return [work.operand(name, axis, len(shape), shape[axis], bounds) for name in node.input]

    return Recipe(axis, inputs)


def _softmax(work: ChannelWork, node: NodeProto, axis: int) -> Recipe:
    rank, newest = len(work.shape(node.input[0])), work.draft.opset >= 13
    own = attribute_int(node, "axis", -1 if newest else 1) % rank
    if axis == own or (axis > own and not newest):
        refuse(node, "it sums over the channels")
    return Recipe(axis, _first(work, node, axis))


def _reduce(work: ChannelWork, node: NodeProto, axis: int) -> Recipe:
    rank = len(work.shape(node.input[0]))
    axes = _numbers(work, node, "axes", 1)
    over = {number % rank for number in axes or range(rank)}
    if axis in over:
        refuse(node, "it reduces over the channels")
    kept = attribute_int(node, "keepdims", 1)
    return Recipe(axis if kept else axis - sum(number < axis for number in over), _first(work, node, axis))


def _transpose(work: ChannelWork, node: NodeProto, axis: int) -> Recipe:
    order = attribute_ints(node, "perm") or list(range(len(work.shape(node.input[0]))))[::-1]
    return Recipe(order.index(axis), _first(work, node, axis))


def _concat(work: ChannelWork, node: NodeProto, axis: int) -> Recipe:
    if attribute_int(node, "axis", 1) % len(work.shape(node.output[0])) == axis:
        refuse(node, "it joins channels")

    def inputs(bounds: Bounds) -> list[str]:
        return [work.piece(name, Range(axis, *bounds)) for name in node.input]

    return Recipe(axis, inputs)


def _pad(work: ChannelWork, node: NodeProto, axis: int) -> Recipe:
    rank = len(work.shape(node.input[0]))
    pads = _numbers(work, node, "pads", 1)
    if pads is None:
        refuse(node, "how much it pads is computed")
    axes = [number % rank for number in _numbers(work, node, "axes", 3) or range(rank)]
    if axis in axes and (pads[axes.index(axis)] or pads[axes.index(axis) + len(axes)]):
        refuse(node, "it pads the channels")
    return Recipe(axis, _first(work, node, axis))


def _resize(work: ChannelWork, node: NodeProto, axis: int) -> Recipe:
    shape = work.shape(node.input[0])
    if shape[axis] != work.shape(node.output[0])[axis]:
        refuse(node, "it resizes the channels")
    if any(a.name == "keep_aspect_ratio_policy" and a.s != b"stretch" for a in node.attribute):
        refuse(node, "it keeps an aspect ratio")
    axes = [number % len(shape) for number in attribute_ints(node, "axes") or range(len(shape))]
    sizes = _constant(work, node, 3)
    first = _first(work, node, axis)
    if sizes is None or axis not in axes:
        return Recipe(axis, first)

    def inputs(bounds: Bounds) -> list[str]:
        changed = np.array(sizes, np.int64)
        changed[axes.index(axis)] = bounds[1] - bounds[0]
        return [*first(bounds)[:3], work.draft.add_weight(f"{node.name}/sizes", changed)]

    return Recipe(axis, inputs)


def _slice(work: ChannelWork, node: NodeProto, axis: int) -> Recipe:
    shape = work.shape(node.input[0])
    axes = _numbers(work, node, "axes", 3)
    if axes is None:
        starts = _numbers(work, node, "starts", 1)
        axes = list(range(len(starts) if starts is not None else len(shape)))
    if axis in {number % len(shape) for number in axes}:
        refuse(node, "it takes some of the channels")
    return Recipe(axis, _first(work, node, axis))


def _quantise(work: ChannelWork, node: NodeProto, axis: int) -> Recipe:
    """(De)quantisation of an activation: one scale for all, or one for each index of an axis."""
    rank = len(work.shape(node.input[0]))
    own = attribute_int(node, "axis", 1) % rank
    if attribute_int(node, "block_size", 0):
        refuse(node, "it quantises in blocks")

    def inputs(bounds: Bounds) -> list[str]:
        cut = Range(0, *bounds)
        vectors = [
            work.piece(name, cut) if name and own == axis and len(work.shape(name)) == 1 and work.shape(name) != (1,)
            else work.full(name)
            for name in node.input[1:]
        ]  # fmt: skip
        return [work.piece(node.input[0], Range(axis, *bounds)), *vectors]

    return Recipe(axis, inputs)


def _reshape(work: ChannelWork, node: NodeProto, axis: int) -> Recipe:
    """A new shape of the same elements: channels stay together where each is one row of the new shape, or several."""
    before, after = work.shape(node.input[0]), work.shape(node.output[0])
    fitting = [place for place in range(len(after)) if prod(after[:place]) == prod(before[:axis]) and after[place] > 1]
    if not fitting:
        refuse(node, "channels are no longer together in its result")
    own = fitting[0]
    scale = (prod(before[axis + 1 :]), prod(after[own + 1 :]))

    def shape(bounds: Bounds) -> list[int]:
        return [*after[:own], (bounds[1] - bounds[0]) * scale[0] // scale[1], *after[own + 1 :]]

    if node.op_type == "Flatten":
        cut = attribute_int(node, "axis", 1)
        cut += len(before) if cut < 0 else 0
        if (axis < cut) == (own == 0):
            return Recipe(own, _first(work, node, axis), scale=scale)
        refuse(node, "channels are no longer together in its result")
    if node.op_type != "Reshape":
        refuse(node, "its axes change")

    def inputs(bounds: Bounds) -> list[str]:
        numbers = work.draft.add_weight(f"{node.name}/shape", np.array(shape(bounds), np.int64))
        return [work.piece(node.input[0], Range(axis, *bounds)), numbers]

    return Recipe(own, inputs, scale=scale)


def _squeeze(work: ChannelWork, node: NodeProto, axis: int) -> Recipe:
    """Axes of one element go or come; those that are named are never the divided one."""
    before = len(work.shape(node.input[0]))
    axes = _numbers(work, node, "axes", 1)
    if axes is None:
        refuse(node, "it does not name the axes that it removes")
    if node.op_type == "Squeeze":
        gone = {number % before for number in axes}
        return Recipe(axis - sum(number < axis for number in gone), _first(work, node, axis))
    after = len(work.shape(node.output[0]))
    kept = [place for place in range(after) if place not in {number % after for number in axes}]
    return Recipe(kept[axis], _first(work, node, axis))


def _numbers(work: ChannelWork, node: NodeProto, attribute: str, place: int) -> list[int] | None:
    """Return whole numbers that stand in an attribute or, in newer opsets, in a constant input."""
    held = attribute_ints(node, attribute)
    return held if held is not None else _constant(work, node, place)


def _constant(work: ChannelWork, node: NodeProto, place: int) -> list[int] | None:
    name = node.input[place] if place < len(node.input) else ""
    return [int(n) for n in work.draft.weights[name].array()] if name in work.draft.weights else None


_BY_RULE: dict[Rule, str] = {
    _pool: "MaxPool AveragePool LpPool GlobalAveragePool GlobalMaxPool GlobalLpPool",
    _normalise: "BatchNormalization InstanceNormalization",
    _group_normalise: "GroupNormalization",
    _layer_normalise: "LayerNormalization",
    _softmax: "Softmax LogSoftmax Hardmax",
    _reduce: "ReduceL1 ReduceL2 ReduceLogSum ReduceLogSumExp ReduceMax ReduceMean ReduceMin ReduceProd ReduceSum "
    "ReduceSumSquare",
    _transpose: "Transpose",
    _concat: "Concat",
    _pad: "Pad",
    _resize: "Resize Upsample",
    _slice: "Slice",
    _quantise: "QuantizeLinear DequantizeLinear",
    _reshape: "Flatten Reshape",
    _squeeze: "Squeeze Unsqueeze",
}

#: The rule of each operator of which only some axes are independent.
RULES: dict[tuple[str, str], Rule] = {
    ("", name): rule for rule, names in _BY_RULE.items() for name in names.split()
} | {("com.microsoft", name): _pool for name in ("QLinearAveragePool", "QLinearGlobalAveragePool")}
