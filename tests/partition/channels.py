"""Small networks whose layers are divided by channels, and what must hold of every division."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import onnx
from onnx import helper, numpy_helper

from partition_studio.graph.frames import random_frame
from partition_studio.graph.network import Network
from partition_studio.graph.walk import node_reads
from partition_studio.partition.extract import extract, submodels
from partition_studio.partition.partition import Partition, divide, partition
from partition_studio.partition.plan import InputChannelSharding, NetworkRef, OutputChannelSharding, Plan, Sharding
from partition_studio.partition.verify import verify
from tests.core.networks import load_both, make_model, value


class Builder:
    """Builds a network layer by layer; every layer `name` makes the tensor `name + ".out"`."""

    def __init__(self, seed: int = 0, *, opset: int = 17) -> None:
        self.generator = np.random.default_rng(seed)
        self.nodes: list[onnx.NodeProto] = []
        self.weights: list[onnx.TensorProto] = []
        self.inputs: list[onnx.ValueInfoProto] = []
        self.opset = opset

    def input(self, name: str, shape: Sequence[int], kind: int = onnx.TensorProto.FLOAT) -> str:
        self.inputs.append(value(name, shape, kind))
        return name

    def weight(self, name: str, array: Any) -> str:
        self.weights.append(numpy_helper.from_array(np.asarray(array), name=name))
        return name

    def random(self, name: str, *shape: int, low: float = -1.0) -> str:
        return self.weight(name, self.generator.uniform(low, 1.0, shape).astype(np.float32))

    def add(self, op_type: str, name: str, inputs: Sequence[str], *, domain: str = "", **attributes: Any) -> str:
        output = f"{name}.out"
        self.nodes.append(helper.make_node(op_type, list(inputs), [output], name=name, domain=domain, **attributes))
        return output

    def conv(self, name: str, x: str, weight: Sequence[int], *, bias: bool = True, **attributes: Any) -> str:
        held = [self.random(f"{name}.w", *weight)]
        if bias:
            held.append(self.random(f"{name}.b", weight[0]))
        return self.add("Conv", name, [x, *held], **attributes)

    def batch_norm(self, name: str, x: str, channels: int) -> str:
        held = [self.random(f"{name}.{key}", channels, low=0.5 if key in "sv" else -1.0) for key in "sbmv"]
        return self.add("BatchNormalization", name, [x, *held])

    def model(self, *outputs: str, domains: Sequence[str] = (), ir: int = 8) -> onnx.ModelProto:
        values = [onnx.ValueInfoProto(name=name) for name in outputs]
        for info in values:
            info.type.tensor_type.elem_type = onnx.TensorProto.FLOAT
        model = make_model(self.nodes, self.inputs, values, self.weights, opset=self.opset, domains=domains, ir=ir)
        for info in model.graph.output:
            info.ClearField("type")
        return onnx.shape_inference.infer_shapes(model)


def lop(*layers: str, parts: int = 2, shares: Sequence[float] = (), unit: Any = "share") -> OutputChannelSharding:
    count = len(shares) or parts
    devices = [f"d{index}" for index in range(count)]
    return OutputChannelSharding(layers=list(layers), devices=devices, shares=list(shares), unit=unit)


def lip(*layers: str, parts: int = 2, shares: Sequence[float] = (), unit: Any = "share") -> InputChannelSharding:
    count = len(shares) or parts
    devices = [f"d{index}" for index in range(count)]
    return InputChannelSharding(layers=list(layers), devices=devices, shares=list(shares), unit=unit)


def divided(network: Network, shards: Sequence[Sharding], placement: Mapping[str, str] | None = None) -> Partition:
    """Return the partition; layers that no sharding places run on `home`, or as `placement` says."""
    plan = Plan(network=NetworkRef.of(network), placement={}, shards=list(shards))
    division = divide(network, plan)
    rest = {layer.name: "home" for layer in network.layers if layer.name in division.network.layers_by_name}
    return partition(network, plan.model_copy(update={"placement": {**rest, **(placement or {})}}))


def prove(model: onnx.ModelProto, *shards: Sharding, placement: Mapping[str, str] | None = None) -> Partition:
    """Divide a network and check all that must hold: sound sub-models, and every tensor of the parts that of the whole.

    Returns the partition.
    """
    network, original = load_both(model)
    parted = divided(network, shards, placement)
    check_submodels(parted)
    parts = {name: part.data for name, part in submodels(parted.network, parted.graph).items()}
    result = verify(original, parted, parts, random_frame(network.inputs, 3))
    assert {d.tensor for d in result.per_tensor} >= set(network.outputs)
    assert result.first_difference is None, result.first_difference
    assert any(float(np.abs(array).max()) > 0 for array in result.outputs.values())
    return parted


def check_submodels(parted: Partition) -> None:
    """Types are as declared, nothing lacks, and no weight is there in vain."""
    for stage in parted.graph.stages:
        model = extract(parted.network, stage)
        onnx.checker.check_model(model, full_check=True)
        reads = {name for node in model.graph.node for name in node_reads(node)}
        assert {tensor.name for tensor in model.graph.initializer} <= reads
        assert set(stage.inputs) <= reads


def weight_elements(parted: Partition, source: str) -> int:
    """Return the elements of float weights that the parts of one layer of the whole hold together."""
    network = parted.network
    names = [name for name, origin in parted.division.sources.items() if origin == source]
    return sum(
        network.weights[name].elements
        for layer in names
        for name in network.layers_by_name[layer].weights
        if network.weights[name].data_type != onnx.TensorProto.INT64
    )


def traffic(parted: Partition) -> dict[tuple[str, str], list[str]]:
    """Return what goes from one device to another."""
    graph = parted.graph
    found: dict[tuple[str, str], list[str]] = {}
    for cut in graph.cuts:
        ends = graph.device_of(cut.producer), graph.device_of(cut.consumer)
        if ends[0] is not None and ends[1] is not None and ends[0] != ends[1]:
            found.setdefault((ends[0], ends[1]), []).extend(cut.tensors)
    return found
