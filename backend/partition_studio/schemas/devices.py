"""Devices."""

from datetime import datetime
from typing import Literal

from pydantic import Field

from partition_studio.schemas.base import ProblemOut, Schema


class DeviceIn(Schema):
    """A device to register."""

    name: str
    address: str
    """`ssh://user@host[:port]`, or `local:` for a process on the studio's own machine."""
    key_file: str | None = None
    """Private key on the studio's machine. Without it: the ssh-agent and the user's usual keys."""
    password: str | None = Field(default=None, repr=False)
    """Kept in memory until the studio ends; written nowhere."""
    trusted_fingerprint: str | None = None
    """The host key's fingerprint that the person has compared and accepted (`SHA256:...`)."""
    cpus: list[int] | None = None
    """Cores that the agent may use; all usable ones when left out."""
    memory_bytes: int | None = Field(default=None, gt=0, lt=2**63)
    """Memory that may be used, where it is less than the device itself can tell."""
    idle_power_w: float | None = Field(default=None, ge=0)
    busy_power_w: float | None = Field(default=None, ge=0)


class PythonOut(Schema):
    """A Python found on a device."""

    path: str
    version: str


class DeviceCheckOut(Schema):
    """What a device is and can do, as found by its last check."""

    verdict: Literal["ready", "cannot"]
    reasons: list[str]
    checked_at: datetime
    os: str
    architecture: str
    model: str | None
    libc: str | None
    python: PythonOut | None
    """The one that the agent would use."""
    pythons: list[PythonOut]
    usable_cores: float
    memory_bytes: int
    """Usable memory: the control group's limit where there is one, else the machine's."""
    memory_available_bytes: int | None
    disk_free_bytes: int | None


class DeviceOut(Schema):
    """A registered device."""

    name: str
    kind: Literal["ssh", "local"]
    address: str
    state: Literal["unknown", "ready", "cannot", "unreachable"]
    check: DeviceCheckOut | None
    problem: ProblemOut | None
    """Why it is not ready."""
    cpus: list[int] | None
    memory_bytes: int | None
    """Memory that the person allowed."""
    idle_power_w: float | None
    busy_power_w: float | None
    agent_running: bool
    deployment_id: str | None
    """The deployment that it takes part in now."""


class LogOut(Schema):
    """The last lines of a device's agent log."""

    device: str
    lines: list[str]
