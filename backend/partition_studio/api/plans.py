"""Plans: check, spread, divide, import, export, save."""

from fastapi import APIRouter

from partition_studio.api.deps import RowId, ServicesDep
from partition_studio.partition.plan import Plan
from partition_studio.schemas import (
    AutodiceIn,
    AutodiceOut,
    CutListIn,
    ImportedPlanOut,
    JobOut,
    PlacementMapIn,
    PlanCodecsOut,
    PlanIn,
    PlanReportOut,
    SavedPlanOut,
    ShardIn,
    SpreadIn,
)

router = APIRouter(tags=["plans"])


@router.post("/models/{model_id}/plans/check")
def check_plan(services: ServicesDep, model_id: str, plan: Plan, predict: bool = False) -> PlanReportOut:
    """Say what is wrong with a plan, or what it costs, against the registered devices; `predict`: and what it does."""
    report, partition = services.plans.assess(model_id, plan)
    return services.planner.with_prediction(model_id, plan, report, partition) if predict else report


@router.post("/models/{model_id}/plans/spread")
def spread_plan(services: ServicesDep, model_id: str, request: SpreadIn) -> Plan:
    """Propose a first placement over some devices."""
    return services.plans.spread(model_id, request.devices)


@router.post("/models/{model_id}/plans/shard")
def add_shard(services: ServicesDep, model_id: str, request: ShardIn) -> Plan:
    """Divide layers of a plan: the plan with one more entry in `shards`; what it takes apart leaves the placement."""
    return services.plans.shard(model_id, request)


@router.post("/models/{model_id}/plans/import-autodice")
def import_autodice(services: ServicesDep, model_id: str, request: AutodiceIn) -> ImportedPlanOut:
    """Make a plan of AutoDiCE's mapping file, and of its horizontal and platform files where given."""
    return services.plans.import_autodice(model_id, request)


@router.post("/models/{model_id}/plans/export-autodice")
def export_autodice(services: ServicesDep, model_id: str, plan: Plan) -> AutodiceOut:
    """Make AutoDiCE's files of a plan; what they cannot say is an error that names it."""
    return services.plans.export_autodice(model_id, plan)


@router.post("/models/{model_id}/plans/import-map")
def import_map(services: ServicesDep, model_id: str, request: PlacementMapIn) -> ImportedPlanOut:
    """Make a plan of a map `{node: device}`."""
    return services.plans.import_map(model_id, request)


@router.post("/models/{model_id}/plans/import-cuts")
def import_cuts(services: ServicesDep, model_id: str, request: CutListIn) -> ImportedPlanOut:
    """Make a plan of tensors at which the network is cut, in order."""
    return services.plans.import_cuts(model_id, request)


@router.post("/models/{model_id}/plans/codecs", status_code=202)
def choose_codecs(services: ServicesDep, model_id: str, plan: Plan) -> JobOut:
    """Begin to choose the codecs of a plan where it says `auto`, by measured links, devices and test frames."""
    return services.codecs.start(model_id, plan)


@router.get("/models/{model_id}/plans/codecs/{job_id}")
def chosen_codecs(services: ServicesDep, model_id: str, job_id: str) -> PlanCodecsOut:
    """Tell which codecs a job chose, what they cost, and why; 404 as long as it has not."""
    return services.codecs.result(model_id, job_id)


@router.get("/models/{model_id}/plans")
def list_plans(services: ServicesDep, model_id: str) -> list[SavedPlanOut]:
    """List the saved plans of a model, newest first."""
    return services.plans.all(model_id)


@router.post("/models/{model_id}/plans", status_code=201)
def save_plan(services: ServicesDep, model_id: str, request: PlanIn) -> SavedPlanOut:
    """Save a new plan; it may be unfinished."""
    return services.plans.create(model_id, request)


@router.get("/plans/{plan_id}")
def get_plan(services: ServicesDep, plan_id: RowId) -> SavedPlanOut:
    """Return a saved plan."""
    return services.plans.get(plan_id)


@router.put("/plans/{plan_id}")
def update_plan(services: ServicesDep, plan_id: RowId, request: PlanIn) -> SavedPlanOut:
    """Save a plan anew; refused when someone else saved it since `revision`."""
    return services.plans.update(plan_id, request)


@router.delete("/plans/{plan_id}", status_code=204)
def remove_plan(services: ServicesDep, plan_id: RowId) -> None:
    """Remove a saved plan; it can be restored for 30 days."""
    services.plans.remove(plan_id)


@router.post("/plans/{plan_id}/restore")
def restore_plan(services: ServicesDep, plan_id: RowId) -> SavedPlanOut:
    """Bring a removed plan back, with its id."""
    return services.plans.restore(plan_id)
