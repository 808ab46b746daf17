"""Links between devices: measure, list."""

from fastapi import APIRouter

from partition_studio.api.deps import ServicesDep
from partition_studio.schemas import JobOut, LinksIn, LinksOut

router = APIRouter(tags=["links"])


@router.get("/links")
def list_links(services: ServicesDep) -> LinksOut:
    """List the newest figures of every direction."""
    return services.links.all()


@router.post("/links", status_code=202)
def measure_links(services: ServicesDep, request: LinksIn) -> JobOut:
    """Measure bandwidth and round trips between every pair, both directions, one pair after the other."""
    return services.links.measure(request)
