"""Heat, and what the device does about it. A figure of a throttled device does not show it at its best."""

import re
from pathlib import Path
from typing import Dict, List, Mapping, NamedTuple, Optional, Sequence, Tuple

from partition_agent.power import vcgencmd
from partition_agent.power.files import NumberFile
from partition_agent.power.polled import Poller
from partition_agent.system import ROOT, board_model, read_text

#: What a Raspberry Pi's firmware says: bits of now; the same 16 higher are of the time since boot.
_PI_BITS = ((0, "under_voltage"), (1, "capped"), (2, "throttled"), (3, "soft_limit"))

_PI_FILES = ("sys/devices/platform/soc*/soc*firmware/get_throttled", "sys/devices/platform/*firmware/get_throttled")
_CPU_ZONE = re.compile(r"cpu|soc|x86_pkg|core|cluster|pkg|^tj", re.IGNORECASE)
_CPU_DRIVERS = ("coretemp", "k10temp", "zenpower", "cpu_thermal", "scpi_sensors")
_CPU_COOLING = re.compile(r"(thermal-)?cpufreq|processor", re.IGNORECASE)
_ASK_EVERY_S = 5.0


class Thermal(NamedTuple):
    """What is known now, in the order of the protocol's `ThermalSample`."""

    temperature_c: Optional[float]
    throttled: Tuple[str, ...]
    throttled_before: Tuple[str, ...]
    frequency_ratio: Optional[float]


def names_of(bits: int) -> Tuple[Tuple[str, ...], Tuple[str, ...]]:
    """Return what a Raspberry Pi's bits say of now, and of the time since boot."""
    now = tuple(name for bit, name in _PI_BITS if bits >> bit & 1)
    return now, tuple(name for bit, name in _PI_BITS if bits >> (bit + 16) & 1)


def parse_bits(text: str) -> Optional[int]:
    """Return the bits in `throttled=0x50005` or `50005`, or None in anything else."""
    match = re.fullmatch(r"\s*(?:throttled=)?(?:0x)?([0-9a-fA-F]{1,8})\s*", text)
    return int(match.group(1), 16) if match else None


class _Firmware:
    """The firmware's word on throttling: by a file where the kernel has it, else by the program."""

    def __init__(self, root: Path) -> None:
        pi = "Raspberry Pi" in board_model(root)
        self._file = next((path for pattern in _PI_FILES for path in sorted(root.glob(pattern))), None) if pi else None
        command = vcgencmd.find_command(root) if pi and self._file is None else None
        self._poller: Optional[Poller] = None
        if command is not None:
            path = command
            self._poller = Poller("throttled", lambda: self._ask(path), lambda answered: _ASK_EVERY_S)

    @staticmethod
    def _ask(command: str) -> Optional[int]:
        answer = vcgencmd.ask(command, ["get_throttled"])
        return parse_bits(answer.text) if answer.ok else None

    def bits(self) -> Optional[int]:
        if self._file is not None:
            return parse_bits(read_text(self._file) or "")
        newest = self._poller.newest() if self._poller is not None else None
        return None if newest is None else int(newest[1])

    def close(self) -> None:
        if self._poller is not None:
            self._poller.close()


class ThermalMeter:
    """Temperature, throttling and frequency of the usable cores."""

    def __init__(self, affinity: Sequence[int], root: Path = ROOT) -> None:
        self._temperatures = _temperature_files(root)
        self._firmware = _Firmware(root)
        cpu = root / "sys/devices/system/cpu"
        counts = [path for core in affinity for path in sorted((cpu / f"cpu{core}/thermal_throttle").glob("*_count"))]
        self._counts = [NumberFile(path) for path in counts]
        self._counted: List[Optional[int]] = [None] * len(counts)
        self._cooling = [
            NumberFile(path / "cur_state")
            for path in sorted((root / "sys/class/thermal").glob("cooling_device*"))
            if _CPU_COOLING.match(read_text(path / "type") or "")
        ]
        self._frequencies: Dict[int, Tuple[NumberFile, int]] = {}
        for core in affinity:
            file = NumberFile(cpu / f"cpu{core}/cpufreq/scaling_cur_freq")
            highest = NumberFile(cpu / f"cpu{core}/cpufreq/cpuinfo_max_freq")
            highest_khz = highest.read()
            highest.close()
            if highest_khz and highest_khz > 0 and file.read() is not None:
                self._frequencies[core] = (file, highest_khz)

    def read(self, busy: Optional[Mapping[int, float]] = None) -> Optional[Thermal]:
        """Return what is known, or None where nothing is.

        `busy` is how much each core worked: the frequency of one that sleeps says nothing.
        """
        temperature_c, ratio = self._temperature_c(), self._frequency_ratio(busy or {})
        bits = self._firmware.bits()
        now, before = names_of(bits) if bits is not None else self._by_counts()
        if bits is None and not now and any((file.read() or 0) > 0 for file in self._cooling):
            now = ("throttled",)
        if temperature_c is None and ratio is None and bits is None and not self._counts and not self._cooling:
            return None
        return Thermal(temperature_c, now, before, ratio)

    def close(self) -> None:
        """Close the files."""
        self._firmware.close()
        for file in (*self._temperatures, *self._counts, *self._cooling, *(f for f, _ in self._frequencies.values())):
            file.close()

    def _temperature_c(self) -> Optional[float]:
        values = [file.read() for file in self._temperatures]
        # A zone that is switched off answers with something that is no temperature.
        return max((value / 1e3 for value in values if value is not None and -40e3 < value < 150e3), default=None)

    def _by_counts(self) -> Tuple[Tuple[str, ...], Tuple[str, ...]]:
        before, self._counted = self._counted, [file.read() for file in self._counts]
        grown = any(
            old is not None and new is not None and new > old
            for old, new in zip(before, self._counted)  # noqa: B905 - Python 3.8 knows no `strict`
        )
        ever = any(value for value in self._counted)
        return (("throttled",) if grown else ()), (("throttled",) if ever else ())

    def _frequency_ratio(self, busy: Mapping[int, float]) -> Optional[float]:
        weighted = total = 0.0
        # A little weight for each, so that there is a figure when nobody works.
        for core, (file, highest_khz) in self._frequencies.items():
            value = file.read()
            if value is not None and value > 0:
                weight = busy.get(core, 0.0) + 1e-6
                weighted += weight * min(value / highest_khz, 1.0)
                total += weight
        return weighted / total if total else None


def _temperature_files(root: Path) -> List[NumberFile]:
    zones = [
        path / "temp"
        for path in sorted((root / "sys/class/thermal").glob("thermal_zone*"))
        if _CPU_ZONE.search(read_text(path / "type") or "")
    ]
    if not zones:
        folders = sorted((root / "sys/class/hwmon").glob("hwmon*"))
        cpus = [folder for folder in folders if (read_text(folder / "name") or "") in _CPU_DRIVERS]
        zones = [path for folder in cpus for path in sorted(folder.glob("temp*_input"))]
    return [NumberFile(path) for path in zones]
