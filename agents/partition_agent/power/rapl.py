"""Energy counters of Intel and AMD processor packages (powercap). They cover the package, not the board.

Since Linux 5.10 only root may read them, unless the administrator allowed it; then there is nothing here.
"""

import time
from pathlib import Path
from typing import Dict, List, NamedTuple, Optional

from partition_agent.power.reader import PowerReader, Reading
from partition_agent.system import read_int, read_text

#: How long a counter is watched before it is believed not to move. It moves every millisecond where it works.
_PROBE_S = 0.2


class _Zone(NamedTuple):
    path: Path
    range_uj: int


class _Rapl:
    source, scope, method = "rapl", "package", "counter"

    def __init__(self, zones: List[_Zone]) -> None:
        self._zones = zones
        self._last: Dict[Path, int] = {}
        self._total_uj = 0

    def read(self, utilisation: Optional[float]) -> Optional[Reading]:
        """Return the energy since the first reading; each counter starts again at its range."""
        del utilisation
        for zone in self._zones:
            value = read_int(zone.path / "energy_uj")
            if value is None:
                return None
            step = value - self._last.get(zone.path, value)
            self._total_uj += step if step >= 0 else step + zone.range_uj
            self._last[zone.path] = value
        return Reading(None, self._total_uj / 1e6)


def probe(root: Path, probe_s: float = _PROBE_S) -> Optional[PowerReader]:
    """Return a reader of the package counters, or None: no such counter, not readable, or one that never moves."""
    zones = []
    for path in sorted((root / "sys/class/powercap").glob("intel-rapl:*")):
        is_package = path.name.count(":") == 1 and (read_text(path / "name") or "").startswith("package")
        range_uj = read_int(path / "max_energy_range_uj")
        if is_package and range_uj and read_int(path / "energy_uj") is not None:
            zones.append(_Zone(path, range_uj))
    before = {zone.path: read_int(zone.path / "energy_uj") for zone in zones}
    deadline_s = time.monotonic() + probe_s
    moved: List[_Zone] = []
    while zones and len(moved) < len(zones) and time.monotonic() < deadline_s:
        time.sleep(probe_s / 20)
        moved = [zone for zone in zones if read_int(zone.path / "energy_uj") != before[zone.path]]
    return _Rapl(moved) if moved else None
