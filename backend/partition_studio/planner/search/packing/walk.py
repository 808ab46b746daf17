"""All sets of units that one device may get, as ways through a graph of few states, with what each costs to carry.

A set is told unit by unit, in an order that keeps to the series (see `problem.series`). What was told so far is a
*state* as far as later costs hang on it: whether the last joint is in the set with all behind it, and of each tensor
that has readers yet, whether it is made on the device, and whether it was received or sent already. A tensor is
received once at least by each stage, and sent once at least to each stage elsewhere, that reads it:

- A joint that is not in the set, or not in the stage of the joint before, ends all stages: what is read behind it is
  received again.
- Readers elsewhere before and behind a joint that is in the set are in different stages: their tensor is sent twice.

The costs of a way are never above those of the set's stages in any placement. Where more states come up than `most`,
some tensors' carrying is left out.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from enum import IntEnum

import numpy as np
from numpy.typing import NDArray

from partition_studio.planner.search.problem.problem import STUDIO, Floats, Integers, Problem
from partition_studio.planner.search.problem.series import series_of


class Amount(IntEnum):
    """The columns of `Choice.amounts`: what a unit's coming in or staying out adds to a device's work.

    `LARGEST_IN` and `LARGEST_OUT` are the largest tensors from and to other devices, of those that are counted there.
    """

    STAGES = 0
    MESSAGES = 1
    IN_BYTES = 2
    OUT_BYTES = 3
    LAYOUT_BYTES = 4
    LARGEST_IN = 5
    LARGEST_OUT = 6
    STUDIO_IN = 7
    STUDIO_OUT = 8


class _Run(IntEnum):
    """What is known since the last joint."""

    #: Neither that joint nor any unit behind it is in the set.
    AWAY = 0
    #: That joint is not, but some unit behind it is.
    APART = 1
    #: That joint is, and all units behind it are.
    WHOLE = 2
    #: That joint is, and some unit behind it is not.
    BROKEN = 3


#: A tensor that was made on another peer, or on the device: not carried to the stage in question yet, or so. `_AGAIN`:
#: it was sent to other stages, not to this one; the runtime's layout changes for all at once.
_ELSEWHERE, _RECEIVED, _HERE, _SENT, _AGAIN = range(5)

#: Whether the last unit is in the set, what is known since the last joint, and of each tensor with readers to come.
_State = tuple[bool, _Run, tuple[tuple[int, int], ...]]

#: Nothing is in the set yet.
_FIRST: _State = (False, _Run.AWAY, ())


@dataclass(frozen=True, slots=True)
class Choice:
    """What follows from each state where a unit is in the set, or is not: S states.

    `to` (S,) is the state behind it, -1 where this cannot be; `amounts` (S, 9) what it adds, see `Amount`.
    """

    to: Integers
    amounts: Floats


@dataclass(frozen=True, slots=True)
class Step:
    """A unit with both choices. `was_in` (S,): whether the unit before it in the order is in the set."""

    unit: int
    was_in: NDArray[np.bool_]
    stays_out: Choice
    comes_in: Choice
    states_behind: int


def walk_of(problem: Problem, most: int) -> Iterator[Step]:
    """Yield a step for each unit, with `most` states before and behind it where that can be."""
    walk = _Walk(problem)
    for place in range(len(problem.units)):
        yield walk.step(place, most)


class _Walk:
    def __init__(self, problem: Problem) -> None:
        self._problem = problem
        series = series_of(problem)
        self._joints = frozenset(series.joints)
        self._order = list(series.between[0])
        for joint, behind in zip(series.joints, series.between[1:], strict=True):
            self._order += [joint, *behind]
        place = {unit: number for number, unit in enumerate(self._order)}
        self._last_use = [max((place[unit] for unit in t.consumers), default=-1) for t in problem.tensors]
        self._makes: list[list[int]] = [[] for _ in problem.units]
        for number, tensor in enumerate(problem.tensors):
            if tensor.producer != STUDIO:
                self._makes[tensor.producer].append(number)
        # A stage that reads anything receives a message at least, and one with a joint sends one.
        self._has_messages = all(problem.reads)
        self._ignored: set[int] = set()
        self._states: list[_State] = [_FIRST]

    def step(self, place: int, most: int) -> Step:
        """Return the next step."""
        number: dict[_State, int] = {}
        choices = [self._choice(place, is_in, number) for is_in in (False, True)]
        was_in = np.array([state[0] for state in self._states], dtype=np.bool_)
        states = list(number)
        same = np.arange(len(states))
        while len(states) > most and states[0][2]:
            states, merged = self._without_smallest(states)
            same = merged[same]
        self._states = states
        stays_out, comes_in = (Choice(np.where(c.to < 0, -1, same[c.to]), c.amounts) for c in choices)
        return Step(self._order[place], was_in, stays_out, comes_in, len(states))

    def _without_smallest(self, states: list[_State]) -> tuple[list[_State], Integers]:
        """Leave the smallest tensor out from here on; return the states, and which of them each one becomes."""
        sizes = {number: self._problem.tensors[number].size_bytes for number, _ in states[0][2]}
        least = min(sizes, key=lambda number: (sizes[number], number))
        self._ignored.add(least)
        number: dict[_State, int] = {}
        merged = []
        for is_in, run, carried in states:
            left: _State = (is_in, run, tuple(pair for pair in carried if pair[0] != least))
            merged.append(number.setdefault(left, len(number)))
        return list(number), np.array(merged)

    def _choice(self, place: int, is_in: bool, number: dict[_State, int]) -> Choice:
        to = np.full(len(self._states), -1, dtype=np.int64)
        amounts = np.zeros((len(self._states), len(Amount)))
        for index, state in enumerate(self._states):
            behind = self._move(state, place, is_in, amounts[index])
            if behind is not None:
                to[index] = number.setdefault(behind, len(number))
        return Choice(to, amounts)

    def _move(self, state: _State, place: int, is_in: bool, amounts: Floats) -> _State | None:
        """Return the state behind a unit, and add to `amounts`; None where a tensor would travel that cannot."""
        unit = self._order[place]
        _, run, pairs = state
        carried = dict(pairs)
        if unit in self._joints:
            self._pass_joint(run, is_in, carried, amounts)
            run = _Run.WHOLE if is_in else _Run.AWAY
        elif is_in:
            run = _Run.APART if run == _Run.AWAY else run
        else:
            run = _Run.BROKEN if run == _Run.WHOLE else run
        for tensor in self._problem.reads[unit]:
            if tensor not in self._ignored and not self._read(tensor, is_in, carried, amounts):
                return None
        for tensor in self._makes[unit]:
            carried[tensor] = _HERE if is_in else _ELSEWHERE
            if is_in and self._problem.tensors[tensor].is_output:
                amounts[[Amount.OUT_BYTES, Amount.STUDIO_OUT]] += self._problem.tensors[tensor].size_bytes
        if place == len(self._order) - 1 and run == _Run.APART:
            self._begin(amounts, messages=1)
        return is_in, run, tuple(sorted(pair for pair in carried.items() if self._last_use[pair[0]] > place))

    def _pass_joint(self, run: _Run, is_in: bool, carried: dict[int, int], amounts: Floats) -> None:
        is_new = is_in and run != _Run.WHOLE
        if is_new:
            self._begin(amounts, messages=2)
        elif not is_in and run == _Run.APART:
            self._begin(amounts, messages=1)
        for tensor, how in carried.items():
            if how == _RECEIVED and (is_new or not is_in):
                carried[tensor] = _ELSEWHERE
            elif how == _SENT and is_in:
                carried[tensor] = _AGAIN

    def _begin(self, amounts: Floats, messages: int) -> None:
        amounts[Amount.STAGES] += 1
        amounts[Amount.MESSAGES] += messages if self._has_messages else 0

    def _read(self, number: int, is_in: bool, carried: dict[int, int], amounts: Floats) -> bool:
        """Take note of a reader; return whether that may be."""
        tensor, how = self._problem.tensors[number], carried.get(number, _ELSEWHERE)
        carried[number] = how
        if is_in and how == _ELSEWHERE:
            every, largest, carried[number] = Amount.IN_BYTES, Amount.LARGEST_IN, _RECEIVED
        elif not is_in and how in (_HERE, _AGAIN):
            every, largest, carried[number] = Amount.OUT_BYTES, Amount.LARGEST_OUT, _SENT
        else:
            return True
        amounts[every] += tensor.size_bytes
        if tensor.producer == STUDIO:
            amounts[Amount.STUDIO_IN] += tensor.size_bytes
            return tensor.travels
        amounts[largest] = max(amounts[largest], tensor.size_bytes)
        if tensor.is_laid_out and how != _AGAIN:
            amounts[Amount.LAYOUT_BYTES] += tensor.size_bytes
        return tensor.travels
