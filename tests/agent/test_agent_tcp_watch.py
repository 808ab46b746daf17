"""What the kernel's figures say of a connection: slow is not gone, and what never becomes whole is noticed."""

import os
import socket
from collections.abc import Iterator

import pytest
from tests.agent.rig import wait_until

from partition_agent.data_plane.tcp_watch import (
    ANSWER_S,
    LOOK_CLOSER_S,
    LOOK_EVERY_S,
    LOOK_IDLE_S,
    SILENCE_S,
    SLACK_BYTES,
    Course,
    TcpFigures,
    TcpWatch,
    figures_of,
)

MOST = 1000


def idle(received_bytes: int = 0, heard_s: float = 0.0) -> TcpFigures:
    return TcpFigures(asks=False, owes=False, sent_s=heard_s, heard_s=heard_s, received_bytes=received_bytes)


def owing(sent_s: float, heard_s: float) -> TcpFigures:
    return TcpFigures(asks=False, owes=True, sent_s=sent_s, heard_s=heard_s, received_bytes=0)


ASKING = TcpFigures(asks=True, owes=False, sent_s=60.0, heard_s=60.0, received_bytes=0)


def test_a_peer_that_acknowledges_nothing_for_long_after_it_was_sent_something_is_silent() -> None:
    course = Course()
    assert course.look(idle(heard_s=3600.0), MOST, 0.0) is None
    # The first that is sent after an hour: the last acknowledgement is old, but none was due.
    assert course.look(owing(0.1, 3600.1), MOST, 0.1) is None
    assert course.look(owing(ANSWER_S, 3600.0 + ANSWER_S), MOST, ANSWER_S) is None
    assert course.look(owing(ANSWER_S + 1, SILENCE_S), MOST, ANSWER_S + 1) is None
    assert course.look(owing(ANSWER_S + 1, SILENCE_S + 1), MOST, ANSWER_S + 2) == "peer_silent"


def test_a_slow_peer_that_acknowledges_now_and_then_is_never_silent() -> None:
    """At 1 kbit/s a segment takes 12 s; what waits behind others was sent long before."""
    course = Course()
    for second in range(0, 600, 12):
        assert course.look(owing(sent_s=100.0, heard_s=11.9), MOST, float(second)) is None


def test_who_waits_long_before_sending_again_is_told_nothing_by_silence() -> None:
    """Seen on a shaped link: what was lost was sent again only after 51 s, and nothing was heard meanwhile."""
    course = Course()
    for now_s in range(10, 103, 10):
        assert course.look(owing(sent_s=now_s, heard_s=now_s - 1.0), MOST, now_s) is None
    # Sent again at last: from now on an answer may take its time.
    assert course.look(owing(sent_s=12.0, heard_s=114.0), MOST, 114.0) is None


def test_segments_that_acknowledge_nothing_are_no_silence() -> None:
    """A slow link may be full of what was repeated for nothing."""
    course = Course()
    assert course.look(owing(ANSWER_S + 1, 100.0)._replace(segments=1), MOST, 100.0) is None
    assert course.look(owing(ANSWER_S + 51, 150.0)._replace(segments=1), MOST, 150.0) is None
    assert course.look(owing(ANSWER_S + 1, 171.0)._replace(segments=1), MOST, 171.0) == "peer_silent"


def test_who_was_seen_to_answer_slowly_is_waited_for_longer_but_not_for_ever() -> None:
    """Behind the traffic of others on the same slow link, an answer may take minutes."""
    slow = owing(ANSWER_S + 1, 2 * SILENCE_S)
    assert Course().look(slow, MOST, 0.0) == "peer_silent"
    assert Course().look(slow._replace(answer_s=SILENCE_S), MOST, 0.0) is None
    assert Course().look(owing(301.0, 600.0)._replace(answer_s=1e6), MOST, 0.0) == "peer_silent"


