"""What many assignments take of memory on each device, at once: near `evaluate.memory_of`.

What a stage holds is the same: weights, matrices while they are packed, and the activations that are alive at once.
Two things are near it: a link's window is reckoned from the stages' levels (to the studio: as if no other way led
there), and the stages of a device are loaded in the order of their first units. `least_of` takes what neither can be
below, so that it is never more than exact.
"""

from dataclasses import dataclass

import numpy as np

from partition_studio.partition import memory
from partition_studio.partition.stages import MAX_WINDOW, TURNS
from partition_studio.planner.search.general.batch_costs import Messages, sums_by
from partition_studio.planner.search.general.batch_stages import MOST_READERS, Mask, Pairs, Small, Stages
from partition_studio.planner.search.problem.problem import Floats, Integers, Problem

#: Frames that may wait on any link.
_LEAST_WINDOW = 2


@dataclass(frozen=True, slots=True)
class _Moment:
    """One layer: what it makes, what dies in it wherever its unit lies, and the pairs that may die in it."""

    unit: int
    made_bytes: int
    dying_bytes: int
    pairs: tuple[int, ...]


class BatchMemory:
    """Reckons the memory of assignments of one problem."""

    def __init__(self, problem: Problem) -> None:
        self._problem = problem
        self._units, self._devices = len(problem.units), len(problem.devices)
        self._matrices = [int(unit) for unit in np.flatnonzero(problem.matrix_bytes)]
        self._moments: list[_Moment] = []
        if problem.detail.steps:
            self._go_through_steps()

    def of(self, stages: Stages, messages: Messages) -> Floats:
        """Return (D, assignments) bytes; 0 for devices that get nothing."""
        return self._reckoned(stages, messages, is_least=False)

    def least_of(self, stages: Stages, messages: Messages) -> Floats:
        """Return what is never more than the exact bytes: as many frames wait, and as much is loaded, as must be."""
        return self._reckoned(stages, messages, is_least=True)

    def _reckoned(self, stages: Stages, messages: Messages, *, is_least: bool) -> Floats:
        count, units, devices = stages.label.shape[1], self._units, self._devices
        key = stages.label[:units].astype(np.int64) * count + np.arange(count)
        held, load = self._needs(stages, key)
        first, column = np.nonzero(stages.is_first)
        device = stages.device[first, column].astype(np.int64)
        order = np.argsort((column * devices + device) * units + first, kind="stable")
        place = (column * devices + device)[order]
        at = (first * count + column)[order]
        held, load = held[at], load[at]
        begins = np.flatnonzero(np.diff(place, prepend=-1))
        before = np.cumsum(held) - held
        before -= np.repeat(before[begins], np.diff(begins, append=len(place)))
        peak = np.maximum.reduceat(load if is_least else before + load, begins)
        running = np.add.reduceat(held, begins)
        queues = self._queues(stages, messages, count, is_least=is_least)
        found = np.zeros(count * devices)
        found[place[begins]] = memory.AGENT_BYTES + np.maximum(peak, running + queues[place[begins]])
        return np.ascontiguousarray(found.reshape(count, devices).T)

    def _needs(self, stages: Stages, key: Integers) -> tuple[Floats, Floats]:
        """Return what each stage holds, and its peak while it is loaded: by label and assignment."""
        problem, size = self._problem, key.size
        weight, matrix, layers = (
            sums_by(key, np.repeat(each.astype(float), key.shape[1]), size, 1)[:, 0]
            for each in (problem.weight_bytes, problem.matrix_bytes, problem.layers)
        )
        packed, packing = np.zeros(size), np.zeros(size)
        for shared in problem.detail.shared:
            for number, unit in enumerate(shared.units):
                new = np.ones(key.shape[1], bool)
                for earlier in shared.units[:number]:
                    new &= stages.label[unit] != stages.label[earlier]
                at = key[unit, new]
                weight[at] += shared.size_bytes
                if shared.is_matrix:
                    matrix[at] += shared.size_bytes
                    packing[at] = np.maximum(packing[at], packed[at] + 2 * shared.size_bytes)
                    packed[at] += shared.size_bytes
        for unit in self._matrices:
            own = int(problem.matrix_bytes[unit])
            most = problem.detail.packing_bytes[unit] if problem.detail.packing_bytes else 2 * own
            packing[key[unit]] = np.maximum(packing[key[unit]], packed[key[unit]] + most)
            packed[key[unit]] += own
        graph = layers * memory.LAYER_BYTES
        held = weight + np.floor(memory.ARENA_FACTOR * self._live(stages, key) + memory.ARENA_BYTES) + graph
        plain = np.floor(memory.PLAIN_COPIES * weight) + memory.PLAIN_BYTES + graph
        child = memory.CHILD_BYTES + np.floor(memory.CONVOLUTION_COPIES * (weight - matrix)) + matrix + graph
        ahead = np.maximum(child, packing + graph)
        return held, np.maximum(held, np.where(weight < memory.AHEAD_FROM_BYTES, plain, ahead))

    def _queues(self, stages: Stages, messages: Messages, count: int, *, is_least: bool) -> Floats:
        """Return what waits in links, by assignment and device."""
        reader, maker = messages.reader, messages.maker
        hops = stages.level[reader, messages.column].astype(np.int64) - stages.level[maker, messages.column]
        hops += maker == self._units
        hops[reader == self._units + 1] = 1
        windows = np.full(len(hops), _LEAST_WINDOW) if is_least else np.clip(hops + 1, _LEAST_WINDOW, MAX_WINDOW)
        windows = np.minimum(windows + np.where(_take_turns(stages, messages), TURNS, 0), MAX_WINDOW)
        waiting = windows * messages.size_bytes
        peers = self._devices + 1
        found = sums_by(messages.column * peers + messages.target, waiting, count, peers)
        sent = np.where(messages.source != messages.target, waiting, 0.0)
        found += sums_by(messages.column * peers + messages.source, sent, count, peers)
        return np.ascontiguousarray(found[:, : self._devices]).ravel()

    # --- activations -------------------------------------------------------------------------------------------------

    def _go_through_steps(self) -> None:
        """Find what each layer makes, and where it dies."""
        detail = self._problem.detail
        maker_of = {number: step.unit for step in detail.steps for number in step.makes}
        last: dict[int, dict[int, int]] = {number: {} for number in maker_of}
        for place, step in enumerate(detail.steps):
            for number in step.reads:
                readers = last.setdefault(number, {})
                readers.pop(step.unit, None)
                readers[step.unit] = place
        pairs: list[tuple[int, int, int]] = []
        dying = [0] * len(detail.steps)
        at: list[list[int]] = [[] for _ in detail.steps]
        made_at = {number: place for place, step in enumerate(detail.steps) for number in step.makes}
        for number, readers in last.items():
            maker = maker_of.get(number, self._units)
            is_output = number in detail.output_activations
            if maker < self._units and not is_output and set(readers) <= {maker}:
                dying[readers.get(maker, made_at[number])] += detail.activation_bytes[number]
                continue
            for unit, place in readers.items():
                at[place].append(len(pairs))
                pairs.append((maker, unit, number))
        self._pairs = Pairs.of(pairs)
        self._pair_bytes = np.array([detail.activation_bytes[number] for _, _, number in pairs], float)[:, None]
        self._is_output = np.array([number in detail.output_activations for _, _, number in pairs], bool)
        for place, step in enumerate(detail.steps):
            made = sum(detail.activation_bytes[number] for number in step.makes)
            self._moments.append(_Moment(step.unit, made, dying[place], tuple(at[place])))

    def _live(self, stages: Stages, key: Integers) -> Floats:
        """Return the most bytes of activations alive at once, by label and assignment."""
        if not self._moments:
            live = np.zeros(key.size)
            for unit, size in enumerate(self._problem.live_bytes):
                live[key[unit]] = np.maximum(live[key[unit]], size)
            return live
        enters, dies = self._borders(stages.label)
        bytes_dying = np.where(dies, self._pair_bytes, 0.0)
        row, column = np.nonzero(enters)
        alive = sums_by(key[self._pairs.reader[row], column], self._pair_bytes[row, 0], key.size, 1)[:, 0]
        live = alive.copy()
        for moment in self._moments:
            at = key[moment.unit]
            now = alive[at] + moment.made_bytes
            live[at] = np.maximum(live[at], now)
            for pair in moment.pairs:
                now -= bytes_dying[pair]
            alive[at] = now - moment.dying_bytes
        return live

    def _borders(self, label: Small) -> tuple[Mask, Mask]:
        """Return of each pair whether its activation enters the stage from elsewhere, and whether it dies there."""
        pairs = self._pairs
        if not len(pairs.maker):
            return np.zeros((0, label.shape[1]), bool), np.zeros((0, label.shape[1]), bool)
        inside = label[pairs.maker] == label[pairs.reader]
        is_last = np.ones(inside.shape, bool)
        for back in range(1, min(int(pairs.place.max()), MOST_READERS) + 1):
            later = np.flatnonzero(pairs.place >= back)
            is_last[later - back] &= label[pairs.reader[later]] != label[pairs.reader[later - back]]
        leaves = np.logical_or.reduceat(~inside, pairs.begins, axis=0)
        leaves = np.repeat(leaves, np.diff(pairs.begins, append=len(pairs.maker)), axis=0)
        leaves |= self._is_output[:, None]
        return is_last & ~inside, is_last & ~(inside & leaves)


def _take_turns(stages: Stages, messages: Messages) -> Mask:
    """Return of each message whether a device at its ends has several stages."""
    devices, count = int(stages.device[-1, 0]), stages.label.shape[1]
    first, column = np.nonzero(stages.is_first)
    key = column * (devices + 1) + stages.device[first, column]
    have_several = np.bincount(key, minlength=count * (devices + 1)) > 1
    ends = [messages.column * (devices + 1) + end for end in (messages.source, messages.target)]
    return np.asarray(have_several[ends[0]] | have_several[ends[1]])
