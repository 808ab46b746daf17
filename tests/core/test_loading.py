"""What loading does to a network that it takes."""

from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from partition_studio.graph.frames import random_frame
from partition_studio.graph.network import LayerNotFoundError, TensorType
from partition_studio.graph.runtime import run_model
from partition_studio.partition.extract import extract, submodels
from partition_studio.partition.partition import partition
from partition_studio.partition.verify import verify

from .networks import load, load_both, make_model, plan_for, random_plan, relu_chain, value, weight

SHAPE = (1, 2, 4, 4)
X, Y = value("x", SHAPE), value("y", SHAPE)
node = helper.make_node


def conv_model(ir: int, kind: type[np.floating] = np.float32, weights_as_inputs: bool = False) -> onnx.ModelProto:
    number = helper.np_dtype_to_tensor_dtype(np.dtype(kind))
    w = weight("w", np.random.default_rng(0).standard_normal((3, 2, 3, 3)).astype(kind))
    inputs = [value("x", SHAPE, number)]
    if weights_as_inputs:
        inputs.append(value("w", (3, 2, 3, 3), number))
    nodes = [
        node("Conv", ["x", "w"], ["c"], name="conv", pads=[1, 1, 1, 1]),
        node("Relu", ["c"], ["y"], name="relu"),
    ]
    return make_model(nodes, inputs, [value("y", (1, 3, 4, 4), number)], [w], opset=8, ir=ir)


@pytest.mark.parametrize("ir", [3, 4, 8, 13])
@pytest.mark.parametrize("kind", [np.float32, np.float16])
def test_every_format_version_and_float_type_loads_and_splits(ir: int, kind: type[np.floating]) -> None:
    network, original = load_both(conv_model(ir, kind, weights_as_inputs=ir == 3))
    assert network.inputs == {"x": TensorType(np.dtype(kind).name, SHAPE)}
    assert network.ir_version >= 4
    assert list(network.inputs) == ["x"]
    parted = partition(network, plan_for(network, {"conv": "a", "relu": "b"}))
    graph = parted.graph
    parts = {name: part.data for name, part in submodels(network, graph).items()}
    assert verify(original, parted, parts, random_frame(network.inputs, 0)).ok


def test_a_layer_tells_what_it_costs() -> None:
    network = load(conv_model(8))
    conv, relu = network.layers
    assert (conv.macs, conv.parameters, conv.weight_bytes) == (3 * 4 * 4 * 2 * 9, 54, 216)
    assert (conv.inputs, conv.outputs, conv.weights) == (("x",), ("c",), ("w",))
    assert conv.output_shapes == ((1, 3, 4, 4),)
    assert conv.activation_bytes == 3 * 16 * 4
    assert conv.attributes["pads"] == "1, 1, 1, 1"
    assert (relu.macs, relu.parameters) == (0, 0)
    assert network.producers["y"] is relu
    assert network.consumers["c"] == (relu,)
    assert network.consumers["y"] == ()
    with pytest.raises(LayerNotFoundError, match="'pool'"):
        network.layer("pool")


@pytest.mark.parametrize(
    ("operator", "shapes", "attributes", "macs"),
    [
        ("Conv", [(1, 4, 8, 8), (4, 1, 3, 3)], {"group": 4, "pads": [1, 1, 1, 1]}, 4 * 64 * 9),
        ("Conv", [(1, 4, 8, 8), (6, 4, 3, 3)], {"strides": [2, 2], "pads": [1, 1, 1, 1]}, 6 * 16 * 36),
        ("ConvTranspose", [(1, 4, 8, 8), (4, 3, 2, 2)], {"strides": [2, 2]}, 4 * 64 * 3 * 4),
        ("Gemm", [(1, 10), (10, 7)], {}, 70),
        ("Gemm", [(10, 1), (7, 10)], {"transA": 1, "transB": 1}, 70),
        ("MatMul", [(1, 5, 10), (10, 7)], {}, 350),
        ("Mul", [(1, 5, 10), (10,)], {}, 0),
    ],
)
def test_multiply_accumulates_are_counted(
    operator: str, shapes: list[tuple[int, ...]], attributes: dict[str, Any], macs: int
) -> None:
    nodes = [node(operator, ["x", "w"], ["y"], name="l", **attributes)]
    y = helper.make_tensor_value_info("y", TensorProto.FLOAT, None)
    model = make_model(nodes, [value("x", shapes[0])], [y], [weight("w", np.ones(shapes[1], np.float32))])
    assert load(model).layer("l").macs == macs


