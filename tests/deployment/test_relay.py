"""Relays through real SSH servers: bytes both ways, bounded, broken and mended, forbidden, ended."""

import contextlib
import hashlib
import os
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path

import pytest

from partition_studio.deployment.relay import MAX_STREAMS, Relay, Relays
from partition_studio.fleet.address import parse_address
from partition_studio.fleet.install.wheelhouse import WheelhouseCache
from partition_studio.fleet.session.device_link import DeviceLink
from partition_studio.fleet.session.device_spec import DeviceSpec, FleetFiles
from partition_studio.fleet.ssh.connect import SshConnection, connect_ssh
from partition_studio.fleet.ssh.forwarding import ForwardingForbiddenError
from partition_studio.fleet.stream import ByteStream, LocalListening, SocketStream, connect_here
from tests.fleet.conftest import LONG_PATIENCE, PATIENCE
from tests.sshd import SshServer
from tests.studio import wait_for

pytestmark = pytest.mark.ssh

#: What the kernel, SSH's windows and the relay may hold together of what nobody reads.
MOST_HELD_BYTES = 48 * 1024**2


@pytest.fixture
def server(tmp_path: Path) -> Iterator[SshServer]:
    with SshServer(tmp_path / "sshd") as running:
        yield running


@pytest.fixture
def connection(server: SshServer) -> Iterator[SshConnection]:
    opened = connect_ssh(server.address, server.credentials, server.trusting_host_keys(), LONG_PATIENCE)
    yield opened
    opened.close()


class Consumer:
    """A data socket's stand-in: takes connections and hands them to the test."""

    def __init__(self) -> None:
        self._server = socket.create_server(("127.0.0.1", 0))
        self._server.settimeout(20)
        self.port: int = self._server.getsockname()[1]

    def take(self) -> socket.socket:
        connection, _ = self._server.accept()
        connection.settimeout(20)
        return connection

    def close(self) -> None:
        # A close alone would leave whoever waits in `accept` there.
        with contextlib.suppress(OSError):
            self._server.shutdown(socket.SHUT_RDWR)
        self._server.close()


@pytest.fixture
def consumer() -> Iterator[Consumer]:
    made = Consumer()
    yield made
    made.close()


@pytest.fixture
def over_ssh(connection: SshConnection, consumer: Consumer) -> Iterator[Relay]:
    """From a port of the device to a data socket that is reached from the device itself: SSH on both sides."""
    relay = Relay("one", "two", connection.listen, lambda: connection.open_pipe("127.0.0.1", consumer.port))
    yield relay
    relay.close()


def call(relay: Relay) -> socket.socket:
    return socket.create_connection(("127.0.0.1", relay.port), timeout=20)


def exactly(sock: socket.socket, count: int) -> bytes:
    data = bytearray()
    while len(data) < count:
        chunk = sock.recv(count - len(data))
        assert chunk, f"it ended after {len(data)} of {count} bytes"
        data += chunk
    return bytes(data)


def threads_of(relay: Relay) -> list[str]:
    return [t.name for t in threading.enumerate() if f"{relay.caller}>{relay.listener}" in t.name]


def test_bytes_go_both_ways_at_once_unchanged_and_are_counted(over_ssh: Relay, consumer: Consumer) -> None:
    size = 3 * 1024 * 1024 + 17
    there, back = os.urandom(size), os.urandom(size)
    with call(over_ssh) as near, consumer.take() as far:
        senders = [
            threading.Thread(target=near.sendall, args=(there,)),
            threading.Thread(target=far.sendall, args=(back,)),
        ]
        for sender in senders:
            sender.start()
        came: list[bytes] = []
        reader = threading.Thread(target=lambda: came.append(exactly(far, size)))
        reader.start()
        assert hashlib.sha256(exactly(near, size)).digest() == hashlib.sha256(back).digest()
        reader.join()
        assert came == [there]
        for sender in senders:
            sender.join()
    wait_for(lambda: over_ssh.totals().connections == 1, what="the end of the connection")
    totals = over_ssh.totals()
    assert (totals.forth_bytes, totals.back_bytes) == (size, size)


