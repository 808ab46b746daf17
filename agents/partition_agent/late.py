"""Parts of the agent that come into memory with their first use: an agent that waits stays small."""

import threading
from typing import Callable, Generic, Optional, TypeVar

Part = TypeVar("Part")


class Late(Generic[Part]):
    """A part that is made once, by whoever needs it first; from any thread."""

    def __init__(self, make: Callable[[], Part]) -> None:
        self._make = make
        self._lock = threading.Lock()
        #: The part, where somebody has needed it.
        self.made: Optional[Part] = None

    def get(self) -> Part:
        """Return it."""
        with self._lock:
            if self.made is None:
                self.made = self._make()
            return self.made
