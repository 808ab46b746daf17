"""Data links over IPv6."""

from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import msgspec
import pytest
from tests.agent.planes import Consumption, End, arrays, introduce, link
from tests.agent.rig import AgentProcess, Rig, assert_same, chain, frames, oracle, run_all

from partition_agent.data_plane.sockets import tcp_address
from partition_agent.protocol import PeerAddress, Prepare


class Rig6(Rig):
    """A rig whose data sockets listen on the IPv6 loopback address."""

    def request(self, device: str, *, push: bool = True) -> Prepare:
        return msgspec.structs.replace(super().request(device, push=push), bind_host="::1")

    def prepare(self) -> None:
        super().prepare()
        self.peers = [PeerAddress(peer.device, "::1", peer.port, peer.public_key) for peer in self.peers]


@pytest.fixture
def rig(tmp_path: Path) -> Iterator[Rig6]:
    with ExitStack() as stack:
        agents = {device: stack.enter_context(AgentProcess(tmp_path / device)) for device in ("one", "two")}
        yield Rig6(chain("one", "two"), agents)


def test_a_pipeline_of_two_agents_runs_over_ipv6(rig: Rig6) -> None:
    door = rig.open()
    try:
        assert_same(run_all(door, frames(20)), oracle(rig.network, frames(20)))
        assert rig.agents["two"].control.telemetry().dropped == {}
    finally:
        door.close()


def link_local_address() -> str | None:
    """An address of this machine that means something only together with its interface."""
    for line in Path("/proc/net/if_inet6").read_text().splitlines():
        digits, _, _, scope, _, interface = line.split()
        if scope == "20":
            return ":".join(digits[at : at + 4] for at in range(0, 32, 4)) + f"%{interface}"
    return None


def test_a_link_local_address_carries_its_zone() -> None:
    assert tcp_address("fe80::1%eth0", "4711") == "tcp://[fe80::1%eth0]:4711"
    # Where a machine has none (in a container, say) the loopback address takes its zone all the same.
    host = link_local_address() or "::1%lo"
    spec = link((1, 4, 8, 8))
    with End("one", spec, host=host) as one, End("two", spec, host=host) as two:
        introduce(one, two)
        came: list[int] = []
        with Consumption(two, 5, lambda frame, tensors: came.append(frame)):
            for number, array in enumerate(arrays((1, 4, 8, 8), 5)):
                one.send(number, array)
        assert came == list(range(5))
