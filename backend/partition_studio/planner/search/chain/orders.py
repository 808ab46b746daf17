"""The exact search over chains: dynamic programming over sets of devices, then the branches that it leaves open.

`ToGo` has, for each set of devices that were used and the last of them, what the rest of a chain costs at least from
each row of the tables (see `chain_costs`). Where what it says is exact, the first chain built along it is the best one;
else `Branches` goes on with every prefix whose bound is below the best chain so far, judged by `evaluate`.
"""

import math
from collections.abc import Callable, Iterator, Sequence
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from partition_studio.planner.search.chain.prefix import Prefix, Prefixes, levels_matter
from partition_studio.planner.search.chain.quantities import Kinds, Quantities, Quantity, cost_of
from partition_studio.planner.search.chain.stopped import StoppedError
from partition_studio.planner.search.problem.evaluate import keeps
from partition_studio.planner.search.problem.problem import Floats, Integers

#: Where all runs begin: before the first one there is nothing that could be several stages.
FIRST_ROW = 1


class Sets:
    """Sets of devices as numbers: how many of each kind are used, in mixed radix."""

    def __init__(self, kinds: Kinds, most: int) -> None:
        self.counts = [len(members) for members in kinds.members]
        self.strides = [math.prod(count + 1 for count in self.counts[:kind]) for kind in range(len(self.counts))]
        self.size = math.prod(count + 1 for count in self.counts)
        self.most = most

    def used(self, number: int, kind: int) -> int:
        """Return how many devices of a kind are in a set."""
        return number // self.strides[kind] % (self.counts[kind] + 1)

    @property
    def devices(self) -> int:
        """How many devices there are."""
        return sum(self.counts)

    def total(self, number: int) -> int:
        """Return how many devices are in a set."""
        return sum(self.used(number, kind) for kind in range(len(self.counts)))

    def next(self, number: int) -> Iterator[tuple[int, int]]:
        """Yield each kind of which one more may be used, and the set with it."""
        if self.total(number) < self.most:
            for kind, stride in enumerate(self.strides):
                if self.used(number, kind) < self.counts[kind]:
                    yield kind, number + stride


class Rest(Protocol):
    """What of one quantity comes at least behind a run."""

    @property
    def quantity(self) -> Quantity:
        """Of what."""

    def rest(self, number: int, kind: int, row: int) -> Floats:
        """Return it for the runs of one row, when such a run is on that kind and all of the set is used then."""


class ToGo:
    """What the rest of a chain costs at least, of one quantity: `of(set, last kind)` by row."""

    def __init__(self, quantities: Quantities, sets: Sets, quantity: Quantity, stop: Callable[[], bool]) -> None:
        self._quantity = quantity
        costs, ways = quantities.costs, quantities.ways
        self._target, self._rows = costs.target, len(costs.begin)
        kinds = range(len(sets.counts))
        #: The last place stands for no previous run.
        ends = np.flatnonzero(costs.begin == costs.last)
        self._least = np.full((sets.size, len(sets.counts) + 1, self._rows), math.inf)
        for number in reversed(range(sets.size)):
            if stop():
                raise StoppedError
            table = self._least[number]
            if number:
                used = np.flatnonzero([sets.used(number, kind) > 0 for kind in kinds])
                table[np.ix_(used, ends)] = 0.0
            if sets.total(number) > sets.most:
                continue
            for kind, larger in sets.next(number):
                behind = self.behind(larger, kind)
                for group, sources in enumerate(ways.sources[kind]):
                    last = [s for s in sources if sets.used(number, s)] if number else ([-1] if group == 0 else [])
                    if last:
                        least = quantity.join(quantity.cost(group, kind), behind).min(axis=1)
                        table[last] = np.minimum(table[last], least)

    @property
    def quantity(self) -> Quantity:
        """Of what."""
        return self._quantity

    def behind(self, number: int, kind: int) -> Floats:
        """Return what comes behind each run, when it is on that kind and all of the set is used then."""
        return np.asarray(self._least[number, kind][self._target])

    def rest(self, number: int, kind: int, row: int) -> Floats:
        """See `Rest`."""
        return np.asarray(self._least[number, kind][self._target[row]])

    @property
    def least(self) -> float:
        """What no chain costs less than."""
        return float(self._least[0, -1, FIRST_ROW])


