"""What a simulated flow did: who was busy with which frame and when, and what follows of throughput.

A run has three parts: it fills, until the first result; it is steady; and it drains, after the last frame went in.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple


class Bar(NamedTuple):
    """A stretch of the Gantt chart: `resource` was busy with a frame.

    `resource` is a device's lane (`device` or `device/lane`; `what` is the work), a link (`source->target`; `what` is
    the cut) or a device's carrying and coding (`device carrying`; `what` is `send` or `receive` and the cut).
    """

    resource: str
    what: str
    frame: int
    begin_s: float
    end_s: float


@dataclass(frozen=True)
class Trace:
    """The run of some frames; the first one goes in at 0.

    Attributes:
        bars: in the order in which they ended.
        entered_s: when each frame went in.
        done_s: when the result of each was there; results come in order.
        queues: by cut, the most frames that were there at once (on one of its links) and had to wait: for their turn,
            for their other inputs, for frames before them, or for room behind.
    """

    bars: tuple[Bar, ...]
    entered_s: tuple[float, ...]
    done_s: tuple[float, ...]
    queues: Mapping[str, int]

    @property
    def fill_s(self) -> float:
        """Seconds until the first result."""
        return self.done_s[0]

    @property
    def drain_s(self) -> float:
        """Seconds after the last frame went in, until its result."""
        return self.done_s[-1] - self.entered_s[-1]

    @cached_property
    def period_s(self) -> float:
        """Seconds between two results in steady state."""
        last_in_s = self.entered_s[-1]
        return _steady_period_s(self.done_s, sum(done_s <= last_in_s for done_s in self.done_s))

    @property
    def throughput_per_s(self) -> float:
        """Results per second in steady state; infinite where nothing takes time."""
        return 1.0 / self.period_s if self.period_s > 0 else float("inf")


def _steady_period_s(done_s: Sequence[float], fed: int) -> float:
    """Return the time between results while frames go in: the slope of the first `fed` ones, without their first third.

    Replicas and batches bring their results in bursts, which is why a line is laid through them (least squares). Where
    too few frames went by for that, it is the mean time between all of them; of a single frame, the time that it took.
    """
    if fed < 9:
        count = len(done_s)
        return (done_s[-1] - done_s[0]) / (count - 1) if count > 1 else done_s[0]
    steady_s = done_s[fed // 3 : fed]
    middle = (len(steady_s) - 1) / 2
    slope = sum((place - middle) * done for place, done in enumerate(steady_s))
    return slope / sum((place - middle) ** 2 for place in range(len(steady_s)))
