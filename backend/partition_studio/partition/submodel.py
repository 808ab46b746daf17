"""The sub-model of a stage: an ONNX model with the stage's layers and only the weights that they need."""

import hashlib
import io
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from types import MappingProxyType
from typing import TYPE_CHECKING, BinaryIO

import onnx
from onnx import TensorProto

from partition_studio.errors import PlanError
from partition_studio.graph.network import Network, value_info
from partition_studio.graph.read import PROTOBUF_LIMIT_BYTES
from partition_studio.graph.walk import node_reads
from partition_studio.graph.weights import HELD_BYTES, Weight
from partition_studio.partition.metadata import annotate
from partition_studio.partition.stages import Stage, StageGraph

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer

#: Numbers of protobuf fields: ModelProto.graph, GraphProto.initializer, TensorProto.raw_data.
_GRAPH, _INITIALIZER, _RAW_DATA = 7, 5, 9


#: What is read of a sub-model at once.
_BUFFER_BYTES = 256 * 1024


class StageTooLargeError(PlanError):
    """A stage's sub-model is larger than one ONNX file can be."""

    code = "stage_too_large"
    next_step = "Cut the stage: place some of its layers on another device, or divide its largest layers."


@dataclass(frozen=True, eq=False)
class SubModel:
    """One stage as a file's content, written without ever being held as a whole.

    The content is protobuf's: what is small comes first, as it is; then one message after the other for the large
    weights, whose data is read when it is written. It is the same for the same network and stage, always.
    """

    stage: str
    model: onnx.ModelProto
    streamed: tuple[Weight, ...]

    @cached_property
    def size_bytes(self) -> int:
        """Bytes of the content."""
        return sum(len(piece) if isinstance(piece, bytes) else piece.size_bytes for piece in self._pieces)

    @cached_property
    def digest(self) -> str:
        """SHA-256 (hex) of the content; reads all weights the first time."""
        return self.write_to(None)

    @property
    def data(self) -> bytes:
        """The content as a whole. Raises StageTooLargeError."""
        self.require_one_file()
        return b"".join(self.chunks())

    @property
    def fits_one_file(self) -> bool:
        """Whether an ONNX file without external data can hold it."""
        return self.size_bytes <= PROTOBUF_LIMIT_BYTES

    def require_one_file(self) -> None:
        """Raise StageTooLargeError unless an ONNX file without external data can hold it."""
        if not self.fits_one_file:
            raise StageTooLargeError(
                f"The stage {self.stage!r} has {self.size_bytes} bytes; one ONNX file can have "
                f"{PROTOBUF_LIMIT_BYTES} bytes at most.",
                stage=self.stage,
                size_bytes=self.size_bytes,
            )

    def chunks(self) -> Iterator[bytes]:
        """Yield the content. Raises NetworkChangedError."""
        for piece in self._pieces:
            if isinstance(piece, bytes):
                yield piece
            else:
                yield from piece.chunks()

    def open(self) -> BinaryIO:
        """Return the content as a file, of which a piece is held at a time. Reading it raises NetworkChangedError."""
        return io.BufferedReader(_Reading(self), _BUFFER_BYTES)

    def write_to(self, stream: BinaryIO | None) -> str:
        """Write the content, and return its digest. Raises NetworkChangedError."""
        digest = hashlib.sha256()
        for chunk in self.chunks():
            digest.update(chunk)
            if stream is not None:
                stream.write(chunk)
        self.__dict__.setdefault("digest", digest.hexdigest())
        return digest.hexdigest()

    @cached_property
    def _pieces(self) -> tuple[bytes | Weight, ...]:
        """The content in order; of a weight here, its raw data."""
        shell = onnx.ModelProto()
        shell.CopyFrom(self.model)
        shell.ClearField("graph")
        graph = self.model.graph.SerializeToString(deterministic=True)
        pieces: list[bytes | Weight] = []
        graph_bytes = len(graph)
        for weight in self.streamed:
            before = TensorProto(name=weight.name, data_type=weight.data_type, dims=weight.dims)
            header = before.SerializeToString(deterministic=True) + _head(_RAW_DATA, weight.size_bytes)
            header = _head(_INITIALIZER, len(header) + weight.size_bytes) + header
            graph_bytes += len(header) + weight.size_bytes
            pieces += [header, weight]
        first = shell.SerializeToString(deterministic=True) + _head(_GRAPH, graph_bytes) + graph
        return (first, *pieces)


