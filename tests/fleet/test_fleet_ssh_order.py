"""What a channel sends stays in order: a thread that was held up sends nothing after the channel's close."""

import shlex
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

import paramiko
import pytest

from partition_studio.fleet.ssh.connect import SshConnection
from partition_studio.fleet.stream import ByteStream

pytestmark = pytest.mark.ssh

WAIT_S = 20.0


class Held:
    """What threads of this name send waits until it is let go; a file appears when something waits."""

    def __init__(self, name: str, mark: Path) -> None:
        self._name = name
        self._mark = mark
        self._let_go = threading.Event()
        self._waiting: list[threading.Thread] = []
        self.has_come = threading.Event()

    def pass_on(self) -> None:
        """Called by a thread that is about to send."""
        me = threading.current_thread()
        if me.name.startswith(self._name) and not self._let_go.is_set():
            self._waiting.append(me)
            self._mark.touch()
            self.has_come.set()
            assert self._let_go.wait(WAIT_S)

    def awaiting(self) -> list[str]:
        """Return a command that ends as soon as something waits."""
        return ["sh", "-c", f"until [ -e {shlex.quote(str(self._mark))} ]; do sleep 0.02; done; echo ended"]

    def let_go(self) -> None:
        """Return when all of it was sent."""
        self._let_go.set()
        for thread in self._waiting:
            thread.join(WAIT_S)
            assert not thread.is_alive()


Hold = Callable[[str], Held]


@pytest.fixture
def hold(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Hold:
    """Hold a message up where the channel has made it, and paramiko no longer holds the channel's lock."""

    def begin(name: str) -> Held:
        held = Held(name, tmp_path / "held")
        send = paramiko.Transport._send_user_message  # type: ignore[attr-defined]

        def send_later(transport: paramiko.Transport, message: paramiko.Message) -> None:
            held.pass_on()
            send(transport, message)

        monkeypatch.setattr(paramiko.Transport, "_send_user_message", send_later)
        return held

    return begin


def test_an_end_of_input_that_comes_after_the_commands_end_costs_no_connection(
    connection: SshConnection, hold: Hold
) -> None:
    held = hold("stdin")
    assert connection.run(held.awaiting(), timeout_s=WAIT_S).stdout == b"ended\n"
    held.let_go()
    assert connection.run(["echo", "1"], timeout_s=WAIT_S).stdout == b"1\n"


def test_an_end_of_input_that_comes_late_is_not_taken_for_that_of_the_next_command(
    connection: SshConnection, hold: Hold
) -> None:
    held = hold("stdin")
    assert connection.run(held.awaiting(), timeout_s=WAIT_S).stdout == b"ended\n"
    # The server gives the next command's channel the number that the first one had.
    with connection._session("cat") as channel:
        held.let_go()
        channel.sendall(b"hello")
        channel.shutdown_write()
        assert channel.makefile().read() == b"hello"


@contextmanager
def outgoing(connection: SshConnection) -> Iterator[tuple[ByteStream, socket.socket]]:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        stream = connection.open_pipe("127.0.0.1", listener.getsockname()[1])
        peer, _ = listener.accept()
        with peer:
            yield stream, peer


@contextmanager
def incoming(connection: SshConnection) -> Iterator[tuple[ByteStream, socket.socket]]:
    streams: list[ByteStream] = []
    arrived = threading.Event()

    def take(stream: ByteStream) -> None:
        streams.append(stream)
        arrived.set()

    listening = connection.listen(take)
    with socket.create_connection(("127.0.0.1", listening.port)) as peer:
        assert arrived.wait(WAIT_S)
        yield streams[0], peer
    listening.close()


@pytest.mark.parametrize("opened", [outgoing, incoming], ids=["by the studio", "by the device"])
def test_bytes_that_come_after_their_streams_end_cost_no_connection(
    connection: SshConnection,
    hold: Hold,
    opened: Callable[[SshConnection], AbstractContextManager[tuple[ByteStream, socket.socket]]],
) -> None:
    held = hold("late")
    with opened(connection) as (stream, peer):
        threading.Thread(target=stream.sendall, args=(b"late",), name="late").start()
        assert held.has_come.wait(WAIT_S)
        stream.close()
        peer.settimeout(WAIT_S)
        assert peer.recv(10) == b""
        # Once the server has answered, it has read the close. A command would take the number that the close set free.
        connection._ask("keepalive@openssh.com")
        held.let_go()
        assert connection.run(["echo", "1"], timeout_s=WAIT_S).stdout == b"1\n"


def test_a_commands_answer_counts_where_closing_its_channel_fails(
    connection: SshConnection, monkeypatch: pytest.MonkeyPatch
) -> None:
    close = paramiko.Channel.close
    failures = [EOFError()]

    def break_once(channel: paramiko.Channel) -> None:
        close(channel)
        if failures and channel.exit_status == 3:
            raise failures.pop()

    monkeypatch.setattr(paramiko.Channel, "close", break_once)
    answer = connection.run(["sh", "-c", "echo 1; exit 3"], timeout_s=WAIT_S)
    assert failures == []
    assert (answer.returncode, answer.stdout) == (3, b"1\n")
