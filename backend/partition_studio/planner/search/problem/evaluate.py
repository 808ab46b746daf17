"""Says what an assignment costs: the arbiter of all searches, equal to `predict` for the plan that it makes.

The period is what the busiest resource allows. Where windows of links let fewer frames through (short ones, over links
of much latency), `predict` says so beside it (`window_limit`); searches do not reckon with that.

Plain on purpose: stages, what passes between them, and then each figure by its definition (see `problem`).
"""

import heapq
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from partition_studio.partition.memory import LinkNeed, StageNeed, link_bytes, memory_bound
from partition_studio.partition.stages import MAX_WINDOW, TURNS
from partition_studio.planner.search.problem.problem import STUDIO, Costs, Integers, Problem

#: Limits are kept but for the rounding of sums.
ROUNDING = 1e-9


@dataclass(frozen=True, slots=True)
class UnitStage:
    """A stage: its device and its units, in order."""

    device: int
    units: tuple[int, ...]


@dataclass(frozen=True)
class UnitStages:
    """The stages of an assignment in topological order, and the tensors that pass from each to each.

    `cuts` is by (producer, consumer), stages by number; STUDIO stands for both ends of the pipeline.
    """

    stages: tuple[UnitStage, ...]
    cuts: dict[tuple[int, int], tuple[int, ...]]

    def peer(self, end: int) -> int:
        """Return the device at an end of a cut, or STUDIO."""
        return STUDIO if end == STUDIO else self.stages[end].device


def evaluate(problem: Problem, assignment: Sequence[int] | Integers) -> Costs:
    """Return what an assignment costs. The period is infinite where a tensor would have to travel that cannot."""
    graph = stages_of(problem, assignment)
    if any(not problem.tensors[t].travels for tensors in graph.cuts.values() for t in tensors):
        nothing = (math.inf,) * len(problem.devices)
        return Costs(math.inf, math.inf, nothing, memory_of(problem, graph))
    seconds = [stage_s(problem, graph, number) for number in range(len(graph.stages))]
    cpu_s, busy_s = busy_of(problem, graph, seconds)
    period_s = max(busy_s)
    used = {stage.device for stage in graph.stages}
    energy_j = tuple(
        float(problem.idle_w[d] * period_s + problem.active_w[d] * cpu_s[d]) if d in used else 0.0
        for d in range(len(problem.devices))
    )
    return Costs(period_s, _latency_s(problem, graph, seconds), energy_j, memory_of(problem, graph))


def broken_limits(problem: Problem, costs: Costs, assignment: Sequence[int] | Integers) -> tuple[str, ...]:
    """Return the names of the limits that an assignment breaks (of memory: `memory_bytes/DEVICE`)."""
    limits, more = problem.limits, 1 + ROUNDING
    broken = []
    if not math.isfinite(costs.period_s):
        broken.append("tensor_type")
    if not all(problem.allowed[device, unit] for unit, device in enumerate(assignment)):
        broken.append("allowed")
    if limits.max_devices is not None and len({int(device) for device in assignment}) > limits.max_devices:
        broken.append("max_devices")
    if limits.min_throughput_per_s is not None and limits.min_throughput_per_s * costs.period_s > more:
        broken.append("min_throughput_per_s")
    if limits.max_latency_s is not None and costs.latency_s > limits.max_latency_s * more:
        broken.append("max_latency_s")
    if limits.max_energy_j is not None and not max(costs.energy_j) <= limits.max_energy_j * more:
        broken.append("max_energy_j")
    if limits.max_total_energy_j is not None and not sum(costs.energy_j) <= limits.max_total_energy_j * more:
        broken.append("max_total_energy_j")
    for name, needed, limit in zip(problem.devices, costs.memory_bytes, problem.memory_bytes, strict=True):
        if needed > limit:
            broken.append(f"memory_bytes/{name}")
    return tuple(broken)


def keeps(problem: Problem, costs: Costs, assignment: Sequence[int] | Integers) -> bool:
    """Return whether an assignment of these costs is an answer at all."""
    return not broken_limits(problem, costs, assignment)


