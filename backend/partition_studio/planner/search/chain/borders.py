"""Where runs may begin and end: between any two units, or, of long networks, where little has to travel."""

import math

import numpy as np

from partition_studio.planner.search.problem.problem import STUDIO, Integers, Problem

#: Units up to which runs may begin anywhere.
MOST_UNITS = 1200

#: Borders of a first, coarse search: so many, and for each device.
_COARSE = 96
_COARSE_PER_DEVICE = 2


def coarse_borders(problem: Problem, devices: int) -> Integers:
    """Return few borders (unit numbers, from 0 to that of all units)."""
    return _cheapest(problem, max(_COARSE, _COARSE_PER_DEVICE * devices))


def fine_borders(problem: Problem) -> Integers:
    """Return all borders, or as many as can be handled."""
    count = len(problem.units)
    return np.arange(count + 1) if count <= MOST_UNITS else _cheapest(problem, MOST_UNITS)


def longest_run(problem: Problem, borders: Integers, period_s: float) -> int:
    """Return how many borders a run may span at most to take less than a period on any device."""
    last = len(borders) - 1
    if period_s == math.inf:
        return last
    longest = 1
    for device in range(len(problem.devices)):
        done = np.concatenate([[0.0], np.cumsum(problem.compute_s[device])])[borders]
        ends = np.searchsorted(done, done + max(period_s - float(problem.session_s[device]), 0.0), side="right")
        longest = max(longest, int((ends - np.arange(last + 1)).max()))
    return min(longest, last)


def _cheapest(problem: Problem, wanted: int) -> Integers:
    """Return borders at like distances of work, each moved to where least crosses."""
    count = len(problem.units)
    if wanted >= count:
        return np.arange(count + 1)
    crossing = np.zeros(count + 1)
    for tensor in problem.tensors:
        if tensor.producer != STUDIO and tensor.consumers:
            crossing[tensor.producer + 1 : tensor.consumers[-1] + 1] += tensor.size_bytes
    done = np.concatenate([[0.0], np.cumsum(problem.compute_s.mean(axis=0))])
    parts = np.minimum((done / max(done[-1], 1e-30) * wanted).astype(np.int64), wanted - 1)
    chosen = {0, count}
    for part in np.unique(parts):
        places = np.flatnonzero(parts == part)
        chosen.add(int(places[np.argmin(crossing[places])]))
    return np.array(sorted(chosen))
