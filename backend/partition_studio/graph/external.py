"""Weights that lie in files beside the ONNX file: taken in only from plain files within its folder."""

import os
import stat
from collections.abc import Iterator
from math import prod
from pathlib import Path, PurePosixPath, PureWindowsPath

import onnx
from onnx import TensorProto

from partition_studio.graph.dtypes import element_bits
from partition_studio.graph.errors import (
    ExternalDataLinkError,
    ExternalDataMissingError,
    ExternalDataOutsideError,
    ExternalDataRangeError,
    NetworkTooLargeError,
)
from partition_studio.graph.walk import all_tensors


def inline_external_data(model: onnx.ModelProto, path: Path, room_bytes: int) -> Iterator[bytes]:
    """Replace every reference to an external file by its bytes, and yield them in order of appearance.

    Absolute paths, paths that lead out of the folder of `path`, links (symbolic or hard), other than plain files and
    ranges beyond the file's end are refused: such a reference would read what the person did not mean to give.
    """
    used_bytes = 0
    for tensor in all_tensors(model):
        if tensor.data_location != TensorProto.EXTERNAL:
            continue
        content = _read_tensor(tensor, path, room_bytes - used_bytes)
        used_bytes += len(content)
        tensor.ClearField("external_data")
        tensor.ClearField("data_location")
        tensor.raw_data = content
        yield content


def _read_tensor(tensor: TensorProto, path: Path, room_bytes: int) -> bytes:
    entries = {entry.key: entry.value for entry in tensor.external_data}
    location = entries.get("location", "")
    expected_bytes = (prod(tensor.dims) * element_bits(tensor.data_type) + 7) // 8
    offset = _number(tensor, path, entries.get("offset", "0"))
    length = _number(tensor, path, entries.get("length", str(expected_bytes)))
    if length != expected_bytes or min(tensor.dims, default=0) < 0:
        raise ExternalDataRangeError(
            f"{path.name}: the weight {tensor.name!r} needs {expected_bytes} bytes, "
            f"and {length} are announced in {location!r}.",
            tensor=tensor.name,
        )
    if length > room_bytes:
        raise NetworkTooLargeError(
            f"{path.name} with its external weights is larger than the limit (at {tensor.name!r}).", file=path.name
        )
    file = _checked_file(tensor, path, location)
    return _read_range(tensor, path, file, offset, length)


def _number(tensor: TensorProto, path: Path, text: str) -> int:
    if not (text.isascii() and text.isdigit() and len(text) < 20):
        raise ExternalDataRangeError(
            f"{path.name}: the place of the weight {tensor.name!r} is not a number: {text[:40]!r}.",
            tensor=tensor.name,
        )
    return int(text)


def _checked_file(tensor: TensorProto, path: Path, location: str) -> Path:
    """Return the file that `location` names, every step of the way to it being a plain folder or file."""
    parts = PurePosixPath(location.replace("\\", "/")).parts
    absolute = PurePosixPath(location).is_absolute() or bool(PureWindowsPath(location).drive)
    if not parts or absolute or ".." in parts or parts[0] == "/" or "\0" in location:
        raise ExternalDataOutsideError(
            f"{path.name}: the weight {tensor.name!r} is said to lie in {location!r}, outside the network's folder.",
            tensor=tensor.name,
            location=location,
        )
    file = path.parent
    for part in parts:
        file = file / part
        if file.is_symlink():
            raise _link(tensor, path, location, "a symbolic link")
    return file


def _link(tensor: TensorProto, path: Path, location: str, what: str) -> ExternalDataLinkError:
    return ExternalDataLinkError(
        f"{path.name}: {location!r}, which holds the weight {tensor.name!r}, is {what}.",
        tensor=tensor.name,
        location=location,
    )


def _read_range(tensor: TensorProto, path: Path, file: Path, offset: int, length: int) -> bytes:
    location = file.relative_to(path.parent).as_posix()
    try:
        # O_NONBLOCK: a named pipe in the file's place must not hang the studio.
        descriptor = os.open(file, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    except OSError as error:
        raise ExternalDataMissingError(
            f"{path.name}: the file {location!r}, which holds the weight {tensor.name!r}, cannot be read: "
            f"{error.strerror}.",
            tensor=tensor.name,
            location=location,
        ) from error
    status = os.fstat(descriptor)
    if not stat.S_ISREG(status.st_mode):
        os.close(descriptor)
        raise _link(tensor, path, location, "not a plain file")
    with os.fdopen(descriptor, "rb") as stream:
        if status.st_nlink > 1:
            raise _link(tensor, path, location, "a hard link")
        if offset + length > status.st_size:
            raise ExternalDataRangeError(
                f"{path.name}: the weight {tensor.name!r} ends at byte {offset + length} of {location!r}, "
                f"which has only {status.st_size} bytes.",
                tensor=tensor.name,
                location=location,
            )
        stream.seek(offset)
        return stream.read(length)
