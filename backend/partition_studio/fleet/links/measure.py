"""Measuring the link between two peers: devices, or a device and the studio, each by its own end of `LinkProber`."""

import math
from typing import Protocol, TypeVar

from partition_agent.link_probing.prober import CONNECT_S, LinkProber
from partition_agent.link_probing.rate import SILENCE_S
from partition_agent.protocol import (
    STUDIO_PEER,
    CancelJob,
    LinkFigures,
    LinkKey,
    LinkKeyMade,
    LinkListen,
    LinkListening,
    LinkMeasure,
    LinkMeasured,
    PeerAddress,
    Request,
)
from partition_agent.refusal import RefusedError
from partition_studio.errors import DeviceError
from partition_studio.fleet.errors import BadAnswerError
from partition_studio.fleet.session.session import DeviceSession

#: Beyond the two directions: connecting, round trips, and a silence before it is given up.
_SLACK_S = CONNECT_S + 6 * SILENCE_S

R = TypeVar("R")


class LinkNotMeasuredError(DeviceError):
    """A link could not be measured."""

    code = "link_not_measured"
    next_step = "Check that the two reach each other: same network, no firewall between them."


class LinkEnd(Protocol):
    """One peer of a measurement. Every call raises DeviceError."""

    @property
    def name(self) -> str:
        """The device's name, or `studio`."""

    def key(self, job: str) -> str:
        """Make the key with which it will measure; return the public half."""

    def listen(self, job: str, host: str, peer_key: str, seconds: float) -> LinkListening:
        """Listen for the peer with that key."""

    def measure(self, job: str, peer: PeerAddress, budget_s: float, max_bytes: int) -> LinkMeasured:
        """Connect and measure."""

    def cancel(self, job: str) -> None:
        """End what goes on for the job; from any thread."""


class StudioEnd:
    """The studio itself."""

    name = STUDIO_PEER

    def __init__(self) -> None:
        self._prober = LinkProber()

    def key(self, job: str) -> str:
        """Make a key."""
        return self._prober.key(LinkKey(job)).public_key

    def listen(self, job: str, host: str, peer_key: str, seconds: float) -> LinkListening:
        """Refuse: the studio listens nowhere, it connects to the devices."""
        raise LinkNotMeasuredError("The studio listens nowhere")

    def measure(self, job: str, peer: PeerAddress, budget_s: float, max_bytes: int) -> LinkMeasured:
        """Connect and measure."""
        try:
            return self._prober.measure(LinkMeasure(job, peer, budget_s, max_bytes))
        except RefusedError as error:
            raise LinkNotMeasuredError(f"{STUDIO_PEER}: {error.failed.message}", reason=error.failed.code) from error

    def cancel(self, job: str) -> None:
        """End it."""
        self._prober.cancel(job)

    def close(self) -> None:
        """Measure no more."""
        self._prober.close()


class AgentEnd:
    """A device whose agent runs."""

    def __init__(self, session: DeviceSession) -> None:
        self._session = session

    @property
    def name(self) -> str:
        """The device's name."""
        return self._session.spec.name

    def key(self, job: str) -> str:
        """Have the agent make a key."""
        return self._answer(LinkKey(job), LinkKeyMade).public_key

    def listen(self, job: str, host: str, peer_key: str, seconds: float) -> LinkListening:
        """Have the agent listen."""
        return self._answer(LinkListen(job, host, peer_key, seconds), LinkListening)

    def measure(self, job: str, peer: PeerAddress, budget_s: float, max_bytes: int) -> LinkMeasured:
        """Have the agent measure."""
        request = LinkMeasure(job, peer, budget_s, max_bytes)
        measured = self._answer(request, LinkMeasured, 2 * budget_s + _SLACK_S)
        if not _can_be(measured):
            raise BadAnswerError(f"{self.name}: the agent tells figures of a link that cannot be")
        return measured

    def cancel(self, job: str) -> None:
        """Have the agent end it."""
        self._session.call(CancelJob(job))

    def _answer(self, request: Request, kind: type[R], timeout_s: float = 20.0) -> R:
        answer = self._session.call(request, timeout_s)
        if not isinstance(answer, kind):
            raise BadAnswerError(f"{self.name}: the agent answers {type(request).__name__} with something else")
        return answer


def measure_link(
    job: str, caller: LinkEnd, listener: LinkEnd, host: str, budget_s: float, max_bytes: int
) -> LinkMeasured:
    """Measure both directions between two peers; `caller` connects to `listener` at `host`. Raises DeviceError."""
    key = caller.key(job)
    listening = listener.listen(job, host, key, 2 * budget_s + _SLACK_S)
    try:
        peer = PeerAddress(listener.name, host, listening.port, listening.public_key)
        return caller.measure(job, peer, budget_s, max_bytes)
    finally:
        # It has closed already where all went well; where it was cut off this is said into the void.
        _cancel_quietly(listener, job)


def _cancel_quietly(end: LinkEnd, job: str) -> None:
    try:
        end.cancel(job)
    except DeviceError:
        # It closes by itself after its time.
        return


def _can_be(measured: LinkMeasured) -> bool:
    def is_rate(way: LinkFigures) -> bool:
        return math.isfinite(way.bytes_per_s) and way.bytes_per_s > 0

    times = (measured.rtt_s, measured.rtt_min_s)
    return all(map(is_rate, (measured.to_peer, measured.from_peer))) and all(math.isfinite(t) and t >= 0 for t in times)
