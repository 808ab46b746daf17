"""The front over throughput, largest energy and largest memory of a device: plans among which none is better.

First contiguous runs of layers. Where they are few, all are reckoned (`chains`). Else by epsilon constraints: within a
zone where a point may still lie (see `zones`), the plan of the shortest period is searched under the zone's limits on
energy and memory; then, at that period, the one of least energy, and at both, of least memory. What comes out is
dominated by no contiguous runs, and splits the zones; a zone in which there is no plan is closed. When none is left,
their front is complete. Then, unless only such plans are wanted, placements of any form are looked for (`anneal`).
"""

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

from partition_studio.planner.search.answer import Answer, notes_on
from partition_studio.planner.search.bounds import lower_bounds
from partition_studio.planner.search.chain.chain import Effort, search_chain
from partition_studio.planner.search.front.anneal import Annealing
from partition_studio.planner.search.front.chains import count_of, front_of_chains
from partition_studio.planner.search.front.zones import Point, Zones, dominates, is_below
from partition_studio.planner.search.problem.evaluate import evaluate
from partition_studio.planner.search.problem.pose import pose
from partition_studio.planner.search.problem.problem import Costs, Integers, Problem, placement_of
from partition_studio.planner.search.question import Objective, Question
from partition_studio.planner.search.search import NothingFoundError, no_plan
from partition_studio.planner.search.strategies.judge import Judge, Judged
from partition_studio.sizes import size_text

Stop = Callable[[], bool]

CONTIGUOUS, ANY = "one run of layers per device", "any placement"

_RUNS, _ANNEALED = "contiguous runs of layers", "improving placements step by step"

#: Placements that are judged, for each unit and device.
_PER_PLACE = 400

#: Of the points that are wanted, contiguous runs have this part at most where placements of any form follow.
_RUNS_PART = 0.5

#: What the search of contiguous runs may take where it is only a beginning.
_A_BEGINNING = Effort(sets=300_000_000, coarse=30_000_000, fine=100_000_000)

#: Below a figure, in a zone: by at least this share, which is more than limits are rounded by.
_LESS = 1e-8

Direction = Literal["throughput", "max_energy", "max_memory"]


@dataclass(frozen=True, slots=True)
class FrontEffort:
    """How much is tried.

    Contiguous runs are all gone through where there are at most `chains` of them (some 15,000 take a second);
    `placements` of any form are judged at most.
    """

    chains: int = 30_000
    placements: int = 240_000


@dataclass(frozen=True, slots=True)
class _Solved:
    """The best assignment under some limits; `is_exact`: no contiguous runs are better."""

    assignment: Integers
    costs: Costs
    is_exact: bool


def pareto(
    question: Question,
    *,
    stop: Stop,
    seconds: float,
    most: int,
    on_point: Callable[[Answer], None],
    effort: FrontEffort = FrontEffort(),
) -> tuple[Answer, ...]:
    """Return the front, by falling throughput: at most `most` points, of what was found until `stop`.

    `on_point` is told each point when it is found, if it is better than each earlier one somewhere: first those that
    are best in one direction, then those where most room is left between points; later ones may be better than earlier
    ones everywhere, which are no more in the front then. `seconds` is not needed: this searches no longer than it
    takes, or until `stop`. Where the power of a device is not known, the front is over throughput and memory. Raises as
    `search` does.
    """
    del seconds
    front = _Front(question, stop, effort)
    points: list[tuple[Point, Answer]] = []
    for answer in front.answers(most):
        point = front.point_of(answer)
        if not any(other == point or dominates(other, point) for other, _ in points):
            points = [(other, earlier) for other, earlier in points if not dominates(point, other)]
            points.append((point, answer))
            on_point(answer)
    if not points:
        if stop():
            raise NothingFoundError("The search was stopped before it found a plan that keeps all limits.")
        raise no_plan(front.problem, stop, 10.0)
    return tuple(sorted((answer for _, answer in points), key=lambda answer: -answer.value))


