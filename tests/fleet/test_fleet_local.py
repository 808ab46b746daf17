"""This machine as a device answers as one over SSH does."""

import errno
import hashlib
import io
import os
import resource
import signal
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from partition_studio.fleet.check.check import check_device
from partition_studio.fleet.errors import (
    AgentUnreachableError,
    BadAnswerError,
    DeviceFileError,
    DeviceTimeoutError,
    DiskFullError,
    OperationCancelledError,
    UploadCorruptError,
)
from partition_studio.fleet.install.device_python import call_device
from partition_studio.fleet.install.install import ensure_installed
from partition_studio.fleet.install.wheelhouse import WheelhouseCache
from partition_studio.fleet.local import LocalConnection
from partition_studio.fleet.on_device.device_files import file_trouble
from partition_studio.fleet.progress import never_cancelled
from tests.sshd import free_port


@pytest.fixture
def device(tmp_path: Path) -> LocalConnection:
    return LocalConnection(tmp_path / "device", "this machine")


def put(device: LocalConnection, data: bytes, path: Path, sha256: str | None = None) -> bool:
    digest = sha256 or hashlib.sha256(data).hexdigest()
    return device.upload(
        io.BytesIO(data), len(data), str(path), sha256=digest, progress=lambda _: None, cancelled=never_cancelled
    )


def test_words_arrive_as_they_are_with_status_and_outputs(device: LocalConnection) -> None:
    answer = device.run(["sh", "-c", 'cat; printf %s "$1" >&2; exit 3', "x", "$(id)"], stdin=b"in", timeout_s=10)
    assert (answer.returncode, answer.stdout, answer.stderr) == (3, b"in", b"$(id)")


def test_input_that_nobody_reads_is_no_error(device: LocalConnection) -> None:
    assert device.run(["true"], stdin=bytes(1_000_000), timeout_s=10).returncode == 0


def test_a_program_that_is_not_there_ends_as_in_a_shell(device: LocalConnection) -> None:
    assert device.run(["/no/such/program"], timeout_s=10).returncode == 127


def test_a_command_that_does_not_end_is_ended_with_its_children(device: LocalConnection, tmp_path: Path) -> None:
    with pytest.raises(DeviceTimeoutError, match="sh did not end"):
        device.run(["sh", "-c", f"sleep 60 & echo $! > {tmp_path}/pid; wait"], timeout_s=0.5)
    child = int((tmp_path / "pid").read_text())
    state = Path(f"/proc/{child}/stat")
    assert not state.exists() or state.read_text().rpartition(")")[2].split()[0] == "Z"


def test_endless_output_is_refused(device: LocalConnection) -> None:
    with pytest.raises(BadAnswerError):
        device.run(["head", "-c", "6000000", "/dev/zero"], timeout_s=60)


def test_the_check_of_this_machine_starts_no_python_but_the_studios(
    device: LocalConnection, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    other, started = tmp_path / "python3", tmp_path / "started"
    other.write_text(f"#!/bin/sh\n: > {started}\nexit 1\n")
    other.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    check = check_device(device)
    assert [python.path for python in check.facts.pythons] == [sys.executable]
    assert check.facts.affinity_cores == len(os.sched_getaffinity(0)), "the studio's Python tells the rest"
    assert not started.exists()


def test_a_file_is_copied_once_and_privately(device: LocalConnection, tmp_path: Path) -> None:
    path = tmp_path / "new" / "file"
    assert put(device, b"data", path)
    assert not put(device, b"data", path)
    assert (path.read_bytes(), path.stat().st_mode & 0o077) == (b"data", 0)
    assert [file.name for file in path.parent.iterdir()] == ["file"]


def test_a_copy_that_is_broken_or_cancelled_puts_nothing_in_place(device: LocalConnection, tmp_path: Path) -> None:
    with pytest.raises(UploadCorruptError):
        put(device, b"data", tmp_path / "file", "0" * 64)
    with pytest.raises(OperationCancelledError):
        device.upload(b"data", 4, str(tmp_path / "file"), sha256="", progress=lambda _: None, cancelled=lambda: True)
    assert list(tmp_path.iterdir()) == []


@pytest.fixture
def small_files() -> Iterator[None]:
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (65536, before[1]))
    yield
    resource.setrlimit(resource.RLIMIT_FSIZE, before)
    signal.signal(signal.SIGXFSZ, handler)


@pytest.mark.usefixtures("small_files")
def test_no_room_is_a_full_disk_with_the_figures(device: LocalConnection, tmp_path: Path) -> None:
    with pytest.raises(DiskFullError, match=r"4\.00 MB") as full:
        put(device, bytes(4_000_000), tmp_path / "file")
    assert isinstance(full.value.__cause__, OSError)
    assert full.value.__cause__.errno == errno.EFBIG
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_cannot_be_made_is_named(device: LocalConnection, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(DeviceFileError, match="file/below"):
        put(device, b"data", tmp_path / "file" / "below")


@pytest.mark.parametrize(
    ("problem", "told"),
    [
        (FileExistsError(errno.EEXIST, "File exists", "/a"), "/a cannot be made: something else has this name there"),
        (NotADirectoryError(errno.ENOTDIR, "Not a directory", "/a/b"), "/a/b cannot be used: what should be a folder"),
        (PermissionError(errno.EACCES, "Permission denied", "/a"), "/a cannot be used (Permission denied)"),
        (OSError(errno.EROFS, "Read-only file system", "/a", None, "/b"), "/b cannot be used (Read-only file system)"),
        (OSError(errno.EIO, "Input/output error"), "a file cannot be read or written (Input/output error)"),
        (OSError("odd"), "a file cannot be read or written (odd)"),
        (OSError(), "a file cannot be read or written (OSError)"),
    ],
)
def test_what_a_devices_system_refuses_is_told_in_a_sentence(problem: OSError, told: str) -> None:
    assert file_trouble(problem).startswith(told)


def test_a_file_in_the_place_of_a_devices_folder_is_told_with_what_to_do(
    device: LocalConnection, tmp_path: Path
) -> None:
    folder = tmp_path / "in the way"
    folder.write_text("mine")
    arguments = {"data_dir": str(folder), "command": [], "python_path": "", "deadline_s": 1.0, "autostart": None}
    with pytest.raises(DeviceFileError) as refused:
        call_device(device, sys.executable, "start", arguments, answer=dict[str, object], timeout_s=40)
    assert refused.value.message == f"this machine: {folder} cannot be made: something else has this name there"
    assert "at that path" in refused.value.next_step


def test_a_port_where_nothing_listens_is_named(device: LocalConnection) -> None:
    port = free_port()
    with pytest.raises(AgentUnreachableError, match=str(port)):
        device.open_stream(port)


def test_a_local_device_needs_no_installation(device: LocalConnection, tmp_path: Path) -> None:
    installed = ensure_installed(device, check_device(device), WheelhouseCache(tmp_path / "wheels"))
    assert (installed.python, installed.data_dir) == (sys.executable, str(device.data_dir))
    assert not os.path.exists(tmp_path / "wheels")
