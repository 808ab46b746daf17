"""What a message between devices costs this device's processor, besides its encoding.

Two data planes of this process hand each other frames over loopback, as encrypted as between devices, one at a time:
the next goes out a moment after the credit for the one before has come back. So every thread of both ends that has to
do with a message has gone to sleep and wakes up for it as it does in a pipeline (in close succession messages cost a
third of that), and half of what the process takes is what one end does.
"""

import logging
import threading
import time
from statistics import median
from typing import TYPE_CHECKING, Dict, Optional

import numpy as np

from partition_agent.data_plane.links import DataPlane
from partition_agent.data_plane.sockets import SocketError
from partition_agent.protocol import CarryFigures, FrameRoute, LinkSpec, PeerAddress, TensorSpec

if TYPE_CHECKING:
    from partition_agent.data_plane.wire import Tensors

logger = logging.getLogger(__name__)

#: Bytes of a frame. Of a small one the message itself costs most, of a large one its bytes do; and a large one is sent
#: from where it lies, as most activations are.
SMALL_BYTES, LARGE_BYTES = 16 * 1024, 1024 * 1024

_HOST = "127.0.0.1"
_LINKS = {size: f"{size} bytes" for size in (SMALL_BYTES, LARGE_BYTES)}

#: Of each size so many blocks of messages are timed, of which the median counts; a block has at least so many.
_BLOCKS = 5
_LEAST_MESSAGES = 2

#: Between two messages, for all threads to come to rest.
_REST_S = 0.005

#: A device on which a message takes longer is not measured.
_PATIENCE_S = 5.0

#: Waking up connections and threads that are new.
_FIRST_MESSAGES = 2


class _SilentError(Exception):
    """A message did not come, or its credit did not."""


class _End:
    """One of the two: it begins every frame when it comes, and counts the credit that it gets."""

    def __init__(self, device: str, links: "Dict[int, LinkSpec]") -> None:
        self._granted = {link.id: 0 for link in links.values()}
        self._change = threading.Condition()
        self._window = {link.id: link.window for link in links.values()}
        self.plane = DataPlane(
            device=device,
            deployment="what carrying costs",
            epoch=1,
            links=tuple(links.values()),
            handler=self,
            bind_host=_HOST,
        )
        self.address = PeerAddress(device, _HOST, self.plane.port, self.plane.public_key)

    def frame_arrived(self, link: str, frame: int, route: FrameRoute, tensors: "Tensors") -> None:
        self.plane.grant(link, 1)

    def loss_arrived(self, link: str, frame: int, route: FrameRoute, reason: str) -> None:
        self.plane.grant(link, 1)

    def credited(self, link: str, count: int, since: Optional[int]) -> None:
        with self._change:
            self._granted[link] = (self._granted[link] if since is None else since) + count
            self._change.notify()

    def link_opened(self, link: str) -> None:
        self.plane.grant(link, self._window[link], reset=True)

    def await_credit(self, link: str, total: int) -> None:
        """Wait until so many frames were allowed in all. Raises _SilentError."""
        with self._change:
            if not self._change.wait_for(lambda: self._granted[link] >= total, _PATIENCE_S):
                raise _SilentError(link)


def carry_speed(seconds_s: float, share: float = 1.0) -> Optional[CarryFigures]:
    """Measure it for about `seconds_s`; None where no messages pass.

    `share` is what this process gets of the cores that the device shows: the seconds are of one that is shown.
    """
    links = {
        size: LinkSpec(name, "a", "b", "one", "two", (TensorSpec("x", "uint8", (size,)),))
        for size, name in _LINKS.items()
    }
    try:
        one = _End("one", links)
        try:
            two = _End("two", links)
            try:
                for end in (one, two):
                    end.plane.connect((one.address, two.address))
                small_s, large_s = (_message_s(one, links[size], size, seconds_s / 2) for size in _LINKS)
            finally:
                two.plane.close()
        finally:
            one.plane.close()
    except (SocketError, _SilentError) as error:
        logger.warning("carrying_not_measured", extra={"reason": str(error)})
        return None
    return through(small_s / share, large_s / share)


def through(small_s: float, large_s: float) -> CarryFigures:
    """Return the line through what the two sizes took; neither part of it is negative."""
    byte_s = max((large_s - small_s) / (LARGE_BYTES - SMALL_BYTES), 0.0)
    return CarryFigures(max(small_s - byte_s * SMALL_BYTES, 0.0), byte_s)


def _message_s(producer: _End, link: LinkSpec, size_bytes: int, budget_s: float) -> float:
    """Return the processor seconds of one message at one end, its credit among them. Raises _SilentError."""
    array = np.random.default_rng(0).integers(0, 256, size_bytes, np.uint8)
    sent = 0

    def pass_one() -> None:
        nonlocal sent
        producer.plane.send(link.id, sent, FrameRoute(sent - 1), {"x": array})
        sent += 1
        producer.await_credit(link.id, link.window + sent)

    producer.await_credit(link.id, link.window)
    for _ in range(_FIRST_MESSAGES):
        pass_one()
    blocks_s = []
    for _ in range(_BLOCKS):
        begin, begin_s, begin_cpu_s = sent, time.monotonic(), time.process_time()
        while sent - begin < _LEAST_MESSAGES or time.monotonic() - begin_s < budget_s / _BLOCKS:
            time.sleep(_REST_S)
            pass_one()
        blocks_s.append((time.process_time() - begin_cpu_s) / (sent - begin) / 2)
    return median(blocks_s)
