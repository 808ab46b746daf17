"""A device reached by SSH: one verified connection, with a channel for each command, upload and stream."""

import errno
import ipaddress
import logging
import shlex
import socket
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import BinaryIO

import paramiko
from paramiko.ssh_exception import ChannelException, IncompatiblePeer, SSHException

from partition_studio.fleet import ssh_channel
from partition_studio.fleet.address import SshAddress, refusal_of_ip
from partition_studio.fleet.connection import BytesProgress, Completed, checked_remote_path
from partition_studio.fleet.errors import (
    AddressError,
    AgentUnreachableError,
    ConnectionLostError,
    NoBannerError,
    SshIncompatibleError,
    UnreachableError,
)
from partition_studio.fleet.hostkeys import HostKey, HostKeys
from partition_studio.fleet.progress import CancelCheck
from partition_studio.fleet.ssh_auth import SshCredentials, authenticate
from partition_studio.fleet.text import clean_text

logger = logging.getLogger(__name__)

#: paramiko logs with a traceback what it also raises; what it raises is translated here, so its log stays out of ours.
_PARAMIKO_LOG = f"{__name__}.paramiko"

_CIPHERS = ("aes128-gcm@openssh.com", "aes256-gcm@openssh.com", "aes128-ctr", "aes192-ctr", "aes256-ctr")
_KEY_TYPES = (
    "ssh-ed25519",
    "ecdsa-sha2-nistp256",
    "ecdsa-sha2-nistp384",
    "ecdsa-sha2-nistp521",
    "rsa-sha2-512",
    "rsa-sha2-256",
)


@dataclass(frozen=True, slots=True)
class SshTimeouts:
    """How long each step may take. A device that takes connections but hangs is noticed after `banner_s`."""

    connect_s: float = 5.0
    banner_s: float = 4.0
    handshake_s: float = 10.0
    auth_s: float = 15.0
    channel_s: float = 10.0
    ping_interval_s: float = 5.0
    ping_deadline_s: float = 15.0


class SshConnection:
    """An SSH connection whose host key was verified and whose user is logged in; a `DeviceConnection`."""

    def __init__(self, address: SshAddress, transport: paramiko.Transport, timeouts: SshTimeouts) -> None:
        self._address = address
        self._transport = transport
        self._timeouts = timeouts
        self._closing = threading.Event()
        self._last_sign_s = time.monotonic()
        self._peer_ip = _ip_of(transport.getpeername()[0])
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
        return not self._closing.is_set() and self._transport.is_active()

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
            self._last_sign_s = time.monotonic()
            progress(done_bytes)

        path = checked_remote_path(remote_path, self.label)
        with self._session(ssh_channel.upload_command(path, sha256, size)) as channel:
            upload = ssh_channel.Upload(channel, self.label, path, size, sha256)
            return upload.send(source, report, cancelled)

    def open_stream(self, port: int) -> socket.socket:
        """Return a connected socket to a port of the device; see `DeviceConnection.open_stream`."""
        try:
            channel = self._transport.open_channel(
                "direct-tcpip", ("127.0.0.1", port), ("127.0.0.1", 0), timeout=self._timeouts.channel_s
            )
        except ChannelException as error:
            raise AgentUnreachableError(
                f"{self.label}: nothing answers on its port {port} ({clean_text(error.text, limit=200)})", port=port
            ) from error
        except (SSHException, EOFError, OSError) as error:
            raise self._lost(error) from error
        return ssh_channel.bridge(channel, f"{self.label} port {port}")

    def close(self) -> None:
        """End the connection and every stream of it."""
        self._closing.set()
        _hang_up(self._transport)
        if threading.current_thread() is not self._heartbeat:
            self._heartbeat.join(timeout=5)

    def _session(self, command: str) -> paramiko.Channel:
        try:
            channel = self._transport.open_session(timeout=self._timeouts.channel_s)
            channel.settimeout(self._timeouts.channel_s)
            channel.exec_command(command.encode())
        except (SSHException, EOFError, OSError) as error:
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
                    return _ip_of(words[3])
                except ValueError:
                    break
        return self._peer_ip

    def _watch(self) -> None:
        """Ask for a sign of life every few seconds, and hang up when it does not come.

        paramiko's own keepalive ignores the answers, so it never notices a device that froze with its connection open.
        """
        while not self._closing.wait(self._timeouts.ping_interval_s) and self._transport.is_active():
            answered = threading.Event()
            self._last_sign_s = time.monotonic()
            guard = threading.Thread(target=self._guard, args=(answered,), name=f"guard {self._address}", daemon=True)
            guard.start()
            try:
                self._transport.global_request("keepalive@openssh.com", wait=True)
            except (SSHException, EOFError, OSError):
                return
            finally:
                answered.set()

    def _guard(self, answered: threading.Event) -> None:
        """Hang up unless an answer comes in time; an upload that moves holds answers up, and is a sign of life."""
        while (left_s := self._last_sign_s + self._timeouts.ping_deadline_s - time.monotonic()) > 0:
            if answered.wait(left_s):
                return
        logger.warning("device_froze", extra={"address": self.label, "silent_s": self._timeouts.ping_deadline_s})
        _hang_up(self._transport)


