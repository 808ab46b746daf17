"""What is wrong with a plan, and what it costs: answered offline, before anything is sent to a device.

Memory of a device is bounded from its stages and links (see `memory`). What is certainly needed: the agent with its
runtime, the weights once, the activations that live at the same time in the largest stage, and the frames that wait on
incoming cuts. A plan that exceeds that is an error; one that exceeds the bound, the load of the stages with it, a
warning.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches

from partition_studio.errors import PlanError
from partition_studio.graph.blocks import BlockError, with_manual
from partition_studio.graph.network import Network, NetworkForm
from partition_studio.partition.codecs import codec_names, codec_problems
from partition_studio.partition.device_memory import device_memory, link_ends, plan_window
from partition_studio.partition.draft import ShardError
from partition_studio.partition.formats.autodice_names import host_of
from partition_studio.partition.memory import MemoryBound
from partition_studio.partition.memory import peak_activation_bytes as peak_activation_bytes
from partition_studio.partition.missing_layer import named_shard_error
from partition_studio.partition.partition import Division, Partition, divide, place
from partition_studio.partition.plan import Plan
from partition_studio.partition.problem import Problem as Problem
from partition_studio.partition.replicas import replica_problems
from partition_studio.partition.resources import providers_of
from partition_studio.partition.stages import Cut, CutTypeError, Stage, StageGraph
from partition_studio.sizes import size_text

#: Python, ONNX Runtime and the agent themselves take at least this.
RUNTIME_BYTES = 64 * 2**20


class InvalidPlanError(PlanError):
    """The plan has at least one error."""

    code = "invalid_plan"


@dataclass(frozen=True, slots=True)
class DeviceLimits:
    """What a device can take; None where it is not known."""

    memory_bytes: int | None = None


@dataclass(frozen=True, slots=True)
class DeviceCost:
    """What a plan asks of one device, for one frame.

    `weight_bytes` counts a weight that two stages share twice, as each gets a copy. `received_bytes` and `sent_bytes`
    are of tensors that come from or go to another device, or the source and sink; not between its own stages.
    `least_memory_bytes` and `bound`: see the module.
    """

    device: str
    stages: tuple[str, ...]
    layers: int
    macs: int
    parameters: int
    weight_bytes: int
    peak_activation_bytes: int
    received_bytes: int
    sent_bytes: int
    least_memory_bytes: int
    bound: MemoryBound

    @property
    def likely_memory_bytes(self) -> int:
        """The most that the agent takes."""
        return self.bound.bound_bytes


@dataclass(frozen=True, slots=True)
class CutCost:
    """One cut: its ends, the devices there (None: source or sink), its tensors and their bytes for one frame.

    `codecs` names that of each tensor that does not travel as it is; `auto` where it is not settled.
    """

    id: str
    producer: str
    consumer: str
    producer_device: str | None
    consumer_device: str | None
    tensors: tuple[str, ...]
    size_bytes: int
    window: int
    codecs: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class PlanReport:
    """The whole answer.

    `stages`, `cuts` and `costs` are there only when every layer of the network is placed, `division` when the shardings
    can be applied.
    """

    problems: tuple[Problem, ...]
    costs: tuple[DeviceCost, ...]
    cuts: tuple[CutCost, ...]
    stages: tuple[Stage, ...]
    division: Division | None = None

    @property
    def ok(self) -> bool:
        """Whether there is no error; warnings do not count."""
        return not self.errors

    @property
    def errors(self) -> tuple[Problem, ...]:
        """The problems that forbid to deploy the plan."""
        return tuple(problem for problem in self.problems if problem.severity == "error")


def check_plan(network: Network, plan: Plan, devices: Mapping[str, DeviceLimits] | None = None) -> PlanReport:
    """Say what is wrong with a plan, and what it costs. Without `devices`, any device name will do."""
    return assess(network, plan, devices)[0]


def require_valid(
    network: Network, plan: Plan, devices: Mapping[str, DeviceLimits] | None = None
) -> tuple[PlanReport, Partition]:
    """Return the report and the partition of a plan. Raises InvalidPlanError, which names the first error."""
    report, partition = assess(network, plan, devices)
    if report.errors or partition is None:
        first, others = report.errors[0], len(report.errors) - 1
        more = f" ({others} more problem{'s' if others > 1 else ''}.)" if others else ""
        facts = {key: value for key, value in (("layer", first.layer), ("device", first.device)) if value is not None}
        raise InvalidPlanError(
            first.message + more, next_step=first.next_step, problem=first.code, others=others, **facts
        )
    return report, partition


def assess(
    network: Network, plan: Plan, devices: Mapping[str, DeviceLimits] | None = None
) -> tuple[PlanReport, Partition | None]:
    """Return the report on a plan, and its partition where the plan is sound enough to have one."""
    other = _other_network(network, plan)
    if other is not None and plan.shards:
        # What is wrong with dividing another network's layers leads away from what is wrong with the plan.
        return PlanReport((other,), (), (), ()), None
    problems = _block_problems(network, plan) if other is None else [other]
    try:
        division = divide(network, plan)
    except ShardError as fault:
        error = named_shard_error(network, plan, fault)
        layer = error.details.get("layer")
        named = layer if isinstance(layer, str) else None
        problem = Problem(error.code, "error", error.message, layer=named, next_step=error.next_step)
        return PlanReport((*problems, problem), (), (), ()), None
    problems += _placement_problems(network, division, plan, devices)
    problems += replica_problems(plan, devices)
    if any(problem.code == "replicas" for problem in problems):
        return PlanReport(tuple(problems), (), (), (), division), None
    problems += _resource_problems(plan)
    names = division.network.layers_by_name
    if any(name not in plan.placement and name not in division.devices for name in names):
        return PlanReport(tuple(problems), (), (), (), division), None
    try:
        partition = place(network, division, plan)
    except CutTypeError as error:
        layer = str(error.details["layer"])
        problem = Problem(error.code, "error", error.message, layer=layer, next_step=error.next_step)
        return PlanReport((*problems, problem), (), (), (), division), None
    graph = partition.graph
    costs = tuple(_device_cost(partition, device, plan) for device in graph.devices)
    problems.extend(_memory_problems(costs, devices or {}))
    problems.extend(codec_problems(graph, plan))
    cuts = tuple(_cut_cost(graph, plan, cut) for cut in graph.cuts)
    return PlanReport(tuple(problems), costs, cuts, graph.stages, division), partition


def crowded_devices(
    old: Sequence[DeviceCost], new: Sequence[DeviceCost], devices: Mapping[str, DeviceLimits]
) -> tuple[str, ...]:
    """Return the devices that can likely not hold the stages of two plans at once; the runtime is counted once."""
    held = {cost.device: cost.likely_memory_bytes - cost.bound.agent_bytes for cost in old}
    crowded = []
    for cost in new:
        limit = devices.get(cost.device, DeviceLimits()).memory_bytes
        if limit is not None and cost.device in held and held[cost.device] + cost.likely_memory_bytes > limit:
            crowded.append(cost.device)
    return tuple(crowded)


def require_network(network: Network, plan: Plan) -> None:
    """Check that a plan is for this network, in this form. Raises InvalidPlanError."""
    other = _other_network(network, plan)
    if other is not None:
        raise InvalidPlanError(other.message, next_step=other.next_step, problem=other.code)


def _other_network(network: Network, plan: Plan) -> Problem | None:
    if plan.network.sha256 != network.digest:
        message = (
            f"The plan is for another network: {plan.network.name!r} ({plan.network.sha256[:12]}...), "
            f"not {network.name!r} ({network.digest[:12]}...)."
        )
        return Problem("other_network", "error", message, next_step="Use the network that the plan was made for.")
    if plan.network.form != network.form:
        message = (
            f"The plan is for another form of the network {network.name!r}: {_form(plan.network.form)}, "
            f"not {_form(network.form)}."
        )
        step = (
            "Use the network in the plan's form (`partition-studio model simplify MODEL`, `--undo` for the form in the "
            "file), or make the plan anew."
        )
        return Problem("other_form", "error", message, next_step=step)
    return None


def _block_problems(network: Network, plan: Plan) -> list[Problem]:
    try:
        with_manual(network, (), plan.blocks)
    except BlockError as error:
        layer = error.details.get("layer")
        named = layer if isinstance(layer, str) else None
        return [Problem(error.code, "error", error.message, layer=named, next_step=error.next_step)]
    return []


def _form(form: NetworkForm) -> str:
    sizes = ", ".join(f"{symbol} = {size}" for symbol, size in form.dims)
    return ("simplified" if form.simplified else "as in the file") + (f" with {sizes}" if sizes else "")


def _placement_problems(
    network: Network, division: Division, plan: Plan, devices: Mapping[str, DeviceLimits] | None
) -> list[Problem]:
    problems = []
    names = division.network.layers_by_name
    for layer, device in plan.placement.items():
        if layer in names:
            if not device:
                problems.append(Problem("unknown_device", "error", f"The layer {layer!r} has no device.", layer=layer))
        elif layer in network.layers_by_name:
            message = f"The layer {layer!r} is divided by `shards`: its parts have devices of their own."
            problems.append(Problem("divided_layer", "error", message, layer=layer, device=device))
        else:
            message = f"The network {network.name!r} has no layer {layer!r}.{_suggest(layer, names)}"
            problems.append(Problem("unknown_layer", "error", message, layer=layer, device=device))
    if devices is not None:
        first_layer: dict[str, str] = {}
        for sharding in plan.shards:
            for place_name in sharding.devices:
                first_layer.setdefault(plan.device_of(place_name), sharding.layers[0])
        first_at: dict[str, str] = {}
        for layer, place_name in plan.placement.items():
            first_at.setdefault(place_name, layer)
        for place_name, layer in first_at.items():
            for device in plan.devices_of(place_name):
                first_layer.setdefault(device, layer)
        for device, layer in first_layer.items():
            if device and device not in devices:
                message = f"There is no device {device!r} (layer {layer!r} is placed on it)."
                message += _suggest(device, {**devices, **plan.replicas})
                step = _device_step(device)
                problems.append(Problem("unknown_device", "error", message, layer=layer, device=device, next_step=step))
    for layer_name in names:
        if layer_name not in plan.placement and layer_name not in division.devices:
            message = f"The layer {layer_name!r} is not placed on any device."
            problems.append(Problem("unplaced_layer", "error", message, layer=layer_name))
    return problems


def _device_step(device: str) -> str | None:
    """Say what to do about an unknown device whose name is one of AutoDiCE's."""
    host = host_of(device)
    if host is None:
        return None
    return (
        f"Say what it is here: import the files again with `--device {host}=NAME`, or give it a registered device in "
        "the plan's `resources`."
    )


