"""The arbiter of searches: what it says of an assignment is what is predicted of the plan that the assignment makes."""

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from partition_studio.graph.examples import build_example
from partition_studio.graph.network import Network
from partition_studio.partition.partition import partition
from partition_studio.planner.figures.figures import Figures
from partition_studio.planner.prediction.predict import predict
from partition_studio.planner.prediction.prediction import Prediction
from partition_studio.planner.search.problem.evaluate import broken_limits, evaluate, keeps, stages_of
from partition_studio.planner.search.problem.pose import pose
from partition_studio.planner.search.problem.problem import Costs, Problem, placement_of
from partition_studio.planner.search.question import Limits, Question
from tests.core.networks import cnn_models, load, plan_for
from tests.core.planner_worlds import conv_chain, layer_seconds, random_world, residual_net, world


def predicted(network: Network, figures: Figures, problem: Problem, assignment: list[int]) -> Prediction:
    plan = plan_for(network, placement_of(problem, assignment))
    return predict(partition(network, plan), plan, figures)


def assert_same(problem: Problem, costs: Costs, prediction: Prediction) -> None:
    assert costs.period_s == pytest.approx(prediction.period_s, rel=1e-9)
    assert costs.latency_s == pytest.approx(prediction.latency_s, rel=1e-9)
    for number, name in enumerate(problem.devices):
        part = prediction.devices.get(name)
        assert costs.energy_j[number] == pytest.approx(0.0 if part is None else part.energy_j, rel=1e-9)
        # Shared matrices may be packed in another order.
        assert costs.memory_bytes[number] == pytest.approx(0 if part is None else part.memory.bound_bytes, rel=1e-3)


def random_kernels(network: Network, generator: random.Random) -> list[tuple[str, ...]]:
    """Runs of layers along the order, whatever edges they have, as kernels."""
    names, runs = [layer.name for layer in network.layers], []
    while names:
        count = generator.randint(1, 4)
        runs.append(tuple(names[:count]))
        names = names[count:]
    return runs


@settings(deadline=None, max_examples=60)
@given(model=cnn_models(), seed=st.integers(0, 2**32 - 1))
def test_an_assignment_costs_what_is_predicted_of_its_plan(model: object, seed: int) -> None:
    network = load(model)  # type: ignore[arg-type]
    generator = random.Random(seed)
    figures = random_world(network, 3, seed)
    if generator.random() < 0.7:
        figures = world(
            network, {"d0": 1.0, "d1": 2.0, "d2": 0.7}, fused=random_kernels(network, generator), links=figures.links
        )
    problem = pose(Question(network, figures, ("d0", "d1", "d2")))
    for _ in range(3):
        assignment = [generator.randrange(3) for _ in problem.units]
        prediction = predicted(network, figures, problem, assignment)
        assert_same(problem, evaluate(problem, assignment), prediction)
        made = partition(network, plan_for(network, placement_of(problem, assignment))).graph
        found = stages_of(problem, assignment)
        assert [{x for unit in stage.units for x in problem.units[unit]} for stage in found.stages] == [
            set(stage.layers) for stage in made.stages
        ]


@pytest.mark.parametrize("example", ["squeezenet", "resnet-50"])
def test_real_networks_cost_what_is_predicted(example: str) -> None:
    network = load(build_example(example))
    generator = random.Random(7)
    kernels = random_kernels(network, generator)
    figures = world(network, {"a": 1.0, "b": 3.0, "c": 0.5}, seconds=layer_seconds(network), fused=kernels)
    problem = pose(Question(network, figures, ("a", "b", "c")))
    cuts = sorted(generator.sample(range(1, len(problem.units)), 2))
    runs = [sum(unit >= cut for cut in cuts) for unit in range(len(problem.units))]
    for assignment in ([0] * len(problem.units), runs, [generator.randrange(3) for _ in problem.units]):
        assert_same(problem, evaluate(problem, assignment), predicted(network, figures, problem, assignment))


def test_every_broken_limit_is_named() -> None:
    network = load(conv_chain())
    figures = world(network, {"a": 1.0, "b": 2.0}, memory_bytes={"a": 2**20})
    limits = Limits(
        min_throughput_per_s=1e9,
        max_latency_s=1e-9,
        max_energy_j=1e-9,
        max_total_energy_j=1e-9,
        pins={"c0": "b"},
        max_devices=1,
    )
    problem = pose(Question(network, figures, ("a", "b"), limits=limits))
    assignment = [0, *[1] * (len(problem.units) - 1)]
    assert broken_limits(problem, evaluate(problem, assignment), assignment) == (
        "allowed",
        "max_devices",
        "min_throughput_per_s",
        "max_latency_s",
        "max_energy_j",
        "max_total_energy_j",
        "memory_bytes/a",
    )


def test_limits_that_are_just_reached_are_kept() -> None:
    network = load(residual_net())
    figures = world(network, {"a": 1.0, "b": 2.0})
    free = pose(Question(network, figures, ("a", "b")))
    assignment = [0] * 4 + [1] * (len(free.units) - 4)
    costs = evaluate(free, assignment)
    limits = Limits(
        min_throughput_per_s=1 / costs.period_s,
        max_latency_s=costs.latency_s,
        max_energy_j=max(costs.energy_j),
        max_total_energy_j=sum(costs.energy_j),
        memory_bytes=dict(zip(free.devices, costs.memory_bytes, strict=True)),
        max_devices=2,
    )
    bound = pose(Question(network, figures, ("a", "b"), limits=limits))
    assert keeps(bound, evaluate(bound, assignment), assignment)
