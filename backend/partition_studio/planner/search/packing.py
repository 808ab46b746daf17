"""A bound of the period that sees units and runs as wholes: what each device can hold, were it alone to choose.

A linear program gives each device a part of every unit, and leaves out that units are whole, and that a run has a
beginning and an end. Here each unit has a price, and each device takes the dearest set of units that it computes within
a period, with what beginning and ending its runs costs: a knapsack, solved by dynamic programming along the series of
units for all periods at once. As long as all devices together take less than what all units are worth, no placement
has that period. Prices of units that many devices take fall, those of units that none takes rise: Lagrange's relaxation
of "each unit exactly once" (Held and Karp 1971; as column generation, Dantzig and Wolfe 1960).
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from partition_studio.planner.search.problem.problem import STUDIO, Floats, Integers, Problem
from partition_studio.planner.search.problem.series import series_of

#: The period is told in so many steps. What a unit takes is rounded down to whole ones.
STEPS = 4096

#: How fast prices change at first, and by what factor less from one time to the next.
_RATE = 0.02
_SLOWER = 0.98

_NONE = -1e30


@dataclass(frozen=True)
class _Device:
    """What a device's units cost it, in steps: `unit_steps`; and for each joint, beginning and ending a run there."""

    allowed: list[bool]
    unit_steps: list[int]
    begin_steps: list[int]
    end_steps: list[int]


def packing_bound(problem: Problem, most_s: float, stop: Callable[[], bool], rounds: int) -> float:
    """Return seconds that no placement's period is below, `most_s` at most. The more rounds, the better it gets."""
    return _Packing(problem, most_s).bound(stop, rounds)


class _Packing:
    def __init__(self, problem: Problem, most_s: float) -> None:
        self._problem, self._step_s = problem, most_s / STEPS
        self._series = series_of(problem)
        most = problem.limits.max_devices
        self._most_devices = len(problem.devices) if most is None else most
        self._passed = [self._moved(place) for place in range(len(self._series.joints) + 1)]
        self._devices = [self._device(device) for device in range(len(problem.devices))]
        place_of = [(unit, False) for unit in self._series.between[0]]
        for place, joint in enumerate(self._series.joints):
            place_of += [(joint, True), *((unit, False) for unit in self._series.between[place + 1])]
        self._order = place_of

    def bound(self, stop: Callable[[], bool], rounds: int) -> float:
        """Return the best bound of so many rounds of prices; the first are those of the linear program, or near."""
        problem = self._problem
        speeds = np.where(problem.allowed, 1 / np.maximum(problem.compute_s, 1e-12), 0.0)
        prices = 1 / np.maximum(speeds.sum(axis=0), 1e-12)
        best, rate = 0, _RATE
        for _ in range(rounds):
            if stop():
                break
            prices = prices / prices.sum()
            tables = [_Table(device, self._order, prices) for device in self._devices]
            worth = np.array([table.worth for table in tables])
            together = np.sort(worth, axis=0)[-self._most_devices :].sum(axis=0)
            enough = np.flatnonzero(together >= 1 - 1e-9)
            step = int(enough[0]) if len(enough) else STEPS
            best = max(best, step)
            if step >= STEPS:
                break
            taken = np.zeros(len(prices))
            for table in tables:
                taken[table.taken(step)] += 1
            prices = prices * np.exp(-rate * (taken - 1))
            rate *= _SLOWER
        return best * self._step_s

    def _device(self, device: int) -> _Device:
        problem = self._problem
        # Where computing does not take all cores, the lane is busy longer than they are.
        is_full = bool(problem.cpu_per_s[device] >= problem.cores[device])
        carrying = 1 / float(problem.cores[device]) if is_full else 0.0
        message_s = float(problem.message_s[device]) * carrying if all(problem.reads) else 0.0
        byte_s = float(problem.byte_s[device]) * carrying
        begin, end = [], []
        for place in range(len(self._series.joints)):
            entering, leaving = self._passed[place], self._passed[place + 1]
            layout_s = float(problem.layout_byte_s[device])
            begin_s = message_s + byte_s * entering[0] + layout_s * entering[1] + float(problem.session_s[device])
            begin.append(self._steps(begin_s))
            end.append(self._steps(message_s + byte_s * leaving[0] + layout_s * leaving[1]))
        return _Device(
            allowed=[bool(allowed) for allowed in problem.allowed[device]],
            unit_steps=[self._steps(float(seconds)) for seconds in problem.compute_s[device]],
            begin_steps=begin,
            end_steps=end,
        )

    def _steps(self, seconds: float) -> int:
        return min(int(seconds / self._step_s), STEPS + 1)

    def _moved(self, place: int) -> tuple[int, int]:
        """Return the bytes that pass from one joint to the next for sure, and those in the runtime's layout."""
        joints, between = self._series.joints, self._series.between
        if between[place]:
            return 0, 0
        maker = joints[place - 1] if place else STUDIO
        if place == len(joints):
            results = [tensor for tensor in self._problem.tensors if tensor.producer == maker and tensor.is_output]
            return sum(tensor.size_bytes for tensor in results), 0
        passed = [t for t in self._problem.tensors if t.producer == maker and joints[place] in t.consumers]
        laid_out = sum(t.size_bytes for t in passed if maker != STUDIO and t.is_laid_out)
        return sum(tensor.size_bytes for tensor in passed), laid_out


