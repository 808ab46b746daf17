"""The way of frames between two that cannot reach each other: through the studio, over its SSH connections.

Who connects does so to a port on its own loopback address; each connection is carried on to the other's data socket as
that device itself reaches it. What passes here is encrypted from end to end: the studio has no key to it. Nothing is
kept here but one chunk in each direction, and more is taken from one side only when the other has taken that, so a slow
device slows the source as it does over a direct way.
"""

import contextlib
import itertools
import logging
import queue
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from partition_studio.errors import DeviceError
from partition_studio.fleet.errors import is_final
from partition_studio.fleet.ssh.forwarding import ForwardingForbiddenError
from partition_studio.fleet.stream import ByteStream, Listening, StreamCallback

logger = logging.getLogger(__name__)

#: Connections that are carried at once: a peer makes one, and another when that breaks. For one more, the oldest makes
#: room that the data socket has not answered yet; where there is none, it is turned away.
MAX_STREAMS = 16

#: A data socket says more only to who knows its key: 64 bytes of greeting, then 170 for a HELLO (ZMTP 3.1; CurveZMQ).
_GREETING_BYTES = 128

#: How often it is looked whether every relay still takes connections.
_LOOK_S = 0.5

_BROKEN = (OSError, EOFError)


@dataclass(frozen=True, slots=True)
class RelayTotals:
    """What a relay has carried: connections, bytes to the consumer's device (`forth`), and from it (`back`)."""

    connections: int
    forth_bytes: int
    back_bytes: int


class Relay:
    """Carries connections from a port where `caller` is to the data socket of `listener`. Thread-safe.

    `listen(on_stream, port)` opens the port, the one given where it is not 0; `reach()` connects to the data socket.
    """

    def __init__(
        self,
        caller: str,
        listener: str,
        listen: Callable[[StreamCallback, int], Listening],
        reach: Callable[[], ByteStream],
    ) -> None:
        """Open the port. Raises what `listen` raises."""
        self.caller = caller
        self.listener = listener
        self._listen = listen
        self._reach = reach
        self._lock = threading.Lock()
        self._numbers = itertools.count()
        self._carried: dict[_Carried, None] = {}
        self._closed = False
        self._totals = RelayTotals(0, 0, 0)
        #: Connections that have come, and None at the end. Whose thread brings them must not wait for anything.
        self._arrivals: queue.SimpleQueue[ByteStream | None] = queue.SimpleQueue()
        self._listening = listen(self._arrivals.put, 0)
        self._port = self._listening.port
        self._usher = threading.Thread(target=self._let_in, name=f"relay {caller}>{listener}", daemon=True)
        self._usher.start()

    @property
    def port(self) -> int:
        """Where the caller connects to, on its own loopback address."""
        return self._port

    @property
    def is_open(self) -> bool:
        """Whether connections are taken."""
        return self._listening.is_open

    def totals(self) -> RelayTotals:
        """Return what was carried so far."""
        with self._lock:
            now = self._totals
            return RelayTotals(
                now.connections,
                now.forth_bytes + sum(one.forth_bytes for one in self._carried),
                now.back_bytes + sum(one.back_bytes for one in self._carried),
            )

    def reopen(self) -> bool:
        """Take connections again, after the one that carried them broke; return whether the port is another now.

        Raises DeviceError while that cannot be done.
        """
        try:
            listening = self._listen(self._arrivals.put, self._port)
        except ForwardingForbiddenError:
            # The port may be held still by what is left of the connection that broke.
            listening = self._listen(self._arrivals.put, 0)
        with self._lock:
            closed = self._closed
            if not closed:
                self._listening = listening
                before, self._port = self._port, listening.port
        if closed:
            listening.close()
            return False
        return before != listening.port

    def close(self) -> None:
        """Carry nothing any more, and end every thread and stream of it. May be called again."""
        with self._lock:
            if self._closed:
                return
            self._closed = True
            carried = list(self._carried)
        self._listening.close()
        self._arrivals.put(None)
        for one in carried:
            one.close()
        self._usher.join()
        for one in carried:
            one.join()
        with contextlib.suppress(queue.Empty):
            while (late := self._arrivals.get_nowait()) is not None:
                late.close()
        totals = self.totals()
        fields = {"caller": self.caller, "listener": self.listener, "connections": totals.connections}
        fields |= {"forth_bytes": totals.forth_bytes, "back_bytes": totals.back_bytes}
        logger.info("relay_closed", extra=fields)

    def _let_in(self) -> None:
        while (stream := self._arrivals.get()) is not None:
            has_room = self._make_room()
            with self._lock:
                one = None
                if has_room and not self._closed:
                    one = _Carried(stream, self._reach, f"{self.caller}>{self.listener} {next(self._numbers)}")
                    self._carried[one] = None
            if one is None:
                logger.warning("relay_full", extra={"caller": self.caller, "listener": self.listener})
                stream.close()
            else:
                one.start(self._left)

    def _make_room(self) -> bool:
        """Return whether one more may be carried. Anybody on the caller's machine may knock: strangers make room."""
        with self._lock:
            # Those that were closed have a thread still, until their data socket is reached or not.
            if len(self._carried) >= 2 * MAX_STREAMS:
                return False
            held = [one for one in self._carried if not one.is_closed]
        if len(held) < MAX_STREAMS:
            return True
        stranger = next((one for one in held if one.back_bytes <= _GREETING_BYTES), None)
        if stranger is None:
            return False
        logger.info("relay_stranger_cut", extra={"caller": self.caller, "listener": self.listener})
        stranger.close()
        return True

    def _left(self, one: "_Carried") -> None:
        with self._lock:
            self._carried.pop(one, None)
            now = self._totals
            self._totals = RelayTotals(
                now.connections + 1, now.forth_bytes + one.forth_bytes, now.back_bytes + one.back_bytes
            )


