"""Changes of placements, many at once: what a search of any placement tries next to what it has.

Runs of units begin, end, move, split and change places; so do branches between a fork and its join, and devices as a
whole; and a stretch of one placement goes into another. Placements are columns of devices over *blocks*: units that
a tensor which cannot travel keeps together, else one each, in the units' order.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from partition_studio.planner.search.general.batch_stages import Small
from partition_studio.planner.search.problem.problem import STUDIO, Integers, Problem
from partition_studio.planner.search.problem.series import predecessors_of, series_of

Mask = NDArray[np.bool_]

#: How often each change is tried: see `Moves._changed`, in its order.
_SHARES = (0.34, 0.16, 0.12, 0.10, 0.06, 0.06, 0.08, 0.08)


@dataclass(frozen=True)
class Blocks:
    """`of_unit` (U,): each unit's block; `allowed` (D, blocks)."""

    of_unit: Integers
    allowed: Mask

    @classmethod
    def of(cls, problem: Problem) -> "Blocks":
        """Return the blocks of a problem."""
        parent = list(range(len(problem.units)))

        def root(unit: int) -> int:
            while parent[unit] != unit:
                unit = parent[unit]
            return unit

        for tensor in problem.tensors:
            if not tensor.travels:
                ends = [unit for unit in (tensor.producer, *tensor.consumers) if unit != STUDIO]
                for unit in ends[1:]:
                    low, high = sorted((root(ends[0]), root(unit)))
                    parent[high] = low
        roots = [root(unit) for unit in range(len(parent))]
        firsts = sorted(set(roots))
        of_unit = np.searchsorted(firsts, roots)
        allowed = np.ones((len(problem.devices), len(firsts)), bool)
        for unit, block in enumerate(of_unit):
            allowed[:, block] &= problem.allowed[:, unit]
        return cls(of_unit, allowed)

    def units(self, blocks: Integers | Small) -> Integers | Small:
        """Return devices by unit, of devices by block."""
        return blocks[self.of_unit]

    def from_units(self, units: Sequence[int] | Integers) -> Integers:
        """Return devices by block; a block is where its first unit is."""
        firsts = np.unique(self.of_unit, return_index=True)[1]
        return np.asarray(units, np.int64)[firsts]


def branches_of(problem: Problem, blocks: Blocks) -> Mask:
    """Return (branches, blocks): what lies between a fork and its join and is connected there without them."""
    makers = predecessors_of(problem)
    found: dict[bytes, Mask] = {}
    for units in series_of(problem).between:
        inside, group = set(units), {unit: unit for unit in units}
        for unit in units:
            for maker in makers[unit] & inside:
                old, new = sorted((group[unit], group[maker]))[::-1]
                group = {u: new if g == old else g for u, g in group.items()}
        for root in dict.fromkeys(group.values()):
            mask = np.zeros(blocks.allowed.shape[1], bool)
            mask[[blocks.of_unit[unit] for unit in units if group[unit] == root]] = True
            found[mask.tobytes()] = mask
    return np.array(list(found.values()), bool).reshape(-1, blocks.allowed.shape[1])


