"""Measure a link to another agent, over the same kind of socket that frames take.

One end listens for a peer with one given key, the other connects, and each has a key pair of its own for that job.
The one that connects measures: small round trips, then chunks to the peer, then chunks from it, never at the same time.
See `link_rate` for what is taken as the rate.
"""

import logging
import statistics
import threading
import time
from typing import Any, Callable, Dict, List, Optional, Type, TypeVar

import zmq

from partition_agent.data_plane.sockets import Admission, KeyPair, Outbound, SocketError, open_listener
from partition_agent.link_probing.rate import MAX_CHUNK_BYTES, MAX_CHUNKS, SILENCE_S, ProbeError, RateMeter
from partition_agent.link_probing.talk import (
    MAX_BUDGET_S,
    MAX_BYTES,
    Bye,
    Chunk,
    Give,
    Listener,
    Outcome,
    Parts,
    Ping,
    Receive,
    Sender,
    Word,
    figures_of,
    give,
    pack,
    unpack,
)
from partition_agent.protocol import (
    LinkFigures,
    LinkKey,
    LinkKeyMade,
    LinkListen,
    LinkListening,
    LinkMeasure,
    LinkMeasured,
    PeerAddress,
)
from partition_agent.refusal import RefusedError

logger = logging.getLogger(__name__)

#: How long a connection may take.
CONNECT_S = 10.0

#: A listener closes after so long at the latest.
MAX_LISTEN_S = 120.0

#: Round trips: so many, or as many as fit into this time, but some at least. The first one warms up.
PINGS = 21
MIN_PINGS = 4
PING_S = 0.5

#: Keys that were made and not used yet.
MAX_KEYS = 8

_QUEUE = 2 * MAX_CHUNKS + 32
_LARGEST_PART = MAX_CHUNK_BYTES + 1024

#: How soon a cancelled one ends.
_LOOK_MS = 50

W = TypeVar("W", bound=Word)


class LinkProber:
    """Both ends of link measurements; calls block and may be cancelled from another thread."""

    def __init__(self, silence_s: float = SILENCE_S) -> None:
        """Be free; a peer that says nothing for `silence_s` is given up."""
        self._silence_s = silence_s
        self._lock = threading.Lock()
        self._keys: Dict[str, KeyPair] = {}
        self._active: Optional[_Activity] = None
        self._closed = False

    @property
    def is_busy(self) -> bool:
        """Whether a measurement is under way at this end."""
        with self._lock:
            return self._active is not None

    def key(self, request: LinkKey) -> LinkKeyMade:
        """Make the key pair of a job."""
        with self._lock:
            pair = self._keys[request.job] = KeyPair()
            while len(self._keys) > MAX_KEYS:
                del self._keys[next(iter(self._keys))]
        return LinkKeyMade(pair.public)

    def listen(self, request: LinkListen) -> LinkListening:
        """Open a socket for one peer; returns at once. Raises RefusedError."""
        with self._lock:
            before = self._active
        if isinstance(before, _Listening) and before.job == request.job:
            # The same job, going on to its next pair.
            before.end()
        try:
            listening = _Listening(request)
        except SocketError as error:
            raise RefusedError("no_link_socket", str(error)) from error
        try:
            self._enter(listening)
        except RefusedError:
            listening.close()
            raise
        listening.start(lambda: self._leave(listening))
        return LinkListening(listening.port, listening.public_key)

    def measure(self, request: LinkMeasure) -> LinkMeasured:
        """Measure. Raises RefusedError."""
        with self._lock:
            keys = self._keys.pop(request.job, None)
        if keys is None:
            raise RefusedError("unknown_job", f"no key was made for the link measurement {request.job}")
        measuring = _Measuring(request, keys, self._silence_s)
        self._enter(measuring)
        try:
            return measuring.run()
        except ProbeError as error:
            raise RefusedError(error.code, f"{request.peer.device}: {error}") from error
        except SocketError as error:
            raise RefusedError("not_connected", str(error)) from error
        finally:
            self._leave(measuring)

    def cancel(self, job: str) -> None:
        """End that job if it is under way; from any thread."""
        with self._lock:
            self._keys.pop(job, None)
            active = self._active
        if active is not None and active.job == job:
            active.end()

    def close(self) -> None:
        """End whatever is under way."""
        with self._lock:
            self._closed = True
            active = self._active
        if active is not None:
            active.end()

    def _enter(self, activity: "_Activity") -> None:
        """Begin what may be done by one at a time: two measurements would disturb each other. Raises RefusedError."""
        with self._lock:
            if self._closed:
                raise RefusedError("cancelled", "the agent ends")
            if self._active is not None:
                raise RefusedError("busy", f"another link measurement ({self._active.job}) is going on")
            self._active = activity

    def _leave(self, activity: "_Activity") -> None:
        with self._lock:
            if self._active is activity:
                self._active = None


