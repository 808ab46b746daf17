"""Write a model again whose large weights stay where they are: in the file that they came in.

ONNX lets a tensor's bytes lie in another file, at an offset: here the other file is the model's own. What reads the
small file maps the weights from the large one, and nothing of them is parsed onto the heap.
"""

import mmap
from pathlib import Path
from typing import Iterator, List, Optional

from partition_agent.protobuf import Field, ModelFileError, Part, Walker, mapped

#: Smaller tensors stay in the model: shapes, scales and the like, which the runtime wants to see at once.
MIN_BYTES = 1024

#: ONNX's numbers of the element types that weights have (float, uint8, int8, float16, double, bfloat16): what is of
#: another type may be a shape, which some runtimes do not look for in another file.
_WEIGHT_TYPES = frozenset((1, 2, 3, 10, 11, 16))

#: Numbers of fields: ModelProto.graph; GraphProto.initializer; TensorProto's.
_GRAPH, _INITIALIZER = 7, 5
_DATA_TYPE, _RAW_DATA, _EXTERNAL_DATA, _DATA_LOCATION = 2, 9, 13, 14
_EXTERNAL = 1


def write_references(source: Path, target: Path, location: str) -> int:
    """Write `target`, whose large weights are in the file `location` (relative to it), which has `source`'s bytes.

    Returns the bytes of weights that it refers to. Raises ModelFileError, OSError.
    """
    with mapped(source) as data:
        writer = _Writer(data, location)
        pieces = list(writer.model((0, len(data))))
    with open(target, "xb") as file:
        file.writelines(pieces)
    return writer.referred_bytes


class _Writer(Walker):
    def __init__(self, data: "mmap.mmap", location: str) -> None:
        super().__init__(data)
        self._location = location
        self.referred_bytes = 0

    def model(self, part: Part) -> Iterator[bytes]:
        for field in self.walk(part):
            if field.number == _GRAPH and not isinstance(field.value, int):
                yield from _message(_GRAPH, list(self._graph(field.value)))
            else:
                yield self._bytes(field)

    def _graph(self, part: Part) -> Iterator[bytes]:
        for field in self.walk(part):
            tensor = self._tensor(field.value) if field.number == _INITIALIZER else None
            if tensor is not None:
                yield from _message(_INITIALIZER, tensor)
            else:
                yield self._bytes(field)

    def _tensor(self, place: "int | Part") -> Optional[List[bytes]]:
        """Return the fields of a tensor that refers to its weights, None where it stays as it is."""
        if isinstance(place, int):
            raise ModelFileError("a tensor is no message")
        fields = list(self.walk(place))
        if any(field.number in (_EXTERNAL_DATA, _DATA_LOCATION) for field in fields):
            raise ModelFileError("its weights lie in another file already")
        raw = next((field.value for field in fields if field.number == _RAW_DATA), None)
        kind = next((field.value for field in fields if field.number == _DATA_TYPE), None)
        if raw is None or isinstance(raw, int) or raw[1] - raw[0] < MIN_BYTES or kind not in _WEIGHT_TYPES:
            return None
        self.referred_bytes += raw[1] - raw[0]
        pieces = [self._bytes(field) for field in fields if field.number != _RAW_DATA]
        for key, value in (("location", self._location), ("offset", str(raw[0])), ("length", str(raw[1] - raw[0]))):
            pieces += _message(_EXTERNAL_DATA, [*_message(1, [key.encode()]), *_message(2, [value.encode()])])
        return [*pieces, _varint(_DATA_LOCATION << 3), _varint(_EXTERNAL)]

    def _bytes(self, field: Field) -> bytes:
        return self.data[field.whole[0] : field.whole[1]]


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
