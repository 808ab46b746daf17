"""From an ONNX file to a `Network`: read safely, check, normalise, index.

The order matters: operators are checked before anything is inferred from them; shapes are forgotten and inferred
anew because free dimensions are bound; folding and inference take turns until neither finds more.
"""

from collections.abc import Mapping
from pathlib import Path

import onnx
import onnx.inliner
from onnx import NodeProto, TensorProto

from partition_studio.graph.batch import bind_dimensions, real_inputs, static_shape
from partition_studio.graph.disk import DiskFile
from partition_studio.graph.dtypes import INNER_NAMES, INNER_NUMBERS, NUMPY_NAMES, onnx_type_name
from partition_studio.graph.errors import (
    ConstantOutputError,
    InvalidNetworkError,
    NetworkTooLargeError,
    NoLayersError,
    UnresolvedShapeError,
    UnsupportedTypeError,
)
from partition_studio.graph.external import is_stored, stored_place, take_in_all, take_in_attributes, weight_of
from partition_studio.graph.fold import constants_to_weights, fold_constants, fold_outputs, kept_constants
from partition_studio.graph.index import index_network
from partition_studio.graph.names import name_nodes
from partition_studio.graph.network import Network, NetworkForm, TensorType, value_info
from partition_studio.graph.prune import prune
from partition_studio.graph.read import LoadLimits, RawNetwork, read_network
from partition_studio.graph.runnable import check_runnable
from partition_studio.graph.runtime import newest_versions, set_weights_folder
from partition_studio.graph.shapes import (
    NO_TENSOR,
    RawType,
    ask_runtime_for_types,
    declare_runtime_sizes,
    forget_shapes,
    infer_types,
)
from partition_studio.graph.simplify import simplify
from partition_studio.graph.structure import check_names, check_operators, describe, sort_nodes
from partition_studio.graph.walk import all_tensors
from partition_studio.graph.weights import Weight

_OLDEST_IR = 4
_MOST_FOLDING_ROUNDS = 16

#: Networks with more bytes of weights are not simplified, and their oracle reads the weights from the file.
INLINE_BYTES = 2**30


def load_network(path: Path, *, limits: LoadLimits | None = None, form: NetworkForm | None = None) -> Network:
    """Load an ONNX file, in a form: with sizes for its free dimensions (`graph.batch`), and simplified or not.

    Large weights stay in the file, and are read when they are needed; it must not be changed meanwhile. Raises
    NetworkError leaves (`graph.errors`), each a sentence that names the file and the node or tensor.
    """
    limits, form = limits or LoadLimits(), form or NetworkForm()
    raw = read_network(path, limits)
    files = raw.files
    model = _plain_graph(raw, path.name)
    bind_dimensions(model, form.dims, path.name)
    declared = forget_shapes(model)
    types = _infer_and_fold(model, files, limits, path.name)
    constant_outputs = _take_constant_outputs(model, types, files, path.name)
    if form.simplified:
        model = _simplified(model, files, path.name)
        declared.clear()
        types = _infer_and_fold(model, files, limits, path.name)
        constant_outputs |= _take_constant_outputs(model, types, files, path.name)
    name_nodes(model)
    weight_nodes = kept_constants(model)
    tensors = _activation_types(model, types, declared, weight_nodes, path.name)
    _check_sizes(tensors, limits, path.name)
    _write_types(model, tensors)
    types.update((name, (INNER_NUMBERS[kind.dtype], kind.shape)) for name, kind in tensors.items())
    check_runnable(model, types, path.parent, path.name)
    return index_network(
        digest=raw.digest,
        name=path.stem,
        ir_version=model.ir_version,
        opsets={opset.domain: opset.version for opset in model.opset_import},
        nodes=tuple(model.graph.node),
        weights={tensor.name: weight_of(tensor, files) for tensor in model.graph.initializer},
        tensors=tensors,
        inputs=[value.name for value in model.graph.input],
        outputs=[value.name for value in model.graph.output],
        weight_nodes=weight_nodes,
        shapes={name: dims for name, (_, dims) in types.items() if dims is not None},
        form=NetworkForm(form.simplified, tuple(sorted(form.dims))),
        constant_outputs=constant_outputs,
    )


def original_model(path: Path, *, limits: LoadLimits | None = None, form: NetworkForm | None = None) -> onnx.ModelProto:
    """Return the network as it stands in the file, with only its free dimensions bound.

    It is the oracle: nothing that `load_network` does beyond that has touched it, simplification included; only where
    ONNX's inference is wrong about a size, what the runtime makes is declared. Its weights are inside; only where they
    take more than `INLINE_BYTES`, it refers to the files, and ONNX Runtime reads them there
    (`graph.runtime.open_session`).
    """
    raw = read_network(path, limits or LoadLimits())
    model = raw.model
    bind_dimensions(model, (form or NetworkForm()).dims, path.name)
    set_weights_folder(model, None)
    # A newer format that the operators do not need; the runtime may not know it yet.
    model.ir_version = min(model.ir_version, newest_versions()[0])
    stored_bytes = sum(stored_place(t, raw.files).length for t in all_tensors(model) if is_stored(t))
    if stored_bytes <= INLINE_BYTES:
        take_in_all(model, raw.files)
        declare_runtime_sizes(model, path.name)
        return model
    constants_to_weights(model)
    take_in_attributes(model, raw.files)
    declare_runtime_sizes(model, path.name)
    set_weights_folder(model, path.parent)
    return model


