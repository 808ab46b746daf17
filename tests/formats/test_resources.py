"""Parts of a device have names of their own in a plan; their stages go to that device."""

import json

import pytest

from partition_studio.deployment.manifest import build_manifest
from partition_studio.errors import PlanError
from partition_studio.partition.check import DeviceLimits, check_plan
from partition_studio.partition.partition import partition
from partition_studio.partition.plan import OutputChannelSharding, Plan, Resource, parse_plan
from tests.core.networks import load, plan_for, relu_chain
from tests.formats.cnn import LAYERS, layer_of, loaded, plan_of

RESOURCES = {
    "nx01_arm01": Resource(device="jetson", cores=[0, 1], processor="cpu"),
    "nx01_gpu": Resource(device="jetson", processor="gpu"),
}
PLACEMENT = {"l0": "nx01_arm01", "l1": "nx01_gpu", "l2": "pi"}


def plan() -> Plan:
    return plan_for(load(relu_chain(3)), PLACEMENT).model_copy(update={"resources": RESOURCES})


def test_two_resources_of_one_device_are_two_stages_there() -> None:
    graph = partition(load(relu_chain(3)), plan()).graph
    assert [(stage.name, stage.device, stage.cores) for stage in graph.stages] == [
        ("nx01_arm01-0", "jetson", (0, 1)),
        ("nx01_gpu-0", "jetson", ()),
        ("pi-0", "pi", ()),
    ]
    assert graph.devices == ("jetson", "pi")
    assert (plan().places(), plan().devices()) == (("nx01_arm01", "nx01_gpu", "pi"), ("jetson", "pi"))


def test_one_agent_gets_the_stages_of_all_its_resources_with_their_threads() -> None:
    graph = partition(load(relu_chain(3)), plan()).graph
    manifest = build_manifest(graph, {name: f"digest of {name}" for name in graph.order}, {"jetson": 6, "pi": 4})
    told = {share.device: [(stage.name, stage.threads) for stage in share.stages] for share in manifest.shares}
    assert told == {"jetson": [("nx01_arm01-0", 2), ("nx01_gpu-0", 6)], "pi": [("pi-0", 4)]}
    inside = next(link for link in manifest.links if link.consumer == "nx01_gpu-0")
    assert (inside.producer_device, inside.consumer_device) == ("jetson", "jetson")


def test_parts_of_a_divided_layer_go_to_resources() -> None:
    network, _ = loaded()
    conv = layer_of("net_conv2")
    sharding = OutputChannelSharding(layers=[conv], devices=["nx01_arm01", "pi"], shares=[3, 1])
    rest = {name: "pi" for name in LAYERS if name != "net_conv2"}
    graph = partition(network, plan_of(rest, shards=[sharding], resources=RESOURCES)).graph
    stage = graph.stage_of_layer[f"{conv}#0"]
    assert (stage.device, stage.cores) == ("jetson", (0, 1))


def test_a_check_speaks_of_the_registered_devices() -> None:
    network = load(relu_chain(3))
    report = check_plan(network, plan(), {"jetson": DeviceLimits(), "pi": DeviceLimits()})
    assert [(p.code, p.severity, p.device) for p in report.problems] == [("provider_wanted", "warning", "jetson")]
    assert [cost.device for cost in report.costs] == ["jetson", "pi"]
    assert report.costs[0].stages == ("nx01_arm01-0", "nx01_gpu-0")
    missing = check_plan(network, plan(), {"pi": DeviceLimits()})
    assert [(p.code, p.device) for p in missing.errors] == [("unknown_device", "jetson")]


def test_memory_is_that_of_the_whole_device() -> None:
    network, _ = loaded()
    placement = {name: "nx01_arm01" if index < 4 else "nx01_gpu" for index, name in enumerate(LAYERS)}
    costs = check_plan(network, plan_of(placement, resources=RESOURCES)).costs
    assert [cost.weight_bytes for cost in costs] == [network.weight_bytes]


def test_resources_survive_the_plans_json_and_bad_ones_are_refused() -> None:
    assert parse_plan(plan().to_json()) == plan()
    for resource in ({"device": ""}, {"device": "a", "cores": [-1]}, {"device": "a", "processor": "tpu"}, {}):
        document = {**json.loads(plan().to_json()), "resources": {"r": resource}}
        with pytest.raises(PlanError, match="resources"):
            parse_plan(json.dumps(document))
