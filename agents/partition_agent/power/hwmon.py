"""Generic hardware monitors: an energy counter before an averaged power before one of the moment."""

from pathlib import Path
from typing import List, Optional

from partition_agent.power.reader import PowerReader, Reading
from partition_agent.system import read_int, read_text

#: Drivers whose readings are of something else than this device's consumption: a battery, a supply's negotiation, the
#: rails that `jetson` knows how to add.
_NOT_THESE = frozenset({"ina3221", "BAT0", "BAT1", "ucsi_source_psy_USBC000:001", "nvme"})


class _HwmonEnergy:
    method = "counter"

    def __init__(self, path: Path, source: str, scope: str) -> None:
        self._path, self.source, self.scope = path, source, scope

    def read(self, utilisation: Optional[float]) -> Optional[Reading]:
        """Return the counter."""
        del utilisation
        value = read_int(self._path)
        return None if value is None else Reading(None, value / 1e6)


class _HwmonPower:
    method = "sampled"

    def __init__(self, path: Path, source: str, scope: str) -> None:
        self._path, self.source, self.scope = path, source, scope

    def read(self, utilisation: Optional[float]) -> Optional[Reading]:
        """Return the power now."""
        del utilisation
        value = read_int(self._path)
        return None if value is None else Reading(value / 1e6, None)


def _readable(root: Path, pattern: str) -> List[Path]:
    folders = [path for path in sorted((root / "sys/class/hwmon").glob("hwmon*")) if _driver(path) not in _NOT_THESE]
    return [path for folder in folders for path in sorted(folder.glob(pattern)) if (read_int(path) or 0) > 0]


def _driver(folder: Path) -> str:
    return read_text(folder / "name") or folder.name


def probe(root: Path) -> Optional[PowerReader]:
    """Return a reader of the best monitor that shows anything, or None. What it covers only its label can tell."""
    for pattern, kind in (("energy*_input", "energy"), ("power*_average", "power"), ("power*_input", "power")):
        for path in _readable(root, pattern):
            label = read_text(path.with_name(path.name.rpartition("_")[0] + "_label")) or _driver(path.parent)
            source = f"hwmon:{_driver(path.parent)}"
            return _HwmonEnergy(path, source, label) if kind == "energy" else _HwmonPower(path, source, label)
    return None
