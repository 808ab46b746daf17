"""Source and sink of a pipeline: which frame may go in, which way it takes, and what has come of it.

Pure: events in, what is to be done out; no I/O, no clock, no threads. Both doors (the studio's `front_door` and
`standalone_door`) are shells around it.

A frame goes in as soon as every link on its way has credit. Its way through the groups of replicas is dealt here, once,
and travels with it (`FrameRoute`). It is settled when every link that its route leads over has brought its part, or
when one of them said that it is lost, or brought a later frame: links keep the order, so what has been overtaken never
comes. Settled frames leave in the order in which they went in. What came of a frame keeps its places in the windows of
its links until the frame has left, so what waits for order is bounded by them.
"""

from typing import Any, Dict, List, NamedTuple, Optional, Sequence, Tuple

from partition_agent.data_plane.wire import Tensors
from partition_agent.gate.dealer import Dealer
from partition_agent.protocol import STUDIO_PEER, FrameRoute, LinkSpec

OVERTAKEN = "it went missing between two devices"


class Dealt(NamedTuple):
    """A frame that may go in: its way, and the links that it is to be sent on."""

    route: FrameRoute
    links: Tuple[LinkSpec, ...]


class Claim(NamedTuple):
    """A place in the window of a link to the sink; it has lapsed when the link was opened anew since."""

    link: str
    opening: int


class End(NamedTuple):
    """A frame that leaves: its outputs by name, or None and why it was lost. Its claims are due when it was taken."""

    frame: int
    outputs: Optional[Tensors]
    lost: str
    dealt_s: float
    claims: Tuple[Claim, ...]


class GateTotals(NamedTuple):
    """Running totals; `unexpected` counts results of frames that nobody waited for (any more)."""

    submitted: int
    delivered: int
    lost: int
    in_flight: int
    unexpected: int


class _Source:
    """Frames sent on a link, and how many may be."""

    def __init__(self, spec: LinkSpec) -> None:
        self.spec, self.fired, self.limit = spec, 0, 0

    @property
    def has_room(self) -> bool:
        return self.fired < self.limit


class _Sink:
    def __init__(self, spec: LinkSpec) -> None:
        self.spec, self.opening = spec, 0


class _Frame:
    """A frame under way. `missing` are the links that still owe their part; `has_left`: it was reported already."""

    def __init__(self, number: int, route: FrameRoute, missing: List[str], dealt_s: float) -> None:
        self.number, self.route, self.dealt_s = number, route, dealt_s
        self.missing = set(missing)
        self.outputs: Dict[str, Any] = {}
        self.claims: List[Claim] = []
        self.lost = ""
        self.is_settled = self.has_left = False


