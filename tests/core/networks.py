"""Small networks for tests: by hand, and at random."""

import random
import shutil
import tempfile
import weakref
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from hypothesis import strategies as st
from onnx import TensorProto, helper, numpy_helper

from partition_studio.graph.load import load_network, original_model
from partition_studio.graph.network import Network
from partition_studio.partition.plan import NetworkRef, Plan

FLOAT = TensorProto.FLOAT


def weight(name: str, array: Any) -> onnx.TensorProto:
    return numpy_helper.from_array(np.asarray(array), name=name)


def value(name: str, shape: Sequence[int | str | None] | None, kind: int = FLOAT) -> onnx.ValueInfoProto:
    return helper.make_tensor_value_info(name, kind, shape)


def make_model(
    nodes: Sequence[onnx.NodeProto],
    inputs: Sequence[onnx.ValueInfoProto],
    outputs: Sequence[onnx.ValueInfoProto],
    weights: Sequence[onnx.TensorProto] = (),
    *,
    opset: int = 17,
    ir: int = 8,
    functions: Sequence[onnx.FunctionProto] = (),
    domains: Sequence[str] = (),
) -> onnx.ModelProto:
    graph = helper.make_graph(list(nodes), "test", list(inputs), list(outputs), list(weights))
    opsets = [helper.make_opsetid("", opset), *(helper.make_opsetid(domain, 1) for domain in domains)]
    return helper.make_model(graph, opset_imports=opsets, ir_version=ir, functions=list(functions))


def relu_chain(count: int = 3, shape: Sequence[int | str] = (1, 2, 4, 4)) -> onnx.ModelProto:
    """`x -> l0 -> t0 -> l1 -> t1 ... -> y`."""
    names = ["x", *(f"t{i}" for i in range(count - 1)), "y"]
    nodes = [helper.make_node("Relu", [names[i]], [names[i + 1]], name=f"l{i}") for i in range(count)]
    return make_model(nodes, [value("x", shape)], [value("y", shape)])


def load(model: onnx.ModelProto | bytes, name: str = "net.onnx") -> Network:
    return load_both(model, name)[0]


def load_both(model: onnx.ModelProto | bytes, name: str = "net.onnx") -> tuple[Network, onnx.ModelProto]:
    """Load a model through a file, which is there as long as the network; also return the oracle."""
    folder = Path(tempfile.mkdtemp())
    path = folder / name
    path.write_bytes(model if isinstance(model, bytes) else model.SerializeToString())
    try:
        network, original = load_network(path), original_model(path)
    except BaseException:
        shutil.rmtree(folder)
        raise
    weakref.finalize(network, shutil.rmtree, folder)
    return network, original


def plan_for(network: Network, placement: dict[str, str]) -> Plan:
    return Plan(network=NetworkRef(sha256=network.digest, name=network.name), placement=placement)


def random_plan(network: Network, devices: int, seed: int) -> Plan:
    """Place every layer on a device at random: branches and chains are cut anywhere."""
    generator = random.Random(seed)
    return plan_for(network, {layer.name: f"d{generator.randrange(devices)}" for layer in network.layers})


def run_plan(network: Network, devices: int, seed: int, switches: int) -> Plan:
    """Place runs of layers: along the topological order the device changes about `switches` times."""
    generator = random.Random(seed)
    device, placement = 0, {}
    for layer in network.layers:
        if generator.random() < switches / len(network.layers):
            device = generator.randrange(devices)
        placement[layer.name] = f"d{device}"
    return plan_for(network, placement)


@st.composite
def cnn_models(draw: st.DrawFn) -> onnx.ModelProto:
    """Return a random CNN: convolutions, normalisations, pools, sums, concatenations, several inputs and outputs."""
    generator = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    inputs = {f"in{i}": (1, draw(st.integers(1, 3)), 8, 8) for i in range(draw(st.integers(1, 2)))}
    tensors: dict[str, tuple[int, ...]] = dict(inputs)
    nodes: list[onnx.NodeProto] = []
    weights: list[onnx.TensorProto] = []

    def add(operator: str, sources: list[str], shape: tuple[int, ...], arrays: list[Any], **attributes: Any) -> None:
        index = len(nodes)
        names = [f"w{index}_{i}" for i in range(len(arrays))]
        weights.extend(weight(name, np.asarray(a, np.float32)) for name, a in zip(names, arrays, strict=True))
        output = f"t{index}"
        nodes.append(helper.make_node(operator, sources + names, [output], name=f"n{index}", **attributes))
        tensors[output] = shape

    for _ in range(draw(st.integers(2, 16))):
        source = draw(st.sampled_from(list(tensors)))
        _, channels, height, width = tensors[source]
        same_shape = [name for name, shape in tensors.items() if shape == tensors[source]]
        same_size = [name for name, shape in tensors.items() if shape[2:] == (height, width) and shape[1] <= 6]
        operator = draw(st.sampled_from(["Conv", "Conv", "Relu", "Add", "Add", "Concat", "Pool", "BatchNormalization"]))
        if operator == "Conv":
            filters, kernel = draw(st.integers(1, 4)), draw(st.sampled_from([1, 3]))
            w = generator.standard_normal((filters, channels, kernel, kernel)) * (2 / (channels * kernel**2)) ** 0.5
            b = generator.standard_normal(filters) * 0.1
            add("Conv", [source], (1, filters, height, width), [w, b], pads=[kernel // 2] * 4)
        elif operator == "Relu":
            add("Relu", [source], tensors[source], [])
        elif operator == "Add":
            add("Add", [source, draw(st.sampled_from(same_shape))], tensors[source], [])
        elif operator == "Concat":
            other = draw(st.sampled_from(same_size or [source]))
            add("Concat", [source, other], (1, channels + tensors[other][1], height, width), [], axis=1)
        elif operator == "Pool" and height >= 2:
            kind = draw(st.sampled_from(["MaxPool", "AveragePool"]))
            shape = (1, channels, height // 2, width // 2)
            add(kind, [source], shape, [], kernel_shape=[2, 2], strides=[2, 2])
        else:
            spread, level = generator.uniform(0.5, 1.5, (2, channels)), generator.standard_normal((2, channels)) * 0.1
            add("BatchNormalization", [source], tensors[source], [spread[0], level[0], level[1], spread[1]])
    last = f"t{len(nodes) - 1}"
    outputs = {last, *draw(st.sets(st.sampled_from([name for name in tensors if name not in inputs]), max_size=2))}
    if draw(st.booleans()):
        channels = tensors[last][1]
        add("GlobalAveragePool", [last], (1, channels, 1, 1), [])
        add("Flatten", [f"t{len(nodes) - 1}"], (1, channels), [])
        w = generator.standard_normal((channels, 5))
        add("Gemm", [f"t{len(nodes) - 1}"], (1, 5), [w, generator.standard_normal(5)])
        outputs.add(f"t{len(nodes) - 1}")
    return make_model(
        nodes,
        [value(name, shape) for name, shape in inputs.items()],
        [value(name, tensors[name]) for name in sorted(outputs)],
        weights,
    )
