"""The registered devices, and the studio's hold on each."""

import logging
import os
import threading
from collections.abc import Callable, Sequence
from pathlib import Path

from sqlalchemy import func, select

from partition_agent.protocol import AgentInfo, Event, MeterSpec, PowerModel
from partition_studio.errors import BadInputError, ConflictError, DeviceError, NotFoundError, StudioError
from partition_studio.fleet.address import LocalAddress, SshAddress, parse_address, parse_device_name
from partition_studio.fleet.check import DeviceCheck
from partition_studio.fleet.hostkeys import HostKeys
from partition_studio.fleet.session import DeviceSession, DeviceSpec, FleetFiles
from partition_studio.fleet.ssh import trust_host_key
from partition_studio.fleet.ssh_auth import SshCredentials
from partition_studio.fleet.wheelhouse import WheelhouseCache
from partition_studio.partition.check import DeviceLimits
from partition_studio.schemas import (
    DeviceCheckOut,
    DeviceIn,
    DeviceMessage,
    DeviceOut,
    DeviceRemovedMessage,
    InventoryIn,
    InventoryOut,
    MeterOut,
    PowerModelOut,
    PowerSettingsOut,
    ProblemOut,
    SshHostOut,
)
from partition_studio.services.check_out import check_out
from partition_studio.settings import DataDir
from partition_studio.store.database import Database
from partition_studio.store.tables import DeviceRow, Json
from partition_studio.telemetry.live import LiveHub

logger = logging.getLogger(__name__)


class DeviceNotFoundError(NotFoundError):
    """No device of that name is registered."""

    code = "device_not_found"
    next_step = "List the devices with `partition-studio device list`, or add it first."


class DeviceExistsError(ConflictError):
    """A device of that name is registered."""

    code = "device_exists"
    next_step = "Choose another name, or remove the one that is there."


class DeviceBusyError(ConflictError):
    """The device takes part in a deployment."""

    code = "device_busy"
    next_step = "Stop that deployment first."


