"""Looks after TCP connections through the kernel's own figures, for what ZeroMQ does not tell.

Two things need it. ZeroMQ hands out a message when its last part has come and bounds its queues by whole messages, so a
peer whose message never ends grows our memory without bound; what a connection has brought since its last whole message
is known to the kernel. And a peer that is gone must be told from one that is slow: heartbeats of the application wait
behind the data, while any acknowledgement, a window that stays closed included, shows that the peer's kernel is there.
"""

import contextlib
import os
import socket
import struct
from typing import Dict, Iterator, List, NamedTuple, Optional, Tuple

#: Whether this system tells.
CAN_WATCH = hasattr(socket, "TCP_INFO")

#: A connection on which nothing of the peer's kernel is heard for so long is cut, if something was sent meanwhile and
#: then given some time: at 1 kbit/s a full segment takes 12 s, and is acknowledged then. Nothing is heard while nothing
#: is sent: the kernel repeats what is not acknowledged after 0.2 s, then after twice as long ... so a peer is found
#: dead after 71 s.
SILENCE_S = 60.0
ANSWER_S = 20.0

#: Where answers were seen to take long (the queue in front of a slow link may hold minutes of it), as many times the
#: longest that the kernel expects; but no longer than this.
ROUND_TRIPS = 2.0
MAX_SILENCE_S = 300.0

#: How often to look while messages come, while what comes does not become whole, and when nothing came for some looks.
LOOK_EVERY_S = 0.1
LOOK_CLOSER_S = 0.03
LOOK_IDLE_S = 1.0
_QUIET_LOOKS = 3

#: What else a connection may bring meanwhile: the handshake, messages without tensors, the framing. Until its first
#: message is taken nobody was allowed to send more.
SLACK_BYTES = 1 << 20

#: Layout of Linux' `struct tcp_info`: `tcpi_probes`, `tcpi_unacked`, `tcpi_last_data_sent`, `tcpi_last_ack_recv`,
#: `tcpi_rtt`, `tcpi_rttvar`, `tcpi_bytes_received`, `tcpi_segs_in`.
_FIELDS = struct.Struct("=3x B 20x I 16x I 8x I 8x I I 52x Q 4x I")
_SIZE = _FIELDS.size

#: `struct linger`: on, and for no time.
_RESET = struct.pack("ii", 1, 0)


class TcpFigures(NamedTuple):
    """What the kernel knows of one connection.

    `asks`: it asked whether the peer is there, or has room again, and has no answer yet. `owes`: the peer has not
    acknowledged all that was sent. `sent_s` and `heard_s` are the times since something was sent, for the first time or
    again, and since any acknowledgement. `answer_s` is the longest that an answer is expected to take (RFC 6298: the
    smoothed round trip and four times its variation).
    """

    asks: bool
    owes: bool
    sent_s: float
    heard_s: float
    received_bytes: int
    answer_s: float = 0.0
    segments: int = 0


class Course:
    """How one connection goes on, look by look. No I/O."""

    def __init__(self) -> None:
        #: Whether a whole message was taken since the last look.
        self.moved = False
        #: Whether anything came between the last two looks.
        self.is_busy = False
        #: Whether any whole message was ever taken.
        self.has_spoken = False
        self._received_bytes = 0
        self._mark_bytes = 0
        self._asks_since_s: Optional[float] = None
        self._segments = 0
        self._segment_s = float("-inf")

    def look(self, figures: TcpFigures, most_bytes: int, now_s: float) -> Optional[str]:
        """Take the figures of now; return why the connection must not go on, or None.

        `most_bytes` of tensors may have come since the last whole message.
        """
        self.is_busy = figures.received_bytes != self._received_bytes
        self._received_bytes = figures.received_bytes
        if self.moved:
            self._mark_bytes, self.moved, self.has_spoken = figures.received_bytes, False, True
        if figures.received_bytes - self._mark_bytes > SLACK_BYTES + self.has_spoken * most_bytes:
            return "endless_message"
        silence_s = min(max(SILENCE_S, ROUND_TRIPS * figures.answer_s), MAX_SILENCE_S)
        if figures.segments != self._segments:
            # What was repeated for nothing acknowledges nothing, and may be all that a slow link passes for minutes.
            self._segments, self._segment_s, self._asks_since_s = figures.segments, now_s, None
        if not figures.asks:
            # A closed window is asked after ever more rarely: only from a question on is an answer to be expected.
            self._asks_since_s = None
        elif self._asks_since_s is None:
            self._asks_since_s = now_s
        elif now_s - self._asks_since_s > silence_s:
            return "peer_silent"
        heard_late = min(figures.heard_s, now_s - self._segment_s) > max(figures.sent_s, silence_s)
        return "peer_silent" if figures.owes and heard_late and figures.sent_s > ANSWER_S else None


class _Connection:
    def __init__(self, ends: Tuple[object, object]) -> None:
        #: By which a connection is known again: its descriptor may be another's by now.
        self.ends = ends
        self.course = Course()
        self.cut = False


