"""Sub-models to be profiled: whole layers of a network without its large weights, which the device makes up itself.

A network that does not fit the device's memory is cut into consecutive pieces. A single fully connected layer that
does not fit is measured with some of its outputs only; what it takes is proportional to their number.
"""

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from math import isfinite, prod, sqrt

import numpy as np
import onnx
from onnx import StringStringEntryProto, TensorProto

from partition_agent.protocol import TensorSpec, WeightFill
from partition_studio.graph.network import Layer, Network
from partition_studio.graph.weights import HELD_BYTES, Weight
from partition_studio.partition.runtimes import RuntimeLimits, lowered
from partition_studio.partition.stages import Stage
from partition_studio.partition.submodel import submodel

#: What the agent calls the weights that it makes.
WEIGHTS_FILE = "weights.bin"

#: Offsets are multiples of this, so that the runtime may map the file.
_ALIGNMENT_BYTES = 4096

#: Element types that are made up; indices and sizes travel as they are.
_MADE_UP: dict[int, str] = {
    TensorProto.FLOAT: "float32",
    TensorProto.FLOAT16: "float16",
    TensorProto.DOUBLE: "float64",
    TensorProto.INT8: "int8",
    TensorProto.UINT8: "uint8",
}

#: So many values tell a weight's deviation.
_SAMPLE = 16384

#: The process without any model, and the share of a device's memory that is safe to be taken.
PROCESS_BYTES = 96 * 2**20
SAFE_SHARE = 0.75

#: While it loads, the runtime holds the weights, and a copy in the order in which its kernels read them; writing the
#: optimised graph takes a part more. Measured: 2.0 to 2.3.
_WEIGHT_COPIES = 2.5


@dataclass(frozen=True, eq=False)
class Piece:
    """One sub-model to be profiled: layers `[start, stop)` of the network.

    `share` is the share of its one layer's outputs that is measured, where it is too large as a whole; else 1.
    """

    start: int
    stop: int
    data: bytes
    inputs: tuple[TensorSpec, ...]
    fills: tuple[WeightFill, ...]
    share: float = 1.0

    @property
    def digest(self) -> str:
        """SHA-256 (hex) of the file."""
        return hashlib.sha256(self.data).hexdigest()


def safe_bytes(memory_bytes: int) -> int:
    """Return the memory that a profile may take of a device that has so much."""
    return max(int(memory_bytes * SAFE_SHARE) - PROCESS_BYTES, 16 * 2**20)


def piece_ranges(network: Network, limit_bytes: int) -> list[tuple[int, int]]:
    """Return consecutive ranges of layers, as few as `limit_bytes` of weights and activations allow."""
    ranges: list[tuple[int, int]] = []
    start, weights, largest = 0, 0, 0
    for index, layer in enumerate(network.layers):
        own, alive = int(layer.weight_bytes * _WEIGHT_COPIES), _alive_bytes(network, layer)
        if index > start and weights + own + max(largest, alive) > limit_bytes:
            ranges.append((start, index))
            start, weights, largest = index, 0, 0
        weights += own
        largest = max(largest, alive)
    ranges.append((start, len(network.layers)))
    return ranges


def largest_bytes(network: Network, limit_bytes: int) -> int:
    """Return the memory that the largest of the pieces for that limit takes."""
    return max(
        sum(int(layer.weight_bytes * _WEIGHT_COPIES) for layer in network.layers[start:stop])
        + max(_alive_bytes(network, layer) for layer in network.layers[start:stop])
        for start, stop in piece_ranges(network, limit_bytes)
    )


def _alive_bytes(network: Network, layer: Layer) -> int:
    # Twice: activations that wait for a later layer, and what the arena keeps.
    return 2 * (sum(network.tensors[name].size_bytes for name in layer.inputs) + layer.activation_bytes)


def pieces(network: Network, limit_bytes: int) -> Iterator[Piece]:
    """Yield the sub-models to be profiled, in order. Raises NetworkChangedError."""
    for start, stop in piece_ranges(network, limit_bytes):
        yield build_piece(network, start, stop, limit_bytes)