class _Activity:
    """One end of one measurement."""

    def __init__(self, job: str) -> None:
        self.job = job
        self.stop = threading.Event()
        self._over = threading.Event()

    def end(self) -> None:
        """Ask it to end and wait until it has."""
        self.stop.set()
        self._over.wait(SILENCE_S)

    def over(self) -> None:
        """Say that nothing of it is left."""
        self._over.set()


class _Listening(_Activity):
    """The end that is connected to: a socket for one key, and a thread that answers."""

    def __init__(self, request: LinkListen) -> None:
        """Open the socket. Raises SocketError."""
        super().__init__(request.job)
        self._until_s = time.monotonic() + min(max(request.seconds, 0.0), MAX_LISTEN_S)
        keys = KeyPair()
        self.public_key = keys.public
        self._context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
        self._admission = Admission(self._context)
        self._admission.allowed[request.peer_key] = "peer"
        try:
            self._socket, self.port = open_listener(self._context, request.bind_host, keys, _QUEUE, _LARGEST_PART)
        except SocketError:
            self.close()
            raise

    def start(self, on_over: Callable[[], None]) -> None:
        """Begin to answer, in a thread of its own."""
        threading.Thread(target=self._run, args=(on_over,), name=f"listen {self.job}", daemon=True).start()

    def close(self) -> None:
        """Close the sockets."""
        self._context.destroy(linger=0)
        self.over()

    def _run(self, on_over: Callable[[], None]) -> None:
        try:
            self._answer(Listener())
        except ProbeError as error:
            logger.warning("link_measurement_ended", extra={"job": self.job, "reason": str(error)})
        except zmq.ZMQError as error:
            # It could not be answered: the peer went away, or does not take what it asks for.
            logger.warning("link_measurement_ended", extra={"job": self.job, "reason": error.strerror})
        finally:
            on_over()
            self.close()

    def _answer(self, listener: Listener) -> None:
        poller = zmq.Poller()
        poller.register(self._admission.socket, zmq.POLLIN)
        poller.register(self._socket, zmq.POLLIN)
        while not self.stop.is_set() and not listener.is_over and time.monotonic() < self._until_s:
            ready = dict(poller.poll(_LOOK_MS))
            if self._admission.socket in ready:
                self._admission.answer()
            if self._socket in ready:
                identity, *parts = self._socket.recv_multipart(zmq.NOBLOCK, copy=False)
                for answer in listener.heard(parts, time.monotonic()):
                    self._socket.send_multipart([identity.bytes, *answer], zmq.NOBLOCK, copy=False)
            listener.check(time.monotonic())


