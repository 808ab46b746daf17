"""Chains for many devices: the best cuts of one order of devices, and orders that are improved step by step.

For a given order dynamic programming finds the best runs, leaving devices out where that is better. Orders begin with
the fastest, and with the slowest, first; then two devices change places, or one moves, while the result is better or
little worse (threshold accepting: Dueck and Scheuer, 1990).
"""

import math
from collections.abc import Callable

import numpy as np

from partition_studio.planner.search.chain.orders import FIRST_ROW, Sets, assignment_of
from partition_studio.planner.search.chain.quantities import Quantities, Quantity
from partition_studio.planner.search.chain.stopped import StoppedError
from partition_studio.planner.search.problem.problem import Integers

#: How much worse an order may be at first to be gone on from.
_PATIENCE = 0.08


class _Order:
    """The best runs of one order of kinds."""

    def __init__(self, quantities: Quantities, quantity: Quantity, stop: Callable[[], bool]) -> None:
        self._quantities, self._quantity, self._stop = quantities, quantity, stop
        self.entries = 0
        self._typical = [1 if len(groups) > 1 else 0 for groups in quantities.ways.sources]

    def best(self, order: list[int]) -> tuple[float, list[tuple[int, int]]]:
        """Return what the best runs cost at least, and the runs. All ways to a kind are taken to be alike."""
        costs, quantity = self._quantities.costs, self._quantity
        rows = len(costs.begin)
        #: What the rest costs from each row with the kinds from a place on, and the place and length of its first run.
        least = np.full(rows, math.inf)
        least[costs.begin == costs.last] = 0.0
        tables, firsts = [], []
        for kind in reversed(order):
            if self._stop():
                raise StoppedError
            tables.append(least)
            cost = quantity.cost(self._typical[kind], kind)
            whole = quantity.join(cost, least[costs.target])
            column = whole.argmin(axis=1)
            value = whole[np.arange(rows), column]
            firsts.append(np.where(value < least, column, -1))
            least = np.minimum(value, least)
            self.entries += whole.size
        runs, row = [], FIRST_ROW
        for place, kind in enumerate(order):
            column_here = int(firsts[len(order) - 1 - place][row])
            if costs.begin[row] != costs.last and column_here >= 0:
                runs.append((kind, int(costs.end[row, column_here])))
                row = int(costs.target[row, column_here])
        return float(least[FIRST_ROW]), runs


def improve(
    quantities: Quantities,
    sets: Sets,
    least_s: float,
    most_entries: int,
    offer: Callable[[Integers], float],
    stop: Callable[[], bool],
) -> None:
    """Offer better and better chains until nothing near is better, or so many table entries were made.

    Raises StoppedError.
    """
    problem = quantities.costs.problem
    quantity = quantities.of(least_s, math.inf, math.inf)[0]
    search = _Order(quantities, quantity, stop)
    kinds = [kind for kind, members in enumerate(quantities.kinds.members) for _ in members]
    speed = problem.compute_s.sum(axis=1)[[members[0] for members in quantities.kinds.members]]
    fastest = sorted(kinds, key=lambda kind: float(speed[kind]))[: sets.most]
    best_value, here_value, here = math.inf, math.inf, fastest
    # The seed is fixed: the same question gets the same answer.
    generator = np.random.default_rng(1)
    waiting = [fastest, fastest[::-1], [kind for kind in kinds if kind in fastest][: sets.most]]
    while search.entries < most_entries or waiting:
        if stop():
            raise StoppedError
        order = waiting.pop(0) if waiting else _changed(here, kinds, generator)
        value, runs = search.best(order)
        if value < best_value * (1 - 1e-9):
            best_value = value
            offer(assignment_of(quantities, runs))
        # What is a little worse is a way to something better, less and less so.
        patience = 1 + _PATIENCE * (1 - search.entries / most_entries) ** 2
        if value <= here_value * (1 if waiting else patience):
            here_value, here = value, order


def _changed(order: list[int], kinds: list[int], generator: np.random.Generator) -> list[int]:
    """Return an order in which two changed places, one moved, or one was replaced by another that is not in it."""
    found = list(order)
    one, other = (int(place) for place in generator.integers(len(found), size=2))
    left = _left(kinds, found)
    if left and generator.random() < 0.3:
        found[one] = left[int(generator.integers(len(left)))]
    elif generator.random() < 0.5:
        found[one], found[other] = found[other], found[one]
    else:
        found.insert(other, found.pop(one))
    return found


def _left(kinds: list[int], order: list[int]) -> list[int]:
    """Return the kinds of which more are there than an order has."""
    left = list(kinds)
    for kind in order:
        left.remove(kind)
    return left
