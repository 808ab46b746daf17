"""Files put onto a device by SSH: whole, private, once; with a reason where they cannot be."""

import hashlib
import io
import os
import random
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from partition_studio.fleet.errors import (
    ConnectionLostError,
    DeviceFileError,
    DiskFullError,
    OperationCancelledError,
    UploadCorruptError,
)
from partition_studio.fleet.progress import never_cancelled
from partition_studio.fleet.ssh.connect import SshConnection, connect_ssh
from tests.sshd import SshServer

pytestmark = pytest.mark.ssh


def ignore_bytes(_done: int) -> None:
    return


def put(
    connection: SshConnection,
    data: bytes,
    path: Path,
    *,
    sha256: str | None = None,
    progress: Callable[[int], None] = ignore_bytes,
    cancelled: Callable[[], bool] = never_cancelled,
) -> bool:
    digest = sha256 or hashlib.sha256(data).hexdigest()
    return connection.upload(
        io.BytesIO(data), len(data), str(path), sha256=digest, progress=progress, cancelled=cancelled
    )


def test_a_file_arrives_whole_private_and_only_once(server: SshServer, connection: SshConnection) -> None:
    data = random.Random(2).randbytes(1_500_000)
    path = server.home / "new folder" / "it's $HOME.bin"
    seen: list[int] = []
    assert put(connection, data, path, progress=seen.append)
    assert path.read_bytes() == data
    assert path.stat().st_mode & 0o077 == 0
    assert seen[-1] == len(data)
    assert seen == sorted(seen)
    assert not put(connection, data, path)
    assert [file.name for file in path.parent.iterdir()] == [path.name]


def test_another_content_replaces_a_file_and_an_empty_one_is_a_file(
    server: SshServer, connection: SshConnection
) -> None:
    path = server.home / "file"
    assert put(connection, b"one", path)
    assert put(connection, b"", path)
    assert path.read_bytes() == b""
    assert put(connection, b"three", path)
    assert path.read_bytes() == b"three"


def test_an_upload_cut_in_the_middle_is_continued_where_it_was(server: SshServer, connection: SshConnection) -> None:
    data = random.Random(3).randbytes(24 * 1024 * 1024)
    path = server.home / "big"

    def cut_in_the_middle(done: int) -> None:
        if done > len(data) // 2:
            server.cut()

    with pytest.raises(ConnectionLostError):
        put(connection, data, path, progress=cut_in_the_middle)
    assert not path.exists()
    again = connect_ssh(server.address, server.credentials, server.trusting_host_keys())
    seen: list[int] = []
    assert put(again, data, path, progress=seen.append)
    again.close()
    assert path.read_bytes() == data
    assert seen[0] > 0, "it began anew"
    assert not path.with_name("big.part").exists()


def test_a_part_of_another_file_is_thrown_away(server: SshServer, connection: SshConnection) -> None:
    server.home.joinpath("file.part").write_bytes(b"something else")
    data = random.Random(4).randbytes(100_000)
    assert put(connection, data, server.home / "file")
    assert server.home.joinpath("file").read_bytes() == data


def test_what_arrives_broken_is_not_put_in_place(server: SshServer, connection: SshConnection) -> None:
    with pytest.raises(UploadCorruptError):
        put(connection, b"data", server.home / "file", sha256="0" * 64)
    assert list(server.home.iterdir()) == []


def test_a_cancelled_upload_puts_nothing_in_place(server: SshServer, connection: SshConnection) -> None:
    sent: list[int] = []
    with pytest.raises(OperationCancelledError):
        put(
            connection,
            bytes(8 * 1024 * 1024),
            server.home / "file",
            progress=sent.append,
            cancelled=lambda: len(sent) > 3,
        )
    assert not server.home.joinpath("file").exists()
    assert connection.run(["true"], timeout_s=10).returncode == 0


#: A small file is taken by a chain of programs, a large one by one of ours.
SIZES = (4_000_000, 5_000_000)


@pytest.mark.parametrize("size", SIZES)
def test_a_limit_on_file_sizes_is_a_full_disk_and_cleaned_up(
    server: SshServer, connection: SshConnection, size: int
) -> None:
    server.set_before("ulimit -f 64")
    with pytest.raises(DiskFullError, match="big") as full:
        put(connection, random.Random(5).randbytes(size), server.home / "big")
    assert full.value.details["needed_bytes"] == size
    assert list(server.home.iterdir()) == []


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    if os.geteuid() != 0:
        pytest.skip("only root can mount a small disk; the limit on file sizes is tested for everybody")
    folder = tmp_path / "small"
    folder.mkdir()
    if os.system(f"mount -t tmpfs -o size=1m tmpfs {folder} 2>/dev/null") != 0:  # noqa: S605 - a path that we made
        pytest.skip("this machine mounts no tmpfs")
    try:
        yield folder
    finally:
        os.system(f"umount {folder}")  # noqa: S605 - a path that we made


@pytest.mark.parametrize("size", SIZES)
def test_a_full_disk_says_what_is_needed_and_free_and_is_cleaned_up(
    small_disk: Path, connection: SshConnection, size: int
) -> None:
    with pytest.raises(DiskFullError, match=f"needs {size / 1e6:.2f} MB") as full:
        put(connection, random.Random(6).randbytes(size), small_disk / "big")
    assert full.value.details["path"] == str(small_disk / "big")
    assert isinstance(full.value.details["free_bytes"], int)
    assert list(small_disk.iterdir()) == []


def test_a_folder_that_cannot_be_made_is_named(server: SshServer, connection: SshConnection) -> None:
    server.home.joinpath("file").write_text("in the way")
    with pytest.raises(DeviceFileError, match="file/below"):
        put(connection, b"data", server.home / "file" / "below")


@pytest.mark.parametrize("path", ["relative", "/a/../b", "/a\nb", "", "~/x"])
def test_a_path_that_is_not_plain_is_refused(connection: SshConnection, path: str) -> None:
    with pytest.raises(DeviceFileError):
        connection.upload(b"", 0, path, sha256="", progress=ignore_bytes, cancelled=never_cancelled)


def test_a_login_that_prints_things_disturbs_nothing(server: SshServer, connection: SshConnection) -> None:
    server.set_before("echo Welcome to the board; echo partition-studio")
    assert put(connection, b"data", server.home / "file")
    assert server.home.joinpath("file").read_bytes() == b"data"
