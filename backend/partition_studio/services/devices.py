"""The registered devices, and the studio's hold on each."""

import logging
import socket
import threading
from collections.abc import Callable, Sequence
from pathlib import Path

from sqlalchemy import func, select

from partition_agent.protocol import AgentInfo, Event, MeterSpec, PowerModel
from partition_studio.errors import BadInputError, ConflictError, DeviceError, NotFoundError, StudioError
from partition_studio.fleet.address import parse_address, parse_device_name
from partition_studio.fleet.check.check import DeviceCheck
from partition_studio.fleet.errors import DeviceHeldError
from partition_studio.fleet.install.wheelhouse import WheelhouseCache
from partition_studio.fleet.passwords import Passwords
from partition_studio.fleet.session.device_link import DeviceLink
from partition_studio.fleet.session.session import DeviceSession, DeviceSpec, FleetFiles
from partition_studio.fleet.ssh.auth import SshCredentials
from partition_studio.fleet.ssh.config import SshConfig
from partition_studio.fleet.ssh.hostkeys import HostKeys
from partition_studio.partition.check import DeviceLimits
from partition_studio.schemas import (
    DeviceIn,
    DeviceMessage,
    DeviceOut,
    DeviceRemovedMessage,
    ForgottenKeyOut,
    InventoryIn,
    InventoryOut,
    KnownKeyOut,
    ProblemOut,
    RemovedOut,
    SshHostOut,
)
from partition_studio.services.device_rows import (
    check_request,
    declared_power,
    kept_login,
    key_path,
    memory_of,
    note_check,
    password_lost,
    power_out,
    studio_id,
)
from partition_studio.services.inventory import inventory_out
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
        ssh_config: SshConfig | None = None,
        passwords: Passwords | None = None,
    ) -> None:
        """Open the registry; `deployment_of` and `job_of` tell in which active one a device takes part.

        `on_attached` is told each time that a conversation with an agent was opened. `ssh_config` is the user's own,
        and `passwords` go to the system's keyring, unless others are given.
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
        ssh_dir = Path.home() / ".ssh"
        studio = studio_id(data_dir)
        self._ssh_config = ssh_config or SshConfig(ssh_dir / "config")
        self._files = FleetFiles(
            host_keys=HostKeys(data_dir.known_hosts, ssh_dir / "known_hosts", Path("/etc/ssh/ssh_known_hosts")),
            wheelhouses=WheelhouseCache(data_dir.wheelhouse),
            local_devices=data_dir.local_devices,
            ssh_config=self._ssh_config,
            studio=studio,
            studio_host=socket.gethostname(),
        )
        self._lock = threading.Lock()
        self._passwords = passwords or Passwords(studio)
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
        return {row.name: DeviceLimits(memory_bytes=memory_of(row)) for row in self._rows()}

    def threads(self, name: str) -> int:
        """Return the intra-op threads that the person asked for by choosing cores; 0 leaves it to the agent."""
        return len(self._row(name).cpus or ())

    def add(self, request: DeviceIn) -> DeviceOut:
        """Connect to a device, check it and register it; one that cannot be used is registered with the reason.

        Raises AddressError, DeviceExistsError, and every DeviceError of connecting: then nothing is registered.
        """
        name = parse_device_name(request.name)
        address = parse_address(request.address)
        check_request(request)
        if request.password is not None and request.keep_password:
            self._passwords.require_keyring()
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
            power=declared_power(request),
            login="no",
            state="unknown",
            check=None,
            problem=None,
        )
        device = self._open(self._spec(row, request.password))
        try:
            device.link.connection(request.trusted_fingerprint)
            note_check(row, device.check())
            if request.password is not None:
                row.login = self._passwords.keep(name, request.password, in_keyring=request.keep_password)
            with self._lock, self._database.session() as session:
                if session.get(DeviceRow, name) is not None:
                    raise DeviceExistsError(f"There is a device {name!r} already", device=name)
                row.position = (session.scalar(select(func.max(DeviceRow.position))) or 0) + 1
                session.add(row)
                session.commit()
                self._sessions[name] = device
        except BaseException:
            if self._sessions.get(name) is not device:
                device.close()
                if name not in self.names():
                    self._passwords.forget(name, kept_login(row))
            raise
        return self._published(row)

    def check(self, name: str, trusted_fingerprint: str | None = None) -> DeviceOut:
        """Check a device anew; what is wrong is kept and shown with it.

        `trusted_fingerprint` is what the person confirmed of a host key that was not known.
        """
        self._row(name)
        device = self.session(name)
        check: DeviceCheck | None = None
        problem: ProblemOut | None = None
        try:
            device.link.connection(trusted_fingerprint)
            check = device.check()
        except DeviceError as error:
            problem = ProblemOut.of(error)
        with self._database.session() as session, session.begin():
            row = session.get(DeviceRow, name)
            if row is None:
                raise DeviceNotFoundError(f"There is no device {name!r}", device=name)
            if check is not None:
                note_check(row, check)
                if device.spec.password_lost:
                    # It lets us in without: there is nothing to ask for.
                    row.login = "no"
            elif problem is not None:
                row.state, row.problem = "unreachable", problem.model_dump(mode="json")
        return self._published(row)

    def set_password(self, name: str, password: str, *, keep: bool) -> DeviceOut:
        """Use another password for a device, and check it. Raises NoKeyringError when it cannot be kept as asked."""
        row = self._row(name)
        if row.address.startswith("local:"):
            raise BadInputError(f"{name} is this machine: nobody logs in there", next_step="It needs no password.")
        device = self.session(name)
        if not keep and row.login == "keyring":
            self._passwords.forget(name, "keyring")
        kept = self._passwords.keep(name, password, in_keyring=keep)
        device.link.set_password(password)
        with self._database.session() as session, session.begin():
            found = session.get(DeviceRow, name)
            if found is not None:
                found.login = kept
        return self.check(name)

    def forget_key(self, name: str, *, jump_hosts: bool) -> ForgottenKeyOut:
        """Forget a device's host key, so that a new one can be confirmed; only the studio's own file is changed."""
        self._row(name)
        removed, left = self.session(name).link.forget_host_keys(jump_hosts=jump_hosts)
        elsewhere = [
            KnownKeyOut(file=str(known.file), line=known.line, fingerprint=known.key.fingerprint) for known in left
        ]
        return ForgottenKeyOut(device=name, removed=removed, elsewhere=elsewhere)

    def remove(self, name: str) -> RemovedOut:
        """End the device's agent, delete what was installed there, forget it.

        One that cannot be reached, or serves another studio, is just forgotten, and the answer says so.
        """
        row = self._row(name)
        for what, busy in (("deployment", self._deployment_of(name)), ("job", self._job_of(name))):
            if busy is not None:
                raise DeviceBusyError(f"{name} takes part in the {what} {busy}", device=name)
        device = self.session(name)
        note = ""
        try:
            device.uninstall()
        except DeviceHeldError as error:
            note = f"{error.message}, so everything was left as it is on the device"
        except ConflictError:
            # Somebody began to use it just now.
            raise
        except StudioError as error:
            note = f"What was installed on the device is still there: {error.message}"
            logger.warning("uninstall_failed", extra={"device": name, "reason": error.message})
        device.close()
        with self._lock, self._database.session() as session, session.begin():
            found = session.get(DeviceRow, name)
            if found is not None:
                session.delete(found)
            self._sessions.pop(name, None)
            self._meter_passwords.pop(name, None)
        self._passwords.forget(name, kept_login(row))
        self._hub.publish(DeviceRemovedMessage(name=name))
        return RemovedOut(name=name, uninstalled=not note, note=note)

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
        """Say what the hosts of an inventory file would be registered as. Raises InventoryError."""
        return inventory_out(request, set(self.names()))

    def ssh_hosts(self) -> list[SshHostOut]:
        """List the hosts of the user's `~/.ssh/config` that can be registered by their alias. Raises SshConfigError."""
        return [
            SshHostOut(
                alias=host.alias,
                host=host.route.target.address.host,
                user=host.route.target.address.user,
                port=host.route.target.address.port,
                jump=", ".join(hop.address.short for hop in host.route.jumps) or None,
            )
            for host in self._ssh_config.hosts()
        ]

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
            spec = self._spec(row, self._password(row))
            device.configure(spec.power_model, spec.meter, spec.shunt_ohm)
        return self._published(row)

    def _spec(self, row: DeviceRow, password: str | None) -> DeviceSpec:
        key_file = None if row.key_file is None else key_path(row.key_file)
        settings = power_out(row.power, has_password=False)
        meter, model = settings.meter, settings.model
        return DeviceSpec(
            name=row.name,
            address=parse_address(row.address),
            credentials=SshCredentials(key_file=key_file, password=password),
            cpus=tuple(row.cpus or ()),
            memory_bytes=row.memory_bytes,
            password_lost=kept_login(row) != "no" and password is None,
            power_model=None
            if model is None
            else PowerModel(model.idle_w, model.busy_w, model.source, model.residual_w),
            meter=None
            if meter is None
            else MeterSpec(meter.kind, meter.host, meter.port, meter.user, self._meter_passwords.get(row.name, "")),
            shunt_ohm=settings.shunt_ohm,
        )

    def _password(self, row: DeviceRow) -> str | None:
        return self._passwords.get(row.name, kept_login(row))

    # --- sessions ----------------------------------------------------------------------------------------------------

    def session(self, name: str) -> DeviceSession:
        """Return the studio's hold on a device."""
        row = self._row(name)
        with self._lock:
            if name not in self._sessions:
                self._sessions[name] = self._open(self._spec(row, self._password(row)))
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

    def _published(self, row: DeviceRow) -> DeviceOut:
        out = self._out(row)
        self._hub.publish(DeviceMessage(device=out))
        return out

    def _out(self, row: DeviceRow) -> DeviceOut:
        device = self._sessions.get(row.name)
        lost = kept_login(row) == "memory" and not self._passwords.remembers(row.name)
        link = DeviceLink(self._spec(row, None), self._files) if device is None else device.link
        return DeviceOut.model_validate(
            {
                "name": row.name,
                "kind": "local" if row.address.startswith("local:") else "ssh",
                "address": row.address,
                "reached_as": link.reached_as(),
                "state": "unreachable" if lost else row.state,
                "check": row.check,
                "problem": ProblemOut.of(password_lost(row.name)) if lost else row.problem,
                "login_kept": "no" if lost else row.login,
                "release": None if device is None else device.release,
                "cpus": row.cpus,
                "memory_bytes": row.memory_bytes,
                "power": power_out(row.power, has_password=bool(self._meter_passwords.get(row.name))),
                "agent_running": device is not None and device.agent_running,
                "deployment_id": self._deployment_of(row.name),
                "job_id": self._job_of(row.name),
            }
        )
