"""What the nodes of an ONNX file are called before anything is folded away: other tools' files speak of those."""

from pathlib import Path

from partition_studio.graph.read import LoadLimits, read_network


def first_outputs(path: Path, *, limits: LoadLimits | None = None) -> frozenset[str]:
    """Return the first output tensor of every node in the file. Raises NetworkError."""
    model = read_network(path, limits or LoadLimits()).model
    return frozenset(node.output[0] for node in model.graph.node if node.output)


def node_names(path: Path, *, limits: LoadLimits | None = None) -> frozenset[str]:
    """Return the names of the nodes in the file that have one. Raises NetworkError."""
    model = read_network(path, limits or LoadLimits()).model
    return frozenset(node.name for node in model.graph.node if node.name)
