"""What every power source gives."""

from typing import NamedTuple, Optional, Protocol


class Reading(NamedTuple):
    """One reading. A counter gives `energy_j` since any point of time; others `power_w` now. Either may be missing."""

    power_w: Optional[float]
    energy_j: Optional[float]


class PowerReader(Protocol):
    """One source of power figures."""

    #: Which sensor or model it is, what it covers, and how: `counter`, `sampled` or `estimated`.
    source: str
    scope: str
    method: str

    def read(self, utilisation: Optional[float]) -> Optional[Reading]:
        """Return what it says now, or None when it cannot; `utilisation` (0 to 1) is for models."""
