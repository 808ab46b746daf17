"""A device reached by SSH: one verified connection, with a channel for each command, upload and stream."""

import ipaddress
import logging
import shlex
import socket
import threading
import time
from collections.abc import Sequence
from typing import Any, BinaryIO

import paramiko
from paramiko.ssh_exception import SSHException

from partition_studio.errors import DeviceError
from partition_studio.fleet.address import SshAddress, ip_text, refusal_of_ip
from partition_studio.fleet.connection import BytesProgress, Completed, checked_remote_path
from partition_studio.fleet.errors import ConnectionLostError, at_jump_host
from partition_studio.fleet.progress import CancelCheck
from partition_studio.fleet.ssh import channel as ssh_channel
from partition_studio.fleet.ssh.auth import SshCredentials, authenticate
from partition_studio.fleet.ssh.config import Hop, Route
from partition_studio.fleet.ssh.forwarding import Forwarding
from partition_studio.fleet.ssh.greeting import SshTimeouts, greet, hang_up, presented_key
from partition_studio.fleet.ssh.hostkeys import Confirmation, HostKey, HostKeys
from partition_studio.fleet.ssh.sftp_offer import offers_sftp
from partition_studio.fleet.ssh.upload import Parcel, upload
from partition_studio.fleet.stream import LOOPBACK, ByteStream, Listening, StreamCallback
from partition_studio.fleet.text import clean_text

__all__ = ["SshConnection", "SshTimeouts", "connect_route", "connect_ssh", "fetch_host_key", "trust_host_key"]

logger = logging.getLogger(__name__)


