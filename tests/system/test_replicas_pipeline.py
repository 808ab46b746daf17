"""Replicated stages on real agents: right outputs, frames in order, shares by speed, losses told."""

import contextlib
import io
import os
import signal
import threading
from collections.abc import Iterator

import numpy as np
import psutil
import pytest
from onnx import helper

from partition_studio.graph.frames import read_frame
from partition_studio.graph.load import original_model
from partition_studio.graph.runtime import run_model
from partition_studio.partition.plan import Plan, ReplicaGroup
from partition_studio.schemas import DeploymentOut, ModelOut, ModelSummaryOut, RunOut
from tests.core.networks import make_model, value, weight
from tests.studio import wait_for
from tests.system.conftest import Desk


def replicated(desk: Desk, model: ModelSummaryOut, parts: list[str], groups: dict[str, list[str]]) -> Plan:
    """Place the layers in equal runs on `parts`, of which some are groups."""
    layers = desk.client.get(f"/api/models/{model.id}", ModelOut).layers
    placement = {layer.name: parts[number * len(parts) // len(layers)] for number, layer in enumerate(layers)}
    plan = desk.spread(model, next(place for places in groups.values() for place in places))
    return plan.model_copy(
        update={
            "placement": placement,
            "replicas": {name: ReplicaGroup(places=places) for name, places in groups.items()},
        }
    )


def outputs_of_files(desk: Desk, model: ModelSummaryOut, deployment: DeploymentOut, count: int) -> None:
    """Send files and compare every output with the whole network's."""
    services = desk.studio.services
    files = [(name, services.models.sample(model.id, name)) for name in model.samples[:count]]
    run = desk.client.post_form(
        f"/api/deployments/{deployment.id}/runs", RunOut, {"source": "files"}, [("files", part) for part in files]
    )
    run = desk.ended(run)
    assert (run.state, run.delivered, run.lost) == ("finished", len(files), 0)
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


def shares(desk: Desk, deployment: DeploymentOut) -> list[int]:
    door = desk.studio.services.deployments.live(deployment.id).front_door
    assert door is not None
    return door.dealt()[0]


def order_of_results(desk: Desk, deployment: DeploymentOut, count: int) -> list[int]:
    """Send frames straight through the front door and return their numbers as they came out."""
    live = desk.studio.services.deployments.live(deployment.id)
    door, came = live.front_door, []
    assert door is not None
    frame = {name: live.spec.test_frame[name] for name in live.spec.partition.network.inputs}
    futures = []
    for _ in range(count):
        future = door.submit(frame, timeout_s=60.0)
        future.add_done_callback(lambda done: came.append(done.result().frame))
        futures.append(future)
    for future in futures:
        future.result(60.0)
    assert len(came) == count
    return came


def test_the_whole_network_on_two_devices(desk: Desk) -> None:
    model = desk.example()
    desk.local_devices("a", "b")
    deployment = desk.deploy(model, replicated(desk, model, ["both"], {"both": ["a", "b"]}))
    assert [(stage.device, stage.devices) for stage in deployment.stages] == [("both", ["a", "b"])]
    outputs_of_files(desk, model, deployment, 12)
    before = shares(desk, deployment)
    numbers = order_of_results(desk, deployment, 200)
    assert numbers == sorted(numbers)
    # Alike they are, and neither stands idle.
    got = [now - then for now, then in zip(shares(desk, deployment), before, strict=True)]
    assert sum(got) == 200
    assert min(got) >= 40
    assert desk.stop(deployment).state == "stopped"


def test_a_replicated_stage_between_two_devices(desk: Desk) -> None:
    model = desk.example()
    desk.local_devices("a", "b", "c", "d")
    plan = replicated(desk, model, ["a", "middle", "d"], {"middle": ["b", "c"]})
    deployment = desk.deploy(model, plan)
    outputs_of_files(desk, model, deployment, 12)
    numbers = order_of_results(desk, deployment, 120)
    assert numbers == sorted(numbers)
    assert min(shares(desk, deployment)) >= 20
    desk.stop(deployment)


def heavy_model(desk: Desk) -> ModelSummaryOut:
    """Add a network that computes for some ten milliseconds."""
    generator = np.random.default_rng(3)
    nodes, weights = [], []
    for number in range(10):
        weights.append(weight(f"w{number}", generator.standard_normal((32, 32, 3, 3)).astype(np.float32) / 17))
        names = (f"t{number}" if number else "x", f"w{number}"), (f"t{number + 1}" if number < 9 else "y",)
        nodes.append(helper.make_node("Conv", *names, name=f"conv{number}", pads=[1, 1, 1, 1]))
    shape = (1, 32, 64, 64)
    model = make_model(nodes, [value("x", shape)], [value("y", shape)], weights)
    files = [("file", ("heavy.onnx", model.SerializeToString()))]
    return desk.client.post_form("/api/models", ModelSummaryOut, {}, files)


@contextlib.contextmanager
def held_back(process: psutil.Process) -> Iterator[None]:
    """Let a process run for a tenth of the time."""
    over = threading.Event()

    def hold_back() -> None:
        # Not by psutil's suspend(): where the machine's clock is set meanwhile, it takes the process for another one.
        while not over.wait(0.01):
            os.kill(process.pid, signal.SIGSTOP)
            over.wait(0.09)
            os.kill(process.pid, signal.SIGCONT)

    thread = threading.Thread(target=hold_back)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()


def test_the_shares_of_replicas_follow_their_speed(desk: Desk) -> None:
    model = heavy_model(desk)
    desk.local_devices("a", "b")
    deployment = desk.deploy(model, replicated(desk, model, ["both"], {"both": ["a", "b"]}))
    order_of_results(desk, deployment, 20)
    (slow,) = desk.studio.agents("b")

    def next_shares() -> tuple[int, int]:
        before = shares(desk, deployment)
        order_of_results(desk, deployment, 50)
        fast, held = (now - then for now, then in zip(shares(desk, deployment), before, strict=True))
        return fast, held

    def unequal() -> bool:
        # Other tests may take the fast one's core for a while.
        fast, held = next_shares()
        return fast > 2 * held

    with held_back(slow):
        wait_for(unequal, what="that most frames go to the fast replica", deadline_s=90)
    desk.stop(deployment)


@pytest.mark.parametrize("parts", [["both"], ["c", "both", "c"]])
def test_a_replica_that_is_lost_fails_the_deployment_and_no_frame_is_silently_lost(
    desk: Desk, parts: list[str]
) -> None:
    model = desk.example()
    desk.local_devices("a", "b", *({*parts} - {"both"}))
    deployment = desk.deploy(model, replicated(desk, model, parts, {"both": ["a", "b"]}))
    run = desk.begin_run(deployment, source="samples", repeat="true")
    wait_for(lambda: desk.client.get(f"/api/runs/{run.id}", RunOut).delivered > 10 or None, what="the first results")
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
