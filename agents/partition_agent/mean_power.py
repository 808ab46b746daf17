"""Mean power from the energy of two samples of one source."""

from typing import Optional

from partition_agent.protocol import PowerSample


def mean_by_energy(first_s: float, first: PowerSample, last_s: float, last: PowerSample) -> Optional[float]:
    """Return the mean power over the time of which the energy tells; None where that is not known.

    A counter that does not say how long it counted did so all the time; what was added up of sampled power has gaps.
    """
    if first.energy_j is None or last.energy_j is None or last.energy_j <= first.energy_j:
        return None
    if first.covered_s is not None and last.covered_s is not None:
        span_s = last.covered_s - first.covered_s
    elif first.method == last.method == "counter":
        span_s = last_s - first_s
    else:
        return None
    return (last.energy_j - first.energy_j) / span_s if span_s > 0 else None
