"""How the power of devices is known: settings, calibration, meter readings."""

import threading
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

from sqlalchemy import delete, select

from partition_studio.errors import BadInputError
from partition_studio.fleet.address import LocalAddress, parse_address
from partition_studio.fleet.errors import AddressError
from partition_studio.planner.figures.power_model import MAX_POWER_W, PowerFit, PowerPoint, fit_power
from partition_studio.schemas import (
    CalibrationIn,
    CalibrationPointOut,
    JobOut,
    MeterIn,
    MeterReadingIn,
    MeterReadingOut,
    PowerSettingsIn,
    PowerSettingsOut,
)
from partition_studio.services.calibration import (
    WHOLE_DEVICE,
    Calibration,
    NoPowerSourceError,
    requested_levels,
    typed_watts,
)
from partition_studio.services.devices import DeviceService
from partition_studio.services.jobs import Job, JobService
from partition_studio.services.telemetry import TelemetryService
from partition_studio.store.database import Database
from partition_studio.store.tables import Json, MeterReadingRow

#: Readings that are listed.
LISTED = 500

#: A reading may be so much ahead of the studio's clock.
CLOCK_SLACK = timedelta(minutes=1)

MAX_USER = 64
MAX_PASSWORD = 200


class PowerSettingsError(BadInputError):
    """The watts or the meter cannot be used."""

    code = "bad_power_settings"
    next_step = "Give idle and busy watts together, busy not below idle; a meter as shelly://host or tasmota://host."


class MeterReadingError(BadInputError):
    """The reading does not follow on the one before."""

    code = "bad_meter_reading"
    next_step = "Compare the number with the meter. If the meter was set back or changed, say so (reset)."


