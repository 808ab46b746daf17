"""When a search ends: once it is asked to, or when its time is up."""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

#: How often what computes is told again that it is to stop: it may not have begun when it was told first.
_AGAIN_S = 0.05


class Stopping:
    """Asked by what searches, and told by whoever stops it. Thread-safe."""

    def __init__(self) -> None:
        self._told = threading.Event()
        self._deadline_s = float("inf")

    def __call__(self) -> bool:
        """Return whether to stop."""
        return self._told.is_set() or time.monotonic() > self._deadline_s

    def stop(self) -> None:
        """Have all end that asks."""
        self._told.set()

    def stop_in(self, seconds: float) -> None:
        """Give it so much time from now on."""
        self._deadline_s = time.monotonic() + seconds

    @contextmanager
    def interrupts(self, act: Callable[[], None]) -> Iterator[None]:
        """Have `act` called, again and again, when it is time to stop before the block is left."""
        is_over = threading.Event()
        watcher = threading.Thread(target=self._watch, args=(act, is_over), name="interrupts", daemon=True)
        watcher.start()
        try:
            yield
        finally:
            is_over.set()
            watcher.join()

    def _watch(self, act: Callable[[], None], is_over: threading.Event) -> None:
        while not is_over.wait(_AGAIN_S):
            if self():
                act()
