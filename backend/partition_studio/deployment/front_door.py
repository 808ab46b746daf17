"""The studio as source and sink of a running pipeline: frames go in, and each comes back once or is reported lost."""

import itertools
import logging
import secrets
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from partition_agent.links import DataPlane
from partition_agent.protocol import STUDIO_PEER, FrameRoute, LinkSpec, PeerAddress, TensorSpec
from partition_agent.sockets import SocketError
from partition_studio.errors import DeploymentError, FrameInputError

logger = logging.getLogger(__name__)

Tensors = Mapping[str, npt.NDArray[np.generic]]


class FrameLostError(DeploymentError):
    """A frame did not come through the pipeline."""

    code = "frame_lost"
    next_step = "Look at the devices; send the frame again."


class NoCreditError(DeploymentError):
    """The pipeline had no room for another frame in time."""

    code = "no_credit"
    next_step = "Wait: the pipeline takes frames only as fast as its slowest device."


class FrontDoorClosedError(DeploymentError):
    """The deployment has ended."""

    code = "front_door_closed"
    next_step = "Deploy the plan again."


class DataPlaneError(DeploymentError):
    """The studio cannot connect to the data sockets of the devices."""

    code = "data_plane_failed"


@dataclass(frozen=True, slots=True)
class FrameResult:
    """What came back of one frame. `outputs` are read-only views of the messages that brought them."""

    frame: int
    outputs: Tensors
    latency_s: float


@dataclass(frozen=True, slots=True)
class FrontDoorStats:
    """Running totals; `unexpected` counts results that nobody waited for (any more)."""

    submitted: int
    delivered: int
    lost: int
    in_flight: int
    unexpected: int


@dataclass(slots=True)
class _Pending:
    future: Future[FrameResult]
    submitted_s: float
    missing: set[str]
    outputs: dict[str, npt.NDArray[np.generic]] = field(default_factory=dict)
    resolved: bool = False


@dataclass(slots=True)
class _Source:
    """Frames sent on a link, and how many may be."""

    spec: LinkSpec
    fired: int = 0
    limit: int = 0


@dataclass(frozen=True, slots=True)
class _Arrival:
    """A message on a link to the studio; `tensors` is None for a loss. `opening` says under which credit it came."""

    link: str
    opening: int
    frame: int
    tensors: Tensors | None
    reason: str