class Gate:
    """The state of one source and sink, through its whole life. Frame numbers rise."""

    def __init__(self, links: Sequence[LinkSpec], replicas: Sequence[int] = ()) -> None:
        """Take the links from and to `STUDIO_PEER`, and the number of replicas of each group in turn."""
        self._sources = {link.id: _Source(link) for link in links if link.producer_device == STUDIO_PEER}
        self._sinks = {link.id: _Sink(link) for link in links if link.consumer_device == STUDIO_PEER}
        self._dealers = [
            Dealer(
                count,
                is_seen=all(_ends_in(group, sink.spec) for sink in self._sinks.values()),
                is_fed=any(_ends_in(group, source.spec) for source in self._sources.values()),
            )
            for group, count in enumerate(replicas)
        ]
        self._pending: Dict[int, _Frame] = {}
        self._last = -1
        self._last_there = [[-1] * count for count in replicas]
        self._submitted = self._delivered = self._lost = self._unexpected = 0

    # --- going in ----------------------------------------------------------------------------------------------------

    def deal(self, frame: int, now_s: float, replicas: Sequence[int] = ()) -> Optional[Dealt]:
        """Let a frame in, if there is room for it now; it is then to be sent on exactly these links.

        `replicas` are those that it is to pass, one of each group; else the dealers choose.
        """
        if frame <= self._last:
            raise ValueError(f"frame {frame} comes after frame {self._last}")
        if not all(source.has_room for source in self._sources.values() if not source.spec.routes):
            return None
        chosen = self._choose(now_s, replicas)
        if chosen is None:
            return None
        route = FrameRoute(self._last, tuple(chosen), tuple(self._last_there[g][r] for g, r in enumerate(chosen)))
        for group, replica in enumerate(chosen):
            self._dealers[group].deal(replica, now_s)
            self._last_there[group][replica] = frame
        self._last = frame
        self._submitted += 1
        missing = [name for name, sink in self._sinks.items() if sink.spec.carries(route.replicas)]
        self._pending[frame] = _Frame(frame, route, missing, now_s)
        sources = [source for source in self._sources.values() if source.spec.carries(route.replicas)]
        for source in sources:
            source.fired += 1
        return Dealt(route, tuple(source.spec for source in sources))

    def _choose(self, now_s: float, wanted: Sequence[int]) -> Optional[Sequence[int]]:
        """Return a replica of each group that has room, or None. At most one of them has lost all of late.

        Else one that fails would let another seem to fail, which gets the same frames for trial.
        """
        chosen: List[int] = []
        may_try = True
        for group, dealer in enumerate(self._dealers):
            able = self._able(group)
            replica = dealer.choose(able, now_s, may_try=may_try) if not wanted else wanted[group]
            if replica is None or replica not in able:
                return None
            may_try = may_try and not dealer.fails(replica)
            chosen.append(replica)
        return chosen

    def _able(self, group: int) -> List[int]:
        """Return the replicas of a group to which all links from here have room."""
        full = {
            replica
            for source in self._sources.values()
            if not source.has_room
            for entry, replica in source.spec.routes
            if entry == group
        }
        return [replica for replica in range(len(self._last_there[group])) if replica not in full]

    def credited(self, link: str, count: int, since: Optional[int]) -> None:
        """A first stage takes `count` more frames; with `since`, that many beyond the first `since` of this link."""
        source = self._sources[link]
        limit = (source.limit if since is None else since) + count
        source.limit = min(limit, source.fired + source.spec.window)

    # --- coming out --------------------------------------------------------------------------------------------------

    def opened(self, link: str) -> int:
        """A link to the sink is open, or again; return how many frames to allow on it. Earlier claims have lapsed."""
        sink = self._sinks[link]
        sink.opening += 1
        return sink.spec.window

    def claim(self, link: str) -> Claim:
        """Return the claim that a message on a link has, which comes now."""
        return Claim(link, self._sinks[link].opening)

    def due(self, claims: Sequence[Claim]) -> Dict[str, int]:
        """Return how many frames to allow on each link, now that what had these claims was taken."""
        counts: Dict[str, int] = {}
        for link, opening in claims:
            if opening == self._sinks[link].opening:
                counts[link] = counts.get(link, 0) + 1
        return counts

    def arrived(
        self, claim: Claim, frame: int, tensors: Optional[Tensors], reason: str, now_s: float
    ) -> Tuple[List[End], List[Claim]]:
        """A part of a frame's result came, or (`tensors` None) will not come.

        Returns the frames that leave now, in order, and the claims of what nobody waits for.
        """
        link, found = claim.link, self._pending.get(frame)
        if found is None or link not in found.missing:
            # After a broken connection a loss is reported also of what did come: that is no surprise.
            self._unexpected += tensors is not None
            return [], [claim]
        for earlier in list(self._pending.values()):
            if earlier is found:
                break
            if link in earlier.missing:
                self._bring(earlier, link, None, OVERTAKEN, now_s)
        unclaimed = []
        if found.has_left:
            unclaimed.append(claim)
        else:
            found.claims.append(claim)
        self._bring(found, link, tensors, reason, now_s)
        return self._leaving(), unclaimed

    def _bring(self, frame: _Frame, link: str, tensors: Optional[Tensors], reason: str, now_s: float) -> None:
        """Note what a link brought of a frame, or that it brings nothing."""
        frame.missing.discard(link)
        if tensors is None:
            frame.lost = frame.lost or reason or OVERTAKEN
            frame.outputs.clear()
        elif not frame.lost:
            frame.outputs.update(tensors)
        if not frame.is_settled and (frame.lost or not frame.missing):
            frame.is_settled = True
            for group, dealer in enumerate(self._dealers):
                dealer.settled(frame.route.replicas[group], frame.dealt_s, now_s, is_lost=bool(frame.lost))
        if frame.has_left and not frame.missing:
            del self._pending[frame.number]

    def _leaving(self) -> List[End]:
        ends = []
        for frame in list(self._pending.values()):
            if not frame.is_settled:
                break
            if not frame.has_left:
                ends.append(self._leave(frame))
        return ends

    def _leave(self, frame: _Frame) -> End:
        if not frame.lost:
            for group, dealer in enumerate(self._dealers):
                dealer.left(frame.route.replicas[group])
        self._lost += bool(frame.lost)
        self._delivered += not frame.lost
        frame.has_left = True
        if not frame.missing:
            del self._pending[frame.number]
        outputs, claims = frame.outputs, tuple(frame.claims)
        frame.outputs, frame.claims = {}, []
        return End(frame.number, None if frame.lost else outputs, frame.lost, frame.dealt_s, claims)

    def lose_all(self, reason: str) -> List[End]:
        """Give up every frame that is under way; what still comes of them is unexpected."""
        ends = [
            End(frame.number, None, frame.lost or reason, frame.dealt_s, tuple(frame.claims))
            for frame in self._pending.values()
            if not frame.has_left
        ]
        self._lost += len(ends)
        self._pending.clear()
        for dealer in self._dealers:
            dealer.reset()
        return ends

    # --- questions ---------------------------------------------------------------------------------------------------

    @property
    def totals(self) -> GateTotals:
        """The running totals."""
        waiting = sum(not frame.has_left for frame in self._pending.values())
        return GateTotals(self._submitted, self._delivered, self._lost, waiting, self._unexpected)

    @property
    def dealers(self) -> Sequence[Dealer]:
        """What is known of each group of replicas."""
        return self._dealers


def _ends_in(group: int, link: LinkSpec) -> bool:
    return any(other == group for other, _ in link.routes)
