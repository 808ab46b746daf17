"""Where each device's data socket binds, and where its peers find it."""

import socket
from collections.abc import Mapping
from typing import Protocol

LOOPBACK = "127.0.0.1"


class HasAddresses(Protocol):
    """What is needed of a device here."""

    @property
    def is_local(self) -> bool:
        """Whether it is a process on the studio's own machine."""

    @property
    def data_host(self) -> str:
        """The address by which its peers reach it."""


def data_hosts(devices: Mapping[str, HasAddresses]) -> dict[str, str]:
    """Return the address of each device's data socket.

    Devices on the studio's own machine stay on loopback as long as no other takes part; else they use the studio's
    address on the way to the first other one.
    """
    others = [device.data_host for device in devices.values() if not device.is_local]
    here = own_address_towards(others[0]) if others else LOOPBACK
    return {name: here if device.is_local else device.data_host for name, device in devices.items()}


def own_address_towards(host: str) -> str:
    """Return this machine's address on the way to `host` (nothing is sent)."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family, socket.SOCK_DGRAM) as probe:
        probe.connect((host, 9))
        return str(probe.getsockname()[0])
