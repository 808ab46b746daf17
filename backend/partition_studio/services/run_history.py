"""The runs that were kept: written down, listed, told of in a report, forgotten."""

import logging
from collections.abc import Sequence
from dataclasses import dataclass

from pydantic import ValidationError
from sqlalchemy import ColumnElement, delete, func, select

from partition_studio.deployment.errors import RunNotFoundError
from partition_studio.errors import ConflictError
from partition_studio.schemas import ProblemOut, RunListOut, RunOut, RunReportOut, RunState, RunSummaryOut
from partition_studio.services.run_record import RunRecord
from partition_studio.store.database import Database
from partition_studio.store.tables import DeploymentRow, RunRow

logger = logging.getLogger(__name__)

#: Runs whose figures are kept on disk.
STORED_RUNS = 200


class RunGoesOnError(ConflictError):
    """A run that goes on cannot be deleted."""

    code = "run_goes_on"
    next_step = "Stop the run first."


@dataclass(frozen=True, slots=True)
class RunFilter:
    """Which runs are wanted; None: any."""

    model_id: str | None = None
    device: str | None = None
    state: RunState | None = None
    deployment_id: str | None = None

    def conditions(self) -> list[ColumnElement[bool]]:
        """Return them for the database."""
        exact = {RunRow.model_id: self.model_id, RunRow.state: self.state, RunRow.deployment_id: self.deployment_id}
        found = [column == value for column, value in exact.items() if value is not None]
        if self.device is not None:
            # Not LIKE, to which `pi-1` and `PI-1` are the same.
            found.append(func.instr(RunRow.devices, f"|{self.device}|") > 0)
        return found


class RunHistory:
    """The table of runs. Thread-safe; every call asks the database."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def keep(self, run: RunOut, record: RunRecord) -> None:
        """Write down a run as it is now, with its report unless it goes on: that is as large as the plan."""
        row = RunRow(
            id=run.id,
            deployment_id=run.deployment_id,
            document=run.model_dump(mode="json"),
            started_at=run.started_at,
            model_id=record.model_id,
            state=run.state,
            devices=f"|{'|'.join(row.device for row in record.deployment.devices)}|",
            about=record.about(),
        )
        if run.delivered == 0 or run.state != "running":
            row.report = record.report(run).model_dump(mode="json", exclude={"run"})
        with self._database.session() as session, session.begin():
            session.merge(row)

    def find(self, run_id: str) -> RunOut:
        """Return a run that was kept. Raises RunNotFoundError."""
        return _readable(self._row(run_id))

    def newest(self, deployments: Sequence[str]) -> dict[str, RunOut]:
        """Return the newest run that was kept of each deployment, without those of another form."""
        found: dict[str, RunOut] = {}
        if not deployments:
            return found
        query = select(RunRow).where(RunRow.deployment_id.in_(deployments)).order_by(RunRow.started_at)
        with self._database.session() as session:
            found |= {row.deployment_id: run for row in session.scalars(query) if (run := _read(row)) is not None}
        return found

    def _row(self, run_id: str) -> RunRow:
        with self._database.session() as session:
            row = session.get(RunRow, run_id)
        if row is None:
            raise RunNotFoundError(f"There is no run {run_id!r}")
        return row

    def page(self, wanted: RunFilter, *, offset: int, limit: int) -> RunListOut:
        """Return some of the runs, newest first; one that an older studio wrote in another form is left out."""
        conditions = wanted.conditions()
        newest_first = select(RunRow).where(*conditions).order_by(RunRow.started_at.desc(), RunRow.id)
        with self._database.session() as session:
            total = session.scalar(select(func.count()).select_from(RunRow).where(*conditions)) or 0
            rows = session.scalars(newest_first.offset(offset).limit(limit)).all()
        return RunListOut(total=total, runs=[out for row in rows if (out := _summary(row)) is not None])

    def report(self, run_id: str) -> RunReportOut:
        """Return what was kept of a run. Raises RunNotFoundError."""
        with self._database.session() as session:
            row = session.get(RunRow, run_id)
            if row is None:
                raise RunNotFoundError(f"There is no run {run_id!r}")
            run, report = _readable(row), row.report
            deployment = None if report is not None else session.get(DeploymentRow, row.deployment_id)
        if report is not None:
            try:
                return RunReportOut.model_validate({**report, "run": run})
            except ValidationError:
                # An older studio wrote it in another form: what the run says itself is still true.
                pass
        return _bare_report(run, row, None if deployment is None else deployment.document)

    def remove(self, run_id: str) -> None:
        """Forget a run. Raises RunNotFoundError, RunGoesOnError."""
        if self._row(run_id).state == "running":
            raise RunGoesOnError(f"The run {run_id} is going on", run_id=run_id)
        with self._database.session() as session, session.begin():
            session.execute(delete(RunRow).where(RunRow.id == run_id))

    def note_interrupted(self) -> None:
        """Mark, at the studio's start, the runs that an earlier one did not end: it was killed."""
        problem = ProblemOut(
            code="run_interrupted",
            message="The studio ended in the middle of this run; the figures are the last that were kept",
            next_step="Begin another run.",
        )
        with self._database.session() as session, session.begin():
            for row in session.scalars(select(RunRow).where(RunRow.state == "running")):
                row.state = "interrupted"
                row.document = {
                    **row.document,
                    "state": "interrupted",
                    "in_flight": None,
                    "problem": problem.model_dump(mode="json"),
                }

    def prune(self) -> None:
        """Forget the figures of runs that ended long ago."""
        old = select(RunRow.id).order_by(RunRow.started_at.desc()).offset(STORED_RUNS)
        with self._database.session() as session, session.begin():
            session.execute(delete(RunRow).where(RunRow.id.in_(list(session.scalars(old)))))


