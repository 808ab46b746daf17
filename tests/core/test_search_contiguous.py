"""Searches for plans in which each device computes one run of layers: their own space, with its own proof."""

import itertools
import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from partition_studio.planner.errors import ContradictionError, NoPlanError
from partition_studio.planner.search.answer import Answer, cost_of
from partition_studio.planner.search.problem.evaluate import evaluate, keeps
from partition_studio.planner.search.problem.pose import pose
from partition_studio.planner.search.problem.problem import Problem
from partition_studio.planner.search.question import OBJECTIVES, Limits, Objective, Question
from partition_studio.planner.search.search import search
from tests.core.networks import load
from tests.core.planner_worlds import conv_chain, random_world, residual_net

SMALL, RESIDUAL = load(conv_chain((3, 4, 4, 4), 8)), load(residual_net(1))


def answer(question: Question) -> Answer:
    return search(question, stop=lambda: False, seconds=20.0, on_answer=lambda _: None)


def best_of_runs(problem: Problem) -> float:
    """Return the least cost of all assignments in which no device comes back."""
    least = math.inf
    for assignment in itertools.product(range(len(problem.devices)), repeat=len(problem.units)):
        runs = [device for device, _ in itertools.groupby(assignment)]
        costs = evaluate(problem, assignment)
        if len(runs) == len(set(runs)) and keeps(problem, costs, assignment):
            least = min(least, cost_of(problem.objective, costs.value(problem.objective)))
    return least


@settings(max_examples=20, deadline=None)
@given(st.sampled_from(OBJECTIVES), st.booleans(), st.integers(1, 3), st.integers(0, 10**6))
def test_the_answer_is_the_best_of_all_runs_and_says_so(
    objective: Objective, is_residual: bool, devices: int, seed: int
) -> None:
    network = RESIDUAL if is_residual else SMALL
    names = tuple(f"d{number}" for number in range(devices))
    world = random_world(network, devices, seed)
    question = Question(network, world, names, objective, Limits(contiguous=True))
    found = answer(question)
    assert cost_of(objective, found.value) == pytest.approx(best_of_runs(pose(question)), rel=1e-4)
    assert found.is_proved
    assert found.space == "one run of layers per device"
    assert found.contiguous_bound == pytest.approx(found.value, rel=1e-4)


def test_any_placement_is_at_least_as_good_and_tells_what_runs_could_do() -> None:
    world = random_world(RESIDUAL, 3, 5)
    names = ("d0", "d1", "d2")
    runs = answer(Question(RESIDUAL, world, names, limits=Limits(contiguous=True)))
    free = answer(Question(RESIDUAL, world, names))
    assert free.value >= runs.value * (1 - 1e-9)
    assert free.contiguous_bound == pytest.approx(runs.value, rel=1e-4)


def test_runs_and_replicas_exclude_each_other() -> None:
    world = random_world(SMALL, 2, 1)
    limits = Limits(contiguous=True, strategies=frozenset({"layers", "replicas"}))
    with pytest.raises(ContradictionError, match="replicas, exclude each other"):
        answer(Question(SMALL, world, ("d0", "d1"), limits=limits))


def test_pins_that_only_other_placements_keep_are_told_as_such() -> None:
    world = random_world(SMALL, 2, 1)
    first, *_, last = SMALL.layers
    middle = SMALL.layers[len(SMALL.layers) // 2]
    pins = {first.name: "d0", middle.name: "d1", last.name: "d0"}
    with pytest.raises(NoPlanError, match="one run of layers for each device") as caught:
        answer(Question(SMALL, world, ("d0", "d1"), limits=Limits(pins=pins, contiguous=True)))
    assert [obstacle.limit for obstacle in caught.value.obstacles] == ["contiguous"]
    assert answer(Question(SMALL, world, ("d0", "d1"), limits=Limits(pins=pins))).is_proved
