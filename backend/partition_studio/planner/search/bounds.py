"""Lower bounds: what no plan of the allowed strategies costs less than, however it places, copies or divides layers.

Each relaxes a plan to what it cannot do without. In space "whole" units are placed whole, so a device that is used has
at least one session and one message in and out; with replicas a device may have any share of a unit's frames; with
divided layers any share of its work. Fractions of units on devices are then the variables of a linear program:
the busiest device has at least the least possible maximum of work over all ways to divide the units. Where codecs may
be used, nothing is known of how much travels.
"""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from ortools.linear_solver import pywraplp

from partition_studio.partition.memory import AGENT_BYTES, ARENA_BYTES, memory_bound
from partition_studio.planner.search.problem.evaluate import stage_need
from partition_studio.planner.search.problem.problem import STUDIO, Floats, Problem
from partition_studio.planner.search.question import Objective

#: Above this many units times devices the linear program takes too long; `ascend` replaces it.
MOST_VARIABLES = 12_000

#: Solvers of linear programs are right to about 1e-7 of their values.
_SOLVER = 1 - 1e-6

_ASCENTS = 600


@dataclass(frozen=True, slots=True)
class Bounds:
    """No plan has less than any of these. Infinite: there is no plan at all. Energy is 0 where power is not known."""

    period_s: float
    latency_s: float
    max_energy_j: float
    total_energy_j: float
    max_memory_bytes: float

    def cost(self, objective: Objective) -> float:
        """Return the least cost: of throughput the seconds between frames, else in the objective's unit."""
        match objective:
            case "throughput":
                return self.period_s
            case "latency":
                return self.latency_s
            case "max_energy":
                return self.max_energy_j
            case "total_energy":
                return self.total_energy_j
            case "max_memory":
                return self.max_memory_bytes

    def value(self, objective: Objective) -> float:
        """Return the bound in the objective's unit: of throughput the most frames a second."""
        cost = self.cost(objective)
        if objective != "throughput":
            return cost
        return math.inf if cost <= 0 else 1 / cost


def lower_bounds(problem: Problem) -> Bounds:
    """Return what no plan that the question allows costs less than."""
    relaxed = Relaxation(problem)
    period_s = relaxed.period_s()
    return Bounds(
        period_s=period_s,
        latency_s=relaxed.latency_s(),
        max_energy_j=relaxed.max_energy_j(period_s),
        total_energy_j=relaxed.total_energy_j(period_s),
        max_memory_bytes=relaxed.max_memory_bytes(),
    )


