"""Figures of plans as people read them."""

import math

from partition_studio.planner.search.question import Objective
from partition_studio.sizes import size_text


def number_text(value: float, digits: int) -> str:
    """Return a number with so many digits that tell something, and never as a power of ten."""
    if value == 0 or not math.isfinite(value):
        return f"{value:.0f}"
    rounded = float(f"{value:.{digits - 1}e}")
    after = max(digits - 1 - math.floor(math.log10(abs(rounded))), 0)
    text = f"{rounded:,.{after}f}"
    return text.rstrip("0").rstrip(".") if "." in text else text


def rate_text(per_s: float) -> str:
    """Return frames a second."""
    return f"{number_text(per_s, 4)} frames/s"


def time_text(seconds: float, digits: int = 3) -> str:
    """Return seconds with a readable unit."""
    return _scaled(seconds, (("s", 1.0), ("ms", 1e-3), ("µs", 1e-6)), digits)


def energy_text(joules: float | None, digits: int = 3) -> str:
    """Return joules with a readable unit; a dash where they are not known."""
    return "-" if joules is None else _scaled(joules, (("J", 1.0), ("mJ", 1e-3)), digits)


def share_text(share: float) -> str:
    """Return a share in per cent, with as many digits as tell something."""
    return f"{100 * share:.0f} %" if share >= 0.1 else f"{number_text(100 * share, 2)} %"


def value_text(objective: Objective, value: float) -> str:
    """Return a figure of an objective with its unit."""
    if objective == "throughput":
        return rate_text(value)
    if objective == "latency":
        return time_text(value)
    return size_text(value) if objective == "max_memory" else energy_text(value)


def _scaled(value: float, units: tuple[tuple[str, float], ...], digits: int) -> str:
    """Return a value in the first unit of which it is at least one as it is shown, else in the last."""
    for unit, size in units:
        if float(f"{value / size:.{digits - 1}e}") >= 1 or unit == units[-1][0]:
            return f"{number_text(value / size, digits)} {unit}"
    raise AssertionError
