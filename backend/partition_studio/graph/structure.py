"""Is it a graph at all: known operators, one maker for each tensor, no circle. Then in topological order."""

import heapq
import re
from collections import Counter
from collections.abc import Iterable

import onnx
from onnx import AttributeProto, NodeProto

from partition_studio.errors import NetworkError
from partition_studio.graph.errors import (
    CyclicGraphError,
    DuplicateNameError,
    RandomLayerError,
    UndefinedTensorError,
    UnknownOpError,
    UnsupportedDomainError,
    UnsupportedTypeError,
    UnsupportedVersionError,
)
from partition_studio.graph.runtime import contributed_operators, newest_versions
from partition_studio.graph.walk import all_nodes, node_reads

_DOMAINS = ("", "ai.onnx.ml", "com.microsoft")
_SPARSE = (AttributeProto.SPARSE_TENSOR, AttributeProto.SPARSE_TENSORS)
_RANDOM = {"RandomNormal", "RandomUniform", "RandomNormalLike", "RandomUniformLike", "Multinomial", "Bernoulli"}

#: Every ONNX Runtime that the studio runs with (1.20 or newer) takes this operator set; asking costs 8 MB.
_SURE_OPSET = 21

#: Refused nodes that are told by name; more are counted.
MOST_TOLD = 20


def describe(node: NodeProto) -> str:
    """Name a node for a message, also one that has no name."""
    if node.name:
        return f"node {node.name!r}"
    first = next((name for name in node.output if name), "")
    return f"nameless {node.op_type} node that makes {first!r}"


def with_node(sentence: str, nodes: Iterable[NodeProto]) -> str:
    """Return what ONNX or the runtime says about a network, with the node where it names an operator alone."""
    words = set(re.findall(r"[^\s'\"(),:\[\]]+", sentence))
    meant = []
    for node in nodes:
        if node.name and (node.name in words or f"'{node.name}'" in sentence):
            return sentence
        if node.op_type in words:
            meant.append(node)
    if not meant:
        return sentence
    rest = f" or one of {len(meant) - 1} more" if len(meant) > 1 else ""
    return f"{sentence.rstrip('.')} (the {describe(meant[0])}{rest})."


def check_operators(model: onnx.ModelProto, file_name: str) -> None:
    """Refuse formats, operator sets, domains and operators that the runtime does not know, by the node's name.

    Also writes the standard domain as '' throughout. Raises UnsupportedVersionError, UnsupportedDomainError,
    UnknownOpError, UnsupportedTypeError, RandomLayerError.
    """
    versions = _opset_versions(model, file_name)
    refused: list[NetworkError] = []
    layers: list[dict[str, str]] = []
    for node in all_nodes(model.graph):
        if node.domain == "ai.onnx":
            node.domain = ""
        error = _why_not(node, versions, file_name)
        if error is not None:
            refused.append(error)
            layers.append({"layer": (node.name or describe(node))[:200], "operator": node.op_type[:200]})
    if len(refused) == 1:
        raise refused[0]
    if refused:
        # Whoever exports the network anew wants to know of all of them at once.
        first, more = refused[0], len(refused) - 1
        rest = f"and {more} more {'nodes are' if more > 1 else 'node is'} refused"
        error = type(first)(f"{first.message.rstrip('.')}, {rest}.")
        error.details = {**first.details, "refused": layers[:MOST_TOLD], "refused_count": len(refused)}
        raise error


def _why_not(node: NodeProto, versions: dict[str, int], file_name: str) -> NetworkError | None:
    where = f"{file_name}: the {describe(node)}"
    if node.domain not in _DOMAINS:
        return UnsupportedDomainError(
            f"{where} uses {node.op_type!r} of the domain {node.domain!r}, which is not supported.",
            node=node.name,
            domain=node.domain,
        )
    if not _is_known(node, versions):
        return UnknownOpError(
            f"{where} has the unknown operator {node.op_type!r} (opset {versions.get(node.domain, 'missing')}).",
            node=node.name,
            op_type=node.op_type,
        )
    if any(attribute.type in _SPARSE for attribute in node.attribute):
        return UnsupportedTypeError(f"{where} holds a sparse tensor, which is not supported.", node=node.name)
    if node.domain == "" and node.op_type in _RANDOM:
        return RandomLayerError(f"{where} makes random values ({node.op_type}).", node=node.name)
    return None


