"""Figures of plans as people read them."""

from partition_studio.planner.search.question import Objective
from partition_studio.sizes import size_text


def time_text(seconds: float) -> str:
    """Return seconds with a readable unit."""
    return f"{seconds * 1e3:.3g} ms" if seconds < 1 else f"{seconds:.3g} s"


def energy_text(joules: float | None) -> str:
    """Return joules with a readable unit; a dash where they are not known."""
    if joules is None:
        return "-"
    return f"{joules * 1e3:.3g} mJ" if joules < 1 else f"{joules:.3g} J"


def share_text(share: float) -> str:
    """Return a share in per cent, with as many digits as tell something."""
    return f"{100 * share:.0f} %" if share >= 0.1 else f"{100 * share:.2g} %"


def value_text(objective: Objective, value: float) -> str:
    """Return a figure of an objective with its unit."""
    if objective == "throughput":
        return f"{value:.4g} frames/s"
    if objective == "latency":
        return time_text(value)
    return size_text(value) if objective == "max_memory" else energy_text(value)
