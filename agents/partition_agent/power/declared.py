"""An estimate from what the person declared: so much when idle, so much when busy."""

from typing import Optional

from partition_agent.power.reader import PowerReader, Reading


class _Declared:
    source, scope, method = "declared", "model", "estimated"

    def __init__(self, idle_w: float, busy_w: float) -> None:
        self._idle_w, self._busy_w = idle_w, busy_w

    def read(self, utilisation: Optional[float]) -> Optional[Reading]:
        """Return the power that goes with the utilisation; nothing without it."""
        if utilisation is None:
            return None
        return Reading(self._idle_w + (self._busy_w - self._idle_w) * utilisation, None)


def probe(idle_w: Optional[float], busy_w: Optional[float]) -> Optional[PowerReader]:
    """Return the estimate, or None when the person did not declare both."""
    if idle_w is None or busy_w is None or not 0 <= idle_w <= busy_w < float("inf"):
        return None
    return _Declared(idle_w, busy_w)
