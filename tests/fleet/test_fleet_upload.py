"""Uploads that are cut at every tenth, by the shell's way and by SFTP, and onto Dropbear."""

import hashlib
import random
import shlex
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import paramiko
import pytest

from partition_studio.errors import DeviceError
from partition_studio.fleet.errors import BadAnswerError, ConnectionLostError, DiskFullError, UploadCorruptError
from partition_studio.fleet.progress import never_cancelled
from partition_studio.fleet.ssh import channel as ssh_channel
from partition_studio.fleet.ssh.connect import SshConnection, connect_ssh
from tests.dropbear import DropbearServer, why_not
from tests.sshd import SshServer

pytestmark = pytest.mark.ssh

MIB = 1024 * 1024
DATA = random.Random(4).randbytes(6 * MIB)

#: As with `internal-sftp` for all else: a login whose shell runs no script, but serves SFTP.
NO_SHELL = 'case "$SSH_ORIGINAL_COMMAND" in *sftp-server*) ;; *upload*) echo no such thing >&2; exit 1;; esac'

#: What is started ends some time after its last word.
LINGERING = 'sh -c "$SSH_ORIGINAL_COMMAND"; status=$?; sleep 0.5; exit $status'


def put(connection: SshConnection, path: Path, progress: Callable[[int], None], data: bytes = DATA) -> bool:
    return connection.upload(
        data,
        len(data),
        str(path),
        sha256=hashlib.sha256(data).hexdigest(),
        progress=progress,
        cancelled=never_cancelled,
    )


def connect(server: SshServer) -> SshConnection:
    return connect_ssh(server.address, server.credentials, server.trusting_host_keys())


def sent_twice_when_cut_at(server: SshServer, path: Path, cuts: list[int]) -> list[int]:
    """Cut an upload at each of `cuts` (bytes), one after the other; return how much was sent again each time."""
    again: list[int] = []
    sent = 0
    for cut in [*cuts, len(DATA) + 1]:
        seen: list[int] = []

        def report(done: int, seen: list[int] = seen, cut: int = cut) -> None:
            seen.append(done)
            if done >= cut and (len(seen) == 1 or seen[-2] < cut):
                server.cut()

        connection = connect(server)
        try:
            put(connection, path, report)
        except ConnectionLostError:
            assert not path.exists()
        finally:
            connection.close()
        assert seen[0] <= sent
        again.append(sent - seen[0])
        sent = seen[-1]
    return again


