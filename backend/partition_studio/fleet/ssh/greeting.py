"""The way to an SSH server: a TCP connection or a jump host's channel, the greeting, the exchange of keys."""

import errno
import ipaddress
import logging
import socket
import threading
import time
from dataclasses import dataclass

import paramiko
from paramiko.ssh_exception import ChannelException, IncompatiblePeer, SSHException

from partition_studio.fleet.address import SshAddress, ip_text, refusal_of_ip
from partition_studio.fleet.errors import (
    ConnectionLostError,
    ForbiddenAddressError,
    NoBannerError,
    SshIncompatibleError,
    UnreachableError,
)
from partition_studio.fleet.ssh.hostkeys import HostKey, HostKeys
from partition_studio.fleet.ssh.transport import OrderedTransport
from partition_studio.fleet.text import clean_text

#: paramiko logs with a traceback what it also raises; what it raises is translated here, so its log stays out of ours.
_PARAMIKO_LOG = f"{__name__}.paramiko"

#: How often it is looked whether the server has greeted.
_LOOK_S = 0.05

#: What waits in the system's queue to be sent. Frames and uploads share the connection with what the agent is asked: on
#: a slow link a queue of megabytes would hold that up until the device is taken for gone.
_UNSENT_BYTES = 256 * 1024

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


def greet(
    address: SshAddress, host_keys: HostKeys, timeouts: SshTimeouts, carrier: paramiko.Transport | None = None
) -> paramiko.Transport:
    """Return a transport whose keys were exchanged; nothing is proven by then. `carrier` is the jump host's.

    Raises UnreachableError, NoBannerError, SshIncompatibleError, ForbiddenAddressError or ConnectionLostError.
    """
    sock = _connect_tcp(address, timeouts) if carrier is None else _open_channel(carrier, address, timeouts)
    try:
        transport = OrderedTransport(sock)
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
        _exchange_keys(transport, timeouts)
    except IncompatiblePeer as error:
        hang_up(transport)
        raise SshIncompatibleError(
            f"{address}: no algorithm in common with its SSH server ({clean_text(str(error), limit=200)})"
        ) from error
    except (SSHException, EOFError, OSError) as error:
        greeted = transport.remote_version.startswith("SSH-")
        hang_up(transport)
        reason = clean_text(str(error), limit=200) or type(error).__name__
        if greeted:
            raise ConnectionLostError(f"{address} hung up during the key exchange ({reason})") from error
        raise NoBannerError(f"{address} takes the connection, but no SSH server greets ({reason})") from error
    return transport


def _exchange_keys(transport: paramiko.Transport, timeouts: SshTimeouts) -> None:
    """Begin to speak. A greeting that comes drop by drop is none: paramiko would wait for each drop anew."""
    done = threading.Event()
    begun_s = time.monotonic()
    transport.start_client(event=done)
    while not done.wait(_LOOK_S):
        waited_s = time.monotonic() - begun_s
        if not transport.is_active():
            break
        if not transport.remote_version and waited_s > timeouts.banner_s:
            raise SSHException(f"no greeting within {timeouts.banner_s:g} s")
        if waited_s > timeouts.banner_s + timeouts.handshake_s:
            break
    error = transport.get_exception()
    if error is not None:
        raise error
    if not transport.is_active() or not transport.initial_kex_done:
        raise SSHException("the key exchange did not end in time")


def _key_types(address: SshAddress, host_keys: HostKeys) -> tuple[str, ...]:
    """Put the types of the known keys first: else a server's new type looks like a changed key."""
    known = {entry.key.key_type for entry in host_keys.known(address) if not entry.revoked}
    if "ssh-rsa" in known:
        known |= {"rsa-sha2-512", "rsa-sha2-256"}
    return tuple(sorted(_KEY_TYPES, key=lambda key_type: key_type not in known))


def presented_key(transport: paramiko.Transport, address: SshAddress) -> HostKey:
    """Return the host key that the server has proven to own. Raises ConnectionLostError."""
    try:
        key = transport.get_remote_server_key()
    except SSHException as error:
        raise ConnectionLostError(f"{address} hung up after the key exchange") from error
    return HostKey(key.get_name(), key.asbytes())


def _open_channel(carrier: paramiko.Transport, address: SshAddress, timeouts: SshTimeouts) -> paramiko.Channel:
    """Return a way through a jump host to the next server."""
    try:
        channel = carrier.open_channel(
            "direct-tcpip", (address.host, address.port), ("127.0.0.1", 0), timeout=timeouts.channel_s
        )
    except ChannelException as error:
        said = clean_text(error.text, limit=200)
        raise UnreachableError(
            f"{address}: the jump host does not reach it ({said or f'refusal {error.code}'})", reason="beyond_jump_host"
        ) from error
    except (SSHException, EOFError, OSError) as error:
        reason = clean_text(str(error), limit=200) or type(error).__name__
        raise ConnectionLostError(f"{address}: the jump host does not open a way to it ({reason})") from error
    # As the transport expects of a socket: it asks again and again whether something came.
    channel.settimeout(timeouts.connect_s)
    return channel


def _connect_tcp(address: SshAddress, timeouts: SshTimeouts) -> socket.socket:
    """Return a TCP connection to the first address that takes it, with the system's own watch over dead peers."""
    try:
        found = socket.getaddrinfo(address.host, address.port, type=socket.SOCK_STREAM)
    except OSError as error:
        raise UnreachableError(
            f"{address}: the name {address.host!r} is unknown ({error.strerror})", reason="name_unknown"
        ) from error
    allowed = [entry for entry in found if refusal_of_ip(ipaddress.ip_address(ip_text(entry[4]))) is None]
    if not allowed:
        ip = ipaddress.ip_address(ip_text(found[0][4]))
        raise ForbiddenAddressError(f"{address} leads to {ip}, {refusal_of_ip(ip)}: no device can have it")
    deadline = time.monotonic() + timeouts.connect_s
    failure: OSError | None = None
    for tried, (family, kind, protocol, _, sockaddr) in enumerate(allowed):
        sock = socket.socket(family, kind, protocol)
        try:
            # One address that does not answer leaves time for the others.
            left_s = (deadline - time.monotonic()) / (len(allowed) - tried)
            sock.settimeout(max(0.1, left_s))
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, int(timeouts.ping_deadline_s * 1000))
            if (unsent := getattr(socket, "TCP_NOTSENT_LOWAT", None)) is not None:
                sock.setsockopt(socket.IPPROTO_TCP, unsent, _UNSENT_BYTES)
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


def hang_up(transport: paramiko.Transport) -> None:
    """End a transport, whatever hangs."""
    transport.close()
    # The transport's thread closes the socket as well, but only when it wakes up: close it now, whatever hangs.
    transport.sock.close()
    if transport.is_alive() and threading.current_thread() is not transport:
        transport.join(timeout=2)