class DeviceService:
    """Add, check, list and remove devices. Every call may block; thread-safe."""

    def __init__(
        self,
        data_dir: DataDir,
        database: Database,
        hub: LiveHub,
        *,
        on_event: Callable[[str, Event], None],
        on_lost: Callable[[str, str], None],
        on_ended: Callable[[str], None],
        on_attached: Callable[[str, AgentInfo], None],
        deployment_of: Callable[[str], str | None],
        job_of: Callable[[str], str | None],
    ) -> None:
        """Open the registry; `deployment_of` and `job_of` tell in which active one a device takes part.

        `on_attached` is told each time that a conversation with an agent was opened.
        """
        self._database = database
        self._hub = hub
        self._on_event = on_event
        self._on_lost = on_lost
        self._on_ended = on_ended
        self._on_attached = on_attached
        self._job_of = job_of
        #: Passwords of the devices' meters; in memory only.
        self._meter_passwords: dict[str, str] = {}
        self._deployment_of = deployment_of
        user_known_hosts = Path.home() / ".ssh" / "known_hosts"
        self._files = FleetFiles(
            host_keys=HostKeys(data_dir.known_hosts, user_known_hosts),
            wheelhouses=WheelhouseCache(data_dir.wheelhouse),
            local_devices=data_dir.local_devices,
        )
        self._lock = threading.Lock()
        self._passwords: dict[str, str] = {}
        self._sessions: dict[str, DeviceSession] = {}

    # --- the registry ------------------------------------------------------------------------------------------------

    def all(self) -> list[DeviceOut]:
        """List the devices in the order of their registration."""
        return [self._out(row) for row in self._rows()]

    def names(self) -> list[str]:
        """Return the devices' names in the order of their registration."""
        return [row.name for row in self._rows()]

    def limits(self) -> dict[str, DeviceLimits]:
        """Return what each device can take, as far as its last check told."""
        return {row.name: DeviceLimits(memory_bytes=_memory(row)) for row in self._rows()}

    def threads(self, name: str) -> int:
        """Return the intra-op threads that the person asked for by choosing cores; 0 leaves it to the agent."""
        return len(self._row(name).cpus or ())

    def add(self, request: DeviceIn) -> DeviceOut:
        """Connect to a device, check it and register it; one that cannot be used is registered with the reason.

        Raises AddressError, DeviceExistsError, and every DeviceError of connecting: then nothing is registered.
        """
        name = parse_device_name(request.name)
        address = parse_address(request.address)
        _check_request(request)
        with self._database.session() as session:
            if session.get(DeviceRow, name) is not None:
                raise DeviceExistsError(f"There is a device {name!r} already", device=name)
        row = DeviceRow(
            name=name,
            position=0,
            address=str(address),
            key_file=request.key_file,
            cpus=request.cpus,
            memory_bytes=request.memory_bytes,
            power=_declared(request),
            state="unknown",
            check=None,
            problem=None,
        )
        if isinstance(address, SshAddress) and request.trusted_fingerprint is not None:
            trust_host_key(address, request.trusted_fingerprint, self._files.host_keys)
        device = self._open(self._spec(row, request.password))
        try:
            _note(row, device.check())
            with self._lock, self._database.session() as session:
                if session.get(DeviceRow, name) is not None:
                    raise DeviceExistsError(f"There is a device {name!r} already", device=name)
                row.position = (session.scalar(select(func.max(DeviceRow.position))) or 0) + 1
                session.add(row)
                session.commit()
                self._sessions[name] = device
                if request.password is not None:
                    self._passwords[name] = request.password
        except BaseException:
            if self._sessions.get(name) is not device:
                device.close()
            raise
        out = self._out(row)
        self._hub.publish(DeviceMessage(device=out))
        return out

    def check(self, name: str) -> DeviceOut:
        """Check a device anew; what is wrong is kept and shown with it."""
        self._row(name)
        check: DeviceCheck | None = None
        problem: ProblemOut | None = None
        try:
            check = self.session(name).check()
        except DeviceError as error:
            problem = ProblemOut.of(error)
        with self._database.session() as session, session.begin():
            row = session.get(DeviceRow, name)
            if row is None:
                raise DeviceNotFoundError(f"There is no device {name!r}", device=name)
            if check is not None:
                _note(row, check)
            elif problem is not None:
                row.state, row.problem = "unreachable", problem.model_dump(mode="json")
        out = self._out(row)
        self._hub.publish(DeviceMessage(device=out))
        return out

    def remove(self, name: str) -> None:
        """End the device's agent, delete what was installed there, forget it; an unreachable one is just forgotten."""
        self._row(name)
        deployment = self._deployment_of(name)
        if deployment is not None:
            raise DeviceBusyError(f"{name} takes part in the deployment {deployment}", device=name)
        device = self.session(name)
        try:
            device.uninstall()
        except StudioError as error:
            logger.warning("uninstall_failed", extra={"device": name, "reason": error.message})
        device.close()
        with self._lock, self._database.session() as session, session.begin():
            row = session.get(DeviceRow, name)
            if row is not None:
                session.delete(row)
            self._sessions.pop(name, None)
            self._passwords.pop(name, None)
        self._hub.publish(DeviceRemovedMessage(name=name))

    def log(self, name: str, lines: int) -> list[str]:
        """Return the last lines of the device's agent log."""
        self._row(name)
        return self.session(name).read_log(lines)

    def tell(self, names: Sequence[str]) -> None:
        """Publish the present state of some devices."""
        for row in self._rows():
            if row.name in names:
                self._hub.publish(DeviceMessage(device=self._out(row)))

    def read_inventory(self, request: InventoryIn) -> InventoryOut:
        """Say what the hosts of an inventory file would be registered as."""
        raise NotImplementedError

    def ssh_hosts(self) -> list[SshHostOut]:
        """List the hosts of the user's `~/.ssh/config` that can be registered by their alias."""
        raise NotImplementedError

    # --- power settings (what they mean is `services.power`'s) -------------------------------------------------------

    def power(self, name: str) -> Json:
        """Return a device's power settings as they are kept: `meter`, `shunt_ohm`, `model`; never a password."""
        return dict(self._row(name).power)

    def set_power(self, name: str, power: Json, meter_password: str | None) -> DeviceOut:
        """Keep power settings, and the meter's password in memory; a running agent takes them at once."""
        with self._database.session() as session, session.begin():
            row = session.get(DeviceRow, name)
            if row is None:
                raise DeviceNotFoundError(f"There is no device {name!r}", device=name)
            row.power = power
        if meter_password is not None:
            self._meter_passwords[name] = meter_password
        device = self._sessions.get(name)
        if device is not None:
            spec = self._spec(row, self._passwords.get(name))
            device.configure(spec.power_model, spec.meter, spec.shunt_ohm)
        out = self._out(row)
        self._hub.publish(DeviceMessage(device=out))
        return out

    def _spec(self, row: DeviceRow, password: str | None) -> DeviceSpec:
        key_file = None if row.key_file is None else Path(row.key_file).expanduser()
        settings = power_out(row.power, has_password=False)
        meter, model = settings.meter, settings.model
        return DeviceSpec(
            name=row.name,
            address=parse_address(row.address),
            credentials=SshCredentials(key_file=key_file, password=password),
            cpus=tuple(row.cpus or ()),
            power_model=None
            if model is None
            else PowerModel(model.idle_w, model.busy_w, model.source, model.residual_w),
            meter=None
            if meter is None
            else MeterSpec(meter.kind, meter.host, meter.port, meter.user, self._meter_passwords.get(row.name, "")),
            shunt_ohm=settings.shunt_ohm,
        )

    # --- sessions ----------------------------------------------------------------------------------------------------

    def session(self, name: str) -> DeviceSession:
        """Return the studio's hold on a device."""
        row = self._row(name)
        with self._lock:
            if name not in self._sessions:
                self._sessions[name] = self._open(self._spec(row, self._passwords.get(name)))
            return self._sessions[name]

    def close(self) -> None:
        """Let go of every device."""
        with self._lock:
            sessions = list(self._sessions.values())
            self._sessions.clear()
        for device in sessions:
            try:
                device.close()
            except StudioError as error:
                logger.warning("device_close_failed", extra={"device": device.spec.name, "reason": error.message})

    def _open(self, spec: DeviceSpec) -> DeviceSession:
        return DeviceSession(
            spec,
            self._files,
            on_event=self._on_event,
            on_lost=self._on_lost,
            on_ended=self._on_ended,
            on_attached=self._on_attached,
        )

    def _rows(self) -> Sequence[DeviceRow]:
        with self._database.session() as session:
            return session.scalars(select(DeviceRow).order_by(DeviceRow.position)).all()

    def _row(self, name: str) -> DeviceRow:
        with self._database.session() as session:
            row = session.get(DeviceRow, name)
        if row is None:
            raise DeviceNotFoundError(f"There is no device {name!r}", device=name)
        return row

    def _out(self, row: DeviceRow) -> DeviceOut:
        device = self._sessions.get(row.name)
        return DeviceOut.model_validate(
            {
                "name": row.name,
                "kind": "local" if row.address.startswith("local:") else "ssh",
                "address": row.address,
                "state": row.state,
                "check": row.check,
                "problem": row.problem,
                "cpus": row.cpus,
                "memory_bytes": row.memory_bytes,
                "power": power_out(row.power, has_password=row.name in self._meter_passwords),
                "agent_running": device is not None and device.agent_running,
                "deployment_id": self._deployment_of(row.name),
                "job_id": self._job_of(row.name),
            }
        )


