"""Receiving files from outside: under a plain name, up to a size."""

import os
from pathlib import Path
from typing import BinaryIO

from partition_studio.errors import BadInputError

#: Uploads above this are refused while they come in.
MAX_UPLOAD_BYTES = 4 * 1024**3

_CHUNK_BYTES = 1 << 20


class UploadTooLargeError(BadInputError):
    """The file is larger than the studio takes."""

    code = "upload_too_large"
    next_step = "Choose a smaller network."


def plain_name(name: str) -> str:
    """Return a file name that cannot lead out of its folder. Raises BadInputError."""
    if (
        not name
        or Path(name).name != name
        or name.startswith(".")
        or not name.isprintable()
        or len(os.fsencode(name)) > 200
    ):
        raise BadInputError(f"{name!r} is no plain file name", next_step="Rename the file and add it again.")
    return name


def copy_upload(source: BinaryIO, target: Path, most_bytes: int = MAX_UPLOAD_BYTES) -> None:
    """Write what comes in to a file. Raises UploadTooLargeError as soon as it is more than `most_bytes`."""
    copied = 0
    with target.open("wb") as file:
        while chunk := source.read(_CHUNK_BYTES):
            copied += len(chunk)
            if copied > most_bytes:
                raise UploadTooLargeError(f"{target.name} is larger than {most_bytes / 1024**3:.0f} GiB")
            file.write(chunk)
