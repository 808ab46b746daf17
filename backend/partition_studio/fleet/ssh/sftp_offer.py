"""Does a device's SSH server offer SFTP? Dropbear often has none; then files go through a shell alone."""

from contextlib import suppress

import paramiko
from paramiko.ssh_exception import SSHException

from partition_studio.fleet.ssh.channel import end

_ANSWER_S = 10.0

#: How long the program behind the subsystem may take to end, once it is told that nothing more comes.
_FAREWELL_S = 2.0


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
        _let_end(channel)


def _let_end(channel: paramiko.Channel) -> None:
    """Close the channel after its program has ended.

    Where a client closes a channel whose program still runs, Dropbear 2022.83 confuses it with the next one: it closes
    that, or fails an assertion and ends the connection.
    """
    with suppress(SSHException, EOFError, OSError):
        channel.settimeout(_FAREWELL_S)
        channel.shutdown_write()
        while channel.recv(4096):
            pass
        channel.status_event.wait(_FAREWELL_S)
    end(channel)