class _Table:
    """What the dearest set of units is worth to a device that has so many steps for it: `worth`, (STEPS + 1,)."""

    def __init__(self, device: _Device, order: list[tuple[int, bool]], prices: Floats) -> None:
        self._order = order
        outside = np.zeros(STEPS + 1)
        inside = np.full(STEPS + 1, _NONE)
        # For each unit: whether it is taken, from outside a run or inside, by the steps that are used up after it.
        self._choices: list[tuple[Floats, Floats]] = []
        self._device = device
        place = 0
        for unit, is_joint in order:
            self._choices.append((outside, inside))
            steps, price = device.unit_steps[unit], float(prices[unit])
            if not is_joint:
                if device.allowed[unit]:
                    outside = np.maximum(outside, _later(outside, steps) + price)
                    inside = np.maximum(inside, _later(inside, steps) + price)
                continue
            ended = outside
            if place:
                ended = np.maximum(outside, _later(inside, device.end_steps[place - 1]))
            inside = np.maximum(_later(inside, steps), _later(outside, steps + device.begin_steps[place])) + price
            if not device.allowed[unit]:
                inside = np.full(STEPS + 1, _NONE)
            outside = ended
            place += 1
        self._places = place
        self._last = (outside, inside)
        end = device.end_steps[place - 1] if place else 0
        self._ended = np.maximum(outside, _later(inside, end))
        self.worth: Floats = np.maximum.accumulate(self._ended)

    def taken(self, steps: int) -> Integers:
        """Return the units of the dearest set for so many steps."""
        device, place = self._device, self._places
        left = int(np.argmax(self._ended[: steps + 1]))
        outside, inside = self._last
        end = device.end_steps[place - 1] if place else 0
        is_inside = left >= end and inside[left - end] >= outside[left]
        left -= end if is_inside else 0
        found: list[int] = []
        for (unit, is_joint), (before_out, before_in) in zip(
            reversed(self._order), reversed(self._choices), strict=True
        ):
            cost = device.unit_steps[unit]
            if not is_joint:
                now, before = (inside, before_in) if is_inside else (outside, before_out)
                if now[left] > before[left]:
                    found.append(unit)
                    left -= cost
            else:
                place -= 1
                if is_inside:
                    found.append(unit)
                    begin = cost + device.begin_steps[place]
                    stays = before_in[left - cost] if left >= cost else _NONE
                    begins = before_out[left - begin] if left >= begin else _NONE
                    is_inside = bool(stays > begins)
                    left -= cost if is_inside else begin
                elif place and outside[left] > before_out[left]:
                    is_inside = True
                    left -= device.end_steps[place - 1]
            outside, inside = before_out, before_in
        return np.array(found, dtype=np.int64)


def _later(worth: Floats, steps: int) -> Floats:
    """Return what was worth so much with `steps` more used up."""
    if steps == 0:
        return worth
    moved = np.full(STEPS + 1, _NONE)
    if steps <= STEPS:
        moved[steps:] = worth[: STEPS + 1 - steps]
    return moved
