"""Sub-models for older runtimes: what each ONNX Runtime accepts, and how a sub-model is written for it. Pure.

Between two opsets most operators stay as they are, or only take more types: such a node is the same node under the
older opset. Where it is not, there is an error that names the layer, before anything is sent.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import onnx
from onnx import AttributeProto, TensorProto

from partition_studio.errors import PlanError
from partition_studio.graph.dtypes import onnx_type_name
from partition_studio.partition.stages import StageGraph
from partition_studio.partition.submodel import SubModel

#: Newest standard opset and IR version that each ONNX Runtime (major, minor) accepts; those in between are as the one
#: before. Found by loading models of every opset and IR version in each of them.
_ACCEPTS: tuple[tuple[tuple[int, int], int, int], ...] = (
    ((1, 19), 21, 10),
    ((1, 21), 22, 10),
    ((1, 23), 23, 11),
    ((1, 24), 25, 13),
    ((1, 25), 26, 13),
)

#: IR versions in which element types came; all others are as old as any runtime here.
_TYPE_IR = {"float4e2m1": 11, "float8e8m0": 12, "int2": 13, "uint2": 13}

#: Names of the standard operators' domain.
_STANDARD = ("", "ai.onnx")


class RuntimeTooOldError(PlanError):
    """A layer cannot be written for the ONNX Runtime of its device."""

    code = "runtime_too_old"
    next_step = "Place that layer on a device with a newer runtime, or export the network with a lower opset."


@dataclass(frozen=True, slots=True)
class RuntimeLimits:
    """The newest standard opset and IR version that one version of ONNX Runtime accepts."""

    version: str
    opset: int
    ir_version: int


@dataclass(frozen=True, slots=True)
class Requirements:
    """The standard opset and the IR version that a sub-model is written in."""

    opset: int
    ir_version: int

    def fits(self, limits: RuntimeLimits) -> bool:
        """Whether a runtime accepts it as it is."""
        return self.opset <= limits.opset and self.ir_version <= limits.ir_version


def limits_of(version: str) -> RuntimeLimits | None:
    """Return what an ONNX Runtime accepts; None for a version that cannot be read, or older than any we send."""
    match = re.match(r"(\d{1,4})\.(\d{1,4})", version)
    known = [entry for entry in _ACCEPTS if match and entry[0] <= (int(match[1]), int(match[2]))]
    return RuntimeLimits(version, known[-1][1], known[-1][2]) if known else None


def newest_opset() -> int:
    """Return the newest opset that any known runtime accepts."""
    return _ACCEPTS[-1][1]


def requirements_of(parts: Mapping[str, SubModel]) -> Mapping[str, Requirements]:
    """Return what each sub-model is written in, by stage."""
    return {name: _requirements(part.model) for name, part in parts.items()}


def for_runtimes(
    parts: Mapping[str, SubModel], graph: StageGraph, runtimes: Mapping[str, str]
) -> Mapping[str, SubModel]:
    """Return the sub-models as the devices' runtimes take them: `parts` itself where they do so already.

    `runtimes` is the version of ONNX Runtime of each device. Each sub-model is written for the oldest of them, so that
    it could run on any device of the deployment; one that cannot be, for the runtime of its own device.
    Raises RuntimeTooOldError.
    """
    limits = {device: known for device, version in runtimes.items() if (known := limits_of(version)) is not None}
    if not limits:
        return parts
    oldest = min(limits.values(), key=lambda each: (each.opset, each.ir_version))
    written = {name: _for_device(part, graph.device_of(name) or "", limits, oldest) for name, part in parts.items()}
    return parts if all(written[name] is part for name, part in parts.items()) else written


def _for_device(part: SubModel, device: str, limits: Mapping[str, RuntimeLimits], oldest: RuntimeLimits) -> SubModel:
    try:
        return lowered(part, oldest, device)
    except RuntimeTooOldError:
        own = limits.get(device)
        if own is None or own == oldest:
            raise
        return lowered(part, own, device)


def lowered(part: SubModel, limits: RuntimeLimits, device: str) -> SubModel:
    """Return a sub-model as a runtime takes it, the very same one when it does so already.

    Raises RuntimeTooOldError, which names the layer, its operator and `device`.
    """
    needs = _requirements(part.model)
    if needs.fits(limits):
        return part
    model = onnx.ModelProto()
    model.CopyFrom(part.model)
    types = _types(model, part)
    _require_ir(types, limits, part.stage, device)
    model.ir_version = min(needs.ir_version, limits.ir_version)
    if needs.opset > limits.opset:
        for node in _nodes(model.graph):
            fault = _lower(node, types, needs.opset, limits.opset)
            if fault:
                raise _too_old(node, fault, needs.opset, limits, device)
        for entry in model.opset_import:
            if entry.domain in _STANDARD:
                entry.version = limits.opset
    return SubModel(part.stage, model, part.streamed)


def _requirements(model: onnx.ModelProto) -> Requirements:
    opset = max((entry.version for entry in model.opset_import if entry.domain in _STANDARD), default=1)
    return Requirements(opset, model.ir_version)


def _too_old(node: onnx.NodeProto, fault: str, opset: int, limits: RuntimeLimits, device: str) -> RuntimeTooOldError:
    name = node.name or next(iter(node.output), "")
    return RuntimeTooOldError(
        f"The layer {name!r} ({node.op_type}) is written in opset {opset}; {device} has ONNX Runtime {limits.version}, "
        f"which takes opset {limits.opset} at most, and there {fault}.",
        next_step=(
            f"Place {name!r} on a device with a newer runtime, give {device} a Python of 3.11 or later, or export the "
            f"network with opset {limits.opset} or lower."
        ),
        layer=name,
        operator=node.op_type,
        opset=opset,
        device=device,
        onnxruntime=limits.version,
    )


def _require_ir(types: Mapping[str, int], limits: RuntimeLimits, stage: str, device: str) -> None:
    for tensor, number in types.items():
        kind = onnx_type_name(number)
        needed = _TYPE_IR.get(kind, 0)
        if needed > limits.ir_version:
            raise RuntimeTooOldError(
                f"The tensor {tensor!r} of stage {stage!r} is {kind}, which needs IR version {needed};"
                f" {device} has ONNX Runtime {limits.version}, which takes IR version {limits.ir_version} at most.",
                stage=stage,
                tensor=tensor,
                device=device,
                onnxruntime=limits.version,
            )


def _types(model: onnx.ModelProto, part: SubModel) -> dict[str, int]:
    """Return the element type of each tensor whose type is known."""
    graph = model.graph
    types = {weight.name: weight.data_type for weight in part.streamed}
    types.update({tensor.name: tensor.data_type for tensor in graph.initializer})
    for info in (*graph.input, *graph.output, *graph.value_info):
        types[info.name] = info.type.tensor_type.elem_type
    return types


def _nodes(graph: onnx.GraphProto) -> Iterator[onnx.NodeProto]:
    """Yield every node, those of subgraphs included."""
    for node in graph.node:
        yield node
        for attribute in node.attribute:
            for inner in (attribute.g, *attribute.graphs):
                yield from _nodes(inner)


def _lower(node: onnx.NodeProto, types: Mapping[str, int], opset: int, target: int) -> str:
    """Make a node one of the lower opset; return why it cannot be, or nothing."""
    if node.domain not in _STANDARD:
        return ""
    try:
        now = onnx.defs.get_schema(node.op_type, opset, "")
    except onnx.defs.SchemaError:
        return "" if target >= opset else "it is not known what it was before"
    try:
        then = onnx.defs.get_schema(node.op_type, target, "")
    except onnx.defs.SchemaError:
        return f"the operator does not exist: it came with opset {now.since_version}"
    if then.since_version == now.since_version:
        return ""
    return _lower_attributes(node, now, then) or _arity_fault(node, then) or _type_fault(node, types, then)


def _lower_attributes(node: onnx.NodeProto, now: onnx.defs.OpSchema, then: onnx.defs.OpSchema) -> str:
    given = {attribute.name: attribute for attribute in node.attribute}
    for name, schema in now.attributes.items():
        default = schema.default_value
        older = then.attributes.get(name)
        if older is None:
            # An attribute that says what is so anyway can be left out.
            if name in given and not _same(given[name], default):
                return f"it has no attribute {name!r}"
            if name in given:
                node.attribute.remove(given[name])
        elif name not in given and not _same(default, older.default_value):
            if default.type == AttributeProto.UNDEFINED:
                return f"its attribute {name!r} means something else when it is left out"
            node.attribute.append(default)
    missing = [name for name, schema in then.attributes.items() if schema.required and name not in given]
    return f"it needs the attribute {missing[0]!r}" if missing else ""


def _same(one: AttributeProto, other: AttributeProto) -> bool:
    """Whether two attributes hold the same value, whatever is said about them."""
    if one.type != other.type:
        return False
    if one.type == AttributeProto.UNDEFINED:
        return True
    return bool(onnx.helper.get_attribute_value(one) == onnx.helper.get_attribute_value(other))


def _arity_fault(node: onnx.NodeProto, then: onnx.defs.OpSchema) -> str:
    while node.input and not node.input[-1] and len(node.input) > then.max_input:
        del node.input[-1]
    if not then.min_input <= len(node.input) <= then.max_input:
        return f"it takes {then.max_input} inputs, not {len(node.input)}"
    if not then.min_output <= len(node.output) <= then.max_output:
        return f"it gives {then.max_output} outputs, not {len(node.output)}"
    return ""


def _type_fault(node: onnx.NodeProto, types: Mapping[str, int], then: onnx.defs.OpSchema) -> str:
    allowed = {rule.type_param_str: set(rule.allowed_type_strs) for rule in then.type_constraints}
    for names, formals in ((node.input, then.inputs), (node.output, then.outputs)):
        for index, name in enumerate(names):
            # The last formal one stands for all that follow where an operator takes any number of them.
            formal = formals[min(index, len(formals) - 1)]
            number = types.get(name, TensorProto.UNDEFINED)
            if number == TensorProto.UNDEFINED:
                continue
            kind = f"tensor({onnx_type_name(number)})"
            if kind not in allowed.get(formal.type_str, {formal.type_str}):
                return f"it takes no {onnx_type_name(number)} ({name!r})"
    return ""
