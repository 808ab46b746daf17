"""What follows from the facts: which Python the agent would use, every reason for and against, and a verdict. Pure."""

from collections.abc import Iterator

from partition_studio.fleet.check.facts import ARCHITECTURES, DeviceCheck, DeviceFacts, PythonFound, Reason, Severity
from partition_studio.fleet.check.providers import faster_with, needed_flags, providers
from partition_studio.fleet.check.pythons import (
    OLDEST_GLIBC,
    OLDEST_PYTHON,
    choose_python,
    dotted,
    newest_python,
    why_not,
)
from partition_studio.fleet.install.autostart import decide_autostart
from partition_studio.fleet.install.lock import Target, oldest_runtime
from partition_studio.partition.runtimes import limits_of, newest_opset
from partition_studio.sizes import size_text

#: Wheels on their way and unpacked, for the largest lock. An installation knows its need exactly, and asks again.
NEEDED_DISK_BYTES = 350 * 1024 * 1024

#: Where the agent is installed already, only its log and small sub-models need room.
NEEDED_DISK_BYTES_INSTALLED = 16 * 1024 * 1024

#: Below this, agent and runtime alone take a good part of the memory.
LITTLE_MEMORY_BYTES = 512_000_000

#: Further off, times in the device's own log mislead.
CLOCK_OFF_S = 2.0

#: Runtimes that take no newer opset are old: networks are exported for later ones by now.
OLD_OPSET = 21

#: From this Python on there are packages of the newest runtime.
RUNTIME_PYTHON = (3, 11)

_NO_RESTART = "The next deployment starts it."


def decide(facts: DeviceFacts) -> DeviceCheck:
    """Judge the facts: which Python the agent would use, and every reason why it cannot run, or not run well."""
    python = choose_python(facts)
    runtime = _newest_runtime(facts, python)
    start = decide_autostart(facts.autostart) if facts.autostart is not None else None
    reasons = [*_against(facts, python), *_limits(facts, runtime), *_notes(facts, runtime)]
    if start is not None and not start.survives_reboot:
        reasons.append(Reason("no_restart", "note", start.note, _NO_RESTART))
    severities = {reason.severity for reason in reasons}
    missing = tuple(flag for flag in (*needed_flags(facts, python), *faster_with(facts)) if _lacks(facts, flag))
    return DeviceCheck(
        facts,
        python,
        "cannot" if "cannot" in severities else "limited" if "limit" in severities else "ready",
        tuple(reasons),
        onnxruntime=None if "cannot" in severities else runtime,
        flags_missing=missing,
        providers=providers(facts, runs="cannot" not in severities),
        autostart=start,
    )


def _newest_runtime(facts: DeviceFacts, python: PythonFound | None) -> str | None:
    """Return the ONNX Runtime that the agent's lock has for such a device."""
    architecture = ARCHITECTURES.get(facts.machine)
    if python is None or architecture is None or facts.libc_version is None:
        return None
    return oldest_runtime([Target(python.version, architecture, facts.libc_version)])


def _lacks(facts: DeviceFacts, flag: str) -> bool:
    return facts.cpu_flags is not None and flag not in facts.cpu_flags


def _against(facts: DeviceFacts, python: PythonFound | None) -> Iterator[Reason]:
    """Yield why the agent cannot run there, the most basic reason first."""
    platform = _platform(facts)
    if platform is not None:
        yield platform
    if python is None:
        yield _no_python(facts)
    lacking = [flag for flag in needed_flags(facts, python) if _lacks(facts, flag)]
    if lacking and platform is None:
        yield Reason(
            "cpu_too_old",
            "cannot",
            f"its processor lacks {', '.join(lacking)}, which the packages of the runtime are built with",
            "With a Python 3.8 to 3.10 older packages are used that need less: install one, then check again."
            if python is not None and python.version >= RUNTIME_PYTHON
            else "Use another device.",
        )
    if facts.cores is not None and facts.cores <= 0:
        text = "it gives this user no processor core"
        yield Reason("no_cores", "cannot", text, "Lift the limit of its control group.")
    yield from _folder(facts)