def build_piece(
    network: Network,
    start: int,
    stop: int,
    limit_bytes: int | None = None,
    *,
    device: str = "",
    runtime: RuntimeLimits | None = None,
) -> Piece:
    """Return the sub-model of some layers, as the runtime of `device` takes it.

    Raises NetworkChangedError, RuntimeTooOldError.
    """
    stage = _stage(network, network.layers[start:stop])
    part = submodel(network, stage)
    if runtime is not None:
        part = lowered(part, runtime, device)
    model = onnx.ModelProto()
    model.CopyFrom(part.model)
    inputs = tuple(TensorSpec(name, network.tensors[name].dtype, network.tensors[name].shape) for name in stage.inputs)
    weights = {weight.name: weight for weight in part.streamed}
    weights.update((t.name, Weight.of_tensor(t)) for t in model.graph.initializer if _is_large(t))
    made = [weight for weight in weights.values() if _is_made_up(weight)]
    dims = {weight.name: weight.dims for weight in made}
    share = 1.0
    too_large = limit_bytes is not None and sum(w.size_bytes for w in made) * _WEIGHT_COPIES > limit_bytes
    if too_large and limit_bytes is not None and stop - start == 1:
        share = _narrow(model, dims, limit_bytes / _WEIGHT_COPIES / sum(w.size_bytes for w in made))
    held = [t for t in model.graph.initializer if t.name not in dims]
    held += [weight.tensor() for weight in part.streamed if weight.name not in dims]
    del model.graph.initializer[:]
    model.graph.initializer.extend(held)
    fills, offset = [], 0
    for weight in made:
        count = prod(dims[weight.name])
        dtype = _MADE_UP[weight.data_type]
        fills.append(WeightFill(offset=offset, count=count, dtype=dtype, std=_deviation(weight)))
        length = count * np.dtype(dtype).itemsize
        _add_external(model, weight, dims[weight.name], offset, length)
        offset += length + -length % _ALIGNMENT_BYTES
    return Piece(start, stop, model.SerializeToString(deterministic=True), inputs, tuple(fills), share)


def _stage(network: Network, layers: Sequence[Layer]) -> Stage:
    names = {layer.name for layer in layers}
    made = {tensor for layer in layers for tensor in layer.outputs}
    outputs = [
        tensor
        for layer in layers
        for tensor in layer.outputs
        if tensor in network.outputs or any(r.name not in names for r in network.consumers[tensor])
    ]
    read = dict.fromkeys(t for layer in layers for t in layer.inputs if t not in made)
    return Stage("profile", "profile", tuple(layer.name for layer in layers), tuple(read), tuple(outputs))


def _is_large(tensor: TensorProto) -> bool:
    return Weight.of_tensor(tensor).size_bytes > HELD_BYTES


def _is_made_up(weight: Weight) -> bool:
    # Vectors are what normalisations and biases are made of: small, and not any value will do (variances).
    return weight.data_type in _MADE_UP and len(weight.dims) > 1 and weight.size_bytes > HELD_BYTES


def _deviation(weight: Weight) -> float:
    """Return the deviation of a weight's first values, else that of He's initialisation.

    With it activations stay in the range that they have in the real network.
    """
    dtype = np.dtype(_MADE_UP[weight.data_type])
    chunk = next(iter(weight.chunks()), b"")[: _SAMPLE * dtype.itemsize]
    values = np.frombuffer(chunk[: len(chunk) // dtype.itemsize * dtype.itemsize], dtype.newbyteorder("<"))
    found = float(values.astype(np.float64).std()) if values.size else 0.0
    return found if isfinite(found) and found > 0 else sqrt(2.0 / max(prod(weight.dims[1:]), 1))


def _add_external(model: onnx.ModelProto, weight: Weight, dims: Sequence[int], offset: int, length: int) -> None:
    tensor = model.graph.initializer.add(
        name=weight.name, data_type=weight.data_type, dims=dims, data_location=TensorProto.EXTERNAL
    )
    place = {"location": WEIGHTS_FILE, "offset": str(offset), "length": str(length)}
    tensor.external_data.extend(StringStringEntryProto(key=key, value=text) for key, text in place.items())


def _narrow(model: onnx.ModelProto, dims: dict[str, tuple[int, ...]], share: float) -> float:
    """Leave out outputs of the model's one fully connected layer, in place; return the share that stays (1: none)."""
    nodes = [node for node in model.graph.node if node.op_type in ("Gemm", "MatMul")]
    if len(model.graph.node) != 1 or len(nodes) != 1 or list(dims) != [nodes[0].input[1]]:
        return 1.0
    node = nodes[0]
    transposed = any(a.name == "transB" and a.i for a in node.attribute)
    shape = list(dims[node.input[1]])
    axis = 0 if transposed else len(shape) - 1
    kept = max(int(shape[axis] * share) // 64 * 64, min(64, shape[axis]))
    whole, shape[axis] = shape[axis], kept
    dims[node.input[1]] = tuple(shape)
    for position, tensor in enumerate(model.graph.initializer):
        if len(node.input) > 2 and tensor.name == node.input[2] and list(tensor.dims)[-1:] == [whole]:
            bias = onnx.numpy_helper.to_array(tensor)[..., :kept]
            model.graph.initializer[position].CopyFrom(onnx.numpy_helper.from_array(bias.copy(), tensor.name))
    for value in model.graph.output:
        value.type.tensor_type.shape.dim[-1].dim_value = kept
    return kept / whole
