"""What devices can hold bounds the period: no placement is below it, and it sees what linear programs do not."""

import itertools
import math
import random
from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import pytest

from partition_studio.graph.network import Network
from partition_studio.planner.search.bounds import lower_bounds
from partition_studio.planner.search.packing import packing_bound
from partition_studio.planner.search.packing.rates import rates_of
from partition_studio.planner.search.packing.tables import Grid, Tables
from partition_studio.planner.search.packing.walk import walk_of
from partition_studio.planner.search.problem.evaluate import broken_limits, evaluate
from partition_studio.planner.search.problem.pose import pose
from partition_studio.planner.search.problem.problem import STUDIO, Problem, Tensor
from partition_studio.planner.search.question import Limits, Question
from tests.core.networks import load
from tests.core.planner_worlds import branch_net, random_world, residual_net
from tests.core.search_problems import alike_devices, random_problem

#: The limits that the bound knows of.
KNOWN = {"allowed", "max_devices", "tensor_type"}


def never() -> bool:
    return False


def free_problem(seed: int, most_units: int, most_devices: int = 3) -> Problem:
    """Return a problem whose only limits are on devices; some units may not lie on some, some tensors cannot travel."""
    generator = random.Random(seed)
    problem = random_problem(generator, most_units=most_units, most_devices=most_devices)
    allowed = problem.allowed.copy()
    for unit in range(len(problem.units)):
        if generator.random() < 0.2:
            allowed[generator.randrange(len(problem.devices)), unit] = False
    tensors = tuple(
        replace(tensor, travels=tensor.producer == STUDIO or tensor.is_output or generator.random() > 0.05)
        for tensor in problem.tensors
    )
    limits = Limits(max_devices=problem.limits.max_devices)
    memory = problem.memory_bytes * 0 + 2**62
    return replace(
        problem, limits=limits, objective="throughput", memory_bytes=memory, allowed=allowed, tensors=tensors
    )


def periods(problem: Problem) -> Iterator[float]:
    """Yield the period of every placement that may be."""
    for assignment in itertools.product(range(len(problem.devices)), repeat=len(problem.units)):
        costs = evaluate(problem, assignment)
        if not KNOWN.intersection(broken_limits(problem, costs, assignment)):
            yield costs.period_s


def test_no_placement_of_small_problems_is_below_the_bound() -> None:
    ratios = []
    for seed in range(130):
        problem = free_problem(seed, most_units=4)
        least_s = min(periods(problem), default=math.inf)
        most_s = 1.3 * least_s if least_s < math.inf else 1.0
        bound_s = packing_bound(problem, most_s, never, rounds=8)
        assert bound_s <= least_s * (1 + 1e-9), seed
        ratios.append(bound_s / least_s)
    assert np.median([ratio for ratio in ratios if ratio > 0]) > 0.98


@pytest.mark.parametrize("network", [residual_net(1), branch_net(3)], ids=["residual", "branches"])
def test_no_placement_of_nets_with_branches_is_below_the_bound(network: bytes) -> None:
    graph: Network = load(network)
    for seed in range(2):
        figures = random_world(graph, 2, seed)
        problem = pose(Question(graph, figures, tuple(figures.devices)))
        least_s = min(periods(problem))
        assert packing_bound(problem, 1.2 * least_s, never, rounds=10) <= least_s * (1 + 1e-9)


@pytest.mark.parametrize("most_states", [1, 6, 64])
def test_what_a_device_has_is_worth_no_more_than_its_dearest_set(most_states: int) -> None:
    """Within the period of any placement, with any prices, each device's own set is one that it may choose."""
    seen = 0
    for seed in range(70):
        generator = random.Random(seed)
        problem = free_problem(seed, most_units=14, most_devices=4)
        homes = [np.flatnonzero(problem.allowed[:, unit]) for unit in range(len(problem.units))]
        if not all(len(home) for home in homes):
            continue
        assignment = [int(generator.choice(home)) for home in homes]
        costs = evaluate(problem, assignment)
        if costs.period_s == math.inf:
            continue
        seen += 1
        prices = np.array([generator.randint(-3, 20) for _ in assignment])
        steps = list(walk_of(problem, most_states))
        for device in range(len(problem.devices)):
            grid = Grid(generator.choice([7, 50]), generator.choice([1, 3]))
            table = Tables(steps, [device], [rates_of(problem, device)], costs.period_s, grid)
            found = table.solve(prices, never)
            assert found is not None
            worths, (column,) = found
            own = prices[np.array(assignment) == device].sum()
            assert worths[0, -1] >= max(own, 0), (seed, device)
            assert prices[column.units].sum() == worths[0, -1]
            assert (np.diff(worths[0]) >= 0).all()
    assert seen > 40


def slow_interfaces() -> Problem:
    """Return a chain on four boards whose links are so slow that only two of its tensors may pass."""
    problem = alike_devices(4, units=12)
    sizes = [20_000 if unit in (3, 7) else 900_000 for unit in range(12)]
    tensors = [Tensor("in", 20_000, STUDIO, (0,), False, False)]
    for unit, size in enumerate(sizes[:-1]):
        tensors.append(Tensor(f"t{unit}", size, unit, (unit + 1,), False, False))
    tensors.append(Tensor("out", 20_000, 11, (), True, False))
    links = np.full_like(problem.link_bytes_per_s, 10e6)
    compute = np.full_like(problem.compute_s, 5e-3)
    return replace(problem, tensors=tuple(tensors), link_bytes_per_s=links, compute_s=compute)


def test_where_links_decide_the_bound_is_far_above_that_of_linear_programs() -> None:
    problem = slow_interfaces()
    three_s = evaluate(problem, [0] * 4 + [1] * 4 + [2] * 4).period_s
    assert lower_bounds(problem).period_s < 0.8 * three_s
    assert packing_bound(problem, 1.5 * three_s, never, rounds=60) > 0.98 * three_s


def test_a_period_that_no_placement_has_is_proved_to_be_none() -> None:
    problem = slow_interfaces()
    three_s = evaluate(problem, [0] * 4 + [1] * 4 + [2] * 4).period_s
    told: list[float] = []
    assert packing_bound(problem, 0.97 * three_s, never, rounds=100, on_bound=told.append) == 0.97 * three_s
    assert told == sorted(told)
    assert told[-1] == 0.97 * three_s


def test_what_was_proved_until_it_is_stopped_is_kept() -> None:
    problem = slow_interfaces()
    first: list[float] = []
    bound_s = packing_bound(problem, 1.0, lambda: bool(first), rounds=60, on_bound=first.append)
    assert [bound_s] == first
    assert 0 < packing_bound(problem, 1.0, lambda: True, rounds=60) < bound_s


def test_as_many_devices_count_as_may_be_used() -> None:
    problem = replace(slow_interfaces(), limits=Limits(max_devices=2))
    two_s = evaluate(problem, [0] * 4 + [1] * 8).period_s
    assert packing_bound(problem, 2 * two_s, never, rounds=60) > 0.97 * two_s


def test_tensors_that_are_too_many_to_be_told_apart_are_carried_for_nothing() -> None:
    network = load(branch_net(6))
    figures = random_world(network, 2, 0)
    problem = pose(Question(network, figures, tuple(figures.devices)))
    assert max(step.states_behind for step in walk_of(problem, 10_000)) > 64
    assert max(step.states_behind for step in walk_of(problem, 12)) <= 12