class Relaxation:
    """A problem without what makes it hard."""

    def __init__(self, problem: Problem) -> None:
        self.problem = problem
        self.is_whole = problem.limits.strategies <= {"layers"}
        self.is_divided = not problem.limits.strategies <= {"layers", "replicas"}
        divided_s = problem.detail.divided_s
        self.may_pack = not problem.limits.codecs <= {"none"}
        self.alone_bytes = np.array([self._alone_bytes(unit) for unit in range(len(problem.units))])
        self.work_s = divided_s if self.is_divided and divided_s is not None else problem.compute_s
        self.allowed = problem.allowed & self._holds()
        most = problem.limits.max_devices
        self.most = len(problem.devices) if most is None else min(most, len(problem.devices))
        if self.is_whole:
            self.most = min(self.most, len(problem.units))
        self.least_cpu_s = self._least_carry_cpu_s()

    @property
    def is_possible(self) -> bool:
        """Whether every unit has a device that may hold it."""
        return bool(self.allowed.any(axis=0).all())

    def period_s(self) -> float:
        """Return the least seconds between frames: of computing, or of the studio's links."""
        if not self.is_possible:
            return math.inf
        problem = self.problem
        fixed = np.zeros(len(problem.devices))
        if self.is_whole:
            # Carrying comes on top of computing only where computing takes all cores.
            full = problem.cpu_per_s >= problem.cores
            fixed = problem.session_s + np.where(full, self.least_cpu_s / problem.cores, 0.0)
        bound = self.least_maximum(self.work_s, fixed)
        if self.is_whole:
            single = np.where(self.allowed, self.work_s + fixed[:, None], math.inf)
            bound = max(bound, float(single.min(axis=0).max()))
        return max(bound, self._studio_s())

    def latency_s(self) -> float:
        """Return the least seconds of a frame that is alone: along the longest way, every unit where it is best.

        Of a unit that is divided nothing is known but that it is reached and left.
        """
        if not self.is_possible:
            return math.inf
        problem, count = self.problem, len(self.problem.devices)
        travel = _Travel(problem, may_pack=self.may_pack)
        done = np.zeros((count, len(problem.units)))
        last_s = 0.0
        for unit in range(len(problem.units)):
            begin_s = np.zeros(count)
            for number in problem.reads[unit]:
                tensor = problem.tensors[number]
                if tensor.producer == STUDIO:
                    there_s = travel.from_studio(tensor.size_bytes) + problem.session_s
                elif self.is_divided:
                    there_s = np.full(count, done[:, tensor.producer].min())
                else:
                    there_s = travel.arrivals(done[:, tensor.producer], tensor.size_bytes)
                begin_s = np.maximum(begin_s, there_s)
            begin_s = np.maximum(begin_s, problem.session_s)
            worked_s = 0.0 if self.is_divided else self.work_s[:, unit]
            done[:, unit] = np.where(self.allowed[:, unit] | self.is_divided, begin_s + worked_s, math.inf)
        for tensor in problem.tensors:
            if tensor.is_output and tensor.producer != STUDIO:
                left_s = done[:, tensor.producer] + travel.to_studio(tensor.size_bytes)
                last_s = max(last_s, float(left_s.min()))
        return last_s * _SOLVER

    def max_energy_j(self, period_s: float) -> float:
        """Return the least maximum of joules per frame.

        A device idles at least as long as it computes, and each that is used at least as long as the period.
        """
        problem = self.problem
        if np.isnan(problem.idle_w).any():
            return 0.0
        if not self.is_possible:
            return math.inf
        active_w = problem.active_w * problem.cpu_per_s
        both_w = problem.idle_w + active_w
        fixed = both_w * problem.session_s if self.is_whole else np.zeros(len(both_w))
        bound = self.least_maximum(both_w[:, None] * self.work_s, fixed)
        bound = max(bound, float(problem.idle_w.min()) * period_s)
        idle_j = problem.idle_w * period_s + (active_w * problem.session_s if self.is_whole else 0.0)
        # One for which idling alone is more may be left out; for the others this holds used or not.
        if (idle_j <= bound).any():
            work_j = np.where((idle_j <= bound)[:, None], active_w[:, None] * self.work_s, 0.0)
            bound = max(bound, self.least_maximum(work_j, np.where(idle_j <= bound, idle_j, 0.0), is_counted=False))
        return bound

    def total_energy_j(self, period_s: float) -> float:
        """Return the least sum of joules: each unit where it takes least, each device idling while it computes."""
        problem = self.problem
        if np.isnan(problem.idle_w).any():
            return 0.0
        if not self.is_possible:
            return math.inf
        both_w = problem.idle_w + problem.active_w * problem.cpu_per_s
        work_j = np.where(self.allowed, both_w[:, None] * self.work_s, math.inf).min(axis=0).sum()
        session_j = float((both_w * problem.session_s).min()) if self.is_whole else 0.0
        return max(float(work_j) + session_j, float(problem.idle_w.min()) * period_s) * _SOLVER

    def max_memory_bytes(self) -> float:
        """Return the least maximum of bytes: the weights in equal parts, or the largest unit."""
        problem = self.problem
        if not self.is_possible:
            return math.inf
        weights = int(problem.weight_bytes.sum()) + sum(weight.size_bytes for weight in problem.detail.shared)
        least = AGENT_BYTES + ARENA_BYTES + math.ceil(weights / self.most)
        if self.is_divided:
            return float(least)
        return float(max(least, self.alone_bytes.max()))

    def _alone_bytes(self, unit: int) -> int:
        """Return the least memory of a device that holds a unit: a larger stage never takes less."""
        return memory_bound([stage_need(self.problem, [unit])], 0, 0).bound_bytes

    def _holds(self) -> NDArray[np.bool_]:
        """Return where a unit fits, (D, U)."""
        problem = self.problem
        least = np.full(len(problem.units), AGENT_BYTES + ARENA_BYTES) if self.is_divided else self.alone_bytes
        return np.asarray(problem.memory_bytes[:, None] >= least[None, :])

    def _least_carry_cpu_s(self) -> Floats:
        """Return the processor seconds that a device spends on carrying at least: one message in, and one out."""
        problem = self.problem
        if not all(problem.reads):
            return np.zeros(len(problem.devices))
        sizes = [tensor.size_bytes for tensor in problem.tensors if tensor.consumers]
        left = [tensor.size_bytes for tensor in problem.tensors if tensor.producer != STUDIO]
        least = 0 if self.may_pack else min(sizes, default=0) + min(left, default=0)
        return np.asarray(2 * problem.message_s[:-1] + problem.byte_s[:-1] * least)

    def _studio_s(self) -> float:
        """Return how long the studio's links and interface are busy at least."""
        problem = self.problem
        into, out = problem.link_bytes_per_s[STUDIO, :-1], problem.link_bytes_per_s[:-1, STUDIO]
        sent = [t.size_bytes for t in problem.tensors if t.producer == STUDIO and t.consumers]
        read = [t.size_bytes for t in problem.tensors if t.producer != STUDIO and t.is_output]
        if self.may_pack:
            return 0.0
        interface = float(problem.interface_bytes_per_s[STUDIO])
        bound = max(sum(sent), sum(read)) / interface
        for sizes, speeds in ((sent, into), (read, out)):
            # Whole, each tensor takes one link at least; divided, all links at once.
            bound = max(bound, max(sizes, default=0) / float(speeds.max() if self.is_whole else speeds.sum()))
        return bound * _SOLVER

    def least_maximum(self, work: Floats, fixed: Floats, *, is_counted: bool = True) -> float:
        """Return a bound of the least maximum over devices of their work, and of `fixed` where they have any.

        `is_counted`: that all of at most `most` devices together have no more than so many times the maximum.
        """
        if work.size > MOST_VARIABLES:
            return ascend(work, fixed, self.allowed, self.most if is_counted else len(work))
        first = self._solve(work, np.zeros(len(fixed)), is_counted)
        if first == math.inf or not fixed.any():
            return first
        # What a device has anyway counts only where the maximum is above it: else the device may not be used.
        return max(first, self._solve(work, np.where(fixed <= first, fixed, 0.0), is_counted))

    def _solve(self, work: Floats, fixed: Floats, is_counted: bool) -> float:
        problem = self.problem
        scale = float(work.max()) or 1.0
        solver = pywraplp.Solver.CreateSolver("GLOP")
        assert solver is not None, "OR-Tools comes with GLOP"
        most = solver.NumVar(0.0, solver.infinity(), "most")
        covers = [solver.RowConstraint(1.0, 1.0, "") for _ in problem.units]
        together = solver.RowConstraint(0.0, solver.infinity(), "")
        together.SetCoefficient(most, float(self.most))
        for device in range(len(problem.devices)):
            busy = solver.RowConstraint(float(fixed[device]) / scale, solver.infinity(), "")
            busy.SetCoefficient(most, 1.0)
            room = max(int(problem.memory_bytes[device]) - AGENT_BYTES - ARENA_BYTES, 0)
            holds = solver.RowConstraint(-solver.infinity(), float(min(room, 2**52)) / 2**20, "")
            for unit in np.flatnonzero(self.allowed[device]):
                share = solver.NumVar(0.0, 1.0, "")
                covers[unit].SetCoefficient(share, 1.0)
                busy.SetCoefficient(share, -float(work[device, unit]) / scale)
                holds.SetCoefficient(share, float(problem.weight_bytes[unit]) / 2**20)
                if is_counted:
                    together.SetCoefficient(share, -float(work[device, unit]) / scale)
        solver.Minimize(most)
        status = solver.Solve()
        if status == pywraplp.Solver.INFEASIBLE:
            return math.inf
        return float(most.solution_value()) * scale * _SOLVER if status == pywraplp.Solver.OPTIMAL else 0.0


