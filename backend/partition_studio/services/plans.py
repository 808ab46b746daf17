"""Plans: checked, proposed, saved."""

import logging
from datetime import UTC, datetime, timedelta
from typing import Final

from pydantic import ValidationError
from sqlalchemy import delete, func, select, update
from sqlalchemy.orm import Session

from partition_studio.errors import BadInputError, ConflictError, NotFoundError
from partition_studio.partition.add_shard import add_sharding
from partition_studio.partition.check import assess
from partition_studio.partition.formats.autodice import AutodiceFiles, import_autodice
from partition_studio.partition.formats.autodice_export import export_autodice
from partition_studio.partition.formats.cut_list import import_cuts
from partition_studio.partition.formats.device_map import import_map
from partition_studio.partition.formats.imported import Imported
from partition_studio.partition.formats.outline import outline
from partition_studio.partition.partition import Partition
from partition_studio.partition.plan import Plan
from partition_studio.planner.spread import spread
from partition_studio.schemas import (
    AutodiceIn,
    AutodiceOut,
    CutListIn,
    CutOut,
    DeviceOut,
    ImportedPlanOut,
    PlacementMapIn,
    PlanIn,
    PlanProblemOut,
    PlanReportOut,
    PlansMessage,
    SavedPlanOut,
    ShardIn,
)
from partition_studio.services.codecs import CodecService, SettledCodecs
from partition_studio.services.devices import DeviceService
from partition_studio.services.models import ModelService
from partition_studio.services.plan_reports import report_out
from partition_studio.store.database import Database
from partition_studio.store.tables import PlanRow
from partition_studio.telemetry.live import LiveHub

logger = logging.getLogger(__name__)

#: A removed plan can be brought back for so long.
_KEPT: Final = timedelta(days=30)


class PlanConflictError(ConflictError):
    """Somebody else saved the plan in the meantime."""

    code = "plan_conflict"
    next_step = "Load the newer plan, or save yours under another name."


class UnreadablePlanError(ConflictError):
    """A saved plan is of a form that this studio does not know."""

    code = "plan_unreadable"
    next_step = "Open it with the version of the studio that saved it, or remove it."


def _trouble(device: DeviceOut) -> PlanProblemOut | None:
    """Return what the last check of a device says against deploying to it."""
    if device.problem is None or device.state not in ("cannot", "unreachable"):
        return None
    return PlanProblemOut(
        code=f"device_{device.state}",
        severity="error" if device.state == "cannot" else "warning",
        message=device.problem.message,
        device=device.name,
    )


