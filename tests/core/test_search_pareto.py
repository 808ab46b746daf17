"""The Pareto front: equal to brute force over all contiguous runs, streamed, stopped, and made of complete plans."""

import itertools
import math
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from partition_studio.graph.network import Network
from partition_studio.partition.check import check_plan
from partition_studio.partition.partition import partition
from partition_studio.planner.errors import NoPlanError
from partition_studio.planner.prediction.predict import predict
from partition_studio.planner.search.answer import Answer
from partition_studio.planner.search.front.pareto import FrontEffort, pareto
from partition_studio.planner.search.front.zones import Point, Zones, dominates, is_below
from partition_studio.planner.search.problem.evaluate import evaluate, keeps
from partition_studio.planner.search.problem.pose import pose
from partition_studio.planner.search.problem.problem import Problem
from partition_studio.planner.search.question import Limits, Question
from partition_studio.planner.search.search import NothingFoundError
from tests.core.networks import load, relu_chain
from tests.core.planner_worlds import MIB, branch_net, conv_chain, random_world, residual_net, world

NETWORKS = [load(conv_chain((3, 4, 8, 4), 8)), load(branch_net()), load(relu_chain(4)), load(relu_chain(1))]
RESIDUAL = load(residual_net(1))
NO_LIMITS, ONE_RUN = Limits(), Limits(contiguous=True)


def never() -> bool:
    return False


def question_of(network: Network, devices: int, seed: int, limits: Limits = NO_LIMITS) -> Question:
    names = tuple(f"d{number}" for number in range(devices))
    return Question(network, random_world(network, devices, seed), names, limits=limits)


#: All contiguous runs are gone through; none are, but searched.
LISTED, SEARCHED = FrontEffort(placements=3_000), FrontEffort(chains=0, placements=3_000)


def front_of(
    question: Question, most: int = 1000, stop: Callable[[], bool] = never, effort: FrontEffort = LISTED
) -> tuple[tuple[Answer, ...], list[Answer]]:
    told: list[Answer] = []
    return pareto(question, stop=stop, seconds=20, most=most, on_point=told.append, effort=effort), told


def point_of(answer: Answer) -> Point:
    energy_j = answer.prediction.max_energy_j
    assert energy_j is not None
    return answer.prediction.period_s, energy_j, float(answer.prediction.max_memory_bytes)


def chains(problem: Problem) -> set[tuple[int, ...]]:
    """Return all assignments in which each device has at most one run of units."""
    units, devices = len(problem.units), range(len(problem.devices))
    found = set()
    for count in range(1, min(units, len(problem.devices)) + 1):
        for order in itertools.permutations(devices, count):
            for cuts in itertools.combinations(range(1, units), count - 1):
                ends = [0, *cuts, units]
                found.add(tuple(d for d, a, b in zip(order, ends, ends[1:], strict=False) for _ in range(a, b)))
    return found


def brute_force(problem: Problem) -> list[Point]:
    """Return the points that no other chain dominates, once each."""
    points = set()
    for assignment in chains(problem):
        costs = evaluate(problem, assignment)
        if keeps(problem, costs, assignment):
            points.add((costs.period_s, max(costs.energy_j), float(max(costs.memory_bytes))))
    return sorted(point for point in points if not any(dominates(other, point) for other in points))


@settings(max_examples=15, deadline=None)
@given(st.integers(0, 3), st.integers(1, 3), st.integers(0, 10**6), st.sampled_from([LISTED, SEARCHED]))
def test_the_front_is_that_of_all_contiguous_runs(network: int, devices: int, seed: int, effort: FrontEffort) -> None:
    question = question_of(NETWORKS[network], devices, seed, ONE_RUN)
    front, _ = front_of(question, effort=effort)
    expected = brute_force(pose(question))
    assert len(front) == len(expected)
    for found, point in zip(sorted(map(point_of, front)), expected, strict=True):
        assert found == pytest.approx(point, rel=1e-6)
    assert all(answer.is_proved and not answer.notes for answer in front)


