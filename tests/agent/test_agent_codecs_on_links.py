"""Codecs on links: frames are encoded and decoded beside the sockets, in order, and bad bytes cost their frame only."""

import operator
import subprocess
import sys
import threading
from collections.abc import Mapping
from contextlib import closing

import msgspec
import numpy as np
import pytest
import zmq
from tests.agent.planes import LINK, Array, Consumption, End, Floats, arrays, introduce, link
from tests.agent.rig import DEADLINE_S, wait_until
from tests.agent.slow_link import SlowLink

from partition_agent.data_plane.coding import CodingThread
from partition_agent.data_plane.wire import carried_by, pack, pack_frame
from partition_agent.protocol import (
    MAGIC,
    CreditMessage,
    FrameMessage,
    FrameRoute,
    LinkCodec,
    OpenMessage,
    PeerAddress,
    TensorHeader,
)

SHAPE = (1, 8, 16, 16)


def exchange(one: End, two: End, sent: list[Floats]) -> dict[int, Floats | None]:
    """Send every third frame as a loss; return what came of each, in the order in which it came."""
    found: dict[int, Floats | None] = {}

    def keep(frame: int, tensors: Mapping[str, Array] | None) -> None:
        found[frame] = None if tensors is None else tensors["x"].astype(np.float32)

    with Consumption(two, len(sent), keep):
        for number, array in enumerate(sent):
            if number % 3 == 2:
                one.lose(number, "it was not computed")
            else:
                one.send(number, array)
    return found


@pytest.mark.parametrize("codec", ["lz4", "zstd", "rle"])
def test_frames_and_losses_of_a_coded_link_come_bit_for_bit_and_in_order(codec: str) -> None:
    spec = link(SHAPE, codecs=[LinkCodec(codec)])
    sent = arrays(SHAPE, 60)
    with End("one", spec) as one, End("two", spec) as two:
        introduce(one, two)
        found = exchange(one, two, sent)
        assert list(found) == list(range(60))
        for number, array in enumerate(sent):
            if number % 3 == 2:
                assert found[number] is None
            else:
                np.testing.assert_array_equal(found[number], array)
        assert two.by == {"decode"}
        out, back = one.totals(), two.totals()
        assert out.frames_sent == back.frames_received == 40
        assert out.bytes_sent == back.bytes_received == 40 * sent[0].nbytes
        assert out.wire_bytes_sent == back.wire_bytes_received < 0.9 * out.bytes_sent
        assert out.encode_s > 0
        assert back.decode_s > 0
        wait_until(lambda: one.totals().in_flight == 0, "everything was begun")


def test_a_lossy_codec_stays_within_its_step() -> None:
    spec = link(SHAPE, codecs=[LinkCodec("int8+zstd")])
    sent = arrays(SHAPE, 6)
    with End("one", spec) as one, End("two", spec) as two:
        introduce(one, two)
        found = exchange(one, two, sent)
    for number in (0, 1, 3, 4):
        array = found[number]
        assert array is not None
        assert float(np.abs(array - sent[number]).max()) <= float(np.abs(sent[number]).max()) / 127


def test_frames_of_a_link_without_codec_pass_no_coding_thread_and_are_not_copied() -> None:
    """Above the size from which sending copies nothing."""
    shape = (1, 64, 32, 32)
    spec = link(shape, codecs=[LinkCodec()])
    sent = arrays(shape, 4)
    with End("one", spec) as one, End("two", spec) as two:
        introduce(one, two)
        parts = pack_frame("d", 1, LINK, carried_by(spec), 0, FrameRoute(), {"x": sent[0]})
        assert np.shares_memory(parts[1], sent[0])
        owners = []

        def note(frame: int, tensors: Mapping[str, Array] | None) -> None:
            assert tensors is not None
            np.testing.assert_array_equal(tensors["x"], sent[frame])
            owners.append(tensors["x"].flags.owndata)

        with Consumption(two, 4, note):
            for number, array in enumerate(sent):
                one.send(number, array)
        assert owners == [False] * 4
        assert two.by == {"links"}
        assert one.totals().encode_s == two.totals().decode_s == 0.0


def test_frames_of_a_coded_link_that_breaks_come_once_or_are_reported_lost() -> None:
    spec = link(SHAPE, codecs=[LinkCodec("zstd")])
    sent = arrays(SHAPE, 80)
    found: dict[int, bool] = {}

    def keep(frame: int, tensors: Mapping[str, Array] | None) -> None:
        assert frame not in found
        found[frame] = tensors is not None
        if tensors is not None:
            np.testing.assert_array_equal(tensors["x"], sent[frame])

    with End("one", spec) as one, End("two", spec) as two, SlowLink(two.plane.port, rate=2e6, delay_s=0.0) as between:
        introduce(one, two, port=between.port)
        with Consumption(two, 80, keep):
            for number, array in enumerate(sent):
                if number % 20 == 10:
                    between.cut()
                one.send(number, array)
        assert list(found) == list(range(80))
        assert sum(found.values()) >= 60
        assert one.totals().reconnects == 4
        wait_until(lambda: one.totals().in_flight == 0, "everything was begun")
        assert one.plane.dropped() == two.plane.dropped() == {}


#: 256 TiB for who writes it down: more than any process can address.
ENDLESS = np.broadcast_to(np.float32(1), (1, 1 << 46))


