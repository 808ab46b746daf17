"""Searches as a whole: answers come early, get better, are plans that are accepted, and say how good any could be."""

import itertools
import math
from collections.abc import Callable
from dataclasses import replace

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from partition_studio.graph.network import Network
from partition_studio.partition.check import DeviceLimits, check_plan
from partition_studio.partition.codecs import LOSSLESS
from partition_studio.partition.partition import partition
from partition_studio.planner.errors import BadFiguresError, ContradictionError, NoPlanError, NoPowerError
from partition_studio.planner.figures.figures import DeviceFigures, Figures, LinkFigures, LinkTable
from partition_studio.planner.prediction.predict import predict
from partition_studio.planner.search.answer import Answer, cost_of, value_of
from partition_studio.planner.search.baselines import baselines
from partition_studio.planner.search.problem.evaluate import evaluate, keeps
from partition_studio.planner.search.problem.pose import pose
from partition_studio.planner.search.problem.problem import Problem
from partition_studio.planner.search.question import OBJECTIVES, STRATEGIES, Limits, Objective, Question, Strategy
from partition_studio.planner.search.search import NothingFoundError, search
from tests.core.networks import load, relu_chain
from tests.core.planner_worlds import (
    MIB,
    branch_net,
    conv_chain,
    layer_seconds,
    links_between,
    random_world,
    residual_net,
    world,
)

CHAIN, RESIDUAL, BRANCHES, ONE = (load(m) for m in (conv_chain(), residual_net(1), branch_net(), relu_chain(1)))
SMALL = load(conv_chain((3, 4, 4), 8))
NETWORKS = [CHAIN, RESIDUAL, BRANCHES]
NO_LIMITS = Limits()
SECONDS = 20.0


def never() -> bool:
    return False


class After:
    """Says to stop when it was asked so many times."""

    def __init__(self, times: int) -> None:
        self.left = times

    def __call__(self) -> bool:
        self.left -= 1
        return self.left < 0


def question_of(
    network: Network, devices: int, seed: int, objective: Objective = "throughput", limits: Limits = NO_LIMITS
) -> Question:
    names = tuple(f"d{number}" for number in range(devices))
    return Question(network, random_world(network, devices, seed), names, objective, limits)


def answer(
    question: Question, stop: Callable[[], bool] = never, seconds: float = SECONDS
) -> tuple[Answer, list[Answer]]:
    """Return the last answer, and all that were told."""
    told: list[Answer] = []
    last = search(question, stop=stop, seconds=seconds, on_answer=told.append)
    return last, told


def brute_force(problem: Problem) -> float:
    """Return the least cost of all placements of units; infinite where none keeps all limits."""
    least = math.inf
    for assignment in itertools.product(range(len(problem.devices)), repeat=len(problem.units)):
        costs = evaluate(problem, assignment)
        if keeps(problem, costs, assignment):
            least = min(least, cost_of(problem.objective, costs.value(problem.objective)))
    return least


def require_sound(question: Question, found: Answer) -> None:
    """Check that an answer is a complete plan whose value is its prediction's."""
    limits = {name: DeviceLimits(device.memory_bytes) for name, device in question.figures.devices.items()}
    assert check_plan(question.network, found.plan, limits).ok
    made = partition(question.network, found.plan)
    assert predict(made, found.plan, question.figures) == found.prediction
    assert found.value == pytest.approx(value_of(found.prediction, found.objective), rel=1e-12)
    assert math.isfinite(found.bound) and found.gap >= 0
    assert found.method and found.space


# --- the best plan, and its proof ------------------------------------------------------------------------------------


@pytest.mark.parametrize("objective", OBJECTIVES)
@pytest.mark.parametrize("network", NETWORKS, ids=["chain", "residual", "branches"])
def test_every_answer_is_a_valid_plan_and_better_than_the_one_before(network: Network, objective: Objective) -> None:
    question = question_of(network, 3, 21, objective)
    last, told = answer(question, seconds=0.5)
    for found in told:
        require_sound(question, found)
    costs = [cost_of(objective, found.value) for found in told]
    assert costs == sorted(costs, reverse=True)
    assert told[-1] == last
    assert told[0].method == "a single device"
    assert last.space == "any placement"


