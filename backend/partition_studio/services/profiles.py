"""Profiles of networks on devices."""

from partition_studio.schemas import JobOut, ProfileIn, ProfileOut, ProfileSummaryOut, StagePredictionOut
from partition_studio.services.deployments import DeploymentService
from partition_studio.services.devices import DeviceService
from partition_studio.services.jobs import JobService
from partition_studio.services.models import ModelService
from partition_studio.services.telemetry import TelemetryService
from partition_studio.store.database import Database
from partition_studio.telemetry.live import LiveHub


class ProfileService:
    """Measure, keep and use profiles. Thread-safe."""

    def __init__(
        self,
        database: Database,
        hub: LiveHub,
        models: ModelService,
        devices: DeviceService,
        deployments: DeploymentService,
        telemetry: TelemetryService,
        jobs: JobService,
    ) -> None:
        self._database = database
        self._hub = hub
        self._models = models
        self._devices = devices
        self._deployments = deployments
        self._telemetry = telemetry
        self._jobs = jobs

    def start(self, device: str, request: ProfileIn) -> JobOut:
        """Begin to measure a model on a device."""
        raise NotImplementedError

    def all(self, *, device: str | None = None, model_id: str | None = None) -> list[ProfileSummaryOut]:
        """List the profiles, newest first."""
        raise NotImplementedError

    def show(self, profile_id: int) -> ProfileOut:
        """Return a profile."""
        raise NotImplementedError

    def delete(self, profile_id: int) -> None:
        """Forget a profile."""
        raise NotImplementedError

    def predictions(self, deployment_id: str) -> list[StagePredictionOut]:
        """Compare predicted with measured stage times."""
        raise NotImplementedError
