"""A peer that is found elsewhere under the same key: frames go on there, and none is mixed up or lost in silence."""

from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import msgspec
import pytest
from tests.agent.rig import AgentProcess, Rig, assert_same, chain, frames, oracle, run_all

from partition_agent.protocol import STUDIO_PEER, Connect, Done, PeerAddress
from partition_studio.deployment.relay import Relay
from partition_studio.fleet.stream import LocalListening, connect_here


@pytest.fixture
def agents(tmp_path: Path) -> Iterator[dict[str, AgentProcess]]:
    with ExitStack() as stack:
        yield {name: stack.enter_context(AgentProcess(tmp_path / name)) for name in ("a", "b")}


def relay_to(port: int) -> Relay:
    return Relay("a", "b", lambda taken, _port: LocalListening(taken), lambda: connect_here("127.0.0.1", port, "b"))


def test_a_producer_told_of_another_place_of_its_consumer_goes_on_there(
    agents: dict[str, AgentProcess],
) -> None:
    rig = Rig(chain("a", "b"), agents)
    door = rig.open()
    inputs = frames(6)
    expected = oracle(rig.network, inputs)
    direct = next(peer for peer in rig.peers if peer.device == "b")
    studio = PeerAddress(STUDIO_PEER, "", 0, door.public_key)

    def tell(peer: PeerAddress) -> None:
        others = [each for each in rig.peers if each.device != "b"]
        answer = agents["a"].control.call(Connect(rig.name, rig.epoch, (*others, peer, studio)))
        assert answer == Done()

    with ExitStack() as stack:
        stack.callback(door.close)
        assert_same(run_all(door, inputs), expected)
        first, second = (relay_to(direct.port) for _ in range(2))
        for relay in (first, second):
            stack.callback(relay.close)
            tell(msgspec.structs.replace(direct, port=relay.port))
            assert_same(run_all(door, inputs), expected)
            carried = relay.totals().forth_bytes
            assert carried > sum(array.nbytes for array in inputs)
        # What goes by the new way goes by it alone.
        before = first.totals().forth_bytes
        assert_same(run_all(door, inputs), expected)
        assert first.totals().forth_bytes == before
        tell(direct)
        assert_same(run_all(door, inputs), expected)
        stats = door.stats()
        assert (stats.delivered, stats.lost, stats.in_flight) == (5 * len(inputs), 0, 0)