class PowerService:
    """Power settings of the devices. Thread-safe."""

    def __init__(
        self, database: Database, devices: DeviceService, jobs: JobService, telemetry: TelemetryService
    ) -> None:
        self._database = database
        self._devices = devices
        self._jobs = jobs
        self._telemetry = telemetry
        self._reading = threading.Lock()
        #: The utilisation that was seen while a device was held at a level.
        self._held: dict[tuple[str, float], float] = {}

    # --- settings ----------------------------------------------------------------------------------------------------

    def set(self, name: str, request: PowerSettingsIn) -> PowerSettingsOut:
        """Replace a device's power settings; a running agent takes them at once. Raises PowerSettingsError."""
        before = self._devices.power(name)
        power: Json = {}
        password = None
        if request.meter is not None:
            power["meter"] = _meter(request.meter)
            password = request.meter.password
        if password is None and power.get("meter") != before.get("meter") and self._has_password(name):
            # What was meant for one meter is not told to another.
            password = ""
        if request.shunt_ohm is not None:
            power["shunt_ohm"] = request.shunt_ohm
        model = _declared(request)
        if model is None and request.keep_calibration and (before.get("model") or {}).get("source") == "calibrated":
            model = before["model"]
        if model is not None:
            power["model"] = model
        return self._keep(name, power, password)

    def _has_password(self, name: str) -> bool:
        found = next((device.power.meter for device in self._devices.all() if device.name == name), None)
        return found is not None and found.has_password

    def _keep(self, name: str, power: Json, password: str | None) -> PowerSettingsOut:
        out = self._devices.set_power(name, power, password)
        self._telemetry.power_changed(name)
        return out.power

    def forget(self, name: str) -> None:
        """Forget the readings, and what was seen in a calibration, of a device that is removed."""
        for held in [held for held in self._held if held[0] == name]:
            self._held.pop(held, None)
        with self._database.session() as session, session.begin():
            session.execute(delete(MeterReadingRow).where(MeterReadingRow.device == name))

    # --- calibration -------------------------------------------------------------------------------------------------

    def calibrate(self, name: str, request: CalibrationIn) -> JobOut:
        """Begin a calibration. Raises CalibrationError, PowerFitError (of typed watts), JobsBusyError."""
        self._devices.power(name)
        if request.typed_w is not None:
            return self._calibrate_typed(name, typed_watts(request.typed_w))
        session = self._devices.session(name)
        held = request.hold_level
        if held is not None:

            def hold(job: Job) -> None:
                seen = Calibration(name, session, job).hold(held, request.seconds)
                if seen is not None:
                    self._held[name, held] = min(max(seen, 0.0), 1.0)

            return self._jobs.start("calibration", f"Hold {name} at {held:.0%}", [name], hold)
        levels = requested_levels(request.levels)
        self._require_source(name)

        def measure(job: Job) -> None:
            fit, points = Calibration(name, session, job).measure(levels, request.seconds)
            self._take(name, fit, points)

        return self._jobs.start("calibration", f"Calibrate the power of {name}", [name], measure)

    def _require_source(self, name: str) -> None:
        """Return unless the last check leaves no source for a calibration. Raises NoPowerSourceError."""
        device = next(device for device in self._devices.all() if device.name == name)
        if device.check is None or device.power.meter is not None or device.power.shunt_ohm is not None:
            return
        whole = [source for source in device.check.power_sources if source.scope in WHOLE_DEVICE]
        if not any(source.usable and source.method != "estimated" for source in whole):
            raise NoPowerSourceError(
                f"{name} has no meter, and its last check found no usable sensor that covers the whole device",
                device=name,
            )

    def _calibrate_typed(self, name: str, typed: dict[float, float]) -> JobOut:
        points = [
            CalibrationPointOut(
                level=level,
                utilisation=self._held.get((name, level), level),
                power_w=power_w,
                source="typed",
                assumed=(name, level) not in self._held,
            )
            for level, power_w in typed.items()
        ]
        fit = fit_power([PowerPoint(point.utilisation, point.power_w) for point in points])
        return self._jobs.start(
            "calibration", f"Calibrate the power of {name}", [name], lambda _job: self._take(name, fit, points)
        )

    def _take(self, name: str, fit: PowerFit, points: Sequence[CalibrationPointOut]) -> None:
        model = {
            "idle_w": fit.idle_w,
            "busy_w": fit.busy_w,
            "source": "calibrated",
            "residual_w": fit.residual_w,
            "calibrated_at": datetime.now(UTC).isoformat(),
            "points": [point.model_dump(mode="json") for point in points],
        }
        self._keep(name, {**self._devices.power(name), "model": model}, None)

    # --- meter readings ----------------------------------------------------------------------------------------------

    def readings(self, name: str) -> list[MeterReadingOut]:
        """List the meter readings, newest first."""
        self._devices.power(name)
        row = MeterReadingRow
        query = select(row).where(row.device == name).order_by(row.read_at.desc(), row.id.desc()).limit(LISTED + 1)
        with self._database.session() as session:
            rows = list(session.scalars(query))
        before: list[MeterReadingRow | None] = [*rows[1:], None] if rows else []
        return [_reading(now, then) for now, then in zip(rows, before, strict=True)][:LISTED]

    def add_reading(self, name: str, request: MeterReadingIn) -> MeterReadingOut:
        """File a meter reading. Raises MeterReadingError for one that does not follow on the one before."""
        self._devices.power(name)
        now = datetime.now(UTC)
        read_at = now if request.read_at is None else request.read_at
        if read_at.tzinfo is None:
            raise MeterReadingError("The time of the reading has no zone", next_step="Add the zone, such as Z for UTC.")
        if read_at > now + CLOCK_SLACK:
            raise MeterReadingError(f"The reading of {read_at:%Y-%m-%d %H:%M} lies in the future")
        with self._reading:
            before = self._newest(name)
            if before is not None:
                _check_follows(name, before, request, read_at)
            frames = None
            if before is not None:
                frames = self._telemetry.frames(name, before.read_at.timestamp(), read_at.timestamp())
            row = MeterReadingRow(device=name, energy_j=request.energy_j, read_at=read_at, frames=frames)
            with self._database.session() as session, session.begin():
                session.add(row)
        return _reading(row, before)

    def _newest(self, name: str) -> MeterReadingRow | None:
        row = MeterReadingRow
        query = select(row).where(row.device == name).order_by(row.read_at.desc(), row.id.desc()).limit(1)
        with self._database.session() as session:
            return session.scalar(query)


