"""The packages that one kind of device needs, fetched once on the studio and kept."""

import contextlib
import hashlib
import io
import json
import os
import re
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

from partition_studio.fleet.agent_wheel import build_agent_wheel
from partition_studio.fleet.errors import OperationCancelledError, WheelhouseError
from partition_studio.fleet.lock import Lock, Target, read_agent_lock
from partition_studio.fleet.progress import CancelCheck, Progress, ProgressCallback, stop_if_cancelled
from partition_studio.fleet.text import clean_text

_DOWNLOAD_S = 900.0
_POLL_S = 0.1


@dataclass(frozen=True, slots=True)
class Wheelhouse:
    """What is sent to a device: one tar of wheels. `digest` (SHA-256, hex) names the release that it makes."""

    target: Target
    digest: str
    bundle: Path
    bundle_sha256: str
    bundle_bytes: int
    unpacked_bytes: int


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
            wheels = self._wheels(target, progress, cancelled)
            return self._bundle(target, wheels)

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
            raise WheelhouseError(
                f"The packages for {target.key} could not be fetched: {_errors_of_pip(log)}", target=target.key
            )

    def _bundle(self, target: Target, wheels: list[Path]) -> Wheelhouse:
        agent = build_agent_wheel()
        release = hashlib.sha256(f"1 {target.key} {self._lock_file.digest} {agent.name}".encode()).hexdigest()
        bundle = self._folder / "bundles" / target.key / f"{release[:12]}.tar"
        facts = bundle.with_suffix(".json")
        if not (bundle.is_file() and facts.is_file()):
            bundle.parent.mkdir(parents=True, exist_ok=True)
            descriptor, temporary = tempfile.mkstemp(dir=bundle.parent, prefix=".bundle-")
            try:
                with os.fdopen(descriptor, "wb") as file:
                    unpacked = _write_tar(file, wheels, agent.name, agent.data)
                with open(temporary, "rb") as file:
                    sha256 = hashlib.file_digest(file, "sha256").hexdigest()
                os.replace(temporary, bundle)
            except BaseException:
                Path(temporary).unlink(missing_ok=True)
                raise
            known = {"sha256": sha256, "unpacked_bytes": unpacked}
            facts.with_suffix(".tmp").write_text(json.dumps(known))
            os.replace(facts.with_suffix(".tmp"), facts)
            for old in bundle.parent.glob("*.tar"):
                if old != bundle:
                    # Whoever is sending it has it open; nobody needs it any more.
                    old.unlink(missing_ok=True)
        known = json.loads(facts.read_text())
        return Wheelhouse(
            target, release, bundle, str(known["sha256"]), bundle.stat().st_size, int(known["unpacked_bytes"])
        )


def _errors_of_pip(log: Path) -> str:
    """Return what pip calls errors, without the long lists of versions that it saw."""
    text = clean_text(log.read_text(errors="replace"), keep_lines=True)
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


def _write_tar(file: io.BufferedWriter, wheels: list[Path], agent_name: str, agent_data: bytes) -> int:
    """Write the wheels in order, with nothing in the tar that differs from one making to the next.

    Returns the number of bytes that they take unpacked.
    """
    unpacked = 0
    with tarfile.open(fileobj=file, mode="w", format=tarfile.GNU_FORMAT) as tar:
        for wheel in wheels:
            with wheel.open("rb") as source:
                tar.addfile(_entry(wheel.name, wheel.stat().st_size), source)
            if not wheel.name.startswith("pip-"):
                unpacked += _unpacked_bytes(wheel)
        tar.addfile(_entry(agent_name, len(agent_data)), io.BytesIO(agent_data))
        unpacked += _unpacked_bytes(io.BytesIO(agent_data))
    return unpacked


def _entry(name: str, size: int) -> tarfile.TarInfo:
    entry = tarfile.TarInfo(name)
    entry.size = size
    entry.mode = 0o600
    return entry


def _unpacked_bytes(wheel: Path | io.BytesIO) -> int:
    with zipfile.ZipFile(wheel) as archive:
        return sum(member.file_size for member in archive.infolist())