def connect_ssh(
    address: SshAddress, credentials: SshCredentials, host_keys: HostKeys, timeouts: SshTimeouts | None = None
) -> SshConnection:
    """Connect to a device, verify its host key, log in.

    Raises UnreachableError, NoBannerError, SshIncompatibleError, UnknownHostKeyError, ChangedHostKeyError,
    AuthFailedError or ConnectionLostError.
    """
    limits = timeouts or SshTimeouts()
    transport = _greet(address, host_keys, limits)
    try:
        host_keys.verify(address, _presented(transport, address))
        authenticate(transport, address, credentials)
        return SshConnection(address, transport, limits)
    except BaseException:
        _hang_up(transport)
        raise


def fetch_host_key(address: SshAddress, host_keys: HostKeys, timeouts: SshTimeouts | None = None) -> HostKey:
    """Return the key that the device shows, without logging in.

    Raises UnreachableError, NoBannerError or SshIncompatibleError.
    """
    transport = _greet(address, host_keys, timeouts or SshTimeouts())
    try:
        return _presented(transport, address)
    finally:
        _hang_up(transport)


def trust_host_key(
    address: SshAddress, fingerprint: str, host_keys: HostKeys, timeouts: SshTimeouts | None = None
) -> HostKey:
    """Ask the device for its key and file it, when it has the fingerprint that the person confirmed.

    Raises ChangedHostKeyError when it has another one, and what `fetch_host_key` raises.
    """
    presented = fetch_host_key(address, host_keys, timeouts)
    host_keys.trust(address, presented, fingerprint)
    return presented


def _greet(address: SshAddress, host_keys: HostKeys, timeouts: SshTimeouts) -> paramiko.Transport:
    """Return a transport whose keys were exchanged."""
    sock = _connect_tcp(address, timeouts)
    try:
        transport = paramiko.Transport(sock)
    except BaseException:
        sock.close()
        raise
    logging.getLogger(_PARAMIKO_LOG).setLevel(logging.CRITICAL + 1)
    transport.set_log_channel(_PARAMIKO_LOG)
    transport.daemon = True
    transport.banner_timeout = timeouts.banner_s
    transport.handshake_timeout = timeouts.handshake_s
    transport.auth_timeout = timeouts.auth_s
    transport.channel_timeout = timeouts.channel_s
    options = transport.get_security_options()
    options.ciphers = _CIPHERS
    options.key_types = _key_types(address, host_keys)
    options.compression = ("none",)
    try:
        transport.start_client(timeout=timeouts.banner_s + timeouts.handshake_s)
        if not transport.initial_kex_done:
            raise SSHException("the key exchange did not end in time")
    except IncompatiblePeer as error:
        _hang_up(transport)
        raise SshIncompatibleError(
            f"{address}: no algorithm in common with its SSH server ({clean_text(str(error), limit=200)})"
        ) from error
    except (SSHException, EOFError, OSError) as error:
        greeted = bool(transport.remote_version)
        _hang_up(transport)
        reason = clean_text(str(error), limit=200) or type(error).__name__
        if greeted and transport.remote_version.startswith("SSH-"):
            raise ConnectionLostError(f"{address} hung up during the key exchange ({reason})") from error
        raise NoBannerError(f"{address} takes the connection, but no SSH server greets ({reason})") from error
    return transport