def test_what_nobody_reads_stays_with_its_sender_and_goes_on_when_it_is_read(
    over_ssh: Relay, consumer: Consumer
) -> None:
    with call(over_ssh) as near, consumer.take() as far:
        near.settimeout(1.0)
        chunk, sent = bytes(1024 * 1024), 0
        with pytest.raises(TimeoutError):
            while sent <= 2 * MOST_HELD_BYTES:
                sent += near.send(chunk)
        assert sent <= MOST_HELD_BYTES
        assert over_ssh.totals().forth_bytes <= sent
        exactly(far, sent)
        near.settimeout(20)
        near.sendall(b"and on")
        assert exactly(far, 6) == b"and on"


@pytest.mark.parametrize("end", ["near", "far"])
def test_the_end_of_one_side_is_the_end_of_the_other(over_ssh: Relay, consumer: Consumer, end: str) -> None:
    near, far = call(over_ssh), consumer.take()
    ended, other = (near, far) if end == "near" else (far, near)
    ended.close()
    assert other.recv(1) == b""
    other.close()
    wait_for(lambda: over_ssh.totals().connections == 1, what="the end of the connection")
    # The next one is as good as the first.
    with call(over_ssh) as again, consumer.take() as there:
        again.sendall(b"x")
        assert there.recv(1) == b"x"


def test_a_closed_relay_leaves_no_thread_and_no_connection(
    over_ssh: Relay, consumer: Consumer, connection: SshConnection
) -> None:
    with call(over_ssh) as near, consumer.take() as far:
        # One of them blocked in sending.
        near.settimeout(0.5)
        with pytest.raises(TimeoutError):
            while True:
                near.sendall(bytes(1024 * 1024))
        assert threads_of(over_ssh)
        over_ssh.close()
        assert not threads_of(over_ssh)
        while far.recv(1024 * 1024):
            pass
        with pytest.raises(ConnectionRefusedError):
            call(over_ssh)
    assert connection.is_alive


def test_a_data_socket_that_is_away_ends_the_connection_and_not_the_relay(
    connection: SshConnection, consumer: Consumer
) -> None:
    consumer.close()
    relay = Relay("one", "two", connection.listen, lambda: connection.open_pipe("127.0.0.1", consumer.port))
    try:
        with call(relay) as near:
            assert near.recv(1) == b""
        assert relay.is_open
    finally:
        relay.close()


@pytest.fixture
def here(consumer: Consumer) -> Iterator[Relay]:
    """Without SSH: a port of this machine, carried to a data socket of this machine."""
    relay = Relay(
        "a", "b", lambda taken, _port: LocalListening(taken), lambda: connect_here("127.0.0.1", consumer.port, "b")
    )
    yield relay
    relay.close()


#: More than any stranger is told.
ANSWER = bytes(300)


def test_who_was_answered_is_kept_and_more_connections_than_a_peer_makes_are_turned_away(
    here: Relay, consumer: Consumer
) -> None:
    with ExitStack() as stack:
        held = []
        for _ in range(MAX_STREAMS):
            near = stack.enter_context(call(here))
            held.append((near, stack.enter_context(consumer.take())))
            held[-1][1].sendall(ANSWER)
            exactly(near, len(ANSWER))
        wait_for(lambda: here.totals().back_bytes == MAX_STREAMS * len(ANSWER), what="the count of all answers")
        with call(here) as late:
            assert late.recv(1) == b""
        for near, far in held:
            near.sendall(b"x")
            assert far.recv(1) == b"x"


def test_silent_strangers_make_room_for_a_peer(here: Relay, consumer: Consumer) -> None:
    with ExitStack() as stack:
        peer = stack.enter_context(call(here))
        answering = stack.enter_context(consumer.take())
        answering.sendall(ANSWER)
        exactly(peer, len(ANSWER))
        wait_for(lambda: here.totals().back_bytes == len(ANSWER), what="the count of the answer")
        strangers = []
        for _ in range(MAX_STREAMS - 1):
            strangers.append(stack.enter_context(call(here)))
            stack.enter_context(consumer.take())
        with call(here) as another, consumer.take() as far:
            another.sendall(b"hello")
            assert exactly(far, 5) == b"hello"
            # The oldest that was not answered, and nobody else.
            assert strangers[0].recv(1) == b""
            peer.sendall(b"still")
            assert exactly(answering, 5) == b"still"
            for stranger in strangers[1:]:
                stranger.sendall(b"x")


def test_a_servers_answers_are_told_apart_while_its_life_is_asked_for(server: SshServer) -> None:
    restless = replace(PATIENCE, ping_interval_s=0.001)
    connection = connect_ssh(server.address, server.credentials, server.trusting_host_keys(), restless)
    try:
        for _ in range(50):
            listening = connection.listen(ByteStream.close)
            with socket.create_connection(("127.0.0.1", listening.port), timeout=20) as near:
                assert near.recv(1) == b""
            listening.close()
            assert not listening.is_open
    finally:
        connection.close()


