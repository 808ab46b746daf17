"""Small random problems for searches: graphs of any form, unequal devices, and limits that bind."""

import random
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from partition_studio.planner.search.problem.evaluate import evaluate
from partition_studio.planner.search.problem.problem import STUDIO, Detail, Problem, Tensor, Torn
from partition_studio.planner.search.question import OBJECTIVES, Limits

MIB = 2**20


def random_problem(generator: random.Random, *, most_units: int = 6, most_devices: int = 3) -> Problem:
    """Return a problem whose objective and limits are drawn, too; the limits from what a random placement costs."""
    free = _free_problem(generator, generator.randint(1, most_units), generator.randint(1, most_devices))
    return replace(free, limits=_limits(generator, free), memory_bytes=_memory(generator, free))


def _free_problem(generator: random.Random, units: int, devices: int) -> Problem:
    uniform = generator.uniform
    peers = devices + 1
    speeds = [generator.choice([1.0, uniform(0.3, 3.0)]) for _ in range(devices)]
    work = [uniform(0.1e-3, 8e-3) for _ in range(units)]
    is_alike = generator.random() < 0.3
    compute = [[w / s * (1.0 if is_alike else uniform(0.7, 1.4)) for w in work] for s in speeds]
    weights = [generator.choice([0, generator.randint(0, 8 * MIB), generator.randint(0, 40 * MIB)]) for _ in work]
    bandwidth = uniform(5e6, 200e6)
    links = [[bandwidth if is_alike else uniform(5e6, 200e6) for _ in range(peers)] for _ in range(peers)]
    torn: tuple[Torn, ...] = ()
    if units > 1 and generator.random() < 0.3:
        head, unit = generator.sample(range(units), 2)
        torn = (Torn(generator.randrange(devices), head, unit, uniform(0, 1e-3)),)
    problem = Problem(
        units=tuple((f"u{unit}",) for unit in range(units)),
        devices=tuple(f"d{device}" for device in range(devices)),
        compute_s=np.array(compute),
        session_s=np.array([uniform(0, 1e-3) if not is_alike else 2e-4 for _ in range(devices)]),
        layout_byte_s=np.array([1e-9 if is_alike else uniform(0, 2e-9) for _ in range(devices)]),
        cores=np.array([1.0 if is_alike else generator.choice([0.5, 1.0, 2.0, 4.0]) for _ in range(devices)]),
        threads=np.array([1 if is_alike else generator.choice([1, 2, 4]) for _ in range(devices)]),
        message_s=np.array([1e-4 if is_alike else uniform(0, 3e-4) for _ in range(peers)]),
        byte_s=np.array([1e-9 if is_alike else uniform(0, 3e-9) for _ in range(peers)]),
        tensors=_tensors(generator, units),
        link_bytes_per_s=np.array(links),
        link_latency_s=np.array([[3e-4 if is_alike else uniform(0, 2e-3) for _ in range(peers)] for _ in range(peers)]),
        interface_bytes_per_s=np.array([generator.choice([np.inf, uniform(10e6, 100e6)]) for _ in range(peers)]),
        weight_bytes=np.array(weights),
        matrix_bytes=np.array([generator.choice([0, weight]) for weight in weights]),
        live_bytes=np.array([generator.randint(1000, 4 * MIB) for _ in range(units)]),
        layers=np.array([generator.randint(1, 3) for _ in range(units)]),
        memory_bytes=np.full(devices, 2**62),
        idle_w=np.array([2.0 if is_alike else uniform(0.1, 4.0) for _ in range(devices)]),
        active_w=np.array([3.0 if is_alike else uniform(0.1, 6.0) for _ in range(devices)]),
        allowed=np.ones((devices, units), dtype=np.bool_),
        objective=generator.choice(OBJECTIVES),
        limits=Limits(),
        detail=Detail(torn=torn),
    )
    # Every second device does half of its work on bytes while they are on their way.
    beside = 0.0 if is_alike else 0.5 * (np.arange(peers) % 2)
    return replace(problem, beside_byte_s=problem.byte_s * beside)


