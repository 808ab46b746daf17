"""What an ONNX file holds before anything is folded away: other tools' files speak of its own nodes."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from partition_studio.graph.names import spelled_name
from partition_studio.graph.network import Layer
from partition_studio.graph.read import LoadLimits, read_network
from partition_studio.graph.walk import node_reads


@dataclass(frozen=True, slots=True)
class RawNode:
    """One node as it stands in the file; `name` may be empty."""

    name: str
    op_type: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]


@dataclass(frozen=True)
class Outline:
    """All nodes of a file, in its order."""

    nodes: tuple[RawNode, ...] = ()

    @property
    def names(self) -> frozenset[str]:
        """Names of the nodes that have one."""
        return frozenset(node.name for node in self.nodes if node.name)

    @cached_property
    def layer_names(self) -> Mapping[str, RawNode]:
        """The nodes by the names that their layers have when nothing is folded away."""
        found: dict[str, RawNode] = {}
        for node in self.nodes:
            first = node.outputs[0] if node.outputs else ""
            name = spelled_name(node.name)
            found.setdefault(name if name and name not in found else spelled_name(f"{node.op_type}_{first}"), node)
        return found

    def heir(self, name: str, layers: Sequence[Layer]) -> str | None:
        """Return the layer that does the work of a node that loading merged; None where none does."""
        node = self.layer_names[name]
        made = {layer.outputs[0] for layer in layers}
        own = (layer.name for layer in layers if self.first_output(layer, made) in node.outputs)
        taken_in = (layer.name for layer in layers if set(layer.outputs).intersection(node.outputs))
        return next(own, None) or next(taken_in, None)

    @cached_property
    def _makers(self) -> Mapping[str, RawNode]:
        return {tensor: node for node in self.nodes for tensor in node.outputs}

    def first_output(self, layer: Layer, made: Collection[str]) -> str:
        """Return the first output that a layer's node has in the file; `made` are the first outputs of all layers.

        It is the layer's own, but where simplification computed what follows into the layer, that of the node of its
        operator: the convolution of a convolution and its normalisation.
        """
        own = layer.outputs[0]
        node = self._makers.get(own)
        while node is not None and node.op_type != layer.op_type:
            reads = [self._makers[tensor] for tensor in node.inputs if tensor in self._makers]
            before = [maker for maker in reads if maker.inputs]
            node = before[0] if len(before) == 1 and before[0].outputs[0] not in made else None
        return own if node is None else node.outputs[0]


def outline(path: Path, *, limits: LoadLimits | None = None) -> Outline:
    """Return the outline of an ONNX file. Raises NetworkError."""
    model = read_network(path, limits or LoadLimits()).model
    return Outline(
        tuple(
            RawNode(node.name, node.op_type, tuple(node_reads(node)), tuple(name for name in node.output if name))
            for node in model.graph.node
        )
    )
