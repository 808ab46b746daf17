"""Peers that misbehave: refused, counted by reason, and without effect on the frames of the others."""

import select
import socket
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path

import msgspec
import numpy as np
import pytest
import zmq
from tests.agent.raw_peer import RawPeer
from tests.agent.rig import (
    DEADLINE_S,
    SHAPE,
    AgentProcess,
    Rig,
    assert_same,
    chain,
    frames,
    oracle,
    run_all,
    wait_until,
)
from zmq.utils.monitor import recv_monitor_message

from partition_agent.data_plane.wire import pack
from partition_agent.protocol import (
    MAGIC,
    CreditMessage,
    Done,
    End,
    FrameMessage,
    LostMessage,
    OpenMessage,
    PeerAddress,
    TensorHeader,
)
from partition_studio.deployment.front_door import FrontDoor

NETWORK = chain("one", "two")


class Peer:
    """A peer of the data plane made by hand."""

    def __init__(self, address: PeerAddress) -> None:
        self.context = zmq.Context()
        self.socket = self.context.socket(zmq.DEALER)
        public, secret = zmq.curve_keypair()
        self.key = public.decode()
        self.socket.curve_serverkey = address.public_key.encode()
        self.socket.curve_secretkey, self.socket.curve_publickey = secret, public
        self.monitor = self.socket.get_monitor_socket(zmq.EVENT_DISCONNECTED | zmq.EVENT_HANDSHAKE_SUCCEEDED)
        self.endpoint = f"tcp://{address.host}:{address.port}"

    def connect(self) -> int:
        """Connect and return what happens first: let in, or cut off."""
        self.socket.connect(self.endpoint)
        assert self.monitor.poll(int(DEADLINE_S * 1000)), "neither let in nor cut off"
        event: int = recv_monitor_message(self.monitor)["event"]
        return event

    def say(self, *parts: bytes) -> None:
        self.socket.send_multipart(parts)

    def close(self) -> None:
        self.context.destroy(linger=0)


@pytest.fixture(scope="module")
def agents(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, AgentProcess]]:
    with ExitStack() as stack:
        folder = tmp_path_factory.mktemp("agents")
        yield {device: stack.enter_context(AgentProcess(folder / device)) for device in ("one", "two")}


class CountingRig(Rig):
    """A rig on agents that have refused things before."""

    def prepare(self) -> None:
        super().prepare()
        self.before = dict(self.agents["one"].control.telemetry().dropped)

    def dropped(self) -> dict[str, int]:
        """What agent one has refused since."""
        counts = self.agents["one"].control.telemetry().dropped
        return {reason: n for reason, count in counts.items() if (n := count - self.before.get(reason, 0))}


@pytest.fixture
def rig(agents: dict[str, AgentProcess]) -> Iterator[CountingRig]:
    rig = CountingRig(NETWORK, agents)
    rig.prepare()
    yield rig
    for agent in agents.values():
        assert agent.control.call(End("d")) == Done()


@pytest.fixture
def peer(rig: CountingRig) -> Iterator[Peer]:
    peer = Peer(rig.peers[0])
    yield peer
    peer.close()


def dropped(rig: CountingRig, until: Callable[[dict[str, int]], bool]) -> dict[str, int]:
    """What agent one has refused, as soon as `until` is so."""
    for _ in range(10):
        counts = rig.dropped()
        if until(counts):
            return counts
    raise AssertionError(f"not refused: {counts}")


def test_a_key_that_is_not_admitted_gets_nothing_before_and_after_connect(rig: CountingRig, peer: Peer) -> None:
    assert peer.connect() == zmq.EVENT_DISCONNECTED
    door = rig.door()
    try:
        rig.admit(door.public_key)
        door.connect(rig.peers)
        with closing(Peer(rig.peers[0])) as stranger:
            assert stranger.connect() == zmq.EVENT_DISCONNECTED
            assert not stranger.socket.poll(0)
        assert_same(run_all(door, frames(10)), oracle(NETWORK, frames(10)))
        assert dropped(rig, lambda counts: counts.get("not_admitted", 0) >= 1).keys() == {"not_admitted"}
    finally:
        door.close()


def headers(
    *, name: str = "x", dtype: str = "float32", shape: Sequence[int] = SHAPE, codec: str = "none", length: int = 1024
) -> tuple[TensorHeader, ...]:
    return (TensorHeader(name, dtype, tuple(shape), codec, length),)


DATA = bytes(1024)
LINK = "source>s0"

