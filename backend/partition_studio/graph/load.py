"""From an ONNX file to a `Network`: read safely, check, normalise, index.

The order matters: operators are checked before anything is inferred from them; shapes are forgotten and inferred
anew because the batch is bound; folding and inference take turns until neither finds more.
"""

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import onnx
import onnx.inliner
from onnx import NodeProto, TensorProto

from partition_studio.graph.batch import bind_batch, real_inputs, static_shape
from partition_studio.graph.dtypes import NUMPY_NAMES, onnx_type_name
from partition_studio.graph.errors import (
    ConstantOutputError,
    InvalidNetworkError,
    NetworkTooLargeError,
    NotRunnableError,
    UnresolvedShapeError,
    UnsupportedTypeError,
)
from partition_studio.graph.fold import constants_to_weights, fold_constants, kept_constants
from partition_studio.graph.index import index_network
from partition_studio.graph.names import name_nodes
from partition_studio.graph.network import Network, TensorType, value_info
from partition_studio.graph.prune import prune
from partition_studio.graph.read import LoadLimits, read_network
from partition_studio.graph.runtime import error_sentence, run_model, runtime_error_types
from partition_studio.graph.shapes import RawType, ask_runtime_for_types, forget_shapes, infer_types, skeleton
from partition_studio.graph.structure import check_names, check_operators, describe, sort_nodes
from partition_studio.graph.weights import Weight

_OLDEST_IR = 4
_MOST_FOLDING_ROUNDS = 16


def load_network(path: Path, *, limits: LoadLimits | None = None) -> Network:
    """Load an ONNX file.

    Raises NetworkError leaves (`graph.errors`), each a sentence that names the file and the node or tensor.
    """
    limits = limits or LoadLimits()
    raw = read_network(path, limits)
    model = _plain_graph(raw.model, path.name)
    bind_batch(model, path.name)
    declared = forget_shapes(model)
    types = _infer_and_fold(model, limits, path.name)
    name_nodes(model)
    weight_nodes = kept_constants(model)
    tensors = _activation_types(model, types, declared, weight_nodes, path.name)
    _check_sizes(tensors, limits, path.name)
    _write_types(model, tensors)
    _check_runnable(model, path.name)
    return index_network(
        digest=raw.digest,
        name=path.stem,
        ir_version=model.ir_version,
        opsets={opset.domain: opset.version for opset in model.opset_import},
        nodes=tuple(model.graph.node),
        weights={tensor.name: Weight.of_tensor(tensor) for tensor in model.graph.initializer},
        tensors=tensors,
        inputs=[value.name for value in model.graph.input],
        outputs=[value.name for value in model.graph.output],
        weight_nodes=weight_nodes,
        shapes={name: dims for name, (_, dims) in types.items() if dims is not None},
    )


def original_model(path: Path, *, limits: LoadLimits | None = None) -> onnx.ModelProto:
    """Return the network as it stands in the file, with only its weights inlined and the batch bound to 1.

    It is the oracle: nothing that `load_network` does beyond that has touched it.
    """
    model = read_network(path, limits or LoadLimits()).model
    bind_batch(model, path.name)
    return model


def _plain_graph(model: onnx.ModelProto, file_name: str) -> onnx.ModelProto:
    """Return the graph without functions, with weights only as initialisers, sorted, without dead nodes."""
    if model.functions:
        try:
            model = onnx.inliner.inline_local_functions(model)
        except (RuntimeError, ValueError) as error:
            raise InvalidNetworkError(f"{file_name}: its functions cannot be inlined: {error}") from error
    check_operators(model, file_name)
    check_names(model, file_name)
    inputs = real_inputs(model)
    for field in ("training_info", "metadata_props", "configuration"):
        model.ClearField(field)
    graph = model.graph
    graph.ClearField("quantization_annotation")
    graph.ClearField("metadata_props")
    graph.name = graph.name or "network"
    kept = [onnx.ValueInfoProto.FromString(value.SerializeToString()) for value in inputs]
    del graph.input[:]
    graph.input.extend(kept)
    sort_nodes(model, file_name)
    constants_to_weights(model)
    prune(model)
    # The lowest version that the operators allow: a device's runtime may be older than this one.
    needed = onnx.helper.find_min_ir_version_for(list(model.opset_import), ignore_unknown=True)
    model.ir_version = max(_OLDEST_IR, min(needed, max(model.ir_version, _OLDEST_IR)))
    return model


def _infer_and_fold(model: onnx.ModelProto, limits: LoadLimits, file_name: str) -> dict[str, RawType]:
    types = infer_types(model, file_name)
    for _ in range(_MOST_FOLDING_ROUNDS):
        if not fold_constants(model, types, limits.folded_bytes, file_name):
            break
        prune(model)
        types = infer_types(model, file_name)
    types.update((t.name, (t.data_type, tuple(t.dims))) for t in model.graph.initializer)
    return types


