"""The network: an immutable index over a normalised ONNX model."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from math import prod
from types import MappingProxyType

import onnx

from partition_studio.errors import NotFoundError
from partition_studio.graph.dtypes import item_bytes


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


@dataclass(frozen=True, eq=False)
class Network:
    """A network that was checked and normalised by `graph.load`; never changed afterwards.

    Attributes:
        digest: SHA-256 (hex) of the original file's bytes, followed by those of its external weights.
        name: for people; the file's name without its ending.
        model: the normalised ONNX model. Its nodes are `layers` (same names, same order) and `weight_nodes`.
        layers: in topological order.
        inputs, outputs: of the whole network, in the file's order.
        tensors: type of every activation, network inputs included.
        weight_nodes: nodes fed by weights alone that are kept as they are (dequantisation), by each output's name.
            They are no layers: every stage that needs one gets a copy.
        weight_sizes: bytes of each initialiser.
    """

    digest: str
    name: str
    model: onnx.ModelProto
    layers: tuple[Layer, ...]
    inputs: Mapping[str, TensorType]
    outputs: Mapping[str, TensorType]
    tensors: Mapping[str, TensorType]
    weight_nodes: Mapping[str, onnx.NodeProto]
    weight_sizes: Mapping[str, int]

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
        return MappingProxyType({n.name: n for n in self.model.graph.node if n.name in self.layers_by_name})

    @cached_property
    def initializers(self) -> Mapping[str, onnx.TensorProto]:
        """The weights, by name."""
        return MappingProxyType({tensor.name: tensor for tensor in self.model.graph.initializer})

    def layer(self, name: str) -> Layer:
        """Return the layer of that name. Raises LayerNotFoundError."""
        try:
            return self.layers_by_name[name]
        except KeyError:
            raise LayerNotFoundError(f"The network {self.name!r} has no layer {name!r}.", layer=name) from None

    def predecessors(self, layer: Layer) -> tuple[Layer, ...]:
        """Return the layers whose outputs `layer` reads, each once."""
        makers = {self.producers[t].name: self.producers[t] for t in layer.inputs if t in self.producers}
        return tuple(makers.values())

    @property
    def macs(self) -> int:
        """Multiply-accumulate operations of one frame through the whole network."""
        return sum(layer.macs for layer in self.layers)

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
        """Elements of each initialiser that count as parameters: 0 for int64 ones (shapes, axes)."""
        int64 = onnx.TensorProto.INT64
        weights = self.model.graph.initializer
        return MappingProxyType({t.name: 0 if t.data_type == int64 else prod(t.dims) for t in weights})
