"""Division by output channels: each operator, each way of grouping, and what cannot be divided."""

from collections.abc import Callable
from typing import Any

import numpy as np
import onnx
import pytest

from partition_studio.partition.draft import ShardError
from partition_studio.partition.plan import OutputChannelSharding
from tests.core.networks import load

from .channels import Builder, divided, lop, prove, traffic, weight_elements

Follow = Callable[[Builder, str], str]


def after_convolution(
    follow: Follow, *, opset: int = 17, filters: int = 6, domains: tuple[str, ...] = ()
) -> onnx.ModelProto:
    """`x -> conv -> layer -> y`, the layer being what `follow` adds."""
    builder = Builder(opset=opset)
    x = builder.input("x", (1, 4, 6, 6))
    return builder.model(follow(builder, builder.conv("conv", x, (filters, 4, 3, 3), pads=[1] * 4)), domains=domains)


def unary(op_type: str, **attributes: Any) -> Follow:
    return lambda b, x: b.add(op_type, "layer", [x], **attributes)


def quantised(b: Builder, x: str, *, per_channel: bool) -> str:
    scale = np.linspace(0.1, 0.2, 6, dtype=np.float32) if per_channel else np.float32(0.05)
    zero = np.arange(6, dtype=np.int8) if per_channel else np.int8(3)
    held = [b.weight("scale", scale), b.weight("zero", zero)]
    return b.add("DequantizeLinear", "layer", [b.add("QuantizeLinear", "q", [x, *held], axis=1), *held], axis=1)


PLAIN = ("Relu", "Sigmoid", "Tanh", "Erf", "HardSwish", "Identity", "Softplus", "Dropout")

ALIKE: dict[str, Follow] = {
    **{name: unary(name) for name in PLAIN},
    "LeakyRelu": unary("LeakyRelu", alpha=0.3),
    "Clip": lambda b, x: b.add("Clip", "layer", [x, b.weight("lo", np.float32(-1)), b.weight("hi", np.float32(1))]),
    "Cast": lambda b, x: b.add("Cast", "back", [b.add("Cast", "layer", [x], to=onnx.TensorProto.DOUBLE)], to=1),
    "PRelu": lambda b, x: b.add("PRelu", "layer", [x, b.random("slope", 6, 1, 1)]),
    "PRelu with one slope": lambda b, x: b.add("PRelu", "layer", [x, b.random("slope", 1)]),
    "BatchNormalization": lambda b, x: b.batch_norm("layer", x, 6),
    "InstanceNormalization": lambda b, x: b.add(
        "InstanceNormalization", "layer", [x, b.random("s", 6), b.random("b", 6)]
    ),
    "LayerNormalization over the map": lambda b, x: b.add(
        "LayerNormalization", "layer", [x, b.random("s", 6, 6)], axis=2
    ),
    "MaxPool": unary("MaxPool", kernel_shape=[2, 2], strides=[2, 2]),
    "AveragePool": unary("AveragePool", kernel_shape=[3, 3], pads=[1] * 4, count_include_pad=1, ceil_mode=1),
    "LpPool": unary("LpPool", kernel_shape=[2, 2]),
    "GlobalAveragePool": unary("GlobalAveragePool"),
    "GlobalMaxPool": unary("GlobalMaxPool"),
    "Add of a constant per channel": lambda b, x: b.add("Add", "layer", [x, b.random("c", 1, 6, 1, 1)]),
    "Mul by a number": lambda b, x: b.add("Mul", "layer", [b.weight("c", np.float32(2)), x]),
    "Sub of a map for all channels": lambda b, x: b.add("Sub", "layer", [x, b.random("c", 6, 1)]),
    "Add of another tensor": lambda b, x: b.add("Add", "layer", [x, b.conv("side", "x", (6, 4, 1, 1))]),
    "Mul by a gate": lambda b, x: b.add("Mul", "layer", [x, b.add("GlobalAveragePool", "gate", [x])]),
    "Concat on rows": lambda b, x: b.add("Concat", "layer", [x, x], axis=2),
    "Pad of the map": lambda b, x: b.add("Pad", "layer", [x, b.weight("p", np.array([0, 0, 1, 2, 0, 0, 2, 1]))]),
    "Pad of named axes": lambda b, x: b.add(
        "Pad", "layer", [x, b.weight("p", np.array([1, 2])), "", b.weight("a", np.array([-1]))], mode="reflect"
    ),
    "Resize by scales": lambda b, x: b.add(
        "Resize", "layer", [x, "", b.weight("s", np.array([1, 1, 2, 1.5], np.float32))], mode="linear"
    ),
    "Resize to sizes": lambda b, x: b.add(
        "Resize", "layer", [x, "", "", b.weight("s", np.array([1, 6, 9, 4]))], mode="nearest"
    ),
    "Slice of rows": lambda b, x: b.add(
        "Slice", "layer", [x, *(b.weight(f"n{i}", np.array([n])) for i, n in enumerate((1, 5, 2, 2)))]
    ),
    "Softmax over columns": unary("Softmax", axis=3),
    "ReduceMean of the map": unary("ReduceMean", axes=[2, 3]),
    "ReduceMax without the axes": unary("ReduceMax", axes=[-1, 2], keepdims=0),
    "Transpose": unary("Transpose", perm=[0, 2, 3, 1]),
    "Flatten": unary("Flatten"),
    "Flatten counted from behind": unary("Flatten", axis=-3),
    "Reshape to a vector": lambda b, x: b.add("Reshape", "layer", [x, b.weight("n", np.array([1, -1]))]),
    "Reshape of the map": lambda b, x: b.add("Reshape", "layer", [x, b.weight("n", np.array([0, 6, 36]))]),
    "Squeeze": lambda b, x: b.add("Squeeze", "layer", [x, b.weight("n", np.array([0]))]),
    "Unsqueeze": lambda b, x: b.add("Unsqueeze", "layer", [x, b.weight("n", np.array([1]))]),
    "Quantisation": lambda b, x: quantised(b, x, per_channel=False),
    "Quantisation per channel": lambda b, x: quantised(b, x, per_channel=True),
    "LRN": unary("LRN", size=3, alpha=0.5),
    "Depthwise Conv": lambda b, x: b.conv("layer", x, (6, 1, 3, 3), group=6),
    "Depthwise Conv with multiplier": lambda b, x: b.conv("layer", x, (12, 1, 3, 3), group=6),
}  # fmt: skip


