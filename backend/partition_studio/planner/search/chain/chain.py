"""The best contiguous runs: each device computes at most one run of the units in their order.

Where there are few enough sets of devices, the search is exact (`orders`); devices that are alike count as one
kind. Where a figure hangs on the period (energy) or adds up beside a maximum (latency under a least throughput), ranges
of periods are searched one by one, and cut in two where a range leaves it open. Where there are more sets, figures that
no run may exceed (all but sums: latency, total energy) are narrowed down (`narrow`): by all sets of devices at once up
to some twenty unequal devices, by prices beyond. Sums are left to orders of devices that are improved (`local`), and
the bound is that of all plans then.
"""

import heapq
import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from partition_studio.planner.search.bounds import lower_bounds
from partition_studio.planner.search.chain.borders import coarse_borders, fine_borders, longest_run
from partition_studio.planner.search.chain.costs import RunCosts
from partition_studio.planner.search.chain.local import improve
from partition_studio.planner.search.chain.narrow import Gap, Trial, narrow
from partition_studio.planner.search.chain.orders import Branches, Sets, ToGo
from partition_studio.planner.search.chain.quantities import Kinds, Quantities, Ways, cost_of, kinds_of
from partition_studio.planner.search.chain.reach import MOST_SETS, SetBits
from partition_studio.planner.search.chain.stopped import StoppedError
from partition_studio.planner.search.chain.trials import ByPrices, ByReach
from partition_studio.planner.search.chain.within import Figures
from partition_studio.planner.search.found import Found as Found
from partition_studio.planner.search.problem.evaluate import evaluate, keeps
from partition_studio.planner.search.problem.problem import Costs, Integers, Problem

#: A chain counts as better where it is so by more than this part.
BETTER = 1e-9

#: Bytes that one quantity's table over sets may take.
_MOST_TABLE_BYTES = 400_000_000


@dataclass(frozen=True, slots=True)
class Effort:
    """How much is tried, in table entries; some 300 million take a second.

    `sets` is the most that tables over all sets of devices may make. Beyond, chains are looked for over few borders
    first where there are more than `few_units`, then over all: by bits of sets up to `most_sets` of them, by prices
    else; and where that is not enough by orders that are improved, up to `coarse` and `fine`.
    """

    sets: int = 4_000_000_000
    most_sets: int = MOST_SETS
    few_units: int = 160
    coarse: int = 400_000_000
    fine: int = 3_000_000_000


#: Orders are improved only where the best chain costs more than so many times the bound.
_GOOD = 1.01

#: Prefixes that are looked at in a range of periods before it is cut in two.
_NODES = 3_000

#: Ranges of periods this narrow are not cut any more.
_NARROW = 1 + 1e-6


def search_chain(
    problem: Problem, stop: Callable[[], bool], on_better: Callable[[Found], None], effort: Effort = Effort()
) -> Found:
    """Return the best assignment whose devices each have one contiguous run of units, as far as found until `stop`.

    No chain costs less than the bound; of sums on very many sets of devices it is only that of all plans.
    """
    return _Search(problem, stop, on_better, effort).run()


