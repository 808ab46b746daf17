"""Bringing the agent onto a device: nothing is needed there but a shell and Python, and nothing is left half-done."""

import contextlib
import sys
import threading
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import PurePosixPath

import msgspec

from partition_studio.fleet.check.check import require_ready
from partition_studio.fleet.check.facts import DeviceCheck
from partition_studio.fleet.connection import DeviceConnection
from partition_studio.fleet.errors import DiskFullError, PythonMissingError
from partition_studio.fleet.install.device_python import call_device
from partition_studio.fleet.install.errors import PackagesGoneError, UnhealthyReleaseError
from partition_studio.fleet.install.lock import target_of
from partition_studio.fleet.install.wheelhouse import WheelFile, Wheelhouse, WheelhouseCache
from partition_studio.fleet.local import LocalConnection
from partition_studio.fleet.progress import (
    CancelCheck,
    Progress,
    ProgressCallback,
    ignore_progress,
    never_cancelled,
    stop_if_cancelled,
)
from partition_studio.sizes import size_text

_LOOK_S = 60.0
_UNPACK_S = 600.0
_REMOVE_S = 120.0

#: Files take whole blocks.
_DISK_MARGIN = 1.15

#: How often packages are sent again that another studio's installation removed in between.
_TRIES = 3

_busy_guard = threading.Lock()
_busy: defaultdict[tuple[str, str], threading.Lock] = defaultdict(threading.Lock)


@dataclass(frozen=True, slots=True)
class Installed:
    """Where the agent is on a device. `site_dir` is None where it runs from the studio's own packages.

    `release` is the digest of the release (SHA-256, hex), None where it is not known.
    """

    base_dir: str
    release_dir: str | None
    site_dir: str | None
    python: str
    data_dir: str
    release: str | None = None

    @property
    def models_dir(self) -> str:
        """Where the agent looks for sub-models, as `<sha256>.onnx`."""
        return f"{self.data_dir}/models"


class _Look(msgspec.Struct):
    releases: tuple[str, ...]
    packages: tuple[str, ...]
    current: str
    free_bytes: int


class _Release(msgspec.Struct):
    release: str


