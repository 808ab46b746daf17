"""Windows, order and dealing in whole deployments, simulated with the agents' own pipelines: nothing stops.

What the devices bound is reached; a frame that is held back for the order of frames never holds back itself.
"""

import random

import onnx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from onnx import helper

from partition_studio.deployment.manifest import Manifest, build_manifest
from partition_studio.graph.network import Network
from partition_studio.partition.partition import partition
from partition_studio.partition.plan import NetworkRef, Plan, ReplicaGroup
from tests.core.networks import load, make_model, relu_chain, value
from tests.deployment.simulated import Service, World, services_of


def branches(depth: int) -> onnx.ModelProto:
    """`x -> first -> m0 -> m1 ... -> join -> y`, and from `first` straight to `join` too."""
    nodes = [helper.make_node("Relu", ["x"], ["a"], name="first")]
    last = "a"
    for number in range(depth):
        nodes.append(helper.make_node("Sigmoid", [last], [f"b{number}"], name=f"m{number}"))
        last = f"b{number}"
    nodes.append(helper.make_node("Add", ["a", last], ["y"], name="join"))
    return make_model(nodes, [value("x", (1, 4))], [value("y", (1, 4))])


def manifest_of(
    network: Network, places: list[str], groups: dict[str, list[str]], batches: dict[str, int] | None = None
) -> Manifest:
    placement = {layer.name: place for layer, place in zip(network.layers, places, strict=True)}
    replicas = {name: ReplicaGroup(places=members) for name, members in groups.items()}
    graph = partition(network, Plan(network=NetworkRef.of(network), placement=placement, replicas=replicas)).graph
    return build_manifest(graph, dict.fromkeys(graph.order, ""), {}, batches=batches)


EQUAL = {"a": 0.1, "b": 1.0, "c": 1.0, "d": 0.1, "e": 1.0}
UNEQUAL = {"a": 0.1, "b": 1.0, "c": 2.0, "d": 0.1, "e": 4.0}


def service_in(seconds: dict[str, float]) -> Service:
    """Return each instance's time by its device; `g-0@b` runs on b, `a-0` on a."""
    return lambda name: seconds[name.rpartition("@")[2] if "@" in name else name.rpartition("-")[0]]


@pytest.mark.parametrize("way_s", [0.0, 0.2])
@pytest.mark.parametrize("seconds", [EQUAL, UNEQUAL])
def test_a_network_on_replicas_is_as_fast_as_all_of_them(seconds: dict[str, float], way_s: float) -> None:
    manifest = manifest_of(load(relu_chain(1)), ["g"], {"g": ["b", "c", "e"]})
    running = World(manifest, service_in(seconds), way_s=way_s)
    running.run(600.0)
    assert running.left == sorted(running.left)
    assert running.rate(100.0) >= 0.97 * sum(1 / seconds[name] for name in "bce")


@pytest.mark.parametrize("way_s", [0.0, 0.2])
@pytest.mark.parametrize(("seconds", "least"), [(EQUAL, 0.97), (UNEQUAL, 0.9)])
def test_a_replicated_stage_between_others_is_as_fast_as_all_of_them(
    seconds: dict[str, float], least: float, way_s: float
) -> None:
    manifest = manifest_of(load(relu_chain(3)), ["a", "g", "d"], {"g": ["b", "c", "e"]})
    running = World(manifest, service_in(seconds), way_s=way_s, tells=True)
    running.run(600.0)
    assert running.left == sorted(running.left)
    assert running.rate(100.0) >= least * sum(1 / seconds[name] for name in "bce")


@pytest.mark.parametrize(("seconds", "least"), [(EQUAL, 0.97), (UNEQUAL, 0.9)])
def test_a_branch_around_replicas_does_not_make_them_stop(seconds: dict[str, float], least: float) -> None:
    manifest = manifest_of(load(branches(1)), ["a", "g", "d"], {"g": ["b", "c", "e"]})
    running = World(manifest, service_in(seconds), tells=True)
    running.run(600.0)
    assert running.rate(100.0) >= least * sum(1 / seconds[name] for name in "bce")


def test_a_branch_around_stages_that_take_several_frames_does_not_make_them_stop() -> None:
    batches = {"b-0": 4, "c-0": 4}
    manifest = manifest_of(load(branches(2)), ["a", "b", "c", "d"], {}, batches)
    running = World(manifest, service_in({**EQUAL, "d": 0.01}))
    running.run(400.0)
    assert running.rate(100.0) >= 0.97


@settings(max_examples=80, deadline=None)
@given(
    depth=st.integers(0, 4),
    seed=st.integers(0, 2**16),
    way_s=st.sampled_from([0.0, 0.01, 1.0]),
    tells=st.booleans(),
)
def test_whatever_is_replicated_every_frame_comes_out_once_and_in_order(
    depth: int, seed: int, way_s: float, tells: bool
) -> None:
    chance = random.Random(seed)
    network = load(branches(depth))
    groups = {"g": ["b", "c"], "h": ["c", "d", "a"]}
    places = [chance.choice(["a", "b", "g", "h", "e"]) for _ in network.layers]
    manifest = manifest_of(network, places, groups)
    stages = {name.partition("@")[0] for name in manifest.stage_of}
    batches = {stage: chance.choice([1, 1, 3]) for stage in sorted(stages)}
    manifest = manifest_of(network, places, groups, batches)
    seconds = services_of(manifest, iter(lambda: chance.choice([0.01, 0.1, 1.0]), None))
    running = World(manifest, seconds.__getitem__, way_s=way_s, tells=tells, most=60)
    running.run(10_000.0)
    assert running.left == list(range(1, 61))
    assert running.lost == []