@pytest.mark.parametrize("option", ["AllowTcpForwarding local", "PermitListen none", "PermitListen 127.0.0.1:1"])
def test_a_server_that_lets_nobody_listen_is_told_of_with_what_to_change(tmp_path: Path, option: str) -> None:
    with SshServer(tmp_path / "sshd", options=[option]) as server:
        connection = connect_ssh(server.address, server.credentials, server.trusting_host_keys(), PATIENCE)
        try:
            with pytest.raises(ForwardingForbiddenError) as refused:
                connection.listen(ByteStream.close)
        finally:
            connection.close()
    assert str(server.address) in refused.value.message
    assert "AllowTcpForwarding" in refused.value.next_step


@pytest.mark.parametrize("option", ["AllowTcpForwarding remote", "PermitOpen 127.0.0.1:1"])
def test_a_server_that_lets_nobody_connect_is_told_of_with_what_to_change(
    tmp_path: Path, option: str, consumer: Consumer
) -> None:
    with SshServer(tmp_path / "sshd", options=[option]) as server:
        connection = connect_ssh(server.address, server.credentials, server.trusting_host_keys(), PATIENCE)
        try:
            for connect in (
                lambda: connection.open_pipe("127.0.0.1", consumer.port),
                lambda: connection.open_stream(9),
            ):
                with pytest.raises(ForwardingForbiddenError):
                    connect()
        finally:
            connection.close()


@pytest.fixture
def link(server: SshServer, tmp_path: Path) -> Iterator[DeviceLink]:
    files = FleetFiles(server.trusting_host_keys(), WheelhouseCache(tmp_path / "wheels"), tmp_path / "local")
    made = DeviceLink(DeviceSpec("one", parse_address(str(server.address)), server.credentials), files)
    yield made
    made.close()


def echo(consumer: Consumer) -> Callable[[], None]:
    def serve() -> None:
        while True:
            try:
                with consumer.take() as sock:
                    while data := sock.recv(100):
                        sock.sendall(data)
            except OSError:
                return

    thread = threading.Thread(target=serve)
    thread.start()
    return thread.join


def test_a_relay_whose_connection_broke_is_opened_again_and_who_uses_it_is_told_where(
    server: SshServer, link: DeviceLink, consumer: Consumer
) -> None:
    moved: list[int] = []
    relays = Relays(lambda relay: moved.append(relay.port))
    relay = Relay(
        "one",
        "two",
        lambda taken, port: link.connection().listen(taken, port),
        lambda: link.connection().open_pipe("127.0.0.1", consumer.port),
    )
    relays.add(relay)
    join = echo(consumer)

    def answers() -> bool:
        try:
            with call(relay) as near:
                near.sendall(b"ping")
                return near.recv(4) == b"ping"
        except OSError:
            return False

    try:
        before = relay.port
        assert answers()
        server.cut()
        wait_for(lambda: not relay.is_open, what="the connection's end")
        wait_for(answers, what="the relay's return")
        assert relay.is_open
        if relay.port != before:
            wait_for(lambda: moved or None, what="word of the new port")
        assert set(moved) <= {relay.port}
    finally:
        relays.close()
        consumer.close()
        join()
    assert not [t for t in threading.enumerate() if t.name in ("relays", "relay one>two")]
    assert relays.all == (relay,)


def test_a_port_that_is_taken_meanwhile_gives_the_relay_another_one_and_that_is_told(
    server: SshServer, link: DeviceLink
) -> None:
    moved: list[int] = []
    relays = Relays(lambda relay: moved.append(relay.port))
    relay = Relay(
        "one", "two", lambda taken, port: link.connection().listen(taken, port), lambda: SocketStream(socket.socket())
    )
    before = relay.port
    try:
        server.cut()
        wait_for(lambda: not relay.is_open, what="the connection's end")

        def taken() -> socket.socket | None:
            try:
                return socket.create_server(("127.0.0.1", before))
            except OSError:
                return None

        with wait_for(taken, what="the old port's end"):
            relays.add(relay)
            wait_for(lambda: moved or None, what="word of the new port")
        assert moved == [relay.port]
        assert relay.port != before
    finally:
        relays.close()
