"""What of contiguous runs is sure whatever lies around them: which are one stage, and a way that a frame must take."""

import itertools
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from partition_studio.planner.search.chain.stopped import StoppedError
from partition_studio.planner.search.problem.problem import STUDIO, Integers, Problem


@dataclass(frozen=True, slots=True)
class Edge:
    """Where the spine crosses a border: a tensor from one unit to another."""

    maker: int
    reader: int
    size_bytes: int


@dataclass(frozen=True)
class Runs:
    """See `sure_runs`.

    `is_sure` (borders, width): whether the run is one stage in every chain; `is_sure_behind_one`: whether it is, where
    all units that it reads from are in one stage of the run before. The *spine* is one way through the units,
    from the first to an output: `spine` (U,) says which lie on it, `spine_at` where it crosses each border.
    `input_bytes`: of what its first unit reads of the studio, if anything; `output_bytes` of what its last one makes.
    """

    is_sure: NDArray[np.bool_]
    is_sure_behind_one: NDArray[np.bool_]
    spine_units: tuple[int, ...]
    spine: NDArray[np.bool_]
    spine_at: tuple[Edge | None, ...]
    input_bytes: int | None
    output_bytes: int
    order: "Order"

    def is_with_spine(self, border: int, maker: int) -> bool:
        """Whether a tensor's maker is surely in the stage that makes the spine's tensor at a border."""
        edge = self.spine_at[border]
        return edge is not None and edge.maker != STUDIO and self.order.is_one_stage(maker, edge.maker)


class Order:
    """Which units come before which; sets of units are the bits of integers."""

    def __init__(self, problem: Problem) -> None:
        count = len(problem.units)
        self.makers: list[list[int]] = [
            sorted({problem.tensors[t].producer for t in reads} - {STUDIO}) for reads in problem.reads
        ]
        self.before = [0] * count
        self.behind = [0] * count
        for unit, makers in enumerate(self.makers):
            for maker in makers:
                self.before[unit] |= self.before[maker] | 1 << maker
        for unit in reversed(range(count)):
            for maker in self.makers[unit]:
                self.behind[maker] |= self.behind[unit] | 1 << unit
        self._one_stage: dict[tuple[int, int], bool] = {}

    def is_one_stage(self, unit: int, later: int) -> bool:
        """Whether two units are in one stage in every run that holds both: nothing comes in on the way between them."""
        if unit == later:
            return True
        if unit > later or not self.before[later] >> unit & 1:
            return False
        key = unit, later
        if key not in self._one_stage:
            between = self.behind[unit] & (self.before[later] | 1 << later)
            known = between | self.before[unit] | 1 << unit
            self._one_stage[key] = all(
                known >> maker & 1
                for inner in range(unit + 1, later + 1)
                if between >> inner & 1
                for maker in self.makers[inner]
            )
        return self._one_stage[key]


def sure_runs(problem: Problem, borders: Integers, width: int, stop: Callable[[], bool]) -> Runs:
    """Return what is sure of the runs between `borders` that span at most `width` of them. Raises StoppedError."""
    order = Order(problem)
    units = _longest_way(problem, order)
    spine = np.zeros(len(problem.units), dtype=np.bool_)
    spine[list(units)] = True
    at: list[Edge | None] = [None] * len(borders)
    for maker, reader in itertools.pairwise(units):
        sizes = [t.size_bytes for t in problem.tensors if t.producer == maker and reader in t.consumers]
        for border in range(int(np.searchsorted(borders, maker, side="right")), len(borders)):
            if borders[border] > reader:
                break
            at[border] = Edge(maker, reader, max(sizes))
    read = [t.size_bytes for t in problem.tensors if t.producer == STUDIO and units[0] in t.consumers]
    made = [t.size_bytes for t in problem.tensors if t.producer == units[-1] and t.is_output]
    is_sure, is_sure_behind_one = _sure(problem, order, borders, width, stop)
    return Runs(
        is_sure=is_sure,
        is_sure_behind_one=is_sure_behind_one,
        spine_units=units,
        spine=spine,
        spine_at=tuple(at),
        input_bytes=max(read, default=None),
        output_bytes=max(made),
        order=order,
    )


def _longest_way(problem: Problem, order: Order) -> tuple[int, ...]:
    """Return the way to an output that takes longest on the average device."""
    mean_s = problem.compute_s.mean(axis=0)
    longest = [0.0] * len(problem.units)
    via: list[int | None] = [None] * len(problem.units)
    for unit, makers in enumerate(order.makers):
        via[unit] = max(makers, key=lambda maker: longest[maker], default=None)
        before = via[unit]
        longest[unit] = float(mean_s[unit]) + (0.0 if before is None else longest[before])
    ends = [t.producer for t in problem.tensors if t.is_output and t.producer != STUDIO]
    way: list[int] = []
    here: int | None = max(ends, key=lambda end: longest[end])
    while here is not None:
        way.append(here)
        here = via[here]
    return tuple(reversed(way))


def _sure(
    problem: Problem, order: Order, borders: Integers, width: int, stop: Callable[[], bool]
) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """Return which runs are even (see `units`) and connected, so one stage each; and which are behind one stage."""
    last = len(borders) - 1
    even, behind_one = (np.zeros((len(borders), width), dtype=np.bool_) for _ in range(2))
    for begin in range(last):
        if stop():
            raise StoppedError
        grown = _Grown(problem, order, int(borders[begin]))
        for end in range(begin + 1, min(begin + width, last) + 1):
            for unit in range(int(borders[end - 1]), int(borders[end])):
                grown.add(unit)
            column = end - 1 - begin
            even[begin, column] = grown.is_connected and not grown.is_uneven
            behind_one[begin, column] = grown.is_connected and grown.is_fed
    return even, behind_one


class _Grown:
    """A run that grows unit by unit."""

    def __init__(self, problem: Problem, order: Order, begin: int) -> None:
        self._problem, self._order, self._begin = problem, order, begin
        self._outside, self._common = 0, -1
        self._piece_of: dict[int, int] = {}
        self._reader: dict[int, int] = {}
        self._pieces = 0
        self._firsts_without = 0
        self.is_uneven = False

    @property
    def is_connected(self) -> bool:
        """Whether its units hang together, by what they read as well."""
        return self._pieces == 1

    @property
    def is_fed(self) -> bool:
        """Whether all or none of its first units read from units before the run."""
        return not self._outside or not self._firsts_without

    def add(self, unit: int) -> None:
        """Grow by the next unit."""
        inside = [maker for maker in self._order.makers[unit] if maker >= self._begin]
        for maker in self._order.makers[unit]:
            if maker < self._begin:
                self._outside |= 1 << maker
        if not inside:
            self._common &= self._order.before[unit]
            self._firsts_without += not self._order.makers[unit]
        # Once uneven, a run stays so: what comes later changes neither what is outside nor what is first.
        self.is_uneven = self._outside & ~self._common != 0
        near = {self._root(maker) for maker in inside}
        for number in self._problem.reads[unit]:
            if self._problem.tensors[number].producer >= self._begin:
                continue
            if number in self._reader:
                near.add(self._root(self._reader[number]))
            self._reader.setdefault(number, unit)
        self._piece_of[unit] = unit
        for piece in near:
            self._piece_of[piece] = unit
        self._pieces += 1 - len(near)

    def _root(self, unit: int) -> int:
        while self._piece_of[unit] != unit:
            unit = self._piece_of[unit]
        return unit