def test_a_window_that_stays_closed_is_no_silence_but_a_question_without_answer_is() -> None:
    """The kernel asks after it ever more rarely, at last every two minutes; the answer comes at once."""
    course = Course()
    for now_s in (0.0, 60.0, 120.0, 240.0):
        assert course.look(ASKING, MOST, now_s) is None
        assert course.look(idle(), MOST, now_s + 0.1) is None
    assert course.look(ASKING, MOST, 300.0) is None
    assert course.look(ASKING, MOST, 300.0 + SILENCE_S) is None
    assert course.look(ASKING, MOST, 301.0 + SILENCE_S) == "peer_silent"


def test_whole_messages_may_bring_any_amount_and_one_that_does_not_end_only_so_much() -> None:
    course = Course()
    for step in range(1, 50):
        course.moved = True
        assert course.look(idle(SLACK_BYTES * step), MOST, 0.0) is None
    most_bytes = SLACK_BYTES * 50 + MOST
    assert course.look(idle(most_bytes), MOST, 0.0) is None
    assert course.look(idle(most_bytes + 1), MOST, 0.0) == "endless_message"


def test_who_has_not_said_anything_whole_yet_may_bring_no_tensors() -> None:
    assert Course().look(idle(SLACK_BYTES), 1 << 30, 0.0) is None
    assert Course().look(idle(SLACK_BYTES + 1), 1 << 30, 0.0) == "endless_message"


@pytest.fixture
def pair() -> Iterator[tuple[socket.socket, socket.socket]]:
    with (
        socket.create_server(("127.0.0.1", 0)) as listener,
        socket.create_connection(listener.getsockname()) as near,
        listener.accept()[0] as far,
    ):
        yield near, far


def test_the_kernel_tells_what_came_and_whether_an_answer_is_due(pair: tuple[socket.socket, socket.socket]) -> None:
    near, far = pair
    near.sendall(bytes(5000))

    def is_told() -> bool:
        here, there = figures_of(near), figures_of(far)
        assert here is not None
        assert there is not None
        return there.received_bytes == 5000 and not here.owes and here.heard_s <= here.sent_s < 5.0 > here.answer_s > 0

    wait_until(is_told, "what came is counted, and acknowledged since it was sent")


def test_only_the_connection_that_was_watched_is_cut_and_never_what_has_its_descriptor_since(
    pair: tuple[socket.socket, socket.socket],
) -> None:
    near, far = pair
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        with socket.create_connection(("127.0.0.1", port)) as client:
            watched, _ = listener.accept()
            watch = TcpWatch(0)
            watch.opened(watched.fileno(), local_port=port + 1)
            assert len(watch) == 0, "it is of another listener"
            watch.opened(watched.fileno(), local_port=port)
            assert watched.fileno() in watch
            # Its owner closes it, and another connection gets its number.
            os.dup2(far.fileno(), watched.fileno())
            with watched:
                assert client.recv(1) == b""
                near.sendall(bytes(SLACK_BYTES + 1))
                assert watch.look(0.0) == []
                assert watched.fileno() not in watch
                far.sendall(b"still here")
                assert near.recv(10) == b"still here"


def received(connection: socket.socket) -> int:
    figures = figures_of(connection)
    assert figures is not None
    return figures.received_bytes


def test_a_connection_is_looked_at_rarely_while_nothing_comes_and_closely_while_nothing_becomes_whole(
    pair: tuple[socket.socket, socket.socket],
) -> None:
    near, far = pair
    watch = TcpWatch(MOST)
    assert watch.pause_s() is None
    watch.opened(far.fileno())
    pauses_s = []
    for now_s in range(5):
        assert watch.look(float(now_s)) == []
        pauses_s.append(watch.pause_s())
    assert pauses_s == [LOOK_EVERY_S] * 2 + [LOOK_IDLE_S] * 3
    assert (watch.is_quiet, watch.descriptors) == (True, [far.fileno()])

    def send(byte_count: int) -> None:
        before = received(far)
        near.sendall(bytes(byte_count))
        wait_until(lambda: received(far) == before + byte_count, "it came")

    send(100)
    assert watch.look(6.0) == []
    assert (watch.is_quiet, watch.pause_s()) == (False, LOOK_CLOSER_S)
    send(100)
    watch.moved(far.fileno())
    assert watch.look(7.0) == []
    assert watch.pause_s() == LOOK_EVERY_S