def _platform(facts: DeviceFacts) -> Reason | None:
    what, do = "", "Use another device."
    if facts.system != "Linux":
        what = f"its system is {facts.system or 'unknown'}, and the agent runs on Linux"
    elif facts.bits == 32 or facts.machine.startswith(("armv6", "armv7", "i386", "i686")):
        kernel = " below a 64-bit kernel" if facts.machine in ARCHITECTURES else ""
        what = f"its system is 32-bit{kernel} ({facts.machine}), and ONNX Runtime has no 32-bit package"
        do = "Install the 64-bit system on it (Raspberry Pi 3 and later can run one), then check again."
    elif facts.machine not in ARCHITECTURES:
        what = f"ONNX Runtime has no package for the processor {facts.machine or 'unknown'}"
    elif facts.libc == "musl":
        version = f" {facts.musl_version}" if facts.musl_version else ""
        what = f"its C library is musl{version} (Alpine and others), and ONNX Runtime needs glibc"
        do = "Install a system with glibc (Debian, Ubuntu, Raspberry Pi OS), or register a glibc container on it."
    elif facts.libc_version is None:
        what = "its C library cannot be told, and ONNX Runtime needs glibc"
        do = "See what `ldd --version` says there."
    elif facts.libc_version < OLDEST_GLIBC:
        what = f"its glibc is {dotted(facts.libc_version)}, and ONNX Runtime needs {dotted(OLDEST_GLIBC)} or later"
        do = "Install a newer system (Debian 10, Ubuntu 18.04 or later), then check again."
    return Reason("unsupported_platform", "cannot", what, do) if what else None


def _no_python(facts: DeviceFacts) -> Reason:
    if not facts.pythons:
        if facts.broken_pythons:
            text = f"it has no Python 3 that starts ({', '.join(facts.broken_pythons[:3])} does not)"
            return Reason("python_missing", "cannot", text, "Mend or reinstall its python3, then check again.")
        return Reason(
            "python_missing",
            "cannot",
            "it has no Python 3",
            "Install it (`apt install python3`); neither pip nor venv is needed.",
        )
    seen = "; ".join(
        f"{python.path} is {python.implementation} {dotted(python.version)}, {python.bits}-bit"
        for python in facts.pythons[:5]
    )
    wanted = f"64-bit CPython {dotted(OLDEST_PYTHON)} to {dotted(newest_python(facts))}"
    why = why_not(facts.pythons[0], facts)
    return Reason("python_too_old", "cannot", f"it needs a {wanted}, and has only: {seen} ({why})", _new_python(facts))


def _new_python(facts: DeviceFacts) -> str:
    newest = dotted(min(newest_python(facts), (3, 13)))
    return (
        f"Install a CPython {dotted(OLDEST_PYTHON)} to {newest} beside it, with the system's packages "
        f"(`python{newest}`) or with pyenv in the home folder (~/.pyenv is looked at), then check again."
    )


def _newer_runtime(facts: DeviceFacts) -> str:
    if newest_python(facts) < RUNTIME_PYTHON:
        return f"A newer system (glibc above {dotted(OLDEST_GLIBC)}, Python 3.11 or later) would run newer ones."
    return f"Install Python {dotted(RUNTIME_PYTHON)} or later on it (beside the system's own), then check again."


def _folder(facts: DeviceFacts) -> Iterator[Reason]:
    needed = NEEDED_DISK_BYTES_INSTALLED if facts.has_release else NEEDED_DISK_BYTES
    if facts.disk_free_bytes is not None and facts.disk_free_bytes < needed:
        text = f"{facts.base} has {size_text(facts.disk_free_bytes)} free, and the agent needs {size_text(needed)}"
        yield Reason("disk_full", "cannot", text, f"Free {size_text(needed - facts.disk_free_bytes)} there.")
    if facts.noexec:
        yield Reason(
            "noexec",
            "cannot",
            f"{facts.base} is on a file system mounted noexec: the runtime's libraries cannot be loaded from it",
            "Mount it without noexec, or give the user a home folder on another file system.",
        )
    if not facts.writable:
        yield Reason(
            "not_writable",
            "cannot",
            f"{facts.base} cannot be written by this user (read-only, or not its own)",
            "Make the home folder writable for this user, then check again.",
        )


