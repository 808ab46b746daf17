"""Our Pareto front beside NSGA-II's, on the same costs.

AutoDiCE's exploration (X. Guo, A. D. Pimentel, T. Stefanov: "Automated Exploration and Implementation of Distributed
CNN Inference at the Edge", IEEE Internet of Things Journal 10(7), 2023) maps layers to devices by NSGA-II with three
objectives: throughput, the largest energy of a device, the largest memory of a device. Here it is pymoo's, a population
of 100; its genes are our units of layers, of which there are fewer, and its costs are those of our own searches.

A front's hypervolume is what it dominates of the box between the best and the worst value of each objective among all
points that anyone found, the worst with a tenth on top; 1 would be a point that is best in everything.
"""

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from bench.planner.bench import Bench, Cell, Table, within
from bench.planner.nsga2 import explore
from bench.planner.volume import Point, hypervolume, undominated
from bench.planner.worlds import question_of
from partition_studio.planner.search.answer import Answer
from partition_studio.planner.search.front.pareto import pareto
from partition_studio.planner.search.problem.evaluate import evaluate
from partition_studio.planner.search.problem.pose import pose
from partition_studio.planner.search.problem.problem import Costs, Problem
from partition_studio.planner.search.question import Question

NAME = "nsga2"

_DEVICES = (2, 4, 8)

#: Points of our front at most, and how many times as long NSGA-II may go on after we have ended.
_POINTS, _LONGER = 30, 5

_MARGIN = 0.1


@dataclass
class History:
    """What was found, and when: seconds since the beginning, with the points of that moment."""

    found: list[tuple[float, list[Point]]] = field(default_factory=list)

    @property
    def points(self) -> list[Point]:
        """All of them."""
        return [point for _, points in self.found for point in points]

    def volumes(self, best: NDArray[np.float64], worst: NDArray[np.float64]) -> list[tuple[float, float]]:
        """Return the hypervolume of all that was found until each moment."""
        front: list[Point] = []
        volumes = []
        for at_s, points in self.found:
            front = undominated([*front, *points])
            volumes.append((at_s, hypervolume((np.array(front) - best) / (worst - best))))
        return volumes


def measure(bench: Bench) -> Iterator[Table]:
    """Pareto fronts of throughput, largest energy, largest memory: time to the same hypervolume, and volume by then."""
    for name in bench.networks:
        rows = [_row(bench, name, devices) for devices in bench.devices if devices in _DEVICES]
        if rows:
            yield Table(
                NAME,
                f"{name}: hypervolume; ours took at most {bench.seconds:g} s, NSGA-II {_LONGER} times what ours took",
                rows,
                ("NSGA-II to ours s: when it had the hypervolume that ours ended with; -: never",),
            )


def _row(bench: Bench, name: str, devices: int) -> dict[str, Cell]:
    question = question_of(bench.network(name), devices)
    problem = pose(question)
    ours, took_s = _ours(question, problem, bench.seconds)
    theirs = History()
    begin_s = time.monotonic()
    for costs in explore(problem, within(_LONGER * took_s)):
        theirs.found.append((time.monotonic() - begin_s, [_point(each) for each in costs]))
    found = np.array([*ours.points, *theirs.points])
    best, worst = found.min(axis=0), found.max(axis=0)
    worst = worst + _MARGIN * np.maximum(worst - best, 1e-12)
    our_volumes, their_volumes = ours.volumes(best, worst), theirs.volumes(best, worst)
    return {
        "devices": devices,
        "units": len(problem.units),
        "our points": len(undominated(ours.points)),
        "ours s": took_s,
        "ours": _last(our_volumes, took_s),
        "NSGA-II then": _last(their_volumes, took_s),
        "NSGA-II at end": _last(their_volumes, np.inf),
        "NSGA-II s": theirs.found[-1][0] if theirs.found else None,
        "NSGA-II to ours s": _reached(their_volumes, _last(our_volumes, np.inf)),
        "ours to NSGA-II's s": _reached(our_volumes, _last(their_volumes, np.inf)),
    }


def _ours(question: Question, problem: Problem, seconds: float) -> tuple[History, float]:
    history = History()
    begin_s = time.monotonic()

    def take(answer: Answer) -> None:
        at_s = time.monotonic() - begin_s
        number = {device: place for place, device in enumerate(problem.devices)}
        assignment = np.array([number[answer.plan.placement[unit[0]]] for unit in problem.units], np.int64)
        history.found.append((at_s, [_point(evaluate(problem, assignment))]))

    pareto(question, stop=within(seconds), seconds=seconds, most=_POINTS, on_point=take)
    return history, time.monotonic() - begin_s


def _point(costs: Costs) -> Point:
    """Return what is minimised of a plan: seconds between frames, largest energy, largest memory."""
    return costs.period_s, max(costs.energy_j), float(max(costs.memory_bytes))


def _last(volumes: Sequence[tuple[float, float]], until_s: float) -> float:
    return max((volume for at_s, volume in volumes if at_s <= until_s), default=0.0)


def _reached(volumes: Sequence[tuple[float, float]], wanted: float) -> float | None:
    return next((at_s for at_s, volume in volumes if volume >= wanted * (1 - 1e-9)), None)