def _activation_types(
    model: onnx.ModelProto,
    types: Mapping[str, RawType],
    declared: Mapping[str, RawType],
    weight_nodes: Mapping[str, NodeProto],
    file_name: str,
) -> dict[str, TensorType]:
    """Return the type of every input and every layer's outputs. Raises UnresolvedShapeError, UnsupportedTypeError."""
    constant = set(weight_nodes) | {tensor.name for tensor in model.graph.initializer}
    for value in model.graph.output:
        if value.name in constant:
            raise ConstantOutputError(
                f"{file_name}: the output {value.name!r} is a constant, the same for every input.", tensor=value.name
            )
    makers = {name: node for node in model.graph.node for name in node.output if name and name not in constant}
    known = {name: types.get(name, (TensorProto.UNDEFINED, None)) for name in makers}
    for source in (declared, None):
        unknown = [name for name, (_, dims) in known.items() if dims is None]
        if unknown:
            answers = source if source is not None else ask_runtime_for_types(model, unknown)
            known.update({name: answers[name] for name in unknown if answers.get(name, (0, None))[1] is not None})
    everything = {value.name: static_shape(value) for value in model.graph.input} | known
    return {name: _checked_type(name, kind, makers.get(name), file_name) for name, kind in everything.items()}


def _checked_type(name: str, kind: RawType, maker: NodeProto | None, file_name: str) -> TensorType:
    number, dims = kind
    where = f"{file_name}: the tensor {name!r}" + (f" of the {describe(maker)} ({maker.op_type})" if maker else "")
    if number != TensorProto.UNDEFINED and number not in NUMPY_NAMES:
        raise UnsupportedTypeError(
            f"{where} has the element type {onnx_type_name(number)}, which is not supported.", tensor=name
        )
    if dims is None or number == TensorProto.UNDEFINED:
        raise UnresolvedShapeError(f"{where} has a shape that is not known before the network runs.", tensor=name)
    return TensorType(NUMPY_NAMES[number], dims)


def _check_sizes(tensors: Mapping[str, TensorType], limits: LoadLimits, file_name: str) -> None:
    for name, kind in tensors.items():
        if kind.size_bytes > limits.tensor_bytes:
            raise NetworkTooLargeError(
                f"{file_name}: the tensor {name!r} of shape {list(kind.shape)} has {kind.size_bytes} bytes; "
                f"the limit is {limits.tensor_bytes}.",
                tensor=name,
            )


def _write_types(model: onnx.ModelProto, tensors: Mapping[str, TensorType]) -> None:
    graph = model.graph
    outputs = [value.name for value in graph.output]
    outside = {*outputs, *(value.name for value in graph.input)}
    del graph.output[:]
    graph.output.extend(value_info(name, tensors[name]) for name in outputs)
    graph.value_info.extend(value_info(name, kind) for name, kind in tensors.items() if name not in outside)


def _check_runnable(model: onnx.ModelProto, file_name: str) -> None:
    """Let ONNX's checker look at the network, and ONNX Runtime run it once, without its large weights.

    Some mistakes, as weights of the wrong shape, show only in a run. Some operators insist on constant weights: where
    the skeleton is refused, the whole has the last word.
    """
    light = skeleton(model)
    try:
        onnx.checker.check_model(light)
    except onnx.checker.ValidationError as error:
        raise InvalidNetworkError(f"{file_name}: {str(error).splitlines()[0][:300]}", file=file_name) from error
    expected = {value.name: static_shape(value)[1] for value in model.graph.output}
    try:
        made = _try(light)
    except runtime_error_types():
        try:
            made = _try(model)
        except runtime_error_types() as error:
            raise NotRunnableError(
                f"{file_name}: ONNX Runtime cannot run it: {error_sentence(error)}", file=file_name
            ) from error
    for name, shape in made.items():
        if shape != expected[name]:
            raise UnresolvedShapeError(
                f"{file_name}: the output {name!r} should have the shape {expected[name]} and has {shape}.", tensor=name
            )


def _try(model: onnx.ModelProto) -> dict[str, tuple[int, ...]]:
    """Run a network on inputs of ones (a zero could be divided by) and return the shapes of its outputs."""
    feeds = {}
    for value in model.graph.input:
        number, shape = static_shape(value)
        feeds[value.name] = np.ones(shape or (), dtype=onnx.helper.tensor_dtype_to_np_dtype(number))
    return {name: array.shape for name, array in run_model(model, feeds, optimise=False).items()}
