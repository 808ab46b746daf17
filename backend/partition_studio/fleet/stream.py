"""Byte streams that the studio carries from one place to another, and where they begin."""

import contextlib
import socket
import threading
from collections.abc import Callable
from typing import Protocol

from partition_studio.fleet.errors import AgentUnreachableError

LOOPBACK = "127.0.0.1"

#: Taken from one side at a time. What was taken is given to the other side before more is: nothing piles up here.
CHUNK_BYTES = 64 * 1024


class ByteStream(Protocol):
    """A connection of bytes in both directions. Calls block, and may be made from several threads."""

    def recv(self) -> bytes:
        """Return some bytes, empty at the end. Raises OSError or EOFError where it broke."""

    def sendall(self, data: bytes) -> None:
        """Send, as soon as the other end takes it. Raises OSError or EOFError where it broke."""

    def close(self) -> None:
        """End it; whoever waits in another call returns. May be called again."""


class Listening(Protocol):
    """A port whose connections are handed over."""

    @property
    def port(self) -> int:
        """Where it listens, on the loopback address of its machine."""

    @property
    def is_open(self) -> bool:
        """Whether it listens still, as far as is known."""

    def close(self) -> None:
        """Take no more connections; those that were handed over go on. May be called again."""


#: Called for each connection, by a thread that must not be held up.
StreamCallback = Callable[[ByteStream], None]


class SocketStream:
    """A connected socket as a `ByteStream`."""

    def __init__(self, sock: socket.socket) -> None:
        sock.settimeout(None)
        if sock.family in (socket.AF_INET, socket.AF_INET6):
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._sock = sock

    def recv(self) -> bytes:
        """Return some bytes, empty at the end."""
        return self._sock.recv(CHUNK_BYTES)

    def sendall(self, data: bytes) -> None:
        """Send as soon as the other end takes it."""
        self._sock.sendall(data)

    def close(self) -> None:
        """End it, waking who waits."""
        with contextlib.suppress(OSError):
            self._sock.shutdown(socket.SHUT_RDWR)
        self._sock.close()


def connect_here(host: str, port: int, label: str, timeout_s: float = 5.0) -> SocketStream:
    """Return a connection of this machine. Raises AgentUnreachableError."""
    try:
        return SocketStream(socket.create_connection((host, port), timeout=timeout_s))
    except OSError as error:
        raise AgentUnreachableError(f"{label}: nothing answers on its port {port}", port=port) from error


class LocalListening:
    """A port of this machine's loopback address."""

    def __init__(self, on_stream: StreamCallback) -> None:
        self._on_stream = on_stream
        self._server = socket.create_server((LOOPBACK, 0))
        self._closed = threading.Event()
        self._port: int = self._server.getsockname()[1]
        self._thread = threading.Thread(target=self._accept, name=f"listening {self._port}", daemon=True)
        self._thread.start()

    @property
    def port(self) -> int:
        """Where it listens."""
        return self._port

    @property
    def is_open(self) -> bool:
        """Whether it listens still."""
        return not self._closed.is_set()

    def close(self) -> None:
        """Take no more connections."""
        self._closed.set()
        # A close alone would leave the thread in `accept`.
        with contextlib.suppress(OSError):
            self._server.shutdown(socket.SHUT_RDWR)
        if threading.current_thread() is not self._thread:
            self._thread.join()
        self._server.close()

    def _accept(self) -> None:
        while not self._closed.is_set():
            try:
                connection, _ = self._server.accept()
            except OSError:
                if self._closed.wait(0.05):
                    return
                # Such as no free descriptor just now.
                continue
            if self._closed.is_set():
                connection.close()
            else:
                self._on_stream(SocketStream(connection))
