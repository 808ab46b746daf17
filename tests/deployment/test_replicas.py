"""Stages that run in several places: the plan's groups, the links between instances, the windows; checked offline."""

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import replace

import pytest

from partition_agent.gate.dealer import HELD
from partition_agent.gate.gate import Gate
from partition_agent.protocol import SINK, SOURCE, STUDIO_PEER, LinkCodec, LinkSpec
from partition_studio.deployment.manifest import Manifest, build_manifest
from partition_studio.graph.network import Network
from partition_studio.partition.check import DeviceLimits, InvalidPlanError, check_plan, require_valid
from partition_studio.partition.partition import partition
from partition_studio.partition.plan import (
    MalformedPlanError,
    NetworkRef,
    OutputChannelSharding,
    Plan,
    ReplicaGroup,
    Resource,
    parse_plan,
)
from partition_studio.partition.resources import providers_of
from partition_studio.partition.stages import StageGraph
from partition_studio.partition.submodel import submodels
from tests.core.networks import load, relu_chain

DEVICES = ["a", "b", "c", "d"]


def plan_of(
    network: Network,
    places: Sequence[str],
    groups: Mapping[str, Sequence[str]],
    resources: Mapping[str, Resource] | None = None,
) -> Plan:
    """Place the layers in turn."""
    placement = {layer.name: places[min(n, len(places) - 1)] for n, layer in enumerate(network.layers)}
    return Plan(
        network=NetworkRef.of(network),
        placement=placement,
        replicas={name: ReplicaGroup(places=list(members)) for name, members in groups.items()},
        resources=dict(resources or {}),
    )


def graph_of(places: Sequence[str], groups: Mapping[str, Sequence[str]]) -> StageGraph:
    network = load(relu_chain(len(places)))
    return partition(network, plan_of(network, places, groups)).graph


def manifest_of(
    places: Sequence[str], groups: Mapping[str, Sequence[str]], batches: Mapping[str, int] | None = None
) -> Manifest:
    graph = graph_of(places, groups)
    return build_manifest(graph, {name: f"digest of {name}" for name in graph.order}, {"a": 2}, batches=batches)


def links(manifest: Manifest) -> dict[str, LinkSpec]:
    return {link.id: link for link in manifest.links}


def test_a_stage_of_a_group_has_an_instance_on_each_of_its_places() -> None:
    graph = graph_of(["a", "g", "d"], {"g": ["b", "c"]})
    assert graph.devices == ("a", "b", "c", "d")
    middle = graph.stage("g-0")
    assert (middle.device, middle.group, middle.devices) == ("g", "g", ("b", "c"))
    assert [(at.name, at.device) for at in middle.instances] == [("g-0@b", "b"), ("g-0@c", "c")]
    assert [stage.name for stage in graph.on("c")] == ["g-0"]
    assert graph.stage("a-0").group is None


def test_all_instances_of_a_stage_run_one_sub_model() -> None:
    network = load(relu_chain(3))
    graph = partition(network, plan_of(network, ["a", "g", "d"], {"g": ["b", "c"]})).graph
    assert set(submodels(network, graph)) == {"a-0", "g-0", "d-0"}
    manifest = manifest_of(["a", "g", "d"], {"g": ["b", "c"]})
    specs = {stage.name: stage for share in manifest.shares for stage in share.stages}
    assert specs["g-0@b"].digest == specs["g-0@c"].digest == "digest of g-0"
    assert (specs["g-0@b"].replica, specs["g-0@c"].replica, specs["a-0"].replica) == ((0, 0), (0, 1), None)
    assert manifest.stage_of == {"a-0": "a-0", "g-0@b": "g-0", "g-0@c": "g-0", "d-0": "d-0"}
    assert manifest.replicas == ((("g-0@b",), ("g-0@c",)),)


def test_a_link_says_which_frames_pass() -> None:
    manifest = manifest_of(["a", "g", "d"], {"g": ["b", "c"]})
    assert {name: link.routes for name, link in links(manifest).items()} == {
        "source->a-0": (),
        "a-0->g-0@b": ((0, 0),),
        "a-0->g-0@c": ((0, 1),),
        "g-0@b->d-0": ((0, 0),),
        "g-0@c->d-0": ((0, 1),),
        "d-0->sink": (),
    }