class _Front:
    def __init__(self, question: Question, stop: Stop, effort: FrontEffort) -> None:
        question = replace(question, objective="throughput")
        self.problem = pose(question)
        self._judge, self._stop, self._limits = Judge(question), stop, question.limits
        self._directions: tuple[Direction, ...] = ("throughput", "max_memory")
        self._unknown = [n for n, w in zip(self.problem.devices, self.problem.idle_w, strict=True) if math.isnan(w)]
        if not self._unknown:
            self._directions = ("throughput", "max_energy", "max_memory")
        self._zones = Zones(len(self._directions))
        self._found: list[tuple[Point, Integers, Costs]] = []
        #: All points of contiguous runs, where they were gone through.
        self._listed: list[tuple[Point, Integers, Costs]] | None = None
        self._effort = effort
        self._is_contiguous = question.limits.contiguous
        period_s = lower_bounds(self.problem).period_s
        # Where nothing is known, a point stands for itself: no figure is infinite.
        self._most_per_s = 1 / period_s if 0 < period_s < math.inf else 0.0

    def answers(self, most: int) -> Iterator[Answer]:
        """Yield the points of the front as they are found; at most `most` of them are such that none beats them."""
        if count_of(self.problem) <= self._effort.chains and not self._stop():
            self._listed = front_of_chains(self.problem, self._point, self._stop)
        if self._is_contiguous:
            yield from self._runs(most)
            return
        runs = max(len(self._directions), int(most * _RUNS_PART))
        if self._listed is not None:
            yield from self._runs(min(runs, most))
        else:
            yield from self._beginning(most)
        if self._stop():
            return
        annealing = Annealing(self.problem, self._point, self._stop)
        effort = min(self._effort.placements, _PER_PLACE * self.problem.allowed.size)
        for _, assignment, costs in annealing.run(self._found, self._listed or (), most, effort):
            yield from self._answers_of(_Solved(assignment, costs, is_exact=False), _ANNEALED)

    def point_of(self, answer: Answer) -> Point:
        """Return the figures of an answer."""
        prediction = answer.prediction
        held = float(prediction.max_memory_bytes)
        if prediction.max_energy_j is None or self._unknown:
            return prediction.period_s, held
        return prediction.period_s, prediction.max_energy_j, held

    def _beginning(self, most: int) -> Iterator[Answer]:
        """Yield good contiguous runs in each direction that can be searched soon."""
        for direction in ("throughput", "max_memory"):
            if len(self._found) < most and not self._stop():
                within = self._within(direction, {})
                found = search_chain(within, self._stop, lambda found: None, _A_BEGINNING)
                if found.assignment is not None:
                    costs = evaluate(self.problem, found.assignment)
                    yield from self._take(_Solved(found.assignment, costs, is_exact=False))

    def _runs(self, most: int) -> Iterator[Answer]:
        """Yield the front of contiguous runs."""
        # The least energy is the hardest to prove: it comes last.
        for direction in sorted(self._directions, key=["throughput", "max_memory", "max_energy"].index):
            if len(self._zones.points) < most and (found := self._lexicographic(self._open(), direction)) is not None:
                yield from self._take(found)
        while self._zones.corners and len(self._zones.points) < most and not self._stop():
            corner = self._zones.largest()
            found = self._lexicographic(corner, "throughput")
            if found is None or not is_below(self._point(found.costs), corner):
                if not self._stop():
                    self._zones.close(corner)
                continue
            yield from self._take(found)

    def _open(self) -> Point:
        return (math.inf,) * len(self._directions)

    def _take(self, found: _Solved) -> Iterator[Answer]:
        point = self._point(found.costs)
        if point in self._zones.points:
            return
        self._zones.split(point)
        self._found.append((point, found.assignment, found.costs))
        yield from self._answers_of(found)

    def _answers_of(self, found: _Solved, method: str = _RUNS) -> Iterator[Answer]:
        judged = self._judge.judge(self._judge.plan_of(placement_of(self.problem, found.assignment)))
        if judged is not None and judged.keeps_limits:
            yield self._answer(judged, method, is_exact=found.is_exact)

    def _point(self, costs: Costs) -> Point:
        return tuple(_figure(costs, direction) for direction in self._directions)

    def _lexicographic(self, corner: Point, first: Direction) -> _Solved | None:
        """Return what is best in one direction below a corner, then in the others; None where there is nothing."""
        if self._listed is not None:
            return self._first_listed(corner, first)
        below = {d: limit * (1 - _LESS) for d, limit in zip(self._directions, corner, strict=True) if limit < math.inf}
        found = self._solve(first, below, None)
        for direction in self._directions:
            if found is not None and direction != first:
                # Only what is nowhere worse is of interest: that makes the search easy.
                found = self._solve(
                    direction, dict(zip(self._directions, self._point(found.costs), strict=True)), found
                )
        return found

    def _first_listed(self, corner: Point, first: Direction) -> _Solved | None:
        """Return the same, of all points of contiguous runs."""
        assert self._listed is not None
        order = sorted(range(len(self._directions)), key=lambda number: self._directions[number] != first)
        below = [each for each in self._listed if is_below(each[0], corner)]
        best = min(below, key=lambda each: [each[0][number] for number in order], default=None)
        return None if best is None else _Solved(best[1], best[2], is_exact=True)

    def _solve(self, direction: Direction, at_most: dict[Direction, float], start: _Solved | None) -> _Solved | None:
        """Return the best assignment in a direction within limits; `start` keeps them."""
        if self._stop():
            return start and replace(start, is_exact=False)
        problem = self._within(direction, at_most)
        found = search_chain(problem, self._stop, lambda found: None)
        if found.assignment is None:
            return start and replace(start, is_exact=start.is_exact and found.is_exact)
        costs = evaluate(self.problem, found.assignment)
        is_exact = found.is_exact and (start is None or start.is_exact)
        if start is not None and _figure(start.costs, direction) <= _figure(costs, direction):
            return replace(start, is_exact=is_exact)
        return _Solved(found.assignment, costs, is_exact)

    def _within(self, direction: Direction, at_most: dict[Direction, float]) -> Problem:
        limits = self._limits
        if (period_s := at_most.get("throughput")) is not None:
            least = max(1 / period_s, limits.min_throughput_per_s or 0.0)
            limits = replace(limits, min_throughput_per_s=least)
        if (energy_j := at_most.get("max_energy")) is not None:
            limits = replace(limits, max_energy_j=min(energy_j, limits.max_energy_j or math.inf))
        memory_bytes = self.problem.memory_bytes
        if (held := at_most.get("max_memory")) is not None:
            memory_bytes = np.minimum(memory_bytes, int(held))
        objective: Objective = direction
        return replace(self.problem, objective=objective, limits=limits, memory_bytes=memory_bytes)

    def _answer(self, judged: Judged, method: str, *, is_exact: bool) -> Answer:
        prediction = judged.prediction
        value = prediction.throughput_per_s
        within = f"{size_text(prediction.max_memory_bytes)} per device"
        notes = list(notes_on(prediction))
        if self._unknown:
            names = ", ".join(map(repr, self._unknown[:3])) + (" ..." if len(self._unknown) > 3 else "")
            notes.append(f"Energy is left out: the power of {names} is not known.")
        elif prediction.max_energy_j is not None:
            within = f"{prediction.max_energy_j:.4g} J and {within}"
        is_proved = is_exact and self._is_contiguous
        if not is_proved:
            notes.append(self._not_proved())
        space = CONTIGUOUS if self._is_contiguous else ANY
        bound = value if is_proved else max(value, self._most_per_s)
        return Answer(
            judged.plan, prediction, "throughput", value, bound, f"{space} within {within}", method, tuple(notes)
        )

    def _not_proved(self) -> str:
        if self._is_contiguous:
            return "Not proved: the search was stopped, or there are too many orders of devices to look at."
        if self._listed is not None:
            return "No plan with one run of layers per device is better in everything; another placement may be."
        return "Not proved: other placements may be better in everything."


def _figure(costs: Costs, direction: Direction) -> float:
    match direction:
        case "throughput":
            return costs.period_s
        case "max_energy":
            return max(costs.energy_j)
        case "max_memory":
            return float(max(costs.memory_bytes))
