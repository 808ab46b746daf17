"""Long tasks: list, follow, cancel."""

from fastapi import APIRouter

from partition_studio.api.deps import ServicesDep
from partition_studio.schemas import JobOut

router = APIRouter(tags=["jobs"])


@router.get("/jobs")
def list_jobs(services: ServicesDep) -> list[JobOut]:
    """List the jobs, newest first."""
    return services.jobs.all()


@router.get("/jobs/{job_id}")
def show_job(services: ServicesDep, job_id: str) -> JobOut:
    """Show a job."""
    return services.jobs.show(job_id)


@router.post("/jobs/{job_id}/cancel")
def cancel_job(services: ServicesDep, job_id: str) -> JobOut:
    """Ask a job to end; one that has ended stays as it is."""
    return services.jobs.cancel(job_id)