def stages_of(problem: Problem, assignment: Sequence[int] | Integers) -> UnitStages:
    """Return the stages that `build_stages` would make of the assignment's placement, in its order."""
    groups = _groups(problem, [int(device) for device in assignment])
    stage_of = {unit: number for number, (_, units) in enumerate(groups) for unit in units}
    cuts: dict[tuple[int, int], dict[int, None]] = {}
    for number, tensor in enumerate(problem.tensors):
        maker = STUDIO if tensor.producer == STUDIO else stage_of[tensor.producer]
        for unit in tensor.consumers:
            if (reader := stage_of[unit]) != maker:
                cuts.setdefault((maker, reader), {})[number] = None
        if tensor.is_output:
            cuts.setdefault((maker, STUDIO), {})[number] = None
    stages = tuple(UnitStage(device, tuple(units)) for device, units in groups)
    return UnitStages(stages, {ends: tuple(tensors) for ends, tensors in cuts.items()})


def _groups(problem: Problem, assignment: list[int]) -> list[tuple[int, list[int]]]:
    """Return device and units of each stage: see `partition.stages`, whose rules these are."""
    levels = [0] * len(assignment)
    parent = list(range(len(assignment)))
    first_reader: dict[tuple[int, int, int], int] = {}

    def root(unit: int) -> int:
        while parent[unit] != unit:
            parent[unit] = parent[parent[unit]]
            unit = parent[unit]
        return unit

    makers = [[problem.tensors[t].producer for t in reads] for reads in problem.reads]
    for unit, device in enumerate(assignment):
        before = [maker for maker in makers[unit] if maker != STUDIO]
        level = max((levels[m] + (assignment[m] != device) for m in before), default=0)
        levels[unit] = level
        for tensor, maker in zip(problem.reads[unit], makers[unit], strict=True):
            if maker != STUDIO and assignment[maker] == device and levels[maker] == level:
                parent[root(unit)] = root(maker)
            else:
                parent[root(unit)] = root(first_reader.setdefault((device, level, tensor), unit))
    groups: dict[int, list[int]] = {}
    for unit in range(len(assignment)):
        groups.setdefault(root(unit), []).append(unit)
    ordered = _in_order(problem, list(groups.values()))
    return [(assignment[units[0]], units) for units in ordered]


def _in_order(problem: Problem, groups: list[list[int]]) -> list[list[int]]:
    """Return groups in topological order, by their first unit among those that are ready."""
    owner = {unit: number for number, units in enumerate(groups) for unit in units}
    waiting: list[set[int]] = [set() for _ in groups]
    followers: list[set[int]] = [set() for _ in groups]
    for tensor in problem.tensors:
        if tensor.producer != STUDIO:
            maker = owner[tensor.producer]
            for reader in {owner[unit] for unit in tensor.consumers} - {maker}:
                waiting[reader].add(maker)
                followers[maker].add(reader)
    ready = [number for number, makers in enumerate(waiting) if not makers]
    ordered = []
    while ready:
        number = heapq.heappop(ready)
        ordered.append(groups[number])
        for follower in followers[number]:
            waiting[follower].discard(number)
            if not waiting[follower]:
                heapq.heappush(ready, follower)
    return ordered


def stage_s(problem: Problem, graph: UnitStages, number: int) -> float:
    """Return what a stage takes by the clock."""
    stage = graph.stages[number]
    device, units = stage.device, set(stage.units)
    moved = 0
    for ends, tensors in graph.cuts.items():
        if ends[1] == number:
            moved += sum(problem.tensors[t].size_bytes for t in tensors if _enters_laid_out(problem, t, units))
    leaving = {t for ends, tensors in graph.cuts.items() if ends[0] == number for t in tensors}
    moved += sum(problem.tensors[t].size_bytes for t in leaving if _leaves_laid_out(problem, t, units))
    torn = sum(
        part.extra_s
        for part in problem.detail.torn
        if part.device == device and part.unit in units and part.head not in units
    )
    computing = sum(problem.compute_s[device, unit] for unit in stage.units)
    return float(problem.session_s[device] + computing + torn + problem.layout_byte_s[device] * moved)


