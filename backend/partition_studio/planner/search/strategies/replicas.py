"""Runs of units on groups of devices that share the frames: from a single run on all devices to one device a run.

A group on a run passes as many frames a second as its devices together, each for itself (the source of frames deals
them by speed). So the best division of a network among *ordered groups* is found by dynamic programming over "the first
i units are done by these devices", the bottleneck being what is minimised, as in PipeDream (Narayanan et al., SOSP
2019, section 3.1), which knows equal devices only.

What a run costs a device is reckoned from the run alone: every tensor that leaves it is taken to be sent once, over
the device's fastest link. That is never too much, so the result's period is a lower bound for all such plans; the
plan itself is judged by its prediction, and single changes that make it better are made as long as there are any.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import NamedTuple

import numpy as np

from partition_studio.partition.plan import Plan, ReplicaGroup
from partition_studio.planner.search.baselines import MOST_PLACES, group_name
from partition_studio.planner.search.problem.problem import Floats, Problem
from partition_studio.planner.search.strategies.judge import Judge, Judged
from partition_studio.planner.search.strategies.runs import Runs, runs_of

#: With so many devices every set of them is tried for every run; with more, only neighbours by speed.
ALL_SETS = 7

#: Plans that are judged to make one better.
MOST_JUDGED = 120


class GroupedRun(NamedTuple):
    """Units `[start, stop)`, and the devices that share their frames (indices)."""

    start: int
    stop: int
    devices: tuple[int, ...]


Grouping = tuple[GroupedRun, ...]


def plan_of_groups(judge: Judge, problem: Problem, groups: Grouping) -> Plan:
    """Return the plan of runs on groups of devices."""
    placement: dict[str, str] = {}
    replicas: dict[str, ReplicaGroup] = {}
    for run in groups:
        names = [problem.devices[device] for device in run.devices]
        place = names[0]
        if len(names) > 1:
            place = group_name(judge.question.devices, len(replicas) if len(groups) == 1 else len(replicas) + 1)
            replicas[place] = ReplicaGroup(places=names)
        placement.update((layer, place) for unit in problem.units[run.start : run.stop] for layer in unit)
    return judge.plan_of(placement).model_copy(update={"replicas": replicas})


def search_replicas(
    judge: Judge, problem: Problem, stop: Callable[[], bool], offer: Callable[[Judged], bool]
) -> Grouping | None:
    """Offer plans of runs on groups, each better than those before; return the best, None where there is none.

    `offer` is told every plan that may be better than what it knows, and keeps the best.
    """
    best: tuple[Grouping, float] | None = None
    for groups in proposals(problem, stop):
        judged = judge.judge(plan_of_groups(judge, problem, groups))
        if judged is not None and judged.keeps_limits:
            offer(judged)
            if best is None or judged.cost < best[1]:
                best = groups, judged.cost
        if stop():
            break
    if best is None:
        return None
    return _improved(judge, problem, *best, stop, offer)


def proposals(problem: Problem, stop: Callable[[], bool]) -> Iterator[Grouping]:
    """Yield the groupings of least reckoned period, for each number of runs, the best first."""
    runs = runs_of(problem)
    found = _by_sets(problem, runs, stop) if len(problem.devices) <= ALL_SETS else _by_order(problem, runs, stop)
    for _, groups in sorted(found):
        yield groups


def least_period_s(problem: Problem) -> float:
    """Return a lower bound of the period of all runs on groups of devices; for at most `ALL_SETS` devices."""
    runs = runs_of(problem)
    found = _by_sets(problem, runs, lambda: False)
    return min((period_s for period_s, _ in found), default=float("inf"))


def _by_sets(problem: Problem, runs: Runs, stop: Callable[[], bool]) -> list[tuple[float, Grouping]]:
    """Try every set of devices for every run."""
    count, last = len(problem.devices), len(runs.ends) - 1
    sets = range(1, 1 << count)
    alone = _period_s(runs, sets)
    most = count if problem.limits.max_devices is None else min(problem.limits.max_devices, count)
    nothing = np.full(last + 1, np.inf)
    nothing[0] = 0.0
    # One layer of the table for each number of runs: by set of devices used, the least period of the units before.
    layers: list[dict[int, Floats]] = [{0: nothing}]
    results: list[tuple[float, Grouping]] = []
    for number in range(1, min(most, last) + 1):
        layer: dict[int, Floats] = {}
        for used, before in layers[-1].items():
            for members in sets:
                if members & used or (members | used).bit_count() > most:
                    continue
                if stop():
                    return results
                whole = members | used
                # At least number - 1 runs came before, so short starts are out already: they are infinite.
                period_s = np.maximum(before[:, None], alone[members]).min(axis=0)
                layer[whole] = np.minimum(layer[whole], period_s) if whole in layer else period_s
        layers.append(layer)
        period_s, used = min(((float(table[last]), whole) for whole, table in layer.items()), default=(np.inf, 0))
        if np.isfinite(period_s):
            results.append((period_s, _traced(runs, alone, layers, number, used, last)))
    return results


def _traced(
    runs: Runs, alone: dict[int, Floats], layers: Sequence[dict[int, Floats]], number: int, used: int, last: int
) -> Grouping:
    """Return the groups that lead to an entry of the table, by looking for what it was made of."""
    groups: list[GroupedRun] = []
    while number:
        wanted, found = layers[number][used][last], None
        for members in _subsets(used):
            before = layers[number - 1].get(used ^ members)
            if before is None:
                continue
            made = np.maximum(before[: last + 1], alone[members][: last + 1, last])
            start = int(made.argmin())
            if made[start] <= wanted and (found is None or members.bit_count() < found[1].bit_count()):
                found = start, members
        assert found is not None, "every entry of the table was made of one before"
        start, members = found
        able = tuple(d for d in _members(members) if np.isfinite(runs.seconds[d, start, last]))
        groups.append(GroupedRun(runs.ends[start], runs.ends[last], able))
        number, used, last = number - 1, used ^ members, start
    return tuple(reversed(groups))


def _by_order(problem: Problem, runs: Runs, stop: Callable[[], bool]) -> list[tuple[float, Grouping]]:
    """Try groups of neighbours only, the devices being in the order of their speed, both ways."""
    speed = problem.compute_s.sum(axis=1)
    order = [int(device) for device in np.argsort(speed, kind="stable")]
    most = len(order) if problem.limits.max_devices is None else min(problem.limits.max_devices, len(order))
    # The slowest are left out where only some may be used.
    order = order[:most]
    return [found for devices in (order, order[::-1]) if (found := _of_neighbours(runs, devices, stop)) is not None]


def _of_neighbours(runs: Runs, order: Sequence[int], stop: Callable[[], bool]) -> tuple[float, Grouping] | None:
    """Return the best division of the units into runs on neighbours in an order; every device may be left out."""
    last, count = len(runs.ends) - 1, len(order)
    summed = np.concatenate([np.zeros((1, last + 1, last + 1)), np.cumsum(_rates(runs)[list(order)], axis=0)])
    # least[k, j]: the units before the end j are done by some of the first k devices.
    least = np.full((count + 1, last + 1), np.inf)
    least[0, 0] = 0.0
    choice = np.full((count + 1, last + 1, 2), -1)
    for k in range(1, count + 1):
        least[k] = least[k - 1]
        choice[k] = [(k - 1, j) for j in range(last + 1)]
        for start in range(max(0, k - MOST_PLACES), k):
            if stop():
                return None
            with np.errstate(divide="ignore"):
                made = np.maximum(least[start][:, None], 1 / (summed[k] - summed[start]))
            period_s, before = made.min(axis=0), made.argmin(axis=0)
            better = period_s < least[k]
            least[k] = np.where(better, period_s, least[k])
            choice[k][better] = np.stack([np.full(last + 1, start), before], axis=1)[better]
    if not np.isfinite(least[count, last]):
        return None
    groups: list[GroupedRun] = []
    k, j = count, last
    while k:
        start, before = (int(number) for number in choice[k, j])
        if before != j:
            able = tuple(d for d in order[start:k] if np.isfinite(runs.seconds[d, before, j]))
            groups.append(GroupedRun(runs.ends[before], runs.ends[j], able))
        k, j = start, before
    return float(least[count, last]), tuple(reversed(groups))


def _period_s(runs: Runs, sets: Iterable[int]) -> dict[int, Floats]:
    """Return the seconds between frames that sets of devices need for each run."""
    rates = _rates(runs)
    with np.errstate(divide="ignore"):
        return {members: 1 / rates[list(_members(members))].sum(axis=0) for members in sets}


def _rates(runs: Runs) -> Floats:
    """Return the frames a second that each device passes of each run; 0 where it cannot hold it."""
    with np.errstate(divide="ignore"):
        return 1 / runs.seconds


def _members(members: int) -> Iterator[int]:
    return (device for device in range(members.bit_length()) if members >> device & 1)


def _subsets(members: int) -> Iterator[int]:
    """Yield all sets but the empty one of some of the members."""
    subset = members
    while subset:
        yield subset
        subset = (subset - 1) & members


def _improved(
    judge: Judge,
    problem: Problem,
    groups: Grouping,
    cost: float,
    stop: Callable[[], bool],
    offer: Callable[[Judged], bool],
) -> Grouping:
    """Return groups that no single change makes better, as far as there is time."""
    tried = {groups}
    improved = True
    while improved:
        improved = False
        for changed in _changes(problem, groups):
            if stop() or len(tried) > MOST_JUDGED:
                return groups
            if changed in tried:
                continue
            tried.add(changed)
            judged = judge.judge(plan_of_groups(judge, problem, changed))
            if judged is not None and judged.keeps_limits and judged.cost < cost:
                groups, cost, improved = changed, judged.cost, True
                offer(judged)
                break
    return groups


def _changes(problem: Problem, groups: Grouping) -> Iterator[Grouping]:
    """Yield groups with one cut moved, one device elsewhere, or two runs as one."""
    for index in range(len(groups) - 1):
        first, second = groups[index : index + 2]
        for by in (-1, 1, -2, 2, -4, 4):
            if first.start < (at := first.stop + by) < second.stop:
                moved = GroupedRun(first.start, at, first.devices), GroupedRun(at, second.stop, second.devices)
                yield (*groups[:index], *moved, *groups[index + 2 :])
        merged = GroupedRun(first.start, second.stop, first.devices + second.devices)
        yield (*groups[:index], merged, *groups[index + 2 :])
    used = {device: index for index, run in enumerate(groups) for device in run.devices}
    for device in range(len(problem.devices)):
        fewer = _without(groups, device) if device in used else groups
        if fewer is None:
            continue
        if device in used:
            yield fewer
        for index in range(len(fewer)):
            if used.get(device) != index and len(fewer[index].devices) < MOST_PLACES:
                run = fewer[index]
                more = GroupedRun(run.start, run.stop, (*run.devices, device))
                yield (*fewer[:index], more, *fewer[index + 1 :])


def _without(groups: Grouping, device: int) -> Grouping | None:
    """Return the groups without a device; None where that leaves a run without any."""
    fewer = tuple(GroupedRun(g.start, g.stop, tuple(d for d in g.devices if d != device)) for g in groups)
    return fewer if all(run.devices for run in fewer) else None