def _resource_problems(plan: Plan) -> list[Problem]:
    problems = []
    for place_name in plan.places():
        resource = plan.resources.get(place_name)
        if resource is not None and (wanted := providers_of(resource)) not in ((), ("CPUExecutionProvider",)):
            message = (
                f"{place_name!r} asks {resource.device!r} for {' or '.join(wanted)}. Where that is not there, its "
                "layers are computed on the CPU; the deployment says what is used."
            )
            problems.append(Problem("provider_wanted", "warning", message, device=resource.device))
    return problems


def _suggest(name: str, known: Mapping[str, object]) -> str:
    close = get_close_matches(name, known, n=3, cutoff=0.5)
    return f" Did you mean {' or '.join(repr(other) for other in close)}?" if close else ""


def _memory_problems(costs: tuple[DeviceCost, ...], devices: Mapping[str, DeviceLimits]) -> list[Problem]:
    problems = []
    for cost in costs:
        limit = devices.get(cost.device, DeviceLimits()).memory_bytes
        if limit is None:
            continue
        if cost.least_memory_bytes > limit:
            message = (
                f"The device {cost.device!r} has {size_text(limit)} of memory; its layers need at least "
                f"{size_text(cost.least_memory_bytes)}."
            )
            problems.append(Problem("over_memory", "error", message, device=cost.device))
        elif cost.likely_memory_bytes > limit:
            message = (
                f"The device {cost.device!r} has {size_text(limit)} of memory; its layers may need "
                f"{size_text(cost.likely_memory_bytes)} while they are loaded."
            )
            problems.append(Problem("tight_memory", "warning", message, device=cost.device))
    return problems