class Branches:
    """Goes through all chains of a range of periods that may be better than the best one.

    `least_s`: no period of the range is shorter.
    """

    def __init__(
        self,
        quantities: Quantities,
        sets: Sets,
        to_go: Sequence[Rest],
        least_s: float,
        offer: Callable[[Integers], float],
    ) -> None:
        self._quantities, self._sets, self._to_go, self._offer = quantities, sets, to_go, offer
        self._problem = quantities.costs.problem
        self._prefixes = Prefixes(self._problem)
        self._level_matters = levels_matter(self._problem)
        self._least_s = least_s
        #: What was spent where all that may follow was seen in vain: by all that it hangs on else.
        self._seen: dict[tuple[int, ...], list[Floats]] = {}
        self.nodes = 0

    def run(self, best: float, most_nodes: float, stop: Callable[[], bool]) -> bool:
        """Offer chains until none is left that may cost less than `best`; return whether that was reached.

        `offer` returns what the best chain so far costs.
        """
        self._best, self._most, self._stop = best, most_nodes, stop
        try:
            self._walk(0, None, FIRST_ROW, [0.0] * len(self._to_go), [])
        except StoppedError:
            return False
        return True

    def _walk(self, number: int, last: int | None, row: int, spent: list[float], runs: list[tuple[int, int]]) -> None:
        self.nodes += 1
        if self.nodes > self._most or (self.nodes % 16 == 0 and self._stop()):
            raise StoppedError
        costs = self._quantities.costs
        if costs.begin[row] == costs.last:
            self._best = min(self._best, self._offer(assignment_of(self._quantities, runs)))
            return
        key: tuple[int, ...] | None = None
        figures = np.zeros(0)
        if runs:
            prefix = self._prefixes.of(assignment_of(self._quantities, runs).tolist())
            if not self._may_be(prefix, runs):
                return
            key, figures = self._key(number, row, runs, prefix), self._figures(prefix, spent, runs)
            if key is not None and any((figures >= seen).all() for seen in self._seen.get(key, ())):
                return
        for bound, kind, larger, column in self._choices(number, last, row, spent):
            if bound >= self._best:
                break
            group = self._quantities.ways.group_of(last, kind)
            now = [
                float(t.quantity.join(before, t.quantity.cost(group, kind)[row, column]))
                for t, before in zip(self._to_go, spent, strict=True)
            ]
            run = (kind, int(costs.end[row, column]))
            self._walk(larger, kind, int(costs.target[row, column]), now, [*runs, run])
        if key is not None:
            self._seen.setdefault(key, []).append(figures)

    def _may_be(self, prefix: Prefix, runs: list[tuple[int, int]]) -> bool:
        """Whether a prefix by itself may begin something better."""
        costs = prefix.costs(self._problem, self._least_s)
        if cost_of(self._problem, costs) >= self._best:
            return False
        return keeps(self._problem, costs, assignment_of(self._quantities, runs).tolist())

    def _key(self, number: int, row: int, runs: list[tuple[int, int]], prefix: Prefix) -> tuple[int, ...] | None:
        """Return all that the costs of what follows hang on, `_figures` apart; None where that is too much."""
        costs = self._quantities.costs
        if costs.rank[row] or prefix.last_stages > 1:
            return None
        begin = runs[-2][1] if len(runs) > 1 else 0
        level = prefix.level if self._level_matters[costs.borders[costs.begin[row]]] else 0
        return number, runs[-1][0], begin, row | 1, level

    def _figures(self, prefix: Prefix, spent: list[float], runs: list[tuple[int, int]]) -> Floats:
        """Return what of a prefix makes what follows no better the larger it is."""
        device = int(assignment_of(self._quantities, runs)[-1])
        sums = [s for s, to_go in zip(spent, self._to_go, strict=True) if to_go.quantity.is_sum]
        figures = [prefix.cpu_s[device], prefix.memory_bytes[device], prefix.last_end_s, prefix.output_s, *sums]
        figures += [prefix.studio_bytes]
        if self._problem.needs_power:
            figures += [prefix.period_s, *prefix.cpu_s]
        return np.array(figures)

    def _choices(
        self, number: int, last: int | None, row: int, spent: list[float]
    ) -> list[tuple[float, int, int, int]]:
        """Return the next runs that may lead to something better, best first."""
        found = []
        for kind, larger in self._sets.next(number):
            group = self._quantities.ways.group_of(last, kind)
            may_be: NDArray[np.bool_] | bool = True
            bounds = np.zeros(0)
            for place, (to_go, before) in enumerate(zip(self._to_go, spent, strict=True)):
                quantity = to_go.quantity
                whole = quantity.join(
                    before, quantity.join(quantity.cost(group, kind)[row], to_go.rest(larger, kind, row))
                )
                if place == 0:
                    bounds = whole
                may_be = may_be & (whole < self._best if place == 0 else whole <= quantity.most)
            found += [(float(bounds[c]), kind, larger, int(c)) for c in np.flatnonzero(may_be)]
        return sorted(found)


def assignment_of(quantities: Quantities, runs: list[tuple[int, int]]) -> Integers:
    """Return the assignment of runs, each a kind and the border where it ends, as far as they go."""
    members = [list(group) for group in quantities.kinds.members]
    borders = quantities.costs.borders
    found = np.zeros(int(borders[runs[-1][1]]), dtype=np.int64)
    begin = 0
    for kind, end in runs:
        found[borders[begin] : borders[end]] = members[kind].pop(0)
        begin = end
    return found
