"""Sub-models that were optimised ahead, by digest: made once in a process that ends, verified before every load."""

import json
import logging
import os
import secrets
import shutil
import subprocess
import sys
import threading
from pathlib import Path
from typing import Callable, Dict, NamedTuple, Optional

from partition_agent.loading.model_store import delete_folder, file_digest, optimised_folder
from partition_agent.loading.optimise import REFERRING, REFUSED, SOURCE
from partition_agent.loading.options import OPTIMISED, OPTIMISED_WEIGHTS
from partition_agent.loading.protobuf import ModelFileError
from partition_agent.loading.sharing import is_shared_name, share
from partition_agent.loading.stage_errors import is_out_of_memory
from partition_agent.system import processor_identity

logger = logging.getLogger(__name__)

#: What is made changes with this program too.
_FORMAT = 1
_RECORD = "record.json"
_MAX_RECORD_BYTES = 4096

#: The optimised model is about as large as the sub-model; room on the disk that is left to others comes on top.
_DISK_RESERVE_BYTES = 32 * 2**20

#: How often a process that optimises is looked at, and whether it is still wanted.
_LOOK_EVERY_S = 0.02

#: One at a time: together they would take their memory together.
_turn = threading.Lock()


class NotOptimisedError(Exception):
    """The sub-model cannot be optimised ahead; the text says why, for the person."""


class MemoryRanOutError(Exception):
    """The process that optimises was ended by the system, or found no memory."""


class Optimised(NamedTuple):
    """A model that needs no optimising, and the file that its large weights are mapped from."""

    model: Path
    weights: Path


def optimised_model(models_dir: Path, digest: str, source: Path, check: Callable[[], None]) -> Optimised:
    """Return the optimised form of the sub-model `source`, made now unless it is there.

    `check` may raise to give up; then, and when anything fails, no process and no file of it is left.
    Raises NotOptimisedError, MemoryRanOutError.
    """
    folder = optimised_folder(models_dir, digest)
    while not _turn.acquire(timeout=_LOOK_EVERY_S):
        check()
    try:
        key = _key(digest)
        found = _find(folder, key, check)
        if found is not None:
            return found
        delete_folder(folder)
        return _make(folder, source, key, check)
    except OSError as error:
        raise NotOptimisedError(f"its folder on the device cannot be used ({error.strerror or error})") from error
    finally:
        _turn.release()


def forget(models_dir: Path, digest: str) -> None:
    """Delete the optimised form of a sub-model."""
    try:
        delete_folder(optimised_folder(models_dir, digest))
    except OSError as error:
        logger.warning("optimised_model_not_deleted", extra={"reason": str(error)})


def _key(digest: str) -> str:
    """Return what the optimised form depends on: an optimised model is made for one runtime on one processor."""
    import onnxruntime

    parts = (str(_FORMAT), digest, str(onnxruntime.__version__), processor_identity(), "CPUExecutionProvider")
    return "|".join(parts)


def _find(folder: Path, key: str, check: Callable[[], None]) -> Optional[Optimised]:
    """Return what is there, when every byte of it is what was made here for this runtime and processor."""
    files = _recorded(folder, key)
    if files is None:
        return None
    try:
        for name, digest in files.items():
            if file_digest(folder / name, check) != digest:
                logger.warning("optimised_model_differs", extra={"file": name})
                return None
    except OSError:
        return None
    return Optimised(folder / OPTIMISED, folder / OPTIMISED_WEIGHTS)


def _recorded(folder: Path, key: str) -> Optional[Dict[str, str]]:
    try:
        descriptor = os.open(str(folder / _RECORD), os.O_RDONLY | os.O_NOFOLLOW)
        with open(descriptor, "rb") as file:
            record = json.loads(file.read(_MAX_RECORD_BYTES))
    except (OSError, ValueError):
        return None
    if not isinstance(record, dict) or record.get("key") != key:
        return None
    files = record.get("files")
    if not isinstance(files, dict) or OPTIMISED not in files or not all(isinstance(v, str) for v in files.values()):
        return None
    if any(name not in (OPTIMISED, OPTIMISED_WEIGHTS) and not is_shared_name(name) for name in files):
        return None
    # A file that the record does not tell of is none of ours, but the model might refer to it.
    return files if {path.name for path in folder.iterdir()} == {_RECORD, *files} else None


def _make(folder: Path, source: Path, key: str, check: Callable[[], None]) -> Optimised:
    folder.parent.mkdir(mode=0o700, exist_ok=True)
    if shutil.disk_usage(str(folder.parent)).free < source.stat().st_size + _DISK_RESERVE_BYTES:
        raise NotOptimisedError("there is no room for it on the device's disk")
    work = folder.with_name(f"{folder.name}.{secrets.token_hex(4)}")
    work.mkdir(mode=0o700)
    try:
        _run(work, source, check)
        if not (work / OPTIMISED).exists():
            raise NotOptimisedError("ONNX Runtime saved nothing")
        _share(work, folder, check)
        files = {path.name: file_digest(path, check) for path in sorted(work.iterdir())}
        (work / _RECORD).write_text(json.dumps({"key": key, "files": files}), encoding="utf-8")
        work.rename(folder)
    finally:
        delete_folder(work)
    return Optimised(folder / OPTIMISED, folder / OPTIMISED_WEIGHTS)


def _share(work: Path, folder: Path, check: Callable[[], None]) -> None:
    others = [other for other in sorted(folder.parent.iterdir()) if other != work and "." not in other.name]
    try:
        share(work, others, check)
    except ModelFileError as error:
        logger.warning("weights_not_shared", extra={"reason": str(error)})


def _run(work: Path, source: Path, check: Callable[[], None]) -> None:
    """Let a process optimise `source` in the folder `work`, and leave only what it made."""
    os.link(str(source), str(work / SOURCE))
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(part for part in sys.path if part)}
    with open(str(work / "errors"), "w+b") as errors:
        child = subprocess.Popen(
            [sys.executable, "-m", "partition_agent.loading.optimise", str(os.getpid())],
            stdin=subprocess.DEVNULL,
            stdout=errors,
            stderr=errors,
            cwd=str(work),
            env=environment,
        )
        try:
            status = _wait(child, check)
        finally:
            if child.poll() is None:
                child.kill()
                child.wait()
        errors.seek(0)
        told = errors.read(_MAX_RECORD_BYTES).decode("utf-8", "replace").strip()
    if status != 0:
        _refuse(status, told)
    for name in (SOURCE, REFERRING, "errors"):
        (work / name).unlink()


def _wait(child: "subprocess.Popen[bytes]", check: Callable[[], None]) -> int:
    while True:
        try:
            return child.wait(_LOOK_EVERY_S)
        except subprocess.TimeoutExpired:
            check()


def _refuse(status: int, told: str) -> None:
    # Nobody but the system kills it with this signal: we do so only when nobody waits for the answer any more.
    if status == -9 or is_out_of_memory(told):
        raise MemoryRanOutError
    last = told.splitlines()[-1][:300] if told else ""
    if status == REFUSED and last:
        raise NotOptimisedError(last)
    logger.warning("optimising_failed", extra={"status": status, "told": told[-1000:]})
    raise NotOptimisedError(f"the process that does it ended with status {status}")
