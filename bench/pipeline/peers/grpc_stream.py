"""The same pipeline over gRPC: each stage a server that takes a stream of frames and answers when it begins one.

    python -m bench.pipeline.peers.grpc_stream MODEL --cpus 0 --next PORT

Messages are the tensor's bytes, without protobuf around them. gRPC's own flow control is left as it is; two frames are
under way on a link, by the answers.
"""

import argparse
import contextlib
import queue
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent import futures
from pathlib import Path

import grpc
import numpy as np

from bench.pipeline.peers.peer import CREDIT, Array, Arrivals, StageModel, StageProcess, pin, say_port

MODULE = "bench.pipeline.peers.grpc_stream"
_SERVICE, _METHOD = "bench.Stage", "Frames"
_OPTIONS = [("grpc.max_receive_message_length", -1), ("grpc.max_send_message_length", -1)]


class _Out:
    """The producer's end of a link."""

    def __init__(self, port: int) -> None:
        self._channel = grpc.insecure_channel(f"127.0.0.1:{port}", options=_OPTIONS)
        self._frames: queue.Queue[bytes | None] = queue.Queue()
        self._credit = threading.Semaphore(CREDIT)
        answers = self._channel.stream_stream(f"/{_SERVICE}/{_METHOD}")(iter(self._frames.get, None))
        self._thread = threading.Thread(target=self._count, args=(answers,), daemon=True)
        self._thread.start()

    def send(self, array: Array) -> None:
        self._credit.acquire()
        self._frames.put(array.tobytes())

    def close(self) -> None:
        self._frames.put(None)
        self._thread.join()
        self._channel.close()

    def _count(self, answers: Iterator[bytes]) -> None:
        # At the end the next stage may be gone before this one.
        with contextlib.suppress(grpc.RpcError):
            for _ in answers:
                self._credit.release()


def _serve(take: Callable[[bytes], None]) -> tuple[grpc.Server, int]:
    """Serve a stage whose frames go to `take`; it is answered when `take` begins with the next one."""

    def frames(requests: Iterator[bytes], _context: grpc.ServicerContext) -> Iterator[bytes]:
        pending: queue.Queue[bytes | None] = queue.Queue()

        def receive() -> None:
            with contextlib.suppress(grpc.RpcError):
                for request in requests:
                    pending.put(request)
            pending.put(None)

        receiver = threading.Thread(target=receive, daemon=True)
        receiver.start()
        while (frame := pending.get()) is not None:
            yield b"\0"
            take(frame)
        receiver.join()

    server = grpc.server(futures.ThreadPoolExecutor(4), options=_OPTIONS)
    handler = grpc.stream_stream_rpc_method_handler(frames)
    server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(_SERVICE, {_METHOD: handler}),))
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    return server, port


class GrpcFeed:
    """Source and sink of a gRPC pipeline, and its processes."""

    def __init__(self, models: Sequence[Path], cpus: Sequence[Sequence[int]]) -> None:
        self.arrivals = Arrivals()
        self._sink, port = _serve(lambda _frame: self.arrivals.take())
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
        for stage in reversed(self._stages):
            stage.close()
        self._sink.stop(None).wait()


def main() -> None:
    """Run one stage until it is ended."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model")
    parser.add_argument("--cpus", required=True)
    parser.add_argument("--next", type=int, required=True)
    options = parser.parse_args()
    pin(options.cpus)
    model, out = StageModel(options.model), _Out(options.next)
    server, port = _serve(lambda frame: out.send(model.run(np.frombuffer(frame, np.float32))))
    say_port(port)
    server.wait_for_termination()


if __name__ == "__main__":
    main()
