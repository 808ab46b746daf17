"""Two ends of one link: real data planes, and a handler that keeps what it is told."""

import threading
from collections.abc import Callable, Mapping, Sequence
from types import TracebackType
from typing import Self

import msgspec
import numpy as np
import numpy.typing as npt
from tests.agent.rig import DEADLINE_S

from partition_agent.data_plane.link_state import LinkTotals
from partition_agent.data_plane.links import DataPlane
from partition_agent.protocol import FrameRoute, LinkCodec, LinkSpec, PeerAddress, TensorSpec

Array = npt.NDArray[np.generic]
Floats = npt.NDArray[np.float32]

LINK = "a>b"

#: Who consumes waits for longer than who sends does: links may be left to crawl for a while.
_PATIENCE_S = 5 * DEADLINE_S


def link(shape: tuple[int, ...], *, codecs: Sequence[LinkCodec] = (), window: int = 2) -> LinkSpec:
    """A link with one tensor, from device `one` to device `two`."""
    tensor = TensorSpec("x", "float32", shape)
    return LinkSpec(LINK, "a", "b", "one", "two", (tensor,), window, tuple(codecs))


class End:
    """One device, with one link. A producer sends as it has credit; a consumer begins a frame when it is told to."""

    def __init__(self, device: str, spec: LinkSpec, *, host: str = "127.0.0.1", plaintext: bool = False) -> None:
        self.device, self.spec, self.host = device, spec, host
        self._change = threading.Condition()
        self._limit = self.sent = self.begun = 0
        self.arrived: list[tuple[int, Mapping[str, Array] | None, str]] = []
        self.by: set[str] = set()
        self.plane = DataPlane(
            device=device,
            deployment="d",
            epoch=1,
            links=[spec],
            handler=self,
            bind_host=host,
            plaintext=plaintext,
        )

    @property
    def address(self) -> PeerAddress:
        return PeerAddress(self.device, self.host, self.plane.port, self.plane.public_key)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.plane.close()

    def totals(self) -> LinkTotals:
        return self.plane.totals()[LINK]

    # What the data plane tells.

    def frame_arrived(self, link: str, frame: int, route: FrameRoute, tensors: Mapping[str, Array]) -> None:
        self._arrived(frame, tensors, "")

    def loss_arrived(self, link: str, frame: int, route: FrameRoute, reason: str) -> None:
        self._arrived(frame, None, reason)

    def _arrived(self, frame: int, tensors: Mapping[str, Array] | None, reason: str) -> None:
        with self._change:
            self.by.add(threading.current_thread().name.split()[0])
            if frame not in [known for known, _, _ in self.arrived]:
                self.arrived.append((frame, tensors, reason))
                self._change.notify_all()

    def credited(self, link: str, count: int, since: int | None) -> None:
        with self._change:
            self._limit = min((self._limit if since is None else since) + count, self.sent + self.spec.window)
            self._change.notify_all()

    def link_opened(self, link: str) -> None:
        with self._change:
            room = self.spec.window - (len(self.arrived) - self.begun)
            self.plane.grant(link, max(room, 0), reset=True)

    # What a test does.

    def wait(self, is_so: Callable[[], bool], what: str) -> None:
        with self._change:
            assert self._change.wait_for(is_so, DEADLINE_S), f"not in time: {what}"

    @property
    def has_credit(self) -> bool:
        with self._change:
            return self.sent < self._limit

    def send(self, frame: int, array: Array) -> None:
        """Send when there is credit."""
        with self._change:
            assert self._change.wait_for(lambda: self.sent < self._limit, DEADLINE_S), f"no credit for frame {frame}"
            self.sent += 1
            self.plane.send(LINK, frame, FrameRoute(frame - 1), {"x": array})

    def lose(self, frame: int, reason: str) -> None:
        with self._change:
            assert self._change.wait_for(lambda: self.sent < self._limit, DEADLINE_S), f"no credit for loss {frame}"
            self.sent += 1
            self.plane.send_lost(LINK, frame, FrameRoute(frame - 1), reason)

    def begin(self, patience_s: float = DEADLINE_S) -> tuple[int, Mapping[str, Array] | None, str]:
        """Wait for the next frame or loss, begin it and allow another one."""
        with self._change:
            assert self._change.wait_for(lambda: len(self.arrived) > self.begun, patience_s), f"frame {self.begun}"
            self.begun += 1
            self.plane.grant(LINK, 1)
            frame, tensors, reason = self.arrived[self.begun - 1]
            self.arrived[self.begun - 1] = (frame, None, reason)
            return frame, tensors, reason


class Consumption:
    """Begins what comes to an end, in a thread of its own."""

    def __init__(self, end: End, count: int, then: Callable[[int, Mapping[str, Array] | None], None]) -> None:
        self._end, self._count, self._then = end, count, then
        self.error: BaseException | None = None
        self._thread = threading.Thread(target=self._run)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._thread.join()
        if self.error is not None and error is None:
            raise self.error

    def _run(self) -> None:
        try:
            for _ in range(self._count):
                frame, tensors, _ = self._end.begin(_PATIENCE_S)
                self._then(frame, tensors)
        except AssertionError as error:
            self.error = error


def introduce(one: End, two: End, *, port: int = 0) -> None:
    """Make both ends known to one another; `one` sees the other at `port`, as through a link of one's own."""
    two.plane.connect([one.address])
    seen = msgspec.structs.replace(two.address, port=port or two.plane.port)
    one.plane.connect([seen])


def arrays(shape: tuple[int, ...], count: int) -> list[Floats]:
    """Frames with about as many zeros as a ReLU leaves."""
    generator = np.random.default_rng(11)
    return [np.maximum(generator.standard_normal(shape), 0).astype(np.float32) for _ in range(count)]
