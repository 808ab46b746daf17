"""What is installed beside the agent, found by file names: neither the runtime nor `importlib.metadata` is loaded."""

import json
import logging
import os
import subprocess
import sys
import threading
from pathlib import Path
from typing import Dict, Iterator, NamedTuple, Optional, Tuple

logger = logging.getLogger(__name__)

_CPU = ("CPUExecutionProvider",)
_ASK = "import json, onnxruntime; print(json.dumps(onnxruntime.get_available_providers()))"
_ASK_S = 60.0
_MAX_BYTES = 4096


class Distribution(NamedTuple):
    """One installed distribution: its name (normalised, with underscores), version, and folder of metadata."""

    name: str
    version: str
    folder: Path


def _distributions(prefix: str) -> Iterator[Distribution]:
    """Yield those whose names begin so, in the order in which Python looks for modules."""
    for entry in sys.path:
        try:
            names = sorted(os.listdir(entry or "."))
        except OSError:
            continue
        for name in names:
            stem, _, kind = name.rpartition(".")
            title, _, version = stem.partition("-")
            if kind == "dist-info" and version and title.lower().startswith(prefix):
                yield Distribution(title.lower(), version, Path(entry, name))


def agent_version() -> str:
    """Return the agent's version, from whichever distribution brought it."""
    for name in ("partition_agent", "partition_studio"):
        for found in _distributions(name):
            if found.name == name:
                return found.version
    return _by_metadata(("partition-agent", "partition-studio")) or "unknown"


def runtime_distribution() -> Optional[Distribution]:
    """Return the distribution of ONNX Runtime: it has several names, by the hardware that it is built for."""
    return next((found for found in _distributions("onnxruntime") if _is_runtime(found.name)), None)


def _is_runtime(name: str) -> bool:
    # Others begin so too: extensions and tools are not the runtime.
    return name == "onnxruntime" or (
        name.startswith("onnxruntime_") and name.split("_", 1)[1] not in ("extensions", "tools", "genai")
    )


def onnxruntime_version() -> str:
    """Return the version of ONNX Runtime without loading it where its files tell."""
    found = runtime_distribution()
    if found is not None:
        return found.version
    import onnxruntime

    return str(onnxruntime.__version__)


def _by_metadata(names: Tuple[str, ...]) -> Optional[str]:
    import importlib.metadata

    for name in names:
        try:
            return importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
    return None


class Providers:
    """The execution providers of the device's ONNX Runtime.

    A build as the package index has it for the processor is known to have that one alone that computes here. Any other
    is asked in a process of its own, once: the answer is kept in `file`, for the build that was asked.
    """

    def __init__(self, file: Path) -> None:
        self._file = file
        self._lock = threading.Lock()
        #: Their names, once they have been asked for.
        self.known: Optional[Tuple[str, ...]] = None

    def get(self) -> Tuple[str, ...]:
        """Return their names, by preference; waits for the process where there has to be one."""
        with self._lock:
            if self.known is None:
                self.known = self._find()
            return self.known

    def _find(self) -> Tuple[str, ...]:
        found = runtime_distribution()
        if found is not None and found.name == "onnxruntime" and _is_portable(found):
            return _CPU
        build = _build(found)
        kept = self._kept(build)
        return kept if kept is not None else self._ask(build)

    def _kept(self, build: str) -> Optional[Tuple[str, ...]]:
        try:
            with open(self._file, "rb") as file:
                record = json.loads(file.read(_MAX_BYTES))
        except (OSError, ValueError):
            return None
        if not isinstance(record, dict) or record.get("build") != build or not build:
            return None
        names = record.get("providers")
        return tuple(map(str, names)) if isinstance(names, list) else None

    def _ask(self, build: str) -> Tuple[str, ...]:
        environment: Dict[str, str] = {**os.environ, "PYTHONPATH": os.pathsep.join(part for part in sys.path if part)}
        try:
            told = subprocess.run(
                [sys.executable, "-c", _ASK],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                env=environment,
                timeout=_ASK_S,
                check=True,
            ).stdout
            names = tuple(str(name) for name in json.loads(told.splitlines()[-1]))
            self._file.write_text(json.dumps({"build": build, "providers": names}), encoding="utf-8")
        except (OSError, ValueError, IndexError, subprocess.SubprocessError) as error:
            logger.warning("providers_unknown", extra={"reason": str(error)})
            return _CPU
        return names


def _is_portable(found: Distribution) -> bool:
    """Return whether a distribution was built for any Linux (as the package index wants it), by its tag."""
    try:
        with open(found.folder / "WHEEL", "rb") as file:
            return b"manylinux" in file.read(_MAX_BYTES)
    except OSError:
        return False


def _build(found: Optional[Distribution]) -> str:
    """Return what tells a build from another; empty where that is not known."""
    if found is None:
        return ""
    try:
        changed = (found.folder / "RECORD").stat()
    except OSError:
        return ""
    return f"{found.name} {found.version} {changed.st_size} {changed.st_mtime_ns}"
