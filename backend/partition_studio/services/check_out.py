"""What a check found, as the API tells it."""

import sys
from collections.abc import Sequence
from datetime import UTC, datetime

from partition_studio.fleet.check import DeviceCheck, PythonFound
from partition_studio.schemas import DeviceCheckOut, PythonOut, ReasonOut


def _python_out(found: PythonFound) -> PythonOut:
    return PythonOut(path=found.path, version=".".join(str(part) for part in found.version))


def check_out(check: DeviceCheck, cpus: Sequence[int] | None, memory_bytes: int | None) -> DeviceCheckOut:
    """Describe what a check found; `cpus` and `memory_bytes` are what the person allowed."""
    facts = check.facts
    cores = facts.cores or 0.0
    libc = facts.libc if facts.libc_version is None else f"{facts.libc} {'.'.join(map(str, facts.libc_version))}"
    return DeviceCheckOut(
        verdict=check.verdict,
        reasons=[
            ReasonOut(code=reason.code, severity="cannot", text=reason.text, next_step="") for reason in check.reasons
        ],
        checked_at=datetime.now(UTC),
        os=facts.os_release or facts.system,
        architecture=facts.machine,
        bits=facts.bits,
        model=facts.model or None,
        kernel=None,
        libc=libc,
        python=None if check.python is None else _python_out(check.python),
        # The same Python is found under several names; one of each version is told.
        pythons=list({found.version: _python_out(found) for found in reversed(facts.pythons)}.values())[::-1],
        usable_cores=min(cores, len(cpus)) if cpus else cores,
        affinity_cores=None,
        quota_cores=None,
        memory_bytes=min(size for size in (memory_bytes, facts.memory_total_bytes, sys.maxsize) if size is not None),
        memory_physical_bytes=None,
        memory_cgroup_bytes=None,
        memory_available_bytes=facts.memory_available_bytes,
        disk_free_bytes=facts.disk_free_bytes,
        clock_offset_s=None,
        clock_uncertainty_s=None,
        cpu_flags_missing=[],
        accelerators=[],
        providers=[],
        thermal=None,
        power_sources=[],
        addresses=list(facts.addresses),
        has_sftp=None,
        starts_by="detached",
        restarts_after_reboot=False,
        restart_note="",
        onnxruntime=None,
    )
