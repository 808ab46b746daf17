"""What contiguous runs of units cost each device, reckoned from the run alone.

Every tensor that leaves a run is taken to be sent once, and links to carry as much as all of the device's together; so
no plan of such runs costs less.
"""

from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import NamedTuple

import numpy as np

from partition_studio.partition.memory import StageNeed, memory_bound
from partition_studio.planner.search.problem.problem import STUDIO, Floats, Problem, Tensor

#: Places between units where a run may end; with more units, those with the fewest bytes are taken.
MOST_ENDS = 96


@dataclass(frozen=True, eq=False)
class Runs:
    """What runs between `ends` cost: `seconds[d, i, j]` a device needs at least for a frame of `[ends[i], ends[j])`.

    Infinite where it must not, or cannot, hold the run.
    """

    ends: tuple[int, ...]
    seconds: Floats


def runs_of(problem: Problem) -> Runs:
    """Return what runs cost, reckoned from each run alone: never too much."""
    ends = _ends(problem)
    wide = len(ends)
    starts, stops = np.array(ends)[:, None], np.array(ends)[None, :]
    is_run = starts < stops
    crossing = _crossing(problem, ends)
    total = np.concatenate([np.zeros((len(problem.devices), 1)), np.cumsum(problem.compute_s, axis=1)], axis=1)
    held = _memory_bytes(problem, ends, crossing)
    seconds = np.full((len(problem.devices), wide, wide), np.inf)
    may_not = np.concatenate([np.zeros((len(problem.devices), 1)), np.cumsum(~problem.allowed, axis=1)], axis=1)
    for device in range(len(problem.devices)):
        stage_s = total[device][stops] - total[device][starts]
        stage_s = stage_s + problem.session_s[device] + problem.layout_byte_s[device] * crossing.laid_out
        cpu_s = stage_s * problem.cpu_per_s[device] + problem.byte_s[device] * (crossing.entering + crossing.leaving)
        cpu_s = cpu_s + problem.message_s[device] * ((crossing.entering > 0) * 1.0 + (crossing.leaving > 0))
        busy_s = np.maximum(stage_s, cpu_s / problem.cores[device])
        able = is_run & (held <= problem.memory_bytes[device])
        able = able & (may_not[device][stops] == may_not[device][starts])
        seconds[device] = np.where(able, np.maximum(busy_s, _link_s(problem, device, crossing)), np.inf)
    return Runs(ends, seconds)


def _ends(problem: Problem) -> tuple[int, ...]:
    """Return the places between units where runs may end, the first and the last among them."""
    count = len(problem.units)
    if count < MOST_ENDS:
        return tuple(range(count + 1))
    crossed = np.zeros(count + 1)
    for tensor in problem.tensors:
        if tensor.consumers and tensor.producer != STUDIO:
            crossed[tensor.producer + 1 : max(tensor.consumers) + 1] += tensor.size_bytes
    done = np.concatenate([[0.0], np.cumsum(problem.compute_s.mean(axis=0))])
    # From each stretch of equal work, the place that the fewest bytes cross.
    stretches = np.searchsorted(done, np.linspace(0, done[-1], MOST_ENDS))
    best = {int(first + crossed[first:second].argmin()) for first, second in pairwise(stretches) if first < second}
    return tuple(sorted({0, count, *best}))


class _Crossing(NamedTuple):
    """Bytes that enter a run, that leave it, and those among them that change their memory layout."""

    entering: Floats
    leaving: Floats
    laid_out: Floats


def _crossing(problem: Problem, ends: Sequence[int]) -> _Crossing:
    wide = len(ends)
    entering, leaving, laid_out = (np.zeros((wide, wide)) for _ in range(3))
    for tensor in problem.tensors:
        _add_entering(entering, ends, tensor, tensor.consumers)
        if tensor.producer == STUDIO:
            continue
        _add_entering(laid_out, ends, tensor, tensor.in_layout)
        behind = bisect_right(ends, tensor.producer)
        read_till = wide if tensor.is_output else bisect_right(ends, max(tensor.consumers, default=-1))
        leaving[:behind, behind:read_till] += tensor.size_bytes
        laid_out[:behind, behind : bisect_right(ends, max(tensor.in_layout, default=-1))] += tensor.size_bytes
    return _Crossing(entering, leaving, laid_out)


def _add_entering(table: Floats, ends: Sequence[int], tensor: Tensor, readers: Sequence[int]) -> None:
    """Add a tensor to all runs behind its producer that hold one of its readers."""
    start = bisect_right(ends, tensor.producer)
    for reader in readers:
        # Runs that begin up to this reader, and behind the ones before, have it as their first.
        until = bisect_right(ends, reader)
        table[start:until, until:] += tensor.size_bytes
        start = max(start, until)


def _link_s(problem: Problem, device: int, crossing: _Crossing) -> Floats:
    """Return the seconds that a frame's bytes take over the device's fastest links, or its interface."""
    others = [peer for peer in range(len(problem.devices) + 1) if peer != device]
    shared = float(problem.interface_bytes_per_s[device])
    inward = min(shared, float(problem.link_bytes_per_s[others, device].sum()))
    outward = min(shared, float(problem.link_bytes_per_s[device, others].sum()))
    entering_s: Floats = crossing.entering / inward
    return np.maximum(entering_s, crossing.leaving / outward)


def _memory_bytes(problem: Problem, ends: Sequence[int], crossing: _Crossing) -> Floats:
    """Return what holding a run takes at least, its links' shortest queues included."""
    held = np.zeros((len(ends), len(ends)))
    sums = [np.concatenate([[0], np.cumsum(of)]) for of in (problem.weight_bytes, problem.matrix_bytes, problem.layers)]
    for i, start in enumerate(ends):
        for j, stop in enumerate(ends[i + 1 :], i + 1):
            weights, matrices, layers = (int(of[stop] - of[start]) for of in sums)
            live = int(problem.live_bytes[start:stop].max())
            need = StageNeed(weights, matrices, 0, live, layers)
            links = 2 * int(crossing.entering[i, j]), 2 * int(crossing.leaving[i, j])
            held[i, j] = memory_bound([need], *links).bound_bytes
    return held
