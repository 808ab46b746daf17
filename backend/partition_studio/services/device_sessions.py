"""The studio's hold on each registered device: made from its row, its passwords and the user's SSH config."""

import logging
import socket
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from partition_agent.protocol import AgentInfo, Event, MeterSpec, PowerModel
from partition_studio.errors import StudioError
from partition_studio.fleet.address import SshDestination, parse_address
from partition_studio.fleet.errors import AddressError
from partition_studio.fleet.install.wheelhouse import WheelhouseCache
from partition_studio.fleet.passwords import Passwords
from partition_studio.fleet.session.device_link import DeviceLink
from partition_studio.fleet.session.session import DeviceSession, DeviceSpec, FleetFiles
from partition_studio.fleet.ssh.auth import SshCredentials
from partition_studio.fleet.ssh.config import Hop, SshConfig
from partition_studio.fleet.ssh.hostkeys import HostKeys, KnownKey
from partition_studio.services.device_rows import kept_login, key_path, power_out, studio_id
from partition_studio.settings import DataDir
from partition_studio.store.tables import DeviceRow

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Callbacks:
    """Who is told of the devices' agents; see DeviceSession."""

    on_event: Callable[[str, Event], None]
    on_lost: Callable[[str, str], None]
    on_ended: Callable[[str], None]
    on_attached: Callable[[str, AgentInfo], None]


class DeviceSessions:
    """The sessions by device. What changes them is called with the registry's lock held."""

    def __init__(
        self,
        data_dir: DataDir,
        callbacks: Callbacks,
        *,
        ssh_config: SshConfig | None = None,
        passwords: Passwords | None = None,
    ) -> None:
        """Open nothing yet.

        `ssh_config` is the user's own, and `passwords` go to the system's keyring, unless others are given.
        """
        ssh_dir = Path.home() / ".ssh"
        studio = studio_id(data_dir)
        self.passwords = passwords or Passwords(studio)
        self.ssh_config = ssh_config or SshConfig(ssh_dir / "config")
        self._callbacks = callbacks
        self._files = FleetFiles(
            host_keys=HostKeys(data_dir.known_hosts, ssh_dir / "known_hosts", Path("/etc/ssh/ssh_known_hosts")),
            wheelhouses=WheelhouseCache(data_dir.wheelhouse),
            local_devices=data_dir.local_devices,
            ssh_config=self.ssh_config,
            studio=studio,
            studio_host=socket.gethostname(),
        )
        self._sessions: dict[str, DeviceSession] = {}
        #: Passwords of the devices' meters; in memory only.
        self._meter_passwords: dict[str, str] = {}

    def open(self, row: DeviceRow, password: str | None) -> DeviceSession:
        """Return a hold on a device that is not registered (yet)."""
        told = self._callbacks
        return DeviceSession(
            self._spec(row, password),
            self._files,
            on_event=told.on_event,
            on_lost=told.on_lost,
            on_ended=told.on_ended,
            on_attached=told.on_attached,
        )

    def take(self, name: str, device: DeviceSession) -> None:
        """Keep the hold on a device that was registered."""
        self._sessions[name] = device

    def known(self, name: str) -> DeviceSession | None:
        """Return the hold on a device, if there was any need of it yet."""
        return self._sessions.get(name)

    def of(self, row: DeviceRow) -> DeviceSession:
        """Return the hold on a registered device."""
        if row.name not in self._sessions:
            self._sessions[row.name] = self.open(row, self._password(row))
        return self._sessions[row.name]

    def link_of(self, row: DeviceRow) -> DeviceLink:
        """Return the way to a device, without asking a keyring for anything."""
        device = self._sessions.get(row.name)
        return DeviceLink(self._spec(row, None), self._files) if device is None else device.link

    def forget_address(self, address: SshDestination, rows: Sequence[DeviceRow]) -> tuple[int, list[KnownKey]]:
        """Forget the host key of an address in the studio's own file, and that of each hop of `rows` with it.

        Return how many there were, and what other files still hold.
        """
        target = self.ssh_config.route(address).target
        same: list[Hop] = []
        for row in rows:
            there = [hop for hop in self._hops(row) if _place(hop) == _place(target)]
            same += there
            if there and (device := self._sessions.get(row.name)) is not None:
                device.link.drop()
        removed, left = 0, []
        for name, hop in {hop.address.known_hosts_name: hop for hop in (*same, target)}.items():
            keys = self._files.host_keys.beside(hop.known_hosts)
            removed += keys.forget(hop.address)
            left += keys.known(hop.address)
            logger.info("host_key_forgotten", extra={"host": name})
        return removed, left

    def forget_key_of_removed(self, row: DeviceRow, others: Sequence[DeviceRow]) -> int:
        """Forget the studio's own key of a device that is removed, unless another device or its way needs it."""
        own = self._hops(row)[-1:]
        needed = {hop.address.known_hosts_name for other in others for hop in self._hops(other)}
        if not own or own[0].address.known_hosts_name in needed:
            return 0
        return self._files.host_keys.forget(own[0].address)

    def _hops(self, row: DeviceRow) -> Sequence[Hop]:
        """Return the hosts on the way to a device; none where it is this machine, or the way is not known now."""
        try:
            route = self.link_of(row).route()
        except AddressError:
            return ()
        return () if route is None else route.hops

    def forget(self, row: DeviceRow) -> None:
        """Forget a device that was removed, with its passwords."""
        self._sessions.pop(row.name, None)
        self._meter_passwords.pop(row.name, None)
        self.passwords.forget(row.name, kept_login(row))

    def close(self) -> None:
        """Let go of every device."""
        sessions = list(self._sessions.values())
        self._sessions.clear()
        for device in sessions:
            try:
                device.close()
            except StudioError as error:
                logger.warning("device_close_failed", extra={"device": device.spec.name, "reason": error.message})

    def password_lost(self, row: DeviceRow) -> bool:
        """Return whether the device's password ended with an earlier studio."""
        return kept_login(row) == "memory" and not self.passwords.remembers(row.name)

    def set_power(self, row: DeviceRow, meter_password: str | None) -> None:
        """Take other power settings; a running agent is told at once. None keeps the meter's password."""
        if meter_password is not None:
            self._meter_passwords[row.name] = meter_password
        device = self._sessions.get(row.name)
        if device is not None:
            spec = self._spec(row, self._password(row))
            device.configure(spec.power_model, spec.meter, spec.shunt_ohm)

    def has_meter_password(self, name: str) -> bool:
        """Return whether the password of a device's meter is known; an empty one is none."""
        return bool(self._meter_passwords.get(name))

    def _password(self, row: DeviceRow) -> str | None:
        return self.passwords.get(row.name, kept_login(row))

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


def _place(hop: Hop) -> tuple[str, int]:
    return hop.address.host, hop.address.port
