"""Devices: registered, checked, configured."""

from datetime import datetime
from typing import Literal

from pydantic import Field

from partition_studio.schemas.base import ProblemOut, Schema

PowerScope = Literal["board", "module", "package", "rails", "battery", "wall", "gpu", "model"]
PowerMethod = Literal["counter", "sampled", "estimated"]
Verdict = Literal["ready", "limited", "cannot"]
DeviceState = Literal["unknown", "ready", "limited", "cannot", "unreachable"]


class DeviceIn(Schema):
    """A device to register."""

    name: str
    address: str
    """`ssh://user@host[:port]`, `ssh://ALIAS` for a host of the user's `~/.ssh/config`, or `local:`."""
    key_file: str | None = None
    """Private key on the studio's machine. Without it: `~/.ssh/config`, the ssh-agent and the user's usual keys."""
    password: str | None = Field(default=None, repr=False)
    """Kept in memory until the studio ends; written nowhere, unless `keep_password`."""
    keep_password: bool = False
    """Keep the password in the system's keyring, where there is one."""
    trusted_fingerprint: str | None = None
    """`ADDRESS=SHA256:...`: the host, as `unknown_host_key` names it, whose key the person has compared and accepted.

    Without `ADDRESS=` it counts for the first host on the way that shows it, and for no other.
    """
    cpus: list[int] | None = None
    """Cores that the agent may use; all usable ones when left out."""
    memory_bytes: int | None = Field(default=None, gt=0, lt=2**63)
    """Memory that may be used, where it is less than the device itself can tell."""
    idle_power_w: float | None = Field(default=None, ge=0)
    busy_power_w: float | None = Field(default=None, ge=0)


class CheckIn(Schema):
    """How to check a device."""

    trusted_fingerprint: str | None = None
    """What the person has compared and accepted, as in `DeviceIn`, for a device whose key is not known."""


class PasswordIn(Schema):
    """A device's password, given again."""

    password: str = Field(min_length=1, repr=False)
    keep: bool = False
    """Keep it in the system's keyring, where there is one; else in memory until the studio ends."""


class ForgetKeyIn(Schema):
    """Which host keys to forget."""

    jump_hosts: bool = False
    """Those of the device's jump hosts as well."""


class ForgetAddressIn(Schema):
    """An address whose host key is to be forgotten, whether or not a device is registered with it."""

    address: str
    """`ssh://user@host[:port]` or `ssh://ALIAS`; the user may be left out."""


class KnownKeyOut(Schema):
    """A host key that a file holds which is not the studio's to change."""

    file: str
    line: int
    fingerprint: str


class ForgottenKeyOut(Schema):
    """What is known of a device's host key after it was forgotten."""

    device: str
    """Its name, or the address that was asked about."""
    removed: int
    """Keys that were in the studio's own file."""
    elsewhere: list[KnownKeyOut]
    """Keys that the user's own files still hold: they must be removed there (`ssh-keygen -R`)."""


class RemovedOut(Schema):
    """A device that was removed."""

    name: str
    uninstalled: bool
    note: str
    """Why something of ours is still on the device, and what to delete there later; empty when nothing is."""
    forgotten_keys: int = 0
    """Host keys of its address in the studio's own file, forgotten because no other device needs them."""


class InventoryIn(Schema):
    """An inventory file's text, to see what it holds before anything is registered."""

    text: str = Field(max_length=1_000_000)
    format: Literal["yaml", "ini"] | None = None
    """Told by the text itself when left out."""


class InventoryEntryOut(Schema):
    """One host of an inventory: what to register, or why it cannot be."""

    device: DeviceIn | None
    name: str
    group: str | None
    problem: ProblemOut | None
    registered: bool
    """A device of that name is registered already."""


class InventoryOut(Schema):
    """The hosts of an inventory file, in its order, and what of the file was not used."""

    entries: list[InventoryEntryOut]
    ignored: list[str]


class SshHostOut(Schema):
    """A host of the user's `~/.ssh/config` that can be registered by its alias."""

    alias: str
    host: str
    user: str | None
    port: int
    jump: str | None


class PythonOut(Schema):
    """A Python found on a device."""

    path: str
    version: str
    usable: bool = True
    why: str = ""
    """Why the agent cannot use it; empty when it can."""


class ReasonOut(Schema):
    """Something that the verdict rests on."""

    code: str
    severity: Literal["cannot", "limit", "note"]
    """`cannot`: the agent cannot run. `limit`: it can, but less than one would expect. `note`: good to know."""
    text: str
    next_step: str
    """What to do about it; empty where nothing is to be done."""


class ProviderOut(Schema):
    """An execution provider of ONNX Runtime, and whether it would work on the device."""

    name: str
    works: bool
    why: str


class AcceleratorOut(Schema):
    """A GPU, NPU or the like."""

    kind: str
    name: str
    detail: str


class AdminStepOut(Schema):
    """One command that an administrator may run to open a sensor; the studio never runs it."""

    command: str
    exposes: str
    """What becomes readable by whom, and what that may reveal."""


class PowerSourceOut(Schema):
    """A power source of a device, used or not."""

    source: str
    scope: PowerScope
    method: PowerMethod
    usable: bool
    detail: str
    admin_step: AdminStepOut | None = None


class ThermalOut(Schema):
    """Heat and throttling. Names: `under_voltage`, `capped`, `throttled`, `soft_limit`."""

    temperature_c: float | None
    throttled: list[str]
    throttled_before: list[str]
    frequency_ratio: float | None


