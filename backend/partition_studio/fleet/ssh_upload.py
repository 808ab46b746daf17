"""Putting a file onto a device over SSH: by a shell there, else by SFTP."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import BinaryIO

import paramiko

from partition_studio.fleet.connection import BytesProgress
from partition_studio.fleet.errors import BadAnswerError, ConnectionLostError
from partition_studio.fleet.progress import CancelCheck
from partition_studio.fleet.sftp_upload import NoSftpError, SftpUpload
from partition_studio.fleet.shell_upload import NoShellUploadError, ShellUpload, upload_command


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
        with open_session(upload_command(path, sha256, size)) as channel:
            return ShellUpload(channel, label, path, size, sha256).send(source, progress, cancelled)
    except NoShellUploadError as error:
        refused: BadAnswerError | ConnectionLostError = error
    except ConnectionLostError as error:
        if not transport.is_active() or error.details.get("path") is not None:
            raise
        # The server refused to run a command, and the connection still stands.
        refused = error
    try:
        return SftpUpload(transport, label, path, size, sha256).send(source, progress, cancelled)
    except NoSftpError as error:
        raise BadAnswerError(f"{refused.message}; and it has no SFTP server") from error
