"""Sources that take long to answer are asked in a thread of their own, so that they hold up nobody."""

import logging
import threading
import time
from typing import Any, Callable, Optional, Tuple

from partition_agent.power.reader import PowerReader, Reading

logger = logging.getLogger(__name__)


class Poller:
    """Asks again and again in a thread that begins with the first `newest`: what is only listed costs nothing."""

    def __init__(self, name: str, ask: Callable[[], Any], pause_s: Callable[[bool], float]) -> None:
        """`ask` returns None where there is no answer; `pause_s` tells, by whether there was one, how long to wait."""
        self._name, self._ask, self._pause_s = name, ask, pause_s
        self._newest: Optional[Tuple[float, Any]] = None
        self._stop = threading.Event()
        self._thread: Optional[threading.Thread] = None

    def newest(self) -> Optional[Tuple[float, Any]]:
        """Return the newest answer and the monotonic time that it is of; at once."""
        if self._thread is None and not self._stop.is_set():
            self._thread = threading.Thread(target=self._run, name=self._name, daemon=True)
            self._thread.start()
        return self._newest

    def close(self) -> None:
        """End the thread; one that waits for an answer ends after it."""
        self._stop.set()

    def _run(self) -> None:
        while not self._stop.is_set():
            begin_s = time.monotonic()
            try:
                answer = self._ask()
            except Exception:
                # The boundary of this thread: nobody else would ever hear of it.
                logger.exception("source_failed", extra={"source": self._name})
                return
            if answer is not None:
                # It is of some moment in between.
                self._newest = ((begin_s + time.monotonic()) / 2, answer)
            self._stop.wait(max(begin_s + self._pause_s(answer is not None) - time.monotonic(), 0.1))


class PolledReader(PowerReader):
    """Asks about once a second; `read` returns the newest answer at once."""

    interval_s = 1.0
    max_gap_s = 3.5
    #: An older answer is none.
    stale_s = 3.5

    def __init__(self) -> None:
        self._poller = Poller(f"power {self.source}", self.ask, self.pause_s)

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
        newest = self._poller.newest()
        if newest is None or time.monotonic() - newest[0] > self.stale_s:
            return None
        reading: Reading = newest[1]
        return reading._replace(at_s=newest[0])

    def close(self) -> None:
        """End the thread."""
        self._poller.close()
