"""The history of runs over REST: listed by page and filter, told of in a report, deleted; what hangs on a network."""

from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy.exc import OperationalError

from partition_studio.errors import StudioError
from partition_studio.partition.plan import Plan
from partition_studio.schemas import (
    DeploymentIn,
    DeploymentOut,
    DeviceIn,
    DeviceOut,
    HistoryOut,
    ModelChangeIn,
    ModelSummaryOut,
    RunListOut,
    RunOut,
    RunReportOut,
    SpreadIn,
)
from partition_studio.store.tables import RunRow
from tests.studio import RunningStudio, wait_for


def deployed(studio: RunningStudio, name: str | None) -> DeploymentOut:
    client = studio.client
    for device in ("a", "b"):
        client.post("/api/devices", DeviceOut, DeviceIn(name=device, address="local:"))
    model = client.post("/api/examples/digits", ModelSummaryOut)
    plan = client.post(f"/api/models/{model.id}/plans/spread", Plan, SpreadIn(devices=["a", "b"]))
    begun = client.post("/api/deployments", DeploymentOut, DeploymentIn(model_id=model.id, plan=plan, plan_name=name))

    def settled() -> DeploymentOut | None:
        now = client.get(f"/api/deployments/{begun.id}", DeploymentOut)
        return None if now.state == "deploying" else now

    done = wait_for(settled, what="the deployment", deadline_s=120)
    assert done.state == "running", done.problem
    return done


def ran(studio: RunningStudio, deployment: DeploymentOut, seconds: float) -> RunOut:
    form = {"source": "random", "repeat": "true", "seconds": str(seconds)}
    begun = studio.client.post_form(f"/api/deployments/{deployment.id}/runs", RunOut, form, [])

    def ended() -> RunOut | None:
        now = studio.client.get(f"/api/runs/{begun.id}", RunOut)
        return None if now.state == "running" else now

    return wait_for(ended, what="the run's end")


def test_a_run_is_listed_and_reported_with_all_that_it_ran_on(studio: RunningStudio) -> None:
    deployment = deployed(studio, "Two boards")
    begun = ran(studio, deployment, 4)
    client = studio.client

    def predicted() -> RunListOut | None:
        page = client.get("/api/runs", RunListOut)
        return page if page.runs and page.runs[0].predicted_frames_per_s is not None else None

    page = wait_for(predicted, what="the prediction in the list")
    (listed,) = page.runs
    assert (page.total, listed.id, listed.plan_name, listed.devices) == (1, begun.id, "Two boards", ["a", "b"])
    assert listed.model_name == deployment.model_name
    report = client.get(f"/api/runs/{begun.id}/report", RunReportOut)
    assert report.run.delivered == begun.delivered
    assert report.deployment is not None
    assert report.deployment.plan == deployment.plan
    assert report.prediction is not None
    assert report.network is not None
    # Nobody profiled them.
    assert report.prediction.estimated
    assert {stage.device for stage in report.stages} == {"a", "b"}
    assert all(0 < stage.frames <= begun.delivered + 100 and stage.compute_s for stage in report.stages)
    assert len(report.points) >= 2
    # Only what a device tells is there: nobody declared any watts.
    assert all(energy.method != "estimated" for energy in listed.energy.values())
    ended_s = (begun.started_at + timedelta(seconds=begun.elapsed_s)).timestamp()
    history = client.get("/api/devices/a/history", HistoryOut, seconds=10, until_unix_s=ended_s)
    assert any(point.frames_per_s for point in history.points)
    assert all(point.at.timestamp() <= ended_s for point in history.points)
    # What is written down is the same, for when the run is in nobody's memory any more.
    kept = studio.services.runs.history.report(begun.id)
    assert kept.prediction == report.prediction
    assert kept.stages == report.stages
    model = client.get("/api/models", list[ModelSummaryOut])[0]
    assert (model.run_count, model.deployment_id) == (1, deployment.id)
    # Threads that tell of a run may be late: with what was before its end, or once it was deleted.
    runs = studio.services.runs
    run = runs._runs[begun.id]
    runs._keep(run, begun.model_copy(update={"state": "running"}))
    assert [one.state for one in client.get("/api/runs", RunListOut).runs] == ["finished"]
    client.delete(f"/api/runs/{begun.id}")
    runs._keep(run, begun)
    assert client.get(f"/api/deployments/{deployment.id}", DeploymentOut).run is None
    # Nor is one shown there that another version kept in another form.
    other_form = {"frames": "as an older studio counted them"}
    with studio.services._database.session() as session, session.begin():
        old = RunRow(id="old", deployment_id=deployment.id, document=other_form, started_at=begun.started_at)
        session.add(old)
    assert [one.run for one in client.get("/api/deployments", list[DeploymentOut])] == [None]
    client.delete("/api/runs/old")
    assert client.get("/api/runs", RunListOut).total == 0
    with pytest.raises(StudioError, match="no run"):
        client.get(f"/api/runs/{begun.id}/report", RunReportOut)


