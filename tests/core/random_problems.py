"""Small problems made by chance: any graph of units, unequal devices and links, any limits."""

import random
from collections.abc import Iterator
from dataclasses import replace
from itertools import product
from typing import Any

import numpy as np
from numpy.typing import NDArray

from partition_studio.planner.search.problem.evaluate import evaluate
from partition_studio.planner.search.problem.problem import STUDIO, Costs, Floats, Problem, Tensor
from partition_studio.planner.search.question import OBJECTIVES, Limits

MIB = 2**20

#: Devices and units.
SIZES = ((2, 2), (2, 4), (2, 5), (2, 6), (3, 3), (3, 4), (3, 5), (4, 3))

LIMITS = ("memory_bytes", "max_devices", "min_throughput_per_s", "max_latency_s", "max_energy_j", "max_total_energy_j")


def random_problem(seed: int, *, with_pins: bool = True) -> Problem:
    """Return a problem of 2 to 4 devices and 2 to 6 units, small enough to try every placement."""
    chance = random.Random(seed)
    devices, units = chance.choices(SIZES, (1, 3, 3, 2, 4, 3, 1, 2))[0]
    alike = chance.random() < 0.2
    shape = (1 if alike else devices, units)
    seconds = np.array([[chance.uniform(1e-3, 2e-2) for _ in range(shape[1])] for _ in range(shape[0])])
    per_device = 1 if alike else devices
    tensors = random_tensors(chance, units)
    slow = chance.choice([2e5, 2e6, 2e7])
    problem = Problem(
        units=tuple((f"u{unit}",) for unit in range(units)),
        devices=tuple(f"d{device}" for device in range(devices)),
        compute_s=_spread(seconds, devices),
        session_s=_spread(_uniform(chance, per_device, 0, 1e-3), devices),
        layout_byte_s=_spread(_uniform(chance, per_device, 0, 1e-7), devices),
        cores=_spread(np.array([chance.choice([0.5, 1.0, 2.0, 4.0]) for _ in range(per_device)]), devices),
        threads=_spread(np.array([chance.choice([1, 2, 4]) for _ in range(per_device)]), devices),
        message_s=np.append(_spread(_uniform(chance, per_device, 0, 1e-3), devices), 1e-4),
        byte_s=np.append(_spread(_uniform(chance, per_device, 0, 1e-8), devices), 1e-9),
        tensors=tensors,
        link_bytes_per_s=_links(chance, devices, slow, 10 * slow, alike=alike),
        link_latency_s=_links(chance, devices, 0, 3e-3, alike=alike),
        interface_bytes_per_s=np.append(
            _spread(np.array([chance.choice([np.inf, 3 * slow]) for _ in range(per_device)]), devices), np.inf
        ),
        weight_bytes=np.array([chance.choice([0, chance.randrange(24 * MIB)]) for _ in range(units)]),
        matrix_bytes=np.zeros(units, dtype=np.int64),
        live_bytes=np.array([chance.randrange(4 * MIB) for _ in range(units)]),
        layers=np.array([chance.randint(1, 5) for _ in range(units)]),
        memory_bytes=np.full(devices, 2**62),
        idle_w=_spread(_uniform(chance, per_device, 0.5, 5), devices),
        active_w=_spread(_uniform(chance, per_device, 0.5, 5), devices),
        allowed=_allowed(chance, devices, units) if with_pins else np.ones((devices, units), dtype=bool),
        objective=chance.choices(OBJECTIVES, (5, 5, 5, 5, 2))[0],
        limits=Limits(),
    )
    # Every second device does half of its work on bytes while they are on their way.
    beside = 0.0 if alike else 0.5 * (np.arange(devices + 1) % 2)
    return replace(problem, beside_byte_s=problem.byte_s * beside)


def with_random_limits(
    problem: Problem, seed: int, *, count: tuple[int, int] = (0, 3), slack: tuple[float, float] = (0.9, 1.3)
) -> Problem:
    """Return the problem with a few limits near what its placements cost, so that some placements break them."""
    chance = random.Random(seed)
    costs = [costs for _, costs in chance.sample(list(all_costs(problem)), 4)]
    limits, memory = Limits(), problem.memory_bytes.copy()
    for name in chance.sample(LIMITS, chance.randint(*count)):
        one, factor = chance.choice(costs), chance.uniform(*slack)
        match name:
            case "memory_bytes":
                device = chance.randrange(len(memory))
                memory[device] = int(max(max(c.memory_bytes[device] for c in costs), 80 * MIB) * factor)
            case "max_devices":
                limits = replace(limits, max_devices=chance.randint(1, len(memory)))
            case "min_throughput_per_s":
                limits = replace(limits, min_throughput_per_s=1 / (one.period_s * factor))
            case "max_latency_s":
                limits = replace(limits, max_latency_s=one.latency_s * factor)
            case "max_energy_j":
                limits = replace(limits, max_energy_j=max(one.energy_j) * factor)
            case _:
                limits = replace(limits, max_total_energy_j=sum(one.energy_j) * factor)
    return replace(problem, limits=limits, memory_bytes=memory)


def random_tensors(chance: random.Random, units: int) -> tuple[Tensor, ...]:
    """Return the tensors of a graph with branches, whose last unit makes what the studio reads."""
    readers: list[set[int]] = [set() for _ in range(units)]
    for unit in range(1, units):
        near = range(max(0, unit - 3), unit)
        for maker in chance.sample(near, min(len(near), chance.choice([1, 1, 1, 2]))):
            readers[maker].add(unit)
    tensors = [Tensor("input", chance.randrange(1, 60_000), STUDIO, (0,), False, False)]
    for unit, found in enumerate(readers):
        size, is_laid_out = chance.randrange(1, 60_000), chance.random() < 0.5 and bool(found)
        tensors.append(Tensor(f"t{unit}", size, unit, tuple(sorted(found)), not found, is_laid_out))
    return tuple(tensors)


def all_costs(problem: Problem) -> Iterator[tuple[tuple[int, ...], Costs]]:
    """Yield every placement with what it costs."""
    for assignment in product(range(len(problem.devices)), repeat=len(problem.units)):
        yield assignment, evaluate(problem, assignment)


def _uniform(chance: random.Random, count: int, low: float, high: float) -> Floats:
    return np.array([chance.uniform(low, high) for _ in range(count)])


def _spread(values: NDArray[Any], devices: int) -> NDArray[Any]:
    return values if len(values) == devices else np.repeat(values, devices, axis=0)


def _links(chance: random.Random, devices: int, low: float, high: float, *, alike: bool) -> Floats:
    if alike:
        return np.full((devices + 1, devices + 1), chance.uniform(low, high))
    return np.array([[chance.uniform(low, high) for _ in range(devices + 1)] for _ in range(devices + 1)])


def _allowed(chance: random.Random, devices: int, units: int) -> NDArray[np.bool_]:
    allowed = np.ones((devices, units), dtype=bool)
    if chance.random() < 0.3:
        unit, device = chance.randrange(units), chance.randrange(devices)
        allowed[:, unit] = False
        allowed[device, unit] = True
    return allowed
