"""Binds the batch: the first dimension of every input becomes 1 where the file leaves it free."""

import onnx
from onnx import TensorProto, TypeProto, ValueInfoProto

from partition_studio.graph.dtypes import NUMPY_NAMES, onnx_type_name
from partition_studio.graph.errors import UnboundDimensionError, UnsupportedTypeError


def real_inputs(model: onnx.ModelProto) -> list[ValueInfoProto]:
    """Return the graph's inputs without initialisers, which IR 3 lists among them."""
    weights = {tensor.name for tensor in model.graph.initializer}
    return [value for value in model.graph.input if value.name not in weights]


def bind_batch(model: onnx.ModelProto, file_name: str) -> None:
    """Set every free first dimension of an input to 1, and the same symbol wherever else it stands, in place.

    Free means symbolic, absent, 0 or -1. Shapes of outputs and inner tensors that are not fixed are forgotten: they
    may follow from the batch. Raises UnboundDimensionError for any other free dimension, UnsupportedTypeError for an
    input that is no tensor of a type that can travel.
    """
    inputs = real_inputs(model)
    symbols = set()
    for value in inputs:
        tensor_type = _tensor_type(value, file_name)
        if tensor_type.shape.dim:
            first = tensor_type.shape.dim[0]
            if first.dim_param:
                symbols.add(first.dim_param)
            if first.dim_value <= 0:
                first.dim_value = 1
    for value in inputs:
        for index, dimension in enumerate(value.type.tensor_type.shape.dim):
            if dimension.dim_param in symbols:
                dimension.dim_value = 1
            if dimension.dim_value <= 0:
                called = f" ({dimension.dim_param!r})" if dimension.dim_param else ""
                raise UnboundDimensionError(
                    f"{file_name}: the input {value.name!r} has no fixed size in dimension {index}{called}.",
                    tensor=value.name,
                    dimension=index,
                )
    _bind_values(model, symbols)


def _tensor_type(value: ValueInfoProto, file_name: str) -> TypeProto.Tensor:
    if value.type.WhichOneof("value") != "tensor_type":
        raise UnsupportedTypeError(f"{file_name}: the input {value.name!r} is no tensor.", tensor=value.name)
    tensor_type = value.type.tensor_type
    if tensor_type.elem_type not in NUMPY_NAMES:
        raise UnsupportedTypeError(
            f"{file_name}: the input {value.name!r} has the element type {onnx_type_name(tensor_type.elem_type)}, "
            "which is not supported.",
            tensor=value.name,
        )
    if not tensor_type.HasField("shape"):
        raise UnboundDimensionError(f"{file_name}: the input {value.name!r} has no shape.", tensor=value.name)
    return tensor_type


def _bind_values(model: onnx.ModelProto, symbols: set[str]) -> None:
    graph = model.graph
    for value in (*graph.value_info, *graph.output):
        if value.type.WhichOneof("value") != "tensor_type":
            continue
        shape = value.type.tensor_type.shape
        for dimension in shape.dim:
            if dimension.dim_param in symbols:
                dimension.dim_value = 1
        if any(dimension.dim_value <= 0 for dimension in shape.dim):
            value.type.tensor_type.ClearField("shape")
    kept = [value for value in graph.value_info if value.type.tensor_type.HasField("shape")]
    del graph.value_info[:]
    graph.value_info.extend(kept)


def static_shape(value: ValueInfoProto) -> tuple[int, tuple[int, ...] | None]:
    """Return element type and shape of a value; the shape is None where it is not fully known."""
    if value.type.WhichOneof("value") != "tensor_type":
        return TensorProto.UNDEFINED, None
    tensor_type = value.type.tensor_type
    if not tensor_type.HasField("shape"):
        return tensor_type.elem_type, None
    dims = tensor_type.shape.dim
    if not all(dimension.HasField("dim_value") and dimension.dim_value >= 0 for dimension in dims):
        return tensor_type.elem_type, None
    return tensor_type.elem_type, tuple(dimension.dim_value for dimension in dims)
