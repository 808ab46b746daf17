"""The shape of what a loop carries: ONNX's inference gives it up, because a loop might change it. Most do not."""

from collections.abc import Mapping

import onnx
from onnx import NodeProto, TensorProto

from partition_studio.graph.batch import static_shape
from partition_studio.graph.walk import captured_names

_Type = tuple[int, tuple[int, ...] | None]


def carried_types(model: onnx.ModelProto, types: Mapping[str, _Type]) -> dict[str, _Type]:
    """Return the types of those loop-carried outputs that are not in `types` and have the shape that they began with.

    If one turn of a loop leaves the shape of all that it carries as it was, so do all.
    """
    found: dict[str, _Type] = {}
    for node in model.graph.node:
        if node.op_type == "Loop" and not node.domain:
            carried = list(zip(node.input[2:], node.output, strict=False))
            if any(name and types.get(name, (0, None))[1] is None for _, name in carried):
                found.update(_of_loop(model, node, carried, types))
    return {name: kind for name, kind in found.items() if name and types.get(name, (0, None))[1] is None}


def _of_loop(
    model: onnx.ModelProto, node: NodeProto, carried: list[tuple[str, str]], types: Mapping[str, _Type]
) -> dict[str, _Type]:
    begin = [types.get(source, (TensorProto.UNDEFINED, None)) for source, _ in carried]
    body = next(attribute.g for attribute in node.attribute if attribute.name == "body")
    if any(dims is None for _, dims in begin) or len(body.input) != len(carried) + 2:
        return {}
    turn = onnx.ModelProto(ir_version=model.ir_version)
    turn.opset_import.extend(model.opset_import)
    turn.graph.CopyFrom(body)
    names = [value.name for value in body.input]
    kinds = [(TensorProto.INT64, ()), (TensorProto.BOOL, ()), *begin]
    captured = {name: types[name] for name in captured_names(node) if types.get(name, (0, None))[1] is not None}
    del turn.graph.input[:]
    for name, (number, dims) in [*zip(names, kinds, strict=True), *captured.items()]:
        turn.graph.input.append(onnx.helper.make_tensor_value_info(name, number, dims))
    for value in turn.graph.output:
        value.type.tensor_type.ClearField("shape")
    try:
        inferred = onnx.shape_inference.infer_shapes(turn, data_prop=True)
    except (onnx.shape_inference.InferenceError, onnx.checker.ValidationError, RuntimeError):
        return {}
    end = [static_shape(value) for value in inferred.graph.output[1 : 1 + len(carried)]]
    if [dims for _, dims in end] != [dims for _, dims in begin]:
        return {}
    return {name: kind for (_, name), kind in zip(carried, begin, strict=True)}
