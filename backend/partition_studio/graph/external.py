"""Weights that lie in files: what is taken in only from plain files within the ONNX file's folder, and where it is.

A tensor whose data stays on disk is *stored*: ordinary external data, whose location is known to be good.
"""

import os
import stat
from collections.abc import Mapping, MutableMapping
from math import prod
from pathlib import Path, PurePosixPath, PureWindowsPath

import onnx
from onnx import TensorProto

from partition_studio.graph.disk import DiskFile, identity_of, open_plain
from partition_studio.graph.dtypes import element_bits
from partition_studio.graph.errors import (
    ExternalDataLinkError,
    ExternalDataMissingError,
    ExternalDataOutsideError,
    ExternalDataRangeError,
    InvalidNetworkError,
    NetworkTooLargeError,
)
from partition_studio.graph.walk import all_tensors, node_tensors
from partition_studio.graph.weights import HELD_BYTES, OnDisk, Weight


def settle_external_data(
    model: onnx.ModelProto,
    path: Path,
    file: DiskFile,
    mark: str,
    files: MutableMapping[str, DiskFile],
    room_bytes: int,
    held_bytes: int,
) -> list[OnDisk]:
    """Check every reference to a file, take in what is small, and return the places in other files, in their order.

    What stays is noted in `files`. References that bear `mark` are places in the ONNX file itself; of all others,
    absolute paths, paths that lead out of the folder of `path`, links (symbolic or hard), other than plain files and
    ranges beyond the file's end are refused: such a reference would read what the person did not mean to give.
    """
    places: list[OnDisk] = []
    used_bytes = inlined_bytes = 0
    for tensor in all_tensors(model):
        if tensor.data_location != TensorProto.EXTERNAL:
            continue
        if len(tensor.external_data) == 1 and tensor.external_data[0].key == mark:
            offset, _, length = tensor.external_data[0].value.partition(",")
            _check_length(tensor, path, int(length))
            _store(tensor, path.name, OnDisk(file, int(offset), int(length)), files)
            continue
        location, place = _place(tensor, path, room_bytes - used_bytes, files)
        used_bytes += place.length
        places.append(place)
        if place.length > HELD_BYTES:
            _store(tensor, location, place, files)
            continue
        inlined_bytes += place.length
        if inlined_bytes > held_bytes:
            raise NetworkTooLargeError(f"{path.name} has too many small external weights.", file=path.name)
        take_in(tensor, place)
    return places


def _store(tensor: TensorProto, location: str, place: OnDisk, files: MutableMapping[str, DiskFile]) -> None:
    files[location] = place.file
    tensor.ClearField("external_data")
    tensor.data_location = TensorProto.EXTERNAL
    for key, text in (("location", location), ("offset", str(place.offset)), ("length", str(place.length))):
        tensor.external_data.add(key=key, value=text)


def is_stored(tensor: TensorProto) -> bool:
    """Say whether a tensor's data is in a file."""
    return bool(tensor.data_location == TensorProto.EXTERNAL)


def stored_place(tensor: TensorProto, files: Mapping[str, DiskFile]) -> OnDisk:
    """Return where the data of a stored tensor is."""
    entries = {entry.key: entry.value for entry in tensor.external_data}
    return OnDisk(files[entries["location"]], int(entries["offset"]), int(entries["length"]))


def take_in(tensor: TensorProto, place: OnDisk) -> None:
    """Put the data of a stored tensor into it. Raises NetworkChangedError."""
    tensor.ClearField("external_data")
    tensor.ClearField("data_location")
    tensor.raw_data = b"".join(place.file.chunks(place.offset, place.length))


def take_in_all(model: onnx.ModelProto, files: Mapping[str, DiskFile]) -> None:
    """Put the data of every stored tensor into it, in place. Raises NetworkChangedError."""
    for tensor in all_tensors(model):
        if is_stored(tensor):
            take_in(tensor, stored_place(tensor, files))


