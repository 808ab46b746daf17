"""The studio as source and sink of a running pipeline: frames go in, and each comes back once or is reported lost.

What may go in, which way it takes and what has come of it is `partition_agent.gate.gate`'s to decide; here are its
sockets, its clock, its threads, and the callers.
"""

import threading
import time
from collections import deque
from collections.abc import Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from partition_agent.data_plane.links import DataPlane
from partition_agent.data_plane.sockets import SocketError
from partition_agent.data_plane.wire import FRAME_LIMIT
from partition_agent.gate.dealer import Dealer
from partition_agent.gate.gate import Claim, Dealt, End, Gate
from partition_agent.protocol import STUDIO_PEER, FrameRoute, LinkSpec, PeerAddress, TensorSpec
from partition_studio.errors import DeploymentError, FrameInputError

#: How often who waits for room looks again by itself: a replica that was too slow a moment ago may do by now.
_LOOK_AGAIN_S = 0.1

#: More frames of an earlier life than can be under way, or come before the devices are told of this one.
_UNDER_WAY = 2**30

#: No clock is so far ahead, and there are enough numbers left.
_MOST = FRAME_LIMIT // 8 * 7

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


def _tell(dealer: Dealer, group: Sequence[Sequence[str]], service_s: Mapping[str, float]) -> None:
    """Tell what each replica of a group takes for a frame, where it is known of all its stages."""
    for index, stages in enumerate(group):
        if all(name in service_s for name in stages):
            dealer.tell(index, sum(service_s[name] for name in stages))


