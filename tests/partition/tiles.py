"""Helpers for tests of tiles: one run of a small network, divided and held against the whole."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper

from partition_studio.graph.frames import random_frame
from partition_studio.graph.network import Network, value_info
from partition_studio.graph.runtime import Arrays, run_model
from partition_studio.graph.weights import index_of
from partition_studio.partition.extract import extract, submodels
from partition_studio.partition.partition import Partition, partition
from partition_studio.partition.plan import IndependentSharding, NetworkRef, Plan, Sharding, SpatialSharding
from partition_studio.partition.stages import build_stages
from partition_studio.partition.verify import Verification, verify
from tests.core.networks import load_both, make_model, value, weight


def spatial(
    layers: Sequence[str], rows: Sequence[float] = (1,), columns: Sequence[float] = (1,), **more: Any
) -> SpatialSharding:
    devices = [f"d{index}" for index in range(len(rows) * len(columns))]
    return SpatialSharding(layers=list(layers), devices=devices, rows=list(rows), columns=list(columns), **more)


def independent(
    layers: Sequence[str], rows: Sequence[float] = (1,), columns: Sequence[float] = (1,), **more: Any
) -> IndependentSharding:
    devices = [f"d{index}" for index in range(len(rows) * len(columns))]
    return IndependentSharding(layers=list(layers), devices=devices, rows=list(rows), columns=list(columns), **more)


def plan(network: Network, *shards: Sharding) -> Plan:
    reference = NetworkRef(sha256=network.digest, name=network.name)
    return Plan(network=reference, placement={layer.name: "home" for layer in network.layers}, shards=list(shards))


def divided(model: onnx.ModelProto, *shards: Sharding, seed: int = 0) -> tuple[Partition, Verification]:
    """Divide a network, check every sub-model, and compare the parts with the whole, fusion off."""
    network, original = load_both(model)
    parted = partition(network, plan(network, *shards))
    parts = {name: part.data for name, part in submodels(parted.network, parted.graph).items()}
    for data in parts.values():
        onnx.checker.check_model(onnx.ModelProto.FromString(data), full_check=True)
    return parted, verify(original, parted, parts, random_frame(network.inputs, seed), optimise=False)


def equal(model: onnx.ModelProto, *shards: Sharding, seed: int = 0, may_be_zero: bool = False) -> Partition:
    """Require that a divided network equals the whole, and every tensor of every part its piece of the whole's."""
    parted, result = divided(model, *shards, seed=seed)
    assert not result.approximate
    result.require_equal()
    if not may_be_zero:
        assert any(np.any(array != 0) for array in result.outputs.values()), "the network gives more than zeros"
    compared = require_exact_pieces(model, parted, seed)
    assert {name for name in compared if "#" in name}, "parts are compared with pieces of the whole"
    return parted


def require_exact_pieces(model: onnx.ModelProto, parted: Partition, seed: int = 0) -> list[str]:
    """Compare every tensor of the divided network that claims to be a piece; return their names."""
    network, original = load_both(model)
    frame = random_frame(network.inputs, seed)
    whole = run_all(original, network, frame)
    (stage,) = build_stages(parted.network, {layer.name: "one" for layer in parted.network.layers}).stages
    parts = run_all(extract(parted.network, stage), parted.network, frame)
    compared = []
    for name, origin in parted.division.origins.items():
        if name in parts and name not in parted.division.approximate:
            expected = whole[origin.whole][index_of(whole[origin.whole].ndim, origin.ranges)]
            scale = np.abs(whole[origin.whole].astype(np.float64)).max()
            assert parts[name].shape == expected.shape, name
            exact = parts[name].dtype.kind != "f"
            np.testing.assert_allclose(parts[name], expected, rtol=0, atol=0 if exact else 1e-4 * scale, err_msg=name)
            compared.append(name)
    return compared


def run_all(model: onnx.ModelProto, network: Network, frame: Arrays) -> Arrays:
    """Run a network once, without graph optimisation, and return every activation."""
    exposed = onnx.ModelProto()
    exposed.CopyFrom(model)
    makes = [name for node in exposed.graph.node for name in node.output if name in network.tensors]
    del exposed.graph.output[:]
    exposed.graph.output.extend(value_info(name, network.tensors[name]) for name in makes)
    return {**frame, **run_model(exposed, frame, optimise=False)}


def copies(parted: Partition, layer: str) -> list[str]:
    """Return the names of a layer's parts."""
    return [
        made for made, source in parted.division.sources.items() if source == layer and made.startswith(f"{layer}#")
    ]


class Builder:
    """A network in the making, one layer after the other, at random weights."""

    def __init__(self, shape: Sequence[int] = (1, 3, 13, 11), *, opset: int = 17, seed: int = 0) -> None:
        self.generator = np.random.default_rng(seed)
        self.opset = opset
        self.nodes: list[onnx.NodeProto] = []
        self.weights: list[onnx.TensorProto] = []
        self.inputs = [value("x", shape)]
        self.last = "x"
        self.domains: set[str] = set()

    def add_input(self, name: str, shape: Sequence[int]) -> str:
        self.inputs.append(value(name, shape))
        return name

    def const(self, array: Any, dtype: Any = np.float32) -> str:
        name = f"w{len(self.weights)}"
        self.weights.append(weight(name, np.asarray(array, dtype)))
        return name

    def random(self, *shape: int) -> str:
        return self.const(self.generator.standard_normal(shape))

    def add(
        self, operator: str, inputs: Sequence[str] | None = None, *extra: str, name: str = "", **attributes: Any
    ) -> str:
        domain = attributes.pop("domain", "")
        if domain:
            self.domains.add(domain)
        index = len(self.nodes)
        sources = [self.last] if inputs is None else list(inputs)
        node = helper.make_node(
            operator, [*sources, *extra], [f"t{index}"], name=name or f"n{index}", domain=domain, **attributes
        )
        self.nodes.append(node)
        self.last = f"t{index}"
        return self.last

    def conv(self, inputs: str | None, channels: int, filters: int, kernel: Sequence[int], **attributes: Any) -> str:
        group = attributes.get("group", 1)
        w, b = self.random(filters, channels // group, *kernel), self.random(filters)
        return self.add("Conv", None if inputs is None else [inputs], w, b, **attributes)

    def model(self, *outputs: str) -> onnx.ModelProto:
        """Return the network; types of outputs are inferred."""
        values = [onnx.ValueInfoProto(name=name) for name in outputs or (self.last,)]
        model = make_model(
            self.nodes, self.inputs, values, self.weights, opset=self.opset, domains=sorted(self.domains)
        )
        inferred = onnx.shape_inference.infer_shapes(model)
        kinds = {v.name: v for v in (*inferred.graph.value_info, *inferred.graph.output, *inferred.graph.input)}
        for output in model.graph.output:
            known = kinds[output.name]
            if known.type.tensor_type.elem_type == TensorProto.UNDEFINED:
                output.type.tensor_type.elem_type = TensorProto.FLOAT
            else:
                output.CopyFrom(known)
        return model

    @property
    def names(self) -> list[str]:
        return [node.name for node in self.nodes]
