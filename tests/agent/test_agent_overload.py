"""Overload: a source that never rests before a consumer that does; what is held is what the window allows."""

import threading
from collections.abc import Mapping
from contextlib import closing
from pathlib import Path

import pytest
import zmq
from tests.agent.planes import LINK, Array, Consumption, End, arrays, introduce, link
from tests.agent.rig import DEADLINE_S, wait_until

from partition_agent.data_plane.wire import pack
from partition_agent.protocol import CreditMessage, LinkCodec, PeerAddress

#: 0.8 MB: the cut of a ResNet-50.
SHAPE = (1, 256, 28, 28)
FRAME_BYTES = 4 * 256 * 28 * 28
WINDOW = 2
FRAMES = 250

#: A frame under way may lie in the producer's message, its ciphertext, both kernels' buffers, the consumer's
#: ciphertext, its plain text and the tensor that was made of it.
COPIES = 7

#: What the allocator keeps for later, and threads.
SLACK_BYTES = 24 << 20


def anonymous_bytes() -> int:
    status = Path("/proc/self/status").read_text()
    return 1024 * int(next(line.split()[1] for line in status.splitlines() if line.startswith("RssAnon:")))


@pytest.mark.parametrize("codec", ["none", "lz4"])
def test_memory_stays_within_the_windows_however_many_frames_are_offered(codec: str) -> None:
    """What was offered is six times what may ever be held."""
    spec = link(SHAPE, codecs=[LinkCodec(codec)], window=WINDOW)
    array = arrays(SHAPE, 1)[0]
    pause = threading.Event()
    held: list[int] = []

    def take_slowly(frame: int, tensors: Mapping[str, Array] | None) -> None:
        pause.wait(0.004)
        held.append(anonymous_bytes())

    with End("one", spec) as one, End("two", spec) as two:
        introduce(one, two)
        one.send(0, array)
        two.begin()
        before_bytes = anonymous_bytes()
        with Consumption(two, FRAMES - 1, take_slowly):
            for number in range(1, FRAMES):
                one.send(number, array)
                assert one.totals().in_flight <= WINDOW
        allowed_bytes = COPIES * WINDOW * FRAME_BYTES + SLACK_BYTES
        assert 5 * allowed_bytes < FRAMES * FRAME_BYTES
        assert max(held) - before_bytes < allowed_bytes
        assert one.totals().frames_sent == two.totals().frames_received == FRAMES
        assert one.plane.dropped() == two.plane.dropped() == {}


class Squanderer:
    """A consumer that grants what it likes, and after the producer's first message reads nothing."""

    def __init__(self, one: End) -> None:
        self._context = zmq.Context()
        self._socket = self._context.socket(zmq.ROUTER)
        public, secret = zmq.curve_keypair()
        self._socket.curve_server, self._socket.curve_secretkey = True, secret
        self._socket.setsockopt(zmq.RCVBUF, 1 << 16)
        self._socket.rcvhwm = 1
        port = self._socket.bind_to_random_port("tcp://127.0.0.1")
        one.plane.connect([PeerAddress("two", "127.0.0.1", port, public.decode())])
        assert self._socket.poll(int(DEADLINE_S * 1000)), "the producer never came"
        self._producer = self._socket.recv_multipart()[0]

    def grant(self, count: int, *, at: int | None = None) -> None:
        message = CreditMessage("d", 1, LINK, count, at is not None, at)
        self._socket.send_multipart([self._producer, pack(message)])

    def close(self) -> None:
        self._context.destroy(linger=0)


def test_a_consumer_that_grants_without_end_and_reads_nothing_gets_no_more_than_queues_hold() -> None:
    array = arrays(SHAPE, 1)[0]
    with End("one", link(SHAPE, window=WINDOW)) as one, closing(Squanderer(one)) as two:
        two.grant(WINDOW, at=0)
        while "bad_credit" not in one.plane.dropped():
            wait_until(lambda: one.has_credit or "bad_credit" in one.plane.dropped(), "the grant came")
            while one.has_credit:
                one.send(one.sent, array)
                # What the kernel holds, the queue of the socket, and a window that waits for it.
                assert one.sent < 32
            two.grant(WINDOW)
        assert one.sent > 2 * WINDOW
        assert one.totals().in_flight <= WINDOW
