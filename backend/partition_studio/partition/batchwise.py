"""Which operators compute each frame of a batch by itself, so that several frames may go through them at once. Pure.

A frame is an index of axis 0 of every activation. An operator is batch-wise where axis 0 of its outputs is axis 0 of
its inputs, and nothing is computed across it. What is not known here, or depends on values that are no constants, is
not.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import onnx
from onnx import helper

Shape = tuple[int, ...]

#: An end of a slice from here on means all there is.
_ALL = 2**31 - 1

#: Of an operator that cannot be let through: why. None: it is batch-wise.
Rule = Callable[["Applied"], str | None]


@dataclass(frozen=True)
class Applied:
    """An operator with what it is applied to.

    Attributes:
        node: the node.
        opset: version of the standard operators.
        activations: shape of each activation of the sub-model.
        constants: shape of each constant, None where it is not known.
        value_of: value of a constant that is held in memory, else None.
    """

    node: onnx.NodeProto
    opset: int
    activations: Mapping[str, Shape]
    constants: Mapping[str, Shape | None]
    value_of: Callable[[str], np.ndarray[Any, Any] | None]

    def input(self, index: int) -> str:
        """Return the name of an input; empty where it is left out."""
        return self.node.input[index] if index < len(self.node.input) else ""

    def value(self, index: int) -> np.ndarray[Any, Any] | None:
        """Return the value of an input that is a constant in memory."""
        name = self.input(index)
        return self.value_of(name) if name else None

    def numbers(self, index: int, attribute: str) -> list[int] | None:
        """Return whole numbers that are an attribute in some opsets and an input in others; None where unknown."""
        if self.input(index):
            value = self.value(index)
            return None if value is None else [int(number) for number in value.reshape(-1)]
        found = self.attribute(attribute, None)
        return None if found is None else [int(number) for number in found]

    def attribute(self, name: str, default: Any) -> Any:
        """Return an attribute's value."""
        for attribute in self.node.attribute:
            if attribute.name == name:
                return helper.get_attribute_value(attribute)
        return default

    @property
    def data(self) -> Shape:
        """Shape of the first input, which must be an activation."""
        return self.activations[self.node.input[0]]

    @property
    def result(self) -> Shape:
        """Shape of the first output."""
        return self.activations[self.node.output[0]]

    def axis(self, default: int, *, name: str = "axis") -> int:
        """Return an axis of the first input, counted from its beginning."""
        axis = int(self.attribute(name, default))
        return axis + len(self.data) if axis < 0 else axis


def why_not(applied: Applied) -> str | None:
    """Return why an operator cannot take several frames at once; None where it can."""
    node = applied.node
    rule = RULES.get(node.op_type) if node.domain in ("", "ai.onnx") else None
    if rule is None:
        return "it is not known whether it computes each frame by itself"
    for tensor in [*node.input, *node.output]:
        if tensor in applied.activations and applied.activations[tensor][:1] != (1,):
            return f"the tensor {tensor!r} of shape {list(applied.activations[tensor])} has no batch of one in front"
    if rule not in _MANY and node.input[0] not in applied.activations:
        return "its first input is a constant"
    return rule(applied)


def _first_alone(applied: Applied) -> str | None:
    """Only the first input is an activation."""
    others = [name for name in applied.node.input[1:] if name in applied.activations]
    return f"its input {others[0]!r} is no constant" if others else None


def _one_output(applied: Applied) -> str | None:
    """Its other outputs are of the batch as a whole."""
    if any(applied.node.output[1:]):
        return "its second output counts across the batch"
    return _first_alone(applied)


def _broadcast(applied: Applied) -> str | None:
    rank = len(applied.result)
    for name in filter(None, applied.node.input):
        if name in applied.activations:
            if len(applied.activations[name]) != rank:
                return f"its input {name!r} has fewer axes than its output, so that the batch would meet another axis"
            continue
        shape = applied.constants.get(name)
        if shape is None or len(shape) > rank or (len(shape) == rank and shape[:1] != (1,)):
            return f"its constant {name!r} reaches into the batch"
    return None


def _off_axis(default: int) -> Rule:
    def rule(applied: Applied) -> str | None:
        return _first_alone(applied) or ("it works along the batch" if applied.axis(default) == 0 else None)

    return rule


def _softmax(applied: Applied) -> str | None:
    # Before opset 13 everything from the axis on is one, and everything before it.
    return _off_axis(-1 if applied.opset >= 13 else 1)(applied)


