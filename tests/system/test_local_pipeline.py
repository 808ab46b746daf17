"""An ONNX file becomes a running pipeline on devices of this machine: everything real, nothing in place of anything."""

import hashlib
import io
import os
import signal
from pathlib import Path

import numpy as np
import psutil
import pytest

from partition_agent.protocol import End
from partition_studio.errors import StudioError
from partition_studio.fleet.session.software import ModelFile
from partition_studio.graph.frames import read_frame
from partition_studio.graph.load import original_model
from partition_studio.graph.runtime import run_model
from partition_studio.partition.plan import Plan
from partition_studio.schemas import (
    DeploymentIn,
    DeploymentOut,
    DeviceIn,
    DeviceLiveOut,
    DeviceOut,
    DryRunOut,
    LiveSnapshotOut,
    ModelOut,
    PlanReportOut,
    RunOut,
)
from tests.studio import wait_for
from tests.system.conftest import Desk

DEVICES = ("a", "b", "c")


def test_every_sample_gets_its_right_class_over_three_devices(desk: Desk) -> None:
    model = desk.example()
    desk.local_devices(*DEVICES)
    deployment = desk.deploy(model, desk.spread(model, *DEVICES))
    assert [row.step for row in deployment.devices] == ["ready"] * 3
    run = desk.run(deployment, source="samples")
    assert (run.state, run.delivered, run.lost) == ("finished", len(model.samples), 0)
    right = [result.classes[0].label == result.input_name[0] for result in run.recent]
    # The network knows 99 % of the digits; samples are held out of its training.
    assert sum(right) >= len(right) - 1
    assert desk.stop(deployment).state == "stopped"


