"""Plans with divided layers and with codecs. All are judged by their prediction."""

import math
from dataclasses import replace

import pytest

from partition_studio.partition.check import check_plan
from partition_studio.partition.codecs import LOSSLESS
from partition_studio.planner.figures.figures import CarrySpeed
from partition_studio.planner.search.answer import space_of
from partition_studio.planner.search.problem.pose import pose
from partition_studio.planner.search.problem.problem import placement_of
from partition_studio.planner.search.question import OBJECTIVES, STRATEGIES, Limits, Objective, Question, Strategy
from partition_studio.planner.search.strategies.codecs import with_codecs
from partition_studio.planner.search.strategies.judge import Judge, Judged
from partition_studio.planner.search.strategies.shards import search_shards, tilings
from tests.core.networks import load
from tests.core.planner_worlds import (
    conv_chain,
    links_between,
    world,
)
from tests.core.search_judges import CHAIN, Offers, never, question_of, single

# --- divided layers --------------------------------------------------------------------------------------------------


def test_tiles_make_a_frame_alone_faster_than_the_fastest_device() -> None:
    network = load(conv_chain((3, 32, 32), size=32))
    figures = world(network, {"a": 0.2, "b": 0.2, "c": 0.2}, links=links_between("abc", 1e9, 1e-5))
    question = Question(network, figures, tuple("abc"), "latency", Limits(strategies=frozenset({"layers", "spatial"})))
    judge, offers = Judge(question), Offers()
    start = single(judge, "a")
    best = search_shards(judge, pose(question), start, never, offers.take)
    assert best is not None and best.cost < 0.6 * start.cost
    assert best.plan.shards


def test_channels_divide_what_fits_on_no_device() -> None:
    network = load(conv_chain((256, 512), size=2))
    question = Question(
        network,
        world(network, {"a": 1.0, "b": 1.0}),
        ("a", "b"),
        "max_memory",
        Limits(strategies=frozenset({"layers", "output_channels"})),
    )
    judge, offers = Judge(question), Offers()
    start = single(judge, "a")
    best = search_shards(judge, pose(question), start, never, offers.take)
    assert best is not None and best.cost < start.cost
    assert best.plan.shards[0].strategy == "output_channels"


@pytest.mark.parametrize("strategy", ["spatial", "spatial_independent", "output_channels", "input_channels"])
@pytest.mark.parametrize("objective", OBJECTIVES)
def test_divided_plans_are_valid_and_use_only_what_is_allowed(objective: Objective, strategy: Strategy) -> None:
    question = question_of(1, 2, 2, objective, Limits(strategies=frozenset({"layers", strategy})))
    judge, offers = Judge(question), Offers()
    best = search_shards(judge, pose(question), single(judge, "d0"), never, offers.take)
    assert best is not None
    for judged in offers:
        assert check_plan(question.network, judged.plan, None).ok
        assert {sharding.strategy for sharding in judged.plan.shards} == {strategy}
        assert judged.is_approximate == (strategy == "spatial_independent")


def test_layers_that_take_no_time_on_a_device_are_divided_without_fault() -> None:
    seconds = dict.fromkeys((layer.name for layer in CHAIN.layers), 0.0)
    figures = world(CHAIN, {"a": 1.0, "b": 1.0}, seconds=seconds)
    question = Question(CHAIN, figures, ("a", "b"), limits=Limits(strategies=frozenset(STRATEGIES)))
    judge, offers = Judge(question), Offers()
    best = search_shards(judge, pose(question), single(judge, "a"), never, offers.take)
    assert best is not None and best.keeps_limits


def test_what_is_not_allowed_is_not_divided() -> None:
    question = question_of(0, 3, 2)
    judge, offers = Judge(question), Offers()
    start = single(judge, "d0")
    assert tilings(judge, pose(question)) == []
    assert search_shards(judge, pose(question), start, never, offers.take) is start
    assert not offers


# --- codecs ----------------------------------------------------------------------------------------------------------


def over_slow_links(limits: Limits) -> tuple[Judge, Judged]:
    figures = world(CHAIN, {"a": 1.0, "b": 1.0}, links=links_between("ab", 1e5), carry=CarrySpeed(1e-6, 1e-12))
    question = Question(CHAIN, figures, ("a", "b"), limits=limits)
    judge, problem = Judge(question), pose(question)
    half = [0] * (len(problem.units) // 2)
    assignment = half + [1] * (len(problem.units) - len(half))
    judged = judge.judge(judge.plan_of(placement_of(problem, assignment)))
    assert judged is not None
    return judge, judged


def test_without_known_sizes_codecs_are_left_to_the_choice_at_deployment() -> None:
    judge, judged = over_slow_links(Limits(codecs=LOSSLESS))
    automatic, notes = with_codecs(judge, judged, {}, never)
    assert [choice.codec for choice in automatic.plan.codecs] == ["auto"]
    assert automatic.cost == judged.cost
    assert "chosen when the plan is deployed" in notes[0]


def test_no_codec_that_is_not_allowed_gets_into_a_plan_by_auto() -> None:
    judge, judged = over_slow_links(Limits(codecs=frozenset({"none", "lz4"})))
    same, notes = with_codecs(judge, judged, {}, never)
    assert same is judged
    assert "lz4" in notes[0]


def test_known_sizes_choose_the_codec_that_makes_the_plan_faster() -> None:
    judge, judged = over_slow_links(Limits(codecs=frozenset({"none", "lz4", "zstd"})))
    faster, notes = with_codecs(judge, judged, {"lz4": 0.6, "zstd": 0.3, "int8": 0.01}, never)
    assert notes == ()
    assert {choice.codec for choice in faster.plan.codecs} == {"zstd"}
    assert faster.cost == pytest.approx(0.3 * judged.cost, rel=0.01)
    assert check_plan(CHAIN, faster.plan, None).ok


def test_a_codec_that_makes_nothing_smaller_is_not_used() -> None:
    judge, judged = over_slow_links(Limits(codecs=frozenset({"none", "lz4"})))
    same, _ = with_codecs(judge, judged, {"lz4": 1.0}, never)
    assert same is judged


def test_lossy_codecs_are_only_for_who_allows_a_change() -> None:
    judge, judged = over_slow_links(Limits(codecs=frozenset({"none", "int8"})))
    same, notes = with_codecs(judge, judged, {"int8": 0.25}, never)
    assert same is judged and notes == ()
    judge, judged = over_slow_links(replace(judge.question.limits, max_change=0.1))
    faster, _ = with_codecs(judge, judged, {"int8": 0.25}, never)
    assert faster.cost < judged.cost


def test_a_space_says_what_is_in_it() -> None:
    assert space_of(Limits()) == "any placement"
    assert space_of(Limits(strategies=frozenset({"layers", "replicas"}))) == "any placement, with replicas"
    everything = space_of(Limits(strategies=frozenset(STRATEGIES) - {"spatial_independent"}))
    assert space_of(Limits(contiguous=True)) == "one run of layers per device"
    assert everything.endswith("with replicas and layers divided by tiles, output channels and input channels")


def test_costs_are_what_is_minimised() -> None:
    judge = Judge(question_of(0, 1, 0))
    assert single(judge, "d0").cost == pytest.approx(1 / single(judge, "d0").prediction.throughput_per_s)
    assert math.isfinite(single(judge, "d0").cost)