@pytest.mark.parametrize("name", ALIKE)
def test_a_layer_that_works_per_channel_stays_divided(name: str) -> None:
    model = after_convolution(ALIKE[name], opset=18 if name == "Pad of named axes" else 17)
    layers = [node.name for node in model.graph.node]
    parted = prove(model, lop(*layers, shares=[1, 2]))
    assert {"layer#0", "layer#1"} <= set(parted.network.layers_by_name)
    crossing = [tensor for tensors in traffic(parted).values() for tensor in tensors]
    last = model.graph.output[0].name
    around = ["conv.out#0[1:2]", "conv.out#1[0:1]"] if name == "LRN" else []
    assert set(crossing) - set(around) <= {f"{last}#0", f"{last}#1"}, "only the last layer's parts travel"


NONE = np.zeros(0, np.float32)

#: Forms of operators in older and newer opsets.
FORMS: dict[str, tuple[int, Follow]] = {
    "Pad 2": (9, unary("Pad", pads=[0, 0, 1, 1, 0, 0, 2, 1])),
    "Softmax 1": (11, unary("Softmax", axis=3)),
    "Slice 1": (9, unary("Slice", starts=[1], ends=[4], axes=[2])),
    "Upsample 7": (7, unary("Upsample", scales=[1.0, 1.0, 2.0, 2.0])),
    "Upsample 9": (9, lambda b, x: b.add("Upsample", "layer", [x, b.weight("s", np.array([1, 1, 2, 2], np.float32))])),
    "Resize 10": (10, lambda b, x: b.add("Resize", "layer", [x, b.weight("s", np.array([1, 1, 2, 2], np.float32))])),
    "Resize 11": (
        11,
        lambda b, x: b.add(
            "Resize", "layer", [x, b.weight("r", NONE), b.weight("s", NONE), b.weight("n", np.array([1, 6, 9, 4]))]
        ),
    ),
    "Resize 18": (18, lambda b, x: b.add("Resize", "layer", [x, "", "", b.weight("n", np.array([9, 4]))], axes=[2, 3])),
    "ReduceMean 18": (18, lambda b, x: b.add("ReduceMean", "layer", [x, b.weight("n", np.array([2, 3]))], keepdims=0)),
    "Squeeze 1": (11, lambda b, x: b.add("Squeeze", "layer", [b.add("GlobalMaxPool", "pool", [x])], axes=[2, 3])),
    "Clip 6": (9, unary("Clip", min=-1.0, max=1.0)),
    "Dropout 7": (7, unary("Dropout", ratio=0.4)),
    "BatchNormalization 7": (7, lambda b, x: b.batch_norm("layer", x, 6)),
    "GroupNormalization 21": (
        21,
        lambda b, x: b.add("GroupNormalization", "layer", [x, b.random("s", 6), b.random("b", 6)], num_groups=3),
    ),
}


