"""How the power of devices is known: settings, calibration, meter readings."""

from partition_studio.schemas import (
    CalibrationIn,
    JobOut,
    MeterReadingIn,
    MeterReadingOut,
    PowerSettingsIn,
    PowerSettingsOut,
)
from partition_studio.services.devices import DeviceService
from partition_studio.services.jobs import JobService
from partition_studio.store.database import Database
from partition_studio.telemetry.live import LiveHub


class PowerService:
    """Power settings of the devices. Thread-safe."""

    def __init__(self, database: Database, hub: LiveHub, devices: DeviceService, jobs: JobService) -> None:
        self._database = database
        self._hub = hub
        self._devices = devices
        self._jobs = jobs

    def set(self, name: str, request: PowerSettingsIn) -> PowerSettingsOut:
        """Replace a device's power settings; a running agent takes them at once."""
        raise NotImplementedError

    def calibrate(self, name: str, request: CalibrationIn) -> JobOut:
        """Begin a calibration."""
        raise NotImplementedError

    def readings(self, name: str) -> list[MeterReadingOut]:
        """List the meter readings, newest first."""
        raise NotImplementedError

    def add_reading(self, name: str, request: MeterReadingIn) -> MeterReadingOut:
        """File a meter reading."""
        raise NotImplementedError
