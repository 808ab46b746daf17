"""What a device does with the frames of one deployment: events in, instructions out. No I/O, no clock, no threads.

A stage begins a frame when all its inputs are there and every link out of it has room; the oldest frame goes first, and
one stage runs at a time. Every message on a link is a frame or the news that it is lost, each takes one place of the
link's window, and a stage answers each frame with exactly one message on each link out of it: so a frame is delivered
once or reported lost, and links keep the order of frames.

Room is kept as two running totals of each link: frames begun for it (`fired`), and how many may be (`limit`).
"""

from collections import OrderedDict, deque
from dataclasses import dataclass, field
from typing import Deque, Dict, Iterable, List, Mapping, Optional, Sequence, Set, Tuple, Union

from partition_agent.protocol import FrameRoute, LinkSpec, StageSpec
from partition_agent.wire import Tensors


@dataclass(frozen=True)
class Run:
    """Compute a stage for a frame; answer with `stage_done` or `stage_failed`."""

    stage: str
    frame: int
    inputs: Tensors


@dataclass(frozen=True)
class Send:
    """Send a frame to another device."""

    link: str
    frame: int
    route: FrameRoute
    tensors: Tensors


@dataclass(frozen=True)
class SendLost:
    """Tell another device that a frame will not come."""

    link: str
    frame: int
    route: FrameRoute
    reason: str


@dataclass(frozen=True)
class Grant:
    """Allow the producer of a link more frames."""

    link: str
    count: int


@dataclass(frozen=True)
class Refuse:
    """Count a message that was refused."""

    link: str
    frame: int
    reason: str


Instruction = Union[Run, Send, SendLost, Grant, Refuse]


@dataclass
class StageTotals:
    """Running totals of one stage."""

    frames: int = 0
    lost: int = 0
    compute_s: float = 0.0
    queue_wait_s: float = 0.0


@dataclass
class _Slot:
    """What has come of one frame at one stage; `arrivals` holds each link's place in the order of arrival."""

    frame: int
    route: FrameRoute
    arrivals: Dict[str, int] = field(default_factory=dict)
    tensors: Dict[str, Tensors] = field(default_factory=dict)
    lost: Optional[str] = None
    ready_s: float = 0.0

    def lose(self, reason: str) -> None:
        self.lost = self.lost or reason
        self.tensors.clear()


@dataclass
class _Stage:
    spec: StageSpec
    inputs: List["_InLink"] = field(default_factory=list)
    outputs: List["_OutLink"] = field(default_factory=list)
    waiting: "OrderedDict[int, _Slot]" = field(default_factory=OrderedDict)
    ready: Deque[_Slot] = field(default_factory=deque)
    totals: StageTotals = field(default_factory=StageTotals)


class _InLink:
    def __init__(self, spec: LinkSpec, stage: _Stage, producer: Optional["_OutLink"]) -> None:
        self.spec = spec
        self.stage = stage
        #: The other end, when it is on this device too.
        self.producer = producer
        self.queued = 0
        self.given_up: Set[int] = set()
        self._seen: Set[int] = set()
        self._order: Deque[int] = deque()

    def knows(self, frame: int) -> bool:
        return frame in self._seen

    def remember(self, frame: int) -> None:
        self._seen.add(frame)
        self._order.append(frame)
        if len(self._order) > 4 * self.spec.window + 16:
            old = self._order.popleft()
            self._seen.discard(old)
            self.given_up.discard(old)


@dataclass
class _OutLink:
    spec: LinkSpec
    consumer: Optional[_InLink] = None
    fired: int = 0
    limit: int = 0


