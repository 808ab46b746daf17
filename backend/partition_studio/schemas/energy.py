"""Power and energy, with where each figure comes from."""

from partition_studio.schemas.base import Schema
from partition_studio.schemas.devices import PowerMethod, PowerScope


class PowerOut(Schema):
    """Power of a device from one source, and where the figure comes from. Figures of different scopes never add."""

    power_w: float | None
    energy_j: float | None
    """Since the agent started."""
    source: str
    scope: PowerScope
    method: PowerMethod
    uncertainty: float | None
    """Assumed relative error (0.05: 5 %)."""
    coverage: float
    """Share of the time since the agent started of which `energy_j` tells."""


class EnergyOut(Schema):
    """Energy of a device over a window of frames."""

    gross_j: float
    net_j: float | None
    """Without what the device takes when idle; None when that is not known."""
    idle_w: float | None
    gross_per_frame_j: float | None
    net_per_frame_j: float | None
    window_s: float
    frames: int
    source: str
    scope: PowerScope
    method: PowerMethod
    uncertainty: float | None
    coverage: float
