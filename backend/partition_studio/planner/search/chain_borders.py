"""Where runs may begin and end: between any two units, or, of long networks, where little has to travel."""

import numpy as np

from partition_studio.planner.search.problem import STUDIO, Integers, Problem

#: Borders up to which all are taken, and how long a run may then be.
MOST_BORDERS = 420

#: Of longer networks or with very many devices: borders for each device, and the times its part that a run may span.
_BORDERS_PER_DEVICE = 8
_TIMES_ITS_PART = 6


def borders_of(problem: Problem, devices: int) -> tuple[Integers, int]:
    """Return the borders (unit numbers, from 0 to that of all units), and how many of them a run may span."""
    count = len(problem.units)
    if count <= MOST_BORDERS:
        return np.arange(count + 1), count
    wanted = min(count, max(MOST_BORDERS, _BORDERS_PER_DEVICE * devices))
    borders = np.arange(count + 1) if wanted >= count else _cheapest(problem, wanted)
    last = len(borders) - 1
    return borders, min(last, max(48, _TIMES_ITS_PART * last // max(devices, 1)))


def _cheapest(problem: Problem, wanted: int) -> Integers:
    """Return borders at like distances of work, each moved to where least crosses."""
    count = len(problem.units)
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
