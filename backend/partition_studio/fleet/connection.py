"""What the studio needs of a device, however it is reached."""

import socket
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import BinaryIO, Protocol

from partition_studio.fleet.errors import DeviceFileError
from partition_studio.fleet.progress import CancelCheck
from partition_studio.fleet.stream import ByteStream, Listening, StreamCallback

#: No command answers with more; what is longer is refused, not cut.
MAX_STDOUT_BYTES = 4 * 1024 * 1024

#: Of a command's complaints only the beginning is kept.
MAX_STDERR_BYTES = 64 * 1024

BytesProgress = Callable[[int], None]


@dataclass(frozen=True, slots=True)
class Completed:
    """The end of a command. `returncode` is negative or above 128 when a signal ended it, -1 when it is not known."""

    returncode: int
    stdout: bytes
    stderr: bytes


class DeviceConnection(Protocol):
    """An open way to one device. Every call blocks, may be made from several threads, and raises DeviceError."""

    @property
    def label(self) -> str:
        """The device's address, for messages."""

    @property
    def peer_ip(self) -> str:
        """The IP address that the studio connected to."""

    @property
    def own_ip(self) -> str:
        """The device's own address on that way: where its sockets bind and its peers connect to."""

    @property
    def is_alive(self) -> bool:
        """Whether the connection still stands, as far as is known."""

    def run(self, argv: Sequence[str], *, stdin: bytes = b"", timeout_s: float) -> Completed:
        """Run a command with these very words (no shell reads them) and return what it said.

        Raises DeviceTimeoutError when it does not end in time, ConnectionLostError, and BadAnswerError when it says
        more than MAX_STDOUT_BYTES.
        """

    def upload(
        self,
        source: BinaryIO | bytes,
        size: int,
        remote_path: str,
        *,
        sha256: str,
        progress: BytesProgress,
        cancelled: CancelCheck,
    ) -> bool:
        """Put `size` bytes at the absolute `remote_path`; return False when they were there already.

        The bytes go to `remote_path.part`, are verified there by their SHA-256, then renamed; folders are made (0700).
        What a lost connection left is continued, not sent again. `progress` gets the number of bytes that are there.
        Raises DiskFullError, DeviceFileError, UploadCorruptError, ConnectionLostError, OperationCancelledError.
        """

    def open_stream(self, port: int) -> socket.socket:
        """Return a connected stream socket to `127.0.0.1:port` of the device; the caller closes it.

        Raises AgentUnreachableError when nothing listens there.
        """

    def open_pipe(self, host: str, port: int) -> ByteStream:
        """Return a stream to `host`, as the device itself reaches it.

        Raises AgentUnreachableError when nothing listens there, ForwardingForbiddenError.
        """

    def listen(self, on_stream: StreamCallback, port: int = 0) -> Listening:
        """Listen on the device's loopback address, at a free port unless one is given.

        It ends with the connection. Raises ForwardingForbiddenError, also for a port that is taken.
        """

    def close(self) -> None:
        """End the connection and every stream of it; may be called more than once."""


def checked_remote_path(path: str, label: str) -> str:
    """Return `path` when it is absolute and plain.

    Raises DeviceFileError.
    """
    pure = PurePosixPath(path)
    if not pure.is_absolute() or ".." in pure.parts or any(ord(character) < 32 for character in path):
        raise DeviceFileError(f"{label}: {path!r} is no plain absolute path")
    return path
