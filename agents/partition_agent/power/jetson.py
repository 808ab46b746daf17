"""The INA3221 monitors of NVIDIA Jetson modules. They cover the module, not the carrier board.

JetPack 4 has the driver `ina3221x` (IIO: `in_power` in mW), later ones `ina3221` (hwmon: mV and mA). Numbers move
between boots: rails are found by label. Where one rail feeds the whole module it is the total, and nothing may be added
to it; AGX boards have none, and there the sum of the rails is what is known (`VIN_SYS_5V0` is one of them, not all).
"""

from pathlib import Path
from typing import List, NamedTuple, Optional, Sequence, Tuple

from partition_agent.power.files import NumberFile
from partition_agent.power.reader import Finding, PowerReader, Reading, found
from partition_agent.system import read_text

_TOTAL = ("VDD_IN", "POM_5V_IN")
_NEVER = ("", "NC", "sum of shunt voltages")


class _Rail(NamedTuple):
    """One rail: a file in mW, or one in mV and one in mA."""

    label: str
    files: Tuple[NumberFile, ...]

    def power_w(self) -> Optional[float]:
        product = 1.0
        for file in self.files:
            value = file.read()
            if value is None:
                return None
            product *= value / 1e3
        return product


class Jetson(PowerReader):
    """The total rail, or the sum of all."""

    source = "ina3221"

    def __init__(self, rails: Sequence[_Rail], scope: str) -> None:
        self.scope, self._rails = scope, rails

    def read(self, utilisation: Optional[float]) -> Optional[Reading]:
        """Return the power now; None when a rail does not tell, for a sum without it would be too low."""
        del utilisation
        total_w = 0.0
        for rail in self._rails:
            power_w = rail.power_w()
            if power_w is None:
                return None
            total_w += power_w
        return Reading(total_w)

    def close(self) -> None:
        """Close the files."""
        for rail in self._rails:
            for file in rail.files:
                file.close()


def _rails_of(chip: Path) -> List[_Rail]:
    rails = []
    for label in sorted(chip.glob("iio:device*/rail_name_*")):
        number = label.name.rpartition("_")[2]
        power, product = f"in_power{number}_input", (f"in_voltage{number}_input", f"in_current{number}_input")
        names = (power,) if label.with_name(power).exists() else product
        rails.append(_Rail(read_text(label) or "", tuple(NumberFile(label.with_name(name)) for name in names)))
    # The driver's folder lies one level deeper on later kernels.
    for label in sorted([*chip.glob("hwmon/hwmon*/in*_label"), *chip.glob("hwmon*/in*_label")]):
        number = label.name[2:].partition("_")[0]
        paths = (label.with_name(f"in{number}_input"), label.with_name(f"curr{number}_input"))
        if number.isdigit() and all(path.exists() for path in paths):
            rails.append(_Rail(read_text(label) or "", tuple(NumberFile(path) for path in paths)))
    return [rail for rail in rails if rail.label not in _NEVER]


def find(root: Path) -> List[Finding]:
    """Return the module's power, or nothing where there is no such monitor."""
    chips = [
        device
        for device in sorted((root / "sys/bus/i2c/devices").glob("*"))
        if (read_text(device / "name") or "").startswith("ina3221")
    ]
    rails = [rail for chip in chips for rail in _rails_of(chip)]
    if not rails:
        return []
    total = [rail for name in _TOTAL for rail in rails if rail.label == name]
    reader = Jetson(total[:1], "module") if total else Jetson(rails, "rails")
    if reader.read(None) is None:
        return [Finding(reader.source, reader.scope, reader.method, "the rails of the INA3221 cannot be read")]
    if total:
        return [found(reader, f"the rail {total[0].label}, which feeds the module; the carrier board is not in it")]
    return [found(reader, f"the sum of the rails {', '.join(rail.label for rail in rails)}")]
