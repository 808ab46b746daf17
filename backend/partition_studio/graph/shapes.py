"""Element types and shapes of all tensors, inferred on a copy of the network without its large weights."""

from collections.abc import Iterable, Mapping, Sequence

import onnx
from onnx import NodeProto, TensorProto

from partition_studio.graph.batch import static_shape
from partition_studio.graph.dtypes import NUMPY_NAMES
from partition_studio.graph.errors import InvalidNetworkError
from partition_studio.graph.loops import carried_types
from partition_studio.graph.protobuf import DecodeError, EncodeError
from partition_studio.graph.runtime import open_session, runtime_error_types
from partition_studio.graph.structure import with_node
from partition_studio.graph.weights import Weight
from partition_studio.graph.windows import RuntimeSizes

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
    """Return what shape inference knows of every tensor; the runtime's word counts for more (`graph.windows`).

    Raises InvalidNetworkError where it finds a contradiction.
    """
    return _infer_as_runtime(model, RuntimeSizes(model), file_name)[0]


def declare_runtime_sizes(model: onnx.ModelProto, file_name: str) -> None:
    """Declare the sizes about which inference is wrong, in place: the runtime would fold its own from it."""
    sizes = RuntimeSizes(model)
    if not sizes.nodes:
        return
    types, settled = _infer_as_runtime(model, sizes, file_name)
    outputs = {value.name for value in model.graph.output}
    wrong = {name for node in sizes.nodes if node.output[0] in settled for name in node.output if name} - outputs
    kept = [value for value in model.graph.value_info if value.name not in wrong]
    del model.graph.value_info[:]
    model.graph.value_info.extend(kept)
    model.graph.value_info.extend(onnx.helper.make_tensor_value_info(name, *types[name]) for name in sorted(wrong))


def _infer_as_runtime(
    model: onnx.ModelProto, sizes: RuntimeSizes, file_name: str
) -> tuple[dict[str, RawType], dict[str, tuple[int, ...]]]:
    """Return the types, and the shapes that the runtime settled, by the first output of each such node."""
    stood_in: dict[str, tuple[int, ...]] = {}
    types = _infer_with_loops(model, stood_in, file_name)
    # A shape may follow from one before it: each turn settles at least the next.
    for _ in sizes.nodes:
        shapes = {name: dims for name, (_, dims) in types.items() if dims is not None}
        made = {node.output[0]: sizes.of(node, shapes) for node in sizes.nodes}
        settled = {name: dims for name, dims in made.items() if dims is not None and dims != shapes.get(name)}
        if not settled:
            break
        stood_in |= settled
        types = _infer_with_loops(model, stood_in, file_name)
    return types, stood_in


def _infer_with_loops(
    model: onnx.ModelProto, stood_in: Mapping[str, tuple[int, ...]], file_name: str
) -> dict[str, RawType]:
    """Infer, with nodes whose outputs have the given shape, by their first output, taken for inputs."""
    light = skeleton(model)
    fixed: dict[str, RawType] = {}
    if stood_in:
        types = _infer(light, file_name)
        for node in [node for node in light.graph.node if node.output and node.output[0] in stood_in]:
            shape = stood_in[node.output[0]]
            kind = types.get(node.input[0], (TensorProto.UNDEFINED, None))[0]
            fixed.update((name, (types.get(name, (0, None))[0] or kind, shape)) for name in node.output if name)
            light.graph.node.remove(node)
        light.graph.input.extend(onnx.helper.make_tensor_value_info(name, *kind) for name, kind in fixed.items())
        kept = [value for value in light.graph.output if value.name not in fixed]
        del light.graph.output[:]
        light.graph.output.extend(kept)
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
        sentence = with_node(_first_line(error), light.graph.node)
        raise InvalidNetworkError(f"{file_name}: {sentence}", file=file_name) from error
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


def shapes_of_constants(
    nodes: Sequence[NodeProto], weights: Mapping[str, Weight], ir_version: int, opsets: Mapping[str, int]
) -> dict[str, tuple[int, ...]]:
    """Return the shapes, where they can be told, of what nodes make that read only weights and each other."""
    model = onnx.ModelProto(ir_version=ir_version)
    model.opset_import.extend(onnx.helper.make_opsetid(*opset) for opset in opsets.items())
    model.graph.name = "constants"
    model.graph.node.extend(nodes)
    for name in dict.fromkeys(name for node in nodes for name in node.input if name in weights):
        weight = weights[name]
        if weight.data_type == TensorProto.INT64 and weight.size_bytes <= _SMALL_BYTES:
            model.graph.initializer.append(weight.tensor())
        else:
            model.graph.input.append(onnx.helper.make_tensor_value_info(name, weight.data_type, weight.dims))
    try:
        types = _infer(model, "constants")
    except InvalidNetworkError:
        return {}
    made = {name for node in nodes for name in node.output}
    return {name: dims for name, (_, dims) in types.items() if name in made and dims is not None}


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
    """Remove every stored shape except those of the inputs, in place, and return what was declared.

    An input that is also an output has the input's.
    """
    graph = model.graph
    declared = {value.name: static_shape(value) for value in (*graph.value_info, *graph.output)}
    inputs = {value.name: value for value in graph.input}
    del graph.value_info[:]
    for value in graph.output:
        if value.name in inputs:
            value.type.CopyFrom(inputs[value.name].type)
        elif value.type.WhichOneof("value") == "tensor_type":
            value.type.tensor_type.ClearField("shape")
            if value.type.tensor_type.elem_type == TensorProto.UNDEFINED:
                value.ClearField("type")
    return declared


def _first_line(error: Exception) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return lines[0][:300] if lines else type(error).__name__