#: What a peer says, and the reason under which it is refused.
BAD: list[tuple[str, list[bytes]]] = [
    ("bad_magic", [b"PSD9" + b"\x90"]),
    ("bad_magic", [b""]),
    ("header_too_long", [MAGIC + b"x" * 66_000]),
    ("bad_header", [MAGIC + b"\xff\xff"]),
    ("bad_header", [MAGIC + msgspec.msgpack.encode([9, "d", 1, LINK])]),
    ("wrong_epoch", [pack(OpenMessage("d", 0, LINK))]),
    ("wrong_epoch", [pack(OpenMessage("other", 1, LINK))]),
    ("unknown_link", [pack(OpenMessage("d", 1, "source>nowhere"))]),
    ("wrong_peer", [pack(OpenMessage("d", 1, "s0>s1"))]),
    ("wrong_peer", [pack(CreditMessage("d", 1, "s0>s1", 2, True))]),
    ("wrong_peer", [pack(CreditMessage("d", 1, LINK, 1))]),
    ("wrong_tensors", [pack(FrameMessage("d", 1, LINK, 1, ()))]),
    ("wrong_tensors", [pack(FrameMessage("d", 1, LINK, 1, headers())), DATA, DATA]),
    ("wrong_tensors", [pack(FrameMessage("d", 1, LINK, 1, headers(name="y"))), DATA]),
    ("wrong_tensors", [pack(OpenMessage("d", 1, LINK)), DATA]),
    ("wrong_dtype", [pack(FrameMessage("d", 1, LINK, 1, headers(dtype="int32"))), DATA]),
    ("wrong_shape", [pack(FrameMessage("d", 1, LINK, 1, headers(shape=(1, 4, 8, 9)))), DATA]),
    ("wrong_length", [pack(FrameMessage("d", 1, LINK, 1, headers())), DATA[1:]]),
    ("wrong_length", [pack(FrameMessage("d", 1, LINK, 1, headers(length=1 << 40))), DATA]),
    ("wrong_codec", [pack(FrameMessage("d", 1, LINK, 1, headers(codec="pickle"))), DATA]),
    ("wrong_codec", [pack(FrameMessage("d", 1, LINK, 1, headers(codec="zstd"))), DATA]),
    ("bad_frame_number", [pack(FrameMessage("d", 1, LINK, -1, headers())), DATA]),
    ("bad_frame_number", [pack(LostMessage("d", 1, LINK, -5, "no"))]),
]


def test_every_kind_of_bad_message_is_counted_by_its_reason_and_harms_nothing(rig: CountingRig, peer: Peer) -> None:
    """The peer is admitted as the studio here: it may speak on `source>s0`, and still nothing bad is taken."""
    rig.admit(peer.key)
    assert peer.connect() == zmq.EVENT_HANDSHAKE_SUCCEEDED
    for _, parts in BAD:
        peer.say(*parts)
    expected: dict[str, int] = {}
    for reason, _ in BAD:
        expected[reason] = expected.get(reason, 0) + 1
    assert dropped(rig, lambda counts: sum(counts.values()) >= len(BAD)) == expected
    door = rig.door()
    try:
        rig.admit(door.public_key)
        door.connect(rig.peers)
        assert_same(run_all(door, frames(10)), oracle(NETWORK, frames(10)))
        # The key that was admitted before is out now, although its connection still stands.
        peer.say(pack(OpenMessage("d", 1, LINK)))
        dropped(rig, lambda counts: counts.get("unknown_peer", 0) == 1)
    finally:
        door.close()


def test_an_admitted_peer_cannot_speak_for_another(rig: CountingRig, peer: Peer) -> None:
    door = rig.door()
    try:
        rig.admit(door.public_key, [PeerAddress("three", "127.0.0.1", 1, peer.key)])
        door.connect(rig.peers)
        run_all(door, frames(2))
        # Under the identity that ZeroMQ would use to answer somebody else, too.
        peer.socket.setsockopt(zmq.ROUTING_ID, b"studio")
        assert peer.connect() == zmq.EVENT_HANDSHAKE_SUCCEEDED
        for frame in range(20):
            peer.say(pack(FrameMessage("d", 1, LINK, frame, headers())), DATA)
            peer.say(pack(CreditMessage("d", 1, "s0>s1", 2, True)))
            peer.say(pack(LostMessage("d", 1, LINK, frame, "ha")))
        assert dropped(rig, lambda counts: counts.get("wrong_peer", 0) == 60).keys() == {"wrong_peer"}
        assert_same(run_all(door, frames(10)), oracle(NETWORK, frames(10)))
        assert not peer.socket.poll(0), "it was told nothing"
        stats = door.stats()
        assert (stats.delivered, stats.lost, stats.unexpected) == (12, 0, 0)
    finally:
        door.close()


def test_a_producer_without_credit_is_bounded(rig: CountingRig, peer: Peer) -> None:
    rig.admit(peer.key)
    assert peer.connect() == zmq.EVENT_HANDSHAKE_SUCCEEDED
    # Nobody takes what comes out at the end, so at last nothing is begun any more.
    for frame in range(100):
        peer.say(pack(FrameMessage("d", 1, LINK, frame, headers())), np.zeros(SHAPE, np.float32).tobytes())
    counts = dropped(rig, lambda counts: counts.get("over_window", 0) >= 80)
    assert counts.keys() == {"over_window"}
    (stage,) = rig.agents["one"].control.telemetry().stages
    assert stage.queued <= 4


