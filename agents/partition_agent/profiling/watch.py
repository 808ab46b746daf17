"""What the device's own samples say of power and heat while a profile is measured."""

import threading
import time
from collections import deque
from typing import Callable, Deque, List, Optional, Tuple

from partition_agent.mean_power import mean_by_energy
from partition_agent.protocol import PowerOfRun, PowerSample, Telemetry

#: Samples come once a second; so many are kept, and for the first one is waited so long.
_KEPT = 300
_FIRST_S = 2.0

#: How long the device may cool down before, and how fast (degrees a second) it must not be warming up.
SETTLE_S = 15.0
_WARMING_C_PER_S = 0.7

#: Power of the idle device is measured for so long before.
_IDLE_S = 2.2


class Watch:
    """The newest samples; fed by one thread, asked by another."""

    def __init__(self) -> None:
        self._new = threading.Condition()
        self._samples: Deque[Telemetry] = deque(maxlen=_KEPT)

    def note(self, sample: Telemetry) -> None:
        """Take a sample."""
        with self._new:
            self._samples.append(sample)
            self._new.notify_all()

    @property
    def has_power(self) -> bool:
        """Whether there is a source of power figures."""
        newest = self._newest()
        return newest is not None and any(power.power_w is not None for power in newest.power)

    def settle(self, cancelled: threading.Event) -> Tuple[str, ...]:
        """Wait, for a while, until the device is not held back and not warming up; return what to warn of."""
        self._wait(lambda: bool(self._samples), _FIRST_S, cancelled)
        self._wait(self._is_settled, SETTLE_S, cancelled)
        _, throttled = self.heat()
        if throttled:
            return (f"the device was held back at the beginning ({', '.join(throttled)})",)
        return ()

    def heat(self) -> Tuple[Optional[float], Tuple[str, ...]]:
        """Return the temperature, and by what the device is held back now."""
        newest = self._newest()
        thermal = None if newest is None else newest.thermal
        return (None, ()) if thermal is None else (thermal.temperature_c, thermal.throttled)

    def idle(self, cancelled: threading.Event) -> Optional[PowerSample]:
        """Return the mean power of the device while nothing is measured yet, which takes a moment."""
        begin_s = time.monotonic()
        self._wait(lambda: False, _IDLE_S, cancelled)
        return self._mean(begin_s, time.monotonic())

    def power(self, busy: Tuple[float, float], idle: Optional[PowerSample]) -> Optional[PowerOfRun]:
        """Return the mean power between two moments, beside that of the idle device."""
        mean = self._mean(*busy)
        if mean is None or mean.power_w is None:
            return None
        same = idle is not None and (idle.source, idle.scope) == (mean.source, mean.scope)
        return PowerOfRun(
            busy_w=mean.power_w,
            idle_w=idle.power_w if idle is not None and same else None,
            source=mean.source,
            scope=mean.scope,
            method=mean.method,
            uncertainty=mean.uncertainty,
        )

    def _mean(self, begin_s: float, end_s: float) -> Optional[PowerSample]:
        """Return the power of the widest source between two moments; its counted energy where there is some."""
        with self._new:
            inside = [s for s in self._samples if begin_s <= s.monotonic_s <= end_s and s.power]
        if not inside:
            return None
        first, last = inside[0], inside[-1]
        newest = last.power[0]
        before = next((p for p in first.power if (p.source, p.scope) == (newest.source, newest.scope)), None)
        span_s = last.monotonic_s - first.monotonic_s
        watts: List[float] = [
            p.power_w
            for s in inside
            for p in s.power
            if (p.source, p.scope) == (newest.source, newest.scope) and p.power_w is not None
        ]
        power_w = sum(watts) / len(watts) if watts else None
        if before is not None and span_s > 0.5:
            by_energy_w = mean_by_energy(first.monotonic_s, before, last.monotonic_s, newest)
            power_w = power_w if by_energy_w is None else by_energy_w
        return PowerSample(
            power_w, None, newest.source, newest.scope, newest.method, newest.uncertainty, newest.coverage
        )

    def _is_settled(self) -> bool:
        with self._new:
            recent = list(self._samples)[-3:]
        heats = [(s.monotonic_s, s.thermal) for s in recent if s.thermal is not None]
        if not heats:
            return True
        if heats[-1][1] is not None and heats[-1][1].throttled:
            return False
        points = [(at_s, t.temperature_c) for at_s, t in heats if t is not None and t.temperature_c is not None]
        if len(points) < 2:
            return True
        (first_s, first_c), (last_s, last_c) = points[0], points[-1]
        return (last_c or 0.0) - (first_c or 0.0) < _WARMING_C_PER_S * max(last_s - first_s, 0.1)

    def _newest(self) -> Optional[Telemetry]:
        with self._new:
            return self._samples[-1] if self._samples else None

    def _wait(self, done: Callable[[], bool], limit_s: float, cancelled: threading.Event) -> None:
        deadline_s = time.monotonic() + limit_s
        while not cancelled.is_set() and not done() and time.monotonic() < deadline_s:
            with self._new:
                self._new.wait(0.1)
