"""What happens on one SSH channel: a command's talk, or a stream bridged to a socket."""

import socket
import threading
import time
from contextlib import suppress

import paramiko
from paramiko.ssh_exception import SSHException

from partition_studio.fleet.connection import MAX_STDERR_BYTES, MAX_STDOUT_BYTES, Completed
from partition_studio.fleet.errors import BadAnswerError, ConnectionLostError, DeviceTimeoutError

_CHUNK_BYTES = 256 * 1024

#: How long a channel's program may take to end, once it is told that nothing more comes.
_FAREWELL_S = 2.0


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
        raise lost_connection(label, error) from error
    finally:
        if channel.status_event.is_set():
            helpers[1].join(timeout=2)
        end(channel)
    for helper in helpers:
        helper.join(timeout=2)
    if not ended:
        raise DeviceTimeoutError(f"{label}: {program} did not end within {timeout_s:g} s")
    if channel.exit_status == -1 and not channel.get_transport().is_active():
        raise lost_connection(label, None)
    return Completed(channel.exit_status, bytes(stdout), bytes(stderr))


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
            end(self._channel)
        finally:
            self._ended()

    def from_device(self) -> None:
        try:
            while data := self._channel.recv(65536):
                self._sock.sendall(data)
        except (SSHException, EOFError, OSError):
            end(self._channel)
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
            end(self._channel)


def end(channel: paramiko.Channel) -> None:
    """Close a channel; where the connection that carried it is gone, it is gone with it."""
    with suppress(SSHException, EOFError, OSError):
        channel.close()


def let_end(channel: paramiko.Channel) -> None:
    """Close a channel after its program has ended, of which nothing more is needed.

    Where a client closes a channel whose program still runs, Dropbear 2022.83 confuses it with the next one: it closes
    that, or fails an assertion and ends the connection.
    """
    deadline = time.monotonic() + _FAREWELL_S
    with suppress(SSHException, EOFError, OSError):
        channel.shutdown_write()
        while (left_s := deadline - time.monotonic()) > 0:
            channel.settimeout(left_s)
            if not channel.recv(_CHUNK_BYTES):
                channel.status_event.wait(left_s)
                break
    end(channel)


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


def lost_connection(label: str, error: BaseException | None) -> ConnectionLostError:
    """Return the error for a connection that ended."""
    reason = f" ({error})" if error is not None and str(error) else ""
    return ConnectionLostError(f"The connection to {label} is lost{reason}", address=label)
