"""Simulate a flow frame by frame: the second opinion to the analytic prediction, and what a Gantt chart shows.

Everything happens as the agents do it (see the agent's `pipeline`), but for these simplifications:

- *Frames* go in as soon as there is room on their way. A frame has a place in the window of each of its links from
  when its producer begins it until its consumer does; the word that a place is free takes the link's latency back.
- *Lanes* work on one thing at a time: of what is ready and has room, the oldest frame; what began goes on to its end.
- *Cores* are shared by stages, sending and receiving, in parallel as far as there are cores: first whoever can use
  least at once, then the oldest frame (see `simulate_shared`). A stage alone uses as much as makes it take its
  `seconds`; with less it takes longer, and its lane waits for it. Sending and receiving a message use one core at most.
  Fair shares, as an operating system gives them, would slow a frame that is nearly through for one that must wait
  behind it all the same. The prediction says what the busiest resource allows; this order reaches it wherever stages
  use all cores of their device. Where they use some, nobody may be there for the rest, and cores that are nearly full
  on average are not reached.
- *Links* carry the bytes of one message after the other in each direction; links that share an interface divide it, in
  the same order. Latency delays, and keeps nothing busy: bytes of several frames may be under way.
- *Replicas* get frames as in `simulate_parts.Dealing`; where their ways meet again, frames go on in order.

A stage that takes several frames in one go takes as many times as long for them, and all are done at its end.
"""

from collections.abc import Callable
from functools import partial

from partition_studio.planner.prediction.flow import Flow, Work
from partition_studio.planner.simulation.parts import Lane, Link, Parts, Station, Way
from partition_studio.planner.simulation.shared import Agenda, Shared
from partition_studio.planner.simulation.trace import Bar, Trace


def _nothing() -> None:
    """Be done."""


def simulate(flow: Flow, frames: int) -> Trace:
    """Return what happens when so many frames go through a flow. The same flow, the same trace.

    Raises ValueError for less than one frame, a window below 1, and windows that let no more frames through (those of
    a stage graph always do).
    """
    if frames < 1:
        raise ValueError(f"{frames} frames cannot be simulated")
    return _Simulation(flow, frames).run()