@settings(max_examples=20, deadline=None)
@given(st.sampled_from(OBJECTIVES), st.integers(0, 2), st.integers(1, 3), st.integers(0, 10**6))
def test_the_answer_is_the_best_of_all_placements_and_says_so(
    objective: Objective, network: int, devices: int, seed: int
) -> None:
    question = question_of([BRANCHES, SMALL, ONE][network], devices, seed, objective)
    last, _ = answer(question)
    assert cost_of(objective, last.value) == pytest.approx(brute_force(pose(question)), rel=1e-4)
    assert last.is_proved
    assert last.notes == ()


@pytest.mark.parametrize("objective", OBJECTIVES)
def test_the_bound_holds_for_every_plan_that_any_strategy_finds(objective: Objective) -> None:
    question = question_of(BRANCHES, 3, 7, objective, Limits(strategies=frozenset(STRATEGIES)))
    last, told = answer(question, seconds=0.5)
    bound = cost_of(objective, last.bound)
    for found in told:
        assert cost_of(objective, found.value) >= bound * (1 - 1e-9)
    for baseline in baselines(question):
        value = value_of(baseline.prediction, objective)
        assert value is not None and cost_of(objective, value) >= bound * (1 - 1e-9)


@pytest.mark.parametrize("objective", OBJECTIVES)
def test_no_answer_is_worse_than_what_needs_no_search(objective: Objective) -> None:
    for network in NETWORKS:
        question = question_of(network, 3, 4, objective, Limits(strategies=frozenset({"layers", "replicas"})))
        last, _ = answer(question, seconds=0.2)
        require_sound(question, last)
        for baseline in baselines(question):
            value = value_of(baseline.prediction, objective)
            assert value is not None
            assert cost_of(objective, last.value) <= cost_of(objective, value) * (1 + 1e-9)


def test_replicas_beat_layers_where_the_network_is_one_heavy_layer() -> None:
    network = load(conv_chain((3, 32), size=32))
    figures = world(network, {"a": 1.0, "b": 0.9, "c": 0.8})
    layers = Question(network, figures, ("a", "b", "c"))
    replicas = replace(layers, limits=Limits(strategies=frozenset({"layers", "replicas"})))
    assert answer(replicas)[0].value > 2 * answer(layers)[0].value
    assert answer(replicas)[0].space == "any placement, with replicas"


def test_the_same_question_gets_the_same_answer() -> None:
    question = question_of(RESIDUAL, 3, 8, limits=Limits(strategies=frozenset({"layers", "replicas", "spatial"})))
    first, second = answer(question)[0], answer(question)[0]
    assert first.value == second.value
    assert first.bound == pytest.approx(second.bound, rel=1e-4)


# --- stopping --------------------------------------------------------------------------------------------------------


def test_a_search_that_is_stopped_at_once_has_the_best_single_device() -> None:
    question = question_of(RESIDUAL, 3, 2)
    last, _ = answer(question, stop=lambda: True)
    single = baselines(question)[0]
    assert last.plan == single.plan
    assert any("stopped" in note for note in last.notes)
    assert last.bound >= last.value


def test_a_stopped_search_returns_the_best_that_it_told() -> None:
    spaces: list[frozenset[Strategy]] = [frozenset({"layers"}), frozenset(STRATEGIES)]
    for strategies in spaces:
        question = question_of(RESIDUAL, 3, 2, "latency", limits=Limits(strategies=strategies))
        values = []
        for times in (0, 3, 30, 300):
            last, told = answer(question, stop=After(times))
            assert last.value == min(found.value for found in told)
            require_sound(question, last)
            values.append(last.value)
        assert values == sorted(values, reverse=True)
        assert answer(question)[0].value <= values[-1]


