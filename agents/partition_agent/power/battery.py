"""A battery tells what the device takes while it is discharged, and nothing on mains.

The sign of `current_now` differs between drivers: its absolute value counts, together with the status.
"""

from pathlib import Path
from typing import List, NamedTuple, Optional, Sequence

from partition_agent.power.files import NumberFile
from partition_agent.power.reader import Finding, PowerReader, Reading, found
from partition_agent.system import read_text


class _Pack(NamedTuple):
    path: Path
    #: One file in microwatts, or one in microampere and one in microvolt.
    files: Sequence[NumberFile]

    def power_w(self) -> Optional[float]:
        product = 1.0
        for file in self.files:
            value = file.read()
            if value is None:
                return None
            product *= abs(value) / 1e6
        return product


class Battery(PowerReader):
    """What the batteries give, all together. Their gauges move every second at best."""

    source, scope = "battery", "battery"
    interval_s = 1.0
    max_gap_s = 3.0

    def __init__(self, packs: Sequence[_Pack]) -> None:
        self._packs = packs

    def read(self, utilisation: Optional[float]) -> Optional[Reading]:
        """Return the power now, or None on mains."""
        del utilisation
        states = [read_text(pack.path / "status") for pack in self._packs]
        if "Discharging" not in states or "Charging" in states:
            return None
        total_w = 0.0
        for pack, state in zip(self._packs, states):  # noqa: B905 - Python 3.8 knows no `strict`
            power_w = pack.power_w() if state == "Discharging" else 0.0
            if power_w is None:
                return None
            total_w += power_w
        # A device that runs takes something: a gauge that says 0 does not measure.
        return Reading(total_w) if total_w > 0 else None

    def close(self) -> None:
        """Close the files."""
        for pack in self._packs:
            for file in pack.files:
                file.close()


def find(root: Path) -> List[Finding]:
    """Return the device's own batteries, those of a mouse or the like not among them."""
    packs = []
    for path in sorted((root / "sys/class/power_supply").glob("*")):
        if read_text(path / "type") != "Battery" or read_text(path / "scope") == "Device":
            continue
        for names in (("power_now",), ("current_now", "voltage_now")):
            files = [NumberFile(path / name) for name in names]
            if all(file.read() is not None for file in files):
                packs.append(_Pack(path, files))
                break
            for file in files:
                file.close()
    if not packs:
        return []
    reader = Battery(packs)
    now = "discharging now" if reader.read(None) is not None else "on mains now, when it tells nothing"
    return [found(reader, f"{', '.join(pack.path.name for pack in packs)}: {now}")]
