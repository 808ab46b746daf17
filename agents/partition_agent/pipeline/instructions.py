"""What a pipeline tells its device to do; see `pipeline`."""

from typing import Tuple, Union

import msgspec

from partition_agent.data_plane.wire import Tensors
from partition_agent.protocol import FrameRoute


class Run(msgspec.Struct, frozen=True):
    """Compute a stage for these frames, in one go where there are several.

    Answer for each frame, in this order, by `stage_done` or `stage_failed`.
    """

    stage: str
    frames: Tuple[int, ...]
    inputs: Tuple[Tensors, ...]


class Send(msgspec.Struct, frozen=True):
    """Send a frame to another device."""

    link: str
    frame: int
    route: FrameRoute
    tensors: Tensors


class SendLost(msgspec.Struct, frozen=True):
    """Tell another device that a frame will not come."""

    link: str
    frame: int
    route: FrameRoute
    reason: str


class Grant(msgspec.Struct, frozen=True):
    """Allow the producer of a link more frames."""

    link: str
    count: int


class Refuse(msgspec.Struct, frozen=True):
    """Count a message that was refused."""

    link: str
    frame: int
    reason: str


Instruction = Union[Run, Send, SendLost, Grant, Refuse]