def _limits(facts: DeviceFacts, runtime: str | None) -> Iterator[Reason]:
    """Yield what makes it less than one would expect."""
    memory_bytes = facts.memory_total_bytes
    if memory_bytes is not None and memory_bytes < LITTLE_MEMORY_BYTES:
        text = f"it has {size_text(memory_bytes)} of memory for us; agent and runtime take about 100 MB of it"
        yield Reason("little_memory", "limit", text, "Give it small stages; the plan is checked against its memory.")
    if facts.quota_cores is not None and facts.quota_cores < 1:
        text = f"its control group allows {facts.quota_cores:g} of one core"
        yield Reason("small_quota", "limit", text, "Raise the quota (CPUQuota, --cpus) if you can.")
    now = facts.thermal.throttled if facts.thermal else ()
    before = facts.thermal.throttled_before if facts.thermal else ()
    if "under_voltage" in (*now, *before):
        when = "now" if "under_voltage" in now else "since it was switched on"
        text = f"its supply voltage was too low {when}: it slows down, and may lose files"
        yield Reason("under_voltage", "limit", text, "Use a stronger power supply and a shorter cable.")
    slowed = [name.replace("_", " ") for name in now if name != "under_voltage"]
    if slowed:
        text = f"it is slowed down now ({', '.join(slowed)}): measurements would show less than it can do"
        yield Reason("throttled", "limit", text, "Cool it (a heat sink, a fan), and wait until it is colder.")
    yield from _old_runtime(facts, runtime, "limit")


def _old_runtime(facts: DeviceFacts, runtime: str | None, severity: Severity) -> Iterator[Reason]:
    limits = limits_of(runtime) if runtime else None
    if limits is None or limits.opset >= newest_opset():
        return
    if severity == ("limit" if limits.opset <= OLD_OPSET else "note"):
        text = (
            f"the newest ONNX Runtime for its Python is {runtime}, which takes opset {limits.opset} and IR version "
            f"{limits.ir_version} at most: later networks are lowered for it where their layers allow it"
        )
        yield Reason("old_runtime", severity, text, _newer_runtime(facts))


def _notes(facts: DeviceFacts, runtime: str | None) -> Iterator[Reason]:
    """Yield what is good to know."""
    yield from _old_runtime(facts, runtime, "note")
    before = facts.thermal.throttled_before if facts.thermal else ()
    slowed = [name.replace("_", " ") for name in before if name != "under_voltage"]
    if slowed and not (facts.thermal and facts.thermal.throttled):
        text = f"it was slowed down since it was switched on ({', '.join(slowed)})"
        yield Reason("was_throttled", "note", text, "Watch its temperature during long runs.")
    slow = [flag for flag in faster_with(facts) if _lacks(facts, flag)]
    if slow:
        text = f"its processor has no {', '.join(slow)}: the runtime works, slower than on one that has"
        yield Reason("slow_cpu", "note", text)
    if not facts.limits_known and facts.pythons:
        text = "it runs us in a control group whose limit cannot be read: it may give less memory and cores than shown"
        do = "Declare what may be used: remove it, and add it again with `--memory` (and `--cpus`)."
        yield Reason("limits_unknown", "note", text, do)
    yield from _clock_note(facts)
    yield from _sensor_notes(facts)


def _clock_note(facts: DeviceFacts) -> Iterator[Reason]:
    offset_s, uncertainty_s = facts.clock_offset_s, facts.clock_uncertainty_s or 0.0
    if offset_s is None or abs(offset_s) - uncertainty_s <= CLOCK_OFF_S:
        return
    side = "ahead of" if offset_s > 0 else "behind"
    text = (
        f"its clock is {_duration(abs(offset_s))} {side} the studio's: times in its own log are off by that; what the "
        "studio shows is corrected"
    )
    yield Reason("clock_off", "note", text, "Have it set its clock by NTP (`timedatectl set-ntp true`).")


def _sensor_notes(facts: DeviceFacts) -> Iterator[Reason]:
    if facts.power_sources is None:
        return
    locked = [source for source in facts.power_sources if not source.usable and source.admin_command]
    for source in locked:
        text = f"it has a power sensor ({source.source}) that this user may not read: {source.detail}"
        yield Reason("sensor_locked", "note", text, f"Its administrator may run, once: {source.admin_command}")
    if not any(source.usable and source.method != "estimated" for source in facts.power_sources):
        yield Reason(
            "no_sensor",
            "note",
            "it has no power sensor that can be read: energy is an estimate, or absent",
            "Declare its idle and busy watts, calibrate it, or name a metering plug.",
        )


def _duration(seconds: float) -> str:
    for limit, size, unit in ((120, 1, "s"), (7200, 60, "min"), (172_800, 3600, "h")):
        if seconds < limit:
            return f"{seconds / size:.3g} {unit}"
    return f"{seconds / 86400:.0f} days"
