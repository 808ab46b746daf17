"""Shapes: what is inferred is what the runtime makes, also where ONNX's own inference is of another opinion."""

from typing import Any

import numpy as np
import onnx
import pytest
from onnx import helper

from partition_studio.graph.frames import random_frame
from partition_studio.partition.extract import submodels
from partition_studio.partition.partition import partition
from partition_studio.partition.plan import NetworkRef, Plan, SpatialSharding
from partition_studio.partition.verify import verify

from .networks import load, load_both, make_model, plan_for, value, weight

node = helper.make_node


def test_an_input_that_is_also_an_output_keeps_its_shape_for_the_layers_that_read_it() -> None:
    nodes = [
        node("Relu", ["x"], ["a"], name="relu"),
        node("Shape", ["a"], ["size"]),
        node("Gather", ["size", "zero"], ["batch"]),
        node("Concat", ["batch", "rest"], ["target"], axis=0),
        node("Reshape", ["a", "target"], ["y"], name="reshape"),
    ]
    weights = [weight("zero", np.array([0])), weight("rest", np.array([-1]))]
    network = load(make_model(nodes, [value("x", (1, 4, 3))], [value("y", (1, 12)), value("x", (1, 4, 3))], weights))
    assert [layer.name for layer in network.layers] == ["relu", "reshape"]
    assert {name: kind.shape for name, kind in network.outputs.items()} == {"y": (1, 12), "x": (1, 4, 3)}


#: Operator, attributes, size of the input, size that the runtime makes of it.
_SIZES: dict[str, tuple[str, dict[str, Any], tuple[int, int], tuple[int, int]]] = {
    "the last window would begin in the padding": (
        "MaxPool",
        {"kernel_shape": [2, 2], "strides": [2, 2], "pads": [0, 1, 0, 1], "ceil_mode": 1},
        (8, 11),
        (4, 6),
    ),
    "the same, of means": (
        "AveragePool",
        {"kernel_shape": [2, 2], "strides": [2, 2], "pads": [0, 1, 0, 1], "ceil_mode": 1},
        (8, 11),
        (4, 6),
    ),
    "a dilated pool of the same size": (
        "MaxPool",
        {"kernel_shape": [3, 3], "dilations": [2, 2], "auto_pad": "SAME_UPPER"},
        (8, 11),
        (6, 9),
    ),
    "the same, of norms": (
        "LpPool",
        {"kernel_shape": [3, 3], "strides": [2, 2], "dilations": [2, 2], "auto_pad": "SAME_UPPER"},
        (8, 11),
        (3, 5),
    ),
    "a transposed convolution that makes less than it reads": (
        "ConvTranspose",
        {"output_shape": [12, 9], "group": 2},
        (13, 9),
        (12, 9),
    ),
}


@pytest.mark.parametrize("case", _SIZES)
def test_pools_and_transposed_convolutions_have_the_size_that_the_runtime_makes(case: str) -> None:
    operator, attributes, size, made = _SIZES[case]
    generator = np.random.default_rng(1)
    weights = [weight("w", generator.standard_normal((2, 1, 3, 3)).astype(np.float32))]
    extra = ["w"] if operator == "ConvTranspose" else []
    nodes = [
        node("Relu", ["x"], ["a"], name="before"),
        node(operator, ["a", *extra], ["b"], name="odd", **attributes),
        node("Neg", ["b"], ["c"], name="after"),
        node("GlobalAveragePool", ["c"], ["y"], name="mean"),
    ]
    model = make_model(nodes, [value("x", (1, 2, *size))], [value("y", None)], weights[: len(extra)], opset=18)
    network, original = load_both(model)
    assert {name: network.tensors[name].shape for name in "bc"} == {"b": (1, 2, *made), "c": (1, 2, *made)}
    parted = partition(network, plan_for(network, {"before": "a", "odd": "b", "after": "c", "mean": "a"}))
    parts = {name: part.data for name, part in submodels(parted.network, parted.graph).items()}
    odd = onnx.ModelProto.FromString(parts["b-0"])
    assert [d.dim_value for d in odd.graph.output[0].type.tensor_type.shape.dim] == [1, 2, *made]
    result = verify(original, parted, parts, random_frame(network.inputs, 1), optimise=False)
    assert [(d.tensor, d.max_abs) for d in result.per_tensor] == [("a", 0.0), ("b", 0.0), ("c", 0.0), ("y", 0.0)]


