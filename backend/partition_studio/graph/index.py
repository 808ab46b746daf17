"""Makes a `Network` of checked nodes, weights and types: what each layer reads, makes and costs."""

from collections.abc import Mapping, Sequence
from types import MappingProxyType

from onnx import NodeProto

from partition_studio.graph.cost import layer_macs, readable_attributes
from partition_studio.graph.network import Layer, Network, NetworkForm, TensorType, parameter_count
from partition_studio.graph.walk import node_reads
from partition_studio.graph.weights import Weight


def index_network(
    *,
    digest: str,
    name: str,
    ir_version: int,
    opsets: Mapping[str, int],
    nodes: Sequence[NodeProto],
    weights: Mapping[str, Weight],
    tensors: Mapping[str, TensorType],
    inputs: Sequence[str],
    outputs: Sequence[str],
    weight_nodes: Mapping[str, NodeProto],
    shapes: Mapping[str, tuple[int, ...]] | None = None,
    form: NetworkForm | None = None,
    constant_outputs: Mapping[str, Weight] | None = None,
) -> Network:
    """Return the network. `nodes` are in topological order; `shapes` may tell those of weight-making nodes' outputs."""
    known = {weight.name: weight.dims for weight in weights.values()}
    known.update(shapes or {})
    known.update((tensor, kind.shape) for tensor, kind in tensors.items())
    sizes = {weight: held.size_bytes for weight, held in weights.items()}
    counts = {weight: parameter_count(held) for weight, held in weights.items()}
    layers = []
    for node in nodes:
        if any(output in weight_nodes for output in node.output):
            continue
        made = tuple(output for output in node.output if output)
        kinds = tuple(tensors[output] for output in made)
        read = weights_of(node, weights, weight_nodes)
        layers.append(
            Layer(
                name=node.name,
                op_type=node.op_type,
                domain=node.domain,
                inputs=tuple(tensor for tensor in node_reads(node) if tensor in tensors),
                outputs=made,
                weights=read,
                output_types=kinds,
                macs=layer_macs(node, known),
                parameters=sum(counts[weight] for weight in read),
                weight_bytes=sum(sizes[weight] for weight in read),
                activation_bytes=sum(kind.size_bytes for kind in kinds),
                attributes=MappingProxyType(readable_attributes(node)),
            )
        )
    return Network(
        digest=digest,
        name=name,
        ir_version=ir_version,
        opsets=MappingProxyType(dict(opsets)),
        nodes=tuple(nodes),
        weights=MappingProxyType(dict(weights)),
        layers=tuple(layers),
        inputs=MappingProxyType({tensor: tensors[tensor] for tensor in inputs}),
        outputs=MappingProxyType({tensor: tensors[tensor] for tensor in outputs}),
        tensors=MappingProxyType(dict(tensors)),
        weight_nodes=MappingProxyType(dict(weight_nodes)),
        form=form or NetworkForm(),
        constant_outputs=MappingProxyType(dict(constant_outputs or {})),
    )


def weights_of(
    node: NodeProto, weights: Mapping[str, object], weight_nodes: Mapping[str, NodeProto]
) -> tuple[str, ...]:
    """Return the weights that a node reads, directly or through weight-making nodes, in order of first use."""
    found: dict[str, None] = {}
    pending = node_reads(node)[::-1]
    while pending:
        name = pending.pop()
        if name in weights:
            found[name] = None
        elif name in weight_nodes:
            pending.extend(node_reads(weight_nodes[name])[::-1])
    return tuple(found)
