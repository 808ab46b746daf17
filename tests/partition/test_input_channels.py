"""Division by input channels: partial sums, the bias once, groups, and what cannot be divided so."""

from typing import Any

import numpy as np
import onnx
import pytest

from partition_studio.partition.draft import ShardError
from partition_studio.partition.plan import InputChannelSharding
from tests.core.networks import load

from .channels import Builder, divided, lip, prove, traffic, weight_elements

CONVOLUTIONS: dict[str, tuple[tuple[int, ...], dict[str, Any]]] = {
    "plain": ((7, 12, 3, 3), {}),
    "strided, dilated and padded": ((7, 12, 3, 3), {"strides": [2, 1], "pads": [0, 1, 2, 1], "dilations": [1, 2]}),
    "same upper": ((7, 12, 4, 3), {"auto_pad": "SAME_UPPER", "strides": [2, 2]}),
    "two groups": ((8, 6, 3, 3), {"group": 2}),
    "three groups": ((18, 4, 3, 3), {"group": 3}),
    "six groups": ((6, 2, 3, 3), {"group": 6}),
    "depthwise with multiplier": ((24, 1, 3, 3), {"group": 12}),
    "no bias": ((7, 12, 1, 1), {"bias": False}),
}


@pytest.mark.parametrize("shares", [[1, 1], [1, 5], [3, 1, 2], [1, 1, 1, 1, 1, 1], [2, 7, 3]])
@pytest.mark.parametrize("name", CONVOLUTIONS)
def test_input_channels_of_any_convolution_are_divided_anywhere(name: str, shares: list[float]) -> None:
    shape, attributes = CONVOLUTIONS[name]
    builder = Builder()
    builder.input("x", (2, 12, 9, 8))
    model = builder.model(builder.conv("conv", "x", shape, **attributes))
    parted = prove(model, lip("conv", shares=shares))
    held = sum(int(np.prod(tensor.dims)) for tensor in model.graph.initializer)
    assert weight_elements(parted, "conv") == held, "the parts hold each weight once, and the bias once"


@pytest.mark.parametrize(("group", "filters"), [(1, 5), (2, 3), (3, 4), (6, 2)])
@pytest.mark.parametrize("shares", [[1, 1], [2, 1, 1]])
def test_input_channels_of_a_transposed_convolution_are_divided(group: int, filters: int, shares: list[float]) -> None:
    builder = Builder()
    builder.input("x", (1, 6, 5, 5))
    held = [builder.random("w", 6, filters, 3, 3), builder.random("b", filters * group)]
    attributes: dict[str, Any] = {"group": group, "strides": [2, 2], "pads": [1] * 4}
    model = builder.model(builder.add("ConvTranspose", "conv", ["x", *held], **attributes))
    parted = prove(model, lip("conv", shares=shares))
    assert weight_elements(parted, "conv") == 6 * filters * 9 + filters * group


@pytest.mark.parametrize("opset", [7, 9, 11, 17])
@pytest.mark.parametrize("attributes", [{}, {"transB": 1}, {"transA": 1}, {"alpha": 0.5, "beta": 3.0}])
def test_the_third_operand_of_a_gemm_is_added_once(opset: int, attributes: dict[str, Any]) -> None:
    builder = Builder(opset=opset)
    builder.input("x", (6, 3) if "transA" in attributes else (3, 6))
    held = [builder.random("w", *((7, 6) if "transB" in attributes else (6, 7))), builder.random("c", 3, 1)]
    prove(builder.model(builder.add("Gemm", "fc", ["x", *held], **attributes)), lip("fc", shares=[1, 2, 1]))


@pytest.mark.parametrize("shape", [(6, 7), (2, 6, 7)])
def test_a_product_with_constant_weights_is_divided_along_its_inner_axis(shape: tuple[int, ...]) -> None:
    builder = Builder()
    builder.input("x", (2, 4, 6))
    prove(builder.model(builder.add("MatMul", "fc", ["x", builder.random("w", *shape)])), lip("fc", shares=[1, 2]))


