"""A link of a given rate between two ports of this machine: a proxy with a token bucket, in a process of its own.

It reads and writes in pieces of up to 5 ms of the link's time, so that it takes little of the processor; what it holds
is one piece each way and the sockets' buffers, which are kept small, so that a sender feels the link as it would feel
a real one.
"""

import argparse
import json
import selectors
import socket
import subprocess
import sys
import time
from dataclasses import dataclass, field
from types import TracebackType
from typing import Self

PIECE_S = 0.005
MIN_PIECE_BYTES, MAX_PIECE_BYTES = 4096, 256 * 1024
_BUFFER_BYTES = 64 * 1024
_STARTED_S = 20.0


@dataclass(eq=False)
class _Way:
    """One direction of one connection: what was read and is not written yet, and when the link is free again."""

    source: socket.socket
    target: socket.socket
    free_s: float = 0.0
    piece: bytes = b""
    due_s: float = 0.0
    ended: bool = field(default=False)


class Proxy:
    """Passes connections to `target` on, each way at `rate` bytes a second; one thread."""

    def __init__(self, target: int, rate: float) -> None:
        self._target, self._rate = target, rate
        self._piece_bytes = int(min(max(rate * PIECE_S, MIN_PIECE_BYTES), MAX_PIECE_BYTES))
        self._selector = selectors.DefaultSelector()
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._selector.register(self._listener, selectors.EVENT_READ)
        self._ways: list[_Way] = []

    @property
    def port(self) -> int:
        """Where it listens."""
        port: int = self._listener.getsockname()[1]
        return port

    def run(self) -> None:
        """Pass on what comes, until the process is ended."""
        while True:
            waiting = [way.due_s for way in self._ways if way.piece]
            timeout_s = max(min(waiting) - time.monotonic(), 0.0) if waiting else None
            for key, _ in self._selector.select(timeout_s):
                if key.data is None:
                    self._accept()
                elif not key.data.ended:
                    self._read(key.data)
            now_s = time.monotonic()
            for way in [way for way in self._ways if way.piece and way.due_s <= now_s]:
                self._write(way)

    def _accept(self) -> None:
        near, _ = self._listener.accept()
        try:
            far = socket.create_connection(("127.0.0.1", self._target))
        except OSError:
            near.close()
            return
        for end in (near, far):
            end.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _BUFFER_BYTES)
            end.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, _BUFFER_BYTES)
            end.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for source, target in ((near, far), (far, near)):
            way = _Way(source, target)
            self._ways.append(way)
            self._selector.register(source, selectors.EVENT_READ, way)

    def _read(self, way: _Way) -> None:
        try:
            way.piece = way.source.recv(self._piece_bytes)
        except OSError:
            way.piece = b""
        if not way.piece:
            self._end(way)
            return
        # Nothing more is read before this piece has gone: that is the sender's back pressure.
        self._selector.unregister(way.source)
        way.free_s = max(way.free_s, time.monotonic() - PIECE_S) + len(way.piece) / self._rate
        way.due_s = way.free_s

    def _write(self, way: _Way) -> None:
        try:
            way.target.sendall(way.piece)
        except OSError:
            way.piece = b""
            self._end(way, registered=False)
            return
        way.piece = b""
        if not way.ended:
            self._selector.register(way.source, selectors.EVENT_READ, way)

    def _end(self, way: _Way, *, registered: bool = True) -> None:
        """Close both ways of a connection that one end closed."""
        for other in [other for other in self._ways if other.source in (way.source, way.target)]:
            other.ended = True
            if not other.piece and (other is not way or registered):
                self._selector.unregister(other.source)
            self._ways.remove(other)
        way.source.close()
        way.target.close()


class ShapedLink:
    """A proxy process to a port of this machine; `port` is where the link begins."""

    def __init__(self, target: int, bytes_per_s: float) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "bench.shaped", "--to", str(target), "--rate", str(bytes_per_s)],
            stdout=subprocess.PIPE,
            text=True,
        )
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            raise RuntimeError("the proxy of a shaped link did not start")
        self.port: int = json.loads(line)["port"]

    @property
    def pid(self) -> int:
        """The proxy's process."""
        return self._process.pid

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """End it."""
        self._process.terminate()
        self._process.wait(_STARTED_S)
        if self._process.stdout is not None:
            self._process.stdout.close()


def main() -> None:
    """Run one proxy."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--to", type=int, required=True, help="the port that connections are passed on to")
    parser.add_argument("--rate", type=float, required=True, help="bytes a second, each way")
    options = parser.parse_args()
    proxy = Proxy(options.to, options.rate)
    print(json.dumps({"port": proxy.port}), flush=True)
    proxy.run()


if __name__ == "__main__":
    main()
