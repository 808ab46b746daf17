"""Plans beyond placements: replicas, and the baselines. All are judged by their prediction."""

import itertools
from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from partition_studio.partition.check import check_plan
from partition_studio.partition.partition import partition
from partition_studio.planner.prediction.predict import predict
from partition_studio.planner.search.answer import value_of
from partition_studio.planner.search.baselines import EVERYWHERE, SINGLE, baselines, replicated
from partition_studio.planner.search.problem.pose import pose
from partition_studio.planner.search.question import OBJECTIVES, Limits, Objective, Question
from partition_studio.planner.search.search import search
from partition_studio.planner.search.strategies.judge import Judge
from partition_studio.planner.search.strategies.replicas import (
    GroupedRun,
    Grouping,
    least_period_s,
    plan_of_groups,
    proposals,
    search_replicas,
)
from partition_studio.planner.search.strategies.runs import runs_of
from partition_studio.planner.search.strategies.shards import search_shards
from tests.core.networks import load, relu_chain
from tests.core.planner_worlds import (
    MIB,
    conv_chain,
    world,
)
from tests.core.search_judges import CHAIN, RESIDUAL, Offers, never, question_of, single

# --- judging ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("objective", OBJECTIVES)
def test_a_plan_is_judged_by_its_own_prediction(objective: Objective) -> None:
    question = question_of(1, 3, 5, objective)
    judged = single(Judge(question), "d1")
    plain = predict(partition(question.network, judged.plan), judged.plan, question.figures)
    assert judged.prediction == plain
    assert value_of(plain, objective) == pytest.approx(1 / judged.cost if objective == "throughput" else judged.cost)
    assert judged.keeps_limits


@pytest.mark.parametrize(
    ("limits", "said"),
    [
        (Limits(min_throughput_per_s=1e9), "frames/s"),
        (Limits(max_latency_s=1e-9), "latency"),
        (Limits(max_energy_j=1e-9), "largest energy"),
        (Limits(max_total_energy_j=1e-9), "energy of all"),
        (Limits(memory_bytes={"d0": MIB}), "'d0' needs"),
        (Limits(pins={"stem": "d1"}), "'stem' must lie on 'd1'"),
        (Limits(excluded=frozenset({"d0"})), "'d0' must be left out"),
        (Limits(input_on="d1"), "inputs reach other devices than 'd1'"),
    ],
)
def test_what_breaks_a_limit_is_no_answer(limits: Limits, said: str) -> None:
    judged = single(Judge(question_of(1, 2, 3, limits=limits)), "d0")
    assert not judged.keeps_limits
    assert any(said in text for text in judged.broken)


def test_too_many_devices_break_a_limit() -> None:
    judge = Judge(question_of(0, 3, 3, limits=Limits(max_devices=2)))
    everywhere = judge.judge(replicated(judge, ["d0", "d1", "d2"]))
    assert everywhere is not None
    assert everywhere.broken == ("3 devices are used; 2 may be",)


def test_a_limit_of_the_question_goes_before_the_devices_own() -> None:
    network = CHAIN
    figures = world(network, {"a": 1.0}, memory_bytes={"a": MIB})
    assert not single(Judge(Question(network, figures, ("a",))), "a").keeps_limits
    roomy = single(Judge(Question(network, figures, ("a",), limits=Limits(memory_bytes={"a": 2**40}))), "a")
    assert roomy.keeps_limits
    assert roomy.prediction.devices["a"].memory_limit_bytes == 2**40


def test_a_divided_layer_keeps_its_pin_only_with_all_parts_there() -> None:
    limits = Limits(pins={"c0": "d0"}, strategies=frozenset({"layers", "spatial"}))
    question = question_of(0, 3, 7, "latency", limits)
    offers, judge = Offers(), Judge(question)
    search_shards(judge, pose(question), single(judge, "d0"), never, offers.take)
    for judged in offers:
        graph = judged.partition.graph
        of_c0 = [s for s in graph.stages for layer in s.layers if judged.partition.division.sources.get(layer) == "c0"]
        assert all(stage.devices == ("d0",) for stage in of_c0)


