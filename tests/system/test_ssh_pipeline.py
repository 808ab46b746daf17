"""The same over SSH: real OpenSSH servers, the agent installed from nothing, and a studio that comes and goes."""

import io
import os
import signal
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import numpy as np
import psutil
import pytest

from partition_studio.errors import StudioError
from partition_studio.graph.frames import random_frame
from partition_studio.graph.load import original_model
from partition_studio.graph.runtime import run_model
from partition_studio.schemas import DeploymentOut, DeviceIn, DeviceOut, PlanReportOut, RunOut
from tests.sshd import SshServer
from tests.studio import wait_for
from tests.system.conftest import Desk

pytestmark = pytest.mark.ssh


@pytest.fixture
def servers(tmp_path: Path) -> Iterator[list[SshServer]]:
    with ExitStack() as stack:
        yield [stack.enter_context(SshServer(tmp_path / name)) for name in ("one", "two")]


def request_for(name: str, server: SshServer, fingerprint: str | None = None) -> DeviceIn:
    return DeviceIn(
        name=name,
        address=str(server.address),
        key_file=str(server.key_file),
        trusted_fingerprint=fingerprint,
    )


def add(desk: Desk, name: str, server: SshServer) -> DeviceOut:
    return desk.client.post("/api/devices", DeviceOut, request_for(name, server, server.fingerprint()))


def agents_in(servers: list[SshServer]) -> list[psutil.Process]:
    homes = tuple(str(server.home) for server in servers)
    return [
        process
        for process in psutil.process_iter(["cmdline"])
        if "partition_agent" in (words := process.info["cmdline"] or []) and any(w.startswith(homes) for w in words)
    ]


def test_from_nothing_to_results_over_ssh_and_back_to_nothing(desk: Desk, servers: list[SshServer]) -> None:
    with pytest.raises(StudioError) as caught:
        desk.client.post("/api/devices", DeviceOut, request_for("one", servers[0]))
    assert caught.value.code == "unknown_host_key"
    assert caught.value.details["fingerprint"] == servers[0].fingerprint()
    for name, server in zip(("one", "two"), servers, strict=True):
        assert add(desk, name, server).state == "ready"
    model = desk.example("squeezenet")
    deployment = desk.deploy(model, desk.spread(model, "one", "two"))
    services = desk.studio.services
    network = services.models.network(model.id)
    whole = original_model(services.models.path(model.id))
    frames = [random_frame(network.inputs, seed) for seed in range(3)]
    files = []
    for number, frame in enumerate(frames):
        buffer = io.BytesIO()
        np.savez(buffer, **frame)  # type: ignore[arg-type]  # numpy's stub wants arrays alone, which these are
        files.append(("files", (f"{number}.npz", buffer.getvalue())))
    run = desk.ended(
        desk.client.post_form(f"/api/deployments/{deployment.id}/runs", RunOut, {"source": "files"}, files)
    )
    outputs = np.load(io.BytesIO(desk.client.get_bytes(f"/api/runs/{run.id}/outputs.npz")))
    for number, frame in enumerate(frames):
        for name, expected in run_model(whole, frame, list(network.outputs)).items():
            np.testing.assert_allclose(outputs[f"{number}:{name}"], expected, rtol=1e-3, atol=1e-6)
    log = desk.client.get_bytes("/api/devices/one/log")
    assert b"lines" in log
    assert desk.stop(deployment).state == "stopped"
    wait_for(lambda: not agents_in(servers) or None, what="the end of every agent")
    for name in ("one", "two"):
        desk.client.delete(f"/api/devices/{name}")
    for server in servers:
        left = server.home / ".local" / "share" / "partition-studio"
        assert not left.exists()


def test_a_changed_host_key_is_refused_with_both_fingerprints(desk: Desk, servers: list[SshServer]) -> None:
    server = servers[0]
    add(desk, "one", server)
    old = server.fingerprint()
    server.new_host_key()
    server.cut()
    checked = desk.client.post("/api/devices/one/check", DeviceOut)
    assert checked.state == "unreachable"
    assert checked.problem is not None
    assert checked.problem.code == "changed_host_key"
    assert old in str(checked.problem)
    assert server.fingerprint() in str(checked.problem)


def test_a_restarted_studio_finds_what_runs_and_goes_on(new_desk: Callable[[], Desk], servers: list[SshServer]) -> None:
    desk = new_desk()
    for name, server in zip(("one", "two"), servers, strict=True):
        add(desk, name, server)
    model = desk.example()
    deployment = desk.deploy(model, desk.spread(model, "one", "two"))
    assert desk.run(deployment, source="samples").lost == 0
    before = {process.pid for process in agents_in(servers)}
    desk = new_desk()
    assert {process.pid for process in agents_in(servers)} == before
    found = desk.settled(deployment)
    assert found.state == "running", found.problem
    run = desk.run(found, source="samples")
    assert (run.state, run.lost, run.delivered) == ("finished", 0, len(model.samples))
    assert desk.stop(found).state == "stopped"
    wait_for(lambda: not agents_in(servers) or None, what="the end of every agent")


def test_a_restarted_studio_says_when_what_ran_is_gone(new_desk: Callable[[], Desk], servers: list[SshServer]) -> None:
    desk = new_desk()
    for name, server in zip(("one", "two"), servers, strict=True):
        add(desk, name, server)
    model = desk.example()
    deployment = desk.deploy(model, desk.spread(model, "one", "two"))

    for process in agents_in(servers[:1]):
        os.kill(process.pid, signal.SIGKILL)
    desk = new_desk()
    gone: DeploymentOut = desk.settled(deployment)
    assert gone.state in ("failed", "stopped")
    wait_for(lambda: not agents_in(servers) or None, what="the end of the other agent")


def test_a_plan_on_a_device_that_is_away_is_warned_of_and_fails_by_name(desk: Desk, servers: list[SshServer]) -> None:
    add(desk, "one", servers[0])
    desk.local_devices("here")
    servers[0].stop()
    assert desk.client.post("/api/devices/one/check", DeviceOut).state == "unreachable"
    model = desk.example()
    plan = desk.spread(model, "here", "one")
    report = desk.client.post(f"/api/models/{model.id}/plans/check", PlanReportOut, plan)
    warned = [(p.code, p.severity, p.device) for p in report.problems]
    assert warned == [("device_unreachable", "warning", "one")]
    failed = desk.settled(desk.begin(model, plan))
    assert failed.state == "failed"
    assert {row.device: row.step for row in failed.devices} == {"here": "waiting", "one": "failed"}
    servers[0].start()
    back = desk.deploy(model, plan)
    assert desk.stop(back).state == "stopped"
    wait_for(lambda: not agents_in(servers) or None, what="the end of the agent")