def test_a_frame_stays_on_its_replica_inside_a_group_and_changes_between_groups() -> None:
    network = load(relu_chain(4))
    placement = dict(zip([layer.name for layer in network.layers], ["g", "a", "g", "h"], strict=True))
    groups = {"g": ReplicaGroup(places=["b", "c"]), "h": ReplicaGroup(places=["c", "d"])}
    plan = Plan(network=NetworkRef.of(network), placement=placement, replicas=groups)
    graph = partition(network, plan).graph
    manifest = build_manifest(graph, dict.fromkeys(graph.order, ""), {})
    found = {name: link.routes for name, link in links(manifest).items() if link.producer.startswith("g-1")}
    assert found == {f"g-1@{p}->h-0@{q}": ((0, i), (1, j)) for i, p in enumerate("bc") for j, q in enumerate("cd")}
    assert manifest.replicas == ((("g-0@b", "g-1@b"), ("g-0@c", "g-1@c")), (("h-0@c",), ("h-0@d",)))
    # On one device even frames between groups stay in memory.
    assert links(manifest)["g-1@c->h-0@c"].consumer_device == "c" == links(manifest)["g-1@c->h-0@c"].producer_device
    plan = plan_of(network, ["g", "g", "g", "g"], {"g": ["a", "b"]})
    whole = partition(network, plan).graph
    assert [stage.name for stage in whole.stages] == ["g-0"]


def test_every_route_that_the_door_deals_leads_to_each_stage_once() -> None:
    manifest = manifest_of(["g", "a", "h", "b"], {"g": ["b", "c", "d"], "h": ["a", "d"]})
    gate = Gate(manifest.studio_links, [len(group) for group in manifest.replicas])
    for link in manifest.studio_links:
        if link.producer == SOURCE:
            gate.credited(link.id, link.window, 0)
    for frame in range(4):
        dealt = gate.deal(frame, 0.0)
        assert dealt is not None
        passed = [link for link in manifest.links if link.carries(dealt.route.replicas)]
        fed = {manifest.stage_of.get(link.consumer, SINK) for link in passed}
        assert fed == {"g-0", "a-0", "h-0", "b-0", SINK}
        assert len(passed) == 5


def test_links_out_of_a_group_have_room_for_what_waits_for_the_slow_ones() -> None:
    found = {name: link.window for name, link in links(manifest_of(["a", "g", "d"], {"g": ["b", "c"]})).items()}
    assert found == {
        "source->a-0": 2,
        "a-0->g-0@b": 2,
        "a-0->g-0@c": 2,
        "g-0@b->d-0": 2 + HELD,
        "g-0@c->d-0": 2 + HELD,
        "d-0->sink": 2,
    }
    whole = {name: link.window for name, link in links(manifest_of(["g"], {"g": ["b", "c", "d"]})).items()}
    assert whole == {
        **{f"source->g-0@{place}": 2 for place in "bcd"},
        **{f"g-0@{place}->sink": 2 + HELD for place in "bcd"},
    }


def test_a_stage_that_takes_several_frames_at_once_has_room_for_them() -> None:
    found = links(manifest_of(["a", "b", "c"], {}, {"b-0": 4}))
    assert {name: link.window for name, link in found.items()} == {
        "source->a-0": 2,
        "a-0->b-0": 5,
        "b-0->c-0": 2,
        "c-0->sink": 2,
    }


def test_tensors_travel_by_their_codecs_only_where_they_leave_a_device() -> None:
    graph = graph_of(["a", "g", "b"], {"g": ["b", "c"]})
    (tensor,) = next(cut.tensors for cut in graph.cuts if cut.id == "g-0->b-0")
    codecs = {("g-0->b-0", tensor): LinkCodec("int8")}
    manifest = build_manifest(graph, dict.fromkeys(graph.order, ""), {}, codecs=codecs)
    assert {name: link.codecs for name, link in links(manifest).items() if link.codecs} == {
        "g-0@c->b-0": (LinkCodec("int8"),)
    }


def test_instances_on_resources_have_lanes_cores_threads_and_providers() -> None:
    network = load(relu_chain(2))
    resources = {
        "a-gpu": Resource(device="a", processor="gpu"),
        "a-arm": Resource(device="a", cores=[0, 1]),
    }
    plan = plan_of(network, ["g", "a"], {"g": ["a-gpu", "a-arm"]}, resources)
    graph = partition(network, plan).graph
    assert graph.devices == ("a",)
    (share,) = build_manifest(graph, dict.fromkeys(graph.order, ""), {"a": 3}).shares
    assert [(s.name, s.lane, s.cores, s.threads, s.providers) for s in share.stages] == [
        ("g-0@a-gpu", "a-gpu", (), 3, ("CUDAExecutionProvider",)),
        ("g-0@a-arm", "a-arm", (0, 1), 2, ()),
        ("a-0", "", (), 3, ()),
    ]


