"""Simplification: layers that can be computed into their neighbours are, by onnxslim (see `docs/decisions`).

A normalisation goes into the convolution before it, a scale and a shift too; copies that change nothing go. What is
left keeps its names: a plan is written in them.
"""

import threading

import onnx
from onnx import NodeProto

from partition_studio.errors import NetworkError
from partition_studio.graph.names import name_nodes
from partition_studio.graph.shapes import infer_types
from partition_studio.graph.walk import node_reads

#: The loader folds constants itself and keeps dequantisation; the library would unfold quantised weights.
_LEFT_OUT = ["constant_folding"]

#: The library keeps its settings in one place for the whole process.
_ONE_AT_A_TIME = threading.Lock()


class SimplificationFailedError(NetworkError):
    """The library that simplifies cannot take the network."""

    code = "simplification_failed"
    next_step = "Use the network as it is in the file (`--no-simplify`)."


def simplify(model: onnx.ModelProto, file_name: str) -> onnx.ModelProto:
    """Return a simplified copy of a normalised network with its weights inside; the same input gives the same copy.

    Inputs and outputs are the same. A node that is left keeps its name; one that was made of several is called after
    the one that does its work, as the convolution of a convolution and its normalisation. Stored shapes of inner
    tensors are not kept. Raises SimplificationFailedError.
    """
    source = _with_shapes(model, file_name)
    try:
        with _ONE_AT_A_TIME:
            # Imported late: it takes a third of a second.
            import onnxslim

            made = onnxslim.slim(source, no_shape_infer=True, skip_optimizations=list(_LEFT_OUT))
    except Exception as error:  # foreign passes over a foreign graph: whatever they raise is their answer
        raise SimplificationFailedError(
            f"{file_name} cannot be simplified: {type(error).__name__}: {_first_line(error)}", file=file_name
        ) from error
    simplified = _with_ends_of(model, made, file_name)
    _keep_names(model, simplified)
    name_nodes(simplified)
    return simplified


def _with_shapes(model: onnx.ModelProto, file_name: str) -> onnx.ModelProto:
    """Return a copy that tells the shape of every inner tensor where it is known: some rewrites ask for them."""
    types = infer_types(model, file_name)
    copy = onnx.ModelProto()
    copy.CopyFrom(model)
    del copy.graph.value_info[:]
    outside = {value.name for value in (*model.graph.input, *model.graph.output)}
    inner = [name for node in model.graph.node for name in node.output if name not in outside]
    copy.graph.value_info.extend(
        onnx.helper.make_tensor_value_info(name, number, dims)
        for name, (number, dims) in ((name, types[name]) for name in inner if name in types)
        if dims is not None
    )
    return copy


def _with_ends_of(model: onnx.ModelProto, made: onnx.ModelProto, file_name: str) -> onnx.ModelProto:
    """Return `made` with the head, inputs and outputs of `model`. Raises SimplificationFailedError."""
    graph = made.graph
    there = {name for node in graph.node for name in node.output} | {value.name for value in model.graph.input}
    lost = next((value.name for value in model.graph.output if value.name not in there), None)
    if lost is not None:
        raise SimplificationFailedError(
            f"{file_name} cannot be simplified: its output {lost!r} would be lost.", file=file_name, tensor=lost
        )
    made.ir_version = model.ir_version
    versions = {opset.domain: opset.version for opset in model.opset_import}
    del made.opset_import[:]
    made.opset_import.extend(model.opset_import)
    strange = next((node for node in graph.node if node.domain not in versions), None)
    if strange is not None:
        raise SimplificationFailedError(
            f"{file_name} cannot be simplified: {strange.op_type!r} of the domain {strange.domain!r} would be added.",
            file=file_name,
        )
    for field in ("producer_name", "producer_version", "doc_string", "metadata_props", "functions"):
        made.ClearField(field)
    graph.name = model.graph.name
    for field in ("input", "output", "value_info", "doc_string"):
        graph.ClearField(field)
    graph.input.extend(model.graph.input)
    graph.output.extend(model.graph.output)
    return made


def _keep_names(model: onnx.ModelProto, simplified: onnx.ModelProto) -> None:
    """Name every node of the simplified network after the node that it stands for, in place.

    That is the original one of its operator that makes its output, or that this one's output is made from in a chain
    without branches; and where there is none, the original maker of its output.
    """
    makers = {tensor: node for node in model.graph.node for tensor in node.output if tensor}
    taken: set[str] = set()
    for node in simplified.graph.node:
        stands_for = _ancestor(node, makers, taken)
        node.name = "" if stands_for is None else stands_for.name
        if node.name:
            taken.add(node.name)


def _ancestor(node: NodeProto, makers: dict[str, NodeProto], taken: set[str]) -> NodeProto | None:
    last = next((makers[tensor] for tensor in node.output if tensor in makers), None)
    current = last
    while current is not None and (current.op_type != node.op_type or current.name in taken):
        reads = [makers[tensor] for tensor in node_reads(current) if tensor in makers]
        current = reads[0] if len(reads) == 1 else None
    if current is not None:
        return current
    return last if last is not None and last.name not in taken else None


def _first_line(error: Exception) -> str:
    return next((line.strip()[:200] for line in str(error).splitlines() if line.strip()), "no reason given")