@pytest.mark.parametrize("name", FORMS)
def test_older_and_newer_forms_of_operators_stay_divided(name: str) -> None:
    opset, follow = FORMS[name]
    model = after_convolution(follow, opset=opset)
    parted = prove(model, lop(*(node.name for node in model.graph.node), shares=[1, 2]))
    assert {"layer#0", "layer#1"} <= set(parted.network.layers_by_name)


CONVOLUTIONS: dict[str, tuple[tuple[int, ...], dict[str, Any]]] = {
    "plain": ((7, 12, 3, 3), {}),
    "strided and padded": ((7, 12, 3, 3), {"strides": [2, 1], "pads": [0, 1, 2, 1]}),
    "dilated": ((7, 12, 3, 3), {"dilations": [2, 2]}),
    "same upper": ((7, 12, 4, 3), {"auto_pad": "SAME_UPPER", "strides": [2, 2]}),
    "same lower": ((7, 12, 4, 3), {"auto_pad": "SAME_LOWER", "strides": [2, 2]}),
    "valid": ((7, 12, 3, 3), {"auto_pad": "VALID"}),
    "two groups": ((8, 6, 3, 3), {"group": 2}),
    "three groups": ((18, 4, 3, 3), {"group": 3}),
    "depthwise": ((12, 1, 3, 3), {"group": 12}),
    "depthwise with multiplier": ((36, 1, 3, 3), {"group": 12}),
    "no bias": ((7, 12, 1, 1), {"bias": False}),
}


@pytest.mark.parametrize("shares", [[1, 1], [1, 5], [3, 1, 2], [1, 1, 1, 1, 1, 1]])
@pytest.mark.parametrize("name", CONVOLUTIONS)
def test_filters_of_any_convolution_are_divided_anywhere(name: str, shares: list[float]) -> None:
    shape, attributes = CONVOLUTIONS[name]
    builder = Builder()
    builder.input("x", (2, 12, 9, 8))
    model = builder.model(builder.conv("conv", "x", shape, **attributes))
    parted = prove(model, lop("conv", shares=shares))
    held = sum(int(np.prod(tensor.dims)) for tensor in model.graph.initializer)
    assert weight_elements(parted, "conv") == held, "the parts hold each weight once"


@pytest.mark.parametrize(("group", "filters"), [(1, 5), (2, 3), (3, 4), (6, 1), (6, 2)])
@pytest.mark.parametrize("shares", [[1, 1], [2, 1, 1]])
def test_filters_of_a_transposed_convolution_are_divided(group: int, filters: int, shares: list[float]) -> None:
    builder = Builder()
    builder.input("x", (1, 6, 5, 5))
    held = [builder.random("w", 6, filters, 3, 3), builder.random("b", filters * group)]
    attributes: dict[str, Any] = {"group": group, "strides": [2, 2], "pads": [1] * 4, "output_padding": [1, 0]}
    model = builder.model(builder.add("ConvTranspose", "conv", ["x", *held], **attributes))
    parted = prove(model, lop("conv", shares=shares))
    assert weight_elements(parted, "conv") == 6 * filters * 9 + filters * group


@pytest.mark.parametrize("flipped", [0, 1])
@pytest.mark.parametrize("bias", [None, (), (1,), (7,), (1, 7), (3, 7), (3, 1)])
def test_a_gemm_is_divided_with_any_bias(flipped: int, bias: tuple[int, ...] | None) -> None:
    builder = Builder()
    builder.input("x", (3, 5))
    held = [builder.random("w", *((7, 5) if flipped else (5, 7)))]
    if bias is not None:
        held.append(builder.random("c", *bias))
    model = builder.model(builder.add("Gemm", "fc", ["x", *held], transB=flipped, alpha=0.5, beta=2.0))
    prove(model, lop("fc", shares=[1, 2, 1]))


