"""Removes what no output of the network needs."""

import onnx
from onnx import NodeProto

from partition_studio.graph.walk import node_reads


def prune(model: onnx.ModelProto) -> None:
    """Drop nodes that reach no output, optional outputs and weights that nobody reads, in place."""
    graph = model.graph
    needed = {value.name for value in graph.output}
    kept: list[NodeProto] = []
    for node in reversed(graph.node):
        if needed.intersection(node.output):
            kept.append(node)
            needed.update(node_reads(node))
    versions = {opset.domain: opset.version for opset in model.opset_import}
    for node in kept:
        _drop_optional_outputs(node, needed, versions)
    if len(kept) < len(graph.node):
        del graph.node[:]
        graph.node.extend(reversed(kept))
    weights = [tensor for tensor in graph.initializer if tensor.name in needed]
    if len(weights) < len(graph.initializer):
        del graph.initializer[:]
        graph.initializer.extend(weights)


def _drop_optional_outputs(node: NodeProto, needed: set[str], versions: dict[str, int]) -> None:
    if len(node.output) < 2 or not onnx.defs.has(node.op_type, versions.get(node.domain, 1), node.domain):
        return
    schema = onnx.defs.get_schema(node.op_type, versions.get(node.domain, 1), node.domain)
    optional = onnx.defs.OpSchema.FormalParameterOption.Optional
    names = list(node.output)
    for index, formal in enumerate(schema.outputs[: len(names)]):
        if formal.option == optional and names[index] not in needed:
            names[index] = ""
    while names and not names[-1]:
        names.pop()
    if names != list(node.output):
        del node.output[:]
        node.output.extend(names)
