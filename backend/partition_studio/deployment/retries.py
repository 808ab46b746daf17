"""Devices that failed while a deployment comes up, and wait for a person to have them tried again."""

import threading
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import TypeVar

from partition_studio.deployment.board import Board
from partition_studio.deployment.manifest import DeviceShare
from partition_studio.errors import DeviceError
from partition_studio.fleet.errors import OperationCancelledError
from partition_studio.schemas import ProblemOut

T = TypeVar("T")

#: For so long the other devices are kept as they are.
PATIENCE_S = 600.0

#: Each that waits keeps a worker: where more fail, it is not one device's fault.
MOST_WAITING = 8


class Retries:
    """Who waits for another try. Thread-safe."""

    def __init__(self, on_change: Callable[[], None], patience_s: float = PATIENCE_S) -> None:
        """Begin with nobody waiting; `on_change` is called when somebody does or does no more."""
        self._on_change = on_change
        self._patience_s = patience_s
        self._condition = threading.Condition()
        self._until: dict[str, datetime] = {}
        self._asked: set[str] = set()
        self._is_halted = False

    @property
    def until(self) -> datetime | None:
        """When the first of those that wait is given up; None when nobody waits."""
        with self._condition:
            return min(self._until.values(), default=None)

    def wait(self, device: str) -> bool:
        """Wait until `device` is to be tried again; False when it is given up."""
        with self._condition:
            if self._is_halted or len(self._until) >= MOST_WAITING:
                return False
            self._asked.discard(device)
            self._until[device] = datetime.now(UTC) + timedelta(seconds=self._patience_s)
        self._on_change()
        with self._condition:
            self._condition.wait_for(lambda: self._is_halted or device in self._asked, self._patience_s)
            del self._until[device]
            is_asked = device in self._asked and not self._is_halted
            self._asked.discard(device)
        self._on_change()
        return is_asked

    def ask(self, device: str | None) -> bool:
        """Have a device, or all that wait, tried again; return whether any does wait."""
        with self._condition:
            meant = {name for name in self._until if device in (None, name)}
            self._asked |= meant
            self._condition.notify_all()
        return bool(meant)

    def halt(self) -> None:
        """Give up on everybody."""
        with self._condition:
            self._is_halted = True
            self._condition.notify_all()


def patiently(
    work: Callable[[DeviceShare], T], retries: Retries, board: Board, check_halted: Callable[[], None]
) -> Callable[[DeviceShare], T]:
    """Return work that, where the device fails at it, waits for a person to have it tried again.

    `check_halted` raises OperationCancelledError once nothing more is to be begun.
    """

    def again_and_again(share: DeviceShare) -> T:
        while True:
            try:
                return work(share)
            except OperationCancelledError:
                raise
            except DeviceError as error:
                # What was made to give up is not at fault.
                check_halted()
                board.fail(share.device, ProblemOut.of(error))
                if not retries.wait(share.device):
                    check_halted()
                    raise
                board.again(share.device)

    return again_and_again
