"""A bound for very many devices: each has a price, and a chain pays for every run.

With prices of which all devices together have 1, a chain that uses each at most once pays 1 at most. So where the
cheapest chain within a figure, devices used as often as it likes, pays more than 1, none is within it: Lagrange's
relaxation of "each device at most once" (Held and Karp 1971). Prices of devices that are used more often than there
are rise, those of others fall, by as much as what is paid lacks to the goal (Polyak 1969), and in part as the times
before (Camerini, Fratta and Maffioli 1975).
"""

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from partition_studio.planner.search.chain.orders import Sets
from partition_studio.planner.search.chain.stopped import StoppedError
from partition_studio.planner.search.chain.within import END, Within
from partition_studio.planner.search.problem.problem import Floats, Integers

#: Share of the way to the goal that a change of prices would go if all stayed as it is; and how much of the change
#: before is made again.
_STEP, _AGAIN = 0.7, 0.5

#: What is aimed at: a little more than 1, or than the most that was reached.
_GOAL = 1.003

#: By how much a chain must pay more than 1 to be none: rounding.
_ROUNDING = 1e-9


@dataclass(frozen=True)
class Prices:
    """`of_kind` (kinds,): what a run on a kind costs. `to_go`: what the rest costs at least, by node."""

    of_kind: Floats
    to_go: Floats

    def is_too_dear(self, start: int) -> bool:
        """Whether no chain exists, as the cheapest one costs more than all devices do."""
        return bool(self.to_go[start] > 1 + _ROUNDING)


class Market:
    """Finds prices for one graph of runs. Kinds have one price, and there is one for using any device at all."""

    def __init__(self, within: Within, sets: Sets) -> None:
        self._within = within
        self._counts = np.array(sets.counts, dtype=float)
        self._most = float(sets.most)
        self._is_limited = sets.most < sets.devices
        #: The prices that were best, by which to begin with a like graph.
        self.weights: Floats = np.zeros(0)
        self._possible = np.concatenate(within.possible, axis=1)
        self._targets = np.concatenate(within.targets)
        self._first = np.concatenate([[0], np.cumsum([len(targets) for targets in within.targets])])

    def clear(self, first: Floats | None, rounds: int, stop: Callable[[], bool]) -> Prices:
        """Return the best prices of so many rounds; `first` (kinds + 1,) are those to begin with.

        Raises StoppedError.
        """
        limits = np.append(self._counts, self._most if self._is_limited else 0.0)
        weights = limits / (limits @ limits) if first is None else first
        best: Prices | None = None
        change = np.zeros(len(weights))
        start = self._within.start
        for _ in range(rounds):
            if stop():
                raise StoppedError
            weights = weights / (weights @ limits)
            prices, used = self._cheapest(weights[:-1] + weights[-1])
            paid = float(prices.to_go[start])
            if best is None or paid > best.to_go[start]:
                best, self.weights = prices, weights
            if best.is_too_dear(start):
                break
            # By how much more are used than what is paid would be worth; of limits that do not bind, nothing.
            excess = np.where(limits > 0, np.append(used, used.sum()) - paid * limits, 0.0)
            change = excess + _AGAIN * change
            goal = _GOAL * max(1.0, float(best.to_go[start]))
            size = float(excess @ excess)
            if size == 0:
                break
            weights = np.maximum(weights + _STEP * (goal - paid) / size * change, 0.0)
            if not weights @ limits > 0:
                break
        assert best is not None
        return best

    def _cheapest(self, of_kind: Floats) -> tuple[Prices, Integers]:
        """Return what is cheapest from each node, and how often the cheapest chain uses each kind."""
        price = np.full(len(self._targets), math.inf)
        kind_of = np.zeros(len(self._targets), dtype=np.int64)
        for kind in np.argsort(-of_kind, kind="stable"):
            possible = self._possible[kind]
            price[possible] = of_kind[kind]
            kind_of[possible] = kind
        to_go = np.zeros(len(self._within.targets))
        chosen = np.zeros(len(to_go), dtype=np.int64)
        for node in range(1, len(to_go)):
            runs = slice(self._first[node], self._first[node + 1])
            whole = price[runs] + to_go[self._targets[runs]]
            best = int(whole.argmin())
            to_go[node], chosen[node] = whole[best], self._first[node] + best
        used = np.zeros(len(of_kind), dtype=np.int64)
        node = self._within.start
        while node != END:
            used[kind_of[chosen[node]]] += 1
            node = int(self._targets[chosen[node]])
        return Prices(of_kind, to_go), used