class FrontDoor:
    """Sends frames into one deployment's epoch and collects the results. Thread-safe.

    Results come in a thread of its own, in order; a slow receiver of results slows the pipeline.
    """

    def __init__(
        self,
        *,
        deployment: str,
        epoch: int,
        links: Sequence[LinkSpec],
        inputs: Mapping[str, TensorSpec],
        outputs: Mapping[str, TensorSpec],
    ) -> None:
        """Take the links from and to the studio. `inputs` and `outputs` do not name tensors that no device sees."""
        self._inputs = dict(inputs)
        self._outputs = frozenset(outputs)
        self._sources = {link.id: _Source(link) for link in links if link.producer_device == STUDIO_PEER}
        self._sinks = {link.id: link for link in links if link.consumer_device == STUDIO_PEER}
        self._change = threading.Condition()
        self._pending: dict[int, _Pending] = {}
        self._arrivals: deque[_Arrival] = deque()
        self._openings = dict.fromkeys(self._sinks, 0)
        self._submitted = self._delivered = self._lost = self._unexpected = 0
        self._closed = False
        # Frames of another studio, or of this one before a restart, may still be under way: no two have one number.
        self._numbers = itertools.count(secrets.randbits(48) << 14)
        self._plane = DataPlane(
            device=STUDIO_PEER, deployment=deployment, epoch=epoch, links=links, handler=self, bind_host=None
        )
        self._deliverer = threading.Thread(target=self._deliver, name=f"results {deployment}/{epoch}", daemon=True)
        self._deliverer.start()

    @property
    def public_key(self) -> str:
        """The key by which the agents know this studio."""
        return self._plane.public_key

    def connect(self, peers: Sequence[PeerAddress]) -> None:
        """Connect to the agents; they must have admitted `public_key`, or do so soon. Raises DataPlaneError."""
        try:
            self._plane.connect(peers)
        except SocketError as error:
            raise DataPlaneError(f"The studio cannot join the deployment: {error}") from error

    def submit(self, inputs: Tensors, timeout_s: float | None = None) -> Future[FrameResult]:
        """Send a frame as soon as there is room for it; its future gives the result or raises FrameLostError.

        Blocks while there is none. Raises FrameInputError, NoCreditError after `timeout_s`, FrontDoorClosedError.
        """
        arrays = {name: self._checked(name, inputs) for name in self._inputs}
        with self._change:
            if not self._change.wait_for(lambda: self._closed or self._has_credit(), timeout_s):
                raise NoCreditError(f"The pipeline had no room for another frame within {timeout_s:g} s")
            if self._closed:
                raise FrontDoorClosedError("The deployment has ended; it takes no more frames")
            frame = next(self._numbers)
            future: Future[FrameResult] = Future()
            future.set_running_or_notify_cancel()
            self._pending[frame] = _Pending(future, time.monotonic(), set(self._sinks))
            self._submitted += 1
            for source in self._sources.values():
                source.fired += 1
                self._plane.send(
                    source.spec.id,
                    frame,
                    FrameRoute(frame - 1),
                    {spec.name: arrays[spec.name] for spec in source.spec.tensors},
                )
        return future

    def stats(self) -> FrontDoorStats:
        """Return the running totals."""
        with self._change:
            waiting = sum(not pending.resolved for pending in self._pending.values())
            return FrontDoorStats(self._submitted, self._delivered, self._lost, waiting, self._unexpected)

    def dropped(self) -> dict[str, int]:
        """Return how many messages were refused here, by reason."""
        return self._plane.dropped()

    def fail_in_flight(self, reason: str) -> None:
        """Report every frame that is under way as lost, as when a device is gone."""
        with self._change:
            ends = [end for frame in self._pending if (end := self._lose(frame, reason)) is not None]
            self._pending.clear()
        for end in ends:
            end()

    def close(self) -> None:
        """Leave the pipeline; what is under way is reported lost. May be called again."""
        with self._change:
            self._closed = True
            self._change.notify_all()
        self._plane.close()
        if threading.current_thread() is not self._deliverer:
            self._deliverer.join()
        self.fail_in_flight("the deployment was ended")

    def _checked(self, name: str, inputs: Tensors) -> npt.NDArray[np.generic]:
        spec = self._inputs[name]
        if name not in inputs:
            raise FrameInputError(f"The frame lacks the input {name!r}", input=name)
        array = inputs[name]
        if array.dtype.name != spec.dtype or array.shape != spec.shape:
            raise FrameInputError(
                f"The input {name!r} is {array.dtype.name}{list(array.shape)}; the network takes "
                f"{spec.dtype}{list(spec.shape)}",
                input=name,
            )
        # A copy: the caller may use its array again while the frame is still being sent.
        return np.array(array, order="C")

    def _has_credit(self) -> bool:
        return all(source.fired < source.limit for source in self._sources.values())

    # --- what the data plane tells (LinkHandler) ----------------------------------------------------------------------

    def frame_arrived(self, link: str, frame: int, route: FrameRoute, tensors: Tensors) -> None:
        """A part of a frame's result came."""
        self._arrived(link, frame, tensors, "")

    def loss_arrived(self, link: str, frame: int, route: FrameRoute, reason: str) -> None:
        """A part of a frame's result will not come."""
        self._arrived(link, frame, None, reason)

    def credited(self, link: str, count: int, since: int | None) -> None:
        """A first stage takes more frames."""
        with self._change:
            source = self._sources[link]
            limit = (source.limit if since is None else since) + count
            source.limit = min(limit, source.fired + source.spec.window)
            self._change.notify_all()

    def link_opened(self, link: str) -> None:
        """We are connected, or again: allow a whole window. What came before has no claim on credit any more."""
        with self._change:
            self._openings[link] += 1
            self._plane.grant(link, self._sinks[link].window, reset=True)

    def _arrived(self, link: str, frame: int, tensors: Tensors | None, reason: str) -> None:
        with self._change:
            if len(self._arrivals) > 4 * sum(sink.window for sink in self._sinks.values()):
                self._plane.drop("over_window", link)
                return
            self._arrivals.append(_Arrival(link, self._openings[link], frame, tensors, reason))
            self._change.notify_all()

    # --- the thread of results ----------------------------------------------------------------------------------------

    def _deliver(self) -> None:
        while True:
            with self._change:
                self._change.wait_for(lambda: self._closed or bool(self._arrivals))
                if self._closed:
                    return
                arrival = self._arrivals.popleft()
                ends = self._take(arrival)
            for end in ends:
                end()
            with self._change:
                if arrival.opening == self._openings[arrival.link]:
                    self._plane.grant(arrival.link, 1)

    def _take(self, arrival: _Arrival) -> list[Callable[[], None]]:
        """Note what came; return how to tell those whose frame has ended by it."""
        pending = self._pending.get(arrival.frame)
        if pending is None or arrival.link not in pending.missing:
            # After a broken connection a loss is reported also of what did come: that is no surprise.
            self._unexpected += arrival.tensors is not None
            return []
        ends = [end for frame in self._overtaken(arrival) if (end := self._miss(frame, arrival.link)) is not None]
        pending.missing.discard(arrival.link)
        if arrival.tensors is None:
            lost = self._lose(arrival.frame, arrival.reason)
            ends += [lost] if lost is not None else []
        elif not pending.resolved:
            pending.outputs.update(arrival.tensors)
        if not pending.missing:
            del self._pending[arrival.frame]
            ends += [] if pending.resolved else [self._finish(arrival.frame, pending)]
        return ends

    def _overtaken(self, arrival: _Arrival) -> list[int]:
        """Return the earlier frames that this link has not brought: links keep the order, so it never will."""
        earlier = itertools.takewhile(lambda frame: frame != arrival.frame, self._pending)
        return [frame for frame in earlier if arrival.link in self._pending[frame].missing]

    def _miss(self, frame: int, link: str) -> Callable[[], None] | None:
        end = self._lose(frame, "it went missing between two devices")
        pending = self._pending[frame]
        pending.missing.discard(link)
        if not pending.missing:
            del self._pending[frame]
        return end

    def _lose(self, frame: int, reason: str) -> Callable[[], None] | None:
        pending = self._pending[frame]
        if pending.resolved:
            return None
        pending.resolved = True
        pending.outputs.clear()
        self._lost += 1
        error = FrameLostError(f"A frame was lost: {reason}", frame=frame, reason=reason)
        return lambda: pending.future.set_exception(error)

    def _finish(self, frame: int, pending: _Pending) -> Callable[[], None]:
        pending.resolved = True
        self._delivered += 1
        outputs = {name: array for name, array in pending.outputs.items() if name in self._outputs}
        result = FrameResult(frame, outputs, time.monotonic() - pending.submitted_s)
        return lambda: pending.future.set_result(result)
