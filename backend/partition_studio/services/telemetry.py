"""What devices report: newest figures, and their history."""

from partition_agent.protocol import AgentInfo, Telemetry
from partition_studio.schemas import DeviceLiveMessage, DeviceLiveOut, HistoryOut
from partition_studio.store.database import Database
from partition_studio.telemetry.figures import device_live
from partition_studio.telemetry.live import LiveHub


class TelemetryService:
    """Take samples, keep them, publish the newest figures. Thread-safe."""

    def __init__(self, database: Database, hub: LiveHub) -> None:
        self._database = database
        self._hub = hub
        self._last_sample: dict[str, Telemetry] = {}
        self._figures: dict[str, DeviceLiveOut] = {}

    def attached(self, device: str, info: AgentInfo) -> None:
        """Fetch what the agent sampled while nobody listened; called when a conversation was opened."""

    def take(self, device: str, sample: Telemetry) -> None:
        """Take a sample that just came."""
        live = device_live(device, self._last_sample.get(device), sample)
        self._last_sample[device] = sample
        self._figures[device] = live
        self._hub.publish(DeviceLiveMessage(live=live))

    def forget_live(self, device: str) -> None:
        """Forget the newest figures: the device reports no more."""
        self._figures.pop(device, None)
        self._last_sample.pop(device, None)

    def live(self) -> list[DeviceLiveOut]:
        """Return the newest figures of every device that reports."""
        return list(self._figures.values())

    def history(self, device: str, seconds: float, points: int) -> HistoryOut:
        """Return what a device did over the last `seconds`."""
        raise NotImplementedError
