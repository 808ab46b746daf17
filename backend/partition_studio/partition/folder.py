"""A folder that appears whole or not at all."""

import contextlib
import fcntl
import glob
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

from partition_studio.errors import ConflictError

_LOCK = "lock"


class OutputFolderError(ConflictError):
    """The folder that is to be written cannot be, or holds something else."""

    code = "output_folder"
    next_step = "Choose a new or empty folder, or one that this command wrote before."


@contextlib.contextmanager
def whole_folder(out: Path, foreign: Callable[[Path], str | None]) -> Iterator[Path]:
    """Give a folder to write into, which takes the place of `out` when all went well.

    `foreign` names something in the folder that stands there and is not of an earlier run; such a folder is left
    alone. Until it takes its place the new folder lies beside `out` under a hidden name; what a writer that was killed
    left under such a name is removed. Raises OutputFolderError.
    """
    if out.is_symlink() or (out.exists() and not out.is_dir()):
        raise OutputFolderError(f"{out} is not a folder.", folder=str(out))
    found = foreign(out) if out.exists() else None
    if found is not None:
        raise OutputFolderError(f"{out} holds something that is not of an earlier run: {found!r}.", folder=str(out))
    with _named(out):
        out.parent.mkdir(parents=True, exist_ok=True)
        _remove_abandoned(out)
        work = Path(tempfile.mkdtemp(prefix=f".{out.name}.", dir=out.parent))
    try:
        with _named(out), (work / _LOCK).open("wb") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            new = work / "new"
            new.mkdir()
            yield new
            _swap(new, out, work / "old")
    finally:
        shutil.rmtree(work, ignore_errors=True)


@contextlib.contextmanager
def _named(out: Path) -> Iterator[None]:
    """Say of an error of the file system which folder was to be written."""
    try:
        yield
    except OSError as error:
        raise OutputFolderError(f"{out} cannot be written: {error.strerror or error}.", folder=str(out)) from error


def _swap(new: Path, out: Path, old: Path) -> None:
    """Put `new` in the place of `out`; what was there is gone only once the new folder stands."""
    if out.exists():
        os.replace(out, old)
    try:
        os.replace(new, out)
    except OSError:
        if old.exists():
            os.replace(old, out)
        raise


def _remove_abandoned(out: Path) -> None:
    """Remove the hidden folders of writers that are no more: those whose lock nobody holds."""
    for work in out.parent.glob(f".{glob.escape(out.name)}.*"):
        with contextlib.suppress(OSError), (work / _LOCK).open("rb") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            shutil.rmtree(work, ignore_errors=True)
