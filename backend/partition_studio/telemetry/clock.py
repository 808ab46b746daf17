"""A device's clocks told in the studio's time. Pure.

The wall clock of a board without a battery may be hours off and jumps when it is set; its monotonic clock does neither.
A sample arrives some delay after it was taken, and the delay is never negative: the smallest difference between arrival
and monotonic time is the best estimate of the offset (the minimum-delay filter of NTP). Crystals drift, so only the
last minutes count.

When the device was suspended, or the studio's clock was set, every sample seems to be late from then on, and as late as
the one before. What waited somewhere comes less late from one to the next, and is no step.
"""

from collections import deque

#: The smallest delay is that of the last one to two spans of this length.
SPAN_S = 300.0

#: A sample is not on its way for longer: the studio's own clock was set.
MAX_DELAY_S = 30.0

#: So many samples in a row that are late by more than this, and differ by less, tell of a step.
STEP_S = 1.5
STEP_SAMPLES = 3

#: Steps that are remembered.
MAX_STEPS = 16


class DeviceClock:
    """The clocks of one start (incarnation) of an agent."""

    def __init__(self, incarnation: str) -> None:
        self.incarnation = incarnation
        self._span_begun_s = float("-inf")
        self._before_s = self._now_s = float("inf")
        self._wall_s = float("inf")
        self._late_s: deque[float] = deque(maxlen=STEP_SAMPLES)
        self._heard_s = float("-inf")
        #: The offset that was right until a moment of the studio's time, before a step; the oldest first.
        self._steps: deque[tuple[float, float]] = deque(maxlen=MAX_STEPS)

    @property
    def is_set(self) -> bool:
        """Whether a sample has arrived."""
        return self._offset_s < float("inf")

    @property
    def _offset_s(self) -> float:
        return min(self._before_s, self._now_s)

    @property
    def wall_offset_s(self) -> float:
        """What is to be added to the device's wall clock."""
        return self._wall_s if self._wall_s < float("inf") else 0.0

    def arrived(self, monotonic_s: float, unix_s: float, now_s: float) -> float:
        """Note that a sample of these device times arrived at `now_s`; return when it was taken, by the studio."""
        offset_s = now_s - monotonic_s
        self._watch_for_step(offset_s, now_s)
        if abs(now_s - self._span_begun_s) > SPAN_S:
            self._span_begun_s, self._before_s, self._now_s = now_s, self._now_s, float("inf")
        self._now_s = min(self._now_s, offset_s)
        # A device that sets its clock is seen at once; the delay hides in it, and matters little there.
        self._wall_s = now_s - unix_s
        return min(self.at(monotonic_s), now_s)

    def _watch_for_step(self, offset_s: float, now_s: float) -> None:
        late_s = offset_s - self._offset_s
        if late_s <= STEP_S:
            self._late_s.clear()
            self._heard_s = now_s
            return
        self._late_s.append(offset_s)
        is_steady = len(self._late_s) == STEP_SAMPLES and max(self._late_s) - min(self._late_s) <= STEP_S
        if late_s <= MAX_DELAY_S and not is_steady:
            return
        self._steps.append((self._heard_s, self._offset_s))
        self._before_s, self._now_s = float("inf"), min(self._late_s) if is_steady else offset_s
        self._late_s.clear()
        self._heard_s = now_s

    def at(self, monotonic_s: float) -> float:
        """Return the studio's time at which the device's monotonic clock showed `monotonic_s`."""
        return monotonic_s + self._offset_s

    def monotonic(self, at_s: float) -> float:
        """Return what the device's monotonic clock showed at the studio's time `at_s`."""
        return at_s - next((offset_s for until_s, offset_s in self._steps if at_s <= until_s), self._offset_s)