def _concat(applied: Applied) -> str | None:
    if applied.attribute("axis", 1) in (0, -len(applied.result)):
        return "it works along the batch"
    constants = [name for name in applied.node.input if name not in applied.activations]
    return f"it joins the constant {constants[0]!r} to each frame" if constants else None


def _batch_normalization(applied: Applied) -> str | None:
    if applied.attribute("training_mode", 0) or any(applied.node.output[1:]):
        return "it is in training mode"
    return _first_alone(applied)


def _dropout(applied: Applied) -> str | None:
    training = applied.value(2)
    if applied.input(2) and (training is None or bool(training)):
        return "it is in training mode"
    return _first_alone(applied)


def _quantize(applied: Applied) -> str | None:
    scale = applied.constants.get(applied.input(1))
    if applied.attribute("block_size", 0):
        return "it has a scale for each block"
    if scale is None or (len(scale) > 0 and scale != (1,) and applied.axis(1) == 0):
        return "it has a scale along the batch"
    return _first_alone(applied)


def _flatten(applied: Applied) -> str | None:
    return None if applied.axis(1) == 1 else "it joins the batch with another axis"


def _reshape(applied: Applied) -> str | None:
    # The first extent is rewritten; the product of the others stays that of one frame.
    return None if applied.value(1) is not None else "its shape is no constant"


def _transpose(applied: Applied) -> str | None:
    order = applied.attribute("perm", None)
    return None if order is not None and order[0] == 0 else "it moves the batch to another axis"


def _axes(applied: Applied, *, rank: int) -> list[int] | None:
    axes = applied.numbers(1, "axes")
    return None if axes is None else [axis + rank if axis < 0 else axis for axis in axes]


def _squeeze(applied: Applied) -> str | None:
    axes = _axes(applied, rank=len(applied.data))
    if not axes:
        return "it leaves out every axis of one"
    return "it leaves out the batch" if 0 in axes else _first_alone(applied)


def _unsqueeze(applied: Applied) -> str | None:
    axes = _axes(applied, rank=len(applied.result))
    return "it puts an axis before the batch" if axes is None or 0 in axes else _first_alone(applied)


def _reduce(applied: Applied) -> str | None:
    axes = _axes(applied, rank=len(applied.data))
    if not axes:
        return "it works along every axis, or none that is known"
    return "it works along the batch" if 0 in axes else _first_alone(applied)


def _slice(applied: Applied) -> str | None:
    starts, ends = applied.numbers(1, "starts"), applied.numbers(2, "ends")
    if starts is None or ends is None:
        return "what it takes is no constant"
    axes = applied.numbers(3, "axes")
    if axes is None:
        if applied.input(3):
            return "its axes are no constants"
        axes = list(range(len(starts)))
    steps = applied.numbers(4, "steps")
    if steps is None:
        if applied.input(4):
            return "its steps are no constants"
        steps = [1] * len(axes)
    for axis, start, end, step in zip(axes, starts, ends, steps, strict=True):
        if axis in (0, -len(applied.data)) and not (start == 0 and step == 1 and end >= _ALL):
            return "it works along the batch"
    return _first_alone(applied)


def _pad(applied: Applied) -> str | None:
    pads, rank = applied.numbers(1, "pads"), len(applied.data)
    axes = applied.numbers(3, "axes") if applied.input(3) else list(range(rank))
    if pads is None or axes is None or len(pads) != 2 * len(axes):
        return "what it adds is no constant"
    for place, axis in enumerate(axes):
        if axis in (0, -rank) and (pads[place] or pads[place + len(axes)]):
            return "it adds to the batch"
    return _first_alone(applied)


def _gemm(applied: Applied) -> str | None:
    if applied.attribute("transA", 0):
        return "it turns the batch into another axis"
    bias = applied.constants.get(applied.input(2), ())
    if bias is None or (len(bias) == 2 and bias[0] != 1):
        return f"its constant {applied.input(2)!r} reaches into the batch"
    return _first_alone(applied)