def test_whole_numbers_are_added_up_in_a_chain() -> None:
    builder = Builder()
    x = builder.input("x", (1, 6, 6, 6), onnx.TensorProto.UINT8)
    weight = builder.weight("w", builder.generator.integers(0, 200, (4, 6, 3, 3)).astype(np.uint8))
    zeros = [builder.weight("xz", np.uint8(7)), builder.weight("wz", np.uint8(100))]
    t = builder.add("ConvInteger", "conv", [x, weight, *zeros], pads=[1] * 4)
    parted = prove(builder.model(builder.add("Cast", "cast", [t], to=1)), lip("conv", shares=[1, 2, 1]))
    assert [layer.op_type for layer in parted.network.layers if layer.name.startswith("join:")] == ["Add", "Add"]


def test_quantised_weights_are_cut_along_their_input_channels() -> None:
    builder = Builder()
    builder.input("x", (1, 4, 6, 6))
    filters = builder.generator.integers(-100, 100, (6, 4, 3, 3)).astype(np.int8)
    held = [builder.weight("w", filters), builder.random("s", 6), builder.weight("z", np.zeros(6, np.int8))]
    t = builder.add("Conv", "conv", ["x", builder.add("DequantizeLinear", "dq", held, axis=0)])
    prove(builder.model(t), lip("conv", shares=[1, 3]))


def test_partial_sums_are_no_piece_of_the_whole() -> None:
    builder = Builder()
    model = builder.model(builder.conv("conv", builder.input("x", (1, 4, 6, 6)), (6, 4, 3, 3)))
    parted = prove(model, lip("conv"))
    assert not {"conv.out#0", "conv.out#1"} & set(parted.division.origins)
    assert not {"conv.out#0", "conv.out#1"} & set(parted.whole.tensors)


def test_groups_that_lie_in_one_part_are_joined_and_others_summed() -> None:
    builder = Builder()
    model = builder.model(builder.conv("conv", builder.input("x", (1, 12, 6, 6)), (6, 4, 3, 3), group=3))
    aligned = prove(model, lip("conv", shares=[1, 2]))
    assert [layer.op_type for layer in aligned.network.layers if layer.name.startswith("join:")] == ["Concat"]
    inside = prove(model, lip("conv", shares=[1, 1]))
    joins = {layer.name: layer for layer in inside.network.layers if layer.name.startswith("join:")}
    assert {name: layer.op_type for name, layer in joins.items()} == {
        "join:conv.out[2:4]": "Sum",
        "join:conv.out": "Concat",
    }
    assert inside.network.tensors["conv.out[2:4]"].shape[1] == 2, "only the group that both parts share is summed"


@pytest.mark.parametrize("factor", [1, 2])
def test_layers_before_the_sum_are_divided_with_its_input(factor: int) -> None:
    builder = Builder()
    t = builder.batch_norm("norm", builder.input("x", (1, 6, 6, 6)), 6)
    t = builder.conv("depthwise", builder.add("Relu", "relu", [t]), (6 * factor, 1, 3, 3), group=6)
    model = builder.model(builder.conv("conv", t, (5, 6 * factor, 3, 3)))
    parted = prove(model, lip("norm", "relu", "depthwise", "conv", shares=[1, 2]))
    assert traffic(parted) == {("d1", "d0"): ["conv.out#1"]}
    assert parted.network.tensors["depthwise.out#0"].shape[1] == 2 * factor


