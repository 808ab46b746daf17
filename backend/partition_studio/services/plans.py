"""Plans: checked, proposed, saved."""

from datetime import UTC, datetime

from sqlalchemy import select, update

from partition_agent.protocol import STUDIO_PEER
from partition_studio.errors import ConflictError, NotFoundError
from partition_studio.partition.check import PlanReport, check_plan
from partition_studio.partition.plan import Plan
from partition_studio.planner.spread import spread
from partition_studio.schemas import (
    CutOut,
    DeviceCostOut,
    DeviceOut,
    PlanIn,
    PlanProblemOut,
    PlanReportOut,
    PlansMessage,
    SavedPlanOut,
    StageOut,
)
from partition_studio.services.devices import DeviceService
from partition_studio.services.models import ModelService
from partition_studio.store.database import Database
from partition_studio.store.tables import PlanRow
from partition_studio.telemetry.live import LiveHub


class PlanConflictError(ConflictError):
    """Somebody else saved the plan in the meantime."""

    code = "plan_conflict"
    next_step = "Load the newer plan, or save yours under another name."


def report_out(report: PlanReport) -> PlanReportOut:
    """Describe what a check found."""
    return PlanReportOut(
        problems=[PlanProblemOut.model_validate(problem) for problem in report.problems],
        devices=[
            DeviceCostOut(
                device=cost.device,
                layers=cost.layers,
                macs=cost.macs,
                parameters=cost.parameters,
                weight_bytes=cost.weight_bytes,
                activation_bytes=cost.peak_activation_bytes,
                likely_memory_bytes=cost.likely_memory_bytes,
                received_bytes=cost.received_bytes,
                sent_bytes=cost.sent_bytes,
            )
            for cost in report.costs
        ],
        stages=[StageOut(name=stage.name, device=stage.device, layers=list(stage.layers)) for stage in report.stages],
        cuts=[
            CutOut(
                producer=cut.producer,
                consumer=cut.consumer,
                producer_device=cut.producer_device or STUDIO_PEER,
                consumer_device=cut.consumer_device or STUDIO_PEER,
                tensors=list(cut.tensors),
                size_bytes=cut.size_bytes,
            )
            for cut in report.cuts
        ],
    )


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

    def __init__(self, database: Database, hub: LiveHub, models: ModelService, devices: DeviceService) -> None:
        self._database = database
        self._hub = hub
        self._models = models
        self._devices = devices

    def check(self, model_id: str, plan: Plan) -> PlanReportOut:
        """Say what is wrong with a plan, or what it costs, against the registered devices."""
        report = report_out(check_plan(self._models.network(model_id), plan, self._devices.limits()))
        used = set(plan.devices())
        troubles = [trouble for device in self._devices.all() if device.name in used and (trouble := _trouble(device))]
        return report.model_copy(update={"problems": [*report.problems, *troubles]})

    def spread(self, model_id: str, devices: list[str]) -> Plan:
        """Propose contiguous runs of layers over some devices."""
        known = self._devices.limits()
        for device in devices:
            if device not in known:
                raise NotFoundError(f"There is no device {device!r}", device=device)
        return spread(self._models.network(model_id), devices)

    def all(self, model_id: str) -> list[SavedPlanOut]:
        """List the saved plans of a model, newest first."""
        with self._database.session() as session:
            query = select(PlanRow).where(PlanRow.model_id == model_id).order_by(PlanRow.updated_at.desc())
            return [_saved(row) for row in session.scalars(query)]

    def create(self, model_id: str, request: PlanIn) -> SavedPlanOut:
        """Save a new plan."""
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
        with self._database.session() as session, session.begin():
            row = session.get(PlanRow, plan_id)
            if row is None:
                raise NotFoundError(f"There is no saved plan {plan_id}")
            expected = row.revision if request.revision is None else request.revision
            changed = session.execute(
                update(PlanRow)
                .where(PlanRow.id == plan_id, PlanRow.revision == expected)
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
        """Remove a saved plan."""
        with self._database.session() as session, session.begin():
            row = session.get(PlanRow, plan_id)
            if row is None:
                raise NotFoundError(f"There is no saved plan {plan_id}")
            session.delete(row)
        self._hub.publish(PlansMessage(model_id=row.model_id))


def _saved(row: PlanRow) -> SavedPlanOut:
    return SavedPlanOut(
        id=row.id,
        model_id=row.model_id,
        name=row.name,
        revision=row.revision,
        plan=Plan.model_validate(row.document),
        updated_at=row.updated_at,
    )
