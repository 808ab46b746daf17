"""One thing that is wrong with a plan."""

from dataclasses import dataclass
from typing import Literal

Severity = Literal["error", "warning"]


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing that is wrong (error) or doubtful (warning), with the layer or device at fault."""

    code: str
    severity: Severity
    message: str
    layer: str | None = None
    device: str | None = None
    next_step: str | None = None
