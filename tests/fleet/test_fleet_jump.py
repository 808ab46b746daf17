"""The way to a device through jump hosts, with real servers."""

import getpass
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from partition_studio.fleet.address import SshAddress, parse_destination
from partition_studio.fleet.errors import (
    AuthFailedError,
    ChangedHostKeyError,
    ConnectionLostError,
    NoBannerError,
    UnknownHostKeyError,
    UnreachableError,
)
from partition_studio.fleet.ssh.auth import SshCredentials
from partition_studio.fleet.ssh.config import SshConfig
from partition_studio.fleet.ssh.connect import SshConnection, connect_route
from partition_studio.fleet.ssh.hostkeys import HostKeys
from tests.fleet.conftest import PATIENCE
from tests.sshd import SshServer, free_port

pytestmark = pytest.mark.ssh


class Lab:
    """A board behind a gate, and an SSH config that says so."""

    def __init__(self, folder: Path, gate: SshServer, board: SshServer) -> None:
        self.gate, self.board = gate, board
        self.keys = HostKeys(folder / "known_hosts")
        self.config_file = folder / "config"
        self.credentials = SshCredentials(use_agent=False, ssh_dir=None)
        self.configure()

    def configure(self, board: str = "", gate: str = "") -> None:
        self.config_file.write_text(
            f"Host board\n HostName 127.0.0.1\n Port {self.board.port}\n IdentityFile {self.board.key_file}\n"
            f" ProxyJump gate\n {board}\n"
            f"Host gate\n HostName 127.0.0.1\n Port {self.gate.port}\n IdentityFile {self.gate.key_file}\n {gate}\n"
        )
        self.config_file.chmod(0o600)

    def connect(self, fingerprint: str | None = None) -> SshConnection:
        way = SshConfig(self.config_file).route(parse_destination("ssh://board"))
        return connect_route(way, self.credentials, self.keys, trusted_fingerprint=fingerprint, timeouts=PATIENCE)

    def trust_both(self) -> None:
        for fingerprint in (self.gate.fingerprint(), self.board.fingerprint()):
            try:
                self.connect(fingerprint).close()
            except UnknownHostKeyError:
                continue


@pytest.fixture
def lab(tmp_path: Path) -> Iterator[Lab]:
    with SshServer(tmp_path / "gate") as gate, SshServer(tmp_path / "board") as board:
        yield Lab(tmp_path, gate, board)


def test_each_host_on_the_way_asks_for_its_own_key_one_after_the_other(lab: Lab) -> None:
    with pytest.raises(UnknownHostKeyError, match="jump host") as first:
        lab.connect()
    assert first.value.details["fingerprint"] == lab.gate.fingerprint()
    assert first.value.details["address"] == str(lab.gate.address)
    assert first.value.details["jump_host"] is True
    with pytest.raises(UnknownHostKeyError) as second:
        lab.connect(lab.gate.fingerprint())
    assert second.value.details["fingerprint"] == lab.board.fingerprint()
    assert second.value.details["address"] == str(lab.board.address)
    assert "jump_host" not in second.value.details
    lab.connect(lab.board.fingerprint()).close()
    connection = lab.connect()
    assert connection.run(["sh", "-c", 'echo "$HOME"'], timeout_s=10).stdout.decode().strip() == str(lab.board.home)
    assert connection.label == str(lab.board.address)
    connection.close()


def test_a_devices_fingerprint_is_not_filed_for_the_jump_host(lab: Lab) -> None:
    with pytest.raises(UnknownHostKeyError) as asked:
        lab.connect(lab.board.fingerprint())
    assert asked.value.details["fingerprint"] == lab.gate.fingerprint()
    assert lab.keys.known(lab.gate.address) == lab.keys.known(lab.board.address) == []


def test_a_fingerprint_that_nobody_shows_is_refused(lab: Lab) -> None:
    lab.trust_both()
    lab.keys.forget(lab.board.address)
    with pytest.raises(ChangedHostKeyError, match="confirmed"):
        lab.connect("SHA256:" + "A" * 43)
    assert lab.keys.known(lab.board.address) == []


def test_a_changed_key_of_the_jump_host_stops_everything(lab: Lab) -> None:
    lab.trust_both()
    lab.gate.stop()
    lab.gate.new_host_key()
    lab.gate.start()
    with pytest.raises(ChangedHostKeyError, match="jump host") as refused:
        lab.connect(lab.gate.fingerprint())
    assert refused.value.details["presented_fingerprint"] == lab.gate.fingerprint()


