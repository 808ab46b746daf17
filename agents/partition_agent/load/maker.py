"""Keep a share of the usable cores busy, for the calibration of power, and tell what was seen meanwhile."""

import math
import os
import subprocess
import sys
import threading
import time
from collections import deque
from contextlib import ExitStack
from typing import Callable, Deque, Dict, List, NamedTuple, Optional, Sequence, Tuple

from partition_agent.mean_power import mean_by_energy
from partition_agent.protocol import Event, JobProgress, Load, Loaded, PowerSample, Telemetry
from partition_agent.refusal import RefusedError
from partition_agent.system import usable_cores

MAX_SECONDS = 600.0

#: At the begin of a load frequency and heat change fast: that much of it is not counted.
SETTLE_S = 1.0

#: How long a sample is waited for beyond the load's own time.
PATIENCE_S = 10.0

#: Progress is told so often.
TELL_EVERY_S = 0.5

END_S = 2.0

_CANCELLED_KEPT = 64

_SourceName = Tuple[str, str, str]


class _Watch(NamedTuple):
    """One load that is under way."""

    job: str
    ended: threading.Event
    samples: List[Telemetry]


class LoadMaker:
    """One load at a time; `load` blocks and may be cancelled from another thread."""

    def __init__(self, affinity: Sequence[int], publish: Callable[[Event], None]) -> None:
        """Take the cores that may be used; `note` is to be told of every sample."""
        self._affinity, self._publish = tuple(affinity), publish
        self._lock = threading.Condition()
        self._watch: Optional[_Watch] = None
        #: Jobs that were cancelled, for a load of theirs may still be on its way.
        self._cancelled: Deque[str] = deque(maxlen=_CANCELLED_KEPT)
        self._closed = False

    def note(self, sample: Telemetry) -> None:
        """Take a sample that the device has taken; from any thread."""
        with self._lock:
            if self._watch is not None:
                self._watch.samples.append(sample)
                self._lock.notify_all()

    def load(self, request: Load) -> Loaded:
        """Keep the cores busy and tell what was seen. Raises RefusedError."""
        if not (0 <= request.level <= 1 and 0 < request.seconds <= MAX_SECONDS):
            raise RefusedError("bad_load", f"a load of {request.level:g} for {request.seconds:g} s cannot be")
        watch = _Watch(request.job, threading.Event(), [])
        with self._lock:
            if self._closed or request.job in self._cancelled:
                raise RefusedError("cancelled", f"the load of {request.job} was cancelled")
            if self._watch is not None:
                raise RefusedError("busy", f"the load of {self._watch.job} is going on")
            self._watch = watch
        try:
            with ExitStack() as burning:
                for core, share in shares(request.level, self._affinity, usable_cores(self._affinity)):
                    burning.callback(_end, _burn(core, share))
                self._wait(watch, request.seconds)
        except OSError as error:
            raise RefusedError("load_failed", f"the load cannot be made: {error}") from error
        finally:
            with self._lock:
                self._watch = None
        if watch.ended.is_set():
            raise RefusedError("cancelled", f"the load of {request.job} was cancelled")
        return Loaded(mean_utilisation(watch.samples), mean_power(watch.samples))

    def cancel(self, job: str) -> None:
        """End that job if it is under way, and let none of its loads begin; from any thread."""
        with self._lock:
            if job not in self._cancelled:
                self._cancelled.append(job)
            if self._watch is not None and self._watch.job == job:
                self._watch.ended.set()
                self._lock.notify_all()

    def close(self) -> None:
        """End whatever is under way; nothing begins any more."""
        with self._lock:
            self._closed, watch = True, self._watch
        if watch is not None:
            self.cancel(watch.job)

    def _wait(self, watch: _Watch, seconds: float) -> None:
        """Wait until the time is over and two samples at least were taken in it, the first after things settled."""
        begin_s = told_s = time.monotonic()
        end_s = begin_s + seconds
        settled_s = begin_s + min(SETTLE_S, seconds / 4)
        while not watch.ended.is_set():
            with self._lock:
                while watch.samples and watch.samples[0].monotonic_s < settled_s:
                    del watch.samples[0]
                now_s = time.monotonic()
                if now_s >= end_s and (len(watch.samples) >= 2 or now_s >= end_s + PATIENCE_S):
                    return
                self._lock.wait(0.1)
            if now_s - told_s >= TELL_EVERY_S:
                told_s = now_s
                done = min(int(100 * (now_s - begin_s) / seconds), 100)
                self._publish(JobProgress(watch.job, "load", done, 100))


def shares(level: float, affinity: Sequence[int], usable: float) -> List[Tuple[int, float]]:
    """Return which cores are kept busy for which share of their time; a quota allows less than the cores could."""
    count = min(max(math.ceil(usable), 1), len(affinity))
    share = min(level * usable / count, 1.0) if count else 0.0
    return [(core, share) for core in affinity[:count]] if share > 0 else []


def mean_utilisation(samples: Sequence[Telemetry]) -> Optional[float]:
    """Return the mean of what the power model takes as utilisation: time of the cores times their frequency."""
    seen = []
    for sample in samples[1:]:
        if sample.cpu_utilisation is not None:
            ratio = None if sample.thermal is None else sample.thermal.frequency_ratio
            seen.append(sample.cpu_utilisation * (1.0 if ratio is None else min(max(ratio, 0.0), 1.0)))
    return sum(seen) / len(seen) if seen else None


def mean_power(samples: Sequence[Telemetry]) -> Tuple[PowerSample, ...]:
    """Return the mean power of each source from the first sample to the last; by its own energy where it tells that."""
    found: Dict[_SourceName, List[Tuple[float, PowerSample]]] = {}
    for sample in samples:
        for power in sample.power:
            name = (power.source, power.scope, power.method)
            found.setdefault(name, []).append((sample.monotonic_s, power))
    return tuple(
        PowerSample(
            power_w=_mean_w(readings),
            energy_j=None,
            source=source,
            scope=scope,
            method=method,
            uncertainty=readings[-1][1].uncertainty,
            coverage=_coverage(readings) * len(readings) / len(samples),
        )
        for (source, scope, method), readings in found.items()
    )


def _mean_w(readings: Sequence[Tuple[float, PowerSample]]) -> Optional[float]:
    power_w = mean_by_energy(*readings[0], *readings[-1])
    if power_w is not None:
        return power_w
    watts = [power.power_w for _, power in readings[1:] or readings if power.power_w is not None]
    return sum(watts) / len(watts) if watts else None


def _coverage(readings: Sequence[Tuple[float, PowerSample]]) -> float:
    (first_s, first), (last_s, last) = readings[0], readings[-1]
    if first.covered_s is None or last.covered_s is None or last_s <= first_s:
        return 1.0
    return min(max((last.covered_s - first.covered_s) / (last_s - first_s), 0.0), 1.0)


def _burn(core: int, share: float) -> "subprocess.Popen[bytes]":
    environment = {
        **os.environ,
        "PYTHONPATH": os.pathsep.join(path for path in sys.path if path),
        "OPENBLAS_NUM_THREADS": "1",
        "OMP_NUM_THREADS": "1",
        "MKL_NUM_THREADS": "1",
    }
    return subprocess.Popen(
        [sys.executable, "-m", "partition_agent.load.burn", str(core), str(share)],
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        env=environment,
    )


def _end(process: "subprocess.Popen[bytes]") -> None:
    """End it by closing its pipe, which also ends it when this process is killed."""
    if process.stdin is not None:
        process.stdin.close()
    try:
        process.wait(END_S)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