class _Simulation:
    def __init__(self, flow: Flow, frames: int) -> None:
        self._frames = frames
        self._parts = Parts(flow, frames)
        self._agenda = Agenda(self._settle)
        self._dirty: list[Shared] = []
        self._cores = {peer: Shared(self._agenda, (cores,), self._dirty) for peer, cores in flow.cores.items()}
        self._wires = Shared(self._agenda, self._parts.interfaces, self._dirty)
        self._count = dict(flow.cores)
        self._touched: list[Lane] = []
        #: Links that brought something at this moment.
        self._came: list[Link] = []
        self._bars: list[Bar] = []
        self._entered_s: list[float] = []
        self._done_s: list[float] = []

    def run(self) -> Trace:
        for station in self._parts.stations.values():
            if not station.ins:
                # The source; and a stage of constants, which waits for nobody.
                station.ready.extend(station.frames)
                self._touch(station.lane)
        self._agenda.run()
        if len(self._done_s) < self._frames:
            raise ValueError(f"frame {len(self._done_s)} cannot go on: the windows of this flow are too small")
        queues: dict[str, int] = {}
        for link in self._parts.links:
            queues[link.spec.cut] = max(queues.get(link.spec.cut, 0), link.most)
        return Trace(tuple(self._bars), tuple(self._entered_s), tuple(self._done_s), queues)

    # --- turns -------------------------------------------------------------------------------------------------------

    def _touch(self, lane: Lane) -> None:
        if not lane.is_touched:
            lane.is_touched = True
            self._touched.append(lane)

    def _settle(self) -> None:
        """Begin all that can begin now; then see who still waits, and divide what is shared."""
        while self._touched:
            lane = self._touched.pop()
            lane.is_touched = False
            while not lane.is_busy:
                station = self._next(lane)
                if station is None:
                    break
                self._begin(station)
        for link in self._came:
            if link.waiting > link.most:
                link.most = link.waiting
        self._came.clear()
        while self._dirty:
            self._dirty.pop().divide()

    def _next(self, lane: Lane) -> Station | None:
        """Return the station that may begin now, and has the oldest frame; of one frame, the first in the flow."""
        found = None
        for station in lane.stations:
            if station.ready and (found is None or station.ready[0] < found.ready[0]) and self._has_room(station):
                found = station
        return found

    def _has_room(self, station: Station) -> bool:
        return not [link for link in self._parts.outs_of(station, station.ready[0]) if link.fired >= link.limit]

    def _begin(self, station: Station) -> None:
        work = station.work
        frames = [self._take(station)]
        most = 1 if work is None else work.holds
        while len(frames) < most and station.ready and self._has_room(station):
            frames.append(self._take(station))
        if work is None:
            times_s = self._done_s if station.ins else self._entered_s
            times_s.append(self._agenda.now_s)
            self._emit(station, frames)
        else:
            station.lane.is_busy = True
            self._compute(station, work, frames)

    def _take(self, station: Station) -> int:
        """Take the frame that comes next: it gives its places back, and has others."""
        frame = station.ready.popleft()
        for link in self._parts.outs_of(station, frame):
            link.fired += 1
        for link in self._ins_of(station, frame):
            link.waiting -= 1
            if link.credit_s > 0:
                self._agenda.after(link.credit_s, partial(self._credit, link))
            else:
                self._credit(link)
        return frame

    def _ins_of(self, station: Station, frame: int) -> list[Link]:
        if station.cuts == len(station.ins):
            return station.ins
        chosen = self._parts.dealing.chosen
        return [
            link
            for link in station.ins
            if link.producer.replica is None or chosen[link.producer.replica[0]][frame] == link.producer.replica[1]
        ]

    def _credit(self, link: Link) -> None:
        link.limit += 1
        self._touch(link.producer.lane)

    # --- computing ---------------------------------------------------------------------------------------------------

    def _compute(self, station: Station, work: Work, frames: list[int]) -> None:
        ended = partial(self._computed, station, work, frames, self._agenda.now_s)
        seconds, cpu_s = len(frames) * work.seconds, len(frames) * work.cpu_s
        if cpu_s > 0 and seconds > 0 and work.device in self._cores:
            self._cores[work.device].begin(frames[0], cpu_s, cpu_s / seconds, (0,), ended)
        else:
            self._agenda.after(seconds, ended)

    def _computed(self, station: Station, work: Work, frames: list[int], begin_s: float) -> None:
        station.lane.is_busy = False
        self._touch(station.lane)
        for frame in frames:
            self._bars.append(Bar(station.lane.name, work.name, frame, begin_s, self._agenda.now_s))
        self._emit(station, frames)

    def _emit(self, station: Station, frames: list[int]) -> None:
        for frame in frames:
            for link in self._parts.outs_of(station, frame):
                if link.way is None:
                    self._arrived(link, frame)
                else:
                    sent = partial(self._sent, link, link.way, frame, self._agenda.now_s)
                    self._carry(link.spec.source, link.spec.send_s - link.spec.send_beside_s, frame, sent)

    # --- travelling --------------------------------------------------------------------------------------------------

    def _carry(self, peer: str, cpu_s: float, frame: int, then: Callable[[], None]) -> None:
        """Have a peer's cores work on a message at their end of a link."""
        if cpu_s <= 0:
            then()
        elif peer in self._cores:
            self._cores[peer].begin(frame, cpu_s, min(1.0, self._count[peer]), (0,), then)
        else:
            self._agenda.after(cpu_s, then)

    def _bar(self, resource: str, what: str, frame: int, begin_s: float) -> None:
        if self._agenda.now_s > begin_s:
            self._bars.append(Bar(resource, what, frame, begin_s, self._agenda.now_s))

    def _sent(self, link: Link, way: Way, frame: int, begin_s: float) -> None:
        self._bar(f"{link.spec.source} carrying", f"send {link.spec.cut}", frame, begin_s)
        way.queue.append((link, frame))
        if not way.is_busy:
            self._put_on(way)

    def _put_on(self, way: Way) -> None:
        way.is_busy = True
        link, frame = way.queue[0]
        # Nothing waits for these, but what else the cores have to do.
        self._carry(link.spec.source, link.spec.send_beside_s, frame, _nothing)
        self._carry(link.spec.target, link.spec.receive_beside_s, frame, _nothing)
        passed = partial(self._passed, way, self._agenda.now_s)
        if way.pools and link.spec.wire_bytes > 0:
            self._wires.begin(frame, link.spec.wire_bytes, way.bytes_per_s, way.pools, passed)
        else:
            self._agenda.after(link.spec.wire_bytes / way.bytes_per_s, passed)

    def _passed(self, way: Way, begin_s: float) -> None:
        link, frame = way.queue.popleft()
        self._bar(way.name, link.spec.cut, frame, begin_s)
        self._agenda.after(way.latency_s, partial(self._received, link, frame))
        way.is_busy = False
        if way.queue:
            self._put_on(way)

    def _received(self, link: Link, frame: int) -> None:
        taken = partial(self._taken, link, frame, self._agenda.now_s)
        self._carry(link.spec.target, link.spec.receive_s - link.spec.receive_beside_s, frame, taken)

    def _taken(self, link: Link, frame: int, begin_s: float) -> None:
        self._bar(f"{link.spec.target} carrying", f"receive {link.spec.cut}", frame, begin_s)
        self._arrived(link, frame)

    def _arrived(self, link: Link, frame: int) -> None:
        station = link.consumer
        link.waiting += 1
        self._came.append(link)
        missing = station.missing
        missing[frame] = missing.get(frame, station.cuts) - 1
        frames, place = station.frames, station.next
        while place < len(frames) and missing.get(frames[place]) == 0:
            station.ready.append(frames[place])
            del missing[frames[place]]
            place += 1
        if place > station.next:
            station.next = place
            self._touch(station.lane)
