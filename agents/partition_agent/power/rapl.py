"""Energy counters of Intel and AMD processors (powercap). A package is not the board; `psys` is, where it exists.

Subzones are no addition: `core` is a part of its package. Since Linux 5.10 only root may read the counters, unless the
administrator allowed it (CVE-2020-8694).
"""

import time
from pathlib import Path
from typing import List, NamedTuple, Optional, Sequence

from partition_agent.power.admin import open_rapl
from partition_agent.power.files import PROBE_S, NumberFile, may_not_read, moving
from partition_agent.power.reader import Finding, PowerReader, Reading, found
from partition_agent.system import read_int, read_text

#: No package draws more: so long can two wraps not pass unseen.
_MOST_W = 1000.0

#: Readings lie so far apart, or farther.
_LEAST_SPAN_S = 2.0


class _Zone(NamedTuple):
    name: str
    counter: NumberFile
    range_uj: int


class Rapl(PowerReader):
    """The sum of some zones' counters; each starts again at its range.

    A counter also begins at 0 when the machine was suspended. That is told from a wrap by what it would mean in watts.
    """

    method = "counter"
    interval_s = 1.0

    def __init__(self, zones: Sequence[_Zone], source: str, scope: str) -> None:
        self.source, self.scope = source, scope
        self.max_gap_s = max(10.0, min(zone.range_uj for zone in zones) / 1e6 / _MOST_W)
        self._zones = zones
        self._last_uj: List[Optional[int]] = [None] * len(zones)
        self._last_s = 0.0
        self._total_uj = 0

    def read(self, utilisation: Optional[float]) -> Optional[Reading]:
        """Return the energy since the first reading."""
        del utilisation
        values = [zone.counter.read() for zone in self._zones]
        if any(value is None for value in values):
            return None
        now_s = time.monotonic()
        most_uj = max(now_s - self._last_s, _LEAST_SPAN_S) * _MOST_W * 1e6
        sum_uj, was_reset = 0, False
        for index, value in enumerate(values):
            last = self._last_uj[index]
            step_uj = 0 if last is None or value is None else value - last
            if step_uj < 0:
                step_uj += self._zones[index].range_uj
                was_reset = was_reset or not 0 <= step_uj <= most_uj
            sum_uj += step_uj
        self._last_uj, self._last_s = values, now_s
        # What a counter that goes back passed over is a gap to who adds it up.
        self._total_uj = min(self._total_uj, 0) - 1 if was_reset else self._total_uj + sum_uj
        return Reading(None, self._total_uj / 1e6)

    def close(self) -> None:
        """Close the counters."""
        for zone in self._zones:
            zone.counter.close()


def find(root: Path, probe_s: float = PROBE_S) -> List[Finding]:
    """Return the processor packages together, and the whole platform where the processor counts it."""
    packages: List[Path] = []
    platforms: List[Path] = []
    for path in sorted((root / "sys/class/powercap").glob("intel-rapl:*")):
        name = read_text(path / "name") or ""
        if path.name.count(":") == 1 and name.startswith("package"):
            packages.append(path)
        elif path.name.count(":") == 1 and name == "psys":
            platforms.append(path)
    findings = []
    if platforms:
        findings.append(_finding(root, platforms[:1], "rapl-psys", "board", probe_s))
    if packages:
        findings.append(_finding(root, packages, "rapl", "package", probe_s))
    return findings


def _finding(root: Path, paths: Sequence[Path], source: str, scope: str, probe_s: float) -> Finding:
    def unusable(detail: str) -> Finding:
        return Finding(source, scope, "counter", detail)

    if any(may_not_read(path / name) for path in paths for name in ("energy_uj", "max_energy_range_uj")):
        command, exposes = open_rapl(root)
        closed = unusable("the energy counters may be read by the administrator only (kernel 5.10 and later)")
        return closed._replace(admin_command=command, admin_exposes=exposes)
    zones = []
    for path in paths:
        range_uj = read_int(path / "max_energy_range_uj")
        counter = NumberFile(path / "energy_uj")
        if not range_uj or range_uj < 0 or counter.read() is None:
            return unusable(f"the counter in {path.name} cannot be read")
        zones.append(_Zone(read_text(path / "name") or path.name, counter, range_uj))
    moved = moving([zone.counter for zone in zones], probe_s)
    if len(moved) < len(zones):
        for zone in zones:
            zone.counter.close()
        still = ", ".join(zone.name for zone in zones if zone.counter not in moved)
        return unusable(f"the counter never moves ({still}): usual in a virtual machine")
    return found(Rapl(zones, source, scope), f"energy counters of {', '.join(zone.name for zone in zones)}")