@pytest.mark.parametrize("optimise", [True, False])
def test_a_size_that_the_network_asks_a_pool_for_is_the_runtimes(optimise: bool) -> None:
    """The runtime itself, where it optimises, would fold the wrong size of the inference."""
    pool: dict[str, Any] = {"kernel_shape": [2, 2], "strides": [2, 2], "pads": [0, 1, 0, 1], "ceil_mode": 1}
    nodes = [
        node("Conv", ["x", "w"], ["a"], name="conv", pads=[1] * 4),
        node("MaxPool", ["a"], ["p"], name="pool", **pool),
        node("Relu", ["p"], ["r"], name="relu"),
        node("Shape", ["r"], ["size"]),
        node("Gather", ["size", "three"], ["width"]),
        node("Concat", ["rest", "width"], ["target"], axis=0),
        node("Reshape", ["r", "target"], ["y"], name="reshape"),
    ]
    kernel = np.random.default_rng(1).standard_normal((2, 2, 3, 3)).astype(np.float32)
    weights = [weight("w", kernel), weight("three", np.array([3])), weight("rest", np.array([-1]))]
    network, original = load_both(make_model(nodes, [value("x", (1, 2, 8, 11))], [value("y", None)], weights))
    assert network.outputs["y"].shape == (8, 6)
    placement = {"conv": "a", "pool": "b", "relu": "c", "reshape": "d"}
    parted = partition(network, plan_for(network, placement))
    parts = {name: part.data for name, part in submodels(parted.network, parted.graph).items()}
    result = verify(original, parted, parts, random_frame(network.inputs, 1), optimise=optimise)
    assert result.ok and len(result.per_tensor) == 4


def test_pools_in_a_row_each_follow_from_the_runtimes_size_before() -> None:
    pools = [
        node("MaxPool", [source], [made], name=made, kernel_shape=[2], strides=[2], pads=[1, 1], ceil_mode=1)
        for source, made in [("x", "p1"), ("p1", "p2"), ("p2", "y")]
    ]
    network = load(make_model(pools, [value("x", (1, 1, 21))], [value("y", None)]))
    assert [network.tensors[name].shape for name in ("p1", "p2", "y")] == [(1, 1, 11), (1, 1, 6), (1, 1, 4)]


def test_a_transposed_constant_has_its_own_shape_also_in_a_divided_network() -> None:
    """The multiply-accumulates of a transposed convolution follow from the shape of its kernel."""
    kernel = helper.make_tensor("q", onnx.TensorProto.INT8, (4, 3, 3, 2), [1] * 72)
    nodes = [
        node("Relu", ["x"], ["a"], name="relu"),
        node("DequantizeLinear", ["q", "scale"], ["d"]),
        node("Transpose", ["d"], ["w"], perm=[3, 0, 1, 2]),
        node("ConvTranspose", ["a", "w"], ["y"], name="up"),
    ]
    weights = [kernel, weight("scale", np.array(0.5, np.float32))]
    network = load(make_model(nodes, [value("x", (1, 2, 6, 6))], [value("y", None)], weights))
    sharding = SpatialSharding(layers=["relu"], devices=["a", "b"], rows=[1, 1], columns=[1])
    plan = Plan(network=NetworkRef.of(network), placement={"up": "a"}, shards=[sharding])
    divided = partition(network, plan).network
    assert divided is not network
    assert divided.layer("up").macs == network.layer("up").macs == 1 * 2 * 6 * 6 * 4 * 3 * 3
