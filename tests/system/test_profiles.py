"""Profiles through the whole studio: measured on a device, kept, used for predictions, and ended in the middle."""

import contextlib
import os
import signal
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import TensorProto, helper, numpy_helper

from partition_agent.codecs import CODECS
from partition_studio.errors import StudioError
from partition_studio.planner.figures.profile import Profile, ProfileKey, profile_to_json
from partition_studio.schemas import (
    JobOut,
    ModelSummaryOut,
    ProfileIn,
    ProfileOut,
    ProfileSummaryOut,
    StagePredictionOut,
)
from partition_studio.store.database import open_in
from partition_studio.store.tables import ProfileRow
from tests.studio import RunningStudio, wait_for
from tests.system.conftest import Desk


def begin(desk: Desk, model: ModelSummaryOut, device: str = "board", **options: object) -> JobOut:
    request = ProfileIn.model_validate({"model_id": model.id, "threads": 1, **options})
    return desk.client.post(f"/api/devices/{device}/profiles", JobOut, request)


def store_profile_of_an_older_agent(desk: Desk, model: ModelSummaryOut) -> None:
    """It is of the same conditions, and lacks the codecs and what carrying costs."""
    runtime = onnxruntime.__version__
    profile = Profile(
        key=ProfileKey(model.digest, "board", runtime, 1, "CPUExecutionProvider"),
        layers=(),
        kernels=(),
        run_s=1.0,
        run_spread_s=0.0,
        runs=1,
        session_s=0.0,
        load_s=0.0,
        weight_bytes=0,
        peak_bytes=0,
        load_peak_bytes=0,
        power=None,
        temperature_c=None,
        throttled=(),
        warnings=(),
        pieces=1,
        duration_s=1.0,
    )
    row = ProfileRow(
        device="board",
        model_id=model.id,
        network_digest=model.digest,
        runtime=runtime,
        threads=1,
        provider="CPUExecutionProvider",
        document=profile_to_json(profile),
        measured_at=datetime.now(UTC),
    )
    with (
        contextlib.closing(open_in(desk.studio.data_dir.path)) as database,
        database.session() as session,
        session.begin(),
    ):
        session.add(row)
    (stored,) = desk.client.get("/api/profiles", list[ProfileSummaryOut])
    assert stored.run_s == 1.0


def ended(desk: Desk, job: JobOut) -> JobOut:
    def look() -> JobOut | None:
        now = desk.client.get(f"/api/jobs/{job.id}", JobOut)
        return None if now.state in ("waiting", "running") else now

    return wait_for(look, what="the job's end", deadline_s=180)


def at_step(desk: Desk, job: JobOut, step: str) -> None:
    wait_for(lambda: step in desk.client.get(f"/api/jobs/{job.id}", JobOut).step or None, what=f"the step {step!r}")


def slow_network(desk: Desk, folder: Path) -> ModelSummaryOut:
    """A network that takes seconds to be measured."""
    weights = np.random.default_rng(1).standard_normal((128, 128, 3, 3)).astype(np.float32) * np.float32(0.04)
    nodes = [
        helper.make_node("Conv", [f"t{n}", "w"], [f"t{n + 1}"], name=f"conv{n}", pads=[1, 1, 1, 1]) for n in range(8)
    ]
    x, y = (helper.make_tensor_value_info(name, TensorProto.FLOAT, [1, 128, 64, 64]) for name in ("t0", "t8"))
    graph = helper.make_graph(nodes, "g", [x], [y], [numpy_helper.from_array(weights, "w")])
    path = folder / "slow.onnx"
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), path)
    with path.open("rb") as file:
        return desk.client.post_form("/api/models", ModelSummaryOut, {}, [("file", (path.name, file))])


def left_on_device(studio: RunningStudio) -> list[str]:
    """Models and weights in the folders of the local devices."""
    folder = studio.data_dir.local_devices
    return [path.name for path in folder.rglob("*") if path.suffix in (".onnx", ".bin") or path.name == "profiling"]


