"""What has come of each frame at one stage, and in which order frames leave for the stage to begin them.

Every link brings its frames in rising order: what it has not brought when it brings a later one, it never will. (Only
the news that a frame is lost may come after later ones, when a connection broke.) So a frame is *accounted for* when
each link of its route into the stage has brought it or a later one; it is lost if one of them has not brought it. Where
each link brings all the frames of a stage, they are accounted for in their order. Where replicas are merged, each link
brings some of them: a frame is held back until the one before it (its route says which) has left, or can no longer
come.
"""

from collections import deque
from dataclasses import dataclass
from typing import Deque, Dict, List, NamedTuple, Optional, Tuple

from partition_agent.data_plane.wire import Tensors
from partition_agent.protocol import FrameRoute, LinkSpec, StageSpec

#: Ways are looked up for every frame, and made by peers: no more are kept.
_KEPT_WAYS = 1024


@dataclass
class StageTotals:
    """Running totals of one stage."""

    frames: int = 0
    lost: int = 0
    compute_s: float = 0.0
    queue_wait_s: float = 0.0


class OutLink:
    """A link that begins here. `fired` frames were begun for it, `limit` may be; both count from its beginning."""

    __slots__ = ("consumer", "fired", "limit", "names", "spec", "takes_all")

    def __init__(self, spec: LinkSpec, producer: StageSpec) -> None:
        self.spec = spec
        self.names = tuple(tensor.name for tensor in spec.tensors)
        self.takes_all = len(self.names) == len(producer.outputs)
        #: The other end, when it is on this device too.
        self.consumer: Optional[InLink] = None
        self.fired = self.limit = 0

    def pick(self, outputs: Tensors) -> Tensors:
        """Return those outputs of the stage that this link carries."""
        return outputs if self.takes_all else {name: outputs[name] for name in self.names}


class InLink:
    """A link that ends here. `last` is the latest frame it brought, `queued` how many of its frames wait here."""

    __slots__ = ("last", "producer", "queued", "spec")

    def __init__(self, spec: LinkSpec, producer: Optional[OutLink]) -> None:
        self.spec = spec
        #: The other end, when it is on this device too.
        self.producer = producer
        self.last = -1
        self.queued = 0


class Way(NamedTuple):
    """The links over which frames of one route come into a stage and leave it."""

    inputs: Tuple[InLink, ...]
    outputs: Tuple[OutLink, ...]


class Slot:
    """What has come of one frame at one stage. `tensors` is None before anything came, and of a lost frame."""

    __slots__ = ("arrived", "frame", "lost", "ready_s", "route", "tensors", "way")

    def __init__(self, frame: int, route: FrameRoute, way: Way) -> None:
        self.frame, self.route, self.way = frame, route, way
        self.arrived: List[InLink] = []
        self.tensors: Optional[Tensors] = None
        self.lost: Optional[str] = None
        self.ready_s = 0.0

    def add(self, link: InLink, tensors: Optional[Tensors], reason: Optional[str]) -> None:
        """Note what a link brought: tensors, or why it does not bring them."""
        self.arrived.append(link)
        if tensors is None:
            self.lose(reason or "it was lost")
        elif self.lost is None:
            self.tensors = tensors if self.tensors is None else {**self.tensors, **tensors}

    def lose(self, reason: str) -> None:
        """The frame will not be computed; the first reason counts."""
        self.lost = self.lost or reason
        self.tensors = None

    @property
    def is_accounted_for(self) -> bool:
        """Whether each link has brought it or a later one."""
        inputs, frame = self.way.inputs, self.frame
        return len(self.arrived) == len(inputs) or all(link.last >= frame for link in inputs)

    @property
    def has_room(self) -> bool:
        """Whether every link on its way out can take one more frame."""
        return not [link for link in self.way.outputs if link.fired >= link.limit]


