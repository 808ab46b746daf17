"""The headers of the data plane, between the producer and the consumer of a link: see `protocol`."""

from typing import Optional, Tuple, Union

import msgspec


class TensorHeader(msgspec.Struct, frozen=True, array_like=True):
    """One tensor part of a frame. `codec` names how its bytes were encoded (`none`: C order, little-endian)."""

    name: str
    dtype: str
    shape: Tuple[int, ...]
    codec: str
    byte_length: int


class FrameRoute(msgspec.Struct, frozen=True, array_like=True):
    """The way of a frame through replicated stages, and its place among the frames; made once, by the source.

    `previous` is the frame before it (-1: it is the first). For each group of replicas in turn, `replicas` names the
    one that computes it, and `previous_there` the frame before it on the same replica (-1: none).
    """

    previous: int = -1
    replicas: Tuple[int, ...] = ()
    previous_there: Tuple[int, ...] = ()


class OpenMessage(msgspec.Struct, frozen=True, array_like=True, tag=1):
    """Producer to consumer: this link is here; grant credit. `at` counts the messages sent on the link so far.

    It may be said again at any time; the answer is the true credit then.
    """

    deployment: str
    epoch: int
    link: str
    at: Optional[int] = None


class CreditMessage(msgspec.Struct, frozen=True, array_like=True, tag=2):
    """Consumer to producer: `count` more frames may be sent.

    With `reset`, `count` replaces what was held: that many beyond the first `at` (that of the `OpenMessage` which this
    answers; None: nobody asked).
    """

    deployment: str
    epoch: int
    link: str
    count: int
    reset: bool = False
    at: Optional[int] = None


class FrameMessage(msgspec.Struct, frozen=True, array_like=True, tag=3):
    """Producer to consumer: the tensors of one frame follow."""

    deployment: str
    epoch: int
    link: str
    frame: int
    tensors: Tuple[TensorHeader, ...]
    route: FrameRoute = FrameRoute()


class LostMessage(msgspec.Struct, frozen=True, array_like=True, tag=4):
    """Producer to consumer: this frame will not come, because of `reason`. It takes a credit as a frame does."""

    deployment: str
    epoch: int
    link: str
    frame: int
    reason: str
    route: FrameRoute = FrameRoute()


DataMessage = Union[OpenMessage, CreditMessage, FrameMessage, LostMessage]
