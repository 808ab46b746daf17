"""Placements of any form, improved step by step: many reckoned at once as `evaluate` does, which alone decides."""

import itertools
import math
import random
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from partition_studio.planner.search.chain.chain import search_chain
from partition_studio.planner.search.found import Found
from partition_studio.planner.search.general.batch_costs import BatchCosts
from partition_studio.planner.search.general.batch_memory import BatchMemory
from partition_studio.planner.search.general.improve import improve_placement
from partition_studio.planner.search.problem.evaluate import busy_of, evaluate, keeps, stage_s, stages_of
from partition_studio.planner.search.problem.pose import pose
from partition_studio.planner.search.problem.problem import Costs, Integers, Problem, Tensor
from partition_studio.planner.search.question import OBJECTIVES, Limits, Objective
from tests.core.search_judges import question_of
from tests.core.search_problems import random_problem

QUICK = 2_000


def never() -> bool:
    return False


def improved(problem: Problem, start: Integers | None = None, effort: int = QUICK) -> Found:
    return improve_placement(problem, start, never, lambda found: None, effort)


def cost(problem: Problem, costs: Costs | None) -> float:
    if costs is None:
        return math.inf
    return costs.period_s if problem.objective == "throughput" else costs.value(problem.objective)


def least(problem: Problem) -> float:
    """Return the least cost of all placements that keep the limits."""
    best = math.inf
    for assignment in itertools.product(range(len(problem.devices)), repeat=len(problem.units)):
        costs = evaluate(problem, assignment)
        if cost(problem, costs) < best and keeps(problem, costs, assignment):
            best = cost(problem, costs)
    return best


def placements(problem: Problem, seed: int, count: int) -> Integers:
    """Return placements of any form in columns."""
    generator = np.random.default_rng(seed)
    return generator.integers(0, len(problem.devices), (len(problem.units), count))


# --- many at once ----------------------------------------------------------------------------------------------------


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 10**9))
def test_what_is_busy_latency_and_energy_of_many_are_those_of_each(seed: int) -> None:
    problem = random_problem(random.Random(seed), most_units=9, most_devices=4)
    columns = placements(problem, seed, 6)
    batch = BatchCosts(problem).of(columns)
    assert batch.latency_s is not None
    energy_j = batch.energy_j(problem)
    for column in range(columns.shape[1]):
        costs = evaluate(problem, columns[:, column])
        graph = stages_of(problem, columns[:, column])
        seconds = [stage_s(problem, graph, number) for number in range(len(graph.stages))]
        cpu_s, busy_s = busy_of(problem, graph, seconds)
        assert batch.cpu_s[:, column] == pytest.approx(cpu_s, rel=1e-9)
        assert batch.period_s[column] == pytest.approx(max(busy_s), rel=1e-9)
        assert batch.latency_s[column] == pytest.approx(costs.latency_s, rel=1e-9)
        # Of the period and what idles meanwhile, nothing that is reckoned so is more than what is judged.
        assert batch.period_s[column] <= costs.period_s * (1 + 1e-9)
        if costs.period_s <= max(busy_s):
            assert energy_j[:, column] == pytest.approx(costs.energy_j, rel=1e-9)
        assert (energy_j[:, column] <= np.array(costs.energy_j) * (1 + 1e-9)).all()


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 10**9), st.integers(0, 2))
def test_memory_of_many_is_that_of_each_where_devices_have_one_stage_and_near_it_else(seed: int, network: int) -> None:
    if network:
        problem = pose(question_of(network, 3, seed))
    else:
        problem = random_problem(random.Random(seed), most_units=9, most_devices=4)
    columns = placements(problem, seed, 6)
    columns[:, :3] = np.sort(columns[:, :3], axis=0)
    costs = BatchCosts(problem)
    stages = costs.stager.of(columns)
    messages = costs.of_stages(stages, 8.0, with_latency=False)[1]
    memory = BatchMemory(problem)
    batch, least_bytes = memory.of(stages, messages), memory.least_of(stages, messages)
    for column in range(columns.shape[1]):
        exact = evaluate(problem, columns[:, column]).memory_bytes
        assert batch[:, column] == pytest.approx(exact, rel=0.3)
        assert (least_bytes[:, column] <= np.array(exact)).all()
        graph = stages_of(problem, columns[:, column])
        last = len(graph.stages) - 1
        is_chain = all(
            maker + 1 == reader or maker == -1 or (maker, reader) == (last, -1) for maker, reader in graph.cuts
        )
        if is_chain and len(graph.stages) == len({stage.device for stage in graph.stages}):
            assert batch[:, column] == pytest.approx(exact, rel=1e-12)


def test_a_stage_that_joins_two_others_is_one_with_them() -> None:
    # Unit 2 reads from 0 and 1: with both on its device all three are one stage, whichever of them come between.
    problem = random_problem(random.Random(5), most_units=6, most_devices=3)
    problem = replace(pose(question_of(2, 3, 5)), objective=problem.objective)
    stager = BatchCosts(problem).stager
    columns = placements(problem, 5, 200)
    label = stager.of(columns).label
    for column in range(columns.shape[1]):
        graph = stages_of(problem, columns[:, column])
        expected = {unit: stage.units[0] for stage in graph.stages for unit in stage.units}
        assert [int(first) for first in label[: len(problem.units), column]] == [
            expected[unit] for unit in range(len(problem.units))
        ]


