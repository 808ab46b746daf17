"""Whether a network runs: ONNX's checker looks at it, and ONNX Runtime runs it once, with most of the work left out.

Some mistakes, as weights of the wrong shape, show only in a run. A run of a large network takes long and touches all
weights; so large convolutions and products, for which arithmetic can tell that they run, are left out, and what they
would make is given as an input.
"""

from collections.abc import Mapping
from math import prod
from pathlib import Path

import numpy as np
import onnx
from onnx import NodeProto, TensorProto, helper

from partition_studio.graph.batch import static_shape
from partition_studio.graph.cost import layer_macs
from partition_studio.graph.errors import InvalidNetworkError, NotRunnableError, UnresolvedShapeError
from partition_studio.graph.runtime import error_sentence, run_model, runtime_error_types, set_weights_folder
from partition_studio.graph.shapes import RawType, skeleton
from partition_studio.graph.structure import with_node
from partition_studio.graph.walk import node_reads

#: Layers with fewer multiply-accumulates are run.
_LARGE_MACS = 1_000_000

#: Of these, the runtime has every kind of convolution and product.
_FLOATS = (TensorProto.FLOAT, TensorProto.FLOAT16)

Shape = tuple[int, ...]


def check_runnable(model: onnx.ModelProto, types: Mapping[str, RawType], folder: Path, file_name: str) -> None:
    """Raise InvalidNetworkError, NotRunnableError or UnresolvedShapeError for a network that does not run.

    `types` are of all tensors, weights included; `folder` is where the model's stored weights lie.
    """
    try:
        onnx.checker.check_model(skeleton(model))
    except onnx.checker.ValidationError as error:
        raise InvalidNetworkError(f"{file_name}: {str(error).splitlines()[0][:300]}", file=file_name) from error
    expected = {value.name: static_shape(value)[1] for value in model.graph.output}
    light = _with_stand_ins(model, types)
    set_weights_folder(light, folder)
    try:
        made = _try(light)
    except runtime_error_types() as error:
        raise NotRunnableError(
            f"{file_name}: ONNX Runtime cannot run it: {with_node(error_sentence(error), light.graph.node)}",
            file=file_name,
        ) from error
    for name, shape in made.items():
        if shape != expected[name]:
            raise UnresolvedShapeError(
                f"{file_name}: the output {name!r} should have the shape {expected[name]} and has {shape}.", tensor=name
            )


def _try(model: onnx.ModelProto) -> dict[str, Shape]:
    """Run a network on inputs of ones (a zero could be divided by) and return the shapes of its outputs.

    Inputs of one type share their memory: stood-in layers make many.
    """
    sizes: dict[int, int] = {}
    for value in model.graph.input:
        number, shape = static_shape(value)
        sizes[number] = max(sizes.get(number, 1), prod(shape or ()))
    ones = {number: np.ones(size, helper.tensor_dtype_to_np_dtype(number)) for number, size in sizes.items()}
    feeds = {}
    for value in model.graph.input:
        number, shape = static_shape(value)
        feeds[value.name] = ones[number][: prod(shape or ())].reshape(shape or ())
    return {name: array.shape for name, array in run_model(model, feeds, optimise=False).items()}


def _with_stand_ins(model: onnx.ModelProto, types: Mapping[str, RawType]) -> onnx.ModelProto:
    """Return the network with inputs in the place of large layers, except those that make an output."""
    light = onnx.ModelProto(ir_version=model.ir_version)
    light.opset_import.extend(model.opset_import)
    graph = light.graph
    graph.name = model.graph.name
    graph.output.extend(model.graph.output)
    graph.input.extend(model.graph.input)
    shapes = {name: dims for name, (_, dims) in types.items() if dims is not None}
    outputs = {value.name for value in model.graph.output}
    for node in model.graph.node:
        made = node.output[0]
        stood_in = made in shapes and made not in outputs and _surely_runs(node, types)
        if stood_in and layer_macs(node, shapes) > _LARGE_MACS:
            graph.input.append(helper.make_tensor_value_info(made, *types[made]))
        else:
            graph.node.append(node)
    # As in a sub-model: without them, the runtime would fold from its own inference, which is wrong about some pools.
    made_here = {name for node in graph.node for name in node.output}
    graph.value_info.extend(value for value in model.graph.value_info if value.name in made_here)
    read = {name for node in graph.node for name in node_reads(node)}
    graph.initializer.extend(tensor for tensor in model.graph.initializer if tensor.name in read)
    return light


def _surely_runs(node: NodeProto, types: Mapping[str, RawType]) -> bool:
    """Say whether the shapes and types of a convolution's or product's inputs fit together."""
    if node.domain or node.op_type not in ("Conv", "ConvTranspose", "Gemm", "MatMul"):
        return False
    known = [types.get(name, (TensorProto.UNDEFINED, None)) for name in node.input if name]
    kinds = {number for number, _ in known} | {types[node.output[0]][0]}
    shapes = [dims for _, dims in known if dims is not None]
    if len(shapes) < max(2, len(node.input)) or len(kinds) != 1 or not kinds.issubset(_FLOATS):
        return False
    if 0 in [size for shape in shapes for size in shape]:
        return False
    numbers = {attribute.name: attribute for attribute in node.attribute}
    match node.op_type:
        case "MatMul":
            return _product_fits(shapes[0], shapes[1], types[node.output[0]][1])
        case "Gemm":
            flags = [numbers[name].i if name in numbers else 0 for name in ("transA", "transB")]
            return _gemm_fits(shapes, flags)
    group = numbers["group"].i if "group" in numbers else 1
    kernel = tuple(numbers["kernel_shape"].ints) if "kernel_shape" in numbers else shapes[1][2:]
    if len(shapes[0]) < 3 or len(shapes[1]) != len(shapes[0]) or kernel != shapes[1][2:] or group < 1:
        return False
    filters = shapes[1][0] if node.op_type == "Conv" else shapes[1][1] * group
    taken = shapes[1][1] * group if node.op_type == "Conv" else shapes[1][0]
    divided = shapes[1][0] % group == 0
    return divided and shapes[0][1] == taken and all(bias == (filters,) for bias in shapes[2:])


def _product_fits(first: Shape, second: Shape, made: Shape | None) -> bool:
    if len(first) < 2 or len(second) < 2 or first[-1] != second[-2]:
        return False
    try:
        outer = np.broadcast_shapes(first[:-2], second[:-2])
    except ValueError:
        return False
    return made == (*outer, first[-2], second[-1])


def _gemm_fits(shapes: list[Shape], transposed: list[int]) -> bool:
    if len(shapes[0]) != 2 or len(shapes[1]) != 2:
        return False
    first, second = (shape[::-1] if flag else shape for shape, flag in zip(shapes[:2], transposed, strict=True))
    made = (first[0], second[1])
    rests = [(1,) * (2 - len(rest)) + rest for rest in shapes[2:]]
    fits = all(len(rest) == 2 and all(a in (1, b) for a, b in zip(rest, made, strict=True)) for rest in rests)
    return first[1] == second[0] and fits and prod(made) > 0
