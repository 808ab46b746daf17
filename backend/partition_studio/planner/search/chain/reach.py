"""Whether a chain within a figure exists at all: for each place, with which sets of devices the rest can be done.

A set of sets of devices is one large integer, a bit for each set: using one more device is a shift, and what can be
done from a place is the union over the runs that begin there. So all sets and orders of some twenty unequal devices are
gone through in a fraction of a second, which a table of figures would take minutes for.
"""

from collections.abc import Callable
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from partition_studio.planner.search.chain.orders import Sets
from partition_studio.planner.search.chain.quantities import Quantity
from partition_studio.planner.search.chain.stopped import StoppedError
from partition_studio.planner.search.chain.within import END, Within
from partition_studio.planner.search.problem.problem import Floats, Integers

#: Sets of devices up to which one integer of so many bits is handled at once.
MOST_SETS = 2**20

#: How many nodes are tried, and how many are kept, from which all that can be done from a node can be done as well.
_TRIED, _KEPT = 40, 4


class SetBits:
    """Sets of sets of devices that are needed again and again."""

    def __init__(self, sets: Sets) -> None:
        self.sets = sets
        numbers = np.arange(sets.size)
        totals = np.zeros(sets.size, dtype=np.int64)
        #: By kind: the sets with fewer than all of it; and for each number those with at most so many of it.
        self.lacking: list[int] = []
        self._at_most: list[list[int]] = []
        for stride, count in zip(sets.strides, sets.counts, strict=True):
            used = numbers // stride % (count + 1)
            totals += used
            self.lacking.append(_bits(used < count))
            self._at_most.append([_bits(used <= most) for most in range(count + 1)])
        self._total = [_bits(totals <= most) for most in range(sets.most + 1)]
        self.left = lru_cache(maxsize=64)(self._left)

    @property
    def all(self) -> int:
        """Return all sets that may be used."""
        return self._total[-1]

    def _left(self, number: int) -> int:
        """Return the sets that may be used beside a set."""
        sets = self.sets
        found = self._total[max(sets.most - sets.total(number), 0)]
        for kind, count in enumerate(sets.counts):
            used = sets.used(number, kind)
            if used:
                found &= self._at_most[kind][count - used]
        return found


class Reach:
    """The sets of devices with which what is left from each node of `within` can be done; see `Rest`."""

    def __init__(self, within: Within, bits: SetBits, targets: Integers, stop: Callable[[], bool]) -> None:
        self._within, self._bits, self._row_targets = within, bits, targets
        self._able: list[int] = [bits.all]
        # Many are equal, and large.
        known: dict[int, int] = {}
        #: Nodes from which all can be done that can be done from a node, by node.
        self._better: list[list[int]] = [[]]
        for node in range(1, len(within.targets)):
            if stop():
                raise StoppedError
            able = self._of(node)
            able = known.setdefault(able, able)
            self._able.append(able)
            self._better.append(self._better_than(able) if able else [])

    @property
    def is_possible(self) -> bool:
        """Whether there is a chain at all."""
        start = self._within.start
        return start >= 0 and self._able[start] > 0

    def of(self, quantity: Quantity) -> "ReachRest":
        """Return what `Branches` goes by."""
        return ReachRest(self, quantity)

    def rest(self, number: int, row: int) -> Floats:
        """Return of each run of a row 0 where the rest can be done when all of a set is used then, else infinity."""
        left = self._bits.left(number)
        nodes = self._within.node_of[self._row_targets[row]]
        able = {node: node == END or (node > 0 and self._able[node] & left > 0) for node in set(nodes.tolist())}
        return np.array([0.0 if able[node] else np.inf for node in nodes.tolist()])

    def _of(self, node: int) -> int:
        """Return the sets with which the rest can be done from a node, larger ones included."""
        bits, found = self._bits, 0
        targets = self._within.targets[node].tolist()
        for kind, possible in enumerate(self._within.possible[node]):
            able, seen = 0, set[int]()
            for run in np.flatnonzero(possible)[::-1].tolist():
                target = targets[run]
                if target not in seen and seen.isdisjoint(self._better[target]):
                    able |= self._able[target]
                seen.add(target)
            if able:
                found |= (able & bits.lacking[kind]) << bits.sets.strides[kind]
        return found & bits.all

    def _better_than(self, able: int) -> list[int]:
        found: list[int] = []
        for node in range(len(self._able) - 2, max(len(self._able) - 2 - _TRIED, 0), -1):
            if able | self._able[node] == self._able[node]:
                found.append(node)
                if len(found) == _KEPT:
                    break
        return found


class ReachRest:
    """A `Rest` that knows only whether."""

    def __init__(self, reach: Reach, quantity: Quantity) -> None:
        self._reach, self._quantity = reach, quantity

    @property
    def quantity(self) -> Quantity:
        """Of what."""
        return self._quantity

    def rest(self, number: int, kind: int, row: int) -> Floats:
        """See `Rest`."""
        return self._reach.rest(number, row)


def _bits(chosen: NDArray[np.bool_]) -> int:
    return int.from_bytes(np.packbits(chosen, bitorder="little").tobytes(), "little")