@pytest.mark.parametrize(
    ("way", "tenths"),
    [("python", range(1, 10)), ("shell", (1, 5, 9)), ("sftp", (1, 5, 9))],
    ids=["python", "shell", "sftp"],
)
def test_an_upload_cut_at_each_tenth_sends_at_most_a_mebibyte_again(
    tmp_path: Path, way: str, tenths: Sequence[int]
) -> None:
    with SshServer(tmp_path / "sshd", before=NO_SHELL if way == "sftp" else "") as server:
        if way == "shell":
            server.put_tool("python3", "exit 127")
        path = server.home / "folder" / "big"
        again = sent_twice_when_cut_at(server, path, [len(DATA) * tenth // 10 for tenth in tenths])
        assert path.read_bytes() == DATA
        assert [file.name for file in path.parent.iterdir()] == ["big"]
    assert max(again) <= MIB
    assert len(again) == len(tenths) + 1


#: What reads the upload on the device, with one process and with several, and stops in the middle.
STOPPING_PYTHON = """
import fcntl, os, sys, time
fcntl.fcntl(0, 1031, 262144)
with open(sys.argv[-1], "ab") as part:
    while (left := 1_000_000 - part.tell()) > 0:
        part.write(os.read(0, min(left, 131072)))
time.sleep(60)
"""
STOPPING = {
    "python": {
        "python3": f'case "$*" in *big.part) exec {sys.executable} -c {shlex.quote(STOPPING_PYTHON)} "$4";; esac'
    },
    "shell": {
        "python3": "exit 127",
        "tee": 'case "$*" in *big.part) head -c 1000000 >>"$HOME/big.part"; exec sleep 60;; esac',
    },
}


@pytest.mark.parametrize("way", STOPPING)
def test_a_device_that_takes_slowly_is_never_ahead_of_by_more_than_a_mebibyte(tmp_path: Path, way: str) -> None:
    with SshServer(tmp_path / "sshd") as server:
        path = server.home / "big"
        # The studio goes on until the way there is full, and no further.
        for name, script in STOPPING[way].items():
            server.put_tool(name, script)
        connection = connect(server)
        seen: list[int] = []

        def report(done: int) -> None:
            seen.append(done)

        failed: list[DeviceError] = []

        def run() -> None:
            try:
                put(connection, path, report)
            except DeviceError as error:
                failed.append(error)

        thread = threading.Thread(target=run)
        thread.start()
        deadline = time.monotonic() + 20
        last, since = -1, time.monotonic()
        while time.monotonic() - since < 1.0:
            assert time.monotonic() < deadline
            now = seen[-1] if seen else -1
            if now != last or now < 1_000_000:
                last, since = now, time.monotonic()
            time.sleep(0.05)
        connection.close()
        thread.join(20)
        there = path.with_name("big.part").stat().st_size
        assert there == 1_000_000
        assert last - there <= MIB
        assert failed


@pytest.fixture
def sftp_server(tmp_path: Path) -> Iterator[SshServer]:
    with SshServer(tmp_path / "sshd", before=NO_SHELL) as server:
        yield server


def test_where_the_shell_takes_no_upload_sftp_does(sftp_server: SshServer) -> None:
    connection = connect(sftp_server)
    seen: list[int] = []
    path = sftp_server.home / "a" / "b" / "file"
    assert put(connection, path, seen.append)
    assert path.read_bytes() == DATA
    assert (path.stat().st_mode & 0o077, path.parent.stat().st_mode & 0o077) == (0, 0)
    assert seen[-1] == len(DATA)
    assert not put(connection, path, seen.append), "it is there"
    connection.close()


def test_sftp_puts_nothing_broken_in_place_and_says_what_cannot_be_written(sftp_server: SshServer) -> None:
    connection = connect(sftp_server)
    path = sftp_server.home / "file"
    with pytest.raises(UploadCorruptError):
        connection.upload(
            DATA, len(DATA), str(path), sha256="0" * 64, progress=lambda _: None, cancelled=never_cancelled
        )
    path.with_name("file.part").write_bytes(b"of another file")
    assert put(connection, path, lambda _: None)
    assert path.read_bytes() == DATA
    with pytest.raises(DeviceError, match="file/below"):
        put(connection, path / "below", lambda _: None)
    sftp_server.set_before(f"ulimit -f 2000; {NO_SHELL}")
    with pytest.raises((DiskFullError, ConnectionLostError)):
        put(connection, sftp_server.home / "large", lambda _: None)
    assert not (sftp_server.home / "large").exists()
    connection.close()


def test_an_upload_closes_its_channel_after_its_script_has_ended(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Of a channel that is closed earlier, Dropbear would take the next command's channel with it.
    ended: list[bool] = []
    close = paramiko.Channel.close

    def note(channel: paramiko.Channel) -> None:
        ended.append(channel.exit_status_ready())
        close(channel)

    monkeypatch.setattr(ssh_channel, "_FAREWELL_S", 60.0)
    with SshServer(tmp_path / "sshd", before=LINGERING) as server:
        connection = connect(server)
        monkeypatch.setattr(paramiko.Channel, "close", note)
        assert put(connection, tmp_path / "file", lambda _: None, b"data")
        assert not put(connection, tmp_path / "file", lambda _: None, b"data")
        connection.close()
    assert len(ended) >= 2
    assert all(ended)


def test_without_shell_and_sftp_both_are_named(tmp_path: Path) -> None:
    with SshServer(tmp_path / "sshd", before="exit 1") as server, pytest.raises(BadAnswerError, match="no SFTP server"):
        put(connect(server), server.home / "file", lambda _: None)


# --- Dropbear, without an SFTP server --------------------------------------------------------------------------------


@pytest.fixture
def dropbear(tmp_path: Path) -> Iterator[DropbearServer]:
    if (reason := why_not()) is not None:
        pytest.skip(reason)
    with DropbearServer(tmp_path / "dropbear") as server:
        yield server


def test_dropbear_takes_an_upload_that_was_cut_and_no_thread_stays(dropbear: DropbearServer) -> None:
    threads = set(threading.enumerate())
    path = dropbear.folder / "files" / "deep" / "big"
    connection = connect_ssh(dropbear.address, dropbear.credentials, dropbear.trusting_host_keys())

    def cut(done: int) -> None:
        if done >= len(DATA) // 2:
            dropbear.cut()

    with pytest.raises(ConnectionLostError):
        put(connection, path, cut)
    connection.close()
    again = connect_ssh(dropbear.address, dropbear.credentials, dropbear.trusting_host_keys())
    seen: list[int] = []
    assert put(again, path, seen.append)
    assert len(DATA) // 2 - MIB <= seen[0]
    assert path.read_bytes() == DATA
    assert not put(again, path, seen.append)
    assert again.run(["sh", "-c", "echo $1", "x", "a b"], timeout_s=20).stdout == b"a b\n"
    again.close()
    deadline = time.monotonic() + 20
    while not set(threading.enumerate()) <= threads:
        assert time.monotonic() < deadline, set(threading.enumerate()) - threads
        time.sleep(0.02)
