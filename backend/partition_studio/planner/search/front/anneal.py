"""A front over placements of any form: annealing in all directions at once.

Each placement that is changed has weights of its own for the figures, and goes towards the least of the largest
weighted one (Q. Zhang, H. Li: "MOEA/D: a multiobjective evolutionary algorithm based on decomposition", IEEE
Transactions on Evolutionary Computation 11(6), 2007); what is better for it is gone on with, and what is worse by
little (see `general.improve`). Whatever no other is better than is kept, as it is reckoned; what fills the largest
holes of the front, or pushes it out the most, is judged by `evaluate`, and told.
"""

import itertools
from collections.abc import Callable, Iterator, Sequence

import numpy as np

from partition_studio.planner.search.front.zones import Point, dominates
from partition_studio.planner.search.general.batch_stages import Small
from partition_studio.planner.search.general.moves import Blocks, Moves
from partition_studio.planner.search.general.score import Figures, Scorer
from partition_studio.planner.search.problem.evaluate import evaluate, keeps
from partition_studio.planner.search.problem.problem import Costs, Floats, Integers, Problem

Judged = tuple[Point, Integers, Costs]

#: Steps from one end of the weights of a figure to the other, where there are two or three figures.
_STEPS = {2: 60, 3: 11}

#: Changes of each placement that are looked at.
_EACH = 3

#: Candidates from warm to cold, and how much worse, as a share of the front's range, is gone on with in between.
_ROUND = 30_000
_WARM, _COLD = 0.05, 0.001

#: The power of the norms that stand for maxima over devices.
_POWER = 12.0

#: What counts beside the largest weighted figure: a share of their sum.
_SUM = 0.05

#: Units times candidates of a batch at most.
_MOST_CELLS = 60_000

#: Batches after which each placement is compared with the best one known for its weights, and how many take that.
_BATCHES, _TAKE = 12, 0.3

#: Candidates after which points are told, and how many at once; a point is news where it is better than each other
#: somewhere by that share of the front's range, which is also how near to each other kept ones may be.
_TELL, _AT_ONCE = 8_000, 6
_NEWS, _NEAR = 0.01, 0.003

#: Kept placements at most.
_MOST_KEPT = 600


