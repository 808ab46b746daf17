"""What a data plane knows of each link, and whom it tells."""

from collections import deque
from typing import Any, Deque, List, NamedTuple, Optional, Protocol, Tuple

from partition_agent.codecs import byte_size
from partition_agent.protocol import LinkSpec
from partition_agent.wire import Tensors


class LinkHandler(Protocol):
    """What a peer does with what comes. Called by the data plane's thread; must return soon and never raise."""

    def frame_arrived(self, link: str, frame: int, tensors: Tensors) -> None:
        """A frame came on a link that ends here."""

    def loss_arrived(self, link: str, frame: int, reason: str) -> None:
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
    """One link between this peer and another, seen from here."""

    def __init__(self, spec: LinkSpec, device: str) -> None:
        self.spec = spec
        self.is_producer = spec.producer_device == device
        self.other = spec.consumer_device if self.is_producer else spec.producer_device
        self.sent = 0
        self.opened_at = 0
        self.unacknowledged: Deque[int] = deque()
        self.held: Deque[Tuple[int, List[Any]]] = deque()
        self.frames = 0
        self.bytes = 0
        self.frame_bytes = sum(byte_size(tensor) for tensor in spec.tensors)
