"""The search of all placements: as good as trying each of them, proved, and honest when it was stopped."""

import math
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
from ortools.sat.python import cp_model

from partition_studio.graph.examples import build_example
from partition_studio.planner.search.found import Found
from partition_studio.planner.search.general.cp_sat import BETTER, search_general
from partition_studio.planner.search.general.relaxed_costs import Goal, Relaxed
from partition_studio.planner.search.packing import packing_bound
from partition_studio.planner.search.problem.evaluate import evaluate, keeps
from partition_studio.planner.search.problem.pose import pose
from partition_studio.planner.search.problem.problem import Costs, Problem
from partition_studio.planner.search.problem.series import series_of, twins_of
from partition_studio.planner.search.question import Question
from partition_studio.planner.search.stopping import Either

from .networks import load
from .planner_worlds import branch_net, conv_chain, random_world, residual_net, world
from .random_problems import all_costs, random_problem, with_random_limits

#: Searches of tests end by proof, not by time.
LONG_S = 60.0


def never() -> bool:
    return False


def ignore(_: Found) -> None:
    pass


def cost_of(problem: Problem, costs: Costs) -> float:
    return costs.period_s if problem.objective == "throughput" else costs.value(problem.objective)


def general(problem: Problem) -> Found:
    return search_general(problem, None, never, ignore, LONG_S, workers=1)


def least_cost(problem: Problem) -> float:
    """Return the cost of the best of all placements; infinite where none keeps the limits."""
    tried = all_costs(problem)
    return min((cost_of(problem, costs) for placed, costs in tried if keeps(problem, costs, placed)), default=math.inf)


@pytest.mark.parametrize("hundred", range(5))
def test_the_best_placement_is_found_and_proved_as_if_each_had_been_tried(hundred: int) -> None:
    feasible = 0
    for seed in range(100 * hundred, 100 * hundred + 100):
        problem = with_random_limits(random_problem(seed), seed)
        expected, found = least_cost(problem), general(problem)
        assert found.is_exact, seed
        if found.assignment is None or found.costs is None:
            assert expected == math.inf, seed
            continue
        feasible += 1
        costs = evaluate(problem, found.assignment)
        assert costs == found.costs and keeps(problem, costs, found.assignment)
        assert expected <= cost_of(problem, costs) <= expected * (1 + 2 * BETTER), seed
        assert expected * (1 - 2 * BETTER) <= found.bound <= expected * (1 + 1e-9), seed
    assert 70 <= feasible < 100


@pytest.mark.parametrize("seed", range(40))
def test_the_model_never_says_more_than_a_placement_costs(seed: int) -> None:
    problem = random_problem(seed, with_pins=False)
    for number, (assignment, costs) in enumerate(all_costs(problem)):
        if number % 23:
            continue
        relaxed = Relaxed(problem, Goal(problem.objective))
        if any(len(group) > 1 for group in twins_of(problem)):
            return  # Of alike devices the model looks at one order only.
        for unit, device in enumerate(assignment):
            relaxed.model.add(relaxed.placed.x[device, unit] == 1)
        relaxed.model.minimize(relaxed.target)
        solver = cp_model.CpSolver()
        solver.parameters.num_workers = 1
        solver.parameters.presolve_inclusion_work_limit = 0
        assert solver.solve(relaxed.model) == cp_model.OPTIMAL
        said = solver.objective_value * relaxed.unit
        true = cost_of(problem, costs)
        assert said <= true * (1 + 1e-9)
        is_chain = max(len(reads) for reads in problem.reads) == 1 and not any(series_of(problem).between)
        if problem.objective == "throughput" and is_chain:
            # Of a chain nothing is left out of the period, but links that cannot be the slowest resource.
            assert said >= true * (1 - 1e-4)


def test_what_devices_can_pack_bounds_the_period() -> None:
    tightest = 0.0
    for seed in range(60):
        problem = replace(random_problem(seed), objective="throughput")
        expected = least_cost(problem)
        for most_s in (expected, 1.7 * expected):
            bound = packing_bound(problem, most_s, never, rounds=6)
            assert bound <= expected * (1 + 1e-9), seed
            tightest = max(tightest, bound / expected)
    assert tightest > 0.95


def test_packing_sees_that_units_are_whole() -> None:
    network = load(conv_chain((3, 3, 3, 3)))
    figures = world(network, {"a": 1.0, "b": 1.0}, seconds=dict.fromkeys(network.layers_by_name, 1.0))
    problem = pose(Question(network, figures, ("a", "b")))
    assert len(problem.units) == 6
    odd = replace(problem, compute_s=np.repeat([[2.0, 0.0, 2.0, 0.0, 2.0, 0.0]], 2, axis=0))
    # Three units of two seconds on two devices: a linear program says three seconds, a device has two units or one.
    assert packing_bound(odd, 6.0, never, rounds=20) > 3.9


def test_layers_that_a_way_leads_around_are_joints_too() -> None:
    network = load(residual_net(2))
    problem = pose(Question(network, world(network, {"a": 1.0, "b": 2.0}), ("a", "b")))
    series = series_of(problem)
    assert series.joints == tuple(range(len(problem.units))) and not any(series.between)


def test_branches_side_by_side_lie_between_joints() -> None:
    network = load(branch_net(3))
    problem = pose(Question(network, world(network, {"a": 1.0, "b": 2.0}), ("a", "b")))
    assert [len(units) for units in series_of(problem).between] == [0, 3, 0]


