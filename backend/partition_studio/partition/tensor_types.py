"""The types of all tensors of a sub-model, those inside of branches and loops included. Pure."""

from collections.abc import Iterator, Mapping

import onnx
from onnx import TensorProto, TypeProto

from partition_studio.graph.dtypes import onnx_type_name
from partition_studio.partition.submodel import SubModel

#: What one graph sees: types as operators' schemas write them (`tensor(float)`), by tensor; unknown ones are absent.
Scope = Mapping[str, str]


def scopes_of(part: SubModel) -> Iterator[Scope]:
    """Yield the scope of each graph of a sub-model, in the order of `graphs_of`."""
    outer = {weight.name: _tensor(weight.data_type) for weight in part.streamed}
    yield from _scopes(_inferred(part), outer)


def graphs_of(graph: onnx.GraphProto) -> Iterator[onnx.GraphProto]:
    """Yield a graph, then those inside of its nodes."""
    yield graph
    for node in graph.node:
        for attribute in node.attribute:
            for inner in _inner(attribute):
                yield from graphs_of(inner)


def _inner(attribute: onnx.AttributeProto) -> Iterator[onnx.GraphProto]:
    if attribute.type == onnx.AttributeProto.GRAPH:
        yield attribute.g
    yield from attribute.graphs


def _inferred(part: SubModel) -> onnx.GraphProto:
    """Return the graph with the types that follow from those that are told."""
    model = onnx.ModelProto()
    model.CopyFrom(part.model)
    # For their types, weights are inputs: the large ones are not in the model, and no values are needed.
    weights = [(tensor.name, tensor.data_type, tensor.dims) for tensor in model.graph.initializer]
    weights += [(weight.name, weight.data_type, weight.dims) for weight in part.streamed]
    del model.graph.initializer[:]
    given = {info.name for info in model.graph.input}
    model.graph.input.extend(
        onnx.helper.make_tensor_value_info(name, data_type, dims)
        for name, data_type, dims in weights
        if name not in given
    )
    try:
        return onnx.shape_inference.infer_shapes(model).graph
    except (onnx.shape_inference.InferenceError, ValueError, RuntimeError):
        # What is told counts then; what stays unknown is refused where it matters.
        return part.model.graph


def _scopes(graph: onnx.GraphProto, outer: Mapping[str, str]) -> Iterator[Scope]:
    types = dict(outer)
    for tensor in graph.initializer:
        types[tensor.name] = _tensor(tensor.data_type)
    for sparse in graph.sparse_initializer:
        types[sparse.values.name] = _tensor(sparse.values.data_type)
    for info in (*graph.input, *graph.output, *graph.value_info):
        kind = _kind(info.type)
        if kind is not None:
            types[info.name] = kind
    # The same name may be another tensor in the branch beside: only what encloses a graph is seen by it.
    yield types
    for node in graph.node:
        for attribute in node.attribute:
            for inner in _inner(attribute):
                yield from _scopes(inner, types)


def _tensor(number: int) -> str:
    return f"tensor({onnx_type_name(number)})"


def _kind(told: TypeProto) -> str | None:
    match told.WhichOneof("value"):
        case "tensor_type" if told.tensor_type.elem_type != TensorProto.UNDEFINED:
            return _tensor(told.tensor_type.elem_type)
        case "sequence_type":
            inner = _kind(told.sequence_type.elem_type)
            return None if inner is None else f"seq({inner})"
        case "optional_type":
            inner = _kind(told.optional_type.elem_type)
            return None if inner is None else f"optional({inner})"
        case _:
            return None