class StageOrder:
    """One stage: the frames that wait for inputs or for their turn, and those that are `ready`, in order."""

    def __init__(self, spec: StageSpec, batch: int = 1) -> None:
        """`batch` is how many frames it computes in one go at most."""
        self.spec, self.batch = spec, batch
        self.ready: Deque[Slot] = deque()
        #: Frames that it computes now, in order.
        self.running: Deque[Slot] = deque()
        self.totals = StageTotals()
        self._group = None if spec.replica is None else spec.replica[0]
        self._waiting: Dict[int, Slot] = {}
        #: The latest frame that left, and those before it of which news may still come.
        self._settled = -1
        self._left: Deque[int] = deque()
        self._inputs: List[InLink] = []
        self._outputs: List[OutLink] = []
        self._sets: List[Tuple[InLink, ...]] = []
        self._joins = self._merges = False
        self._only_way: Optional[Way] = None
        #: The groups that matter here, and the way of each choice of a replica of each.
        self._groups: Tuple[int, ...] = ()
        self._ways: Dict[Tuple[int, ...], Optional[Way]] = {}

    def set_links(self, inputs: List[InLink], outputs: List[OutLink]) -> None:
        """Take the links, once; those that carry the same tensors come from replicas."""
        self._inputs, self._outputs = inputs, outputs
        self._left = deque(maxlen=16 + 4 * sum(link.spec.window for link in inputs))
        sets: Dict[Tuple[str, ...], List[InLink]] = {}
        for link in inputs:
            sets.setdefault(tuple(sorted(tensor.name for tensor in link.spec.tensors)), []).append(link)
        self._sets = [tuple(links) for links in sets.values()]
        self._joins = any(len(links) > 1 for links in self._sets)
        # One link that brings every frame of the stage brings them in order.
        self._merges = all(len(links) > 1 for links in self._sets)
        specs = [link.spec for link in inputs] + [link.spec for link in outputs]
        self._groups = tuple(sorted({group for spec in specs for group, _ in spec.routes}))
        if not self._groups:
            self._only_way = Way(tuple(inputs), tuple(outputs))

    @property
    def held(self) -> int:
        """How many frames wait here, and are not computed yet."""
        return len(self._waiting) + len(self.ready)

    def take(
        self,
        link: InLink,
        frame: int,
        route: FrameRoute,
        tensors: Optional[Tensors],
        reason: Optional[str],
        now_s: float,
    ) -> str:
        """Note what a link brought, and make ready what can go on; return why it is refused, or ""."""
        slot = self._waiting.get(frame)
        if slot is None:
            way = self._only_way or self._way(link, route)
            if way is None or (self._merges and self._before(route) >= frame):
                return "wrong_route"
        elif route != slot.route or link not in slot.way.inputs:
            return "wrong_route"
        elif link in slot.arrived:
            return ""
        else:
            way = slot.way
        if link.queued >= 2 * link.spec.window:
            return "over_window"
        if frame <= self._settled:
            return self._take_late(link, frame, route, way, reason, now_s)
        if frame > link.last:
            link.last = frame
        link.queued += 1
        if slot is None:
            slot = Slot(frame, route, way)
            slot.add(link, tensors, reason)
            if not self._waiting and len(way.inputs) == 1 and not self._merges:
                self._leave(slot, now_s)
                return ""
            self._enter(slot, now_s)
        else:
            slot.add(link, tensors, reason)
        self._go_on(now_s)
        return ""

    def _take_late(
        self, link: InLink, frame: int, route: FrameRoute, way: Way, reason: Optional[str], now_s: float
    ) -> str:
        """Take what comes of a frame after a later one left: if nothing was said of it yet, that it is lost."""
        is_new = frame > link.last
        link.last = max(link.last, frame)
        if frame in self._left:
            return "too_late" if is_new else ""
        slot = Slot(frame, route, Way((link,), way.outputs))
        slot.add(link, None, reason or "it came too late")
        slot.ready_s = now_s
        link.queued += 1
        self._left.append(frame)
        self.ready.insert(sum(other.frame < frame for other in self.ready), slot)
        return ""

    def _enter(self, slot: Slot, now_s: float) -> None:
        if self._joins and self._before(slot.route) < 0:
            self.give_up(slot.frame, now_s)
            self._settled = max(self._settled, slot.frame - 1)
        self._waiting[slot.frame] = slot

    def give_up(self, before: int, now_s: float) -> None:
        """Lose the frames that wait, of those before this one: their source began anew, nobody waits for them."""
        for frame in sorted(self._waiting):
            if frame < before:
                slot = self._waiting.pop(frame)
                slot.lose("its source began anew")
                self._leave(slot, now_s)

    def _go_on(self, now_s: float) -> None:
        """Let frames leave in order, as far as is known that nothing comes before them."""
        waiting = self._waiting
        while waiting:
            slot = waiting[min(waiting)]
            if not slot.is_accounted_for or (self._merges and not self._is_next(slot)):
                return
            del waiting[slot.frame]
            if len(slot.arrived) < len(slot.way.inputs):
                slot.lose("an input of it never came")
            self._leave(slot, now_s)

    def _leave(self, slot: Slot, now_s: float) -> None:
        self._settled = slot.frame
        self._left.append(slot.frame)
        slot.ready_s = now_s
        self.ready.append(slot)

    def _is_next(self, slot: Slot) -> bool:
        """Whether nothing comes before the lowest frame that waits.

        The one before it has left; or it is not known here, and some input can no longer come of it, for all the links
        that might have brought that one have brought later frames.
        """
        before = self._before(slot.route)
        return before <= self._settled or any(all(link.last > before for link in links) for links in self._sets)

    def _before(self, route: FrameRoute) -> int:
        """Return the frame that comes before one of this route at this stage; -1: none in its source's life."""
        if self._group is None:
            return route.previous
        there = route.previous_there
        return there[self._group] if self._group < len(there) else -1

    def _way(self, link: InLink, route: FrameRoute) -> Optional[Way]:
        """Return the way of a frame that came on a link, if there is one and the link is part of it."""
        replicas = route.replicas
        chosen = tuple([replicas[group] if group < len(replicas) else -1 for group in self._groups])
        if chosen not in self._ways:
            if len(self._ways) >= _KEPT_WAYS:
                self._ways.clear()
            self._ways[chosen] = self._find_way(replicas)
        way = self._ways[chosen]
        return way if way is not None and link in way.inputs else None

    def _find_way(self, replicas: Tuple[int, ...]) -> Optional[Way]:
        inputs = tuple(link for link in self._inputs if link.spec.carries(replicas))
        if len(inputs) != len(self._sets):
            # `check_manifest` sees to it that no two links of a set have the same route: one of each is there, or none.
            return None
        return Way(inputs, tuple(link for link in self._outputs if link.spec.carries(replicas)))
