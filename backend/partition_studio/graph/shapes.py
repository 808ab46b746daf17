"""Element types and shapes of all tensors, inferred on a copy of the network without its large weights."""

from collections.abc import Iterable, Mapping

import onnx
from onnx import TensorProto

from partition_studio.graph.batch import static_shape
from partition_studio.graph.dtypes import NUMPY_NAMES
from partition_studio.graph.errors import InvalidNetworkError
from partition_studio.graph.loops import carried_types
from partition_studio.graph.protobuf import DecodeError, EncodeError
from partition_studio.graph.runtime import open_session, runtime_error_types

#: Element type number (or `NO_TENSOR`), and shape where it is fully known.
RawType = tuple[int, tuple[int, ...] | None]

#: In place of an element type: a sequence, map, optional or sparse value.
NO_TENSOR = -1

#: Weights up to this size stay: shapes, axes and scales, whose values shape inference and operators look at.
_SMALL_BYTES = 4096

_ORT_TYPES = {
    "float": "float32",
    "double": "float64",
    "float16": "float16",
    "bool": "bool",
    **{f"{sign}int{bits}": f"{sign}int{bits}" for sign in ("", "u") for bits in (8, 16, 32, 64)},
}


def skeleton(model: onnx.ModelProto) -> onnx.ModelProto:
    """Return a copy of the network in which every large weight is an input of the same type instead."""
    copy = onnx.ModelProto(ir_version=model.ir_version)
    copy.opset_import.extend(model.opset_import)
    graph = model.graph
    copy.graph.name = graph.name or "network"
    copy.graph.node.extend(graph.node)
    copy.graph.input.extend(graph.input)
    copy.graph.output.extend(graph.output)
    copy.graph.value_info.extend(graph.value_info)
    for tensor in graph.initializer:
        if tensor.ByteSize() <= _SMALL_BYTES and tensor.data_location != TensorProto.EXTERNAL:
            copy.graph.initializer.append(tensor)
        else:
            copy.graph.input.append(onnx.helper.make_tensor_value_info(tensor.name, tensor.data_type, tensor.dims))
    return copy


def infer_types(model: onnx.ModelProto, file_name: str) -> dict[str, RawType]:
    """Return what shape inference knows of every tensor. Raises InvalidNetworkError where it finds a contradiction."""
    light = skeleton(model)
    types = _infer(light, file_name)
    known: dict[str, RawType] = {}
    while carried := carried_types(model, types):
        light.graph.value_info.extend(
            onnx.helper.make_tensor_value_info(name, number, dims) for name, (number, dims) in carried.items()
        )
        # They are in `types` from now on: none is found twice.
        known |= carried
        types = _infer(light, file_name) | known
    return types


def _infer(light: onnx.ModelProto, file_name: str) -> dict[str, RawType]:
    try:
        inferred = onnx.shape_inference.infer_shapes(light, data_prop=True)
    except (onnx.shape_inference.InferenceError, onnx.checker.ValidationError) as error:
        raise InvalidNetworkError(f"{file_name}: {_first_line(error)}", file=file_name) from error
    except (DecodeError, EncodeError, RuntimeError, ValueError) as error:
        raise InvalidNetworkError(
            f"{file_name}: the shapes cannot be inferred: {_first_line(error)}", file=file_name
        ) from error
    graph = inferred.graph
    types: dict[str, RawType] = {tensor.name: (tensor.data_type, tuple(tensor.dims)) for tensor in graph.initializer}
    for value in (*graph.value_info, *graph.output, *graph.input):
        other = value.type.WhichOneof("value") not in ("tensor_type", None)
        types[value.name] = (NO_TENSOR, None) if other else static_shape(value)
    return types


def ask_runtime_for_types(model: onnx.ModelProto, names: Iterable[str]) -> Mapping[str, RawType]:
    """Return what ONNX Runtime's own inference knows of some tensors; it also knows its contributed operators.

    What it cannot tell, or a network that it cannot open, is left out of the answer.
    """
    wanted = list(names)
    copy = skeleton(model)
    listed = {value.name for value in copy.graph.output}
    copy.graph.output.extend(onnx.ValueInfoProto(name=name) for name in wanted if name not in listed)
    try:
        session = open_session(copy, optimise=False)
    except runtime_error_types():
        return {}
    found: dict[str, RawType] = {}
    for value in session.get_outputs():
        dtype = _ORT_TYPES.get(value.type.removeprefix("tensor(").removesuffix(")"))
        # For a tensor of unknown rank the runtime tells the empty shape, as for one without dimensions.
        is_known = bool(value.shape) and all(isinstance(size, int) for size in value.shape)
        if value.name in wanted and dtype is not None and is_known:
            found[value.name] = (_NUMBERS[dtype], tuple(value.shape))
    return found


_NUMBERS = {name: number for number, name in NUMPY_NAMES.items()}


def forget_shapes(model: onnx.ModelProto) -> dict[str, RawType]:
    """Remove every stored shape except those of the inputs, in place, and return what was declared."""
    graph = model.graph
    declared = {value.name: static_shape(value) for value in (*graph.value_info, *graph.output)}
    del graph.value_info[:]
    for value in graph.output:
        if value.type.WhichOneof("value") == "tensor_type":
            value.type.tensor_type.ClearField("shape")
            if value.type.tensor_type.elem_type == TensorProto.UNDEFINED:
                value.ClearField("type")
    return declared


def _first_line(error: Exception) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return lines[0][:300] if lines else type(error).__name__
