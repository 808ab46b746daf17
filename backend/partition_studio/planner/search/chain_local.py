"""Chains for many devices: the best cuts of one order of devices, and orders that are improved step by step.

For a given order dynamic programming finds the best runs, leaving devices out where that is better. Orders begin with
the fastest, and with the slowest, first; then two devices change places, or one moves, as long as that helps.
"""

import math
from collections.abc import Callable

import numpy as np

from partition_studio.planner.search.chain_orders import FIRST_ROW, Sets, StoppedError, assignment_of
from partition_studio.planner.search.chain_quantities import Quantities, Quantity
from partition_studio.planner.search.problem import Integers

#: Table entries that all orders together may make.
MOST_ENTRIES = 1_500_000_000


class _Order:
    """The best runs of one order of kinds."""

    def __init__(self, quantities: Quantities, quantity: Quantity, most: int) -> None:
        self._quantities, self._quantity, self._most = quantities, quantity, most
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
    quantities: Quantities, sets: Sets, least_s: float, offer: Callable[[Integers], float], stop: Callable[[], bool]
) -> None:
    """Offer better and better chains until nothing near is better, or enough was tried. Raises StoppedError."""
    problem = quantities.costs.problem
    quantity = quantities.of(least_s, math.inf, math.inf)[0]
    search = _Order(quantities, quantity, sets.most)
    kinds = [kind for kind, members in enumerate(quantities.kinds.members) for _ in members]
    speed = problem.compute_s.sum(axis=1)[[members[0] for members in quantities.kinds.members]]
    fastest = sorted(kinds, key=lambda kind: float(speed[kind]))[: sets.most]
    best: tuple[float, list[int]] = (math.inf, fastest)

    def attempt(order: list[int]) -> bool:
        nonlocal best
        if stop():
            raise StoppedError
        value, runs = search.best(order)
        if not value < best[0] * (1 - 1e-9):
            return False
        best = value, order
        offer(assignment_of(quantities, runs))
        return True

    for order in (fastest, fastest[::-1], [k for k in kinds if k in fastest][: sets.most]):
        attempt(order)
    # The seed is fixed: the same question gets the same answer.
    generator = np.random.default_rng(1)
    idle = 0
    while search.entries < MOST_ENTRIES and idle < 4 * len(fastest) ** 2:
        order = list(best[1])
        one, other = (int(place) for place in generator.integers(len(order), size=2))
        if generator.random() < 0.5:
            order[one], order[other] = order[other], order[one]
        else:
            order.insert(other, order.pop(one))
        left = _left(kinds, order)
        if left and generator.random() < 0.3:
            order[one] = left[int(generator.integers(len(left)))]
        idle = 0 if attempt(order) else idle + 1


def _left(kinds: list[int], order: list[int]) -> list[int]:
    """Return the kinds of which more are there than an order has."""
    left = list(kinds)
    for kind in order:
        left.remove(kind)
    return left
