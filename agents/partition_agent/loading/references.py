"""Write a model again whose large weights stay where they are: in the file that they came in.

ONNX lets a tensor's bytes lie in another file, at an offset: here the other file is the model's own. What reads the
small file maps the weights from the large one, and nothing of them is parsed onto the heap.
"""

import mmap
from pathlib import Path
from typing import Iterator, List, NamedTuple, Optional

from partition_agent.loading.protobuf import Field, ModelFileError, Part, Walker, mapped

#: Smaller tensors stay in the model: shapes, scales and the like, which the runtime wants to see at once.
MIN_BYTES = 1024

#: ONNX's numbers of the element types that weights have (float, uint8, int8, float16, double, bfloat16): what is of
#: another type may be a shape, which some runtimes do not look for in another file.
_WEIGHT_TYPES = frozenset((1, 2, 3, 10, 11, 16))

#: Numbers of fields: ModelProto.graph; GraphProto.initializer; TensorProto's.
_GRAPH, _INITIALIZER = 7, 5
_DATA_TYPE, _NAME, _RAW_DATA, _EXTERNAL_DATA, _DATA_LOCATION = 2, 8, 9, 13, 14
_EXTERNAL = 1


def write_references(source: Path, target: Path, location: str) -> int:
    """Write `target`, whose large weights are in the file `location` (relative to it), which has `source`'s bytes.

    Returns the bytes of weights that it refers to. Raises ModelFileError, OSError.
    """
    with mapped(source) as data:
        writer = _ToItself(data, location)
        pieces = list(writer.model())
    with open(target, "xb") as file:
        file.writelines(pieces)
    return writer.referred_bytes


class Rewriter(Walker):
    """Writes a model again, with other initialisers where `initialiser` says so."""

    def model(self) -> Iterator[bytes]:
        """Yield the pieces of the new model. Raises ModelFileError."""
        for field in self.walk((0, len(self.data))):
            if field.number == _GRAPH and not isinstance(field.value, int):
                yield from _message(_GRAPH, list(self._graph(field.value)))
            else:
                yield self.bytes_of(field)

    def initialiser(self, fields: List[Field]) -> Optional[List[bytes]]:
        """Return the pieces of a tensor that replaces one of these fields; None where it stays as it is."""
        raise NotImplementedError

    def bytes_of(self, field: Field) -> bytes:
        """Return a field as it is."""
        return self.data[field.whole[0] : field.whole[1]]

    def _graph(self, part: Part) -> Iterator[bytes]:
        for field in self.walk(part):
            pieces = None
            if field.number == _INITIALIZER:
                if isinstance(field.value, int):
                    raise ModelFileError("a tensor is no message")
                pieces = self.initialiser(list(self.walk(field.value)))
            if pieces is None:
                yield self.bytes_of(field)
            else:
                yield from _message(_INITIALIZER, pieces)


class _ToItself(Rewriter):
    """Refers to the weights that lie in the model's own file."""

    def __init__(self, data: "mmap.mmap", location: str) -> None:
        super().__init__(data)
        self._location = location
        self.referred_bytes = 0

    def initialiser(self, fields: List[Field]) -> Optional[List[bytes]]:
        if any(field.number in (_EXTERNAL_DATA, _DATA_LOCATION) for field in fields):
            raise ModelFileError("its weights lie in another file already")
        if any(sum(field.number == number for field in fields) > 1 for number in (_DATA_TYPE, _RAW_DATA)):
            # Which of them counts is for a protobuf library to say.
            raise ModelFileError("a tensor has its data twice")
        raw = next((field.value for field in fields if field.number == _RAW_DATA), None)
        kind = next((field.value for field in fields if field.number == _DATA_TYPE), None)
        if raw is None or isinstance(raw, int) or raw[1] - raw[0] < MIN_BYTES or kind not in _WEIGHT_TYPES:
            return None
        self.referred_bytes += raw[1] - raw[0]
        pieces = [self.bytes_of(field) for field in fields if field.number != _RAW_DATA]
        return pieces + external(self._location, raw[0], raw[1] - raw[0])


class ExternalTensor(NamedTuple):
    """An initialiser whose bytes lie in another file; what is not known of it is empty or 0."""

    name: bytes
    location: str
    offset: int
    size_bytes: int


def external_tensor(walker: Walker, fields: List[Field]) -> Optional[ExternalTensor]:
    """Return where a tensor's bytes lie, None when they lie in the model."""
    told = {}
    name = b""
    for field in fields:
        if field.number == _NAME and not isinstance(field.value, int):
            name = walker.data[field.value[0] : field.value[1]]
        elif field.number == _EXTERNAL_DATA and not isinstance(field.value, int):
            entry = {number: walker.data[place[0] : place[1]] for number, place in walker.fields(field.value)}
            told[entry.get(1, b"")] = entry.get(2, b"").decode("utf-8", "replace")
    if b"location" not in told:
        return None
    try:
        return ExternalTensor(name, told[b"location"], int(told.get(b"offset", "0")), int(told.get(b"length", "0")))
    except ValueError as error:
        raise ModelFileError("the place of its weights is no number") from error


def external_tensors(walker: Walker) -> Iterator[ExternalTensor]:
    """Yield the initialisers of a model whose bytes lie in another file."""
    for graph in walker.parts((0, len(walker.data)), _GRAPH):
        for tensor in walker.parts(graph, _INITIALIZER):
            found = external_tensor(walker, list(walker.walk(tensor)))
            if found is not None:
                yield found


def external(location: str, offset: int, size_bytes: int) -> List[bytes]:
    """Return the fields of a tensor that say where its bytes lie."""
    pieces: List[bytes] = []
    for key, value in (("location", location), ("offset", str(offset)), ("length", str(size_bytes))):
        pieces += _message(_EXTERNAL_DATA, [*_message(1, [key.encode()]), *_message(2, [value.encode()])])
    return [*pieces, _varint(_DATA_LOCATION << 3), _varint(_EXTERNAL)]


def without_place(walker: Rewriter, fields: List[Field]) -> List[bytes]:
    """Return the fields of a tensor but those that say where its bytes lie."""
    return [walker.bytes_of(field) for field in fields if field.number not in (_EXTERNAL_DATA, _DATA_LOCATION)]


def _message(number: int, pieces: List[bytes]) -> List[bytes]:
    """Return a field that has a length, and what is in it."""
    return [_varint(number << 3 | 2), _varint(sum(map(len, pieces))), *pieces]


def _varint(value: int) -> bytes:
    encoded = bytearray()
    while value > 0x7F:
        encoded.append(value & 0x7F | 0x80)
        value >>= 7
    encoded.append(value)
    return bytes(encoded)
