"""How a search is stopped: it asks often, and what cannot ask while it computes is interrupted from outside."""

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from typing import Protocol, runtime_checkable

Stop = Callable[[], bool]


@runtime_checkable
class Interrupting(Protocol):
    """A question whether to stop that also says so by itself to whom it cannot reach by being asked."""

    def __call__(self) -> bool:
        """Return whether to stop."""
        ...

    def interrupts(self, act: Callable[[], None]) -> AbstractContextManager[None]:
        """Have `act` called from another thread when it is time to stop within the block; at once when it is already.

        It may be called again and again until the block is left: what begins meanwhile is not missed.
        """
        ...


class Either:
    """Stops where something of one's own says so, or somebody else's `stop` does."""

    def __init__(self, own: Stop, stop: Stop) -> None:
        self._own, self._stop = own, stop

    def __call__(self) -> bool:
        """Return whether to stop."""
        return self._own() or self._stop()

    def interrupts(self, act: Callable[[], None]) -> AbstractContextManager[None]:
        """Have `act` called as the other one does."""
        return interrupting(self._stop, act)


def interrupting(stop: Stop, act: Callable[[], None]) -> AbstractContextManager[None]:
    """Within the block, have `act` called when it is time to stop, if `stop` can tell: plain questions cannot."""
    return stop.interrupts(act) if isinstance(stop, Interrupting) else nullcontext()
