"""What the planner's bench compares with: PipeEdge's programme is exact in its own terms, and volumes are right."""

import itertools
from collections.abc import Sequence

import numpy as np
import onnx
import pytest
from bench.planner.bench import Table, within
from bench.planner.pipeedge import pipeedge
from bench.planner.report import lines_of
from bench.planner.running import means_between
from bench.planner.simple import greedy, memory_proportional, single, uniform
from bench.planner.volume import hypervolume, undominated
from bench.planner.worlds import kinds_of, question_of
from hypothesis import given, settings
from hypothesis import strategies as st

from partition_studio.graph.load import load_network
from partition_studio.graph.network import Network
from partition_studio.planner.search.problem.pose import pose
from partition_studio.planner.search.problem.problem import Problem
from partition_studio.planner.search.question import Question
from tests.core.planner_worlds import conv_chain, random_world


@pytest.fixture(scope="module")
def network(tmp_path_factory: pytest.TempPathFactory) -> Network:
    file = tmp_path_factory.mktemp("chain") / "chain.onnx"
    onnx.save(conv_chain(), file)
    return load_network(file)


def problem_of(network: Network, devices: int, seed: int) -> Problem:
    figures = random_world(network, devices, seed)
    return pose(Question(network, figures, tuple(figures.devices)))


def chain_period_s(problem: Problem, ends: Sequence[int], devices: Sequence[int]) -> float:
    """Return the period of a chain as PipeEdge reckons it: each device's computing, each transfer to the next."""
    begin, period_s = 0, 0.0
    for place, (end, device) in enumerate(zip(ends, devices, strict=True)):
        seconds = problem.session_s[device] + problem.compute_s[device, begin:end].sum()
        period_s = max(period_s, float(seconds))
        if place + 1 < len(ends):
            crossing = sum(
                tensor.size_bytes
                for tensor in problem.tensors
                if 0 <= tensor.producer < end and tensor.consumers and max(tensor.consumers) >= end
            )
            period_s = max(period_s, crossing / float(problem.link_bytes_per_s[device, devices[place + 1]]))
        begin = end
    return period_s


@pytest.mark.parametrize("seed", range(8))
def test_pipeedge_finds_the_best_of_all_chains(network: Network, seed: int) -> None:
    problem = problem_of(network, 3, seed)
    units = len(problem.units)
    best_s = min(
        chain_period_s(problem, (*cuts, units), order)
        for count in (1, 2, 3)
        for cuts in itertools.combinations(range(1, units), count - 1)
        for order in itertools.permutations(range(3), count)
    )
    found = pipeedge(problem, [[0], [1], [2]], lambda: False)
    assert found is not None
    assert found.period_s == pytest.approx(best_s)
    devices = [device for device, _ in itertools.groupby(found.assignment.tolist())]
    ends = [*(np.flatnonzero(np.diff(found.assignment)) + 1).tolist(), units]
    assert chain_period_s(problem, ends, devices) == pytest.approx(best_s)


def test_pipeedge_uses_each_device_of_a_kind_at_most_once(network: Network) -> None:
    problem = problem_of(network, 4, 0)
    found = pipeedge(problem, [[0, 2], [1, 3]], lambda: False)
    assert found is not None
    runs = [device for device, _ in itertools.groupby(found.assignment.tolist())]
    assert len(runs) == len(set(runs))


def test_pipeedge_that_is_stopped_has_no_plan(network: Network) -> None:
    assert pipeedge(problem_of(network, 3, 0), [[0], [1], [2]], lambda: True) is None


def test_plans_without_a_search_give_every_unit_a_device_in_runs(network: Network) -> None:
    problem = problem_of(network, 3, 1)
    found = [single(problem), uniform(problem, network), greedy(problem), memory_proportional(problem)]
    for assignment in found:
        assert assignment.shape == (len(problem.units),)
        runs = [device for device, _ in itertools.groupby(assignment.tolist())]
        assert len(runs) == len(set(runs))
        assert set(runs) <= {0, 1, 2}


@pytest.mark.parametrize("count", [1, 2, 8, 9, 16])
def test_every_board_is_of_one_kind_and_no_two_are_alike(network: Network, count: int) -> None:
    question = question_of(network, count)
    kinds = kinds_of(question.devices)
    assert sorted(place for kind in kinds for place in kind) == list(range(count))
    runs = {question.figures.devices[name].profile.run_s for name in question.devices}
    assert len(runs) == count


@given(st.lists(st.tuples(*[st.integers(0, 4)] * 3), min_size=1, max_size=6))
@settings(max_examples=60, deadline=None)
def test_a_hypervolume_is_the_volume_of_the_boxes_that_points_dominate(points: list[tuple[int, int, int]]) -> None:
    # Coordinates in quarters: the volume is the number of cells with a point at or below their lower corner.
    cells = itertools.product(range(4), repeat=3)
    dominated = sum(any(all(a <= b for a, b in zip(p, cell, strict=True)) for p in points) for cell in cells)
    assert hypervolume(np.array(points) / 4) == pytest.approx(dominated / 64)


@given(st.lists(st.tuples(*[st.floats(0, 1)] * 3), min_size=1, max_size=12))
@settings(max_examples=60, deadline=None)
def test_dominated_points_add_nothing_to_a_hypervolume(points: list[tuple[float, float, float]]) -> None:
    kept = undominated(points)
    assert set(kept) <= set(points)
    assert hypervolume(np.array(kept)) == pytest.approx(hypervolume(np.array(points)))


def test_a_table_shows_every_column_of_any_row_and_dashes_where_there_is_nothing() -> None:
    lines = lines_of(Table("c", "title", [{"a": 1.0, "b": True}, {"c": "text", "a": None}], ["note"]))
    assert lines[1].split() == ["a", "b", "c"]
    assert lines[2].split() == ["1", "yes", "-"]
    assert lines[3].split() == ["-", "-", "text"]
    assert lines[-1].strip() == "note"


def test_a_time_limit_is_over_at_once_when_it_is_nothing() -> None:
    assert within(0.0)()
    assert not within(60.0)()


def test_only_what_a_device_told_between_two_moments_counts() -> None:
    told = {"a": {1.0: 9.0, 2.0: 0.1, 3.0: 0.3, 4.0: 9.0}, "b": {1.0: 0.5}}
    assert means_between(told, 2.0, 3.0) == {"a": pytest.approx(0.2)}