def test_a_flattened_map_is_divided_between_its_channels() -> None:
    builder = Builder()
    t = builder.add("Flatten", "flatten", [builder.add("Relu", "relu", [builder.input("x", (1, 6, 3, 3))])])
    model = builder.model(builder.add("Gemm", "fc", [t, builder.random("w", 54, 4), builder.random("b", 4)]))
    parted = prove(model, lip("relu", "flatten", "fc", shares=[1, 1.2, 1]))
    assert traffic(parted) == {("d1", "d0"): ["fc.out#1"], ("d2", "d0"): ["fc.out#2"]}
    prove(model, lip("flatten", "fc", shares=[9, 36, 9], unit="size"))
    with pytest.raises(ShardError, match=r"'fc' can be divided only every 9"):
        divided(load(model), [lip("flatten", "fc", shares=[10, 35, 9], unit="size")])
    prove(model, lip("fc", shares=[10, 35, 9], unit="size"))


def test_partial_layers_can_be_divided_again() -> None:
    builder = Builder()
    model = builder.model(builder.conv("conv", builder.input("x", (1, 6, 6, 6)), (6, 6, 3, 3)))
    parted = prove(model, lip("conv"), lip("conv#0", parts=3))
    assert {"conv#0#0", "conv#0#1", "conv#0#2", "conv#1"} < set(parted.network.layers_by_name)


def convolution_with(op_type: str, *, before: bool = False, **attributes: Any) -> onnx.ModelProto:
    builder = Builder()
    t = builder.input("x", (1, 4, 6, 6))
    if before:
        t = builder.add(op_type, "layer", [t], **attributes)
    t = builder.conv("conv", t, (6, 4, 3, 3))
    return builder.model(t if before else builder.add(op_type, "layer", [t], **attributes))


def two_convolutions() -> onnx.ModelProto:
    builder = Builder()
    t = builder.conv("conv", builder.input("x", (1, 4, 6, 6)), (6, 4, 3, 3))
    return builder.model(builder.conv("layer", t, (3, 6, 1, 1)))


def quantised_convolution() -> onnx.ModelProto:
    builder = Builder()
    x = builder.input("x", (1, 4, 6, 6), onnx.TensorProto.UINT8)
    q = [builder.weight("s", np.float32(0.01)), builder.weight("z", np.uint8(128))]
    weight = builder.weight("w", builder.generator.integers(0, 200, (6, 4, 3, 3)).astype(np.uint8))
    t = builder.add("QLinearConv", "conv", [x, *q, weight, *q, *q])
    return builder.model(builder.add("DequantizeLinear", "layer", [t, *q]))


REFUSALS: dict[str, tuple[onnx.ModelProto, InputChannelSharding, str]] = {
    "activation of a sum": (convolution_with("Relu"), lip("conv", "layer"), "'layer' .Relu.*'conv' gives partial ones"),
    "no filters": (convolution_with("Relu"), lip("layer"), "'layer' .Relu.*no filters"),
    "two sums": (two_convolutions(), lip("conv", "layer"), "'layer' .Conv.*'conv' gives partial ones"),
    "quantised result": (quantised_convolution(), lip("conv"), "'conv' .QLinearConv.*quantises its result"),
    "more parts than channels": (
        convolution_with("Relu"),
        lip("conv", parts=5),
        "'conv' has 4 input channels.*5 parts",
    ),
    "other sizes": (
        convolution_with("Relu"),
        lip("conv", shares=[3, 3], unit="size"),
        "'conv' sum to 6 input channels",
    ),
    "mixing layer before": (
        convolution_with("Softmax", before=True, axis=1),
        lip("layer", "conv"),
        "'layer' .Softmax.*sums over the channels",
    ),
    "no such layer": (convolution_with("Relu"), lip("nothing"), "'nothing'"),
}


@pytest.mark.parametrize("name", REFUSALS)
def test_what_cannot_be_divided_is_refused_with_its_name_and_a_reason(name: str) -> None:
    model, sharding, says = REFUSALS[name]
    with pytest.raises(ShardError, match=says) as caught:
        divided(load(model), [sharding])
    assert caught.value.next_step
    assert caught.value.details["layer"] in {"conv", "layer", "nothing"}
