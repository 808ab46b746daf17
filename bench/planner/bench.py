"""What every case is given: a folder for networks, how long a search may take, whether it is only a try."""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from bench.planner.worlds import network_of
from partition_studio.graph.network import Network

#: What a cell of a table may be; None where there is nothing to say.
Cell = str | float | int | bool | None


@dataclass(frozen=True)
class Table:
    """What a case found: one row for each thing compared, and notes below it."""

    case: str
    title: str
    rows: Sequence[Mapping[str, Cell]]
    notes: Sequence[str] = ()


@dataclass
class Bench:
    """The settings of one run."""

    folder: Path
    quick: bool
    seconds: float
    networks: Sequence[str]
    devices: Sequence[int]
    boards: Path | None = None
    plans: int = 12
    _loaded: dict[str, Network] = field(default_factory=dict)

    def network(self, name: str) -> Network:
        """Return a network, loaded once."""
        if name not in self._loaded:
            self._loaded[name] = network_of(name, self.folder)
        return self._loaded[name]


def within(seconds: float) -> Callable[[], bool]:
    """Return what says that so much time has passed since now."""
    end_s = time.monotonic() + seconds
    return lambda: time.monotonic() >= end_s
