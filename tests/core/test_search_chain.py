"""The search for contiguous runs finds what trying all of them finds, and says when it cannot be sure."""

import itertools
import math
import random
import time
from collections.abc import Iterator, Sequence
from statistics import median

import numpy as np
import pytest

from partition_studio.graph.examples import build_example
from partition_studio.planner.search.bounds import lower_bounds
from partition_studio.planner.search.chain.chain import Effort, Found, search_chain
from partition_studio.planner.search.chain.quantities import cost_of
from partition_studio.planner.search.problem.evaluate import evaluate, keeps
from partition_studio.planner.search.problem.pose import pose
from partition_studio.planner.search.problem.problem import Problem
from partition_studio.planner.search.question import Question
from tests.core.networks import load
from tests.core.planner_worlds import layer_seconds, world
from tests.core.search_problems import alike_devices, random_problem

INSTANCES, PARTS = 500, 5


def never() -> bool:
    return False


def nothing(found: Found) -> None:
    """Take no notice."""


def chains(problem: Problem) -> Iterator[tuple[int, ...]]:
    """Every assignment in which each device has one run at most."""
    count = len(problem.units)
    for used in range(1, min(count, len(problem.devices)) + 1):
        for order in itertools.permutations(range(len(problem.devices)), used):
            for cuts in itertools.combinations(range(1, count), used - 1):
                ends = [*cuts, count]
                sizes = [end - begin for begin, end in zip([0, *cuts], ends, strict=True)]
                yield tuple(d for d, size in zip(order, sizes, strict=True) for _ in range(size))


def best_of(problem: Problem, assignments: Iterator[Sequence[int]]) -> float:
    best = math.inf
    for assignment in assignments:
        costs = evaluate(problem, assignment)
        if keeps(problem, costs, assignment):
            best = min(best, cost_of(problem, costs))
    return best


@pytest.mark.parametrize("part", range(PARTS))
def test_no_contiguous_runs_are_better_than_those_found(part: int) -> None:
    infeasible = 0
    for seed in range(part * INSTANCES // PARTS, (part + 1) * INSTANCES // PARTS):
        problem = random_problem(random.Random(seed))
        found = search_chain(problem, never, nothing)
        best = best_of(problem, chains(problem))
        assert found.is_exact, seed
        if found.assignment is None:
            infeasible += 1
            assert best == math.inf, seed
            continue
        assert found.costs is not None
        assert keeps(problem, found.costs, found.assignment)
        assert cost_of(problem, found.costs) == pytest.approx(best, rel=1e-6), seed
        assert found.bound == pytest.approx(best, rel=1e-6)
    # Limits are drawn so that they bind, and some leave nothing.
    assert 0 < infeasible < INSTANCES // 10


@pytest.mark.parametrize("part", range(2))
def test_no_placement_is_below_the_bounds(part: int) -> None:
    for seed in range(part * 60, (part + 1) * 60):
        problem = random_problem(random.Random(10_000 + seed), most_units=5)
        bounds = lower_bounds(problem)
        devices = range(len(problem.devices))
        best = best_of(problem, itertools.product(devices, repeat=len(problem.units)))
        assert bounds.cost(problem.objective) <= best * (1 + 1e-9), seed
        assert bounds.cost(problem.objective) > 0


def test_runs_are_told_as_they_get_better() -> None:
    problem = random_problem(random.Random(3))
    told: list[float] = []
    found = search_chain(problem, never, lambda f: told.append(cost_of(problem, f.costs)) if f.costs else None)
    assert told == sorted(told, reverse=True)
    assert found.costs is not None
    assert told[-1] == cost_of(problem, found.costs)


def test_a_stopped_search_keeps_what_it_has() -> None:
    problem = random_problem(random.Random(3))
    found = search_chain(problem, lambda: True, nothing)
    assert found.assignment is not None
    assert not found.is_exact
    assert found.costs is not None
    assert found.bound <= cost_of(problem, found.costs)


def test_the_same_problem_has_the_same_answer() -> None:
    one, other = (search_chain(random_problem(random.Random(8)), never, nothing) for _ in range(2))
    assert one.assignment is not None
    assert other.assignment is not None
    assert np.array_equal(one.assignment, other.assignment)


def test_a_search_of_orders_stays_above_the_bound_and_claims_no_proof() -> None:
    """What is tried of sums where sets of devices are too many: a first search over few borders, then one over all."""
    effort = Effort(sets=0, few_units=3, coarse=2_000, fine=4_000)
    losses = []
    for seed in range(120):
        problem = random_problem(random.Random(seed))
        if problem.objective not in ("latency", "total_energy"):
            continue
        found = search_chain(problem, never, nothing, effort)
        best = best_of(problem, chains(problem))
        assert not found.is_exact
        assert found.bound <= best * (1 + 1e-9)
        if found.costs is not None and found.assignment is not None:
            assert keeps(problem, found.costs, found.assignment)
            losses.append(cost_of(problem, found.costs) / best)
    assert len(losses) > 25
    assert min(losses) >= 1 - 1e-9
    assert median(losses) < 1.001


def test_devices_that_are_alike_need_no_orders_of_their_own() -> None:
    """Sixteen of one kind are seventeen sets, not sixty thousand."""
    problem = alike_devices(16, units=20)
    found = search_chain(problem, never, nothing)
    assert found.is_exact
    assert found.costs is not None
    assert lower_bounds(problem).period_s <= found.costs.period_s
    assert found.order == tuple(range(len(found.order)))


@pytest.mark.slow
def test_resnet_50_on_eight_unequal_devices_is_proved() -> None:
    network = load(build_example("resnet-50"))
    speeds = dict(zip("abcdefgh", (1.0, 2.5, 0.7, 1.6, 3.1, 1.2, 0.5, 2.0), strict=True))
    fused = [
        (layer.name, readers[0].name)
        for layer in network.layers
        if layer.op_type == "Conv" and len(readers := network.consumers[layer.outputs[0]]) == 1
    ]
    figures = world(network, speeds, seconds=layer_seconds(network, 5e9, 4e9), fused=fused)
    problem = pose(Question(network, figures, tuple(speeds)))
    begin_s = time.process_time()
    found = search_chain(problem, never, nothing)
    assert found.is_exact
    assert found.costs is not None
    # About 0.3 s of it; a search that lost its bounds would take minutes.
    assert time.process_time() - begin_s < 10
    assert found.costs.period_s < evaluate(problem, [4] * len(problem.units)).period_s / 3
