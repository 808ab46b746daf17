"""Frames sent through a deployment: how many a second, how long one takes, and what it costs the processors."""

import os
import statistics
import threading
import time
from collections.abc import Callable, Mapping
from concurrent.futures import Future
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from bench.pipeline.harness.deployment import Deployed
from bench.pipeline.harness.usage import Usage, usage_of
from partition_studio.deployment.front_door import FrameResult

Frame = Mapping[str, npt.NDArray[np.generic]]

#: Different frames that a run goes round.
FRAMES = 4

#: A frame that takes longer is a fault.
_PATIENCE_S = 120.0


class LostFramesError(Exception):
    """A run lost frames: its rate means nothing."""


@dataclass(frozen=True, slots=True)
class Flow:
    """A run at full speed.

    `per_s` is between the first and last completion that count; `latencies_s` in order; `usage` of each process
    (devices by name, `studio` for this one, `link 0` ... for proxies) per frame.
    """

    per_s: float
    frames: int
    latencies_s: tuple[float, ...]
    usage: Mapping[str, Usage]

    @property
    def latency_s(self) -> float:
        """The median frame's time from being sent to its result."""
        return statistics.median(self.latencies_s)

    @property
    def agents_cpu_s(self) -> float:
        """Processor seconds of all agents for one frame."""
        return sum(u.cpu_s for name, u in self.usage.items() if name != "studio" and not name.startswith("link "))


def random_frames(deployed: Deployed, count: int = FRAMES) -> list[Frame]:
    """Return seeded frames for a deployment."""
    generator = np.random.default_rng(1)
    return [
        {name: generator.standard_normal(spec.shape).astype(spec.dtype) for name, spec in deployed.inputs.items()}
        for _ in range(count)
    ]


def _snapshot(deployed: Deployed) -> dict[str, Usage]:
    pids = {**deployed.pids, "studio": os.getpid()}
    pids |= {f"link {number}": pid for number, pid in enumerate(deployed.proxies)}
    return {name: usage_of(pid) for name, pid in pids.items()}


class _Arrivals:
    """Completions of frames, with their moments."""

    def __init__(self) -> None:
        self.at_s: list[float] = []
        self.latencies_s: list[float] = []
        self.failures: list[BaseException] = []
        self.change = threading.Condition()

    def take(self, done: "Future[FrameResult]") -> None:
        error = done.exception()
        with self.change:
            if error is not None:
                self.failures.append(error)
            else:
                self.at_s.append(time.perf_counter())
                self.latencies_s.append(done.result().latency_s)
            self.change.notify_all()


def throughput(
    deployed: Deployed,
    seconds: float,
    *,
    warm_up: int = 8,
    least: int = 4,
    between: Callable[[], None] | None = None,
) -> Flow:
    """Send frames as fast as they are taken, for a while, after the first `warm_up`, until `least` have come at least.

    `between` is called about ten times a second. Raises LostFramesError.
    """
    assert deployed.door is not None
    frames, arrivals = random_frames(deployed), _Arrivals()
    submitted, begin_s, before = 0, 0.0, dict[str, Usage]()
    first, called_s = 0, 0.0
    while not begin_s or time.perf_counter() - begin_s < seconds or len(arrivals.at_s) - first < least:
        # Frames never change, so they are not copied: the studio's own runs send theirs like this.
        future = deployed.door.submit(frames[submitted % len(frames)], timeout_s=_PATIENCE_S, keep=False)
        future.add_done_callback(arrivals.take)
        submitted += 1
        if arrivals.failures:
            raise LostFramesError(f"frames were lost: {arrivals.failures[0]}")
        if not begin_s and len(arrivals.at_s) >= warm_up:
            first, begin_s, before = len(arrivals.at_s), time.perf_counter(), _snapshot(deployed)
        if between is not None and time.perf_counter() - called_s >= 0.1:
            between()
            called_s = time.perf_counter()
    last, after = len(arrivals.at_s), _snapshot(deployed)
    with arrivals.change:
        done = arrivals.change.wait_for(
            lambda: len(arrivals.at_s) + len(arrivals.failures) == submitted, timeout=_PATIENCE_S
        )
    if arrivals.failures or not done:
        raise LostFramesError(f"{submitted - len(arrivals.at_s)} frames of {submitted} did not come back")
    counted = last - first
    per_s = (counted - 1) / (arrivals.at_s[last - 1] - arrivals.at_s[first])
    usage = {name: after[name].since(before[name]).per(counted) for name in after}
    return Flow(per_s, counted, tuple(arrivals.latencies_s[first:last]), usage)


def latency(deployed: Deployed, frames: int, *, warm_up: int = 3) -> float:
    """Return the median seconds of a frame that is alone in the pipeline, as the one who sends it sees it."""
    assert deployed.door is not None
    inputs = random_frames(deployed)
    seconds = []
    for number in range(warm_up + frames):
        begin_s = time.perf_counter()
        deployed.door.submit(inputs[number % len(inputs)], timeout_s=_PATIENCE_S).result(_PATIENCE_S)
        seconds.append(time.perf_counter() - begin_s)
    return statistics.median(seconds[warm_up:])
