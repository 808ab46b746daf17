"""Asking an agent which data sockets it can connect to: real sockets, a real agent."""

import socket
import threading
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
import zmq
from tests.agent.rig import AgentProcess

from partition_agent.data_plane.reach import MAX_PEERS, unreachable_peers
from partition_agent.data_plane.sockets import KeyPair, open_listener
from partition_agent.protocol import Failed, PeerAddress, Reach, Reached

LOOPBACKS = ("127.0.0.1", "::1")


@pytest.fixture
def open_at() -> Iterator[dict[str, int]]:
    """The port of a data socket on each of the loopback addresses."""
    with ExitStack() as stack:
        context: zmq.Context[zmq.Socket[bytes]] = stack.enter_context(zmq.Context())
        ports = {}
        for host in LOOPBACKS:
            listener, ports[host] = open_listener(context, host, KeyPair(), 10, 1000)
            stack.enter_context(listener)
        yield ports


def bound(stack: ExitStack, *, listening: bool) -> int:
    sock = stack.enter_context(socket.socket())
    sock.bind(("127.0.0.1", 0))
    if listening:
        sock.listen()
    port: int = sock.getsockname()[1]
    return port


def test_a_data_socket_is_reached_by_either_family_and_others_are_told_apart(open_at: dict[str, int]) -> None:
    with ExitStack() as stack:
        closed, mute = (bound(stack, listening=listening) for listening in (False, True))
        peers = [PeerAddress(host, host, port, "") for host, port in open_at.items()]
        peers += [
            PeerAddress("closed", "127.0.0.1", closed, ""),
            PeerAddress("mute", "127.0.0.1", mute, ""),
            PeerAddress("a name", "localhost", mute, ""),
            PeerAddress("no port", "127.0.0.1", 70_000, ""),
            PeerAddress("studio", "", 0, ""),
        ]
        found = unreachable_peers(peers, 0.3)
    assert found == {
        "closed": "refused",
        "mute": "it takes the connection and says nothing",
        "a name": f"'localhost' port {mute} is no address",
        "no port": "'127.0.0.1' port 70000 is no address",
    }


def test_what_answers_with_other_words_is_no_data_socket() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        words = [b"SSH-2.0-x\r\n", b""]

        def serve() -> None:
            for word in words:
                connection, _ = server.accept()
                with connection:
                    connection.sendall(word)

        thread = threading.Thread(target=serve)
        thread.start()
        peer = PeerAddress("p", "127.0.0.1", server.getsockname()[1], "")
        found = [unreachable_peers([peer], 5.0)["p"] for _ in words]
        thread.join()
    assert found == ["something else answers there", "it hangs up at once"]


def test_an_agent_tells_whom_it_reaches_and_takes_no_more_than_a_deployments_peers(
    tmp_path: Path, open_at: dict[str, int]
) -> None:
    with AgentProcess(tmp_path / "agent") as agent, ExitStack() as stack:
        closed = bound(stack, listening=False)
        descriptors = agent.descriptors()
        peers = (
            PeerAddress("a", "127.0.0.1", open_at["127.0.0.1"], ""),
            PeerAddress("b", "127.0.0.1", closed, ""),
            PeerAddress("c", "::1", open_at["::1"], ""),
        )
        assert agent.control.call(Reach(peers, 2.0)) == Reached({"b": "refused"})
        assert agent.descriptors() == descriptors
        many = tuple(PeerAddress(f"p{n}", "127.0.0.1", closed, "") for n in range(MAX_PEERS + 1))
        refused = agent.control.call(Reach(many, 2.0))
        assert isinstance(refused, Failed)
        assert refused.code == "too_many_peers"
