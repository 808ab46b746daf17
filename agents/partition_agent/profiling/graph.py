"""Read the nodes of an ONNX file, and nothing else of it: the agent has no `onnx` package.

Only the fields that are needed are looked at, by protobuf's wire format; what is unknown is skipped.
"""

from typing import Dict, FrozenSet, Iterator, List, NamedTuple, Tuple, Union

#: Numbers of protobuf fields: ModelProto.graph; GraphProto.node, .initializer, .input, .output; NodeProto's own;
#: TensorProto.name.
_GRAPH = 7
_NODE, _INITIALIZER, _INPUT, _OUTPUT = 1, 5, 11, 12
_NODE_INPUT, _NODE_OUTPUT, _NODE_NAME, _NODE_OP_TYPE = 1, 2, 3, 4
_TENSOR_NAME, _VALUE_NAME = 8, 1

_VARINT, _FIXED64, _LENGTH, _FIXED32 = 0, 1, 2, 5

Value = Union[int, memoryview]


class Node(NamedTuple):
    """One node; a missing optional input is not among `inputs`."""

    name: str
    op_type: str
    inputs: Tuple[str, ...]
    outputs: Tuple[str, ...]


class Graph(NamedTuple):
    """A model's top-level graph: its nodes in the file's order, and the names of its initialisers."""

    nodes: Tuple[Node, ...]
    initializers: FrozenSet[str]
    inputs: Tuple[str, ...]
    outputs: Tuple[str, ...]


def read_graph(data: bytes) -> Graph:
    """Return the graph of an ONNX file. Raises ValueError for what is none."""
    nodes: List[Node] = []
    named: Dict[int, List[str]] = {_INITIALIZER: [], _INPUT: [], _OUTPUT: []}
    try:
        for field, graph in _fields(memoryview(data)):
            if field != _GRAPH or isinstance(graph, int):
                continue
            for number, value in _fields(graph):
                if isinstance(value, int):
                    continue
                if number == _NODE:
                    nodes.append(_node(value))
                elif number in named:
                    place = _TENSOR_NAME if number == _INITIALIZER else _VALUE_NAME
                    named[number] += [_text(v) for f, v in _fields(value) if f == place]
    except (IndexError, UnicodeDecodeError) as error:
        raise ValueError("the file is no ONNX model") from error
    return Graph(tuple(nodes), frozenset(named[_INITIALIZER]), tuple(named[_INPUT]), tuple(named[_OUTPUT]))


def _node(data: memoryview) -> Node:
    texts: Dict[int, List[str]] = {_NODE_INPUT: [], _NODE_OUTPUT: [], _NODE_NAME: [], _NODE_OP_TYPE: []}
    for field, value in _fields(data):
        if field in texts:
            texts[field].append(_text(value))
    return Node(
        "".join(texts[_NODE_NAME]),
        "".join(texts[_NODE_OP_TYPE]),
        tuple(name for name in texts[_NODE_INPUT] if name),
        tuple(name for name in texts[_NODE_OUTPUT] if name),
    )


def _text(value: Value) -> str:
    if isinstance(value, int):
        raise ValueError("the file is no ONNX model")
    return bytes(value).decode("utf-8")


def _fields(data: memoryview) -> Iterator[Tuple[int, Value]]:
    """Yield the number and value of each field of a message; raises IndexError, ValueError for a broken one."""
    position = 0
    while position < len(data):
        key, position = _varint(data, position)
        kind = key & 7
        if kind == _VARINT:
            number, position = _varint(data, position)
            yield key >> 3, number
            continue
        if kind == _LENGTH:
            length, position = _varint(data, position)
        elif kind in (_FIXED64, _FIXED32):
            length = 8 if kind == _FIXED64 else 4
        else:
            raise ValueError("the file is no ONNX model")
        if position + length > len(data):
            raise ValueError("the file ends in the middle of a field")
        yield key >> 3, data[position : position + length]
        position += length


def _varint(data: memoryview, position: int) -> Tuple[int, int]:
    value = shift = 0
    while True:
        byte = data[position]
        position += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, position
        shift += 7
        if shift > 63:
            raise ValueError("the file is no ONNX model")
