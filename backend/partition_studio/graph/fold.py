"""Constant folding: what follows from weights and known shapes alone is computed once, here, by ONNX Runtime."""

from collections.abc import Mapping
from math import prod

import numpy as np
import onnx
from onnx import NodeProto, TensorProto, numpy_helper

from partition_studio.graph.disk import DiskFile
from partition_studio.graph.dtypes import NUMPY_NAMES, element_bits
from partition_studio.graph.errors import NetworkTooLargeError, NotRunnableError
from partition_studio.graph.external import take_in_all
from partition_studio.graph.runtime import error_sentence, run_model, runtime_error_types
from partition_studio.graph.shapes import RawType
from partition_studio.graph.structure import describe, with_node
from partition_studio.graph.walk import node_reads, subgraphs

#: Kept as nodes beside their weights: unfolded they take a quarter of the memory, and the runtime fuses them.
_KEPT = {"DequantizeLinear", "QuantizeLinear"}

#: What weight-making nodes would make beyond this, all together, is left to them: they are kept.
UNFOLDED_BYTES = 1 << 26

#: What kept nodes make may take this times the bytes of the weights, beside the limit.
_GROWTH = 4


def constants_to_weights(model: onnx.ModelProto) -> None:
    """Turn every `Constant` node that holds numbers into an initialiser, in place."""
    kept = []
    for node in model.graph.node:
        tensor = _constant_value(node)
        if tensor is None:
            kept.append(node)
        else:
            model.graph.initializer.append(tensor)
    if len(kept) < len(model.graph.node):
        del model.graph.node[:]
        model.graph.node.extend(kept)


def _constant_value(node: NodeProto) -> TensorProto | None:
    if node.op_type != "Constant" or node.domain or len(node.attribute) != 1:
        return None
    attribute = node.attribute[0]
    if attribute.name == "value":
        tensor = TensorProto()
        tensor.CopyFrom(attribute.t)
    elif attribute.name in ("value_float", "value_floats"):
        values = attribute.f if attribute.name == "value_float" else list(attribute.floats)
        tensor = numpy_helper.from_array(np.array(values, dtype=np.float32))
    elif attribute.name in ("value_int", "value_ints"):
        whole = attribute.i if attribute.name == "value_int" else list(attribute.ints)
        tensor = numpy_helper.from_array(np.array(whole, dtype=np.int64))
    else:
        return None
    tensor.name = node.output[0]
    return tensor


def fold_constants(
    model: onnx.ModelProto,
    types: Mapping[str, RawType],
    files: Mapping[str, DiskFile],
    limit_bytes: int,
    file_name: str,
) -> bool:
    """Replace nodes whose result is known by initialisers, in place; say whether anything changed.

    Known are `Shape` and `Size` of tensors with a known shape, and everything that reads only weights, except
    dequantisation, control flow, and what would take more than `UNFOLDED_BYTES` (see `kept_constants`). Raises
    NetworkTooLargeError where the results together would exceed `limit_bytes` and some times the weights,
    NotRunnableError where ONNX Runtime cannot compute them.
    """
    graph = model.graph
    weights = {tensor.name for tensor in graph.initializer}
    folded: dict[str, TensorProto] = {}
    to_run: list[NodeProto] = []
    kept: list[NodeProto] = []
    made_bytes = folded_bytes = 0
    most_bytes = limit_bytes + _GROWTH * sum(_size_bytes((t.data_type, tuple(t.dims))) for t in graph.initializer)
    for node in graph.node:
        shape = _known_shape(node, types)
        if shape is not None:
            folded[node.output[0]] = shape
            weights.add(node.output[0])
            continue
        if not _foldable(node, weights, types):
            kept.append(node)
            continue
        size_bytes = sum(_size_bytes(types[name]) for name in node.output if name)
        made_bytes += size_bytes
        if made_bytes > most_bytes or size_bytes > limit_bytes:
            raise NetworkTooLargeError(
                f"{file_name}: the {describe(node)} would unfold the constants to more than {limit_bytes} bytes.",
                node=node.name,
            )
        if folded_bytes + size_bytes > UNFOLDED_BYTES:
            kept.append(node)
            continue
        folded_bytes += size_bytes
        to_run.append(node)
        weights.update(name for name in node.output if name)
    if not folded and not to_run:
        return False
    graph.initializer.extend(folded.values())
    graph.initializer.extend(_evaluate(model, to_run, kept, types, files, file_name))
    del graph.node[:]
    graph.node.extend(kept)
    return True