def _read(row: RunRow) -> RunOut | None:
    """Return a run as it was kept; None for one that another version of the studio wrote in another form."""
    try:
        return RunOut.model_validate(row.document)
    except ValidationError:
        logger.warning("run_unreadable", extra={"run_id": row.id})
        return None


def _readable(row: RunRow) -> RunOut:
    run = _read(row)
    if run is None:
        raise RunNotFoundError(f"Another version of the studio kept the run {row.id!r} in another form")
    return run


def _devices(row: RunRow) -> list[str]:
    return [name for name in (row.devices or "").split("|") if name]


def _summary(row: RunRow) -> RunSummaryOut | None:
    about, run = row.about or {}, _read(row)
    if run is None:
        return None
    try:
        return RunSummaryOut(
            id=run.id,
            deployment_id=run.deployment_id,
            model_id=row.model_id,
            model_name=about.get("model_name"),
            plan_name=about.get("plan_name"),
            devices=_devices(row),
            state=run.state,
            source=run.source,
            started_at=run.started_at,
            elapsed_s=run.elapsed_s,
            delivered=run.delivered,
            lost=run.lost,
            frames_per_s=run.frames_per_s,
            latency_p50_s=run.latency_p50_s,
            latency_p95_s=run.latency_p95_s,
            energy=run.energy,
            predicted_frames_per_s=about.get("predicted_frames_per_s"),
            problem=run.problem,
        )
    except ValidationError:
        return None


def _bare_report(run: RunOut, row: RunRow, deployment: object) -> RunReportOut:
    """Return the report of a run of which an older studio kept its own figures only."""
    about = {key: value for key, value in (row.about or {}).items() if key in ("model_name", "plan_name")}
    bare: dict[str, object] = {
        "run": run,
        "model_id": row.model_id,
        "model_name": None,
        "plan_name": None,
        "network": None,
        "prediction": None,
        "prediction_missing": "The run is older than its report.",
        **about,
    }
    try:
        return RunReportOut.model_validate({**bare, "deployment": deployment})
    except ValidationError:
        return RunReportOut.model_validate({**bare, "deployment": None})
