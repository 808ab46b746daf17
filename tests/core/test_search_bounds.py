"""Lower bounds hold for every plan: placed whole, on replicas, and divided."""

import itertools
import math
import random
from dataclasses import replace
from typing import Any

import pytest

from partition_studio.graph.network import Network
from partition_studio.partition.partition import partition
from partition_studio.partition.plan import NetworkRef, OutputChannelSharding, Plan, ReplicaGroup, SpatialSharding
from partition_studio.planner.prediction.predict import predict
from partition_studio.planner.prediction.prediction import Prediction
from partition_studio.planner.search import bounds as bounds_module
from partition_studio.planner.search.bounds import Bounds, lower_bounds
from partition_studio.planner.search.problem.evaluate import evaluate
from partition_studio.planner.search.problem.pose import pose
from partition_studio.planner.search.question import Limits, Question, Strategy
from tests.core.networks import load
from tests.core.planner_worlds import conv_chain, random_world, world
from tests.core.search_problems import alike_devices, random_problem


def assert_below(bounds: Bounds, prediction: Prediction) -> None:
    assert bounds.period_s <= prediction.period_s * (1 + 1e-9)
    assert bounds.latency_s <= prediction.latency_s * (1 + 1e-9)
    assert bounds.max_memory_bytes <= prediction.max_memory_bytes
    assert prediction.max_energy_j is not None
    assert prediction.total_energy_j is not None
    assert bounds.max_energy_j <= prediction.max_energy_j * (1 + 1e-9)
    assert bounds.total_energy_j <= prediction.total_energy_j * (1 + 1e-9)


def bounds_for(network: Network, figures: Any, *strategies: Strategy) -> Bounds:
    limits = Limits(strategies=frozenset({"layers", *strategies}))
    return lower_bounds(pose(Question(network, figures, tuple(figures.devices), limits=limits)))


@pytest.mark.parametrize("seed", range(6))
def test_bounds_hold_for_replicas_and_divided_layers(seed: int) -> None:
    network = load(conv_chain((3, 8, 8, 8)))
    figures = random_world(network, 3, seed)
    reference = NetworkRef.of(network)
    layers = [layer.name for layer in network.layers]
    replicated = Plan(
        network=reference,
        placement=dict.fromkeys(layers, "all"),
        replicas={"all": ReplicaGroup(places=["d0", "d1", "d2"])},
    )
    prediction = predict(partition(network, replicated), replicated, figures)
    assert_below(bounds_for(network, figures, "replicas"), prediction)
    tiles = SpatialSharding(layers=["c0", "r0", "c1", "r1"], devices=["d0", "d1", "d2"], rows=[1, 2, 1])
    for sharding in (OutputChannelSharding(layers=["c1"], devices=["d0", "d1", "d2"]), tiles):
        divided = Plan(network=reference, placement=dict.fromkeys(layers, "d0"), shards=[sharding])
        prediction = predict(partition(network, divided), divided, figures)
        assert_below(bounds_for(network, figures, "replicas", sharding.strategy), prediction)


def test_every_figure_of_every_placement_is_above_its_bound() -> None:
    for seed in range(60):
        problem = random_problem(random.Random(seed), most_units=5)
        free = replace(problem, limits=Limits(), memory_bytes=problem.memory_bytes * 0 + 2**62)
        bounds = lower_bounds(free)
        for assignment in itertools.product(range(len(free.devices)), repeat=len(free.units)):
            costs = evaluate(free, assignment)
            assert bounds.period_s <= costs.period_s * (1 + 1e-9)
            assert bounds.latency_s <= costs.latency_s * (1 + 1e-9)
            assert bounds.max_energy_j <= max(costs.energy_j) * (1 + 1e-9)
            assert bounds.total_energy_j <= sum(costs.energy_j) * (1 + 1e-9)
            assert bounds.max_memory_bytes <= max(costs.memory_bytes)


def test_equal_devices_share_the_work_equally_at_best() -> None:
    problem = alike_devices(4, units=8)
    bounds = lower_bounds(problem)
    share_s = float(problem.compute_s[0].sum()) / 4
    assert share_s <= bounds.period_s
    assert bounds.period_s >= share_s + float(problem.session_s[0]) * (1 - 1e-6)


def test_more_devices_than_may_be_used_are_no_help() -> None:
    problem = alike_devices(8, units=12)
    few = lower_bounds(replace(problem, limits=Limits(max_devices=2)))
    assert few.period_s >= float(problem.compute_s[0].sum()) / 2 * (1 - 1e-5)


def test_prices_bound_as_the_linear_program_does() -> None:
    """What replaces the linear program of large problems is never above it, and hardly below."""
    for seed in range(20):
        relaxed = bounds_module.Relaxation(random_problem(random.Random(seed)))
        if not relaxed.is_possible:
            continue
        fixed = relaxed.problem.session_s
        exact = relaxed.least_maximum(relaxed.work_s, fixed)
        priced = bounds_module.ascend(relaxed.work_s, fixed, relaxed.allowed, relaxed.most)
        assert priced <= exact * (1 + 1e-5) or exact == math.inf
        assert priced >= 0.8 * relaxed.least_maximum(relaxed.work_s, fixed * 0) or exact == math.inf


def test_a_unit_that_fits_nowhere_leaves_no_plan() -> None:
    network = load(conv_chain())
    figures = world(network, {"a": 1.0}, memory_bytes={"a": 2**20})
    assert bounds_for(network, figures).period_s == math.inf
