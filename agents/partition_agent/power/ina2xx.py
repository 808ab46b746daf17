"""An INA219, INA226 or relative that somebody wired to the board, through the kernel's driver `ina2xx`.

Nobody but the person knows the resistance of its shunt, by which every figure is scaled: it has to be declared. Power
is voltage times current, for the chips' own power register is poor near zero load.
"""

from pathlib import Path
from typing import List, NamedTuple, Optional, Sequence

from partition_agent.power.files import NumberFile
from partition_agent.power.reader import Finding, PowerReader, Reading, found
from partition_agent.system import read_int, read_text

DRIVERS = ("ina219", "ina220", "ina226", "ina230", "ina231")

#: What the driver takes where nobody told it.
_DRIVER_SHUNT_UOHM = 10_000


class _Chip(NamedTuple):
    name: str
    voltage: NumberFile
    current: NumberFile
    driver_ohm: float


class Ina2xx(PowerReader):
    """Voltage times current of the chips, with the declared shunt in the driver's stead."""

    def __init__(self, chips: Sequence[_Chip], shunt_ohm: float) -> None:
        self.source = chips[0].name
        # One is put where the board's supply comes in; several are on rails.
        self.scope = "board" if len(chips) == 1 else "rails"
        self._chips, self._shunt_ohm = chips, shunt_ohm

    def read(self, utilisation: Optional[float]) -> Optional[Reading]:
        """Return the power now; a current against the wiring's direction counts as what it is."""
        del utilisation
        total_w = 0.0
        for chip in self._chips:
            voltage, current = chip.voltage.read(), chip.current.read()
            if voltage is None or current is None:
                return None
            total_w += abs(voltage / 1e3 * current / 1e3 * chip.driver_ohm / self._shunt_ohm)
        return Reading(total_w)

    def uncertainty(self, power_w: Optional[float]) -> Optional[float]:
        """Return that of a usual shunt and chip together."""
        del power_w
        return 0.02

    def close(self) -> None:
        """Close the files."""
        for chip in self._chips:
            chip.voltage.close()
            chip.current.close()


def find(root: Path, shunt_ohm: Optional[float] = None) -> List[Finding]:
    """Return the chips together; usable with the shunt's value."""
    chips = []
    for folder in sorted((root / "sys/class/hwmon").glob("hwmon*")):
        name = read_text(folder / "name") or ""
        if name in DRIVERS:
            driver_ohm = (read_int(folder / "shunt_resistor") or _DRIVER_SHUNT_UOHM) / 1e6
            chips.append(_Chip(name, NumberFile(folder / "in1_input"), NumberFile(folder / "curr1_input"), driver_ohm))
    if not chips:
        return []
    if shunt_ohm is None or not 0 < shunt_ohm < float("inf"):
        scope = "board" if len(chips) == 1 else "rails"
        return [Finding(chips[0].name, scope, "sampled", "needs the value of its shunt: declare it for the device")]
    reader = Ina2xx(chips, shunt_ohm)
    if reader.read(None) is None:
        reader.close()
        return [Finding(reader.source, reader.scope, reader.method, f"the {chips[0].name} cannot be read")]
    return [found(reader, f"voltage times current with the declared shunt of {shunt_ohm:g} ohm")]
