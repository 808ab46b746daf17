"""Better placements of any form, from good ones: simulated annealing over many placements at once.

Some placements are changed side by side; of each, several changes are reckoned (`batch_costs`), one that looks good is
chosen, and it is gone on with if it is better, or worse by little, less and less so (Kirkpatrick, Gelatt, Vecchi:
"Optimization by simulated annealing", Science 220, 1983). Then it begins anew around the best. What looks better than
the best is judged by `evaluate`: that alone decides.
"""

import math
from collections.abc import Callable

import numpy as np

from partition_studio.planner.search.found import Found
from partition_studio.planner.search.general.batch_stages import Small
from partition_studio.planner.search.general.moves import Blocks, Moves
from partition_studio.planner.search.general.score import Score, Scorer
from partition_studio.planner.search.problem.evaluate import evaluate, keeps
from partition_studio.planner.search.problem.problem import Costs, Integers, Problem

#: Placements that are changed side by side, and changes of each that are looked at.
CHAINS, EACH = 160, 4

#: Candidates in a round, from warm to cold; and how much worse, as a share of the cost, is gone on with in between.
ROUND = 60_000
WARM, COLD = 0.06, 0.0005

#: The power of the norm that stands for a maximum: at first everything that is busy counts, in the end the busiest.
_FIRST_POWER, _LAST_POWER = 6.0, 40.0

#: Units times candidates that are judged where nothing else is said, and candidates at least.
_CELLS, _LEAST_EFFORT = 27_000_000, 20_000

#: Candidates for each place that a unit may have: small questions need no more.
_OF_PLACE = 1_000

#: Units times candidates of a batch at most: what a moment's work is.
_MOST_CELLS = 100_000

#: Batches between two looks by `evaluate`, and how many of a batch that look best may have been judged already.
_BATCHES, _TRIES = 10, 8

#: A placement counts as better where it is so by more than this part.
BETTER = 1e-9


def improve_placement(
    problem: Problem,
    start: Integers | None,
    stop: Callable[[], bool],
    on_better: Callable[[Found], None],
    effort: int | None = None,
) -> Found:
    """Return the best placement found by judging `effort` candidates, or until `stop`; none worse than `start`.

    Without an effort it takes some seconds at most: fewer candidates of larger networks. `start` may break limits, or
    be None: then any placement is begun with. `on_better` gets each better one that keeps all limits. Nothing is
    proved: the bound is 0. The same question gets the same answer where nothing stops it.
    """
    if effort is None:
        effort = max(_LEAST_EFFORT, min(_CELLS // max(1, len(problem.units)), _OF_PLACE * problem.allowed.size))
    return _Search(problem, stop, on_better).run(start, effort)


class _Search:
    def __init__(self, problem: Problem, stop: Callable[[], bool], on_better: Callable[[Found], None]) -> None:
        self._problem, self._stop, self._on_better = problem, stop, on_better
        self._blocks = Blocks.of(problem)
        self._draw = np.random.default_rng(1)
        self._moves = Moves(problem, self._blocks, self._draw)
        self._scorer = Scorer(problem)
        self._best: Integers | None = None
        self._costs: Costs | None = None
        self._value = math.inf
        self._waiting: tuple[float, Small] | None = None
        self._judged: set[bytes] = set()
        fits = _MOST_CELLS // (EACH * max(1, len(problem.units)))
        self._chains = max(4, min(CHAINS, fits))

    def run(self, start: Integers | None, effort: int) -> Found:
        if start is not None:
            self._judge(np.asarray(start, np.int64))
        if not self._blocks.allowed.any(axis=0).all():
            return self._found()
        done, number = 0, 0
        batch = self._chains * EACH
        while done < effort and not self._stop():
            count = max(1, min(ROUND, effort - done) // batch)
            self._round(self._begin(start, number), count)
            done, number = done + count * batch, number + 1
        return self._found()

    def _judge(self, assignment: Integers) -> None:
        """Take an assignment for the best one where it keeps all limits and is better."""
        if (key := assignment.tobytes()) in self._judged:
            return
        self._judged.add(key)
        costs = evaluate(self._problem, assignment)
        value = self._scorer.cost(costs)
        if value < self._value * (1 - BETTER) and keeps(self._problem, costs, assignment):
            self._best, self._costs, self._value = assignment, costs, value
            self._on_better(self._found())

    def _found(self) -> Found:
        return Found(self._best, self._costs, 0.0, is_exact=False)

    def _begin(self, start: Integers | None, number: int) -> Small:
        """Return the placements that a round begins with: the best, and others."""
        first = self._best if self._best is not None else start
        found = self._moves.random(self._chains)
        if first is not None:
            kept = self._chains if number % 3 == 2 else self._chains // 2
            found[:, :kept] = self._blocks.from_units(first)[:, None]
        return found

    def _round(self, here: Small, batches: int) -> None:
        """Change placements for so many batches, cooling down."""
        for number in range(batches):
            if self._stop():
                break
            share = number / batches
            power = _FIRST_POWER * (_LAST_POWER / _FIRST_POWER) ** share
            warmth = WARM * (COLD / WARM) ** share
            if number % _BATCHES == 0:
                score = self._scorer.of(self._blocks.units(here), power)
                self._look()
            changed = self._moves.of(here, score.hottest, EACH)
            here, score = self._step(here, score, changed, power, warmth)
        self._look()

    def _step(self, here: Small, score: Score, changed: Small, power: float, warmth: float) -> tuple[Small, Score]:
        """Choose a change of each placement, and go on with it or not."""
        chains = here.shape[1]
        new = self._scorer.of(self._blocks.units(changed), power)
        self._keep(changed, new)
        noise = self._draw.gumbel(size=len(new.rough))
        chosen = (new.rough - warmth * noise).reshape(chains, -1).argmin(axis=1) + np.arange(chains) * EACH
        slack = warmth * self._draw.exponential(size=chains)
        goes = new.rough[chosen] <= score.rough + slack
        taken = chosen[goes]
        here = here.copy()
        here[:, goes] = changed[:, taken]
        return here, score.with_part(goes, new, taken)

    def _keep(self, changed: Small, new: Score) -> None:
        """Remember the best placement of a batch, if it looks better than the best."""
        least = self._value * (1 - BETTER) if self._waiting is None else self._waiting[0]
        for at in map(int, np.argsort(new.exact, kind="stable")[:_TRIES]):
            if not new.exact[at] < least:
                break
            if self._units(changed[:, at]).tobytes() not in self._judged:
                self._waiting = float(new.exact[at]), changed[:, at].copy()
                break

    def _units(self, blocks: Small) -> Integers:
        return np.asarray(self._blocks.units(blocks), np.int64)

    def _look(self) -> None:
        """Judge what was remembered."""
        if self._waiting is not None:
            units, self._waiting = self._units(self._waiting[1]), None
            self._judge(units)
