"""Sub-models that take several frames in one go: their first extent is made free where every layer allows it. Pure.

A sub-model is only sent so when it was proven: with one frame equal to what it was, with several equal to them one by
one.
"""

from collections.abc import Callable, Iterator, Mapping
from types import MappingProxyType
from typing import Any, NamedTuple

import numpy as np
import onnx
from onnx import numpy_helper

from partition_studio.graph.difference import TOLERANCES, difference
from partition_studio.graph.dtypes import NUMPY_NAMES
from partition_studio.graph.frames import Frame, random_frame
from partition_studio.graph.network import TensorType
from partition_studio.graph.runtime import error_sentence, open_session, runtime_error_types
from partition_studio.graph.walk import node_reads
from partition_studio.partition.batchwise import Applied, Shape, why_not
from partition_studio.partition.partition import Partition
from partition_studio.partition.submodel import SubModel

#: What the free extent is called in a sub-model.
FRAMES = "frames"

#: So many frames go through a sub-model at once when it is proven.
_PROVEN_FRAMES = 3

_SEED = 20240819

#: Operators whose result has the shape of their first input: what they make of weights is known in shape.
_SAME_SHAPE = ("DequantizeLinear", "QuantizeLinear", "Cast", "Identity")


class FixedBatchError(Exception):
    """A sub-model takes only one frame at a time; the text says why, for the person."""


class FreedBatches(NamedTuple):
    """The sub-models of a plan with micro-batches.

    `batches` has the most frames in one go of each stage that takes more than one, `refused` why the others do not.
    """

    parts: Mapping[str, SubModel]
    batches: Mapping[str, int]
    refused: Mapping[str, str]


def free_batches(
    partition: Partition,
    parts: Mapping[str, SubModel],
    micro_batch: int,
    check: Callable[[], None] = lambda: None,
) -> FreedBatches:
    """Return sub-models that take up to `micro_batch` frames at once, as many of them as can be proven to.

    `parts` are by stage of the partition's graph; where nothing is to be done they are returned as they are. `check` is
    called before each stage and may raise, to give up.
    """
    if micro_batch <= 1:
        return FreedBatches(parts, {}, {})
    freed: dict[str, SubModel] = {}
    refused: dict[str, str] = {}
    for stage in partition.graph.stages:
        check()
        try:
            free = free_batch(parts[stage.name])
            prove_batch(parts[stage.name], free)
        except FixedBatchError as error:
            refused[stage.name] = str(error)
        else:
            freed[stage.name] = free
    written = MappingProxyType({name: freed.get(name, part) for name, part in parts.items()})
    return FreedBatches(written, dict.fromkeys(freed, micro_batch), refused)


def free_batch(part: SubModel) -> SubModel:
    """Return a sub-model with the first extent of all its inputs and outputs free.

    Raises FixedBatchError, which names the layer that does not allow it.
    """
    model = onnx.ModelProto()
    model.CopyFrom(part.model)
    graph = model.graph
    weights = {weight.name for weight in part.streamed} | {tensor.name for tensor in graph.initializer}
    activations = _activations(graph, weights)
    constants: dict[str, Shape | None] = {weight.name: tuple(weight.dims) for weight in part.streamed}
    constants |= {tensor.name: tuple(tensor.dims) for tensor in graph.initializer}
    held = {tensor.name: tensor for tensor in graph.initializer}

    def value_of(name: str) -> np.ndarray[Any, Any] | None:
        return numpy_helper.to_array(held[name]) if name in held else None

    opset = next((each.version for each in model.opset_import if each.domain in ("", "ai.onnx")), 1)
    for node in graph.node:
        if _makes_constants(node, constants):
            for tensor in filter(None, node.output):
                told = activations.pop(tensor, None)
                constants[tensor] = _same_shape(node, constants) if told is None else told
            continue
        for tensor in filter(None, node.output):
            if tensor not in activations:
                raise FixedBatchError(f"the layer {node.name!r} makes a tensor of unknown shape, {tensor!r}")
        reason = why_not(Applied(node, opset, activations, constants, value_of))
        if reason is not None:
            raise FixedBatchError(f"the layer {node.name!r} ({node.op_type}) takes one frame at a time: {reason}")
        if node.op_type == "Reshape":
            _free_reshape(graph, node, value_of(node.input[1]))
    _drop_unread(graph)
    _free_extents(graph, activations)
    return SubModel(part.stage, model, part.streamed)


def _activations(graph: onnx.GraphProto, weights: set[str]) -> dict[str, Shape]:
    """Return the shape of each activation. Raises FixedBatchError for an end that has no batch of one."""
    shapes = {
        info.name: tuple(dim.dim_value for dim in info.type.tensor_type.shape.dim)
        for info in (*graph.value_info, *graph.input, *graph.output)
        if info.name not in weights
    }
    for info in (*graph.input, *graph.output):
        if shapes.get(info.name, ())[:1] != (1,):
            raise FixedBatchError(
                f"the tensor {info.name!r} of shape {list(shapes.get(info.name, ()))} has no batch of one in front"
            )
    return shapes


