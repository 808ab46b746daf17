"""Whatever is divided, however it is placed: the parts give the whole's answer, or the plan is refused by name."""

import numpy as np
import onnx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from onnx import helper

from partition_studio.graph.frames import random_frame
from partition_studio.graph.walk import node_reads
from partition_studio.partition.extract import extract, submodels
from partition_studio.partition.partition import partition
from partition_studio.partition.verify import verify
from tests.core.networks import cnn_models, load, load_both, make_model, value, weight

from .plans import STRATEGIES, explains, random_divided_plan

relaxed = settings(deadline=None, max_examples=60, suppress_health_check=list(HealthCheck))


@relaxed
@given(model=cnn_models(), devices=st.integers(2, 5), seed=st.integers(0, 10**6))
def test_parts_of_a_random_cnn_divided_at_random_equal_the_whole(
    model: onnx.ModelProto, devices: int, seed: int
) -> None:
    network, original = load_both(model)
    plan, refused = random_divided_plan(network, devices, seed)
    assert all(explains(error) for error in refused), [error.message for error in refused]
    parted = partition(network, plan)
    parts = {name: part.data for name, part in submodels(parted.network, parted.graph).items()}
    result = verify(original, parted, parts, random_frame(network.inputs, seed))
    assert {d.tensor for d in result.per_tensor} >= set(network.outputs)
    assert result.first_difference is None


@relaxed
@given(model=cnn_models(), devices=st.integers(2, 5), seed=st.integers(0, 10**6))
def test_stages_of_a_random_division_are_sound(model: onnx.ModelProto, devices: int, seed: int) -> None:
    network = load(model)
    plan, _ = random_divided_plan(network, devices, seed)
    parted = partition(network, plan)
    placed = [name for stage in parted.graph.stages for name in stage.layers]
    assert sorted(placed) == sorted(parted.network.layers_by_name), "every layer is in one stage"
    holders: dict[str, int] = {}
    for stage in parted.graph.stages:
        part = extract(parted.network, stage)
        onnx.checker.check_model(part, full_check=True)
        reads = {name for node in part.graph.node for name in node_reads(node)}
        weights = {tensor.name for tensor in part.graph.initializer}
        assert weights <= reads, "no weight that the stage does not use"
        available = weights | set(stage.inputs) | {name for node in part.graph.node for name in node.output}
        assert reads <= available and set(stage.outputs) <= available, "nothing lacks"
        for name in weights:
            holders[name] = holders.get(name, 0) + 1
    users = {
        name: sum(any(name in parted.network.layer(x).weights for x in stage.layers) for stage in parted.graph.stages)
        for name in parted.network.weights
    }
    assert holders == users, "every weight in as many stages as use it"


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_most_random_divisions_by_each_strategy_are_possible(strategy: str) -> None:
    """Guards the tests above against proving nothing because everything is refused."""
    network = load(_typical_cnn())
    divided = 0
    for seed in range(40):
        plan, refused = random_divided_plan(network, 3, seed, most=1, longest=2, strategies=[strategy])
        divided += bool(plan.shards)
        assert all(explains(error) for error in refused), [error.message for error in refused]
    assert divided >= 12


def _typical_cnn() -> onnx.ModelProto:
    """Two convolutions of eight filters and what usually lies between, on a map of 16 by 16."""
    generator = np.random.default_rng(5)
    nodes, weights, channels, source = [], [], 3, "x"
    for index in range(4):
        kernel = (generator.standard_normal((8, channels, 3, 3)) / 5).astype(np.float32)
        weights += [weight(f"w{index}", kernel), weight(f"b{index}", np.ones(8, np.float32))]
        inputs = [source, f"w{index}", f"b{index}"]
        nodes.append(helper.make_node("Conv", inputs, [f"c{index}"], name=f"conv{index}", pads=[1] * 4))
        nodes.append(helper.make_node("Relu", [f"c{index}"], [f"r{index}"], name=f"relu{index}"))
        channels, source = 8, f"r{index}"
    return make_model(nodes, [value("x", (1, 3, 16, 16))], [value("r3", (1, 8, 16, 16))], weights)
