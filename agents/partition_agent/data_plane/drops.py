"""Messages that were refused: counted by reason, and told of in the log, but not each."""

import logging
import threading
import time
from typing import Dict

logger = logging.getLogger(__name__)

#: One line of the log per reason and this many seconds.
_LOG_EVERY_S = 10.0

#: Reasons come from our own code; this many there are not.
_MAX_REASONS = 64


class Drops:
    """Counts, from any thread."""

    def __init__(self, deployment: str) -> None:
        self._deployment = deployment
        self._lock = threading.Lock()
        self._counts: Dict[str, int] = {}
        self._logged_s: Dict[str, float] = {}

    def add(self, reason: str, link: str = "", count: int = 1) -> None:
        """Count messages that were refused for `reason`, a stable word."""
        now_s = time.monotonic()
        with self._lock:
            if reason not in self._counts and len(self._counts) >= _MAX_REASONS:
                reason = "other"
            total = self._counts[reason] = self._counts.get(reason, 0) + count
            if now_s - self._logged_s.get(reason, -_LOG_EVERY_S) < _LOG_EVERY_S:
                return
            self._logged_s[reason] = now_s
        fields = {"reason": reason, "link": link, "deployment": self._deployment, "total": total}
        logger.warning("message_dropped", extra=fields)

    def counts(self) -> Dict[str, int]:
        """Return how many were refused, by reason."""
        with self._lock:
            return dict(self._counts)
