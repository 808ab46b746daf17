"""Walks over everything that an ONNX message holds, subgraphs of control flow included."""

from collections.abc import Iterator

import onnx
from onnx import AttributeProto, GraphProto, NodeProto, TensorProto


def subgraphs(node: NodeProto) -> Iterator[GraphProto]:
    """Yield the bodies of an `If`, `Loop` or `Scan`."""
    for attribute in node.attribute:
        if attribute.type == AttributeProto.GRAPH:
            yield attribute.g
        elif attribute.type == AttributeProto.GRAPHS:
            yield from attribute.graphs


def all_nodes(graph: GraphProto) -> Iterator[NodeProto]:
    """Yield every node of a graph, and of the graphs in it."""
    for node in graph.node:
        yield node
        for body in subgraphs(node):
            yield from all_nodes(body)


def all_tensors(model: onnx.ModelProto) -> Iterator[TensorProto]:
    """Yield every stored tensor of a model: initialisers and attributes, of functions and subgraphs too."""
    yield from _graph_tensors(model.graph)
    for function in model.functions:
        for node in function.node:
            yield from node_tensors(node)
    for training in model.training_info:
        yield from _graph_tensors(training.initialization)
        yield from _graph_tensors(training.algorithm)


def _graph_tensors(graph: GraphProto) -> Iterator[TensorProto]:
    yield from graph.initializer
    for sparse in graph.sparse_initializer:
        yield sparse.values
        yield sparse.indices
    for node in graph.node:
        yield from node_tensors(node)


def node_tensors(node: NodeProto) -> Iterator[TensorProto]:
    """Yield every tensor that is stored in a node's attributes and subgraphs."""
    for attribute in node.attribute:
        if attribute.HasField("t"):
            yield attribute.t
        yield from attribute.tensors
        if attribute.HasField("sparse_tensor"):
            yield attribute.sparse_tensor.values
            yield attribute.sparse_tensor.indices
    for body in subgraphs(node):
        yield from _graph_tensors(body)


def captured_names(node: NodeProto) -> list[str]:
    """Return the names of the outer scope that a node's subgraphs read, each once, in order of first use."""
    found: dict[str, None] = {}
    for body in subgraphs(node):
        _collect_free(body, set(), found)
    return list(found)


def _collect_free(graph: GraphProto, outer: set[str], found: dict[str, None]) -> None:
    known = outer | {value.name for value in graph.input} | {tensor.name for tensor in graph.initializer}
    known |= {sparse.values.name for sparse in graph.sparse_initializer}
    for node in graph.node:
        for name in node.input:
            if name and name not in known:
                found[name] = None
        for body in subgraphs(node):
            _collect_free(body, known, found)
        known |= set(node.output)
    for value in graph.output:
        if value.name and value.name not in known:
            found[value.name] = None


def node_reads(node: NodeProto) -> list[str]:
    """Return every name that a node reads, captured ones included, each once, in order."""
    return list(dict.fromkeys([name for name in node.input if name] + captured_names(node)))
