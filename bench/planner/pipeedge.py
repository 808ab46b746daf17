"""PipeEdge's dynamic programming over sets of devices, for our units of layers.

Y. Hu, C. Imes, X. Zhao, S. Kundu, P. A. Beerel, S. P. Crago, J. P. Walters: "PipeEdge: Pipeline Parallelism for
Large-Scale Model Inference on Heterogeneous Edge Devices", DSD 2022 (the partition algorithm). This is an
implementation of our own, after the paper.

`h(i, S, u)` is the least period of the first `i` layers on the devices of the set `S`, with `u` to be the next:

    h(j, S + {u}, v) = min over i < j of max(h(i, S, u), compute(u, i, j), transfer(u, v, j))

Devices of one type count as equal, so that a set is how many there are of each type. A layer's output is what crosses
to the next device; of a network that is no chain, all that is alive there. What it does not know, and our costs do:
processor time of carrying, shared interfaces, what enters and leaves the network, tensors that pass several stages by.
"""

import itertools
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from partition_studio.planner.search.problem.problem import STUDIO, Floats, Integers, Problem

#: Of each type so many devices are taken.
Taken = tuple[int, ...]

_Choice = tuple[NDArray[np.int16], NDArray[np.int16]]


@dataclass(frozen=True, slots=True)
class PipeEdge:
    """The best chain that it finds: a device for each unit, and the period that it reckons with."""

    assignment: Integers
    period_s: float


@dataclass(frozen=True, slots=True)
class _Last:
    """The last run of a chain: it begins with unit `start`, on a device of type `kind`, after `taken`."""

    period_s: float
    taken: Taken
    kind: int
    start: int


def pipeedge(problem: Problem, kinds: Sequence[Sequence[int]], stop: Callable[[], bool]) -> PipeEdge | None:
    """Return its plan; None where nothing fits, or when it was stopped.

    `kinds` has the devices of each type; what one takes is the mean of its type.
    """
    units = len(problem.units)
    crossing = _crossing_bytes(problem)
    compute_s = [_compute_s(problem, kind, crossing) for kind in kinds]
    transfer_s = [[crossing / _bytes_per_s(problem, one, other) for other in kinds] for one in kinds]
    nothing = (0,) * len(kinds)
    best: dict[Taken, Floats] = {nothing: np.full((len(kinds), units + 1), np.inf)}
    best[nothing][:, 0] = 0.0
    choices: dict[Taken, _Choice] = {}
    last = _Last(np.inf, nothing, 0, 0)
    # In this order every set comes after those that it grows from.
    for taken in itertools.product(*[range(len(kind) + 1) for kind in kinds]):
        here = best.pop(taken, None)
        if here is None:
            continue
        for u in _free(taken, kinds):
            if stop():
                return None
            # For each end the start that gives the least maximum.
            periods = np.maximum(here[u][:-1, None], compute_s[u])
            starts = periods.argmin(axis=0)
            least = periods[starts, np.arange(units + 1)]
            if least[units] < last.period_s:
                last = _Last(float(least[units]), taken, u, int(starts[units]))
            after = (*taken[:u], taken[u] + 1, *taken[u + 1 :])
            there = best.setdefault(after, np.full((len(kinds), units + 1), np.inf))
            empty = (len(kinds), units + 1)
            chosen = choices.setdefault(after, (np.full(empty, -1, np.int16), np.full(empty, -1, np.int16)))
            for v in _free(after, kinds):
                cost = np.maximum(least, transfer_s[u][v])
                better = cost < there[v]
                there[v][better] = cost[better]
                chosen[0][v][better] = u
                chosen[1][v][better] = starts[better]
    if not np.isfinite(last.period_s):
        return None
    return PipeEdge(_assignment(problem, kinds, last, choices), last.period_s)


def _free(taken: Taken, kinds: Sequence[Sequence[int]]) -> list[int]:
    return [kind for kind, devices in enumerate(kinds) if taken[kind] < len(devices)]


def _assignment(
    problem: Problem, kinds: Sequence[Sequence[int]], last: _Last, choices: dict[Taken, _Choice]
) -> Integers:
    """Follow the choices back from the last run of units; each run takes the next device of its type."""
    assignment = np.zeros(len(problem.units), np.int64)
    end, start, kind, taken = len(problem.units), last.start, last.kind, last.taken
    while True:
        assignment[start:end] = kinds[kind][taken[kind]]
        if not start:
            return assignment
        from_kind, from_start = choices[taken]
        end, kind, start = start, int(from_kind[kind][start]), int(from_start[kind][start])
        taken = (*taken[:kind], taken[kind] - 1, *taken[kind + 1 :])


def _crossing_bytes(problem: Problem) -> Floats:
    """Return, for each place between units, the bytes of activations that are made before and read after it."""
    units = len(problem.units)
    crossing = np.zeros(units + 1)
    for tensor in problem.tensors:
        if tensor.producer != STUDIO and tensor.consumers:
            crossing[tensor.producer + 1 : max(tensor.consumers) + 1] += tensor.size_bytes
    return crossing


def _bytes_per_s(problem: Problem, one: Sequence[int], other: Sequence[int]) -> float:
    """Return the rate from a type to another, or to another device of the same."""
    rates = [problem.link_bytes_per_s[a, b] for a in one for b in other if a != b]
    return float(np.mean(rates)) if rates else np.inf


def _compute_s(problem: Problem, kind: Sequence[int], crossing: Floats) -> Floats:
    """Return a type's seconds for the units from i up to j, as (U, U + 1); infinite where they do not fit.

    Its model of memory: weights, and buffers for what comes in and goes out, twice and while computing.
    """
    devices, units = list(kind), len(problem.units)
    sums = np.concatenate(([0.0], np.cumsum(problem.compute_s[devices].mean(axis=0))))
    seconds = sums[None, :] - sums[:-1, None] + problem.session_s[devices].mean()
    weights = np.concatenate(([0], np.cumsum(problem.weight_bytes))).astype(np.float64)
    need = weights[None, :] - weights[:-1, None] + 3 * (crossing[:-1, None] + crossing[None, :])
    barred = np.concatenate(([0], np.cumsum(~problem.allowed[devices].all(axis=0))))
    is_run = np.arange(units + 1)[None, :] > np.arange(units)[:, None]
    can = (need <= problem.memory_bytes[devices].min()) & (barred[None, :] == barred[:-1, None]) & is_run
    return np.where(can, seconds, np.inf)
