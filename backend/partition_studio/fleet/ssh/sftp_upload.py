"""An upload by SFTP, pipelined and continued where it was cut: for devices whose shell does not take one."""

import contextlib
import hashlib
import io
import re
import stat
from collections.abc import Callable, Sequence
from pathlib import PurePosixPath
from typing import BinaryIO

import paramiko
from paramiko.ssh_exception import SSHException

from partition_studio.errors import DeviceError
from partition_studio.fleet.connection import BytesProgress, Completed
from partition_studio.fleet.errors import (
    ConnectionLostError,
    DeviceFileError,
    DeviceTimeoutError,
    DiskFullError,
    UploadCorruptError,
)
from partition_studio.fleet.progress import CancelCheck, stop_if_cancelled
from partition_studio.fleet.ssh.channel import lost_connection
from partition_studio.fleet.text import clean_text
from partition_studio.sizes import size_text

#: One request each; every server takes them.
_CHUNK_BYTES = 32 * 1024

#: After so much the answers are waited for: what may be sent again after a cut.
_IN_FLIGHT_BYTES = 512 * 1024
_STALLED_S = 30.0


_DIGEST_COMMANDS = (
    ("sha256sum", "--"),
    ("python3", "-c", "import hashlib,sys; print(hashlib.sha256(open(sys.argv[1],'rb').read()).hexdigest())"),
)
_DIGEST = re.compile(rb"[0-9a-f]{64}")


class NoSftpError(Exception):
    """The device has no SFTP server."""


class SftpUpload:
    """One file on its way by SFTP; what it becomes is hashed there, or read back."""

    def __init__(
        self,
        transport: paramiko.Transport,
        run: Callable[[Sequence[str]], Completed],
        label: str,
        path: str,
        size: int,
        sha256: str,
    ) -> None:
        """Prepare the upload; `run` runs a command on the device."""
        self._transport = transport
        self._run = run
        self._label = label
        self._path = path
        self._part = f"{path}.part"
        self._size = size
        self._sha256 = sha256

    def send(self, source: BinaryIO | bytes, progress: BytesProgress, cancelled: CancelCheck) -> bool:
        """Send what the device has not; see `DeviceConnection.upload`. Raises NoSftpError too."""
        stream = io.BytesIO(source) if isinstance(source, bytes) else source
        client = self._client()
        try:
            return self._carry_out(client, stream, progress, cancelled)
        except TimeoutError as error:
            raise DeviceTimeoutError(
                f"{self._label}: the upload of {self._path} does not move any more", path=self._path
            ) from error
        except (SSHException, EOFError, OSError) as error:
            raise self._failure(error) from error
        finally:
            # Where the connection is gone, closing fails too; what happened before is what counts.
            with contextlib.suppress(SSHException, EOFError, OSError):
                client.close()

    def _carry_out(
        self, client: paramiko.SFTPClient, stream: BinaryIO, progress: BytesProgress, cancelled: CancelCheck
    ) -> bool:
        if self._digest(client, self._path) == self._sha256:
            progress(self._size)
            return False
        self._make_folders(client)
        start = self._agree_on_start(client, stream)
        self._write(client, stream, start, progress, cancelled)
        if self._digest(client, self._part) != self._sha256:
            client.remove(self._part)
            raise UploadCorruptError(f"{self._label}: {self._path} did not arrive as it was sent", path=self._path)
        client.posix_rename(self._part, self._path)
        return True

    def _client(self) -> paramiko.SFTPClient:
        try:
            client = paramiko.SFTPClient.from_transport(self._transport)
        except (SSHException, EOFError, OSError) as error:
            if not self._transport.is_active():
                raise lost_connection(self._label, error) from error
            raise NoSftpError from error
        channel = None if client is None else client.get_channel()
        if client is None or channel is None:
            raise NoSftpError
        channel.settimeout(_STALLED_S)
        return client

    def _digest(self, client: paramiko.SFTPClient, path: str) -> str:
        """Return the SHA-256 of a file of the device; empty when there is none."""
        try:
            client.stat(path)
        except FileNotFoundError:
            return ""
        for command in _DIGEST_COMMANDS:
            with contextlib.suppress(DeviceError):
                answer = self._run([*command, path])
                words = answer.stdout.split()[:1]
                if answer.returncode == 0 and words and _DIGEST.fullmatch(words[0]):
                    return words[0].decode("ascii")
        # One request after the other: slow over distance, but any server gives its files back.
        digest = hashlib.sha256()
        with client.open(path, "rb") as file:
            while data := file.read(_CHUNK_BYTES):
                digest.update(data)
        return digest.hexdigest()

    def _make_folders(self, client: paramiko.SFTPClient) -> None:
        missing = []
        for folder in PurePosixPath(self._path).parents:
            try:
                mode = client.stat(str(folder)).st_mode
            except FileNotFoundError:
                missing.append(folder)
                continue
            if mode is not None and not stat.S_ISDIR(mode):
                raise NotADirectoryError(f"{folder} is no folder")
            break
        for folder in reversed(missing):
            client.mkdir(str(folder), 0o700)

    def _agree_on_start(self, client: paramiko.SFTPClient, stream: BinaryIO) -> int:
        """Return the offset to send from: the device's part, when it is a true beginning of this file."""
        try:
            have = client.stat(self._part).st_size or 0
        except FileNotFoundError:
            return 0
        origin = stream.tell()
        if 0 < have <= self._size:
            digest, left = hashlib.sha256(), have
            while left and (data := stream.read(min(left, _CHUNK_BYTES))):
                digest.update(data)
                left -= len(data)
            if left == 0 and digest.hexdigest() == self._digest(client, self._part):
                return have
        stream.seek(origin)
        client.remove(self._part)
        return 0

    def _write(
        self,
        client: paramiko.SFTPClient,
        stream: BinaryIO,
        start: int,
        progress: BytesProgress,
        cancelled: CancelCheck,
    ) -> None:
        sent = start
        progress(sent)
        with client.open(self._part, "r+b" if start else "wb") as file:
            if not start:
                file.chmod(0o600)
            file.seek(start)
            while sent < self._size:
                stop_if_cancelled(cancelled, f"the upload of {self._path} to {self._label}")
                data = stream.read(min(_CHUNK_BYTES, self._size - sent))
                if not data:
                    raise EOFError("the file is shorter than was said")
                sent += len(data)
                is_last = sent % _IN_FLIGHT_BYTES < _CHUNK_BYTES or sent == self._size
                # A request that is not pipelined waits for its own answer and for those before it.
                file.set_pipelined(not is_last)
                file.write(data)
                if is_last:
                    progress(sent)
            file.set_pipelined(False)

    def _failure(
        self, error: SSHException | EOFError | OSError
    ) -> ConnectionLostError | DeviceFileError | DiskFullError:
        if not self._transport.is_active() or isinstance(error, EOFError | SSHException):
            return lost_connection(self._label, error)
        reason = clean_text(str(error), limit=200)
        if error.errno is None and "Failure" in reason:
            # SFTP has no word for a full disk; this is what servers say of it.
            return DiskFullError(
                f"{self._label}: {self._path} cannot be written on: most likely there is no room for its "
                f"{size_text(self._size)}",
                path=self._path,
                needed_bytes=self._size,
                free_bytes=None,
            )
        return DeviceFileError(f"{self._label}: {self._path} cannot be written ({reason})", path=self._path)