@contextmanager
def opened(rig: CountingRig) -> Iterator[FrontDoor]:
    """The studio in the place of whoever was admitted in its name."""
    door = rig.door()
    try:
        rig.admit(door.public_key)
        door.connect(rig.peers)
        yield door
    finally:
        door.close()


def anonymous_bytes(agent: AgentProcess) -> int:
    """What the agent's memory holds that no file backs."""
    status = Path(f"/proc/{agent.process.pid}/status").read_text()
    return 1024 * int(next(line.split()[1] for line in status.splitlines() if line.startswith("RssAnon:")))


def test_a_message_of_an_admitted_peer_that_never_ends_takes_no_memory(rig: CountingRig) -> None:
    """ZeroMQ hands out no part before the last has come, and bounds its queues by whole messages."""
    with RawPeer(rig.peers[0], DEADLINE_S) as peer:
        rig.admit(peer.key)
        peer.connect()
        before_bytes = anonymous_bytes(rig.agents["one"])
        part = bytes(60_000)
        with pytest.raises(OSError, match=r"reset|Broken pipe"):
            while peer.sent_bytes < 1 << 30:
                peer.say(part, more=True)
        assert peer.sent_bytes < 128 << 20
        assert dropped(rig, lambda counts: "endless_message" in counts) == {"endless_message": 1}
        assert anonymous_bytes(rig.agents["one"]) - before_bytes < 32 << 20
    with opened(rig) as door:
        assert_same(run_all(door, frames(10)), oracle(NETWORK, frames(10)))


def test_a_message_with_more_parts_than_a_frame_has_is_refused_whatever_their_number(rig: CountingRig) -> None:
    with RawPeer(rig.peers[0], DEADLINE_S) as peer:
        rig.admit(peer.key)
        peer.connect()
        for number in range(2000):
            peer.say(pack(FrameMessage("d", 1, LINK, 1, headers())) if number == 0 else b"", more=number < 1999)
        assert dropped(rig, lambda counts: "wrong_tensors" in counts) == {"wrong_tensors": 1}


def test_a_part_that_is_longer_than_any_tensor_of_the_links_ends_the_connection(rig: CountingRig) -> None:
    with RawPeer(rig.peers[0], DEADLINE_S) as peer:
        rig.admit(peer.key)
        peer.connect()
        peer.say(pack(FrameMessage("d", 1, LINK, 1, headers())), more=True)
        peer.say(bytes(70_000), more=False)
        assert peer.is_cut()


def test_a_peer_that_disappears_in_the_middle_of_a_frame_leaves_nothing_behind(rig: CountingRig) -> None:
    for _ in range(20):
        with RawPeer(rig.peers[0], DEADLINE_S) as peer:
            rig.admit(peer.key)
            peer.connect()
            peer.say(pack(FrameMessage("d", 1, LINK, 1, headers())), more=True)
            peer.say_half(DATA)
    with opened(rig) as door:
        assert_same(run_all(door, frames(10)), oracle(NETWORK, frames(10)))
    assert rig.dropped() == {}


def test_bytes_that_cannot_be_read_cost_their_frame_and_no_credit(rig: CountingRig) -> None:
    """Each is a loss like any other: told to those behind, and its place in the window given back."""
    with RawPeer(rig.peers[0], DEADLINE_S) as peer:
        rig.admit(peer.key)
        peer.connect()
        for frame in range(3):
            peer.say(pack(FrameMessage("d", 1, LINK, frame, headers(length=1000))), more=True)
            peer.say(DATA[:1000], more=False)
        assert dropped(rig, lambda counts: counts.get("wrong_length", 0) == 3) == {"wrong_length": 3}
        (stage,) = rig.agents["one"].control.telemetry().stages
        # Nobody takes what comes out at the end: the window of the way out is full.
        assert (stage.frames, stage.lost) == (0, 2)
        assert stage.queued == 1


def test_strangers_who_only_connect_are_few_and_do_not_keep_peers_out(rig: CountingRig) -> None:
    with ExitStack() as stack:
        address = (rig.peers[0].host, rig.peers[0].port)
        strangers = [stack.enter_context(socket.create_connection(address, DEADLINE_S)) for _ in range(150)]
        for stranger in strangers:
            assert stranger.recv(64), "everybody is greeted"
        # The end of a connection can be read.
        wait_until(lambda: len(select.select(strangers, [], [], 0)[0]) >= 80, "most are cut")
        assert len(select.select(strangers[-20:], [], [], 0)[0]) == 0, "the newest stand"
        with opened(rig) as door:
            assert_same(run_all(door, frames(10)), oracle(NETWORK, frames(10)))
        assert rig.dropped().keys() == {"too_many_connections"}
