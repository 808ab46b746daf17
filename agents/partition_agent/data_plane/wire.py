"""Data messages to and from the parts of a ZeroMQ message. Nothing that a peer sends is believed."""

from typing import Any, Dict, List, Mapping, NamedTuple, Sequence, Tuple

import msgspec
import numpy as np

from partition_agent.codecs import AS_IT_IS, CodecError, byte_size, decode, dtype_of, encode, header_of
from partition_agent.protocol import (
    MAGIC,
    MAX_HEADER_BYTES,
    DataMessage,
    FrameMessage,
    FrameRoute,
    LinkCodec,
    LinkSpec,
    TensorHeader,
)

Tensors = Mapping[str, "np.ndarray[Any, Any]"]

#: Frame ids are below this.
FRAME_LIMIT = 1 << 63

_encoder = msgspec.msgpack.Encoder()
_decoder: "msgspec.msgpack.Decoder[DataMessage]" = msgspec.msgpack.Decoder(DataMessage)


class WireError(ValueError):
    """A message that is refused; `reason` is a stable word that drops are counted by."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


def pack(message: DataMessage) -> bytes:
    """Return part 0 of a message."""
    return MAGIC + _encoder.encode(message)


def unpack(part: Any) -> DataMessage:
    """Read part 0 of a message. Raises WireError."""
    view = memoryview(part)
    if view.nbytes > MAX_HEADER_BYTES:
        raise WireError("header_too_long")
    if bytes(view[: len(MAGIC)]) != MAGIC:
        raise WireError("bad_magic")
    try:
        return _decoder.decode(view[len(MAGIC) :])
    except msgspec.DecodeError:
        raise WireError("bad_header") from None


class Carried(NamedTuple):
    """A tensor of a link, and what is the same of it in every frame; `header` is that of one that travels as it is."""

    name: str
    dtype: "np.dtype[Any]"
    shape: Tuple[int, ...]
    codec: LinkCodec
    header: TensorHeader

    @property
    def is_plain(self) -> bool:
        """Whether it always travels as it is."""
        return self.codec.name == AS_IT_IS.name


def carried_by(link: LinkSpec) -> Tuple[Carried, ...]:
    """Return what a link carries. Raises CodecError for what cannot cross one."""
    carried = []
    for position, spec in enumerate(link.tensors):
        header = TensorHeader(spec.name, spec.dtype, spec.shape, AS_IT_IS.name, byte_size(spec))
        codec = link.codecs[position] if link.codecs else AS_IT_IS
        carried.append(Carried(spec.name, dtype_of(spec.dtype), spec.shape, codec, header))
    return tuple(carried)


def pack_frame(
    deployment: str, epoch: int, link: str, carried: Sequence[Carried], frame: int, route: FrameRoute, tensors: Tensors
) -> List[Any]:
    """Return the parts of a frame: its header, then each tensor's bytes, not copied where they travel as they are."""
    headers, parts = [], []
    for tensor in carried:
        array = tensors[tensor.name]
        if tensor.is_plain and array.dtype == tensor.dtype and array.shape == tensor.shape:
            header, data = tensor.header, np.ascontiguousarray(array).reshape(-1).view(np.uint8)
        else:
            codec, data = _encoded(array, tensor.codec)
            header = header_of(tensor.name, array, codec, data.nbytes)
        headers.append(header)
        parts.append(data)
    return [pack(FrameMessage(deployment, epoch, link, frame, tuple(headers), route)), *parts]


def _encoded(array: "np.ndarray[Any, Any]", codec: LinkCodec) -> "Tuple[str, np.ndarray[Any, Any]]":
    try:
        return encode(array, codec)
    except MemoryError:
        # As it is it takes none.
        return encode(array)


def check_route(link: LinkSpec, frame: int, route: FrameRoute) -> None:
    """See that a frame of that route may pass on a link, and comes after those that it names. Raises WireError."""
    before = (route.previous, *route.previous_there)
    if len(route.replicas) != len(route.previous_there) or not -1 <= min(before) <= max(before) < frame:
        raise WireError("bad_route")
    for group, replica in link.routes:
        if group >= len(route.replicas) or route.replicas[group] != replica:
            raise WireError("wrong_route")


def unpack_tensors(
    carried: Sequence[Carried], message: FrameMessage, parts: Sequence[Any]
) -> Dict[str, "np.ndarray[Any, Any]"]:
    """Return the tensors of a frame, read-only; those that travel as they are as views of the parts.

    Raises WireError when they are not what the link carries.
    """
    if not len(carried) == len(message.tensors) == len(parts):
        raise WireError("wrong_tensors")
    tensors = {}
    for place, tensor in enumerate(carried):
        header, part = message.tensors[place], parts[place]
        if header.name != tensor.name:
            raise WireError("wrong_tensors")
        if header.dtype != tensor.header.dtype:
            raise WireError("wrong_dtype")
        if header.shape != tensor.shape:
            raise WireError("wrong_shape")
        tensors[tensor.name] = (
            _plain(tensor, header, part) if header.codec == AS_IT_IS.name else _decoded(tensor, header, part)
        )
    return tensors


def _plain(tensor: Carried, header: TensorHeader, part: Any) -> "np.ndarray[Any, Any]":
    view = memoryview(part)
    if not view.nbytes == header.byte_length == tensor.header.byte_length:
        raise WireError("wrong_length")
    # An empty buffer cannot be seen as an array of nothing.
    array = (
        np.frombuffer(view, tensor.dtype).reshape(tensor.shape) if view.nbytes else np.empty(tensor.shape, tensor.dtype)
    )
    if not array.flags.aligned:
        array = array.copy()
    array.flags.writeable = False
    return array


def _decoded(tensor: Carried, header: TensorHeader, part: Any) -> "np.ndarray[Any, Any]":
    if tensor.is_plain:
        # Nobody makes us decode what was not agreed upon.
        raise WireError("wrong_codec")
    try:
        return decode(header, part)
    except CodecError:
        raise WireError("bad_encoding") from None
    except MemoryError:
        raise WireError("no_memory") from None