def test_a_gemm_of_a_transposed_input_is_divided() -> None:
    builder = Builder()
    builder.input("x", (5, 3))
    model = builder.model(builder.add("Gemm", "fc", ["x", builder.random("w", 5, 7)], transA=1))
    prove(model, lop("fc"))


@pytest.mark.parametrize("shape", [(5, 7), (1, 5, 7), (2, 5, 7)])
def test_a_product_with_constant_weights_is_divided_along_its_last_axis(shape: tuple[int, ...]) -> None:
    builder = Builder()
    builder.input("x", (2, 4, 5))
    t = builder.add("MatMul", "product", ["x", builder.random("w", *shape)])
    t = builder.add("Add", "bias", [t, builder.random("b", 7)])
    t = builder.add("Softmax", "weights", [t], axis=1)
    prove(builder.model(t), lop("product", "bias", "weights", shares=[1, 2]))


def quantised_convolution(builder: Builder, x: str, *, per_channel: bool, group: int = 1) -> str:
    """Return a convolution in QDQ form: weight and bias behind DequantizeLinear."""
    scale = np.linspace(0.01, 0.03, 6, dtype=np.float32) if per_channel else np.float32(0.02)
    zero = np.zeros(6, np.int8) if per_channel else np.int8(0)
    filters = builder.generator.integers(-100, 100, (6, 4 // group, 3, 3)).astype(np.int8)
    held = [builder.weight("w", filters), builder.weight("ws", scale), builder.weight("wz", zero)]
    weight = builder.add("DequantizeLinear", "dqw", held, axis=0)
    bias = [builder.weight("b", np.arange(6, dtype=np.int32) * 100), builder.weight("bs", scale * np.float32(0.05))]
    bias_value = builder.add("DequantizeLinear", "dqb", bias, axis=0)
    xq = [builder.weight("xs", np.float32(0.01)), builder.weight("xz", np.uint8(128))]
    t = builder.add("DequantizeLinear", "dqx", [builder.add("QuantizeLinear", "qx", [x, *xq]), *xq])
    t = builder.add("Conv", "conv", [t, weight, bias_value], group=group)
    yq = [builder.weight("ys", np.float32(0.1)), builder.weight("yz", np.uint8(120))]
    return builder.add("DequantizeLinear", "dqy", [builder.add("QuantizeLinear", "qy", [t, *yq]), *yq])


@pytest.mark.parametrize("per_channel", [False, True])
@pytest.mark.parametrize("group", [1, 2])
def test_quantised_weights_are_cut_with_their_scales(per_channel: bool, group: int) -> None:
    builder = Builder()
    x = builder.input("x", (1, 4, 6, 6))
    model = builder.model(quantised_convolution(builder, x, per_channel=per_channel, group=group))
    parted = prove(model, lop("conv", "qy", "dqy", shares=[1, 2]))
    copies = [name for name, source in parted.division.sources.items() if source == "conv"]
    scalars = 0 if per_channel else 3 * sum(name.startswith("conv#") for name in copies)
    assert weight_elements(parted, "conv") - scalars == 6 * 36 // group + 6 + (18 if per_channel else 0)


def test_quantised_operators_are_divided() -> None:
    builder = Builder()
    x = builder.input("x", (1, 4, 6, 6))
    q = [builder.weight("xs", np.float32(0.01)), builder.weight("xz", np.uint8(128))]
    held = [
        builder.weight("w", builder.generator.integers(-100, 100, (6, 4, 3, 3)).astype(np.int8)),
        builder.weight("ws", np.linspace(0.01, 0.03, 6, dtype=np.float32)),
        builder.weight("wz", np.zeros(6, np.int8)),
    ]
    y = [builder.weight("ys", np.float32(0.1)), builder.weight("yz", np.uint8(128))]
    bias = builder.weight("b", np.arange(6, dtype=np.int32) * 100)
    t = builder.add("QuantizeLinear", "q", [x, *q])
    t = builder.add("QLinearConv", "conv", [t, *q, *held, *y, bias])
    t = builder.add("QLinearGlobalAveragePool", "pool", [t, *y, *y], domain="com.microsoft", channels_last=0)
    t = builder.add("QLinearAdd", "sum", [t, *y, t, *y, *y], domain="com.microsoft")
    model = builder.model(builder.add("DequantizeLinear", "dq", [t, *y]), domains=["com.microsoft"])
    prove(model, lop("conv", "pool", "sum", "dq", shares=[1, 2, 1]))


def test_integer_operators_are_divided() -> None:
    builder = Builder()
    x = builder.input("x", (1, 4, 6, 6))
    q = [builder.weight("xs", np.float32(0.01)), builder.weight("xz", np.uint8(128))]
    t = builder.add("QuantizeLinear", "q", [x, *q])
    weight = builder.weight("w", builder.generator.integers(0, 200, (6, 4, 3, 3)).astype(np.uint8))
    t = builder.add("ConvInteger", "conv", [t, weight, q[1], builder.weight("wz", np.uint8(100))])
    t = builder.add("Cast", "cast", [t], to=1)
    prove(builder.model(t), lop("conv", "cast", shares=[1, 2, 1]))
    product = Builder()
    x = product.input("x", (2, 5), onnx.TensorProto.UINT8)
    weight = product.weight("w", product.generator.integers(0, 200, (5, 6)).astype(np.uint8))
    zeros = [product.weight("xz", np.uint8(7)), product.weight("wz", np.arange(6, dtype=np.uint8))]
    t = product.add("Cast", "cast", [product.add("MatMulInteger", "fc", [x, weight, *zeros])], to=1)
    prove(product.model(t), lop("fc", "cast", shares=[1, 2, 1]))


def test_a_fused_convolution_is_divided_with_what_it_adds() -> None:
    builder = Builder()
    x = builder.input("x", (1, 4, 6, 6))
    side = builder.conv("side", x, (6, 4, 1, 1))
    held = [builder.random("w", 6, 4, 1, 1), builder.random("b", 6)]
    t = builder.add("FusedConv", "conv", [x, *held, side], domain="com.microsoft", activation="Relu")
    prove(builder.model(t, domains=["com.microsoft"]), lop("conv", shares=[1, 2]))


def test_each_layer_with_filters_in_a_run_is_divided_anew() -> None:
    builder = Builder()
    t = builder.conv("a", builder.input("x", (1, 3, 6, 6)), (8, 3, 3, 3))
    t = builder.conv("b", builder.add("Relu", "relu", [t]), (4, 8, 3, 3))
    parted = prove(builder.model(t), lop("a", "relu", "b", shares=[1, 3]))
    sizes = {name: parted.network.tensors[name].shape[1] for name in ("a.out#0", "relu.out#1", "b.out#0", "b.out#1")}
    assert sizes == {"a.out#0": 2, "relu.out#1": 6, "b.out#0": 1, "b.out#1": 3}


def test_a_concat_on_channels_inside_a_run_becomes_a_join() -> None:
    builder = Builder()
    x = builder.conv("stem", builder.input("x", (1, 3, 6, 6)), (4, 3, 1, 1))
    left, right = builder.conv("left", x, (5, 4, 1, 1)), builder.conv("right", x, (6, 4, 3, 3), pads=[1] * 4)
    t = builder.add("Relu", "relu", [builder.add("Concat", "concat", [left, right], axis=1)])
    model = builder.model(builder.conv("last", t, (4, 11, 1, 1)))
    parted = prove(model, lop("stem", "left", "right", "concat", "relu", "last", shares=[1, 2]))
    assert "concat" not in parted.network.layers_by_name


def test_a_tensor_that_is_read_outside_or_is_an_output_is_joined() -> None:
    builder = Builder()
    t = builder.conv("a", builder.input("x", (1, 3, 6, 6)), (8, 3, 3, 3))
    side = builder.add("Softmax", "side", [t], axis=1)
    t = builder.add("Relu", "relu", [t])
    parted = prove(builder.model(t, side), lop("a", "relu"))
    assert {"join:a.out", "join:relu.out"} <= set(parted.network.layers_by_name)


def test_parts_can_be_divided_again() -> None:
    builder = Builder()
    t = builder.conv("a", builder.input("x", (1, 3, 6, 6)), (8, 3, 3, 3))
    t = builder.add("Relu", "relu", [t])
    parted = prove(builder.model(t), lop("a", "relu"), lop("a#1", "relu#1", parts=3))
    origin = parted.division.origins["relu.out#1#2"]
    assert (origin.whole, origin.ranges[0].start, origin.ranges[0].stop) == ("relu.out", 7, 8)
    assert list(parted.network.layers_by_name["join:relu.out"].inputs) == [
        "relu.out#0", "relu.out#1#0", "relu.out#1#1", "relu.out#1#2",
    ]  # fmt: skip


def test_sizes_are_taken_exactly() -> None:
    builder = Builder()
    model = builder.model(builder.conv("a", builder.input("x", (1, 3, 6, 6)), (8, 3, 3, 3)))
    parted = prove(model, lop("a", shares=[5, 3], unit="size"))
    assert [parted.network.tensors[f"a.out#{part}"].shape[1] for part in range(2)] == [5, 3]


def padding(b: Builder, x: str) -> str:
    return b.add("Pad", "layer", [x, b.weight("p", np.array([0, 1, 0, 0, 0, 0, 0, 0]))])


def shuffle(b: Builder, x: str) -> str:
    return b.add("Reshape", "layer", [x, b.weight("n", np.array([1, 3, 2, 36]))])


def computed_weight(b: Builder, x: str) -> str:
    return b.add("Conv", "layer", [x, b.add("Reshape", "w", [x, b.weight("n", np.array([6, 6, 6, 1]))])])


REFUSALS: dict[str, tuple[Follow, OutputChannelSharding, str]] = {
    "a sum over channels": (unary("Softmax", axis=1), lop("conv", "layer"), "'layer'.*sums over the channels"),
    "a shuffle": (shuffle, lop("conv", "layer", shares=[1, 5]), "'layer'.*channel 1 lies inside"),
    "a concat alone": (lambda b, x: b.add("Concat", "layer", [x, x], axis=1), lop("layer"), "'layer'.*only joins"),
    "a reduction": (unary("ReduceMean", axes=[1]), lop("conv", "layer"), "'layer'.*reduces over the channels"),
    "channels to space": (unary("SpaceToDepth", blocksize=2), lop("layer"), "'layer' .SpaceToDepth.*several channels"),
    "padded channels": (padding, lop("layer"), "'layer'.*pads the channels"),
    "computed weights": (computed_weight, lop("layer"), "'layer'.*computed and not a constant"),
    "more parts than filters": (unary("Relu"), lop("conv", parts=7), "'conv' has 6 output channels.*7 parts"),
    "more parts than channels": (unary("Relu"), lop("layer", parts=7), "'layer' has 6 channels.*7 parts"),
    "other sizes": (
        unary("Relu"),
        lop("conv", shares=[3, 4], unit="size"),
        "'conv' sum to 7 output channels; it has 6",
    ),
    "no such layer": (unary("Relu"), lop("nothing"), "'nothing'"),
    "a layer twice": (unary("Relu"), lop("conv", "conv"), "'conv' stands twice"),
}


@pytest.mark.parametrize("name", REFUSALS)
def test_what_cannot_be_divided_is_refused_with_its_name_and_a_reason(name: str) -> None:
    follow, sharding, says = REFUSALS[name]
    with pytest.raises(ShardError, match=says) as caught:
        divided(load(after_convolution(follow)), [sharding])
    assert caught.value.next_step
    assert caught.value.details["layer"] in {"conv", "layer", "nothing"}


def test_too_many_parts_are_refused_with_the_largest_number_that_works() -> None:
    network = load(after_convolution(unary("Relu")))
    with pytest.raises(ShardError) as caught:
        divided(network, [lop("conv", parts=7)])
    assert "at most 6 parts" in caught.value.next_step
    assert caught.value.details["most_parts"] == 6


def test_a_layer_that_is_divided_already_cannot_be_divided_again_as_a_whole() -> None:
    network = load(after_convolution(unary("Relu")))
    with pytest.raises(ShardError, match=r"'conv'.*earlier entry"):
        divided(network, [lop("conv"), lop("conv")])


def test_indices_of_a_pool_that_somebody_reads_are_refused() -> None:
    builder = Builder()
    x = builder.input("x", (1, 4, 6, 6))
    builder.nodes.append(onnx.helper.make_node("MaxPool", [x], ["y", "places"], name="pool", kernel_shape=[2, 2]))
    builder.add("Cast", "cast", ["places"], to=1)
    with pytest.raises(ShardError, match=r"'pool'.*'places' is read"):
        divided(load(builder.model("y", "cast.out")), [lop("pool")])
