"""Source and sink of a pipeline that runs without the studio: frames come from a stream, results go back over it.

What may go in and what has come of it is decided by `gate`, as for the studio's own front door, which does the same for
many callers; this one serves one run. Who sends frames keeps to a window of his own, so what waits here is bounded by
it.
"""

import threading
import time
from collections import deque
from typing import Callable, Deque, List, Optional, Sequence, Tuple

from partition_agent.data_plane.links import DataPlane
from partition_agent.data_plane.wire import Tensors
from partition_agent.gate.gate import Claim, End, Gate
from partition_agent.protocol import STUDIO_PEER, FrameRoute, LinkSpec, PeerAddress

#: `(frame, latency_s, outputs, lost)`: outputs by name, or None and why the frame was lost.
OnEnd = Callable[[int, float, Optional[Tensors], str], None]

#: How often a frame that waits looks for room by itself: a replica that was too slow a moment ago may do by now.
_LOOK_AGAIN_S = 0.1


class Door:
    """A `LinkHandler` that feeds the first stages and hears the last ones. `on_end` is told by a thread of its own."""

    def __init__(
        self, deployment: str, epoch: int, links: Sequence[LinkSpec], replicas: Sequence[int], on_end: OnEnd
    ) -> None:
        """Take the links from and to the source and sink, and the number of replicas of each group.

        Raises SocketError, CodecError.
        """
        self._on_end = on_end
        self._lock = threading.Lock()
        self._room = threading.Condition(self._lock)
        self._came = threading.Condition(self._lock)
        self._gate = Gate(links, replicas)
        self._waiting: Deque[Tuple[int, Tensors, Sequence[int]]] = deque()
        self._ends: Deque[End] = deque()
        self._closed = False
        self._plane = DataPlane(
            device=STUDIO_PEER, deployment=deployment, epoch=epoch, links=links, handler=self, bind_host=None
        )
        self._threads = [threading.Thread(target=work, daemon=True) for work in (self._submit, self._deliver)]
        for thread in self._threads:
            thread.start()

    @property
    def public_key(self) -> str:
        """By which the devices know this door."""
        return self._plane.public_key

    def connect(self, peers: Sequence[PeerAddress]) -> None:
        """Connect to the devices. Raises SocketError."""
        self._plane.connect(peers)

    def put(self, frame: int, inputs: Tensors, through: Sequence[int] = ()) -> None:
        """Send a frame as soon as there is room for it; numbers rise.

        `through` are the replicas that it is to pass, one of each group; left out, the fastest.
        """
        with self._lock:
            self._waiting.append((frame, inputs, through))
            self._room.notify()

    def tell(self, service_s: Sequence[Sequence[float]]) -> None:
        """Take what each replica of each group takes for a frame, as measured there; 0: not known."""
        with self._lock:
            for dealer, seconds in zip(self._gate.dealers, service_s):  # noqa: B905 - `strict` is newer than 3.8
                for index in range(min(len(seconds), len(dealer.dealt))):
                    dealer.tell(index, seconds[index])

    def close(self) -> None:
        """Leave the pipeline."""
        with self._lock:
            self._closed = True
            self._room.notify()
            self._came.notify()
        self._plane.close()
        for thread in self._threads:
            thread.join()

    # --- what the data plane tells (LinkHandler) ---------------------------------------------------------------------

    def frame_arrived(self, link: str, frame: int, route: FrameRoute, tensors: Tensors) -> None:
        """A part of a frame's result came."""
        self._arrived(link, frame, tensors, "")

    def loss_arrived(self, link: str, frame: int, route: FrameRoute, reason: str) -> None:
        """A part of a frame's result will not come."""
        self._arrived(link, frame, None, reason)

    def credited(self, link: str, count: int, since: Optional[int]) -> None:
        """A first stage takes more frames."""
        with self._lock:
            self._gate.credited(link, count, since)
            self._room.notify()

    def link_opened(self, link: str) -> None:
        """We are connected, or again: allow a whole window."""
        with self._lock:
            self._plane.grant(link, self._gate.opened(link), reset=True)

    def _arrived(self, link: str, frame: int, tensors: Optional[Tensors], reason: str) -> None:
        with self._lock:
            ends, unclaimed = self._gate.arrived(self._gate.claim(link), frame, tensors, reason, time.monotonic())
            self._grant(unclaimed)
            if ends:
                self._ends.extend(ends)
                self._came.notify()

    def _grant(self, claims: Sequence[Claim]) -> None:
        for link, count in self._gate.due(claims).items():
            self._plane.grant(link, count)

    # --- the threads -------------------------------------------------------------------------------------------------

    def _submit(self) -> None:
        with self._lock:
            while not self._closed:
                if not self._waiting:
                    self._room.wait()
                    continue
                frame, inputs, through = self._waiting[0]
                dealt = self._gate.deal(frame, time.monotonic(), through)
                if dealt is None:
                    self._room.wait(_LOOK_AGAIN_S)
                    continue
                self._waiting.popleft()
                for link in dealt.links:
                    tensors = {spec.name: inputs[spec.name] for spec in link.tensors}
                    self._plane.send(link.id, frame, dealt.route, tensors)

    def _deliver(self) -> None:
        while True:
            with self._lock:
                while not self._ends and not self._closed:
                    self._came.wait()
                if self._closed:
                    return
                ends: List[End] = list(self._ends)
                self._ends.clear()
            # A slow receiver of results slows the pipeline: credit is given back only after it has them.
            for end in ends:
                self._on_end(end.frame, time.monotonic() - end.dealt_s, end.outputs, end.lost)
            with self._lock:
                self._grant([claim for end in ends for claim in end.claims])
                self._room.notify()
