"""Every kind of network that is taken: cut at random, its parts give the whole's answer."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

from partition_studio.errors import NetworkError
from partition_studio.graph.frames import random_frame
from partition_studio.graph.network import Network
from partition_studio.graph.runtime import newest_versions
from partition_studio.graph.walk import node_reads
from partition_studio.partition.check import InvalidPlanError, require_valid
from partition_studio.partition.extract import extract, submodels, write_submodels
from partition_studio.partition.partition import partition
from partition_studio.partition.stages import CutTypeError
from partition_studio.partition.verify import verify

from .networks import load, load_both, make_model, plan_for, random_plan, value, weight

SHAPE = (1, 2, 4, 4)
X, Y = value("x", SHAPE), value("y", SHAPE)
FREE = helper.make_tensor_value_info("y", TensorProto.FLOAT, None)
node = helper.make_node
generator = np.random.default_rng(7)


def array(*shape: int, kind: Any = np.float32) -> np.ndarray[Any, Any]:
    return np.asarray(generator.standard_normal(shape) * 0.5, kind)


def equal(model: onnx.ModelProto, cuts: Sequence[int] = (0, 1, 2, 3)) -> Network:
    """Cut a network at random, some times; its parts must equal the whole."""
    network, original = load_both(model)
    prove(network, original, cuts)
    return network


def prove(network: Network, original: onnx.ModelProto, cuts: Sequence[int] = (0, 1, 2, 3)) -> None:
    for seed in cuts:
        parted = partition(network, random_plan(network, 3, seed))
        parts = {name: part.data for name, part in submodels(network, parted.graph).items()}
        result = verify(original, parted, parts, random_frame(network.inputs, seed))
        assert result.first_difference is None
        assert {d.tensor for d in result.per_tensor if d.is_output} == {*network.outputs, *network.constant_outputs}


def classic(opset: int, ir: int) -> onnx.ModelProto:
    """A CNN of operators that every opset has."""
    weights = [
        weight("w", array(4, 2, 3, 3)),
        *(weight(name, np.abs(array(4)) + 0.5) for name in ("scale", "bias", "mean", "var")),
        weight("m", array(16, 5)),
        weight("c", array(5)),
    ]
    nodes = [
        node("Conv", ["x", "w"], ["a"], pads=[1, 1, 1, 1]),
        node("BatchNormalization", ["a", "scale", "bias", "mean", "var"], ["b"]),
        node("Relu", ["b"], ["d"]),
        node("MaxPool", ["d"], ["e"], kernel_shape=[2, 2], strides=[2, 2]),
        node("Flatten", ["e"], ["f"]),
        node("Gemm", ["f", "m", "c"], ["y"]),
    ]
    inputs = [X, *(value(t.name, t.dims, t.data_type) for t in weights if ir == 3)]
    return make_model(nodes, inputs, [value("y", (1, 5))], weights, opset=opset, ir=ir)


@pytest.mark.parametrize("opset", range(7, newest_versions()[1] + 1))
def test_every_opset_is_taken(opset: int) -> None:
    equal(classic(opset, ir=3 if opset < 9 else 8 if opset < 21 else 10), cuts=(0, 1))


@pytest.mark.parametrize("ir", range(3, onnx.IR_VERSION + 1))
def test_every_format_version_is_taken(ir: int) -> None:
    equal(classic(13, ir), cuts=(0, 1))


@pytest.mark.parametrize("kind", [np.float16, np.float32])
def test_every_float_type_is_taken(kind: Any) -> None:
    number = helper.np_dtype_to_tensor_dtype(np.dtype(kind))
    nodes = [
        node("Conv", ["x", "w"], ["a"], pads=[1, 1, 1, 1]),
        node("Relu", ["a"], ["b"]),
        node("Add", ["a", "b"], ["y"]),
    ]
    model = make_model(
        nodes, [value("x", SHAPE, number)], [value("y", SHAPE, number)], [weight("w", array(2, 2, 3, 3, kind=kind))]
    )
    equal(model)


def bfloat_weight(name: str, values: np.ndarray[Any, Any]) -> TensorProto:
    raw = (values.astype(np.float32).view(np.uint32) >> 16).astype(np.uint16)
    return TensorProto(name=name, data_type=TensorProto.BFLOAT16, dims=values.shape, raw_data=raw.tobytes())


@pytest.mark.parametrize("filters", [2, 400])
def test_bfloat16_weights_behind_a_cast_work(filters: int) -> None:
    """The larger weight stays in the file."""
    nodes = [
        node("Cast", ["w16"], ["w"], to=TensorProto.FLOAT),
        node("Conv", ["x", "w"], ["a"]),
        node("Relu", ["a"], ["y"]),
    ]
    network = equal(make_model(nodes, [X], [FREE], [bfloat_weight("w16", array(filters, 2, 3, 3))]))
    assert [layer.op_type for layer in network.layers] == ["Conv", "Relu"]


def bfloat_model() -> onnx.ModelProto:
    nodes = [
        node("Relu", ["x"], ["a"], name="before"),
        node("Cast", ["a"], ["b"], name="down", to=TensorProto.BFLOAT16),
        node("Cast", ["b"], ["c"], name="up", to=TensorProto.FLOAT),
        node("Neg", ["c"], ["y"], name="after"),
    ]
    return make_model(nodes, [X], [Y])


def test_a_bfloat16_tensor_may_live_inside_a_stage() -> None:
    network, original = load_both(bfloat_model())
    assert network.tensors["b"].dtype == "bfloat16"
    assert network.tensors["b"].size_bytes == 64
    parted = partition(network, plan_for(network, {"before": "p", "down": "q", "up": "q", "after": "r"}))
    parts = {name: part.data for name, part in submodels(network, parted.graph).items()}
    assert verify(original, parted, parts, random_frame(network.inputs, 0)).max_abs == 0.0


def test_a_bfloat16_tensor_crosses_no_cut() -> None:
    network = load(bfloat_model())
    plan = plan_for(network, {"before": "p", "down": "p", "up": "q", "after": "q"})
    with pytest.raises(CutTypeError, match=r"'b' of the layer 'down' is bfloat16"):
        partition(network, plan)
    with pytest.raises(InvalidPlanError, match=r"'b' of the layer 'down' is bfloat16") as caught:
        require_valid(network, plan)
    assert caught.value.details["layer"] == "down"


def quantised() -> list[TensorProto]:
    return [
        weight("q", generator.integers(-90, 90, (4, 2, 3, 3)).astype(np.int8)),
        weight("ws", np.float32(0.02)),
        weight("wz", np.int8(0)),
        weight("s", np.float32(0.05)),
        weight("z", np.uint8(120)),
        weight("s2", np.float32(0.1)),
        weight("z2", np.uint8(110)),
    ]


def test_quantised_networks_of_q_and_dq_pairs_work() -> None:
    nodes = [
        node("QuantizeLinear", ["x", "s", "z"], ["xq"]),
        node("DequantizeLinear", ["xq", "s", "z"], ["xd"]),
        node("DequantizeLinear", ["q", "ws", "wz"], ["w"]),
        node("Conv", ["xd", "w"], ["a"], pads=[1, 1, 1, 1]),
        node("Relu", ["a"], ["b"]),
        node("QuantizeLinear", ["b", "s2", "z2"], ["bq"]),
        node("DequantizeLinear", ["bq", "s2", "z2"], ["y"]),
    ]
    network = equal(make_model(nodes, [X], [FREE], quantised()))
    assert set(network.weight_nodes) == {"w"}


def test_quantised_operators_of_both_domains_work() -> None:
    nodes = [
        node("QuantizeLinear", ["x", "s", "z"], ["xq"]),
        node("QLinearConv", ["xq", "s", "z", "q", "ws", "wz", "s2", "z2"], ["a"], pads=[1, 1, 1, 1]),
        node("QLinearConv", ["xq", "s", "z", "q", "ws", "wz", "s2", "z2"], ["b"], pads=[1, 1, 1, 1]),
        node("QLinearAdd", ["a", "s2", "z2", "b", "s2", "z2", "s", "z"], ["c"], domain="com.microsoft"),
        node("DequantizeLinear", ["c", "s", "z"], ["y"]),
    ]
    network = equal(make_model(nodes, [X], [FREE], quantised(), domains=["com.microsoft"]))
    assert network.tensors["c"].dtype == "uint8"


def test_several_inputs_and_outputs_work() -> None:
    nodes = [
        node("Add", ["x", "z"], ["a"]),
        node("Relu", ["a"], ["y"]),
        node("Neg", ["y"], ["v"]),
        node("Mul", ["v", "z"], ["u"]),
    ]
    outputs = [value(name, SHAPE) for name in ("u", "y", "a")]
    network = equal(make_model(nodes, [X, value("z", SHAPE)], outputs))
    assert list(network.outputs) == ["u", "y", "a"]


def test_a_weight_that_layers_share_is_shared_only_within_a_stage() -> None:
    nodes = [
        node("Conv", ["x", "w"], ["a"], name="a", pads=[1, 1, 1, 1]),
        node("Conv", ["a", "w"], ["b"], name="b", pads=[1, 1, 1, 1]),
        node("Conv", ["b", "w"], ["y"], name="c", pads=[1, 1, 1, 1]),
    ]
    network = equal(make_model(nodes, [X], [Y], [weight("w", array(2, 2, 3, 3))]))
    graph = partition(network, plan_for(network, {"a": "p", "b": "p", "c": "q"})).graph
    assert [[t.name for t in extract(network, stage).graph.initializer] for stage in graph.stages] == [["w"], ["w"]]


def test_constants_of_every_kind_become_weights() -> None:
    nodes = [
        node("Constant", [], ["k"], value=weight("", array(1, 2, 1, 1))),
        node("Constant", [], ["half"], value_float=0.5),
        node("Constant", [], ["axes"], value_ints=[2, 3]),
        node("Mul", ["x", "k"], ["a"]),
        node("Add", ["a", "half"], ["b"]),
        node("ReduceSum", ["b", "axes"], ["y"]),
    ]
    network = equal(make_model(nodes, [X], [FREE]))
    assert [layer.op_type for layer in network.layers] == ["Mul", "Add", "ReduceSum"]


def function(name: str, nodes: list[onnx.NodeProto]) -> onnx.FunctionProto:
    opsets = [helper.make_opsetid("", 17), helper.make_opsetid("own", 1)]
    return helper.make_function("own", name, ["a"], ["b"], nodes, opsets)


def test_functions_within_functions_are_inlined_and_every_name_is_its_own() -> None:
    inner = function("Inner", [node("Relu", ["a"], ["t"], name="n"), node("Neg", ["t"], ["b"], name="m")])
    outer = function("Outer", [node("Inner", ["a"], ["t"], domain="own"), node("Inner", ["t"], ["b"], domain="own")])
    nodes = [node("Outer", ["x"], ["t"], domain="own"), node("Outer", ["t"], ["y"], domain="own")]
    network = equal(make_model(nodes, [X], [Y], functions=[inner, outer], domains=["own"]))
    assert [layer.op_type for layer in network.layers] == ["Relu", "Neg"] * 4
    assert len({layer.name for layer in network.layers}) == 8


def loop_body() -> onnx.GraphProto:
    nodes = [
        node("Add", ["held", "inner"], ["grown"]),
        node("Mul", ["grown", "w"], ["next"]),
        node("Identity", ["go"], ["on"]),
    ]
    inputs = [value("i", (), TensorProto.INT64), value("go", (), TensorProto.BOOL), value("held", SHAPE)]
    return helper.make_graph(nodes, "body", inputs, [value("on", (), TensorProto.BOOL), value("next", SHAPE)])


def scan_body() -> onnx.GraphProto:
    nodes = [node("Add", ["held", "row"], ["sum"]), node("Mul", ["sum", "w"], ["out"])]
    inputs = [value("held", (2, 4, 4)), value("row", (2, 4, 4))]
    return helper.make_graph(nodes, "body", inputs, [value("sum", (2, 4, 4)), value("out", (2, 4, 4))])


def test_a_loop_and_a_scan_stay_whole_with_what_they_capture() -> None:
    nodes = [
        node("Relu", ["x"], ["inner"], name="before"),
        node("Loop", ["count", "", "x"], ["l"], name="loop", body=loop_body()),
        node("Add", ["l", "inner"], ["k"], name="between"),
        node("Scan", ["start", "k"], ["last", "y"], name="scan", num_scan_inputs=1, body=scan_body()),
    ]
    weights = [
        weight("count", np.array(3, np.int64)),
        weight("w", np.float32(0.5)),
        weight("start", np.zeros((2, 4, 4), np.float32)),
    ]
    network = equal(make_model(nodes, [X], [FREE, value("last", (2, 4, 4))], weights))
    assert network.layer("loop").inputs == ("x", "inner")
    assert set(network.layer("loop").weights) == {"count", "w"}
    assert network.layer("scan").weights == ("start", "w")


def test_what_weights_would_unfold_to_beyond_64_mib_stays_unmade() -> None:
    nodes = [
        node("ConstantOfShape", ["large"], ["w"], value=weight("", np.array([0.001], np.float32))),
        node("ConstantOfShape", ["small"], ["c"], value=weight("", np.array([2], np.float32))),
        node("MatMul", ["x", "w"], ["a"], name="product"),
        node("Add", ["a", "c"], ["y"], name="sum"),
    ]
    weights = [weight("large", np.array([4200, 4100], np.int64)), weight("small", np.array([1], np.int64))]
    network = equal(make_model(nodes, [value("x", (1, 4200))], [FREE], weights), cuts=(0,))
    assert set(network.weight_nodes) == {"w"}
    assert network.layer("product").macs == 4200 * 4100
    assert network.weight_bytes == 16 + 4
    first, second = partition(network, plan_for(network, {"product": "p", "sum": "q"})).graph.stages
    assert [n.op_type for n in extract(network, first).graph.node] == ["ConstantOfShape", "MatMul"]
    assert [n.op_type for n in extract(network, second).graph.node] == ["Add"]


def test_inputs_that_are_left_out_stay_left_out() -> None:
    nodes = [
        node("Clip", ["x", "", "top"], ["a"]),
        node("Resize", ["a", "", "", "size"], ["b"], mode="nearest"),
        node("Clip", ["b", "bottom"], ["y"]),
    ]
    weights = [
        weight("top", np.float32(0.7)),
        weight("bottom", np.float32(0.2)),
        weight("size", np.array([1, 2, 8, 8], np.int64)),
    ]
    network = equal(make_model(nodes, [X], [FREE], weights))
    assert network.layers[0].inputs == ("x",)
    assert list(network.layers[1].inputs) == ["a"]


def test_a_dead_branch_is_gone_with_its_weights() -> None:
    nodes = [node("Relu", ["x"], ["y"], name="r"), node("Mul", ["x", "w"], ["dead"]), node("Neg", ["dead"], ["end"])]
    network = equal(make_model(nodes, [X, value("idle", (1,))], [Y], [weight("w", array(1, 2, 4, 4))]))
    assert (len(network.layers), len(network.weights)) == (1, 0)
    assert list(network.inputs) == ["x", "idle"]


def constant_outputs_model() -> onnx.ModelProto:
    nodes = [
        node("Mul", ["x", "w"], ["y"], name="mul"),
        node("Exp", ["w"], ["made"]),
        node("DequantizeLinear", ["q", "s"], ["unfolded"]),
        node("Identity", ["x"], ["same"], name="same"),
    ]
    outputs = [
        value("w", (1, 2, 1, 1)),
        Y,
        value("made", (1, 2, 1, 1)),
        value("unfolded", (3,)),
        X,
        value("same", SHAPE),
    ]
    weights = [weight("w", array(1, 2, 1, 1)), weight("q", np.array([1, 2, 3], np.int8)), weight("s", np.float32(0.5))]
    return make_model(nodes, [X], outputs, weights)


def test_outputs_that_are_constants_are_known_and_compared(tmp_path: Path) -> None:
    network = equal(constant_outputs_model())
    assert list(network.outputs) == ["y", "x", "same"]
    assert list(network.constant_outputs) == ["w", "made", "unfolded"]
    assert np.array_equal(network.constant_outputs["unfolded"].array(), np.array([0.5, 1, 1.5], np.float32))
    assert [layer.name for layer in network.layers] == ["mul", "same"]
    graph = partition(network, plan_for(network, {"mul": "p", "same": "q"})).graph
    write_submodels(network, graph, tmp_path / "out")
    write_submodels(network, graph, tmp_path / "out")
    import json

    listed = json.loads((tmp_path / "out" / "manifest.json").read_text())["constant_outputs"]
    assert [entry["tensor"] for entry in listed] == ["w", "made", "unfolded"]
    tensor = TensorProto.FromString((tmp_path / "out" / listed[1]["file"]).read_bytes())
    assert np.array_equal(onnx.numpy_helper.to_array(tensor), network.constant_outputs["made"].array())


def test_no_part_holds_a_weight_of_another() -> None:
    network = equal(classic(17, 8))
    for seed in range(6):
        for stage in partition(network, random_plan(network, 3, seed)).graph.stages:
            model = extract(network, stage)
            reads = {name for n in model.graph.node for name in node_reads(n)}
            assert {tensor.name for tensor in model.graph.initializer} <= reads


def large_layers(opset: int = 17, *, channels: int = 16, addend: int = 16) -> onnx.ModelProto:
    """Two convolutions and a product with millions of multiply-accumulates, and small layers between."""
    nodes = [
        node("Conv", ["x", "w"], ["a"], name="conv", pads=[1, 1, 1, 1]),
        node("Add", ["a", "b"], ["c"], name="add"),
        node("ConvTranspose", ["c", "t"], ["d"], name="up", strides=[2, 2]),
        node("Relu", ["d"], ["e"], name="relu"),
        node("MatMul", ["e", "m"], ["f"], name="product"),
        node("Neg", ["f"], ["y"], name="neg"),
    ]
    weights = [
        weight("w", array(16, channels, 3, 3)),
        weight("b", array(1, addend, 1, 1)),
        weight("t", array(16, 32, 2, 2)),
        weight("m", array(64, 40)),
    ]
    return make_model(nodes, [value("x", (1, 16, 32, 32))], [FREE], weights, opset=opset, ir=7)


@pytest.mark.parametrize("opset", [7, 8, 9, 17])
def test_large_layers_are_taken_in_every_opset(opset: int) -> None:
    network = equal(large_layers(opset), cuts=(0, 1))
    assert min(network.layer(name).macs for name in ("conv", "up", "product")) > 1_000_000


@pytest.mark.parametrize(("mistake", "layer"), [({"channels": 15}, "'conv'"), ({"addend": 15}, "add")])
def test_a_mistake_in_or_between_large_layers_is_found(mistake: dict[str, int], layer: str) -> None:
    with pytest.raises(NetworkError, match=layer) as caught:
        load(large_layers(**mistake))
    assert caught.value.code in ("not_runnable", "invalid_network", "unresolved_shape")


@pytest.mark.parametrize(("number", "opset"), [(TensorProto.INT4, 21), (TensorProto.FLOAT8E4M3FN, 19)])
def test_weights_of_four_bits_and_eight_bit_floats_are_taken_behind_their_dequantisation(
    number: int, opset: int
) -> None:
    packed = TensorProto(name="q", data_type=number, dims=[2, 2, 3, 3])
    packed.raw_data = bytes(generator.integers(0, 120, 18 if number == TensorProto.INT4 else 36).astype(np.uint8))
    nodes = [node("DequantizeLinear", ["q", "s"], ["w"]), node("Conv", ["x", "w"], ["a"]), node("Relu", ["a"], ["y"])]
    model = make_model(nodes, [X], [FREE], [packed, weight("s", np.float32(0.1))], opset=opset, ir=10)
    network = equal(model)
    assert network.weights["q"].size_bytes == len(packed.raw_data)
