"""The times of a relaxed model: the period, which no resource may exceed, and the way of a frame that is alone.

All in whole ticks, and every term rounded down, so that the model's figures never exceed the true ones.
"""

from functools import cached_property
from itertools import pairwise

import numpy as np
from ortools.sat.python import cp_model

from partition_studio.planner.search.general.relaxed import Placed, Terms, sum_of
from partition_studio.planner.search.problem.problem import STUDIO, Problem, Tensor

#: Above this many links times tensors, links between devices are left to `evaluate`; so are ways by pairs of devices.
MANY = 40_000

#: No time is longer than so many ticks.
MOST_TICKS = 2**42


class Times:
    """The variables of time. `tick_s` are the seconds of one tick; `least_period_s` no placement comes below."""

    def __init__(self, placed: Placed, tick_s: float, least_period_s: float) -> None:
        self.placed, self.problem, self.tick_s = placed, placed.problem, tick_s
        self.least_period_s = least_period_s
        #: More than any time. Small domains are worth much to CP-SAT, and keep its sums from overflowing.
        self.most = int(most_seconds(placed.problem) / tick_s) + 1

    def ticks(self, seconds: float) -> int:
        """Return whole ticks, rounded down."""
        return min(int(seconds / self.tick_s // 1), self.most)

    @cached_property
    def stage_s(self) -> list[Terms]:
        """Seconds of all stages of each device."""
        return [self._stage_s(device) for device in self.placed.devices]

    @cached_property
    def cpu_s(self) -> list[Terms]:
        """Processor seconds of each device."""
        return [self._cpu_s(device) for device in self.placed.devices]

    def _stage_s(self, device: int) -> Terms:
        problem, placed = self.problem, self.placed
        terms = [(x, float(problem.compute_s[device, unit])) for (on, unit), x in placed.x.items() if on == device]
        terms += _times(placed.stages[device], problem.session_s[device])
        for part in problem.detail.torn:
            if part.device == device and (device, part.unit) in placed.x:
                terms.append((self._torn(device, part.unit, part.head), part.extra_s))
        for index, tensor in enumerate(problem.tensors):
            if tensor.is_laid_out:
                for moved in (placed.entering, placed.leaves):
                    if (device, index) in moved:
                        terms.append((moved[device, index], problem.layout_byte_s[device] * tensor.size_bytes))
        return terms

    def _torn(self, device: int, unit: int, head: int) -> cp_model.IntVar:
        """Return whether a unit lies on a device without the head of its kernel."""
        placed = self.placed
        torn = placed.model.new_bool_var(f"torn{device},{unit}")
        kept = [placed.x[device, head]] if (device, head) in placed.x else []
        placed.model.add_bool_or([placed.x[device, unit].negated(), torn, *kept])
        return torn

    def _cpu_s(self, device: int) -> Terms:
        problem, placed = self.problem, self.placed
        used = min(float(problem.threads[device]), float(problem.cores[device]))
        messages = [*placed.received[device], *placed.sent[device]]
        return [
            *_times(self.stage_s[device], used),
            *_times(messages, problem.message_s[device]),
            *_times([*self.received_bytes(device), *self.sent_bytes(device)], problem.byte_s[device]),
        ]

    def received_bytes(self, device: int) -> Terms:
        """Return the bytes that a device receives, as a sum."""
        tensors, entering = self.problem.tensors, self.placed.entering
        return [(entering[device, i], t.size_bytes) for i, t in enumerate(tensors) if (device, i) in entering]

    def sent_bytes(self, device: int) -> Terms:
        """Return the bytes that a device sends, as a sum."""
        tensors, leaving = self.problem.tensors, self.placed.leaving
        sent: Terms = [(leaving[device, i], t.size_bytes) for i, t in enumerate(tensors) if (device, i) in leaving]
        return sent + self._results(device)

    def _results(self, device: int) -> Terms:
        return [
            (self.placed.x[device, t.producer], t.size_bytes)
            for t in self.problem.tensors
            if t.is_output and t.producer != STUDIO and (device, t.producer) in self.placed.x
        ]

    @cached_property
    def period(self) -> cp_model.IntVar:
        """Ticks between two frames."""
        model, problem = self.placed.model, self.problem
        period = model.new_int_var(self.ticks(self.least_period_s), self.most, "period")
        for device in self.placed.devices:
            model.add(sum_of(self.cpu_s[device], problem.cores[device] * self.tick_s) <= period)
            if problem.threads[device] < problem.cores[device]:
                model.add(sum_of(self.stage_s[device], self.tick_s) <= period)
            interface = problem.interface_bytes_per_s[device] * self.tick_s
            if np.isfinite(interface):
                model.add(sum_of(self.received_bytes(device), interface) <= period)
                model.add(sum_of(self.sent_bytes(device), interface) <= period)
        self._studio_links(period)
        self._device_links(period)
        return period

    def _studio_links(self, period: cp_model.IntVar) -> None:
        model, problem, placed = self.placed.model, self.problem, self.placed
        inputs = [i for i, t in enumerate(problem.tensors) if t.producer == STUDIO]
        given: Terms = []
        for device in placed.devices:
            here: Terms = [
                (placed.entering[device, i], problem.tensors[i].size_bytes)
                for i in inputs
                if (device, i) in placed.entering
            ]
            given += here
            model.add(sum_of(here, problem.link_bytes_per_s[STUDIO, device] * self.tick_s) <= period)
            results = self._results(device)
            model.add(sum_of(results, problem.link_bytes_per_s[device, STUDIO] * self.tick_s) <= period)
        interface = problem.interface_bytes_per_s[STUDIO] * self.tick_s
        if np.isfinite(interface):
            model.add(sum_of(given, interface) <= period)
            taken = sum(t.size_bytes for t in problem.tensors if t.is_output and t.producer != STUDIO)
            model.add(period >= int(taken / interface // 1))

    def _device_links(self, period: cp_model.IntVar) -> None:
        """Bound the period by each link that could be the slowest thing there is."""
        problem = self.problem
        moved = [(i, t) for i, t in enumerate(problem.tensors) if t.producer != STUDIO]
        total = sum(t.size_bytes for _, t in moved)
        slow = [
            (source, target)
            for source in self.placed.devices
            for target in self.placed.devices
            if source != target
            and problem.link_bytes_per_s[source, target]
            < min(problem.interface_bytes_per_s[source], problem.interface_bytes_per_s[target])
            and total / problem.link_bytes_per_s[source, target] > self.least_period_s
        ]
        if len(slow) * len(moved) > MANY:
            return
        for source, target in slow:
            self._device_link(source, target, moved, period)

    def _device_link(self, source: int, target: int, moved: list[tuple[int, Tensor]], period: cp_model.IntVar) -> None:
        placed, model = self.placed, self.placed.model
        terms: Terms = []
        for index, tensor in moved:
            made, enters = placed.x.get((source, tensor.producer)), placed.entering.get((target, index))
            if made is None or enters is None:
                continue
            crosses = model.new_bool_var(f"cross{source},{target},{index}")
            model.add_bool_or([made.negated(), enters.negated(), crosses])
            terms.append((crosses, tensor.size_bytes))
        model.add(sum_of(terms, self.problem.link_bytes_per_s[source, target] * self.tick_s) <= period)

    @cached_property
    def latency(self) -> cp_model.IntVar:
        """Ticks from when a frame is there to when all results are."""
        return Way(self).latency


class Way:
    """The way of a frame that is alone: `done[unit]` are ticks after which its unit has run, units in order."""

    def __init__(self, times: Times) -> None:
        self._times, self._placed, self._problem = times, times.placed, times.problem
        model, units = times.placed.model, range(len(times.problem.units))
        self._done = [model.new_int_var(0, times.most, f"done{unit}") for unit in units]
        self._own: list[Terms] = [self._compute(unit) for unit in units]
        for unit in units:
            # Each unit is in a stage that begins once, whatever it reads.
            model.add(self._done[unit] >= sum_of(self._own[unit], times.tick_s))
        for index, tensor in enumerate(times.problem.tensors):
            for unit in tensor.consumers:
                self._step(index, tensor, unit)
        self._stay()
        self.latency = model.new_int_var(0, times.most, "latency")
        for tensor in times.problem.tensors:
            if tensor.is_output and tensor.producer != STUDIO:
                self._result(tensor)

    def _compute(self, unit: int) -> Terms:
        x = self._placed.x
        return [(x[d, unit], float(self._problem.compute_s[d, unit])) for d in self._placed.devices if (d, unit) in x]

    def _step(self, index: int, tensor: Tensor, unit: int) -> None:
        """A unit runs after the one that makes what it reads, and after the way between them."""
        model, x, times = self._placed.model, self._placed.x, self._times
        begin_s = [self._entry_s(device, tensor) for device in self._placed.devices]
        if tensor.producer == STUDIO:
            came = [
                (x[d, unit], begin_s[d] + self._travel_s(STUDIO, d, tensor))
                for d in self._placed.devices
                if (d, unit) in x
            ]
            model.add(self._done[unit] >= sum_of([*self._own[unit], *came], times.tick_s))
            return
        terms = list(self._own[unit])
        makers = [d for d in self._placed.devices if (d, tensor.producer) in x]
        for device in self._placed.devices:
            if (device, unit) not in x:
                continue
            others = [maker for maker in makers if maker != device]
            if not others:
                continue
            least_s = min(self._travel_s(maker, device, tensor) + self._exit_s(maker, tensor) for maker in others)
            comes = self._comes(index, tensor, device, unit)
            terms.append((comes, begin_s[device] + least_s))
            for maker in others if len(makers) ** 2 * len(self._problem.tensors) <= MANY else ():
                more_s = self._travel_s(maker, device, tensor) + self._exit_s(maker, tensor)
                if times.ticks(more_s) > times.ticks(least_s):
                    whole = sum_of([*self._own[unit], (x[device, unit], begin_s[device] + more_s)], times.tick_s)
                    constraint = model.add(self._done[unit] >= self._done[tensor.producer] + whole)
                    constraint.only_enforce_if(x[maker, tensor.producer], x[device, unit])
        model.add(self._done[unit] >= self._done[tensor.producer] + sum_of(terms, times.tick_s))

    def _comes(self, index: int, tensor: Tensor, device: int, unit: int) -> cp_model.IntVar:
        if len(tensor.consumers) == 1:
            return self._placed.entering[device, index]
        comes = self._placed.model.new_bool_var(f"comes{device},{index},{unit}")
        x = self._placed.x
        made = x.get((device, tensor.producer))
        self._placed.model.add_bool_or([x[device, unit].negated(), comes, *([] if made is None else [made])])
        return comes

    def _entry_s(self, device: int, tensor: Tensor) -> float:
        """Return what a stage takes before its first unit runs."""
        problem = self._problem
        layout_s = problem.layout_byte_s[device] * tensor.size_bytes if tensor.is_laid_out else 0.0
        return float(problem.session_s[device] + layout_s)

    def _exit_s(self, device: int, tensor: Tensor) -> float:
        return float(self._problem.layout_byte_s[device] * tensor.size_bytes) if tensor.is_laid_out else 0.0

    def _travel_s(self, source: int, target: int, tensor: Tensor) -> float:
        problem, size = self._problem, tensor.size_bytes
        carry_s = problem.message_s[source] + problem.message_s[target]
        carry_s += (problem.way_byte_s[source] + problem.way_byte_s[target]) * size
        return float(carry_s + size / problem.link_bytes_per_s[source, target] + problem.link_latency_s[source, target])

    def _stay(self) -> None:
        """Between two joints in one stage, all that lies between them runs one after the other."""
        placed, problem = self._placed, self._problem
        for place, (one, other) in enumerate(pairwise(placed.series.joints), start=1):
            units = (*placed.series.between[place], other)
            for device in placed.devices:
                if (device, place) in placed.same:
                    took = self._times.ticks(sum(float(problem.compute_s[device, unit]) for unit in units))
                    stays = placed.model.add(self._done[other] >= self._done[one] + took)
                    stays.only_enforce_if(placed.same[device, place])

    def _result(self, tensor: Tensor) -> None:
        x, model = self._placed.x, self._placed.model
        sent = [
            (x[d, tensor.producer], self._travel_s(d, STUDIO, tensor))
            for d in self._placed.devices
            if (d, tensor.producer) in x
        ]
        model.add(self.latency >= self._done[tensor.producer] + sum_of(sent, self._times.tick_s))


def _times(terms: Terms, factor: float) -> Terms:
    return [(variable, cost * float(factor)) for variable, cost in terms]


def least_period_s(problem: Problem) -> float:
    """Return what no placement comes below: all work shared among all devices as if it could be divided at will."""
    fastest = np.where(problem.allowed, problem.compute_s, np.inf)
    used = np.minimum(problem.threads, problem.cores) / problem.cores
    return float((fastest * used[:, None]).min(axis=0).sum() / len(problem.devices))


def most_seconds(problem: Problem) -> float:
    """Return what no period or latency exceeds: everything one after the other, each at its slowest."""
    slowest = np.where(problem.allowed, problem.compute_s, 0.0).max(axis=0).sum()
    slowest += len(problem.units) * problem.session_s.max()
    off_diagonal = ~np.eye(len(problem.devices) + 1, dtype=bool)
    byte_s = 2 * problem.byte_s.max() + 1 / problem.link_bytes_per_s[off_diagonal].min()
    byte_s += 2 * problem.layout_byte_s.max() + 1 / problem.interface_bytes_per_s.min()
    message_s = 2 * problem.message_s.max() + problem.link_latency_s[off_diagonal].max()
    for tensor in problem.tensors:
        slowest += (len(tensor.consumers) + 1) * (message_s + byte_s * tensor.size_bytes)
    slowest += sum(part.extra_s for part in problem.detail.torn)
    return float(slowest / min(1.0, problem.cores.min()))