class DeviceCheckOut(Schema):
    """What a device is and can do, as found by its last check."""

    verdict: Verdict
    reasons: list[ReasonOut]
    checked_at: datetime
    os: str
    architecture: str
    bits: int | None
    model: str | None
    kernel: str | None
    libc: str | None
    python: PythonOut | None
    """The one that the agent would use."""
    pythons: list[PythonOut]
    usable_cores: float
    affinity_cores: int | None
    quota_cores: float | None
    """Cores that the control group's quota allows; None without a quota, or where `limits_known` is false."""
    memory_bytes: int
    """Usable memory: the control group's limit where there is one, else the machine's."""
    memory_physical_bytes: int | None
    memory_cgroup_bytes: int | None
    """The control group's limit; None without one, or where `limits_known` is false."""
    limits_known: bool = True
    """False: the device's control group could not be read, and may limit cores and memory all the same."""
    memory_available_bytes: int | None
    disk_free_bytes: int | None
    clock_offset_s: float | None
    """The device's clock minus the studio's."""
    clock_uncertainty_s: float | None
    cpu_flags_missing: list[str]
    accelerators: list[AcceleratorOut]
    providers: list[ProviderOut]
    thermal: ThermalOut | None
    power_sources: list[PowerSourceOut]
    addresses: list[str]
    has_sftp: bool | None
    starts_by: Literal["systemd", "detached"]
    """How the agent is started there."""
    restarts_after_reboot: bool
    restart_note: str
    """Why it does, or does not, and what would change that."""
    onnxruntime: str | None
    """The newest ONNX Runtime that the device can run."""


class MeterIn(Schema):
    """A plug that measures the device at the wall."""

    kind: Literal["shelly", "tasmota"]
    host: str
    port: int = Field(default=80, ge=1, le=65535)
    user: str = ""
    password: str | None = Field(default=None, repr=False)
    """Kept in memory until the studio ends; None keeps the one that was given before."""


class MeterOut(Schema):
    """A plug that measures the device at the wall; its password is never shown."""

    kind: Literal["shelly", "tasmota"]
    host: str
    port: int
    user: str
    has_password: bool


class PowerModelOut(Schema):
    """`idle_w + (busy_w - idle_w) * u`; `residual_w` is the largest distance of a measured point from the line."""

    idle_w: float
    busy_w: float
    source: Literal["declared", "calibrated"]
    residual_w: float | None
    calibrated_at: datetime | None
    points: list["CalibrationPointOut"] = Field(default_factory=list)


class CalibrationPointOut(Schema):
    """One level of a calibration: utilisation 0 to 1, watts, and where the watts come from (`typed` or a source)."""

    level: float
    utilisation: float
    power_w: float
    source: str
    assumed: bool = False
    """Whether the utilisation was not seen, but taken to be what the level says: the device was not held there."""


class PowerSettingsIn(Schema):
    """How a device's power is known beside its own sensors. Replaces what was set before."""

    meter: MeterIn | None = None
    shunt_ohm: float | None = Field(default=None, gt=0, le=10)
    """Resistance of the shunt of an INA219 or INA226 of the device."""
    idle_power_w: float | None = Field(default=None, ge=0)
    busy_power_w: float | None = Field(default=None, ge=0)
    keep_calibration: bool = True
    """Keep the calibrated model; without it (or with declared watts) it is forgotten."""


class PowerSettingsOut(Schema):
    """How a device's power is known beside its own sensors."""

    meter: MeterOut | None
    shunt_ohm: float | None
    model: PowerModelOut | None


class CalibrationIn(Schema):
    """Calibrate the power model by running the device at some levels.

    The watts come from its meter or sensor, or `typed_w` holds them by level (`{"0": 2.7, "1": 6.4}`), as the person
    read them while a first call with `hold_level` kept the device at each level.
    """

    levels: list[float] = Field(default_factory=lambda: [0.0, 0.25, 0.5, 0.75, 1.0])
    seconds: float = Field(default=20.0, ge=2, le=120)
    hold_level: float | None = Field(default=None, ge=0, le=1)
    """Only keep the device at this level for `seconds`, and store nothing: the person reads the meter meanwhile."""
    typed_w: dict[str, float] | None = None
    """Watts by level, typed by the person; nothing is run then."""


class MeterReadingIn(Schema):
    """A reading of a meter's counter, typed by the person."""

    energy_j: float = Field(ge=0)
    read_at: datetime | None = None
    """Now when left out."""
    reset: bool = False
    """The meter was set back or changed: it may stand lower than before, and nothing is said of the time between."""


class MeterReadingOut(Schema):
    """A reading, and what happened since the one before; the figures are None at the first."""

    id: int
    energy_j: float
    read_at: datetime
    since_s: float | None
    since_energy_j: float | None
    mean_power_w: float | None
    frames: int | None
    energy_per_frame_j: float | None


class DeviceOut(Schema):
    """A registered device."""

    name: str
    kind: Literal["ssh", "local"]
    address: str
    """As the person gave it."""
    reached_as: str | None = None
    """`user@host:port` after `~/.ssh/config`, with the jump hosts, where that differs."""
    state: DeviceState
    check: DeviceCheckOut | None
    problem: ProblemOut | None
    """Why it is not ready."""
    cpus: list[int] | None
    memory_bytes: int | None
    """Memory that the person allowed."""
    power: PowerSettingsOut
    login_kept: Literal["no", "memory", "keyring"] = "no"
    """Where its password is kept, if it has one."""
    agent_running: bool
    release: str | None = None
    """The release of the agent that is installed, as far as is known."""
    deployment_id: str | None
    """The deployment that it takes part in now."""
    job_id: str | None = None
    """The job (profile, links, calibration) that it takes part in now."""


class LogOut(Schema):
    """The last lines of a device's agent log."""

    device: str
    lines: list[str]
