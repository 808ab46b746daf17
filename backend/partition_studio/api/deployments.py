"""Deployments and the frames that run through them."""

from typing import Annotated

from fastapi import APIRouter, Form, Query, UploadFile

from partition_studio.api.deps import ServicesDep
from partition_studio.errors import BadInputError
from partition_studio.schemas import DeploymentIn, DeploymentOut, DeploymentState, DryRunOut, RunOut, RunSource

router = APIRouter(tags=["deployments"])

#: No single image or tensor file is larger.
MAX_FRAME_FILE_BYTES = 256 * 1024**2


def _read(part: UploadFile) -> bytes:
    if part.size is None or part.size > MAX_FRAME_FILE_BYTES:
        raise BadInputError(f"{part.filename!r} is larger than {MAX_FRAME_FILE_BYTES} bytes")
    return part.file.read()


@router.get("/deployments")
def list_deployments(
    services: ServicesDep,
    model_id: str | None = None,
    state: DeploymentState | None = None,
    offset: Annotated[int, Query(ge=0, le=10_000)] = 0,
    limit: Annotated[int | None, Query(ge=1, le=200)] = None,
) -> list[DeploymentOut]:
    """List the deployments, newest first."""
    return services.deployments.all(model_id=model_id, state=state, offset=offset, limit=limit)


@router.post("/deployments", status_code=202)
def deploy(services: ServicesDep, request: DeploymentIn) -> DeploymentOut:
    """Start to put a plan onto its devices; follow it by `/deployments/{id}` or the live WebSocket."""
    return services.deployments.deploy(
        request.model_id,
        request.plan,
        request.plan_name,
        seen_epoch=request.seen_epoch,
        waits=request.wait_for_retry,
    )


@router.post("/deployments/dry-run")
def dry_run(services: ServicesDep, request: DeploymentIn) -> DryRunOut:
    """Tell what deploying a plan would send to each device, without touching any."""
    return services.deployments.dry_run(request.model_id, request.plan)


@router.get("/deployments/{deployment_id}")
def show_deployment(services: ServicesDep, deployment_id: str) -> DeploymentOut:
    """Show a deployment with the progress of each device."""
    return services.deployments.show(deployment_id)


@router.post("/deployments/{deployment_id}/cancel")
def cancel_deployment(services: ServicesDep, deployment_id: str) -> DeploymentOut:
    """Give up a deployment that is on its way; the one that ran before goes on."""
    return services.deployments.cancel(deployment_id)


@router.post("/deployments/{deployment_id}/retry")
def retry_deployment(services: ServicesDep, deployment_id: str, device: str | None = None) -> DeploymentOut:
    """Try a device that failed on the way again, or all that wait for it."""
    return services.deployments.retry(deployment_id, device)


@router.post("/deployments/{deployment_id}/stop")
def stop_deployment(services: ServicesDep, deployment_id: str) -> DeploymentOut:
    """End a deployment: its run, its stages, its agents and their files."""
    return services.deployments.stop(deployment_id)


@router.post("/deployments/{deployment_id}/runs", status_code=201)
def start_run(
    services: ServicesDep,
    deployment_id: str,
    source: Annotated[RunSource, Form()] = "samples",
    repeat: Annotated[bool, Form(description="Go on from the beginning until stopped.")] = False,
    seconds: Annotated[float | None, Form(gt=0, le=3600)] = None,
    in_flight: Annotated[
        int | None, Form(ge=1, le=1000, description="Frames under way at once; 1 runs the parts one after the other.")
    ] = None,
    files: list[UploadFile] | None = None,
) -> RunOut:
    """Send frames through: the model's sample images, files (images, `.npz`, `.npy`, `.pb`), or random ones."""
    return services.runs.start(
        deployment_id,
        source=source,
        repeat=repeat,
        seconds=seconds,
        in_flight=in_flight,
        files=[(part.filename or "", _read(part)) for part in files or []],
    )
