"""Add up the energy of one source, and say of how much of the time it tells."""

from typing import NamedTuple, Optional

from partition_agent.power.reader import PowerReader, Reading

#: No device here draws more: a counter that says so was set back, or is another one.
_MOST_W = 100e3

#: A counter that stood still for so long has stopped; a device that runs takes something.
_STILL_S = 10.0


class Figure(NamedTuple):
    """What is known now: mean power since the figure before, energy and coverage since the agent started."""

    power_w: Optional[float]
    energy_j: Optional[float]
    coverage: float


class _Point(NamedTuple):
    at_s: float
    power_w: Optional[float]
    energy_j: Optional[float]


class Account:
    """Energy of one source since `started_s`: counters by differences, power by trapezoids on the real times.

    Time over which nothing was read, or with a gap longer than the reader's `max_gap_s`, adds no energy and lowers the
    coverage. A counter covers a gap by itself.
    """

    def __init__(self, started_s: float) -> None:
        self._started_s = started_s
        self._last: Optional[_Point] = None
        self._energy_j = self._still_s = 0.0
        #: The time of which the energy tells, and the monotonic time of the newest reading.
        self.covered_s = 0.0
        self.told_s: Optional[float] = None
        self._power_w: Optional[float] = None
        #: Energy and time at the figure before.
        self._mark_j = self._mark_s = 0.0
        self.has_read = False

    def take(self, reader: PowerReader, reading: Optional[Reading], now_s: float) -> None:
        """Add a reading, or that there was none."""
        if reading is None:
            self._power_w = None
            if reader.method != "counter":
                self._last = None
            return
        point = _Point(now_s if reading.at_s is None else reading.at_s, reading.power_w, reading.energy_j)
        last = self._last
        if last is not None and point.at_s <= last.at_s:
            return
        self.has_read = True
        self._last, self._power_w, self.told_s = point, point.power_w, point.at_s
        if last is None:
            return
        span_s = point.at_s - last.at_s
        step_j = self._step_j(reader, last, point, span_s)
        if step_j is None:
            return
        self._energy_j += step_j
        self._still_s = 0.0 if step_j > 0 else self._still_s + span_s
        if point.power_w is None:
            self._power_w = None if self._still_s > _STILL_S else step_j / span_s
        if self._power_w is not None:
            self.covered_s += span_s

    @staticmethod
    def _step_j(reader: PowerReader, last: _Point, point: _Point, span_s: float) -> Optional[float]:
        if span_s > reader.max_gap_s:
            return None
        if point.energy_j is not None:
            step_j = point.energy_j - last.energy_j if last.energy_j is not None else -1.0
            return step_j if 0 <= step_j <= span_s * _MOST_W else None
        if point.power_w is None or last.power_w is None:
            return None
        # A model tells the mean of the time that just passed, a sensor the power of the moment.
        before_w = point.power_w if reader.method == "estimated" else last.power_w
        return (point.power_w + before_w) / 2 * span_s

    def figure(self, reader: PowerReader, now_s: float) -> Figure:
        """Return what is known; the next figure's mean power begins here."""
        age_s = self._started_s - now_s if self._last is None else now_s - self._last.at_s
        power_w = self._power_w if 0 <= age_s <= max(reader.max_gap_s, reader.interval_s * 2) else None
        span_s = self.covered_s - self._mark_s
        if power_w is not None and reader.method == "sampled" and span_s > 0:
            power_w = (self._energy_j - self._mark_j) / span_s
        self._mark_j, self._mark_s = self._energy_j, self.covered_s
        elapsed_s = now_s - self._started_s
        coverage = min(self.covered_s / elapsed_s, 1.0) if elapsed_s > 0 else 0.0
        return Figure(power_w, self._energy_j if self.has_read else None, coverage)
