"""Sub-models for older runtimes: what each ONNX Runtime accepts, and how a sub-model is written for it. Pure.

Between two opsets most operators stay as they are, or only take more types: such a node is the same node under the
older opset. Where it is not, there is an error that names the layer, before anything is sent.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import onnx
from onnx import AttributeProto

from partition_studio.errors import PlanError
from partition_studio.partition.stages import StageGraph
from partition_studio.partition.submodel import SubModel
from partition_studio.partition.tensor_types import graphs_of, scopes_of

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
STANDARD_DOMAINS = ("", "ai.onnx")


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
    it could run on any device of the deployment; one that cannot be, for the oldest of its own devices.
    Raises RuntimeTooOldError.
    """
    limits = {device: known for device, version in runtimes.items() if (known := limits_of(version)) is not None}
    if not limits:
        return parts
    oldest = min(limits.values(), key=lambda each: (each.opset, each.ir_version))
    written = {name: _for_devices(part, graph.devices_of(name), limits, oldest) for name, part in parts.items()}
    return parts if all(written[name] is part for name, part in parts.items()) else written


def _for_devices(
    part: SubModel, devices: Sequence[str], limits: Mapping[str, RuntimeLimits], oldest: RuntimeLimits
) -> SubModel:
    """Return a sub-model as all `devices` that it runs on take it, and where it can be all of the deployment."""
    known = [(limits[device], device) for device in devices if device in limits]
    own, device = min(known, key=lambda each: (each[0].opset, each[0].ir_version), default=(oldest, devices[0]))
    try:
        return lowered(part, oldest, device)
    except RuntimeTooOldError:
        if own == oldest:
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
    scopes = list(scopes_of(part))
    for scope in scopes:
        _require_ir(scope, limits, part.stage, device)
    model.ir_version = min(needs.ir_version, limits.ir_version)
    if needs.opset > limits.opset:
        _require_no_functions(model, limits, part.stage, device)
        for graph, scope in zip(graphs_of(model.graph), scopes, strict=True):
            for node in graph.node:
                fault = _lower(node, scope, needs.opset, limits.opset)
                if fault:
                    raise _too_old(node, fault, needs.opset, limits, device)
        for entry in model.opset_import:
            if entry.domain in STANDARD_DOMAINS:
                entry.version = limits.opset
    return SubModel(part.stage, model, part.streamed)


def _require_no_functions(model: onnx.ModelProto, limits: RuntimeLimits, stage: str, device: str) -> None:
    if model.functions:
        raise RuntimeTooOldError(
            f"The stage {stage!r} has the function {model.functions[0].name!r}, which is written in an opset of its "
            f"own; {device} has ONNX Runtime {limits.version}, which takes opset {limits.opset} at most.",
            stage=stage,
            device=device,
            onnxruntime=limits.version,
        )


def _requirements(model: onnx.ModelProto) -> Requirements:
    opset = max((entry.version for entry in model.opset_import if entry.domain in STANDARD_DOMAINS), default=1)
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


def _require_ir(types: Mapping[str, str], limits: RuntimeLimits, stage: str, device: str) -> None:
    for tensor, kind in types.items():
        element = next((name for name in _TYPE_IR if f"({name})" in kind), "")
        needed = _TYPE_IR.get(element, 0)
        if needed > limits.ir_version:
            raise RuntimeTooOldError(
                f"The tensor {tensor!r} of stage {stage!r} is {element}, which needs IR version {needed};"
                f" {device} has ONNX Runtime {limits.version}, which takes IR version {limits.ir_version} at most.",
                stage=stage,
                tensor=tensor,
                device=device,
                onnxruntime=limits.version,
            )


def _lower(node: onnx.NodeProto, types: Mapping[str, str], opset: int, target: int) -> str:
    """Make a node one of the lower opset; return why it cannot be, or nothing."""
    if node.domain not in STANDARD_DOMAINS:
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
    return _lower_attributes(node, now, then) or _arity_fault(node, then) or _type_fault(node, types, now, then)


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


def _type_fault(
    node: onnx.NodeProto, types: Mapping[str, str], now: onnx.defs.OpSchema, then: onnx.defs.OpSchema
) -> str:
    for names, formals, before in ((node.input, now.inputs, then.inputs), (node.output, now.outputs, then.outputs)):
        for index, name in enumerate(names):
            if not name:
                continue
            allowed = _allowed(then, before, index)
            kind = types.get(name)
            if kind is None and not _allowed(now, formals, index) <= allowed:
                return f"it takes fewer types, and the type of {name!r} is not known"
            if kind is not None and kind not in allowed:
                return f"it takes no {kind.removeprefix('tensor(').removesuffix(')')} ({name!r})"
    return ""


def _allowed(schema: onnx.defs.OpSchema, formals: Sequence[onnx.defs.OpSchema.FormalParameter], index: int) -> set[str]:
    """Return the types that an operator's input or output may have."""
    # The last formal one stands for all that follow where an operator takes any number of them.
    formal = formals[min(index, len(formals) - 1)]
    rules = {rule.type_param_str: set(rule.allowed_type_strs) for rule in schema.type_constraints}
    return rules.get(formal.type_str, {formal.type_str})