@pytest.mark.parametrize("batch", ["N", 0, -1, None])
def test_a_free_batch_becomes_one_everywhere(batch: str | int | None) -> None:
    model = relu_chain(3, (batch, 2, 4, 4))  # type: ignore[arg-type]
    model.graph.value_info.append(value("t0", ("N", 2, 4, 4)))
    model.graph.value_info.append(value("t1", (7, 2, 4, 4)))
    network, original = load_both(model)
    assert {kind.shape for kind in network.tensors.values()} == {(1, 2, 4, 4)}
    frame = random_frame(network.inputs, 0)
    assert run_model(original, frame)["y"].shape == (1, 2, 4, 4)


def test_nodes_without_or_with_shared_names_get_stable_ones() -> None:
    def names(order: list[int]) -> set[str]:
        nodes = [
            node("Relu", ["x"], ["a"]),
            node("Abs", ["x"], ["b"], name="twin"),
            node("Neg", ["x"], ["c"], name="twin"),
            node("Sum", ["a", "b", "c"], ["y"], name="Relu_a"),
        ]
        network = load(make_model([nodes[i] for i in order], [X], [Y]))
        return {layer.name for layer in network.layers}

    assert names([0, 1, 2, 3]) == {"Relu_a_2", "twin", "Neg_c", "Relu_a"}
    assert names([1, 0, 2, 3]) == names([0, 1, 2, 3])


def test_what_cannot_be_seen_of_a_name_is_spelled_out() -> None:
    nodes = [
        node("Relu", ["x"], ["a"], name="con\u202ev\u200b1"),
        node("Abs", ["a"], ["b"], name="line\n\x1b[2Jtwo"),
        node("Neg", ["b"], ["c"], name=" \u3000 "),
        node("Exp", ["c"], ["d"], name="\u200b"),
        node("Tanh", ["d"], ["e"], name="  "),
        node("Relu", ["e"], ["y"], name="שלום <b>Größe</b> 🙂"),
    ]
    assert [layer.name for layer in load(make_model(nodes, [X], [Y])).layers] == [
        r"con\u202ev\u200b1",
        r"line\n\x1b[2Jtwo",
        r" \u3000 ",
        r"\u200b",
        "Tanh_e",
        "שלום <b>Größe</b> 🙂",
    ]


def test_nodes_out_of_order_are_sorted_and_dead_ones_dropped() -> None:
    nodes = [
        node("Relu", ["b"], ["y"], name="third"),
        node("Abs", ["a"], ["b"], name="second"),
        node("Neg", ["x"], ["a"], name="first"),
        node("Exp", ["a"], ["unused"], name="dead"),
    ]
    assert [layer.name for layer in load(make_model(nodes, [X], [Y])).layers] == ["first", "second", "third"]


def test_what_makes_weights_is_folded() -> None:
    nodes = [
        node("Constant", [], ["k"], value=numpy_helper.from_array(np.full((3, 2, 1, 1), 2, np.float16))),
        node("Cast", ["k"], ["k32"], to=TensorProto.FLOAT),
        node("Identity", ["k32"], ["w"]),
        node("ConstantOfShape", ["three"], ["bias"]),
        node("Conv", ["x", "w", "bias"], ["c"], name="conv"),
        node("Shape", ["c"], ["s"]),
        node("Gather", ["s", "zero"], ["n"]),
        node("Unsqueeze", ["n", "axes"], ["n1"]),
        node("Concat", ["n1", "rest"], ["target"], axis=0),
        node("Reshape", ["c", "target"], ["y"], name="flat"),
    ]
    weights = [
        weight("three", np.array([3], np.int64)),
        weight("zero", np.array(0, np.int64)),
        weight("axes", np.array([0], np.int64)),
        weight("rest", np.array([-1], np.int64)),
    ]
    y = helper.make_tensor_value_info("y", TensorProto.FLOAT, ["N", "features"])
    network, original = load_both(make_model(nodes, [value("x", ("N", 2, 4, 4))], [y], weights))
    assert [layer.name for layer in network.layers] == ["conv", "flat"]
    assert network.outputs["y"].shape == (1, 48)
    assert set(network.layer("conv").weights) == {"w", "bias"}
    assert network.parameters == 9
    parted = partition(network, plan_for(network, {"conv": "a", "flat": "b"}))
    graph = parted.graph
    parts = {name: part.data for name, part in submodels(network, graph).items()}
    assert verify(original, parted, parts, random_frame(network.inputs, 0)).max_abs == 0.0