def test_a_search_that_is_stopped_before_it_knows_anything_says_so() -> None:
    figures = world(CHAIN, {"a": 1.0, "b": 1.0}, memory_bytes={"a": 85 * MIB, "b": 85 * MIB})
    with pytest.raises(NothingFoundError, match="stopped before"):
        answer(Question(CHAIN, figures, ("a", "b")), stop=lambda: True)


# --- limits ----------------------------------------------------------------------------------------------------------


@settings(max_examples=8, deadline=None)
@given(st.integers(0, 10**6), st.sampled_from(OBJECTIVES))
def test_answers_within_limits_are_the_best_that_keep_them(seed: int, objective: Objective) -> None:
    free = question_of(BRANCHES, 2, seed, objective)
    unlimited = answer(free)[0].prediction
    limits = Limits(
        min_throughput_per_s=unlimited.throughput_per_s * 0.9,
        max_latency_s=unlimited.latency_s * 1.3,
        pins={"c1": "d1"},
    )
    question = replace(free, limits=limits)
    least = brute_force(pose(question))
    if least == math.inf:
        with pytest.raises(NoPlanError):
            answer(question)
        return
    last, _ = answer(question)
    assert cost_of(objective, last.value) == pytest.approx(least, rel=1e-4)
    assert last.plan.placement["c1"] == "d1"


def test_the_input_stays_where_it_must() -> None:
    question = question_of(BRANCHES, 3, 3, limits=Limits(input_on="d2", strategies=frozenset(STRATEGIES)))
    last, _ = answer(question)
    graph = partition(question.network, last.plan).graph
    for cut in graph.cuts:
        if "x" in cut.tensors:
            assert graph.stage(cut.consumer).devices == ("d2",)


def test_devices_that_are_left_out_get_nothing() -> None:
    question = question_of(RESIDUAL, 3, 3, limits=Limits(excluded=frozenset({"d1"}), max_devices=1))
    last, _ = answer(question)
    assert len(last.plan.devices()) == 1
    assert last.plan.devices() != ("d1",)


def test_codecs_that_may_be_used_are_left_to_the_choice_at_deployment() -> None:
    figures = world(CHAIN, {"a": 1.0, "b": 1.0}, seconds=dict.fromkeys(layer_seconds(CHAIN), 0.01))
    question = Question(CHAIN, figures, ("a", "b"), limits=Limits(codecs=LOSSLESS))
    last, _ = answer(question)
    assert [choice.codec for choice in last.plan.codecs] == ["auto"]
    assert any("auto" in note for note in last.notes)


# --- what cannot be, or is as small as can be ------------------------------------------------------------------------


def broken(question: Question, name: str, device: DeviceFigures) -> Question:
    figures = question.figures
    return replace(question, figures=replace(figures, devices={**figures.devices, name: device}))


def test_one_device_is_its_own_answer() -> None:
    question = question_of(RESIDUAL, 1, 1)
    last, _ = answer(question)
    assert set(last.plan.placement.values()) == {"d0"}
    assert last.is_proved


def test_more_devices_than_layers_leave_some_out() -> None:
    last, _ = answer(question_of(ONE, 6, 1))
    assert len(last.plan.devices()) == 1
    assert last.is_proved
    last, _ = answer(question_of(BRANCHES, 8, 1), seconds=0.5)
    assert len(last.plan.devices()) <= len(BRANCHES.layers)
    assert last.is_proved or any("before it could prove" in note for note in last.notes)


def test_a_network_of_one_layer_lies_where_it_is_fastest() -> None:
    question = question_of(ONE, 3, 5)
    last, _ = answer(question)
    assert last.value == max(baseline.prediction.throughput_per_s for baseline in baselines(question)[:1])
    shared, _ = answer(replace(question, limits=Limits(strategies=frozenset({"layers", "replicas"}))))
    assert shared.value > last.value


