"""A bound of the period that sees units, runs and what they carry as wholes: what each device can hold by itself.

A linear program gives each device a part of every unit, and leaves out that units are whole, that a run has a beginning
and an end, and what passes there. Here each unit has a price, and each device takes the dearest set of units that it
computes, receives and sends within a period (`tables`). As long as all devices together take less than what all units
are worth, no placement has that period. Good prices are those of a linear program over sets: the units' prices where
the sets that are known cover as much as they can (column generation: Dantzig and Wolfe 1960; prices between the best
and the newest, as by Wentges 1997). Periods are tried one by one, roughly at first, then with more prices and finer
tables.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from partition_studio.planner.search.packing.master import Master
from partition_studio.planner.search.packing.rates import rates_of
from partition_studio.planner.search.packing.tables import Column, Grid, Tables, Worths
from partition_studio.planner.search.packing.walk import Step, walk_of
from partition_studio.planner.search.problem.problem import Floats, Integers, Problem


@dataclass(frozen=True, slots=True)
class _Stage:
    """How finely is told, and how many prices there are; a stage ends where the bound is known to a part `near`."""

    grid: Grid
    prices: int
    near: float


_STAGES = (
    _Stage(Grid(64, 2), 30, 0.02),
    _Stage(Grid(256, 2), 45, 0.005),
    _Stage(Grid(1024, 3), 90, 0.0015),
    _Stage(Grid(2048, 4), 240, 0.0005),
)

#: Rounds of prices for one period.
_ROUNDS = 40

#: States of a walk, and bytes that tables may take at once.
_MOST_STATES = 48
_MOST_BYTES = 150_000_000

#: What all units are worth, in whole numbers.
_ALL = 2**22

#: Where less than this part of all is not covered, prices will not show that anything is.
_COVERED = 1e-6

#: Sums of floats are right to this part at least.
_MORE = 1 + 1e-9

#: The part of the best prices in new ones.
_OLD = 0.3


def packing_bound(
    problem: Problem,
    most_s: float,
    stop: Callable[[], bool],
    rounds: int,
    on_bound: Callable[[float], None] | None = None,
) -> float:
    """Return seconds that no placement's period is below, `most_s` at most. The more rounds, the better it gets.

    Holds for whole layers only. Where it returns `most_s`, no placement is below that. Else the bound falls short by a
    few thousandths at least, as tables round down. `on_bound` is told each better bound.
    """
    if not problem.allowed.any(axis=0).all():
        return most_s
    packing = _Packing(problem, most_s, stop, rounds, on_bound or (lambda _: None))
    return packing.bound() if 0 < packing.least_s < most_s < math.inf else min(packing.least_s, most_s)


class _Packing:
    def __init__(
        self,
        problem: Problem,
        most_s: float,
        stop: Callable[[], bool],
        rounds: int,
        on_bound: Callable[[float], None],
    ) -> None:
        self._most_s = most_s
        self._stop, self._left, self._on_bound = stop, rounds, on_bound
        count = len(problem.devices)
        most = problem.limits.max_devices
        self._most_devices = count if most is None else most
        speeds = np.where(problem.allowed, 1 / np.maximum(problem.compute_s, 1e-12), 0.0)
        worths = 1 / np.maximum(speeds.sum(axis=0), 1e-12)
        self._worths: Floats = worths / worths.sum()
        self._prices = self._worths
        # In a second, a device computes no more than what is dearest for its time.
        dearest = (np.where(problem.allowed, self._worths, 0.0) / np.maximum(problem.compute_s, 1e-12)).max(axis=1)
        self.least_s = self._best_s = float(1 / np.sort(dearest)[-self._most_devices :].sum()) / _MORE
        self._rates = [rates_of(problem, device) for device in range(count)]
        self._alike: dict[tuple[float, float], list[int]] = {}
        for device, rate in enumerate(self._rates):
            self._alike.setdefault((rate.in_s, rate.out_s), []).append(device)
        self._walk = walk_of(problem, _MOST_STATES)
        self._steps: list[Step] = []
        self._columns: list[Column] = []

    def bound(self) -> float:
        """Go through the stages until stopped."""
        for step in self._walk:
            if self._is_over():
                return self._best_s
            self._steps.append(step)
        for number, stage in enumerate(_STAGES):
            master = Master(self._worths, self._groups(stage.prices), len(self._rates), self._most_devices)
            master.add(self._columns)
            self._approach(master, stage, is_first=number == 0)
            self._columns = master.columns
            if self._is_over():
                break
        return self._best_s

    def _is_over(self) -> bool:
        return self._stop() or self._left <= 0 or self._best_s >= self._most_s

    def _approach(self, master: Master, stage: _Stage, *, is_first: bool) -> None:
        """Try longer periods while they are proved, then such between the bound and what was not.

        What is proved takes few rounds, and what is not many: so at first half of the way, later but a step.
        """
        failed_s = math.inf
        while not self._is_over():
            near_s = self._best_s * (1 + stage.near)
            if failed_s < math.inf:
                period_s = math.sqrt(self._best_s * failed_s)
                if failed_s <= near_s:
                    break
            else:
                half_s = math.sqrt(self._best_s * self._most_s) if is_first else near_s * (1 + stage.near)
                period_s = min(max(half_s, near_s), self._most_s)
            if not self._prove(period_s, master, stage.grid):
                failed_s = period_s

    def _prove(self, period_s: float, master: Master, grid: Grid) -> bool:
        """Return whether prices are found that show that no placement has a period."""
        master.keep_within(period_s)
        tables = self._tables(period_s, grid)
        best, most, is_new = self._prices, -math.inf, True
        prices = best
        for _ in range(_ROUNDS):
            if self._is_over():
                return False
            self._left -= 1
            whole = np.round(prices / np.abs(prices).sum() * _ALL).astype(np.int64)
            found = self._solve(tables, whole)
            if found is None:
                return False
            worths, columns = found
            enough = np.flatnonzero(worths >= whole.sum())
            if not len(enough):
                self._prices = prices
                self._raise(period_s)
                return True
            self._raise(int(enough[0]) / (grid.cells + 1) * period_s)
            rest = float(whole.sum() - worths[-1]) / _ALL * float(np.abs(prices).sum())
            if rest > most:
                most, best = rest, prices
                self._prices = best
            was_new, is_new = is_new, master.add(columns)
            if not (was_new or is_new):
                return False
            uncovered, newest = master.solve()
            if uncovered <= _COVERED:
                return False
            prices = _OLD * best + (1 - _OLD) * newest if is_new else newest
        return False

    def _solve(self, tables: list[Tables], prices: Integers) -> tuple[Integers, list[Column]] | None:
        """Return what all devices take together, by cells, and their sets; None where it was stopped."""
        worths: list[Worths] = []
        columns: list[Column] = []
        for table in tables:
            found = table.solve(prices, self._stop)
            if found is None:
                return None
            worths.append(found[0])
            columns += found[1]
        dearest = np.sort(np.concatenate(worths), axis=0)[-self._most_devices :]
        return dearest.sum(axis=0, dtype=np.int64), columns

    def _tables(self, period_s: float, grid: Grid) -> list[Tables]:
        states = sum(step.states_behind for step in self._steps)
        together = max(1, _MOST_BYTES // (4 * states * grid.levels**2 * (grid.cells + 2)))
        found = []
        for alike in self._alike.values():
            for first in range(0, len(alike), together):
                devices = alike[first : first + together]
                rates = [self._rates[device] for device in devices]
                found.append(Tables(self._steps, devices, rates, period_s, grid))
        return found

    def _groups(self, most: int) -> Integers:
        """Return the group of each unit: neighbours of like worth in all."""
        order = [step.unit for step in self._steps]
        worths = self._worths[order]
        part = np.minimum((np.cumsum(worths) - worths / 2) * most, most - 1).astype(np.int64)
        groups = np.zeros(len(order), dtype=np.int64)
        groups[order] = np.unique(part, return_inverse=True)[1]
        return groups

    def _raise(self, period_s: float) -> None:
        if period_s > self._best_s:
            self._best_s = period_s
            self._on_bound(period_s)
