"""Generic hardware monitors: an energy counter before an averaged power before one of the moment.

What a monitor covers only its driver can tell: a processor's package, a GPU, the whole machine; where that is not known
it is one of the board's rails, and no more is claimed.
"""

from pathlib import Path
from typing import Iterable, List, NamedTuple, Optional

from partition_agent.power import ina2xx
from partition_agent.power.admin import open_file
from partition_agent.power.files import PROBE_S, NumberFile, may_not_read, moving
from partition_agent.power.reader import Finding, PowerReader, Reading, found
from partition_agent.system import board_model, read_text

_SCOPES = {
    "fam15h_power": "package",
    "k10temp": "package",
    "zenpower": "package",
    "amd_energy": "package",
    "amdgpu": "gpu",
    "radeon": "gpu",
    "nouveau": "gpu",
    "i915": "gpu",
    "xe": "gpu",
    # ACPI's meter of the whole machine calls itself so.
    "power_meter": "board",
}

#: What is read by others, or is no consumption of this device: a negotiated supply, a drive.
_NOT_THESE = ("ina3221", "BAT", "ucsi", "nvme")

_KINDS = (("energy", "energy*_input"), ("power", "power*_average"), ("power", "power*_input"))

#: No board has more that would be worth a line each.
_MOST = 8


class Hwmon(PowerReader):
    """One channel, in microwatts or microjoules."""

    def __init__(self, channel: "_Channel", source: str) -> None:
        self.source, self.scope = source, channel.scope
        self._file = channel.file
        if channel.kind == "energy":
            self.method, self.interval_s, self.max_gap_s = "counter", 1.0, float("inf")

    def read(self, utilisation: Optional[float]) -> Optional[Reading]:
        """Return the power now, or the counter."""
        del utilisation
        value = self._file.read()
        if value is None:
            return None
        return Reading(None, value / 1e6) if self.method == "counter" else Reading(value / 1e6)

    def close(self) -> None:
        """Close the file."""
        self._file.close()


class _Channel(NamedTuple):
    driver: str
    label: str
    kind: str
    file: NumberFile

    @property
    def scope(self) -> str:
        return _SCOPES.get(self.driver, "rails")

    @property
    def method(self) -> str:
        return "counter" if self.kind == "energy" else "sampled"


def _driver(folder: Path) -> str:
    return read_text(folder / "name") or read_text(folder / "device/name") or folder.name


def _channels(root: Path) -> Iterable[_Channel]:
    """Yield the best kind of channel of each monitor."""
    supplies = {path.name.replace("-", "_") for path in (root / "sys/class/power_supply").glob("*")}
    others = (*ina2xx.DRIVERS, "ina238") if "Thor" in board_model(root) else ina2xx.DRIVERS
    for folder in sorted((root / "sys/class/hwmon").glob("hwmon*")):
        driver = _driver(folder)
        if driver in others or driver.startswith(_NOT_THESE) or driver.replace("-", "_") in supplies:
            continue
        for kind, pattern in _KINDS:
            paths = sorted(folder.glob(pattern))
            for path in paths:
                label = read_text(path.with_name(path.name.rpartition("_")[0] + "_label")) or ""
                # A core is a part of its socket.
                if not (driver == "amd_energy" and not label.startswith("Esocket")):
                    yield _Channel(driver, label, kind, NumberFile(path))
            if paths:
                break


def find(root: Path, probe_s: float = PROBE_S) -> List[Finding]:
    """Return the channels of the monitors; nothing is added up, for nobody knows which contains which."""
    channels = list(_channels(root))[:_MOST]
    moved = moving([c.file for c in channels if c.kind == "energy" and c.file.read() is not None], probe_s)
    drivers = [channel.driver for channel in channels]
    return [
        _finding(
            c, f"hwmon:{c.driver}" + (f":{c.label or c.file.path.name}" if drivers.count(c.driver) > 1 else ""), moved
        )
        for c in channels
    ]


def _finding(channel: _Channel, source: str, moved: List[NumberFile]) -> Finding:
    name = f"{channel.file.path.name} of {channel.driver}" + (f" ({channel.label})" if channel.label else "")
    unusable = Finding(source, channel.scope, channel.method, f"{name} cannot be read")
    value = channel.file.read()
    if value is None:
        if not may_not_read(channel.file.path):
            return unusable
        command, exposes = open_file(channel.file.path)
        detail = f"{name} may be read by the administrator only"
        return unusable._replace(detail=detail, admin_command=command, admin_exposes=exposes)
    if channel.kind == "energy" and channel.file not in moved:
        channel.file.close()
        return unusable._replace(detail=f"{name} never moves")
    if channel.kind == "power" and value <= 0:
        channel.file.close()
        return unusable._replace(detail=f"{name} shows no power")
    return found(Hwmon(channel, source), name)
