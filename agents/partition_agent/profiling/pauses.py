"""A clock that stands still while a quota, or others, keep this process from running.

A quota stops all threads of a process at once, for as long as many kernels take together. By the clock on the wall a
long kernel has such pauses in every run and a short one in hardly any, so their times cannot be compared. A watcher
notes every so often how much processor time the process has got; in between, time counts until that is used up.
"""

import threading
import time
from bisect import bisect_right
from typing import List, NamedTuple, Sequence

import numpy as np

#: How often the watcher looks; a kernel is off by so much at most, where others ran beside it.
LOOK_S = 0.001


class Look(NamedTuple):
    """A moment by the clock on the wall, and the processor time that the process had got by then."""

    wall_s: float
    cpu_s: float


class RunningClock:
    """Tells how long the process ran between two moments, by looks in the order of time."""

    def __init__(self, looks: Sequence[Look]) -> None:
        """Take looks; of any threads, those that ran at the same time count once."""
        steps = np.diff(np.array(looks, dtype=np.float64).reshape(-1, 2), axis=0)
        self._walls = [look.wall_s for look in looks]
        self._ran: List[float] = [0.0, *np.cumsum(np.maximum(steps.min(axis=1), 0.0)).tolist()]

    def between(self, begin_s: float, end_s: float) -> float:
        """Return the seconds that it ran between two moments of the clock on the wall."""
        return self._at(end_s) - self._at(begin_s)

    def _at(self, wall_s: float) -> float:
        index = bisect_right(self._walls, wall_s) - 1
        if index < 0:
            return 0.0
        if index + 1 == len(self._walls):
            return self._ran[-1]
        # What is stopped looks late, as soon as it goes on: so the pause is at the end.
        return min(self._ran[index] + wall_s - self._walls[index], self._ran[index + 1])


class PauseWatch:
    """Looks in a thread of its own, as a context; afterwards `clock` tells."""

    def __init__(self) -> None:
        self._looks: List[Look] = []
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="pauses", daemon=True)

    def __enter__(self) -> "PauseWatch":
        self._look()
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()
        self._look()

    def clock(self) -> RunningClock:
        """Return the clock of the time that was watched."""
        return RunningClock(self._looks)

    def _watch(self) -> None:
        while not self._over.wait(LOOK_S):
            self._look()

    def _look(self) -> None:
        self._looks.append(Look(time.perf_counter(), time.process_time()))