def _key_types(address: SshAddress, host_keys: HostKeys) -> tuple[str, ...]:
    """Put the types of the known keys first: else a server's new type looks like a changed key."""
    known = {entry.key.key_type for entry in host_keys.known(address) if not entry.revoked}
    if "ssh-rsa" in known:
        known |= {"rsa-sha2-512", "rsa-sha2-256"}
    return tuple(sorted(_KEY_TYPES, key=lambda key_type: key_type not in known))


def _presented(transport: paramiko.Transport, address: SshAddress) -> HostKey:
    try:
        key = transport.get_remote_server_key()
    except SSHException as error:
        raise ConnectionLostError(f"{address} hung up after the key exchange") from error
    return HostKey(key.get_name(), key.asbytes())


def _connect_tcp(address: SshAddress, timeouts: SshTimeouts) -> socket.socket:
    """Return a TCP connection to the first address that takes it, with the system's own watch over dead peers."""
    try:
        found = socket.getaddrinfo(address.host, address.port, type=socket.SOCK_STREAM)
    except OSError as error:
        raise UnreachableError(
            f"{address}: the name {address.host!r} is unknown ({error.strerror})", reason="name_unknown"
        ) from error
    deadline = time.monotonic() + timeouts.connect_s
    failure: OSError | None = None
    for family, kind, protocol, _, sockaddr in found:
        ip = ipaddress.ip_address(str(sockaddr[0]))
        refusal = refusal_of_ip(ip)
        if refusal is not None:
            raise AddressError(f"{address} leads to {ip}, {refusal}: no device can have it")
        sock = socket.socket(family, kind, protocol)
        try:
            sock.settimeout(max(0.1, deadline - time.monotonic()))
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, int(timeouts.ping_deadline_s * 1000))
            sock.connect(sockaddr)
        except OSError as error:
            sock.close()
            failure = error
        else:
            return sock
    raise _unreachable(address, failure, timeouts) from failure


def _unreachable(address: SshAddress, failure: OSError | None, timeouts: SshTimeouts) -> UnreachableError:
    if isinstance(failure, ConnectionRefusedError):
        return UnreachableError(f"{address}: nothing listens on port {address.port}", reason="refused")
    if isinstance(failure, TimeoutError):
        return UnreachableError(f"{address} did not answer within {timeouts.connect_s:g} s", reason="timeout")
    if failure is not None and failure.errno in {errno.EHOSTUNREACH, errno.ENETUNREACH}:
        return UnreachableError(f"{address}: there is no route to it", reason="no_route")
    return UnreachableError(f"{address} cannot be reached ({failure})", reason="other")


def _hang_up(transport: paramiko.Transport) -> None:
    transport.close()
    # The transport's thread closes the socket as well, but only when it wakes up: close it now, whatever hangs.
    transport.sock.close()
    if transport.is_alive() and threading.current_thread() is not transport:
        transport.join(timeout=2)


def _ip_of(text: str) -> str:
    """Return an IP address without zone, an IPv4-mapped one as IPv4.

    Raises ValueError.
    """
    ip = ipaddress.ip_address(text.split("%")[0])
    mapped = ip.ipv4_mapped if isinstance(ip, ipaddress.IPv6Address) else None
    return str(mapped or ip)