class _Travel:
    """The least seconds of a tensor from one peer to another, changes of the runtime's layout apart."""

    def __init__(self, problem: Problem, *, may_pack: bool) -> None:
        self._fixed = problem.message_s[:, None] + problem.message_s[None, :] + problem.link_latency_s
        byte_s = problem.way_byte_s[:, None] + problem.way_byte_s[None, :] + 1 / problem.link_bytes_per_s
        self._byte_s = np.zeros_like(byte_s) if may_pack else byte_s
        self._session_s = problem.session_s

    def arrivals(self, done_s: Floats, size_bytes: int) -> Floats:
        """Return when a tensor can be there on each device: where it was made at once, else in another stage."""
        there_s = done_s[:, None] + self._fixed[:-1, :-1] + self._byte_s[:-1, :-1] * size_bytes
        there_s += self._session_s[None, :]
        np.fill_diagonal(there_s, done_s)
        return np.asarray(there_s.min(axis=0))

    def from_studio(self, size_bytes: int) -> Floats:
        """Return the seconds from the studio to each device."""
        return np.asarray(self._fixed[STUDIO, :-1] + self._byte_s[STUDIO, :-1] * size_bytes)

    def to_studio(self, size_bytes: int) -> Floats:
        """Return the seconds from each device to the studio."""
        return np.asarray(self._fixed[:-1, STUDIO] + self._byte_s[:-1, STUDIO] * size_bytes)


def ascend(work: Floats, fixed: Floats, allowed: NDArray[np.bool_], most: int) -> float:
    """Return a bound without a linear program: with any prices of devices' time, units cost at least their cheapest.

    With prices that add up to 1 over the dearest `most` devices, the maximum is at least the sum of what units cost
    where they cost least. Better prices are found by raising those of devices that get more than others.
    """
    cost = np.where(allowed, work, math.inf)
    usable = allowed.any(axis=1)
    total = np.where(allowed, work, 0.0).sum(axis=1)
    price = np.where(usable & (total > 0), 1 / np.maximum(total, 1e-30), 0.0)
    # A device that does anything in no time takes everything.
    price = np.where(usable, np.maximum(price, 1e-12), 0.0)
    price /= price.sum()
    best = 0.0
    for step in range(_ASCENTS):
        priced = np.where(allowed, price[:, None] * np.where(allowed, cost, 0.0), math.inf)
        cheapest = priced.argmin(axis=0)
        value = float(priced.min(axis=0).sum())
        best = max(best, value / float(np.sort(price)[-most:].sum()))
        if most == len(price):
            # The same with what each has anyway, which holds where the maximum is above that.
            best = max(best, value + float((price * np.where(fixed <= best, fixed, 0.0)).sum()))
        load = np.bincount(cheapest, weights=work[cheapest, np.arange(work.shape[1])], minlength=len(price))
        price = price * np.exp(2.0 / (step + 10) * np.clip(load / max(value, 1e-30) - 1, -1, 1))
        price /= price.sum()
    return best * _SOLVER
