"""The sockets of one deployment: who may come in, and the connections out. Encrypted, unless somebody measures."""

import itertools
from contextlib import suppress
from typing import Any, Dict, List, NamedTuple, Optional, Tuple

import zmq
from zmq.utils import z85
from zmq.utils.monitor import recv_monitor_message

from partition_agent.data_plane.tcp_watch import CAN_WATCH
from partition_agent.protocol import PeerAddress

#: A connection on which nothing passes is probed by the kernel after so long, so often, and then taken for broken.
KEEPALIVE_IDLE_S = 15
KEEPALIVE_EVERY_S = 15
KEEPALIVE_PROBES = 4

#: Where the kernel does not tell of its connections, a peer that says nothing for this long is taken for gone instead.
HEARTBEAT_EVERY_MS = 10_000
HEARTBEAT_TIMEOUT_MS = 60_000

#: A handshake that takes longer is given up, and the connection is made anew. At 1 kbit/s it takes 7 s.
HANDSHAKE_MS = 30_000

#: An attempt to connect is given up and made again: the kernel's own next one may be half a minute away.
CONNECT_MS = 5_000

RECONNECT_MS = 50
RECONNECT_MAX_MS = 2_000

#: What is shorter is copied when it is sent: to be told when its memory is free again takes longer, in a thread of
#: pyzmq's own that is woken up for each.
COPIED_BYTES = 256 * 1024

_ZAP_ENDPOINT = "inproc://zeromq.zap.01"
_numbers = itertools.count()
_OUTBOUND_EVENTS = zmq.EVENT_CONNECTED | zmq.EVENT_HANDSHAKE_SUCCEEDED | zmq.EVENT_DISCONNECTED
_LISTENER_EVENTS = zmq.EVENT_ACCEPTED | zmq.EVENT_DISCONNECTED


class Limits(NamedTuple):
    """What a socket may hold: messages each way, bytes of a part, parts of a message, bytes that are not whole yet."""

    queue: int
    part_bytes: int
    parts: int
    unread_bytes: int


class SocketError(Exception):
    """A socket cannot be opened as asked; the message is for the person."""


class KeyPair:
    """A CURVE key pair; the secret half never leaves this object's process."""

    def __init__(self) -> None:
        public, self.secret = zmq.curve_keypair()
        self.public: str = public.decode()


class Admission:
    """Answers ZeroMQ's question whether the holder of a key may come in: only those in `allowed`, at first nobody."""

    def __init__(self, context: "zmq.Context[Any]") -> None:
        self.socket: zmq.Socket[bytes] = context.socket(zmq.REP)
        self.socket.linger = 0
        self.socket.bind(_ZAP_ENDPOINT)
        self.allowed: Dict[str, str] = {}
        self.refused = 0

    def answer(self) -> None:
        """Answer one question."""
        request = self.socket.recv_multipart()
        version, number, mechanism = request[0], request[1], request[5]
        key = z85.encode(request[6]).decode() if mechanism == b"CURVE" and len(request) == 7 else ""
        if key in self.allowed:
            reply = [version, number, b"200", b"OK", key.encode(), b""]
        else:
            # Before anybody is admitted, peers that were told sooner than we knock already: that is no offence.
            self.refused += bool(self.allowed)
            # A temporary refusal: a peer that is admitted a moment later comes in by trying again.
            reply = [version, number, b"400", b"not admitted", b"", b""]
        self.socket.send_multipart(reply)


def end_message(socket: "zmq.Socket[bytes]") -> None:
    """End a message of which parts are missing: else the next one would be part of it."""
    with suppress(zmq.ZMQError):
        socket.send(b"", zmq.NOBLOCK)


def property_of(part: Any, name: Any) -> Any:
    """Return what ZeroMQ says of the connection that a part came over, or None."""
    try:
        return part.get(name)
    except zmq.ZMQError:
        return None


def tcp_address(host: str, port: str) -> str:
    """Return ZeroMQ's name for an address; IPv6, with its zone if it has one, in brackets."""
    return f"tcp://[{host}]:{port}" if ":" in host else f"tcp://{host}:{port}"


def _common(socket: "zmq.Socket[bytes]", queue: int, largest_part: int) -> None:
    socket.linger = 0
    socket.copy_threshold = COPIED_BYTES
    socket.sndhwm = socket.rcvhwm = queue
    socket.setsockopt(zmq.MAXMSGSIZE, largest_part)
    socket.setsockopt(zmq.HANDSHAKE_IVL, HANDSHAKE_MS)
    socket.setsockopt(zmq.TCP_KEEPALIVE, 1)
    socket.setsockopt(zmq.TCP_KEEPALIVE_IDLE, KEEPALIVE_IDLE_S)
    socket.setsockopt(zmq.TCP_KEEPALIVE_INTVL, KEEPALIVE_EVERY_S)
    socket.setsockopt(zmq.TCP_KEEPALIVE_CNT, KEEPALIVE_PROBES)
    if not CAN_WATCH:
        socket.setsockopt(zmq.HEARTBEAT_IVL, HEARTBEAT_EVERY_MS)
        socket.setsockopt(zmq.HEARTBEAT_TIMEOUT, HEARTBEAT_TIMEOUT_MS)
    socket.setsockopt(zmq.IPV6, 1)


