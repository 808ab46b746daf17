"""Where each device's data socket binds, and where its peers find it."""

import ipaddress
import socket
from collections.abc import Mapping
from typing import Protocol

from partition_studio.fleet.address import ip_text

LOOPBACK = "127.0.0.1"


class HasAddresses(Protocol):
    """What is needed of a device here. A link-local address of IPv6 carries its zone, `fe80::1%eth0`."""

    @property
    def is_local(self) -> bool:
        """Whether it is a process on the studio's own machine."""

    @property
    def data_host(self) -> str:
        """The address by which its peers reach it; a link-local one with the zone that it has on the device."""

    @property
    def studio_host(self) -> str:
        """The address by which the studio reaches it; a link-local one with the zone that it has here."""


def data_hosts(devices: Mapping[str, HasAddresses]) -> dict[str, str]:
    """Return the address of each device's data socket.

    Devices on the studio's own machine stay on loopback as long as no other takes part; else they use the studio's
    address on the way to the first other one.
    """
    others = [device for device in devices.values() if not device.is_local]
    # An address of a device behind a jump host may be anywhere, also nowhere from here.
    here = own_address_towards(seen_from(others[0].data_host, zone(others[0].studio_host))) if others else LOOPBACK
    return {name: here if device.is_local else device.data_host for name, device in devices.items()}


def own_address_towards(host: str | None) -> str:
    """Return this machine's address on the way to `host` (nothing is sent); loopback where there is no way."""
    if host is None:
        return LOOPBACK
    try:
        family, _, _, _, address = socket.getaddrinfo(host, 9, type=socket.SOCK_DGRAM, flags=socket.AI_NUMERICHOST)[0]
        with socket.socket(family, socket.SOCK_DGRAM) as probe:
            probe.connect(address)
            return ip_text(probe.getsockname())
    except OSError:
        return LOOPBACK


def zone(host: str) -> str | None:
    """Return the interface that a link-local address names, None for any other address."""
    return host.partition("%")[2] or None if _is_link_local(host) else None


def seen_from(host: str, own_zone: str | None) -> str | None:
    """Return a device's address as one writes it who has `own_zone`; None where it leads nowhere from there.

    A zone is the name of an interface, so it means something on its own machine alone.
    """
    if not _is_link_local(host):
        return host
    return None if own_zone is None else f"{host.partition('%')[0]}%{own_zone}"


def _is_link_local(host: str) -> bool:
    try:
        ip = ipaddress.ip_address(host)
    except ValueError:
        return False
    return ip.version == 6 and ip.is_link_local
