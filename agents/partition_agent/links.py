"""The data plane of one peer in one deployment: links to other devices, with credits, over encrypted sockets.

Used by the agent and by the studio's front door. One thread owns the sockets; `DataPlane`'s methods hand over to it,
and `LinkHandler` is called by it. How much may be under way is the handler's to decide (see `pipeline`): here every
sent frame is remembered by number until its consumer has begun it, and after a broken connection the producer reports
those as lost before it asks for credit anew. The consumer ignores what it has seen, so that nothing is lost in silence.
"""

import logging
import os
import threading
import time
from collections import deque
from typing import Any, Callable, Deque, Dict, Iterator, List, Mapping, Optional, Sequence, Tuple

import zmq

from partition_agent.link_state import LinkHandler, LinkState, LinkTotals
from partition_agent.protocol import (
    MAX_HEADER_BYTES,
    STUDIO_PEER,
    CreditMessage,
    DataMessage,
    FrameMessage,
    FrameRoute,
    LinkSpec,
    LostMessage,
    OpenMessage,
    PeerAddress,
)
from partition_agent.sockets import Admission, KeyPair, Outbound, SocketError, open_listener
from partition_agent.wire import FRAME_LIMIT, Tensors, WireError, pack, pack_frame, unpack, unpack_tensors

logger = logging.getLogger(__name__)

#: Why a peer is told that frames are lost which may have been on a connection that broke.
BROKEN = "the connection between two devices broke"

#: A reason of a loss is cut to this length.
MAX_REASON = 500

#: Messages taken from one socket before the others have their turn.
_BURST = 32

#: One line of the log per reason and this many seconds.
_LOG_EVERY_S = 10.0

#: A peer that refuses us is tried again after so long, then after twice as long ...
_RETRY_S = 0.02
_RETRY_MAX_S = 2.0

_CALL_S = 15.0