def _check_request(request: DeviceIn) -> None:
    """Refuse figures and cores that cannot be. Raises BadInputError."""
    idle_w, busy_w = request.idle_power_w, request.busy_power_w
    if (idle_w is None) != (busy_w is None):
        raise BadInputError("Idle and busy power belong together", next_step="Give both, or neither.")
    if idle_w is not None and busy_w is not None and busy_w < idle_w:
        raise BadInputError(f"busy power ({busy_w} W) is below idle power ({idle_w} W)")
    if request.cpus is not None and (not request.cpus or min(request.cpus) < 0):
        raise BadInputError(f"{request.cpus} is no list of cores", next_step="Give core numbers such as 0,1.")
    if request.cpus is not None and parse_address(request.address) == LocalAddress():
        usable = os.sched_getaffinity(0)
        if not set(request.cpus) <= usable:
            raise BadInputError(f"This machine's usable cores are {sorted(usable)}, not {request.cpus}")


def _declared(request: DeviceIn) -> Json:
    """Return the power settings of a device that is registered."""
    if request.idle_power_w is None or request.busy_power_w is None:
        return {}
    return {"model": {"idle_w": request.idle_power_w, "busy_w": request.busy_power_w, "source": "declared"}}


def power_out(power: Json, *, has_password: bool) -> PowerSettingsOut:
    """Tell the power settings as they are kept; `has_password` is of the meter."""
    meter, model = power.get("meter"), power.get("model")
    return PowerSettingsOut(
        meter=None if meter is None else MeterOut(**meter, has_password=has_password),
        shunt_ohm=power.get("shunt_ohm"),
        model=None
        if model is None
        else PowerModelOut.model_validate({"residual_w": None, "calibrated_at": None, **model}),
    )


def _note(row: DeviceRow, check: DeviceCheck) -> None:
    row.state = check.verdict
    row.check = check_out(check, row.cpus, row.memory_bytes).model_dump(mode="json")
    row.problem = None
    if check.verdict == "cannot":
        row.problem = ProblemOut(
            code=check.reasons[0].code,
            message=f"{row.name} cannot run the agent: " + "; ".join(reason.text for reason in check.reasons),
            next_step="Mend that on the device, then check it again.",
        ).model_dump(mode="json")


def _memory(row: DeviceRow) -> int | None:
    if row.check is None:
        return None
    return DeviceCheckOut.model_validate(row.check).memory_bytes or None