def _cut_cost(graph: StageGraph, plan: Plan, cut: Cut) -> CutCost:
    return CutCost(
        id=cut.id,
        producer=cut.producer,
        consumer=cut.consumer,
        producer_device=graph.device_of(cut.producer),
        consumer_device=graph.device_of(cut.consumer),
        tensors=cut.tensors,
        size_bytes=graph.cut_bytes(cut),
        window=plan_window(graph, plan.micro_batch, cut),
        codecs=codec_names(graph, plan, cut),
    )


def _device_cost(partition: Partition, device: str, plan: Plan) -> DeviceCost:
    network, graph = partition.network, partition.graph
    stages = graph.on(device)
    layers = [network.layer(name) for stage in stages for name in stage.layers]
    shared = {name for layer in layers for name in layer.weights}
    needs = partition.needs[device]
    weight_bytes = sum(need.weight_bytes for need in needs)
    peak_bytes = max(need.live_bytes for need in needs)
    ends = link_ends(graph)
    arriving = dict.fromkeys(cut for cut, source, to in ends if to == device != source)
    leaving = dict.fromkeys(cut for cut, source, to in ends if source == device != to)
    waiting = sum(graph.cut_bytes(cut) * graph.window(cut) for cut, _, to in ends if to == device)
    least = RUNTIME_BYTES + weight_bytes + peak_bytes + waiting
    return DeviceCost(
        device=device,
        stages=tuple(stage.name for stage in stages),
        layers=len(layers),
        macs=sum(layer.macs for layer in layers),
        parameters=sum(network.weight_elements[name] for name in shared),
        weight_bytes=weight_bytes,
        peak_activation_bytes=peak_bytes,
        received_bytes=sum(graph.cut_bytes(cut) for cut in arriving),
        sent_bytes=sum(graph.cut_bytes(cut) for cut in leaving),
        least_memory_bytes=least,
        bound=device_memory(graph, plan, device, needs),
    )
