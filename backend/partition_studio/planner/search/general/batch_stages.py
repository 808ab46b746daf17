"""The stages of many assignments at once: as `evaluate.stages_of` makes them, in arrays.

Assignments are columns: arrays are (units, assignments). Two rows follow the units' own, for the studio: what makes the
network's inputs, and what reads its outputs. A stage is named by its first unit.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from partition_studio.planner.search.problem.problem import STUDIO, Integers, Problem

Small = NDArray[np.int16]
Mask = NDArray[np.bool_]

#: Of more readers of one tensor, each is compared with so many before it alone.
MOST_READERS = 12


@dataclass(frozen=True)
class Stages:
    """`device`, `level` and `label` (the stage's first unit) of each unit, (units + 2, assignments)."""

    device: Small
    level: Small
    label: Small

    @property
    def is_first(self) -> Mask:
        """(units, assignments) whether a unit is the first of its stage."""
        units = len(self.label) - 2
        return np.asarray(self.label[:units] == np.arange(units, dtype=np.int16)[:, None])


@dataclass(frozen=True, slots=True)
class _Unit:
    """A unit's makers (their edges by number), and earlier units that read a tensor that it reads."""

    edges: tuple[tuple[int, int], ...]
    fellows: tuple[int, ...]


class Stager:
    """Makes the stages of assignments of one problem."""

    def __init__(self, problem: Problem) -> None:
        self.units, self.devices = len(problem.units), len(problem.devices)
        makers: list[list[int]] = []
        readers: list[int] = []
        self._units: list[_Unit] = []
        sources: list[int] = []
        for unit, reads in enumerate(problem.reads):
            before = dict.fromkeys(problem.tensors[t].producer for t in reads)
            makers.append([maker for maker in before if maker != STUDIO])
            edges = tuple((len(sources) + number, maker) for number, maker in enumerate(makers[-1]))
            sources += makers[-1]
            readers += [unit] * len(makers[-1])
            self._units.append(_Unit(edges, _fellows(problem, unit)))
        self._sources, self._readers = np.array(sources, np.int64), np.array(readers, np.int64)
        self._runs = self._straight_runs(makers)

    def _straight_runs(self, makers: Sequence[Sequence[int]]) -> list[tuple[int, int]]:
        """Return ranges of units each of which, but the first, reads from the one before and nobody reads with it."""
        runs: list[tuple[int, int]] = []
        for unit, before in enumerate(makers):
            if runs and list(before) == [unit - 1] and not self._units[unit].fellows:
                runs[-1] = runs[-1][0], unit + 1
            else:
                runs.append((unit, unit + 1))
        return runs

    def of(self, assignments: Integers | Small) -> Stages:
        """Return the stages of assignments: (units, assignments)."""
        units, count = self.units, assignments.shape[1]
        device = np.empty((units + 2, count), np.int16)
        device[:units] = assignments
        device[units:] = self.devices
        level = np.zeros((units + 2, count), np.int16)
        label = np.empty((units + 2, count), np.int16)
        label[units], label[units + 1] = units, units + 1
        differs = device[self._sources] != device[self._readers]
        for begin, end in self._runs:
            self._join(begin, device, level, label, differs)
            if end > begin + 1:
                edge = self._units[begin + 1].edges[0][0]
                changes = differs[edge : edge + end - begin - 1]
                np.cumsum(changes, axis=0, dtype=np.int16, out=level[begin + 1 : end])
                level[begin + 1 : end] += level[begin]
                own = np.arange(begin + 1, end, dtype=np.int16)[:, None]
                firsts = np.maximum.accumulate(np.where(changes, own, np.int16(-1)), axis=0)
                label[begin + 1 : end] = np.where(firsts < 0, label[begin], firsts)
        return Stages(device, level, label)

    def _join(self, unit: int, device: Small, level: Small, label: Small, differs: Mask) -> None:
        """Find level and stage of one unit, joining the stages that it connects."""
        own = self._units[unit]
        if own.edges:
            steps = [level[maker] + differs[edge] for edge, maker in own.edges]
            level[unit] = steps[0] if len(steps) == 1 else np.maximum.reduce(steps)
        label[unit] = unit
        near = [(maker, ~differs[edge] & (level[maker] == level[unit])) for edge, maker in own.edges]
        near += [(f, (device[f] == device[unit]) & (level[f] == level[unit])) for f in own.fellows]
        for number, (other, is_same) in enumerate(near):
            if number == 0:
                np.copyto(label[unit], label[other], where=is_same)
                continue
            apart = np.flatnonzero(is_same & (label[unit] != label[other]))
            if len(apart):
                low = np.minimum(label[unit, apart], label[other, apart])
                high = np.maximum(label[unit, apart], label[other, apart])
                # No unit before a stage's first one is in it.
                first = int(high.min())
                part = label[first : unit + 1, apart]
                label[first : unit + 1, apart] = np.where(part == high, low, part)


def _fellows(problem: Problem, unit: int) -> tuple[int, ...]:
    """Return the units before one that read a tensor which it reads, too."""
    found: dict[int, None] = {}
    for number in problem.reads[unit]:
        earlier = [reader for reader in problem.tensors[number].consumers if reader < unit]
        found.update(dict.fromkeys(earlier[-MOST_READERS:]))
    return tuple(found)


@dataclass(frozen=True)
class Pairs:
    """Who makes and who reads a tensor, for each reader; `place` counts the readers of a tensor."""

    maker: Integers
    reader: Integers
    tensor: Integers
    place: Integers

    @classmethod
    def of(cls, pairs: Sequence[tuple[int, int, int]]) -> "Pairs":
        """Take (maker, reader, tensor); those of a tensor follow each other."""
        table = np.array(pairs, np.int64).reshape(-1, 3)
        begins = np.flatnonzero(np.diff(table[:, 2], prepend=-1))
        lengths = np.diff(begins, append=len(table))
        place = np.arange(len(table)) - np.repeat(begins, lengths)
        return cls(table[:, 0], table[:, 1], table[:, 2], place)

    @property
    def begins(self) -> Integers:
        """Where each tensor's pairs begin."""
        return np.flatnonzero(self.place == 0)

    def entering(self, label: Small) -> Mask:
        """Return (pairs, assignments): whether a tensor enters a stage that did not make it, first of its readers."""
        return self._first(label[self.maker] != label[self.reader], label)

    def _first(self, wanted: Mask, label: Small) -> Mask:
        """Return `wanted` without pairs before which there is one of the same tensor and stage."""
        for back in range(1, min(int(self.place.max(initial=0)), MOST_READERS) + 1):
            later = np.flatnonzero(self.place >= back)
            wanted[later] &= label[self.reader[later]] != label[self.reader[later - back]]
        return wanted
