"""What devices are sent: each part once, nothing that is not proved, and nothing again that is there already."""

from collections.abc import Mapping, Sequence

import onnx
import pytest

from partition_studio.deployment.board import Board
from partition_studio.deployment.dry_run import dry_run
from partition_studio.deployment.parts import Parts
from partition_studio.deployment.spec import DeploymentSpec
from partition_studio.fleet.errors import OperationCancelledError
from partition_studio.fleet.progress import never_cancelled
from partition_studio.graph.frames import random_frame
from partition_studio.partition.partition import partition
from partition_studio.partition.plan import NetworkRef, Plan, ReplicaGroup, Resource
from partition_studio.partition.verify import PartsDifferError
from tests.core.networks import load, relu_chain


def spec_of(
    places: Sequence[str],
    *,
    original: onnx.ModelProto | None = None,
    groups: Mapping[str, Sequence[str]] | None = None,
    resources: Mapping[str, Resource] | None = None,
    micro_batch: int = 1,
) -> DeploymentSpec:
    """Place a chain of layers in turn."""
    model = relu_chain(len(places))
    network = load(model)
    plan = Plan(
        network=NetworkRef.of(network),
        placement={layer.name: place for layer, place in zip(network.layers, places, strict=True)},
        replicas={name: ReplicaGroup(places=list(members)) for name, members in (groups or {}).items()},
        resources=dict(resources or {}),
        micro_batch=micro_batch,
    )
    return DeploymentSpec(
        id="d",
        epoch=1,
        model_id="m",
        model_name="chain",
        plan=plan,
        partition=partition(network, plan),
        original=lambda: original or model,
        test_frame=random_frame(network.inputs, seed=0),
        threads={},
    )


def parts_of(spec: DeploymentSpec) -> Parts:
    parts = Parts(spec, Board(spec.graph.devices, lambda: 0.0, lambda: None), never_cancelled)
    parts.cut()
    return parts


def test_two_replicas_on_one_device_need_their_part_once() -> None:
    cores = {f"a-{core}": Resource(device="a", cores=[core]) for core in (0, 1)}
    spec = spec_of(["g", "b"], groups={"g": ["a-0", "a-1"]}, resources=cores)
    parts = parts_of(spec)
    share = next(share for share in parts.manifest.shares if share.device == "a")
    assert len(share.stages) == 2
    (part,) = parts.of(share)
    assert {stage.digest for stage in share.stages} == {part.digest}
    told = next(device for device in dry_run(spec, None).devices if device.device == "a")
    assert (told.total_bytes, told.send_bytes) == (part.size_bytes, part.size_bytes)


def test_what_is_proved_is_what_is_told() -> None:
    spec = spec_of(["a", "b"], micro_batch=2)
    parts = parts_of(spec)
    one_by_one = {stage.name: stage.digest for share in parts.manifest.shares for stage in share.stages}
    parts.settle_and_prove()
    for share in parts.manifest.shares:
        assert [stage.digest for stage in share.stages] == [part.digest for part in parts.of(share)]
        assert all(stage.max_batch == 2 and stage.digest != one_by_one[stage.name] for stage in share.stages)


def test_parts_that_differ_from_the_whole_are_refused() -> None:
    other = relu_chain(2)
    other.graph.node[-1].op_type = "Sigmoid"
    with pytest.raises(PartsDifferError):
        parts_of(spec_of(["a", "b"], original=other)).settle_and_prove()


def test_the_proof_ends_when_the_deployment_is_given_up() -> None:
    spec = spec_of(["a", "b"])
    parts = Parts(spec, Board(spec.graph.devices, lambda: 0.0, lambda: None), lambda: True)
    parts.cut()
    with pytest.raises(OperationCancelledError):
        parts.settle_and_prove()


def test_only_devices_whose_parts_changed_are_sent_any() -> None:
    old = spec_of(["a", "b", "b", "c"])
    told = {device.device: device.send_bytes for device in dry_run(spec_of(["a", "b", "c", "c"]), old).devices}
    assert told["a"] == 0
    assert told["b"] > 0 and told["c"] > 0
    assert dry_run(spec_of(["a", "b", "b", "c"]), old).send_bytes == 0


def test_parts_that_take_several_frames_in_one_go_are_not_those_that_take_one() -> None:
    old = spec_of(["a", "b"])
    told = dry_run(spec_of(["a", "b"], micro_batch=2), old)
    assert told.send_bytes == sum(device.total_bytes for device in told.devices)