def fold_outputs(
    model: onnx.ModelProto, types: Mapping[str, RawType], files: Mapping[str, DiskFile], file_name: str
) -> None:
    """Compute those outputs of the network that follow from weights alone and are not folded yet, in place."""
    constant = kept_constants(model)
    needed: set[int] = set()
    pending = [value.name for value in model.graph.output]
    while pending:
        node = constant.get(pending.pop())
        if node is not None and id(node) not in needed:
            needed.add(id(node))
            pending.extend(node_reads(node))
    if not needed:
        return
    nodes = dict.fromkeys(name for name, node in constant.items() if id(node) in needed)
    to_run = [node for node in model.graph.node if any(name in nodes for name in node.output)]
    kept = [node for node in model.graph.node if not any(name in nodes for name in node.output)]
    made = _evaluate(model, to_run, kept, types, files, file_name)
    model.graph.initializer.extend(made)
    del model.graph.node[:]
    model.graph.node.extend(kept)


def _known_shape(node: NodeProto, types: Mapping[str, RawType]) -> TensorProto | None:
    if node.op_type not in ("Shape", "Size") or node.domain or not node.input:
        return None
    dims = types.get(node.input[0], (0, None))[1]
    if dims is None:
        return None
    if node.op_type == "Size":
        value = np.array(prod(dims), dtype=np.int64)
    else:
        ends = {attribute.name: attribute.i for attribute in node.attribute}
        value = np.array(dims[ends.get("start", 0) : ends.get("end", len(dims))], dtype=np.int64)
    return numpy_helper.from_array(value, name=node.output[0])


def _foldable(node: NodeProto, weights: set[str], types: Mapping[str, RawType]) -> bool:
    if node.op_type in _KEPT or any(True for _ in subgraphs(node)):
        return False
    if not all(name in weights for name in node_reads(node)):
        return False
    known = [types.get(name, (0, None)) for name in node.output if name]
    return all(dims is not None and number in NUMPY_NAMES for number, dims in known)


def _size_bytes(kind: RawType) -> int:
    number, dims = kind
    return prod(dims or ()) * element_bits(number) // 8


def _evaluate(
    model: onnx.ModelProto,
    nodes: list[NodeProto],
    readers: list[NodeProto],
    types: Mapping[str, RawType],
    files: Mapping[str, DiskFile],
    file_name: str,
) -> list[TensorProto]:
    """Run `nodes` on the weights alone and return those results that `readers` or the network's outputs read."""
    wanted = {name for node in readers for name in node_reads(node)} | {value.name for value in model.graph.output}
    names = [name for node in nodes for name in node.output if name in wanted]
    if not names:
        return []
    reads = {name for node in nodes for name in node_reads(node)}
    part = onnx.ModelProto(ir_version=max(model.ir_version, 4))
    part.opset_import.extend(model.opset_import)
    part.graph.name = "constants"
    part.graph.node.extend(nodes)
    part.graph.initializer.extend(tensor for tensor in model.graph.initializer if tensor.name in reads)
    part.graph.output.extend(onnx.helper.make_tensor_value_info(name, *types[name]) for name in names)
    take_in_all(part, files)
    try:
        values = run_model(part, {}, names, optimise=False)
    except runtime_error_types() as error:
        raise NotRunnableError(
            f"{file_name}: the weights cannot be computed: {with_node(error_sentence(error), nodes)}", file=file_name
        ) from error
    return [numpy_helper.from_array(np.asarray(values[name]), name=name) for name in names]


def kept_constants(model: onnx.ModelProto) -> dict[str, NodeProto]:
    """Return the nodes that depend on weights alone and were not folded, by each of their outputs."""
    weights = {tensor.name for tensor in model.graph.initializer}
    kept: dict[str, NodeProto] = {}
    for node in model.graph.node:
        if all(name in weights or name in kept for name in node_reads(node)):
            kept.update((name, node) for name in node.output if name)
    return kept