class _Search:
    """One search and its best chain."""

    def __init__(
        self, problem: Problem, stop: Callable[[], bool], on_better: Callable[[Found], None], effort: Effort
    ) -> None:
        self._problem, self._stop, self._on_better, self._effort = problem, stop, on_better, effort
        self._assignment: Integers | None = None
        self._costs: Costs | None = None
        self._best = math.inf
        self._bound = 0.0

    def run(self) -> Found:
        problem = self._problem
        bounds = lower_bounds(problem)
        self._bound = bounds.cost(problem.objective)
        for device in range(len(problem.devices)):
            self._offer(np.full(len(problem.units), device))
        if self._stop():
            return self._found(is_exact=False)
        kinds = kinds_of(problem)
        most = min(problem.limits.max_devices or len(problem.devices), len(problem.devices))
        sets = Sets(kinds, most)
        ways = Ways(problem, kinds)
        try:
            if len(problem.units) > self._effort.few_units:
                few = self._quantities(coarse_borders(problem, most), kinds, ways)
                if not self._narrow(few, sets, bounds.period_s):
                    improve(few, sets, bounds.period_s, self._effort.coarse, self._offer, self._stop)
            borders = fine_borders(problem)
            quantities = self._quantities(borders, kinds, ways)
            is_all = len(borders) == len(problem.units) + 1
            if is_all and self._are_few(sets, quantities):
                return self._found(is_exact=self._search_sets(quantities, sets, bounds.period_s))
            is_narrow = self._narrow(quantities, sets, bounds.period_s, is_all=is_all)
            if is_narrow and self._bound * _GOOD >= self._best:
                return self._found(is_exact=self._bound >= self._best * (1 - BETTER))
            improve(quantities, sets, bounds.period_s, self._effort.fine, self._offer, self._stop)
        except StoppedError:
            pass
        return self._found(is_exact=False)

    def _quantities(self, borders: Integers, kinds: Kinds, ways: Ways) -> Quantities:
        tables = RunCosts(self._problem, borders, longest_run(self._problem, borders, self._most_s()), self._stop)
        return Quantities(tables, kinds, ways)

    def _narrow(self, quantities: Quantities, sets: Sets, least_s: float, *, is_all: bool = False) -> bool:
        """Look for chains between the bound and the best; return whether that can be done for what is asked.

        `is_all`: runs may begin at every unit, so that what is proved holds for all chains.
        """
        wanted = quantities.of(least_s, self._most_s(), self._best * (1 - BETTER))
        if wanted[0].is_sum:
            return False
        figures = Figures(quantities, wanted, self._stop)
        trial: Trial
        if sets.size <= self._effort.most_sets:
            trial = ByReach(figures, wanted[0], SetBits(sets), least_s, self._offer, self._stop)
        else:
            trial = ByPrices(figures, sets, self._offer, self._stop)
        gap = Gap(self._bound, lambda: self._best * (1 - BETTER))
        try:
            narrow(trial, gap)
        finally:
            if is_all:
                self._raise_bound(gap.bound)
        return True

    def _most_s(self) -> float:
        """Return the period that a chain must be below, or keep, to be wanted."""
        limit = self._problem.limits.min_throughput_per_s
        most_s = math.inf if not limit or limit < 0 else (1 + 1e-6) / limit
        return min(most_s, self._best) if self._problem.objective == "throughput" else most_s

    def _are_few(self, sets: Sets, quantities: Quantities) -> bool:
        """Whether all sets of devices can be gone through."""
        kinds, tables = len(sets.counts), quantities.costs
        groups = sum(len(sources) for sources in quantities.ways.sources) / kinds
        entries = sets.size * kinds / 2 * groups * tables.target.size
        return entries <= self._effort.sets and sets.size * (kinds + 1) * len(tables.begin) * 8 <= _MOST_TABLE_BYTES

    def _offer(self, assignment: Integers) -> float:
        """Take an assignment if it keeps all limits and is better; return what the best one costs."""
        costs = evaluate(self._problem, assignment)
        value = cost_of(self._problem, costs)
        if value < self._best * (1 - BETTER) and keeps(self._problem, costs, assignment):
            self._assignment, self._costs, self._best = assignment, costs, value
            self._on_better(self._found(is_exact=False))
        return self._best * (1 - BETTER)

    def _found(self, *, is_exact: bool) -> Found:
        order = () if self._assignment is None else tuple(dict.fromkeys(int(d) for d in self._assignment))
        bound = self._best if is_exact else min(self._bound, self._best)
        return Found(self._assignment, self._costs, bound, is_exact, order)

    def _search_sets(self, quantities: Quantities, sets: Sets, least_s: float) -> bool:
        """Search all sets and orders of devices; return whether nothing was left open."""
        if not math.isfinite(least_s):
            return True
        limits = self._problem.limits
        is_single = (
            self._problem.objective in ("throughput", "latency", "max_memory")
            and limits.max_latency_s is None
            and not self._problem.needs_power
        )
        #: Ranges of periods with what no chain in them costs less than.
        ranges: list[tuple[float, float, float]] = [(self._bound, least_s, math.inf)]
        while ranges:
            bound, low_s, high_s = heapq.heappop(ranges)
            best = self._best * (1 - BETTER)
            if bound >= best:
                break
            self._raise_bound(bound)
            is_narrow = is_single or high_s <= low_s * _NARROW
            below = self._search_range(quantities, sets, low_s, high_s, math.inf if is_narrow else _NODES)
            if below is None or below >= self._best * (1 - BETTER):
                continue
            if is_narrow:
                self._raise_bound(below)
                return False
            middle_s = low_s * 2 if high_s == math.inf else math.sqrt(low_s * high_s)
            heapq.heappush(ranges, (below, low_s, middle_s))
            heapq.heappush(ranges, (below, middle_s, high_s))
            if self._stop():
                self._raise_bound(ranges[0][0])
                return False
        return True

    def _raise_bound(self, bound: float) -> None:
        """Take what no chain costs less than."""
        self._bound = max(self._bound, bound)

    def _search_range(
        self, quantities: Quantities, sets: Sets, low_s: float, high_s: float, nodes: float
    ) -> float | None:
        """Search the chains of a range of periods; return what none costs less than, or None where all was seen."""
        try:
            to_go = [
                ToGo(quantities, sets, q, self._stop) for q in quantities.of(low_s, high_s, self._best * (1 - BETTER))
            ]
        except StoppedError:
            return self._bound
        least = to_go[0].least
        if any(t.least > t.quantity.most for t in to_go[1:]) or least >= self._best * (1 - BETTER):
            return None
        branches = Branches(quantities, sets, to_go, low_s, self._offer)
        return None if branches.run(self._best * (1 - BETTER), nodes, self._stop) else least