def test_a_run_that_cannot_be_written_down_goes_on_and_so_does_the_next(
    studio: RunningStudio, monkeypatch: pytest.MonkeyPatch
) -> None:
    deployment = deployed(studio, None)
    history = studio.services.runs.history

    def refuse(*_: object) -> None:
        raise OperationalError("INSERT", {}, OSError("database or disk is full"))

    with monkeypatch.context() as full:
        full.setattr(history, "keep", refuse)
        unwritten = ran(studio, deployment, 1)
    assert unwritten.state == "finished" and unwritten.delivered > 0
    written = ran(studio, deployment, 1)
    assert written.state == "finished"
    wait_for(lambda: history.find(written.id).state == "finished", what="the writing down of the next")


def keep_runs(studio: RunningStudio, count: int) -> None:
    """Runs as an earlier studio left them, newest first by number."""
    now = datetime.now(UTC)
    with studio.services._database.session() as session, session.begin():
        for number in range(count):
            run = RunOut(
                id=f"r{number}",
                deployment_id="d",
                state="failed" if number % 2 else "finished",
                source="random",
                started_at=now - timedelta(minutes=number),
                elapsed_s=1,
                submitted=1,
                delivered=0,
                lost=0,
                frames_per_s=None,
                latency_p50_s=None,
                latency_p95_s=None,
                problem=None,
                recent=[],
            )
            session.add(
                RunRow(
                    id=run.id,
                    deployment_id="d",
                    document=run.model_dump(mode="json"),
                    started_at=run.started_at,
                    model_id="m",
                    state=run.state,
                    devices="|pi-1|pi-2|" if number < 4 else "|pi-10|",
                )
            )


def test_pages_and_filters_narrow_the_history_down(studio: RunningStudio) -> None:
    keep_runs(studio, 10)
    client = studio.client
    page = client.get("/api/runs", RunListOut, offset=2, limit=3)
    assert (page.total, [run.id for run in page.runs]) == (10, ["r2", "r3", "r4"])
    assert client.get("/api/runs", RunListOut, device="pi-1").total == 4
    assert client.get("/api/runs", RunListOut, device="pi-1", state="failed").total == 2
    assert client.get("/api/runs", RunListOut, device="%").total == 0
    assert client.get("/api/runs", RunListOut, device="PI-1").total == 0
    assert client.get("/api/runs", RunListOut, model_id="other").total == 0


def test_a_run_without_a_report_tells_what_it_has_and_nothing_as_zero(studio: RunningStudio) -> None:
    keep_runs(studio, 1)
    report = studio.client.get("/api/runs/r0/report", RunReportOut)
    assert report.run.frames_per_s is None
    assert (report.deployment, report.prediction, report.stages, report.points) == (None, None, [], [])
    assert report.prediction_missing


def test_a_run_of_another_form_is_told_as_such_and_keeps_nobody_from_its_deployment(studio: RunningStudio) -> None:
    keep_runs(studio, 1)
    with studio.services._database.session() as session, session.begin():
        row = session.get(RunRow, "r0")
        assert row is not None
        row.document = {"frames": "as an older studio counted them"}
    for path in ("/api/runs/r0", "/api/runs/r0/report"):
        with pytest.raises(StudioError, match="Another version of the studio") as told:
            studio.client.get(path, RunOut)
        assert told.value.code == "run_not_found"
    assert studio.client.get("/api/runs", RunListOut).runs == []
    assert studio.services.runs.history.newest(["d"]) == {}


def test_a_run_that_goes_on_is_not_deleted(studio: RunningStudio) -> None:
    keep_runs(studio, 1)
    with studio.services._database.session() as session, session.begin():
        row = session.get(RunRow, "r0")
        assert row is not None
        row.state = "running"
    with studio.http(**studio.bearer) as http:
        answer = http.delete("/api/runs/r0")
    assert (answer.status_code, answer.json()["code"]) == (409, "run_goes_on")


def test_a_network_is_named_anew_and_has_a_picture(studio: RunningStudio) -> None:
    model = studio.client.post("/api/examples/digits", ModelSummaryOut)
    assert sum(item.layers for rank in model.picture for item in rank) == model.layer_count
    path = f"/api/models/{model.id}"
    renamed = studio.client.patch(path, ModelSummaryOut, ModelChangeIn(name="  <b>Ours</b> "))
    assert (renamed.name, renamed.simplified) == ("<b>Ours</b>", model.simplified)
    assert studio.client.get("/api/models", list[ModelSummaryOut])[0].name == "<b>Ours</b>"
    with pytest.raises(StudioError, match="needs a name"):
        studio.client.patch(path, ModelSummaryOut, ModelChangeIn(name="   "))
