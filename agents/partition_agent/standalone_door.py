"""Source and sink of a pipeline that runs without the studio: frames come from a stream, results go back over it.

The studio's own front door does this for many callers and outlives broken connections; this one serves one run. Who
sends frames keeps to a window of his own, so what waits here is bounded by it.
"""

import threading
import time
from collections import deque
from typing import Any, Callable, Deque, Dict, List, Optional, Sequence, Set, Tuple

from partition_agent.links import DataPlane
from partition_agent.protocol import STUDIO_PEER, FrameRoute, LinkSpec, PeerAddress
from partition_agent.wire import Tensors

#: `(frame, latency_s, outputs, lost)`: outputs by name, or None and why the frame was lost.
OnEnd = Callable[[int, float, Optional[Tensors], str], None]


class _Source:
    """Frames sent on a link, and how many may be."""

    def __init__(self, spec: LinkSpec) -> None:
        self.spec, self.fired, self.limit = spec, 0, 0


class _Pending:
    """A frame under way: the links that have not brought their part of its result."""

    def __init__(self, missing: Set[str], begun_s: float) -> None:
        self.missing, self.begun_s = missing, begun_s
        self.outputs: Dict[str, Any] = {}
        self.lost: Optional[str] = None


class Door:
    """A `LinkHandler` that feeds the first stages and hears the last ones. `on_end` is told by a thread of its own."""

    def __init__(self, deployment: str, epoch: int, links: Sequence[LinkSpec], on_end: OnEnd) -> None:
        """Take the links from and to the source and sink. Raises SocketError, CodecError."""
        self._on_end = on_end
        self._sources = {link.id: _Source(link) for link in links if link.producer_device == STUDIO_PEER}
        self._sinks = {link.id: link for link in links if link.consumer_device == STUDIO_PEER}
        self._change = threading.Condition()
        self._waiting: Deque[Tuple[int, Tensors]] = deque()
        self._pending: Dict[int, _Pending] = {}
        self._arrivals: Deque[Tuple[str, int, int, Optional[Tensors], str]] = deque()
        self._openings = dict.fromkeys(self._sinks, 0)
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

    def put(self, frame: int, inputs: Tensors) -> None:
        """Send a frame as soon as there is room for it; numbers rise."""
        with self._change:
            self._waiting.append((frame, inputs))
            self._change.notify_all()

    def close(self) -> None:
        """Leave the pipeline."""
        with self._change:
            self._closed = True
            self._change.notify_all()
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
        with self._change:
            source = self._sources[link]
            limit = (source.limit if since is None else since) + count
            source.limit = min(limit, source.fired + source.spec.window)
            self._change.notify_all()

    def link_opened(self, link: str) -> None:
        """We are connected, or again: allow a whole window."""
        with self._change:
            self._openings[link] += 1
            self._plane.grant(link, self._sinks[link].window, reset=True)

    def _arrived(self, link: str, frame: int, tensors: Optional[Tensors], reason: str) -> None:
        with self._change:
            if len(self._arrivals) > 4 * sum(sink.window for sink in self._sinks.values()):
                self._plane.drop("over_window", link)
                return
            self._arrivals.append((link, self._openings[link], frame, tensors, reason))
            self._change.notify_all()

    # --- the threads -------------------------------------------------------------------------------------------------

    def _submit(self) -> None:
        while True:
            with self._change:
                while not self._closed and not (self._waiting and self._has_credit()):
                    self._change.wait()
                if self._closed:
                    return
                frame, inputs = self._waiting.popleft()
                self._pending[frame] = _Pending(set(self._sinks), time.monotonic())
                for source in self._sources.values():
                    source.fired += 1
                    self._plane.send(
                        source.spec.id,
                        frame,
                        FrameRoute(frame - 1),
                        {spec.name: inputs[spec.name] for spec in source.spec.tensors},
                    )

    def _has_credit(self) -> bool:
        return all(source.fired < source.limit for source in self._sources.values())

    def _deliver(self) -> None:
        while True:
            with self._change:
                while not self._closed and not self._arrivals:
                    self._change.wait()
                if self._closed:
                    return
                link, opening, frame, tensors, reason = self._arrivals.popleft()
                ended = self._take(link, frame, tensors, reason)
            # A slow receiver of results slows the pipeline: credit is given back only after it has them.
            for number, pending in ended:
                outputs = None if pending.lost is not None else pending.outputs
                self._on_end(number, time.monotonic() - pending.begun_s, outputs, pending.lost or "")
            with self._change:
                if opening == self._openings[link]:
                    self._plane.grant(link, 1)

    def _take(self, link: str, frame: int, tensors: Optional[Tensors], reason: str) -> List[Tuple[int, _Pending]]:
        """Note what came; return the frames that ended by it."""
        known = self._pending.get(frame)
        if known is None or link not in known.missing:
            return []
        for number, pending in self._pending.items():
            # Links keep the order: what this one has not brought before, it never will.
            if number < frame and link in pending.missing:
                pending.missing.discard(link)
                pending.lost = pending.lost or "it went missing between two devices"
        known.missing.discard(link)
        if tensors is None:
            known.lost = known.lost or reason
        else:
            known.outputs.update(tensors)
        ended = [(number, pending) for number, pending in self._pending.items() if not pending.missing]
        for number, _ in ended:
            del self._pending[number]
        return ended
