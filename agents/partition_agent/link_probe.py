"""Measure a link to another agent, over the same kind of socket that frames take."""

from partition_agent.deployments import RefusedError
from partition_agent.protocol import (
    LinkKey,
    LinkKeyMade,
    LinkListen,
    LinkListening,
    LinkMeasure,
    LinkMeasured,
)


class LinkProber:
    """Both ends of link measurements; calls block and may be cancelled from another thread."""

    def key(self, request: LinkKey) -> LinkKeyMade:
        """Make the key pair of a job."""
        raise RefusedError("not_supported", f"{request.job}: not built yet")

    def listen(self, request: LinkListen) -> LinkListening:
        """Open a socket for one peer; returns at once."""
        raise RefusedError("not_supported", f"{request.job}: not built yet")

    def measure(self, request: LinkMeasure) -> LinkMeasured:
        """Measure. Raises RefusedError."""
        raise RefusedError("not_supported", f"{request.job}: not built yet")

    def cancel(self, job: str) -> None:
        """End that job if it is under way; from any thread."""

    def close(self) -> None:
        """End whatever is under way."""
