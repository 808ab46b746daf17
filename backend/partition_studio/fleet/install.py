"""Bringing the agent onto a device: nothing is needed there but a shell and Python, and nothing is left half-done."""

import sys
from dataclasses import dataclass
from pathlib import PurePosixPath

import msgspec

from partition_studio.fleet.check import DeviceCheck, require_ready
from partition_studio.fleet.connection import DeviceConnection
from partition_studio.fleet.device_python import call_device
from partition_studio.fleet.errors import DiskFullError, PythonMissingError
from partition_studio.fleet.local import LocalConnection
from partition_studio.fleet.lock import target_of
from partition_studio.fleet.progress import (
    CancelCheck,
    Progress,
    ProgressCallback,
    ignore_progress,
    never_cancelled,
    stop_if_cancelled,
)
from partition_studio.fleet.wheelhouse import Wheelhouse, WheelhouseCache

_LOOK_S = 60.0
_UNPACK_S = 600.0
_REMOVE_S = 120.0

#: Files take whole blocks, and pip's own scratch files come and go.
_DISK_MARGIN = 1.15


@dataclass(frozen=True, slots=True)
class Installed:
    """Where the agent is on a device. `site_dir` is None where it runs from the studio's own packages."""

    base_dir: str
    release_dir: str | None
    site_dir: str | None
    python: str
    data_dir: str

    @property
    def models_dir(self) -> str:
        """Where the agent looks for sub-models, as `<sha256>.onnx`."""
        return f"{self.data_dir}/models"


class _Look(msgspec.Struct):
    releases: tuple[str, ...]
    current: str
    free_bytes: int


class _Release(msgspec.Struct):
    release: str


class _Removed(msgspec.Struct):
    removed: bool


def ensure_installed(
    connection: DeviceConnection,
    check: DeviceCheck,
    wheelhouses: WheelhouseCache,
    progress: ProgressCallback = ignore_progress,
    cancelled: CancelCheck = never_cancelled,
) -> Installed:
    """Install the agent of this studio on the device unless it is there; return where it is.

    A local device needs nothing: its agent runs from the studio's own packages.
    Raises what `require_ready` and `WheelhouseCache.get` raise, DiskFullError, InstallFailedError,
    OperationCancelledError, and the errors of the connection.
    """
    if isinstance(connection, LocalConnection):
        return local_installed(connection)
    require_ready(check, connection.label)
    if check.python is None:
        raise PythonMissingError(f"{connection.label} has no Python for the agent")
    wheelhouse = wheelhouses.get(target_of(check), progress, cancelled)
    stop_if_cancelled(cancelled, f"the installation on {connection.label}")
    release, base, python = wheelhouse.digest[:12], check.facts.base, check.python.path
    there = call_device(connection, python, "look", {"base": base}, answer=_Look, timeout_s=_LOOK_S)
    bundle = f"{base}/incoming/{wheelhouse.bundle_sha256}.tar"
    if release in there.releases and release == there.current:
        return installed_at(base, python, f"{base}/releases/{release}")
    if release not in there.releases:
        _require_room(connection.label, base, wheelhouse, there.free_bytes)
        _send(connection, wheelhouse, bundle, progress, cancelled)
        stop_if_cancelled(cancelled, f"the installation on {connection.label}")
        progress(Progress("unpack", "unpacking the packages on the device"))
    try:
        answer = call_device(
            connection,
            python,
            "install",
            {"base": base, "release": release, "bundle": bundle},
            answer=_Release,
            timeout_s=_UNPACK_S,
        )
    except DiskFullError as error:
        raise _full(connection.label, base, wheelhouse, None) from error
    return installed_at(base, python, answer.release)


def installed_at(base_dir: str, python: str, release_dir: str) -> Installed:
    """Return the layout of a device whose agent is in `release_dir`."""
    return Installed(base_dir, release_dir, f"{release_dir}/site", python, f"{base_dir}/data")


def local_installed(connection: LocalConnection) -> Installed:
    """Return the layout of a local device."""
    data_dir = str(connection.data_dir)
    return Installed(data_dir, None, None, sys.executable, data_dir)


def uninstall(connection: DeviceConnection, installed: Installed) -> None:
    """Stop the agent and remove everything of ours from the device.

    Raises DeviceFileError when something cannot be removed, and the errors of the connection.
    """
    call_device(
        connection,
        installed.python,
        "uninstall",
        {"base": installed.base_dir, "data_dir": installed.data_dir},
        answer=_Removed,
        timeout_s=_REMOVE_S,
    )


def layout_of(connection: DeviceConnection, check: DeviceCheck) -> Installed:
    """Return where the current release is on a device that was checked, installed or not: for logs and removal."""
    if isinstance(connection, LocalConnection):
        return local_installed(connection)
    if check.python is None:
        raise PythonMissingError(f"{connection.label} has no Python for the agent")
    base = str(PurePosixPath(check.facts.base))
    return installed_at(base, check.python.path, f"{base}/current")


def _send(
    connection: DeviceConnection,
    wheelhouse: Wheelhouse,
    bundle: str,
    progress: ProgressCallback,
    cancelled: CancelCheck,
) -> None:
    def report(done_bytes: int) -> None:
        progress(Progress("upload", "sending the packages", done_bytes, wheelhouse.bundle_bytes))

    with wheelhouse.bundle.open("rb") as file:
        connection.upload(
            file,
            wheelhouse.bundle_bytes,
            bundle,
            sha256=wheelhouse.bundle_sha256,
            progress=report,
            cancelled=cancelled,
        )


def _require_room(label: str, base: str, wheelhouse: Wheelhouse, free_bytes: int) -> None:
    if free_bytes < _needed_bytes(wheelhouse):
        raise _full(label, base, wheelhouse, free_bytes)


def _needed_bytes(wheelhouse: Wheelhouse) -> int:
    return int((wheelhouse.bundle_bytes + wheelhouse.unpacked_bytes) * _DISK_MARGIN)


def _full(label: str, base: str, wheelhouse: Wheelhouse, free_bytes: int | None) -> DiskFullError:
    needed = _needed_bytes(wheelhouse)
    free = "" if free_bytes is None else f"; {free_bytes} bytes are free"
    return DiskFullError(
        f"{label}: no room for the agent in {base}, which needs {needed} bytes{free}",
        path=base,
        needed_bytes=needed,
        free_bytes=free_bytes,
    )
