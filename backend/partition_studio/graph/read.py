"""From a file to an ONNX message, without trusting the file: sizes first, then the format, then the links outwards."""

import hashlib
from dataclasses import dataclass
from pathlib import Path

import onnx

from partition_studio.graph.errors import (
    NetworkFileMissingError,
    NetworkTooLargeError,
    NotOnnxError,
    TruncatedNetworkError,
)
from partition_studio.graph.external import inline_external_data
from partition_studio.graph.protobuf import DecodeError

#: Protobuf's own limit is 2 GiB for one message; a sub-model needs room for its header.
PROTOBUF_LIMIT_BYTES = 2**31 - 2**20

_MODEL_FIELDS = {1: 0, 2: 2, 3: 2, 4: 2, 5: 0, 6: 2, 7: 2, 8: 2, 14: 2, 20: 2, 25: 2, 26: 2}


@dataclass(frozen=True, slots=True)
class LoadLimits:
    """How large a network may be.

    `model_bytes` includes external weights; `folded_bytes` is what weight-making nodes may unfold to; `tensor_bytes`
    is the largest activation (no larger one could travel between devices).
    """

    model_bytes: int = PROTOBUF_LIMIT_BYTES
    folded_bytes: int = 2**30
    tensor_bytes: int = 2**30
    nodes: int = 50_000


@dataclass(frozen=True, slots=True)
class RawNetwork:
    """A file as it was read: `model` holds all weights inline and is otherwise unchanged."""

    path: Path
    digest: str
    model: onnx.ModelProto


def read_network(path: Path, limits: LoadLimits) -> RawNetwork:
    """Read an ONNX file with its external weights.

    Raises NetworkError leaves for a file that is missing, too large, not ONNX, truncated, or whose external weights
    are not plain files in the same folder.
    """
    data = _read_bytes(path, limits)
    model = parse_model(data, path.name)
    if len(model.graph.node) > limits.nodes:
        raise NetworkTooLargeError(
            f"{path.name} has {len(model.graph.node)} nodes; the limit is {limits.nodes}.", file=path.name
        )
    digest = hashlib.sha256(data)
    room_bytes = limits.model_bytes - len(data)
    for content in inline_external_data(model, path, room_bytes):
        digest.update(content)
    return RawNetwork(path, digest.hexdigest(), model)


def parse_model(data: bytes, file_name: str) -> onnx.ModelProto:
    """Parse the bytes of an ONNX file. Raises NotOnnxError or TruncatedNetworkError."""
    if not data:
        raise NotOnnxError(f"{file_name} is empty.", file=file_name)
    model = onnx.ModelProto()
    try:
        model.ParseFromString(data)
    except DecodeError as error:
        if _is_cut_short(data):
            raise TruncatedNetworkError(
                f"{file_name} is truncated: it ends in the middle of the model, after {len(data)} bytes.",
                file=file_name,
            ) from error
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


def _read_bytes(path: Path, limits: LoadLimits) -> bytes:
    try:
        if not path.is_file():
            raise NetworkFileMissingError(f"There is no file {path.name} in {path.parent}.", file=path.name)
        size_bytes = path.stat().st_size
        if size_bytes > limits.model_bytes:
            raise NetworkTooLargeError(
                f"{path.name} has {size_bytes} bytes; the limit is {limits.model_bytes}.", file=path.name
            )
        return path.read_bytes()
    except OSError as error:
        raise NetworkFileMissingError(f"{path.name} cannot be read: {error.strerror}.", file=path.name) from error


def _is_cut_short(data: bytes) -> bool:
    """Say whether `data` is a row of the fields of an ONNX model of which the last one is incomplete."""
    position = 0
    while position < len(data):
        key, position = _varint(data, position)
        if position < 0:
            return True
        if _MODEL_FIELDS.get(key >> 3) != key & 7:
            return False
        value, position = _varint(data, position)
        if position < 0:
            return True
        if key & 7 == 2:
            position += value
    return position > len(data)


def _varint(data: bytes, position: int) -> tuple[int, int]:
    """Return a protobuf varint and the position after it, which is -1 where the data ends too early."""
    value = shift = 0
    while position < len(data) and shift < 70:
        byte = data[position]
        position += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, position
        shift += 7
    return 0, -1
