"""The INA3221 monitors of NVIDIA Jetson modules. They cover the module, not the carrier board.

JetPack 4 has the driver `ina3221x` (IIO: `in_power` in mW), later ones `ina3221` (hwmon: mV and mA). Numbers move
between boots: rails are found by label. Where one rail feeds the whole module it is the total, and nothing may be added
to it.
"""

from pathlib import Path
from typing import Dict, List, NamedTuple, Optional, Tuple

from partition_agent.power.reader import PowerReader, Reading
from partition_agent.system import read_int, read_text

_TOTAL = ("VDD_IN", "POM_5V_IN")
_NEVER = ("NC", "sum of shunt voltages")


class _Rail(NamedTuple):
    """Files of one rail: one in mW, or one in mV and one in mA."""

    files: Tuple[Path, ...]

    def power_w(self) -> Optional[float]:
        values = [read_int(path) for path in self.files]
        if any(value is None for value in values):
            return None
        product = 1.0
        for value in values:
            product *= (value or 0) / 1e3
        return product


class _Jetson:
    method = "sampled"

    def __init__(self, rails: List[_Rail], scope: str) -> None:
        self.source, self.scope, self._rails = "ina3221", scope, rails

    def read(self, utilisation: Optional[float]) -> Optional[Reading]:
        """Return the sum of the rails now."""
        del utilisation
        powers = [rail.power_w() for rail in self._rails]
        known = [power for power in powers if power is not None]
        return Reading(sum(known), None) if len(known) == len(powers) else None


def _rails(root: Path) -> Dict[str, _Rail]:
    rails: Dict[str, _Rail] = {}
    for device in sorted((root / "sys/bus/i2c/devices").glob("*")):
        if not (read_text(device / "name") or "").startswith("ina3221"):
            continue
        for label in sorted(device.glob("iio:device*/rail_name_*")):
            number = label.name.rpartition("_")[2]
            rails[read_text(label) or label.name] = _Rail((label.with_name(f"in_power{number}_input"),))
        for label in sorted(device.glob("hwmon/hwmon*/in*_label")):
            number = label.name[2:].partition("_")[0]
            files = (label.with_name(f"in{number}_input"), label.with_name(f"curr{number}_input"))
            if number.isdigit() and all(path.exists() for path in files):
                rails[read_text(label) or label.name] = _Rail(files)
    return {name: rail for name, rail in rails.items() if name not in _NEVER}


def probe(root: Path) -> Optional[PowerReader]:
    """Return a reader of the module's power, or None."""
    rails = _rails(root)
    total = [rails[name] for name in _TOTAL if name in rails]
    reader = _Jetson(total[:1], "module") if total else _Jetson(list(rails.values()), "rails")
    return reader if rails and reader.read(None) is not None else None
