"""Runs: their history, what each did, its report and its outputs."""

from typing import Annotated

from fastapi import APIRouter, Query, Response

from partition_studio.api.deps import ServicesDep
from partition_studio.schemas import RunListOut, RunOut, RunReportOut, RunState
from partition_studio.services.run_history import RunFilter

router = APIRouter(tags=["runs"])


@router.get("/runs")
def list_runs(
    services: ServicesDep,
    model_id: str | None = None,
    device: str | None = None,
    state: RunState | None = None,
    deployment_id: str | None = None,
    offset: Annotated[int, Query(ge=0, le=10_000)] = 0,
    limit: Annotated[int, Query(ge=1, le=200)] = 50,
) -> RunListOut:
    """List the runs that were kept, newest first."""
    wanted = RunFilter(model_id=model_id, device=device, state=state, deployment_id=deployment_id)
    return services.runs.history.page(wanted, offset=offset, limit=limit)


@router.get("/runs/{run_id}/report")
def report_run(services: ServicesDep, run_id: str) -> RunReportOut:
    """Get everything that is known of a run: predicted beside measured, by device and stage, over time."""
    return services.runs.report(run_id)


@router.delete("/runs/{run_id}", status_code=204)
def remove_run(services: ServicesDep, run_id: str) -> None:
    """Forget a run that has ended."""
    services.runs.remove(run_id)


@router.get("/runs/{run_id}")
def show_run(services: ServicesDep, run_id: str) -> RunOut:
    """Show a run: its figures and newest results."""
    return services.runs.show(run_id)


@router.post("/runs/{run_id}/stop")
def stop_run(services: ServicesDep, run_id: str) -> RunOut:
    """Stop sending frames; those on their way still arrive."""
    return services.runs.stop(run_id)


@router.get("/runs/{run_id}/outputs.npz", response_class=Response)
def run_outputs(services: ServicesDep, run_id: str) -> Response:
    """Get every output of a finished run of files, as `<frame>:<output name>` arrays."""
    return Response(
        services.runs.outputs_npz(run_id),
        media_type="application/zip",
        headers={"Content-Disposition": 'attachment; filename="outputs.npz"'},
    )
