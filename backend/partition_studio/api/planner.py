"""The planner: predict plans, and look for the best ones."""

from fastapi import APIRouter

from partition_studio.api.deps import ServicesDep
from partition_studio.schemas import BaselineOut, JobOut, ParetoIn, PlanPredictionOut, PredictIn, QuestionIn, SearchOut

router = APIRouter(tags=["planner"])


@router.post("/models/{model_id}/predictions")
def predict_plan(services: ServicesDep, model_id: str, request: PredictIn) -> PlanPredictionOut:
    """Predict a plan's throughput, latency, energy and memory, from what was measured of devices and links."""
    return services.planner.predict(model_id, request)


@router.get("/models/{model_id}/baselines")
def list_baselines(services: ServicesDep, model_id: str) -> list[BaselineOut]:
    """Predict what any plan is compared with: the whole network on the best single device, and on every device."""
    return services.planner.baselines(model_id)


@router.post("/models/{model_id}/searches", status_code=202)
def start_search(services: ServicesDep, model_id: str, request: QuestionIn) -> JobOut:
    """Begin to look for the best plan; cancelling the job stops it and keeps the best so far."""
    return services.planner.search(model_id, request)


@router.post("/models/{model_id}/fronts", status_code=202)
def start_front(services: ServicesDep, model_id: str, request: ParetoIn) -> JobOut:
    """Begin to look for the Pareto front of throughput, largest energy and largest memory per device."""
    return services.planner.pareto(model_id, request)


@router.get("/models/{model_id}/searches/{job_id}")
def show_search(services: ServicesDep, model_id: str, job_id: str) -> SearchOut:
    """Tell what a search has found so far: the best plan and its proof, the points of a front, what is in the way."""
    return services.planner.result(model_id, job_id)