class _Measuring(_Activity):
    """The end that connects and measures, in its caller's thread."""

    def __init__(self, request: LinkMeasure, keys: KeyPair, silence_s: float) -> None:
        super().__init__(request.job)
        self._silence_s = silence_s
        self._peer: PeerAddress = request.peer
        self._budget_s = min(max(request.budget_s, 0.05), MAX_BUDGET_S)
        self._max_bytes = min(max(request.max_bytes, 1), MAX_BYTES)
        self._keys = keys
        self._sender = Sender()

    def run(self) -> LinkMeasured:
        """Measure. Raises ProbeError, SocketError."""
        context: zmq.Context[Any] = zmq.Context()
        try:
            self._outbound = Outbound(context, self._peer, self._keys, _QUEUE, _LARGEST_PART)
            try:
                self._connect()
                rtts_s = self._round_trips()
                rtt_s = statistics.median(rtts_s)
                to_peer = self._send_direction(rtt_s)
                from_peer = self._receive_direction(rtt_s)
                self._say(Bye())
                self._part()
            finally:
                self._outbound.close()
        finally:
            context.destroy(linger=0)
            self.over()
        return LinkMeasured(rtt_s, min(rtts_s), to_peer, from_peer)

    # --- the connection ----------------------------------------------------------------------------------------------

    def _connect(self) -> None:
        until_s = time.monotonic() + CONNECT_S
        where = f"{self._peer.host}:{self._peer.port}"
        while time.monotonic() < until_s:
            self._stop_if_asked()
            if self._outbound.monitor is not None and self._outbound.monitor.poll(_LOOK_MS):
                if "refused" in self._outbound.events():
                    raise ProbeError("not_admitted", f"what listens at {where} does not let this device in")
                if self._outbound.connected:
                    return
        raise ProbeError("not_connected", f"no connection to {where} within {CONNECT_S:g} s")

    def _stop_if_asked(self) -> None:
        if self.stop.is_set():
            raise ProbeError("cancelled", "the measurement was cancelled")

    def _part(self) -> None:
        """Wait for the listener to hang up, so that the farewell is not lost with the socket."""
        until_s = time.monotonic() + 1.0
        while self._outbound.connected and time.monotonic() < until_s and not self.stop.is_set():
            if self._outbound.monitor is not None and self._outbound.monitor.poll(_LOOK_MS):
                self._outbound.events()

    def _say(self, word: Word) -> None:
        self._send([pack(word)])

    def _send(self, parts: Parts) -> None:
        try:
            self._outbound.socket.send_multipart(parts, zmq.NOBLOCK, copy=False)
        except zmq.Again:
            raise ProbeError("not_connected", "the connection broke") from None

    def _hear(self) -> Parts:
        """Wait for the next message. Raises ProbeError when none comes."""
        until_s = time.monotonic() + self._silence_s
        while True:
            self._stop_if_asked()
            if self._outbound.socket.poll(_LOOK_MS):
                parts: List[Any] = self._outbound.socket.recv_multipart(zmq.NOBLOCK, copy=False)
                return parts
            if self._outbound.monitor is not None and "disconnected" in self._outbound.events():
                raise ProbeError("not_connected", "the connection broke")
            if time.monotonic() > until_s:
                raise ProbeError("silent", f"the peer has said nothing for {self._silence_s:g} s")

    def _hear_a(self, kind: Type[W]) -> W:
        word = unpack(self._hear())
        if not isinstance(word, kind):
            raise ProbeError("bad_peer", "the peer says what nobody asked for")
        return word

    # --- measuring ---------------------------------------------------------------------------------------------------

    def _round_trips(self) -> List[float]:
        """Return the seconds of small round trips."""
        begin_s = time.monotonic()
        taken: List[float] = []
        for number in range(PINGS):
            if number >= MIN_PINGS and time.monotonic() - begin_s > PING_S:
                break
            sent_s = time.monotonic()
            self._say(Ping(number))
            if self._hear_a(Ping).number != number:
                raise ProbeError("bad_peer", "the peer answers another question")
            taken.append(time.monotonic() - sent_s)
        return taken[1:]

    def _send_direction(self, rtt_s: float) -> LinkFigures:
        self._say(Receive(self._budget_s, self._max_bytes, rtt_s))
        begin_s = time.monotonic()
        while True:
            word = unpack(self._hear())
            if isinstance(word, Outcome):
                return figures_of(word)
            self._check_time(begin_s)
            if not isinstance(word, Give):
                raise ProbeError("bad_peer", "the peer says what nobody asked for")
            for parts in self._sender.asked(word):
                self._send(parts)

    def _receive_direction(self, rtt_s: float) -> LinkFigures:
        begin_s = time.monotonic()
        meter = RateMeter(self._budget_s, self._max_bytes, rtt_s, begin_s)
        self._send(give(meter.first()))
        while not meter.is_done:
            parts = self._hear()
            if not isinstance(unpack(parts), Chunk):
                raise ProbeError("bad_peer", "the peer says what nobody asked for")
            self._check_time(begin_s)
            ask = meter.arrived(len(parts[1].buffer), time.monotonic())
            if ask is not None:
                self._send(give(ask))
        return meter.figures()

    def _check_time(self, begin_s: float) -> None:
        """End what goes on for longer than the budget and what may still be under way then."""
        if time.monotonic() - begin_s > self._budget_s + 4 * SILENCE_S:
            raise ProbeError("too_slow", "the link passes too little to be measured")
