"""Links in plain text, for measuring: everything is as with keys, but that names are believed."""

import logging
from collections.abc import Iterator
from contextlib import closing, contextmanager

import pytest
import zmq
from tests.agent.planes import LINK, Consumption, End, arrays, introduce, link
from tests.agent.rig import wait_until
from tests.agent.slow_link import SlowLink

from partition_agent.data_plane.wire import pack
from partition_agent.protocol import FrameMessage, FrameRoute, OpenMessage, TensorHeader

SHAPE = (1, 4, 8, 8)
SPEC = link(SHAPE)


@contextmanager
def pair() -> Iterator[tuple[End, End]]:
    with End("one", SPEC, plaintext=True) as one, End("two", SPEC, plaintext=True) as two:
        yield one, two


def test_plain_text_is_said_aloud_once_and_has_no_keys(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING), pair() as (one, two):
        assert one.plane.public_key == two.plane.public_key == ""
        introduce(one, two)
        came: list[int] = []
        with Consumption(two, 20, lambda frame, tensors: came.append(frame)):
            for number, array in enumerate(arrays(SHAPE, 20)):
                one.send(number, array)
        assert came == list(range(20))
    loud = [record for record in caplog.records if record.message == "plaintext_links"]
    assert [record.levelno for record in loud] == [logging.WARNING] * 2, "one for each device"


def test_a_connection_that_breaks_comes_back_under_its_name() -> None:
    with pair() as (one, two), SlowLink(two.plane.port, rate=100e6, delay_s=0.0) as between:
        introduce(one, two, port=between.port)
        came: list[int] = []
        with Consumption(two, 20, lambda frame, tensors: came.append(frame)):
            for number, array in enumerate(arrays(SHAPE, 20)):
                if number in (7, 14):
                    between.cut()
                    wait_until(lambda: not one.totals().connected, "it is broken")
                one.send(number, array)
        assert came == list(range(20))
        assert one.totals().reconnects == two.totals().reconnects == 2


class Stranger:
    """A socket without keys that calls itself by a name."""

    def __init__(self, name: bytes, port: int) -> None:
        self.context = zmq.Context()
        self.socket = self.context.socket(zmq.DEALER)
        self.socket.setsockopt(zmq.ROUTING_ID, name)
        self.socket.connect(f"tcp://127.0.0.1:{port}")

    def close(self) -> None:
        self.context.destroy(linger=0)


@pytest.mark.parametrize("name", [b"three", b"\xff\xfe", b"two"])
def test_who_is_not_on_the_list_of_names_is_not_heard(name: bytes) -> None:
    with pair() as (one, two), closing(Stranger(name, two.plane.port)) as stranger:
        introduce(one, two)
        header = TensorHeader("x", "float32", SHAPE, "none", 1024)
        for number in range(5):
            stranger.socket.send(pack(OpenMessage("d", 1, LINK, 0)))
            stranger.socket.send_multipart(
                [pack(FrameMessage("d", 1, LINK, number, (header,), FrameRoute(number - 1))), bytes(1024)]
            )
        wait_until(lambda: sum(two.plane.dropped().values()) == 10, "all is refused")
        assert two.plane.dropped() == {"unknown_peer": 10}
        assert two.arrived == []
        one.send(0, arrays(SHAPE, 1)[0])
        assert two.begin()[0] == 0


def test_a_socket_with_keys_and_one_without_do_not_come_together() -> None:
    with End("one", SPEC, plaintext=True) as one, End("two", SPEC) as two:
        two.plane.connect([one.address])
        one.plane.connect([two.address])
        with closing(Stranger(b"one", two.plane.port)) as stranger:
            stranger.socket.send(pack(OpenMessage("d", 1, LINK, 0)))
            assert not stranger.socket.poll(300)
        assert not one.totals().connected
        assert two.arrived == []
