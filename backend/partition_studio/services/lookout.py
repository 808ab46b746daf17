"""Devices that could not be reached are looked at again in the background, so that those that are back are seen."""

import logging
import threading
import time
from collections.abc import Callable, Sequence

from partition_studio.errors import StudioError
from partition_studio.fleet.session.backoff import Backoff

logger = logging.getLogger(__name__)

#: How often it is seen to whether one is due.
TURN_S = 0.5

#: Devices that are looked at in the same moment.
AT_ONCE = 8


class Lookout:
    """Looks at each missing device with growing, jittered pauses (`Backoff`), in threads that end with it."""

    def __init__(self, missing: Callable[[], Sequence[str]], look: Callable[[str], None]) -> None:
        """Prepare it; `missing` names the devices to look at now, `look` takes a few seconds at most."""
        self._missing = missing
        self._look = look
        self._closed = threading.Event()
        self._lock = threading.Lock()
        self._waits: dict[str, Backoff] = {}
        self._due_s: dict[str, float] = {}
        self._busy: set[str] = set()
        self._thread = threading.Thread(target=self._watch, name="lookout", daemon=True)

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def close(self) -> None:
        """Look at no further device; what is under way reports nothing any more."""
        self._closed.set()
        if self._thread.ident is not None:
            self._thread.join()

    @property
    def is_closed(self) -> bool:
        """Whether nobody wants to know any more."""
        return self._closed.is_set()

    def _watch(self) -> None:
        while not self._closed.wait(TURN_S):
            missing = set(self._missing())
            with self._lock:
                for name in set(self._due_s) - missing:
                    del self._due_s[name], self._waits[name]
                for name in missing - set(self._due_s):
                    self._waits[name] = Backoff()
                    self._due_s[name] = time.monotonic() + self._waits[name].next_s()
                ready = [name for name, due_s in self._due_s.items() if due_s <= time.monotonic()]
                begun = [name for name in ready if name not in self._busy][: max(0, AT_ONCE - len(self._busy))]
                self._busy.update(begun)
            for name in begun:
                threading.Thread(target=self._look_at, args=(name,), name=f"look-{name}", daemon=True).start()

    def _look_at(self, name: str) -> None:
        try:
            self._look(name)
        except StudioError as error:
            # It was removed meanwhile, or is still not there: its next turn comes.
            logger.debug("still_missing", extra={"device": name, "reason": error.message})
        finally:
            with self._lock:
                self._busy.discard(name)
                if name in self._waits:
                    self._due_s[name] = time.monotonic() + self._waits[name].next_s()
