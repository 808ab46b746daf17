"""What the first runs of a chain cost at least, whatever follows: their stages are known, and what must leave them.

What leaves the prefix is counted once, as one message of each stage to somewhere that costs nothing.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from partition_studio.partition.memory import LinkNeed, link_bytes, memory_bound
from partition_studio.planner.search.problem.evaluate import (
    UnitStages,
    busy_of,
    stage_need,
    stage_s,
    stages_of,
    travel_s,
    windows_of,
)
from partition_studio.planner.search.problem.problem import STUDIO, Costs, Problem, Tensor


@dataclass(frozen=True, slots=True)
class Prefix:
    """At least: the period, each device's busy processor seconds and bytes.

    `last_end_s`, `output_s`: when the last run's stages end for a frame that is alone, and when the last of the
    network's outputs that are made so far is there. `last_stages`, `level`: of the last run, how many stages it has,
    and on how many runs its last one waits; `studio_bytes` is what the studio sends.
    """

    period_s: float
    cpu_s: tuple[float, ...]
    memory_bytes: tuple[int, ...]
    last_end_s: float
    output_s: float
    last_stages: int
    level: int
    studio_bytes: int

    def costs(self, problem: Problem, least_s: float) -> Costs:
        """Return these as costs, the period being `least_s` at least; the latency is that of outputs made so far."""
        period_s = max(self.period_s, least_s)
        energy_j = tuple(
            float(idle_w * period_s + active_w * cpu_s) if needed else 0.0
            for idle_w, active_w, cpu_s, needed in zip(
                problem.idle_w, problem.active_w, self.cpu_s, self.memory_bytes, strict=True
            )
        )
        return Costs(period_s, self.output_s, energy_j, self.memory_bytes)


class Prefixes:
    """The prefixes of one problem's chains."""

    def __init__(self, problem: Problem) -> None:
        self._problem = problem
        links = problem.link_bytes_per_s.copy()
        links[:, STUDIO] = math.inf
        interfaces = problem.interface_bytes_per_s.copy()
        interfaces[STUDIO] = math.inf
        self._free = replace(problem, link_bytes_per_s=links, interface_bytes_per_s=interfaces)
        self._cut: dict[int, Problem] = {}
        self._outputs = {tensor.name for tensor in problem.tensors if tensor.is_output}

    def of(self, assignment: Sequence[int]) -> Prefix:
        """Return what the first units, assigned so, cost at least."""
        problem = self._cut_at(len(assignment))
        graph = stages_of(problem, assignment)
        seconds = [stage_s(problem, graph, number) for number in range(len(graph.stages))]
        cpu_s, busy_s = busy_of(problem, graph, seconds)
        ends, levels = self._ends(problem, graph, seconds)
        last = [number for number, stage in enumerate(graph.stages) if stage.device == assignment[-1]]
        outputs = []
        for (producer, consumer), tensors in graph.cuts.items():
            sent = [problem.tensors[t].size_bytes for t in tensors if problem.tensors[t].name in self._outputs]
            if consumer == STUDIO and sent:
                outputs.append(ends[producer] + travel_s(self._problem, graph.peer(producer), STUDIO, sum(sent)))
        return Prefix(
            period_s=max(busy_s),
            cpu_s=tuple(cpu_s),
            memory_bytes=self._memory(problem, graph),
            last_end_s=max(ends[number] for number in last),
            output_s=max(outputs, default=0.0),
            last_stages=len(last),
            level=max(levels[number] for number in last),
            studio_bytes=sum(
                problem.tensors[t].size_bytes
                for ends_, tensors in graph.cuts.items()
                if ends_[0] == STUDIO
                for t in tensors
            ),
        )

    def _cut_at(self, count: int) -> Problem:
        if count not in self._cut:
            self._cut[count] = replace(
                self._free,
                units=self._problem.units[:count],
                tensors=tuple(_cut(tensor, count) for tensor in self._problem.tensors if tensor.producer < count),
            )
        return self._cut[count]

    def _ends(self, problem: Problem, graph: UnitStages, seconds: list[float]) -> tuple[list[float], list[int]]:
        """Return when each stage ends for a frame that is alone, and how many stages are before it at most."""
        ends, levels = [0.0] * len(seconds), [0] * len(seconds)
        for number, own_s in enumerate(seconds):
            begin_s = 0.0
            for (producer, consumer), tensors in graph.cuts.items():
                if consumer == number:
                    size = sum(problem.tensors[t].size_bytes for t in tensors)
                    way_s = travel_s(problem, graph.peer(producer), graph.peer(consumer), size)
                    begin_s = max(begin_s, way_s + (0.0 if producer == STUDIO else ends[producer]))
                    levels[number] = max(levels[number], 0 if producer == STUDIO else levels[producer] + 1)
            ends[number] = begin_s + own_s
        return ends, levels

    def _memory(self, problem: Problem, graph: UnitStages) -> tuple[int, ...]:
        inner = UnitStages(graph.stages, {ends: t for ends, t in graph.cuts.items() if ends[1] != STUDIO})
        windows = windows_of(inner)
        found = [0] * len(problem.devices)
        for device in dict.fromkeys(stage.device for stage in graph.stages):
            incoming, outgoing = [], []
            for (producer, consumer), tensors in graph.cuts.items():
                need = LinkNeed(
                    sum(problem.tensors[t].size_bytes for t in tensors), windows.get((producer, consumer), 2)
                )
                if graph.peer(consumer) == device:
                    incoming.append(need)
                elif graph.peer(producer) == device:
                    outgoing.append(need)
            needs = [stage_need(problem, stage.units) for stage in graph.stages if stage.device == device]
            found[device] = memory_bound(needs, link_bytes(incoming), link_bytes(outgoing)).bound_bytes
        return tuple(found)


def _cut(tensor: Tensor, count: int) -> Tensor:
    """Return a tensor as the first units see it: what others read of it is an output."""
    consumers = tuple(unit for unit in tensor.consumers if unit < count)
    leaves = tensor.producer != STUDIO and len(consumers) < len(tensor.consumers)
    return replace(
        tensor,
        consumers=consumers,
        is_output=(tensor.is_output or leaves) and tensor.producer != STUDIO,
        is_laid_out=False,
        laid_out_for=tensor.in_layout,
    )


def levels_matter(problem: Problem) -> "np.ndarray[tuple[int, ...], np.dtype[np.bool_]]":
    """Return of each number of first units whether a later one reads nothing but the studio's inputs."""
    starts = [
        unit
        for unit, reads in enumerate(problem.reads)
        if all(problem.tensors[number].producer == STUDIO for number in reads)
    ]
    return np.array([any(unit >= count for unit in starts) for count in range(len(problem.units) + 1)])
