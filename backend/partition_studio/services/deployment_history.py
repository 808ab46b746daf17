"""The deployments that were kept: written down, listed, found again at the studio's next start, forgotten."""

import logging
from dataclasses import dataclass
from datetime import datetime

from pydantic import ValidationError
from sqlalchemy import delete, func, select

from partition_studio.deployment.errors import DeploymentNotFoundError, StudioEndedError
from partition_studio.schemas import DeploymentOut, ProblemOut
from partition_studio.services.run_history import RunHistory
from partition_studio.store.database import Database
from partition_studio.store.tables import DeploymentRow

logger = logging.getLogger(__name__)

#: Deployments that are listed; of those that have ended, as many of the newest are kept.
LISTED = 50

#: What has not ended, or was not told to have.
_ACTIVE = ("deploying", "running", "stopping")

#: What has ended and may be forgotten.
_ENDED = ("stopped", "failed", "cancelled")


@dataclass(frozen=True, slots=True)
class UnfinishedDeployment:
    """A deployment that was active when an earlier studio ended."""

    id: str
    model_id: str
    epoch: int
    state: str
    created_at: datetime
    out: DeploymentOut | None
    """None: that studio wrote it in another form."""


class DeploymentHistory:
    """What is known of deployments when nobody has them in memory. Thread-safe."""

    def __init__(self, database: Database, runs: RunHistory) -> None:
        self._database = database
        self._runs = runs

    def newest(self, model_id: str | None = None) -> list[DeploymentOut]:
        """Return those that are listed, of one network or of all; one of another form is left out."""
        query = select(DeploymentRow).order_by(DeploymentRow.created_at.desc()).limit(LISTED)
        if model_id is not None:
            # Each has a whole plan to be read.
            query = query.where(DeploymentRow.model_id == model_id)
        with self._database.session() as session:
            return [out for row in session.scalars(query) if (out := _read(row)) is not None]

    def find(self, deployment_id: str) -> DeploymentOut:
        """Return one. Raises DeploymentNotFoundError."""
        with self._database.session() as session:
            row = session.get(DeploymentRow, deployment_id)
        if row is None:
            raise DeploymentNotFoundError(f"There is no deployment {deployment_id!r}", deployment_id=deployment_id)
        out = _read(row)
        if out is None:
            what = f"Another version of the studio kept the deployment {deployment_id!r} in another form"
            raise DeploymentNotFoundError(what, deployment_id=deployment_id)
        return out

    def with_runs(self, deployments: list[DeploymentOut]) -> list[DeploymentOut]:
        """Return them with the newest run that was kept, where none of this studio's lifetime is known."""
        kept = self._runs.newest([out.id for out in deployments if out.run is None])
        return [out.model_copy(update={"run": kept[out.id]}) if out.id in kept else out for out in deployments]

    def next_epoch(self, model_id: str) -> int:
        """Return a number that no deployment of the network has had."""
        with self._database.session() as session:
            query = select(func.max(DeploymentRow.epoch)).where(DeploymentRow.model_id == model_id)
            return (session.scalar(query) or 0) + 1

    def keep(self, out: DeploymentOut) -> None:
        """Write one down as it is now, and forget those that ended long ago."""
        with self._database.session() as session, session.begin():
            session.merge(
                DeploymentRow(
                    id=out.id,
                    model_id=out.model_id,
                    epoch=out.epoch,
                    state=out.state,
                    document=out.model_dump(mode="json"),
                    created_at=out.created_at,
                )
            )
        self.prune()

    def prune(self) -> None:
        """Forget deployments that ended long ago; one that may still be on its devices is never forgotten."""
        ended = select(DeploymentRow.id).where(DeploymentRow.state.in_(_ENDED))
        old = ended.order_by(DeploymentRow.created_at.desc()).offset(LISTED)
        with self._database.session() as session, session.begin():
            session.execute(delete(DeploymentRow).where(DeploymentRow.id.in_(list(session.scalars(old)))))

    def unfinished(self) -> list[UnfinishedDeployment]:
        """Return, at the studio's start, what was active when the last one ended."""
        with self._database.session() as session:
            return [
                UnfinishedDeployment(row.id, row.model_id, row.epoch, row.state, row.created_at, _read(row))
                for row in session.scalars(select(DeploymentRow).where(DeploymentRow.state.in_(_ACTIVE)))
            ]

    def note_ended(self, deployment: UnfinishedDeployment) -> None:
        """Note that one ended with the studio that began it, and is not taken up again."""
        with self._database.session() as session, session.begin():
            row = session.get_one(DeploymentRow, deployment.id)
            row.document = {**row.document, **_ended_with_the_studio(deployment.state)}
            row.state = row.document["state"]


def _read(row: DeploymentRow) -> DeploymentOut | None:
    """Return a deployment as it was kept; None for one that an older studio wrote in another form."""
    try:
        return DeploymentOut.model_validate(row.document)
    except ValidationError:
        logger.warning("deployment_unreadable", extra={"deployment_id": row.id})
        return None


def _ended_with_the_studio(state: str) -> dict[str, object]:
    if state == "stopping":
        return {"state": "stopped"}
    what = "on its way" if state == "deploying" else "running"
    error = StudioEndedError(f"The studio ended while this was {what}, and it ended with it")
    return {"state": "failed", "problem": ProblemOut.of(error).model_dump(mode="json")}
