"""Data messages to and from the parts of a ZeroMQ message. Nothing that a peer sends is believed."""

from typing import Any, Dict, List, Mapping, Sequence

import msgspec
import numpy as np

from partition_agent.codecs import AS_IT_IS, CodecError, decode, encode, header_of
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


def pack_frame(
    deployment: str, epoch: int, link: LinkSpec, frame: int, route: FrameRoute, tensors: Tensors
) -> List[Any]:
    """Return the parts of a frame: its header, then each tensor's bytes, not copied where they travel as they are."""
    headers, parts = [], []
    for position, spec in enumerate(link.tensors):
        array = tensors[spec.name]
        codec, data = encode(array, link.codecs[position] if link.codecs else AS_IT_IS)
        headers.append(header_of(spec.name, array, codec, data.nbytes))
        parts.append(data)
    return [pack(FrameMessage(deployment, epoch, link.id, frame, tuple(headers), route)), *parts]


def check_route(link: LinkSpec, frame: int, route: FrameRoute) -> None:
    """See that a frame of that route may pass on a link, and comes after those that it names. Raises WireError."""
    before = (route.previous, *route.previous_there)
    if len(route.replicas) != len(route.previous_there) or not -1 <= min(before) <= max(before) < frame:
        raise WireError("bad_route")
    for group, replica in link.routes:
        if group >= len(route.replicas) or route.replicas[group] != replica:
            raise WireError("wrong_route")


def unpack_tensors(link: LinkSpec, message: FrameMessage, parts: Sequence[Any]) -> Dict[str, "np.ndarray[Any, Any]"]:
    """Return the tensors of a frame as views of its parts, when they are what the link carries. Raises WireError."""
    if not len(link.tensors) == len(message.tensors) == len(parts):
        raise WireError("wrong_tensors")
    tensors = {}
    for position, spec in enumerate(link.tensors):
        header = message.tensors[position]
        if header.name != spec.name:
            raise WireError("wrong_tensors")
        if header.dtype != spec.dtype:
            raise WireError("wrong_dtype")
        if header.shape != spec.shape:
            raise WireError("wrong_shape")
        tensors[spec.name] = _unpack_tensor(header, parts[position], link.codecs[position] if link.codecs else AS_IT_IS)
    return tensors


def _unpack_tensor(header: TensorHeader, part: Any, codec: LinkCodec) -> "np.ndarray[Any, Any]":
    is_plain = header.codec == AS_IT_IS.name
    if not is_plain and codec.name == AS_IT_IS.name:
        # Nobody makes us decode what was not agreed upon.
        raise WireError("wrong_codec")
    try:
        return decode(header, part)
    except CodecError:
        raise WireError("wrong_length" if is_plain else "bad_encoding") from None
    except MemoryError:
        raise WireError("no_memory") from None
