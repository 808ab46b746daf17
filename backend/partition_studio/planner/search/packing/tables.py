"""What the dearest set of units is worth to each of a few devices within a period: a knapsack along a walk.

Time is told in *cells*, a part of the period each, what comes and what goes over the interface in *levels*, far fewer.
All three are rounded down, so that a set that fits is never thought not to:

- A device's seconds of computing are rounded as sums from the first unit on, so that units in a row lose less than a
  cell in all, however many they are.
- Where a period has n levels, what keeps it has fewer than n: each part is rounded down, and a period counts as a bit
  longer than it is (a dual feasible function: Fekete and Schepers 2001, "New classes of fast lower bounds for bin
  packing problems", theorem 1).

A *row* is a state of the walk with levels used up; its entries are what is worth most with so many cells at most.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from partition_studio.planner.search.packing.rates import Rates
from partition_studio.planner.search.packing.walk import Amount, Choice, Step
from partition_studio.planner.search.problem.problem import Floats, Integers

#: Prices are whole numbers: what a set is worth is exact.
Worths = NDArray[np.int32]

#: Less than any set is worth, with room to add to it.
_NONE = -(2**30)

#: Sums of floats are right to this part at least; a period counts as so much longer.
_MORE = 1 + 1e-9

#: More cells than there are.
_NEVER = 2**30


@dataclass(frozen=True, slots=True)
class Grid:
    """How finely is told: cells of time, and levels of what comes and of what goes."""

    cells: int
    levels: int


@dataclass(frozen=True, slots=True)
class Column:
    """A set of units that a device may have. `least_s`: the shortest period that it fits in, without rounding."""

    device: int
    units: Integers
    least_s: float


@dataclass(frozen=True, eq=False)
class _Ways:
    """All n ways over one unit, in the order of the R rows behind it.

    `source`, `is_in`, `amounts` (n,): the row before, whether the unit comes in, and what that adds; `later` (D, n): by
    how many cells. `first` (R + 1,) is where the ways to each row behind begin; `more` has all but the first of each,
    as ways and rows.
    """

    source: Integers
    is_in: NDArray[np.bool_]
    amounts: Floats
    later: Integers
    first: Integers
    more: tuple[tuple[Integers, Integers], ...]


class Tables:
    """Devices whose interfaces are equally fast, within one period: their numbers, and what units cost them."""

    def __init__(
        self, steps: Sequence[Step], devices: Sequence[int], rates: Sequence[Rates], period_s: float, grid: Grid
    ) -> None:
        self.devices = tuple(devices)
        self._steps, self._rates, self._grid = steps, rates, grid
        self._period_s = period_s * _MORE
        cell_s = self._period_s / (grid.cells + 1)
        work = np.array([rate.compute_s for rate in rates])[:, [step.unit for step in steps]] / cell_s
        self._may = np.isfinite(work)
        # What takes longer than the period takes too long: sums stay small, and so does their rounding.
        done = np.cumsum(np.where(self._may, np.minimum(work, 2.0 * grid.cells + 4), 0.0), axis=1)
        self._done = np.concatenate([np.zeros((len(rates), 1)), done], axis=1)
        self._time = np.array([rate.time_s for rate in rates]) / cell_s
        self._ways: list[_Ways] = []
        self._begins: list[Integers] = []
        self._padded: dict[int, tuple[Worths, Worths]] = {}
        self._spare, self._size = 0, grid.cells + 1

    def solve(self, prices: Integers, stop: Callable[[], bool]) -> tuple[Worths, list[Column]] | None:
        """Return what the dearest set is worth by device and cells (D, cells + 1), and that set of each for all cells.

        None where it was stopped.
        """
        if not self._begins and not self._prepare(stop):
            return None
        begin = np.full((len(self.devices), 1, self._size), _NONE, dtype=np.int32)
        begin[:, :, self._spare :] = 0
        worths = [begin]
        for step, ways, begins in zip(self._steps, self._ways, self._begins, strict=True):
            if stop():
                return None
            worths.append(self._behind(worths[-1], ways, begins, np.int32(prices[step.unit])))
        return np.asarray(worths[-1].max(axis=1)[:, self._spare :]), self._dearest(worths, prices)

    def _prepare(self, stop: Callable[[], bool]) -> bool:
        """Set up the ways; return False where it was stopped."""
        self._ways = []
        for ways in self._all_ways():
            if stop():
                return False
            self._ways.append(ways)
        # A run may begin with less than it gives back for the part of a cell before it: one cell at most, in all.
        self._spare = int(any((ways.later < 0).any() for ways in self._ways))
        self._size = self._grid.cells + 1 + self._spare
        rows = [1, *(len(ways.first) - 1 for ways in self._ways[:-1])]
        self._begins = [self._begin(ways, before) for ways, before in zip(self._ways, rows, strict=True)]
        return True

    def _behind(self, worths: Worths, ways: _Ways, begins: Integers, price: np.int32) -> Worths:
        windows = self._windows(worths)
        gain = np.where(ways.is_in, price, np.int32(0))[:, None]
        first = ways.first[:-1]
        found = windows[begins[:, first]]
        found += gain[first]
        for way, rows in ways.more:
            other = windows[begins[:, way]]
            other += gain[way]
            found[:, rows] = np.maximum(found[:, rows], other)
        return np.asarray(found)

    def _windows(self, worths: Worths) -> Worths:
        """Return all that can be cut out of rows that have nothing before them, and their last entry once more."""
        devices, rows, size = worths.shape
        if rows not in self._padded:
            padded = np.full((devices, rows, 2 * size + 1), _NONE, dtype=np.int32)
            self._padded[rows] = padded, sliding_window_view(padded.reshape(-1), size)
        padded, windows = self._padded[rows]
        padded[:, :, size : 2 * size] = worths
        padded[:, :, 2 * size] = worths[:, :, -1]
        return windows

    def _begin(self, ways: _Ways, rows_before: int) -> Integers:
        """Return where the window of each way begins, (D, n): see `_windows`."""
        row = np.arange(len(self.devices))[:, None] * rows_before + ways.source
        return np.asarray(row * (2 * self._size + 1) + self._size - np.minimum(ways.later, self._size))

    def _all_ways(self) -> Iterator[_Ways]:
        """Yield the ways of each step; states that cannot be reached within the levels are left out."""
        state, used = np.zeros(1, dtype=np.int64), np.zeros((1, 2), dtype=np.int64)
        count = self._grid.levels
        for place, step in enumerate(self._steps):
            sources, keys, added, laters = [], [], [], []
            for is_in, choice in ((False, step.stays_out), (True, step.comes_in)):
                after = used + self._levels(choice)[state]
                later = self._later(place, step, choice, is_in=is_in)
                can = (choice.to >= 0) & (later < _NEVER).any(axis=0)
                source = np.flatnonzero(can[state] & (after < count).all(axis=1))
                sources.append(source)
                keys.append((choice.to[state[source]] * count + after[source, 0]) * count + after[source, 1])
                added.append(choice.amounts[state[source]])
                laters.append(later[:, state[source]])
            key = np.concatenate(keys)
            order = np.argsort(key, kind="stable")
            known, first, ways = np.unique(key[order], return_index=True, return_counts=True)
            more = [(first[ways > rank] + rank, np.flatnonzero(ways > rank)) for rank in range(1, int(ways.max()))]
            yield _Ways(
                source=np.concatenate(sources)[order],
                is_in=order >= len(sources[0]),
                amounts=np.concatenate(added)[order],
                later=np.concatenate(laters, axis=1)[:, order],
                first=np.append(first, len(order)),
                more=tuple(more),
            )
            state, used = known // count**2, np.column_stack([known // count % count, known % count])

    def _levels(self, choice: Choice) -> Integers:
        """Return the levels of what comes and of what goes that a choice uses up from each state, (S, 2)."""
        level_s = self._period_s / self._grid.levels
        rate = self._rates[0]
        moved_s = choice.amounts[:, [Amount.IN_BYTES, Amount.OUT_BYTES]] * np.array([rate.in_s, rate.out_s])
        return np.asarray(np.minimum(moved_s / level_s, self._grid.levels), dtype=np.int64)

    def _later(self, place: int, step: Step, choice: Choice, *, is_in: bool) -> Integers:
        """Return the cells that a choice uses up from each state, (D, S): `_NEVER` where it cannot be."""
        extra = self._time @ choice.amounts.T
        before, behind = self._done[:, place, None], self._done[:, place + 1, None]
        part = before - np.floor(before)
        if is_in:
            cells = np.floor(extra - np.where(step.was_in, 0.0, part)) + np.floor(behind) - np.floor(before)
        else:
            cells = np.floor(extra + np.where(step.was_in, part, 0.0))
        alone_s = np.array([(choice.amounts * rate.alone_s).max(axis=1) for rate in self._rates])
        can: NDArray[np.bool_] = (alone_s <= self._period_s) & (cells <= self._grid.cells + 1)
        if is_in:
            can &= self._may[:, place, None]
        return np.asarray(np.where(can, cells, _NEVER), dtype=np.int64)

    def _dearest(self, worths: list[Worths], prices: Integers) -> list[Column]:
        """Return each device's dearest set, going back from the last unit to where its worth came from."""
        count, last = len(self.devices), self._size - 1
        device = np.arange(count)
        row = worths[-1][:, :, last].argmax(axis=1)
        cell, worth = np.full(count, last), worths[-1][device, row, last].astype(np.int64)
        taken = np.zeros((len(self._steps), count), dtype=np.bool_)
        amounts, most = np.zeros((count, len(Amount))), np.zeros((count, len(Amount)))
        for place in reversed(range(len(self._steps))):
            ways, before, price = self._ways[place], worths[place], int(prices[self._steps[place].unit])
            way = ways.first[row]
            end, is_found = ways.first[row + 1], np.zeros(count, dtype=np.bool_)
            while True:
                rest = np.minimum(cell - ways.later[device, way], last)
                left = worth - np.where(ways.is_in[way], price, 0)
                is_found = (rest >= 0) & (before[device, ways.source[way], rest] == left)
                if is_found.all():
                    break
                way = np.where(is_found, way, way + 1)
                assert (way < end).all(), "what is worth so much came from some row"
            row, cell, worth, taken[place] = ways.source[way], rest, left, ways.is_in[way]
            amounts, most = amounts + ways.amounts[way], np.maximum(most, ways.amounts[way])
        units = np.array([step.unit for step in self._steps])
        return [
            Column(self.devices[number], units[taken[:, number]], rate.least_s(units[taken[:, number]], one, each))
            for number, (rate, one, each) in enumerate(zip(self._rates, amounts, most, strict=True))
        ]
