"""What a sub-model's file tells of the memory that it takes, read without the `onnx` package.

Only names, types and shapes of the protobuf are looked at; weights are skipped over.
"""

import mmap
from pathlib import Path
from typing import Dict, Iterator, List, NamedTuple, Optional, Set, Tuple

#: Bits of an element, by ONNX's number of its type.
_BITS = {1: 32, 2: 8, 3: 8, 4: 16, 5: 16, 6: 32, 7: 64, 9: 8, 10: 16, 11: 64, 12: 32, 13: 64, 14: 64, 15: 128, 16: 16}
_BITS.update({17: 8, 18: 8, 19: 8, 20: 8, 21: 4, 22: 4, 23: 4})

#: A stretch of the file: from, and up to.
_Part = Tuple[int, int]


class ModelFileError(Exception):
    """The file is no ONNX model that can be understood."""


class ModelMemory(NamedTuple):
    """Bytes of the weights, and of the largest set of activations alive at once.

    Activations are those of the graph as it is written and in its order: the runtime, which fuses layers and works in
    place, may need less. None where a shape is not known.
    """

    weight_bytes: int
    activation_bytes: Optional[int]


class _Node(NamedTuple):
    kind: bytes
    inputs: Tuple[bytes, ...]
    outputs: Tuple[bytes, ...]


def read_model_memory(path: Path) -> ModelMemory:
    """Read it. Raises ModelFileError, OSError."""
    with open(path, "rb") as file:
        try:
            data = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
        except ValueError as error:
            raise ModelFileError("the file is empty") from error
        with data:
            return _Reader(data).memory()


class _Reader:
    """Reads one protobuf by offsets, so that nothing of it is copied."""

    def __init__(self, data: mmap.mmap) -> None:
        self._data = data

    def memory(self) -> ModelMemory:
        graph = next(self._parts((0, len(self._data)), 7), None)
        if graph is None:
            raise ModelFileError("there is no graph in it")
        weights: Dict[bytes, int] = {}
        sizes: Dict[bytes, Optional[int]] = {}
        nodes: List[_Node] = []
        outputs: List[bytes] = []
        for number, part in self._fields(graph):
            if number == 1:
                nodes.append(self._node(part))
            elif number == 5:
                name, size = self._tensor(part)
                weights[name] = size
            elif number in (11, 12, 13):
                name, known = self._value(part)
                sizes[name] = known
                if number == 12:
                    outputs.append(name)
        return ModelMemory(sum(weights.values()), _largest_set(nodes, sizes, set(weights), outputs))

    # --- messages ----------------------------------------------------------------------------------------------------

    def _node(self, part: _Part) -> _Node:
        texts: Dict[int, List[bytes]] = {1: [], 2: [], 4: []}
        for number, inner in self._fields(part):
            if number in texts:
                texts[number].append(self._data[inner[0] : inner[1]])
        return _Node(b"".join(texts[4][:1]), tuple(texts[1]), tuple(texts[2]))

    def _tensor(self, part: _Part) -> Tuple[bytes, int]:
        name, elements, bits = b"", 1, 0
        for number, value in self._values(part):
            if number == 1:
                for extent in self._numbers(value):
                    elements *= extent
            elif number == 2 and isinstance(value, int):
                bits = _BITS.get(value, 0)
            elif number == 8 and not isinstance(value, int):
                name = self._data[value[0] : value[1]]
        return name, (elements * bits + 7) // 8

    def _value(self, part: _Part) -> Tuple[bytes, Optional[int]]:
        """Return a value's name, and its size where its shape is fully known."""
        names = [self._data[start:end] for start, end in self._parts(part, 1)]
        for kind in self._parts(part, 2):
            for tensor in self._parts(kind, 1):
                return b"".join(names[:1]), self._tensor_size(tensor)
        return b"".join(names[:1]), None

    def _tensor_size(self, part: _Part) -> Optional[int]:
        bits = next((v for number, v in self._values(part) if number == 1 and isinstance(v, int)), 0)
        shape = next(self._parts(part, 2), None)
        if not _BITS.get(bits) or shape is None:
            return None
        elements = 1
        for dimension in self._parts(shape, 1):
            extent = next((v for number, v in self._values(dimension) if number == 1 and isinstance(v, int)), None)
            if extent is None:
                return None
            elements *= extent
        return (elements * _BITS[bits] + 7) // 8

    # --- the wire ----------------------------------------------------------------------------------------------------

    def _numbers(self, value: "int | _Part") -> List[int]:
        """Return the numbers of a field that may be packed."""
        if isinstance(value, int):
            return [value]
        numbers, offset = [], value[0]
        while offset < value[1]:
            number, offset = self._varint(offset, value[1])
            numbers.append(number)
        return numbers

    def _parts(self, part: _Part, wanted: int) -> Iterator[_Part]:
        return (inner for number, inner in self._fields(part) if number == wanted)

    def _fields(self, part: _Part) -> Iterator[Tuple[int, _Part]]:
        """Yield number and place of the fields that have a length."""
        for number, value in self._values(part):
            if not isinstance(value, int):
                yield number, value

    def _values(self, part: _Part) -> "Iterator[tuple[int, int | _Part]]":
        offset, end = part
        while offset < end:
            key, offset = self._varint(offset, end)
            number, wire = key >> 3, key & 7
            if wire == 0:
                value, offset = self._varint(offset, end)
                yield number, value
            elif wire in (1, 5):
                offset += 8 if wire == 1 else 4
            elif wire == 2:
                length, offset = self._varint(offset, end)
                if length > end - offset:
                    raise ModelFileError("it ends in the middle")
                yield number, (offset, offset + length)
                offset += length
            else:
                raise ModelFileError(f"wire type {wire} is none of ONNX's")

    def _varint(self, offset: int, end: int) -> Tuple[int, int]:
        value = shift = 0
        while offset < end and shift < 70:
            byte = self._data[offset]
            offset += 1
            value |= (byte & 0x7F) << shift
            shift += 7
            if not byte & 0x80:
                return value, offset
        raise ModelFileError("it ends in the middle")


def _largest_set(
    nodes: List[_Node], sizes: Dict[bytes, Optional[int]], weights: Set[bytes], outputs: List[bytes]
) -> Optional[int]:
    """Return the bytes of the largest set of activations alive at once; None where a size is not known."""
    constants = weights | {name for node in nodes if node.kind == b"Constant" for name in node.outputs}
    last_use: Dict[bytes, int] = {}
    for index, node in enumerate(nodes):
        last_use.update((name, index) for name in (*node.inputs, *node.outputs))
    last_use.update((name, len(nodes)) for name in outputs)
    made = {name for node in nodes for name in node.outputs}
    alive = {name for name in sizes if name in last_use and name not in made and name not in constants}
    largest = 0
    for index, node in enumerate(nodes):
        alive.update(name for name in node.outputs if name and name not in constants)
        found = [sizes.get(name) for name in alive]
        if None in found:
            return None
        largest = max(largest, sum(size for size in found if size is not None))
        alive = {name for name in alive if last_use[name] > index}
    return largest
