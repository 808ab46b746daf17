"""Energy of runs and devices on a running studio; what is old is forgotten."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from sqlalchemy import func, select

from partition_studio.partition.plan import Plan
from partition_studio.schemas import (
    CalibrationIn,
    DeploymentIn,
    DeploymentOut,
    DeviceIn,
    DeviceLiveOut,
    DeviceOut,
    HistoryOut,
    JobOut,
    LiveSnapshotOut,
    MeterReadingIn,
    MeterReadingOut,
    ModelSummaryOut,
    RunOut,
    SpreadIn,
)
from partition_studio.services.deployment_history import LISTED
from partition_studio.services.run_history import STORED_RUNS
from partition_studio.store.tables import DeploymentRow, RunRow
from tests.studio import RunningStudio, wait_for


@pytest.fixture
def running(studio: RunningStudio) -> tuple[RunningStudio, DeploymentOut]:
    """A pipeline on two devices, one with declared watts and one of which nothing is known."""
    client = studio.client
    client.post("/api/devices", DeviceOut, DeviceIn(name="a", address="local:", idle_power_w=2, busy_power_w=6))
    client.post("/api/devices", DeviceOut, DeviceIn(name="b", address="local:"))
    model = client.post("/api/examples/digits", ModelSummaryOut)
    plan = client.post(f"/api/models/{model.id}/plans/spread", Plan, SpreadIn(devices=["a", "b"]))
    begun = client.post("/api/deployments", DeploymentOut, DeploymentIn(model_id=model.id, plan=plan))

    def settled() -> DeploymentOut | None:
        now = client.get(f"/api/deployments/{begun.id}", DeploymentOut)
        return None if now.state == "deploying" else now

    deployment = wait_for(settled, what="the deployment", deadline_s=120)
    assert deployment.state == "running", deployment.problem
    return studio, deployment


def live_of(studio: RunningStudio, device: str) -> DeviceLiveOut | None:
    found = studio.client.get("/api/live", LiveSnapshotOut).devices
    return next((live for live in found if live.device == device), None)


def test_a_run_tells_the_energy_of_each_device_that_has_a_figure(
    running: tuple[RunningStudio, DeploymentOut],
) -> None:
    studio, deployment = running
    client = studio.client
    wait_for(lambda: (live := live_of(studio, "a")) and live.power, what="the first figure of power")
    reading = MeterReadingIn(energy_j=1000)
    client.post("/api/devices/a/meter-readings", MeterReadingOut, reading)
    form = {"source": "random", "repeat": "true", "seconds": "4"}
    begun = client.post_form(f"/api/deployments/{deployment.id}/runs", RunOut, form, [])

    def ended() -> RunOut | None:
        now = client.get(f"/api/runs/{begun.id}", RunOut)
        return None if now.state == "running" else now

    run = wait_for(ended, what="the run's end")
    assert run.state == "finished"
    energy = run.energy["a"]
    assert energy.frames == run.delivered
    assert energy.window_s == pytest.approx(4, abs=1.5)
    assert energy.coverage > 0.95
    assert energy.gross_per_frame_j == pytest.approx(energy.gross_j / run.delivered)
    if energy.method == "estimated":
        # Between the idle and the busy watts that were declared.
        assert (energy.source, energy.scope, energy.idle_w) == ("declared", "model", 2)
        assert 2 * energy.window_s * 0.9 <= energy.gross_j <= 6 * energy.window_s * 1.1
        assert energy.net_j == pytest.approx(energy.gross_j - 2 * energy.window_s, abs=0.5)
        assert "b" not in run.energy
    live = live_of(studio, "a")
    assert live is not None
    assert live.energy is not None
    assert live.energy.source == energy.source

    # The frames of the run lie between two readings of the meter.
    second = client.post("/api/devices/a/meter-readings", MeterReadingOut, MeterReadingIn(energy_j=1400))
    assert second.frames is not None
    assert 0.5 * run.delivered <= second.frames <= run.delivered
    assert second.energy_per_frame_j == pytest.approx(400 / second.frames)

    # A calibration is taken by the running agent at once.
    typed = CalibrationIn(typed_w={"0": 50, "1": 60})
    client.post("/api/devices/a/calibration", JobOut, typed)
    if energy.method == "estimated":
        calibrated = wait_for(
            lambda: (
                ((now := live_of(studio, "a")) and now.power and (now.power.power_w or 0) >= 50 and now.power) or None
            ),
            what="the calibrated model's figure",
        )
        assert (calibrated.source, calibrated.method) == ("calibrated", "estimated")

    history = client.get("/api/devices/a/history", HistoryOut, seconds=60, points=30)
    assert (history.step_s, len(history.points)) == (2, 30)
    assert max(point.frames_per_s or 0 for point in history.points) > 0
    assert any(point.cpu_utilisation is None for point in history.points)


def test_of_many_runs_and_deployments_the_newest_are_kept_and_live_ones_always(tmp_path: Path) -> None:
    now = datetime.now(UTC)
    with RunningStudio(tmp_path / "studio") as studio:
        services = studio.services
        with services._database.session() as session, session.begin():
            session.add_all(
                RunRow(id=f"r{n}", deployment_id="d", document={}, started_at=now - timedelta(hours=n + 1))
                for n in range(STORED_RUNS + 30)
            )
            session.add_all(
                DeploymentRow(
                    id=f"d{n}",
                    model_id="m",
                    epoch=n,
                    # Oldest of all is one that this studio does not know to have ended.
                    state="stopped" if n else "running",
                    document={},
                    created_at=now - timedelta(hours=1000 - n),
                )
                for n in range(LISTED + 30)
            )
        services.runs.history.prune()
        services.deployments.history.prune()
        with services._database.session() as session:
            assert session.scalar(select(func.count()).select_from(RunRow)) == STORED_RUNS
            assert session.get(RunRow, "r0") is not None
            assert session.get(RunRow, f"r{STORED_RUNS}") is None
            assert session.scalar(select(func.count()).select_from(DeploymentRow)) == LISTED + 1
            assert session.get(DeploymentRow, "d0") is not None
            assert session.get(DeploymentRow, "d1") is None
            assert session.get(DeploymentRow, f"d{LISTED + 29}") is not None