@pytest.mark.parametrize(
    ("provider", "names"),
    [
        ("", ()),
        ("cpu", ("CPUExecutionProvider",)),
        ("xnnpack", ("XnnpackExecutionProvider",)),
        ("acl", ("ACLExecutionProvider",)),
        ("openvino", ("OpenVINOExecutionProvider",)),
        ("cuda", ("CUDAExecutionProvider",)),
        ("tensorrt", ("TensorrtExecutionProvider", "CUDAExecutionProvider")),
    ],
)
def test_a_provider_is_named_as_the_runtime_names_it(provider: str, names: tuple[str, ...]) -> None:
    assert providers_of(Resource.model_validate({"device": "a", "provider": provider})) == names


def faults(
    places: Sequence[str], groups: Mapping[str, Sequence[str]], resources: Mapping[str, Resource] | None = None
) -> list[str]:
    network = load(relu_chain(max(2, len(places))))
    plan = plan_of(network, places, groups, resources)
    report = check_plan(network, plan, {name: DeviceLimits() for name in DEVICES})
    assert not report.ok
    with pytest.raises(InvalidPlanError):
        require_valid(network, plan, {name: DeviceLimits() for name in DEVICES})
    return [problem.message for problem in report.errors]


def test_what_is_wrong_with_a_group_is_said() -> None:
    assert any("'b' twice" in text for text in faults(["a", "g"], {"g": ["b", "b"]}))
    assert any("name of a device" in text for text in faults(["a", "c"], {"c": ["a", "b"]}))
    arm = Resource(device="a", cores=[0])
    assert any("name of a resource" in text for text in faults(["r"], {"r": ["a", "b"]}, {"r": arm}))
    assert any("group 'h' among its places" in text for text in faults(["g"], {"g": ["a", "h"], "h": ["b", "c"]}))
    same = {"r": arm, "s": arm}
    assert any("same part of 'a' twice" in text for text in faults(["g"], {"g": ["r", "s"]}, same))
    assert any("no device 'e'" in text for text in faults(["g"], {"g": ["a", "e"]}))
    assert any("names 'e', and there is no such device" in text for text in faults(["a"], {"g": ["a", "e"]}))
    (text,) = faults(["a", "gruop"], {"group": ["a", "b"]})
    assert "There is no device 'gruop'" in text
    assert "Did you mean 'group'?" in text


def test_a_part_of_a_divided_layer_cannot_be_replicated() -> None:
    network = load(relu_chain(2))
    layer = network.layers[0].name
    sharding = OutputChannelSharding(layers=[layer], devices=["g", "a"])
    plan = plan_of(network, ["a"], {"g": ["b", "c"]}).model_copy(update={"shards": [sharding]})
    plan = plan.model_copy(update={"placement": {network.layers[1].name: "a"}})
    report = check_plan(network, plan, {name: DeviceLimits() for name in DEVICES})
    assert any("parts run on devices and resources" in problem.message for problem in report.errors)


def test_the_cost_of_a_group_falls_on_each_of_its_devices() -> None:
    network = load(relu_chain(3))
    plan = plan_of(network, ["a", "g", "d"], {"g": ["b", "c"]})
    assert plan.devices() == ("a", "b", "c", "d")
    costs = {cost.device: cost for cost in check_plan(network, plan).costs}
    assert set(costs) == {"a", "b", "c", "d"}
    assert costs["b"] == replace(costs["c"], device="b")
    frame = costs["a"].received_bytes
    assert (costs["b"].received_bytes, costs["b"].sent_bytes, costs["d"].received_bytes) == (frame, frame, frame)
    # Of each replica frames may wait at the stage behind them.
    assert costs["d"].least_memory_bytes > costs["b"].least_memory_bytes


def test_the_studio_feeds_and_drains_replicas_itself() -> None:
    manifest = manifest_of(["g"], {"g": ["b", "c"]})
    assert {(link.producer, link.consumer) for link in manifest.studio_links} == {
        (SOURCE, "g-0@b"),
        (SOURCE, "g-0@c"),
        ("g-0@b", SINK),
        ("g-0@c", SINK),
    }
    assert all(STUDIO_PEER in (link.producer_device, link.consumer_device) for link in manifest.links)


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"replicas": {"g": {"places": ["a"]}}}, "`places` of 'g' in `replicas` must have at least 2 entries"),
        ({"replicas": {"g": ["a", "b"]}}, "'g' in `replicas` must be an object"),
        ({"replicas": {"": {"places": ["a", "b"]}}}, "a name in `replicas` is empty"),
        ({"codecs": [{"codec": "gzip"}]}, "`codec` of entry 0 of `codecs` must be 'none', 'lz4'"),
    ],
)
def test_what_is_wrong_with_the_document_is_said_where_it_is(fields: dict[str, object], said: str) -> None:
    document = {"version": 2, "network": {"sha256": "0" * 64, "name": "n"}, "placement": {}, **fields}
    with pytest.raises(MalformedPlanError, match=re.escape(said)):
        parse_plan(json.dumps(document))
