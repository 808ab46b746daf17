"""What the kernel's figures say of a connection: slow is not gone, and what never becomes whole is noticed."""

import os
import socket
from collections.abc import Iterator

import pytest
from tests.agent.rig import wait_until

from partition_agent.tcp_watch import SILENCE_S, SLACK_BYTES, Course, TcpFigures, TcpWatch, figures_of

MOST = 1000


def test_a_peer_is_silent_when_it_answers_nothing_for_long_and_not_when_nobody_asked() -> None:
    course = Course()
    assert course.look(TcpFigures(False, 3600.0, 0), MOST, 0.0) is None
    # The first question after an hour: the last acknowledgement is old, but none was due.
    assert course.look(TcpFigures(True, 3600.1, 0), MOST, 0.1) is None
    assert course.look(TcpFigures(True, 3600.0 + SILENCE_S, 0), MOST, SILENCE_S) is None
    assert course.look(TcpFigures(True, 3600.0 + SILENCE_S + 1, 0), MOST, SILENCE_S + 1) == "peer_silent"


def test_a_slow_peer_that_acknowledges_now_and_then_is_never_silent() -> None:
    course = Course()
    for second in range(0, 600, 12):
        assert course.look(TcpFigures(True, 11.9, 0), MOST, float(second)) is None


def test_a_window_that_stays_closed_is_no_silence() -> None:
    """The kernel asks after it ever more rarely, at last every two minutes; the answer comes at once."""
    course = Course()
    for now_s in (0.0, 60.0, 120.0, 240.0):
        assert course.look(TcpFigures(True, 60.0, 0), MOST, now_s) is None
        assert course.look(TcpFigures(False, 0.0, 0), MOST, now_s + 0.1) is None


def test_whole_messages_may_bring_any_amount_and_one_that_does_not_end_only_so_much() -> None:
    course = Course()
    for step in range(1, 50):
        course.moved = True
        assert course.look(TcpFigures(False, 0.0, SLACK_BYTES * step), MOST, 0.0) is None
    most_bytes = SLACK_BYTES * 50 + MOST
    assert course.look(TcpFigures(False, 0.0, most_bytes), MOST, 0.0) is None
    assert course.look(TcpFigures(False, 0.0, most_bytes + 1), MOST, 0.0) == "endless_message"


def test_who_has_not_said_anything_whole_yet_may_bring_no_tensors() -> None:
    assert Course().look(TcpFigures(False, 0.0, SLACK_BYTES), 1 << 30, 0.0) is None
    assert Course().look(TcpFigures(False, 0.0, SLACK_BYTES + 1), 1 << 30, 0.0) == "endless_message"


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
    wait_until(lambda: (figures_of(far) or TcpFigures(False, 0, 0)).received_bytes == 5000, "what came is counted")
    wait_until(lambda: not (figures_of(near) or TcpFigures(True, 0, 0)).is_waiting, "all is acknowledged")


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
