"""The headers of the data plane, between the producer and the consumer of a link: see `protocol`."""

from typing import Optional, Tuple, Union

import msgspec


class TensorHeader(msgspec.Struct, frozen=True, array_like=True):
    """One tensor part of a frame. `codec` names how its bytes were encoded (`raw`: C order, little-endian)."""

    name: str
    dtype: str
    shape: Tuple[int, ...]
    codec: str
    byte_length: int


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


class LostMessage(msgspec.Struct, frozen=True, array_like=True, tag=4):
    """Producer to consumer: this frame will not come, because of `reason`. It takes a credit as a frame does."""

    deployment: str
    epoch: int
    link: str
    frame: int
    reason: str


DataMessage = Union[OpenMessage, CreditMessage, FrameMessage, LostMessage]