def _enters_laid_out(problem: Problem, tensor: int, units: set[int]) -> bool:
    kind = problem.tensors[tensor]
    return kind.producer != STUDIO and any(unit in units for unit in kind.in_layout)


def _leaves_laid_out(problem: Problem, tensor: int, units: set[int]) -> bool:
    return any(unit not in units for unit in problem.tensors[tensor].in_layout)


def _messages(problem: Problem, graph: UnitStages) -> Iterator[tuple[int, int, int]]:
    """Yield source, target and bytes of each message between two peers."""
    for (producer, consumer), tensors in graph.cuts.items():
        source, target = graph.peer(producer), graph.peer(consumer)
        if source != target:
            yield source, target, sum(problem.tensors[t].size_bytes for t in tensors)


def busy_of(problem: Problem, graph: UnitStages, seconds: Sequence[float]) -> tuple[list[float], list[float]]:
    """Return each device's busy processor seconds, and how long a frame keeps each resource busy."""
    count = len(problem.devices)
    lanes, cpu_s = [0.0] * count, [0.0] * count
    for stage, stage_seconds in zip(graph.stages, seconds, strict=True):
        lanes[stage.device] += stage_seconds
        cpu_s[stage.device] += stage_seconds * float(problem.cpu_per_s[stage.device])
    links: dict[tuple[int, int], int] = {}
    for source, target, size in _messages(problem, graph):
        links[source, target] = links.get((source, target), 0) + size
        for peer in (source, target):
            if peer != STUDIO:
                cpu_s[peer] += float(problem.message_s[peer] + problem.byte_s[peer] * size)
    interfaces: dict[tuple[int, bool], int] = {}
    for (source, target), size in links.items():
        for peer, is_in in ((source, False), (target, True)):
            interfaces[peer, is_in] = interfaces.get((peer, is_in), 0) + size
    busy = lanes + [spent / float(cores) for spent, cores in zip(cpu_s, problem.cores, strict=True)]
    busy += [size / float(problem.link_bytes_per_s[way]) for way, size in links.items()]
    busy += [size / float(problem.interface_bytes_per_s[peer]) for (peer, _), size in interfaces.items()]
    return cpu_s, busy


def _latency_s(problem: Problem, graph: UnitStages, seconds: Sequence[float]) -> float:
    """Return when the last result of a frame that finds the pipeline empty is there."""
    ends = [0.0] * len(graph.stages)
    arriving: dict[int, list[tuple[int, float]]] = {}
    for (producer, consumer), tensors in graph.cuts.items():
        source, target = graph.peer(producer), graph.peer(consumer)
        size = sum(problem.tensors[t].size_bytes for t in tensors)
        arriving.setdefault(consumer, []).append((producer, travel_s(problem, source, target, size)))
    for number in range(len(graph.stages)):
        ends[number] = _arrival_s(arriving.get(number, []), ends) + seconds[number]
    return _arrival_s(arriving.get(STUDIO, []), ends)


def _arrival_s(arriving: list[tuple[int, float]], ends: list[float]) -> float:
    return max(((0.0 if producer == STUDIO else ends[producer]) + way for producer, way in arriving), default=0.0)


def travel_s(problem: Problem, source: int, target: int, size_bytes: float) -> float:
    """Return the seconds from the end of a work until its message can be computed with elsewhere."""
    if source == target:
        return 0.0
    carrying = problem.message_s[source] + problem.message_s[target]
    byte_s = problem.way_byte_s[source] + problem.way_byte_s[target] + 1 / problem.link_bytes_per_s[source, target]
    return float(carrying + byte_s * size_bytes + problem.link_latency_s[source, target])


def memory_of(problem: Problem, graph: UnitStages) -> tuple[int, ...]:
    """Return what each device's agent takes at most; 0 for those that get nothing."""
    windows = plan_windows(graph)
    found = [0] * len(problem.devices)
    for device in dict.fromkeys(stage.device for stage in graph.stages):
        incoming, outgoing = [], []
        for (producer, consumer), tensors in graph.cuts.items():
            size = sum(problem.tensors[t].size_bytes for t in tensors)
            need = LinkNeed(size, windows[producer, consumer])
            if graph.peer(consumer) == device:
                incoming.append(need)
            elif graph.peer(producer) == device:
                outgoing.append(need)
        needs = [stage_need(problem, stage.units) for stage in graph.stages if stage.device == device]
        found[device] = memory_bound(needs, link_bytes(incoming), link_bytes(outgoing)).bound_bytes
    return tuple(found)


