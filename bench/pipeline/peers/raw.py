"""A pipeline by hand: blocking sockets, sendmsg and recv_into, one process a stage, two frames under way on a link.

    python -m bench.pipeline.peers.raw MODEL --cpus 0 --next PORT

A frame is its length and its bytes. The consumer answers with one byte when it begins a frame. A thread receives into
buffers that are used again, so that receiving overlaps with computing.
"""

import argparse
import contextlib
import queue
import socket
import struct
import threading
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from bench.pipeline.peers.peer import CREDIT, Array, Arrivals, StageModel, StageProcess, pin, say_port

_LENGTH = struct.Struct("<Q")
MODULE = "bench.pipeline.peers.raw"


class _Out:
    """The producer's end of a link."""

    def __init__(self, port: int) -> None:
        self._socket = socket.create_connection(("127.0.0.1", port))
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._credit = CREDIT

    def send(self, array: Array) -> None:
        while self._credit == 0:
            self._credit += len(self._socket.recv(CREDIT))
        self._credit -= 1
        data = memoryview(array.reshape(-1).view(np.uint8).data)
        parts: list[memoryview] = [memoryview(_LENGTH.pack(data.nbytes)), data]
        while parts:
            sent = self._socket.sendmsg(parts)
            while parts and sent >= parts[0].nbytes:
                sent -= parts.pop(0).nbytes
            if parts:
                parts[0] = parts[0][sent:]

    def close(self) -> None:
        self._socket.close()


class _In:
    """The consumer's end of a link: `take` gives a buffer that is good until the next but one."""

    def __init__(self, listener: socket.socket) -> None:
        self._socket, _ = listener.accept()
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._frames: queue.Queue[bytearray | None] = queue.Queue()
        self._free: queue.Queue[bytearray] = queue.Queue()
        self._thread = threading.Thread(target=self._receive, daemon=True)
        self._thread.start()

    def take(self) -> bytearray | None:
        """Return the next frame, and grant another; None at the end."""
        frame = self._frames.get()
        if frame is not None:
            self._socket.send(b"\0")
        return frame

    def give_back(self, frame: bytearray) -> None:
        self._free.put(frame)

    def close(self) -> None:
        # The other end may have been faster.
        with contextlib.suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)
        self._thread.join()
        self._socket.close()

    def _fill(self, buffer: memoryview) -> bool:
        at = 0
        while at < len(buffer):
            count = self._socket.recv_into(buffer[at:])
            if count == 0:
                return False
            at += count
        return True

    def _receive(self) -> None:
        header = bytearray(_LENGTH.size)
        try:
            while self._fill(memoryview(header)):
                (size,) = _LENGTH.unpack(header)
                frame = bytearray(size) if self._free.empty() else self._free.get()
                if not self._fill(memoryview(frame)):
                    break
                self._frames.put(frame)
        except OSError:
            # Closed from here.
            pass
        self._frames.put(None)


class RawFeed:
    """Source and sink of a raw pipeline, and its processes."""

    def __init__(self, models: Sequence[Path], cpus: Sequence[Sequence[int]]) -> None:
        self.arrivals = Arrivals()
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._sink = threading.Thread(target=self._drain, daemon=True)
        self._sink.start()
        port: int = self._listener.getsockname()[1]
        self._stages: list[StageProcess] = []
        for model, cores in reversed(list(zip(models, cpus, strict=True))):
            self._stages.append(StageProcess(MODULE, model, cores, port))
            port = self._stages[-1].port
        self._out = _Out(port)

    def send(self, frame: Array) -> None:
        """Send one frame."""
        self._out.send(frame)

    @property
    def pids(self) -> list[int]:
        """The processes of the stages."""
        return [stage.pid for stage in self._stages]

    def close(self) -> None:
        """End it all."""
        self._out.close()
        self._sink.join()
        for stage in self._stages:
            stage.close()
        self._listener.close()

    def _drain(self) -> None:
        link = _In(self._listener)
        while (frame := link.take()) is not None:
            link.give_back(frame)
            self.arrivals.take()
        link.close()


def main() -> None:
    """Run one stage until its producer goes."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model")
    parser.add_argument("--cpus", required=True)
    parser.add_argument("--next", type=int, required=True)
    options = parser.parse_args()
    pin(options.cpus)
    model = StageModel(options.model)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        out = _Out(options.next)
        say_port(listener.getsockname()[1])
        link = _In(listener)
        while (frame := link.take()) is not None:
            result = model.run(np.frombuffer(frame, np.float32))
            link.give_back(frame)
            out.send(result)
        out.close()
        link.close()


if __name__ == "__main__":
    main()
