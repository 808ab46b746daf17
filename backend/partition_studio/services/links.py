"""Links between devices: measured on request, in the background, and seen in the traffic."""

from partition_studio.schemas import JobOut, LinksIn, LinksOut
from partition_studio.services.devices import DeviceService
from partition_studio.services.jobs import JobService
from partition_studio.store.database import Database
from partition_studio.telemetry.live import LiveHub


class LinkService:
    """Measure and keep link figures. Thread-safe."""

    def __init__(self, database: Database, hub: LiveHub, devices: DeviceService, jobs: JobService) -> None:
        self._database = database
        self._hub = hub
        self._devices = devices
        self._jobs = jobs

    def measure(self, request: LinksIn) -> JobOut:
        """Begin to measure every pair."""
        raise NotImplementedError

    def all(self) -> LinksOut:
        """Return the newest figures of every direction."""
        raise NotImplementedError