def test_a_file_of_host_keys_that_the_config_names_is_read_and_never_written(lab: Lab, tmp_path: Path) -> None:
    theirs = tmp_path / "lab_hosts"
    theirs.write_text(
        f"[127.0.0.1]:{lab.gate.port} {lab.gate.public_key()}\n[127.0.0.1]:{lab.board.port} {lab.board.public_key()}\n"
    )
    before = theirs.read_text()
    lab.configure(f"UserKnownHostsFile {theirs}", f"UserKnownHostsFile {theirs}")
    lab.connect().close()
    assert theirs.read_text() == before
    assert not (tmp_path / "known_hosts").exists()


def test_a_jump_host_that_refuses_the_key_says_which_host_it_was(lab: Lab) -> None:
    lab.trust_both()
    lab.configure(gate=f"IdentitiesOnly yes\n User {getpass.getuser()}")
    lab.config_file.write_text(lab.config_file.read_text().replace(str(lab.gate.key_file), str(lab.board.key_file)))
    with pytest.raises(AuthFailedError, match="jump host") as refused:
        lab.connect()
    assert refused.value.details["address"] == str(lab.gate.address)
    assert refused.value.details["reason"] == "wrong_key"


def test_the_devices_password_and_key_are_never_shown_to_the_jump_host(lab: Lab) -> None:
    given = SshCredentials(key_file=lab.board.key_file, password="hunter2", use_agent=False, ssh_dir=None)
    assert given.for_jump_host() == SshCredentials(use_agent=False, ssh_dir=None)
    lab.trust_both()
    lab.credentials = given
    lab.connect().close()


def test_a_closed_port_behind_the_jump_host_is_unreachable(lab: Lab) -> None:
    lab.trust_both()
    lab.configure()
    closed = free_port()
    lab.config_file.write_text(lab.config_file.read_text().replace(f"Port {lab.board.port}", f"Port {closed}"))
    with pytest.raises(UnreachableError, match=str(closed)) as refused:
        lab.connect()
    assert refused.value.details["reason"] == "beyond_jump_host"


def test_a_frozen_board_behind_the_jump_host_is_noticed_at_the_greeting(lab: Lab) -> None:
    lab.trust_both()
    lab.board.freeze()
    with pytest.raises(NoBannerError):
        lab.connect()


def test_a_lost_jump_host_loses_the_device(lab: Lab) -> None:
    lab.trust_both()
    connection = lab.connect()
    lab.gate.cut()
    with pytest.raises(ConnectionLostError):
        connection.run(["true"], timeout_s=60)
    assert not connection.is_alive
    connection.close()


def test_closing_leaves_no_session_on_the_jump_host(lab: Lab) -> None:
    lab.trust_both()
    connection = lab.connect()
    assert lab.gate.session_pids()
    connection.close()
    for _ in range(1000):
        if not lab.gate.session_pids():
            return
        subprocess.run(["true"], check=True)
    raise AssertionError(lab.gate.session_pids())


def test_the_ssh_agent_is_used_for_logins_and_never_forwarded(
    lab: Lab, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lab.trust_both()
    said = subprocess.run(
        ["ssh-agent", "-s", "-a", str(tmp_path / "agent")], capture_output=True, text=True, check=True
    )
    agent_pid = int(said.stdout.partition("SSH_AGENT_PID=")[2].partition(";")[0])
    try:
        monkeypatch.setenv("SSH_AUTH_SOCK", str(tmp_path / "agent"))
        # A key with a passphrase: only the agent can use it, and the config names its file.
        subprocess.run(["ssh-add", "-q", str(lab.board.key_file)], check=True)
        subprocess.run(
            ["ssh-keygen", "-q", "-p", "-P", "", "-N", "passphrase", "-f", str(lab.board.key_file)], check=True
        )
        lab.configure(board="IdentitiesOnly yes\n ForwardAgent yes")
        lab.credentials = SshCredentials(ssh_dir=None)
        connection = lab.connect()
        said_there = connection.run(["sh", "-c", 'echo "agent: $SSH_AUTH_SOCK"'], timeout_s=10).stdout
        connection.close()
    finally:
        os.kill(agent_pid, 15)
    assert said_there.strip() == b"agent:"


def test_a_key_that_only_others_of_the_agent_could_prove_is_not_offered(lab: Lab, tmp_path: Path) -> None:
    lab.trust_both()
    with SshServer(tmp_path / "elsewhere") as other:
        lab.configure(board="IdentitiesOnly yes")
        text = lab.config_file.read_text()
        lab.config_file.write_text(text.replace(str(lab.board.key_file), str(other.key_file)))
        with pytest.raises(AuthFailedError) as refused:
            lab.connect()
    assert refused.value.details["address"] == str(SshAddress(getpass.getuser(), "127.0.0.1", lab.board.port))