@settings(max_examples=3, deadline=None)
@given(st.integers(0, 1), st.integers(0, 10**6), st.sampled_from([LISTED, SEARCHED]))
def test_the_front_within_limits_is_that_of_what_keeps_them(network: int, seed: int, effort: FrontEffort) -> None:
    free = question_of(NETWORKS[network], 3, seed, ONE_RUN)
    front, _ = front_of(free)
    middle = front[len(front) // 2].prediction
    limits = Limits(min_throughput_per_s=middle.throughput_per_s, max_latency_s=1.5 * middle.latency_s, contiguous=True)
    question = replace(free, limits=limits)
    expected = brute_force(pose(question))
    within, _ = front_of(question, effort=effort)
    assert sorted(map(point_of, within)) == [pytest.approx(point, rel=1e-6) for point in expected]


@pytest.mark.parametrize("limits", [NO_LIMITS, ONE_RUN])
def test_every_point_is_a_complete_plan_with_its_prediction(limits: Limits) -> None:
    question = question_of(RESIDUAL, 3, 5, limits)
    front, told = front_of(question)
    assert front
    assert set(map(point_of, front)) <= set(map(point_of, told))
    for answer in front:
        assert check_plan(question.network, answer.plan, None).ok
        assert predict(partition(question.network, answer.plan), answer.plan, question.figures) == answer.prediction
        assert answer.value == answer.prediction.throughput_per_s
        if limits.contiguous:
            assert answer.bound == pytest.approx(answer.value)
            assert answer.space.startswith("one run of layers per device within")
        else:
            assert answer.bound >= answer.value
            assert answer.space.startswith("any placement within")
    assert [answer.value for answer in front] == sorted((a.value for a in front), reverse=True)


@pytest.mark.parametrize("effort", [LISTED, SEARCHED])
def test_the_ends_of_the_front_come_first(effort: FrontEffort) -> None:
    question = question_of(RESIDUAL, 3, 6, ONE_RUN)
    front, told = front_of(question, effort=effort, most=6)
    assert len(front) > 4
    points = [point_of(answer) for answer in front]
    for direction in range(3):
        least = min(point[direction] for point in points)
        assert any(point_of(answer)[direction] == pytest.approx(least) for answer in told[:3])


def test_a_front_of_few_points_is_a_part_of_the_whole() -> None:
    question = question_of(RESIDUAL, 3, 6, ONE_RUN)
    whole = {point_of(answer) for answer in front_of(question)[0]}
    few = [point_of(answer) for answer in front_of(question, most=4)[0]]
    assert len(few) == 4
    assert set(few) <= whole


@pytest.mark.parametrize("effort", [LISTED, SEARCHED])
def test_any_placement_gives_no_point_that_contiguous_runs_beat_and_some_that_beat_them(effort: FrontEffort) -> None:
    network = NETWORKS[1]
    runs = [point_of(answer) for answer in front_of(question_of(network, 3, 6, ONE_RUN))[0]]
    front, _ = front_of(question_of(network, 3, 6), effort=effort)
    points = [point_of(answer) for answer in front]
    assert not any(dominates(run, point) for run in runs for point in points)
    assert any(dominates(point, run) for run in runs for point in points)
    assert any("step by step" in answer.method for answer in front)


def test_no_told_point_is_beaten_by_an_earlier_one_nor_any_of_the_front_by_another() -> None:
    front, told = front_of(question_of(RESIDUAL, 3, 6))
    points = [point_of(answer) for answer in told]
    for number, point in enumerate(points):
        assert not any(other == point or dominates(other, point) for other in points[:number])
    unbeaten = [point for point in points if not any(dominates(other, point) for other in points)]
    assert sorted(unbeaten) == sorted(map(point_of, front))


def test_never_more_points_are_kept_than_wanted() -> None:
    for most in (1, 4, 9):
        assert 1 <= len(front_of(question_of(RESIDUAL, 3, 6), most)[0]) <= most


def test_every_placement_of_a_small_network_is_beaten_or_nearly_reached() -> None:
    question = question_of(NETWORKS[2], 3, 8)
    problem = pose(question)
    front = np.array([point_of(answer) for answer in front_of(question)[0]])
    every = []
    for assignment in itertools.product(range(3), repeat=len(problem.units)):
        costs = evaluate(problem, assignment)
        every.append((costs.period_s, max(costs.energy_j), float(max(costs.memory_bytes))))
    reach = front.max(axis=0) - front.min(axis=0)
    for point in every:
        assert ((front - np.array(point)) <= 0.02 * reach).all(axis=1).any()


def test_the_same_question_has_the_same_front() -> None:
    one, other = (front_of(question_of(RESIDUAL, 3, 6))[1] for _ in range(2))
    assert [answer.plan for answer in one] == [answer.plan for answer in other]


def test_a_front_that_is_stopped_has_what_it_told() -> None:
    question = question_of(RESIDUAL, 3, 6)
    told: list[Answer] = []
    front = pareto(question, stop=lambda: len(told) >= 3, seconds=20, most=1000, on_point=told.append)
    assert 3 <= len(front) <= len(told) < 12
    assert set(map(point_of, front)) <= set(map(point_of, told))
    for one, other in itertools.permutations(map(point_of, front), 2):
        assert not dominates(one, other)
    assert all(math.isfinite(answer.bound) and answer.gap >= 0 for answer in front)


def test_a_front_that_is_stopped_at_once_says_that_nothing_was_found() -> None:
    with pytest.raises(NothingFoundError):
        front_of(question_of(RESIDUAL, 2, 1), stop=lambda: True)


def test_without_known_power_the_front_is_over_throughput_and_memory() -> None:
    network = NETWORKS[0]
    question = Question(network, world(network, {"a": 1.0, "b": 0.7}, power={"b": None}), ("a", "b"), limits=ONE_RUN)
    front, _ = front_of(question)
    problem = pose(question)
    points = set()
    for assignment in chains(problem):
        costs = evaluate(problem, assignment)
        points.add((costs.period_s, float(max(costs.memory_bytes))))
    expected = sorted(point for point in points if not any(dominates(other, point) for other in points))
    found = sorted((a.prediction.period_s, float(a.prediction.max_memory_bytes)) for a in front)
    assert found == [pytest.approx(point, rel=1e-6) for point in expected]
    assert all("power of 'b' is not known" in answer.notes[-1] for answer in front)
    anywhere, _ = front_of(replace(question, limits=NO_LIMITS))
    assert anywhere
    assert all(any("power of 'b' is not known" in note for note in answer.notes) for answer in anywhere)


def test_where_nothing_fits_the_front_says_why() -> None:
    network = NETWORKS[0]
    figures = world(network, {"a": 1.0}, memory_bytes={"a": 80 * MIB})
    with pytest.raises(NoPlanError, match="No plan keeps all limits"):
        front_of(Question(network, figures, ("a",)))


# --- zones -----------------------------------------------------------------------------------------------------------


@given(st.integers(1, 3).flatmap(lambda n: st.lists(st.tuples(*[st.integers(0, 6)] * n), min_size=1, max_size=12)))
def test_zones_hold_exactly_what_no_point_dominates_or_equals(points: list[tuple[int, ...]]) -> None:
    zones = Zones(len(points[0]))
    taken: list[Point] = []
    for point in points:
        if not any(other == point or dominates(other, point) or dominates(point, other) for other in taken):
            taken.append(tuple(map(float, point)))
            zones.split(taken[-1])
    for candidate in itertools.product(range(7), repeat=len(points[0])):
        is_free = not any(all(a <= b for a, b in zip(other, candidate, strict=True)) for other in taken)
        assert is_free == any(is_below(candidate, corner) for corner in zones.corners)


def test_no_zone_lies_in_another() -> None:
    zones = Zones(3)
    for point in ((1.0, 5.0, 3.0), (2.0, 2.0, 2.0), (5.0, 1.0, 4.0), (3.0, 3.0, 1.0)):
        zones.split(point)
    for one, other in itertools.permutations(zones.corners, 2):
        assert not all(a <= b for a, b in zip(one, other, strict=True))


def test_a_closed_zone_is_gone_and_the_largest_comes_next() -> None:
    zones = Zones(2)
    zones.split((0.0, 10.0))
    zones.split((9.0, 0.0))
    # Left of the first, between the two, and below the second.
    assert set(zones.corners) == {(0.0, math.inf), (9.0, 10.0), (math.inf, 0.0)}
    assert zones.largest() == (9.0, 10.0)
    zones.close((9.0, 10.0))
    assert (9.0, 10.0) not in zones.corners
