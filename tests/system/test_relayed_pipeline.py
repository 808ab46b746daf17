"""Devices whose data sockets nobody reaches: frames go through the studio's SSH connections, and that is said."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from partition_agent.protocol import STUDIO_PEER
from partition_studio.schemas import DeploymentOut, DeviceIn, DeviceOut
from tests.sshd import SshServer
from tests.studio import wait_for
from tests.system.conftest import Desk

pytestmark = pytest.mark.ssh

#: What a device behind address translation says of itself: an address that it does not have. Nothing is sent there.
ELSEWHERE = "192.0.2.7"
TRANSLATED = f'export SSH_CONNECTION="192.0.2.1 1 {ELSEWHERE} 22"'


@pytest.fixture
def servers(tmp_path: Path) -> Iterator[dict[str, SshServer]]:
    with ExitStack() as stack:
        yield {
            "open": stack.enter_context(SshServer(tmp_path / "open")),
            "shut": stack.enter_context(SshServer(tmp_path / "shut", before=TRANSLATED)),
        }


def add(desk: Desk, name: str, server: SshServer) -> None:
    request = DeviceIn(
        name=name,
        address=str(server.address),
        key_file=str(server.key_file),
        trusted_fingerprint=server.fingerprint(),
    )
    assert desk.client.post("/api/devices", DeviceOut, request).state == "ready"


def ways(deployment: DeploymentOut) -> dict[tuple[str, str], str]:
    return {(cut.producer_device, cut.consumer_device): cut.way for cut in deployment.cuts}


def assert_runs(desk: Desk, deployment: DeploymentOut) -> None:
    run = desk.run(deployment, source="samples")
    assert (run.state, run.lost) == ("finished", 0), run
    assert run.delivered > 0


def test_frames_go_through_the_studio_where_devices_do_not_reach_each_other(
    new_desk: Callable[[], Desk], servers: dict[str, SshServer]
) -> None:
    desk = new_desk()
    for name, server in servers.items():
        add(desk, name, server)
    model = desk.example()
    deployment = desk.deploy(model, desk.spread(model, "open", "shut"))
    expected = {(STUDIO_PEER, "open"): "direct", ("open", "shut"): "studio", ("shut", STUDIO_PEER): "studio"}
    assert ways(deployment) == expected
    assert [ELSEWHERE in note and "through" in note for note in deployment.notes] == [True, True]
    assert any(note.startswith("Frames from open to shut go through the studio") for note in deployment.notes)
    assert_runs(desk, deployment)

    # The connections break; both relays and what goes through them come back by themselves.
    for server in servers.values():
        server.cut()

    def runs_again() -> bool:
        assert desk.shown(deployment).state == "running"
        return desk.run(deployment, source="samples").lost == 0

    wait_for(lambda: runs_again() or None, what="frames after the break")

    # Another studio takes it up, with relays of its own.
    desk = new_desk()
    found = desk.settled(deployment)
    assert found.state == "running", found.problem
    assert ways(found) == expected
    assert_runs(desk, found)
    assert desk.stop(found).state == "stopped"


@pytest.mark.slow
@pytest.mark.parametrize("first", ["here", "shut"])
def test_a_board_and_the_studios_own_machine_meet_in_the_studio(
    desk: Desk, servers: dict[str, SshServer], first: str
) -> None:
    add(desk, "shut", servers["shut"])
    desk.local_devices("here")
    model = desk.example()
    second = "shut" if first == "here" else "here"
    deployment = desk.deploy(model, desk.spread(model, first, second))
    assert ways(deployment)[first, second] == ("studio" if second == "shut" else "direct")
    assert ways(deployment)[(STUDIO_PEER, first) if first == "shut" else (second, STUDIO_PEER)] == "studio"
    assert_runs(desk, deployment)
    assert desk.stop(deployment).state == "stopped"


def test_where_forwarding_is_forbidden_as_well_both_devices_are_named_and_what_to_change(
    desk: Desk, tmp_path: Path, servers: dict[str, SshServer]
) -> None:
    with SshServer(tmp_path / "strict", options=["PermitListen none"]) as strict:
        add(desk, "strict", strict)
        add(desk, "shut", servers["shut"])
        model = desk.example()
        deployment = desk.settled(desk.begin(model, desk.spread(model, "strict", "shut")))
        assert deployment.state == "failed"
        problem = deployment.problem
        assert problem is not None
        assert problem.code == "no_way_between_devices"
        assert (problem.details["producer"], problem.details["consumer"]) == ("strict", "shut")
        assert all(word in problem.message for word in ("strict", "shut", ELSEWHERE))
        assert "AllowTcpForwarding" in problem.next_step
