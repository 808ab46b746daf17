"""The registered devices, and the studio's hold on each."""

import logging
import threading
from collections.abc import Callable, Sequence

from sqlalchemy import func, select

from partition_studio.errors import ConflictError, DeviceError, NotFoundError, StudioError
from partition_studio.fleet.address import parse_address, parse_device_name
from partition_studio.fleet.check.check import DeviceCheck
from partition_studio.fleet.errors import DeviceHeldError
from partition_studio.fleet.passwords import Kept
from partition_studio.fleet.session.session import DeviceSession
from partition_studio.partition.check import DeviceLimits
from partition_studio.schemas import (
    DeviceIn,
    DeviceMessage,
    DeviceOut,
    DeviceRemovedMessage,
    ProblemOut,
    RemovedOut,
)
from partition_studio.services.device_rows import (
    check_now,
    check_request,
    declared_power,
    kept_login,
    memory_of,
    note_check,
    password_lost,
    power_out,
)
from partition_studio.services.device_sessions import DeviceSessions
from partition_studio.services.lookout import Lookout
from partition_studio.store.database import Database
from partition_studio.store.tables import DeviceRow, Json
from partition_studio.telemetry.live import LiveHub

logger = logging.getLogger(__name__)

#: Problems that may end by themselves. A refused login may lock an account, and a changed key is for a person to judge.
_PASSING = frozenset({"unreachable", "no_banner", "connection_lost", "device_timeout"})


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
        database: Database,
        hub: LiveHub,
        sessions: DeviceSessions,
        *,
        deployment_of: Callable[[str], str | None],
        job_of: Callable[[str], str | None],
        forget: Callable[[str], None],
    ) -> None:
        """Open the registry.

        `deployment_of` and `job_of` tell in which active one a device takes part; `forget` deletes what else is known
        of a device.
        """
        self._database = database
        self._hub = hub
        self._deployment_of = deployment_of
        self._job_of = job_of
        self._forget = forget
        self.sessions = sessions
        self._lock = threading.Lock()
        #: Held while a device and its password are put down: of two requests for one name, one keeps anything.
        self._registering = threading.Lock()
        #: Held while the lookout writes down what it saw, which it does not once it is closed.
        self._noting = threading.Lock()
        self._lookout = Lookout(self._missing, self._look_again)

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
        return len(self.row(name).cpus or ())

    def add(self, request: DeviceIn) -> DeviceOut:
        """Connect to a device, check it and register it; one that cannot be used is registered with the reason.

        Raises AddressError, DeviceExistsError, and every DeviceError of connecting: then nothing is registered.
        """
        name = parse_device_name(request.name)
        address = parse_address(request.address)
        check_request(request)
        if request.password is not None and request.keep_password:
            self.sessions.passwords.require_keyring()
        self._require_new(name)
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
        device = self.sessions.open(row, request.password)
        try:
            device.link.connection(request.trusted_fingerprint)
            note_check(row, device.check())
            self._register(row, request, device)
        except BaseException:
            if self.sessions.known(name) is not device:
                device.close()
            raise
        return self._published(row)

    def _register(self, row: DeviceRow, request: DeviceIn, device: DeviceSession) -> None:
        """Keep a device and its password, unless another request was first. Raises DeviceExistsError."""
        passwords = self.sessions.passwords
        # Not the other lock: a keyring may ask the person before it takes a password.
        with self._registering:
            self._require_new(row.name)
            try:
                if request.password is not None:
                    row.login = passwords.keep(row.name, request.password, in_keyring=request.keep_password)
                with self._lock, self._database.session() as session:
                    row.position = (session.scalar(select(func.max(DeviceRow.position))) or 0) + 1
                    session.add(row)
                    session.commit()
                    self.sessions.take(row.name, device)
            except BaseException:
                if self.sessions.known(row.name) is not device:
                    passwords.forget(row.name, kept_login(row))
                raise

    def _require_new(self, name: str) -> None:
        with self._database.session() as session:
            if session.get(DeviceRow, name) is not None:
                raise DeviceExistsError(f"There is a device {name!r} already", device=name)

    def check(self, name: str, trusted_fingerprint: str | None = None) -> DeviceOut:
        """Check a device anew; what is wrong is kept and shown with it.

        `trusted_fingerprint` is what the person confirmed of a host key that was not known.
        """
        device = self.session(name)
        return self._note(name, device, *_look(device, trusted_fingerprint))

    def _note(
        self, name: str, device: DeviceSession, check: DeviceCheck | None, problem: ProblemOut | None
    ) -> DeviceOut:
        """Put down and publish what was seen of a device. Raises DeviceNotFoundError."""
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

    # --- devices that are missing ------------------------------------------------------------------------------------

    def look_out(self) -> None:
        """Begin to look, in the background, at those that could not be reached, until they can be."""
        self._lookout.start()

    def _missing(self) -> list[str]:
        """Return the devices that may be back by themselves, and that can be asked without asking anybody else."""
        return [
            row.name
            for row in self._rows()
            if row.state == "unreachable"
            and (row.problem or {}).get("code") in _PASSING
            and not self.sessions.password_lost(row)
            and (row.login != "keyring" or self.sessions.known(row.name) is not None)
        ]

    def _look_again(self, name: str) -> None:
        row, device = self.row(name), self.session(name)
        check, problem = _look(device)
        if problem is not None and problem.code == (row.problem or {}).get("code"):
            return
        with self._noting:
            if not self._lookout.is_closed and self.sessions.known(name) is device:
                self._note(name, device, check, problem)

    def note_login(self, name: str, kept: Kept) -> None:
        """Put down where a device's password is kept."""
        with self._database.session() as session, session.begin():
            found = session.get(DeviceRow, name)
            if found is not None:
                found.login = kept

    def remove(self, name: str) -> RemovedOut:
        """End the device's agent, delete what was installed there, forget it.

        One that cannot be reached, or serves another studio, is just forgotten, and the answer says so.
        """
        row = self.row(name)
        for what, busy in (("deployment", self._deployment_of(name)), ("job", self._job_of(name))):
            if busy is not None:
                raise DeviceBusyError(f"{name} takes part in the {what} {busy}", device=name)
        device = self.session(name)
        note = ""
        forgotten = 0
        try:
            device.uninstall()
        except DeviceHeldError as error:
            note = f"{error.message}, so everything was left as it is on the device"
        except ConflictError:
            # Somebody began to use it just now.
            raise
        except StudioError as error:
            note = f"What was installed on the device is still there: {error.message}. {_left_there(row)}"
            logger.warning("uninstall_failed", extra={"device": name, "reason": error.message})
        device.close()
        self._forget(name)
        with self._lock, self._database.session() as session, session.begin():
            found = session.get(DeviceRow, name)
            if found is not None:
                session.delete(found)
            forgotten = self.sessions.forget_key_of_removed(
                row, [other for other in self._rows() if other.name != name]
            )
            self.sessions.forget(row)
        self._hub.publish(DeviceRemovedMessage(name=name))
        return RemovedOut(name=name, uninstalled=not note, note=note, forgotten_keys=forgotten)

    def log(self, name: str, lines: int) -> list[str]:
        """Return the last lines of the device's agent log."""
        self.row(name)
        return self.session(name).read_log(lines)

    def tell(self, names: Sequence[str]) -> None:
        """Publish the present state of some devices."""
        for row in self._rows():
            if row.name in names:
                self._hub.publish(DeviceMessage(device=self._out(row)))

    # --- power settings (what they mean is `services.power`'s) -------------------------------------------------------

    def power(self, name: str) -> Json:
        """Return a device's power settings as they are kept: `meter`, `shunt_ohm`, `model`; never a password."""
        return dict(self.row(name).power)

    def set_power(self, name: str, power: Json, meter_password: str | None) -> DeviceOut:
        """Keep power settings, and the meter's password in memory; a running agent takes them at once."""
        with self._database.session() as session, session.begin():
            row = session.get(DeviceRow, name)
            if row is None:
                raise DeviceNotFoundError(f"There is no device {name!r}", device=name)
            row.power = power
        self.sessions.set_power(row, meter_password)
        return self._published(row)

    # --- sessions ----------------------------------------------------------------------------------------------------

    def session(self, name: str) -> DeviceSession:
        """Return the studio's hold on a device."""
        row = self.row(name)
        with self._lock:
            return self.sessions.of(row)

    def close(self) -> None:
        """Let go of every device."""
        self._lookout.close()
        with self._noting, self._lock:
            self.sessions.close()

    def _rows(self) -> Sequence[DeviceRow]:
        with self._database.session() as session:
            return session.scalars(select(DeviceRow).order_by(DeviceRow.position)).all()

    def row(self, name: str) -> DeviceRow:
        """Return a device as it is registered. Raises DeviceNotFoundError."""
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
        device, lost = self.sessions.known(row.name), self.sessions.password_lost(row)
        state, problem = row.state, row.problem
        if state == "unreachable" and row.check is not None and device is not None and device.agent_running:
            # Its agent talks to us: what was seen before no longer counts.
            state, problem = str(row.check["verdict"]), None
        return DeviceOut.model_validate(
            {
                "name": row.name,
                "kind": "local" if row.address.startswith("local:") else "ssh",
                "address": row.address,
                "reached_as": self.sessions.link_of(row).reached_as(),
                "state": "unreachable" if lost else state,
                "check": check_now(row),
                "problem": ProblemOut.of(password_lost(row.name)) if lost else problem,
                "login_kept": "no" if lost else row.login,
                "release": None if device is None else device.release,
                "cpus": row.cpus,
                "memory_bytes": row.memory_bytes,
                "power": power_out(row.power, has_password=self.sessions.has_meter_password(row.name)),
                "agent_running": device is not None and device.agent_running,
                "deployment_id": self._deployment_of(row.name),
                "job_id": self._job_of(row.name),
            }
        )


def _look(
    device: DeviceSession, trusted_fingerprint: str | None = None
) -> tuple[DeviceCheck | None, ProblemOut | None]:
    """Return what a check finds now, or why there is none."""
    try:
        device.link.answering(trusted_fingerprint)
        return device.check(), None
    except DeviceError as error:
        return None, ProblemOut.of(error)


def _left_there(row: DeviceRow) -> str:
    """Say what to do by hand on a device that could not be asked when it was removed."""
    known = row.check or {}
    start = ""
    if known.get("starts_by") == "systemd":
        start = (
            "end its service (`systemctl --user disable --now 'partition-studio-agent-*'`), delete its unit in "
            "~/.config/systemd/user, and "
        )
    elif known.get("restarts_after_reboot"):
        start = "take its line out of `crontab -e`, and "
    return (
        f"When it is back, {start}delete the folder ~/.local/share/partition-studio of that user; or add it again "
        "and remove it then"
    )