class SshConnection:
    """An SSH connection whose host key was verified and whose user is logged in; a `DeviceConnection`."""

    def __init__(
        self,
        address: SshAddress,
        transport: paramiko.Transport,
        timeouts: SshTimeouts,
        jumps: Sequence[paramiko.Transport] = (),
    ) -> None:
        """Take hold of a transport, and of those of the jump hosts that carry it."""
        self._address = address
        self._transport = transport
        self._jumps = tuple(jumps)
        self._timeouts = timeouts
        self._closing = threading.Event()
        self._has_ended = False
        self._last_sign_s = time.monotonic()
        self._last_upload_s = float("-inf")
        #: A transport keeps one answer to a global request: whoever asks waits for his own.
        self._asking = threading.Lock()
        self._forwarding = Forwarding(
            transport, str(address), timeouts.channel_s, self._ask, self._lost, self._note_sign
        )
        self._peer_ip = _ip_of(ip_text(transport.getpeername()))
        self._own_ip = self._ask_own_ip()
        self._heartbeat = threading.Thread(target=self._watch, name=f"heartbeat {address}", daemon=True)
        self._heartbeat.start()

    @property
    def label(self) -> str:
        """The device's address, for messages."""
        return str(self._address)

    @property
    def peer_ip(self) -> str:
        """The IP address that the studio connected to."""
        return self._peer_ip

    @property
    def own_ip(self) -> str:
        """The device's own address on this connection."""
        return self._own_ip

    @property
    def is_alive(self) -> bool:
        """Whether the connection still stands, as far as is known."""
        # paramiko tells its channels of an end before it counts as one: whoever tries again at once needs to know.
        ended = self._closing.is_set() or self._has_ended or self._transport.saved_exception is not None
        return not ended and self._transport.is_active()

    def answers(self, within_s: float) -> bool:
        """Return whether the device answers over this connection; an upload that moves is an answer."""
        if time.monotonic() - self._last_upload_s < within_s:
            return True
        try:
            self._transport.open_session(timeout=within_s).close()
        except (SSHException, EOFError, OSError):
            return False
        return True

    def run(self, argv: Sequence[str], *, stdin: bytes = b"", timeout_s: float) -> Completed:
        """Run a command; see `DeviceConnection.run`."""
        command = shlex.join(argv)
        with self._session(command) as channel:
            return ssh_channel.communicate(channel, self.label, argv[0], stdin, timeout_s)

    def upload(
        self,
        source: BinaryIO | bytes,
        size: int,
        remote_path: str,
        *,
        sha256: str,
        progress: BytesProgress,
        cancelled: CancelCheck,
    ) -> bool:
        """Put a file; see `DeviceConnection.upload`."""

        def report(done_bytes: int) -> None:
            self._last_sign_s = self._last_upload_s = time.monotonic()
            progress(done_bytes)

        path = checked_remote_path(remote_path, self.label)
        return upload(self._transport, self._session, self.label, Parcel(path, size, sha256), source, report, cancelled)

    def offers_sftp(self) -> bool | None:
        """Return whether the device has an SFTP server; None where it does not say."""
        return offers_sftp(self._transport)

    def open_stream(self, port: int) -> socket.socket:
        """Return a connected socket to a port of the device; see `DeviceConnection.open_stream`."""
        channel = self._forwarding.channel(LOOPBACK, port)
        return ssh_channel.bridge(channel, f"{self.label} port {port}")

    def open_pipe(self, host: str, port: int) -> ByteStream:
        """Return a stream to what the device reaches; see `DeviceConnection.open_pipe`."""
        return self._forwarding.open(host, port)

    def listen(self, on_stream: StreamCallback, port: int = 0) -> Listening:
        """Listen on the device's loopback address; see `DeviceConnection.listen`."""
        return self._forwarding.listen(on_stream, port)

    def close(self) -> None:
        """End the connection and every stream of it."""
        self._closing.set()
        self._hang_up()
        if threading.current_thread() is not self._heartbeat:
            self._heartbeat.join(timeout=5)

    def _session(self, command: str) -> paramiko.Channel:
        try:
            channel = self._transport.open_session(timeout=self._timeouts.channel_s)
            channel.settimeout(self._timeouts.channel_s)
            channel.exec_command(command.encode())
        except (SSHException, EOFError, OSError) as error:
            # What the transport ended with is handed out once, and is known nowhere else until it counts as ended.
            self._has_ended |= isinstance(error, (EOFError, OSError)) and not isinstance(error, TimeoutError)
            raise self._lost(error) from error
        return channel

    def _lost(self, error: BaseException) -> ConnectionLostError:
        reason = clean_text(str(error), limit=200) or type(error).__name__
        return ConnectionLostError(f"The connection to {self.label} is lost ({reason})", address=self.label)

    def _ask_own_ip(self) -> str:
        answer = self.run(["sh", "-c", 'echo "ssh-connection: $SSH_CONNECTION"'], timeout_s=self._timeouts.auth_s)
        for line in answer.stdout.decode("ascii", errors="replace").splitlines():
            words = line.split()
            if len(words) == 5 and words[0] == "ssh-connection:":
                try:
                    claimed = _ip_of(words[3])
                except ValueError:
                    break
                # The studio and every peer connect to what is returned: no device sends them where none may be.
                ip = ipaddress.ip_address(claimed)
                if ip.is_link_local and not ipaddress.ip_address(self._peer_ip).is_link_local:
                    break
                if refusal_of_ip(ip) is None:
                    return claimed
        return self._peer_ip

    def _watch(self) -> None:
        """Ask for a sign of life every few seconds, and hang up when it does not come.

        paramiko's own keepalive ignores the answers, so it never notices a device that froze with its connection open.
        """
        while not self._closing.wait(self._timeouts.ping_interval_s) and self._transport.is_active():
            try:
                self._ask("keepalive@openssh.com")
            except (SSHException, EOFError, OSError):
                return

    def _ask(self, kind: str, data: tuple[Any, ...] | None = None) -> paramiko.Message | None:
        """Return the answer to a global request, None for a refusal; hang up when none comes in time."""
        with self._asking:
            answered = threading.Event()
            self._note_sign()
            guard = threading.Thread(target=self._guard, args=(answered,), name=f"guard {self._address}", daemon=True)
            guard.start()
            try:
                return self._transport.global_request(kind, data, wait=True)
            finally:
                answered.set()

    def _note_sign(self) -> None:
        """Note that the device has shown that it lives."""
        self._last_sign_s = time.monotonic()

    def _guard(self, answered: threading.Event) -> None:
        """Hang up unless an answer comes in time; bytes that go over hold answers up, and are a sign of life."""
        while (left_s := self._last_sign_s + self._timeouts.ping_deadline_s - time.monotonic()) > 0:
            if answered.wait(left_s):
                return
        logger.warning("device_froze", extra={"address": self.label, "silent_s": self._timeouts.ping_deadline_s})
        self._hang_up()

    def _hang_up(self) -> None:
        # The jump hosts from the outside in: what hangs is then cut off with its carrier, not waited for.
        for transport in (*self._jumps, self._transport):
            hang_up(transport)