def plan_windows(graph: UnitStages) -> dict[tuple[int, int], int]:
    """Return how many frames may wait on each cut: see `StageGraph.window`."""
    on: dict[int, int] = {}
    for stage in graph.stages:
        on[stage.device] = on.get(stage.device, 0) + 1
    windows = windows_of(graph)
    for ends, window in windows.items():
        if any(end != STUDIO and on[graph.stages[end].device] > 1 for end in ends):
            windows[ends] = min(window + TURNS, MAX_WINDOW)
    return windows


def windows_of(graph: UnitStages) -> dict[tuple[int, int], int]:
    """Return how many frames may wait on each cut at least, whatever else its devices do."""
    following: dict[int, list[int]] = {}
    for producer, consumer in graph.cuts:
        if producer != STUDIO:
            following.setdefault(producer, []).append(consumer)
    longest: dict[int, dict[int, int]] = {}

    def reach(nexts: list[int]) -> dict[int, int]:
        found: dict[int, int] = {}
        for end in nexts:
            found[end] = max(found.get(end, 0), 1)
            for farther, count in longest.get(end, {}).items():
                found[farther] = max(found.get(farther, 0), count + 1)
        return found

    for number in reversed(range(len(graph.stages))):
        longest[number] = reach(following.get(number, []))
    source = reach([consumer for producer, consumer in graph.cuts if producer == STUDIO])
    return {
        ends: min(max(2, (source if ends[0] == STUDIO else longest[ends[0]])[ends[1]] + 1), MAX_WINDOW)
        for ends in graph.cuts
    }


def stage_need(problem: Problem, units: Sequence[int]) -> StageNeed:
    """Return what of a stage takes memory."""
    detail, inside = problem.detail, set(units)
    shared = [weight for weight in detail.shared if inside.intersection(weight.units)]
    weight_bytes = int(sum(problem.weight_bytes[unit] for unit in units)) + sum(w.size_bytes for w in shared)
    packed = packing = 0
    for weight in shared:
        if weight.is_matrix:
            packing = max(packing, packed + 2 * weight.size_bytes)
            packed += weight.size_bytes
    for unit in units:
        matrices = int(problem.matrix_bytes[unit])
        packing = max(packing, packed + (detail.packing_bytes[unit] if detail.packing_bytes else 2 * matrices))
        packed += matrices
    layers = int(sum(problem.layers[unit] for unit in units))
    return StageNeed(weight_bytes, packed, packing, live_bytes_of(problem, units), layers)


def live_bytes_of(problem: Problem, units: Sequence[int]) -> int:
    """Return the most bytes of activations that are alive at once in a stage: see `peak_activation_bytes`."""
    detail, inside = problem.detail, set(units)
    if not detail.steps:
        return int(max(problem.live_bytes[unit] for unit in units))
    steps = [step for step in detail.steps if step.unit in inside]
    made = {number for step in steps for number in step.makes}
    last_use = {number: place for place, step in enumerate(steps) for number in step.reads}
    leaving = made & detail.output_activations
    leaving |= {n for step in detail.steps if step.unit not in inside for n in step.reads if n in made}
    last_use.update(dict.fromkeys(leaving, len(steps)))
    size = detail.activation_bytes
    alive = sum(size[number] for number in last_use if number not in made)
    dying: dict[int, int] = {}
    for number, place in last_use.items():
        dying[place] = dying.get(place, 0) + size[number]
    peak = alive
    for place, step in enumerate(steps):
        alive += sum(size[number] for number in step.makes)
        peak = max(peak, alive)
        unread = sum(size[number] for number in step.makes if number not in last_use)
        alive -= dying.get(place, 0) + unread
    return peak
