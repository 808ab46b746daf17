"""The connections of one data plane to its peers: who is at the other end of each, and whether it stands.

Between two devices the producer connects, and what its consumer answers comes back over the same connection: so they
keep their order. Only the studio, which listens nowhere, connects to everybody.
"""

import logging
import select
import time
from typing import Any, Callable, Dict, List, Mapping, Optional, Set, Tuple

import zmq

from partition_agent.data_plane.sockets import (
    Admission,
    KeyPair,
    Limits,
    ListenerEvents,
    Outbound,
    SocketError,
    end_message,
    open_listener,
    property_of,
)
from partition_agent.data_plane.tcp_watch import CAN_WATCH, LOOK_EVERY_S, TcpWatch
from partition_agent.data_plane.wire import WireError
from partition_agent.protocol import PeerAddress

logger = logging.getLogger(__name__)

Parts = List[Any]

#: `(device, parts)`: a message, and who sent it.
OnMessage = Callable[[str, Parts], None]

#: `(device, connected)`: our own connection to a peer was made or broke.
OnChange = Callable[[str, bool], None]

#: Plain numbers: combining the library's own takes as long as sending.
_POLLIN = int(zmq.POLLIN)
_NOBLOCK = int(zmq.NOBLOCK)
_NOBLOCK_MORE = _NOBLOCK | int(zmq.SNDMORE)

#: Messages taken from one socket before the others have their turn.
_BURST = 32

#: A peer that refuses us is tried again after so long, then after twice as long ...
_RETRY_S = 0.02
_RETRY_MAX_S = 2.0

#: So many connections to the listener beyond a few for each peer may stand; then the oldest strangers are cut.
_SPARE_CONNECTIONS = 64


