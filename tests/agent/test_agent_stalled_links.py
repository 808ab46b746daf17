"""Links that crawl, break or whose receiver stops: bounded, visible, and whole again in place."""

import os
import signal
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from pathlib import Path

import numpy as np
import pytest
from tests.agent.planes import Array, Consumption, End, arrays, introduce, link
from tests.agent.rig import DEADLINE_S, AgentProcess, Rig, assert_same, chain, frames, oracle, run_all, wait_until
from tests.agent.slow_link import SlowLink

from partition_agent.data_plane.tcp_watch import SILENCE_S

#: 0.8 MB: the cut of a ResNet-50.
SHAPE = (1, 256, 28, 28)

FAST = 100e6
CRAWL = 125.0


@pytest.fixture
def ends() -> Iterator[tuple[End, End, SlowLink]]:
    spec = link(SHAPE)
    with End("one", spec) as one, End("two", spec) as two, SlowLink(two.plane.port, rate=FAST, delay_s=0.0) as between:
        introduce(one, two, port=between.port)
        yield one, two, between


@pytest.mark.parametrize("stay_s", [0.0, pytest.param(SILENCE_S + 30, marks=pytest.mark.slow)])
def test_a_link_that_crawls_is_seen_and_goes_on_where_it_was(ends: tuple[End, End, SlowLink], stay_s: float) -> None:
    """Who only looks whether anything whole comes would take the peer for dead, and break what still goes on."""
    one, two, between = ends
    sent = arrays(SHAPE, 1)[0]
    came: list[tuple[int, float]] = []

    def take(frame: int, tensors: Mapping[str, Array] | None) -> None:
        assert tensors is not None
        came.append((frame, float(tensors["x"].flat[0])))

    inputs = [np.full_like(sent, number) for number in range(8)]
    with Consumption(two, 8, take):
        for number in range(3):
            one.send(number, inputs[number])
        wait_until(lambda: one.totals().in_flight == 0, "the first are begun")
        assert one.totals().stalled_s == 0.0
        between.rate = CRAWL
        for number in (3, 4):
            one.send(number, inputs[number])
        wait_until(lambda: one.totals().stalled_s > 0.3, "it is seen to be stalled")
        until_s = time.monotonic() + stay_s
        while time.monotonic() < until_s:
            time.sleep(1.0)
            assert one.totals().connected
        totals = one.totals()
        assert (totals.connected, totals.in_flight, totals.frames_sent) == (True, 2, 5)
        assert totals.stalled_s > stay_s
        between.rate = FAST
        for number in range(5, 8):
            one.send(number, inputs[number])
    assert came == [(number, float(number)) for number in range(8)]
    wait_until(lambda: one.totals().in_flight == 0, "everything is begun")
    assert one.totals().stalled_s == 0.0
    assert (one.totals().reconnects, two.totals().reconnects) == (0, 0)
    assert one.plane.dropped() == two.plane.dropped() == {}


def test_a_link_that_breaks_while_it_crawls_comes_back_and_says_what_was_lost(
    ends: tuple[End, End, SlowLink],
) -> None:
    one, two, between = ends
    array = arrays(SHAPE, 1)[0]
    came: list[tuple[int, bool]] = []
    with Consumption(two, 6, lambda frame, tensors: came.append((frame, tensors is not None))):
        one.send(0, array)
        wait_until(lambda: bool(came) and one.totals().in_flight == 0, "the first is begun")
        between.rate = CRAWL
        one.send(1, array)
        one.send(2, array)
        wait_until(lambda: one.totals().stalled_s > 0.3, "it is seen to be stalled")
        between.cut()
        wait_until(lambda: not one.totals().connected, "it is seen to be broken")
        between.rate = FAST
        for number in (3, 4, 5):
            one.send(number, array)
    assert came == [(0, True), (1, False), (2, False), (3, True), (4, True), (5, True)]
    assert one.totals().connected
    assert (one.totals().reconnects, two.totals().reconnects) == (1, 1)


def test_a_device_that_freezes_is_seen_and_goes_on_where_it_was(tmp_path: Path) -> None:
    """Its kernel keeps the connections, so nothing is lost."""
    with ExitStack() as stack:
        agents = {device: stack.enter_context(AgentProcess(tmp_path / device)) for device in ("one", "two")}
        rig = Rig(chain("one", "two"), agents)
        door = rig.open()
        stack.callback(door.close)
        inputs = frames(10)
        expected = oracle(rig.network, inputs)
        assert_same(run_all(door, inputs[:3]), expected[:3])
        os.kill(agents["two"].process.pid, signal.SIGSTOP)
        try:
            waiting = [door.submit({"x": array}, timeout_s=DEADLINE_S) for array in inputs[3:7]]

            def is_stalled() -> bool:
                (way,) = [each for each in agents["one"].control.telemetry().links if each.link == "s0>s1"]
                return (way.in_flight, way.connected, way.reconnects) == (2, True, 0) and way.stalled_s > 0.5

            wait_until(is_stalled, "the link to it is seen to be stalled")
        finally:
            os.kill(agents["two"].process.pid, signal.SIGCONT)
        assert_same([future.result(DEADLINE_S).outputs for future in waiting], expected[3:7])
        assert_same(run_all(door, inputs[7:]), expected[7:])
        assert door.stats().lost == 0