def test_no_devices_at_all_are_told_as_such() -> None:
    question = question_of(CHAIN, 2, 1)
    with pytest.raises((ContradictionError, BadFiguresError), match=r"[Dd]evice"):
        answer(replace(question, devices=()))
    with pytest.raises((ContradictionError, BadFiguresError), match=r"[Dd]evice"):
        answer(replace(question, limits=Limits(excluded=frozenset({"d0", "d1"}))))


def test_where_no_plan_keeps_the_limits_the_error_says_which_and_by_how_much() -> None:
    question = question_of(CHAIN, 2, 1)
    best = answer(question)[0].value
    with pytest.raises(NoPlanError) as caught:
        answer(replace(question, limits=Limits(min_throughput_per_s=2 * best)))
    (obstacle, *_) = caught.value.obstacles
    assert obstacle.needed == pytest.approx(best, rel=1e-3)
    assert obstacle.text in str(caught.value)


@pytest.mark.parametrize(
    "limits",
    [
        Limits(pins={"c0": "d0"}, excluded=frozenset({"d0"})),
        Limits(pins={"c0": "nowhere"}),
        Limits(pins={"no such layer": "d0"}),
        Limits(pins={"c0": "d1"}, input_on="d0"),
        Limits(input_on="d0", excluded=frozenset({"d0"})),
        Limits(pins={"c0": "d0", "c1": "d1"}, max_devices=1),
    ],
)
def test_what_excludes_each_other_is_refused_and_named(limits: Limits) -> None:
    with pytest.raises(ContradictionError) as caught:
        answer(question_of(CHAIN, 2, 1, limits=limits))
    assert any(word in str(caught.value) for word in ("c0", "no such layer", "'d0'", "devices"))


@pytest.mark.parametrize("figure", [math.nan, -1.0, math.inf])
def test_figures_that_cannot_be_are_refused_by_the_devices_name(figure: float) -> None:
    question = question_of(CHAIN, 2, 1)
    device = question.figures.devices["d1"]
    kernels = (msgspec.structs.replace(device.profile.kernels[0], median_s=figure), *device.profile.kernels[1:])
    profile = msgspec.structs.replace(device.profile, kernels=kernels)
    with pytest.raises(BadFiguresError, match="'d1'"):
        answer(broken(question, "d1", replace(device, profile=profile)))


def test_a_link_that_carries_nothing_is_refused_by_name() -> None:
    question = question_of(CHAIN, 2, 1)
    links = {**question.figures.links.links, ("d0", "d1"): LinkFigures(0.0)}
    with pytest.raises(BadFiguresError, match="'d0' to 'd1'"):
        answer(replace(question, figures=replace(question.figures, links=LinkTable(links))))


def test_a_profile_of_another_network_or_of_none_is_refused() -> None:
    question = question_of(CHAIN, 2, 1)
    stale = random_world(RESIDUAL, 2, 1).devices["d1"]
    with pytest.raises(BadFiguresError, match="'d1'"):
        answer(broken(question, "d1", stale))
    missing = Figures({"d0": question.figures.devices["d0"]}, question.figures.links)
    with pytest.raises(BadFiguresError, match="'d1'"):
        answer(replace(question, figures=missing))


def test_energy_without_known_power_is_refused() -> None:
    figures = world(CHAIN, {"a": 1.0, "b": 1.0}, power={"b": None})
    question = Question(CHAIN, figures, ("a", "b"))
    with pytest.raises(NoPowerError, match="'b'"):
        answer(replace(question, objective="max_energy"))
    with pytest.raises(NoPowerError, match="'b'"):
        answer(replace(question, limits=Limits(max_energy_j=1.0)))
    last, _ = answer(question)
    assert last.prediction.max_energy_j is None or last.plan.devices() == ("a",)


def test_estimates_are_named() -> None:
    question = question_of(ONE, 1, 1)
    device = replace(question.figures.devices["d0"], estimated=("compute", "power"))
    figures = Figures({"d0": device}, links_between(()), studio=question.figures.studio)
    notes = answer(replace(question, figures=figures))[0].notes
    assert notes[0] == "Of 'd0', compute and power are estimated: profile it first."
    assert "link" in notes[1]