def test_the_outputs_are_those_of_the_whole_network(desk: Desk) -> None:
    model = desk.example()
    desk.local_devices(*DEVICES)
    layers = desk.client.get(f"/api/models/{model.id}", ModelOut).layers
    plan = desk.spread(model, *DEVICES)
    # Dealt round: as many cuts as can be, branches cut anywhere, several stages on each device.
    dealt = {layer.name: DEVICES[number // 2 % 3] for number, layer in enumerate(layers)}
    deployment = desk.deploy(model, plan.model_copy(update={"placement": dealt}))
    assert len(deployment.stages) > 3
    services = desk.studio.services
    files = [(name, services.models.sample(model.id, name)) for name in model.samples[:5]]
    run = desk.client.post_form(
        f"/api/deployments/{deployment.id}/runs", RunOut, {"source": "files"}, [("files", part) for part in files]
    )
    run = desk.ended(run)
    outputs = np.load(io.BytesIO(desk.client.get_bytes(f"/api/runs/{run.id}/outputs.npz")))
    network = services.models.network(model.id)
    whole = original_model(services.models.path(model.id))
    answers = []
    for number, (name, data) in enumerate(files):
        frame = read_frame(data, name, network.inputs, services.models.preprocessing(model.id))
        for output, expected in run_model(whole, frame, list(network.outputs)).items():
            np.testing.assert_allclose(outputs[f"{number}:{output}"], expected, rtol=1e-4, atol=1e-5)
            answers.append(expected)
    assert not np.allclose(answers[0], answers[-1])


def test_live_figures_tell_frames_processor_memory_and_declared_power(desk: Desk) -> None:
    model = desk.example()
    desk.local_devices("a", idle_power_w=2.0, busy_power_w=6.0)
    desk.local_devices("b")
    deployment = desk.deploy(model, desk.spread(model, "a", "b"))
    run = desk.begin_run(deployment, source="samples", repeat="true")

    def busy() -> dict[str, DeviceLiveOut] | None:
        live = {d.device: d for d in desk.client.get("/api/live", LiveSnapshotOut).devices}
        return live if len(live) == 2 and all(d.frames_per_s > 0 for d in live.values()) else None

    live = wait_for(busy, what="figures of both devices")
    power = live["a"].power
    assert power is not None
    assert (power.method, power.scope) == ("estimated", "model")
    assert power.power_w is not None and 2.0 <= power.power_w <= 6.0
    assert live["b"].power is None or live["b"].power.method != "estimated"
    for figures in live.values():
        assert figures.memory_bytes is not None
        assert 10 * 2**20 < figures.memory_bytes < 2**30
        assert figures.stages[0].compute_s is not None
        assert figures.received_bytes_per_s > 0
    stopped = desk.client.post(f"/api/runs/{run.id}/stop", RunOut)
    assert (stopped.state, stopped.lost) == ("stopped", 0)
    assert stopped.delivered == stopped.submitted > 0
    desk.stop(deployment)
    # An agent that has ended has no figures, however new its last ones are.
    assert desk.client.get("/api/live", LiveSnapshotOut).devices == []


def test_a_changed_plan_replaces_the_running_one(desk: Desk) -> None:
    model = desk.example()
    desk.local_devices(*DEVICES)
    first = desk.deploy(model, desk.spread(model, *DEVICES))
    second = desk.deploy(model, desk.spread(model, "c", "a"))
    assert second.epoch == first.epoch + 1
    wait_for(lambda: desk.shown(first).state == "stopped" or None, what="the end of the first deployment")
    # `b` has no part any more: its agent has ended.
    wait_for(lambda: len(desk.studio.agents()) == 2 or None, what="the end of the agent on b")
    assert desk.run(second, source="samples").lost == 0


def test_where_two_plans_do_not_fit_at_once_the_old_one_makes_room(desk: Desk) -> None:
    model = desk.example()
    desk.local_devices("small")
    report = desk.client.post(f"/api/models/{model.id}/plans/check", PlanReportOut, desk.spread(model, "small"))
    desk.client.delete("/api/devices/small")
    just_enough = report.devices[0].likely_memory_bytes + 1000
    desk.client.post("/api/devices", DeviceOut, DeviceIn(name="small", address="local:", memory_bytes=just_enough))
    plan = desk.spread(model, "small")
    first = desk.deploy(model, plan)
    # What both have stays on the device meanwhile.
    (sent,) = desk.studio.data_dir.local_devices.rglob("models/*.onnx")
    made_s = sent.stat().st_mtime_ns
    dry_run = desk.client.post("/api/deployments/dry-run", DryRunOut, DeploymentIn(model_id=model.id, plan=plan))
    assert dry_run.send_bytes == 0
    second = desk.deploy(model, plan)
    assert desk.shown(first).state == "stopped"
    assert sent.stat().st_mtime_ns == made_s
    assert desk.run(second, source="samples").lost == 0


def test_a_deployment_that_fails_leaves_the_running_one(desk: Desk, tmp_path: Path) -> None:
    model = desk.example()
    desk.local_devices("a", "b")
    first = desk.deploy(model, desk.spread(model, "a"))
    folder = desk.studio.block_device("b")
    second = desk.settled(desk.begin(model, desk.spread(model, "a", "b")))
    assert second.state == "failed"
    failed = [row for row in second.devices if row.step == "failed"]
    assert [row.device for row in failed] == ["b"]
    assert failed[0].problem is not None
    assert failed[0].problem.message == f"b: {folder} cannot be made: something else has this name there"
    assert failed[0].problem.next_step
    assert [row.detail for row in second.devices if row.device == "a"] == ["stopped"]
    assert desk.shown(first).state == "running"
    assert desk.run(first, source="samples").lost == 0


def test_a_killed_agent_fails_the_deployment_and_no_frame_is_silently_lost(desk: Desk) -> None:
    model = desk.example()
    desk.local_devices(*DEVICES)
    deployment = desk.deploy(model, desk.spread(model, *DEVICES))
    run = desk.begin_run(deployment, source="samples", repeat="true")
    (victim,) = desk.studio.agents("b")
    os.kill(victim.pid, signal.SIGKILL)
    ended = desk.ended(run)
    assert ended.state == "failed"
    assert ended.submitted == ended.delivered + ended.lost
    failed = wait_for(
        lambda: now if (now := desk.shown(deployment)).state == "failed" else None, what="the deployment's failure"
    )
    assert failed.problem is not None
    assert "b" in failed.problem.message
    wait_for(lambda: not desk.studio.agents() or None, what="the end of the other agents")
    # The last good state is a deployment away, and what the killed agent left is gone with the next.
    again = desk.deploy(model, desk.spread(model, *DEVICES))
    desk.stop(again)
    assert list(desk.studio.data_dir.local_devices.rglob("*.onnx*")) == []


def test_an_agent_that_was_silent_for_too_long_does_not_go_on_unseen(desk: Desk) -> None:
    model = desk.example()
    desk.local_devices("a")
    deployment = desk.deploy(model, desk.spread(model, "a"))
    frozen = desk.studio.agents()[0]
    # Not by psutil: where the machine's clock is set meanwhile, it takes the process for another one.
    os.kill(frozen.pid, signal.SIGSTOP)
    wait_for(lambda: desk.shown(deployment).state == "failed" or None, what="the loss", deadline_s=150)
    wait_for(lambda: not desk.studio.agents() or None, what="the end of the frozen agent")


def test_ending_one_deployment_keeps_what_another_has_sent(desk: Desk) -> None:
    desk.local_devices("a")
    session = desk.studio.services.devices.session("a")
    models = desk.studio.data_dir.local_devices / "a" / "models"

    def send(holder: str, data: bytes) -> Path:
        digest = hashlib.sha256(data).hexdigest()
        session.push_model(holder, ModelFile(data, len(data), digest), lambda _done: None, lambda: False)
        return models / f"{digest}.onnx"

    for holder in ("x/1", "y/1"):
        session.hold_agent(holder, lambda _step, _text: None, lambda _progress: None)
    alone, shared = send("x/1", b"of x alone"), send("x/1", b"of both")
    assert send("y/1", b"of both") == shared
    session.release_agent("x/1", End(deployment="x", epoch=1))
    assert [path.exists() for path in (alone, shared)] == [False, True]
    session.release_agent("y/1", End(deployment="y", epoch=1))
    assert list(models.iterdir()) == []
    wait_for(lambda: not desk.studio.agents() or None, what="the end of the agent")


def test_cancelling_leaves_nothing(desk: Desk) -> None:
    model = desk.example()
    desk.local_devices(*DEVICES)
    deployment = desk.begin(model, desk.spread(model, *DEVICES))
    desk.client.post(f"/api/deployments/{deployment.id}/cancel", dict)
    settled = desk.settled(deployment)
    assert settled.state in ("cancelled", "running")
    if settled.state == "running":
        desk.stop(settled)
    wait_for(lambda: not desk.studio.agents() or None, what="the end of every agent")


def test_cancelling_reaches_a_device_that_loads(desk: Desk) -> None:
    model = desk.example("resnet-50")
    desk.local_devices("a")
    deployment = desk.begin(model, desk.spread(model, "a"))

    def loads() -> bool | None:
        now = desk.shown(deployment)
        assert now.state == "deploying", "it came up before it could be cancelled"
        return now.devices[0].step == "load" or None

    wait_for(loads, what="the loading")
    desk.client.post(f"/api/deployments/{deployment.id}/cancel", DeploymentOut)
    settled = desk.settled(deployment)
    assert settled.state == "cancelled"
    assert [row.step for row in settled.devices] == ["waiting"]
    wait_for(lambda: not desk.studio.agents() or None, what="the end of the agent")


def test_a_model_in_use_is_not_removed(desk: Desk) -> None:
    model = desk.example()
    desk.local_devices("a")
    deployment = desk.deploy(model, desk.spread(model, "a"))
    with pytest.raises(StudioError) as caught:
        desk.client.delete(f"/api/models/{model.id}")
    assert caught.value.code == "model_busy"
    assert desk.run(deployment, source="samples").lost == 0
    desk.stop(deployment)
    desk.client.delete(f"/api/models/{model.id}")


def files_below(folder: Path) -> set[str]:
    return {
        str(path.relative_to(folder))
        for path in folder.rglob("*")
        # Logs and samples are kept on purpose, and bounded; what a database writes beside itself comes and goes.
        if path.is_file() and not path.name.startswith(("agent.log", "studio.db")) and path.suffix != ".seg"
    }


def test_25_cycles_leave_no_process_port_file_or_memory_behind(desk: Desk) -> None:
    model = desk.example()
    desk.local_devices("a", "b")
    me = psutil.Process()

    def cycle() -> None:
        deployment = desk.deploy(model, desk.spread(model, "a", "b"))
        assert desk.run(deployment, source="samples").lost == 0
        assert desk.stop(deployment).state == "stopped"

    for _ in range(3):
        cycle()
    wait_for(lambda: not desk.studio.agents() or None, what="the end of every agent")
    files, sockets = files_below(desk.studio.data_dir.path), len(me.net_connections())
    descriptors, threads, memory = me.num_fds(), me.num_threads(), me.memory_info().rss
    for _ in range(25):
        cycle()
    wait_for(lambda: not desk.studio.agents() or None, what="the end of every agent")
    assert files_below(desk.studio.data_dir.path) == files
    wait_for(lambda: len(me.net_connections()) <= sockets + 2 or None, what="the closing of every socket")
    assert me.num_fds() <= descriptors + 4
    assert me.num_threads() <= threads + 2
    # A megabyte a cycle would be a leak; the allocator's own breathing is less.
    assert me.memory_info().rss - memory < 25 * 2**20


def test_a_device_in_use_is_not_removed(desk: Desk) -> None:
    model = desk.example()
    desk.local_devices("a", "b")
    deployment = desk.deploy(model, desk.spread(model, "a", "b"))
    with pytest.raises(StudioError) as caught:
        desk.client.delete("/api/devices/a")
    assert caught.value.code == "device_busy"
    desk.stop(deployment)
    desk.client.delete("/api/devices/a")
    assert [device.name for device in desk.client.get("/api/devices", list[DeviceOut])] == ["b"]
    assert not (desk.studio.data_dir.local_devices / "a").exists()


def test_bad_input_to_a_run_is_named_and_the_deployment_goes_on(desk: Desk) -> None:
    model = desk.example()
    desk.local_devices("a")
    deployment = desk.deploy(model, desk.spread(model, "a"))

    def start(name: str, data: bytes) -> str:
        with pytest.raises(StudioError) as caught:
            desk.client.post_form(
                f"/api/deployments/{deployment.id}/runs", RunOut, {"source": "files"}, [("files", (name, data))]
            )
        assert name in caught.value.message
        return caught.value.code

    def npy(array: np.ndarray[tuple[int, ...], np.dtype[np.generic]]) -> bytes:
        buffer = io.BytesIO()
        np.save(buffer, array)
        return buffer.getvalue()

    shape = model.inputs[0].shape
    assert start("picture.png", b"not a picture") == "not_an_image"
    assert start("small.npy", npy(np.zeros((1, 1, 3, 3), np.float32))) == "wrong_input_shape"
    assert start("double.npy", npy(np.zeros(shape, np.complex64))) == "wrong_input_dtype"
    assert start("notes.txt", b"hello") == "unknown_frame_format"
    assert desk.run(deployment, source="samples").lost == 0


def test_a_plan_with_an_unplaced_layer_is_refused_before_anything_is_sent(desk: Desk) -> None:
    model = desk.example()
    desk.local_devices("a")
    plan = desk.spread(model, "a")
    first = next(iter(plan.placement))
    unplaced: Plan = plan.model_copy(update={"placement": {k: v for k, v in plan.placement.items() if k != first}})
    with pytest.raises(StudioError, match=first):
        desk.begin(model, unplaced)
    assert desk.studio.agents() == []
