"""Plans: check, spread, save."""

from fastapi import APIRouter

from partition_studio.api.deps import ServicesDep
from partition_studio.partition.plan import Plan
from partition_studio.schemas import PlanIn, PlanReportOut, SavedPlanOut, SpreadIn

router = APIRouter(tags=["plans"])


@router.post("/models/{model_id}/plans/check")
def check_plan(services: ServicesDep, model_id: str, plan: Plan) -> PlanReportOut:
    """Say what is wrong with a plan, or what it costs, against the registered devices."""
    return services.plans.check(model_id, plan)


@router.post("/models/{model_id}/plans/spread")
def spread_plan(services: ServicesDep, model_id: str, request: SpreadIn) -> Plan:
    """Propose a first placement over some devices."""
    return services.plans.spread(model_id, request.devices)


@router.get("/models/{model_id}/plans")
def list_plans(services: ServicesDep, model_id: str) -> list[SavedPlanOut]:
    """List the saved plans of a model, newest first."""
    return services.plans.all(model_id)


@router.post("/models/{model_id}/plans", status_code=201)
def save_plan(services: ServicesDep, model_id: str, request: PlanIn) -> SavedPlanOut:
    """Save a new plan; it may be unfinished."""
    return services.plans.create(model_id, request)


@router.put("/plans/{plan_id}")
def update_plan(services: ServicesDep, plan_id: int, request: PlanIn) -> SavedPlanOut:
    """Save a plan anew; refused when someone else saved it since `revision`."""
    return services.plans.update(plan_id, request)


@router.delete("/plans/{plan_id}", status_code=204)
def remove_plan(services: ServicesDep, plan_id: int) -> None:
    """Remove a saved plan."""
    services.plans.remove(plan_id)
