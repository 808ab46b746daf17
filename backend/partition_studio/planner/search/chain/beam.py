"""Chains found by prices: from the first run on, the beginnings that leave most unpaid are gone on from."""

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from partition_studio.planner.search.chain.orders import Sets
from partition_studio.planner.search.chain.stopped import StoppedError
from partition_studio.planner.search.chain.within import END, Within
from partition_studio.planner.search.problem.problem import Floats, Integers

#: Beginnings that are kept at each node.
_KEPT = 24


@dataclass(frozen=True, eq=False)
class _Begun:
    """Beginnings that lead to one node: what they paid (n,), used of each kind (n, kinds), and their runs."""

    paid: Floats
    used: Integers
    runs: list[tuple[tuple[int, int], ...]]


def chain_by_prices(
    within: Within, sets: Sets, price: Floats, stop: Callable[[], bool]
) -> list[tuple[int, int]] | None:
    """Return the runs (kind, border where it ends) of a chain if one is found that uses no more devices than there are.

    Raises StoppedError.
    """
    counts = np.array(sets.counts)
    start = within.start
    arrived: dict[int, list[_Begun]] = {start: [_Begun(np.zeros(1), np.zeros((1, len(counts)), dtype=np.int64), [()])]}
    for node in range(start, END, -1):
        if stop():
            raise StoppedError
        if node not in arrived:
            continue
        begun = _best(arrived.pop(node))
        # Of what is left of each beginning, the cheapest kind for each run.
        is_left = (begun.used < counts) & (begun.used.sum(axis=1) < sets.most)[:, None]
        own = np.where(is_left, price, math.inf)[:, :, None]
        each = np.where(within.possible[node][None], own, math.inf)
        kinds = each.argmin(axis=1)
        paid = each.min(axis=1) + begun.paid[:, None]
        for run, target in enumerate(within.targets[node].tolist()):
            able = np.flatnonzero(np.isfinite(paid[:, run]))
            if not len(able):
                continue
            used = begun.used[able].copy()
            used[np.arange(len(able)), kinds[able, run]] += 1
            border = within.border_of[target]
            runs = [(*begun.runs[place], (int(kinds[place, run]), border)) for place in able]
            arrived.setdefault(target, []).append(_Begun(paid[able, run], used, runs))
    if END not in arrived:
        return None
    return list(_best(arrived[END]).runs[0])


def _best(begun: list[_Begun]) -> _Begun:
    """Return the cheapest beginnings, of those that cost the same one."""
    paid = np.concatenate([b.paid for b in begun])
    used = np.concatenate([b.used for b in begun])
    runs = [of for b in begun for of in b.runs]
    _, first = np.unique(np.round(paid, 12), return_index=True)
    kept = first[:_KEPT]
    return _Begun(paid[kept], used[kept], [runs[place] for place in kept])