class FrontDoor:
    """Sends frames into one deployment's epoch and collects the results. Thread-safe.

    Results come in a thread of its own, in the order of the frames; a slow receiver of results slows the pipeline.
    """

    def __init__(
        self,
        *,
        deployment: str,
        epoch: int,
        links: Sequence[LinkSpec],
        inputs: Mapping[str, TensorSpec],
        outputs: Mapping[str, TensorSpec],
        replicas: Sequence[Sequence[Sequence[str]]] = (),
        plaintext: bool = False,
        last_frame: int = -1,
    ) -> None:
        """Take the links from and to the studio. `inputs` and `outputs` do not name tensors that no device sees.

        `replicas` has the names of the stages of each replica of each group. With `plaintext` nothing is encrypted.
        `last_frame` is the latest of an earlier life that the devices have seen. Raises DataPlaneError where that
        cannot be.
        """
        if last_frame > _MOST:
            raise DataPlaneError(
                f"A device says that it has seen a frame of the number {last_frame}, which no studio gives",
                next_step="Deploy the plan again.",
            )
        self._inputs = dict(inputs)
        self._outputs = frozenset(outputs)
        self._replicas = [[tuple(stages) for stages in group] for group in replicas]
        # One lock, and a condition for each kind of waiting: who submits is not woken by every result.
        self._lock = threading.Lock()
        self._room = threading.Condition(self._lock)
        self._came = threading.Condition(self._lock)
        self._gate = Gate(links, [len(group) for group in replicas])
        self._futures: dict[int, Future[FrameResult]] = {}
        self._ends: deque[End] = deque()
        self._closed = False
        # Rising over restarts too: frames of an earlier life may still be under way, and no two have one number. The
        # clock may have been set back since.
        self._number = max(time.time_ns(), last_frame + _UNDER_WAY)
        self._plane = DataPlane(
            device=STUDIO_PEER,
            deployment=deployment,
            epoch=epoch,
            links=links,
            handler=self,
            bind_host=None,
            plaintext=plaintext,
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

    @property
    def ways_through_all(self) -> list[tuple[int, ...]]:
        """Choices of a replica of each group that together lead through every replica of every group."""
        counts = [len(group) for group in self._replicas]
        return [tuple(number % count for count in counts) for number in range(max(counts, default=1))]

    def stages_of(self, replicas: Sequence[int]) -> tuple[str, ...]:
        """Return the names of the stages that these replicas have, one of each group."""
        return tuple(name for group, index in zip(self._replicas, replicas, strict=True) for name in group[index])

    def submit(
        self, inputs: Tensors, timeout_s: float | None = None, *, keep: bool = True, replicas: Sequence[int] = ()
    ) -> Future[FrameResult]:
        """Send a frame as soon as there is room for it; its future gives the result or raises FrameLostError.

        `keep`: the caller may change its arrays afterwards, so that they are copied. Without it they are sent as they
        are, and must not be changed any more. `replicas` are those that it is to pass, one of each group; left out, the
        fastest. Blocks while there is no room. Raises FrameInputError, NoCreditError after `timeout_s`,
        FrontDoorClosedError.
        """
        arrays = {name: self._checked(name, inputs) for name in self._inputs}
        if keep:
            arrays = {name: np.array(array, order="C") for name, array in arrays.items()}
        deadline_s = None if timeout_s is None else time.monotonic() + timeout_s
        future: Future[FrameResult] = Future()
        future.set_running_or_notify_cancel()
        with self._lock:
            dealt = self._let_in(deadline_s, replicas)
            frame, self._number = self._number, self._number + 1
            self._futures[frame] = future
            for link in dealt.links:
                tensors = {spec.name: arrays[spec.name] for spec in link.tensors}
                self._plane.send(link.id, frame, dealt.route, tensors)
            # Each event wakes one of those who wait, and he the next.
            self._room.notify()
        return future

    def _let_in(self, deadline_s: float | None, replicas: Sequence[int]) -> Dealt:
        """Wait until the next frame may go in; called under the lock. Raises NoCreditError, FrontDoorClosedError."""
        while not self._closed:
            now_s = time.monotonic()
            dealt = self._gate.deal(self._number, now_s, replicas)
            if dealt is not None:
                return dealt
            left_s = None if deadline_s is None else deadline_s - now_s
            if left_s is not None and left_s <= 0:
                self._room.notify()
                raise NoCreditError("The pipeline had no room for another frame in time")
            if self._replicas:
                left_s = _LOOK_AGAIN_S if left_s is None else min(left_s, _LOOK_AGAIN_S)
            self._room.wait(left_s)
        self._room.notify()
        raise FrontDoorClosedError("The deployment has ended; it takes no more frames")

    @property
    def wants_measurements(self) -> bool:
        """Whether it deals frames to replicas whose results it does not see one by one: see `measured`."""
        return any(dealer.is_told for dealer in self._gate.dealers)

    def expected(self, service_s: Mapping[str, float]) -> None:
        """Take what stages are expected to take for a frame, for groups of which nothing was measured yet."""
        with self._lock:
            for dealer, group in zip(self._gate.dealers, self._replicas, strict=True):
                if not any(dealer.speeds):
                    _tell(dealer, group, service_s)

    def measured(self, service_s: Mapping[str, float]) -> None:
        """Take the mean seconds for one frame that devices measured of their stages, by the stages' names."""
        with self._lock:
            for dealer, group in zip(self._gate.dealers, self._replicas, strict=True):
                _tell(dealer, group, service_s)

    def dealt(self) -> list[list[int]]:
        """Return how many frames each replica of each group has got."""
        with self._lock:
            return [dealer.dealt for dealer in self._gate.dealers]

    def forget_speeds(self) -> None:
        """Measure the replicas anew: their first frames waited for connections, too."""
        with self._lock:
            for dealer in self._gate.dealers:
                dealer.forget_speeds()

    def speeds(self) -> list[list[float | None]]:
        """Return the frames per second of each replica of each group while it is busy, as far as they are known."""
        with self._lock:
            return [dealer.speeds for dealer in self._gate.dealers]

    def stats(self) -> FrontDoorStats:
        """Return the running totals."""
        with self._lock:
            return FrontDoorStats(*self._gate.totals)

    def dropped(self) -> dict[str, int]:
        """Return how many messages were refused here, by reason."""
        return self._plane.dropped()

    def fail_in_flight(self, reason: str) -> None:
        """Report every frame that is under way as lost, as when a device is gone."""
        with self._lock:
            ends = self._gate.lose_all(reason)
        for end in ends:
            self._tell(end)

    def close(self) -> None:
        """Leave the pipeline; what is under way is reported lost. May be called again."""
        with self._lock:
            self._closed = True
            self._room.notify_all()
            self._came.notify_all()
        self._plane.close()
        if threading.current_thread() is not self._deliverer:
            self._deliverer.join()
        self.fail_in_flight("the deployment was ended")

    def _checked(self, name: str, inputs: Tensors) -> npt.NDArray[np.generic]:
        spec = self._inputs[name]
        if name not in inputs:
            raise FrameInputError(f"The frame lacks the input {name!r}", input=name)
        array = inputs[name]
        # A dtype's name takes longer to make than all the rest of this, but is the same in any byte order.
        if array.shape != spec.shape or (array.dtype != spec.dtype and array.dtype.name != spec.dtype):
            raise FrameInputError(
                f"The input {name!r} is {array.dtype.name}{list(array.shape)}; the network takes "
                f"{spec.dtype}{list(spec.shape)}",
                input=name,
            )
        return array

    # --- what the data plane tells (LinkHandler) ----------------------------------------------------------------------

    def frame_arrived(self, link: str, frame: int, route: FrameRoute, tensors: Tensors) -> None:
        """A part of a frame's result came."""
        self._arrived(link, frame, tensors, "")

    def loss_arrived(self, link: str, frame: int, route: FrameRoute, reason: str) -> None:
        """A part of a frame's result will not come."""
        self._arrived(link, frame, None, reason)

    def credited(self, link: str, count: int, since: int | None) -> None:
        """A first stage takes more frames."""
        with self._lock:
            self._gate.credited(link, count, since)
            self._room.notify()

    def link_opened(self, link: str) -> None:
        """We are connected, or again: allow a whole window. What came before has no claim on credit any more."""
        with self._lock:
            self._plane.grant(link, self._gate.opened(link), reset=True)

    def _arrived(self, link: str, frame: int, tensors: Tensors | None, reason: str) -> None:
        with self._lock:
            ends, unclaimed = self._gate.arrived(self._gate.claim(link), frame, tensors, reason, time.monotonic())
            self._grant(unclaimed)
            if ends:
                self._ends.extend(ends)
                self._came.notify()

    def _grant(self, claims: Sequence[Claim]) -> None:
        for link, count in self._gate.due(claims).items():
            self._plane.grant(link, count)

    # --- the thread of results ----------------------------------------------------------------------------------------

    def _deliver(self) -> None:
        while True:
            with self._lock:
                while not self._ends and not self._closed:
                    self._came.wait()
                if not self._ends:
                    return
                ends = list(self._ends)
                self._ends.clear()
            for end in ends:
                self._tell(end)
            with self._lock:
                self._grant([claim for end in ends for claim in end.claims])
                if self._replicas:
                    # A replica that was too slow a moment ago may do now; else only credit makes room.
                    self._room.notify()

    def _tell(self, end: End) -> None:
        """Tell who sent a frame what became of it."""
        future = self._futures.pop(end.frame)
        if end.outputs is None:
            future.set_exception(FrameLostError(f"A frame was lost: {end.lost}", frame=end.frame, reason=end.lost))
            return
        outputs = {name: array for name, array in end.outputs.items() if name in self._outputs}
        future.set_result(FrameResult(end.frame, outputs, time.monotonic() - end.dealt_s))
