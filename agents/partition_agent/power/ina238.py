"""The INA238 on the input of a Jetson AGX Thor: module and carrier board together."""

from pathlib import Path
from typing import List, Optional

from partition_agent.power.files import NumberFile
from partition_agent.power.reader import Finding, PowerReader, Reading, found
from partition_agent.system import board_model, read_text

DRIVER = "ina238"


class Ina238(PowerReader):
    """Power at the input, in microwatts."""

    source, scope = "ina238", "board"

    def __init__(self, path: Path) -> None:
        self._file = NumberFile(path)

    def read(self, utilisation: Optional[float]) -> Optional[Reading]:
        """Return the power now."""
        del utilisation
        value = self._file.read()
        return None if value is None else Reading(value / 1e6)

    def close(self) -> None:
        """Close the file."""
        self._file.close()


def find(root: Path) -> List[Finding]:
    """Return the board's input power; nothing on other boards, where such a chip may measure anything."""
    if "Thor" not in board_model(root):
        return []
    for folder in sorted((root / "sys/class/hwmon").glob("hwmon*")):
        if read_text(folder / "name") != DRIVER:
            continue
        reader = Ina238(folder / "power1_input")
        if reader.read(None) is None:
            return [Finding(reader.source, reader.scope, reader.method, "the INA238 at VIN cannot be read")]
        return [found(reader, "the input VIN: module and carrier board")]
    return []