def _check_follows(name: str, before: MeterReadingRow, request: MeterReadingIn, read_at: datetime) -> None:
    if read_at <= before.read_at:
        raise MeterReadingError(
            f"The last reading of {name} is of {before.read_at:%Y-%m-%d %H:%M:%S} UTC, and this one is not newer",
            next_step="File readings in the order in which they were taken.",
        )
    if request.energy_j < before.energy_j and not request.reset:
        raise MeterReadingError(
            f"The meter of {name} stood at {before.energy_j / 3600:g} Wh before, and cannot stand at "
            f"{request.energy_j / 3600:g} Wh now"
        )


def _reading(row: MeterReadingRow, before: MeterReadingRow | None) -> MeterReadingOut:
    """Tell a reading; after a reset nothing is known of the time since the one before."""
    since_s = since_j = None
    if before is not None and row.energy_j >= before.energy_j:
        since_s = (row.read_at - before.read_at).total_seconds()
        since_j = row.energy_j - before.energy_j
    frames = row.frames if since_j is not None else None
    return MeterReadingOut(
        id=row.id,
        energy_j=row.energy_j,
        read_at=row.read_at,
        since_s=since_s,
        since_energy_j=since_j,
        mean_power_w=None if since_s is None or since_j is None or since_s <= 0 else since_j / since_s,
        frames=frames,
        energy_per_frame_j=since_j / frames if since_j is not None and frames else None,
    )


def _declared(request: PowerSettingsIn) -> Json | None:
    idle_w, busy_w = request.idle_power_w, request.busy_power_w
    if idle_w is None and busy_w is None:
        return None
    if idle_w is None or busy_w is None:
        raise PowerSettingsError("Idle and busy power belong together", next_step="Give both, or neither.")
    if busy_w < idle_w:
        raise PowerSettingsError(f"Busy power ({busy_w:g} W) is below idle power ({idle_w:g} W)")
    if busy_w > MAX_POWER_W:
        raise PowerSettingsError(f"{busy_w:g} W is more than any board takes")
    return {"idle_w": idle_w, "busy_w": busy_w, "source": "declared"}


def _meter(meter: MeterIn) -> Json:
    """Return a meter as it is kept: never with its password."""
    host = meter.host.strip()
    try:
        # The rules for a device's own host: no option, no zone, no address that leads elsewhere.
        address = parse_address(f"ssh://meter@[{host}]" if ":" in host else f"ssh://meter@{host}")
    except AddressError as error:
        # What it says of the address is right; that it belongs to a meter the person knows better here.
        raise PowerSettingsError(
            f"The meter cannot be at {host[:80]!r}: {error.message}", next_step="Give the plug's name or IP address."
        ) from error
    if isinstance(address, LocalAddress) or "@" in host or "/" in host:
        raise PowerSettingsError(f"{host[:80]!r} is no host", next_step="Give the plug's name or IP address.")
    if len(meter.user) > MAX_USER or not meter.user.isprintable() or ":" in meter.user:
        raise PowerSettingsError("The meter's user cannot be used", next_step="Give the user that the plug asks for.")
    if meter.password is not None and (len(meter.password) > MAX_PASSWORD or not meter.password.isprintable()):
        raise PowerSettingsError("The meter's password cannot be used", next_step="Type the password of the plug.")
    return {"kind": meter.kind, "host": address.host, "port": meter.port, "user": meter.user}
