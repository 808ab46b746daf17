"""What every power source gives, and what is said of it.

Everything in this package is standard library, and readable by Python 3.6: the studio also runs it on devices that are
not prepared yet, to list their sources.
"""

from typing import Dict, NamedTuple, Optional


class Reading(NamedTuple):
    """One reading. A counter gives `energy_j` since any point of time, others `power_w`; some give both.

    `at_s` is the monotonic time at which it was taken; None is now. A reading is known by it: the same twice is one.
    """

    power_w: Optional[float]
    energy_j: Optional[float] = None
    at_s: Optional[float] = None


class PowerReader:
    """One source of power figures."""

    #: Which sensor or model it is, what it covers, and how: `counter`, `sampled` or `estimated`.
    source = ""
    scope = ""
    method = "sampled"

    #: How often it is worth reading.
    interval_s = 0.1

    #: The longest time between two readings over which its energy is believed.
    max_gap_s = 1.0

    def read(self, utilisation: Optional[float]) -> Optional[Reading]:
        """Return what it says now, or None when it cannot; `utilisation` (0 to 1) is for models."""
        raise NotImplementedError

    def uncertainty(self, power_w: Optional[float]) -> Optional[float]:
        """Return the assumed relative error of such a figure; None where nobody states one."""
        del power_w
        return None

    def close(self) -> None:
        """Give back what it holds."""


class Finding(NamedTuple):
    """A power source of the device: what it is, and a reader of it where it can be used.

    `admin_command` is the one step by which an administrator would open it, `admin_exposes` what that lays open.
    """

    source: str
    scope: str
    method: str
    detail: str
    reader: Optional[PowerReader] = None
    admin_command: Optional[str] = None
    admin_exposes: Optional[str] = None

    def described(self) -> Dict[str, object]:
        """Return it as plain data."""
        return {
            "source": self.source,
            "scope": self.scope,
            "method": self.method,
            "usable": self.reader is not None,
            "detail": self.detail,
            "admin_command": self.admin_command,
            "admin_exposes": self.admin_exposes,
        }


def found(reader: PowerReader, detail: str) -> Finding:
    """Return the finding of a source that can be used."""
    return Finding(reader.source, reader.scope, reader.method, detail, reader)
