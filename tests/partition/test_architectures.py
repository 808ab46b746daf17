"""The architectures of the `onnx` package, with random weights, cut everywhere. A sample in the default run."""

import os
import random
from collections.abc import Iterator
from pathlib import Path

import onnx
import pytest

from partition_studio.graph.examples import EXAMPLES, build_example
from partition_studio.graph.frames import random_frame
from partition_studio.graph.load import load_network, original_model
from partition_studio.graph.network import Network
from partition_studio.graph.runtime import Arrays
from partition_studio.partition.extract import submodels
from partition_studio.partition.partition import partition
from partition_studio.partition.verify import verify
from tests.core.networks import plan_for, random_plan, run_plan

from .plans import random_divided_plan, unequal_tensors, whole_tensors

#: Folders with more networks (`.onnx`) to cut in the same ways, separated by colons.
MORE_NETWORKS = "PARTITION_STUDIO_TEST_NETWORKS"

ARCHITECTURES = [candidate.id for candidate in EXAMPLES if candidate.kind != "trained"]
QUICK = ("squeezenet", "shufflenet")

Whole = tuple[Network, onnx.ModelProto, Arrays]


def _cases() -> Iterator[object]:
    yield "digits"
    for name in ARCHITECTURES:
        yield pytest.param(name, marks=() if name in QUICK else pytest.mark.slow)
    for folder in filter(None, os.environ.get(MORE_NETWORKS, "").split(":")):
        for path in sorted(Path(folder).rglob("*.onnx")):
            yield pytest.param(str(path), marks=pytest.mark.slow)


@pytest.fixture(scope="module", params=list(_cases()))
def whole(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Whole:
    name = str(request.param)
    path = Path(name)
    if path.suffix != ".onnx":
        path = tmp_path_factory.mktemp("network") / f"{name}.onnx"
        path.write_bytes(build_example(name))
    network, original = load_network(path), original_model(path)
    return network, original, whole_tensors(network, original)


def _everything(request: pytest.FixtureRequest) -> bool:
    return "slow" not in str(request.config.getoption("markexpr"))


def _edges(network: Network) -> list[tuple[str, str]]:
    return [(maker.name, layer.name) for layer in network.layers for maker in network.predecessors(layer)]


def test_cut_at_every_edge_the_parts_are_equal_to_the_last_bit(whole: Whole, request: pytest.FixtureRequest) -> None:
    """At an edge from A to B: A and all that it needs on one device, the rest on another."""
    network, _, tensors = whole
    makers = dict.fromkeys(maker for maker, _ in _edges(network))
    sample = list(makers) if _everything(request) else random.Random(1).sample(list(makers), min(4, len(makers)))
    for maker in sample:
        before: set[str] = set()
        pending = [maker]
        while pending:
            name = pending.pop()
            if name not in before:
                before.add(name)
                pending.extend(layer.name for layer in network.predecessors(network.layer(name)))
        placement = {layer.name: "first" if layer.name in before else "second" for layer in network.layers}
        assert unequal_tensors(partition(network, plan_for(network, placement)), tensors) == []


def test_in_random_plans_the_parts_are_equal_to_the_last_bit(whole: Whole, request: pytest.FixtureRequest) -> None:
    network, _, tensors = whole
    for seed in range(200 if _everything(request) else 3):
        shape = random.Random(seed)
        scattered = seed % 10 == 0 and len(network.layers) < 400
        plan = random_plan(network, 3, seed) if scattered else run_plan(network, shape.randint(2, 8), seed, 10)
        assert unequal_tensors(partition(network, plan), tensors) == []


def test_in_random_divisions_the_parts_equal_the_whole(whole: Whole, request: pytest.FixtureRequest) -> None:
    network, original, _ = whole
    divided = 0
    for seed in range(12 if _everything(request) else 2):
        plan, _ = random_divided_plan(network, 3, seed, most=3, longest=4)
        plan = plan.model_copy(update={"placement": dict.fromkeys(plan.placement, "d0")})
        parted = partition(network, plan)
        parts = {name: part.data for name, part in submodels(parted.network, parted.graph).items()}
        result = verify(original, parted, parts, random_frame(network.inputs, seed))
        assert result.first_difference is None, plan.shards
        divided += bool(plan.shards)
    assert divided
