"""The way to one device: its spec, and the one connection that everything shares."""

import threading
import time
from dataclasses import replace

from partition_studio.fleet.address import LocalAddress
from partition_studio.fleet.connection import DeviceConnection
from partition_studio.fleet.errors import (
    AddressError,
    AgentUnreachableError,
    AuthFailedError,
    ConnectionLostError,
    PasswordNeededError,
)
from partition_studio.fleet.local import LocalConnection
from partition_studio.fleet.session.device_spec import DeviceSpec, FleetFiles
from partition_studio.fleet.ssh.config import Route
from partition_studio.fleet.ssh.connect import SshConnection, SshTimeouts, connect_route
from partition_studio.fleet.ssh.hostkeys import KnownKey

#: A frozen device is reported within this much, whether there is a connection to it or not.
ANSWER_S = 5.0

#: Of that, what a connection that stands has to show that it does; the rest is for another attempt.
PROBE_SHARE = 0.3

#: What ending a connection to nobody may take.
HANG_UP_S = 1.0


class DeviceLink:
    """Connects when somebody needs it, once for all; thread-safe."""

    def __init__(self, spec: DeviceSpec, files: FleetFiles) -> None:
        self.spec = spec
        self._files = files
        #: Held while a connection is made: whoever needs one as well waits for that one.
        self._connecting = threading.Lock()
        self._lock = threading.Lock()
        self._connection: DeviceConnection | None = None
        self._closed = False

    @property
    def is_local(self) -> bool:
        """Whether it leads to a process on the studio's own machine."""
        return isinstance(self.spec.address, LocalAddress)

    def connection(self, trusted_fingerprint: str | None = None) -> DeviceConnection:
        """Return the connection, made anew when there is none or it has ended.

        `trusted_fingerprint` is what the person confirmed of a host key on the way.
        """
        with self._connecting:
            with self._lock:
                current = self._connection
            if current is not None:
                if current.is_alive:
                    return current
                current.close()
            made = self._connect(trusted_fingerprint)
            with self._lock:
                if not self._closed:
                    self._connection = made
                    return made
            made.close()
            raise AgentUnreachableError(f"{self.spec.name} was let go of")

    def answering(self, trusted_fingerprint: str | None = None, within_s: float = ANSWER_S) -> DeviceConnection:
        """Return a connection over which the device has answered just now, or raise DeviceError after `within_s`.

        One that does not answer is replaced once a new one stands; else the heartbeat judges it. `trusted_fingerprint`
        is as for `connection`.
        """
        until_s = time.monotonic() + within_s
        if not self._connecting.acquire(timeout=within_s):
            raise ConnectionLostError(f"{self.spec.name} does not answer: it is being connected to for {within_s:g} s")
        try:
            with self._lock:
                current = self._connection
            if current is None or not current.is_alive:
                limits = None
            elif not isinstance(current, SshConnection) or current.answers(within_s * PROBE_SHARE):
                return current
            else:
                # Less than is left: hanging up takes its time as well.
                left_s = round(max(until_s - time.monotonic() - HANG_UP_S, 0.1), 1)
                limits = SshTimeouts(connect_s=left_s, banner_s=left_s)
            made = self._connect(trusted_fingerprint, limits)
            with self._lock:
                if not self._closed:
                    self._connection = made
        finally:
            self._connecting.release()
        if current is not None:
            current.close()
        if self._closed:
            made.close()
            raise AgentUnreachableError(f"{self.spec.name} was let go of")
        return made

    def route(self) -> Route | None:
        """Return the way there; None for a device on this machine. Raises SshConfigError."""
        address = self.spec.address
        return None if isinstance(address, LocalAddress) else self._files.ssh_config.route(address)

    def reached_as(self) -> str | None:
        """Say the way there where it is not what the person typed."""
        try:
            route = self.route()
        except AddressError:
            return None
        if route is None or (not route.jumps and f"ssh://{route}" == str(self.spec.address)):
            return None
        return str(route)

    def set_password(self, password: str) -> None:
        """Use this password from the next connection on."""
        credentials = replace(self.spec.credentials, password=password)
        self.spec = replace(self.spec, credentials=credentials, password_lost=False)

    def forget_host_keys(self, *, jump_hosts: bool) -> tuple[int, list[KnownKey]]:
        """Remove the device's keys (and those of its jump hosts) from the studio's own file.

        Return how many there were, and what other files still hold, which are not the studio's to change.
        """
        route = self.route()
        if route is None:
            return 0, []
        removed, left = 0, []
        for hop in route.hops if jump_hosts else (route.target,):
            keys = self._files.host_keys.beside(hop.known_hosts)
            removed += keys.forget(hop.address)
            left += keys.known(hop.address)
        self.drop()
        return removed, left

    def drop(self) -> None:
        """End the connection; whoever needs one makes another, and is asked about a host key that is not known."""
        with self._lock:
            current, self._connection = self._connection, None
        if current is not None:
            current.close()

    def close(self) -> None:
        """End the connection for good."""
        with self._lock:
            self._closed = True
            current, self._connection = self._connection, None
        if current is not None:
            current.close()

    def _connect(self, trusted_fingerprint: str | None, limits: SshTimeouts | None = None) -> DeviceConnection:
        spec = self.spec
        route = self.route()
        if route is None:
            return LocalConnection(self._files.local_devices / spec.name, spec.name)
        try:
            return connect_route(
                route,
                spec.credentials,
                self._files.host_keys,
                trusted_fingerprint=trusted_fingerprint,
                timeouts=limits,
            )
        except AuthFailedError as error:
            if not spec.password_lost or error.details.get("jump_host"):
                raise
            raise PasswordNeededError(
                f"{spec.name}: its password was kept in memory only, and is gone since the studio was restarted "
                f"({error.message})",
                device=spec.name,
                reason=error.details.get("reason"),
            ) from error
