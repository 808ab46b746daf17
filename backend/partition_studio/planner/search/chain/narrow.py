"""The best chain between what none costs less than and what the best so far costs, by asking what is possible within.

Each question (`Trial`) is answered by a relaxation: that no chain is within a figure is a proof; that there may be one
is where to look. Figures between are asked for until what is proved and what was found meet, or nothing more is found.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

#: Until a bound is this near to what is possible, or a plan to what is left open, figures between are asked for.
_NEAR = 1.001

#: No more questions are asked.
_TRIALS = 60


class Trial(Protocol):
    """Looks for chains that cost less than so much."""

    def is_excluded(self, most: float) -> bool:
        """Return whether no chain costs less. Raises StoppedError."""

    def look(self, most: float, *, is_last: bool) -> bool:
        """Offer chains that cost less, as far as they are found, and return whether surely no better one is left.

        `is_last`: nothing is asked after this, so more effort is worth while. Raises StoppedError.
        """


@dataclass
class Gap:
    """`bound`: no chain costs less; `best()`: what a chain must cost less than to be better than the best one."""

    bound: float
    best: Callable[[], float]

    def close(self, most: float) -> None:
        """Take that no chain costs less than so much, or than the best."""
        self.bound = max(self.bound, min(most, self.best()))


def narrow(trial: Trial, gap: Gap) -> bool:
    """Raise the bound and find better chains until neither goes on; return whether nothing is left between.

    Raises StoppedError.
    """
    if gap.best() == math.inf:
        if trial.is_excluded(math.inf) or trial.look(math.inf, is_last=True):
            gap.close(math.inf)
        if gap.best() == math.inf:
            return gap.bound == math.inf
    opened = _what_is_possible(trial, gap)
    for _ in range(_TRIALS):
        best = gap.best()
        if gap.bound >= best:
            return True
        is_last = best <= max(opened, gap.bound) * _NEAR
        most = best if is_last else _between(max(opened, gap.bound), best)
        if trial.is_excluded(most) or trial.look(most, is_last=is_last):
            gap.close(most)
        elif gap.best() >= most:
            if is_last:
                return False
            opened = most
    return False


def _what_is_possible(trial: Trial, gap: Gap) -> float:
    """Raise the bound until it is near to what the relaxation cannot exclude; return that, if below the best."""
    opened = math.inf
    for _ in range(_TRIALS):
        high = min(opened, gap.best())
        if gap.bound * _NEAR >= high:
            break
        most = _between(gap.bound, high)
        if trial.is_excluded(most) or trial.look(most, is_last=False):
            gap.close(most)
        elif gap.best() >= most:
            opened = most
    return opened if opened < gap.best() else 0.0


def _between(low: float, high: float) -> float:
    return math.sqrt(low * high) if low > 0 else high / 2
