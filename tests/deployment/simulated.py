"""A whole deployment in simulation: the agents' pipelines and the studio's gate, messages and seconds, nothing else."""

import heapq
import itertools
from collections.abc import Callable, Iterator

import numpy as np

from partition_agent.data_plane.wire import Tensors
from partition_agent.gate.gate import Gate
from partition_agent.pipeline.pipeline import Grant, Instruction, Pipeline, Run, Send, SendLost, check_manifest
from partition_agent.protocol import SOURCE, STUDIO_PEER, FrameRoute, LinkSpec
from partition_studio.deployment.manifest import Manifest

#: Seconds that an instance takes for one frame.
Service = Callable[[str], float]


class World:
    """Frames go in as fast as they are let in. A message takes `way_s` to the other device; each link keeps order."""

    def __init__(
        self, manifest: Manifest, service: Service, *, way_s: float = 0.0, tells: bool = False, most: int = 2**31
    ) -> None:
        """Take what the agents are told. With `tells`, the gate hears of the devices' measurements."""
        self.manifest, self._service, self._way_s, self._most = manifest, service, way_s, most
        self.gate = Gate(manifest.studio_links, [len(group) for group in manifest.replicas])
        self.now_s = 0.0
        self.left: list[int] = []
        self.lost: list[int] = []
        #: When each frame left.
        self.left_s: list[float] = []
        self.busy_s: dict[str, float] = {}
        self._links = {link.id: link for link in manifest.links}
        self._value = np.zeros(1, np.float32)
        self._agents: dict[str, Pipeline] = {}
        self._batches = {s.name: s.max_batch for share in manifest.shares for s in share.stages}
        for share in manifest.shares:
            assert check_manifest(share.device, share.stages, share.links) is None
            self._agents[share.device] = Pipeline(share.device, share.stages, share.links, self._batches)
        self._outputs = {
            s.name: {spec.name: self._value for spec in s.outputs} for share in manifest.shares for s in share.stages
        }
        self._events: list[tuple[float, int, Callable[[], None]]] = []
        self._serial = itertools.count()
        self._next = 1
        if tells:
            for dealer, group in zip(self.gate.dealers, manifest.replicas, strict=True):
                for index, names in enumerate(group):
                    dealer.tell(index, sum(service(name) for name in names))
        for link in manifest.links:
            if link.producer == SOURCE:
                self.gate.credited(link.id, link.window, 0)
            elif link.producer_device != link.consumer_device:
                self._carry_out(
                    link.producer_device, self._agents[link.producer_device].credited(link.id, link.window, 0.0, 0)
                )
                if link.consumer_device == STUDIO_PEER:
                    self.gate.opened(link.id)

    def run(self, seconds: float) -> None:
        """Go on until that moment, or until nothing is under way."""
        self._fill()
        while self._events and self._events[0][0] <= seconds:
            self.now_s, _, event = heapq.heappop(self._events)
            event()
            self._fill()

    def rate(self, since_s: float) -> float:
        """Return frames per second from then on."""
        return sum(at_s > since_s for at_s in self.left_s) / (self.now_s - since_s)

    def _later(self, seconds: float, event: Callable[[], None]) -> None:
        heapq.heappush(self._events, (self.now_s + seconds, next(self._serial), event))

    def _fill(self) -> None:
        while self._next <= self._most and (dealt := self.gate.deal(self._next, self.now_s)) is not None:
            for link in dealt.links:
                self._send(link, self._next, dealt.route, {spec.name: self._value for spec in link.tensors}, "")
            self._next += 1

    def _send(self, link: LinkSpec, frame: int, route: FrameRoute, tensors: Tensors | None, reason: str) -> None:
        def arrive() -> None:
            if link.consumer_device == STUDIO_PEER:
                self._came_out(link, frame, tensors, reason)
                return
            agent = self._agents[link.consumer_device]
            self._carry_out(
                link.consumer_device,
                agent.loss_arrived(link.id, frame, route, reason, self.now_s)
                if tensors is None
                else agent.frame_arrived(link.id, frame, route, tensors, self.now_s),
            )

        self._later(self._way_s, arrive)

    def _came_out(self, link: LinkSpec, frame: int, tensors: Tensors | None, reason: str) -> None:
        ends, unclaimed = self.gate.arrived(self.gate.claim(link.id), frame, tensors, reason, self.now_s)
        for end in ends:
            (self.left if end.outputs is not None else self.lost).append(end.frame)
            self.left_s.append(self.now_s)
        claims = [*unclaimed, *(claim for end in ends for claim in end.claims)]
        for name, count in self.gate.due(claims).items():
            self._grant(self._links[name], count)

    def _grant(self, link: LinkSpec, count: int) -> None:
        def arrive() -> None:
            if link.producer_device == STUDIO_PEER:
                self.gate.credited(link.id, count, None)
            else:
                agent = self._agents[link.producer_device]
                self._carry_out(link.producer_device, agent.credited(link.id, count, self.now_s))

        self._later(self._way_s, arrive)

    def _carry_out(self, device: str, instructions: list[Instruction]) -> None:
        for order in instructions:
            if isinstance(order, Run):
                self._later(self._service(order.stage) * len(order.frames), self._done(device, order))
            elif isinstance(order, Send):
                self._send(self._links[order.link], order.frame, order.route, order.tensors, "")
            elif isinstance(order, SendLost):
                self._send(self._links[order.link], order.frame, order.route, None, order.reason)
            elif isinstance(order, Grant):
                self._grant(self._links[order.link], order.count)
            else:
                raise AssertionError(order)

    def _done(self, device: str, order: Run) -> Callable[[], None]:
        def done() -> None:
            self.busy_s[order.stage] = self.busy_s.get(order.stage, 0.0) + self._service(order.stage)
            outputs = [self._outputs[order.stage]] * len(order.frames)
            self._carry_out(
                device, self._agents[device].stage_done(order.stage, outputs, self._service(order.stage), self.now_s)
            )

        return done


def services_of(manifest: Manifest, seconds: Iterator[float]) -> dict[str, float]:
    """Give each instance its time."""
    return {stage.name: next(seconds) for share in manifest.shares for stage in share.stages}