# --- improving -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("objective", OBJECTIVES)
@pytest.mark.parametrize("seed", range(3))
def test_small_problems_are_solved(objective: Objective, seed: int) -> None:
    problem = random_problem(random.Random(seed), most_units=6, most_devices=3)
    problem = replace(problem, objective=objective)
    found = improved(problem)
    assert cost(problem, found.costs) == pytest.approx(least(problem), rel=1e-9)


def test_nearly_all_small_problems_are_solved_whatever_is_asked() -> None:
    solved = 0
    for seed in range(100, 120):
        problem = random_problem(random.Random(seed), most_units=5, most_devices=3)
        solved += cost(problem, improved(problem).costs) == pytest.approx(least(problem), rel=1e-9)
    assert solved >= 18


@settings(max_examples=12, deadline=None)
@given(st.integers(0, 10**9))
def test_what_is_found_keeps_all_limits_and_is_never_worse_than_the_start(seed: int) -> None:
    problem = random_problem(random.Random(seed), most_units=8, most_devices=4)
    start = placements(problem, seed, 1)[:, 0]
    before = evaluate(problem, start)
    told: list[Found] = []
    found = improve_placement(problem, start, never, told.append, 600)
    if keeps(problem, before, start):
        assert cost(problem, found.costs) <= cost(problem, before)
    for each in [*told, found]:
        if each.assignment is not None:
            costs = evaluate(problem, each.assignment)
            assert keeps(problem, costs, each.assignment)
            assert each.costs == costs
        assert each.bound == 0
        assert not each.is_exact
    values = [cost(problem, each.costs) for each in told]
    assert values == sorted(values, reverse=True)


def test_scattered_placements_beat_the_best_contiguous_runs_where_they_can() -> None:
    found_better = 0
    for seed in range(4):
        problem = pose(question_of(2, 3, seed))
        chain = search_chain(problem, never, lambda found: None)
        found = improved(problem, chain.assignment, 4_000)
        assert cost(problem, found.costs) <= cost(problem, chain.costs)
        found_better += cost(problem, found.costs) < cost(problem, chain.costs) * (1 - 1e-6)
    assert found_better > 0


def test_units_between_which_nothing_can_travel_stay_together() -> None:
    problem = _free(random_problem(random.Random(11), most_units=6, most_devices=3))
    tensors = tuple(replace(t, travels=t.producer < 0 or t.is_output or not t.consumers) for t in problem.tensors)
    stuck = replace(problem, tensors=tensors)
    assert any(not tensor.travels for tensor in tensors)
    found = improved(stuck)
    assert cost(stuck, found.costs) == pytest.approx(least(stuck), rel=1e-9)
    assert found.assignment is not None
    assert all(_stays(found.assignment, tensor) for tensor in tensors)


def _stays(assignment: Integers, tensor: Tensor) -> bool:
    return tensor.travels or len({int(assignment[unit]) for unit in (tensor.producer, *tensor.consumers)}) == 1


def test_pins_and_a_limit_of_devices_are_kept() -> None:
    problem = _free(random_problem(random.Random(12), most_units=6, most_devices=3))
    allowed = problem.allowed.copy()
    allowed[:-1, 0] = False
    pinned = replace(problem, allowed=allowed, limits=Limits(max_devices=2))
    found = improved(pinned)
    assert cost(pinned, found.costs) == pytest.approx(least(pinned), rel=1e-9)
    assert found.assignment is not None
    assert found.assignment[0] == len(problem.devices) - 1
    assert len(set(found.assignment.tolist())) <= 2


def test_where_nothing_is_allowed_nothing_is_found() -> None:
    problem = random_problem(random.Random(1), most_units=4, most_devices=2)
    found = improved(replace(problem, allowed=np.zeros_like(problem.allowed)))
    assert found.assignment is None


def test_the_same_question_gets_the_same_answer() -> None:
    problem = pose(question_of(1, 3, 3))
    one, other = improved(problem), improved(problem)
    assert one.assignment is not None
    assert other.assignment is not None
    assert one.assignment.tolist() == other.assignment.tolist()


def test_a_search_that_is_stopped_returns_what_it_told_last() -> None:
    problem = pose(question_of(1, 3, 4))
    asked = _Counter(6)
    told: list[Found] = []
    found = improve_placement(problem, np.zeros(len(problem.units), np.int64), asked, told.append, 10**9)
    assert asked.count < 12
    assert told
    assert found.assignment is told[-1].assignment


class _Counter:
    """Says stop from a call on."""

    def __init__(self, most: int) -> None:
        self.count, self._most = 0, most

    def __call__(self) -> bool:
        self.count += 1
        return self.count > self._most


def _free(problem: Problem) -> Problem:
    return replace(problem, limits=Limits(), memory_bytes=np.full(len(problem.devices), 2**62), objective="throughput")
