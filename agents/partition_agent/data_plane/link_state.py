"""What a data plane knows of each link, and whom it tells."""

from collections import deque
from typing import Any, Deque, List, NamedTuple, Optional, Protocol, Tuple

from partition_agent.data_plane.wire import Tensors, carried_by
from partition_agent.protocol import STUDIO_PEER, FrameRoute, LinkSpec

#: A producer without credit asks for it after so long, until it hears something: what is lost on the way must not stop
#: it for good. It asks ever more rarely, so that it does not fill a slow link with questions.
ASK_EVERY_S = 1.0
ASK_MAX_S = 30.0


class LinkHandler(Protocol):
    """What a peer does with what comes. Must return soon and never raise.

    Called by the data plane's threads, one at a time for each link and in its order.
    """

    def frame_arrived(self, link: str, frame: int, route: FrameRoute, tensors: Tensors) -> None:
        """A frame came on a link that ends here."""

    def loss_arrived(self, link: str, frame: int, route: FrameRoute, reason: str) -> None:
        """A frame will not come on a link that ends here."""

    def credited(self, link: str, count: int, since: Optional[int]) -> None:
        """The consumer of a link that begins here allows more; `since` as in `Pipeline.credited`."""

    def link_opened(self, link: str) -> None:
        """The producer of a link that ends here asks for credit: answer with `grant(link, room, reset=True)`."""


class LinkTotals(NamedTuple):
    """Running totals of one link at this end, and its state; the figures of a `LinkSample`, in its order."""

    frames_sent: int
    bytes_sent: int
    frames_received: int
    bytes_received: int
    wire_bytes_sent: int
    wire_bytes_received: int
    encode_s: float
    decode_s: float
    connected: bool
    reconnects: int
    in_flight: int
    stalled_s: float


class Outgoing(NamedTuple):
    """A message on its way to a consumer; `wire_bytes` are those of its tensors, None of one that has none."""

    frame: int
    route: FrameRoute
    parts: List[Any]
    wire_bytes: Optional[int]


class LinkState:
    """One link between this peer and another, seen from here.

    A producer counts the messages that it sent (`sent`) and how many it may have sent in all (`limit`). Both ends see
    messages in one order, so an answer to `Open` that says "so many beyond those you had sent when you asked" is true
    whenever it comes, and however often it is asked.
    """

    def __init__(self, spec: LinkSpec, device: str) -> None:
        self.spec = spec
        self.is_producer = spec.producer_device == device
        self.other = spec.consumer_device if self.is_producer else spec.producer_device
        #: Whether it goes over the connection that this peer makes.
        self.is_ours = device == STUDIO_PEER or (self.is_producer and self.other != STUDIO_PEER)
        self.carried = carried_by(spec)
        self.is_coded = not all(tensor.is_plain for tensor in self.carried)
        self.frame_bytes = sum(tensor.header.byte_length for tensor in self.carried)
        self.sent = 0
        self.limit = 0
        self.ask_again_s = 0.0
        self._ask_pause_s = ASK_EVERY_S
        #: What the producer had sent when it asked last; at the consumer.
        self.asked_at: Optional[int] = None
        self.unacknowledged: Deque[Tuple[int, FrameRoute]] = deque()
        self.held: Deque[Outgoing] = deque()
        #: Messages given to the coding thread of this end, and those that it has done; each counted by one thread.
        self.to_code = 0
        self.coded = 0
        self.frames = 0
        self.bytes = 0
        self.wire_bytes = 0
        self.coding_s = 0.0
        self._moved_s = 0.0

    @property
    def is_starved(self) -> bool:
        """Whether a producer cannot send until it hears of its consumer."""
        return bool(self.held) or self.sent >= self.limit

    @property
    def in_flight(self) -> int:
        """Frames and losses that the consumer has not begun, as far as this producer knows."""
        return len(self.unacknowledged) + len(self.held) + self.to_code - self.coded if self.is_producer else 0

    def stalled_s(self, now_s: float) -> float:
        """Return how long nothing has moved although something was under way."""
        return max(now_s - self._moved_s, 0.0) if self.in_flight else 0.0

    def offered(self, now_s: float) -> None:
        """Note that there is something to send from now on."""
        if not self.in_flight:
            self._moved_s = now_s

    def passed(self, wire_bytes: int) -> None:
        """Count a frame that went out, or came."""
        self.frames += 1
        self.bytes += self.frame_bytes
        self.wire_bytes += wire_bytes

    def asked(self, now_s: float) -> int:
        """Note that the producer asks for credit; return what it has sent until now."""
        self.ask_again_s = now_s + self._ask_pause_s
        self._ask_pause_s = min(2 * self._ask_pause_s, ASK_MAX_S)
        return self.sent

    def _heard(self, now_s: float) -> None:
        self._ask_pause_s = ASK_EVERY_S
        self.ask_again_s = now_s + ASK_EVERY_S

    def _acknowledge(self, count: int, now_s: float) -> None:
        if count > 0:
            self._moved_s = now_s
        for _ in range(count):
            self.unacknowledged.popleft()

    def allow(self, count: int, now_s: float) -> int:
        """Take credit for `count` more; return for how many it counts.

        A window beyond what was begun is all: who is granted more would hold more than the plan says.
        """
        self._acknowledge(min(count, len(self.unacknowledged)), now_s)
        most = self.sent - len(self.unacknowledged) + self.spec.window
        allowed = max(min(count, most - self.limit), 0)
        self.limit += allowed
        self._heard(now_s)
        return allowed

    def allow_since(self, since: int, count: int, now_s: float) -> None:
        """Take credit for `count` beyond the first `since`, in place of what there was."""
        waiting = self.spec.window - count + self.sent - since
        self._acknowledge(len(self.unacknowledged) - waiting, now_s)
        self.limit = since + count
        self._heard(now_s)

    def totals(self, *, connected: bool, reconnects: int, now_s: float) -> LinkTotals:
        """Return the figures of this end."""
        sent, received = (1, 0) if self.is_producer else (0, 1)
        return LinkTotals(
            frames_sent=sent * self.frames,
            bytes_sent=sent * self.bytes,
            frames_received=received * self.frames,
            bytes_received=received * self.bytes,
            wire_bytes_sent=sent * self.wire_bytes,
            wire_bytes_received=received * self.wire_bytes,
            encode_s=sent * self.coding_s,
            decode_s=received * self.coding_s,
            connected=connected,
            reconnects=reconnects,
            in_flight=self.in_flight,
            stalled_s=self.stalled_s(now_s),
        )