def _makes_constants(node: onnx.NodeProto, constants: Mapping[str, Shape | None]) -> bool:
    reads = list(node_reads(node))
    return bool(reads) and all(name in constants for name in reads)


def _same_shape(node: onnx.NodeProto, constants: Mapping[str, Shape | None]) -> Shape | None:
    return constants.get(node.input[0]) if node.op_type in _SAME_SHAPE else None


def _free_reshape(graph: onnx.GraphProto, node: onnx.NodeProto, shape: np.ndarray[Any, Any] | None) -> None:
    """Have the first extent follow from the input, where it is told to be 1: 0 copies it, -1 is what is left.

    Where zeros mean nothing at all (`allowzero`), none can be among extents of a tensor that has elements.
    """
    if shape is None or not shape.size or int(shape.reshape(-1)[0]) != 1:
        return
    numbers = [0, *(int(number) for number in shape.reshape(-1)[1:])]
    kept = [attribute for attribute in node.attribute if attribute.name != "allowzero"]
    del node.attribute[:]
    node.attribute.extend(kept)
    node.input[1] = _unused(graph, f"{node.name}/shape")
    graph.initializer.append(numpy_helper.from_array(np.array(numbers, np.int64), node.input[1]))


def _drop_unread(graph: onnx.GraphProto) -> None:
    """Leave out the weights that nothing reads any more."""
    read = {name for node in graph.node for name in node_reads(node)} | {info.name for info in graph.output}
    kept = [tensor for tensor in graph.initializer if tensor.name in read]
    if len(kept) < len(graph.initializer):
        del graph.initializer[:]
        graph.initializer.extend(kept)


def _unused(graph: onnx.GraphProto, wanted: str) -> str:
    taken = {tensor.name for tensor in graph.initializer}
    taken |= {name for node in graph.node for name in (*node.input, *node.output)}
    name = wanted
    while name in taken:
        name += "'"
    return name


def _free_extents(graph: onnx.GraphProto, activations: Mapping[str, Shape]) -> None:
    for info in (*graph.input, *graph.output, *graph.value_info):
        if info.name in activations:
            info.type.tensor_type.shape.dim[0].dim_param = FRAMES


def prove_batch(fixed: SubModel, free: SubModel) -> None:
    """Run both: one frame must give what it gave, several frames what each of them gives alone.

    Equal to within what the same layers may differ by when they are computed otherwise (`graph.difference`). Raises
    FixedBatchError.
    """
    kinds = {info.name: _kind(info) for info in fixed.model.graph.input}
    frames = [random_frame(kinds, _SEED + number) for number in range(_PROVEN_FRAMES)]
    expected = _run(fixed, [[frame] for frame in frames], "it could not be tried on frames of random values")
    together = _run(free, [frames[:1], frames], "it does not run with several frames at once")
    for got, alone in zip(together, (expected[:1], expected), strict=True):
        _compare(got, alone)


def _run(part: SubModel, batches: list[list[Frame]], failed: str) -> list[Frame]:
    names = [info.name for info in part.model.graph.output]
    try:
        session = open_session(part.data)
        return [dict(zip(names, session.run(names, _together(frames)), strict=True)) for frames in batches]
    except runtime_error_types() as error:
        raise FixedBatchError(f"{failed}: {error_sentence(error)}") from error


def _kind(info: onnx.ValueInfoProto) -> TensorType:
    tensor = info.type.tensor_type
    if tensor.elem_type not in NUMPY_NAMES:
        raise FixedBatchError(f"the tensor {info.name!r} is of a type that cannot be tried")
    return TensorType(NUMPY_NAMES[tensor.elem_type], tuple(dim.dim_value for dim in tensor.shape.dim))


def _together(frames: list[Frame]) -> Frame:
    return {name: np.concatenate([frame[name] for frame in frames]) for name in frames[0]}


def _compare(got: Mapping[str, np.ndarray[Any, Any]], expected: list[Frame]) -> None:
    """Raise FixedBatchError unless each frame of a batch is what it is alone."""
    for name, number, alone in _each(expected):
        batch = got[name]
        if batch.shape != (len(expected), *alone.shape[1:]):
            raise FixedBatchError(f"of {len(expected)} frames it makes {name!r} of shape {list(batch.shape)}")
        max_abs, max_rel = difference(batch[number : number + 1], alone)
        # Rounding to a quantised level may tip.
        is_close = max_abs <= 1 if alone.dtype.itemsize == 1 and alone.dtype.kind in "iu" else False
        if not is_close and max_rel > TOLERANCES.get(alone.dtype.name, 0.0):
            raise FixedBatchError(
                f"with {len(expected)} frames at once {name!r} differs by {max_rel:.2g} of its largest value"
            )


def _each(expected: list[Frame]) -> Iterator[tuple[str, int, np.ndarray[Any, Any]]]:
    for number, frame in enumerate(expected):
        for name, alone in frame.items():
            yield name, number, alone
