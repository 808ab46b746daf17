"""What a sub-model's file tells of the memory that it takes, read without the `onnx` package.

Only names, types and shapes of the protobuf are looked at; weights are skipped over.
"""

from pathlib import Path
from typing import Dict, List, NamedTuple, Optional, Set, Tuple

from partition_agent.loading.protobuf import ModelFileError as ModelFileError
from partition_agent.loading.protobuf import Part as _Part
from partition_agent.loading.protobuf import Walker, mapped

#: Bits of an element, by ONNX's number of its type.
_BITS = {1: 32, 2: 8, 3: 8, 4: 16, 5: 16, 6: 32, 7: 64, 9: 8, 10: 16, 11: 64, 12: 32, 13: 64, 14: 64, 15: 128, 16: 16}
_BITS.update({17: 8, 18: 8, 19: 8, 20: 8, 21: 4, 22: 4, 23: 4})


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
    with mapped(path) as data:
        return _Reader(data).memory()


class _Reader(Walker):
    """Reads names, types and shapes."""

    def memory(self) -> ModelMemory:
        graph = next(self.parts((0, len(self.data)), 7), None)
        if graph is None:
            raise ModelFileError("there is no graph in it")
        weights: Dict[bytes, int] = {}
        sizes: Dict[bytes, Optional[int]] = {}
        nodes: List[_Node] = []
        outputs: List[bytes] = []
        for number, part in self.fields(graph):
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
        for number, inner in self.fields(part):
            if number in texts:
                texts[number].append(self.data[inner[0] : inner[1]])
        return _Node(b"".join(texts[4][:1]), tuple(texts[1]), tuple(texts[2]))

    def _tensor(self, part: _Part) -> Tuple[bytes, int]:
        name, elements, bits = b"", 1, 0
        for number, value in self.values(part):
            if number == 1:
                for extent in self.numbers(value):
                    elements *= extent
            elif number == 2 and isinstance(value, int):
                bits = _BITS.get(value, 0)
            elif number == 8 and not isinstance(value, int):
                name = self.data[value[0] : value[1]]
        return name, (elements * bits + 7) // 8

    def _value(self, part: _Part) -> Tuple[bytes, Optional[int]]:
        """Return a value's name, and its size where its shape is fully known."""
        names = [self.data[start:end] for start, end in self.parts(part, 1)]
        for kind in self.parts(part, 2):
            for tensor in self.parts(kind, 1):
                return b"".join(names[:1]), self._tensor_size(tensor)
        return b"".join(names[:1]), None

    def _tensor_size(self, part: _Part) -> Optional[int]:
        bits = next((v for number, v in self.values(part) if number == 1 and isinstance(v, int)), 0)
        shape = next(self.parts(part, 2), None)
        if not _BITS.get(bits) or shape is None:
            return None
        elements = 1
        for dimension in self.parts(shape, 1):
            extent = next((v for number, v in self.values(dimension) if number == 1 and isinstance(v, int)), None)
            if extent is None:
                return None
            elements *= extent
        return (elements * _BITS[bits] + 7) // 8


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