class DataPlane:
    """The sockets of one peer of one deployment and epoch."""

    def __init__(
        self,
        *,
        device: str,
        deployment: str,
        epoch: int,
        links: Sequence[LinkSpec],
        handler: LinkHandler,
        bind_host: Optional[str],
    ) -> None:
        """Open the listener (none when `bind_host` is None) and start the thread. Raises SocketError, CodecError."""
        self._device, self._deployment, self._epoch = device, deployment, epoch
        self._links = {s.id: LinkState(s, device) for s in links if s.producer_device != s.consumer_device}
        self._handler = handler
        self._keys = KeyPair()
        self._context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
        self._largest_part = 1024 + max([MAX_HEADER_BYTES, *(link.frame_bytes for link in self._links.values())])
        self._queue = 64 + 4 * sum(link.spec.window for link in self._links.values())
        self._admission = Admission(self._context)
        self._listener: Optional[zmq.Socket[bytes]] = None
        self.port = 0
        try:
            if bind_host is not None:
                self._listener, self.port = open_listener(
                    self._context, bind_host, self._keys, self._queue, self._largest_part
                )
        except SocketError:
            self._context.destroy(linger=0)
            raise
        self._outbound: Dict[str, Outbound] = {}
        #: Who refused us: when to try again, and the pause before that.
        self._refusals: Dict[str, Tuple[float, float]] = {}
        #: Where to answer each peer that connected to our listener.
        self._identities: Dict[str, bytes] = {}
        self._dropped: Dict[str, int] = {}
        self._logged_s: Dict[str, float] = {}
        self._orders: Deque[Callable[[], object]] = deque()
        self._wake_reader, self._wake_writer = os.pipe()
        os.set_blocking(self._wake_reader, False)
        os.set_blocking(self._wake_writer, False)
        self._lock = threading.Lock()
        self._awake = False
        self._stopping = False
        self._closed = False
        self._poller = zmq.Poller()
        self._thread = threading.Thread(target=self._run, name=f"links {deployment}/{epoch}", daemon=True)
        self._thread.start()

    # --- from any thread ---------------------------------------------------------------------------------------------

    @property
    def public_key(self) -> str:
        """Our CURVE public key (Z85)."""
        return self._keys.public

    def connect(self, peers: Sequence[PeerAddress]) -> None:
        """Admit exactly these peers, and connect to those that we send to. Raises SocketError.

        The studio connects to everybody it shares a link with, for it listens nowhere.
        """
        done = threading.Event()
        failure: List[SocketError] = []

        def order() -> None:
            try:
                self._connect(peers)
            except SocketError as error:
                failure.append(error)
            finally:
                done.set()

        self._post(order)
        if not done.wait(_CALL_S):
            raise SocketError("the data sockets do not answer")
        if failure:
            raise failure[0]

    def send(self, link: str, frame: int, route: FrameRoute, tensors: Tensors) -> None:
        """Send a frame for which there is credit; its arrays must not be changed any more."""
        target = self._links[link]
        parts = pack_frame(self._deployment, self._epoch, target.spec, frame, route, tensors)
        self._post(lambda: self._send(target, frame, route, parts))

    def send_lost(self, link: str, frame: int, route: FrameRoute, reason: str) -> None:
        """Tell the consumer that a frame will not come; takes a credit as a frame does."""
        target = self._links[link]
        self._post(lambda: self._send(target, frame, route, [self._lost(target, frame, route, reason)]))

    def grant(self, link: str, count: int, *, reset: bool = False) -> None:
        """Allow the producer of a link more frames; with `reset` in answer to `link_opened`."""
        target = self._links[link]
        message = CreditMessage(self._deployment, self._epoch, link, count, reset, target.asked_at if reset else None)
        self._post(lambda: self._transmit(target, [pack(message)]))

    def totals(self) -> Mapping[str, LinkTotals]:
        """Return the running totals of each link."""
        return {
            name: LinkTotals(link.frames, link.bytes, 0, 0)
            if link.is_producer
            else LinkTotals(0, 0, link.frames, link.bytes)
            for name, link in self._links.items()
        }

    def dropped(self) -> Dict[str, int]:
        """Return how many messages were refused, by reason."""
        counts = dict(self._dropped)
        if self._admission.refused:
            counts["not_admitted"] = self._admission.refused
        return counts

    def drop(self, reason: str, link: str = "", count: int = 1) -> None:
        """Count refused messages; say so in the log, but not for each."""
        self._dropped[reason] = self._dropped.get(reason, 0) + count
        now_s = time.monotonic()
        if now_s - self._logged_s.get(reason, -_LOG_EVERY_S) >= _LOG_EVERY_S:
            self._logged_s[reason] = now_s
            fields = {"reason": reason, "link": link, "deployment": self._deployment, "total": self._dropped[reason]}
            logger.warning("message_dropped", extra=fields)

    def close(self) -> None:
        """Close every socket and forget the keys; what was not sent is dropped. May be called again."""
        if self._thread.is_alive() and threading.current_thread() is not self._thread:
            self._stopping = True
            self._post(lambda: None)
            self._thread.join()

    # --- the thread --------------------------------------------------------------------------------------------------

    def _post(self, order: Callable[[], object]) -> None:
        # What is posted is bounded by the credits of the links.
        with self._lock:
            if self._closed:
                return
            self._orders.append(order)
            if not self._awake and threading.current_thread() is not self._thread:
                self._awake = True
                os.write(self._wake_writer, b"\0")

    def _run(self) -> None:
        try:
            self._poller.register(self._wake_reader, zmq.POLLIN)
            self._poller.register(self._admission.socket, zmq.POLLIN)
            if self._listener is not None:
                self._poller.register(self._listener, zmq.POLLIN)
            while not self._stopping:
                self._turn()
        except Exception:
            logger.exception("data_plane_failed", extra={"deployment": self._deployment, "epoch": self._epoch})
            raise
        finally:
            for outbound in self._outbound.values():
                outbound.close()
            self._context.destroy(linger=0)
            with self._lock:
                self._closed = True
                self._orders.clear()
                os.close(self._wake_reader)
                os.close(self._wake_writer)

    def _turn(self) -> None:
        ready = dict(self._poller.poll(self._patience_ms()))
        if self._wake_reader in ready:
            # In this order: who posts from now on wakes us again, and what was posted before is done below.
            os.read(self._wake_reader, 64)
            self._awake = False
        if self._admission.socket in ready:
            self._admission.answer()
        for outbound in list(self._outbound.values()):
            if outbound.monitor in ready:
                for event in outbound.events():
                    self._connection_changed(outbound, event)
        self._try_again()
        self._ask_again()
        for outbound in list(self._outbound.values()):
            if outbound.socket in ready:
                self._take(outbound.socket, outbound.peer.device)
        if self._listener is not None and self._listener in ready:
            self._take(self._listener, None)
        for _ in range(len(self._orders)):
            self._orders.popleft()()

    def _take(self, socket: "zmq.Socket[bytes]", device: Optional[str]) -> None:
        """Take what has come to a socket; `device` is who is at its other end, None for the listener."""
        for _ in range(_BURST):
            try:
                parts = socket.recv_multipart(zmq.NOBLOCK, copy=False)
            except zmq.Again:
                return
            try:
                self._message(device, parts)
            except WireError as error:
                self.drop(error.reason)

    def _message(self, device: Optional[str], parts: List[Any]) -> None:
        if device is None:
            identity, parts = parts[0].bytes, parts[1:]
            device = self._sender(parts)
            self._identities[device] = identity
        message = unpack(parts[0].buffer) if parts else None
        if message is None:
            raise WireError("empty")
        link = self._links.get(message.link)
        if message.deployment != self._deployment or message.epoch != self._epoch:
            raise WireError("wrong_epoch")
        if link is None:
            raise WireError("unknown_link")
        if link.other != device or link.is_producer != isinstance(message, CreditMessage):
            raise WireError("wrong_peer")
        if isinstance(message, (FrameMessage, LostMessage)) and not 0 <= message.frame < FRAME_LIMIT:
            raise WireError("bad_frame_number")
        self._dispatch(link, message, parts[1:])

    def _sender(self, parts: List[Any]) -> str:
        """Return the device whose key a message to the listener came under."""
        try:
            key = parts[0].get("User-Id")
        except (IndexError, zmq.ZMQError):
            raise WireError("unknown_peer") from None
        device = self._admission.allowed.get(key)
        if device is None:
            # It was admitted once: another key is in its place now.
            raise WireError("unknown_peer")
        return device

    def _dispatch(self, link: LinkState, message: DataMessage, parts: List[Any]) -> None:
        if isinstance(message, FrameMessage):
            tensors = unpack_tensors(link.spec, message, [part.buffer for part in parts])
            link.frames += 1
            link.bytes += link.frame_bytes
            self._handler.frame_arrived(link.spec.id, message.frame, message.route, tensors)
        elif parts:
            raise WireError("wrong_tensors")
        elif isinstance(message, LostMessage):
            reason = message.reason[:MAX_REASON]
            self._handler.loss_arrived(link.spec.id, message.frame, message.route, reason)
        elif isinstance(message, OpenMessage):
            link.asked_at = message.at
            self._handler.link_opened(link.spec.id)
        else:
            self._credit(link, message)

    def _credit(self, link: LinkState, message: CreditMessage) -> None:
        if not 0 <= message.count <= link.spec.window:
            raise WireError("bad_credit")
        now_s = time.monotonic()
        if not message.reset:
            link.allow(message.count, now_s)
            self._handler.credited(link.spec.id, message.count, None)
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

    # --- connections -------------------------------------------------------------------------------------------------

    def _connect(self, peers: Sequence[PeerAddress]) -> None:
        here = {peer.device: peer for peer in peers if peer.device != self._device}
        wanted = {
            link.other
            for link in self._links.values()
            if link.other != STUDIO_PEER and (link.is_producer or self._device == STUDIO_PEER)
        }
        missing = sorted({link.other for link in self._links.values()} - set(here))
        if missing:
            raise SocketError(f"no address was given of {', '.join(missing)}, which shares a link with {self._device}")
        keys = {device: key for key, device in self._admission.allowed.items()}
        self._admission.allowed.clear()
        self._admission.allowed.update({peer.public_key: device for device, peer in here.items()})
        for device, peer in here.items():
            if keys.get(device) != peer.public_key:
                self._forget(device)
        for device in list(self._outbound):
            if device not in wanted or self._outbound[device].peer != here[device]:
                self._disconnect(device)
                self._refusals.pop(device, None)
        for device in sorted(wanted - set(self._outbound)):
            self._open(here[device])

    def _forget(self, device: str) -> None:
        """Begin anew with a peer that came back under another key: it knows nothing of what was before."""
        self._identities.pop(device, None)
        for link in self._links.values():
            if link.other == device:
                link.unacknowledged.clear()

    def _disconnect(self, device: str) -> None:
        outbound = self._outbound.pop(device)
        self._poller.unregister(outbound.socket)
        self._poller.unregister(outbound.monitor)
        outbound.close()

    def _open(self, peer: PeerAddress) -> None:
        outbound = Outbound(self._context, peer, self._keys, self._queue, self._largest_part)
        self._outbound[peer.device] = outbound
        self._poller.register(outbound.socket, zmq.POLLIN)
        self._poller.register(outbound.monitor, zmq.POLLIN)

    def _patience_ms(self) -> Optional[int]:
        if self._orders:
            return 0
        moments = [at_s for at_s, _ in self._refusals.values()]
        moments += [link.ask_again_s for link in self._starved()]
        if not moments:
            return None
        wait_s = min(moments) - time.monotonic()
        return int(min(max(wait_s, 0.0) * 1e3 + 1, 60_000))

    def _try_again(self) -> None:
        """Connect anew to those who refused us a while ago: they may only now have been told to admit us."""
        now_s = time.monotonic()
        for device, (at_s, _) in self._refusals.items():
            outbound = self._outbound.get(device)
            if at_s <= now_s and outbound is not None and not outbound.connected:
                self._disconnect(device)
                self._open(outbound.peer)
                self._refusals[device] = (float("inf"), self._refusals[device][1])

    def _connection_changed(self, outbound: Outbound, event: str) -> None:
        device = outbound.peer.device
        if event == "refused":
            _, pause_s = self._refusals.get(device, (0.0, _RETRY_S / 2))
            pause_s = min(pause_s * 2, _RETRY_MAX_S)
            self._refusals[device] = (time.monotonic() + pause_s, pause_s)
            return
        logger.info("peer_connection", extra={"peer": device, "event": event, "deployment": self._deployment})
        if event == "disconnected":
            return
        self._refusals.pop(device, None)
        for link in self._links.values():
            if link.other == device and link.is_producer:
                self._report_broken(link)
                self._ask(link)
                self._flush(link)
            elif link.other == device and self._device == STUDIO_PEER:
                # Nobody asks us, for nobody connects to us. Between devices the producer asks, over its own connection:
                # what was said here to one that had sent already would be taken for more than was seen of it.
                self._handler.link_opened(link.spec.id)

    def _ask(self, link: LinkState) -> None:
        at = link.asked(time.monotonic())
        self._transmit(link, [pack(OpenMessage(self._deployment, self._epoch, link.spec.id, at))])

    def _ask_again(self) -> None:
        now_s = time.monotonic()
        for link in self._starved():
            if link.ask_again_s <= now_s:
                self._ask(link)

    def _starved(self) -> Iterator[LinkState]:
        """The links that begin here and cannot go on; those to the studio are opened by it alone."""
        for link in self._links.values():
            if link.is_producer and link.other != STUDIO_PEER and link.is_starved:
                outbound = self._outbound.get(link.other)
                if outbound is not None and outbound.connected:
                    yield link

    def _report_broken(self, link: LinkState) -> None:
        for frame, route in link.unacknowledged:
            self._transmit(link, [self._lost(link, frame, route, BROKEN)])

    # --- sending -----------------------------------------------------------------------------------------------------

    def _lost(self, link: LinkState, frame: int, route: FrameRoute, reason: str) -> bytes:
        return pack(LostMessage(self._deployment, self._epoch, link.spec.id, frame, reason[:MAX_REASON], route))

    def _send(self, link: LinkState, frame: int, route: FrameRoute, parts: List[Any]) -> None:
        if link.held or not self._transmit(link, parts):
            # Its credit bounds what is held: the window of the link.
            link.held.append((frame, route, parts))
            return
        link.sent += 1
        link.unacknowledged.append((frame, route))
        if len(parts) > 1:
            link.frames += 1
            link.bytes += link.frame_bytes

    def _flush(self, link: LinkState) -> None:
        held, link.held = link.held, deque()
        for frame, route, parts in held:
            self._send(link, frame, route, parts)

    def _transmit(self, link: LinkState, parts: List[Any]) -> bool:
        """Send to the other end of a link; return whether that could be done now.

        Frames go over the producer's connection, and credits come back over the same: so they keep their order. Only
        the studio, which listens nowhere, is reached over the connection that it made.
        """
        try:
            if self._device == STUDIO_PEER or (link.is_producer and link.other != STUDIO_PEER):
                outbound = self._outbound.get(link.other)
                if outbound is None or not outbound.connected:
                    return False
                outbound.socket.send_multipart(parts, zmq.NOBLOCK, copy=False)
                return True
            identity = self._identities.get(link.other)
            if identity is None or self._listener is None:
                return False
            self._listener.send_multipart([identity, *parts], zmq.NOBLOCK, copy=False)
            return True
        except zmq.ZMQError as error:
            if error.errno == zmq.EHOSTUNREACH:
                self._identities.pop(link.other, None)
            else:
                self.drop("peer_blocked", link.spec.id)
            return False