def test_tiles_of_the_raw_input_do_not_leave_the_device_it_must_stay_on() -> None:
    limits = Limits(input_on="d1", strategies=frozenset({"layers", "spatial"}))
    question = question_of(0, 3, 7, "latency", limits)
    offers, judge = Offers(), Judge(question)
    search_shards(judge, pose(question), single(judge, "d1"), never, offers.take)
    assert offers, "layers behind the first may be divided"
    for judged in offers:
        graph, origins = judged.partition.graph, judged.partition.division.origins
        for cut in graph.cuts:
            raw = [t for t in cut.tensors if t == "x" or (t in origins and origins[t].whole == "x")]
            assert not raw or graph.stage(cut.consumer).devices == ("d1",)


# --- baselines -------------------------------------------------------------------------------------------------------


def test_baselines_are_the_best_single_device_and_all_devices_at_once() -> None:
    question = question_of(0, 3, 1)
    one, everywhere = baselines(question)
    assert (one.name, everywhere.name) == (SINGLE, EVERYWHERE)
    judge = Judge(question)
    assert one.prediction.throughput_per_s == max(1 / single(judge, name).cost for name in question.devices)
    assert set(everywhere.plan.devices()) == set(question.devices)
    assert everywhere.prediction.throughput_per_s > one.prediction.throughput_per_s


def test_a_baseline_leaves_out_who_cannot_hold_the_network() -> None:
    figures = world(CHAIN, {"a": 9.0, "b": 1.0, "c": 1.0}, memory_bytes={"a": 80 * MIB})
    one, everywhere = baselines(Question(CHAIN, figures, ("a", "b", "c")))
    assert one.plan.devices() == ("b",)
    assert everywhere.plan.devices() == ("b", "c")
    assert one.notes == ("'a' cannot hold the whole network.",)


def test_there_is_no_baseline_where_the_network_fits_nowhere() -> None:
    figures = world(CHAIN, {"a": 1.0, "b": 1.0}, memory_bytes={"a": 80 * MIB, "b": 80 * MIB})
    assert baselines(Question(CHAIN, figures, ("a", "b"))) == ()


def test_a_hundred_devices_are_more_than_a_group_of_replicas_has() -> None:
    network = load(relu_chain(2))
    names = tuple(f"d{number}" for number in range(100))
    figures = world(network, {name: 1.0 + number for number, name in enumerate(names)})
    _, everywhere = baselines(Question(network, figures, names))
    assert set(everywhere.plan.devices()) == set(names[-64:])
    question = Question(network, figures, names, limits=Limits(strategies=frozenset({"layers", "replicas"})))
    last = search(question, stop=lambda: True, seconds=0.1, on_answer=lambda _: None)
    assert last.value >= everywhere.prediction.throughput_per_s


def test_one_device_alone_is_its_own_baseline() -> None:
    assert [b.name for b in baselines(Question(CHAIN, world(CHAIN, {"a": 1.0}), ("a",)))] == [SINGLE]


def test_a_group_of_replicas_never_has_the_name_of_a_device() -> None:
    figures = world(CHAIN, {"all": 1.0, "group1": 1.0})
    question = Question(CHAIN, figures, ("all", "group1"))
    plan = replicated(Judge(question), ["all", "group1"])
    assert check_plan(CHAIN, plan, None).ok
    assert not set(plan.replicas) & set(question.devices)


# --- replicas --------------------------------------------------------------------------------------------------------


def groupings(units: int, devices: Sequence[int]) -> list[Grouping]:
    """Return all runs on groups of some of the devices, each in one group."""
    found = []
    for owners in itertools.product([None, *range(len(devices))], repeat=len(devices)):
        used = [owner for owner in owners if owner is not None]
        count = max(used, default=-1) + 1
        if not used or set(used) != set(range(count)):
            continue
        members = [tuple(d for d, owner in zip(devices, owners, strict=True) if owner == run) for run in range(count)]
        for cuts in itertools.combinations(range(1, units), count - 1):
            ends = [0, *cuts, units]
            found.append(tuple(GroupedRun(ends[i], ends[i + 1], members[i]) for i in range(count)))
    return found


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 2), st.integers(0, 10**6))
def test_no_runs_on_groups_of_devices_are_faster_than_their_bound(network: int, seed: int) -> None:
    question = question_of(network, 3, seed)
    problem, judge = pose(question), Judge(question)
    bound_s = least_period_s(problem)
    generator = np.random.default_rng(seed)
    every = groupings(len(problem.units), range(3))
    for index in generator.choice(len(every), size=min(8, len(every)), replace=False):
        judged = judge.judge(plan_of_groups(judge, problem, every[index]))
        assert judged is not None
        assert judged.cost >= bound_s * (1 - 1e-9)


