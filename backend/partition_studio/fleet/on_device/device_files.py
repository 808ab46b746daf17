# ruff: noqa: UP006, UP035, UP045 - this file runs on the device, on Python 3.8.
"""What the programs that run on a device share: problems that the studio understands, locks, files, processes.

See `device_script`.
"""

import contextlib
import errno
import fcntl
import os
import shutil
import time
from typing import Iterator, List, Optional, TextIO

MARK = "partition-studio: "
#: ONNX Runtime's wheels otherwise send usage events and file an identifier in the user's home, before any call of ours.
#: The first name is that of the releases, the second that of some in between.
NO_TELEMETRY = {"ORT_DISABLE_TELEMETRY": "1", "ORT_TELEMETRY_DISABLED": "1"}
FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


class DeviceProblemError(Exception):
    """Something that the studio turns into one of its errors by `code`."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


def file_trouble(problem: OSError) -> str:
    """Return what the system refused and of which file, in a sentence for the person."""
    reason = problem.strerror or str(problem) or type(problem).__name__
    path = problem.filename if problem.filename2 is None else problem.filename2
    if path is None:
        return f"a file cannot be read or written ({reason})"
    name = os.fsdecode(path) if isinstance(path, (str, bytes)) else str(path)
    if isinstance(problem, FileExistsError):
        return f"{name} cannot be made: something else has this name there"
    if isinstance(problem, NotADirectoryError):
        return f"{name} cannot be used: what should be a folder on its way is none"
    return f"{name} cannot be used ({reason})"


@contextlib.contextmanager
def locked(base: str, patience_s: Optional[float] = None) -> Iterator[None]:
    """Let one command at a time change BASE, which may remove it with the lock.

    Others are waited for, or refused after `patience_s` with the code `device_busy`.
    """
    path = os.path.join(base, ".lock")
    while True:
        os.makedirs(base, mode=0o700, exist_ok=True)
        with open(path, "w") as file:
            _take_lock(file, base, patience_s)
            if _is_at(file, path):
                yield
                return


def _take_lock(file: TextIO, base: str, patience_s: Optional[float]) -> None:
    if patience_s is None:
        fcntl.flock(file, fcntl.LOCK_EX)
        return
    deadline_s = time.monotonic() + patience_s
    while True:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return
        except BlockingIOError:
            if time.monotonic() > deadline_s:
                raise DeviceProblemError("device_busy", f"{base} is being changed by another command") from None
        time.sleep(0.05)


def _is_at(file: TextIO, path: str) -> bool:
    """Whether an open file is still the one of this name: a lock of one that was removed keeps nobody out."""
    try:
        return os.path.samestat(os.fstat(file.fileno()), os.stat(path))
    except FileNotFoundError:
        return False


def remove(path: str) -> None:
    """Remove a file or link that may be gone already."""
    with contextlib.suppress(FileNotFoundError):
        os.unlink(path)


def remove_tree(path: str) -> None:
    """Remove a folder as far as that is possible; it may be gone already."""
    shutil.rmtree(path, ignore_errors=True)


def names_in(folder: str) -> List[str]:
    """Return the names in a folder that may not be there."""
    try:
        return os.listdir(folder)
    except FileNotFoundError:
        return []


def start_ticks(pid: int) -> Optional[int]:
    """Return when a living process started, in clock ticks since boot; None when it is gone or a zombie."""
    try:
        with open(f"/proc/{pid}/stat") as file:
            fields = file.read().rpartition(")")[2].split()
    except (OSError, ValueError):
        return None
    return None if fields[0] in "ZX" else int(fields[19])


def agent_environment(site: str, cache: str) -> "dict[str, str]":
    """Return what an agent's environment must have beside the user's own; `site` is empty for a local device."""
    environment = {"PYTHONUNBUFFERED": "1", "XDG_CACHE_HOME": cache}
    environment.update(NO_TELEMETRY)
    if site:
        environment.update(PYTHONPATH=site, PYTHONNOUSERSITE="1")
    return environment
