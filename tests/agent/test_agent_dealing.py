"""Frames dealt among replicas of unequal speed, in a simulation of devices, credits and order: no clock, no threads."""

import heapq
import itertools
import random
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from partition_agent.gate.dealer import HELD
from partition_agent.gate.gate import End, Gate
from partition_agent.protocol import SINK, SOURCE, STUDIO_PEER, LinkSpec, TensorSpec

X = (TensorSpec("x", "float32", (1,)),)
WINDOW = 2
VALUE = {"x": np.zeros(1, np.float32)}

#: Seconds that a replica takes for a frame, at a moment; and whether the frame is lost there.
Service = Callable[[float], float]
Loses = Callable[[float], bool]


@dataclass(eq=False)
class Worker:
    """A device that computes one frame after the other and hands it on when there is room."""

    service: Service
    feed: str
    exit: str
    waiting: deque[int] = field(default_factory=deque)
    computing: int | None = None
    done: int | None = None
    room: int = 0
    frames: int = 0
    loses: Loses = lambda _now_s: False


class Line:
    """Source, `n` replicas, sink. With `merged`, a stage behind the replicas restores the order and is not seen."""

    def __init__(self, services: Sequence[Service], *, merged: bool = False) -> None:
        exits = [
            LinkSpec(f"{n}->sink", f"s@{n}", SINK, str(n), STUDIO_PEER, X, WINDOW + HELD, routes=((0, n),))
            for n in range(len(services))
        ]
        feeds = [
            LinkSpec(f"source->{n}", SOURCE, f"s@{n}", STUDIO_PEER, str(n), X, WINDOW, routes=((0, n),))
            for n in range(len(services))
        ]
        end = LinkSpec("m->sink", "m", SINK, "m", STUDIO_PEER, X, WINDOW)
        self.gate = Gate([*feeds, end] if merged else [*feeds, *exits], [len(services)])
        self.workers = [
            Worker(service, feed.id, leave.id, room=leave.window)
            for service, feed, leave in zip(services, feeds, exits, strict=True)
        ]
        self.merged = merged
        self.now_s = 0.0
        self.left: list[int] = []
        self.lost: list[int] = []
        self.most_held = 0
        self._held: dict[int, Worker] = {}
        self._order: deque[int] = deque()
        self._numbers = itertools.count()
        self._next = next(self._numbers)
        self._events: list[tuple[float, int, int]] = []
        self._serial = itertools.count()
        for worker in self.workers:
            self.gate.credited(worker.feed, WINDOW, 0)
        for link in [end] if merged else exits:
            self.gate.opened(link.id)

    def run(self, seconds: float) -> None:
        """Send as many frames as go in, until that moment."""
        self._fill()
        while self._events and self._events[0][0] <= seconds:
            self.now_s, _, number = heapq.heappop(self._events)
            worker = self.workers[number]
            worker.done, worker.computing = worker.computing, None
            worker.frames += 1
            self._go_on(worker)
            self._fill()

    def _fill(self) -> None:
        while (dealt := self.gate.deal(self._next, self.now_s)) is not None:
            worker = self.workers[dealt.route.replicas[0]]
            assert [link.id for link in dealt.links] == [worker.feed]
            worker.waiting.append(self._next)
            self._order.append(self._next)
            self._next = next(self._numbers)
            self._go_on(worker)

    def _go_on(self, worker: Worker) -> None:
        if worker.done is not None and worker.room:
            frame, worker.done = worker.done, None
            worker.room -= 1
            self._came(worker, frame)
        if worker.computing is None and worker.done is None and worker.waiting:
            worker.computing = worker.waiting.popleft()
            self.gate.credited(worker.feed, 1, None)
            event = (self.now_s + worker.service(self.now_s), next(self._serial), self.workers.index(worker))
            heapq.heappush(self._events, event)

    def _came(self, worker: Worker, frame: int) -> None:
        self._held[frame] = worker
        if self.merged:
            freed = []
            while self._order and self._order[0] in self._held:
                first = self._order.popleft()
                freed.append(self._held.pop(first))
                self._arrived(freed[-1], "m->sink", first)
        else:
            ends = self._arrived(worker, worker.exit, frame)
            freed = [self._held.pop(end.frame) for end in ends]
            due = self.gate.due([claim for end in ends for claim in end.claims])
            assert due == {other.exit: freed.count(other) for other in freed}
        self.most_held = max(self.most_held, len(self._held))
        for other in freed:
            other.room += 1
            self._go_on(other)

    def _arrived(self, worker: Worker, link: str, frame: int) -> list[End]:
        value = None if worker.loses(self.now_s) else VALUE
        ends, _ = self.gate.arrived(self.gate.claim(link), frame, value, "", self.now_s)
        self.left += [end.frame for end in ends if not end.lost]
        self.lost += [end.frame for end in ends if end.lost]
        return ends


