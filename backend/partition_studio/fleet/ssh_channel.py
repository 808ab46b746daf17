"""What happens on one SSH channel: a command's talk, an upload, a stream bridged to a socket."""

import hashlib
import io
import socket
import threading
import time
from contextlib import suppress
from importlib import resources
from shlex import join
from typing import BinaryIO

import paramiko
from paramiko.ssh_exception import SSHException

from partition_studio.fleet.connection import MAX_STDERR_BYTES, MAX_STDOUT_BYTES, BytesProgress, Completed
from partition_studio.fleet.errors import (
    BadAnswerError,
    ConnectionLostError,
    DeviceFileError,
    DeviceTimeoutError,
    DiskFullError,
    UploadCorruptError,
)
from partition_studio.fleet.progress import CancelCheck, stop_if_cancelled
from partition_studio.fleet.text import decode_clean

_CHUNK_BYTES = 256 * 1024
_MARK = b"partition-studio: "
_MAX_CHATTER_BYTES = 256 * 1024

#: An upload that moves nothing for so long is given up.
_STALLED_S = 30.0

#: Hashing what is already there may take a slow card this long.
_DIGEST_S = 120.0

#: What the shell says of a process that SIGXFSZ ended: a limit on file sizes, to the person the same as a full disk.
_SIGXFSZ_STATUS = 128 + 25


def communicate(channel: paramiko.Channel, label: str, program: str, stdin: bytes, timeout_s: float) -> Completed:
    """Send `stdin` to a command that was just started, and collect what it says until it ends."""
    deadline = time.monotonic() + timeout_s
    stderr = bytearray()
    helpers = [
        threading.Thread(target=_send_all, args=(channel, stdin), name=f"stdin {label}", daemon=True),
        threading.Thread(target=_collect_stderr, args=(channel, stderr), name=f"stderr {label}", daemon=True),
    ]
    for helper in helpers:
        helper.start()
    stdout = bytearray()
    try:
        while True:
            channel.settimeout(max(0.01, deadline - time.monotonic()))
            data = channel.recv(_CHUNK_BYTES)
            if not data:
                break
            stdout += data
            if len(stdout) > MAX_STDOUT_BYTES:
                raise BadAnswerError(f"{label}: {program} said more than {MAX_STDOUT_BYTES} bytes")
        ended = channel.status_event.wait(max(0.01, deadline - time.monotonic()))
    except TimeoutError:
        ended = False
    except (SSHException, EOFError, OSError) as error:
        raise _lost(label, error) from error
    finally:
        if channel.status_event.is_set():
            helpers[1].join(timeout=2)
        channel.close()
    for helper in helpers:
        helper.join(timeout=2)
    if not ended:
        raise DeviceTimeoutError(f"{label}: {program} did not end within {timeout_s:g} s")
    if channel.exit_status == -1 and not channel.get_transport().is_active():
        raise _lost(label, None)
    return Completed(channel.exit_status, bytes(stdout), bytes(stderr))


def upload_command(path: str, sha256: str, size: int) -> str:
    """Return the command that takes an upload on its stdin."""
    script = resources.files("partition_studio.fleet").joinpath("ssh_upload.sh").read_text()
    return join(["sh", "-c", script, "upload", path, sha256, str(size)])


class Upload:
    """One file on its way through a channel on which `upload_command` runs."""

    def __init__(self, channel: paramiko.Channel, label: str, path: str, size: int, sha256: str) -> None:
        self._channel = channel
        self._label = label
        self._path = path
        self._size = size
        self._sha256 = sha256
        self._said = bytearray()

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
            raise _lost(self._label, error) from error
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
        try:
            while sent < self._size:
                stop_if_cancelled(cancelled, f"the upload of {self._path} to {self._label}")
                data = stream.read(min(_CHUNK_BYTES, self._size - sent))
                if not data:
                    break
                self._channel.sendall(data)
                sent += len(data)
                progress(sent)
            self._channel.shutdown_write()
        except TimeoutError:
            raise
        except OSError:
            # The device's side ended early: it says why, unless the connection itself is gone.
            if not self._channel.get_transport().is_active():
                raise

    def _next_answer(self) -> list[str]:
        while True:
            end = self._said.find(b"\n")
            if end >= 0:
                line = bytes(self._said[:end])
                del self._said[: end + 1]
                if line.startswith(_MARK):
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
            raise _lost(self._label, None)
        raise BadAnswerError(
            f"{self._label}: the upload of {self._path} ended without a word{_colon(self._complaint())}"
        )

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
            room = "" if free is None else f"; {free} bytes are free"
            limit = " (a limit on file sizes)" if what == f"write{_SIGXFSZ_STATUS}" else ""
            return DiskFullError(
                f"{self._label}: no room for {self._path}, which needs {self._size} bytes{room}{limit}",
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


def bridge(channel: paramiko.Channel, name: str) -> socket.socket:
    """Return a real socket whose other end is the channel; closing it ends the channel and both pumps.

    The WebSocket client selects on file descriptors and shuts down halves; a channel does neither as a socket does.
    """
    ours, theirs = socket.socketpair()
    channel.settimeout(None)
    ends = _BridgeEnds(channel, theirs)
    for pump in (ends.to_device, ends.from_device):
        threading.Thread(target=pump, name=f"bridge {name}", daemon=True).start()
    return ours


class _BridgeEnds:
    """The two directions of a bridge; whichever ends last closes both ends."""

    def __init__(self, channel: paramiko.Channel, sock: socket.socket) -> None:
        self._channel = channel
        self._sock = sock
        self._lock = threading.Lock()
        self._running = 2

    def to_device(self) -> None:
        try:
            while data := self._sock.recv(65536):
                self._channel.sendall(data)
            self._channel.shutdown_write()
        except (SSHException, EOFError, OSError):
            self._channel.close()
        finally:
            self._ended()

    def from_device(self) -> None:
        try:
            while data := self._channel.recv(65536):
                self._sock.sendall(data)
        except (SSHException, EOFError, OSError):
            self._channel.close()
        finally:
            with suppress(OSError):
                self._sock.shutdown(socket.SHUT_WR)
            # A peer that closed reads no more: let the other pump end as well, instead of waiting for its next word.
            if self._channel.closed or self._channel.eof_received:
                with suppress(OSError):
                    self._sock.shutdown(socket.SHUT_RD)
            self._ended()

    def _ended(self) -> None:
        with self._lock:
            self._running -= 1
            last = self._running == 0
        if last:
            self._sock.close()
            self._channel.close()


def _send_all(channel: paramiko.Channel, data: bytes) -> None:
    # A command need not read its input to the end; what it answers counts.
    with suppress(SSHException, EOFError, OSError):
        if data:
            channel.sendall(data)
        channel.shutdown_write()


def _collect_stderr(channel: paramiko.Channel, into: bytearray) -> None:
    with suppress(SSHException, EOFError, OSError):
        while data := channel.recv_stderr(_CHUNK_BYTES):
            into += data[: MAX_STDERR_BYTES - len(into)]


def _lost(label: str, error: BaseException | None) -> ConnectionLostError:
    reason = f" ({error})" if error is not None and str(error) else ""
    return ConnectionLostError(f"The connection to {label} is lost{reason}", address=label)


def _colon(text: str) -> str:
    return f": {text}" if text else ""
