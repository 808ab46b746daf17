"""Profiles: measure layers on devices, and compare predictions with deployments."""

from fastapi import APIRouter

from partition_studio.api.deps import RowId, ServicesDep
from partition_studio.schemas import JobOut, ProfileIn, ProfileOut, ProfileSummaryOut, StagePredictionOut

router = APIRouter(tags=["profiles"])


@router.post("/devices/{name}/profiles", status_code=202)
def start_profile(services: ServicesDep, name: str, request: ProfileIn) -> JobOut:
    """Measure the layers of a model on a device; one that was measured under the same conditions is done at once."""
    return services.profiles.start(name, request)


@router.get("/profiles")
def list_profiles(
    services: ServicesDep, device: str | None = None, model_id: str | None = None
) -> list[ProfileSummaryOut]:
    """List the profiles, newest first."""
    return services.profiles.all(device=device, model_id=model_id)


@router.get("/profiles/{profile_id}")
def show_profile(services: ServicesDep, profile_id: RowId) -> ProfileOut:
    """Show a profile with its layers and fused kernels."""
    return services.profiles.show(profile_id)


@router.delete("/profiles/{profile_id}", status_code=204)
def delete_profile(services: ServicesDep, profile_id: RowId) -> None:
    """Forget a profile."""
    services.profiles.delete(profile_id)


@router.get("/deployments/{deployment_id}/predictions")
def predict_stages(services: ServicesDep, deployment_id: str) -> list[StagePredictionOut]:
    """Compare each stage's time, predicted from the profiles, with what its devices measured; none once it ended."""
    return services.profiles.predictions(deployment_id)
