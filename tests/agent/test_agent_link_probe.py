"""Link measurements: right figures, bounded in time and bytes, and unharmed by peers that misbehave."""

import heapq
import threading
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from pathlib import Path

import pytest
import zmq
from tests.agent.rig import AgentProcess, wait_until
from tests.agent.slow_link import SlowLink
from tests.agent.test_agent_hostile import Peer

from partition_agent.link_probing.prober import LinkProber
from partition_agent.link_probing.rate import MAX_CHUNK_BYTES, MAX_WINDOW_BYTES, Ask, ProbeError, RateMeter
from partition_agent.link_probing.talk import Bye, Chunk, Give, Outcome, Ping, Receive, pack
from partition_agent.protocol import (
    CancelJob,
    Done,
    Failed,
    LinkFigures,
    LinkKey,
    LinkKeyMade,
    LinkListen,
    LinkListening,
    LinkMeasure,
    LinkMeasured,
    PeerAddress,
)
from partition_agent.refusal import RefusedError

HERE = "127.0.0.1"
MBIT = 1e6 / 8

# --- the rate, on a simulated link -----------------------------------------------------------------------------------


def simulate(rate: float, rtt_s: float, *, budget_s: float = 1.0, max_bytes: int = 64 << 20) -> tuple[LinkFigures, int]:
    """A link of `rate` bytes a second with TCP's slow start; returns the figures and the most that was under way."""
    meter = RateMeter(budget_s, max_bytes, rtt_s, 0.0)
    events: list[tuple[float, int, int]] = []
    sent_s, under_way, most, number = 0.0, 0, 0, 0

    def ask(wanted: Ask, now_s: float) -> None:
        nonlocal sent_s, under_way, most, number
        under_way += wanted.chunks * wanted.size_bytes
        most = max(most, under_way)
        sent_s = max(sent_s, now_s + rtt_s / 2)
        for _ in range(wanted.chunks):
            left = float(wanted.size_bytes)
            while left > 0:
                # The congestion window doubles with every round trip.
                window = 14_600 * 2 ** min((sent_s - rtt_s / 2) / max(rtt_s, 1e-6), 40)
                now_rate = min(rate, window / max(rtt_s, 1e-6))
                step = min(left, max(1500.0, left / 8))
                sent_s += step / now_rate
                left -= step
            number += 1
            heapq.heappush(events, (sent_s + rtt_s / 2, number, wanted.size_bytes))

    ask(meter.first(), 0.0)
    while not meter.is_done:
        now_s, _, size = heapq.heappop(events)
        under_way -= size
        wanted = meter.arrived(size, now_s)
        if wanted is not None:
            ask(wanted, now_s)
    return meter.figures(), most


@pytest.mark.parametrize(
    ("mbit", "rtt_s"), [(94, 0.0105), (94, 0.023), (5, 0.0105), (5, 0.1), (1, 0.05), (940, 0.001), (8000, 0.0001)]
)
def test_the_rate_is_the_links_and_not_that_of_slow_start(mbit: float, rtt_s: float) -> None:
    figures, most = simulate(mbit * MBIT, rtt_s)
    assert figures.bytes_per_s == pytest.approx(mbit * MBIT, rel=0.03)
    # Neither end holds more than passes in about a quarter of a second.
    assert most <= max(0.3 * mbit * MBIT, 4 * 64 * 1024)
    assert most <= MAX_WINDOW_BYTES
    assert figures.seconds <= 1.0 + 0.6


def test_a_pause_for_a_lost_packet_is_counted_with_what_it_held_up() -> None:
    """From 0.3 s to 0.7 s nothing comes, then what was held up comes at once, and it goes on as before."""
    meter = RateMeter(1.0, 64 << 20, 0.01, 0.0)
    size = meter.first().size_bytes
    sizes, rate, sent = deque([size] * 4), 5 * MBIT, 0
    while sizes:
        size = sizes.popleft()
        sent += size
        now_s = sent / rate
        ask = meter.arrived(size, 0.7 if 0.3 < now_s < 0.7 else now_s)
        if ask is not None:
            sizes.extend([ask.size_bytes] * ask.chunks)
    assert meter.is_done
    assert meter.figures().bytes_per_s == pytest.approx(rate, rel=0.05)


