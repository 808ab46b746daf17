"""A peer of the data plane that speaks ZMTP and CurveZMQ by hand, for what no library would send."""

import itertools
import os
import socket
import struct
from types import TracebackType
from typing import Self

from nacl.bindings import crypto_box, crypto_box_afternm, crypto_box_beforenm, crypto_box_keypair, crypto_box_open
from zmq.utils import z85

from partition_agent.protocol import PeerAddress

_MORE = 1
_LONG = 2
_COMMAND = 4


class RawPeer:
    """A connection to a listener, encrypted under a key pair of its own."""

    def __init__(self, address: PeerAddress, timeout_s: float) -> None:
        self._server = z85.decode(address.public_key.encode())
        self._public, self._secret = crypto_box_keypair()
        self.key: str = z85.encode(self._public).decode()
        self._numbers = itertools.count(1)
        self._address = address
        self._timeout_s = timeout_s
        self.sent_bytes = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._socket.close()

    def connect(self) -> None:
        """Shake hands; the key must be admitted."""
        self._socket = socket.create_connection((self._address.host, self._address.port), self._timeout_s)
        self._socket.sendall(b"\xff" + bytes(8) + b"\x7f" + bytes([3, 0]) + b"CURVE".ljust(20, b"\0") + bytes(32))
        self._read(64)
        public, secret = crypto_box_keypair()
        nonce = self._nonce()
        hello = crypto_box(bytes(64), b"CurveZMQHELLO---" + nonce, self._server, secret)
        self._frame(_COMMAND, b"\x05HELLO" + bytes([1, 0]) + bytes(72) + public + nonce + hello)
        welcome = self._read_frame()
        assert welcome.startswith(b"\x07WELCOME"), welcome[:16]
        inner = crypto_box_open(welcome[24:], b"WELCOME-" + welcome[8:24], self._server, secret)
        server, cookie = inner[:32], inner[32:]
        vouch_nonce = os.urandom(16)
        vouch = crypto_box(public + self._server, b"VOUCH---" + vouch_nonce, server, self._secret)
        kind = b"DEALER"
        metadata = b"\x0bSocket-Type" + struct.pack(">I", len(kind)) + kind
        nonce = self._nonce()
        box = crypto_box(self._public + vouch_nonce + vouch + metadata, b"CurveZMQINITIATE" + nonce, server, secret)
        self._frame(_COMMAND, b"\x08INITIATE" + cookie + nonce + box)
        ready = self._read_frame()
        assert ready.startswith(b"\x05READY"), ready[:16]
        self._shared = crypto_box_beforenm(server, secret)

    def say(self, part: bytes, *, more: bool) -> None:
        """Send a part of a message. Raises OSError when the connection was cut."""
        self._frame(0, self._sealed(part, more=more))
        self.sent_bytes += len(part)

    def say_half(self, part: bytes) -> None:
        """Send only the first half of a part, the only one of its message."""
        data = self._framed(0, self._sealed(part, more=False))
        self._socket.sendall(data[: len(data) // 2])

    def is_cut(self) -> bool:
        """Whether the other side ends the connection within the time given; what it says before that is ignored."""
        try:
            while self._socket.recv(65536):
                pass
        except TimeoutError:
            return False
        except OSError:
            return True
        return True

    def _nonce(self) -> bytes:
        return struct.pack(">Q", next(self._numbers))

    def _sealed(self, part: bytes, *, more: bool) -> bytes:
        nonce = self._nonce()
        box = crypto_box_afternm(bytes([more * _MORE]) + part, b"CurveZMQMESSAGEC" + nonce, self._shared)
        return b"\x07MESSAGE" + nonce + box

    @staticmethod
    def _framed(flags: int, body: bytes) -> bytes:
        size = bytes([flags, len(body)]) if len(body) < 256 else struct.pack(">BQ", flags | _LONG, len(body))
        return size + body

    def _frame(self, flags: int, body: bytes) -> None:
        self._socket.sendall(self._framed(flags, body))

    def _read(self, count: int) -> bytes:
        data = b""
        while len(data) < count:
            piece = self._socket.recv(count - len(data))
            assert piece, "the connection was closed during the handshake"
            data += piece
        return data

    def _read_frame(self) -> bytes:
        flags = self._read(1)[0]
        (size,) = struct.unpack(">Q", self._read(8)) if flags & _LONG else (self._read(1)[0],)
        return self._read(size)
