"""Connections that break under way: each frame is delivered once or reported lost, and then it goes on."""

import os
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import Future
from contextlib import ExitStack
from pathlib import Path

import msgspec
import pytest
from tests.agent.rig import DEADLINE_S, AgentProcess, Rig, assert_close, assert_same, chain, frames, oracle, run_all

from partition_agent.protocol import STUDIO_PEER, Connect, Done, PeerAddress
from partition_studio.deployment.front_door import FrameLostError, FrameResult


class CuttingProxy:
    """Passes TCP connections on to a port, until told to cut all that there are."""

    def __init__(self, port: int, *, begin: bool = True) -> None:
        """Without `begin`, connections wait until `begin` is called."""
        self._target = port
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self._lock = threading.Lock()
        self._sockets: list[socket.socket] = []
        self._closed = False
        self.connections = 0
        self._thread = threading.Thread(target=self._accept)
        if begin:
            self.begin()

    def begin(self) -> None:
        self._thread.start()

    def _accept(self) -> None:
        while True:
            try:
                near, _ = self._listener.accept()
            except OSError:
                return
            far = socket.create_connection(("127.0.0.1", self._target))
            with self._lock:
                if self._closed:
                    near.close()
                    far.close()
                    return
                self.connections += 1
                self._sockets += [near, far]
            for source, target in ((near, far), (far, near)):
                threading.Thread(target=self._pass_on, args=(source, target), daemon=True).start()

    @staticmethod
    def _pass_on(source: socket.socket, target: socket.socket) -> None:
        try:
            while data := source.recv(1024):
                target.sendall(data)
        except OSError:
            return

    def cut(self) -> None:
        with self._lock:
            sockets, self._sockets = self._sockets, []
        for each in sockets:
            try:
                each.shutdown(socket.SHUT_RDWR)
            except OSError:
                # The other side was faster.
                continue
            finally:
                each.close()

    def close(self) -> None:
        with self._lock:
            self._closed = True
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self.cut()
        self._thread.join()


@pytest.fixture
def rig(tmp_path: Path) -> Iterator[Rig]:
    with ExitStack() as stack:
        agents = {device: stack.enter_context(AgentProcess(tmp_path / device)) for device in ("one", "two")}
        rig = Rig(chain("one", "two"), agents)
        rig.prepare()
        yield rig


def through(peer: PeerAddress, proxy: CuttingProxy) -> PeerAddress:
    return msgspec.structs.replace(peer, port=proxy.port)


@pytest.mark.parametrize("where", ["between two devices", "between the studio and the first", "and the last"])
def test_frames_over_a_connection_that_breaks_come_once_or_are_reported_lost(rig: Rig, where: str) -> None:
    one, two = rig.peers
    proxy = CuttingProxy(one.port if "first" in where else two.port)
    door = rig.door()
    try:
        studio = PeerAddress(STUDIO_PEER, "", 0, door.public_key)
        seen_by_one = through(two, proxy) if "devices" in where else two
        assert rig.agents["one"].control.call(Connect("d", 1, (one, seen_by_one, studio))) == Done()
        assert rig.agents["two"].control.call(Connect("d", 1, (one, two, studio))) == Done()
        door.connect(
            [through(one, proxy) if "first" in where else one, through(two, proxy) if "last" in where else two]
        )
        inputs = frames(120)
        expected = oracle(rig.network, inputs)
        futures: list[Future[FrameResult]] = []
        for number, array in enumerate(inputs):
            futures.append(door.submit({"x": array}, timeout_s=DEADLINE_S))
            if number % 25 == 20:
                proxy.cut()
        delivered = 0
        for number, future in enumerate(futures):
            try:
                result = future.result(DEADLINE_S)
            except FrameLostError:
                continue
            delivered += 1
            assert_close(result.outputs["s1"], expected[number]["s1"])
        assert proxy.connections > 1, "it was never cut"
        assert delivered >= 60
        stats = door.stats()
        assert (stats.submitted, stats.delivered + stats.lost, stats.in_flight) == (120, 120, 0)
        assert stats.delivered == delivered
        # And then it goes on as if nothing had been, with the whole window.
        assert_same(run_all(door, inputs[:20]), expected[:20])
        assert door.stats().lost == stats.lost
    finally:
        door.close()
        proxy.close()


def test_a_connection_back_that_opens_late_takes_no_credit_away(rig: Rig) -> None:
    """Links both ways between two devices: the one is full before the other's connection stands."""
    back = Rig(chain("one", "two", "one"), rig.agents, name="both ways")
    back.prepare()
    one, two = back.peers
    proxy = CuttingProxy(one.port, begin=False)
    door = back.door()
    try:
        studio = PeerAddress(STUDIO_PEER, "", 0, door.public_key)
        assert rig.agents["one"].control.call(Connect("both ways", 1, (one, two, studio))) == Done()
        assert rig.agents["two"].control.call(Connect("both ways", 1, (through(one, proxy), two, studio))) == Done()
        door.connect(back.peers)
        inputs = frames(6)
        waiting = [door.submit({"x": array}, timeout_s=DEADLINE_S) for array in inputs[:2]]
        for _ in range(30):
            queued = {stage.stage: stage.queued for stage in rig.agents["two"].control.telemetry().stages}
            if queued["s1"] == 2:
                break
        assert queued["s1"] == 2, "the window is full"
        proxy.begin()
        waiting += [door.submit({"x": array}, timeout_s=DEADLINE_S) for array in inputs[2:]]
        found = [future.result(DEADLINE_S).outputs for future in waiting]
        assert_same(found, oracle(back.network, inputs))
        assert rig.agents["one"].control.telemetry().dropped == rig.agents["two"].control.telemetry().dropped == {}
    finally:
        door.close()
        proxy.close()


NO_THREAD = """
import resource, threading
import numpy as np
from tests.agent.planes import End, introduce, link
SHAPE = (1, 1 << 18)
with End("one", link(SHAPE)) as one, End("two", link(SHAPE)) as two:
    introduce(one, two)
    one.lose(0, "so that both ends are ready")
    assert two.begin() == (0, None, "so that both ends are ready")
    threading.stack_size(256 << 20)
    held = 4096 * int(open("/proc/self/statm").read().split()[0])
    resource.setrlimit(resource.RLIMIT_AS, (held + (64 << 20), -1))
    one.send(1, np.zeros(SHAPE, np.float32))
    frame, tensors, reason = two.begin()
    assert (frame, tensors) == (1, None), (frame, reason)
    resource.setrlimit(resource.RLIMIT_AS, (-1, -1))
    for number in (2, 3):
        one.send(number, np.full(SHAPE, number, np.float32))
        frame, tensors, reason = two.begin()
        assert frame == number and tensors is not None and (tensors["x"] == number).all(), (frame, reason)
    assert two.plane.dropped() == {"wrong_length": 1}, two.plane.dropped()
"""


def test_a_message_that_breaks_off_for_want_of_a_thread_takes_nothing_of_the_next_one_with_it() -> None:
    """What is sent without a copy needs one of the library's own, which begins with the first such part."""
    ended = subprocess.run(
        [sys.executable, "-c", NO_THREAD], capture_output=True, text=True, env={**os.environ, "PYTHONPATH": os.curdir}
    )
    assert ended.returncode == 0, ended.stderr
