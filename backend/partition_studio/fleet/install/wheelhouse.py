"""The packages that one kind of device needs, fetched once on the studio and kept."""

import contextlib
import hashlib
import json
import os
import re
import secrets
import subprocess
import sys
import tarfile
import tempfile
import threading
import time
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from partition_studio.fleet.errors import OperationCancelledError, WheelhouseError
from partition_studio.fleet.install.agent_wheel import build_agent_wheel
from partition_studio.fleet.install.lock import Lock, Target, read_agent_lock
from partition_studio.fleet.progress import CancelCheck, Progress, ProgressCallback, stop_if_cancelled
from partition_studio.fleet.text import clean_text

_DOWNLOAD_S = 900.0
_POLL_S = 0.1


@dataclass(frozen=True, slots=True)
class WheelFile:
    """One wheel on the studio. `unpacked_bytes` is what it takes on a device, `sha256` (hex) its name there."""

    path: Path
    sha256: str
    size_bytes: int
    unpacked_bytes: int


@dataclass(frozen=True, slots=True)
class Wheelhouse:
    """What a device needs. `digest` (SHA-256, hex) names the release that the wheels make; the agent's own is last."""

    target: Target
    digest: str
    wheels: tuple[WheelFile, ...]


@dataclass(frozen=True, slots=True)
class Bundle:
    """The wheels of a wheelhouse in one tar, for those who copy by hand."""

    path: Path
    sha256: str


class WheelhouseCache:
    """Wheelhouses by kind of device, in a folder of the studio. May be used from several threads."""

    def __init__(self, folder: Path, lock: Lock | None = None) -> None:
        """Keep the wheelhouses in `folder`; `lock` is the agent's own unless another is given."""
        self._folder = folder
        self._lock_file = lock or read_agent_lock()
        self._guard = threading.Lock()
        self._building: dict[str, threading.Lock] = {}

    def get(self, target: Target, progress: ProgressCallback, cancelled: CancelCheck) -> Wheelhouse:
        """Return the wheelhouse of a target, fetching what is not there yet.

        Raises WheelhouseError when a wheel cannot be had, OperationCancelledError.
        """
        with self._guard:
            turn = self._building.setdefault(target.key, threading.Lock())
        with _held(turn, cancelled):
            fetched = self._wheels(target, progress, cancelled)
            wheels = (*_described(fetched), self._agent_wheel())
        digests = " ".join(wheel.sha256 for wheel in wheels)
        return Wheelhouse(target, hashlib.sha256(f"2 {target.key} {digests}".encode()).hexdigest(), wheels)

    def bundle(self, wheelhouse: Wheelhouse) -> Bundle:
        """Return the wheels in one tar, the same bytes whenever it is made."""
        path = self._folder / "bundles" / wheelhouse.target.key / f"{wheelhouse.digest[:12]}.tar"
        if not path.is_file():
            path.parent.mkdir(parents=True, exist_ok=True)
            with _written(path) as file:
                _write_tar(file, wheelhouse.wheels)
            for old in path.parent.glob("*.tar"):
                if old != path:
                    # Whoever is copying it has it open; nobody needs it any more.
                    old.unlink(missing_ok=True)
        with path.open("rb") as file:
            return Bundle(path, hashlib.file_digest(file, "sha256").hexdigest())

    @property
    def sender(self) -> str:
        """A name for this cache, which devices use to tell apart what different studios send."""
        path = self._folder / "sender"
        if not path.is_file():
            self._folder.mkdir(parents=True, exist_ok=True)
            with _written(path) as file:
                file.write(secrets.token_hex(6).encode())
        return path.read_text(encoding="ascii")

    def _agent_wheel(self) -> WheelFile:
        agent = build_agent_wheel()
        sha256 = hashlib.sha256(agent.data).hexdigest()
        path = self._folder / "agent" / agent.name
        if not (path.is_file() and path.read_bytes() == agent.data):
            path.parent.mkdir(parents=True, exist_ok=True)
            with _written(path) as file:
                file.write(agent.data)
            for old in path.parent.glob("*.whl"):
                if old != path:
                    old.unlink(missing_ok=True)
        return WheelFile(path, sha256, len(agent.data), _unpacked_bytes(path))

    def _wheels(self, target: Target, progress: ProgressCallback, cancelled: CancelCheck) -> list[Path]:
        folder = self._folder / "wheels" / f"{self._lock_file.digest[:12]}-{target.key}"
        if not folder.is_dir():
            folder.parent.mkdir(parents=True, exist_ok=True)
            with tempfile.TemporaryDirectory(dir=folder.parent, prefix=".fetch-") as temporary:
                fetched = Path(temporary) / "wheels"
                fetched.mkdir()
                self._download(target, fetched, progress, cancelled)
                try:
                    os.rename(fetched, folder)
                except OSError:
                    # Another studio on the same cache was faster; its wheels have the same hashes.
                    if not folder.is_dir():
                        raise
        return sorted(folder.glob("*.whl"))

    def _download(self, target: Target, into: Path, progress: ProgressCallback, cancelled: CancelCheck) -> None:
        requirements = self._lock_file.requirements_for(target)
        listing = into.parent / "requirements.txt"
        listing.write_text("\n".join(requirements) + "\n")
        log = into.parent / "pip.log"
        version = f"{target.python[0]}{target.python[1]}"
        command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--only-binary=:all:"]
        command += ["--require-hashes", "--no-input", "--disable-pip-version-check", "--dest", str(into)]
        command += ["--implementation", "cp", "--python-version", version]
        for abi in (f"cp{version}", "abi3", "none"):
            command += ["--abi", abi]
        for tag in target.platform_tags:
            command += ["--platform", tag]
        command += ["--requirement", str(listing)]
        with log.open("wb") as output:
            process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT)
            with process:
                try:
                    _watch(process, into, len(requirements), target, progress, cancelled)
                finally:
                    process.kill()
        if process.returncode != 0:
            reason = errors_of_pip(log.read_text(errors="replace"), target)
            raise WheelhouseError(f"The packages for {target.key} could not be fetched: {reason}", target=target.key)