class _Carried:
    """One connection: a thread for each direction; when one of them ends, so does the other."""

    def __init__(self, near: ByteStream, reach: Callable[[], ByteStream], name: str) -> None:
        self._near = near
        self._reach = reach
        self._far: ByteStream | None = None
        self._lock = threading.Lock()
        self._closed = False
        self.forth_bytes = self.back_bytes = 0
        self._name = name
        self._thread: threading.Thread | None = None

    @property
    def is_closed(self) -> bool:
        """Whether it ends, or has ended."""
        return self._closed

    def start(self, on_end: Callable[["_Carried"], None]) -> None:
        with self._lock:
            self._thread = threading.Thread(target=self._carry, args=(on_end,), name=f"forth {self._name}", daemon=True)
            self._thread.start()

    def close(self) -> None:
        with self._lock:
            self._closed = True
            far = self._far
        self._near.close()
        if far is not None:
            far.close()

    def join(self) -> None:
        with self._lock:
            thread = self._thread
        if thread is not None:
            thread.join()

    def _carry(self, on_end: Callable[["_Carried"], None]) -> None:
        try:
            far = self._reach()
        except DeviceError as error:
            # The caller tries again by itself, and again.
            logger.info("relay_not_reached", extra={"relay": self._name, "reason": error.message})
            self.close()
            on_end(self)
            return
        with self._lock:
            self._far = far
            closed = self._closed
        if closed:
            far.close()
        back = threading.Thread(target=self._pump_back, args=(far,), name=f"back {self._name}", daemon=True)
        back.start()
        try:
            with contextlib.suppress(*_BROKEN):
                while data := self._near.recv():
                    far.sendall(data)
                    self.forth_bytes += len(data)
        finally:
            self.close()
            back.join()
            on_end(self)

    def _pump_back(self, far: ByteStream) -> None:
        try:
            with contextlib.suppress(*_BROKEN):
                while data := far.recv():
                    self._near.sendall(data)
                    self.back_bytes += len(data)
        finally:
            self.close()


class Relays:
    """The relays of a deployment, kept open: one whose SSH connection broke is opened again when that is back.

    `on_moved` is told of a relay that has another port then; it may raise DeviceError, and is told again.
    """

    def __init__(self, on_moved: Callable[[Relay], None]) -> None:
        self._on_moved = on_moved
        self._lock = threading.Lock()
        self._relays: list[Relay] = []
        self._untold: set[Relay] = set()
        self._ending = threading.Event()
        self._keeper: threading.Thread | None = None

    @property
    def all(self) -> Sequence[Relay]:
        """Those that there are."""
        with self._lock:
            return tuple(self._relays)

    def add(self, relay: Relay) -> None:
        """Keep a relay open from now on."""
        with self._lock:
            if self._ending.is_set():
                raise AssertionError("closed")
            self._relays.append(relay)
            if self._keeper is None:
                self._keeper = threading.Thread(target=self._keep, name="relays", daemon=True)
                self._keeper.start()

    def close(self) -> None:
        """End them all. May be called again."""
        self._ending.set()
        with self._lock:
            keeper, relays = self._keeper, list(self._relays)
        for relay in relays:
            relay.close()
        if keeper is not None and threading.current_thread() is not keeper:
            keeper.join()

    def _keep(self) -> None:
        failing: dict[Relay, DeviceError] = {}
        while not self._ending.wait(_LOOK_S):
            for relay in self.all:
                if self._ending.is_set() or (relay in failing and is_final(failing[relay])):
                    continue
                try:
                    self._look_after(relay)
                    failing.pop(relay, None)
                except DeviceError as error:
                    fields = {"caller": relay.caller, "listener": relay.listener, "reason": error.message}
                    if relay not in failing:
                        logger.warning("relay_broken", extra=fields)
                    failing[relay] = error

    def _look_after(self, relay: Relay) -> None:
        if not relay.is_open:
            if relay.reopen():
                self._untold.add(relay)
            logger.info("relay_reopened", extra={"caller": relay.caller, "listener": relay.listener})
        if relay in self._untold:
            self._on_moved(relay)
            self._untold.discard(relay)
