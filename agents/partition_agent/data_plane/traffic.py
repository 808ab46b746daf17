"""What passes on links and what it means: frames and losses one way, credit the other way.

How much may be under way is the handler's to decide (see `pipeline`): here every sent frame is remembered by number
until its consumer has begun it, and after a broken connection the producer reports those as lost before it asks for
credit anew. The consumer ignores what it has seen, so that nothing is lost in silence.

Frames of links with a codec are decoded by a thread of their own, and with them everything else that comes on such a
link, so that it keeps its order. Nothing here is called by two threads at once but what decodes.
"""

import time
from collections import deque
from functools import partial
from typing import Callable, Iterable, Iterator, Mapping, Optional, Sequence, Union

from partition_agent.data_plane.coding import CodingThread
from partition_agent.data_plane.connections import Connections, Parts
from partition_agent.data_plane.drops import Drops
from partition_agent.data_plane.link_state import LinkHandler, LinkState, Outgoing
from partition_agent.data_plane.wire import FRAME_LIMIT, WireError, check_route, pack, unpack, unpack_tensors
from partition_agent.protocol import (
    STUDIO_PEER,
    CreditMessage,
    FrameMessage,
    FrameRoute,
    LinkSpec,
    LostMessage,
    OpenMessage,
)

#: Why a peer is told that frames are lost which may have been on a connection that broke.
BROKEN = "the connection between two devices broke"

#: Why a frame is lost whose bytes came.
UNREADABLE = "its bytes could not be read where they arrived"

#: A reason of a loss is cut to this length.
MAX_REASON = 500


