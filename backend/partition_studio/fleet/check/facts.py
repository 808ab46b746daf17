"""What a check sees of a device, and what it concludes; plain values, filled by `check` and judged by `verdict`."""

from dataclasses import dataclass
from typing import Literal

from partition_studio.fleet.install.autostart import Autostart, AutostartFacts

#: uname's names of the processors that ONNX Runtime has wheels for, and the wheel tag's name of each.
ARCHITECTURES = {"x86_64": "x86_64", "amd64": "x86_64", "aarch64": "aarch64", "arm64": "aarch64"}

ReasonCode = Literal[
    "python_missing",
    "python_too_old",
    "unsupported_platform",
    "cpu_too_old",
    "no_cores",
    "disk_full",
    "noexec",
    "not_writable",
    "little_memory",
    "small_quota",
    "limits_unknown",
    "throttled",
    "under_voltage",
    "old_runtime",
    "was_throttled",
    "slow_cpu",
    "clock_off",
    "no_sensor",
    "sensor_locked",
    "no_restart",
]

Severity = Literal["cannot", "limit", "note"]
PowerScope = Literal["board", "module", "package", "rails", "battery", "wall", "gpu", "model"]
PowerMethod = Literal["counter", "sampled", "estimated"]


@dataclass(frozen=True, slots=True)
class PythonFound:
    """A Python on the device."""

    path: str
    version: tuple[int, int, int]
    implementation: str
    bits: int


@dataclass(frozen=True, slots=True)
class Accelerator:
    """A GPU, an NPU or the like. `kind` is `nvidia`, `jetson`, `intel_gpu`, `coral` and so on."""

    kind: str
    name: str
    detail: str


@dataclass(frozen=True, slots=True)
class Thermal:
    """Heat, and what the device does about it: `under_voltage`, `capped`, `throttled`, `soft_limit`.

    `throttled` holds what is so now, `throttled_before` what was since boot. `frequency_ratio` is the present frequency
    of the usable cores as a share of their highest.
    """

    temperature_c: float | None
    throttled: tuple[str, ...]
    throttled_before: tuple[str, ...]
    frequency_ratio: float | None


@dataclass(frozen=True, slots=True)
class PowerSource:
    """A power source of the device, used or not. `admin_command` would open it; the studio never runs that."""

    source: str
    scope: PowerScope
    method: PowerMethod
    usable: bool
    detail: str
    admin_command: str = ""
    admin_exposes: str = ""


@dataclass(frozen=True, slots=True)
class DeviceFacts:
    """What the probe saw. Empty or None where it could not be told.

    `cores` and `memory_total_bytes` are what the agent may use; `affinity_cores`, `quota_cores`,
    `memory_physical_bytes` and `memory_cgroup_bytes` say why; without `limits_known` there may be a limit that nobody
    could read. `clock_offset_s` is the device's clock minus the studio's, known to plus or minus
    `clock_uncertainty_s`. `power_sources` is None where nobody could look.
    """

    home: str
    base: str
    system: str
    machine: str
    bits: int | None
    libc: Literal["glibc", "musl", "unknown"]
    libc_version: tuple[int, int] | None
    os_release: str
    model: str
    pythons: tuple[PythonFound, ...]
    cores: float | None
    memory_total_bytes: int | None
    memory_available_bytes: int | None
    disk_free_bytes: int | None
    noexec: bool
    writable: bool
    has_release: bool
    addresses: tuple[str, ...]
    kernel: str = ""
    musl_version: str = ""
    broken_pythons: tuple[str, ...] = ()
    affinity_cores: int | None = None
    quota_cores: float | None = None
    memory_physical_bytes: int | None = None
    memory_cgroup_bytes: int | None = None
    limits_known: bool = True
    clock_offset_s: float | None = None
    clock_uncertainty_s: float | None = None
    cpu_vendor: str = ""
    cpu_flags: frozenset[str] | None = None
    accelerators: tuple[Accelerator, ...] = ()
    thermal: Thermal | None = None
    power_sources: tuple[PowerSource, ...] | None = None
    autostart: AutostartFacts | None = None
    has_sftp: bool | None = None


@dataclass(frozen=True, slots=True)
class Reason:
    """Something that the verdict rests on, for programs and for the person; `next_step` is empty for nothing to do."""

    code: ReasonCode
    severity: Severity
    text: str
    next_step: str = ""


@dataclass(frozen=True, slots=True)
class Provider:
    """An execution provider of ONNX Runtime, and whether it would work on the device."""

    name: str
    works: bool
    why: str


@dataclass(frozen=True, slots=True)
class DeviceCheck:
    """The facts, and what follows from them.

    `python` is the one that the agent would use, `onnxruntime` the newest version that runs there; `flags_missing` are
    flags of the processor that the runtime needs or is much faster with, `autostart` what would start the agent (None:
    nobody could look).
    """

    facts: DeviceFacts
    python: PythonFound | None
    verdict: Literal["ready", "limited", "cannot"]
    reasons: tuple[Reason, ...]
    onnxruntime: str | None = None
    flags_missing: tuple[str, ...] = ()
    providers: tuple[Provider, ...] = ()
    autostart: Autostart | None = None