class Annealing:
    """One search for a front. `point_of` names the figures of costs, period first and memory last."""

    def __init__(self, problem: Problem, point_of: Callable[[Costs], Point], stop: Callable[[], bool]) -> None:
        self._problem, self._point_of, self._stop = problem, point_of, stop
        self._blocks = Blocks.of(problem)
        self._draw = np.random.default_rng(1)
        self._moves = Moves(problem, self._blocks, self._draw)
        self._scorer = Scorer(problem, with_all=True)
        self._figures = 2 if np.isnan(problem.idle_w).any() else 3
        steps = _STEPS[self._figures]
        lattice = [w for w in itertools.product(range(steps + 1), repeat=self._figures) if sum(w) == steps]
        most = max(8, _MOST_CELLS // max(1, len(problem.units)) // _EACH)
        #: (figures, placements); the ends are among them.
        chosen = np.unique(np.linspace(0, len(lattice) - 1, min(len(lattice), most)).round().astype(int))
        self._weights = np.array(lattice, float)[chosen].T / steps + 0.02
        self._kept = np.zeros((self._figures, 0))
        self._placements = np.zeros((self._blocks.allowed.shape[1], 0), np.int16)
        self._told: list[Point] = []
        self._known: list[Point] = []
        self._seen: set[bytes] = set()

    def run(self, told: Sequence[Judged], known: Sequence[Judged], most: int, effort: int) -> Iterator[Judged]:
        """Yield what is better somewhere than all that was told, judging so many candidates, or until stopped.

        `known` may be told, too, and none of them beats what is told in everything. Among all that is told, at most
        `most` are such that none of them beats them.
        """
        if not self._blocks.allowed.any(axis=0).all():
            return
        self._told = [point for point, _, _ in told]
        self._known = [point for point, _, _ in known]
        for _, assignment, _ in [*told, *known]:
            self._keep(self._scorer.figures(assignment[:, None], _POWER), self._blocks.from_units(assignment)[:, None])
        done, batch = 0, self._weights.shape[1] * _EACH
        while done < effort and not self._stop():
            count = max(1, min(_ROUND, effort - done) // batch)
            yield from self._round(count, most)
            done += count * batch
        if not self._stop():
            yield from self._news(most, len(self._placements.T))

    def _round(self, batches: int, most: int) -> Iterator[Judged]:
        here = self._moves.random(self._weights.shape[1])
        told_at = 0
        for number in range(batches):
            if self._stop():
                return
            if number % _BATCHES == 0:
                here, value, hottest = self._meet(here, everywhere=number == 0)
            warmth = _WARM * (_COLD / _WARM) ** (number / batches)
            changed = self._moves.of(here, hottest, _EACH)
            figures = self._scorer.figures(self._blocks.units(changed), _POWER)
            self._keep(figures, changed)
            new, hot = self._value(figures, np.repeat(self._weights, _EACH, axis=1))
            noise = self._draw.gumbel(size=len(new))
            chosen = (new - warmth * noise).reshape(-1, _EACH).argmin(axis=1) + np.arange(len(value)) * _EACH
            goes = new[chosen] <= value + warmth * self._draw.exponential(size=len(value))
            here = np.where(goes, changed[:, chosen], here)
            value, hottest = np.where(goes, new[chosen], value), np.where(goes, hot[chosen], hottest)
            told_at += changed.shape[1]
            if told_at >= _TELL:
                told_at = 0
                yield from self._news(most, _AT_ONCE)

    def _meet(self, here: Small, *, everywhere: bool) -> tuple[Small, Floats, Integers]:
        """Let some placements be replaced by the best ones that are known for their weights."""
        value, hottest = self._value(self._scorer.figures(self._blocks.units(here), _POWER), self._weights)
        if not self._kept.shape[1]:
            return here, value, hottest
        scaled = self._scaled(self._kept)
        best = np.array([self._weighed(scaled, weights[:, None]).argmin() for weights in self._weights.T])
        takes = self._draw.random(len(value)) < (0.7 if everywhere else _TAKE)
        takes &= self._weighed(scaled[:, best], self._weights) < value
        here = np.where(takes, self._placements[:, best], here)
        value, hottest = self._value(self._scorer.figures(self._blocks.units(here), _POWER), self._weights)
        return here, value, hottest

    def _value(self, figures: Figures, weights: Floats) -> tuple[Floats, Integers]:
        """Return what each placement is to make small, and the device that it hangs on most."""
        each, devices = [figures.spread_s], [figures.hottest]
        for by_device in (figures.energy_j, figures.memory_bytes):
            if by_device is not None:
                largest = np.maximum(by_device.max(axis=0), 1e-300)
                each.append(largest * ((by_device / largest) ** _POWER).sum(axis=0) ** (1 / _POWER))
                devices.append(by_device.argmax(axis=0))
        scaled = self._scaled(np.stack(each))
        hottest = np.stack(devices)[(weights * scaled).argmax(axis=0), np.arange(weights.shape[1])]
        return self._weighed(scaled, weights) + self._scorer.over(figures)[0], hottest

    def _weighed(self, scaled: Floats, weights: Floats) -> Floats:
        parts = weights * scaled
        return np.asarray(parts.max(axis=0) + _SUM * parts.sum(axis=0))

    def _range(self) -> tuple[Floats, Floats]:
        """Return the least of each figure, and how far it goes."""
        points = self._kept if self._kept.shape[1] else np.ones((self._figures, 1))
        least, most = points.min(axis=1), points.max(axis=1)
        return least, np.maximum(most - least, 1e-3 * np.maximum(least, 1e-300))

    def _scaled(self, points: Floats) -> Floats:
        least, reach = self._range()
        scaled = (points - least[:, None]) / reach[:, None]
        # What cannot be at all is worse than anything that can.
        return np.where(np.isfinite(scaled), scaled, 1e6)

    def _keep(self, figures: Figures, placements: Integers | Small) -> None:
        """Keep what seems to keep all limits, and is better somewhere than everything that is kept."""
        each = [figures.period_s]
        if figures.energy_j is not None:
            each.append(figures.energy_j.max(axis=0))
        assert figures.memory_bytes is not None
        points = np.stack([*each, figures.memory_bytes.max(axis=0)])
        able = ~self._scorer.over(figures)[1] & np.isfinite(points).all(axis=0)
        near = _NEAR * self._range()[1][:, None]
        able &= (points[:, None, :] < self._kept[:, :, None]).any(axis=0).all(axis=0)
        for column in np.flatnonzero(able):
            point = points[:, column : column + 1]
            is_new = (point < self._kept).any(axis=0).all()
            if not is_new or not ((point < self._kept - near).any(axis=0).all() or _beats_some(point, self._kept)):
                continue
            left = (self._kept < point).any(axis=0)
            self._kept = np.concatenate([self._kept[:, left], point], axis=1)
            new = placements[:, column : column + 1].astype(np.int16)
            self._placements = np.concatenate([self._placements[:, left], new], axis=1)
        if self._kept.shape[1] > _MOST_KEPT:
            chosen = np.sort(self._draw.permutation(self._kept.shape[1])[: _MOST_KEPT // 2])
            ends = np.unique([*self._kept.argmin(axis=1), *chosen])
            self._kept, self._placements = self._kept[:, ends], self._placements[:, ends]

    def _news(self, most: int, count: int) -> Iterator[Judged]:
        """Judge and yield kept ones that are better than each told one somewhere: those that are so the most first."""
        tries = 0
        while tries < 2 * count and count > 0:
            gain = self._gain()
            if not len(gain) or gain.max() < _NEWS:
                return
            column, tries = int(gain.argmax()), tries + 1
            assignment = np.asarray(self._blocks.units(self._placements[:, column]), np.int64)
            self._seen.add(self._placements[:, column].tobytes())
            costs = evaluate(self._problem, assignment)
            point = self._point_of(costs)
            if not keeps(self._problem, costs, assignment) or not self._fits(point, most):
                continue
            self._told.append(point)
            count -= 1
            yield point, assignment, costs

    def _gain(self) -> Floats:
        """Return how much better each kept one is than the told one that comes nearest to it, in its best figure."""
        seen = [placement.tobytes() in self._seen for placement in self._placements.T]
        if not self._told or all(seen):
            return np.where(seen, -np.inf, np.inf)
        told = np.array(self._told).T
        reach = self._range()[1]
        better = ((told[:, :, None] - self._kept[:, None, :]) / reach[:, None, None]).max(axis=0)
        return np.where(seen, -np.inf, better.min(axis=0))

    def _fits(self, point: Point, most: int) -> bool:
        """Return whether a point is better than each told one somewhere, and leaves no more than `most` unbeaten."""
        told = np.array(self._told).reshape(-1, self._figures)
        is_beaten = any(dominates(other, point) for other in self._known)
        if is_beaten or not (np.array(point) < told).any(axis=1).all():
            return False
        unbeaten = [p for p in self._told if not any(dominates(other, p) for other in [*self._told, point])]
        return len(unbeaten) < most


def _beats_some(point: Floats, kept: Floats) -> bool:
    """Return whether a point is nowhere worse than some kept one, and not the same."""
    return bool(((point <= kept).all(axis=0) & (point < kept).any(axis=0)).any())
