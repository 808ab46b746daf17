"""Putting a file onto a device over SSH: by a shell there, else by SFTP."""

import shlex
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import BinaryIO

import paramiko

from partition_studio.fleet.connection import BytesProgress, Completed
from partition_studio.fleet.errors import BadAnswerError, ConnectionLostError
from partition_studio.fleet.progress import CancelCheck
from partition_studio.fleet.ssh.channel import communicate, let_end
from partition_studio.fleet.ssh.sftp_upload import NoSftpError, SftpUpload
from partition_studio.fleet.ssh.shell_upload import NoShellUploadError, ShellUpload, upload_command

#: Hashing what is there may take a slow card this long.
_DIGEST_S = 120.0


@dataclass(frozen=True, slots=True)
class Parcel:
    """What is sent: where to, how many bytes, and their SHA-256 (hex)."""

    path: str
    size: int
    sha256: str


def upload(
    transport: paramiko.Transport,
    open_session: Callable[[str], paramiko.Channel],
    label: str,
    parcel: Parcel,
    source: BinaryIO | bytes,
    progress: BytesProgress,
    cancelled: CancelCheck,
) -> bool:
    """Put a file; see `DeviceConnection.upload`. `open_session` runs a command on a channel of its own.

    The shell's way is faster, and Dropbear has no SFTP server of its own. SFTP is for a login that runs no script, or
    of which a restricted or unusual shell makes something else.
    """
    path, size, sha256 = parcel.path, parcel.size, parcel.sha256
    try:
        return _by_shell(open_session, label, parcel, source, progress, cancelled)
    except (NoShellUploadError, _RefusedError) as error:
        refused: NoShellUploadError | _RefusedError = error

    def run(argv: Sequence[str]) -> Completed:
        with open_session(shlex.join(argv)) as channel:
            return communicate(channel, label, argv[0], b"", _DIGEST_S)

    try:
        return SftpUpload(transport, run, label, path, size, sha256).send(source, progress, cancelled)
    except NoSftpError as error:
        if isinstance(refused, _RefusedError):
            # Most likely the connection has just ended; whoever tries again is told anew.
            raise refused.reason from error
        raise BadAnswerError(f"{refused}; and it has no SFTP server") from error


class _RefusedError(Exception):
    """The server did not run a command for us."""

    def __init__(self, reason: ConnectionLostError) -> None:
        self.reason = reason
        super().__init__(reason.message)


def _by_shell(
    open_session: Callable[[str], paramiko.Channel],
    label: str,
    parcel: Parcel,
    source: BinaryIO | bytes,
    progress: BytesProgress,
    cancelled: CancelCheck,
) -> bool:
    path, size, sha256 = parcel.path, parcel.size, parcel.sha256
    try:
        channel = open_session(upload_command(path, sha256, size))
    except ConnectionLostError as error:
        raise _RefusedError(error) from error
    try:
        return ShellUpload(channel, label, path, size, sha256).send(source, progress, cancelled)
    finally:
        let_end(channel)