class _Reading(io.RawIOBase):
    """A sub-model's content, read from its beginning on; to go back is to begin again."""

    def __init__(self, part: SubModel) -> None:
        self._part = part
        self._begin()

    def _begin(self) -> None:
        self._chunks = self._part.chunks()
        self._left = memoryview(b"")
        self._at = 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._at

    def readinto(self, buffer: "WriteableBuffer") -> int:
        target = memoryview(buffer).cast("B")
        while not self._left:
            chunk = next(self._chunks, None)
            if chunk is None:
                return 0
            self._left = memoryview(chunk)
        count = min(len(target), len(self._left))
        target[:count], self._left = self._left[:count], self._left[count:]
        self._at += count
        return count

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        if whence != io.SEEK_SET:
            raise io.UnsupportedOperation("only places from the beginning on are found")
        if offset < self._at:
            self._begin()
        skipped = memoryview(bytearray(_BUFFER_BYTES))
        while self._at < offset and self.readinto(skipped[: offset - self._at]):
            pass
        return self._at

    def close(self) -> None:
        # What was being read is closed with its generator.
        self._chunks, self._left = iter(()), memoryview(b"")
        super().close()


def _head(field: int, length: int) -> bytes:
    """Return what stands before a protobuf field of that many bytes."""
    encoded = bytearray()
    for value in (field << 3 | 2, length):
        while value > 0x7F:
            encoded.append(value & 0x7F | 0x80)
            value >>= 7
        encoded.append(value)
    return bytes(encoded)


def submodel(network: Network, stage: Stage, graph: StageGraph | None = None) -> SubModel:
    """Return the sub-model of a stage; its inputs and outputs are the stage's, in the stage's order.

    With the graph of all stages, it also says where it belongs (`partition.metadata`).
    """
    nodes = [network.nodes_by_layer[name] for name in stage.layers]
    everything = [*_weight_nodes(network, nodes), *nodes]
    weights = dict.fromkeys(name for node in everything for name in node_reads(node) if name in network.weights)
    held = [name for name in weights if not _is_streamed(network.weights[name])]
    model = onnx.ModelProto(ir_version=network.ir_version, producer_name="partition-studio")
    model.opset_import.extend(onnx.helper.make_opsetid(*opset) for opset in network.opsets.items())
    content = model.graph
    content.name = stage.name
    content.node.extend(everything)
    content.initializer.extend(network.weights[name].tensor() for name in held)
    content.input.extend(value_info(name, network.tensors[name]) for name in stage.inputs)
    content.output.extend(value_info(name, network.tensors[name]) for name in stage.outputs)
    outputs = set(stage.outputs)
    inner = [tensor for node in nodes for tensor in node.output if tensor and tensor not in outputs]
    content.value_info.extend(value_info(name, network.tensors[name]) for name in inner)
    if graph is not None:
        annotate(model, network, graph, stage)
    streamed = tuple(network.weights[name] for name in weights if _is_streamed(network.weights[name]))
    return SubModel(stage.name, model, streamed)


def extract(network: Network, stage: Stage) -> onnx.ModelProto:
    """Return the sub-model of a stage as a message, with its weights inside."""
    part = submodel(network, stage)
    model = onnx.ModelProto()
    model.CopyFrom(part.model)
    model.graph.initializer.extend(weight.tensor() for weight in part.streamed)
    return model


def _is_streamed(weight: Weight) -> bool:
    return weight.streams and weight.size_bytes > HELD_BYTES


def _weight_nodes(network: Network, nodes: list[onnx.NodeProto]) -> list[onnx.NodeProto]:
    """Return the weight-making nodes that `nodes` need, each after those that it reads."""
    found: dict[int, onnx.NodeProto] = {}
    pending = [(name, False) for node in reversed(nodes) for name in reversed(node_reads(node))]
    while pending:
        name, is_ready = pending.pop()
        node = network.weight_nodes.get(name)
        if node is None or id(node) in found:
            continue
        if is_ready:
            found[id(node)] = node
        else:
            pending.append((name, True))
            pending.extend((source, False) for source in reversed(node_reads(node)))
    return list(found.values())


def submodels(network: Network, graph: StageGraph, *, annotated: bool = True) -> Mapping[str, SubModel]:
    """Return the sub-model of every stage, by the stage's name.

    Annotated, they say where they belong, so that every one changes with the plan. Otherwise a stage that a changed
    plan leaves as it was has the same content, and need not be sent again.
    """
    return MappingProxyType(
        {stage.name: submodel(network, stage, graph if annotated else None) for stage in graph.stages}
    )


def require_deployable(parts: Mapping[str, SubModel]) -> None:
    """Raise StageTooLargeError for the first sub-model that no single file can hold."""
    for part in parts.values():
        part.require_one_file()


class Contents(Mapping[str, bytes]):
    """The content of sub-models by stage, each made when it is asked for, and not kept."""

    def __init__(self, parts: Mapping[str, SubModel]) -> None:
        self._parts = parts

    def __getitem__(self, stage: str) -> bytes:
        return self._parts[stage].data

    def __iter__(self) -> Iterator[str]:
        return iter(self._parts)

    def __len__(self) -> int:
        return len(self._parts)
