"""What a session is told of its device, and what the sessions of one studio share."""

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from partition_agent.protocol import MeterSpec, PowerModel
from partition_studio.fleet.address import LocalAddress, SshAddress, SshDestination
from partition_studio.fleet.install.wheelhouse import WheelhouseCache
from partition_studio.fleet.ssh.auth import SshCredentials
from partition_studio.fleet.ssh.config import SshConfig
from partition_studio.fleet.ssh.hostkeys import HostKeys

SessionStep = Literal["connect", "check", "install", "start"]
StepCallback = Callable[[SessionStep, str], None]


@dataclass(frozen=True, slots=True)
class DeviceSpec:
    """A device as the person registered it. The password, when there is one, is kept in memory only.

    `password_lost` says that it had one, which ended with an earlier studio.
    """

    name: str
    address: SshDestination | SshAddress | LocalAddress
    credentials: SshCredentials
    cpus: tuple[int, ...] = ()
    memory_bytes: int | None = None
    power_model: PowerModel | None = None
    meter: MeterSpec | None = None
    shunt_ohm: float | None = None
    password_lost: bool = False


@dataclass(frozen=True, slots=True)
class FleetFiles:
    """What the sessions of one studio share. `studio` is its id, and `studio_host` where it runs, for persons."""

    host_keys: HostKeys
    wheelhouses: WheelhouseCache
    local_devices: Path
    ssh_config: SshConfig = field(default_factory=lambda: SshConfig(None))
    studio: str = ""
    studio_host: str = ""