def take_in_attributes(model: onnx.ModelProto, files: Mapping[str, DiskFile]) -> None:
    """Put the data of every tensor that is an attribute, or within a subgraph, into it. Raises NetworkChangedError."""
    for node in model.graph.node:
        for tensor in node_tensors(node):
            if is_stored(tensor):
                take_in(tensor, stored_place(tensor, files))


def weight_of(tensor: TensorProto, files: Mapping[str, DiskFile]) -> Weight:
    """Return an initialiser as a weight."""
    if not is_stored(tensor):
        return Weight.of_tensor(tensor)
    return Weight(tensor.name, tensor.data_type, tuple(tensor.dims), stored_place(tensor, files))


def _check_length(tensor: TensorProto, path: Path, length: int) -> None:
    expected_bytes = _expected_bytes(tensor)
    if length != expected_bytes:
        raise InvalidNetworkError(
            f"{path.name}: the weight {tensor.name!r} of shape {list(tensor.dims)} needs {expected_bytes} bytes, "
            f"and {length} are there.",
            tensor=tensor.name,
        )


def _expected_bytes(tensor: TensorProto) -> int:
    if min(tensor.dims, default=0) < 0:
        return -1
    return int((prod(tensor.dims) * element_bits(tensor.data_type) + 7) // 8)


def _place(tensor: TensorProto, path: Path, room_bytes: int, files: Mapping[str, DiskFile]) -> tuple[str, OnDisk]:
    """Return the normal form of a tensor's location, and its place."""
    entries = {entry.key: entry.value for entry in tensor.external_data}
    location = entries.get("location", "")
    expected_bytes = _expected_bytes(tensor)
    offset = _number(tensor, path, entries.get("offset", "0"))
    length = _number(tensor, path, entries.get("length", str(max(0, expected_bytes))))
    if length != expected_bytes:
        raise ExternalDataRangeError(
            f"{path.name}: the weight {tensor.name!r} needs {expected_bytes} bytes, "
            f"and {length} are announced in {location!r}.",
            tensor=tensor.name,
        )
    if length > room_bytes:
        raise NetworkTooLargeError(
            f"{path.name} with its external weights is larger than the limit (at {tensor.name!r}).", file=path.name
        )
    checked = _checked_path(tensor, path, location)
    normal = checked.relative_to(path.parent).as_posix()
    file = files.get(normal) or _checked_file(tensor, path, checked, normal)
    if offset + length > file.size_bytes:
        raise ExternalDataRangeError(
            f"{path.name}: the weight {tensor.name!r} ends at byte {offset + length} of {normal!r}, "
            f"which has only {file.size_bytes} bytes.",
            tensor=tensor.name,
            location=normal,
        )
    return normal, OnDisk(file, offset, length)


def _number(tensor: TensorProto, path: Path, text: str) -> int:
    if not (text.isascii() and text.isdigit() and len(text) < 20):
        raise ExternalDataRangeError(
            f"{path.name}: the place of the weight {tensor.name!r} is not a number: {text[:40]!r}.",
            tensor=tensor.name,
        )
    return int(text)


def _checked_path(tensor: TensorProto, path: Path, location: str) -> Path:
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


def _checked_file(tensor: TensorProto, path: Path, file: Path, location: str) -> DiskFile:
    try:
        descriptor = open_plain(file, follow=False)
    except OSError as error:
        raise ExternalDataMissingError(
            f"{path.name}: the file {location!r}, which holds the weight {tensor.name!r}, cannot be read: "
            f"{error.strerror}."
            # Never where a link leads: its folder is not the one that was given.
            + (f" {path.name} is a link; the weights are looked for beside it." if path.is_symlink() else ""),
            tensor=tensor.name,
            location=location,
        ) from error
    try:
        status = os.fstat(descriptor)
    finally:
        os.close(descriptor)
    if not stat.S_ISREG(status.st_mode):
        raise _link(tensor, path, location, "not a plain file")
    if status.st_nlink > 1:
        raise _link(tensor, path, location, "a hard link")
    return DiskFile(file.absolute(), identity_of(status))