class TcpWatch:
    """The connections of one data plane by descriptor. Not thread-safe; the descriptors belong to somebody else."""

    def __init__(self, most_unread_bytes: int) -> None:
        """Allow a connection so many bytes of tensors since its last whole message."""
        self._most_bytes = most_unread_bytes
        self._connections: Dict[int, _Connection] = {}
        self._is_unfinished = False
        self._quiet_looks = 0

    def __contains__(self, descriptor: object) -> bool:
        return descriptor in self._connections

    def __len__(self) -> int:
        return len(self._connections)

    def opened(self, descriptor: int, *, local_port: int = 0, remote_port: int = 0) -> None:
        """Watch a connection, if the descriptor is (still) one from or to that port."""
        with _duplicate(descriptor) as tcp:
            ends = _ends(tcp)
            if ends is None or (local_port or ends[0][1]) != ends[0][1] or (remote_port or ends[1][1]) != ends[1][1]:
                return
            self._connections[descriptor] = _Connection(ends)

    def closed(self, descriptor: int) -> None:
        """Forget a connection."""
        self._connections.pop(descriptor, None)

    def moved(self, descriptor: int) -> None:
        """Note that a whole message was taken from a connection."""
        connection = self._connections.get(descriptor)
        if connection is not None:
            connection.course.moved = True

    def cut(self, descriptor: int) -> None:
        """End a connection; its owner learns of it as of any that breaks."""
        connection = self._connections.get(descriptor)
        with _duplicate(descriptor) as tcp:
            if tcp is not None and connection is not None and _ends(tcp) == connection.ends:
                connection.cut = True
                with contextlib.suppress(OSError):
                    # A reset, when its owner closes it: a peer that fills a closed window would not hear of an end.
                    tcp.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
                    tcp.shutdown(socket.SHUT_RDWR)

    def cut_oldest_stranger(self) -> None:
        """End the oldest connection over which nothing was said yet: who is admitted says something at once."""
        for descriptor, connection in self._connections.items():
            if not (connection.cut or connection.course.has_spoken or connection.course.moved):
                self.cut(descriptor)
                return

    def look(self, now_s: float) -> List[str]:
        """Cut what must not go on; return why, once for each. Call it when no whole message waits to be taken."""
        reasons = []
        self._is_unfinished = is_busy = False
        for descriptor, connection in list(self._connections.items()):
            figures = self._figures(descriptor, connection)
            if figures is None:
                # It is gone, and its owner was told or did it.
                self.closed(descriptor)
                continue
            if connection.cut:
                continue
            course, has_moved = connection.course, connection.course.moved
            reason = course.look(figures, self._most_bytes, now_s)
            is_busy = is_busy or course.is_busy
            self._is_unfinished = self._is_unfinished or (course.is_busy and not has_moved)
            if reason is not None:
                self.cut(descriptor)
                reasons.append(reason)
        self._quiet_looks = 0 if is_busy else self._quiet_looks + 1
        return reasons

    @property
    def descriptors(self) -> List[int]:
        """The connections."""
        return list(self._connections)

    @property
    def is_quiet(self) -> bool:
        """Whether nothing came for some looks."""
        return self._quiet_looks >= _QUIET_LOOKS

    def pause_s(self) -> Optional[float]:
        """Return when to look again; None: there is nothing to look at."""
        if not self._connections:
            return None
        if self._is_unfinished:
            return LOOK_CLOSER_S
        return LOOK_IDLE_S if self.is_quiet else LOOK_EVERY_S

    @staticmethod
    def _figures(descriptor: int, connection: _Connection) -> Optional[TcpFigures]:
        with _duplicate(descriptor) as tcp:
            if tcp is None or _ends(tcp) != connection.ends:
                return None
            return figures_of(tcp)


def figures_of(tcp: socket.socket) -> Optional[TcpFigures]:
    """Return what the kernel knows of a connection, or None where it does not say all of it."""
    data = tcp.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, _SIZE)
    if len(data) < _SIZE:
        return None
    probes, unacknowledged, sent_ms, heard_ms, rtt_us, variation_us, received, segments = _FIELDS.unpack(data)
    answer_s = (rtt_us + 4 * variation_us) / 1e6
    return TcpFigures(bool(probes), bool(unacknowledged), sent_ms / 1e3, heard_ms / 1e3, received, answer_s, segments)


@contextlib.contextmanager
def _duplicate(descriptor: int) -> Iterator[Optional[socket.socket]]:
    """Hold a connection by a descriptor of our own for a moment, so that it cannot become another one meanwhile."""
    try:
        mine = os.dup(descriptor)
    except OSError:
        yield None
        return
    try:
        tcp = socket.socket(fileno=mine)
    except OSError:
        os.close(mine)
        yield None
        return
    with tcp:
        yield tcp


def _ends(tcp: Optional[socket.socket]) -> Optional[Tuple[Tuple[str, int], Tuple[str, int]]]:
    try:
        if tcp is None or tcp.family not in (socket.AF_INET, socket.AF_INET6):
            return None
        return tcp.getsockname()[:2], tcp.getpeername()[:2]
    except OSError:
        return None
