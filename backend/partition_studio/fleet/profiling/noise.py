"""Whether something else kept a device busy while a network was measured on it: then times scatter."""

from collections.abc import Sequence
from statistics import median

from partition_studio.planner.figures.profile import KernelFigures, LayerFigures

#: Quartiles further apart than this share of the median are no device's own; an idle one stays below a tenth.
NOISY_SPREAD = 0.2

#: The times of shorter ones scatter by the steps of the clock alone.
SHORT_S = 50e-6


def noise_warning(
    layers: Sequence[LayerFigures], kernels: Sequence[KernelFigures], run_s: float, run_spread_s: float
) -> str | None:
    """Return what is to be said of measured times that scatter; None where they do not."""
    spreads = [run_spread_s / run_s if run_s > 0 else 0.0]
    for figures in (layers, kernels):
        shares = [entry.spread_s / entry.median_s for entry in figures if entry.median_s >= SHORT_S]
        spreads.append(median(shares) if shares else 0.0)
    worst = max(spreads)
    if worst <= NOISY_SPREAD:
        return None
    return (
        f"something else kept the device busy while it was measured: times scatter by {worst:.0%}, and may be up to "
        "that much too high; end what else runs there and measure again"
    )
