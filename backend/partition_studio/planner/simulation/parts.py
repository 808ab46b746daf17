"""The parts of a simulated flow: stations that compute, the transfers between them, and which frames pass where."""

from collections import deque
from collections.abc import Sequence

from partition_studio.partition.stages import SINK, SOURCE
from partition_studio.planner.prediction.flow import Flow, Transfer, Work


class Way:
    """A direction between two peers: carries the bytes of one message after the other.

    `pools` are those of the shared interfaces at its ends.
    """

    __slots__ = ("bytes_per_s", "is_busy", "latency_s", "name", "pools", "queue")

    def __init__(self, name: str, bytes_per_s: float, latency_s: float, pools: tuple[int, ...]) -> None:
        self.name, self.bytes_per_s, self.latency_s, self.pools = name, bytes_per_s, latency_s, pools
        self.queue: deque[tuple[Link, int]] = deque()
        self.is_busy = False


class Link:
    """One transfer. Frames that were begun for it (`fired`) and how many may be (`limit`), as the agents count them.

    `way` None: both ends are on one device. `credit_s` is how long the word that a place is free takes.
    """

    __slots__ = ("consumer", "credit_s", "fired", "limit", "most", "producer", "spec", "waiting", "way")

    def __init__(self, spec: Transfer, producer: "Station", consumer: "Station", way: Way | None, credit_s: float):
        if spec.window < 1:
            raise ValueError(f"the window of {spec.cut} is {spec.window}: no frame passes")
        self.spec, self.producer, self.consumer, self.way, self.credit_s = spec, producer, consumer, way, credit_s
        self.fired, self.limit = 0, spec.window
        self.waiting = self.most = 0


class Lane:
    """Stations that take turns; at most one of them is at work."""

    __slots__ = ("is_busy", "is_touched", "name", "stations")

    def __init__(self, name: str) -> None:
        self.name = name
        self.stations: list[Station] = []
        self.is_busy = self.is_touched = False


class Station:
    """A work, the source or the sink (`work` None, which take no time).

    `frames` are those that pass here, in order; `missing` says of frames that have begun to arrive, how many inputs are
    still to come; `ready` are those that only wait for their turn and for room, in order.
    """

    __slots__ = ("cuts", "frames", "ins", "is_fixed", "lane", "missing", "next", "outs", "ready", "replica", "work")

    def __init__(self, work: Work | None, lane: Lane, replica: tuple[int, int] | None, frames: Sequence[int]) -> None:
        self.work, self.lane, self.replica, self.frames = work, lane, replica, frames
        self.ins: list[Link] = []
        self.outs: list[Link] = []
        self.cuts = 0
        #: Whether every frame takes all its links on the way out.
        self.is_fixed = True
        self.missing: dict[int, int] = {}
        self.next = 0
        self.ready: deque[int] = deque()
        lane.stations.append(self)


class Dealing:
    """Which replica of each group gets which frame.

    A group is told by its places: stages on the same ones stay together. A frame goes to the replica that would have
    finished it first if each had worked on what it got before without a pause, by the shares that the flow says: these
    are as the replicas are fast.
    """

    def __init__(self, flow: Flow, frames: int) -> None:
        stages: dict[str, list[Work]] = {}
        for work in flow.works:
            stages.setdefault(work.stage, []).append(work)
        groups: dict[tuple[tuple[str, str], ...], int] = {}
        #: (group, number) of each replica, by name of the work.
        self.replica: dict[str, tuple[int, int]] = {}
        #: By group, the number of the replica of each frame.
        self.chosen: list[list[int]] = []
        for works in stages.values():
            if len(works) < 2:
                continue
            places = tuple((work.device, work.lane) for work in works)
            if places not in groups:
                groups[places] = len(groups)
                self.chosen.append(_deal([work.share for work in works], frames))
            for number, work in enumerate(works):
                self.replica[work.name] = groups[places], number
        self._frames = frames

    def frames_of(self, work: str) -> Sequence[int]:
        """Return the frames that pass a work."""
        replica = self.replica.get(work)
        if replica is None:
            return range(self._frames)
        group, number = replica
        return [frame for frame, chosen in enumerate(self.chosen[group]) if chosen == number]


