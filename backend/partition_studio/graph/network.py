"""The network: an immutable index over a normalised ONNX model."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from math import prod
from types import MappingProxyType

import onnx

from partition_studio.errors import NotFoundError
from partition_studio.graph.dtypes import ONNX_TYPES, item_bytes
from partition_studio.graph.weights import Weight


class LayerNotFoundError(NotFoundError):
    """The network has no layer of that name."""

    code = "layer_not_found"
    next_step = "List the network's layers with `partition-studio model show`."


@dataclass(frozen=True, slots=True)
class TensorType:
    """Element type (numpy's name) and fully known shape of a tensor."""

    dtype: str
    shape: tuple[int, ...]

    @property
    def elements(self) -> int:
        """Number of elements."""
        return prod(self.shape)

    @property
    def size_bytes(self) -> int:
        """Bytes of the tensor's data."""
        return self.elements * item_bytes(self.dtype)


@dataclass(frozen=True, slots=True)
class Layer:
    """One ONNX node, and what it costs.

    Attributes:
        name: unique, and the key of a placement.
        inputs: activations that it reads, those captured by its subgraphs included; each once, in order of first use.
        outputs: activations that it makes.
        weights: initialisers that it reads, directly or through weight-making nodes that were not folded.
        output_types: type of each of `outputs`, in the same order.
        macs: multiply-accumulate operations of one frame (see `graph.cost`).
        parameters: elements of `weights`, without int64 ones (shapes, axes).
        weight_bytes: bytes of `weights`.
        activation_bytes: bytes of all `outputs`.
        attributes: short readable form of the node's attributes.
    """

    name: str
    op_type: str
    domain: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    weights: tuple[str, ...]
    output_types: tuple[TensorType, ...]
    macs: int
    parameters: int
    weight_bytes: int
    activation_bytes: int
    attributes: Mapping[str, str]

    @property
    def output_shapes(self) -> tuple[tuple[int, ...], ...]:
        """Shape of each output."""
        return tuple(kind.shape for kind in self.output_types)


@dataclass(frozen=True, slots=True)
class NetworkForm:
    """How a file was loaded: with which sizes for its free dimensions, and whether it was simplified.

    `dims` holds (symbol, size) pairs, sorted; the batch is 1 where it is not among them.
    """

    simplified: bool = False
    dims: tuple[tuple[str, int], ...] = ()


@dataclass(frozen=True, eq=False)
class Network:
    """A network that was checked and normalised by `graph.load`; never changed afterwards.

    Attributes:
        digest: SHA-256 (hex) of the original file's bytes, followed by those of its external weights.
        name: for people; the file's name without its ending.
        ir_version, opsets: of the normalised ONNX model; `opsets` by domain, the standard one being ''.
        nodes: its nodes in topological order: `layers` (same names, same order) and `weight_nodes`.
        weights: its constants, by name.
        layers: in topological order.
        inputs, outputs: of the whole network, in the file's order.
        tensors: type of every activation, network inputs included.
        weight_nodes: nodes fed by weights alone that are kept as they are (dequantisation), by each output's name.
            They are no layers: every stage that needs one gets a copy.
        constant_outputs: outputs of the file that are the same for every input, by name; not among `outputs`.
        form: what the person chose when the file was loaded; a plan is for one form of a network.
    """

    digest: str
    name: str
    ir_version: int
    opsets: Mapping[str, int]
    nodes: tuple[onnx.NodeProto, ...]
    weights: Mapping[str, Weight]
    layers: tuple[Layer, ...]
    inputs: Mapping[str, TensorType]
    outputs: Mapping[str, TensorType]
    tensors: Mapping[str, TensorType]
    weight_nodes: Mapping[str, onnx.NodeProto]
    form: NetworkForm = NetworkForm()
    constant_outputs: Mapping[str, Weight] = field(default_factory=dict)

    @cached_property
    def layers_by_name(self) -> Mapping[str, Layer]:
        """Every layer, by its name."""
        return MappingProxyType({layer.name: layer for layer in self.layers})

    @cached_property
    def position(self) -> Mapping[str, int]:
        """Place of each layer in the topological order."""
        return MappingProxyType({layer.name: index for index, layer in enumerate(self.layers)})

    @cached_property
    def producers(self) -> Mapping[str, Layer]:
        """The layer that makes each activation; network inputs have none."""
        return MappingProxyType({tensor: layer for layer in self.layers for tensor in layer.outputs})

    @cached_property
    def consumers(self) -> Mapping[str, tuple[Layer, ...]]:
        """The layers that read each activation, in topological order; empty where nobody does."""
        readers: dict[str, list[Layer]] = {tensor: [] for tensor in self.tensors}
        for layer in self.layers:
            for tensor in layer.inputs:
                readers[tensor].append(layer)
        return MappingProxyType({tensor: tuple(layers) for tensor, layers in readers.items()})

    @cached_property
    def nodes_by_layer(self) -> Mapping[str, onnx.NodeProto]:
        """The ONNX node of each layer."""
        return MappingProxyType({n.name: n for n in self.nodes if n.name in self.layers_by_name})

    def layer(self, name: str) -> Layer:
        """Return the layer of that name. Raises LayerNotFoundError."""
        try:
            return self.layers_by_name[name]
        except KeyError:
            raise LayerNotFoundError(f"The network {self.name!r} has no layer {name!r}.", layer=name) from None

    def predecessors(self, layer: Layer) -> tuple[Layer, ...]:
        """Return the layers whose outputs `layer` reads, each once."""
        return self._predecessors[layer.name]

    @cached_property
    def _predecessors(self) -> Mapping[str, tuple[Layer, ...]]:
        producers = self.producers
        return {
            layer.name: tuple({producers[t].name: producers[t] for t in layer.inputs if t in producers}.values())
            for layer in self.layers
        }

    @property
    def macs(self) -> int:
        """Multiply-accumulate operations of one frame through the whole network."""
        return sum(layer.macs for layer in self.layers)

    @cached_property
    def tensor_sizes(self) -> Mapping[str, int]:
        """Bytes of each activation."""
        return MappingProxyType({name: tensor.size_bytes for name, tensor in self.tensors.items()})

    @cached_property
    def weight_sizes(self) -> Mapping[str, int]:
        """Bytes of each weight."""
        return MappingProxyType({name: weight.size_bytes for name, weight in self.weights.items()})

    @cached_property
    def weight_bytes(self) -> int:
        """Bytes of all weights, shared ones counted once."""
        return sum(self.weight_sizes.values())

    @cached_property
    def parameters(self) -> int:
        """Elements of all weights, shared ones counted once, without int64 ones (shapes, axes)."""
        return sum(self.weight_elements.values())

    @cached_property
    def weight_elements(self) -> Mapping[str, int]:
        """Elements of each weight that count as parameters: 0 for int64 ones (shapes, axes)."""
        return MappingProxyType({name: parameter_count(weight) for name, weight in self.weights.items()})


def parameter_count(weight: Weight) -> int:
    """Return the elements of a weight that count as parameters: 0 for int64 ones (shapes, axes)."""
    return 0 if weight.data_type == onnx.TensorProto.INT64 else weight.elements


def value_info(name: str, kind: TensorType) -> onnx.ValueInfoProto:
    """Return ONNX's description of a tensor."""
    return onnx.helper.make_tensor_value_info(name, ONNX_TYPES[kind.dtype], kind.shape)
