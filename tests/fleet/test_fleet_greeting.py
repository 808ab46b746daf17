"""Servers that greet slowly, or hang up, or have several addresses."""

import contextlib
import hashlib
import io
import random
import socket
import subprocess
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from partition_studio.fleet.address import SshAddress
from partition_studio.fleet.errors import AuthFailedError, NoBannerError
from partition_studio.fleet.progress import never_cancelled
from partition_studio.fleet.ssh.auth import SshCredentials
from partition_studio.fleet.ssh.connect import SshTimeouts, connect_ssh, fetch_host_key
from partition_studio.fleet.ssh.hostkeys import HostKeys
from tests.sshd import SshServer

pytestmark = pytest.mark.ssh

NO_LOGIN = SshCredentials(use_agent=False, ssh_dir=None)


@pytest.fixture
def dripping() -> Iterator[int]:
    """A port whose server greets a letter at a time, and never to the end."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        ended = threading.Event()

        def serve() -> None:
            with contextlib.suppress(OSError):
                peer, _ = listener.accept()
                with peer:
                    for letter in b"SSH-2.0-" + b"x" * 1000:
                        if ended.wait(0.05):
                            return
                        peer.sendall(bytes([letter]))

        thread = threading.Thread(target=serve)
        thread.start()
        yield listener.getsockname()[1]
        ended.set()
        # Wakes a server that nobody called.
        with contextlib.suppress(OSError):
            socket.create_connection(("127.0.0.1", listener.getsockname()[1]), timeout=1).close()
        thread.join(20)


def test_a_greeting_that_comes_drop_by_drop_is_given_up_like_none(dripping: int, tmp_path: Path) -> None:
    begun_s = time.monotonic()
    with pytest.raises(NoBannerError, match="within 4 s"):
        connect_ssh(SshAddress("edge", "127.0.0.1", dripping), NO_LOGIN, HostKeys(tmp_path / "known_hosts"))
    # The whole greeting would take fifty seconds.
    assert time.monotonic() - begun_s < 25
    assert SshTimeouts().banner_s < 5


def test_a_name_with_an_address_where_nothing_listens_is_reached_by_its_other_one(
    tmp_path: Path,
) -> None:
    found = {entry[4][0] for entry in socket.getaddrinfo("localhost", 22, type=socket.SOCK_STREAM)}
    if len(found) < 2:
        pytest.skip("localhost has one address here")
    with SshServer(tmp_path / "sshd") as server:
        address = SshAddress("edge", "localhost", server.port)
        assert fetch_host_key(address, HostKeys(tmp_path / "none")).fingerprint == server.fingerprint()


def test_many_refused_keys_leave_no_login_and_a_clear_word(tmp_path: Path) -> None:
    files = []
    for number in range(7):
        file = tmp_path / f"id_{number}"
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(file)], check=True)
        files.append(file)
    with SshServer(tmp_path / "sshd", options=["MaxAuthTries 3"]) as server:
        credentials = SshCredentials(use_agent=False, ssh_dir=None, identity_files=tuple(files))
        with pytest.raises(AuthFailedError) as refused:
            connect_ssh(server.address, credentials, server.trusting_host_keys())
        assert refused.value.details["reason"] == "too_many_attempts"


def test_new_keys_in_the_middle_of_an_upload_disturb_nothing(tmp_path: Path) -> None:
    with SshServer(tmp_path / "sshd", options=["RekeyLimit 1M"]) as server:
        connection = connect_ssh(server.address, server.credentials, server.trusting_host_keys())
        data = random.Random(7).randbytes(6 * 1024 * 1024)
        connection.upload(
            io.BytesIO(data),
            len(data),
            str(server.home / "file"),
            sha256=hashlib.sha256(data).hexdigest(),
            progress=lambda _done: None,
            cancelled=never_cancelled,
        )
        connection.close()
        assert (server.home / "file").read_bytes() == data