def _tensors(generator: random.Random, units: int) -> tuple[Tensor, ...]:
    """Return tensors of any acyclic graph; often that of a chain, with ways around some units."""
    readers: dict[int, set[int]] = {maker: set() for maker in range(STUDIO, units)}
    is_chain = generator.random() < 0.6
    for unit in range(units):
        makers = {unit - 1} if is_chain else {generator.randint(STUDIO, unit - 1)}
        if generator.random() < 0.3:
            makers.add(generator.randint(STUDIO, unit - 1))
        for maker in makers:
            readers[maker].add(unit)
    found = []
    for maker, of in readers.items():
        is_output = maker >= 0 and (not of or generator.random() < 0.05)
        if not of and not is_output:
            continue
        consumers = tuple(sorted(of))
        laid_out = [unit for unit in consumers if maker >= 0 and generator.random() < 0.7]
        is_laid_out = bool(consumers) and len(laid_out) == len(consumers)
        some = () if is_laid_out else tuple(laid_out)
        size = generator.randint(1, 400_000)
        found.append(Tensor(f"t{maker}", size, maker, consumers, is_output, is_laid_out, some))
    return tuple(found)


def _limits(generator: random.Random, problem: Problem) -> Limits:
    units, devices = len(problem.units), len(problem.devices)
    costs = evaluate(problem, sorted(generator.randrange(devices) for _ in range(units)))

    def about(figure: float) -> float | None:
        return figure * generator.uniform(0.85, 1.3) if generator.random() < 0.2 else None

    return Limits(
        min_throughput_per_s=about(1 / costs.period_s),
        max_latency_s=about(costs.latency_s),
        max_energy_j=about(max(costs.energy_j)),
        max_total_energy_j=about(sum(costs.energy_j)),
        max_devices=generator.randint(1, devices) if generator.random() < 0.2 else None,
    )


def _memory(generator: random.Random, problem: Problem) -> NDArray[np.int64]:
    costs = evaluate(problem, [0] * len(problem.units))
    if generator.random() < 0.7:
        return problem.memory_bytes
    return np.array([int(max(costs.memory_bytes) * generator.uniform(0.6, 1.2)) for _ in problem.devices])


def alike_devices(devices: int, *, units: int) -> Problem:
    """Return a chain of unequal units on devices that are all alike, for throughput."""
    generator = random.Random(devices * units)
    one = _free_problem(generator, units, 1)
    tensors = [Tensor("in", 50_000, STUDIO, (0,), False, False)]
    for unit in range(units):
        last = unit == units - 1
        size = generator.randint(10_000, 400_000)
        tensors.append(Tensor(f"t{unit}", size, unit, () if last else (unit + 1,), last, not last))
    links = np.full((devices + 1, devices + 1), 50e6)

    def all_of(array: NDArray[Any]) -> NDArray[Any]:
        return np.repeat(array[:1], devices, axis=0)

    return replace(
        one,
        devices=tuple(f"d{device}" for device in range(devices)),
        compute_s=all_of(one.compute_s),
        session_s=all_of(one.session_s),
        layout_byte_s=all_of(one.layout_byte_s),
        cores=all_of(one.cores),
        threads=all_of(one.threads),
        memory_bytes=all_of(one.memory_bytes),
        idle_w=all_of(one.idle_w),
        active_w=all_of(one.active_w),
        allowed=np.ones((devices, units), dtype=np.bool_),
        message_s=np.full(devices + 1, 1e-4),
        byte_s=np.full(devices + 1, 1e-9),
        beside_byte_s=None,
        interface_bytes_per_s=np.full(devices + 1, np.inf),
        link_bytes_per_s=links,
        link_latency_s=np.full_like(links, 3e-4),
        tensors=tuple(tensors),
        objective="throughput",
        detail=Detail(),
    )