class Moves:
    """Draws changes of placements of one problem."""

    def __init__(self, problem: Problem, blocks: Blocks, generator: np.random.Generator) -> None:
        self._allowed, self._draw = blocks.allowed, generator
        self._devices, self._blocks = blocks.allowed.shape
        self._place = np.arange(self._blocks)[:, None]
        self._branches = branches_of(problem, blocks)
        #: Devices that may hold a block, those of a block one after the other.
        self._able = [np.flatnonzero(blocks.allowed[:, block]) for block in range(self._blocks)]
        self._counts = np.array([len(able) for able in self._able])
        self._table = np.zeros((self._blocks, self._devices), np.int64)
        for block, able in enumerate(self._able):
            self._table[block, : len(able)] = able

    def random(self, count: int) -> Small:
        """Return placements of a few runs of any devices: as many runs as devices, on average half of those."""
        draw = self._draw
        found = np.zeros((self._blocks, count), np.int16)
        for column in range(count):
            runs = int(draw.integers(1, self._devices + 1))
            cuts = np.sort(draw.integers(self._blocks + 1, size=runs - 1))
            order = draw.permutation(self._devices)[:runs]
            found[:, column] = np.repeat(order, np.diff(cuts, prepend=0, append=self._blocks))
        fallback = self._table[np.arange(self._blocks), 0][:, None]
        return np.where(self._allowed[found, self._place], found, fallback).astype(np.int16)

    def of(self, parents: Small, hottest: Integers, each: int) -> Small:
        """Return `each` changed copies of every column of `parents` (blocks, K), those of a column together.

        `hottest` (K,) is the device of each that a change should help most.
        """
        draw, count = self._draw, parents.shape[1] * each
        old = np.repeat(parents, each, axis=1)
        hot = np.repeat(hottest, each)
        kind = draw.choice(len(_SHARES), size=count, p=_SHARES)
        at = self._places(old, hot)
        new = self._changed(old, parents, kind, at)
        return np.where(self._allowed[new, self._place], new, old)

    def _places(self, old: Small, hot: Integers) -> Integers:
        """Return a block of each column: half of them of the hottest device, where it has any."""
        count = old.shape[1]
        weight = self._draw.random(old.shape, dtype=np.float32)
        weight += (old == hot) & (self._draw.random(count) < 0.5)
        return np.asarray(weight.argmax(axis=0))

    def _device(self, at: Integers) -> Integers:
        """Return any device that may hold a block."""
        counts = self._counts[at]
        return np.asarray(self._table[at, (self._draw.random(len(at)) * counts).astype(np.int64)])

    def _length(self, count: int) -> Integers:
        """Return lengths of which short ones are as likely as long ones: evenly drawn logarithms."""
        return np.asarray(np.exp(self._draw.random(count) * np.log(self._blocks + 0.5)), np.int64).clip(1)

    def _changed(self, old: Small, parents: Small, kind: Integers, at: Integers) -> Small:
        draw, count, last = self._draw, len(kind), self._blocks - 1
        column = np.arange(count)
        begins, ends = _runs(old)
        begin, end = begins[at, column], ends[at, column]
        length, is_back = self._length(count), draw.random(count) < 0.5
        own = old[at, column].astype(np.int64)
        near = old[np.where(is_back, np.maximum(begin - 1, 0), np.minimum(end, last)), column]
        device = np.where(draw.random(count) < 0.35, near, self._device(at))
        # A run grows over its neighbour; a stretch; a run; the rest of a run goes to another device.
        low = np.select([kind == 0, kind == 1, kind == 2], [np.where(is_back, begin - length, end), at, begin], begin)
        high = np.select(
            [kind == 0, kind == 1, kind == 2], [np.where(is_back, begin, end + length), at + length, end], end
        )
        rest = kind == 3
        low = np.where(rest & is_back, at, low)
        high = np.where(rest & ~is_back, at + 1, high)
        device = np.where(kind == 0, own, device)
        new = np.where((self._place >= low) & (self._place < high), device.astype(np.int16), old)
        self._exchange(new, old, np.flatnonzero(kind == 4), own)
        self._exchange_runs(new, old, np.flatnonzero(kind == 5), at, begins, ends)
        self._move_branch(new, old, np.flatnonzero(kind == 6), device)
        mixed = np.flatnonzero(kind == 7)
        other = parents[:, draw.integers(parents.shape[1], size=len(mixed))]
        start = at[mixed] - length[mixed] // 2
        inside = (self._place >= start) & (self._place < start + length[mixed])
        new[:, mixed] = np.where(inside, other, old[:, mixed])
        return new

    def _exchange(self, new: Small, old: Small, columns: Integers, own: Integers) -> None:
        """Two devices change places."""
        one = own[columns].astype(np.int16)
        other = self._draw.integers(self._devices, size=len(columns)).astype(np.int16)
        part = old[:, columns]
        new[:, columns] = np.where(part == one, other, np.where(part == other, one, part))

    def _exchange_runs(
        self, new: Small, old: Small, columns: Integers, at: Integers, begins: Integers, ends: Integers
    ) -> None:
        """The devices of two runs change places."""
        first, second = at[columns], self._draw.integers(self._blocks, size=len(columns))
        part = old[:, columns]
        for to, source in ((first, second), (second, first)):
            inside = (self._place >= begins[to, columns]) & (self._place < ends[to, columns])
            part = np.where(inside, old[source, columns], part)
        new[:, columns] = part

    def _move_branch(self, new: Small, old: Small, columns: Integers, device: Integers) -> None:
        """A branch goes to another device; without branches, nothing happens."""
        if len(self._branches):
            chosen = self._branches[self._draw.integers(len(self._branches), size=len(columns))].T
            new[:, columns] = np.where(chosen, device[columns].astype(np.int16), old[:, columns])


def _runs(devices: Small) -> tuple[Integers, Integers]:
    """Return of each block where its run of one device begins and ends, half-open."""
    blocks = len(devices)
    place = np.arange(blocks)[:, None]
    changes = devices[1:] != devices[:-1]
    begins = np.zeros(devices.shape, np.int64)
    begins[1:] = np.maximum.accumulate(np.where(changes, place[1:], 0), axis=0)
    ends = np.full(devices.shape, blocks, np.int64)
    ends[:-1] = np.minimum.accumulate(np.where(changes, place[1:], blocks)[::-1], axis=0)[::-1]
    return begins, ends
