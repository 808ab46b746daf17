"""The protobuf wire format of an ONNX file, walked without reading the data of its large weights.

A light copy of the message is made in which such data is replaced by its place in the file. Everything else is copied
byte for byte, and judged by protobuf itself.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import NamedTuple

from onnx import TensorProto

from partition_studio.graph.disk import DiskFile
from partition_studio.graph.weights import HELD_BYTES

_WINDOW_BYTES = 1 << 16
_LONGEST_VARINT = 10
_VARINT, _FIXED64, _LENGTH, _FIXED32 = 0, 1, 2, 5

#: More fields than this at the levels that are walked is no network.
_MOST_FIELDS = 20_000_000

#: By message, the fields that may hold large weights, and what those fields are.
_MODEL, _GRAPH, _NODE, _ATTRIBUTE, _TENSOR = "model", "graph", "node", "attribute", "tensor"
_INSIDE: Mapping[str, Mapping[int, str]] = {
    _MODEL: {7: _GRAPH},
    _GRAPH: {1: _NODE, 5: _TENSOR},
    _NODE: {5: _ATTRIBUTE},
    _ATTRIBUTE: {5: _TENSOR},
}
_ATTRIBUTE_TENSOR = 5

#: Fields of TensorProto: where data may be, and which of them are raw little-endian elements of which type.
_DATA_TYPE, _EXTERNAL_DATA, _DATA_LOCATION = 2, 13, 14
_DATA_FIELDS = {4, 5, 6, 7, 9, 10, 11, _EXTERNAL_DATA, _DATA_LOCATION}
_RAW_FIELDS: Mapping[int, int | None] = {4: TensorProto.FLOAT, 9: None, 10: TensorProto.DOUBLE}

#: Fields of ModelProto and how they are written.
_MODEL_FIELDS = {1: 0, 2: 2, 3: 2, 4: 2, 5: 0, 6: 2, 7: 2, 8: 2, 14: 2, 20: 2, 25: 2, 26: 2}


class WireError(Exception):
    """The bytes are no protobuf message. `is_cut_short`: they may be the beginning of one."""

    def __init__(self, *, is_cut_short: bool) -> None:
        super().__init__("truncated" if is_cut_short else "not protobuf")
        self.is_cut_short = is_cut_short


class _Field(NamedTuple):
    number: int
    wire: int
    start: int
    body: int
    stop: int


class _Window:
    """Small reads anywhere in a file."""

    def __init__(self, file: DiskFile, descriptor: int) -> None:
        self._file, self._descriptor = file, descriptor
        self._start, self._data = 0, b""
        self._fields = 0

    def fields(self, start: int, stop: int) -> Iterator[_Field]:
        """Yield the fields of a message that lies at [start, stop). Raises WireError."""
        position = start
        while position < stop:
            self._fields += 1
            if self._fields > _MOST_FIELDS:
                raise WireError(is_cut_short=False)
            key, body = self.varint(position, stop)
            wire = key & 7
            if wire == _VARINT:
                end = self.varint(body, stop)[1]
            elif wire == _LENGTH:
                length, body = self.varint(body, stop)
                end = body + length
            elif wire in (_FIXED32, _FIXED64):
                end = body + (8 if wire == _FIXED64 else 4)
            else:
                raise WireError(is_cut_short=False)
            field = _Field(key >> 3, wire, position, body, end)
            yield field
            if end > stop:
                raise WireError(is_cut_short=True)
            position = end

    def varint(self, position: int, stop: int) -> tuple[int, int]:
        """Return a number and the position after it."""
        index = position - self._start
        if index < 0 or index + _LONGEST_VARINT > len(self._data):
            length = min(_WINDOW_BYTES, self._file.size_bytes - position)
            self._start, self._data = position, self._file.read(self._descriptor, position, max(0, length))
            index = 0
        data = self._data
        value = shift = 0
        for place in range(index, min(index + _LONGEST_VARINT, len(data), index + stop - position)):
            byte = data[place]
            value |= (byte & 0x7F) << shift
            if byte < 0x80:
                return value, self._start + place + 1
            shift += 7
        raise WireError(is_cut_short=shift < 7 * _LONGEST_VARINT)


@dataclass(frozen=True, slots=True)
class _Copy:
    """A piece of the file, as it is."""

    start: int
    stop: int


_Pieces = list["bytes | _Copy"]


def light_copy(file: DiskFile, descriptor: int, mark: str, most_bytes: int) -> bytes | None:
    """Return the message without the data of its large weights; None where it would still exceed `most_bytes`.

    A weight whose data is left out has one entry of external data instead: `mark`, and its offset and length in the
    file, with a comma. Raises WireError.
    """
    window = _Window(file, descriptor)
    _check_outline(window, file.size_bytes)
    pieces = _light(window, _MODEL, 0, file.size_bytes, mark)
    total = _size(pieces)
    if total > most_bytes:
        return None
    return b"".join(
        piece if isinstance(piece, bytes) else file.read(descriptor, piece.start, piece.stop - piece.start)
        for piece in pieces
    )


def _check_outline(window: _Window, size_bytes: int) -> None:
    """Raise WireError where the outermost fields are not all there; it is cut short only if they are a model's."""
    is_model = True
    try:
        for field in window.fields(0, size_bytes):
            is_model = is_model and _MODEL_FIELDS.get(field.number) == field.wire
    except WireError as error:
        raise WireError(is_cut_short=error.is_cut_short and is_model) from error


