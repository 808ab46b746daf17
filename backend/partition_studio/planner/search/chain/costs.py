"""What contiguous runs of units cost at least, as tables over where a run begins and ends.

Runs begin and end at *borders*, numbered 0 to m. A table's row is a border where a run begins, with what is known of
the run before: how many of the tensors that cross the border were made earlier than that (its *rank*), so that the
others come from it; and whether it surely is a single stage. A column is the length of the run in borders, less 1. What
a table says is never more than `evaluate` does, and the same where no tensor passes over a whole run and every run is a
single stage.
"""

from bisect import bisect_left
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from partition_studio.partition import memory
from partition_studio.planner.search.chain.graph import Runs, sure_runs
from partition_studio.planner.search.problem.problem import STUDIO, Floats, Integers, Problem, Tensor


@dataclass(frozen=True, slots=True)
class _Crossing:
    """A tensor with the blocks (units between neighbouring borders) that make and read it."""

    tensor: Tensor
    maker: int
    readers: tuple[int, ...]

    def next_reader(self, border: int) -> int:
        """Return the first block behind a border that reads it, or the number of them all."""
        place = bisect_left(self.readers, border)
        return self.readers[place] if place < len(self.readers) else 1 << 40


class RunCosts:
    """The tables of one problem. `width`: most borders that a run may span."""

    def __init__(
        self, problem: Problem, borders: Integers, width: int, stop: Callable[[], bool] = lambda: False
    ) -> None:
        """Raises StoppedError."""
        self.problem, self.borders = problem, borders
        self.last = len(borders) - 1
        self.width = min(width, self.last)
        self.block_of = np.searchsorted(borders, np.arange(len(problem.units)), side="right") - 1
        self._crossings = [c for tensor in problem.tensors if (c := self._crossing(tensor)) is not None]
        self._makers = self._makers_at()
        # Rows of a border: by rank, and of each rank the one behind a run that may be several stages first.
        counts = 2 * np.array([len(makers) + 1 for makers in self._makers])
        self.first_row = np.concatenate([[0], np.cumsum(counts)])
        self.begin = np.repeat(np.arange(self.last + 1), counts)
        self.rank = (np.arange(len(self.begin)) - self.first_row[self.begin]) // 2
        self._is_behind_one = np.arange(len(self.begin)) % 2 == 1
        ends = self.begin[:, None] + 1 + np.arange(self.width)[None, :]
        #: Whether a run of that length fits in; its `end` is a border, its `target` the row behind it.
        self.is_run = ends <= self.last
        self.end = np.minimum(ends, self.last)
        self.runs: Runs = sure_runs(problem, borders, self.width, stop)
        self._fill()
        self.target = self._targets()

    def _crossing(self, tensor: Tensor) -> _Crossing | None:
        maker = -1 if tensor.producer == STUDIO else int(self.block_of[tensor.producer])
        readers = sorted({int(self.block_of[unit]) for unit in tensor.consumers} - {maker})
        return _Crossing(tensor, maker, tuple(readers)) if readers or tensor.is_output else None

    def _makers_at(self) -> list[list[int]]:
        """Return the blocks that make what crosses each border, in order."""
        found: list[set[int]] = [set() for _ in range(self.last + 1)]
        for crossing in self._crossings:
            if crossing.maker >= 0 and crossing.readers:
                for border in range(crossing.maker + 1, crossing.readers[-1] + 1):
                    found[border].add(crossing.maker)
        return [sorted(makers) for makers in found]

    def _targets(self) -> Integers:
        """Return the row behind each run."""
        ranks = np.zeros((self.last + 1, self.last + 1), dtype=np.int64)
        for border, makers in enumerate(self._makers):
            ranks[border] = np.searchsorted(makers, np.arange(self.last + 1), side="left")
        return np.asarray(self.first_row[self.end] + 2 * ranks[self.end, self.begin[:, None]] + self.is_one)

    def _fill(self) -> None:
        shape = (self.last + 1, self.width + 1)
        enter, inputs, leave, outputs, layout = (np.zeros(shape) for _ in range(5))
        rows = (len(self.begin), self.width + 1)
        self.previous, self.passed, self.spine_bytes = np.zeros(rows), np.zeros(rows), np.zeros(rows)
        for crossing in self._crossings:
            tensor, size = crossing.tensor, float(crossing.tensor.size_bytes)
            self._enter(inputs if crossing.maker < 0 else enter, crossing, size)
            self._leave(leave, crossing, size)
            if crossing.maker >= 0:
                layouts = sorted({int(self.block_of[unit]) for unit in tensor.in_layout} - {crossing.maker})
                laid_out = _Crossing(tensor, crossing.maker, tuple(layouts))
                self._enter(layout, laid_out, size)
                self._leave(layout, laid_out, size)
                self._enter_rows(crossing, size)
            if tensor.is_output and crossing.maker >= 0:
                for border in range(max(0, crossing.maker - self.width + 1), crossing.maker + 1):
                    outputs[border, crossing.maker - border] += size
        self.enter, self.inputs, self.leave, self.outputs, self.layout = (
            np.cumsum(table, axis=1)[:, :-1][self.begin] for table in (enter, inputs, leave, outputs, layout)
        )
        self.previous = np.cumsum(self.previous, axis=1)[:, :-1]
        self.passed = np.maximum.accumulate(self.passed, axis=1)[:, :-1]
        self.spine_bytes = np.cumsum(self.spine_bytes, axis=1)[:, :-1]
        #: Whether the run is one stage: anyway, or as all that it reads comes from one.
        self.is_one = self.runs.is_sure[self.begin] | (
            self.runs.is_sure_behind_one[self.begin] & self._is_behind_one[:, None] & (self.passed == 0)
        )

    def _enter(self, table: Floats, crossing: _Crossing, size: float) -> None:
        if crossing.readers:
            for border in range(crossing.maker + 1, crossing.readers[-1] + 1):
                table[border, min(crossing.next_reader(border) - border, self.width)] += size

    def _leave(self, table: Floats, crossing: _Crossing, size: float) -> None:
        if crossing.readers and crossing.maker >= 0:
            for border in range(max(0, crossing.maker - self.width + 1), crossing.maker + 1):
                table[border, crossing.maker - border] += size
                table[border, min(crossing.readers[-1] - border, self.width)] -= size

    def _enter_rows(self, crossing: _Crossing, size: float) -> None:
        """Add a tensor to what the previous run sends, or to what others send, by class."""
        for border in range(crossing.maker + 1, (crossing.readers[-1] if crossing.readers else -1) + 1):
            rank = self._makers[border].index(crossing.maker)
            column = min(crossing.next_reader(border) - border, self.width)
            first, behind = int(self.first_row[border]), int(self.first_row[border + 1])
            self.previous[first : first + 2 * rank + 2, column] += size
            later = self.passed[first + 2 * rank + 2 : behind, column]
            np.maximum(later, size, out=later)
            if self.runs.is_with_spine(border, crossing.tensor.producer):
                self.spine_bytes[first : first + 2 * rank + 2, column] += size

    @cached_property
    def _spine_rank(self) -> Integers:
        """Of each border, the rank of the block that makes the spine's tensor there; -1 where there is none."""
        found = np.full(self.last + 1, -1)
        for border, edge in enumerate(self.runs.spine_at):
            if edge is not None and edge.maker != STUDIO:
                found[border] = self._makers[border].index(int(self.block_of[edge.maker]))
        return found

    def _span(self, values: Floats | Integers) -> Floats:
        """Return the sums over the units of each run."""
        sums = np.concatenate([[0], np.cumsum(values)])[self.borders]
        return np.asarray(sums[self.end] - sums[self.begin][:, None])

    def lane_s(self, device: int) -> Floats:
        """Return the least seconds by the clock of each run's stages on a device."""
        problem = self.problem
        lane = problem.session_s[device] + self._span(problem.compute_s[device])
        lane += problem.layout_byte_s[device] * self.layout
        for torn in problem.detail.torn:
            if torn.device == device:
                unit, head = self.block_of[torn.unit], self.block_of[torn.head]
                begin = self.begin[:, None]
                holds = (begin <= unit) & (unit < self.end)
                lane += torn.extra_s * (holds & ~((begin <= head) & (head < self.end)))
        return np.asarray(lane)

    def cpu_s(self, device: int) -> Floats:
        """Return the least processor seconds of each run on a device."""
        problem = self.problem
        messages = (self.previous > 0).astype(float) + (self.passed > 0) + (self.inputs > 0)
        messages += (self.leave > 0).astype(float) + (self.outputs > 0)
        moved = self.enter + self.inputs + self.leave + self.outputs
        carried = problem.message_s[device] * messages + problem.byte_s[device] * moved
        return np.asarray(self.lane_s(device) * problem.cpu_per_s[device] + carried)

    def period_s(self, device: int) -> Floats:
        """Return how long a frame keeps a device or its links busy at least, but for the link from the previous run."""
        problem = self.problem
        others = [d for d in range(len(problem.devices)) if d != device]
        fastest = max((float(problem.link_bytes_per_s[d, device]) for d in others), default=np.inf)
        interface = problem.interface_bytes_per_s[device]
        parts = (
            self.lane_s(device),
            self.cpu_s(device) / problem.cores[device],
            self.inputs / problem.link_bytes_per_s[STUDIO, device],
            self.outputs / problem.link_bytes_per_s[device, STUDIO],
            self.passed / fastest,
            (self.enter + self.inputs) / interface,
            (self.leave + self.outputs) / interface,
        )
        return np.asarray(np.maximum.reduce(parts))

    def latency_s(self, device: int) -> Floats:
        """Return what each run adds to the latency at least, but for the way from the previous run."""
        problem, runs = self.problem, self.runs
        own_s = np.add.reduceat(problem.compute_s[device] * runs.spine, self.borders[:-1])
        has_spine = self._span(runs.spine.astype(float)) > 0
        # A part that is one stage anyway, and on the spine, is computed as a whole.
        is_sure = self.runs.is_sure[self.begin]
        part_s = np.where(is_sure & has_spine, self._span(problem.compute_s[device]), 0.0)
        on_spine = self._best_part(part_s, own_s)
        lane = np.where(self.is_one, self.lane_s(device), problem.session_s[device] + on_spine)
        lane = np.where(has_spine, lane, 0.0)
        first, final = runs.spine_units[0], runs.spine_units[-1]
        begin = self.begin[:, None]
        if runs.input_bytes is not None:
            size = np.where(self.is_one, self.inputs, runs.input_bytes)
            here = (begin <= self.block_of[first]) & (self.block_of[first] < self.end)
            lane = lane + here * self._travel_s(STUDIO, device, size)
        size = np.where(self.is_one, self.outputs, runs.output_bytes)
        here = (begin <= self.block_of[final]) & (self.block_of[final] < self.end)
        return np.asarray(lane + here * self._travel_s(device, STUDIO, size))

    def way_s(self, source: int, device: int) -> Floats:
        """Return what the way from the previous run adds to the latency at least."""
        runs, rank = self.runs, self._spine_rank[self.begin][:, None]
        sizes = np.array([0.0 if edge is None else float(edge.size_bytes) for edge in runs.spine_at])[self.begin]
        reader = np.array([1 << 40 if e is None else int(self.block_of[e.reader]) for e in runs.spine_at])[self.begin]
        has_reader = (rank >= 0) & (reader[:, None] < self.end)
        size = np.where(self.is_one, np.maximum(self.spine_bytes, sizes[:, None]), sizes[:, None])
        direct = self._travel_s(source, device, size)
        others = [d for d in range(len(self.problem.devices)) if d != device] or [device]
        around = np.minimum.reduce([self._travel_s(d, device, sizes[:, None]) for d in others])
        return np.asarray(np.where(has_reader, np.where(rank >= self.rank[:, None], direct, around), 0.0))

    def _travel_s(self, source: int, target: int, size: Floats) -> Floats:
        problem = self.problem
        fixed = problem.message_s[source] + problem.message_s[target] + problem.link_latency_s[source, target]
        byte_s = problem.way_byte_s[source] + problem.way_byte_s[target] + 1 / problem.link_bytes_per_s[source, target]
        return np.asarray(fixed + byte_s * size)

    @cached_property
    def memory_bytes(self) -> Floats:
        """The least bytes that each run takes of a device."""
        problem = self.problem
        weights, matrices = self._span(problem.weight_bytes), self._span(problem.matrix_bytes)
        nodes = self._span(problem.layers) * memory.LAYER_BYTES
        given = problem.detail.packing_bytes
        packing_of = np.array(given) if given else 2 * problem.matrix_bytes
        packed = np.concatenate([[0], np.cumsum(problem.matrix_bytes)])
        packing = self._largest(packed[:-1] + packing_of) - packed[self.borders][self.begin][:, None]
        held = weights + np.floor(memory.ARENA_FACTOR * self._largest(problem.live_bytes) + memory.ARENA_BYTES) + nodes
        plain = np.floor(memory.PLAIN_COPIES * weights) + memory.PLAIN_BYTES + nodes
        child = memory.CHILD_BYTES + np.floor(memory.CONVOLUTION_COPIES * (weights - matrices)) + matrices + nodes
        load = np.where(weights < memory.AHEAD_FROM_BYTES, plain, np.maximum(child, packing + nodes))
        # Frames wait at both ends of every link, two at least.
        waiting = 2 * (self.enter + self.inputs + self.leave + self.outputs)
        running = held + waiting
        # A part that is one stage anyway is loaded at once.
        whole = np.maximum(load, held)
        part = self._best_part(np.where(self.runs.is_sure[self.begin], whole, 0.0), np.zeros(self.last))
        part = np.maximum(part, np.where(self.is_one, whole, 0.0))
        return np.asarray(memory.AGENT_BYTES + np.maximum(running, part))

    def _best_part(self, whole: Floats, block: Floats) -> Floats:
        """Return the largest that a run gets as a whole, or as a shorter run and the block that is added to it."""
        table = whole[self.first_row[:-1]]
        for column in range(1, self.width):
            count = self.last - column
            shorter = np.maximum(
                table[:count, column - 1] + block[column:], table[1 : count + 1, column - 1] + block[:count]
            )
            np.maximum(table[:count, column], shorter, out=table[:count, column])
        return np.asarray(table[self.begin])

    def _largest(self, values: Integers) -> Floats:
        """Return the largest over the units of each run."""
        blocks = np.maximum.reduceat(values, self.borders[:-1]).astype(float)
        table = np.full((self.last + 1, self.width), -np.inf)
        for column in range(self.width):
            count = self.last - column
            table[:count, column] = blocks[column:]
        return np.asarray(np.maximum.accumulate(table, axis=1)[self.begin])

    def is_allowed(self, device: int) -> NDArray[np.bool_]:
        """Return whether each run may lie on a device, memory apart."""
        return np.asarray(self.is_run & (self._span((~self.problem.allowed[device]).astype(float)) == 0))
