"""An upload through a shell on the device: `on_device/upload.sh` takes it on its stdin. It needs no SFTP server."""

import hashlib
import io
from contextlib import suppress
from importlib import resources
from shlex import join
from typing import BinaryIO

import paramiko
from paramiko.ssh_exception import SSHException

from partition_studio.fleet.connection import BytesProgress
from partition_studio.fleet.errors import (
    BadAnswerError,
    ConnectionLostError,
    DeviceFileError,
    DeviceTimeoutError,
    DiskFullError,
    UploadCorruptError,
)
from partition_studio.fleet.on_device.upload_receiver import BUFFER_BYTES, PIPE_BYTES
from partition_studio.fleet.progress import CancelCheck, stop_if_cancelled
from partition_studio.fleet.ssh.channel import lost_connection
from partition_studio.fleet.text import decode_clean
from partition_studio.sizes import size_text

#: Two packets: paramiko puts 64 bytes less into one than the 32 KiB that servers take, and sends a third small one.
_CHUNK_BYTES = 2 * (32 * 1024 - 64)
_MARK = b"partition-studio: "
_MAX_CHATTER_BYTES = 256 * 1024

#: What may be on its way and not yet taken by the device. It is sent again after a cut, with what lay in a pipe and in
#: a buffer there: together with a chunk, at most 1 MiB.
MAX_IN_FLIGHT_BYTES = 1024 * 1024 - PIPE_BYTES - BUFFER_BYTES - _CHUNK_BYTES

#: An upload that moves nothing for so long is given up.
_STALLED_S = 30.0

#: Hashing what is already there may take a slow card this long.
_DIGEST_S = 120.0

#: What the shell says of a process that SIGXFSZ ended: a limit on file sizes, to the person the same as a full disk.
_SIGXFSZ_STATUS = 128 + 25


class NoShellUploadError(Exception):
    """The device's shell did not run the script at all; nothing was sent."""


def upload_command(path: str, sha256: str, size: int) -> str:
    """Return the command that takes an upload on its stdin."""
    folder = resources.files("partition_studio.fleet.on_device")
    script, receiver = (folder.joinpath(name).read_text() for name in ("upload.sh", "upload_receiver.py"))
    return join(["sh", "-c", script, "upload", path, sha256, str(size), receiver])


