"""The power controller of a Raspberry Pi 5, by `vcgencmd pmic_read_adc`. Older boards have no sensor at all.

It tells voltage and current of twelve rails. What feeds USB, HATs and the converters' loss is in none of them: a
published fit to a meter at the board's input corrects for it. The command is the firmware's own and may change: what is
not understood is not read.
"""

import re
from pathlib import Path
from typing import Dict, List, Optional

from partition_agent.power import vcgencmd
from partition_agent.power.admin import join_video
from partition_agent.power.polled import PolledReader
from partition_agent.power.reader import Finding, Reading, found
from partition_agent.system import board_model

_LINE = re.compile(r"\s*(\w+)_([AV])\s+(?:current|volt)\(\d+\)=(\d+(?:\.\d+)?)[AV]\s*")

#: watts at the board's input = rails * FACTOR + OFFSET.
_FACTOR, _OFFSET_W = 1.1451, 0.5879

#: With fewer rails it is another board's answer, or a part of one.
_LEAST_RAILS = 6
_MOST_W = 60.0

_CLOSED = re.compile(r"permission|vcio|vchi|not permitted", re.IGNORECASE)


def rails_w(text: str) -> Optional[float]:
    """Return the sum of voltage times current over the rails that have both, or None for what is no such table."""
    values: Dict[str, Dict[str, float]] = {"A": {}, "V": {}}
    for line in text.splitlines():
        match = _LINE.fullmatch(line)
        if match:
            values[match.group(2)][match.group(1)] = float(match.group(3))
    powers = [current * values["V"][name] for name, current in values["A"].items() if name in values["V"]]
    total_w = sum(powers)
    return total_w if len(powers) >= _LEAST_RAILS and 0 < total_w < _MOST_W else None


class Pi5(PolledReader):
    """The corrected sum of the rails. A process for each question costs energy itself: one a second."""

    source, scope = "pi5-pmic", "board"

    def __init__(self, command: str) -> None:
        super().__init__()
        self._command = command

    def ask(self) -> Optional[Reading]:
        """Return the board's power now."""
        total_w = rails_w(vcgencmd.ask(self._command, ["pmic_read_adc"]).text)
        return None if total_w is None else Reading(total_w * _FACTOR + _OFFSET_W)

    def uncertainty(self, power_w: Optional[float]) -> Optional[float]:
        """Return that of the fit."""
        del power_w
        return 0.10


def find(root: Path) -> List[Finding]:
    """Return the board's power; a Raspberry Pi without the sensor is told of."""
    model, command = board_model(root), vcgencmd.find_command(root)
    if "Raspberry Pi" not in model:
        return []
    nothing = Finding(Pi5.source, Pi5.scope, Pi5.method, f"{model} has no power sensor")
    if not ("Raspberry Pi 5" in model or "Compute Module 5" in model):
        return [nothing]
    if command is None:
        return [nothing._replace(detail="the program vcgencmd is not installed, by which the sensor is read")]
    answer = vcgencmd.ask(command, ["pmic_read_adc"])
    total_w = rails_w(answer.text)
    if total_w is not None:
        detail = f"the power controller's rails ({total_w:.1f} W now), corrected for what they leave out by {_FACTOR}"
        return [found(Pi5(command), f"{detail} x + {_OFFSET_W} W")]
    if _CLOSED.search(answer.text):
        admin_command, exposes = join_video()
        detail = "this user may not ask the firmware (group video)"
        return [nothing._replace(detail=detail, admin_command=admin_command, admin_exposes=exposes)]
    return [nothing._replace(detail="the firmware does not tell the power controller's readings")]
