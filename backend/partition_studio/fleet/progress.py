"""How long work on a device tells what it is doing."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from partition_studio.fleet.errors import OperationCancelledError

Step = Literal["wheels", "upload", "unpack", "start"]


@dataclass(frozen=True, slots=True)
class Progress:
    """One report: `done_bytes` of `total_bytes`; `total_bytes` is None where the end is not known."""

    step: Step
    text: str
    done_bytes: int = 0
    total_bytes: int | None = None


ProgressCallback = Callable[[Progress], None]
CancelCheck = Callable[[], bool]


def ignore_progress(_progress: Progress) -> None:
    """Take a report and do nothing."""


def never_cancelled() -> bool:
    """Say that nobody cancelled."""
    return False


def stop_if_cancelled(cancelled: CancelCheck, what: str) -> None:
    """Raise OperationCancelledError when the person cancelled `what`."""
    if cancelled():
        raise OperationCancelledError(f"{what} was cancelled")