def test_dequantised_weights_stay_small_and_travel_with_their_layer() -> None:
    nodes = [
        node("DequantizeLinear", ["q", "scale"], ["w"], name="dq"),
        node("Conv", ["x", "w"], ["a"], name="conv"),
        node("Mul", ["a", "scale"], ["y"], name="mul"),
    ]
    q = weight("q", np.random.default_rng(0).integers(-99, 99, (2, 2, 1, 1)).astype(np.int8))
    network, original = load_both(make_model(nodes, [X], [Y], [q, weight("scale", np.float32(0.1))]))
    assert [layer.name for layer in network.layers] == ["conv", "mul"]
    assert network.layer("conv").weights == ("q", "scale")
    parted = partition(network, plan_for(network, {"conv": "a", "mul": "b"}))
    graph = parted.graph
    first, second = (extract(network, stage) for stage in graph.stages)
    assert [n.op_type for n in first.graph.node] == ["DequantizeLinear", "Conv"]
    assert [n.op_type for n in second.graph.node] == ["Mul"]
    parts = {name: part.data for name, part in submodels(network, graph).items()}
    assert verify(original, parted, parts, random_frame(network.inputs, 0)).ok


def test_tensors_that_a_branch_captures_are_inputs_of_its_layer() -> None:
    def branch(name: str, operator: str) -> onnx.GraphProto:
        nodes = [node(operator, ["inner", "w"], [f"{name}_out"])]
        return helper.make_graph(nodes, name, [], [value(f"{name}_out", SHAPE)])

    nodes = [
        node("Relu", ["x"], ["inner"], name="before"),
        node("ReduceMax", ["x"], ["top"], name="top", keepdims=0),
        node("Greater", ["top", "limit"], ["chosen"], name="compare"),
        node("If", ["chosen"], ["z"], name="if", then_branch=branch("t", "Add"), else_branch=branch("e", "Mul")),
        node("Neg", ["z"], ["y"], name="after"),
    ]
    weights = [weight("w", np.float32(3)), weight("limit", np.float32(0))]
    network, original = load_both(make_model(nodes, [X], [Y], weights))
    chooser = network.layer("if")
    assert chooser.inputs == ("chosen", "inner")
    assert chooser.weights == ("w",)
    for seed in range(6):
        parted = partition(network, random_plan(network, 3, seed))
        graph = parted.graph
        parts = {name: part.data for name, part in submodels(network, graph).items()}
        assert verify(original, parted, parts, random_frame(network.inputs, seed)).max_abs == 0.0


def test_local_functions_are_inlined() -> None:
    function = helper.make_function(
        "own", "Twice", ["a"], ["b"], [node("Add", ["a", "a"], ["b"])], [helper.make_opsetid("", 17)]
    )
    nodes = [node("Twice", ["x"], ["t"], domain="own", name="f"), node("Relu", ["t"], ["y"], name="r")]
    network, original = load_both(make_model(nodes, [X], [Y], functions=[function], domains=["own"]))
    assert [layer.op_type for layer in network.layers] == ["Add", "Relu"]
    parted = partition(network, random_plan(network, 2, 1))
    graph = parted.graph
    parts = {name: part.data for name, part in submodels(network, graph).items()}
    assert verify(original, parted, parts, random_frame(network.inputs, 0)).max_abs == 0.0


def test_optional_outputs_that_nobody_reads_are_dropped() -> None:
    nodes = [node("Dropout", ["x"], ["a", "mask"], name="d"), node("Relu", ["a"], ["y"], name="r")]
    network = load(make_model(nodes, [X], [Y], opset=10))
    assert network.layer("d").outputs == ("a",)


def test_operators_of_onnx_runtime_itself_get_their_shapes_from_it() -> None:
    nodes = [
        node("FusedConv", ["x", "w"], ["c"], name="fused", domain="com.microsoft", activation="Relu"),
        node("Neg", ["c"], ["y"], name="neg"),
    ]
    w = weight("w", np.random.default_rng(0).standard_normal((3, 2, 1, 1)).astype(np.float32))
    y = helper.make_tensor_value_info("y", TensorProto.FLOAT, None)
    network, original = load_both(make_model(nodes, [X], [y], [w], domains=["com.microsoft"]))
    assert network.tensors["c"].shape == (1, 3, 4, 4)
    assert network.layer("fused").macs == 3 * 16 * 2
    parted = partition(network, plan_for(network, {"fused": "a", "neg": "b"}))
    graph = parted.graph
    parts = {name: part.data for name, part in submodels(network, graph).items()}
    assert verify(original, parted, parts, random_frame(network.inputs, 0)).ok


def test_the_digest_is_of_the_file_as_given() -> None:
    import hashlib

    data = bytes(relu_chain().SerializeToString())
    network = load(data, "my net.onnx")
    assert network.digest == hashlib.sha256(data).hexdigest()
    assert network.name == "my net"
