"""What a real OpenSSH server, and what only looks like one, makes of the studio's connection."""

import contextlib
import dataclasses
import random
import re
import socket
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from partition_studio.errors import DeviceError
from partition_studio.fleet.address import SshAddress
from partition_studio.fleet.errors import (
    AddressError,
    AgentUnreachableError,
    AuthFailedError,
    BadAnswerError,
    ChangedHostKeyError,
    ConnectionLostError,
    DeviceTimeoutError,
    NoBannerError,
    UnknownHostKeyError,
    UnreachableError,
)
from partition_studio.fleet.ssh.auth import SshCredentials
from partition_studio.fleet.ssh.connect import SshConnection, SshTimeouts, connect_ssh, fetch_host_key, trust_host_key
from partition_studio.fleet.ssh.hostkeys import HostKeys
from tests.fleet.conftest import PATIENCE
from tests.sshd import SshServer, free_port

pytestmark = pytest.mark.ssh

NO_LOGIN = SshCredentials(use_agent=False, ssh_dir=None)


def wait_until(condition: Callable[[], bool], deadline_s: float = 20.0) -> None:
    deadline = time.monotonic() + deadline_s
    while not condition():
        assert time.monotonic() < deadline, "the condition did not come true"
        time.sleep(0.02)


# --- reaching the device ---------------------------------------------------------------------------------------------


def test_a_closed_port_is_unreachable_and_says_so(tmp_path: Path) -> None:
    address = SshAddress("edge", "127.0.0.1", free_port())
    with pytest.raises(UnreachableError, match=str(address.port)) as refused:
        connect_ssh(address, NO_LOGIN, HostKeys(tmp_path / "known_hosts"))
    assert refused.value.details["reason"] == "refused"


def test_an_unknown_name_is_unreachable_and_named(tmp_path: Path) -> None:
    with pytest.raises(UnreachableError, match=r"no-such-board\.invalid") as refused:
        connect_ssh(SshAddress("edge", "no-such-board.invalid"), NO_LOGIN, HostKeys(tmp_path / "known_hosts"))
    assert refused.value.details["reason"] == "name_unknown"


