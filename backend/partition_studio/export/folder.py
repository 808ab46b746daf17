"""A folder that appears whole or not at all."""

import contextlib
import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

from partition_studio.export.errors import PackageFolderError


@contextlib.contextmanager
def whole_folder(out: Path, mark: str) -> Iterator[Path]:
    """Give a folder to write into, which takes the place of `out` when all went well.

    What stands there is replaced only when it is empty or holds the file `mark`, as an earlier one does. Raises
    PackageFolderError.
    """
    if out.is_symlink() or (out.exists() and not out.is_dir()):
        raise PackageFolderError(f"{out} is not a folder.", folder=str(out))
    if out.exists() and any(out.iterdir()) and not (out / mark).is_file():
        raise PackageFolderError(f"{out} holds something that is not of an earlier export.", folder=str(out))
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        work = Path(tempfile.mkdtemp(prefix=f".{out.name}.", dir=out.parent))
    except OSError as error:
        raise PackageFolderError(f"{out} cannot be written: {error.strerror}.", folder=str(out)) from error
    try:
        made = work / "new"
        made.mkdir()
        yield made
        if out.exists():
            os.replace(out, work / "old")
        try:
            os.replace(made, out)
        except OSError:
            if (work / "old").exists():
                os.replace(work / "old", out)
            raise
    except OSError as error:
        raise PackageFolderError(f"{out} cannot be written: {error.strerror or error}.", folder=str(out)) from error
    finally:
        shutil.rmtree(work, ignore_errors=True)
