"""From a file to an ONNX message, without trusting the file: sizes first, then the format, then the links outwards.

The data of large weights is not read into memory: the message says where it lies (see `graph.external`).
"""

import hashlib
import os
import secrets
import stat
from collections.abc import Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import onnx

from partition_studio.graph.disk import DiskFile, identity_of, open_plain
from partition_studio.graph.errors import (
    NetworkFileMissingError,
    NetworkTooLargeError,
    NotOnnxError,
    TruncatedNetworkError,
)
from partition_studio.graph.external import settle_external_data
from partition_studio.graph.protobuf import DecodeError
from partition_studio.graph.wire import WireError, light_copy

#: Protobuf's own limit is 2 GiB for one message; a sub-model needs room for its header.
PROTOBUF_LIMIT_BYTES = 2**31 - 2**20


@dataclass(frozen=True, slots=True)
class LoadLimits:
    """How large a network may be.

    `model_bytes` is for the file and its external weights, `held_bytes` for what of it must be held in memory
    (everything but large weights); `folded_bytes` is what weight-making nodes may unfold to; `tensor_bytes` is the
    largest activation (no larger one could travel between devices).
    """

    model_bytes: int = 2**36
    held_bytes: int = PROTOBUF_LIMIT_BYTES
    folded_bytes: int = 2**30
    tensor_bytes: int = 2**30
    nodes: int = 50_000


@dataclass(frozen=True, slots=True)
class RawNetwork:
    """A file as it was read.

    The data of large weights, in initialisers and in attributes of nodes, is left where it is: they are external data
    of `model`, in the `files` by location, which lie in the folder of `path`.
    """

    path: Path
    digest: str
    model: onnx.ModelProto
    files: Mapping[str, DiskFile] = field(default_factory=dict)


def read_network(path: Path, limits: LoadLimits) -> RawNetwork:
    """Read an ONNX file and look at its external weights.

    Raises NetworkError leaves for a file that is missing, too large, not ONNX, truncated, or whose external weights
    are not plain files in the same folder.
    """
    file = _plain_file(path, limits)
    with ThreadPoolExecutor(1, thread_name_prefix="digest") as pool:
        # Hashing leaves the interpreter to the parser.
        hashing = pool.submit(_hash, file)
        model, mark = _parse(file, path, limits)
        if len(model.graph.node) > limits.nodes:
            raise NetworkTooLargeError(
                f"{path.name} has {len(model.graph.node)} nodes; the limit is {limits.nodes}.", file=path.name
            )
        return _with_external_data(model, mark, path, file, limits, hashing)


def _with_external_data(
    model: onnx.ModelProto, mark: str, path: Path, file: DiskFile, limits: LoadLimits, hashing: "Future[Any]"
) -> RawNetwork:
    files: dict[str, DiskFile] = {}
    room_bytes = limits.model_bytes - file.size_bytes
    places = settle_external_data(model, path, file, mark, files, room_bytes, limits.held_bytes)
    digest = hashing.result()
    for place in places:
        for chunk in place.file.chunks(place.offset, place.length):
            digest.update(chunk)
    return RawNetwork(path, digest.hexdigest(), model, files)


def _hash(file: DiskFile) -> Any:
    digest = hashlib.sha256()
    for chunk in file.chunks():
        digest.update(chunk)
    return digest


def _plain_file(path: Path, limits: LoadLimits) -> DiskFile:
    try:
        if not path.is_file():
            raise NetworkFileMissingError(f"There is no file {path.name} in {path.parent}.", file=path.name)
        descriptor = open_plain(path, follow=True)
    except OSError as error:
        raise NetworkFileMissingError(f"{path.name} cannot be read: {error.strerror}.", file=path.name) from error
    try:
        status = os.fstat(descriptor)
    finally:
        os.close(descriptor)
    if not stat.S_ISREG(status.st_mode):
        raise NetworkFileMissingError(f"{path.name} is no plain file.", file=path.name)
    if status.st_size > limits.model_bytes:
        raise NetworkTooLargeError(
            f"{path.name} has {status.st_size} bytes; the limit is {limits.model_bytes}.", file=path.name
        )
    return DiskFile(path.absolute(), identity_of(status))


def _parse(file: DiskFile, path: Path, limits: LoadLimits) -> tuple[onnx.ModelProto, str]:
    """Return the message without the data of its large weights, and what marks their places."""
    if not file.size_bytes:
        raise NotOnnxError(f"{path.name} is empty.", file=path.name)
    # Nobody who wrote the file can have known it: what bears it was put there by us.
    mark = secrets.token_hex(16)
    try:
        with file.open() as descriptor:
            data = light_copy(file, descriptor, mark, limits.held_bytes)
    except WireError as error:
        if error.is_cut_short:
            raise TruncatedNetworkError(
                f"{path.name} is truncated: it ends in the middle of the model, after {file.size_bytes} bytes.",
                file=path.name,
            ) from error
        raise NotOnnxError(f"{path.name} is not an ONNX file.", file=path.name) from error
    if data is None:
        raise NetworkTooLargeError(
            f"{path.name} has more than {limits.held_bytes} bytes beside the raw data of its weights.",
            next_step="Store the weights as raw data, or in a file of their own (external data).",
            file=path.name,
        )
    return parse_model(data, path.name), mark


def parse_model(data: bytes, file_name: str) -> onnx.ModelProto:
    """Parse the bytes of an ONNX file. Raises NotOnnxError or TruncatedNetworkError."""
    if not data:
        raise NotOnnxError(f"{file_name} is empty.", file=file_name)
    model = onnx.ModelProto()
    try:
        model.ParseFromString(data)
    except DecodeError as error:
        raise NotOnnxError(f"{file_name} is not an ONNX file.", file=file_name) from error
    if not model.ir_version or not model.opset_import:
        if model.HasField("graph") and model.ir_version:
            raise TruncatedNetworkError(
                f"{file_name} is truncated: its list of operator sets is missing.", file=file_name
            )
        raise NotOnnxError(f"{file_name} is not an ONNX file.", file=file_name)
    if not model.graph.node and not model.graph.output:
        raise NotOnnxError(f"{file_name} holds no graph.", file=file_name)
    return model
