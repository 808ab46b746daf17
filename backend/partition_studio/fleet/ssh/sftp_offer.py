"""Does a device's SSH server offer SFTP? Dropbear often has none; then files go through a shell alone."""

import paramiko
from paramiko.ssh_exception import SSHException

from partition_studio.fleet.ssh.channel import let_end

_ANSWER_S = 10.0


def offers_sftp(transport: paramiko.Transport) -> bool | None:
    """Ask for the subsystem and let go of it again; None where there was no answer."""
    try:
        channel = transport.open_session(timeout=_ANSWER_S)
    except (SSHException, EOFError, OSError):
        return None
    try:
        channel.settimeout(_ANSWER_S)
        channel.invoke_subsystem("sftp")
        # OpenSSH grants the subsystem before it knows whether its program can be started: an SFTP server answers.
        channel.sendall(b"\x00\x00\x00\x05\x01\x00\x00\x00\x03")
        return channel.recv(5)[4:5] == b"\x02"
    except TimeoutError:
        return None
    except (SSHException, EOFError, OSError):
        return False
    finally:
        let_end(channel)