@pytest.mark.parametrize("max_bytes", [1, 100_000, 512 * 1024, 1 << 20])
def test_no_more_is_sent_than_allowed_and_little_is_enough_for_a_fair_figure(max_bytes: int) -> None:
    figures, _ = simulate(94 * MBIT, 0.0105, max_bytes=max_bytes)
    assert figures.sent_bytes <= max(max_bytes, 16 * 1024)
    if max_bytes >= 1 << 20:
        assert figures.bytes_per_s == pytest.approx(94 * MBIT, rel=0.1)


def test_a_chunk_that_was_not_asked_for_ends_the_measurement() -> None:
    meter = RateMeter(1.0, 1 << 20, 0.01, 0.0)
    first = meter.first()
    with pytest.raises(ProbeError):
        meter.arrived(first.size_bytes + 1, 0.1)
    greedy = RateMeter(1.0, first.size_bytes, 0.01, 0.0)
    greedy.arrived(greedy.first().size_bytes, 0.1)
    assert greedy.is_done
    with pytest.raises(ProbeError):
        greedy.arrived(first.size_bytes, 0.2)


# --- two ends --------------------------------------------------------------------------------------------------------


@pytest.fixture
def near() -> Iterator[LinkProber]:
    with closing(LinkProber()) as prober:
        yield prober


@pytest.fixture
def far() -> Iterator[LinkProber]:
    with closing(LinkProber()) as prober:
        yield prober


def listen(far: LinkProber, key: str, job: str = "j", seconds: float = 30.0) -> PeerAddress:
    listening = far.listen(LinkListen(job, HERE, key, seconds))
    return PeerAddress("far", HERE, listening.port, listening.public_key)


def meet(near: LinkProber, far: LinkProber) -> PeerAddress:
    return listen(far, near.key(LinkKey("j")).public_key)


def refusal(call: Callable[[], object]) -> str:
    with pytest.raises(RefusedError) as caught:
        call()
    return caught.value.failed.code


@pytest.mark.parametrize(("mbit", "least_mbit"), [(5, 2.5), (100, 10)])
def test_a_slow_link_is_measured_both_ways_and_neither_faster_than_it_is(
    near: LinkProber, far: LinkProber, mbit: int, least_mbit: float
) -> None:
    address = meet(near, far)
    with SlowLink(address.port, rate=mbit * MBIT, delay_s=0.005) as link:
        through = PeerAddress("far", HERE, link.port, address.public_key)
        measured = near.measure(LinkMeasure("j", through, 0.6))
    assert 0.01 <= measured.rtt_min_s <= measured.rtt_s
    for way in (measured.to_peer, measured.from_peer):
        # A busy machine may make it slower, the fast one much, as it passes it on; and nothing faster.
        assert least_mbit * MBIT < way.bytes_per_s < 1.1 * mbit * MBIT


def test_two_agents_measure_a_link_and_are_free_for_the_next_pair(tmp_path: Path) -> None:
    with ExitStack() as stack:
        one, two = (stack.enter_context(AgentProcess(tmp_path / name)) for name in ("one", "two"))
        descriptors, threads = 0, 0
        for turn, (a, b) in enumerate([(one, two), (two, one)] * 4):
            key = a.control.call(LinkKey("j"))
            assert isinstance(key, LinkKeyMade)
            listening = b.control.call(LinkListen("j", HERE, key.public_key))
            assert isinstance(listening, LinkListening), listening
            peer = PeerAddress("b", HERE, listening.port, listening.public_key)
            measured = a.control.call(LinkMeasure("j", peer, 0.3, 1 << 20))
            assert isinstance(measured, LinkMeasured), measured
            for way in (measured.to_peer, measured.from_peer):
                assert 0 < way.sent_bytes <= 1 << 20
                assert way.bytes_per_s > 1 * MBIT
            assert 0 < measured.rtt_min_s <= measured.rtt_s
            assert b.control.call(CancelJob("j")) == Done()
            if turn == 1:
                descriptors, threads = two.descriptors(), two.threads()
        # The pool of the calls' threads may still fill, and they open files; each of the six turns has sockets.
        wait_until(lambda: two.descriptors() <= descriptors + 2, "its descriptors are closed")
        assert two.threads() <= threads + 8


def test_one_measurement_at_a_time(near: LinkProber, far: LinkProber) -> None:
    meet(near, far)
    assert refusal(lambda: far.listen(LinkListen("other", HERE, "x" * 40))) == "busy"
    far.key(LinkKey("other"))
    peer = PeerAddress("x", HERE, 1, near.key(LinkKey("x")).public_key)
    assert refusal(lambda: far.measure(LinkMeasure("other", peer))) == "busy"
    far.cancel("j")
    assert far.listen(LinkListen("other", HERE, near.key(LinkKey("o")).public_key)).port > 0


