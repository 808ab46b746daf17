"""What is done with a device's agent one at a time: bring it up, take hold of it, look for it, end it.

Whoever wants the same meanwhile joins: he sees the progress, may give up waiting, and shares the outcome.
"""

import threading
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Literal

from partition_studio.errors import StudioError
from partition_studio.fleet.errors import OperationCancelledError
from partition_studio.fleet.progress import CancelCheck, Progress, ProgressCallback, stop_if_cancelled
from partition_studio.fleet.session.device_spec import SessionStep, StepCallback

Kind = Literal["start", "attach", "look", "end"]

#: How often a waiting one looks whether he was cancelled.
_LOOK_S = 0.1


class Transition:
    """One of them, under way."""

    def __init__(self, kind: Kind) -> None:
        self.kind = kind
        self._done = threading.Event()
        self._error: StudioError | None = None
        self._lock = threading.Lock()
        self._watchers: list[tuple[StepCallback, ProgressCallback]] = []
        self._last: tuple[SessionStep, str] | None = None

    def on_step(self, step: SessionStep, text: str) -> None:
        """Tell everybody who waits that a step has begun."""
        with self._lock:
            self._last = (step, text)
            watchers = list(self._watchers)
        for watcher, _ in watchers:
            watcher(step, text)

    def progress(self, report: Progress) -> None:
        """Tell everybody who waits how far it is."""
        with self._lock:
            watchers = list(self._watchers)
        for _, watcher in watchers:
            watcher(report)

    @contextmanager
    def watched(self, on_step: StepCallback, progress: ProgressCallback) -> Iterator[None]:
        """Tell these, too, meanwhile; first what is being done now."""
        watcher = (on_step, progress)
        with self._lock:
            self._watchers.append(watcher)
            last = self._last
        if last is not None:
            on_step(*last)
        try:
            yield
        finally:
            with self._lock:
                self._watchers.remove(watcher)

    def finish(self, error: StudioError | None) -> None:
        """End it, with what went wrong."""
        self._error = error
        self._done.set()

    def join(self, cancelled: CancelCheck, what: str) -> None:
        """Wait until it has ended.

        Raises OperationCancelledError when the one who waits gives up; where a start failed, what it failed with.
        That the one who began it gave up is no failure: whoever still wants it begins it again.
        """
        while not self._done.wait(_LOOK_S):
            stop_if_cancelled(cancelled, what)
        if self.kind == "start" and self._error is not None and not isinstance(self._error, OperationCancelledError):
            raise self._error


class Transitions:
    """The place for one transition; the owner's lock guards it."""

    def __init__(self, lock: AbstractContextManager[bool]) -> None:
        self._lock = lock
        self._current: Transition | None = None

    @property
    def current(self) -> Transition | None:
        """What is under way."""
        return self._current

    def begin(self, kind: Kind) -> Transition:
        """Take the place, which must be free, under the lock."""
        if self._current is not None:
            raise AssertionError(f"{self._current.kind} is under way")
        self._current = Transition(kind)
        return self._current

    @contextmanager
    def carried_out(self, transition: Transition) -> Iterator[None]:
        """Leave the place when the block ends, and tell who waits how."""
        error: StudioError | None = None
        try:
            yield
        except StudioError as failure:
            error = failure
            raise
        finally:
            self.leave(transition)
            transition.finish(error)

    def leave(self, transition: Transition) -> None:
        """Free the place, where what came of the transition is put down under the same lock."""
        with self._lock:
            if self._current is transition:
                self._current = None