class Pipeline:
    """The state of the stages of one deployment on one device. Every event returns what is to be done now, in order."""

    def __init__(self, device: str, stages: Sequence[StageSpec], links: Sequence[LinkSpec]) -> None:
        """Take the stages of `device` and every link that begins or ends there."""
        self._stages = {spec.name: _Stage(spec) for spec in stages}
        self._in: Dict[str, _InLink] = {}
        self._out: Dict[str, _OutLink] = {}
        for spec in links:
            out = _OutLink(spec) if spec.producer_device == device else None
            if out is not None:
                self._out[spec.id] = out
                self._stages[spec.producer].outputs.append(out)
            if spec.consumer_device == device:
                stage = self._stages[spec.consumer]
                link = _InLink(spec, stage, out)
                self._in[spec.id] = link
                stage.inputs.append(link)
                if out is not None:
                    out.consumer, out.limit = link, spec.window
        self._running: Optional[Tuple[_Stage, int, FrameRoute]] = None
        self._arrivals = 0
        self._births: OrderedDict[int, int] = OrderedDict()
        self._kept_births = 64 + 4 * sum(link.window for link in links)

    # --- events ------------------------------------------------------------------------------------------------------

    def frame_arrived(
        self, link: str, frame: int, route: FrameRoute, tensors: Tensors, now_s: float
    ) -> List[Instruction]:
        """A frame came from another device."""
        out: List[Instruction] = []
        self._put(self._in[link], frame, route, tensors, None, now_s, out)
        return self._advance(out, now_s)

    def loss_arrived(self, link: str, frame: int, route: FrameRoute, reason: str, now_s: float) -> List[Instruction]:
        """Another device says that a frame will not come on this link."""
        out: List[Instruction] = []
        self._put(self._in[link], frame, route, None, reason, now_s, out)
        return self._advance(out, now_s)

    def credited(self, link: str, count: int, now_s: float, since: Optional[int] = None) -> List[Instruction]:
        """The consumer allows `count` more frames; with `since`, that many beyond the first `since` of this link."""
        target = self._out[link]
        limit = (target.limit if since is None else since) + count
        target.limit = min(limit, target.fired + target.spec.window)
        return self._advance([], now_s)

    def stage_done(self, outputs: Tensors, compute_s: float, now_s: float) -> List[Instruction]:
        """The stage that was to run did."""
        stage, frame, route = self._take_running()
        stage.totals.frames += 1
        stage.totals.compute_s += compute_s
        out: List[Instruction] = []
        for link in stage.outputs:
            tensors = {spec.name: outputs[spec.name] for spec in link.spec.tensors}
            self._emit(link, frame, route, tensors, None, now_s, out)
        return self._advance(out, now_s)

    def stage_failed(self, reason: str, now_s: float) -> List[Instruction]:
        """The stage that was to run could not: its frame is lost."""
        stage, frame, route = self._take_running()
        stage.totals.lost += 1
        out: List[Instruction] = []
        for link in stage.outputs:
            self._emit(link, frame, route, None, reason, now_s, out)
        return self._advance(out, now_s)

    # --- questions ---------------------------------------------------------------------------------------------------

    def room(self, link: str) -> int:
        """Return how many frames the producer of a link may send now."""
        target = self._in[link]
        return max(target.spec.window - target.queued, 0)

    def queued(self, link: str) -> int:
        """Return how many frames of a link wait here."""
        return self._in[link].queued

    def totals(self) -> Iterable[Tuple[str, StageTotals, int]]:
        """Return each stage's name, running totals, and number of frames that wait for it."""
        return [(name, stage.totals, len(stage.waiting) + len(stage.ready)) for name, stage in self._stages.items()]

    # --- arriving ----------------------------------------------------------------------------------------------------

    def _put(
        self,
        link: _InLink,
        frame: int,
        route: FrameRoute,
        tensors: Optional[Tensors],
        reason: Optional[str],
        now_s: float,
        out: List[Instruction],
    ) -> None:
        if frame in link.given_up:
            # It took a place of the window, but the frame was reported lost already.
            link.given_up.discard(frame)
            self._grant(link, out)
            out.append(Refuse(link.spec.id, frame, "too_late"))
            return
        if link.knows(frame):
            # After a broken connection the producer reports as lost what it cannot know to have come.
            if tensors is not None:
                out.append(Refuse(link.spec.id, frame, "duplicate"))
            return
        if link.queued >= 2 * link.spec.window:
            out.append(Refuse(link.spec.id, frame, "over_window"))
            return
        link.remember(frame)
        link.queued += 1
        self._arrivals += 1
        self._remember_birth(frame)
        slot = link.stage.waiting.setdefault(frame, _Slot(frame, route))
        slot.arrivals[link.spec.id] = self._arrivals
        if reason is not None:
            slot.lose(reason)
        elif slot.lost is None and tensors is not None:
            slot.tensors[link.spec.id] = tensors
        if len(slot.arrivals) == len(link.stage.inputs):
            self._complete(link.stage, slot, now_s)

    def _complete(self, stage: _Stage, slot: _Slot, now_s: float) -> None:
        """Make a frame ready, and before it those that it overtook on a link: what they lack will never come."""
        for other in list(stage.waiting.values()):
            if other is not slot and any(place < slot.arrivals[link] for link, place in other.arrivals.items()):
                other.lose("an input of it never came")
                for link in stage.inputs:
                    if link.spec.id not in other.arrivals:
                        link.remember(other.frame)
                        link.given_up.add(other.frame)
                self._make_ready(stage, other, now_s)
        self._make_ready(stage, slot, now_s)

    @staticmethod
    def _make_ready(stage: _Stage, slot: _Slot, now_s: float) -> None:
        slot.ready_s = now_s
        stage.ready.append(stage.waiting.pop(slot.frame))

    def _remember_birth(self, frame: int) -> None:
        if frame not in self._births:
            self._births[frame] = self._arrivals
            if len(self._births) > self._kept_births:
                self._births.popitem(last=False)

    # --- going on ----------------------------------------------------------------------------------------------------

    def _advance(self, out: List[Instruction], now_s: float) -> List[Instruction]:
        while True:
            stage = self._next()
            if stage is None:
                return out
            self._begin(stage, stage.ready.popleft(), now_s, out)

    def _next(self) -> Optional[_Stage]:
        able = [stage for stage in self._stages.values() if self._may_begin(stage)]
        return min(able, key=lambda stage: self._births.get(stage.ready[0].frame, 0), default=None)

    def _may_begin(self, stage: _Stage) -> bool:
        if not stage.ready or any(link.fired >= link.limit for link in stage.outputs):
            return False
        if self._running is None:
            return True
        # A loss needs no computing, but must not overtake the frame that this stage computes.
        return stage.ready[0].lost is not None and self._running[0] is not stage

    def _begin(self, stage: _Stage, slot: _Slot, now_s: float, out: List[Instruction]) -> None:
        stage.totals.queue_wait_s += now_s - slot.ready_s
        for link in stage.inputs:
            if link.spec.id in slot.arrivals:
                link.queued -= 1
                self._grant(link, out)
        for target in stage.outputs:
            target.fired += 1
        if slot.lost is None:
            self._running = (stage, slot.frame, slot.route)
            inputs = {name: array for tensors in slot.tensors.values() for name, array in tensors.items()}
            out.append(Run(stage.spec.name, slot.frame, inputs))
            return
        stage.totals.lost += 1
        for target in stage.outputs:
            self._emit(target, slot.frame, slot.route, None, slot.lost, now_s, out)

    def _take_running(self) -> Tuple[_Stage, int, FrameRoute]:
        if self._running is None:
            raise AssertionError("no stage was to run")
        running, self._running = self._running, None
        return running

    def _emit(
        self,
        link: _OutLink,
        frame: int,
        route: FrameRoute,
        tensors: Optional[Tensors],
        reason: Optional[str],
        now_s: float,
        out: List[Instruction],
    ) -> None:
        if link.consumer is not None:
            self._put(link.consumer, frame, route, tensors, reason, now_s, out)
        elif reason is not None:
            out.append(SendLost(link.spec.id, frame, route, reason))
        elif tensors is not None:
            out.append(Send(link.spec.id, frame, route, tensors))

    @staticmethod
    def _grant(link: _InLink, out: List[Instruction]) -> None:
        if link.producer is not None:
            link.producer.limit += 1
        else:
            out.append(Grant(link.spec.id, 1))


