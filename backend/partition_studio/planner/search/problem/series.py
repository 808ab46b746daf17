"""A problem's units as a series: *joints* that every other unit lies before or behind, and what lies between them.

For every placement, where two joints and all that lies between them are on one device, they are in one stage (see
`partition.stages`): no way leads through another device, so their levels are equal, and ways inside connect them. Else
they are in different ones: some way from the one to the other leaves the device, which raises the level. So the stages
of a device that hold joints can be counted exactly by looking at neighbours alone.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from partition_studio.planner.search.problem.problem import STUDIO, Problem


@dataclass(frozen=True, slots=True)
class Series:
    """`joints` in order; `between[j]` are the units before joint j and behind the one before (one entry more)."""

    joints: tuple[int, ...]
    between: tuple[tuple[int, ...], ...]


def predecessors_of(problem: Problem) -> list[set[int]]:
    """Return for each unit those whose tensors it reads."""
    makers: list[set[int]] = [set() for _ in problem.units]
    for tensor in problem.tensors:
        if tensor.producer != STUDIO:
            for reader in tensor.consumers:
                makers[reader].add(tensor.producer)
    return makers


def series_of(problem: Problem) -> Series:
    """Return the joints of a problem's units."""
    makers = predecessors_of(problem)
    count = len(makers)
    before = [0] * count
    behind = [0] * count
    for unit in range(count):
        for maker in makers[unit]:
            before[unit] |= before[maker] | 1 << maker
    for unit in reversed(range(count)):
        for maker in makers[unit]:
            behind[maker] |= behind[unit] | 1 << unit
    is_joint = [before[unit].bit_count() + behind[unit].bit_count() == count - 1 for unit in range(count)]
    joints = [unit for unit in range(count) if is_joint[unit]]
    between: list[list[int]] = [[] for _ in range(len(joints) + 1)]
    place = 0
    for unit in range(count):
        # A joint lies behind all that comes before it in a topological order.
        if is_joint[unit]:
            place += 1
        else:
            between[place].append(unit)
    return Series(tuple(joints), tuple(tuple(units) for units in between))


def twins_of(problem: Problem) -> list[list[int]]:
    """Return groups of devices that may take each other's places without any cost changing, in order."""
    groups: list[list[int]] = []
    for device in range(len(problem.devices)):
        for group in groups:
            if _are_twins(problem, group[0], device):
                group.append(device)
                break
        else:
            groups.append([device])
    return [group for group in groups if len(group) > 1]


def in_order(groups: Sequence[Sequence[int]], assignment: Sequence[int]) -> tuple[int, ...]:
    """Return an assignment of the same costs in which, of alike devices, earlier ones have earlier first units."""
    named: dict[int, int] = {}
    for group in groups:
        used = [device for device in dict.fromkeys(assignment) if device in group]
        named.update(zip(used, group, strict=False))
    return tuple(named.get(device, device) for device in assignment)


def _are_twins(problem: Problem, one: int, other: int) -> bool:
    by_device = (
        *(problem.compute_s, problem.session_s, problem.layout_byte_s, problem.cores, problem.threads),
        *(problem.message_s, problem.byte_s, problem.way_byte_s, problem.interface_bytes_per_s, problem.memory_bytes),
        *(problem.idle_w, problem.active_w, problem.allowed),
    )
    if not all(_equal(array[one], array[other]) for array in by_device):
        return False
    places = list(range(len(problem.devices) + 1))
    places[one], places[other] = other, one
    for table in (problem.link_bytes_per_s, problem.link_latency_s):
        swapped = table[places][:, places]
        off_diagonal = ~np.eye(len(places), dtype=bool)
        if not np.array_equal(table[off_diagonal], swapped[off_diagonal]):
            return False
    return True


def _equal(one: object, other: object) -> bool:
    return bool(np.array_equal(np.asarray(one, dtype=float), np.asarray(other, dtype=float), equal_nan=True))