@pytest.mark.parametrize("codec", ["none", "zstd"])
def test_a_frame_that_cannot_be_packed_is_reported_lost_and_those_behind_it_come(codec: str) -> None:
    spec = link(SHAPE, codecs=[LinkCodec(codec)])
    good = arrays(SHAPE, 1)[0]
    came: list[tuple[int, bool]] = []
    with End("one", spec) as one, End("two", spec) as two:
        introduce(one, two)
        with Consumption(two, 6, lambda frame, tensors: came.append((frame, tensors is not None))):
            for number in range(6):
                one.send(number, ENDLESS if number in (1, 2) else good)
        assert came == [(number, number not in (1, 2)) for number in range(6)]
        wait_until(lambda: one.totals().in_flight == 0, "everything was begun")
        assert one.plane.dropped() == {"not_packed": 2}
        assert "one could not pack it" in two.arrived[1][2]


def test_frames_of_a_link_whose_codec_nobody_knows_are_reported_lost() -> None:
    spec = link(SHAPE, codecs=[LinkCodec("quipu")])
    with End("one", spec) as one, End("two", spec) as two:
        introduce(one, two)
        for number, array in enumerate(arrays(SHAPE, 5)):
            one.send(number, array)
            assert two.begin() == (number, None, "one could not pack it for its link: unknown codec 'quipu'")
        wait_until(lambda: one.totals().in_flight == 0, "everything was begun")


SHORT_OF_MEMORY = """
import resource
import numpy as np
from partition_agent.protocol import FrameRoute, LinkCodec, LinkSpec, TensorSpec
from partition_agent.data_plane.wire import carried_by, pack_frame
spec = LinkSpec("l", "a", "b", "one", "two", (TensorSpec("x", "float32", (1 << 23,)),), 2, (LinkCodec("zstd"),))
carried, small = carried_by(spec), {"x": np.zeros(1000, np.float32)}
array = np.random.default_rng(1).random(1 << 23, np.float32)
assert pack_frame("d", 1, "l", carried, 0, FrameRoute(), small)[1].nbytes < 1000
held = 4096 * int(open("/proc/self/statm").read().split()[0])
resource.setrlimit(resource.RLIMIT_AS, (held + (8 << 20), -1))
part = pack_frame("d", 1, "l", carried, 0, FrameRoute(), {"x": array})[1]
assert np.shares_memory(part, array)
"""


def test_a_frame_for_whose_encoding_there_is_no_memory_travels_as_it_is() -> None:
    ended = subprocess.run([sys.executable, "-c", SHORT_OF_MEMORY], capture_output=True, text=True)
    assert ended.returncode == 0, ended.stderr


def test_a_coding_thread_goes_on_after_a_job_that_failed() -> None:
    done = threading.Event()
    with closing(CodingThread("encode")) as coder:
        coder.put(lambda: operator.truediv(1, 0))
        coder.put(done.set)
        assert done.wait(DEADLINE_S)


class HandMadeProducer:
    """The producer's end of a link, which sends what it likes but keeps to its credit."""

    def __init__(self, two: End) -> None:
        self._context = zmq.Context()
        self._socket = self._context.socket(zmq.DEALER)
        public, secret = zmq.curve_keypair()
        self._socket.curve_serverkey = two.plane.public_key.encode()
        self._socket.curve_secretkey, self._socket.curve_publickey = secret, public
        two.plane.connect([PeerAddress("one", "127.0.0.1", 1, public.decode())])
        self._socket.connect(f"tcp://127.0.0.1:{two.plane.port}")
        self._socket.send(pack(OpenMessage("d", 1, LINK, 0)))
        self._credit = 0

    def send(self, frame: int, header: TensorHeader, data: bytes) -> None:
        while not self._credit:
            assert self._socket.poll(int(DEADLINE_S * 1000)), f"no credit for frame {frame}"
            self._credit += msgspec.msgpack.decode(self._socket.recv()[len(MAGIC) :], type=CreditMessage).count
        self._credit -= 1
        self._socket.send_multipart([pack(FrameMessage("d", 1, LINK, frame, (header,), FrameRoute(frame - 1))), data])

    def close(self) -> None:
        self._context.destroy(linger=0)


BAD_BYTES: list[tuple[str, str, bytes]] = [
    ("bad_encoding", "zstd", np.random.default_rng(3).bytes(500)),
    ("bad_encoding", "lz4", np.random.default_rng(4).bytes(500)),
    ("bad_encoding", "rle", np.random.default_rng(5).bytes(500)),
    ("bad_encoding", "int8+lz4", bytes(500)),
    ("bad_encoding", "pickle", bytes(500)),
    ("bad_encoding", "zstd", bytes(8192)),
    ("wrong_length", "none", bytes(500)),
]


def test_bytes_that_cannot_be_decoded_cost_their_frame_and_give_their_credit_back() -> None:
    spec = link(SHAPE, codecs=[LinkCodec("zstd")])
    good = arrays(SHAPE, 1)[0]
    with End("two", spec) as two, closing(HandMadeProducer(two)) as producer:
        came: list[tuple[int, bool]] = []
        with Consumption(two, 2 * len(BAD_BYTES), lambda frame, tensors: came.append((frame, tensors is not None))):
            for number, (_, codec, data) in enumerate(BAD_BYTES):
                producer.send(2 * number, TensorHeader("x", "float32", SHAPE, codec, len(data)), data)
                producer.send(2 * number + 1, TensorHeader("x", "float32", SHAPE, "none", 8192), good.tobytes())
        assert came == [(number, number % 2 == 1) for number in range(2 * len(BAD_BYTES))]
        assert two.plane.dropped() == {"bad_encoding": 6, "wrong_length": 1}
        assert two.totals().frames_received == len(BAD_BYTES)