def test_the_same_job_may_listen_again(near: LinkProber, far: LinkProber) -> None:
    first, second = meet(near, far), meet(near, far)
    assert first.public_key != second.public_key
    assert near.measure(LinkMeasure("j", second, 0.1, 65536)).to_peer.sent_bytes == 65536


def test_measuring_needs_a_key_made_for_the_job_and_uses_it_up(near: LinkProber, far: LinkProber) -> None:
    address = meet(near, far)
    near.measure(LinkMeasure("j", address, 0.1, 65536))
    assert refusal(lambda: near.measure(LinkMeasure("j", address))) == "unknown_job"


@pytest.mark.parametrize("host", ["no such host", "203.0.113.7.1", "fe80::1%nothing"])
def test_an_address_that_cannot_be_one_is_refused(near: LinkProber, far: LinkProber, host: str) -> None:
    assert refusal(lambda: far.listen(LinkListen("j", host, "x" * 40))) == "no_link_socket"
    near.key(LinkKey("j"))
    peer = PeerAddress("x", HERE, 0, "no key")
    assert refusal(lambda: near.measure(LinkMeasure("j", peer))) == "not_connected"


def test_cancelling_ends_a_measurement_that_waits_for_its_connection(near: LinkProber) -> None:
    key = near.key(LinkKey("j")).public_key
    peer = PeerAddress("nobody", HERE, 1, key)
    codes: list[str] = []
    thread = threading.Thread(target=lambda: codes.append(refusal(lambda: near.measure(LinkMeasure("j", peer)))))
    thread.start()
    wait_until(lambda: near.is_busy, "it has begun")
    near.cancel("another job")
    near.cancel("j")
    thread.join()
    assert codes == ["cancelled"]
    assert not near.is_busy


def test_a_listener_that_nobody_comes_to_closes_by_itself(near: LinkProber, far: LinkProber) -> None:
    before = threading.active_count()
    listen(far, near.key(LinkKey("j")).public_key, seconds=0.1)
    wait_until(lambda: not far.is_busy, "it closes")
    wait_until(lambda: threading.active_count() <= before, "its thread ends")


# --- peers that misbehave --------------------------------------------------------------------------------------------


def test_a_stranger_is_not_let_in_and_the_right_one_still_is(near: LinkProber, far: LinkProber) -> None:
    address = meet(near, far)
    with closing(Peer(address)) as stranger:
        assert stranger.connect() == zmq.EVENT_DISCONNECTED
    with closing(LinkProber()) as other:
        other.key(LinkKey("j"))
        assert refusal(lambda: other.measure(LinkMeasure("j", address))) == "not_admitted"
    assert near.measure(LinkMeasure("j", address, 0.1, 65536)).from_peer.sent_bytes == 65536


BAD: list[list[bytes]] = [
    [b""],
    [b"PSD1" + b"\x90"],
    [b"PSL1" + b"\xff" * 9],
    [b"PSL1" + b"x" * 1000],
    [pack(Ping(1)), b"more"],
    [pack(Chunk())],
    [pack(Chunk()), b"nobody asked"],
    [pack(Give(1 << 40, 16384))],
    [pack(Give(1, 1 << 40))],
    [pack(Give(-1, 16384))],
    [pack(Give(1, 16383))],
    [pack(Outcome(1.0, 1, 1.0))],
    [pack(Receive(float("nan"), 1, 0.0))],
    [pack(Receive(1.0, 1 << 60, 0.0)), pack(Receive(1.0, 1, 0.0))],
    [pack(Receive(1.0, 1 << 60, 0.0)), b"", b""],
    [b"x" * (MAX_CHUNK_BYTES + 4096)],
]


