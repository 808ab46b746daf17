"""What an ONNX file holds before anything is folded away: other tools' files speak of its own nodes."""

from dataclasses import dataclass
from pathlib import Path

from partition_studio.graph.read import LoadLimits, read_network
from partition_studio.graph.walk import node_reads


@dataclass(frozen=True, slots=True)
class RawNode:
    """One node as it stands in the file; `name` may be empty."""

    name: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Outline:
    """All nodes of a file, in its order."""

    nodes: tuple[RawNode, ...] = ()

    @property
    def names(self) -> frozenset[str]:
        """Names of the nodes that have one."""
        return frozenset(node.name for node in self.nodes if node.name)


def outline(path: Path, *, limits: LoadLimits | None = None) -> Outline:
    """Return the outline of an ONNX file. Raises NetworkError."""
    model = read_network(path, limits or LoadLimits()).model
    return Outline(
        tuple(
            RawNode(node.name, tuple(node_reads(node)), tuple(name for name in node.output if name))
            for node in model.graph.node
        )
    )
