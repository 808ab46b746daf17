"""Ctrl+C calls off what the studio was asked to begin, even while it is being asked."""

import signal
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")


def follow_begun(begin: Callable[[], T], follow: Callable[[T], T], call_off: Callable[[T], T]) -> T:
    """Begin something in the studio and follow it to its end; on Ctrl+C call it off, and return what `call_off` does.

    The studio may have begun before its answer is here: until then Ctrl+C waits, as nobody would know what to call off.
    """
    pressed: list[int] = []
    before = signal.signal(signal.SIGINT, lambda number, _frame: pressed.append(number))
    begun: T | None = None
    try:
        begun = begin()
        signal.signal(signal.SIGINT, before)
        if pressed:
            raise KeyboardInterrupt
        return follow(begun)
    except KeyboardInterrupt:
        if begun is None:
            raise
        return call_off(begun)
    finally:
        signal.signal(signal.SIGINT, before)
