"""Addresses and names of devices, as a person types them."""

import getpass
import ipaddress
import re
from dataclasses import dataclass

from partition_studio.fleet.errors import AddressError

DEFAULT_SSH_PORT = 22
RESERVED_NAMES = frozenset({"studio", "source", "sink"})

_DEVICE_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,62}")
_USER = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]{0,31}")
_HOST_LABEL = re.compile(r"[A-Za-z0-9_]([A-Za-z0-9_-]{0,61}[A-Za-z0-9_])?")
_SSH = re.compile(r"ssh://(?:(?P<user>[^@/]*)@)?(?P<host>\[[^\]]*\]|[^:/@\[\]]*)(?::(?P<port>[^/]*))?/?")

IpAddress = ipaddress.IPv4Address | ipaddress.IPv6Address


@dataclass(frozen=True, slots=True)
class SshAddress:
    """A device that is reached by SSH. `host` is a name or an IP address without brackets, in lower case."""

    user: str
    host: str
    port: int = DEFAULT_SSH_PORT

    def __str__(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        port = "" if self.port == DEFAULT_SSH_PORT else f":{self.port}"
        return f"ssh://{self.user}@{host}{port}"

    @property
    def known_hosts_name(self) -> str:
        """The name under which OpenSSH files this host's key."""
        return self.host if self.port == DEFAULT_SSH_PORT else f"[{self.host}]:{self.port}"


@dataclass(frozen=True, slots=True)
class LocalAddress:
    """A device that is a process on the studio's own machine."""

    def __str__(self) -> str:
        return "local:"


Address = SshAddress | LocalAddress


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
    """Return what `ssh://[user@]host[:port]` or `local:` says; without a user, the present one.

    Raises AddressError that names the part at fault.
    """
    if text == "local:":
        return LocalAddress()
    match = _SSH.fullmatch(text)
    if match is None:
        raise AddressError(f"{text[:120]!r} is no device address")
    return SshAddress(
        user=_parse_user(match["user"], text), host=_parse_host(match["host"], text), port=_parse_port(match["port"])
    )


def refusal_of_ip(ip: IpAddress) -> str | None:
    """Say why no device may have this address, or None when it may.

    Called again with what a name resolves to, so that a name cannot lead to where an address may not.
    """
    mapped = ip.ipv4_mapped if isinstance(ip, ipaddress.IPv6Address) else None
    if mapped is not None:
        return refusal_of_ip(mapped)
    if ip.is_unspecified:
        return "the unspecified address"
    if ip.is_multicast:
        return "a multicast address"
    if ip.is_link_local:
        return "a link-local address"
    if ip == ipaddress.IPv4Address("255.255.255.255"):
        return "the broadcast address"
    return None


def _parse_user(user: str | None, text: str) -> str:
    if user is None:
        return getpass.getuser()
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
    return host.lower()


def _checked_ip(host: str, text: str) -> str:
    try:
        ip = ipaddress.ip_address(host)
    except ValueError:
        raise AddressError(f"{host[:80]!r} in {text[:120]!r} is no IP address") from None
    if isinstance(ip, ipaddress.IPv6Address) and ip.scope_id is not None:
        raise AddressError(f"The address {host[:80]!r} carries a zone; give one without")
    refusal = refusal_of_ip(ip)
    if refusal is not None:
        raise AddressError(f"{host!r} is {refusal}: no device can have it")
    return str(ip)


def _parse_port(port: str | None) -> int:
    if port is None:
        return DEFAULT_SSH_PORT
    if not (port.isascii() and port.isdigit() and len(port) <= 5 and 1 <= int(port) <= 65535):
        raise AddressError(f"The port {port[:20]!r} is not a number from 1 to 65535")
    return int(port)
