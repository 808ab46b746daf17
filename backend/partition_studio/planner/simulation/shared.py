"""Time and shared capacity of a simulation: what happens next, and how jobs divide what they need at once.

Jobs are fluid: each goes on at a rate of its own, up to the most that it can use. Who can use least at once is served
first, for what can use more makes up for it later; among equals the oldest frame, as much as it can use, and what is
left goes to the next. This loses no capacity as long as anybody can use it, and a frame on its way out is not delayed
by one that has just come in: networks of such servers carry any load below their capacity (Andrews et al., "Universal-
stability results for greedy contention-resolution protocols", FOCS 1996: longest in system), which first in, first out
at each server would not do.
"""

import heapq
from bisect import insort
from collections.abc import Callable, Sequence
from functools import partial

Act = Callable[[], None]

#: A share of a job's rate that is nothing but rounding.
_NOTHING = 1e-12


class Agenda:
    """What happens next. `settle` is called after all that happens at one moment, before time goes on."""

    def __init__(self, settle: Callable[[], None]) -> None:
        self.now_s = 0.0
        self._settle = settle
        self._count = 0
        self._heap: list[tuple[float, int, Act]] = []

    def after(self, wait_s: float, act: Act) -> None:
        """Have `act` called in so many seconds."""
        self._count += 1
        heapq.heappush(self._heap, (self.now_s + wait_s, self._count, act))

    def run(self) -> None:
        """Go on until nothing is left to happen."""
        heap, pop = self._heap, heapq.heappop
        self._settle()
        while heap:
            now_s = self.now_s = heap[0][0]
            while heap and heap[0][0] == now_s:
                pop(heap)[2]()
            self._settle()


class _Job:
    """`left` is of its work, `most` the rate that it can use; `turn` says who comes first."""

    __slots__ = ("act", "left", "most", "pools", "rate", "turn")

    def __init__(self, turn: tuple[float, int, int], left: float, most: float, pools: Sequence[int], act: Act) -> None:
        self.turn, self.left, self.most, self.pools, self.act = turn, left, most, pools, act
        self.rate = 0.0

    def __lt__(self, other: "_Job") -> bool:
        return self.turn < other.turn


class Shared:
    """Pools of capacity; a job goes on at one rate in all the pools that it needs."""

    def __init__(self, agenda: Agenda, capacity: Sequence[float], dirty: "list[Shared]") -> None:
        """`dirty` is where it enters itself when capacity has to be divided anew (`divide`)."""
        self._agenda, self._capacity, self._dirty = agenda, list(capacity), dirty
        self._jobs: list[_Job] = []
        self._count = 0
        self._division = 0
        self._settled_s = 0.0
        self._is_dirty = False

    def begin(self, frame: int, work: float, most: float, pools: Sequence[int], act: Act) -> None:
        """Take a job of a frame, which can use a rate of `most`; `act` is called when it is done."""
        self._count += 1
        self._elapse()
        for pool in pools:
            most = min(most, self._capacity[pool])
        # Rates that are equal but for rounding shall be equal.
        insort(self._jobs, _Job((round(most, 9), frame, self._count), work, most, pools, act))

    def divide(self) -> None:
        """Give each job its rate, and have the next one end in time."""
        self._is_dirty = False
        self._division += 1
        free = self._capacity.copy()
        soonest, first = float("inf"), None
        for job in self._jobs:
            rate = most = job.most
            for pool in job.pools:
                if free[pool] < rate:
                    rate = free[pool]
            if rate <= _NOTHING * most:
                job.rate = 0.0
                continue
            job.rate = rate
            for pool in job.pools:
                free[pool] -= rate
            wait_s = job.left / rate
            if wait_s < soonest:
                soonest, first = wait_s, job
        if first is not None:
            self._agenda.after(max(soonest, 0.0), partial(self._end, first, self._division))

    def _elapse(self) -> None:
        past_s = self._agenda.now_s - self._settled_s
        if past_s > 0:
            for job in self._jobs:
                job.left -= job.rate * past_s
            self._settled_s = self._agenda.now_s
        if not self._is_dirty:
            self._is_dirty = True
            self._dirty.append(self)

    def _end(self, job: _Job, division: int) -> None:
        if division != self._division:
            return
        self._elapse()
        self._jobs.remove(job)
        job.act()
