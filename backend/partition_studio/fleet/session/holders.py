"""Who needs a device's agent, and which sub-models each has sent there."""

import threading
from collections.abc import Callable

from partition_agent.protocol import End, Result


class Holders:
    """A set of names, each with the digests of its sub-models; thread-safe."""

    def __init__(self) -> None:
        self._sent: dict[str, set[str]] = {}
        self._lock = threading.Lock()
        #: Held while an agent deletes sub-models that nobody needs: none may be found there and deleted then.
        self._deleting = threading.Lock()

    def __bool__(self) -> bool:
        return bool(self._sent)

    def names(self) -> list[str]:
        """Return who holds it."""
        with self._lock:
            return sorted(self._sent)

    def add(self, holder: str) -> None:
        """Note a holder."""
        with self._lock:
            self._sent.setdefault(holder, set())

    def drop(self, holder: str) -> bool:
        """Forget a holder; return whether he was one."""
        with self._lock:
            return self._sent.pop(holder, None) is not None

    def clear(self) -> None:
        """Forget everybody."""
        with self._lock:
            self._sent.clear()

    def note_model(self, holder: str, digest: str) -> bool:
        """Note that a holder needs a sub-model, before it is looked for on the device; False when he is none."""
        with self._deleting, self._lock:
            sent = self._sent.get(holder)
            if sent is not None:
                sent.add(digest)
            return sent is not None

    def end(self, end: End, call: Callable[[End], Result]) -> None:
        """Have a deployment ended by `call`, and the sub-models kept that others need."""
        with self._deleting:
            with self._lock:
                keep = {digest for digests in self._sent.values() for digest in digests}
            call(End(deployment=end.deployment, epoch=end.epoch, keep=tuple(sorted(keep))))