@pytest.mark.parametrize("parts", BAD, ids=range(len(BAD)))
def test_an_admitted_peer_that_talks_nonsense_ends_the_measurement_and_nothing_else(
    far: LinkProber, parts: list[bytes]
) -> None:
    before = threading.active_count()
    context = zmq.Context()
    socket = context.socket(zmq.DEALER)
    public, socket.curve_secretkey = zmq.curve_keypair()
    socket.curve_publickey = public
    address = listen(far, public.decode())
    socket.curve_serverkey = address.public_key.encode()
    socket.connect(f"tcp://{HERE}:{address.port}")
    try:
        socket.send_multipart(parts)
        if len(parts[0]) <= MAX_CHUNK_BYTES:
            wait_until(lambda: not far.is_busy, "it ends")
        else:
            # ZeroMQ itself hangs up on what is too large.
            far.cancel("j")
            assert not far.is_busy
    finally:
        context.destroy(linger=0)
    wait_until(lambda: threading.active_count() <= before, "its thread ends")


def test_a_peer_that_asks_for_more_than_a_measurement_takes_is_cut_off(far: LinkProber) -> None:
    """It takes nothing of what it asks for: what waits for it is bounded."""
    context = zmq.Context()
    socket = context.socket(zmq.DEALER)
    public, socket.curve_secretkey = zmq.curve_keypair()
    socket.curve_publickey, socket.rcvhwm = public, 1
    address = listen(far, public.decode())
    socket.curve_serverkey = address.public_key.encode()
    socket.connect(f"tcp://{HERE}:{address.port}")
    try:
        for _ in range(200):
            socket.send(pack(Give(48, MAX_CHUNK_BYTES)))
        wait_until(lambda: not far.is_busy, "it is cut off")
    finally:
        context.destroy(linger=0)


class Impostor:
    """A listener made by hand, with the right keys and the wrong answers."""

    def __init__(self, answer: Callable[[list[bytes]], list[list[bytes]]]) -> None:
        self.context = zmq.Context()
        self.socket = self.context.socket(zmq.ROUTER)
        public, self.socket.curve_secretkey = zmq.curve_keypair()
        self.socket.curve_server = True
        self.socket.linger = 0
        port = self.socket.bind_to_random_port(f"tcp://{HERE}")
        self.address = PeerAddress("impostor", HERE, port, public.decode())
        self._answer = answer
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._run)
        self._thread.start()

    def _run(self) -> None:
        while not self._ended.is_set():
            if self.socket.poll(20):
                identity, *parts = self.socket.recv_multipart()
                for answer in self._answer(parts):
                    self.socket.send_multipart([identity, *answer])

    def close(self) -> None:
        self._ended.set()
        self._thread.join()
        self.context.destroy(linger=0)


def polite(parts: list[bytes]) -> list[list[bytes]]:
    """Answers round trips as it should."""
    return [parts] if parts[0][:6] == pack(Ping(0))[:6] else []


@pytest.mark.parametrize(
    "answer",
    [
        lambda _parts: [[b"garbage"]],
        lambda _parts: [[pack(Ping(77))]],
        lambda _parts: [[pack(Bye())]],
        lambda parts: polite(parts) or [[pack(Outcome(float("inf"), 1, 1.0))]],
        lambda parts: polite(parts) or [[pack(Outcome(1e15, 1 << 50, 1.0))]],
        lambda parts: polite(parts) or [[pack(Give(1 << 40, 1 << 40))]],
        lambda parts: polite(parts) or [[pack(Give(48, MAX_CHUNK_BYTES))]] * 200,
        lambda parts: polite(parts) or [[pack(Outcome(1e6, 1 << 20, 1.0))], [pack(Chunk()), b"unasked"]],
    ],
    ids=range(8),
)
def test_a_listener_that_lies_ends_the_measurement_with_a_reason(
    near: LinkProber, answer: Callable[[list[bytes]], list[list[bytes]]]
) -> None:
    with closing(Impostor(answer)) as impostor:
        near.key(LinkKey("j"))
        code = refusal(lambda: near.measure(LinkMeasure("j", impostor.address, 0.2)))
        assert code in ("bad_peer", "not_connected")
    assert not near.is_busy


def test_a_listener_that_says_nothing_is_given_up() -> None:
    with closing(LinkProber(silence_s=0.3)) as near, closing(Impostor(lambda _parts: [])) as impostor:
        near.key(LinkKey("j"))
        assert refusal(lambda: near.measure(LinkMeasure("j", impostor.address))) == "silent"
        assert not near.is_busy


def test_a_refused_agent_says_so_in_its_reply(tmp_path: Path) -> None:
    with AgentProcess(tmp_path / "one") as one:
        answer = one.control.call(LinkMeasure("j", PeerAddress("x", HERE, 1, "")))
        assert isinstance(answer, Failed)
        assert answer.code == "unknown_job"