class ShellUpload:
    """One file on its way through a channel on which `upload_command` runs."""

    def __init__(self, channel: paramiko.Channel, label: str, path: str, size: int, sha256: str) -> None:
        self._channel = channel
        self._label = label
        self._path = path
        self._size = size
        self._sha256 = sha256
        self._said = bytearray()
        self._heard = False

    def send(self, source: BinaryIO | bytes, progress: BytesProgress, cancelled: CancelCheck) -> bool:
        """Send what the device has not; see `DeviceConnection.upload`."""
        try:
            self._channel.settimeout(_DIGEST_S)
            first = self._next_answer()
            if first[0] == "have":
                progress(self._size)
                return False
            if first[0] == "want":
                stream = io.BytesIO(source) if isinstance(source, bytes) else source
                start = self._agree_on_start(stream, first)
                self._channel.settimeout(_STALLED_S)
                self._stream(stream, start, progress, cancelled)
                self._channel.settimeout(_DIGEST_S)
                first = self._next_answer()
        except TimeoutError as error:
            raise DeviceTimeoutError(
                f"{self._label}: the upload of {self._path} does not move any more", path=self._path
            ) from error
        except (SSHException, EOFError, OSError) as error:
            raise lost_connection(self._label, error) from error
        if first[0] != "ok":
            raise self._failure(first)
        return True

    def _agree_on_start(self, stream: BinaryIO, answer: list[str]) -> int:
        """Return the offset to send from: the device's part, when it is a true beginning of this file."""
        have = int(answer[1]) if len(answer) == 3 and answer[1].isdigit() else 0
        if 0 < have <= self._size:
            digest = hashlib.sha256()
            origin = stream.tell()
            left = have
            while left and (data := stream.read(min(left, _CHUNK_BYTES))):
                digest.update(data)
                left -= len(data)
            if left == 0 and digest.hexdigest() == answer[2]:
                self._channel.sendall(b"resume\n")
                return have
            stream.seek(origin)
        self._channel.sendall(b"fresh\n")
        return 0

    def _stream(self, stream: BinaryIO, start: int, progress: BytesProgress, cancelled: CancelCheck) -> None:
        sent = start
        progress(sent)
        window = self._channel.out_window_size
        try:
            while sent < self._size:
                stop_if_cancelled(cancelled, f"the upload of {self._path} to {self._label}")
                data = stream.read(min(_CHUNK_BYTES, self._size - sent))
                if not data:
                    break
                self._channel.sendall(data)
                sent += len(data)
                progress(sent)
                self._wait_until_taken(window)
            self._channel.shutdown_write()
        except TimeoutError:
            raise
        except OSError:
            # The device's side ended early: it says why, unless the connection itself is gone.
            if not self._channel.get_transport().is_active():
                raise

    def _wait_until_taken(self, window: int) -> None:
        """Wait until little enough is on its way: the device opens the window again for what it has taken."""
        channel = self._channel
        with channel.lock:
            while window - channel.out_window_size > MAX_IN_FLIGHT_BYTES and not channel.closed:
                if not channel.out_buffer_cv.wait(_STALLED_S):
                    raise TimeoutError

    def _next_answer(self) -> list[str]:
        while True:
            end = self._said.find(b"\n")
            if end >= 0:
                line = bytes(self._said[:end])
                del self._said[: end + 1]
                if line.startswith(_MARK):
                    self._heard = True
                    return line[len(_MARK) :].decode("ascii", errors="replace").split() or [""]
                continue
            if len(self._said) > _MAX_CHATTER_BYTES:
                raise BadAnswerError(f"{self._label}: its login prints too much before the upload of {self._path}")
            data = self._channel.recv(4096)
            if not data:
                return self._ended_silently()
            self._said += data

    def _ended_silently(self) -> list[str]:
        if not self._channel.get_transport().is_active():
            raise lost_connection(self._label, None)
        kind: type[Exception] = BadAnswerError if self._heard else NoShellUploadError
        raise kind(f"{self._label}: the upload of {self._path} ended without a word{_colon(self._complaint())}")

    def _complaint(self) -> str:
        with suppress(OSError):
            self._channel.settimeout(1.0)
            return decode_clean(self._channel.recv_stderr(4096), limit=300)
        return ""

    def _failure(
        self, answer: list[str]
    ) -> DiskFullError | UploadCorruptError | ConnectionLostError | DeviceFileError | BadAnswerError:
        what = answer[1] if len(answer) > 1 and answer[0] == "failed" else ""
        free = int(answer[2]) if len(answer) > 2 and answer[2].isdigit() else None
        complaint = self._complaint()
        if "No space left" in complaint or "quota" in complaint.lower() or what == f"write{_SIGXFSZ_STATUS}":
            room = "" if free is None else f"; {size_text(free)} are free"
            limit = " (a limit on file sizes)" if what == f"write{_SIGXFSZ_STATUS}" else ""
            return DiskFullError(
                f"{self._label}: no room for {self._path}, which needs {size_text(self._size)}{room}{limit}",
                path=self._path,
                needed_bytes=self._size,
                free_bytes=free,
            )
        if what == "corrupt":
            return UploadCorruptError(f"{self._label}: {self._path} did not arrive as it was sent", path=self._path)
        if what == "short":
            return ConnectionLostError(f"{self._label}: the upload of {self._path} was cut short", path=self._path)
        if what:
            return DeviceFileError(f"{self._label}: {self._path} cannot be written{_colon(complaint)}", path=self._path)
        return BadAnswerError(f"{self._label}: the upload of {self._path} ended oddly{_colon(complaint)}")


def _colon(text: str) -> str:
    return f": {text}" if text else ""
