"""Which runs a chain may have whose every run stays within a figure, as a graph of what can follow what.

Relaxed: a run is judged by itself, as if the run before were on the device with the fastest link. Rows of the tables
from which the same runs are possible, with the same that follow, are one *node*; most are.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from partition_studio.planner.search.chain.orders import FIRST_ROW
from partition_studio.planner.search.chain.quantities import ANY_WAY, Quantities, Quantity
from partition_studio.planner.search.chain.stopped import StoppedError
from partition_studio.planner.search.problem.problem import Floats, Integers

#: The node where all is done.
END = 0


@dataclass(frozen=True)
class Within:
    """Nodes, numbered from the end: what a run leads to has a smaller number than where it begins.

    From node n, run r leads to `targets[n][r]` and is possible on the kinds of `possible[n][:, r]`; the longest runs
    come last. `node_of`: of each row, or -1 where nothing is possible. `border_of`: where a node's runs begin.
    """

    possible: tuple[NDArray[np.bool_], ...]
    targets: tuple[Integers, ...]
    border_of: tuple[int, ...]
    node_of: Integers

    @property
    def start(self) -> int:
        """The node of the first run; -1 where there is none."""
        return int(self.node_of[FIRST_ROW])


class Figures:
    """What each run costs at least on each kind, and whether it keeps all limits on single runs."""

    def __init__(self, quantities: Quantities, wanted: list[Quantity], stop: Callable[[], bool]) -> None:
        self.quantities = quantities
        self.tables: list[Floats] = []
        for kind in range(len(quantities.kinds.members)):
            if stop():
                raise StoppedError
            table = wanted[0].cost(ANY_WAY, kind)
            for quantity in wanted[1:]:
                if not quantity.is_sum:
                    table = np.where(quantity.cost(ANY_WAY, kind) <= quantity.most, table, np.inf)
            self.tables.append(table)

    def within(self, most: float, stop: Callable[[], bool]) -> Within:
        """Return the runs that cost less than so much.

        Raises StoppedError.
        """
        costs = self.quantities.costs
        possible = np.stack([table < most for table in self.tables], axis=1)
        any_there = np.asarray(possible.any(axis=(1, 2)))
        node_of = np.full(len(costs.begin), -1)
        node_of[costs.begin == costs.last] = END
        runs, targets, borders = [np.zeros((len(self.tables), 0), dtype=np.bool_)], [np.zeros(0, dtype=np.int64)], []
        borders.append(costs.last)
        for border in reversed(range(costs.last)):
            if stop():
                raise StoppedError
            known: dict[tuple[bytes, bytes], int] = {}
            for row in range(int(costs.first_row[border]), int(costs.first_row[border + 1])):
                if not any_there[row]:
                    continue
                ends = node_of[costs.target[row]]
                columns = np.flatnonzero(possible[row].any(axis=0) & (ends >= 0))
                if not len(columns):
                    continue
                on, to = possible[row][:, columns], ends[columns]
                node = known.setdefault((on.tobytes(), to.tobytes()), len(runs))
                if node == len(runs):
                    runs.append(on)
                    targets.append(to)
                    borders.append(border)
                node_of[row] = node
        return Within(tuple(runs), tuple(targets), tuple(borders), node_of)
