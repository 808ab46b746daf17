"""Keep a share of the usable cores busy, for the calibration of power."""

from typing import Callable

from partition_agent.deployments import RefusedError
from partition_agent.protocol import Event, Load, Loaded
from partition_agent.telemetry import Sampler


class LoadMaker:
    """One load at a time; `load` blocks and may be cancelled from another thread."""

    def __init__(self, sampler: Sampler, publish: Callable[[Event], None]) -> None:
        self._sampler, self._publish = sampler, publish

    def load(self, request: Load) -> Loaded:
        """Keep the cores busy and tell what was seen. Raises RefusedError."""
        raise RefusedError("not_supported", f"{request.job}: not built yet")

    def cancel(self, job: str) -> None:
        """End that job if it is under way; from any thread."""

    def close(self) -> None:
        """End whatever is under way."""
