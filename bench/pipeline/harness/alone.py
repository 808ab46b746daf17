"""A sub-model alone in a process: how fast it is with nothing around it. This is what bounds are made of.

    python -m bench.pipeline.harness.alone MODEL --cpus 0

It is run as the agent runs it (one thread, no spinning, all optimisations) on the same cores and under the same quota.
Runs follow each other for a while and are counted, so that a quota that stops the process now and then counts too.
"""

import argparse
import json
import os
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import numpy as np
import numpy.typing as npt
import onnxruntime

from bench.cgroups import QuotaGroup

_WARM_UP_RUNS = 3
_MIN_RUNS = 5
_END_S = 30.0


@dataclass(frozen=True, slots=True)
class Alone:
    """Runs a second, the median run, and processor seconds of a run."""

    per_s: float
    median_s: float
    cpu_s: float


def session_of(path: str, threads: int = 1) -> onnxruntime.InferenceSession:
    """Load a sub-model with the options of the agent."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    options.log_severity_level = 3
    return onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])


def random_inputs(session: onnxruntime.InferenceSession) -> dict[str, npt.NDArray[Any]]:
    """Return seeded inputs of a sub-model."""
    generator = np.random.default_rng(0)
    return {t.name: generator.standard_normal(t.shape).astype(np.float32) for t in session.get_inputs()}


def _measure(session: onnxruntime.InferenceSession, frame: dict[str, npt.NDArray[Any]], seconds: float) -> Alone:
    runs: list[float] = []
    begin_s, cpu_s = time.perf_counter(), time.process_time()
    last_s = begin_s
    while last_s - begin_s < seconds or len(runs) < _MIN_RUNS:
        session.run(None, frame)
        now_s = time.perf_counter()
        runs.append(now_s - last_s)
        last_s = now_s
    cpu_s = time.process_time() - cpu_s
    return Alone(len(runs) / (last_s - begin_s), float(np.median(runs)), cpu_s / len(runs))


class AloneWorker:
    """A process that holds one sub-model on a device, and runs it when asked."""

    def __init__(self, model: Path, cpus: Sequence[int], group: QuotaGroup | None = None) -> None:
        """Load it there. Raises RuntimeError when it does not come up."""
        argv = [sys.executable, "-m", "bench.pipeline.harness.alone", str(model), "--cpus", ",".join(map(str, cpus))]
        self._process = subprocess.Popen(
            argv if group is None else group.command(argv),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            bufsize=1,
        )
        try:
            self._answer()
        except BaseException:
            self.close()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def begin(self, seconds: float) -> None:
        """Have it run for a while; `end` gives the figures. Several may run at once."""
        assert self._process.stdin is not None
        self._process.stdin.write(f"{seconds}\n")
        self._process.stdin.flush()

    def end(self) -> Alone:
        """Return the figures of what was begun."""
        return Alone(**json.loads(self._answer()))

    def run(self, seconds: float) -> Alone:
        """Run it for a while."""
        self.begin(seconds)
        return self.end()

    def close(self) -> None:
        """End the process. May be called again."""
        if self._process.poll() is None and self._process.stdin is not None:
            self._process.stdin.close()
            self._process.wait(_END_S)
        for stream in (self._process.stdin, self._process.stdout):
            if stream is not None:
                stream.close()

    def _answer(self) -> str:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            raise RuntimeError("a sub-model alone could not be run: see the messages above")
        return line


def main() -> None:
    """Load a sub-model, and run it for each number of seconds that comes in."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model")
    parser.add_argument("--cpus", required=True)
    options = parser.parse_args()
    os.sched_setaffinity(0, {int(cpu) for cpu in options.cpus.split(",")})
    session = session_of(options.model)
    frame = random_inputs(session)
    for _ in range(_WARM_UP_RUNS):
        session.run(None, frame)
    print("ready", flush=True)
    for line in sys.stdin:
        print(json.dumps(asdict(_measure(session, frame, float(line)))), flush=True)


if __name__ == "__main__":
    main()
