"""The energy and memory of a relaxed model, what is to be least in it, and its limits."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Literal

import numpy as np
from ortools.sat.python import cp_model

from partition_studio.partition.memory import (
    AGENT_BYTES,
    AHEAD_FROM_BYTES,
    ARENA_BYTES,
    ARENA_FACTOR,
    CHILD_BYTES,
    CONVOLUTION_COPIES,
    LAYER_BYTES,
    PLAIN_BYTES,
    PLAIN_COPIES,
    memory_bound,
)
from partition_studio.planner.search.bounds import lower_bounds
from partition_studio.planner.search.general.relaxed import Placed, Terms, sum_of
from partition_studio.planner.search.general.relaxed_times import MOST_TICKS, Times, least_period_s, most_seconds
from partition_studio.planner.search.problem.evaluate import ROUNDING, stage_need
from partition_studio.planner.search.problem.problem import STUDIO, Costs, Problem
from partition_studio.planner.search.question import Objective

#: The least time that there can be is at least so many ticks: what rounding down costs.
FINENESS = 2**22

#: Energy is summed in so many parts of its own tick.
PARTS = 2**13

#: The part of a device's memory limit is told in so many parts, and reckoned in pages.
SHARE = 2**14
PAGE_BYTES = 4096

#: No agent takes more.
MOST_BYTES = 2**44

#: Every link has room for so many frames at least.
LEAST_WINDOW = 2


@dataclass(frozen=True, slots=True)
class Goal:
    """What is to be least: an objective's figure (of throughput the period), or what a limit speaks of.

    "memory": the bytes of one `device`; "memory_share": the largest part of its `limits_bytes` that any device takes;
    "devices": how many get something.
    """

    of: Objective | Literal["memory", "memory_share", "devices"]
    device: int = 0
    limits_bytes: tuple[int, ...] = ()

    def value(self, costs: Costs, assignment: Sequence[int]) -> float:
        """Return the figure that is to be least."""
        match self.of:
            case "throughput":
                return costs.period_s
            case "memory":
                return float(costs.memory_bytes[self.device])
            case "memory_share":
                return max(m / limit for m, limit in zip(costs.memory_bytes, self.limits_bytes, strict=True))
            case "devices":
                return float(len(set(assignment)))
            case "latency" | "max_energy" | "total_energy" | "max_memory":
                return float(costs.value(self.of))


class Relaxed:
    """The model of a problem. `target` times `unit` is never above the goal's figure of the same placement."""

    def __init__(self, problem: Problem, goal: Goal, least_s: float = 0.0, most: float = math.inf) -> None:
        """`least_s` is a period that no plan comes below, where more is known than the model knows.

        Of the goal, no more than `most` is of interest.
        """
        self.problem, self.goal = problem, goal
        self.placed = Placed(problem, max_devices=problem.limits.max_devices)
        least_s = max(least_s, least_period_s(problem))
        most_s = most_seconds(problem)
        self.times = Times(self.placed, max(least_s / FINENESS, most_s / MOST_TICKS, 1e-15), least_s)
        watts = np.nan_to_num(problem.idle_w + problem.active_w * problem.cores)
        self._tick_j = (float(watts.max()) or 1.0) * self.times.tick_s
        self.target, self.unit = self._target()
        self._limit()
        self._most_period(most if goal.of == "throughput" else math.inf)
        if most < math.inf:
            self.model.add(self.target <= int(most / self.unit))

    @property
    def model(self) -> cp_model.CpModel:
        """What CP-SAT solves."""
        return self.placed.model

    def _target(self) -> tuple[cp_model.IntVar, float]:
        model = self.model
        match self.goal.of:
            case "throughput":
                return self.times.period, self.times.tick_s
            case "latency":
                return self.times.latency, self.times.tick_s
            case "max_energy":
                largest = model.new_int_var(0, 2 * self.times.most, "largest_energy")
                for energy in self._energy:
                    model.add(energy <= largest)
                return largest, self._tick_j
            case "total_energy":
                total = model.new_int_var(0, 2 * self.times.most * len(self._energy), "total_energy")
                model.add(total >= sum(self._energy))
                return total, self._tick_j
            case "max_memory":
                most = model.new_int_var(0, MOST_BYTES, "most_memory")
                for memory in self._memory:
                    model.add(memory <= most)
                return most, 1.0
            case "memory":
                return self._memory[self.goal.device], 1.0
            case "memory_share":
                return self._memory_share(), 1 / SHARE
            case "devices":
                count = model.new_int_var(1, len(self.placed.used), "devices")
                model.add(count >= sum(self.placed.used))
                return count, 1.0

    def _memory_share(self) -> cp_model.IntVar:
        share = self.model.new_int_var(0, 2**26, "memory_share")
        for device, memory in enumerate(self._memory):
            limit = self.goal.limits_bytes[device]
            if limit < MOST_BYTES:
                pages = self.model.new_int_var(0, MOST_BYTES // PAGE_BYTES, f"pages{device}")
                self.model.add(memory <= PAGE_BYTES * pages + PAGE_BYTES - 1)
                self.model.add(pages * SHARE <= -(-limit // PAGE_BYTES) * (share + 1))
        return share

    def _limit(self) -> None:
        problem, limits, model, more = self.problem, self.problem.limits, self.model, 1 + ROUNDING
        if limits.min_throughput_per_s is not None and limits.min_throughput_per_s > 0:
            model.add(self.times.period <= self.times.ticks(more / limits.min_throughput_per_s))
        if limits.max_latency_s is not None:
            model.add(self.times.latency <= self.times.ticks(limits.max_latency_s * more))
        if limits.max_energy_j is not None:
            for energy in self._energy:
                model.add(energy <= int(limits.max_energy_j * more / self._tick_j))
        if limits.max_total_energy_j is not None:
            model.add(sum(self._energy) <= int(limits.max_total_energy_j * more / self._tick_j))
        for device, limit in enumerate(problem.memory_bytes.tolist()):
            if limit < MOST_BYTES:
                model.add(self._memory[device] <= int(limit))
        for tensor in problem.tensors:
            if not tensor.travels and tensor.producer != STUDIO:
                for unit in tensor.consumers:
                    self._keep_together(tensor.producer, unit)

    def _most_period(self, most_s: float) -> None:
        """Say what follows for a device's stages from the longest period that is of interest."""
        problem, least = self.problem, self.problem.limits.min_throughput_per_s
        if least:
            most_s = min(most_s, (1 + ROUNDING) / least)
        if most_s == math.inf:
            return
        carry_s = 2 * problem.message_s[:-1] if all(problem.reads) else 0.0
        of_cores_s = (most_s * problem.cores - carry_s) / problem.cpu_per_s
        self.placed.end_runs(np.minimum(of_cores_s, most_s) - problem.session_s)

    def _keep_together(self, one: int, other: int) -> None:
        x = self.placed.x
        for device in self.placed.devices:
            here = [x[device, unit] for unit in (one, other) if (device, unit) in x]
            if len(here) == 2:
                self.model.add(here[0] == here[1])
            elif here:
                self.model.add(here[0] == 0)

    @cached_property
    def _energy(self) -> list[cp_model.IntVar]:
        return [self._energy_on(device) for device in self.placed.devices]

    def _energy_on(self, device: int) -> cp_model.IntVar:
        problem, model = self.problem, self.model
        energy = model.new_int_var(0, 2 * self.times.most, f"energy{device}")
        part_j = self._tick_j / PARTS
        active = sum_of([(v, s * float(problem.active_w[device])) for v, s in self.times.cpu_s[device]], part_j)
        idle_parts = float(problem.idle_w[device] * self.times.tick_s / part_j)
        idle = int(idle_parts)
        # What rounding takes from the factor counts for the least period at least.
        active += int((idle_parts - idle) * self.times.ticks(self.times.least_period_s))
        # Rounded down all the same: a part less than a whole tick may be missing.
        whole = model.add(energy * PARTS + (PARTS - 1) >= idle * self.times.period + active)
        whole.only_enforce_if(self.placed.used[device])
        return energy

    @cached_property
    def _memory(self) -> list[cp_model.IntVar]:
        return [self._memory_on(device) for device in self.placed.devices]

    @cached_property
    def _alone_bytes(self) -> list[int]:
        """The memory of a device for each unit alone: a larger stage never takes less."""
        units = range(len(self.problem.units))
        return [memory_bound([stage_need(self.problem, [unit])], 0, 0).bound_bytes for unit in units]

    def _memory_on(self, device: int) -> cp_model.IntVar:
        """Return the bytes of a device's agent: of what it holds while it runs, and of what loading takes."""
        model, problem, used = self.model, self.problem, self.placed.used[device]
        memory = model.new_int_var(0, MOST_BYTES, f"memory{device}")
        weights = self._weights_on(device)
        stages = self.placed.stages[device]
        agent = AGENT_BYTES * used
        windows: Terms = [
            (moved, LEAST_WINDOW * size)
            for moved, size in (*self.times.received_bytes(device), *self.times.sent_bytes(device))
        ]
        live = model.new_int_var(0, int(problem.live_bytes.max()), f"live{device}")
        for unit in range(len(problem.units)):
            if (device, unit) in self.placed.x:
                model.add(live >= int(problem.live_bytes[unit]) * self.placed.x[device, unit])
                model.add(memory >= self._alone_bytes[unit] * self.placed.x[device, unit])
        arenas = sum_of([(variable, ARENA_BYTES * count) for variable, count in stages], 1)
        running = sum_of([*weights, *windows], 1) + arenas + int(ARENA_FACTOR) * live
        model.add(memory >= agent + running)
        # Of several stages, all but the last are held while that is loaded.
        model.add(memory >= agent + sum_of(weights, 1) + arenas + (PLAIN_BYTES - ARENA_BYTES) * used)
        self._load_whole(device, memory)
        return memory

    def _weights_on(self, device: int) -> Terms:
        problem, x = self.problem, self.placed.x
        terms: Terms = [
            (variable, float(problem.weight_bytes[unit] + LAYER_BYTES * problem.layers[unit]))
            for (on, unit), variable in x.items()
            if on == device
        ]
        for number, weight in enumerate(problem.detail.shared):
            here = [x[device, unit] for unit in weight.units if (device, unit) in x]
            if here:
                reads = self.model.new_bool_var(f"weight{device},{number}")
                for variable in here:
                    self.model.add_implication(variable, reads)
                terms.append((reads, float(weight.size_bytes)))
        return terms

    def _load_whole(self, device: int, memory: cp_model.IntVar) -> None:
        """Bound the memory of a device by what loading takes where all that it has is one stage for sure."""
        model, placed, problem = self.model, self.placed, self.problem
        mine = [(unit, x) for (on, unit), x in placed.x.items() if on == device]
        if not mine:
            return
        one, large = model.new_bool_var(f"one{device}"), model.new_bool_var(f"large{device}")
        joined = [
            (1 + len(placed.series.between[place])) * same for (on, place), same in placed.same.items() if on == device
        ]
        # Every unit is a stage at most, and those between two joints of one stage are none.
        model.add(sum(x for _, x in mine) - sum(joined) + one >= 2 * placed.used[device])
        weights = sum(int(problem.weight_bytes[unit]) * x for unit, x in mine)
        matrices = sum(int(problem.matrix_bytes[unit]) * x for unit, x in mine)
        layers = LAYER_BYTES * sum(int(problem.layers[unit]) * x for unit, x in mine)
        model.add(weights < AHEAD_FROM_BYTES).only_enforce_if(large.negated(), one)
        plain = model.add(memory >= AGENT_BYTES + PLAIN_BYTES + int(PLAIN_COPIES) * weights + layers)
        plain.only_enforce_if(one, large.negated())
        if problem.detail.shared:
            return
        quarters = int(4 * CONVOLUTION_COPIES)
        child = 4 * (AGENT_BYTES + CHILD_BYTES) + quarters * (weights - matrices) + 4 * matrices + 4 * layers
        model.add(4 * memory >= child).only_enforce_if(one, large, placed.used[device])
        model.add(weights >= AHEAD_FROM_BYTES).only_enforce_if(one, large)


def least_value(problem: Problem, goal: Goal) -> float:
    """Return a first lower bound of a goal, without any search; infinite where there is no placement."""
    if goal.of == "memory" or goal.of == "memory_share" or goal.of == "devices":
        return 0.0
    whole = replace(problem.limits, strategies=frozenset({"layers"}), codecs=frozenset({"none"}))
    return lower_bounds(replace(problem, limits=whole)).cost(goal.of)
