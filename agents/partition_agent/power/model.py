"""An estimate from the watts that the person declared, or that a calibration fitted: `idle + (busy - idle) * u`."""

from typing import NamedTuple, Optional

from partition_agent.power.reader import PowerReader, Reading

#: What is assumed of figures that nobody fitted to a meter.
DECLARED_UNCERTAINTY = 0.30


class ModelSpec(NamedTuple):
    """The model's figures; `residual_w` is how far the meter was from it at most, None where there was no meter."""

    idle_w: float
    busy_w: float
    source: str = "declared"
    residual_w: Optional[float] = None


class Model(PowerReader):
    """Power as it goes with the utilisation."""

    scope, method = "model", "estimated"
    interval_s = 1.0
    max_gap_s = 3.5

    def __init__(self, spec: ModelSpec) -> None:
        self.source, self.spec = spec.source, spec

    def read(self, utilisation: Optional[float]) -> Optional[Reading]:
        """Return the mean power of the time that the utilisation is of; nothing without it."""
        if utilisation is None:
            return None
        return Reading(self.spec.idle_w + (self.spec.busy_w - self.spec.idle_w) * utilisation)

    def uncertainty(self, power_w: Optional[float]) -> Optional[float]:
        """Return the band that the calibration left, as a share of the power."""
        residual_w = self.spec.residual_w
        if residual_w is None:
            return DECLARED_UNCERTAINTY
        return residual_w / power_w if power_w else None


def make(spec: Optional[ModelSpec]) -> Optional[Model]:
    """Return the model, or None where its figures make none."""
    if spec is None or not 0 <= spec.idle_w <= spec.busy_w < float("inf"):
        return None
    if spec.residual_w is not None and not 0 <= spec.residual_w < float("inf"):
        return None
    return Model(spec)