@contextlib.contextmanager
def _written(path: Path) -> Iterator[BinaryIO]:
    """Write a file that is there whole or not at all."""
    descriptor, temporary = tempfile.mkstemp(dir=path.parent, prefix=".new-")
    try:
        with os.fdopen(descriptor, "wb") as file:
            yield file
        os.replace(temporary, path)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise


def _described(paths: list[Path]) -> list[WheelFile]:
    """Return what is to be known of wheels; noted beside them, for hashing takes longer than all the rest."""
    if not paths:
        return []
    notes = paths[0].parent / "wheels.json"
    if not notes.is_file():
        found = {path.name: [_sha256(path), _unpacked_bytes(path)] for path in paths}
        with _written(notes) as file:
            file.write(json.dumps(found).encode())
    known = json.loads(notes.read_text())
    return [WheelFile(path, str(known[path.name][0]), path.stat().st_size, int(known[path.name][1])) for path in paths]


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def errors_of_pip(said: str, target: Target) -> str:
    """Return what pip calls errors, without the long lists of versions that it saw, and what the person can do."""
    text = clean_text(said, keep_lines=True)
    missing = re.search(r"No matching distribution found for ([\w.-]+)==(\S+)", text)
    if missing is not None:
        python = ".".join(str(part) for part in target.python[:2])
        glibc = ".".join(str(part) for part in target.glibc)
        return (
            f"there is no package of {missing[1]} {missing[2]} for Python {python} with glibc {glibc} on "
            f"{target.architecture}; install a newer system, or another CPython on the device (an older one goes with "
            "an older glibc)"
        )
    errors = [line.removeprefix("ERROR: ") for line in text.splitlines() if line.startswith("ERROR: ")]
    return re.sub(r" \(from versions:[^)]*\)", "", "; ".join(errors or text.splitlines()[-3:]))[:600]


@contextlib.contextmanager
def _held(turn: threading.Lock, cancelled: CancelCheck) -> Iterator[None]:
    while not turn.acquire(timeout=_POLL_S):
        stop_if_cancelled(cancelled, "the fetching of packages")
    try:
        yield
    finally:
        turn.release()


def _watch(
    process: "subprocess.Popen[bytes]",
    into: Path,
    count: int,
    target: Target,
    progress: ProgressCallback,
    cancelled: CancelCheck,
) -> None:
    """Wait for pip, telling how many wheels are there; it places them at the end, so time is told as well."""
    started, told = time.monotonic(), -1.0
    while True:
        try:
            process.wait(_POLL_S)
            return
        except subprocess.TimeoutExpired:
            elapsed = time.monotonic() - started
        if cancelled():
            raise OperationCancelledError(f"The fetching of packages for {target.key} was cancelled")
        if elapsed > _DOWNLOAD_S:
            raise WheelhouseError(f"The packages for {target.key} did not arrive within {_DOWNLOAD_S:g} s")
        if elapsed - told >= 1.0:
            told = elapsed
            there = sum(1 for _ in into.iterdir())
            progress(Progress("wheels", f"fetching {count} packages for {target.key}, {there} there, {elapsed:.0f} s"))


def _write_tar(file: BinaryIO, wheels: tuple[WheelFile, ...]) -> None:
    """Write the wheels in order, with nothing in the tar that differs from one making to the next."""
    with tarfile.open(fileobj=file, mode="w", format=tarfile.GNU_FORMAT) as tar:
        for wheel in wheels:
            with wheel.path.open("rb") as source:
                tar.addfile(_entry(wheel.path.name, wheel.size_bytes), source)


def _entry(name: str, size: int) -> tarfile.TarInfo:
    entry = tarfile.TarInfo(name)
    entry.size = size
    entry.mode = 0o600
    return entry


def _unpacked_bytes(wheel: Path) -> int:
    with zipfile.ZipFile(wheel) as archive:
        return sum(member.file_size for member in archive.infolist())
