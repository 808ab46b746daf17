"""Which studio an agent serves: one at a time.

The first that says `Hello` with its id owns the agent. It is free again when that studio has not been connected for
`RELEASE_S` and left no deployment: a studio may die, and finds what it runs again when it is back.
"""

import time
from typing import Callable, Optional, Set

#: How long a studio that went away without a word, and left nothing, keeps the agent.
RELEASE_S = 30.0


class Visitor:
    """One connection, and the studio that speaks there; without an id until it has said `Hello`."""

    def __init__(self) -> None:
        self.studio = ""
        self.host = ""


class Lease:
    """Who owns the agent. All methods belong to one thread."""

    def __init__(self, has_deployments: Callable[[], bool], clock: Callable[[], float] = time.monotonic) -> None:
        self._has_deployments = has_deployments
        self._clock = clock
        self._owner = ""
        self._host = ""
        #: The owner's connections.
        self._visitors: Set[Visitor] = set()
        self._left_s = 0.0

    def hello(self, visitor: Visitor, studio: str, host: str) -> None:
        """Note who speaks; the first with an id becomes the owner."""
        self.left(visitor)
        visitor.studio, visitor.host = studio, host[:200]
        if studio and (not self._is_owned() or studio == self._owner):
            self._own(visitor)

    def left(self, visitor: Visitor) -> None:
        """Note that a connection has ended."""
        if visitor in self._visitors:
            self._visitors.discard(visitor)
            self._left_s = self._clock()
        visitor.studio = visitor.host = ""

    def held_by(self, visitor: Visitor) -> Optional[str]:
        """Return where another studio runs that owns the agent; None when this one may use it.

        One that asked while another owned the agent owns it from the first time that it finds it free.
        """
        if not self._is_owned():
            if visitor.studio:
                self._own(visitor)
            return None
        if visitor.studio == self._owner:
            self._visitors.add(visitor)
            return None
        return self._host or "another machine"

    def _own(self, visitor: Visitor) -> None:
        self._owner, self._host = visitor.studio, visitor.host
        self._visitors.add(visitor)

    def _is_owned(self) -> bool:
        if not self._owner:
            return False
        gone = not self._visitors and self._clock() - self._left_s > RELEASE_S
        if gone and not self._has_deployments():
            self._owner = self._host = ""
        return bool(self._owner)