class Connections:
    """The sockets. Used by one thread at a time; `wait` may run beside it. `drop` counts what is refused."""

    def __init__(
        self,
        device: str,
        bind_host: Optional[str],
        limits: Limits,
        drop: Callable[[str], None],
        *,
        plaintext: bool,
    ) -> None:
        """Open the listener (none when `bind_host` is None). Raises SocketError."""
        self._device, self._limits, self._drop = device, limits, drop
        self._keys = None if plaintext else KeyPair()
        self._context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
        self._admission = Admission(self._context)
        #: Without keys: the names that are believed.
        self._names: Set[str] = set()
        self._peers: Dict[str, PeerAddress] = {}
        self._listener: Optional[zmq.Socket[bytes]] = None
        self._listener_events: Optional[ListenerEvents] = None
        self._outbound: Dict[str, Outbound] = {}
        #: Who refused us: when to try again, and the pause before that.
        self._refusals: Dict[str, Tuple[float, float]] = {}
        #: Where to answer each peer that connected to our listener, and over which connection it spoke last.
        self._identities: Dict[str, bytes] = {}
        self._inbound: Dict[str, int] = {}
        #: How often a connection was made, by peer and by whether it is ours.
        self._made: Dict[Tuple[str, bool], int] = {}
        self._watch = TcpWatch(limits.unread_bytes)
        #: When a look is due, and when the thread wakes up for one.
        self._look_at_s = self._look_by_s = 0.0
        #: Connections that were quiet, and are waited for by themselves: what comes next may never become a message.
        self._alarms: Set[int] = set()
        self._poll = select.poll()
        #: Asking a socket for its descriptor costs more than waiting does.
        self._descriptors: Dict[zmq.Socket[bytes], int] = {}
        #: How a socket is asked whether it has more: asking for its option takes twice as long.
        self._questions: Dict[zmq.Socket[bytes], List[Tuple[zmq.Socket[bytes], int]]] = {}
        self._ready: Set[int] = set()
        #: Sockets that may have more, whatever their descriptor says: using a socket takes its signal away.
        self._unread: Set[zmq.Socket[bytes]] = set()
        self.port = 0
        try:
            if bind_host is not None:
                self._listen(bind_host)
        except SocketError:
            self._context.destroy(linger=0)
            raise
        self._register(self._admission.socket)

    def _listen(self, host: str) -> None:
        self._listener, self.port = open_listener(
            self._context, host, self._keys, self._limits.queue, self._limits.part_bytes
        )
        self._listener_events = ListenerEvents(self._listener)
        self._register(self._listener)
        self._register(self._listener_events.socket)

    @property
    def public_key(self) -> str:
        """Our CURVE public key (Z85), or nothing in plain text."""
        return "" if self._keys is None else self._keys.public

    @property
    def refused(self) -> int:
        """How often somebody was not let in."""
        return self._admission.refused

    @property
    def has_unread(self) -> bool:
        """Whether something may wait to be taken that `wait` would not wake up for."""
        return bool(self._unread)

    def is_connected(self, device: str, *, over_ours: bool) -> bool:
        """Whether our connection to a peer, or the one that it made, stands."""
        if over_ours:
            outbound = self._outbound.get(device)
            return outbound is not None and outbound.connected
        return self._inbound.get(device, -1) in self._watch if CAN_WATCH else device in self._identities

    def reconnects(self, device: str, *, over_ours: bool) -> int:
        """Return how often that connection was made anew."""
        return max(self._made.get((device, over_ours), 0) - 1, 0)

    # --- waiting -----------------------------------------------------------------------------------------------------

    def _register(self, socket: "zmq.Socket[bytes]") -> None:
        descriptor = self._descriptors[socket] = socket.fileno()
        self._alarms.discard(descriptor)
        self._questions[socket] = [(socket, _POLLIN)]
        self._poll.register(descriptor, select.POLLIN)
        # What came before was signalled to nobody.
        self._ready.add(descriptor)

    def _unregister(self, socket: "zmq.Socket[bytes]") -> None:
        descriptor = self._descriptors.pop(socket)
        del self._questions[socket]
        self._poll.unregister(descriptor)
        self._ready.discard(descriptor)
        self._unread.discard(socket)

    def also_wait_for(self, descriptor: int) -> None:
        """Wake up for that, too."""
        self._poll.register(descriptor, select.POLLIN)

    def wait(self, patience_ms: Optional[float]) -> Set[int]:
        """Wait until there is something to do; return the descriptors that are ready."""
        ready = {descriptor for descriptor, _ in self._poll.poll(patience_ms)}
        self._ready |= ready
        if not self._alarms.isdisjoint(ready):
            self._look_soon()
        return ready

    def next_s(self) -> float:
        """Return when there is something to do though nothing comes."""
        look_s = self._look_by_s if CAN_WATCH and len(self._watch) else float("inf")
        return min([look_s, *(at_s for at_s, _ in self._refusals.values())]) if self._refusals else look_s

    # --- what happens ------------------------------------------------------------------------------------------------

    def take(self, on_message: OnMessage, on_change: OnChange) -> None:
        """Take what has come, and see to the connections."""
        descriptors, ready = self._descriptors, self._ready
        self._ready = set()
        if descriptors[self._admission.socket] in ready:
            while self._has_more(self._admission.socket):
                self._admission.answer()
        if self._listener_events is not None and descriptors[self._listener_events.socket] in ready:
            self._listener_changed(self._listener_events)
        for outbound in list(self._outbound.values()):
            if outbound.monitor is not None and descriptors[outbound.monitor] in ready:
                for event in outbound.events():
                    self._outbound_changed(outbound, event, on_change)
        self._try_again()
        unread, self._unread = self._unread, set()
        for outbound in list(self._outbound.values()):
            if outbound.socket in unread or descriptors[outbound.socket] in ready:
                self._take_all(outbound.socket, outbound, on_message)
        listener = self._listener
        if listener is not None and (listener in unread or descriptors[listener] in ready):
            self._take_all(listener, None, on_message)
        self._look()

    def _take_all(self, socket: "zmq.Socket[bytes]", outbound: Optional[Outbound], on_message: OnMessage) -> None:
        for _ in range(_BURST):
            if not self._has_more(socket):
                return
            try:
                parts = self._receive(socket)
                if outbound is None:
                    device = self._sender(parts)
                    parts = parts[1:]
                else:
                    device = outbound.peer.device
                    self._watch.moved(outbound.descriptor or -1)
                on_message(device, parts)
            except WireError as error:
                self._drop(error.reason)
        self._unread.add(socket)

    def _has_more(self, socket: "zmq.Socket[bytes]") -> bool:
        return bool(zmq.zmq_poll(self._questions[socket], 0))

    def _receive(self, socket: "zmq.Socket[bytes]") -> Parts:
        """Take one message, but not more parts than tell that it has too many. All of them are there."""
        part: Any = socket.recv(_NOBLOCK, copy=False)
        parts = [part]
        while part.more:
            part = socket.recv(_NOBLOCK, copy=False)
            if len(parts) < self._limits.parts:
                parts.append(part)
        return parts

    def _sender(self, parts: Parts) -> str:
        """Return the device that sent a message to the listener, and note where it can be answered."""
        identity = bytes(parts[0].buffer)
        descriptor = property_of(parts[0], zmq.SRCFD)
        self._watch.moved(descriptor)
        if self._keys is None:
            device: Optional[str] = identity.decode("utf-8", "replace")
            device = device if device in self._names else None
        else:
            device = self._admission.allowed.get(property_of(parts[0], "User-Id"))
        if device is None:
            # It was admitted once: another key is in its place now.
            raise WireError("unknown_peer")
        if self._inbound.get(device) != descriptor or self._identities.get(device) != identity:
            self._identities[device] = identity
            self._inbound[device] = descriptor
            self._count(device, over_ours=False)
        return device

    def _count(self, device: str, *, over_ours: bool) -> None:
        self._made[device, over_ours] = self._made.get((device, over_ours), 0) + 1

    def _look(self) -> None:
        """See after the connections, when nothing whole waits to be taken."""
        now_s = time.monotonic()
        if not CAN_WATCH or now_s < self._look_at_s or self._unread:
            return
        for reason in self._watch.look(now_s):
            self._drop(reason)
        pause_s = self._watch.pause_s() or 0.0
        self._look_at_s = now_s + pause_s
        # While messages come, who takes one looks, too: nobody wakes up for that alone.
        self._look_by_s = self._look_at_s + (LOOK_EVERY_S if pause_s == LOOK_EVERY_S else 0.0)
        self._set_alarms(self._watch.descriptors if self._watch.is_quiet else [])

    def _look_soon(self) -> None:
        """Something came, or will: look in a moment what it comes to."""
        self._set_alarms([])
        self._look_by_s = self._look_at_s = min(self._look_at_s, time.monotonic() + LOOK_EVERY_S)

    def _set_alarms(self, descriptors: List[int]) -> None:
        """Wake up when anything comes on these connections; one that was closed since does no harm."""
        for descriptor in self._alarms.difference(descriptors):
            self._poll.unregister(descriptor)
        for descriptor in set(descriptors).difference(self._alarms):
            self._poll.register(descriptor, select.POLLIN)
        self._alarms = set(descriptors)

    def _listener_changed(self, events: ListenerEvents) -> None:
        for came, descriptor in events.take():
            if not came:
                self._watch.closed(descriptor)
                continue
            self._watch.opened(descriptor, local_port=self.port)
            self._look_soon()
            if len(self._watch) > _SPARE_CONNECTIONS + 2 * len(self._peers):
                self._drop("too_many_connections")
                self._watch.cut_oldest_stranger()

    def _outbound_changed(self, outbound: Outbound, event: str, on_change: OnChange) -> None:
        device = outbound.peer.device
        if event == "refused":
            _, pause_s = self._refusals.get(device, (0.0, _RETRY_S / 2))
            pause_s = min(pause_s * 2, _RETRY_MAX_S)
            self._refusals[device] = (time.monotonic() + pause_s, pause_s)
            return
        logger.info("peer_connection", extra={"peer": device, "event": event})
        if event == "connected":
            self._refusals.pop(device, None)
            self._count(device, over_ours=True)
            if outbound.descriptor is not None:
                self._watch.opened(outbound.descriptor, remote_port=outbound.peer.port)
                self._look_soon()
        on_change(device, event == "connected")

    def _try_again(self) -> None:
        """Connect anew to those who refused us a while ago: they may only now have been told to admit us."""
        now_s = time.monotonic()
        for device, (at_s, _) in self._refusals.items():
            outbound = self._outbound.get(device)
            if at_s <= now_s and outbound is not None and not outbound.connected:
                self._disconnect(device)
                self._open(outbound.peer)
                self._refusals[device] = (float("inf"), self._refusals[device][1])

    # --- whom to talk to ---------------------------------------------------------------------------------------------

    def admit(self, peers: Mapping[str, PeerAddress], wanted: Set[str]) -> List[str]:
        """Admit exactly these peers and connect to the wanted ones; return who came back as another.

        Raises SocketError.
        """
        others = [device for device, peer in peers.items() if not self._is_known(device, peer)]
        self._admission.allowed.clear()
        self._admission.allowed.update({peer.public_key: device for device, peer in peers.items() if peer.public_key})
        self._names = set(peers) if self._keys is None else set()
        self._peers = dict(peers)
        for device in others:
            self._identities.pop(device, None)
        for device in list(self._outbound):
            if device not in wanted or self._outbound[device].peer != peers[device]:
                self._disconnect(device)
                self._refusals.pop(device, None)
        for device in sorted(wanted - set(self._outbound)):
            self._open(peers[device])
        return others

    def _is_known(self, device: str, peer: PeerAddress) -> bool:
        return device in self._peers and self._peers[device].public_key == peer.public_key

    def _open(self, peer: PeerAddress) -> None:
        limits = self._limits
        outbound = Outbound(self._context, peer, self._keys, limits.queue, limits.part_bytes, self._device)
        self._outbound[peer.device] = outbound
        self._register(outbound.socket)
        if outbound.monitor is not None:
            self._register(outbound.monitor)

    def _disconnect(self, device: str) -> None:
        outbound = self._outbound.pop(device)
        for socket in (outbound.socket, outbound.monitor):
            if socket is not None:
                self._unregister(socket)
        outbound.close()

    # --- sending -----------------------------------------------------------------------------------------------------

    def send(self, device: str, parts: Parts, *, over_ours: bool) -> bool:
        """Send over our own connection to a peer, or over the one that it made; return whether that could be done."""
        if over_ours:
            outbound = self._outbound.get(device)
            if outbound is None or not outbound.connected:
                return False
            return self._send(outbound.socket, device, parts)
        identity = self._identities.get(device)
        if identity is None or self._listener is None:
            return False
        return self._send(self._listener, device, [identity, *parts])

    def _send(self, socket: "zmq.Socket[bytes]", device: str, parts: Parts) -> bool:
        # Whether there is room is decided with the first part; small ones are copied all the same.
        last, place = len(parts) - 1, 0
        try:
            for place, part in enumerate(parts):
                socket.send(part, _NOBLOCK if place == last else _NOBLOCK_MORE, copy=isinstance(part, bytes))
            return True
        except Exception as error:
            code = error.errno if isinstance(error, zmq.ZMQError) else None
            if code is None:  # no memory, or no thread for what is not copied
                logger.exception("part_not_sent", extra={"peer": device})
            elif code == zmq.EHOSTUNREACH:
                self._identities.pop(device, None)
            elif socket is self._listener:
                self._drop("peer_blocked")
            # Else our own connection has just broken, and we are about to be told.
            if place:
                end_message(socket)
            # Who gets the header of a frame without the rest says that it is lost; what was refused is taken back.
            return code != zmq.EAGAIN and place > (socket is self._listener)
        finally:
            if self._has_more(socket):
                self._unread.add(socket)

    def close(self) -> None:
        """Close every socket; what was not sent is dropped."""
        for outbound in self._outbound.values():
            outbound.close()
        if self._listener_events is not None:
            self._listener_events.close()
        self._context.destroy(linger=0)
