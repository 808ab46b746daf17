"""The power of a device as a line over its utilisation, fitted to measured points. Pure.

`P(u) = idle_w + (busy_w - idle_w) * u`, with u from CPU time and frequency, 0 to 1. Fitted by least squares; what a
point lies off at most is shown as a band, because a line does not know of frequency steps, vector units or a GPU.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from partition_studio.errors import BadInputError

#: Levels that lie closer together say nothing of the slope.
MIN_SPREAD = 0.1

MAX_POWER_W = 100_000.0


class PowerFitError(BadInputError):
    """The points are no power model."""

    code = "power_fit"
    next_step = "Measure again while nothing else runs on the device: idle first, then rising levels."


@dataclass(frozen=True, slots=True)
class PowerPoint:
    """Watts at a utilisation (0 to 1)."""

    utilisation: float
    power_w: float


@dataclass(frozen=True, slots=True)
class PowerFit:
    """The line, and the largest distance of a point from it."""

    idle_w: float
    busy_w: float
    residual_w: float

    def power_w(self, utilisation: float) -> float:
        """Return the power at a utilisation."""
        return self.idle_w + (self.busy_w - self.idle_w) * utilisation


def fit_power(points: Sequence[PowerPoint]) -> PowerFit:
    """Return the line that fits best.

    Raises PowerFitError for points that cannot be, for fewer than two distinct levels, and for a line that says less
    than nothing when idle, or less when busy than when idle.
    """
    for point in points:
        if not (math.isfinite(point.power_w) and 0 <= point.power_w <= MAX_POWER_W and 0 <= point.utilisation <= 1):
            raise PowerFitError(f"{point.power_w:g} W at a utilisation of {point.utilisation:g} cannot be")
    levels = [point.utilisation for point in points]
    if not levels or max(levels) - min(levels) < MIN_SPREAD:
        seen = ", ".join(f"{level:.0%}" for level in levels) or "none"
        raise PowerFitError(f"A line needs points at two levels at least; the device was seen at {seen}")
    mean_u = math.fsum(levels) / len(points)
    mean_w = math.fsum(point.power_w for point in points) / len(points)
    spread = math.fsum((point.utilisation - mean_u) ** 2 for point in points)
    slope_w = math.fsum((p.utilisation - mean_u) * (p.power_w - mean_w) for p in points) / spread
    idle_w, busy_w = mean_w - slope_w * mean_u, mean_w + slope_w * (1 - mean_u)
    # What rounding alone brings below a limit lies on it.
    grain_w = 1e-9 * max(1.0, abs(mean_w))
    if idle_w < -grain_w:
        raise PowerFitError(f"By these points the device would take {idle_w:.2f} W when idle")
    if busy_w < idle_w - grain_w:
        raise PowerFitError(f"By these points it takes less when busy ({busy_w:.2f} W) than when idle ({idle_w:.2f} W)")
    idle_w = max(idle_w, 0.0)
    fit = PowerFit(idle_w, max(busy_w, idle_w), 0.0)
    residual_w = max(abs(point.power_w - fit.power_w(point.utilisation)) for point in points)
    return PowerFit(fit.idle_w, fit.busy_w, residual_w)
