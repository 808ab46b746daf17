"""The operators that tiling knows. Every other one is computed whole, its tiles joined before it."""

from collections.abc import Callable, Mapping, Sequence

import numpy as np

from partition_studio.partition.strategies.spatial_layers import (
    Axes,
    Broadcast,
    IndivisibleError,
    LayerView,
    Rule,
    Same,
    has_subgraph,
)
from partition_studio.partition.strategies.spatial_maps import (
    Blocks,
    Cutting,
    Joined,
    Padding,
    Reshaping,
    Transposition,
)
from partition_studio.partition.strategies.spatial_resize import Resizing
from partition_studio.partition.strategies.spatial_windows import Sliding, Transposed

_MICROSOFT = "com.microsoft"


def _words(text: str) -> list[str]:
    return text.split()


_ELEMENTWISE = _words("""
    Abs Acos Acosh Add And Asin Asinh Atan Atanh BitShift BitwiseAnd BitwiseNot BitwiseOr BitwiseXor Cast Ceil Celu
    Clip Cos Cosh Div Elu Equal Erf Exp Floor Gelu Greater GreaterOrEqual HardSigmoid HardSwish Identity IsInf IsNaN
    LeakyRelu Less LessOrEqual Log Max Mean Min Mish Mod Mul Neg Not Or PRelu Pow Reciprocal Relu Round Selu Shrink
    Sigmoid Sign Sin Sinh Softplus Softsign Sqrt Sub Sum Swish Tan Tanh ThresholdedRelu Where Xor
""")

_MICROSOFT_ELEMENTWISE = ("Gelu", "FastGelu", "QuickGelu", "BiasGelu")

_REDUCTIONS = _words("""
    ReduceL1 ReduceL2 ReduceLogSum ReduceLogSumExp ReduceMax ReduceMean ReduceMin ReduceProd ReduceSum ReduceSumSquare
""")


def _softmax_axes(view: LayerView) -> Sequence[int]:
    """Before opset 13 everything from `axis` on is one vector."""
    rank = len(view.shape(0))
    if view.opset >= 13:
        return [view.attributes.get("axis", -1)]
    return range(view.attributes.get("axis", 1) % rank, rank)


def _reduced_axes(view: LayerView) -> Sequence[int]:
    rank = len(view.shape(0))
    if view.has(1):
        given = view.constant(1)
        if given is None:
            raise IndivisibleError("its axes are computed")
        return [int(axis) for axis in given] if given.size else range(rank)
    if view.attributes.get("noop_with_empty_axes", 0) and "axes" not in view.attributes:
        return ()
    return view.ints("axes", range(rank))


def _one_axis(default: int) -> Callable[[LayerView], Sequence[int]]:
    return lambda view: [view.attributes.get("axis", default)]


def _normalised_axes(view: LayerView) -> Sequence[int]:
    rank = len(view.shape(0))
    return range(view.attributes.get("axis", -1) % rank, rank)


def _quantised_axes(view: LayerView) -> Sequence[int]:
    """A scale for each index of an axis binds that axis; blocks of scales bind every axis."""
    scale = view.shape(1)
    if int(np.prod(scale)) == 1:
        return ()
    return [view.attributes.get("axis", 1)] if len(scale) == 1 else range(len(view.shape(0)))


class _Dropout(Same):
    """Dropout as inference knows it; the mask is made like the output."""

    def _carry(self, view: LayerView, axes: Mapping[int, Axes]) -> Axes:
        if view.has(2) and (given := view.constant(2)) is not None and bool(given):
            raise IndivisibleError("it drops at random")
        return super()._carry(view, axes)


class _Normalisation(Same):
    """BatchNormalization as inference knows it."""

    def _carry(self, view: LayerView, axes: Mapping[int, Axes]) -> Axes:
        if view.attributes.get("training_mode", 0) or len(view.outputs) > 1:
            raise IndivisibleError("it is in training mode")
        if not view.attributes.get("spatial", 1):
            raise IndivisibleError("it normalises each place of the map by itself")
        if min(axes.get(0, (2,))) < 2:
            raise IndivisibleError("the map lies along its channels")
        return super()._carry(view, axes)


_RULES: dict[tuple[str, str], Rule] = {
    **{("", name): Broadcast() for name in _ELEMENTWISE},
    **{(_MICROSOFT, name): Broadcast() for name in _MICROSOFT_ELEMENTWISE},
    **{("", name): Same(_reduced_axes) for name in _REDUCTIONS},
    **{("", name): Same(_softmax_axes) for name in ("Softmax", "LogSoftmax", "Hardmax")},
    **{("", name): Same(_one_axis(0)) for name in ("ArgMax", "ArgMin", "Split")},
    ("", "LpNormalization"): Same(_one_axis(-1)),
    ("", "LayerNormalization"): Same(_normalised_axes),
    ("", "RMSNormalization"): Same(_normalised_axes),
    ("", "LRN"): Same(lambda view: [1]),
    ("", "Dropout"): _Dropout(),
    ("", "BatchNormalization"): _Normalisation(),
    ("", "QuantizeLinear"): Same(_quantised_axes),
    ("", "DequantizeLinear"): Same(_quantised_axes),
    ("", "Conv"): Sliding(weight=1),
    ("", "ConvInteger"): Sliding(weight=1),
    ("", "QLinearConv"): Sliding(weight=3),
    (_MICROSOFT, "FusedConv"): Sliding(weight=1, addend=3),
    (_MICROSOFT, "QLinearAveragePool"): Sliding(),
    **{("", name): Sliding() for name in ("MaxPool", "AveragePool", "LpPool")},
    ("", "ConvTranspose"): Transposed(weight=1),
    ("", "Concat"): Joined(),
    (_MICROSOFT, "QLinearConcat"): Joined(first=2, every=3),
    **{(_MICROSOFT, name): Broadcast((0, 3)) for name in ("QLinearAdd", "QLinearMul")},
    **{(_MICROSOFT, name): Broadcast((0,)) for name in ("QLinearLeakyRelu", "QLinearSigmoid")},
    **{(_MICROSOFT, name): Same(_quantised_axes) for name in ("QuantizeLinear", "DequantizeLinear")},
    ("", "Transpose"): Transposition(),
    ("", "Reshape"): Reshaping(),
    ("", "DepthToSpace"): Blocks(to_depth=False),
    ("", "SpaceToDepth"): Blocks(to_depth=True),
    ("", "Slice"): Cutting(),
    ("", "Pad"): Padding(),
    ("", "Resize"): Resizing(),
    ("", "Upsample"): Resizing(),
}


def rule_of(view: LayerView) -> Rule:
    """Return how a layer is divided. Raises IndivisibleError for operators that are not known."""
    domain = "" if view.node.domain == "ai.onnx" else view.node.domain
    rule = _RULES.get((domain, view.node.op_type))
    if rule is None or has_subgraph(view.node):
        raise IndivisibleError("the operator needs the whole map, or is not known")
    return rule
