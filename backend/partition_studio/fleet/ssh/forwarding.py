"""Streams through a device's SSH server: to a port that the device reaches, and from a port that it listens on."""

import logging
import threading
from collections.abc import Callable

import paramiko
from paramiko.ssh_exception import ChannelException, SSHException

from partition_studio.errors import DeviceError
from partition_studio.fleet.errors import AgentUnreachableError, BadAnswerError
from partition_studio.fleet.ssh.channel import end
from partition_studio.fleet.ssh.transport import keep_in_order
from partition_studio.fleet.stream import CHUNK_BYTES, LOOPBACK, StreamCallback
from partition_studio.fleet.text import clean_text

logger = logging.getLogger(__name__)

#: RFC 4254, section 5.1: why a channel was not opened.
_PROHIBITED = 1


class ForwardingForbiddenError(DeviceError):
    """The device's SSH server does not let the studio forward connections."""

    code = "forwarding_forbidden"
    next_step = (
        "Allow it in the device's sshd_config (`AllowTcpForwarding yes`, and no PermitOpen or PermitListen that leaves "
        "127.0.0.1 out), then restart its SSH server."
    )


class ChannelStream:
    """An SSH channel as a `ByteStream`; what is read and sent is told to `moved`."""

    def __init__(self, channel: paramiko.Channel, moved: Callable[[], None]) -> None:
        channel.settimeout(None)
        self._channel = channel
        self._moved = moved

    def recv(self) -> bytes:
        """Return some bytes, empty at the end; the server's window opens only for what was taken."""
        data = self._channel.recv(CHUNK_BYTES)
        self._moved()
        return data

    def sendall(self, data: bytes) -> None:
        """Send, as soon as the device's window takes it."""
        try:
            self._channel.sendall(data)
        except SSHException as error:
            raise EOFError(str(error)) from error
        self._moved()

    def close(self) -> None:
        """End it."""
        end(self._channel)


class Forwarding:
    """The forwarded ports of one SSH connection. Thread-safe.

    `ask` sends a global request and returns the answer, None for a refusal; `lost` makes an error of a broken
    connection; `moved` is told whenever bytes go over.
    """

    def __init__(
        self,
        transport: paramiko.Transport,
        label: str,
        timeout_s: float,
        ask: Callable[[str, tuple[str, int]], paramiko.Message | None],
        lost: Callable[[BaseException], DeviceError],
        moved: Callable[[], None],
    ) -> None:
        self._transport = transport
        self._label = label
        self._timeout_s = timeout_s
        self._ask = ask
        self._lost = lost
        self._moved = moved
        self._lock = threading.Lock()
        self._listening: dict[int, SshListening] = {}

    def open(self, host: str, port: int) -> ChannelStream:
        """Return a stream to what the device itself reaches at `host`. Raises what `channel` raises."""
        return ChannelStream(self.channel(host, port), self._moved)

    def channel(self, host: str, port: int) -> paramiko.Channel:
        """Return a channel to what the device itself reaches at `host`.

        Raises ForwardingForbiddenError, AgentUnreachableError when nothing listens there, ConnectionLostError.
        """
        try:
            return self._transport.open_channel("direct-tcpip", (host, port), (LOOPBACK, 0), timeout=self._timeout_s)
        except ChannelException as error:
            said = clean_text(error.text, limit=200)
            if error.code == _PROHIBITED:
                raise ForwardingForbiddenError(
                    f"{self._label}: its SSH server forbids connections to {host} port {port} there ({said})", port=port
                ) from error
            raise AgentUnreachableError(
                f"{self._label}: nothing answers on its port {port} ({said})", port=port
            ) from error
        except (SSHException, EOFError, OSError) as error:
            raise self._lost(error) from error

    def listen(self, on_stream: StreamCallback, port: int = 0) -> "SshListening":
        """Listen on the device's loopback address, at a free port unless one is given.

        Raises ForwardingForbiddenError, also for a port that is taken, and ConnectionLostError.
        """
        try:
            answer = self._ask("tcpip-forward", (LOOPBACK, port))
        except (SSHException, EOFError, OSError) as error:
            raise self._lost(error) from error
        if answer is None:
            if not self._transport.is_active():
                raise self._lost(EOFError("it ended"))
            raise ForwardingForbiddenError(f"{self._label}: its SSH server does not let the studio listen there")
        found = port or answer.get_int()
        if not 0 < found < 65536:
            raise BadAnswerError(f"{self._label}: its SSH server says that it listens on port {found}")
        listening = SshListening(found, on_stream, self)
        with self._lock:
            self._listening[found] = listening
        # As `Transport.request_port_forward` does, which sends its request past ours and hears our answers for its own.
        self._transport._tcp_handler = self._arrived  # type: ignore[attr-defined]
        return listening

    def is_open(self, listening: "SshListening") -> bool:
        """Return whether the device listens for it still."""
        with self._lock:
            known = self._listening.get(listening.port) is listening
        return known and self._transport.is_active()

    def forget(self, listening: "SshListening") -> None:
        """Have the device listen no more."""
        with self._lock:
            if self._listening.get(listening.port) is not listening:
                return
            del self._listening[listening.port]
        if not self._transport.is_active():
            return
        try:
            self._ask("cancel-tcpip-forward", (LOOPBACK, listening.port))
        except (SSHException, EOFError, OSError):
            # It ends with the connection.
            return

    def _arrived(self, channel: paramiko.Channel, _origin: tuple[str, int], server: tuple[str, int]) -> None:
        """Take a connection; called by the transport's thread."""
        with self._lock:
            listening = self._listening.get(server[1])
        if listening is None:
            logger.info("forwarded_to_nobody", extra={"device": self._label, "port": server[1]})
            # This thread must not wait for what it alone can read: whether a message may be sent just now.
            threading.Thread(target=end, args=(channel,), name=f"refuse {self._label}", daemon=True).start()
            return
        listening.on_stream(ChannelStream(keep_in_order(channel), self._moved))


class SshListening:
    """A port of the device's loopback address, for as long as its SSH connection lives."""

    def __init__(self, port: int, on_stream: StreamCallback, forwarding: Forwarding) -> None:
        self._port = port
        self.on_stream = on_stream
        self._forwarding = forwarding

    @property
    def port(self) -> int:
        """Where it listens."""
        return self._port

    @property
    def is_open(self) -> bool:
        """Whether it listens still."""
        return self._forwarding.is_open(self)

    def close(self) -> None:
        """Take no more connections."""
        self._forwarding.forget(self)
