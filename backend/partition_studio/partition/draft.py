"""The draft: a copy of a network's graph that sharding strategies rewrite; weights are cut lazily, never copied."""

import heapq
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import NodeProto

from partition_studio.errors import PlanError
from partition_studio.graph.index import index_network
from partition_studio.graph.network import Network, TensorType
from partition_studio.graph.shapes import shapes_of_constants
from partition_studio.graph.walk import node_reads
from partition_studio.graph.weights import Range, Weight


class ShardError(PlanError):
    """A layer cannot be divided as asked."""

    code = "bad_shard"
    next_step = "Divide other layers, or into fewer parts, or remove the entry from the plan's `shards`."


@dataclass(frozen=True, slots=True)
class Origin:
    """Where a part's tensor lies in the whole network: the tensor `whole`, restricted to `ranges`."""

    whole: str
    ranges: tuple[Range, ...]


class Draft:
    """A graph in the making.

    Attributes:
        nodes: by name. Order does not matter; `finish` sorts.
        types: of every activation, the network's inputs included.
        weights: constants, also those that no node reads any more (`finish` drops them).
        devices: the device of each node that a strategy has placed.
        glue: names of nodes that only take tensors apart or join them; whoever finishes the draft places them.
        origins: for tensors of parts that equal a piece of one of the whole network's tensors.
        approximate: tensors that differ from the whole's on purpose.
        sources: for each node made here, the layer of the whole network that it comes from.
        inputs, outputs: of the network.
    """

    def __init__(self, network: Network) -> None:
        self._network = network
        self._place = {node.name: index for index, node in enumerate(network.nodes)}
        self.nodes: dict[str, NodeProto] = {node.name: node for node in network.nodes}
        self.types: dict[str, TensorType] = dict(network.tensors)
        self.weights: dict[str, Weight] = dict(network.weights)
        self.devices: dict[str, str] = {}
        self.glue: dict[str, None] = {}
        self.origins: dict[str, Origin] = {}
        self.approximate: set[str] = set()
        self.sources: dict[str, str] = {}
        self.inputs = tuple(network.inputs)
        self.outputs = tuple(network.outputs)
        self._taken = {*self.types, *self.weights, *network.weight_nodes}
        self._makers: dict[str, str] = {t: n.name for n in network.nodes for t in n.output if t}
        self._readers: dict[str, dict[str, None]] = {}
        for node in network.nodes:
            for tensor in node_reads(node):
                self._readers.setdefault(tensor, {})[node.name] = None

    @property
    def opset(self) -> int:
        """Version of the standard operators."""
        return self._network.opsets[""]

    # --- looking -----------------------------------------------------------------------------------------------------

    def node(self, name: str) -> NodeProto:
        """Return a node; do not change it. Raises ShardError for a name that is not there (any more)."""
        try:
            return self.nodes[name]
        except KeyError:
            raise ShardError(
                f"There is no layer {name!r} to divide (an earlier entry of `shards` may have divided it).", layer=name
            ) from None

    def maker(self, tensor: str) -> NodeProto | None:
        """Return the node that makes a tensor; None for inputs of the network and weights."""
        name = self._makers.get(tensor)
        return None if name is None else self.nodes[name]

    def readers(self, tensor: str) -> list[NodeProto]:
        """Return the nodes that read a tensor, captured by subgraphs included."""
        return [self.nodes[name] for name in self._readers.get(tensor, {})]

    def is_constant(self, tensor: str) -> bool:
        """Say whether a tensor is a weight, or made of weights alone."""
        if tensor in self.weights:
            return True
        if tensor in self.types:
            return False
        maker = self.maker(tensor)
        return maker is not None and all(self.is_constant(name) for name in node_reads(maker))

    def activations(self, node: NodeProto) -> list[str]:
        """Return the activations that a node reads, each once."""
        return [name for name in node_reads(node) if name in self.types]

    def shape(self, tensor: str) -> tuple[int, ...]:
        """Return the shape of an activation or weight."""
        return self.types[tensor].shape if tensor in self.types else self.weights[tensor].dims

    def source(self, name: str) -> str:
        """Return the layer of the whole network that a node comes from."""
        return self.sources.get(name, name)

    def place(self, name: str) -> int | None:
        """Return the place, in the whole network's order, of the layer that a node comes from, if it is known.

        No edge leads from a later place to an earlier one.
        """
        return self._place.get(self.source(name))

    def origin(self, tensor: str) -> Origin | None:
        """Return where a tensor lies in the whole network; None for what is no piece of it (partial sums)."""
        if tensor in self.origins:
            return self.origins[tensor]
        return Origin(tensor, ()) if tensor in self._network.tensors else None

    # --- changing ----------------------------------------------------------------------------------------------------

    def fresh(self, wanted: str) -> str:
        """Return a name for a tensor, weight or node that nothing has yet: `wanted`, or that with a number."""
        name, count = wanted, 2
        while name in self._taken or name in self.nodes:
            name, count = f"{wanted}_{count}", count + 1
        self._taken.add(name)
        return name

    def remove(self, name: str) -> None:
        """Remove a node; whoever removes it makes its outputs anew, or removes their readers too."""
        node = self.nodes.pop(name)
        self.glue.pop(name, None)
        self.devices.pop(name, None)
        for tensor in node.output:
            self._makers.pop(tensor, None)
        for tensor in node_reads(node):
            self._readers[tensor].pop(name, None)

    def add(
        self,
        op_type: str,
        inputs: Sequence[str],
        outputs: Mapping[str, TensorType | None],
        *,
        name: str,
        attributes: Mapping[str, Any] | None = None,
        domain: str = "",
        device: str | None = None,
        source: str | None = None,
        glue: bool = False,
    ) -> NodeProto:
        """Add a node. `outputs` gives each output's type in order; None where it is made of weights alone.

        Its name is `name`, or that with a number when it is taken. `source` is the layer that it comes from.
        """
        node = onnx.helper.make_node(op_type, list(inputs), list(outputs), domain=domain, **(attributes or {}))
        node.name = name if name not in self.nodes else self.fresh(name)
        return self._insert(node, outputs, device, source, glue)

    def add_like(
        self,
        like: NodeProto,
        inputs: Sequence[str],
        outputs: Mapping[str, TensorType | None],
        *,
        name: str,
        attributes: Mapping[str, Any] | None = None,
        device: str | None = None,
    ) -> NodeProto:
        """Add a node with the operator and attributes of `like`, those in `attributes` changed (None: left out)."""
        node = NodeProto()
        node.CopyFrom(like)
        changed = dict(attributes or {})
        kept = [attribute for attribute in like.attribute if attribute.name not in changed]
        del node.attribute[:]
        node.attribute.extend(kept)
        node.attribute.extend(onnx.helper.make_attribute(k, v) for k, v in changed.items() if v is not None)
        del node.input[:]
        node.input.extend(inputs)
        del node.output[:]
        node.output.extend(outputs)
        node.name = name if name not in self.nodes else self.fresh(name)
        return self._insert(node, outputs, device, self.source(like.name), False)

    def _insert(
        self,
        node: NodeProto,
        outputs: Mapping[str, TensorType | None],
        device: str | None,
        source: str | None,
        glue: bool,
    ) -> NodeProto:
        self.nodes[node.name] = node
        for tensor, kind in outputs.items():
            self._taken.add(tensor)
            self._makers[tensor] = node.name
            if kind is not None:
                self.types[tensor] = kind
        for tensor in node_reads(node):
            self._readers.setdefault(tensor, {})[node.name] = None
        if device is not None:
            self.devices[node.name] = device
        if source is not None:
            self.sources[node.name] = source
        if glue:
            self.glue[node.name] = None
        return node

    def reconnect(self, name: str, old: str, new: str) -> None:
        """Let a node read `new` wherever it read `old` directly."""
        node = NodeProto()
        node.CopyFrom(self.nodes[name])
        for index, tensor in enumerate(node.input):
            if tensor == old:
                node.input[index] = new
        self.nodes[name] = node
        self._readers[old].pop(name, None)
        self._readers.setdefault(new, {})[name] = None

    def add_weight(self, wanted: str, array: NDArray[Any]) -> str:
        """Add a constant and return its name."""
        name = self.fresh(wanted)
        self.weights[name] = Weight.of_array(name, array)
        return name

    def weight_part(self, weight: str, wanted: str, *ranges: Range) -> str:
        """Return the name of a part of a weight; the weight's own name where the ranges cover it all."""
        whole = self.weights[weight]
        cuts = [cut for cut in ranges if (cut.start, cut.stop) != (0, whole.dims[cut.axis])]
        if not cuts:
            return weight
        name = self.fresh(wanted)
        self.weights[name] = whole.part(name, *cuts)
        return name

    def take(self, tensor: str, ranges: Iterable[Range], wanted: str) -> str:
        """Return the name of a piece of an activation, cut out by a Slice; the tensor itself where that is all of it.

        A piece that some Slice makes already is not made twice.
        """
        kind = self.types[tensor]
        cuts = [cut for cut in ranges if (cut.start, cut.stop) != (0, kind.shape[cut.axis])]
        if not cuts:
            return tensor
        shape = list(kind.shape)
        for cut in cuts:
            if not 0 <= cut.start < cut.stop <= shape[cut.axis]:
                raise ValueError(f"{cut} is not within {tensor!r} of shape {shape}")
            shape[cut.axis] = cut.length
        piece = self.fresh(wanted)
        starts, ends, axes = ([getattr(c, field) for c in cuts] for field in ("start", "stop", "axis"))
        outputs = {piece: TensorType(kind.dtype, tuple(shape))}
        source = self._source_of_tensor(tensor)
        name = f"take:{piece}"
        if self.opset < 10:
            attributes = {"starts": starts, "ends": ends, "axes": axes}
            self.add("Slice", [tensor], outputs, name=name, attributes=attributes, source=source, glue=True)
        else:
            values = {"starts": starts, "ends": ends, "axes": axes}
            numbers = [self.add_weight(f"{piece}/{key}", np.array(v, np.int64)) for key, v in values.items()]
            self.add("Slice", [tensor, *numbers], outputs, name=name, source=source, glue=True)
        origin = self.origin(tensor)
        if origin is not None:
            self.origins[piece] = within(origin, cuts)
        if tensor in self.approximate:
            self.approximate.add(piece)
        return piece

    def join(self, parts: Sequence[str], tensor: str, axis: int) -> None:
        """Make `tensor` by a Concat of `parts` along `axis`; its type is known or follows from theirs."""
        kinds = [self.types[part] for part in parts]
        shape = list(kinds[0].shape)
        shape[axis] = sum(kind.shape[axis] for kind in kinds)
        kind = TensorType(kinds[0].dtype, tuple(shape))
        if tensor in self.types and self.types[tensor] != kind:
            raise ValueError(f"{tensor!r} should be {self.types[tensor]}, not {kind}")
        source = self._source_of_tensor(parts[0])
        attributes = {"axis": axis}
        self.add(
            "Concat", parts, {tensor: kind}, name=f"join:{tensor}", attributes=attributes, source=source, glue=True
        )
        if any(part in self.approximate for part in parts):
            self.approximate.add(tensor)

    def _source_of_tensor(self, tensor: str) -> str | None:
        maker = self.maker(tensor)
        return None if maker is None else self.source(maker.name)

    # --- finishing ---------------------------------------------------------------------------------------------------

    def finish(self) -> Network:
        """Return the network: sorted, without constants and nodes that nothing reads. Raises ValueError on a circle."""
        order = self._sorted()
        constant: dict[str, NodeProto] = {}
        for node in order:
            if not any(name in self.types for name in node.output):
                constant.update((name, node) for name in node.output if name)
        read = {name for node in order for name in node_reads(node)}
        tensors = {name: self.types[name] for name in self.inputs}
        tensors.update((name, self.types[name]) for node in order for name in node.output if name in self.types)
        whole = self._network
        return index_network(
            digest=whole.digest,
            name=whole.name,
            ir_version=whole.ir_version,
            opsets=whole.opsets,
            nodes=order,
            weights={name: weight for name, weight in self.weights.items() if name in read},
            tensors=tensors,
            inputs=self.inputs,
            outputs=self.outputs,
            weight_nodes=constant,
            shapes=self._constant_shapes(constant),
            form=whole.form,
            constant_outputs=whole.constant_outputs,
        )

    def _constant_shapes(self, constant: Mapping[str, NodeProto]) -> dict[str, tuple[int, ...]]:
        """Return the shape of every tensor made of weights alone, where it can be told."""
        nodes = list({node.name: node for node in constant.values()}.values())
        shapes: dict[str, tuple[int, ...]] = {}
        for node in nodes:
            # Also that of the runtime's own domain, which the inference does not know.
            if node.op_type == "DequantizeLinear" and node.input[0] in self.weights:
                shapes[node.output[0]] = self.weights[node.input[0]].dims
        if len(shapes) < len(constant):
            shapes |= shapes_of_constants(nodes, self.weights, self._network.ir_version, self._network.opsets)
        return shapes

    def _sorted(self) -> list[NodeProto]:
        """Return the nodes that an output needs, in topological order: the order in which they were added, if free."""
        needed: set[str] = set()
        pending = [self._makers[name] for name in self.outputs if name in self._makers]
        while pending:
            name = pending.pop()
            if name not in needed:
                needed.add(name)
                pending.extend(self._makers[t] for t in node_reads(self.nodes[name]) if t in self._makers)
        rank = self._ranks(needed)
        waiting = {
            name: {self._makers[t] for t in node_reads(self.nodes[name]) if t in self._makers} for name in needed
        }
        followers: dict[str, list[str]] = {name: [] for name in needed}
        for name, makers in waiting.items():
            for maker in makers:
                followers[maker].append(name)
        ready = [(rank[name], name) for name in needed if not waiting[name]]
        heapq.heapify(ready)
        order: list[NodeProto] = []
        while ready:
            _, name = heapq.heappop(ready)
            order.append(self.nodes[name])
            for follower in followers[name]:
                waiting[follower].discard(name)
                if not waiting[follower]:
                    heapq.heappush(ready, (rank[follower], follower))
        if len(order) < len(needed):
            raise ValueError("the rewritten graph has a circle")
        return order

    def _ranks(self, needed: Iterable[str]) -> dict[str, tuple[int, int]]:
        """Rank nodes by the place of the layer that they come from, then by when they were added."""
        place = self._place
        return {
            name: (place.get(self.source(name), len(place)), index)
            for index, name in enumerate(self.nodes)
            if name in needed
        }


def within(origin: Origin, cuts: Sequence[Range]) -> Origin:
    """Return the origin of a piece of a piece."""
    offsets = {cut.axis: cut.start for cut in origin.ranges}
    ranges = {cut.axis: cut for cut in origin.ranges}
    for cut in cuts:
        first = offsets.get(cut.axis, 0)
        ranges[cut.axis] = Range(cut.axis, first + cut.start, first + cut.stop)
    return Origin(origin.whole, tuple(ranges[axis] for axis in sorted(ranges)))