def connect_ssh(
    address: SshAddress, credentials: SshCredentials, host_keys: HostKeys, timeouts: SshTimeouts | None = None
) -> SshConnection:
    """Connect to a device, verify its host key, log in.

    Raises UnreachableError, NoBannerError, SshIncompatibleError, UnknownHostKeyError, ChangedHostKeyError,
    AuthFailedError or ConnectionLostError.
    """
    return connect_route(Route((), Hop(address)), credentials, host_keys, timeouts=timeouts)


def connect_route(
    route: Route,
    credentials: SshCredentials,
    host_keys: HostKeys,
    *,
    trusted_fingerprint: str | None = None,
    timeouts: SshTimeouts | None = None,
) -> SshConnection:
    """Connect to a device through its jump hosts; every host key on the way is verified before anything is said.

    `trusted_fingerprint` is what the person has confirmed of one host on the way: see `Confirmation`.
    Raises what `connect_ssh` raises; what happened at a jump host says so and has its address in `details`.
    """
    limits = timeouts or SshTimeouts()
    confirmed = None if trusted_fingerprint is None else Confirmation(trusted_fingerprint)
    transports: list[paramiko.Transport] = []
    try:
        for hop in route.hops:
            is_target = hop is route.target
            try:
                carrier = transports[-1] if transports else None
                transports.append(_log_in(hop, carrier, is_target, credentials, host_keys, confirmed, limits))
            except DeviceError as error:
                if not is_target:
                    at_jump_host(error, hop.address, route.target.address)
                raise
        return SshConnection(route.target.address, transports[-1], limits, transports[:-1])
    except BaseException:
        for transport in transports:
            hang_up(transport)
        raise


def _log_in(
    hop: Hop,
    carrier: paramiko.Transport | None,
    is_target: bool,
    credentials: SshCredentials,
    host_keys: HostKeys,
    confirmed: Confirmation | None,
    timeouts: SshTimeouts,
) -> paramiko.Transport:
    keys = host_keys.beside(hop.known_hosts)
    transport = greet(hop.address, keys, timeouts, carrier)
    try:
        presented = presented_key(transport, hop.address)
        if confirmed is None:
            keys.verify(hop.address, presented)
        else:
            confirmed.verify(keys, hop.address, presented, is_jump_host=not is_target)
        authenticate(
            transport,
            hop.address,
            (credentials if is_target else credentials.for_jump_host()).with_identities(
                hop.key_files, only=hop.identities_only
            ),
        )
    except BaseException:
        hang_up(transport)
        raise
    return transport


def fetch_host_key(address: SshAddress, host_keys: HostKeys, timeouts: SshTimeouts | None = None) -> HostKey:
    """Return the key that the device shows, without logging in.

    Raises UnreachableError, NoBannerError or SshIncompatibleError.
    """
    transport = greet(address, host_keys, timeouts or SshTimeouts())
    try:
        return presented_key(transport, address)
    finally:
        hang_up(transport)


def trust_host_key(
    address: SshAddress, fingerprint: str, host_keys: HostKeys, timeouts: SshTimeouts | None = None
) -> HostKey:
    """Ask the device for its key and file it, when it has the fingerprint that the person confirmed.

    Raises ChangedHostKeyError when it has another one, and what `fetch_host_key` raises.
    """
    presented = fetch_host_key(address, host_keys, timeouts)
    host_keys.trust(address, presented, fingerprint)
    return presented


def _ip_of(text: str) -> str:
    """Return an IP address, a link-local one with its zone, any other without; an IPv4-mapped one as IPv4.

    Raises ValueError.
    """
    ip = ipaddress.ip_address(text)
    mapped = ip.ipv4_mapped if isinstance(ip, ipaddress.IPv6Address) else None
    if mapped is not None:
        return str(mapped)
    return str(ip) if ip.is_link_local else text.split("%")[0]
