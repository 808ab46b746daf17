"""Prices of units from the sets that are known so far: the linear program whose columns are sets of units."""

from collections.abc import Iterable

import numpy as np
from ortools.linear_solver import pywraplp

from partition_studio.planner.search.packing.tables import Column
from partition_studio.planner.search.problem.problem import Floats, Integers


class Master:
    """Chooses parts of sets, one of each device in all, so that each unit is in one, but for what is worth least.

    `worths` is what a unit counts that is in none, or in one too many: all together 1. `group_of` has the group of each
    unit, whose prices are in proportion to their worths: the fewer groups, the sooner good prices are found.
    """

    def __init__(self, worths: Floats, group_of: Integers, devices: int, most: int) -> None:
        solver = pywraplp.Solver.CreateSolver("GLOP")
        assert solver is not None, "OR-Tools comes with GLOP"
        self._solver, self._group_of = solver, group_of
        self._group_worths = np.bincount(group_of, weights=worths)
        self._share = worths / self._group_worths[group_of]
        self._covers = [solver.RowConstraint(1.0, 1.0, "") for _ in self._group_worths]
        self._own = [solver.RowConstraint(0.0, 1.0, "") for _ in range(devices)]
        self._together = solver.RowConstraint(0.0, float(most), "")
        self._columns: list[tuple[Column, pywraplp.Variable]] = []
        self._known: set[tuple[int, bytes]] = set()
        for cover, worth in zip(self._covers, self._group_worths, strict=True):
            for sign in (1.0, -1.0):
                slack = solver.NumVar(0.0, solver.infinity(), "")
                cover.SetCoefficient(slack, sign)
                solver.Objective().SetCoefficient(slack, float(worth))
        solver.Objective().SetMinimization()

    @property
    def columns(self) -> list[Column]:
        """All sets that were taken."""
        return [column for column, _ in self._columns]

    def add(self, columns: Iterable[Column]) -> bool:
        """Take sets; return whether any of them is new."""
        before = len(self._known)
        for column in columns:
            key = (column.device, column.units.tobytes())
            if key in self._known or not len(column.units):
                continue
            self._known.add(key)
            part = self._solver.NumVar(0.0, self._solver.infinity(), "")
            self._own[column.device].SetCoefficient(part, 1.0)
            self._together.SetCoefficient(part, 1.0)
            shares = np.bincount(self._group_of[column.units], weights=self._share[column.units])
            for group in np.flatnonzero(shares):
                self._covers[group].SetCoefficient(part, float(shares[group]))
            self._columns.append((column, part))
        return len(self._known) > before

    def keep_within(self, period_s: float) -> None:
        """Leave out the sets that need a longer period, and take those back that do not."""
        for column, part in self._columns:
            part.SetUb(self._solver.infinity() if column.least_s <= period_s else 0.0)

    def solve(self) -> tuple[float, Floats]:
        """Return what is in no set, or in too many, of 1 in all; and the units' prices, none beyond its worth."""
        status = self._solver.Solve()
        if status != pywraplp.Solver.OPTIMAL:
            return 0.0, np.zeros(len(self._group_of))
        prices = np.array([cover.dual_value() for cover in self._covers])
        return float(self._solver.Objective().Value()), prices[self._group_of] * self._share
