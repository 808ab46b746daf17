"""Two ways to ask whether a chain costs less than so much: of all sets of devices, or by prices of very many."""

from collections.abc import Callable

import numpy as np

from partition_studio.planner.search.chain.beam import chain_by_prices
from partition_studio.planner.search.chain.orders import Branches, Sets, assignment_of
from partition_studio.planner.search.chain.prices import Market, Prices
from partition_studio.planner.search.chain.quantities import Quantity
from partition_studio.planner.search.chain.reach import Reach, SetBits
from partition_studio.planner.search.chain.stopped import StoppedError
from partition_studio.planner.search.chain.within import Figures, Within
from partition_studio.planner.search.problem.problem import Floats, Integers

#: Beginnings of chains that are looked at for one question, and for the last one.
_NODES, _NODES_LAST = 200, 3_000

#: Rounds of prices; how often chains are looked for by them, and by how much they are changed after the first time.
_ROUNDS = 300
_LOOKS, _CHANGE = 3, 0.1


class ByReach:
    """Goes through all sets of devices at once."""

    def __init__(
        self,
        figures: Figures,
        quantity: Quantity,
        bits: SetBits,
        least_s: float,
        offer: Callable[[Integers], float],
        stop: Callable[[], bool],
    ) -> None:
        self._figures, self._quantity, self._bits = figures, quantity, bits
        self._least_s, self._offer, self._stop = least_s, offer, stop
        self._reach: tuple[float, Reach] | None = None

    def is_excluded(self, most: float) -> bool:
        """See `Trial`."""
        return not self._reach_within(most).is_possible

    def look(self, most: float, *, is_last: bool) -> bool:
        """See `Trial`."""
        quantities = self._figures.quantities
        rest = self._reach_within(most).of(self._quantity)
        found = False

        def offer(assignment: Integers) -> float:
            nonlocal found
            best = self._offer(assignment)
            found = found or best < most
            return best

        branches = Branches(quantities, self._bits.sets, [rest], self._least_s, offer)
        most_nodes = _NODES_LAST if is_last else _NODES
        is_done = branches.run(most, most_nodes, lambda: self._stop() or (found and not is_last))
        if self._stop():
            raise StoppedError
        return is_done

    def _reach_within(self, most: float) -> Reach:
        if self._reach is None or self._reach[0] != most:
            within = self._figures.within(most, self._stop)
            targets = self._figures.quantities.costs.target
            self._reach = most, Reach(within, self._bits, targets, self._stop)
        return self._reach[1]


class ByPrices:
    """Relaxes that a device is used once."""

    def __init__(
        self,
        figures: Figures,
        sets: Sets,
        offer: Callable[[Integers], float],
        stop: Callable[[], bool],
    ) -> None:
        self._figures, self._sets, self._offer, self._stop = figures, sets, offer, stop
        self._weights: Floats | None = None
        self._last: tuple[float, Within, Prices] | None = None

    def is_excluded(self, most: float) -> bool:
        """See `Trial`."""
        within = self._figures.within(most, self._stop)
        if within.start < 0:
            return True
        market = Market(within, self._sets)
        prices = market.clear(self._weights, _ROUNDS, self._stop)
        self._weights = market.weights
        self._last = most, within, prices
        return prices.is_too_dear(within.start)

    def look(self, most: float, *, is_last: bool) -> bool:
        """See `Trial`."""
        assert self._last is not None
        _, within, prices = self._last
        # The seed is fixed: the same question gets the same answer.
        generator = np.random.default_rng(1)
        for number in range(_LOOKS):
            changed = generator.lognormal(0.0, _CHANGE if number else 0.0, len(prices.of_kind))
            runs = chain_by_prices(within, self._sets, prices.of_kind * changed, self._stop)
            if runs is not None and self._offer(assignment_of(self._figures.quantities, runs)) < most:
                break
        return False