def test_alike_devices_are_told_from_others() -> None:
    problem = random_problem(3)
    count = len(problem.devices)
    alike = replace(
        problem,
        compute_s=np.ones_like(problem.compute_s),
        session_s=np.ones(count),
        layout_byte_s=np.zeros(count),
        cores=np.ones(count),
        threads=np.ones(count, dtype=np.int64),
        message_s=np.ones(count + 1),
        byte_s=np.ones(count + 1),
        beside_byte_s=None,
        link_bytes_per_s=np.full((count + 1, count + 1), 1e6),
        link_latency_s=np.zeros((count + 1, count + 1)),
        interface_bytes_per_s=np.full(count + 1, np.inf),
        idle_w=np.full(count, np.nan),
        active_w=np.full(count, np.nan),
        allowed=np.ones_like(problem.allowed),
    )
    assert twins_of(alike) == [list(range(count))]
    cores = alike.cores.copy()
    cores[0] = 2
    assert twins_of(replace(alike, cores=cores)) == ([list(range(1, count))] if count > 2 else [])


def test_each_better_plan_is_told_at_once_with_a_bound_that_holds() -> None:
    network = load(conv_chain((3, 8, 8, 16, 16, 8)))
    problem = pose(Question(network, random_world(network, 3, seed=5), ("d0", "d1", "d2")))
    told: list[Found] = []
    found = search_general(problem, None, never, told.append, LONG_S, workers=1)
    costs = [cost_of(problem, better.costs) for better in told if better.costs is not None]
    assert costs and all(later < earlier for earlier, later in pairwise(costs))
    assert found.costs is not None and costs[-1] == cost_of(problem, found.costs)
    assert all(better.bound <= costs[-1] for better in told)


def test_a_stopped_search_keeps_the_best() -> None:
    network = load(conv_chain((3, 8, 8, 16, 16, 8)))
    problem = pose(Question(network, random_world(network, 3, seed=5), ("d0", "d1", "d2")))
    told: list[Found] = []
    found = search_general(problem, None, lambda: bool(told), told.append, LONG_S, workers=1)
    assert len(told) == 1 and found.costs == told[0].costs
    assert found.bound <= cost_of(problem, told[0].costs or evaluate(problem, [0] * len(problem.units)))


def test_each_better_bound_is_told_and_holds() -> None:
    network = load(residual_net(2))
    problem = pose(Question(network, random_world(network, 3, seed=1), ("d0", "d1", "d2")))
    told: list[float] = []
    found = search_general(problem, None, never, ignore, LONG_S, workers=1, on_bound=told.append)
    assert found.costs is not None
    assert told and all(earlier < later for earlier, later in pairwise(told))
    assert told[-1] <= found.bound <= cost_of(problem, found.costs)


class Deaf:
    """Stops only what it can interrupt: nobody ever gets an answer from it that would end anything before."""

    def __init__(self) -> None:
        self.interrupted = 0

    def __call__(self) -> bool:
        return self.interrupted > 0

    @contextmanager
    def interrupts(self, act: Callable[[], None]) -> Iterator[None]:
        is_over = threading.Event()

        def interrupt() -> None:
            while not is_over.wait(0.01):
                self.interrupted += 1
                act()

        thread = threading.Thread(target=interrupt)
        thread.start()
        yield
        is_over.set()
        thread.join()


@pytest.mark.parametrize("either", [False, True])
def test_what_computes_is_interrupted_and_keeps_the_best(*, either: bool) -> None:
    network = load(branch_net(8))
    names = tuple(f"d{number}" for number in range(6))
    problem = pose(Question(network, random_world(network, 6, seed=3), names))
    start = np.zeros(len(problem.units), dtype=np.int64)
    deaf = Deaf()
    found = search_general(problem, start, Either(never, deaf) if either else deaf, ignore, LONG_S, workers=1)
    assert deaf.interrupted and not found.is_exact
    assert found.costs is not None and found.bound <= cost_of(problem, found.costs)
    assert cost_of(problem, found.costs) <= cost_of(problem, evaluate(problem, start))


def test_a_search_that_may_not_begin_answers_with_its_start() -> None:
    problem = random_problem(0, with_pins=False)
    start = np.zeros(len(problem.units), dtype=np.int64)
    found = search_general(problem, start, lambda: True, ignore, LONG_S)
    assert found.assignment is not None and found.assignment.tolist() == start.tolist()
    assert not found.is_exact and found.costs == evaluate(problem, start)


def test_the_same_question_gets_the_same_answer() -> None:
    network = load(residual_net(2))
    problem = pose(Question(network, random_world(network, 3, seed=1), ("d0", "d1", "d2")))
    first, second = general(problem), general(problem)
    assert first.assignment is not None and second.assignment is not None
    assert first.assignment.tolist() == second.assignment.tolist() and first.bound == second.bound


@pytest.mark.slow
@pytest.mark.parametrize("name", ["alexnet", "squeezenet"])
def test_architectures_on_three_devices_are_proved(name: str) -> None:
    network = load(build_example(name))
    problem = pose(Question(network, random_world(network, 3, seed=1), ("d0", "d1", "d2")))
    found = search_general(problem, None, never, ignore, 120)
    assert found.is_exact and found.costs is not None
    assert found.bound >= found.costs.period_s * (1 - 2 * BETTER)
