"""Addresses and names of devices, as a person types them."""

import getpass
import ipaddress
import re
import socket
from collections.abc import Sequence
from dataclasses import dataclass

from partition_studio.fleet.errors import AddressError

DEFAULT_SSH_PORT = 22
RESERVED_NAMES = frozenset({"studio", "source", "sink"})

_DEVICE_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,62}")
_USER = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]{0,31}")
_ZONE = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,15}")
_HOST_LABEL = re.compile(r"[A-Za-z0-9_]([A-Za-z0-9_-]{0,61}[A-Za-z0-9_])?")
_SSH = re.compile(r"ssh://(?:(?P<user>[^@/]*)@)?(?P<host>\[[^\]]*\]|[^:/@\[\]]*)(?::(?P<port>[^/]*))?/?")

IpAddress = ipaddress.IPv4Address | ipaddress.IPv6Address

#: Beside 169.254.169.254, which is link-local.
_METADATA = frozenset({ipaddress.ip_address("fd00:ec2::254"), ipaddress.ip_address("100.100.100.200")})
_NAT64 = ipaddress.IPv6Network("64:ff9b::/96")
_THIS_NETWORK = ipaddress.IPv4Network("0.0.0.0/8")


@dataclass(frozen=True, slots=True)
class SshDestination:
    """A device as the person typed it. What is None is left to `~/.ssh/config`, where `host` may be an alias."""

    user: str | None
    host: str
    port: int | None = None

    def __str__(self) -> str:
        user = "" if self.user is None else f"{self.user}@"
        port = "" if self.port is None else f":{self.port}"
        return f"ssh://{user}{_bracketed(self.host)}{port}"


@dataclass(frozen=True, slots=True)
class SshAddress:
    """Where an SSH server is. `host` is a name or an IP address without brackets, in lower case.

    `key_alias` is the name of its host key where `~/.ssh/config` gives it another one than the host's (HostKeyAlias).
    """

    user: str
    host: str
    port: int = DEFAULT_SSH_PORT
    key_alias: str | None = None

    def __str__(self) -> str:
        return f"ssh://{self.short}"

    @property
    def short(self) -> str:
        """`user@host:port`, the port where it is not the usual one."""
        port = "" if self.port == DEFAULT_SSH_PORT else f":{self.port}"
        return f"{self.user}@{_bracketed(self.host)}{port}"

    @property
    def known_hosts_name(self) -> str:
        """The name under which OpenSSH files this host's key."""
        if self.key_alias is not None:
            return self.key_alias
        return self.host if self.port == DEFAULT_SSH_PORT else f"[{self.host}]:{self.port}"


@dataclass(frozen=True, slots=True)
class LocalAddress:
    """A device that is a process on the studio's own machine."""

    def __str__(self) -> str:
        return "local:"


Address = SshDestination | LocalAddress


def parse_device_name(text: str) -> str:
    """Return `text` when it can name a device.

    Raises AddressError.
    """
    if not _DEVICE_NAME.fullmatch(text):
        raise AddressError(
            f"{text[:80]!r} cannot name a device",
            next_step="Use up to 63 letters, digits, dots, dashes and underscores, beginning with a letter or digit.",
        )
    if text in RESERVED_NAMES:
        raise AddressError(
            f"The name {text!r} is taken by the studio itself", next_step="Give the device another name."
        )
    return text


def parse_address(text: str) -> Address:
    """Return what `ssh://[user@]host[:port]` or `local:` says.

    Raises AddressError that names the part at fault.
    """
    return LocalAddress() if text == "local:" else parse_destination(text)


def parse_destination(text: str) -> SshDestination:
    """Return what `ssh://[user@]host[:port]` says, and no more than it says.

    Raises AddressError that names the part at fault.
    """
    match = _SSH.fullmatch(text)
    if match is None:
        raise AddressError(f"{text[:120]!r} is no device address")
    return SshDestination(
        user=None if match["user"] is None else parse_user(match["user"], text),
        host=_parse_host(match["host"], text),
        port=None if match["port"] is None else parse_port(match["port"]),
    )


def present_user() -> str:
    """Return the name of whom the studio runs as: who logs in where nobody else is named."""
    return getpass.getuser()


