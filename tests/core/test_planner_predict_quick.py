"""The quick predictor says what `predict` says, of every placement, in less than a millisecond."""

import random
import time
from collections.abc import Iterator
from itertools import pairwise
from statistics import median

import numpy as np
import onnx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from onnx import TensorProto, helper

from partition_studio.graph.examples import build_example
from partition_studio.graph.network import Network
from partition_studio.partition.partition import partition
from partition_studio.partition.stages import CutTypeError, UnplacedLayerError, build_stages
from partition_studio.planner.errors import BadFiguresError
from partition_studio.planner.figures.figures import Figures
from partition_studio.planner.prediction.predict import predict
from partition_studio.planner.prediction.prediction import Prediction
from partition_studio.planner.prediction.quick import QuickPredictor
from partition_studio.planner.spread import spread

from .networks import cnn_models, load, make_model, plan_for, random_plan, relu_chain, run_plan, value, weight
from .planner_worlds import layer_seconds, random_world, world

QUICK = ["squeezenet", "shufflenet", "inception-v1", "resnet-50"]
SLOW = ["densenet-121", "inception-v2", "alexnet", "zfnet-512", "vgg-19"]
ALL = ["digits", *QUICK, *(pytest.param(name, marks=pytest.mark.slow) for name in SLOW)]


@pytest.fixture(scope="module", params=ALL)
def example(request: pytest.FixtureRequest) -> Iterator[Network]:
    yield load(build_example(request.param), f"{request.param}.onnx")


def fused_runs(network: Network, seed: int) -> list[list[str]]:
    """Layers in a row that each read only the one before: what a runtime may run as one."""
    generator, runs = random.Random(seed), [[network.layers[0].name]]
    for before, layer in pairwise(network.layers):
        follows = [maker.name for maker in network.predecessors(layer)] == [before.name]
        if follows and len(runs[-1]) < generator.randint(1, 4):
            runs[-1].append(layer.name)
        else:
            runs.append([layer.name])
    return [run for run in runs if len(run) > 1]


def slow(network: Network, placement: dict[str, str], figures: Figures) -> Prediction:
    plan = plan_for(network, placement)
    return predict(partition(network, plan), plan, figures)


def test_it_agrees_on_real_architectures_however_they_are_placed(example: Network) -> None:
    speeds = {f"d{number}": 1.0 + number / 3 for number in range(4)}
    figures = world(example, speeds, fused=fused_runs(example, 1))
    quick = QuickPredictor(example, figures)
    plans = [spread(example, list(speeds)), random_plan(example, 4, 5)]
    plans += [run_plan(example, 4, seed, switches) for seed, switches in ((1, 3), (2, 12))]
    for plan in plans:
        assert quick.predict(plan.placement) == slow(example, plan.placement, figures)


def test_it_agrees_after_each_of_many_moves(example: Network) -> None:
    generator = random.Random(3)
    figures = random_world(example, 3, 7)
    quick = QuickPredictor(example, figures)
    placement = dict(spread(example, ["d0", "d1", "d2"]).placement)
    for _ in range(4):
        placement[generator.choice(example.layers).name] = f"d{generator.randrange(3)}"
        assert quick.predict(placement) == slow(example, placement, figures)


@settings(max_examples=40, deadline=None)
@given(model=cnn_models(), devices=st.integers(1, 4), seed=st.integers(0, 2**16))
def test_it_agrees_on_any_network(model: onnx.ModelProto, devices: int, seed: int) -> None:
    network = load(model)
    figures = random_world(network, devices, seed)
    quick = QuickPredictor(network, figures)
    for offset in range(3):
        placement = random_plan(network, devices, seed + offset).placement
        assert quick.predict(placement) == slow(network, placement, figures)


def test_layers_that_were_not_profiled_are_told_alike() -> None:
    network = load(relu_chain(4))
    known = load(relu_chain(2))
    figures = world(known, {"a": 1.0, "b": 2.0}, seconds={"l0": 0.01, "l1": 0.02})
    placement = {"l0": "a", "l1": "a", "l2": "b", "l3": "b"}
    predicted = QuickPredictor(network, figures).predict(placement)
    assert any("l2 and 1 more layers were not profiled" in text for text in predicted.warnings)
    assert predicted == slow(network, placement, figures)


def test_what_cannot_be_is_refused_as_it_is_elsewhere() -> None:
    half = [
        helper.make_node("Cast", ["x"], ["h"], name="to", to=TensorProto.BFLOAT16),
        helper.make_node("Cast", ["h"], ["y"], name="back", to=TensorProto.FLOAT),
    ]
    network = load(make_model(half, [value("x", (1, 4))], [value("y", (1, 4))]))
    quick = QuickPredictor(network, world(network, {"a": 1.0, "b": 1.0}))
    with pytest.raises(UnplacedLayerError, match="'back'"):
        quick.predict({"to": "a"})
    with pytest.raises(BadFiguresError, match="'c'"):
        quick.predict({"to": "c", "back": "c"})
    with pytest.raises(CutTypeError, match="bfloat16"):
        quick.predict({"to": "a", "back": "b"})


def test_a_weight_that_two_layers_read_counts_once_in_a_stage() -> None:
    shared = weight("w", np.ones((4, 4), np.float32))
    nodes = [
        helper.make_node("MatMul", ["x", "w"], ["t"], name="first"),
        helper.make_node("MatMul", ["t", "w"], ["y"], name="second"),
    ]
    network = load(make_model(nodes, [value("x", (1, 4))], [value("y", (1, 4))], [shared]))
    figures = world(network, {"a": 1.0, "b": 1.0}, seconds={"first": 0.1, "second": 0.1})
    for placement in ({"first": "a", "second": "a"}, {"first": "a", "second": "b"}):
        assert QuickPredictor(network, figures).predict(placement) == slow(network, placement, figures)


@pytest.mark.parametrize("example", ["resnet-50"], indirect=True)
def test_a_moved_layer_is_predicted_in_less_time_than_its_stages_are_built(example: Network) -> None:
    devices = [f"d{number}" for number in range(4)]
    figures = world(example, dict.fromkeys(devices, 1.0), seconds=layer_seconds(example), fused=fused_runs(example, 1))
    quick = QuickPredictor(example, figures)
    placement = dict(spread(example, devices).placement)
    quick.predict(placement)
    quick_s, building_s = [], []
    for before, layer in reversed(list(pairwise(example.layers))):
        if placement[before.name] == placement[layer.name]:
            continue
        # Each step is a placement that was never seen.
        placement[before.name] = placement[layer.name]
        begin_s = time.process_time()
        quick.predict(placement)
        between_s = time.process_time()
        build_stages(example, placement)
        quick_s.append(between_s - begin_s)
        building_s.append(time.process_time() - between_s)
    assert len(quick_s) > 50
    assert median(quick_s) < 1.2 * median(building_s)