def check_manifest(device: str, stages: Sequence[StageSpec], links: Sequence[LinkSpec]) -> Optional[str]:
    """Return what is wrong with a device's stages and links, or None."""
    names = {stage.name for stage in stages}
    if len(names) != len(stages) or len({link.id for link in links}) != len(links):
        return "two stages or two links have the same name"
    fed: Dict[str, List[str]] = {name: [] for name in names}
    made: Mapping[str, Set[str]] = {stage.name: {spec.name for spec in stage.outputs} for stage in stages}
    for link in links:
        if not 1 <= link.window <= 1024 or not link.tensors:
            return f"the link {link.id!r} has no tensors, or a window that is not from 1 to 1024"
        if device not in (link.producer_device, link.consumer_device):
            return f"the link {link.id!r} does not concern this device"
        carried = {spec.name for spec in link.tensors}
        if link.producer_device == device and not carried <= made.get(link.producer, set()):
            return f"the link {link.id!r} carries what the stage {link.producer!r} does not make"
        if link.consumer_device == device:
            if link.consumer not in names:
                return f"the link {link.id!r} leads to the unknown stage {link.consumer!r}"
            fed[link.consumer] += [spec.name for spec in link.tensors]
    for stage in stages:
        if sorted(fed[stage.name]) != sorted(spec.name for spec in stage.inputs) or not stage.inputs:
            return f"the links into the stage {stage.name!r} do not bring exactly its inputs"
    return None
