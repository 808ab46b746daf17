"""What a data plane knows of each link, and whom it tells."""

from collections import deque
from typing import Any, Deque, List, NamedTuple, Optional, Protocol, Tuple

from partition_agent.codecs import byte_size
from partition_agent.protocol import FrameRoute, LinkSpec
from partition_agent.wire import Tensors

#: A producer without credit asks for it so often, until it has some: what is lost on the way must not stop it for good.
ASK_EVERY_S = 1.0


class LinkHandler(Protocol):
    """What a peer does with what comes. Called by the data plane's thread; must return soon and never raise."""

    def frame_arrived(self, link: str, frame: int, route: FrameRoute, tensors: Tensors) -> None:
        """A frame came on a link that ends here."""

    def loss_arrived(self, link: str, frame: int, route: FrameRoute, reason: str) -> None:
        """A frame will not come on a link that ends here."""

    def credited(self, link: str, count: int, since: Optional[int]) -> None:
        """The consumer of a link that begins here allows more; `since` as in `Pipeline.credited`."""

    def link_opened(self, link: str) -> None:
        """The producer of a link that ends here asks for credit: answer with `grant(link, room, reset=True)`."""


class LinkTotals(NamedTuple):
    """Running totals of one link at this end."""

    frames_sent: int
    bytes_sent: int
    frames_received: int
    bytes_received: int


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
        self.sent = 0
        self.limit = 0
        self.ask_again_s = 0.0
        #: What the producer had sent when it asked last; at the consumer.
        self.asked_at: Optional[int] = None
        self.unacknowledged: Deque[Tuple[int, FrameRoute]] = deque()
        self.held: Deque[Tuple[int, FrameRoute, List[Any]]] = deque()
        self.frames = 0
        self.bytes = 0
        self.frame_bytes = sum(byte_size(tensor) for tensor in spec.tensors)

    @property
    def is_starved(self) -> bool:
        """Whether a producer cannot send until it hears of its consumer."""
        return bool(self.held) or self.sent >= self.limit

    def asked(self, now_s: float) -> int:
        """Note that the producer asks for credit; return what it has sent until now."""
        self.ask_again_s = now_s + ASK_EVERY_S
        return self.sent

    def allow(self, count: int, now_s: float) -> None:
        """Take credit for `count` more."""
        for _ in range(min(count, len(self.unacknowledged))):
            self.unacknowledged.popleft()
        self.limit = min(self.limit + count, self.sent + self.spec.window)
        self.ask_again_s = now_s + ASK_EVERY_S

    def allow_since(self, since: int, count: int, now_s: float) -> None:
        """Take credit for `count` beyond the first `since`, in place of what there was."""
        waiting = self.spec.window - count + self.sent - since
        while len(self.unacknowledged) > waiting:
            self.unacknowledged.popleft()
        self.limit = since + count
        self.ask_again_s = now_s + ASK_EVERY_S
