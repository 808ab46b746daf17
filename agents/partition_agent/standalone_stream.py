"""Messages over the two ends of an SSH channel: how an exported package talks with the hosts it runs on.

A message is one line of JSON; where it names `bytes`, as many raw bytes follow. Who gets nothing at all for as long as
its patience lasts takes the other side for gone. Standard library only: the first to speak on a host has nothing else.
"""

import json
import os
import select
import threading
from typing import Any, Callable, Dict, Optional, Sequence, Tuple

#: Precedes the first message: whatever a login prints comes before it.
MARK = b"partition-studio: ready\n"

MAX_LINE_BYTES = 64 * 1024 * 1024
_CHUNK_BYTES = 256 * 1024

Message = Dict[str, Any]


class StreamError(Exception):
    """What came is no message, or the other side has been silent for too long."""


class Stream:
    """Both directions of one conversation. One thread reads; any may write."""

    def __init__(self, read_fd: int, write_fd: int, patience_s: Optional[float] = None) -> None:
        """Talk over two descriptors, which stay the caller's to close."""
        self._read_fd, self._write_fd, self.patience_s = read_fd, write_fd, patience_s
        self._buffer = bytearray()
        self._lock = threading.Lock()

    def skip_to_mark(self, limit_bytes: int = 256 * 1024) -> bytes:
        """Read over what comes before the first message and return it. Raises StreamError, also at the end."""
        while MARK not in self._buffer:
            if len(self._buffer) > limit_bytes or not self._fill():
                raise StreamError(bytes(self._buffer[:4096]).decode("utf-8", "replace"))
        place = self._buffer.index(MARK)
        before = bytes(self._buffer[:place])
        del self._buffer[: place + len(MARK)]
        return before

    def read(self) -> Optional[Tuple[Message, int]]:
        """Return the next message and how many bytes follow it, which must be taken next; None at the end.

        Raises StreamError.
        """
        while True:
            place = self._buffer.find(b"\n")
            if place >= 0:
                break
            if len(self._buffer) > MAX_LINE_BYTES:
                raise StreamError("a message is too long")
            if not self._fill():
                return None
        line = bytes(self._buffer[:place])
        del self._buffer[: place + 1]
        try:
            message = json.loads(line)
            length = int(message.get("bytes", 0))
        except (ValueError, AttributeError, TypeError):
            raise StreamError("what came is no message") from None
        return message, length

    def take(self, length: int, write: Callable[[bytes], object]) -> None:
        """Hand the bytes that follow a message to `write`, as they come. Raises StreamError when they end early."""
        while length > 0:
            if not self._buffer and not self._fill():
                raise StreamError("the connection ended within a message")
            chunk = bytes(self._buffer[:length])
            del self._buffer[:length]
            length -= len(chunk)
            write(chunk)

    def take_bytes(self, length: int) -> bytes:
        """Return the bytes that follow a message."""
        whole = bytearray()
        self.take(length, whole.extend)
        return bytes(whole)

    def write(self, message: Message, parts: Sequence[Any] = ()) -> None:
        """Send a message and the buffers that follow it. Raises OSError when nobody is there."""
        views = [memoryview(part).cast("B") for part in parts]
        if views:
            message = dict(message, bytes=sum(view.nbytes for view in views))
        with self._lock:
            self._send(memoryview(json.dumps(message).encode() + b"\n"))
            for view in views:
                self._send(view)

    def write_from(self, message: Message, file: Any, length: int) -> None:
        """Send a message and `length` bytes of an open file. Raises OSError."""
        with self._lock:
            self._send(memoryview(json.dumps(dict(message, bytes=length)).encode() + b"\n"))
            while length > 0:
                chunk = file.read(min(length, _CHUNK_BYTES))
                if not chunk:
                    raise OSError("the file became shorter while it was sent")
                length -= len(chunk)
                self._send(memoryview(chunk))

    def mark(self) -> None:
        """Say that messages follow."""
        with self._lock:
            self._send(memoryview(MARK))

    def give_back(self) -> None:
        """Make the two descriptors this process's standard input and output again, for the program that it becomes."""
        os.dup2(self._read_fd, 0)
        os.dup2(self._write_fd, 1)

    def _send(self, view: memoryview) -> None:
        while view.nbytes:
            view = view[os.write(self._write_fd, view[:_CHUNK_BYTES]) :]

    def _fill(self) -> bool:
        """Wait for more; return False at the end."""
        if self.patience_s is not None and not select.select([self._read_fd], [], [], self.patience_s)[0]:
            raise StreamError(f"nothing came for {self.patience_s:.0f} s")
        chunk = os.read(self._read_fd, _CHUNK_BYTES)
        self._buffer += chunk
        return bool(chunk)


def own_stream(patience_s: Optional[float]) -> Stream:
    """Return the conversation over this process's standard streams, which are hereafter nobody else's."""
    read_fd, write_fd = os.dup(0), os.dup(1)
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    os.close(nothing)
    # What a library prints must not come between two messages.
    os.dup2(2, 1)
    return Stream(read_fd, write_fd, patience_s)
