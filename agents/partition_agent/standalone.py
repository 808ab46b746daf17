"""The agent without the studio: `python -m partition_agent.standalone agent|door --folder DIR`, over an SSH channel.

An exported package (`partition-studio export`) starts it on each host and talks with it over standard input and output:
there is no control port, no token, and nothing that outlives the connection. It ends, and removes its folder, when it
is told to, when the channel ends, and when nothing at all was heard for a while.
"""

import argparse
import contextlib
import os
import shutil
import signal
import socket
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from importlib.metadata import version
from pathlib import Path
from typing import Any, Dict, List, Optional, Sequence, Tuple

import msgspec
import numpy as np

from partition_agent import log
from partition_agent.codecs import CodecError, byte_size, dtype_of, encode, missing_codecs
from partition_agent.data_plane.sockets import SocketError
from partition_agent.data_plane.wire import Tensors
from partition_agent.deployments import Deployments, RefusedError
from partition_agent.protocol import Connect, Event, Fault, LinkSpec, PeerAddress, Prepare, TensorSpec
from partition_agent.standalone_door import Door
from partition_agent.standalone_stream import Message, Stream, StreamError, own_stream
from partition_agent.system import memory_limit_bytes, process_memory, usable_cores

#: The starter says that it is there every few seconds.
PATIENCE_S = 30.0

#: A stage that loads cannot be interrupted: after this long the process ends all the same.
END_S = 10.0

REACH_S = 5.0


class BadRequestError(Exception):
    """A request that cannot be carried out; the message is for the person."""


class AgentRole:
    """Runs the stages of one device."""

    def __init__(self, stream: Stream, folder: Path) -> None:
        self._stream = stream
        cores = usable_cores(sorted(os.sched_getaffinity(0)))
        self._deployments = Deployments(folder / "models", max(int(cores), 1), self._tell)

    def hello(self) -> Message:
        """Say who is there."""
        return {
            "agent": version("partition-agent"),
            "onnxruntime": version("onnxruntime"),
            "cores": usable_cores(sorted(os.sched_getaffinity(0))),
            "memory_limit_bytes": memory_limit_bytes(),
        }

    def handle(self, message: Message, payload: bytes) -> Message:
        """Carry out a request. Raises RefusedError, BadRequestError."""
        operation = message.get("op")
        if operation == "prepare":
            prepared = self._deployments.prepare(msgspec.convert(message["prepare"], Prepare, strict=False))
            return {
                "port": prepared.data_port,
                "public_key": prepared.public_key,
                "load_s": prepared.load_s,
                "notes": list(prepared.notes),
            }
        if operation == "connect":
            request = msgspec.convert(message["connect"], Connect, strict=False)
            self._require_reachable(request.peers, message.get("reach", []))
            self._deployments.connect(request)
            return {}
        if operation == "address":
            return {"address": own_address(message["towards"])}
        if operation == "figures":
            stages, links, dropped = self._deployments.samples()
            return {
                "stages": [msgspec.to_builtins(sample) for sample in stages],
                "links": [msgspec.to_builtins(sample) for sample in links],
                "dropped": dropped,
                "peak_bytes": process_memory().peak_bytes,
            }
        raise BadRequestError(f"no such request: {operation!r}")

    def close(self) -> None:
        """End every stage."""
        self._deployments.end_all()

    def _tell(self, event: Event) -> None:
        if isinstance(event, Fault):
            with contextlib.suppress(OSError):
                self._stream.write({"event": "fault", "message": event.message, "stage": event.stage})

    @staticmethod
    def _require_reachable(peers: Sequence[PeerAddress], names: Sequence[str]) -> None:
        require_reachable([peer for peer in peers if peer.device in names])