def steady(seconds: float) -> Service:
    return lambda _now_s: seconds


SPEEDS = [(1.0, 1.0), (1.0, 0.5, 0.25), (1.0, 0.15), (4.0, 3.0, 2.0, 1.0), (1.0,) * 6]


@pytest.mark.parametrize("speeds", SPEEDS)
def test_unequal_replicas_together_are_as_fast_as_the_sum_of_them(speeds: tuple[float, ...]) -> None:
    line = Line([steady(1.0 / speed) for speed in speeds])
    line.run(400.0)
    assert len(line.left) >= 0.97 * 400.0 * sum(speeds)
    shares = [worker.frames / len(line.left) for worker in line.workers]
    assert shares == pytest.approx([speed / sum(speeds) for speed in speeds], rel=0.1)


@pytest.mark.parametrize("speeds", [(1.0, 1.0), (1.0, 0.5, 0.25), (4.0, 3.0, 2.0, 1.0)])
def test_a_stage_that_restores_the_order_costs_little(speeds: tuple[float, ...]) -> None:
    line = Line([steady(1.0 / speed) for speed in speeds], merged=True)
    line.run(400.0)
    assert len(line.left) >= 0.95 * 400.0 * sum(speeds)
    assert line.left == list(range(len(line.left)))


def test_a_replica_that_slows_down_gets_less_within_a_few_frames() -> None:
    line = Line([steady(1.0), lambda now_s: 1.0 if now_s < 100.0 else 5.0])
    line.run(100.0)
    before = [worker.frames for worker in line.workers]
    assert before[0] == pytest.approx(before[1], abs=2)
    line.run(125.0)
    since = [worker.frames - count for worker, count in zip(line.workers, before, strict=True)]
    assert since[0] >= 22
    assert since[1] <= 6


def test_a_replica_that_becomes_fast_gets_more() -> None:
    line = Line([steady(1.0), lambda now_s: 20.0 if now_s < 400.0 else 0.5])
    line.run(400.0)
    # Beside the other one it would only be waited for.
    assert len(line.left) >= 0.85 * 400.0
    line.run(1500.0)
    before = len(line.left)
    line.run(1700.0)
    assert len(line.left) - before >= 0.97 * 200.0 * 3.0


@settings(max_examples=60, deadline=None)
@given(
    speeds=st.lists(st.floats(0.1, 10.0), min_size=1, max_size=5),
    noise=st.floats(0.0, 0.9),
    seed=st.integers(0, 2**16),
    merged=st.booleans(),
)
def test_every_frame_leaves_once_and_in_order_and_few_wait(
    speeds: list[float], noise: float, seed: int, merged: bool
) -> None:
    chance = random.Random(seed)
    services = [lambda _now_s, s=speed: (1.0 + noise * chance.uniform(-1, 1)) / s for speed in speeds]
    line = Line(services, merged=merged)
    line.run(60.0 / max(speeds))
    assert line.left == list(range(len(line.left)))
    totals = line.gate.totals
    assert (totals.delivered, totals.lost, totals.unexpected) == (len(line.left), 0, 0)
    assert line.most_held <= (WINDOW + HELD) * len(speeds)
    # Not more than what the windows hold and what is computed.
    assert totals.in_flight <= (2 * WINDOW + HELD + 2) * len(speeds)
    assert totals.submitted == totals.delivered + totals.in_flight


