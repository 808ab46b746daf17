"""A small network as exporters write it: slashes in names, constants made by nodes, glue that loading folds away."""

import json
import tempfile
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import helper

from partition_studio.graph.load import load_network
from partition_studio.graph.network import Network, NetworkForm
from partition_studio.partition.formats.autodice import AutodiceFiles, import_autodice
from partition_studio.partition.formats.imported import Imported
from partition_studio.partition.formats.outline import Outline, outline
from partition_studio.partition.plan import NetworkRef, Plan
from tests.core.networks import make_model, value, weight

#: AutoDiCE's names of the layers, in order, and those of nodes that loading removes.
LAYERS = ["net_conv1", "net_relu1", "net_pool", "net_conv2", "net_conv3", "net_sum", "net_flat", "net_fc", "y"]
FOLDED = ["net_shape_of_constant", "net_size", "net_size_plus"]


def model() -> onnx.ModelProto:
    random = np.random.default_rng(0)
    arrays = {
        "w1": random.standard_normal((8, 3, 3, 3)),
        "w2": random.standard_normal((8, 8, 3, 3)),
        "w3": random.standard_normal((8, 4, 3, 3)),
        "w4": random.standard_normal((10, 8 * 4 * 4)),
    }
    minus_one = helper.make_tensor("m", onnx.TensorProto.INT64, [2], [1, -1])
    nodes = [
        helper.make_node("Conv", ["x", "w1"], ["net/conv1"], pads=[1, 1, 1, 1]),
        helper.make_node("Relu", ["net/conv1"], ["net/relu1"]),
        helper.make_node("MaxPool", ["net/relu1"], ["net/pool"], kernel_shape=[2, 2], strides=[2, 2]),
        helper.make_node("Conv", ["net/pool", "w2"], ["net/conv2"], pads=[1, 1, 1, 1]),
        helper.make_node("Conv", ["net/pool", "w3"], ["net/conv3"], pads=[1, 1, 1, 1], group=2),
        helper.make_node("Add", ["net/conv2", "net/conv3"], ["net/sum"]),
        helper.make_node("Constant", [], ["net/shape/of/constant"], value=minus_one),
        helper.make_node("Shape", ["net/shape/of/constant"], ["net/size"]),
        helper.make_node("Sub", ["net/size", "net/size"], ["net/size/plus"]),
        helper.make_node("Add", ["net/shape/of/constant", "net/size/plus"], ["net/shape"]),
        helper.make_node("Reshape", ["net/sum", "net/shape"], ["net/flat"]),
        helper.make_node("Gemm", ["net/flat", "w4"], ["net/fc"], transB=1),
        helper.make_node("Softmax", ["net/fc"], ["y"]),
    ]
    weights = [weight(name, array.astype(np.float32) * 0.2) for name, array in arrays.items()]
    return make_model(nodes, [value("x", (1, 3, 8, 8))], [value("y", (1, 10))], weights)


@cache
def loaded() -> tuple[Network, Outline]:
    return load_file(model())


def normalised_model(*node_names: str) -> onnx.ModelProto:
    """Return two convolutions with a normalisation each, which simplification merges."""
    shape = (1, 4, 6, 6)
    random = np.random.default_rng(0)
    scales = [weight(f"s{i}", np.abs(random.standard_normal(4)).astype(np.float32) + 0.5) for i in range(4)]
    kernels = [weight(f"w{i}", random.standard_normal((4, 4, 3, 3)).astype(np.float32)) for i in range(2)]
    normalise = ["s0", "s1", "s2", "s3"]
    nodes = [
        helper.make_node("Conv", ["x", "w0"], ["conv/1"], pads=[1] * 4),
        helper.make_node("BatchNormalization", ["conv/1", *normalise], ["norm/1"]),
        helper.make_node("Relu", ["norm/1"], ["relu/1"]),
        helper.make_node("Conv", ["relu/1", "w1"], ["conv/2"], pads=[1] * 4),
        helper.make_node("BatchNormalization", ["conv/2", *normalise], ["y"]),
    ]
    for node, name in zip(nodes, node_names, strict=False):
        node.name = name
    return make_model(nodes, [value("x", shape)], [value("y", shape)], [*scales, *kernels])


def load_file(document: onnx.ModelProto, *, simplified: bool = False) -> tuple[Network, Outline]:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "net.onnx"
        path.write_bytes(document.SerializeToString())
        return load_network(path, form=NetworkForm(simplified)), outline(path)


def take(mapping: Any, horizontal: Any = None, platform: str | None = None, **devices: str) -> Imported:
    """Import files given as documents, or as texts."""
    network, original = loaded()
    texts = [part if part is None or isinstance(part, str) else json.dumps(part) for part in (mapping, horizontal)]
    return import_autodice(
        network, AutodiceFiles(texts[0] or "", texts[1], platform), devices=devices, original=original
    )


def layer_of(name: str) -> str:
    """Return our name of the layer that AutoDiCE calls so."""
    network, _ = loaded()
    return next(layer.name for layer in network.layers if layer.outputs[0].replace("/", "_") == name)


def plan_of(placement: dict[str, str], **fields: Any) -> Plan:
    """Return a plan that speaks of layers by AutoDiCE's names."""
    network, _ = loaded()
    placed = {layer_of(name): device for name, device in placement.items()}
    return Plan(network=NetworkRef.of(network), placement=placed, **fields)
