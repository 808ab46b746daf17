"""What a check found, as the API tells it."""

import sys
from collections.abc import Sequence
from datetime import UTC, datetime

from partition_studio.fleet.check.facts import DeviceCheck, DeviceFacts, PowerSource, PythonFound
from partition_studio.fleet.check.pythons import why_not
from partition_studio.schemas import (
    AcceleratorOut,
    AdminStepOut,
    DeviceCheckOut,
    PowerSourceOut,
    ProviderOut,
    PythonOut,
    ReasonOut,
    ThermalOut,
)


def check_out(check: DeviceCheck, cpus: Sequence[int] | None, memory_bytes: int | None) -> DeviceCheckOut:
    """Describe what a check found; `cpus` and `memory_bytes` are what the person allowed."""
    facts, start = check.facts, check.autostart
    cores = facts.cores or 0.0
    return DeviceCheckOut(
        verdict=check.verdict,
        reasons=[
            ReasonOut(code=reason.code, severity=reason.severity, text=reason.text, next_step=reason.next_step)
            for reason in check.reasons
            # What the person declared is what counts where the device cannot tell.
            if reason.code != "limits_unknown" or memory_bytes is None
        ],
        checked_at=datetime.now(UTC),
        os=facts.os_release or facts.system,
        architecture=facts.machine,
        bits=facts.bits,
        model=facts.model or None,
        kernel=facts.kernel or None,
        libc=_libc(facts),
        python=None if check.python is None else _python_out(check.python, facts),
        pythons=_pythons_out(facts),
        usable_cores=min(cores, len(cpus)) if cpus else cores,
        affinity_cores=facts.affinity_cores,
        quota_cores=facts.quota_cores,
        memory_bytes=min(size for size in (memory_bytes, facts.memory_total_bytes, sys.maxsize) if size is not None),
        memory_physical_bytes=facts.memory_physical_bytes,
        memory_cgroup_bytes=facts.memory_cgroup_bytes,
        limits_known=facts.limits_known,
        memory_available_bytes=facts.memory_available_bytes,
        disk_free_bytes=facts.disk_free_bytes,
        clock_offset_s=facts.clock_offset_s,
        clock_uncertainty_s=facts.clock_uncertainty_s,
        cpu_flags_missing=list(check.flags_missing),
        accelerators=[AcceleratorOut(kind=a.kind, name=a.name, detail=a.detail) for a in facts.accelerators],
        providers=[ProviderOut(name=p.name, works=p.works, why=p.why) for p in check.providers],
        thermal=_thermal_out(facts),
        power_sources=[_power_out(source) for source in facts.power_sources or ()],
        addresses=list(facts.addresses),
        has_sftp=facts.has_sftp,
        starts_by="systemd" if start is not None and start.kind == "systemd" else "detached",
        restarts_after_reboot=start is not None and start.survives_reboot,
        restart_note=start.note if start is not None else "it could not be looked at what would start it",
        onnxruntime=check.onnxruntime,
    )


def _libc(facts: DeviceFacts) -> str:
    version = facts.musl_version if facts.libc_version is None else ".".join(map(str, facts.libc_version))
    return f"{facts.libc} {version}".strip()


def _python_out(found: PythonFound, facts: DeviceFacts) -> PythonOut:
    why = why_not(found, facts)
    return PythonOut(path=found.path, version=".".join(map(str, found.version)), usable=not why, why=why)


def _pythons_out(facts: DeviceFacts) -> list[PythonOut]:
    """Return every Python; of one that is found under several names in the same folders, the first."""
    firsts: dict[tuple[str, tuple[int, int, int], str, int], PythonFound] = {}
    for found in facts.pythons:
        # /bin is /usr/bin on most systems, and python3 a link to python3.11: the same version, told once per place.
        place = found.path.rpartition("/")[0].removeprefix("/usr")
        firsts.setdefault((place, found.version, found.implementation, found.bits), found)
    broken = [PythonOut(path=path, version="", usable=False, why="it does not start") for path in facts.broken_pythons]
    return [_python_out(found, facts) for found in firsts.values()] + broken


def _thermal_out(facts: DeviceFacts) -> ThermalOut | None:
    thermal = facts.thermal
    if thermal is None:
        return None
    return ThermalOut(
        temperature_c=thermal.temperature_c,
        throttled=list(thermal.throttled),
        throttled_before=list(thermal.throttled_before),
        frequency_ratio=thermal.frequency_ratio,
    )


def _power_out(source: PowerSource) -> PowerSourceOut:
    step = AdminStepOut(command=source.admin_command, exposes=source.admin_exposes) if source.admin_command else None
    return PowerSourceOut(
        source=source.source,
        scope=source.scope,
        method=source.method,
        usable=source.usable,
        detail=source.detail,
        admin_step=step,
    )
