"""Every operator that tiling knows, with every attribute that moves borders: tiles equal their pieces of the whole."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import onnx
import pytest

from tests.core.networks import load

from .one_layer import Make, conv, f32, i64, plain, transposed, with_constants
from .resizes import RESIZED
from .tiles import Builder, copies, equal, spatial

CASES: dict[str, Make] = {}


def case(name: str) -> Callable[[Make], Make]:
    def register(make: Make) -> Make:
        assert name not in CASES
        CASES[name] = make
        return make

    return register


CASES |= RESIZED

SAME3: dict[str, Any] = {"pads": [1, 1, 1, 1]}

CASES |= {
    "conv 3x3": conv([3, 3], **SAME3),
    "conv valid": conv([3, 3]),
    "conv 1x1": conv([1, 1]),
    "conv strided": conv([3, 3], strides=[2, 2], **SAME3),
    "conv stride 3": conv([5, 4], strides=[3, 2], pads=[2, 1, 1, 2]),
    "conv stride beyond kernel": conv([2, 1], strides=[3, 3]),
    "conv dilated": conv([3, 3], dilations=[2, 3], pads=[2, 3, 2, 3]),
    "conv groups": conv([3, 3], group=2, **SAME3),
    "conv depthwise": conv([3, 3], group=4, **SAME3),
    "conv asymmetric pads": conv([4, 4], pads=[0, 3, 2, 1]),
    "conv wide pads": conv([3, 3], pads=[4, 5, 4, 4]),
    "conv SAME_UPPER": conv([4, 3], auto_pad="SAME_UPPER", strides=[2, 2]),
    "conv SAME_LOWER": conv([4, 3], auto_pad="SAME_LOWER", strides=[2, 2]),
    "conv VALID": conv([3, 3], auto_pad="VALID"),
    "conv without kernel_shape, opset 7": conv([3, 3], opset=7, **SAME3),
    "conv on a batch": conv([3, 3], (3, 4, 13, 14), **SAME3),
    "transposed 2x2": transposed([2, 2], strides=[2, 2]),
    "transposed 3x3 with output padding": transposed([3, 3], strides=[2, 2], pads=[1, 1, 1, 1], output_padding=[1, 1]),
    "transposed 4x4": transposed([4, 4], strides=[2, 2], pads=[1, 1, 1, 1]),
    "transposed gaps": transposed([2, 2], strides=[3, 3]),
    "transposed gaps and output padding": transposed([1, 1], strides=[3, 3], output_padding=[2, 1]),
    "transposed dilated": transposed([3, 3], strides=[2, 1], dilations=[2, 2], pads=[0, 1, 2, 1]),
    "transposed groups": transposed([3, 3], group=2, strides=[2, 2]),
    "transposed output_shape": transposed([3, 3], strides=[2, 2], output_shape=[18, 20]),
    "transposed odd output_shape": transposed([4, 4], strides=[2, 2], output_shape=[19, 21]),
    "transposed SAME_UPPER": transposed([3, 3], strides=[2, 2], auto_pad="SAME_UPPER"),
    "transposed SAME_LOWER": transposed([4, 3], strides=[2, 2], auto_pad="SAME_LOWER"),
    "max pool": plain("MaxPool", kernel_shape=[2, 2], strides=[2, 2]),
    "max pool overlapping": plain("MaxPool", kernel_shape=[3, 3], strides=[2, 2], **SAME3),
    "max pool ceil": plain("MaxPool", kernel_shape=[3, 3], strides=[2, 2], ceil_mode=1),
    "max pool ceil padded": plain("MaxPool", kernel_shape=[3, 3], strides=[2, 3], pads=[1, 0, 0, 1], ceil_mode=1),
    "max pool dilated": plain("MaxPool", kernel_shape=[3, 3], dilations=[2, 2], pads=[1, 1, 1, 1]),
    "max pool dilated ceil": plain("MaxPool", kernel_shape=[2, 3], dilations=[3, 2], strides=[2, 2], ceil_mode=1),
    "max pool SAME_UPPER": plain("MaxPool", kernel_shape=[3, 2], strides=[2, 2], auto_pad="SAME_UPPER"),
    "max pool SAME_LOWER": plain("MaxPool", kernel_shape=[3, 2], strides=[2, 2], auto_pad="SAME_LOWER"),
    "max pool VALID": plain("MaxPool", kernel_shape=[3, 2], strides=[2, 2], auto_pad="VALID"),
    "max pool VALID ceil": plain(
        "MaxPool", (1, 2, 10, 10), kernel_shape=[4, 3], strides=[1, 3], auto_pad="VALID", ceil_mode=1
    ),
    "average pool VALID ceil": plain(
        "AveragePool", (1, 2, 10, 10), 19, kernel_shape=[4, 3], strides=[1, 3], auto_pad="VALID", ceil_mode=1
    ),
    "Lp pool VALID ceil": plain(
        "LpPool", (1, 2, 10, 10), 22, kernel_shape=[4, 3], strides=[1, 3], auto_pad="VALID", ceil_mode=1
    ),
    "max pool SAME dilated": plain(
        "MaxPool",
        (1, 2, 13, 15),
        22,
        kernel_shape=[2, 3],
        strides=[1, 3],
        dilations=[1, 2],
        auto_pad="SAME_UPPER",
        ceil_mode=1,
    ),
    "average pool SAME dilated": plain(
        "AveragePool",
        (1, 2, 13, 15),
        22,
        kernel_shape=[2, 3],
        strides=[1, 3],
        dilations=[1, 2],
        auto_pad="SAME_LOWER",
        ceil_mode=1,
    ),
    "Lp pool SAME with a stride beyond its kernel": plain(
        "LpPool", (1, 2, 14, 16), 22, kernel_shape=[1, 3], strides=[3, 2], auto_pad="SAME_UPPER"
    ),
    "conv SAME with a stride beyond its kernel": conv([1, 2], (1, 4, 14, 13), auto_pad="SAME_LOWER", strides=[2, 3]),
    "max pool, opset 8": plain("MaxPool", kernel_shape=[3, 3], opset=8, **SAME3),
    "average pool": plain("AveragePool", kernel_shape=[3, 3], **SAME3),
    "average pool with pads": plain("AveragePool", kernel_shape=[3, 3], count_include_pad=1, **SAME3),
    "average pool strided": plain("AveragePool", kernel_shape=[3, 4], strides=[2, 3], pads=[1, 2, 2, 1]),
    "average pool ceil": plain("AveragePool", kernel_shape=[3, 3], strides=[2, 2], ceil_mode=1, pads=[1, 1, 0, 0]),
    "average pool ceil with pads": plain(
        "AveragePool",
        kernel_shape=[3, 3],
        strides=[2, 2],
        ceil_mode=1,
        count_include_pad=1,
        pads=[1, 0, 0, 1],
        opset=19,
    ),
    "average pool dilated": plain("AveragePool", kernel_shape=[2, 2], dilations=[2, 3], pads=[1, 1, 1, 1], opset=19),
    "average pool SAME_UPPER": plain("AveragePool", kernel_shape=[3, 2], strides=[2, 2], auto_pad="SAME_UPPER"),
    "Lp pool": plain("LpPool", kernel_shape=[3, 2], strides=[2, 1], p=2, pads=[1, 0, 1, 1]),
    "Lp pool ceil": plain("LpPool", kernel_shape=[3, 3], strides=[2, 2], p=3, ceil_mode=1, opset=18),
    "batch normalisation": with_constants(
        "BatchNormalization", f32([1, 2, 3, 4]), f32([0, 1, 0, 1]), f32([0.1, 0.2, 0, 0]), f32([1, 2, 1, 3])
    ),
    "LRN": plain("LRN", size=3),
    "Softmax on channels": plain("Softmax", axis=1),
    "ReduceMean on channels": plain("ReduceMean", axes=[1], keepdims=1),
    "ReduceMax on channels, opset 18": with_constants("ReduceMax", i64(1), opset=18),
    "ArgMax on channels": plain("ArgMax", axis=1, keepdims=1),
    "layer normalisation beside the map": with_constants("LayerNormalization", f32([1] * 14), f32([0] * 14), axis=-1),
    "PRelu on channels": with_constants("PRelu", f32([[[0.1]], [[0.2]], [[0.3]], [[0.4]]])),
    "PRelu on a map": with_constants("PRelu", np.linspace(0, 1, 4 * 13 * 14, dtype=np.float32).reshape(4, 13, 14)),
    "Clip": with_constants("Clip", f32(-0.5), f32(0.5)),
    "Clip, opset 7": plain("Clip", min=-0.5, max=0.5, opset=7),
    "Dropout": with_constants("Dropout", f32(0.5)),
    "Dropout, opset 7": plain("Dropout", opset=7, ratio=0.5),
    "Cast": plain("Cast", to=onnx.TensorProto.INT32),
    "Add of a scalar": with_constants("Add", f32(1.5)),
    "Mul with channels": with_constants("Mul", np.linspace(1, 2, 4, dtype=np.float32).reshape(1, 4, 1, 1)),
    "Add of a map": with_constants("Add", np.linspace(0, 1, 13 * 14, dtype=np.float32).reshape(13, 14)),
    "Sub of rows": with_constants("Sub", np.linspace(0, 1, 13, dtype=np.float32).reshape(13, 1)),
    "Div by columns": with_constants("Div", np.linspace(1, 2, 14, dtype=np.float32)),
    "Pow": with_constants("Pow", f32(2)),
    "Max of constants": with_constants("Max", f32(0.1), np.linspace(0, 1, 14, dtype=np.float32)),
    "Pad": with_constants("Pad", i64(0, 0, 2, 1, 0, 0, 0, 3)),
    "Pad with a number, and channels": with_constants("Pad", i64(0, 1, 2, 1, 0, 0, 5, 3), f32(2.5)),
    "Pad that crops": with_constants("Pad", i64(0, 0, -2, 1, 0, 0, 1, -3)),
    "Pad with axes": with_constants("Pad", i64(2, 1, 0, 3), None, i64(-2, 3), opset=18),
    "Pad, opset 7": plain("Pad", pads=[0, 0, 2, 1, 0, 0, 0, 3], value=1.5, opset=7),
    "Pad reflect": with_constants("Pad", i64(0, 0, 2, 1, 0, 0, 3, 3), mode="reflect"),
    "Pad edge": with_constants("Pad", i64(0, 0, 5, 1, 0, 0, 3, 0), mode="edge"),
    "DepthToSpace": plain("DepthToSpace", blocksize=2),
    "DepthToSpace CRD": plain("DepthToSpace", blocksize=2, mode="CRD"),
    "SpaceToDepth": plain("SpaceToDepth", (1, 2, 12, 16), blocksize=2),
    "Slice of channels": with_constants("Slice", i64(1), i64(3), i64(1)),
    "Slice of the map": with_constants("Slice", i64(2, 1), i64(2**31, -1), i64(2, -1), i64(1, 2)),
    "Slice of all axes": with_constants("Slice", i64(0, 0, 2, 1), i64(1, 3, 12, 14)),
    "Slice that turns channels": with_constants("Slice", i64(-1), i64(-(2**40)), i64(1), i64(-1)),
    "Slice, opset 7": plain("Slice", starts=[1, 2], ends=[3, -1], axes=[1, 2], opset=7),
    "LeakyRelu, opset 7": plain("LeakyRelu", opset=7),
    "Identity": plain("Identity"),
    "Upsample, opset 7": plain("Upsample", (1, 2, 7, 9), opset=7, mode="nearest", scales=[1.0, 1.0, 2.0, 3.0]),
    "Upsample, opset 9": with_constants("Upsample", f32([1, 1, 2, 2]), shape=(1, 2, 7, 9), opset=9, mode="linear"),
    "Resize, opset 10": with_constants("Resize", f32([1, 1, 2, 3]), shape=(1, 2, 7, 9), opset=10, mode="nearest"),
    "Resize linear, opset 10": with_constants("Resize", f32([1, 1, 2, 2]), shape=(1, 2, 7, 9), opset=10, mode="linear"),
}


@case("split of channels")
def _split() -> Builder:
    b = Builder((1, 5, 13, 14))
    b.nodes.append(onnx.helper.make_node("Split", ["x", b.const([2, 3], np.int64)], ["a", "b"], name="n0", axis=1))
    b.last = "b"
    return b


@case("transposition beside the map")
def _transpose() -> Builder:
    b = Builder((2, 3, 13, 14))
    b.add("Transpose", perm=[1, 0, 2, 3])
    return b


@case("transposition of the map")
def _transpose_map() -> Builder:
    b = Builder((2, 3, 13, 14))
    b.add("Transpose", perm=[0, 2, 3, 1])
    b.add("Relu")
    b.add("Transpose", perm=[0, 3, 1, 2])
    b.conv(None, 3, 2, [3, 3])
    return b


@case("channel shuffle")
def _shuffle() -> Builder:
    b = Builder((1, 6, 13, 14))
    b.add("Reshape", None, b.const([0, 2, 3, 13, -1], np.int64))
    b.add("Transpose", perm=[0, 2, 1, 3, 4])
    b.add("Reshape", None, b.const([1, 6, 13, 14], np.int64))
    return b


@case("concatenation of channels")
def _concat() -> Builder:
    b = Builder()
    b.conv("x", 3, 2, [3, 3], pads=[1, 1, 1, 1])
    b.add("Concat", ["x", b.last, "x"], axis=1)
    return b


@case("where")
def _where() -> Builder:
    b = Builder()
    b.add("Greater", ["x", b.const(0)])
    b.add("Where", [b.last, "x", b.random(1, 3, 1, 11)])
    return b


@case("branches that need different halos")
def _branches() -> Builder:
    b = Builder((1, 3, 16, 16))
    root = b.conv("x", 3, 4, [3, 3], pads=[1, 1, 1, 1])
    wide = b.conv(root, 4, 4, [5, 5], pads=[2, 2, 2, 2])
    b.add("MaxPool", [root], kernel_shape=[3, 3], pads=[1, 1, 1, 1])
    b.add("Sum", [root, wide, b.last])
    return b


@case("an input with one value for each channel")
def _gate() -> Builder:
    b = Builder()
    b.add("Mul", ["x", b.add_input("gate", (1, 3, 1, 1))])
    b.add("Add", [b.last, b.add_input("rows", (13, 1))])
    return b


@case("constants made by nodes")
def _dequantised() -> Builder:
    b = Builder((1, 3, 13, 14))
    b.add(
        "DequantizeLinear",
        [b.const(np.arange(9 * 12).reshape(4, 3, 3, 3), np.uint8), b.const(0.01), b.const(7, np.uint8)],
    )
    b.add("Conv", ["x", b.last], pads=[1, 1, 1, 1])
    return b


@case("a map made by nodes")
def _dequantised_map() -> Builder:
    b = Builder((1, 1, 13, 14))
    b.add(
        "DequantizeLinear", [b.const(np.arange(13 * 14).reshape(13, 14), np.uint8), b.const(0.01), b.const(7, np.uint8)]
    )
    b.add("Add", ["x", b.last])
    return b


@case("a map dequantised row by row")
def _dequantised_rows() -> Builder:
    b = Builder((1, 3, 13, 14), opset=13)
    whole, scales = b.const(b.generator.integers(-9, 9, (1, 3, 13, 14)), np.int8), b.const(np.linspace(0.1, 2, 13))
    b.add("DequantizeLinear", [whole, scales], axis=2)
    b.add("Add", ["x", b.last])
    return b


@case("layer normalisation that leaves its mean out")
def _without_mean() -> Builder:
    b = Builder((1, 3, 13, 14))
    outputs = ["y", "", "inverse"]
    b.nodes.append(onnx.helper.make_node("LayerNormalization", ["x", b.random(14)], outputs, name="n0"))
    b.add("Add", ["y", "inverse"])
    return b


@case("quantised convolution")
def _qlinear_conv() -> Builder:
    b = Builder((1, 3, 13, 14))
    scale, zero = b.const(0.05), b.const(110, np.uint8)
    b.add("QuantizeLinear", None, scale, zero)
    w = b.const(b.generator.integers(-90, 90, (4, 3, 3, 3)), np.int8)
    w_scale, w_zero = b.const([0.01, 0.02, 0.01, 0.03]), b.const([0, 0, 0, 0], np.int8)
    bias = b.const([3, 5, -7, 100], np.int32)
    out, out_zero = b.const(0.3), b.const(130, np.uint8)
    b.add("QLinearConv", [b.last, scale, zero, w, w_scale, w_zero, out, out_zero, bias], pads=[1, 1, 1, 1])
    b.add("DequantizeLinear", None, out, out_zero)
    return b


@case("a convolution between quantisation pairs")
def _qdq() -> Builder:
    b = Builder((1, 3, 13, 14))
    scale, zero = b.const(0.05), b.const(3, np.int8)
    b.add("QuantizeLinear", None, scale, zero)
    b.add("DequantizeLinear", None, scale, zero)
    b.conv(None, 3, 4, [3, 3], pads=[1, 1, 1, 1])
    scales, zeros = b.const([0.1, 0.2, 0.3, 0.4]), b.const([0, 1, 2, 3], np.int8)
    b.add("QuantizeLinear", None, scales, zeros, axis=1)
    b.add("DequantizeLinear", None, scales, zeros, axis=1)
    return b


@case("quantised operators of the runtime")
def _microsoft() -> Builder:
    b = Builder((1, 3, 13, 14))
    scale, zero = b.const(0.05), b.const(110, np.uint8)
    q = b.add("QuantizeLinear", None, scale, zero)
    ms = {"domain": "com.microsoft"}
    s = b.add("QLinearAdd", [q, scale, zero, q, scale, zero, b.const(0.1), zero], **ms)
    leaky = b.add("QLinearLeakyRelu", [s, b.const(0.1), zero, b.const(0.1), zero], **ms)
    b.add("QLinearConcat", [b.const(0.1), zero, q, scale, zero, leaky, b.const(0.1), zero], axis=1, **ms)
    b.add("DequantizeLinear", None, b.const(0.1), zero)
    return b


@case("fused convolution of the runtime")
def _fused() -> Builder:
    b = Builder((1, 3, 13, 14))
    added = b.conv("x", 3, 4, [1, 1])
    w, bias = b.random(4, 3, 3, 3), b.random(4)
    b.add("FusedConv", ["x", w, bias, added], pads=[1, 1, 1, 1], activation="Relu", domain="com.microsoft")
    return b


GRIDS = [([1, 3, 2], [1]), ([2, 1], [1, 1])]
#: What these do to columns cannot be divided.
WHOLE_COLUMNS = [
    "layer normalisation beside the map",
    "layer normalisation that leaves its mean out",
    "resize by half_pixel_symmetric, inexact beside the tiles",
    "resize by pytorch_half_pixel to one column",
]
MORE_GRIDS = [([1, 1], [1]), ([1], [2, 1]), ([1], [1, 1, 1, 1]), ([1, 2], [2, 1])]


@pytest.mark.parametrize("name", CASES)
def test_tiles_equal_the_whole(name: str) -> None:
    _check(name, GRIDS)


@pytest.mark.slow
@pytest.mark.parametrize("name", CASES)
def test_tiles_of_more_grids_equal_the_whole(name: str) -> None:
    _check(name, MORE_GRIDS)


def _check(name: str, grids: Sequence[tuple[list[int], list[int]]]) -> None:
    b = CASES[name]()
    model = b.model()
    layers = [layer.name for layer in load(model).layers]
    for rows, columns in grids:
        if len(columns) > 1 and name in WHOLE_COLUMNS:
            continue
        parted = equal(model, spatial(layers, rows, columns))
        for layer in layers:
            assert len(copies(parted, layer)) == len(rows) * len(columns), f"{layer} is divided"
