"""All contiguous runs of layers, where they are few enough to be reckoned one and all: their front falls out exactly.

All are reckoned at once, period and energy as they are, memory at least. Then they are judged one by one, those of the
shortest period first, but for what a judged one is nowhere worse than.
"""

import itertools
import math
from collections.abc import Callable, Iterator

import numpy as np

from partition_studio.planner.search.front.zones import Point, dominates
from partition_studio.planner.search.general.batch_stages import Small
from partition_studio.planner.search.general.score import Figures, Scorer
from partition_studio.planner.search.problem.evaluate import evaluate, keeps
from partition_studio.planner.search.problem.problem import Costs, Floats, Integers, Problem

#: Reckoned sums differ from exact ones by less.
_LESS = 1e-9

#: Units times chains that are reckoned at once.
_MOST_CELLS = 60_000


def count_of(problem: Problem) -> int:
    """Return how many assignments there are in which each device has at most one run of units."""
    units, devices = len(problem.units), len(problem.devices)
    most = min(units, devices, problem.limits.max_devices or devices)
    return sum(math.perm(devices, runs) * math.comb(units - 1, runs - 1) for runs in range(1, most + 1))


def front_of_chains(
    problem: Problem, point_of: Callable[[Costs], Point], stop: Callable[[], bool]
) -> list[tuple[Point, Integers, Costs]] | None:
    """Return those that no other chain dominates, one for each point, by `point_of`; None where it was stopped.

    The point has the period, the largest energy where there are three figures, and the largest memory.
    """
    scorer = Scorer(problem, with_all=True)
    chosen: list[Small] = []
    bounds: list[Floats] = []
    for part in _parts(problem):
        if stop():
            return None
        figures = scorer.figures(part, 8.0, with_least=True)
        may = _may_keep(problem, part, figures)
        chosen.append(part[:, may])
        bounds.append(_least_points(figures)[may])
    least, columns = np.concatenate(bounds), np.concatenate(chosen, axis=1)
    found: list[tuple[Point, Integers, Costs]] = []
    left = np.lexsort(least.T[::-1])
    while len(left):
        if stop():
            return None
        assignment = columns[:, left[0]].astype(np.int64)
        left = left[1:]
        costs = evaluate(problem, assignment)
        if keeps(problem, costs, assignment):
            point = point_of(costs)
            found.append((point, assignment, costs))
            left = left[(least[left] < np.array(point)).any(axis=1)]
    points = [point for point, _, _ in found]
    first = {point: number for number, point in reversed(list(enumerate(points)))}
    return [each for n, each in enumerate(found) if first[each[0]] == n and not _is_beaten(each[0], points)]


def _is_beaten(point: Point, points: list[Point]) -> bool:
    return any(dominates(other, point) for other in points)


def _least_points(figures: Figures) -> Floats:
    """Return (chains, figures): what each figure is at least."""
    assert figures.least_bytes is not None
    each = [figures.period_s * (1 - _LESS)]
    if figures.energy_j is not None:
        each.append(figures.energy_j.max(axis=0) * (1 - _LESS))
    return np.stack([*each, figures.least_bytes.max(axis=0)], axis=1)


def _may_keep(problem: Problem, part: Small, figures: Figures) -> "np.ndarray[tuple[int, ...], np.dtype[np.bool_]]":
    """Return which of some chains may keep all limits: none that does is left out."""
    limits, more = problem.limits, 1 + 1e-6
    assert figures.least_bytes is not None
    may = np.isfinite(figures.period_s) & problem.allowed[part, np.arange(len(part))[:, None]].all(axis=0)
    may &= (figures.least_bytes <= problem.memory_bytes[:, None]).all(axis=0)
    if limits.min_throughput_per_s is not None:
        may &= figures.period_s * limits.min_throughput_per_s <= more
    if limits.max_latency_s is not None and figures.latency_s is not None:
        may &= figures.latency_s <= limits.max_latency_s * more
    if figures.energy_j is not None:
        may &= figures.energy_j.max(axis=0) <= (limits.max_energy_j or math.inf) * more
        may &= figures.energy_j.sum(axis=0) <= (limits.max_total_energy_j or math.inf) * more
    return np.asarray(may)


def _parts(problem: Problem) -> Iterator[Small]:
    """Yield all chains, some at once, in columns."""
    units, devices = len(problem.units), len(problem.devices)
    most = min(units, devices, problem.limits.max_devices or devices)
    size = max(1, _MOST_CELLS // units)
    for runs in range(1, most + 1):
        combinations = list(itertools.combinations(range(1, units), runs - 1))
        cuts = np.array(combinations, np.int64).reshape(len(combinations), runs - 1)
        for begin in range(0, len(cuts), size):
            # How many cuts lie at or before a unit is its run.
            run = (cuts[begin : begin + size, :, None] <= np.arange(units)).sum(axis=1).T
            waiting: list[Small] = []
            for order in itertools.permutations(range(devices), runs):
                waiting.append(np.array(order, np.int16)[run])
                if len(waiting) * run.shape[1] >= size:
                    yield np.concatenate(waiting, axis=1)
                    waiting = []
            if waiting:
                yield np.concatenate(waiting, axis=1)