def _weight_bytes(model: onnx.ModelProto) -> int:
    return sum(Weight.of_tensor(tensor).size_bytes for tensor in model.graph.initializer)


def _plain_graph(raw: RawNetwork, file_name: str) -> onnx.ModelProto:
    """Return the graph without functions, with weights only as initialisers, sorted, without dead nodes."""
    model = raw.model
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
    take_in_attributes(model, raw.files)
    # The lowest version that the operators allow: a device's runtime may be older than this one.
    needed = onnx.helper.find_min_ir_version_for(list(model.opset_import), ignore_unknown=True)
    model.ir_version = max(_OLDEST_IR, min(needed, max(model.ir_version, _OLDEST_IR)))
    return model


def _infer_and_fold(
    model: onnx.ModelProto, files: Mapping[str, DiskFile], limits: LoadLimits, file_name: str
) -> dict[str, RawType]:
    types = infer_types(model, file_name)
    for _ in range(_MOST_FOLDING_ROUNDS):
        if not fold_constants(model, types, files, limits.folded_bytes, file_name):
            break
        prune(model)
        types = infer_types(model, file_name)
    fold_outputs(model, types, files, file_name)
    types.update((t.name, (t.data_type, tuple(t.dims))) for t in model.graph.initializer)
    return types


def _simplified(model: onnx.ModelProto, files: Mapping[str, DiskFile], file_name: str) -> onnx.ModelProto:
    """Return the network simplified, and normal again. Raises NetworkTooLargeError."""
    if _weight_bytes(model) > INLINE_BYTES:
        raise NetworkTooLargeError(
            f"{file_name} has {_weight_bytes(model)} bytes of weights; networks with more than {INLINE_BYTES} are not "
            "simplified.",
            next_step="Load it as it is, without simplification.",
            file=file_name,
        )
    take_in_all(model, files)
    made = simplify(model, file_name)
    sort_nodes(made, file_name)
    constants_to_weights(made)
    prune(made)
    forget_shapes(made)
    return made


def _take_constant_outputs(
    model: onnx.ModelProto, types: Mapping[str, RawType], files: Mapping[str, DiskFile], file_name: str
) -> dict[str, Weight]:
    """Take those outputs that are the same for every input off the graph, in place, and return them.

    Raises NoLayersError, ConstantOutputError where nothing else is left.
    """
    graph = model.graph
    weights = {tensor.name: tensor for tensor in graph.initializer}
    constant = {value.name: weight_of(weights[value.name], files) for value in graph.output if value.name in weights}
    for name in constant:
        _checked_type(name, types.get(name, (TensorProto.UNDEFINED, None)), None, file_name, {*constant})
    if constant:
        kept = [value for value in graph.output if value.name not in constant]
        if not kept:
            raise ConstantOutputError(
                f"{file_name}: every output ({', '.join(map(repr, constant))}) is a constant, always the same.",
                tensor=next(iter(constant)),
            )
        del graph.output[:]
        graph.output.extend(kept)
        prune(model)
    if not graph.node:
        raise NoLayersError(f"{file_name} has no layers: its outputs are its inputs.", file=file_name)
    return constant


def _activation_types(
    model: onnx.ModelProto,
    types: Mapping[str, RawType],
    declared: Mapping[str, RawType],
    weight_nodes: Mapping[str, NodeProto],
    file_name: str,
) -> dict[str, TensorType]:
    """Return the type of every input and every layer's outputs. Raises UnresolvedShapeError, UnsupportedTypeError."""
    constant = set(weight_nodes) | {tensor.name for tensor in model.graph.initializer}
    makers = {name: node for node in model.graph.node for name in node.output if name and name not in constant}
    known = {name: types.get(name, (TensorProto.UNDEFINED, None)) for name in makers}
    for source in (declared, None):
        unknown = [name for name, (_, dims) in known.items() if dims is None]
        if unknown:
            answers = source if source is not None else ask_runtime_for_types(model, unknown)
            known.update({name: answers[name] for name in unknown if answers.get(name, (0, None))[1] is not None})
    everything = {value.name: static_shape(value) for value in model.graph.input} | known
    ends = {value.name for value in (*model.graph.input, *model.graph.output)}
    return {name: _checked_type(name, kind, makers.get(name), file_name, ends) for name, kind in everything.items()}


def _checked_type(name: str, kind: RawType, maker: NodeProto | None, file_name: str, ends: set[str]) -> TensorType:
    """Return a tensor's type, which must be one that can travel where it is at an end of the network."""
    number, dims = kind
    where = f"{file_name}: the tensor {name!r}" + (f" of the {describe(maker)} ({maker.op_type})" if maker else "")
    if number == NO_TENSOR:
        raise UnsupportedTypeError(f"{where} is no tensor but a sequence, map or optional value.", tensor=name)
    if number != TensorProto.UNDEFINED and number not in (NUMPY_NAMES if name in ends else INNER_NAMES):
        what = "at an input or output" if number in INNER_NAMES else "in a network"
        raise UnsupportedTypeError(
            f"{where} has the element type {onnx_type_name(number)}, which is not supported {what}.", tensor=name
        )
    if dims is None or number == TensorProto.UNDEFINED:
        raise UnresolvedShapeError(f"{where} has a shape that is not known before the network runs.", tensor=name)
    return TensorType(INNER_NAMES[number], dims)


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
