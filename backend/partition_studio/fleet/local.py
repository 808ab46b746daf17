"""A device that is the studio's own machine: the same calls, by subprocess and file copy."""

import contextlib
import errno
import hashlib
import io
import os
import shutil
import signal
import socket
import subprocess
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import IO, BinaryIO

from partition_studio.fleet.connection import (
    MAX_STDERR_BYTES,
    MAX_STDOUT_BYTES,
    BytesProgress,
    Completed,
    checked_remote_path,
)
from partition_studio.fleet.errors import (
    AgentUnreachableError,
    BadAnswerError,
    DeviceFileError,
    DeviceTimeoutError,
    DiskFullError,
    UploadCorruptError,
)
from partition_studio.fleet.progress import CancelCheck, stop_if_cancelled
from partition_studio.fleet.stream import ByteStream, Listening, LocalListening, StreamCallback, connect_here
from partition_studio.sizes import size_text

_CHUNK_BYTES = 1024 * 1024
_FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}


class LocalConnection:
    """This machine as a device, with a data folder of its own; a `DeviceConnection`."""

    def __init__(self, data_dir: Path, name: str = "local:") -> None:
        """Take the folder in which this device's agent keeps its files, and the name that messages use."""
        self.data_dir = data_dir.absolute()
        self._name = name

    @property
    def label(self) -> str:
        """The device's name, for messages."""
        return self._name

    @property
    def peer_ip(self) -> str:
        """Where the studio reaches the device."""
        return "127.0.0.1"

    @property
    def own_ip(self) -> str:
        """Where peers reach the device."""
        return "127.0.0.1"

    @property
    def is_alive(self) -> bool:
        """The studio's own machine is always there."""
        return True

    def run(self, argv: Sequence[str], *, stdin: bytes = b"", timeout_s: float) -> Completed:
        """Run a command; see `DeviceConnection.run`."""
        try:
            process = subprocess.Popen(
                list(argv),
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                start_new_session=True,
            )
        except OSError as error:
            # A shell would say so with this status.
            return Completed(127, b"", f"{argv[0]}: {error.strerror}\n".encode())
        with process:
            return self._communicate(process, argv[0], stdin, timeout_s)

    def _communicate(
        self, process: "subprocess.Popen[bytes]", program: str, stdin: bytes, timeout_s: float
    ) -> Completed:
        overflow = threading.Event()
        stdout, stderr = bytearray(), bytearray()

        def collect(stream: IO[bytes], into: bytearray, limit: int) -> None:
            while data := stream.read1(65536):  # type: ignore[attr-defined]  # buffered readers have it, IO has not
                if len(into) + len(data) > limit:
                    overflow.set()
                into += data[: limit - len(into)]

        assert process.stdin and process.stdout and process.stderr
        threads = [
            threading.Thread(target=collect, args=(process.stdout, stdout, MAX_STDOUT_BYTES), daemon=True),
            threading.Thread(target=collect, args=(process.stderr, stderr, MAX_STDERR_BYTES), daemon=True),
            threading.Thread(target=_feed, args=(process.stdin, stdin), daemon=True),
        ]
        for thread in threads:
            thread.start()
        try:
            process.wait(timeout_s)
        except subprocess.TimeoutExpired:
            _kill_group(process)
            raise DeviceTimeoutError(f"{self._name}: {program} did not end within {timeout_s:g} s") from None
        finally:
            for thread in threads:
                thread.join(timeout=5)
        if overflow.is_set() and len(stdout) >= MAX_STDOUT_BYTES:
            raise BadAnswerError(f"{self._name}: {program} said more than {MAX_STDOUT_BYTES} bytes")
        return Completed(process.returncode, bytes(stdout), bytes(stderr))

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
        """Copy a file; see `DeviceConnection.upload`."""
        path = Path(checked_remote_path(remote_path, self._name))
        part = path.with_name(path.name + ".part")
        try:
            if path.is_file() and _digest(path) == sha256:
                progress(size)
                return False
            path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            stream = io.BytesIO(source) if isinstance(source, bytes) else source
            written = self._copy(stream, part, size, progress, cancelled)
            if written != sha256:
                raise UploadCorruptError(f"{self._name}: {path} did not arrive as it was sent", path=str(path))
            os.replace(part, path)
            return True
        except OSError as error:
            raise self._failure(error, path, size) from error
        finally:
            with contextlib.suppress(OSError):
                part.unlink()

    def _copy(self, stream: BinaryIO, part: Path, size: int, progress: BytesProgress, cancelled: CancelCheck) -> str:
        digest, done = hashlib.sha256(), 0
        with open(part, "wb", opener=_private) as out:
            progress(0)
            while done < size:
                stop_if_cancelled(cancelled, f"the copy of {part.stem} to {self._name}")
                data = stream.read(min(_CHUNK_BYTES, size - done))
                if not data:
                    break
                out.write(data)
                digest.update(data)
                done += len(data)
                progress(done)
        return digest.hexdigest()

    def _failure(self, error: OSError, path: Path, size: int) -> DiskFullError | DeviceFileError:
        name = os.strerror(error.errno) if error.errno else str(error)
        if error.errno in _FULL:
            free = shutil.disk_usage(path.parent).free
            return DiskFullError(
                f"{self._name}: no room for {path}, which needs {size_text(size)}; {size_text(free)} are free",
                path=str(path),
                needed_bytes=size,
                free_bytes=free,
            )
        return DeviceFileError(f"{self._name}: {path} cannot be written ({name})", path=str(path))

    def open_stream(self, port: int) -> socket.socket:
        """Return a connected socket to a port of this machine; see `DeviceConnection.open_stream`."""
        try:
            sock = socket.create_connection(("127.0.0.1", port), timeout=5)
        except OSError as error:
            raise AgentUnreachableError(f"{self._name}: nothing answers on its port {port}", port=port) from error
        sock.settimeout(None)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return sock

    def open_pipe(self, host: str, port: int) -> ByteStream:
        """Return a connection of this machine; see `DeviceConnection.open_pipe`."""
        return connect_here(host, port, self._name)

    def listen(self, on_stream: StreamCallback, port: int = 0) -> Listening:
        """Listen on this machine; see `DeviceConnection.listen`. A port is never lost here, so none is asked for."""
        return LocalListening(on_stream)

    def close(self) -> None:
        """Do nothing: there is no connection."""


def _feed(pipe: IO[bytes], data: bytes) -> None:
    try:
        with pipe:
            pipe.write(data)
    except BrokenPipeError:
        # A command need not read its input to the end; what it answers counts.
        return


def _kill_group(process: "subprocess.Popen[bytes]") -> None:
    try:
        os.killpg(process.pid, signal.SIGKILL)
    except ProcessLookupError:
        return
    process.wait()


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _private(path: str, flags: int) -> int:
    return os.open(path, flags, 0o600)