class _Discarded(msgspec.Struct):
    """There is nothing to tell."""


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

    Only wheels that the device has not are sent. A release is put in place after a trial on the device; when it does
    not pass, the one before stays. A local device needs nothing: its agent runs from the studio's own packages.
    Raises what `require_ready` and `WheelhouseCache.get` raise, DiskFullError, InstallFailedError,
    UnhealthyReleaseError, OperationCancelledError, and the errors of the connection.
    """
    if isinstance(connection, LocalConnection):
        return local_installed(connection)
    require_ready(check, connection.label)
    if check.python is None:
        raise PythonMissingError(f"{connection.label} has no Python for the agent")
    wheelhouse = wheelhouses.get(target_of(check), progress, cancelled)
    return install_wheelhouse(
        connection, wheelhouse, check.facts.base, check.python.path, wheelhouses.sender, progress, cancelled
    )


def install_wheelhouse(
    connection: DeviceConnection,
    wheelhouse: Wheelhouse,
    base: str,
    python: str,
    sender: str,
    progress: ProgressCallback = ignore_progress,
    cancelled: CancelCheck = never_cancelled,
) -> Installed:
    """Make the wheels of a wheelhouse the release below `base`; see `ensure_installed`.

    `sender` keeps apart what different studios send to the same device at the same time.
    """
    stop_if_cancelled(cancelled, f"the installation on {connection.label}")
    with _alone(connection.label, base, cancelled):
        installation = _Installation(connection, wheelhouse, base, python, sender, progress, cancelled)
        for _ in range(_TRIES - 1):
            with contextlib.suppress(PackagesGoneError):
                return installation.carry_out()
        return installation.carry_out()


class _Installation:
    """One attempt to bring one release onto one device."""

    def __init__(
        self,
        connection: DeviceConnection,
        wheelhouse: Wheelhouse,
        base: str,
        python: str,
        sender: str,
        progress: ProgressCallback,
        cancelled: CancelCheck,
    ) -> None:
        self._connection = connection
        self._wheelhouse = wheelhouse
        self._base = base
        self._python = python
        self._incoming = f"{base}/incoming/{sender}"
        self._progress = progress
        self._cancelled = cancelled

    def carry_out(self) -> Installed:
        release = self._wheelhouse.digest[:12]
        there = call_device(
            self._connection, self._python, "look", {"base": self._base}, answer=_Look, timeout_s=_LOOK_S
        )
        if not (release in there.releases and release == there.current):
            if release not in there.releases:
                self._bring(there)
            self._make(release, there)
        return installed_at(
            self._base, self._python, f"{self._base}/releases/{release}", release=self._wheelhouse.digest
        )

    def _bring(self, there: _Look) -> None:
        missing = [wheel for wheel in self._wheelhouse.wheels if wheel.sha256 not in there.packages]
        needed = _needed_bytes(missing)
        if there.free_bytes < needed:
            raise self._full(needed, there.free_bytes)
        total = sum(wheel.size_bytes for wheel in missing)
        done = 0
        try:
            for wheel in missing:
                self._send(wheel, done, total)
                done += wheel.size_bytes
        except DiskFullError:
            arguments: dict[str, object] = {"base": self._base, "incoming": self._incoming}
            call_device(self._connection, self._python, "discard", arguments, answer=_Discarded, timeout_s=_LOOK_S)
            raise
        stop_if_cancelled(self._cancelled, f"the installation on {self._connection.label}")
        self._progress(Progress("unpack", "unpacking the packages on the device and trying them"))

    def _send(self, wheel: WheelFile, before: int, total: int) -> None:
        def report(done_bytes: int) -> None:
            self._progress(Progress("upload", "sending the packages", before + done_bytes, total))

        with wheel.path.open("rb") as file:
            self._connection.upload(
                file,
                wheel.size_bytes,
                f"{self._incoming}/{wheel.sha256}.whl",
                sha256=wheel.sha256,
                progress=report,
                cancelled=self._cancelled,
            )

    def _make(self, release: str, there: _Look) -> None:
        arguments: dict[str, object] = {
            "base": self._base,
            "release": release,
            "wheels": [wheel.sha256 for wheel in self._wheelhouse.wheels],
            "incoming": self._incoming,
        }
        try:
            call_device(self._connection, self._python, "install", arguments, answer=_Release, timeout_s=_UNPACK_S)
        except DiskFullError as error:
            raise self._full(_needed_bytes(self._wheelhouse.wheels), None) from error
        except UnhealthyReleaseError as error:
            before = (
                f"The release before it ({there.current}) is still in place."
                if there.current in there.releases
                else "Nothing of it was left there."
            )
            raise UnhealthyReleaseError(f"{error.message}\n{before}", log=error.details.get("log")) from error

    def _full(self, needed: int, free_bytes: int | None) -> DiskFullError:
        free = "" if free_bytes is None else f"; {size_text(free_bytes)} are free"
        return DiskFullError(
            f"{self._connection.label}: no room for the agent in {self._base}, which needs {size_text(needed)}{free}",
            path=self._base,
            needed_bytes=needed,
            free_bytes=free_bytes,
        )


def installed_at(base_dir: str, python: str, release_dir: str, *, release: str | None = None) -> Installed:
    """Return the layout of a device whose agent is in `release_dir`."""
    return Installed(base_dir, release_dir, f"{release_dir}/site", python, f"{base_dir}/data", release)


def local_installed(connection: LocalConnection) -> Installed:
    """Return the layout of a local device."""
    data_dir = str(connection.data_dir)
    return Installed(data_dir, None, None, sys.executable, data_dir)


def uninstall(connection: DeviceConnection, installed: Installed) -> None:
    """Stop the agent and remove everything of ours from the device, what starts it included.

    Raises DeviceFileError when something cannot be removed, DeviceHeldError while another studio installs or starts
    its agent there, and the errors of the connection.
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


@contextlib.contextmanager
def _alone(label: str, base: str, cancelled: CancelCheck) -> Iterator[None]:
    """Let one installation of this studio at a time go to a device: one device may be registered twice."""
    with _busy_guard:
        turn = _busy[label, base]
    while not turn.acquire(timeout=0.1):
        stop_if_cancelled(cancelled, f"the installation on {label}")
    try:
        yield
    finally:
        turn.release()


def _needed_bytes(wheels: tuple[WheelFile, ...] | list[WheelFile]) -> int:
    return int(sum(wheel.size_bytes + wheel.unpacked_bytes for wheel in wheels) * _DISK_MARGIN)