class PlanService:
    """Check, propose and keep plans. Thread-safe."""

    def __init__(
        self, database: Database, hub: LiveHub, models: ModelService, devices: DeviceService, codecs: CodecService
    ) -> None:
        self._database = database
        self._hub = hub
        self._models = models
        self._devices = devices
        self._codecs = codecs

    def check(self, model_id: str, plan: Plan) -> PlanReportOut:
        """Say what is wrong with a plan, or what it costs, against the registered devices.

        Codecs that were chosen for it before are told.
        """
        return self.assess(model_id, plan)[0]

    def assess(self, model_id: str, plan: Plan) -> tuple[PlanReportOut, Partition | None]:
        """Return the report on a plan, and its partition where it is sound enough to have one."""
        network = self._models.network(model_id)
        found, partition = assess(network, plan, self._devices.limits())
        report = report_out(found, network, plan)
        settled = self._codecs.known(model_id, plan)
        if settled is not None:
            report = report.model_copy(update={"cuts": [_with_codecs(cut, settled) for cut in report.cuts]})
        used = set(plan.devices())
        troubles = [trouble for device in self._devices.all() if device.name in used and (trouble := _trouble(device))]
        return report.model_copy(update={"problems": [*report.problems, *troubles]}), partition

    def spread(self, model_id: str, devices: list[str]) -> Plan:
        """Propose contiguous runs of layers over some devices."""
        known = self._devices.limits()
        for device in devices:
            if device not in known:
                raise NotFoundError(f"There is no device {device!r}", device=device)
        return spread(self._models.network(model_id), devices)

    def import_autodice(self, model_id: str, request: AutodiceIn) -> ImportedPlanOut:
        """Return the plan of AutoDiCE's files."""
        files = AutodiceFiles(request.mapping, request.horizontal, request.platform)
        network = self._models.network(model_id)
        original = outline(self._models.path(model_id))
        return _imported(import_autodice(network, files, devices=request.devices, original=original))

    def export_autodice(self, model_id: str, plan: Plan) -> AutodiceOut:
        """Return a plan as AutoDiCE's files."""
        files = export_autodice(self._models.network(model_id), plan, original=outline(self._models.path(model_id)))
        devices = {name: resource.device for name, resource in plan.resources.items() if name != resource.device}
        return AutodiceOut(mapping=files.mapping, horizontal=files.horizontal, devices=devices)

    def import_map(self, model_id: str, request: PlacementMapIn) -> ImportedPlanOut:
        """Return the plan of a `{node: device}` map."""
        network = self._models.network(model_id)
        original = outline(self._models.path(model_id)).names
        return _imported(import_map(network, request.map, devices=request.devices, original=original))

    def import_cuts(self, model_id: str, request: CutListIn) -> ImportedPlanOut:
        """Return the plan that cuts a network at some tensors."""
        return _imported(import_cuts(self._models.network(model_id), request.cuts, request.devices))

    def shard(self, model_id: str, request: ShardIn) -> Plan:
        """Return a plan with one more sharding."""
        network, path = self._models.network(model_id), self._models.path(model_id)
        return add_sharding(network, request.plan, request.sharding, last=request.last, original=lambda: outline(path))

    def all(self, model_id: str) -> list[SavedPlanOut]:
        """List the saved plans of a model, newest first. One that cannot be read keeps nobody from the others."""
        with self._database.session() as session:
            query = (
                select(PlanRow)
                .where(PlanRow.model_id == model_id, PlanRow.removed_at.is_(None))
                .order_by(PlanRow.updated_at.desc())
            )
            return [saved for row in session.scalars(query) if (saved := _readable(row)) is not None]

    def get(self, plan_id: int) -> SavedPlanOut:
        """Return a saved plan. Raises UnreadablePlanError."""
        with self._database.session() as session:
            return _saved(_row(session, plan_id))

    def create(self, model_id: str, request: PlanIn) -> SavedPlanOut:
        """Save a new plan."""
        _must_be_named(request)
        self._models.path(model_id)
        row = PlanRow(
            model_id=model_id,
            name=request.name,
            revision=1,
            document=request.plan.model_dump(mode="json"),
            updated_at=datetime.now(UTC),
        )
        with self._database.session() as session:
            session.add(row)
            session.commit()
        self._hub.publish(PlansMessage(model_id=model_id))
        return _saved(row)

    def update(self, plan_id: int, request: PlanIn) -> SavedPlanOut:
        """Save a plan anew. Raises PlanConflictError when `request.revision` is not the present one."""
        _must_be_named(request)
        with self._database.session() as session, session.begin():
            row = _row(session, plan_id)
            expected = row.revision if request.revision is None else request.revision
            changed = session.execute(
                update(PlanRow)
                .where(PlanRow.id == plan_id, PlanRow.revision == expected, PlanRow.removed_at.is_(None))
                .values(
                    name=request.name,
                    document=request.plan.model_dump(mode="json"),
                    revision=expected + 1,
                    updated_at=datetime.now(UTC),
                )
                .returning(PlanRow.id)
            ).first()
            session.refresh(row)
            if changed is None:
                raise PlanConflictError(
                    f"The plan {row.name!r} was saved by someone else in the meantime (revision {row.revision})",
                    revision=row.revision,
                )
        self._hub.publish(PlansMessage(model_id=row.model_id))
        return _saved(row)

    def remove(self, plan_id: int) -> None:
        """Remove a saved plan. For a while it can be restored."""
        now = datetime.now(UTC)
        with self._database.session() as session, session.begin():
            row = _row(session, plan_id)
            row.removed_at = now
            session.flush()
            # The newest id stays taken: SQLite would give it to another plan, and links to this one would open that.
            newest = session.scalar(select(func.max(PlanRow.id))) or 0
            session.execute(delete(PlanRow).where(PlanRow.removed_at < now - _KEPT, PlanRow.id < newest))
        self._hub.publish(PlansMessage(model_id=row.model_id))

    def restore(self, plan_id: int) -> SavedPlanOut:
        """Bring a removed plan back as it was; one that is there stays as it is."""
        with self._database.session() as session, session.begin():
            row = _row(session, plan_id, removed=True)
            row.removed_at = None
        self._hub.publish(PlansMessage(model_id=row.model_id))
        return _saved(row)


def _row(session: Session, plan_id: int, *, removed: bool = False) -> PlanRow:
    """Return a saved plan's row, a removed one only where asked for."""
    row = session.get(PlanRow, plan_id)
    if row is None or (row.removed_at is not None and not removed):
        raise NotFoundError(f"There is no saved plan {plan_id}")
    return row


def _must_be_named(request: PlanIn) -> None:
    if not request.name:
        raise BadInputError("A plan needs a name", next_step="Type one with at least one letter.")


def _with_codecs(cut: CutOut, settled: SettledCodecs) -> CutOut:
    """Return a cut with the codecs that were chosen for it."""
    name = f"{cut.producer}->{cut.consumer}"
    if name not in settled.wire_bytes:
        return cut
    codecs = {tensor: settled.codecs[name, tensor].name for tensor in cut.tensors if (name, tensor) in settled.codecs}
    why = list(settled.why.get(name, ()))
    return cut.model_copy(update={"codecs": codecs, "wire_bytes": settled.wire_bytes[name], "why": why})


def _imported(imported: Imported) -> ImportedPlanOut:
    return ImportedPlanOut(plan=imported.plan, notes=list(imported.notes))


def _readable(row: PlanRow) -> SavedPlanOut | None:
    try:
        return _saved(row)
    except UnreadablePlanError:
        logger.warning("plan_unreadable", extra={"plan_id": row.id, "model_id": row.model_id})
        return None


def _saved(row: PlanRow) -> SavedPlanOut:
    try:
        plan = Plan.model_validate(row.document)
    except ValidationError as error:
        raise UnreadablePlanError(
            f"The plan {row.name!r} is of another version of the studio", plan_id=row.id
        ) from error
    return SavedPlanOut(
        id=row.id,
        model_id=row.model_id,
        name=row.name,
        revision=row.revision,
        plan=plan,
        updated_at=row.updated_at,
    )