class Traffic:
    """The links of one data plane over its connections."""

    def __init__(
        self,
        device: str,
        deployment: str,
        epoch: int,
        links: Sequence[LinkSpec],
        handler: LinkHandler,
        drops: Drops,
    ) -> None:
        """Begin with nothing under way. Raises CodecError."""
        self._device, self._deployment, self._epoch = device, deployment, epoch
        self._handler, self._drops = handler, drops
        self.links: Mapping[str, LinkState] = {
            s.id: LinkState(s, device) for s in links if s.producer_device != s.consumer_device
        }
        self._decoder = CodingThread(f"decode {deployment}/{epoch}")
        self._connections: Connections

    def begin(self, connections: Connections) -> None:
        """Send over these."""
        self._connections = connections

    def close(self) -> None:
        """Decode no more."""
        self._decoder.close()

    def forget(self, devices: Iterable[str]) -> None:
        """Begin anew with peers that came back under another key: they know nothing of what was before."""
        for link in self.links.values():
            if link.other in devices:
                link.unacknowledged.clear()

    # --- sending -----------------------------------------------------------------------------------------------------

    def send(self, link: LinkState, message: Outgoing) -> None:
        """Send a frame or a loss, or hold it until that can be done: its credit bounds what is held."""
        if link.held or not self._transmit(link, message.parts):
            link.held.append(message)
            return
        link.sent += 1
        link.unacknowledged.append((message.frame, message.route))
        if message.wire_bytes is not None:
            link.passed(message.wire_bytes)

    def lost(self, link: LinkState, frame: int, route: FrameRoute, reason: str) -> Outgoing:
        """Return the news that a frame will not come."""
        message = LostMessage(self._deployment, self._epoch, link.spec.id, frame, reason[:MAX_REASON], route)
        return Outgoing(frame, route, [pack(message)], None)

    def grant(self, link: LinkState, count: int, reset: bool, at: Optional[int]) -> None:
        """Send credit."""
        self._transmit(link, [pack(CreditMessage(self._deployment, self._epoch, link.spec.id, count, reset, at))])

    def _transmit(self, link: LinkState, parts: Parts) -> bool:
        return self._connections.send(link.other, parts, over_ours=link.is_ours)

    def _flush(self, link: LinkState) -> None:
        held, link.held = link.held, deque()
        for message in held:
            self.send(link, message)

    # --- connections -------------------------------------------------------------------------------------------------

    def connection_changed(self, device: str, connected: bool) -> None:
        """Our connection to a peer was made or broke."""
        if not connected:
            return
        for link in self.links.values():
            if link.other == device and link.is_producer:
                self._report_broken(link)
                self._ask(link)
                self._flush(link)
            elif link.other == device and self._device == STUDIO_PEER:
                # Nobody asks us, for nobody connects to us. Between devices the producer asks, over its own connection:
                # what was said here to one that had sent already would be taken for more than was seen of it.
                self._after_earlier(link, partial(self._handler.link_opened, link.spec.id))

    def _report_broken(self, link: LinkState) -> None:
        for frame, route in link.unacknowledged:
            self._transmit(link, self.lost(link, frame, route, BROKEN).parts)

    def _ask(self, link: LinkState) -> None:
        at = link.asked(time.monotonic())
        self._transmit(link, [pack(OpenMessage(self._deployment, self._epoch, link.spec.id, at))])

    def ask_again(self) -> None:
        """Ask for credit where none has come for a while."""
        now_s = time.monotonic()
        for link in self._starved():
            if link.ask_again_s <= now_s:
                self._ask(link)

    def next_s(self) -> float:
        """Return when to ask again."""
        return min((link.ask_again_s for link in self._starved()), default=float("inf"))

    def _starved(self) -> Iterator[LinkState]:
        """The links that begin here and cannot go on; those to the studio are opened by it alone."""
        for link in self.links.values():
            asks = link.is_producer and link.other != STUDIO_PEER and link.is_starved
            if asks and self._connections.is_connected(link.other, over_ours=True):
                yield link

    # --- what comes --------------------------------------------------------------------------------------------------

    def message(self, device: str, parts: Parts) -> None:
        """Take a message. Raises WireError for one that is refused."""
        if not parts:
            raise WireError("empty")
        message = unpack(parts[0].buffer)
        link = self.links.get(message.link)
        if message.deployment != self._deployment or message.epoch != self._epoch:
            raise WireError("wrong_epoch")
        if link is None:
            raise WireError("unknown_link")
        if link.other != device or link.is_producer != isinstance(message, CreditMessage):
            raise WireError("wrong_peer")
        if isinstance(message, CreditMessage):
            self._check_bare(parts)
            self._credit(link, message)
        elif isinstance(message, OpenMessage):
            self._check_bare(parts)
            self._in_turn(link, partial(self._opened, link, message))
        else:
            self._arrived(link, message, parts)

    @staticmethod
    def _check_bare(parts: Parts) -> None:
        if len(parts) > 1:
            raise WireError("wrong_tensors")

    def _in_turn(self, link: LinkState, event: Callable[[], None]) -> None:
        """Do what a peer wants, in the order of its link. Raises WireError when too much of it waits already."""
        # A window of frames, the losses of a broken connection, and questions after credit.
        if link.to_code - link.coded > 2 * link.spec.window + 8:
            raise WireError("over_window")
        self._after_earlier(link, event)

    def _after_earlier(self, link: LinkState, event: Callable[[], None]) -> None:
        """Do it after what came before it on the same link."""
        if not link.is_coded:
            event()
            return
        link.to_code += 1
        self._decoder.put(partial(self._decode, link, event))

    @staticmethod
    def _decode(link: LinkState, event: Callable[[], None]) -> None:
        try:
            event()
        finally:
            link.coded += 1

    def _opened(self, link: LinkState, message: OpenMessage) -> None:
        link.asked_at = message.at
        self._handler.link_opened(link.spec.id)

    def _arrived(self, link: LinkState, message: Union[FrameMessage, LostMessage], parts: Parts) -> None:
        if not 0 <= message.frame < FRAME_LIMIT:
            raise WireError("bad_frame_number")
        check_route(link.spec, message.frame, message.route)
        if isinstance(message, FrameMessage):
            self._in_turn(link, partial(self._take_frame, link, message, parts[1:]))
        else:
            self._check_bare(parts)
            reason = message.reason[:MAX_REASON]
            self._in_turn(link, partial(self._handler.loss_arrived, link.spec.id, message.frame, message.route, reason))

    def _take_frame(self, link: LinkState, message: FrameMessage, parts: Parts) -> None:
        begin_s = time.thread_time() if link.is_coded else 0.0
        try:
            tensors = unpack_tensors(link.carried, message, [part.buffer for part in parts])
        except Exception as error:  # of whatever library
            # Its place in the window is taken, and who waits for it must hear that it will not come.
            self._drops.add(error.reason if isinstance(error, WireError) else "unreadable", link.spec.id)
            self._handler.loss_arrived(link.spec.id, message.frame, message.route, UNREADABLE)
            return
        if link.is_coded:
            link.coding_s += time.thread_time() - begin_s
        link.passed(sum(header.byte_length for header in message.tensors))
        self._handler.frame_arrived(link.spec.id, message.frame, message.route, tensors)

    def _credit(self, link: LinkState, message: CreditMessage) -> None:
        if not 0 <= message.count <= link.spec.window:
            raise WireError("bad_credit")
        now_s = time.monotonic()
        if not message.reset:
            allowed = link.allow(message.count, now_s)
            if allowed < message.count:
                self._drops.add("bad_credit", link.spec.id)
            self._handler.credited(link.spec.id, allowed, None)
            if link.held:
                self._flush(link)
            return
        if link.other == STUDIO_PEER:
            # It does not wait for our `Open`: this is how it says that it is here, or here again. What is reported lost
            # now takes places of its new window; it grants one for every message, also for what it has seen.
            since = link.sent - len(link.unacknowledged)
            self._report_broken(link)
            link.limit = since + message.count
        elif message.at is None or not 0 <= message.at <= link.sent:
            raise WireError("bad_credit")
        else:
            since = message.at
            link.allow_since(since, message.count, now_s)
        self._handler.credited(link.spec.id, message.count, since)
        self._flush(link)
