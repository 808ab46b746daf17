"""Deals frames among the replicas of one group by their measured speed: no I/O, no clock, no threads.

A frame goes to the replica that is expected to finish it first. Where results come from the replicas themselves, the
time between two of them while a replica is busy is measured here. Where a later stage brings the replicas' frames back
into their order, the last results of all replicas come together: the devices' own measurements count (`tell`), and
until there are any all replicas are taken to be alike.

A replica that loses what it gets is always the first to be done. One that has lost several frames in a row gets none
for a while, then one for trial, as long as there is another one that does not.
"""

import math
from collections import deque
from typing import Deque, Iterable, List, Optional, Sequence

#: So many results of one replica may wait for the frames before them at the end of the group; its links have room for
#: them. A frame that a replica would finish only after more than so many of another one would make that one stop.
HELD = 8

#: A replica whose speed is not known yet gets at most so many frames.
_UNKNOWN = 2

#: Weight of the newest measurement, and how many times longer than what is known it may count at most: now and then
#: something else keeps a device, or us.
_NEWEST = 0.25
_MOST_TIMES = 4.0

#: Of so many measurements at first the shortest counts, and no replica is passed over for being slow.
_SURE = 3

#: The same where a replica may have waited for its frame: what is longer than known tells little.
_LONGER, _SHORTER = 0.05, 0.5

#: A replica that is passed over for being too slow may have become faster: so much faster it is taken to be each time.
_HOPE = 0.998

#: After so many losses in a row a replica is passed over: so long at first, twice as long after each trial that failed.
_LOSSES = 3
_PAUSE_S, _LONGEST_PAUSE_S = 1.0, 30.0


class _Replica:
    """`service_s` is the mean time between two results while it is busy; None before the first."""

    def __init__(self) -> None:
        self.dealt = 0
        self.outstanding: Deque[float] = deque()
        self.service_s: Optional[float] = None
        self.samples = 0
        self.free_s = -math.inf
        #: Results of it that wait for frames before them; with too many it was made to stop: its time tells nothing.
        self.held = 0
        self.was_stopped = False
        self.losses = 0
        #: What it gets from then on tells whether it still fails; it gets nothing before the end of the pause.
        self.shut_s = self.pause_end_s = -math.inf
        self._pause_s = _PAUSE_S

    @property
    def fails(self) -> bool:
        """Whether all that it got lately was lost."""
        return self.losses >= _LOSSES

    def note(self, dealt_s: float, now_s: float, *, is_lost: bool) -> None:
        """Take what came of a frame. Of those that it had when it was found to fail, losses tell nothing new."""
        if not is_lost:
            self.losses, self._pause_s = 0, _PAUSE_S
        elif dealt_s >= self.shut_s:
            self.losses += 1
            if self.fails:
                self.shut_s, self.pause_end_s = now_s, now_s + self._pause_s
                self._pause_s = min(2 * self._pause_s, _LONGEST_PAUSE_S)

    def begun_s(self) -> float:
        """When it began its oldest frame at the latest."""
        return max(self.free_s, self.outstanding[0])


