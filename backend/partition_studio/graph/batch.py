"""Binds free dimensions: to the sizes that the person gives; the batch becomes 1 where the file leaves it free."""

from collections.abc import Iterable, Mapping

import onnx
from onnx import TensorProto, TypeProto, ValueInfoProto

from partition_studio.graph.dtypes import NUMPY_NAMES, onnx_type_name
from partition_studio.graph.errors import UnboundDimensionError, UnknownDimensionError, UnsupportedTypeError

#: No dimension is larger.
_MOST = 2**31 - 1


def real_inputs(model: onnx.ModelProto) -> list[ValueInfoProto]:
    """Return the graph's inputs without initialisers, which IR 3 lists among them."""
    weights = {tensor.name for tensor in model.graph.initializer}
    return [value for value in model.graph.input if value.name not in weights]


def bind_dimensions(model: onnx.ModelProto, dims: Iterable[tuple[str, int]], file_name: str) -> None:
    """Give every free dimension of an input its size, and the same symbol wherever else it stands, in place.

    Free means symbolic, absent, 0 or -1. `dims` holds (symbol, size); a free dimension may also be called
    `INPUT:INDEX`. A free first dimension that is not among them becomes 1. Shapes of outputs and inner tensors that
    are not fixed are forgotten: they may follow from the inputs. Raises UnboundDimensionError for any other free
    dimension, UnknownDimensionError for a size that nothing needs, UnsupportedTypeError for an input that is no
    tensor of a type that can travel.
    """
    inputs = real_inputs(model)
    shapes = {value.name: _tensor_type(value, file_name).shape for value in inputs}
    free = {
        (name, index): dimension.dim_param
        for name, shape in shapes.items()
        for index, dimension in enumerate(shape.dim)
        if dimension.dim_value <= 0
    }
    sizes = _sizes(free, dict(dims), file_name)
    for (name, index), symbol in free.items():
        size = sizes.get(symbol or f"{name}:{index}")
        if size is None:
            called = symbol or f"{name}:{index}"
            raise UnboundDimensionError(
                f"{file_name}: the input {name!r} has no fixed size in dimension {index}"
                + (f" ({symbol!r})" if symbol else "")
                + f"; give the size of {called!r}.",
                next_step=f"Give its size (--dim {called}=SIZE), or export the network with a fixed input size.",
                tensor=name,
                dimension=index,
                symbol=called,
            )
        shapes[name].dim[index].dim_value = size
    _bind_values(model, sizes)


def _sizes(free: Mapping[tuple[str, int], str], wanted: dict[str, int], file_name: str) -> dict[str, int]:
    """Return the size of each symbol, and of each nameless dimension as `INPUT:INDEX`."""
    sizes: dict[str, int] = {}
    for (name, index), symbol in free.items():
        place = f"{name}:{index}"
        for called in (symbol, place):
            if called and called in wanted:
                sizes[symbol or place] = wanted[called]
    names = {*free.values(), *(f"{name}:{index}" for name, index in free)} - {""}
    for called, size in wanted.items():
        if called not in names:
            listed = dict.fromkeys(symbol or f"{name}:{index}" for (name, index), symbol in free.items())
            there = f"free are {', '.join(map(repr, listed))}" if listed else "it has no free dimension"
            raise UnknownDimensionError(
                f"{file_name} has no free dimension {called!r}; {there}.", dimension=called, free=list(listed)
            )
        if not 0 < size <= _MOST:
            raise UnknownDimensionError(f"{file_name}: {size} is no size for the dimension {called!r}.", size=size)
    for (name, index), symbol in free.items():
        if index == 0:
            sizes.setdefault(symbol or f"{name}:0", 1)
    return sizes


def _tensor_type(value: ValueInfoProto, file_name: str) -> TypeProto.Tensor:
    kind = value.type.WhichOneof("value")
    if kind != "tensor_type":
        what = (kind or "value of no type").removesuffix("_type").replace("_", " ")
        raise UnsupportedTypeError(
            f"{file_name}: the input {value.name!r} is no tensor (but a {what}), which is not supported.",
            tensor=value.name,
        )
    tensor_type = value.type.tensor_type
    if tensor_type.elem_type not in NUMPY_NAMES:
        raise UnsupportedTypeError(
            f"{file_name}: the input {value.name!r} has the element type {onnx_type_name(tensor_type.elem_type)}, "
            "which is not supported.",
            tensor=value.name,
        )
    if not tensor_type.HasField("shape"):
        raise UnboundDimensionError(
            f"{file_name}: the input {value.name!r} has no shape.",
            next_step="Export the network with a shape for every input.",
            tensor=value.name,
        )
    return tensor_type


def _bind_values(model: onnx.ModelProto, sizes: Mapping[str, int]) -> None:
    graph = model.graph
    for value in (*graph.value_info, *graph.output):
        if value.type.WhichOneof("value") != "tensor_type":
            continue
        shape = value.type.tensor_type.shape
        for dimension in shape.dim:
            if dimension.dim_param in sizes:
                dimension.dim_value = sizes[dimension.dim_param]
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