def _deal(shares: Sequence[float], frames: int) -> list[int]:
    each_s = [1 / share if share > 0 else float("inf") for share in shares]
    finish_s = list(each_s)
    dealt = []
    for _ in range(frames):
        number = min(range(len(shares)), key=finish_s.__getitem__)
        finish_s[number] += each_s[number]
        dealt.append(number)
    return dealt


class Parts:
    """All parts of a flow, connected. `stations` has SOURCE and SINK too."""

    def __init__(self, flow: Flow, frames: int) -> None:
        self._flow = flow
        self.dealing = Dealing(flow, frames)
        #: Bytes per second of each shared interface, in the order of their numbers.
        self.interfaces: list[float] = []
        self._interface: dict[tuple[str, str], int] = {}
        self._ways: dict[tuple[str, str], Way] = {}
        self.lanes: list[Lane] = []
        lanes: dict[tuple[str, str], Lane] = {}
        self.stations = {SOURCE: Station(None, self._new_lane(SOURCE), None, range(frames))}
        for work in flow.works:
            key = work.device, work.lane
            if key not in lanes:
                lanes[key] = self._new_lane(f"{work.device}/{work.lane}" if work.lane else work.device)
            replica = self.dealing.replica.get(work.name)
            self.stations[work.name] = Station(work, lanes[key], replica, self.dealing.frames_of(work.name))
        self.stations[SINK] = Station(None, self._new_lane(SINK), None, range(frames))
        self.links = [self._link(transfer) for transfer in flow.transfers]
        for station in self.stations.values():
            station.cuts = len({link.spec.cut for link in station.ins})
            station.is_fixed = all(self._is_fixed(station, link) for link in station.outs)

    def outs_of(self, station: Station, frame: int) -> list[Link]:
        """Return the links that a frame takes out of a station."""
        if station.is_fixed:
            return station.outs
        chosen = self.dealing.chosen
        return [
            link
            for link in station.outs
            if link.consumer.replica is None or chosen[link.consumer.replica[0]][frame] == link.consumer.replica[1]
        ]

    def _new_lane(self, name: str) -> Lane:
        self.lanes.append(Lane(name))
        return self.lanes[-1]

    @staticmethod
    def _is_fixed(station: Station, link: Link) -> bool:
        there = link.consumer.replica
        return there is None or (station.replica is not None and station.replica[0] == there[0])

    def _link(self, transfer: Transfer) -> Link:
        producer, consumer = self.stations[transfer.producer], self.stations[transfer.consumer]
        way, credit_s = None, 0.0
        if transfer.source != transfer.target:
            way = self._way(transfer.source, transfer.target)
            credit_s = self._flow.links.of(transfer.target, transfer.source).latency_s
        link = Link(transfer, producer, consumer, way, credit_s)
        producer.outs.append(link)
        consumer.ins.append(link)
        return link

    def _way(self, source: str, target: str) -> Way:
        way = self._ways.get((source, target))
        if way is None:
            figures = self._flow.links.of(source, target)
            pools = (*self._pool(source, "out"), *self._pool(target, "in"))
            way = Way(f"{source}->{target}", figures.bytes_per_s, figures.latency_s, pools)
            self._ways[source, target] = way
        return way

    def _pool(self, peer: str, direction: str) -> tuple[int, ...]:
        bytes_per_s = self._flow.links.interfaces.get(peer)
        if bytes_per_s is None:
            return ()
        if (peer, direction) not in self._interface:
            self._interface[peer, direction] = len(self.interfaces)
            self.interfaces.append(bytes_per_s)
        return (self._interface[peer, direction],)
