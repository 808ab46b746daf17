"""What both peers have in common: a process for each stage, frames from here to here, two under way on each link."""

import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from bench.pipeline.harness.alone import session_of
from bench.pipeline.harness.usage import usage_of

CREDIT = 2
_END_S = 20.0
_WARM_UP = 8
_PATIENCE_S = 60.0

Array = np.ndarray[Any, Any]


class Feed(Protocol):
    """The two ends of a peer's pipeline; `send` blocks while there is no credit."""

    arrivals: "Arrivals"

    @property
    def pids(self) -> list[int]:
        """The processes of the stages."""

    def send(self, frame: Array) -> None:
        """Send one frame into the first stage."""

    def close(self) -> None:
        """End."""


@dataclass
class Arrivals:
    """The moments at which results came; filled by the sink."""

    def __post_init__(self) -> None:
        self.at_s: list[float] = []
        self.change = threading.Condition()

    def take(self) -> None:
        """Note a result."""
        with self.change:
            self.at_s.append(time.perf_counter())
            self.change.notify_all()


class StageModel:
    """A stage as a peer runs it: one tensor in, one out, with the options of our agent."""

    def __init__(self, path: str) -> None:
        self._session = session_of(path)
        (source,), (output,) = self._session.get_inputs(), self._session.get_outputs()
        self._input, self._output = source.name, output.name
        self.shape = tuple(source.shape)
        self.nbytes = int(np.prod(self.shape)) * 4
        self.run(np.zeros(self.shape, np.float32))

    def run(self, array: Array) -> Array:
        """Compute one frame."""
        result: Array = self._session.run([self._output], {self._input: array.reshape(self.shape)})[0]
        return np.ascontiguousarray(result)


class StageProcess:
    """A stage in a process of its own; `port` is where it takes frames."""

    def __init__(self, module: str, model: Path, cpus: Sequence[int], next_port: int) -> None:
        argv = [sys.executable, "-m", module, str(model), "--cpus", ",".join(map(str, cpus)), "--next", str(next_port)]
        self._process = subprocess.Popen(argv, stdout=subprocess.PIPE, text=True)
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            self.close()
            raise RuntimeError(f"a stage of {module} did not start: see the messages above")
        self.port: int = json.loads(line)["port"]

    @property
    def pid(self) -> int:
        """The process."""
        return self._process.pid

    def close(self) -> None:
        """End it."""
        self._process.terminate()
        self._process.wait(_END_S)
        if self._process.stdout is not None:
            self._process.stdout.close()


def pin(cpus: str) -> None:
    """Keep this process on some cores."""
    os.sched_setaffinity(0, {int(cpu) for cpu in cpus.split(",")})


def say_port(port: int) -> None:
    """Tell who started this process where it listens."""
    print(json.dumps({"port": port}), flush=True)


@dataclass(frozen=True, slots=True)
class PeerFlow:
    """Frames a second, and processor seconds of a frame: of the stages' processes, and of this one."""

    per_s: float
    stages_cpu_s: float
    feed_cpu_s: float


def throughput(feed: Feed, shape: tuple[int, ...], seconds: float) -> PeerFlow:
    """Run a peer's pipeline at full speed; as `harness.frames.throughput` counts."""
    arrivals = feed.arrivals
    generator = np.random.default_rng(1)
    frames = [generator.standard_normal(shape).astype(np.float32) for _ in range(4)]
    submitted, begin_s, first, used = len(arrivals.at_s), 0.0, 0, (0.0, 0.0)
    before = len(arrivals.at_s)
    while not begin_s or time.perf_counter() - begin_s < seconds or len(arrivals.at_s) - first < 4:
        feed.send(frames[submitted % len(frames)])
        submitted += 1
        if not begin_s and len(arrivals.at_s) - before >= _WARM_UP:
            first, begin_s, used = len(arrivals.at_s), time.perf_counter(), _cpu_s(feed)
    last, ended = len(arrivals.at_s), _cpu_s(feed)
    with arrivals.change:
        if not arrivals.change.wait_for(lambda: len(arrivals.at_s) == submitted, _PATIENCE_S):
            raise RuntimeError("a peer's pipeline lost frames")
    per_s = (last - first - 1) / (arrivals.at_s[last - 1] - arrivals.at_s[first])
    return PeerFlow(per_s, (ended[0] - used[0]) / (last - first), (ended[1] - used[1]) / (last - first))


def _cpu_s(feed: Feed) -> tuple[float, float]:
    """Return the processor seconds of the stages' processes and of this one until now."""
    return sum(usage_of(pid).cpu_s for pid in feed.pids), usage_of(os.getpid()).cpu_s