def _light(window: _Window, kind: str, start: int, stop: int, mark: str) -> _Pieces:
    pieces: _Pieces = []
    copied = start
    tensors = 0
    for field in window.fields(start, stop):
        if kind == _ATTRIBUTE and field.number == _ATTRIBUTE_TENSOR:
            tensors += 1
            if tensors > 1:
                # An attribute has one tensor: where it comes in pieces, protobuf merges them, data included.
                return [_Copy(start, stop)]
        inner_kind = _INSIDE[kind].get(field.number)
        if inner_kind is None or field.wire != _LENGTH or field.stop - field.body <= HELD_BYTES or field.stop > stop:
            continue
        inner = _light_inner(window, inner_kind, field, mark)
        if inner is None:
            continue
        if copied < field.start:
            pieces.append(_Copy(copied, field.start))
        pieces.append(_varint(field.number << 3 | _LENGTH) + _varint(_size(inner)))
        pieces.extend(inner)
        copied = field.stop
    if copied < stop:
        pieces.append(_Copy(copied, stop))
    return pieces


def _light_inner(window: _Window, kind: str, field: _Field, mark: str) -> _Pieces | None:
    """Return a field's light content; None where nothing is left out of it, or protobuf should judge it."""
    try:
        if kind == _TENSOR:
            return _light_tensor(window, field, mark)
        pieces = _light(window, kind, field.body, field.stop, mark)
    except WireError:
        return None
    return pieces if len(pieces) > 1 else None


def _light_tensor(window: _Window, tensor: _Field, mark: str) -> _Pieces | None:
    data: _Field | None = None
    data_type = 0
    for field in window.fields(tensor.body, tensor.stop):
        if field.number == _DATA_TYPE and field.wire == _VARINT:
            data_type = window.varint(field.body, field.stop)[0]
        elif field.number in _DATA_FIELDS:
            if data is not None or field.wire != _LENGTH or field.number not in _RAW_FIELDS:
                return None
            data = field
    if data is None or data.stop - data.body <= HELD_BYTES:
        return None
    if _RAW_FIELDS[data.number] not in (None, data_type):
        return None
    place = f"{data.body},{data.stop - data.body}".encode()
    entry = b"\x0a" + _varint(len(mark)) + mark.encode() + b"\x12" + _varint(len(place)) + place
    stub = _varint(_EXTERNAL_DATA << 3 | _LENGTH) + _varint(len(entry)) + entry
    stub += _varint(_DATA_LOCATION << 3) + _varint(TensorProto.EXTERNAL)
    around = [_Copy(tensor.body, data.start), _Copy(data.stop, tensor.stop)]
    return [*(piece for piece in around if piece.start < piece.stop), stub]


def _size(pieces: _Pieces) -> int:
    return sum(len(piece) if isinstance(piece, bytes) else piece.stop - piece.start for piece in pieces)


def _varint(value: int) -> bytes:
    encoded = bytearray()
    while value > 0x7F:
        encoded.append(value & 0x7F | 0x80)
        value >>= 7
    encoded.append(value)
    return bytes(encoded)
