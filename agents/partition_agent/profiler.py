"""Measure the layers of a sub-model on this device, in a process of its own that can be ended."""

from pathlib import Path
from typing import Callable

from partition_agent.deployments import RefusedError
from partition_agent.protocol import Event, Profile, Profiled


class Profiler:
    """One profile at a time; `profile` blocks and may be cancelled from another thread."""

    def __init__(self, models_dir: Path, publish: Callable[[Event], None]) -> None:
        self._models_dir, self._publish = models_dir, publish

    def profile(self, request: Profile) -> Profiled:
        """Measure. Raises RefusedError."""
        raise RefusedError("not_supported", f"{request.job}: not built yet")

    def cancel(self, job: str) -> None:
        """End that job if it is under way; from any thread."""

    def close(self) -> None:
        """End whatever is under way."""
