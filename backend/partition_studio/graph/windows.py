"""Sizes that ONNX's inference and ONNX Runtime reckon differently: those of some pools and transposed convolutions.

They differ where a pool's last window would begin in the padding, where a dilated pool is padded to the `SAME` size,
and where a transposed convolution is told the shape of its output. What such a node makes is what the runtime makes
of it; so it is run, alone, on one channel.
"""

from collections.abc import Mapping

import numpy as np
import onnx
from onnx import NodeProto, TensorProto, helper

from partition_studio.graph.runtime import run_model, runtime_error_types

Shape = tuple[int, ...]

_POOLS = ("MaxPool", "AveragePool", "LpPool")


class RuntimeSizes:
    """The shapes that the runtime gives to the nodes in question; each node and input shape is run once."""

    def __init__(self, model: onnx.ModelProto) -> None:
        self.nodes = [node for node in model.graph.node if _in_question(node)]
        self._model = model
        self._known: dict[tuple[str, Shape, Shape], Shape | None] = {}

    def of(self, node: NodeProto, shapes: Mapping[str, Shape]) -> Shape | None:
        """Return the shape of the node's outputs, from those of its inputs; None where it cannot be told."""
        source = shapes.get(node.input[0], ()) if node.input else ()
        weight = shapes.get(node.input[1], ()) if node.op_type == "ConvTranspose" and len(node.input) > 1 else ()
        if len(source) < 3 or (node.op_type == "ConvTranspose" and len(weight) != len(source)):
            return None
        key = (node.output[0], source, weight)
        if key not in self._known:
            self._known[key] = self._run(node, source, weight)
        return self._known[key]

    def _run(self, node: NodeProto, source: Shape, weight: Shape) -> Shape | None:
        alone = helper.make_node(node.op_type, ["x", "w"] if weight else ["x"], ["y"])
        alone.attribute.extend(attribute for attribute in node.attribute if attribute.name != "group")
        inputs = {"x": (1, 1, *source[2:])} | ({"w": (1, 1, *weight[2:])} if weight else {})
        part = onnx.ModelProto(ir_version=self._model.ir_version)
        part.opset_import.extend(self._model.opset_import)
        part.graph.name = node.op_type
        part.graph.node.append(alone)
        part.graph.input.extend(
            helper.make_tensor_value_info(name, TensorProto.FLOAT, dims) for name, dims in inputs.items()
        )
        part.graph.output.append(onnx.ValueInfoProto(name="y"))
        try:
            made = run_model(part, {name: np.ones(dims, np.float32) for name, dims in inputs.items()}, optimise=False)
        except runtime_error_types():
            # The trial run of the whole network says why.
            return None
        group = next((attribute.i for attribute in node.attribute if attribute.name == "group"), 1)
        return (source[0], weight[1] * group if weight else source[1], *made["y"].shape[2:])


def _in_question(node: NodeProto) -> bool:
    if node.domain or node.op_type not in (*_POOLS, "ConvTranspose"):
        return False
    attributes = {attribute.name: attribute for attribute in node.attribute}
    is_same = "auto_pad" in attributes and attributes["auto_pad"].s.startswith(b"SAME")
    return is_same or "output_shape" in attributes or ("ceil_mode" in attributes and attributes["ceil_mode"].i == 1)