def _monitor(socket: "zmq.Socket[bytes]", events: int) -> "zmq.Socket[bytes]":
    # A name of its own: the default one is made of a descriptor, which the next socket may get.
    return socket.get_monitor_socket(events, f"inproc://monitor-{next(_numbers)}")


def open_listener(
    context: "zmq.Context[Any]", host: str, keys: Optional[KeyPair], queue: int, largest_part: int
) -> Tuple["zmq.Socket[bytes]", int]:
    """Return the socket that peers connect to, and its port; without keys it is in plain text. Raises SocketError."""
    socket: zmq.Socket[bytes] = context.socket(zmq.ROUTER)
    try:
        _common(socket, queue, largest_part)
        socket.setsockopt(zmq.ROUTER_MANDATORY, 1)
        if keys is not None:
            socket.curve_server = True
            socket.curve_secretkey = keys.secret
            socket.curve_publickey = keys.public.encode()
            socket.setsockopt(zmq.ZAP_DOMAIN, b"partition-studio")
        else:
            # A peer keeps its name, and comes back before the connection that broke is known to be gone.
            socket.setsockopt(zmq.ROUTER_HANDOVER, 1)
        socket.bind(tcp_address(host, "*"))
    except zmq.ZMQError as error:
        socket.close()
        raise SocketError(f"cannot listen on {host!r}: {error}") from error
    endpoint: bytes = socket.getsockopt(zmq.LAST_ENDPOINT)  # type: ignore[assignment]  # this option is bytes
    return socket, int(endpoint.rstrip(b"\0").rsplit(b":", 1)[1])


class ListenerEvents:
    """What happens to the connections of a listener, by descriptor."""

    def __init__(self, listener: "zmq.Socket[bytes]") -> None:
        """Watch it from now on."""
        self.socket = _monitor(listener, _LISTENER_EVENTS)
        self._listener = listener

    def take(self) -> List[Tuple[bool, int]]:
        """Return what happened since: whether a connection came (else: went), and its descriptor."""
        happened: List[Tuple[bool, int]] = []
        while True:
            try:
                event = recv_monitor_message(self.socket, zmq.NOBLOCK)
            except zmq.Again:
                return happened
            happened.append((event["event"] == zmq.EVENT_ACCEPTED, int(event["value"])))

    def close(self) -> None:
        """Watch no longer."""
        self._listener.disable_monitor()
        self.socket.close(linger=0)


class Outbound:
    """A connection to one peer's listener, which is made again whenever it breaks."""

    def __init__(
        self,
        context: "zmq.Context[Any]",
        peer: PeerAddress,
        keys: Optional[KeyPair],
        queue: int,
        largest_part: int,
        name: str = "",
    ) -> None:
        """Begin to connect; without keys in plain text, as `name`. Raises SocketError for what cannot be."""
        self.peer = peer
        self.connected = False
        #: Of the connection that stands; ZeroMQ closes it.
        self.descriptor: Optional[int] = None
        self.socket: zmq.Socket[bytes] = context.socket(zmq.DEALER)
        self.monitor: Optional[zmq.Socket[bytes]] = None
        try:
            _common(self.socket, queue, largest_part)
            # What was not sent when a connection broke is dropped with it: else it would overtake, over the next one,
            # the news that what went before it is lost.
            self.socket.setsockopt(zmq.IMMEDIATE, 1)
            self.socket.setsockopt(zmq.CONNECT_TIMEOUT, CONNECT_MS)
            self.socket.setsockopt(zmq.RECONNECT_IVL, RECONNECT_MS)
            self.socket.setsockopt(zmq.RECONNECT_IVL_MAX, RECONNECT_MAX_MS)
            if keys is not None:
                self.socket.curve_serverkey = peer.public_key.encode()
                self.socket.curve_secretkey = keys.secret
                self.socket.curve_publickey = keys.public.encode()
            else:
                self.socket.setsockopt(zmq.ROUTING_ID, name.encode())
            self.monitor = _monitor(self.socket, _OUTBOUND_EVENTS)
            self.socket.connect(tcp_address(peer.host, str(peer.port)))
        except (zmq.ZMQError, ValueError, UnicodeError) as error:
            self.close()
            raise SocketError(f"cannot connect to {peer.device} at {peer.host}:{peer.port}: {error}") from error

    def events(self) -> List[str]:
        """Return what happened since: `connected`, `disconnected`, or `refused` when the peer did not let us in.

        ZeroMQ makes a connection anew that is lost, but none that was refused: the caller may try with a new object.
        """
        happened = []
        while self.monitor is not None:
            try:
                event = recv_monitor_message(self.monitor, zmq.NOBLOCK)
            except zmq.Again:
                break
            if event["event"] == zmq.EVENT_CONNECTED:
                self.descriptor = int(event["value"])
                continue
            was_connected, self.connected = self.connected, event["event"] == zmq.EVENT_HANDSHAKE_SUCCEEDED
            self.descriptor = self.descriptor if self.connected else None
            happened.append("connected" if self.connected else "disconnected" if was_connected else "refused")
            # The socket takes notice of its new connection only when asked; sending would not ask at once.
            self.socket.getsockopt(zmq.EVENTS)
        return happened

    def close(self) -> None:
        """Close, and drop what has not been sent."""
        if self.monitor is not None:
            self.socket.disable_monitor()
            self.monitor.close(linger=0)
            self.monitor = None
        self.socket.close(linger=0)