def test_replicas_are_as_good_as_the_best_of_all_runs_on_groups() -> None:
    question = question_of(2, 3, 11)
    problem, judge, offers = pose(question), Judge(question), Offers()
    search_replicas(judge, problem, never, offers.take)
    every = [
        judge.judge(plan_of_groups(judge, problem, grouping)) for grouping in groupings(len(problem.units), range(3))
    ]
    best = min(judged.cost for judged in every if judged is not None)
    assert offers.best.cost <= best * 1.02
    assert offers.best.cost >= least_period_s(problem) * (1 - 1e-9)


def test_one_heavy_layer_is_faster_on_replicas_than_in_layers() -> None:
    network = load(conv_chain((3, 32), size=32))
    figures = world(network, {"a": 1.0, "b": 0.8, "c": 0.6})
    question = Question(network, figures, ("a", "b", "c"), limits=Limits(strategies=frozenset({"layers", "replicas"})))
    problem, judge, offers = pose(question), Judge(question), Offers()
    best_single = min(single(judge, name).cost for name in "abc")
    search_replicas(judge, problem, never, offers.take)
    assert offers.best.cost < best_single / 2
    assert offers.best.plan.replicas


def test_many_devices_are_grouped_in_the_order_of_their_speed() -> None:
    network = RESIDUAL
    names = tuple(f"d{number}" for number in range(12))
    figures = world(network, {name: 1 + number / 5 for number, name in enumerate(names)})
    question = Question(network, figures, names)
    problem, judge, offers = pose(question), Judge(question), Offers()
    search_replicas(judge, problem, never, offers.take)
    everywhere = judge.judge(replicated(judge, names))
    assert everywhere is not None
    assert offers.best.cost <= everywhere.cost * (1 + 1e-9)


def test_groups_keep_to_the_number_of_devices_that_may_be_used() -> None:
    for count, devices in ((2, 4), (3, 9)):
        question = question_of(0, devices, 4, limits=Limits(max_devices=count))
        problem, judge, offers = pose(question), Judge(question), Offers()
        search_replicas(judge, problem, never, offers.take)
        assert offers
        assert all(len(judged.plan.devices()) <= count for judged in offers)


def test_a_device_without_room_for_a_run_is_in_no_group_of_it() -> None:
    figures = world(CHAIN, {"a": 1.0, "b": 1.0, "c": 1.0}, memory_bytes={"a": 80 * MIB})
    question = Question(CHAIN, figures, ("a", "b", "c"))
    for grouping in proposals(pose(question), never):
        assert all(0 not in run.devices for run in grouping)


def test_every_unit_is_in_one_run() -> None:
    for network, devices in itertools.product(range(3), (1, 2, 5, 9)):
        problem = pose(question_of(network, devices, 3))
        found = list(proposals(problem, never))
        assert found
        for grouping in found:
            assert [unit for run in grouping for unit in range(run.start, run.stop)] == list(range(len(problem.units)))
            used = [device for run in grouping for device in run.devices]
            assert len(used) == len(set(used))


def test_a_long_network_may_be_cut_in_fewer_places_only() -> None:
    network = load(relu_chain(150))
    problem = pose(Question(network, world(network, {"a": 1.0, "b": 2.0}), ("a", "b")))
    ends = runs_of(problem).ends
    assert ends[0] == 0 and ends[-1] == len(problem.units)
    assert list(ends) == sorted(set(ends))
    assert len(ends) < len(problem.units)