def test_a_profile_is_measured_once_kept_and_used_to_predict_a_deployment(desk: Desk) -> None:
    model = desk.example()
    desk.local_devices("board", idle_power_w=2.0, busy_power_w=5.0)
    store_profile_of_an_older_agent(desk, model)
    job = ended(desk, begin(desk, model))
    assert job.state == "done", job.problem
    assert "same conditions" not in job.step
    (summary,) = desk.client.get("/api/profiles", list[ProfileSummaryOut], device="board", model_id=model.id)
    shown = desk.client.get(f"/api/profiles/{summary.id}", ProfileOut)
    assert shown.kernels_s == pytest.approx(shown.run_s, rel=0.7)
    assert sorted(name for kernel in shown.kernels for name in kernel.layers) == sorted(
        layer.layer for layer in shown.layers
    )
    assert shown.energy is not None
    assert (shown.energy.method, shown.energy.scope) == ("estimated", "model")
    assert sum(kernel.energy_j or 0.0 for kernel in shown.kernels) <= shown.energy.gross_j
    assert [speed.codec for speed in shown.codecs] == list(CODECS)
    assert shown.carry is not None
    assert shown.carry.message_s + shown.carry.byte_s > 0
    assert left_on_device(desk.studio) == []

    again = ended(desk, begin(desk, model))
    assert "same conditions" in again.step
    assert desk.client.get("/api/profiles", list[ProfileSummaryOut]) == [summary]

    plan = desk.spread(model, "board")
    deployment = desk.deploy(model, plan)
    desk.run(deployment, source="random", frames="20")
    (prediction,) = desk.client.get(f"/api/deployments/{deployment.id}/predictions", list[StagePredictionOut])
    assert prediction.profile_id == summary.id
    assert prediction.predicted_s == pytest.approx(shown.run_s)
    expected_s = desk.studio.services.profiles.expected_s(deployment.id)
    assert expected_s == {prediction.stage: prediction.predicted_s}
    desk.stop(deployment)
    # A page that asks every few seconds asks once more.
    assert desk.client.get(f"/api/deployments/{deployment.id}/predictions", list[StagePredictionOut]) == []

    desk.client.delete(f"/api/profiles/{summary.id}")
    assert desk.client.get("/api/profiles", list[ProfileSummaryOut]) == []
    with pytest.raises(StudioError) as gone:
        desk.client.get(f"/api/profiles/{summary.id}", ProfileOut)
    assert gone.value.code == "profile_not_found"


def test_without_a_profile_a_stage_has_no_prediction_and_that_is_said(desk: Desk) -> None:
    model = desk.example()
    desk.local_devices("board")
    deployment = desk.deploy(model, desk.spread(model, "board"))
    (prediction,) = desk.client.get(f"/api/deployments/{deployment.id}/predictions", list[StagePredictionOut])
    assert prediction.predicted_s is None
    assert any("not profiled" in text for text in prediction.warnings)


def test_cancelled_in_the_middle_nothing_is_left_and_the_next_one_succeeds(desk: Desk, tmp_path: Path) -> None:
    model = slow_network(desk, tmp_path)
    desk.local_devices("board")
    job = begin(desk, model)
    at_step(desk, job, "whole runs")
    with pytest.raises(StudioError) as busy:
        begin(desk, model)
    assert busy.value.code == "job_busy"
    desk.client.post(f"/api/jobs/{job.id}/cancel", JobOut)
    assert ended(desk, job).state == "cancelled"
    assert left_on_device(desk.studio) == []
    assert desk.client.get("/api/profiles", list[ProfileSummaryOut]) == []
    small = desk.example()
    assert ended(desk, begin(desk, small)).state == "done"


@pytest.mark.slow
def test_a_device_lost_in_the_middle_fails_the_job_and_the_next_one_succeeds(desk: Desk, tmp_path: Path) -> None:
    model = slow_network(desk, tmp_path)
    desk.local_devices("board")
    job = begin(desk, model)
    at_step(desk, job, "whole runs")
    (state,) = desk.studio.data_dir.local_devices.rglob("agent.json")
    info = desk.studio.services.devices.session("board").hold_agent("test", lambda *_: None, lambda _: None)
    assert state.exists()
    os.kill(info.pid, signal.SIGKILL)
    failed = ended(desk, job)
    assert failed.state == "failed"
    assert failed.problem is not None
    small = desk.example()

    def retry() -> JobOut | None:
        after = ended(desk, begin(desk, small))
        return after if after.state == "done" else None

    assert wait_for(retry, what="a profile on the device that came back")


@pytest.mark.parametrize(("device", "code"), [("nowhere", "device_not_found"), ("board", "model_not_found")])
def test_unknown_devices_and_models_are_refused_at_once(desk: Desk, device: str, code: str) -> None:
    desk.local_devices("board")
    model = desk.example() if code == "device_not_found" else None
    with pytest.raises(StudioError) as refused:
        desk.client.post(
            f"/api/devices/{device}/profiles", JobOut, ProfileIn(model_id=model.id if model else "no-such")
        )
    assert refused.value.code == code
