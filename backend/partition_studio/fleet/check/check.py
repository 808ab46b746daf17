"""What a device is, and whether the agent can run there.

`check_device` asks, in one round trip; `parse` makes facts of the answer, `decide` judges them and does nothing else.
"""

import logging
import sys
import time
from dataclasses import replace
from importlib.metadata import version
from typing import Protocol, runtime_checkable

from partition_studio.errors import DeviceError
from partition_studio.fleet.check.facts import (
    ARCHITECTURES,
    DeviceCheck,
    DeviceFacts,
    PythonFound,
    Reason,
    ReasonCode,
)
from partition_studio.fleet.check.parse import Clock, decode_lines, parse_facts
from partition_studio.fleet.check.probe_bundle import check_script
from partition_studio.fleet.check.pythons import (
    NEWEST_PYTHON,
    NEWEST_PYTHON_ON_OLDEST_GLIBC,
    OLDEST_GLIBC,
    OLDEST_PYTHON,
)
from partition_studio.fleet.check.verdict import NEEDED_DISK_BYTES, NEEDED_DISK_BYTES_INSTALLED, decide
from partition_studio.fleet.connection import DeviceConnection
from partition_studio.fleet.errors import (
    BadAnswerError,
    DeviceFileError,
    DiskFullError,
    PythonMissingError,
    PythonTooOldError,
    UnsupportedPlatformError,
)
from partition_studio.fleet.install.autostart import Autostart
from partition_studio.fleet.local import LocalConnection
from partition_studio.fleet.text import decode_clean

__all__ = [
    "ARCHITECTURES",
    "NEEDED_DISK_BYTES",
    "NEEDED_DISK_BYTES_INSTALLED",
    "NEWEST_PYTHON",
    "NEWEST_PYTHON_ON_OLDEST_GLIBC",
    "OLDEST_GLIBC",
    "OLDEST_PYTHON",
    "DeviceCheck",
    "DeviceFacts",
    "PythonFound",
    "Reason",
    "check_device",
    "decide",
    "decode_lines",
    "parse_facts",
    "require_ready",
]

logger = logging.getLogger(__name__)

_PROBE_S = 60.0

#: What a device may fail to tell, and the rest be told all the same.
_PARTS = ("hardware", "power", "autostart")


class CpuTooOldError(DeviceError):
    """The device's processor lacks instructions that the runtime's packages are built with."""

    code = "cpu_too_old"
    next_step = "Use another device."


#: What each reason not to run there is raised as; the others are told, and do not stop anything.
_ERRORS: dict[ReasonCode, type[DeviceError]] = {
    "python_missing": PythonMissingError,
    "python_too_old": PythonTooOldError,
    "unsupported_platform": UnsupportedPlatformError,
    "cpu_too_old": CpuTooOldError,
    "no_cores": UnsupportedPlatformError,
    "disk_full": DiskFullError,
    "noexec": DeviceFileError,
    "not_writable": DeviceFileError,
}


@runtime_checkable
class _OverSsh(Protocol):
    """A connection that can tell whether there is an SFTP server at its other end."""

    def offers_sftp(self) -> bool | None:
        """Return whether the device has an SFTP server."""


def check_device(connection: DeviceConnection, base_dir: str = "") -> DeviceCheck:
    """Look at a device and judge it; `base_dir` is where the agent would go, by default below the user's home.

    Raises BadAnswerError when it answers nonsense, and what `DeviceConnection.run` raises.
    """
    is_studio = isinstance(connection, LocalConnection)
    # Starting every Python of this machine would take most of the time, and tell nothing of the studio's own.
    script = check_script(base_dir, sys.executable if is_studio else "")
    sent_s = time.time()
    answer = connection.run(["sh", "-s"], stdin=script, timeout_s=_PROBE_S)
    clock = Clock(sent_s, time.time())
    said = decode_lines(answer.stdout)
    if "home" not in said:
        complaint = decode_clean(answer.stderr, limit=300) or f"status {answer.returncode}"
        raise BadAnswerError(f"{connection.label}: its shell does not run the check: {complaint}")
    for key in _PARTS:
        if f"{key}_failed" in said:
            logger.warning(
                "check_incomplete", extra={"device": connection.label, "part": key, "reason": said[f"{key}_failed"][-1]}
            )
    facts = parse_facts(said, connection.label, clock)
    if is_studio:
        return _of_studio(facts)
    return decide(replace(facts, has_sftp=connection.offers_sftp() if isinstance(connection, _OverSsh) else None))


def _of_studio(facts: DeviceFacts) -> DeviceCheck:
    """Judge the studio's own machine: the agent runs by the studio's Python and packages, and ends with the studio."""
    python = PythonFound(sys.executable, sys.version_info[:3], "CPython", 64)
    check = decide(replace(facts, pythons=(python,), has_release=True, autostart=None))
    start = Autostart("none", False, "it is a process of the studio, and ends with it")
    note = Reason("no_restart", "note", start.note, "The next deployment starts it.")
    return replace(check, reasons=(*check.reasons, note), onnxruntime=version("onnxruntime"), autostart=start)


def require_ready(check: DeviceCheck, label: str) -> None:
    """Return when the agent can run there, with limits or without.

    Raises the DeviceError of the first reason against it, with all of them in its message.
    """
    against = [reason for reason in check.reasons if reason.severity == "cannot"]
    if not against:
        return
    texts = "; ".join(reason.text for reason in against)
    raise _ERRORS[against[0].code](
        f"{label} cannot run the agent: {texts}", next_step=against[0].next_step or None, path=check.facts.base
    )
