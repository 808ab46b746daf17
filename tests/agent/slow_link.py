"""A link of a given rate and delay between two ports of this machine, in user space. It may change, and break."""

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
_SEGMENT_BYTES = 1448


class SlowLink:
    """Passes connections to `port` on, each way at `rate` bytes a second and `delay_s` late."""

    def __init__(self, port: int, *, rate: float, delay_s: float) -> None:
        self._target, self._rate, self._delay_s = port, rate, delay_s
        self._change = threading.Condition()
        self._closed = False
        self._listener = socket.create_server(("127.0.0.1", 0))
        # The loopback's own segments are larger than half of what is buffered here: a receiver does not say that it has
        # room again until its whole buffer is free, which no network does.
        self._listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_MAXSEG, _SEGMENT_BYTES)
        self.port: int = self._listener.getsockname()[1]
        self._sockets: list[socket.socket] = []
        self._threads = [threading.Thread(target=self._accept)]
        self._threads[0].start()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with self._change:
            self._closed = True
            self._change.notify_all()
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self._threads[0].join()
        self.cut()
        for thread in self._threads:
            thread.join()
        for each in self._sockets:
            each.close()

    @property
    def rate(self) -> float:
        """Bytes a second each way; may be set at any time, and holds for what is under way already."""
        return self._rate

    @rate.setter
    def rate(self, rate: float) -> None:
        with self._change:
            self._rate = rate
            self._change.notify_all()

    def cut(self) -> None:
        """Break every connection that there is."""
        for each in list(self._sockets):
            self._shut(each)

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
            free_s = self._passed(len(data), max(free_s, time.monotonic()))
            pieces.put((free_s + self._delay_s, data))

    def _passed(self, size: float, begin_s: float) -> float:
        """Wait until so many bytes, from `begin_s` on, have nearly passed; return when they have."""
        with self._change:
            while True:
                rate, end_s = self._rate, begin_s + size / self._rate
                wait_s = end_s - time.monotonic() - 0.01
                if self._closed or wait_s <= 0:
                    return end_s if not self._closed else 0.0
                # Woken when the rate changes: what has passed until then did so at the old one.
                self._change.wait(wait_s)
                now_s = max(time.monotonic(), begin_s)
                size, begin_s = max(size - (now_s - begin_s) * rate, 0.0), now_s

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
