"""What files of sub-models really hold, to be compared with what was predicted."""

from pathlib import Path

from partition_studio.graph.read import LoadLimits, read_network
from partition_studio.graph.weights import Weight


def weight_bytes_in(file: Path) -> int:
    """Return the bytes of all weights that an ONNX file holds, external data included, without keeping them.

    Raises NetworkError leaves.
    """
    model = read_network(file, LoadLimits()).model
    return sum(Weight.of_tensor(tensor).size_bytes for tensor in model.graph.initializer)
