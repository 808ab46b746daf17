"""How long to wait before the next try to reach a device."""

import random
import time
from collections.abc import Callable

BASE_S = 0.5
CAP_S = 30.0

#: A connection that lasted this long was a good one: what fails after it begins anew.
HEALTHY_S = 60.0


class Backoff:
    """Full jitter: each wait is drawn from zero to a bound that doubles from `BASE_S` up to `CAP_S`.

    Without it, the devices of a lab whose switch came back would all be asked in the same moment.
    """

    def __init__(
        self,
        clock: Callable[[], float] = time.monotonic,
        draw: Callable[[float, float], float] = random.uniform,
    ) -> None:
        self._clock = clock
        self._draw = draw
        self._tries = 0
        self._connected_s: float | None = None

    def connected(self) -> None:
        """Note that the device answers."""
        self._connected_s = self._clock()

    def lost(self) -> None:
        """Note that it is gone; after a good time with it, waits begin small again."""
        if self._connected_s is not None and self._clock() - self._connected_s >= HEALTHY_S:
            self._tries = 0
        self._connected_s = None

    def next_s(self) -> float:
        """Return how long to wait before the next try."""
        # No further doubling once the cap is reached: the number would only grow.
        bound_s = min(CAP_S, BASE_S * 2 ** min(self._tries, 10))
        self._tries += 1
        return self._draw(0.0, bound_s)
