"""The example architectures: they answer differently to different inputs, and split anywhere."""

import numpy as np
import onnx
import pytest

from partition_studio.graph.examples import EXAMPLES, ExampleNotFoundError, build_example
from partition_studio.graph.frames import random_frame
from partition_studio.graph.network import Network
from partition_studio.graph.runtime import run_model
from partition_studio.partition.extract import submodels
from partition_studio.partition.partition import partition
from partition_studio.partition.plan import Plan
from partition_studio.partition.verify import verify
from partition_studio.planner.spread import spread

from .networks import load_both, random_plan, run_plan

QUICK = ["squeezenet", "shufflenet", "inception-v1", "densenet-121", "resnet-50"]
SLOW = ["inception-v2", "alexnet", "zfnet-512", "vgg-19"]
ALL = [*QUICK, *(pytest.param(name, marks=pytest.mark.slow) for name in SLOW)]

_loaded: dict[str, tuple[Network, onnx.ModelProto]] = {}


def loaded(example: str) -> tuple[Network, onnx.ModelProto]:
    """Load an example once for all tests of it, which their parameter's scope puts one after the other.

    Only the last is held, as they are large.
    """
    if example not in _loaded:
        _loaded.clear()
        _loaded[example] = load_both(build_example(example), f"{example}.onnx")
    return _loaded[example]


def logits(network: Network, original: onnx.ModelProto, seed: int) -> np.ndarray[tuple[int], np.dtype[np.float32]]:
    last = network.layers[-1]
    name = last.inputs[0] if last.op_type == "Softmax" else last.outputs[0]
    exposed = onnx.ModelProto()
    exposed.CopyFrom(original)
    if name not in network.outputs:
        exposed.graph.output.append(onnx.ValueInfoProto(name=name))
    values = run_model(exposed, random_frame(network.inputs, seed), [name])[name]
    return values.astype(np.float32).reshape(-1)


@pytest.mark.parametrize("example", ALL, scope="module")
def test_two_inputs_give_clearly_different_answers(example: str) -> None:
    network, original = loaded(example)
    first, second = logits(network, original, 1), logits(network, original, 2)
    assert np.isfinite(first).all()
    assert 0.3 < first.std() < 3, "neither flat nor saturated"
    assert len(np.unique(first)) > first.size / 2
    assert np.abs(first - second).max() > 0.05 * first.std(), "thousands of times the tolerance of a split"
    probabilities = np.exp(first - first.max()) / np.exp(first - first.max()).sum()
    assert probabilities.max() < 0.5


@pytest.mark.parametrize("example", [*ALL, "digits"], scope="module")
@pytest.mark.parametrize("cut", ["spread", "runs", "everywhere"])
def test_a_real_architecture_splits_anywhere(example: str, cut: str) -> None:
    network, original = loaded(example)
    plans: dict[str, Plan] = {
        "spread": spread(network, ["a", "b", "c"]),
        "runs": run_plan(network, 3, seed=5, switches=6),
        "everywhere": random_plan(network, 3, seed=7),
    }
    parted = partition(network, plans[cut])
    graph = parted.graph
    parts = {name: part.data for name, part in submodels(network, graph).items()}
    result = verify(original, parted, parts, random_frame(network.inputs, 3), threads=2)
    assert result.first_difference is None
    assert len(graph.stages) >= 3
    if cut == "spread":
        assert [stage.device for stage in graph.stages] == ["a", "b", "c"]


@pytest.mark.parametrize("example", QUICK, scope="module")
def test_the_parts_together_hold_the_weights_once(example: str) -> None:
    network, _ = loaded(example)
    parted = partition(network, random_plan(network, 3, seed=7))
    graph = parted.graph
    held = [name for stage in graph.stages for layer in stage.layers for name in network.layer(layer).weights]
    assert set(held) == set(network.weight_sizes)


def test_known_networks_have_their_known_cost() -> None:
    network, _ = loaded("resnet-50")
    assert network.macs == pytest.approx(4.09e9, rel=0.01)
    assert network.parameters == pytest.approx(25.6e6, rel=0.01)


def test_an_example_is_the_same_bytes_for_the_same_seed() -> None:
    assert build_example("squeezenet", seed=1) == build_example("squeezenet", seed=1)
    assert build_example("squeezenet", seed=1) != build_example("squeezenet", seed=2)


@pytest.mark.parametrize("example", [e.id for e in EXAMPLES if e.kind == "architecture"])
def test_every_listed_architecture_comes_with_the_onnx_package(example: str) -> None:
    assert next(e for e in EXAMPLES if e.id == example).available


def test_an_unknown_example_is_named() -> None:
    with pytest.raises(ExampleNotFoundError, match="'lenet-0'"):
        build_example("lenet-0")