class DoorRole:
    """Source and sink: frames come as the inputs' bytes, one after the other, and results go back likewise."""

    def __init__(self, stream: Stream) -> None:
        self._stream = stream
        self._door: Optional[Door] = None
        self._inputs: List[TensorSpec] = []
        self._outputs: List[TensorSpec] = []
        self._kept: Dict[int, Tensors] = {}
        #: Frames whose outputs are not sent back.
        self._quiet: Dict[int, bool] = {}

    def hello(self) -> Message:
        """Say who is there."""
        return {"agent": version("partition-agent")}

    def handle(self, message: Message, payload: bytes) -> Optional[Message]:
        """Carry out a request. Raises BadRequestError, SocketError."""
        operation = message.get("op")
        if operation == "open":
            return self._open(message)
        door = self._door
        if door is None:
            raise BadRequestError("the door is not open")
        if operation == "connect":
            peers = msgspec.convert(message["peers"], List[PeerAddress], strict=False)
            require_reachable(peers)
            door.connect(peers)
            return {}
        if operation == "frame":
            number = int(message["frame"])
            inputs = self._kept[int(message["again"])] if "again" in message else self._frame(payload)
            if message.get("keep"):
                self._kept[number] = inputs
            self._quiet[number] = bool(message.get("quiet"))
            door.put(number, inputs, tuple(message.get("through", ())))
            return None
        if operation == "speeds":
            door.tell(msgspec.convert(message["seconds"], List[List[float]], strict=False))
            return {}
        raise BadRequestError(f"no such request: {operation!r}")

    def close(self) -> None:
        """Leave the pipeline."""
        if self._door is not None:
            self._door.close()

    def _open(self, message: Message) -> Message:
        links = msgspec.convert(message["links"], List[LinkSpec], strict=False)
        self._inputs = msgspec.convert(message["inputs"], List[TensorSpec], strict=False)
        self._outputs = msgspec.convert(message["outputs"], List[TensorSpec], strict=False)
        replicas = msgspec.convert(message.get("replicas", []), List[int])
        missing = missing_codecs(codec.name for link in links for codec in link.codecs)
        if missing:
            told = "; ".join(f"{name}: {reason}" for name, reason in missing.items())
            raise BadRequestError(f"this host cannot use the codecs of its links ({told})")
        self._door = Door(str(message["deployment"]), int(message["epoch"]), links, replicas, self._ended)
        return {"public_key": self._door.public_key}

    def _frame(self, payload: bytes) -> Tensors:
        inputs, begin = {}, 0
        for spec in self._inputs:
            length = byte_size(spec)
            piece = memoryview(payload)[begin : begin + length]
            if piece.nbytes != length:
                raise BadRequestError(f"the frame has too few bytes for {spec.name!r}")
            inputs[spec.name] = np.frombuffer(piece, dtype_of(spec.dtype)).reshape(spec.shape)
            begin += length
        return inputs

    def _ended(self, frame: int, latency_s: float, outputs: Optional[Tensors], lost: str) -> None:
        quiet = self._quiet.pop(frame, False)
        message: Message = {"frame": frame, "latency_s": latency_s, "at_s": time.monotonic()}
        with contextlib.suppress(OSError):
            # Nobody hears us: the reading thread ends this process.
            if outputs is None:
                self._stream.write(dict(message, event="lost", reason=lost))
            else:
                parts = [] if quiet else [encode(outputs[spec.name])[1] for spec in self._outputs]
                self._stream.write(dict(message, event="result"), parts)


def own_address(towards: str) -> str:
    """Return this host's address on the way to another; nothing is sent. Raises OSError."""
    family = socket.AF_INET6 if ":" in towards else socket.AF_INET
    with socket.socket(family, socket.SOCK_DGRAM) as probe:
        probe.connect((towards, 9))
        return str(probe.getsockname()[0])


def require_reachable(peers: Sequence[PeerAddress]) -> None:
    """Raise BadRequestError when a peer's data socket takes no connection from here."""
    for peer in peers:
        try:
            socket.create_connection((peer.host, peer.port), timeout=REACH_S).close()
        except OSError as error:
            raise BadRequestError(f"{peer.device} does not answer at {peer.host}, port {peer.port}: {error}") from error


def serve(stream: Stream, role: Any) -> int:
    """Answer requests until the channel ends, in order; what takes long does not keep us from hearing that it ended."""
    stream.write(role.hello())

    def carry_out(message: Message, payload: bytes) -> None:
        try:
            answer = role.handle(message, payload)
        except RefusedError as error:
            answer = {"error": error.failed.code, "message": error.failed.message}
        except (BadRequestError, SocketError, CodecError, KeyError, ValueError, OSError) as error:
            answer = {"error": "refused", "message": str(error)}
        if answer is not None:
            with contextlib.suppress(OSError):
                stream.write(answer)

    with contextlib.ExitStack() as stack:
        pool = ThreadPoolExecutor(1)
        stack.callback(pool.shutdown)
        stack.callback(role.close)
        stack.callback(_end_soon)
        try:
            while True:
                received = stream.read()
                if received is None or received[0].get("op") == "end":
                    return 0
                message, length = received
                payload = stream.take_bytes(length)
                if message.get("op") != "alive":
                    pool.submit(carry_out, message, payload)
        except StreamError as error:
            sys.stderr.write(f"partition-agent: {error}\n")
            return 1


def _end_soon() -> None:
    timer = threading.Timer(END_S, os._exit, (1,))
    timer.daemon = True
    timer.start()


def _arguments(given: Optional[List[str]]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="partition-agent-standalone", description="Runs for one SSH channel.")
    parser.add_argument("role", choices=("agent", "door"))
    parser.add_argument("--folder", type=Path, required=True, help="the run's own folder, removed at the end")
    parser.add_argument("--cpus", default="", help="run on these cores only, for example 0,1")
    return parser.parse_args(given)


def _interrupted(*_: object) -> None:
    raise KeyboardInterrupt


def main(given: Optional[List[str]] = None) -> int:
    """Serve one channel; the exit status is 0 after an orderly end."""
    arguments = _arguments(given)
    stream = own_stream(PATIENCE_S)
    folder: Path = arguments.folder
    log.set_up(folder)
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, _interrupted)
    try:
        if arguments.cpus:
            os.sched_setaffinity(0, _cpus(arguments.cpus))
        return serve(stream, AgentRole(stream, folder) if arguments.role == "agent" else DoorRole(stream))
    except (OSError, ValueError) as error:
        sys.stderr.write(f"partition-agent: {error}\n")
        return 1
    except KeyboardInterrupt:
        sys.stderr.write("partition-agent: told to end\n")
        return 1
    finally:
        shutil.rmtree(str(folder), ignore_errors=True)


def _cpus(text: str) -> Tuple[int, ...]:
    cpus = tuple(int(part) for part in text.split(","))
    missing = sorted(set(cpus) - os.sched_getaffinity(0))
    if missing:
        raise ValueError(f"core {missing[0]} is not one that this process may use")
    return cpus


if __name__ == "__main__":
    sys.exit(main())
