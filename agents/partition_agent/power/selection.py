"""Choose the best source of power figures, and add up its energy."""

from pathlib import Path
from typing import Optional

from partition_agent.power import declared, hwmon, jetson, rapl
from partition_agent.power.reader import PowerReader
from partition_agent.protocol import PowerSample


def best_sensor(root: Path) -> Optional[PowerReader]:
    """Return the best sensor of the device: what covers the whole module before what covers the processor."""
    return jetson.probe(root) or rapl.probe(root) or hwmon.probe(root)


class PowerMeter:
    """Power now and energy since the start, from the best source there is; absent when there is none."""

    def __init__(self, root: Path) -> None:
        self._sensor = best_sensor(root)
        self._reader = self._sensor
        self._at_s: Optional[float] = None
        self._power_w = self._counter_j = self._energy_j = 0.0

    @property
    def is_sampled(self) -> bool:
        """Whether more frequent updates make the energy more precise."""
        return self._reader is not None and self._reader.method == "sampled"

    def declare(self, idle_w: Optional[float], busy_w: Optional[float]) -> None:
        """Take what the person declared, for use when there is no sensor."""
        if self._sensor is None:
            self._reader = declared.probe(idle_w, busy_w)

    def update(self, now_s: float, utilisation: Optional[float]) -> Optional[PowerSample]:
        """Read the source and return the sample, or None when there is nothing to say."""
        reader = self._reader
        reading = reader.read(utilisation) if reader is not None else None
        if reader is None or reading is None:
            self._at_s = None
            return None
        power_w = reading.power_w
        span_s = None if self._at_s is None else now_s - self._at_s
        if reading.energy_j is not None:
            step_j = reading.energy_j - self._counter_j if self._at_s is not None else 0.0
            self._counter_j = reading.energy_j
            power_w = step_j / span_s if span_s else None
            self._energy_j += max(step_j, 0.0)
        elif power_w is not None and span_s is not None:
            self._energy_j += (power_w + self._power_w) / 2 * span_s
        self._at_s = now_s
        if power_w is None:
            return None
        self._power_w = power_w
        return PowerSample(power_w, self._energy_j, reader.source, reader.scope, reader.method)
