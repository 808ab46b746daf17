"""Energy over a window of frames. Pure.

`E = integral of P dt` from the first frame in to the last frame out, on the device's monotonic clock, the edges
interpolated; per frame `E / N` (gross) and `(E - P_idle * T) / N` (net), where P_idle was seen in the same session. It
is the practice of MLPerf Power's measurement rules (the whole system, the performance phase alone, power and speed of
the same run); what is shown here is not an MLPerf result. Where the source counts energy itself, the integral is the
difference of its counter, which also holds over a pause in which nothing was heard; else it is the trapezoid of power.

The energy that an agent adds up leaves out what its source did not tell. How long that was it says itself, and what is
known of a window is its energy of so many covered seconds, never energy that is spread over the rest.
"""

import bisect
from collections import deque
from dataclasses import dataclass, replace
from statistics import median

#: Between two readings of power that lie farther apart nobody knows what was.
MAX_GAP_S = 3.0

#: Readings that a window holds; of more, every second one of the older half is given up, which costs nothing but the
#: exactness of edges that lie there.
MAX_POINTS = 4096

#: The device is idle when no frame has passed for so long.
IDLE_AFTER_S = 5.0

#: So many readings make an idle power, and at most so many are remembered.
IDLE_READINGS = 5
IDLE_KEPT = 60

#: The agent itself works (it loads a model) above this many cores.
IDLE_CORES = 0.2

#: Below this share of the window nothing is said about a frame.
MIN_COVERAGE = 0.95


@dataclass(frozen=True, slots=True)
class Series:
    """What may be compared: one source of one start of an agent. Others are never added to it."""

    incarnation: str
    source: str
    scope: str
    method: str


@dataclass(frozen=True, slots=True)
class Spent:
    """Energy of `covered_s` of a window of `window_s`."""

    energy_j: float
    covered_s: float
    window_s: float

    @property
    def coverage(self) -> float:
        """The share of the window that the energy tells of, 0 to 1."""
        return min(max(self.covered_s / self.window_s, 0.0), 1.0)

    @property
    def mean_w(self) -> float:
        """The power over the time that the energy tells of."""
        return self.energy_j / self.covered_s


@dataclass(frozen=True, slots=True)
class _Point:
    """Sums up to `at_s`, and the reading itself."""

    at_s: float
    sum_j: float
    covered_s: float
    power_w: float | None
    counter_j: float | None
    counted_s: float | None


class EnergyWindow:
    """The readings of one series; another series begins anew."""

    def __init__(self) -> None:
        self.series: Series | None = None
        #: When it told its power last.
        self.told_s = float("-inf")
        self._points: list[_Point] = []

    @property
    def newest_s(self) -> float | None:
        """When the newest reading was taken."""
        return self._points[-1].at_s if self._points else None

    def add(
        self,
        series: Series,
        at_s: float,
        power_w: float | None,
        counter_j: float | None,
        counted_s: float | None = None,
    ) -> None:
        """Take a reading; one that is not newer than the last is of no use.

        `counter_j` is energy that the agent added up, and `counted_s` the seconds of which that tells.
        """
        if series != self.series:
            self.series, self._points, self.told_s = series, [], float("-inf")
        if power_w is not None:
            self.told_s = max(self.told_s, at_s)
        if not self._points:
            self._points.append(_Point(at_s, 0.0, 0.0, power_w, counter_j, counted_s))
            return
        last = self._points[-1]
        if at_s <= last.at_s:
            return
        now = _Point(at_s, last.sum_j, last.covered_s, power_w, counter_j, counted_s)
        energy_j, covered_s = _between(last, now, series)
        self._points.append(replace(now, sum_j=last.sum_j + energy_j, covered_s=last.covered_s + covered_s))
        if len(self._points) > MAX_POINTS:
            half = len(self._points) // 2
            self._points[:half] = self._points[:half:2]

    def spent(self, begin_s: float, end_s: float) -> Spent | None:
        """Return the energy between two moments of the device's monotonic clock; None when nothing tells of it."""
        if len(self._points) < 2 or end_s <= begin_s:
            return None
        begin_j, begin_covered_s = self._sums(begin_s)
        end_j, end_covered_s = self._sums(end_s)
        covered_s = end_covered_s - begin_covered_s
        return Spent(end_j - begin_j, covered_s, end_s - begin_s) if covered_s > 0 else None

    def _sums(self, at_s: float) -> tuple[float, float]:
        after = bisect.bisect_left(self._points, at_s, key=lambda point: point.at_s)
        if after == 0:
            return 0.0 + self._points[0].sum_j, self._points[0].covered_s
        if after == len(self._points):
            return self._points[-1].sum_j, self._points[-1].covered_s
        before, behind = self._points[after - 1], self._points[after]
        share = (at_s - before.at_s) / (behind.at_s - before.at_s)
        return (
            before.sum_j + share * (behind.sum_j - before.sum_j),
            before.covered_s + share * (behind.covered_s - before.covered_s),
        )


def _between(last: _Point, now: _Point, series: Series) -> tuple[float, float]:
    """Return the energy from one reading to the next, and of how many seconds it tells."""
    span_s = now.at_s - last.at_s
    if last.counter_j is not None and now.counter_j is not None:
        step_j = now.counter_j - last.counter_j
        if last.counted_s is not None and now.counted_s is not None:
            covered_s = min(now.counted_s - last.counted_s, span_s)
            return (step_j, covered_s) if step_j >= 0 and covered_s > 0 else (0.0, 0.0)
        if series.method == "counter":
            # A source that is silent shows no power, and a counter that stands still.
            silent = now.power_w is None and step_j == 0
            return (0.0, 0.0) if silent or step_j < 0 else (step_j, span_s)
    if last.power_w is None or now.power_w is None or span_s > MAX_GAP_S:
        return 0.0, 0.0
    return (last.power_w + now.power_w) / 2 * span_s, span_s


class IdleWatch:
    """What a source shows while the device has nothing to do: the median of its readings, in one session."""

    def __init__(self) -> None:
        self._series: Series | None = None
        self._frames = -1
        self._since_s = 0.0
        self._readings_w: deque[float] = deque(maxlen=IDLE_KEPT)

    def add(self, series: Series, at_s: float, power_w: float | None, frames: int, *, busy: bool) -> None:
        """Take a reading; `frames` have passed so far, `busy` when the agent does something else for us."""
        if series != self._series:
            self._series, self._frames = series, -1
            self._readings_w.clear()
        if frames != self._frames or busy:
            self._frames, self._since_s = frames, at_s
        elif power_w is not None and at_s - self._since_s >= IDLE_AFTER_S:
            self._readings_w.append(power_w)

    @property
    def idle_w(self) -> float | None:
        """The power when idle; None while too little was seen of it."""
        return median(self._readings_w) if len(self._readings_w) >= IDLE_READINGS else None
