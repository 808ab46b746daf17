"""What each agent is told of a deployment."""

from pathlib import Path

import pytest

from partition_agent.protocol import SINK, SOURCE, STUDIO_PEER
from partition_studio.deployment.addresses import data_hosts, own_address_towards
from partition_studio.deployment.manifest import Manifest, build_manifest
from partition_studio.graph.examples import build_example
from partition_studio.graph.load import load_network
from partition_studio.graph.network import Network
from partition_studio.partition.partition import partition
from partition_studio.partition.plan import NetworkRef, Plan


@pytest.fixture(scope="module")
def network(tmp_path_factory: pytest.TempPathFactory) -> Network:
    path: Path = tmp_path_factory.mktemp("digits") / "digits.onnx"
    path.write_bytes(build_example("digits"))
    return load_network(path)


@pytest.fixture(scope="module")
def manifest(network: Network) -> Manifest:
    placement = {layer.name: "abc"[number % 3] for number, layer in enumerate(network.layers)}
    plan = Plan(network=NetworkRef(sha256=network.digest, name=network.name), placement=placement)
    parted = partition(network, plan)
    graph = parted.graph
    return build_manifest(graph, {stage.name: f"digest of {stage.name}" for stage in graph.stages}, {"a": 2})


def test_every_stage_is_told_to_its_device_alone(manifest: Manifest) -> None:
    names = [(share.device, stage.name) for share in manifest.shares for stage in share.stages]
    assert all(name.startswith(f"{device}-") for device, name in names)
    assert len({name for _, name in names}) == len(names) > 3


def test_each_link_is_known_at_both_its_ends_and_nowhere_else(manifest: Manifest) -> None:
    for link in manifest.links:
        knowing = {share.device for share in manifest.shares if link in share.links}
        assert knowing == {link.producer_device, link.consumer_device} - {STUDIO_PEER}


def test_every_input_of_a_stage_comes_over_exactly_one_link(manifest: Manifest) -> None:
    for share in manifest.shares:
        for stage in share.stages:
            arriving = [t.name for link in share.links if link.consumer == stage.name for t in link.tensors]
            assert sorted(arriving) == sorted(tensor.name for tensor in stage.inputs)


def test_the_studio_feeds_the_inputs_and_drains_the_outputs(manifest: Manifest, network: Network) -> None:
    fed = {t.name for link in manifest.studio_links if link.producer == SOURCE for t in link.tensors}
    drained = {t.name for link in manifest.studio_links if link.consumer == SINK for t in link.tensors}
    assert fed == set(network.inputs) == set(manifest.inputs)
    assert drained == set(network.outputs) == set(manifest.outputs)


def test_threads_are_the_persons_choice_or_the_agents(manifest: Manifest) -> None:
    threads = {share.device: {stage.threads for stage in share.stages} for share in manifest.shares}
    assert threads == {"a": {2}, "b": {0}, "c": {0}}


class Device:
    def __init__(self, host: str, *, is_local: bool) -> None:
        self.data_host = self.studio_host = host
        self.is_local = is_local


def test_local_devices_among_themselves_stay_on_loopback() -> None:
    devices = {name: Device("10.0.0.9", is_local=True) for name in "ab"}
    assert data_hosts(devices) == {"a": "127.0.0.1", "b": "127.0.0.1"}


def test_a_local_device_shows_other_machines_the_address_that_leads_to_them() -> None:
    devices = {"a": Device("127.0.0.1", is_local=True), "b": Device("127.0.0.2", is_local=False)}
    assert data_hosts(devices) == {"a": own_address_towards("127.0.0.2"), "b": "127.0.0.2"}