def refusal_of_ip(ip: IpAddress) -> str | None:
    """Say why no device may have this address, or None when it may.

    Called again with what a name resolves to, so that a name cannot lead to where an address may not.
    """
    inner = _ipv4_within(ip)
    if inner is not None:
        return refusal_of_ip(inner)
    if ip in _METADATA:
        return "the metadata service of a cloud"
    if ip.is_unspecified:
        return "the unspecified address"
    if ip.is_multicast:
        return "a multicast address"
    if ip.is_link_local and zone_of(ip) is None:
        # Of IPv4, clouds keep their metadata there. Of IPv6 it means nothing without the interface that leads there.
        return "a link-local address" + ("" if ip.version == 4 else " without its interface (fe80::1%eth0)")
    if ip == ipaddress.IPv4Address("255.255.255.255"):
        return "the broadcast address"
    if isinstance(ip, ipaddress.IPv4Address) and (ip in _THIS_NETWORK or ip.is_reserved):
        return "a reserved address"
    return None


def ip_text(sockaddr: Sequence[object]) -> str:
    """Return the IP address of a socket's address as it is written, a link-local one of IPv6 with its interface."""
    host = str(sockaddr[0]).partition("%")[0]
    scope = sockaddr[3] if len(sockaddr) > 3 else 0
    if not isinstance(scope, int) or scope == 0:
        return host
    try:
        return f"{host}%{socket.if_indextoname(scope)}"
    except OSError:
        return f"{host}%{scope}"


def zone_of(ip: IpAddress) -> str | None:
    """Return the interface that a link-local IPv6 address is on, as it says."""
    return ip.scope_id if isinstance(ip, ipaddress.IPv6Address) and ip.is_link_local else None


def _ipv4_within(ip: IpAddress) -> ipaddress.IPv4Address | None:
    """Return the IPv4 address that this IPv6 address leads to: mapped, by 6to4 or by NAT64."""
    if isinstance(ip, ipaddress.IPv4Address):
        return None
    if ip in _NAT64:
        return ipaddress.IPv4Address(int(ip) & 0xFFFFFFFF)
    return ip.ipv4_mapped or ip.sixtofour


def _bracketed(host: str) -> str:
    return f"[{host}]" if ":" in host else host


def parse_user(user: str, text: str) -> str:
    """Return `user`, found in `text`, when it can log in. Raises AddressError."""
    if not _USER.fullmatch(user):
        raise AddressError(f"The user {user[:80]!r} in {text[:120]!r} cannot be used")
    return user


def _parse_host(host: str, text: str) -> str:
    if host.startswith("["):
        return _checked_ip(host[1:-1], text)
    labels = host.removesuffix(".").split(".")
    if len(host) > 253 or not all(_HOST_LABEL.fullmatch(label) for label in labels):
        raise AddressError(f"The host {host[:80]!r} in {text[:120]!r} cannot be used")
    if labels[-1].isdigit():
        # Resolvers read 2130706433, 0177.1 and the like as addresses: only the plain form may pass.
        return _checked_ip(host, text)
    return host


def _checked_ip(host: str, text: str) -> str:
    try:
        ip = ipaddress.ip_address(host)
    except ValueError:
        raise AddressError(f"{host[:80]!r} in {text[:120]!r} is no IP address") from None
    if isinstance(ip, ipaddress.IPv6Address) and ip.scope_id is not None:
        if not ip.is_link_local:
            raise AddressError(f"The address {host[:80]!r} carries a zone, which only a link-local one has")
        if not _ZONE.fullmatch(ip.scope_id):
            raise AddressError(f"The zone of {host[:80]!r} is no interface's name")
    refusal = refusal_of_ip(ip)
    if refusal is not None:
        raise AddressError(f"{host!r} is {refusal}: no device can have it")
    return str(ip)


def parse_port(port: str) -> int:
    """Return the port that a text says. Raises AddressError."""
    if not (port.isascii() and port.isdigit() and len(port) <= 5 and 1 <= int(port) <= 65535):
        raise AddressError(f"The port {port[:20]!r} is not a number from 1 to 65535")
    return int(port)