def _opset_versions(model: onnx.ModelProto, file_name: str) -> dict[str, int]:
    if model.ir_version > onnx.IR_VERSION:
        raise UnsupportedVersionError(
            f"{file_name} has the format version {model.ir_version}; the newest known is {onnx.IR_VERSION}.",
            ir_version=model.ir_version,
        )
    versions: dict[str, int] = {}
    for opset in model.opset_import:
        if opset.domain == "ai.onnx":
            opset.domain = ""
        versions[opset.domain] = opset.version
    if versions.get("", 1) > _SURE_OPSET and versions[""] > (newest := newest_versions()[1]):
        raise UnsupportedVersionError(
            f"{file_name} uses opset {versions['']}; the newest that ONNX Runtime takes here is {newest}.",
            opset=versions[""],
        )
    return versions


def _is_known(node: NodeProto, versions: dict[str, int]) -> bool:
    if node.domain not in versions:
        return False
    if node.domain == "com.microsoft":
        return node.op_type in contributed_operators()
    return bool(onnx.defs.has(node.op_type, versions[node.domain], node.domain))


def check_names(model: onnx.ModelProto, file_name: str) -> None:
    """Refuse tensors that two makers share, stored sparse weights, and outputs that stand twice."""
    graph = model.graph
    if graph.sparse_initializer:
        name = graph.sparse_initializer[0].values.name
        raise UnsupportedTypeError(f"{file_name}: the weight {name!r} is stored sparse.", tensor=name)
    weights = [tensor.name for tensor in graph.initializer]
    inputs = [value.name for value in graph.input]
    made = Counter([name for node in graph.node for name in node.output if name])
    made.update(set(weights) | set(inputs))
    for kind, names in (
        ("tensor", made),
        ("weight", Counter(weights)),
        ("input", Counter(inputs)),
        ("output", Counter(value.name for value in graph.output)),
    ):
        name, count = max(names.items(), key=lambda item: item[1], default=("", 0))
        if count > 1:
            raise DuplicateNameError(f"{file_name}: there are {count} makers of the {kind} {name!r}.", tensor=name)


def sort_nodes(model: onnx.ModelProto, file_name: str) -> None:
    """Put the nodes in topological order, the file's order as far as possible, in place.

    Raises UndefinedTensorError for a tensor that nobody makes, CyclicGraphError for a circle.
    """
    graph = model.graph
    nodes = list(graph.node)
    available = {tensor.name for tensor in graph.initializer} | {value.name for value in graph.input}
    maker = {name: index for index, node in enumerate(nodes) for name in node.output if name}
    waiting: list[set[int]] = []
    readers: list[list[int]] = [[] for _ in nodes]
    for index, node in enumerate(nodes):
        reads = [name for name in node_reads(node) if name not in available]
        missing = next((name for name in reads if name not in maker), None)
        if missing is not None:
            raise UndefinedTensorError(
                f"{file_name}: the {describe(node)} reads {missing!r}, which nothing makes.",
                node=node.name,
                tensor=missing,
            )
        waiting.append({maker[name] for name in reads})
        for source in waiting[-1]:
            readers[source].append(index)
    for value in graph.output:
        if value.name not in available and value.name not in maker:
            raise UndefinedTensorError(f"{file_name}: nothing makes the output {value.name!r}.", tensor=value.name)
    order = _kahn(waiting, readers)
    if len(order) < len(nodes):
        stuck = nodes[_in_circle(waiting)]
        raise CyclicGraphError(f"{file_name}: the {describe(stuck)} depends on its own output.", node=stuck.name)
    if order != list(range(len(nodes))):
        del graph.node[:]
        graph.node.extend(nodes[index] for index in order)


def _kahn(waiting: list[set[int]], readers: list[list[int]]) -> list[int]:
    """Return the order, smallest index first among the ready; empties `waiting` of those that are done."""
    ready = [index for index, sources in enumerate(waiting) if not sources]
    order = []
    while ready:
        index = heapq.heappop(ready)
        order.append(index)
        for reader in readers[index]:
            waiting[reader].discard(index)
            if not waiting[reader]:
                heapq.heappush(ready, reader)
    return order


def _in_circle(waiting: list[set[int]]) -> int:
    """Return a node that lies on a circle: from any stuck node, walk to what it waits for until one comes again."""
    index = next(index for index, sources in enumerate(waiting) if sources)
    seen: set[int] = set()
    while index not in seen:
        seen.add(index)
        index = min(waiting[index])
    return index