def _matmul(applied: Applied) -> str | None:
    left, right = applied.input(0), applied.input(1)
    rank = len(applied.result)
    if rank < 2:
        return "it makes a single number for each frame"
    if left in applied.activations and right in applied.activations:
        same = len(applied.activations[left]) == len(applied.activations[right]) == rank >= 3
        return None if same else "it multiplies the batch with another axis"
    activation, constant = (left, right) if left in applied.activations else (right, left)
    if len(applied.activations[activation]) != rank or (activation == right and rank < 3):
        return "it multiplies along the batch"
    shape = applied.constants.get(constant)
    if shape is None or len(shape) > rank or (len(shape) == rank >= 3 and shape[0] != 1):
        return f"its constant {constant!r} reaches into the batch"
    return None


def _resize(applied: Applied) -> str | None:
    axes = applied.attribute("axes", None)
    if axes is not None and all(axis not in (0, -len(applied.data)) for axis in axes):
        return _first_alone(applied)
    place = 2 if applied.node.op_type == "Resize" and applied.opset >= 11 else 1
    scales = applied.value(place)
    if scales is None or not scales.size:
        found = applied.attribute("scales", None)
        scales = None if found is None else np.asarray(found)
    if axes is not None or scales is None or not scales.size or float(scales.reshape(-1)[0]) != 1.0:
        return "its new size is told for the batch, too"
    return _first_alone(applied)


def _expand(applied: Applied) -> str | None:
    shape = applied.numbers(1, "shape")
    rank = len(applied.data)
    if shape is None or len(shape) > rank or (len(shape) == rank and shape[0] != 1):
        return "it repeats the batch"
    return _first_alone(applied)


def _tile(applied: Applied) -> str | None:
    repeats = applied.numbers(1, "repeats")
    return "it repeats the batch" if not repeats or repeats[0] != 1 else _first_alone(applied)


#: Rules of operators of which any input may be an activation.
_MANY: tuple[Rule, ...] = (_broadcast, _concat, _matmul)

# fmt: off
_FIRST_ALONE = (
    "Abs", "Atan", "AveragePool", "Cast", "Ceil", "Celu", "Clip", "Conv", "ConvInteger", "ConvTranspose", "Cos",
    "DepthToSpace", "Elu", "Erf", "Exp", "Floor", "Gelu", "GlobalAveragePool", "GlobalLpPool", "GlobalMaxPool",
    "GroupNormalization", "HardSigmoid", "HardSwish", "Identity", "InstanceNormalization", "IsInf", "IsNaN", "LRN",
    "LeakyRelu", "Log", "LpPool", "Mish", "Neg", "Not", "QLinearConv", "Reciprocal", "Relu", "Round", "Selu", "Shrink",
    "Sigmoid", "Sign", "Sin", "Softplus", "Softsign", "SpaceToDepth", "Sqrt", "Swish", "Tanh", "ThresholdedRelu",
)
_BROADCAST = (
    "Add", "And", "BitwiseAnd", "BitwiseOr", "BitwiseXor", "Div", "Equal", "Greater", "GreaterOrEqual", "Less",
    "LessOrEqual", "Max", "Mean", "Min", "Mod", "Mul", "Or", "PRelu", "Pow", "Sub", "Sum", "Where", "Xor",
)
_REDUCE = (
    "ReduceL1", "ReduceL2", "ReduceLogSumExp", "ReduceMax", "ReduceMean", "ReduceMin", "ReduceProd", "ReduceSum",
    "ReduceSumSquare",
)
# fmt: on

RULES: Mapping[str, Rule] = {
    **dict.fromkeys(_FIRST_ALONE, _first_alone),
    **dict.fromkeys(_BROADCAST, _broadcast),
    **dict.fromkeys(_REDUCE, _reduce),
    **dict.fromkeys(["Softmax", "LogSoftmax", "Hardmax"], _softmax),
    **dict.fromkeys(["Split", "ArgMax", "ArgMin", "Gather"], _off_axis(0)),
    **dict.fromkeys(["TopK", "LayerNormalization", "LpNormalization"], _off_axis(-1)),
    **dict.fromkeys(["QuantizeLinear", "DequantizeLinear"], _quantize),
    **dict.fromkeys(["Resize", "Upsample"], _resize),
    "MaxPool": _one_output,
    "BatchNormalization": _batch_normalization,
    "Concat": _concat,
    "Dropout": _dropout,
    "Expand": _expand,
    "Flatten": _flatten,
    "Gemm": _gemm,
    "MatMul": _matmul,
    "Pad": _pad,
    "Reshape": _reshape,
    "Slice": _slice,
    "Squeeze": _squeeze,
    "Tile": _tile,
    "Transpose": _transpose,
    "Unsqueeze": _unsqueeze,
}