def test_a_replica_that_can_take_a_frame_gets_one() -> None:
    line = Line([steady(1.0), steady(1.0)])
    line.run(0.0)
    dealt = line.gate.dealers[0].dealt
    # One computed and a window's worth waiting, at each.
    assert dealt == [WINDOW + 1, WINDOW + 1]


@pytest.mark.parametrize("at", [0, 1, 2, 5])
def test_one_frame_that_takes_long_by_chance_does_not_keep_a_replica_from_its_share(at: int) -> None:
    times = itertools.chain([0.1] * at, [20.0], itertools.repeat(0.1))
    line = Line([steady(0.1), lambda _now_s: next(times)])
    line.run(20.0 + 0.1 * at)
    before = [worker.frames for worker in line.workers]
    line.run(30.0)
    first, second = (worker.frames - then for worker, then in zip(line.workers, before, strict=True))
    assert second >= 0.5 * first


def failing(line: Line, number: int, loses: Loses = lambda _now_s: True) -> Line:
    line.workers[number].loses = loses
    return line


@pytest.mark.parametrize("merged", [False, True])
@pytest.mark.parametrize("begin_s", [0.0, 10.0])
def test_a_replica_that_fails_quickly_gets_a_frame_for_trial_now_and_then(merged: bool, begin_s: float) -> None:
    services: list[Service] = [steady(0.1), lambda now_s: 0.005 if now_s >= begin_s else 0.1]
    line = failing(Line(services, merged=merged), 1, lambda now_s: now_s >= begin_s)
    line.run(100.0)
    assert len(line.left) >= 0.97 * 10 * (100.0 + begin_s)
    assert 3 <= len(line.lost) <= 25


def test_a_replica_that_does_again_gets_its_share_again() -> None:
    line = failing(Line([steady(0.1), steady(0.1)]), 1, lambda now_s: now_s < 20.0)
    line.run(60.0)
    at_first = len(line.left)
    line.run(160.0)
    assert len(line.left) - at_first >= 0.97 * 20 * 100.0


def test_where_all_replicas_fail_all_are_tried() -> None:
    line = Line([steady(0.1), steady(0.1)])
    for number in (0, 1):
        failing(line, number, lambda now_s: now_s < 50.0)
    line.run(50.0)
    assert len(line.lost) >= 0.97 * 20 * 50.0
    line.run(200.0)
    assert len(line.left) >= 0.97 * (10 * 30.0 + 20 * 120.0)


def test_a_replica_that_shares_its_frames_with_one_that_fails_is_not_taken_for_it() -> None:
    """Two groups in a row, which are dealt alike: every frame of the one is the other's too."""
    links = [LinkSpec(f"in{n}", SOURCE, f"a@{n}", STUDIO_PEER, f"a{n}", X, 4, routes=((0, n),)) for n in (0, 1)]
    links += [LinkSpec(f"out{n}", f"b@{n}", SINK, f"b{n}", STUDIO_PEER, X, 4, routes=((1, n),)) for n in (0, 1)]
    gate = Gate(links, (2, 2))
    for n in (0, 1):
        gate.credited(f"in{n}", 4, 0)
        gate.opened(f"out{n}")
    lost = 0
    for frame in range(400):
        dealt = gate.deal(frame, frame * 0.1)
        assert dealt is not None
        first, second = dealt.route.replicas
        value = None if second == 1 else VALUE
        lost += value is None
        gate.arrived(gate.claim(f"out{second}"), frame, value, "", frame * 0.1 + 0.05)
        gate.credited(f"in{first}", 1, None)
    assert lost <= 12
    assert gate.dealers[0].dealt == pytest.approx([200, 200], abs=20)
