"""Devices at addresses of IPv6."""

import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from partition_studio.deployment.addresses import data_hosts, own_address_towards, seen_from, zone
from partition_studio.fleet.address import SshAddress, SshDestination, ip_text, parse_address
from partition_studio.fleet.errors import UnreachableError
from partition_studio.fleet.ssh.auth import SshCredentials
from partition_studio.fleet.ssh.connect import connect_ssh
from partition_studio.fleet.ssh.hostkeys import HostKeys
from partition_studio.schemas import DeviceIn, DeviceOut
from tests.sshd import SshServer
from tests.system.conftest import Desk


@pytest.fixture
def server(tmp_path: Path) -> Iterator[SshServer]:
    with SshServer(tmp_path / "six", host="::1") as running:
        yield running


@pytest.mark.ssh
def test_frames_go_to_a_device_at_an_address_of_ipv6_and_back(desk: Desk, server: SshServer) -> None:
    assert str(server.address).partition("@")[2] == f"[::1]:{server.port}"
    request = DeviceIn(
        name="six", address=str(server.address), key_file=str(server.key_file), trusted_fingerprint=server.fingerprint()
    )
    assert desk.client.post("/api/devices", DeviceOut, request).state == "ready"
    desk.local_devices("here")
    model = desk.example()
    deployment = desk.deploy(model, desk.spread(model, "here", "six"))
    assert {cut.way for cut in deployment.cuts} == {"direct"}
    assert deployment.notes == []
    run = desk.run(deployment, source="samples")
    assert (run.state, run.lost) == ("finished", 0)
    desk.stop(deployment)


@pytest.mark.ssh
def test_a_device_at_an_address_of_ipv6_says_that_address(server: SshServer) -> None:
    connection = connect_ssh(server.address, server.credentials, server.trusting_host_keys())
    try:
        assert (connection.peer_ip, connection.own_ip) == ("::1", "::1")
    finally:
        connection.close()


def test_a_link_local_address_names_its_interface() -> None:
    parsed = parse_address("ssh://edge@[fe80::2%eth0]:2222")
    assert parsed == SshDestination("edge", "fe80::2%eth0", 2222)
    assert str(parsed) == "ssh://edge@[fe80::2%eth0]:2222"


class Device:
    def __init__(self, data_host: str, studio_host: str, *, is_local: bool = False) -> None:
        self.data_host, self.studio_host, self.is_local = data_host, studio_host, is_local


def test_a_link_local_address_is_written_with_the_interface_of_who_connects() -> None:
    board = Device("fe80::2%end0", "fe80::2%eth0")
    assert data_hosts({"board": board}) == {"board": "fe80::2%end0"}
    assert zone(board.data_host) == "end0"
    assert seen_from(board.data_host, "wlan1") == "fe80::2%wlan1"
    # Who has none cannot get there, whatever the device calls its own.
    assert seen_from(board.data_host, None) is None
    for host in ("10.0.0.7", "2001:db8::7", "::1"):
        assert (seen_from(host, None), zone(host)) == (host, None)


def test_a_local_device_beside_one_at_ipv6_listens_there_too() -> None:
    devices = {"here": Device("127.0.0.1", "127.0.0.1", is_local=True), "six": Device("::1", "::1")}
    assert data_hosts(devices) == {"here": "::1", "six": "::1"}
    assert own_address_towards("::1") == "::1"
    # Where no way leads it stays at home, and is found to be out of reach.
    assert own_address_towards(None) == "127.0.0.1"


def test_a_link_local_address_is_connected_to_by_its_interface(tmp_path: Path) -> None:
    # Nobody has this address on the loopback interface, and nothing leaves by it.
    address = SshAddress("edge", "fe80::1%lo")
    with pytest.raises(UnreachableError) as refused:
        connect_ssh(address, SshCredentials(use_agent=False, ssh_dir=None), HostKeys(tmp_path / "known_hosts"))
    assert "fe80::1%lo" in refused.value.message
    assert ip_text(("fe80::1", 22, 0, socket.if_nametoindex("lo"))) == "fe80::1%lo"
    assert [ip_text(sockaddr) for sockaddr in (("::1", 22, 0, 0), ("10.0.0.7", 22))] == ["::1", "10.0.0.7"]