class Dealer:
    """The replicas of one group.

    `is_seen`: results come from them, not from a later stage that restores the order. `is_fed`: frames go to them from
    the source itself, so that a frame that was dealt is there soon.
    """

    def __init__(self, count: int, *, is_seen: bool, is_fed: bool) -> None:
        self._is_seen, self._is_fed = is_seen, is_fed
        self._has_heard = False
        self._replicas = [_Replica() for _ in range(count)]

    @property
    def is_told(self) -> bool:
        """Whether the devices' own measurements count here."""
        return not (self._is_seen and self._is_fed)

    @property
    def dealt(self) -> List[int]:
        """How many frames each replica has got."""
        return [replica.dealt for replica in self._replicas]

    @property
    def speeds(self) -> List[Optional[float]]:
        """Frames per second of each replica while it is busy, as far as they are known."""
        return [1.0 / r.service_s if r.service_s else None for r in self._replicas]

    def choose(self, able: Iterable[int], now_s: float, *, may_try: bool = True) -> Optional[int]:
        """Return which of those that can take a frame is to get the next one; None: better wait for another one.

        It waits where every replica that is able would let the others stop, see `HELD`, or fails while others do not.
        With `may_try` it may be one that fails, when its pause is over.
        """
        shut = self._shut(now_s, may_try=may_try)
        finish_s = {index: self._finish_s(index, now_s) for index in able if index not in shut}
        for index in sorted(finish_s, key=lambda index: (finish_s[index], self._replicas[index].dealt)):
            at_work = [
                other
                for other, its in enumerate(self._replicas)
                if other not in (index, *shut) and (other in finish_s or its.outstanding)
            ]
            if not self._stops_others(index, finish_s[index], at_work, now_s):
                return index
            replica = self._replicas[index]
            if replica.service_s is not None:
                replica.service_s *= _HOPE
        return None

    def fails(self, index: int) -> bool:
        """Whether a frame that a replica gets is for trial: it has lost the last ones."""
        return self._replicas[index].fails

    def _shut(self, now_s: float, *, may_try: bool) -> Sequence[int]:
        """Return the replicas that get nothing now, for they fail and others do not."""
        failing = [index for index, replica in enumerate(self._replicas) if replica.fails]
        if len(failing) == len(self._replicas):
            return ()
        return [
            index
            for index in failing
            if not may_try or now_s < self._replicas[index].pause_end_s or self._replicas[index].outstanding
        ]

    def deal(self, index: int, now_s: float) -> None:
        """Give it a frame."""
        self._replicas[index].dealt += 1
        self._replicas[index].outstanding.append(now_s)

    def settled(self, index: int, dealt_s: float, now_s: float, *, is_lost: bool) -> None:
        """Take a frame off it: its result is there, or it is known to be lost."""
        replica = self._replicas[index]
        if dealt_s in replica.outstanding:
            replica.outstanding.remove(dealt_s)
        replica.note(dealt_s, now_s, is_lost=is_lost)
        if not is_lost:
            replica.held += 1
            if self._is_seen and not self._has_heard and not replica.was_stopped:
                self._measure(replica, max(now_s - max(replica.free_s, dealt_s), 1e-9))
        replica.free_s = max(replica.free_s, now_s)
        replica.was_stopped = replica.held >= HELD

    def _measure(self, replica: _Replica, sample_s: float) -> None:
        known_s = replica.service_s
        replica.samples += 1
        if known_s is None or (replica.samples <= _SURE and self._is_fed):
            replica.service_s = sample_s if known_s is None else min(known_s, sample_s)
            return
        weight = _NEWEST if self._is_fed else _LONGER if sample_s > known_s else _SHORTER
        replica.service_s = known_s + weight * (min(sample_s, _MOST_TIMES * known_s) - known_s)

    def left(self, index: int) -> None:
        """A result of it went on, in order."""
        self._replicas[index].held -= 1

    def tell(self, index: int, service_s: float) -> None:
        """Take what its device measured for one frame. What is seen from here itself counts for more."""
        if service_s > 0 and self.is_told:
            self._has_heard = True
            self._replicas[index].service_s = service_s

    def forget_speeds(self) -> None:
        """Begin to measure anew: what was measured until now is not what comes."""
        self._has_heard = False
        for replica in self._replicas:
            replica.service_s = None
            replica.samples = 0

    def reset(self) -> None:
        """Forget what is under way."""
        for replica in self._replicas:
            replica.outstanding.clear()
            replica.held = 0

    def _service_s(self, index: int, now_s: float) -> float:
        replica = self._replicas[index]
        if replica.service_s is None:
            return min((other.service_s for other in self._replicas if other.service_s is not None), default=1.0)
        if self._is_seen and self._is_fed and replica.outstanding:
            # It has been at its frame for longer than ever: it has become slower, or stands still.
            return max(replica.service_s, now_s - replica.begun_s())
        return replica.service_s

    def _finish_s(self, index: int, now_s: float) -> float:
        """Return in how many seconds it is expected to finish one more frame."""
        replica, service_s = self._replicas[index], self._service_s(index, now_s)
        if not replica.outstanding:
            return service_s
        done_s = min(max(now_s - replica.begun_s(), 0.0), service_s) if self._is_seen and self._is_fed else 0.0
        return service_s * (len(replica.outstanding) + 1) - done_s

    def _stops_others(self, index: int, finish_s: float, others: Iterable[int], now_s: float) -> bool:
        if not (self._is_seen and self._is_fed):
            return False
        replica = self._replicas[index]
        known = [self._service_s(other, now_s) for other in others if self._replicas[other].service_s is not None]
        if replica.samples < _SURE:
            return bool(known) and len(replica.outstanding) >= _UNKNOWN
        return any(finish_s > HELD * service_s for service_s in known)
