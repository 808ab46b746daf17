"""What stands in the way where no plan is feasible: named, and by how much, as if every placement had been tried."""

import math
from collections.abc import Mapping
from dataclasses import replace
from types import MappingProxyType

import numpy as np

from partition_studio.planner.errors import Obstacle
from partition_studio.planner.search.obstacles import obstacles
from partition_studio.planner.search.problem.evaluate import broken_limits
from partition_studio.planner.search.problem.pose import pose
from partition_studio.planner.search.problem.problem import Costs, Problem
from partition_studio.planner.search.question import Limits, Question
from partition_studio.planner.search.text import rate_text, time_text

from .networks import load
from .planner_worlds import conv_chain, world
from .random_problems import MIB, all_costs, random_problem, with_random_limits

LONG_S = 120.0


def never() -> bool:
    return False


def figure(obstacle: Obstacle, problem: Problem, assignment: tuple[int, ...], costs: Costs) -> float:
    """Return what a limit speaks of, so that less is better."""
    match obstacle.limit:
        case "min_throughput_per_s":
            return costs.period_s
        case "max_latency_s":
            return costs.latency_s
        case "max_energy_j":
            return max(costs.energy_j)
        case "max_total_energy_j":
            return sum(costs.energy_j)
        case "max_devices":
            return len(set(assignment))
        case _:
            return costs.memory_bytes[problem.devices.index(obstacle.subject)]


def least_needed(obstacle: Obstacle, problem: Problem) -> float:
    """Return the least of what a limit speaks of over all placements that keep the others."""
    name = f"memory_bytes/{obstacle.subject}" if obstacle.limit == "memory_bytes" else obstacle.limit
    return min(
        (
            figure(obstacle, problem, placed, costs)
            for placed, costs in all_costs(problem)
            if set(broken_limits(problem, costs, placed)) <= {name}
        ),
        default=math.inf,
    )


def test_what_is_needed_is_the_least_over_all_placements() -> None:
    told = alone = 0
    for seed in range(1000, 1060):
        problem = with_random_limits(random_problem(seed, with_pins=False), seed, count=(1, 3), slack=(0.6, 0.95))
        if any(not broken_limits(problem, costs, placed) for placed, costs in all_costs(problem)):
            continue
        for obstacle in obstacles(problem, never, LONG_S):
            if obstacle.limit in ("several", "all_memory"):
                continue
            told += 1
            expected = least_needed(obstacle, problem)
            if obstacle.needed is None:
                assert expected == math.inf, (seed, obstacle)
                continue
            alone += 1
            needed = 1 / obstacle.needed if obstacle.limit == "min_throughput_per_s" else obstacle.needed
            assert expected <= needed <= expected * (1 + 1e-4), (seed, obstacle)
    assert told > 15 and alone > 8


def chain_problem(limits: Limits, memory_bytes: Mapping[str, int] = MappingProxyType({})) -> Problem:
    network = load(conv_chain())
    figures = world(network, {"pi1": 1.0, "pi2": 2.0}, memory_bytes=memory_bytes)
    return pose(Question(network, figures, ("pi1", "pi2"), limits=limits))


def test_memory_is_told_with_what_is_allowed_and_what_is_needed() -> None:
    problem = chain_problem(Limits(pins={"c0": "pi1"}), {"pi1": 10**8 // 2})
    (memory, *_) = obstacles(problem, never, LONG_S)
    assert (memory.limit, memory.subject, memory.allowed) == ("memory_bytes", "pi1", 5e7)
    assert memory.needed is not None and memory.needed == least_needed(memory, problem)
    assert memory.text.startswith("Memory of pi1: 50.00 MB allowed, at least ")
    assert memory.text.endswith(" MB needed, whatever else is placed where.")


def test_throughput_that_nothing_reaches_is_told_in_frames_a_second() -> None:
    (throughput,) = obstacles(chain_problem(Limits(min_throughput_per_s=1e6)), never, LONG_S)
    assert throughput.limit == "min_throughput_per_s" and throughput.needed is not None
    assert throughput.text.startswith("Throughput: 1,000,000 frames/s asked for, ")
    assert f"no plan reaches more than {rate_text(throughput.needed)}" in throughput.text


def test_a_pin_in_the_way_is_named() -> None:
    problem = chain_problem(Limits(pins={"c0": "pi1", "c1": "pi2"}, max_devices=2))
    problem = replace(problem, limits=replace(problem.limits, max_devices=1))
    found = obstacles(problem, never, LONG_S)
    devices = next(obstacle for obstacle in found if obstacle.limit == "max_devices")
    assert devices.needed == 2
    pins = [obstacle for obstacle in found if obstacle.limit == "pins"]
    assert [obstacle.subject for obstacle in pins] == ["c0 to pi1", "c1 to pi2"]
    assert all(obstacle.text.endswith("without it there are plans.") for obstacle in pins)


def test_limits_that_must_be_loosened_together_are_told_first() -> None:
    problem = chain_problem(Limits(pins={"c0": "pi1", "c3": "pi2"}), {"pi1": 50 * MIB, "pi2": 60 * MIB})

    def pinned(placed: tuple[int, ...]) -> bool:
        return all(problem.allowed[device, unit] for unit, device in enumerate(placed))

    every, several, *alone = obstacles(problem, never, LONG_S)
    assert every.limit == "all_memory" and every.needed is not None
    shares = [
        np.array(costs.memory_bytes) / problem.memory_bytes for placed, costs in all_costs(problem) if pinned(placed)
    ]
    assert math.isclose(every.needed, min(float(share.max()) for share in shares), rel_tol=1e-3)
    assert several.limit == "several" and several.text.endswith(
        "these must be loosened together: the memory of pi2 (62.91 MB) and the pin of c0 to pi1."
    )
    assert len(alone) == 4 and not any(obstacle.needed for obstacle in alone)
    assert all(obstacle.text.endswith("loosening it alone does not help.") for obstacle in alone)


def test_limits_that_were_not_got_to_before_it_was_stopped_are_told_as_such() -> None:
    problem = chain_problem(Limits(min_throughput_per_s=1e6, max_latency_s=1e-3))
    told = obstacles(problem, lambda: True, LONG_S)
    assert [obstacle.limit for obstacle in told] == ["min_throughput_per_s", "max_latency_s"]
    assert all(obstacle.needed is None for obstacle in told)
    assert all(obstacle.text.endswith("whether loosening it helps was not found out.") for obstacle in told)


def test_figures_that_differ_are_told_apart() -> None:
    (latency,) = obstacles(chain_problem(Limits(max_latency_s=1e-7)), never, LONG_S)
    assert latency.needed is not None
    assert latency.text.startswith(f"Latency: 0.1 µs allowed, at least {time_text(latency.needed, 4)} needed")
