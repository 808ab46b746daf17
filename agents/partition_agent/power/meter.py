"""Read every source that a device has, each as often as it is worth, and keep its account."""

import threading
from pathlib import Path
from typing import Callable, Dict, List, NamedTuple, Optional, Tuple

from partition_agent.power import ina2xx
from partition_agent.power.account import Account
from partition_agent.power.describe import find_all
from partition_agent.power.model import ModelSpec, make
from partition_agent.power.nvml import Library, gpu_library
from partition_agent.power.plug import PlugReader, PlugSpec
from partition_agent.power.reader import Finding, PowerReader
from partition_agent.system import ROOT

#: The widest first: what the plug sees contains all the rest. An estimate is the last resort.
_ORDER = ("wall", "board", "module", "rails", "package", "gpu", "battery", "model")


class PowerFigure(NamedTuple):
    """One source's figures, in the order of the protocol's `PowerSample`."""

    power_w: Optional[float]
    energy_j: Optional[float]
    source: str
    scope: str
    method: str
    uncertainty: Optional[float]
    coverage: float
    covered_s: Optional[float] = None
    told_s: Optional[float] = None


class _Entry:
    """A source that is read, and when next."""

    def __init__(self, reader: PowerReader, account: Account) -> None:
        self.reader, self.account = reader, account
        self.next_s = 0.0


class PowerMeter:
    """All the sources of one device. Thread-safe. Sources of different scope are never added."""

    def __init__(
        self, started_s: float, root: Path = ROOT, find: Callable[[Path, Optional[float]], List[Finding]] = find_all
    ) -> None:
        self._started_s, self._root, self._find = started_s, root, find
        self._lock = threading.Lock()
        self._opened = False
        #: Whether `open` is worth calling: a source may have been opened by an administrator meanwhile.
        self.wants_open = True
        self._own: List[_Entry] = []
        self._shunted: List[_Entry] = []
        self._model: Optional[_Entry] = None
        self._plug: Optional[_Entry] = None
        self._shunt_ohm: Optional[float] = None
        #: Kept when a source is configured anew, so that its energy never goes back.
        self._accounts: Dict[Tuple[str, str], Account] = {}
        self._gpu: Optional[Library] = None

    def open(self) -> None:
        """Find the sources that are not read yet; it takes a moment, for counters are watched whether they move."""
        self.wants_open = False
        findings = self._find(self._root, None)
        with self._lock:
            known = {(entry.reader.source, entry.reader.scope) for entry in self._own}
            new = [finding for finding in findings if (finding.source, finding.scope) not in known]
            for finding in findings:
                if finding.reader is not None and finding not in new:
                    finding.reader.close()
            self._gpu = self._gpu or gpu_library(new)
            self._own += [self._entry(finding.reader) for finding in new if finding.reader is not None]
            if not self._opened:
                self._opened = True
                self._apply_shunt()

    def configure(self, model: Optional[ModelSpec], plug: Optional[PlugSpec], shunt_ohm: Optional[float]) -> None:
        """Take what the person declared; it replaces what was declared before, and leaves alone what is the same."""
        with self._lock:
            self.wants_open = True
            made = make(model)
            self._model = None if made is None else self._entry(made)
            old = self._plug.reader if self._plug is not None else None
            if not (isinstance(old, PlugReader) and old.spec == plug):
                if old is not None:
                    old.close()
                self._plug = None if plug is None else self._entry(PlugReader(plug))
            if shunt_ohm != self._shunt_ohm:
                self._shunt_ohm = shunt_ohm
                self._apply_shunt()

    def update(self, now_s: float, utilisation: Optional[float] = None) -> None:
        """Read what is due. `utilisation`, of the time since it was given last, is for the model."""
        with self._lock:
            for entry in self._entries():
                if entry.reader.method == "estimated":
                    if utilisation is not None:
                        entry.account.take(entry.reader, entry.reader.read(utilisation), now_s)
                elif now_s >= entry.next_s:
                    # A little early is better than a whole round late.
                    entry.next_s = now_s + entry.reader.interval_s * 0.95
                    entry.account.take(entry.reader, entry.reader.read(None), now_s)

    def figures(self, now_s: float) -> List[PowerFigure]:
        """Return the figures of every source that ever told something: those that do now first, the widest first."""
        with self._lock:
            figures = [self._figure(entry, now_s) for entry in self._entries()]
        told = [figure for figure in figures if figure.energy_j is not None or figure.scope == "wall"]
        return sorted(told, key=lambda figure: (figure.power_w is None, _ORDER.index(figure.scope)))

    @property
    def interval_s(self) -> float:
        """How often `update` is worth calling."""
        with self._lock:
            return min((e.reader.interval_s for e in self._entries() if e.reader.method == "sampled"), default=1.0)

    def gpu_process_bytes(self) -> Optional[int]:
        """Return the GPU memory that this process holds; None where nobody tells."""
        with self._lock:
            return None if self._gpu is None else self._gpu.process_bytes()

    def close(self) -> None:
        """Let go of every source."""
        with self._lock:
            for entry in self._entries():
                entry.reader.close()
            self._own, self._shunted, self._model, self._plug, self._gpu = [], [], None, None, None

    # --- with the lock -----------------------------------------------------------------------------------------------

    def _entries(self) -> List[_Entry]:
        single = [entry for entry in (self._plug, self._model) if entry is not None]
        return [*self._own, *self._shunted, *single]

    def _entry(self, reader: PowerReader) -> _Entry:
        key = (reader.source, reader.scope)
        if key not in self._accounts:
            self._accounts[key] = Account(self._started_s)
        return _Entry(reader, self._accounts[key])

    def _apply_shunt(self) -> None:
        if self._opened:
            for entry in self._shunted:
                entry.reader.close()
            findings = ina2xx.find(self._root, self._shunt_ohm)
            self._shunted = [self._entry(finding.reader) for finding in findings if finding.reader is not None]

    @staticmethod
    def _figure(entry: _Entry, now_s: float) -> PowerFigure:
        reader, account = entry.reader, entry.account
        power_w, energy_j, coverage = account.figure(reader, now_s)
        return PowerFigure(
            power_w,
            energy_j,
            reader.source,
            reader.scope,
            reader.method,
            reader.uncertainty(power_w),
            coverage,
            account.covered_s,
            account.told_s,
        )
