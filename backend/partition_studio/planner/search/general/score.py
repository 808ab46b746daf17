"""How good placements look, for a search that goes step by step: costs without plateaus, and limits as penalties."""

from dataclasses import dataclass

import numpy as np

from partition_studio.planner.search.general.batch_costs import BatchCosts
from partition_studio.planner.search.general.batch_memory import BatchMemory
from partition_studio.planner.search.general.batch_stages import Small
from partition_studio.planner.search.problem.evaluate import ROUNDING, evaluate
from partition_studio.planner.search.problem.problem import Costs, Floats, Integers, Problem

#: What exceeding a limit adds to the logarithm of the cost, for each share of the limit; and each device too many.
_PENALTY, _DEVICE_PENALTY = 4.0, 0.5

#: Memory is reckoned where a device may not hold so many times the whole network.
_AMPLE = 1.5


@dataclass(frozen=True)
class Score:
    """Of each placement: `rough`, the logarithm of a smooth cost with penalties; `exact`, the cost; a `hottest` device.

    The exact cost is infinite where a limit seems broken; `hottest` is what a change should help most, or -1.
    """

    rough: Floats
    exact: Floats
    hottest: Integers

    def with_part(self, columns: Integers, other: "Score", chosen: Integers) -> "Score":
        """Return this with some columns of another."""
        rough, exact, hottest = self.rough.copy(), self.exact.copy(), self.hottest.copy()
        rough[columns], exact[columns] = other.rough[chosen], other.exact[chosen]
        hottest[columns] = other.hottest[chosen]
        return Score(rough, exact, hottest)


@dataclass(frozen=True)
class Figures:
    """What placements cost, in columns; `energy_j` and `memory_bytes` (D, placements), None where nobody asks.

    `least_bytes` is never more than the exact memory (D, placements).
    """

    period_s: Floats
    spread_s: Floats
    hottest: Integers
    used: Integers
    latency_s: Floats | None
    energy_j: Floats | None
    memory_bytes: Floats | None
    least_bytes: Floats | None = None


class Scorer:
    """Scores placements of one problem. `with_all`: energy, where power is known, and memory whoever asks."""

    def __init__(self, problem: Problem, *, with_all: bool = False) -> None:
        self._problem, self._costs = problem, BatchCosts(problem)
        limits = problem.limits
        self._with_latency = problem.objective == "latency" or limits.max_latency_s is not None
        self._with_energy = problem.needs_power or (with_all and not np.isnan(problem.idle_w).any())
        needs_memory = with_all or problem.objective == "max_memory" or _is_tight(problem)
        self._memory = BatchMemory(problem) if needs_memory else None

    def cost(self, costs: Costs) -> float:
        """Return what is to be least, of exact costs."""
        objective = self._problem.objective
        return costs.period_s if objective == "throughput" else costs.value(objective)

    def figures(self, assignments: Integers | Small, power: float, *, with_least: bool = False) -> Figures:
        """Return the figures of assignments (units, assignments)."""
        stages = self._costs.stager.of(assignments)
        batch, messages = self._costs.of_stages(stages, power, with_latency=self._with_latency)
        energy_j = batch.energy_j(self._problem) if self._with_energy else None
        memory_bytes = None if self._memory is None else self._memory.of(stages, messages)
        least = self._memory.least_of(stages, messages) if with_least and self._memory is not None else None
        used, period_s = batch.is_used.sum(axis=0), batch.period_s
        return Figures(
            period_s, batch.spread_s, batch.hottest, used, batch.latency_s, energy_j, memory_bytes, least_bytes=least
        )

    def of(self, assignments: Integers | Small, power: float) -> Score:
        """Return the scores of assignments (units, assignments)."""
        found = self.figures(assignments, power)
        exact, smooth, hottest = self._objective(found, power)
        over, broken = self.over(found)
        rough = np.log(smooth) + over
        rough[~np.isfinite(found.period_s)] = np.inf
        return Score(rough, np.where(broken | ~np.isfinite(found.period_s), np.inf, exact), hottest)

    def _objective(self, found: Figures, power: float) -> tuple[Floats, Floats, Integers]:
        """Return the cost, a smooth one, and the device that it hangs on."""
        none = np.full(len(found.period_s), -1)
        match self._problem.objective:
            case "throughput":
                return found.period_s, found.spread_s, found.hottest
            case "latency":
                assert found.latency_s is not None
                return found.latency_s, found.latency_s, none
            case "total_energy":
                assert found.energy_j is not None
                total = found.energy_j.sum(axis=0)
                return total, total, none
            case "max_energy":
                assert found.energy_j is not None
                each = found.energy_j
            case "max_memory":
                assert found.memory_bytes is not None
                each = found.memory_bytes
        most = each.max(axis=0)
        return most, most * ((each / most) ** power).sum(axis=0) ** (1 / power), each.argmax(axis=0)

    def over(self, found: Figures) -> tuple[Floats, "np.ndarray[tuple[int, ...], np.dtype[np.bool_]]"]:
        """Return the penalty of limits that seem broken, and whether any does."""
        limits, ratios = self._problem.limits, []
        if limits.min_throughput_per_s is not None:
            ratios.append(found.period_s * limits.min_throughput_per_s)
        if limits.max_latency_s is not None and found.latency_s is not None:
            ratios.append(found.latency_s / limits.max_latency_s)
        if found.energy_j is not None:
            if limits.max_energy_j is not None:
                ratios.append(found.energy_j.max(axis=0) / limits.max_energy_j)
            if limits.max_total_energy_j is not None:
                ratios.append(found.energy_j.sum(axis=0) / limits.max_total_energy_j)
        if found.memory_bytes is not None:
            ratios.append((found.memory_bytes / self._problem.memory_bytes[:, None]).max(axis=0))
        penalty = np.zeros(len(found.period_s))
        broken = np.zeros(len(penalty), bool)
        for ratio in ratios:
            penalty += _PENALTY * np.maximum(ratio - 1, 0.0)
            broken |= ratio > 1 + ROUNDING
        if limits.max_devices is not None:
            excess = np.maximum(found.used - limits.max_devices, 0)
            penalty += _DEVICE_PENALTY * excess
            broken |= excess > 0
        return penalty, broken


def _is_tight(problem: Problem) -> bool:
    """Return whether memory may keep anything from being placed anywhere."""
    whole = evaluate(problem, [0] * len(problem.units)).memory_bytes[0]
    return bool((problem.memory_bytes < _AMPLE * whole).any())
