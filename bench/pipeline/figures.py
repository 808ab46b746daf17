"""What a case tells: bars with the figures of every round. Pure."""

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

Direction = Literal["at least", "at most"]


@dataclass(frozen=True, slots=True)
class Bar:
    """One requirement and what was measured of it.

    `values` are those of the rounds that are compared with `limit`; `unit` says what they are. `facts` has figures of
    every round beside them, the bound among them; `costs` milliseconds or counts per frame, medians over the rounds;
    `notes` what a reader must know.
    """

    case: str
    name: str
    unit: str
    values: tuple[float, ...]
    limit: float
    direction: Direction = "at least"
    facts: Mapping[str, tuple[float, ...]] = field(default_factory=dict)
    costs: Mapping[str, float] = field(default_factory=dict)
    notes: tuple[str, ...] = ()

    @property
    def median(self) -> float:
        """Median of the rounds."""
        return statistics.median(self.values)

    @property
    def met(self) -> bool:
        """Whether the median keeps to the limit."""
        return self.median >= self.limit if self.direction == "at least" else self.median <= self.limit


@dataclass(frozen=True, slots=True)
class Skipped:
    """A case, or one bar of it, that cannot be measured here, and why."""

    case: str
    name: str
    reason: str


Outcome = Bar | Skipped


def spread(values: Sequence[float]) -> tuple[float, float]:
    """Return the quartiles, or the extremes of fewer than four values."""
    if len(values) < 4:
        return min(values), max(values)
    low, _, high = statistics.quantiles(values, n=4, method="inclusive")
    return low, high


def slope(seconds: Sequence[float], values: Sequence[float]) -> float:
    """Return by how much values grow in a second, by least squares; 0 of fewer than two."""
    if len(values) < 2:
        return 0.0
    return statistics.linear_regression(seconds, values).slope
