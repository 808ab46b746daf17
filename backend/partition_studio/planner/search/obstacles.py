"""Why no plan is feasible: which limits stand in the way, what would be needed, and which must be loosened together.

Each limit is lifted alone, and the least sought of what it speaks of, all others being kept. Where no single one
helps, all are lifted, and put back one after the other as long as some plan keeps them: those that are left must be
loosened together.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from partition_studio.planner.errors import Obstacle
from partition_studio.planner.search.general.cp_sat import Least, least
from partition_studio.planner.search.general.relaxed_costs import MOST_BYTES, Goal
from partition_studio.planner.search.problem.problem import STUDIO, Problem
from partition_studio.planner.search.question import Limits, Objective
from partition_studio.planner.search.stopping import Either, Stop
from partition_studio.planner.search.text import energy_text, rate_text, time_text
from partition_studio.sizes import size_text

_LIFTS: dict[str, Callable[[Limits], Limits]] = {
    "min_throughput_per_s": lambda limits: replace(limits, min_throughput_per_s=None),
    "max_latency_s": lambda limits: replace(limits, max_latency_s=None),
    "max_energy_j": lambda limits: replace(limits, max_energy_j=None),
    "max_total_energy_j": lambda limits: replace(limits, max_total_energy_j=None),
    "max_devices": lambda limits: replace(limits, max_devices=None),
}

#: Of the time that was given for looking for a plan, so much goes at most into why there is none.
SHARE = 1 / 3

#: Digits of figures: enough to tell what is allowed from what is needed.
_DIGITS = 4

#: Instead of a limit of memory that was lifted.
_ENDLESS_BYTES = 2**62

#: Limits of what a plan costs, with the objective that speaks of the same figure.
_OF_COSTS: dict[str, Objective] = {
    "min_throughput_per_s": "throughput",
    "max_latency_s": "latency",
    "max_energy_j": "max_energy",
    "max_total_energy_j": "total_energy",
}


@dataclass(frozen=True)
class _Limit:
    """One limit: the field of `Limits` that it is from, the device or layer that it is about, and what it allows.

    `goal` is what it bounds; None where it only says what may lie where. `lift` takes it from a problem.
    """

    name: str
    subject: str
    allowed: float | None
    goal: Goal | None
    lift: Callable[[Problem], Problem]

    @property
    def phrase(self) -> str:
        """The limit, as a part of a sentence."""
        match self.name:
            case "memory_bytes":
                return f"the memory of {self.subject} ({size_text(self.allowed or 0)})"
            case "max_devices":
                return f"the number of devices ({self.allowed:.0f})"
            case "pins":
                return f"the pin of {self.subject}"
            case "input_on":
                return f"that the input stays on {self.subject}"
            case _:
                return f"{_FIGURES[self.name]} ({_amount(self.name, self.allowed or 0)})"


_FIGURES = {
    "min_throughput_per_s": "the throughput",
    "max_latency_s": "the latency",
    "max_energy_j": "the energy of each device",
    "max_total_energy_j": "the energy of all devices",
}


def obstacles(problem: Problem, stop: Stop, seconds: float) -> tuple[Obstacle, ...]:
    """Return what stands in the way of any plan, what helps first.

    `seconds` were given for the search itself; this takes `SHARE` of them at most, and no longer than until `stop`.
    Limits that were not got to are told as such.
    """
    limits = _limits_of(problem)
    if not limits:
        return ()
    seconds *= SHARE
    each_s = seconds / (2 * len(limits) + 1)
    found = []
    for limit in limits:
        if stop():
            found.append((limit, _NOT_LOOKED_FOR))
            continue
        goal = limit.goal or Goal(problem.objective)
        lifted = limit.lift(problem)
        # What may lie where has no figure to look for: any plan will do.
        answer = least(lifted, goal, None, stop, _ignore, each_s) if limit.goal else _any(lifted, stop, each_s)
        found.append((limit, answer))
    told = [_tell(limit, answer) for limit, answer in found]
    if all(answer.assignment is None for _, answer in found) and len(limits) > 1 and not stop():
        told = [*_together(problem, limits, stop, seconds - each_s * len(limits)), *told]
    # What helps alone comes first.
    return tuple(sorted(told, key=lambda obstacle: obstacle.needed is None and obstacle.limit not in _SEVERAL))


_NOT_LOOKED_FOR = Least(None, None, math.inf, 0.0, is_exact=False)

_SEVERAL = ("several", "all_memory")


def _limits_of(problem: Problem) -> list[_Limit]:
    limits, found = problem.limits, []
    for name, objective in _OF_COSTS.items():
        allowed = getattr(limits, name)
        if allowed is not None:
            found.append(_Limit(name, "", float(allowed), Goal(objective), _lift_field(name)))
    for device, allowed in enumerate(problem.memory_bytes.tolist()):
        if allowed < MOST_BYTES:
            goal = Goal("memory", device)
            found.append(_Limit("memory_bytes", problem.devices[device], allowed, goal, _lift_memory({device})))
    if limits.max_devices is not None and limits.max_devices < len(problem.devices):
        allowed = float(limits.max_devices)
        found.append(_Limit("max_devices", "", allowed, Goal("devices"), _lift_field("max_devices")))
    pinned = {unit for unit, layers in enumerate(problem.units) if any(layer in limits.pins for layer in layers)}
    reading = {unit for tensor in problem.tensors if tensor.producer == STUDIO for unit in tensor.consumers}
    kept = reading if limits.input_on is not None else set()
    for unit in sorted(pinned - kept):
        layer = next(layer for layer in problem.units[unit] if layer in limits.pins)
        found.append(_Limit("pins", f"{layer} to {limits.pins[layer]}", None, None, _lift_places({unit})))
    if limits.input_on is not None:
        found.append(_Limit("input_on", limits.input_on, None, None, _lift_places(kept - pinned)))
    return found


def _lift_field(name: str) -> Callable[[Problem], Problem]:
    return lambda problem: replace(problem, limits=_LIFTS[name](problem.limits))


def _lift_memory(devices: set[int]) -> Callable[[Problem], Problem]:
    def lift(problem: Problem) -> Problem:
        memory = problem.memory_bytes.copy()
        memory[list(devices)] = _ENDLESS_BYTES
        return replace(problem, memory_bytes=memory)

    return lift


def _lift_places(units: set[int]) -> Callable[[Problem], Problem]:
    def lift(problem: Problem) -> Problem:
        allowed = problem.allowed.copy()
        allowed[:, list(units)] = True
        return replace(problem, allowed=allowed)

    return lift


def _any(problem: Problem, stop: Stop, seconds: float) -> Least:
    """Return any plan that keeps all limits."""
    found: list[Least] = []
    return least(problem, Goal("devices"), None, Either(lambda: bool(found), stop), found.append, seconds)


def _ignore(_: Least) -> None:
    """Nobody waits for what comes on the way."""


def _tell(limit: _Limit, answer: Least) -> Obstacle:
    """Put what lifting one limit brought into words."""
    needed = None if answer.assignment is None or limit.goal is None else answer.value
    if limit.name == "min_throughput_per_s" and needed is not None:
        needed = 1 / needed
    return Obstacle(limit.name, limit.subject, limit.allowed, needed, _text(limit, answer, needed))


def _text(limit: _Limit, answer: Least, needed: float | None) -> str:
    beginning = limit.phrase[0].upper() + limit.phrase[1:]
    if answer.assignment is None:
        known = (
            "loosening it alone does not help" if answer.is_exact else "whether loosening it helps was not found out"
        )
        return f"{beginning}: {known}."
    if needed is None:
        return f"{beginning}: without it there are plans."
    allowed, least_text = _amount(limit.name, limit.allowed or 0), _amount(limit.name, needed)
    subject = f"Memory of {limit.subject}" if limit.name == "memory_bytes" else _NAMES[limit.name]
    if limit.name == "min_throughput_per_s":
        most = "no plan reaches more than" if answer.is_exact else "the best that was found is"
        return f"{subject}: {allowed} asked for, {most} {least_text} within the other limits."
    if not answer.is_exact:
        return f"{subject}: {allowed} allowed, {least_text} would do."
    return f"{subject}: {allowed} allowed, at least {least_text} needed, whatever else is placed where."


_NAMES = {
    "min_throughput_per_s": "Throughput",
    "max_latency_s": "Latency",
    "max_energy_j": "Energy of each device per frame",
    "max_total_energy_j": "Energy of all devices per frame",
    "max_devices": "Devices",
}


def _amount(name: str, value: float) -> str:
    match name:
        case "memory_bytes":
            return size_text(value)
        case "min_throughput_per_s":
            return rate_text(value)
        case "max_latency_s":
            return time_text(value, _DIGITS)
        case "max_devices":
            return f"{value:.0f}"
        case _:
            return energy_text(value, _DIGITS)


def _together(problem: Problem, limits: Sequence[_Limit], stop: Stop, seconds: float) -> list[Obstacle]:
    """Return what has to be loosened together, where no limit alone helps."""
    told = []
    with_memory = [limit for limit in limits if limit.name == "memory_bytes"]
    each_s = seconds / (len(limits) + 2)
    if len(with_memory) > 1:
        told += _all_memory(problem, stop, each_s)
    lifted = list(limits)
    answer = _any(_without(problem, lifted), stop, each_s)
    if answer.assignment is None:
        return told
    for limit in limits:
        if stop():
            return told
        fewer = [other for other in lifted if other is not limit]
        tried = _any(_without(problem, fewer), stop, each_s)
        if tried.assignment is not None:
            lifted, answer = fewer, tried
    if len(lifted) > 1:
        phrases = [limit.phrase for limit in lifted]
        listed = f"{', '.join(phrases[:-1])} and {phrases[-1]}"
        text = f"No limit alone is in the way; these must be loosened together: {listed}."
        told.append(Obstacle("several", "", None, None, text))
    return told


def _without(problem: Problem, lifted: Sequence[_Limit]) -> Problem:
    for limit in lifted:
        problem = limit.lift(problem)
    return problem


def _all_memory(problem: Problem, stop: Stop, seconds: float) -> list[Obstacle]:
    """Return how many times as much memory all devices would need."""
    limits_bytes = tuple(int(limit) for limit in problem.memory_bytes.tolist())
    lifted = _lift_memory(set(range(len(limits_bytes))))(problem)
    answer = least(lifted, Goal("memory_share", limits_bytes=limits_bytes), None, stop, _ignore, seconds)
    if answer.assignment is None:
        return []
    how = "at least" if answer.is_exact else "at most"
    text = f"Memory of all devices together: {how} {answer.value:.2f} times the limits would be needed."
    return [Obstacle("all_memory", "", 1.0, answer.value, text)]