def test_a_device_that_takes_the_connection_and_says_nothing_is_reported_soon(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as mute:
        address = SshAddress("edge", "127.0.0.1", mute.getsockname()[1])
        started = time.monotonic()
        with pytest.raises(NoBannerError):
            connect_ssh(address, NO_LOGIN, HostKeys(tmp_path / "known_hosts"))
        assert time.monotonic() - started < SshTimeouts().banner_s + 5
        assert SshTimeouts().banner_s < 5


def test_something_else_on_the_port_is_no_ssh_server(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as web:

        def serve() -> None:
            peer, _ = web.accept()
            with peer:
                peer.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n" * 120)
                with contextlib.suppress(OSError):
                    peer.recv(1024)

        thread = threading.Thread(target=serve)
        thread.start()
        with pytest.raises(NoBannerError):
            connect_ssh(
                SshAddress("edge", "127.0.0.1", web.getsockname()[1]), NO_LOGIN, HostKeys(tmp_path / "known_hosts")
            )
        thread.join()


def test_a_frozen_server_is_noticed_at_the_greeting(server: SshServer) -> None:
    keys = server.trusting_host_keys()
    server.freeze()
    with pytest.raises(NoBannerError):
        connect_ssh(server.address, server.credentials, keys, dataclasses.replace(PATIENCE, banner_s=1.0))


def test_a_name_that_leads_to_a_forbidden_address_is_refused(tmp_path: Path) -> None:
    # An address is checked again after the name was resolved; here the name is the address itself.
    with pytest.raises(AddressError, match="link-local"):
        connect_ssh(SshAddress("edge", "169.254.169.254"), NO_LOGIN, HostKeys(tmp_path / "known_hosts"))


# --- who is there ----------------------------------------------------------------------------------------------------


def test_first_contact_shows_the_fingerprint_that_openssh_shows(server: SshServer, tmp_path: Path) -> None:
    keys = HostKeys(tmp_path / "known_hosts")
    with pytest.raises(UnknownHostKeyError) as refused:
        connect_ssh(server.address, server.credentials, keys)
    assert refused.value.details["fingerprint"] == server.fingerprint()
    trust_host_key(server.address, server.fingerprint(), keys)
    connect_ssh(server.address, server.credentials, keys).close()


def test_trust_needs_the_fingerprint_of_the_key_that_is_shown(server: SshServer, tmp_path: Path) -> None:
    keys = HostKeys(tmp_path / "known_hosts")
    with pytest.raises(ChangedHostKeyError):
        trust_host_key(server.address, "SHA256:" + "A" * 43, keys)
    assert keys.known(server.address) == []


def test_a_changed_host_key_is_refused_before_any_login(server: SshServer) -> None:
    keys = server.trusting_host_keys()
    before = server.fingerprint()
    server.stop()
    server.new_host_key()
    server.start()
    with pytest.raises(ChangedHostKeyError) as refused:
        connect_ssh(server.address, server.credentials, keys)
    assert refused.value.details["known_fingerprint"] == before
    assert refused.value.details["presented_fingerprint"] == server.fingerprint()
    assert refused.value.details["line"] == 1
    keys.forget(server.address)
    trust_host_key(server.address, server.fingerprint(), keys)
    connect_ssh(server.address, server.credentials, keys).close()


@pytest.mark.parametrize("key_type", ["ecdsa", "rsa"])
def test_host_keys_of_every_type_are_known_again(tmp_path: Path, key_type: str) -> None:
    with SshServer(tmp_path / "sshd", key_type=key_type) as server:
        assert fetch_host_key(server.address, HostKeys(tmp_path / "none")).fingerprint == server.fingerprint()
        connect_ssh(server.address, server.credentials, server.trusting_host_keys()).close()


# --- logging in ------------------------------------------------------------------------------------------------------


def test_a_wrong_key_is_said_to_be_wrong(server: SshServer, tmp_path: Path) -> None:
    with SshServer(tmp_path / "other") as other:
        wrong = other.credentials
    with pytest.raises(AuthFailedError, match="id_client") as refused:
        connect_ssh(server.address, wrong, server.trusting_host_keys())
    assert refused.value.details["reason"] == "wrong_key"


def test_a_password_that_the_server_does_not_take_is_said_so_and_never_shown(server: SshServer) -> None:
    credentials = SshCredentials(use_agent=False, ssh_dir=None, password="hunter2")
    assert "hunter2" not in repr(credentials)
    with pytest.raises(AuthFailedError, match="publickey") as refused:
        connect_ssh(server.address, credentials, server.trusting_host_keys())
    assert refused.value.details["reason"] == "password_not_accepted"
    assert "hunter2" not in str(refused.value) + repr(refused.value.details)


def test_a_wrong_password_is_said_to_be_wrong(tmp_path: Path) -> None:
    with (
        SshServer(tmp_path / "sshd", passwords=True) as server,
        pytest.raises(AuthFailedError, match="password") as refused,
    ):
        connect_ssh(
            server.address,
            SshCredentials(use_agent=False, ssh_dir=None, password="hunter2"),
            server.trusting_host_keys(),
        )
    assert refused.value.details["reason"] == "wrong_password"


def test_nothing_to_log_in_with_is_said_so(server: SshServer) -> None:
    with pytest.raises(AuthFailedError) as refused:
        connect_ssh(server.address, NO_LOGIN, server.trusting_host_keys())
    assert refused.value.details["reason"] == "no_key"


def test_a_key_file_that_is_none_is_named(server: SshServer, tmp_path: Path) -> None:
    (tmp_path / "key").write_text("not a key")
    for path in (tmp_path / "key", tmp_path / "missing"):
        with pytest.raises(AuthFailedError, match=path.name) as refused:
            connect_ssh(server.address, SshCredentials(key_file=path), server.trusting_host_keys())
        assert refused.value.details["reason"] == "key_unreadable"


def test_what_is_wrong_with_a_key_file_is_said_in_words(server: SshServer, tmp_path: Path) -> None:
    public = server.key_file.with_suffix(".pub")
    for path, words in (
        (public, f"{public} is the public key; give the private one beside it ({server.key_file})"),
        (tmp_path / "missing", f"there is no key file {tmp_path / 'missing'}"),
        (tmp_path, f"{tmp_path} is a folder"),
    ):
        with pytest.raises(AuthFailedError, match=re.escape(words)) as refused:
            connect_ssh(server.address, SshCredentials(key_file=path, use_agent=False), server.trusting_host_keys())
        assert "Errno" not in refused.value.message


def test_a_default_key_of_the_user_is_found(server: SshServer, tmp_path: Path) -> None:
    folder = tmp_path / "dot-ssh"
    folder.mkdir()
    (folder / "id_ed25519").write_bytes(server.key_file.read_bytes())
    connect_ssh(server.address, SshCredentials(use_agent=False, ssh_dir=folder), server.trusting_host_keys()).close()


# --- commands --------------------------------------------------------------------------------------------------------


def test_words_arrive_as_they_are(connection: SshConnection) -> None:
    words = ["a b", "c'd", '"e"', "$(id)", "`id`", ";ls", "-n", "\\", "*", "ä", "", "new\nline"]
    answer = connection.run(["printf", "%s|", *words], timeout_s=10)
    assert answer.stdout.decode() == "".join(f"{word}|" for word in words)


def test_status_and_both_outputs_come_back(connection: SshConnection) -> None:
    answer = connection.run(["sh", "-c", "cat; echo oops >&2; exit 7"], stdin=b"hello", timeout_s=10)
    assert (answer.returncode, answer.stdout, answer.stderr) == (7, b"hello", b"oops\n")


def test_much_output_on_both_sides_blocks_nothing(connection: SshConnection) -> None:
    data = random.Random(1).randbytes(3 * 1024 * 1024)
    answer = connection.run(["sh", "-c", "head -c 3000000 /dev/zero >&2; cat"], stdin=data, timeout_s=60)
    assert answer.stdout == data
    assert len(answer.stderr) == 64 * 1024


def test_endless_output_is_refused(connection: SshConnection) -> None:
    with pytest.raises(BadAnswerError, match="cat"):
        connection.run(["cat", "/dev/zero"], timeout_s=60)
    assert connection.run(["true"], timeout_s=10).returncode == 0


def test_a_command_that_does_not_end_is_given_up(connection: SshConnection) -> None:
    with pytest.raises(DeviceTimeoutError, match="sleep"):
        connection.run(["sleep", "60"], timeout_s=0.3)
    assert connection.run(["true"], timeout_s=10).returncode == 0


def test_commands_run_side_by_side_on_one_connection(connection: SshConnection) -> None:
    answers: list[bytes] = []
    threads = [
        threading.Thread(target=lambda n=n: answers.append(connection.run(["echo", str(n)], timeout_s=20).stdout))
        for n in range(6)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(answers) == [f"{n}\n".encode() for n in range(6)]


def test_the_device_knows_its_own_address(connection: SshConnection) -> None:
    assert (connection.peer_ip, connection.own_ip) == ("127.0.0.1", "127.0.0.1")


@pytest.mark.parametrize("claimed", ["169.254.169.254", "fe80::1%eth0", "::ffff:169.254.169.254", "224.0.0.1", "no"])
def test_a_device_sends_nobody_to_an_address_that_no_device_may_have(tmp_path: Path, claimed: str) -> None:
    with SshServer(tmp_path / "liar", before=f'echo "ssh-connection: 10.0.0.1 1 {claimed} 22"') as liar:
        connection = connect_ssh(liar.address, liar.credentials, liar.trusting_host_keys(), PATIENCE)
        try:
            assert connection.own_ip == "127.0.0.1"
        finally:
            connection.close()


# --- losing the device -----------------------------------------------------------------------------------------------


def test_a_device_that_freezes_is_noticed_while_a_command_runs(server: SshServer) -> None:
    connection = connect_ssh(server.address, server.credentials, server.trusting_host_keys(), PATIENCE)
    server.freeze()
    with pytest.raises(ConnectionLostError):
        connection.run(["true"], timeout_s=60)
    assert not connection.is_alive
    connection.close()


@pytest.mark.parametrize(
    ("error", "is_alive"), [(EOFError(), False), (OSError("broken"), False), (TimeoutError(), True)]
)
def test_an_end_that_was_told_counts_at_once(
    server: SshServer, error: Exception, is_alive: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """paramiko hands its reason out before the transport counts as ended."""
    connection = connect_ssh(server.address, server.credentials, server.trusting_host_keys(), PATIENCE)

    def fail(**_: object) -> None:
        raise error

    monkeypatch.setattr(connection._transport, "open_session", fail)
    with pytest.raises(ConnectionLostError):
        connection.run(["true"], timeout_s=60)
    assert connection.is_alive is is_alive
    connection.close()


def test_a_cut_connection_is_lost_and_a_new_one_works(server: SshServer, connection: SshConnection) -> None:
    server.cut()
    with pytest.raises(ConnectionLostError):
        connection.run(["true"], timeout_s=60)
    again = connect_ssh(server.address, server.credentials, server.trusting_host_keys())
    assert again.run(["true"], timeout_s=10).returncode == 0
    again.close()


def test_a_closed_connection_leaves_no_thread(server: SshServer) -> None:
    before = set(threading.enumerate())
    opened = connect_ssh(server.address, server.credentials, server.trusting_host_keys())
    opened.run(["true"], timeout_s=10)
    opened.close()
    opened.close()
    wait_until(lambda: set(threading.enumerate()) <= before)


# --- streams ---------------------------------------------------------------------------------------------------------


def test_a_stream_reaches_a_port_of_the_device_and_ends_when_either_side_ends(connection: SshConnection) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def echo_once() -> None:
            peer, _ = listener.accept()
            with peer:
                while data := peer.recv(65536):
                    peer.sendall(data.upper())

        thread = threading.Thread(target=echo_once)
        thread.start()
        with connection.open_stream(listener.getsockname()[1]) as stream:
            stream.sendall(b"hello")
            assert stream.recv(100) == b"HELLO"
            stream.shutdown(socket.SHUT_WR)
            assert stream.recv(100) == b""
        thread.join(timeout=20)
        assert not thread.is_alive()
    wait_until(lambda: not [one for one in threading.enumerate() if one.name.startswith("bridge")])


def test_a_port_where_nothing_listens_is_named(connection: SshConnection) -> None:
    port = free_port()
    with pytest.raises(AgentUnreachableError, match=str(port)):
        connection.open_stream(port)


def test_a_stream_ends_when_the_connection_is_lost(server: SshServer, connection: SshConnection) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        stream = connection.open_stream(listener.getsockname()[1])
        peer, _ = listener.accept()
        server.cut()
        with stream, peer:
            stream.settimeout(20)
            assert stream.recv(1) == b""
    wait_until(lambda: not [one for one in threading.enumerate() if one.name.startswith("bridge")])


def test_every_error_of_a_device_has_a_code_and_a_next_step() -> None:
    def leaves(kind: type[DeviceError]) -> Iterator[type[DeviceError]]:
        for leaf in kind.__subclasses__():
            yield leaf
            yield from leaves(leaf)

    fleet = [leaf for leaf in leaves(DeviceError) if leaf.__module__.startswith("partition_studio.fleet")]
    assert len({leaf.code for leaf in fleet}) == len(fleet) > 15
    assert all(leaf.next_step.endswith(".") for leaf in fleet)
