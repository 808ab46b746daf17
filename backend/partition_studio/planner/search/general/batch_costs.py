"""What many assignments cost, at once: the figures of `evaluate` in arrays, some thousand times as fast for each.

What is busy for how long, latency and energy are those that `evaluate` reckons, but for the rounding of sums (and where
more units than `MOST_READERS` read one tensor); the period is that of the busiest. Memory is near it: see
`batch_memory`. So what looks best here is judged by `evaluate`.
"""

from dataclasses import dataclass

import numpy as np

from partition_studio.planner.search.general.batch_stages import Pairs, Small, Stager, Stages
from partition_studio.planner.search.problem.problem import STUDIO, Floats, Integers, Problem


@dataclass(frozen=True)
class Messages:
    """What passes between stages: one entry for each two stages of an assignment that anything passes between.

    `maker` and `reader` are stages by their first units, `source` and `target` their devices (the studio's is one more
    than the last), `column` the assignment.
    """

    column: Integers
    maker: Integers
    reader: Integers
    source: Integers
    target: Integers
    size_bytes: Floats


@dataclass(frozen=True)
class Batch:
    """Figures of assignments, in columns. `hottest`: the device that is busiest; `spread`: see `BatchCosts.of`."""

    period_s: Floats
    spread_s: Floats
    hottest: Integers
    cpu_s: Floats
    is_used: "np.ndarray[tuple[int, ...], np.dtype[np.bool_]]"
    latency_s: Floats | None

    def energy_j(self, problem: Problem) -> Floats:
        """Return (D, assignments) joules per frame of each device."""
        found = problem.idle_w[:, None] * self.period_s + problem.active_w[:, None] * self.cpu_s
        return np.asarray(np.where(self.is_used, found, 0.0))


