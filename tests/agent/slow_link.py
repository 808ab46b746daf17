"""A link of a given rate and delay between two ports of this machine, in user space."""

import contextlib
import queue
import socket
import threading
import time
from types import TracebackType
from typing import Self

#: What the link itself holds, each way.
_HELD = 64
_PIECE_BYTES = 8192


class SlowLink:
    """Passes connections to `port` on, each way at `rate` bytes a second and `delay_s` late."""

    def __init__(self, port: int, *, rate: float, delay_s: float) -> None:
        self._target, self._rate, self._delay_s = port, rate, delay_s
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self._sockets: list[socket.socket] = []
        self._threads = [threading.Thread(target=self._accept)]
        self._threads[0].start()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self._threads[0].join()
        for each in self._sockets:
            self._shut(each)
        for thread in self._threads:
            thread.join()
        for each in self._sockets:
            each.close()

    @staticmethod
    def _shut(end: socket.socket) -> None:
        try:
            end.shutdown(socket.SHUT_RDWR)
        except OSError:
            # The other side was faster.
            return

    def _accept(self) -> None:
        while True:
            try:
                near, _ = self._listener.accept()
            except OSError:
                return
            far = socket.create_connection(("127.0.0.1", self._target))
            self._sockets += [near, far]
            for source, target in ((near, far), (far, near)):
                source.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65536)
                target.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                pieces: queue.Queue[tuple[float, bytes]] = queue.Queue(_HELD)
                for work, end in ((self._take, source), (self._give, target)):
                    thread = threading.Thread(target=work, args=(end, pieces))
                    self._threads.append(thread)
                    thread.start()

    def _take(self, source: socket.socket, pieces: "queue.Queue[tuple[float, bytes]]") -> None:
        free_s = 0.0
        data = b"?"
        while data:
            try:
                data = source.recv(_PIECE_BYTES)
            except OSError:
                data = b""
            now_s = time.monotonic()
            free_s = max(free_s, now_s) + len(data) / self._rate
            pieces.put((free_s + self._delay_s, data))
            time.sleep(max(free_s - now_s - 0.01, 0.0))

    def _give(self, target: socket.socket, pieces: "queue.Queue[tuple[float, bytes]]") -> None:
        while True:
            at_s, data = pieces.get()
            time.sleep(max(at_s - time.monotonic(), 0.0))
            # What cannot be sent is thrown away, so that the other end of the queue can end.
            with contextlib.suppress(OSError):
                target.sendall(data)
            if not data:
                self._shut(target)
                return
