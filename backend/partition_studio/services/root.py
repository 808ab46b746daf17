"""The composition root: builds the studio's parts and connects them."""

import fcntl
import logging
from typing import IO

from partition_agent.protocol import Event, Fault, Progress, Telemetry
from partition_studio.errors import StudioUnavailableError
from partition_studio.schemas import PredictIn
from partition_studio.services.access import AccessService
from partition_studio.services.codecs import CodecService
from partition_studio.services.deployment_history import DeploymentHistory
from partition_studio.services.deployments import DeploymentService
from partition_studio.services.device_sessions import Callbacks, DeviceSessions
from partition_studio.services.devices import DeviceService
from partition_studio.services.figures import FigureService
from partition_studio.services.jobs import JobService
from partition_studio.services.links import LinkService
from partition_studio.services.models import ModelService
from partition_studio.services.planner import PlannerService
from partition_studio.services.plans import PlanService
from partition_studio.services.power import PowerService
from partition_studio.services.profiles import ProfileService
from partition_studio.services.run_history import RunHistory
from partition_studio.services.runs import RunService
from partition_studio.services.telemetry import TelemetryService
from partition_studio.services.weights import WeightService
from partition_studio.settings import DataDir, plaintext_links
from partition_studio.store.database import open_in
from partition_studio.telemetry.live import LiveHub

logger = logging.getLogger(__name__)


class DataDirInUseError(StudioUnavailableError):
    """Another studio runs on the same data folder."""

    code = "data_dir_in_use"
    next_step = "Use the studio that runs, stop it, or give another folder with --data-dir."


class Services:
    """Everything that the studio does, for the API."""

    def __init__(self, data_dir: DataDir) -> None:
        """Open the data folder. Raises DataDirInUseError, DatabaseUnusableError."""
        self.demo_model_id: str | None = None
        self._lock_file = _lock(data_dir)
        self._database = open_in(data_dir.path)
        self.hub = LiveHub()
        self.jobs = JobService(self.hub)
        self.telemetry = TelemetryService(self._database, self.hub)
        run_history = RunHistory(self._database)
        deployment_history = DeploymentHistory(self._database, run_history)
        self.deployments = DeploymentService(deployment_history, self.hub, plaintext=plaintext_links())
        self.models = ModelService(data_dir.path, self._database, self.hub, self.deployments.active_of)
        self.weights = WeightService(self.models)
        callbacks = Callbacks(self._on_event, self._on_lost, self.telemetry.forget_live, self.telemetry.attached)
        self.devices = DeviceService(
            self._database,
            self.hub,
            DeviceSessions(data_dir, callbacks),
            deployment_of=self.deployments.active_on,
            job_of=self.jobs.of_device,
            forget=self._forget,
        )
        self.access = AccessService(self.devices)
        self.telemetry.attach(self.devices, self.jobs.of_device)
        self.deployments.attach(self.models, self.devices)
        self.runs = RunService(run_history, self.hub, self.models, self.deployments, self.telemetry)
        self.power = PowerService(self._database, self.devices, self.jobs, self.telemetry)
        self.profiles = ProfileService(
            self._database, self.hub, self.models, self.devices, self.deployments, self.telemetry, self.jobs
        )
        self.runs.expected_s = self.profiles.expected_s
        self.links = LinkService(self._database, self.hub, self.devices, self.jobs, self.deployments)
        self.codecs = CodecService(self.models, self.devices, self.profiles, self.links, self.jobs)
        self.deployments.settle = self.codecs.settle
        figures = FigureService(self.models, self.devices, self.profiles, self.links, self._database)
        self.planner = PlannerService(self.hub, self.models, self.devices, figures, self.codecs, self.jobs)
        self.runs.predict = lambda model_id, plan: self.planner.predict(model_id, PredictIn(plan=plan)).prediction
        self.plans = PlanService(self._database, self.hub, self.models, self.devices, self.codecs)
        self.runs.history.note_interrupted()
        self.deployments.resume_running()
        self.devices.look_out()

    def close(self) -> None:
        """End everything that this studio began, and let go of the data folder."""
        self.jobs.close()
        self.links.close()
        self.deployments.close()
        self.devices.close()
        self.telemetry.close()
        self._database.close()
        self._lock_file.close()

    def _on_event(self, device: str, event: Event) -> None:
        match event:
            case Telemetry():
                self.telemetry.take(device, event)
                self.links.seen(device, event)
            case Progress():
                self.deployments.each_active(lambda live: live.stage_progress(device, event))
            case Fault():
                logger.warning("agent_fault", extra={"device": device, "code": event.code, "reason": event.message})

    def _forget(self, device: str) -> None:
        """Forget what was measured of a device that is removed: one that takes its name has no past."""
        self.telemetry.forget(device)
        self.power.forget(device)
        self.profiles.forget(device)
        self.links.forget(device)

    def _on_lost(self, device: str, reason: str) -> None:
        self.telemetry.forget_live(device)
        self.deployments.device_lost(device, reason)
        self.devices.tell([device])


def _lock(data_dir: DataDir) -> IO[str]:
    """Hold the data folder for this process."""
    file = data_dir.lock.open("w")
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        file.close()
        raise DataDirInUseError(f"Another studio runs with the data folder {data_dir.path}") from error
    return file