class BatchCosts:
    """Reckons assignments of one problem."""

    def __init__(self, problem: Problem) -> None:
        self.problem = problem
        self.units, self.devices = len(problem.units), len(problem.devices)
        self.stager = Stager(problem)
        pairs, laid_out = [], []
        for number, tensor in enumerate(problem.tensors):
            maker = self.units if tensor.producer == STUDIO else tensor.producer
            pairs += [(maker, reader, number) for reader in tensor.consumers]
            if tensor.is_output:
                pairs.append((maker, self.units + 1, number))
            if tensor.producer != STUDIO:
                laid_out += [(maker, reader, number) for reader in tensor.in_layout]
        self.pairs, self._laid_out = Pairs.of(pairs), Pairs.of(laid_out)
        self.size_bytes = np.array([tensor.size_bytes for tensor in problem.tensors], float)
        self._travels = np.array([tensor.travels for tensor in problem.tensors], bool)
        self._torn = problem.detail.torn

    def of(self, assignments: Integers | Small, power: float = 8.0, *, with_latency: bool = True) -> Batch:
        """Return the figures of assignments (units, assignments).

        `spread_s` is the norm of that power of all that is busy: what it falls with, a maximum may fall with later.
        """
        return self.of_stages(self.stager.of(assignments), power, with_latency=with_latency)[0]

    def of_stages(self, stages: Stages, power: float, *, with_latency: bool) -> tuple[Batch, Messages]:
        """Return the figures of assignments whose stages are known, and their messages."""
        count = stages.label.shape[1]
        lanes, seconds = self._seconds(stages, with_stages=with_latency)
        messages, stays = self._messages(stages)
        cpu_s = lanes * self.problem.cpu_per_s[:, None]
        cpu_s += self._carrying(messages, count)
        period_s, spread_s, hottest = self._busy(lanes, cpu_s, messages, power)
        latency_s = None
        if seconds is not None:
            latency_s = self._latency(stages, seconds, messages)
        for found in (period_s, spread_s) if latency_s is None else (period_s, spread_s, latency_s):
            found[~stays] = np.inf
        return Batch(period_s, spread_s, hottest, cpu_s, lanes > 0, latency_s), messages

    def _seconds(self, stages: Stages, *, with_stages: bool) -> tuple[Floats, Floats | None]:
        """Return how long each device's stages take, (D, assignments), and each stage, (units, assignments)."""
        problem, units = self.problem, self.units
        count = stages.label.shape[1]
        device = stages.device[:units].astype(np.int64)
        took = problem.compute_s[device, np.arange(units)[:, None]]
        took += np.where(stages.is_first, problem.session_s[device], 0.0)
        for part in self._torn:
            apart = (device[part.unit] == part.device) & (stages.label[part.unit] != stages.label[part.head])
            took[part.unit] += part.extra_s * apart
        self._add_layouts(stages, took)
        columns = np.arange(count)
        lanes = sums_by(device * count + columns, took, self.devices, count)
        if not with_stages:
            return lanes, None
        return lanes, sums_by(stages.label[:units].astype(np.int64) * count + columns, took, units, count)

    def _add_layouts(self, stages: Stages, took: Floats) -> None:
        """Add what changes of layout take, to the units at whose borders they are."""
        pairs, label = self._laid_out, stages.label
        if not len(pairs.maker):
            return
        layout_s = self.problem.layout_byte_s
        row, column = np.nonzero(pairs.entering(label))
        reader = pairs.reader[row]
        np.add.at(took, (reader, column), layout_s[stages.device[reader, column]] * self.size_bytes[pairs.tensor[row]])
        begins = pairs.begins
        leaves = np.logical_or.reduceat(label[pairs.maker] != label[pairs.reader], begins, axis=0)
        row, column = np.nonzero(leaves)
        maker, tensor = pairs.maker[begins[row]], pairs.tensor[begins[row]]
        np.add.at(took, (maker, column), layout_s[stages.device[maker, column]] * self.size_bytes[tensor])

    def _messages(self, stages: Stages) -> tuple[Messages, "np.ndarray[tuple[int, ...], np.dtype[np.bool_]]"]:
        """Return what passes between stages, and of each assignment whether all that cannot travel stays."""
        pairs, rows = self.pairs, self.units + 2
        row, column = np.nonzero(pairs.entering(stages.label))
        stays = np.ones(stages.label.shape[1], bool)
        stays[column[~self._travels[pairs.tensor[row]]]] = False
        maker = stages.label[pairs.maker[row], column].astype(np.int64)
        reader = stages.label[pairs.reader[row], column].astype(np.int64)
        key = (column * rows + maker) * rows + reader
        order = np.argsort(key, kind="stable")
        key = key[order]
        begins = np.flatnonzero(np.diff(key, prepend=-1))
        size = np.add.reduceat(self.size_bytes[pairs.tensor[row[order]]], begins) if len(begins) else np.zeros(0)
        key = key[begins]
        column, maker, reader = key // (rows * rows), key // rows % rows, key % rows
        source, target = stages.device[maker, column], stages.device[reader, column]
        return Messages(column, maker, reader, source.astype(np.int64), target.astype(np.int64), size), stays

    def _carrying(self, messages: Messages, count: int) -> Floats:
        """Return (D, assignments) processor seconds of sending and receiving."""
        problem, devices = self.problem, self.devices
        carried = messages.source != messages.target
        column, size = messages.column[carried], messages.size_bytes[carried]
        found = np.zeros((devices + 1, count))
        for peer in (messages.source[carried], messages.target[carried]):
            spent = problem.message_s[peer] + problem.byte_s[peer] * size
            found += sums_by(peer * count + column, spent, devices + 1, count)
        return found[:devices]

    def _busy(self, lanes: Floats, cpu_s: Floats, messages: Messages, power: float) -> tuple[Floats, Floats, Integers]:
        """Return the period, the norm of what is busy, and which device is busiest by itself or its links."""
        problem, devices, count = self.problem, self.devices, lanes.shape[1]
        own = np.maximum(lanes, cpu_s / problem.cores[:, None])
        hot = np.vstack([own, np.zeros(count)])
        carried = messages.source != messages.target
        source, target, column = messages.source[carried], messages.target[carried], messages.column[carried]
        peers = devices + 1
        key = (column * peers + source) * peers + target
        order = np.argsort(key, kind="stable")
        key = key[order]
        begins = np.flatnonzero(np.diff(key, prepend=-1))
        size = messages.size_bytes[carried]
        sent = np.add.reduceat(size[order], begins) if len(begins) else np.zeros(0)
        key = key[begins]
        column_of, from_, to = key // (peers * peers), key // peers % peers, key % peers
        links_s = sent / problem.link_bytes_per_s[from_, to]
        out_s = sums_by(source * count + column, size, peers, count) / problem.interface_bytes_per_s[:, None]
        in_s = sums_by(target * count + column, size, peers, count) / problem.interface_bytes_per_s[:, None]
        np.maximum(hot, np.maximum(out_s, in_s), out=hot)
        period_s = hot.max(axis=0)
        np.maximum.at(period_s, column_of, links_s)
        scale = 1 / np.maximum(period_s, 1e-300)
        norm = np.bincount(column_of, (links_s * scale[column_of]) ** power, minlength=count)
        for each in (lanes, cpu_s / problem.cores[:, None], out_s, in_s):
            norm = norm + ((each * scale) ** power).sum(axis=0)
        np.maximum.at(hot, (from_, column_of), links_s)
        np.maximum.at(hot, (to, column_of), links_s)
        return period_s, period_s * norm ** (1 / power), hot[:devices].argmax(axis=0)

    def _latency(self, stages: Stages, seconds: Floats, messages: Messages) -> Floats:
        """Return when the last result of a frame that is alone is there; stages are gone through level by level."""
        problem, units, count = self.problem, self.units, seconds.shape[1]
        source, target = messages.source, messages.target
        # Between stages of one device nothing travels.
        apart = source != target
        to = np.where(apart, target, (source + 1) % (self.devices + 1))
        way_s = problem.message_s[source] + problem.message_s[to] + problem.link_latency_s[source, to]
        byte_s = problem.way_byte_s[source] + problem.way_byte_s[to] + 1 / problem.link_bytes_per_s[source, to]
        way_s = np.where(apart, way_s + byte_s * messages.size_bytes, 0.0)
        begin = np.zeros((units + 2) * count)
        took = np.zeros((units + 2) * count)
        took[: units * count] = seconds.ravel()
        makers = messages.maker * count + messages.column
        readers = messages.reader * count + messages.column
        level = stages.level[messages.reader, messages.column].astype(np.int64)
        level[messages.reader == units + 1] = int(level.max(initial=0)) + 1
        order = np.argsort(level, kind="stable")
        ends = np.flatnonzero(np.diff(level[order], append=-1)) + 1
        first = 0
        for end in map(int, ends):
            part = order[first:end]
            np.maximum.at(begin, readers[part], begin[makers[part]] + took[makers[part]] + way_s[part])
            first = end
        return np.asarray(begin[(units + 1) * count :])


def sums_by(key: Integers, weights: Floats, rows: int, columns: int) -> Floats:
    """Return (rows, columns) sums of weights by `row * columns + column`."""
    found = np.bincount(key.ravel(), weights.ravel(), minlength=rows * columns)
    return np.asarray(found, np.float64).reshape(rows, columns)
