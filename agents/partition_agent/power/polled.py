"""Sources that take long to answer are asked in a thread of their own, so that they hold up nobody."""

import threading
import time
from typing import Optional

from partition_agent.power.reader import PowerReader, Reading


class PolledReader(PowerReader):
    """Asks about once a second; `read` returns the newest answer at once.

    The thread starts with the first `read`, so that a source that is only listed costs nothing.
    """

    interval_s = 1.0
    max_gap_s = 3.5
    #: An older answer is none.
    stale_s = 3.5

    def __init__(self) -> None:
        self._newest: Optional[Reading] = None
        self._stop = threading.Event()
        self._thread: Optional[threading.Thread] = None

    def ask(self) -> Optional[Reading]:
        """Return what the source says now, or None when it does not answer; may block for some seconds."""
        raise NotImplementedError

    def pause_s(self, answered: bool) -> float:
        """Return how long to wait before the next question."""
        del answered
        return self.interval_s

    def read(self, utilisation: Optional[float]) -> Optional[Reading]:
        """Return the newest answer, unless it is old."""
        del utilisation
        if self._thread is None:
            self._thread = threading.Thread(target=self._run, name=f"power {self.source}", daemon=True)
            self._thread.start()
        newest = self._newest
        if newest is None or newest.at_s is None or time.monotonic() - newest.at_s > self.stale_s:
            return None
        return newest

    def close(self) -> None:
        """End the thread; one that waits for an answer ends after it."""
        self._stop.set()

    def _run(self) -> None:
        while not self._stop.is_set():
            begin_s = time.monotonic()
            reading = self.ask()
            if reading is not None:
                # The answer is of some moment in between.
                end_s = time.monotonic()
                self._newest = reading._replace(at_s=(begin_s + end_s) / 2)
            self._stop.wait(max(begin_s + self.pause_s(reading is not None) - time.monotonic(), 0.1))
