"""The data plane of one peer in one deployment: links to other devices, with credits, over encrypted sockets.

Used by the agent and by the studio's front door. Whoever has something to send does it at once, in its own thread, when
nobody else uses the sockets; else who uses them does it before leaving. A thread of the plane's own waits for what
comes and calls the `LinkHandler`. What needs encoding is encoded by another one before it is sent (see `traffic` for
what comes, `connections` for the sockets).
"""

import logging
import os
import threading
import time
from collections import deque
from functools import partial
from typing import Callable, Deque, Dict, List, Mapping, Optional, Sequence

from partition_agent.data_plane.coding import CodingThread
from partition_agent.data_plane.connections import Connections
from partition_agent.data_plane.drops import Drops
from partition_agent.data_plane.link_state import LinkHandler, LinkState, LinkTotals, Outgoing
from partition_agent.data_plane.sockets import Limits, SocketError
from partition_agent.data_plane.traffic import Traffic
from partition_agent.data_plane.wire import Tensors, pack_frame
from partition_agent.protocol import MAX_HEADER_BYTES, STUDIO_PEER, FrameRoute, LinkSpec, PeerAddress

logger = logging.getLogger(__name__)

#: Longest wait for the sockets' thread, and its own longest sleep.
_CALL_S = 15.0
_SLEEP_S = 60.0


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
        plaintext: bool = False,
    ) -> None:
        """Open the listener (none when `bind_host` is None) and start the thread. Raises SocketError, CodecError.

        With `plaintext` anybody who reaches the port may read and write frames: only for measuring what keys cost.
        """
        self._device, self._deployment, self._epoch = device, deployment, epoch
        if plaintext:
            logger.warning("plaintext_links", extra={"deployment": deployment, "device": device, "epoch": epoch})
        self._drops = Drops(deployment)
        self._traffic = Traffic(device, deployment, epoch, links, handler, self._drops)
        self._links = self._traffic.links
        self._encoder = CodingThread(f"encode {deployment}/{epoch}")
        self._connections = Connections(
            device, bind_host, _limits(list(self._links.values())), self._drops.add, plaintext=plaintext
        )
        self._traffic.begin(self._connections)
        self.port = self._connections.port
        #: Who uses the sockets, and what waits for them: sends, which anybody may do, and what the thread alone does.
        self._sockets = threading.Lock()
        self._sends: Deque[Callable[[], object]] = deque()
        self._calls: Deque[Callable[[], object]] = deque()
        self._closed = False
        self._stopping = False
        self._wake_reader, self._wake_writer = os.pipe()
        os.set_blocking(self._wake_reader, False)
        os.set_blocking(self._wake_writer, False)
        self._connections.also_wait_for(self._wake_reader)
        self._waking = threading.Lock()
        self._is_awake = False
        self._thread = threading.Thread(target=self._run, name=f"links {deployment}/{epoch}", daemon=True)
        self._thread.start()

    # --- from any thread ---------------------------------------------------------------------------------------------

    @property
    def public_key(self) -> str:
        """Our CURVE public key (Z85); empty in plain text."""
        return self._connections.public_key

    def connect(self, peers: Sequence[PeerAddress]) -> None:
        """Admit exactly these peers, and connect to those that we send to. Raises SocketError.

        The studio connects to everybody it shares a link with, for it listens nowhere.
        """
        done = threading.Event()
        failure: List[SocketError] = []

        def call() -> None:
            try:
                self._connect(peers)
            except SocketError as error:
                failure.append(error)
            finally:
                done.set()

        self._calls.append(call)
        self._wake()
        if not done.wait(_CALL_S):
            raise SocketError("the data sockets do not answer")
        if failure:
            raise failure[0]

    def send(self, link: str, frame: int, route: FrameRoute, tensors: Tensors) -> None:
        """Send a frame for which there is credit; its arrays must not be changed any more.

        Frames and losses of one link are sent by one thread at a time, in the order they shall have.
        """
        target = self._links[link]
        target.offered(time.monotonic())
        if target.is_coded:
            self._encode(target, partial(self._packed, target, frame, route, tensors))
        else:
            self._post(partial(self._traffic.send, target, self._packed(target, frame, route, tensors)))

    def send_lost(self, link: str, frame: int, route: FrameRoute, reason: str) -> None:
        """Tell the consumer that a frame will not come; takes a credit as a frame does."""
        target = self._links[link]
        target.offered(time.monotonic())
        message = self._traffic.lost(target, frame, route, reason)
        if target.is_coded:
            self._encode(target, lambda: message)
        else:
            self._post(partial(self._traffic.send, target, message))

    def grant(self, link: str, count: int, *, reset: bool = False) -> None:
        """Allow the producer of a link more frames; with `reset` in answer to `link_opened`."""
        target = self._links[link]
        self._post(partial(self._traffic.grant, target, count, reset, target.asked_at if reset else None))

    def totals(self) -> Mapping[str, LinkTotals]:
        """Return the running totals and the state of each link."""
        now_s = time.monotonic()
        connections = self._connections
        return {
            name: link.totals(
                connected=connections.is_connected(link.other, over_ours=link.is_ours),
                reconnects=connections.reconnects(link.other, over_ours=link.is_ours),
                now_s=now_s,
            )
            for name, link in self._links.items()
        }

    def dropped(self) -> Dict[str, int]:
        """Return how many messages were refused, by reason."""
        counts = self._drops.counts()
        if self._connections.refused:
            counts["not_admitted"] = self._connections.refused
        return counts

    def drop(self, reason: str, link: str = "", count: int = 1) -> None:
        """Count refused messages; say so in the log, but not for each."""
        self._drops.add(reason, link, count)

    def close(self) -> None:
        """Close every socket and forget the keys; what was not sent is dropped. May be called again."""
        if self._thread.is_alive() and threading.current_thread() is not self._thread:
            self._stopping = True
            self._wake()
            self._thread.join()
        self._encoder.close()
        self._traffic.close()

    # --- sending -----------------------------------------------------------------------------------------------------

    def _packed(self, link: LinkState, frame: int, route: FrameRoute, tensors: Tensors) -> Outgoing:
        """Return a frame's message; where none can be made of it, the news that it is lost."""
        try:
            parts = pack_frame(self._deployment, self._epoch, link.spec.id, link.carried, frame, route, tensors)
        except Exception as error:  # of whatever library; who waits for the frame must hear of it
            self._drops.add("not_packed", link.spec.id)
            reason = f"{self._device} could not pack it for its link: {error or type(error).__name__}"
            return self._traffic.lost(link, frame, route, reason)
        return Outgoing(frame, route, parts, sum(part.nbytes for part in parts[1:]))

    def _encode(self, link: LinkState, make: Callable[[], Outgoing]) -> None:
        link.to_code += 1
        self._encoder.put(partial(self._encoded, link, make))

    def _encoded(self, link: LinkState, make: Callable[[], Outgoing]) -> None:
        begin_s = time.thread_time()
        message = make()
        link.coding_s += time.thread_time() - begin_s
        self._post(partial(self._send_coded, link, message))

    def _send_coded(self, link: LinkState, message: Outgoing) -> None:
        link.coded += 1
        self._traffic.send(link, message)

    def _post(self, send: Callable[[], object]) -> None:
        # What is posted is bounded by the credits of the links.
        self._sends.append(send)
        self._serve()

    def _serve(self) -> None:
        """Do what was posted, unless somebody is at it: who leaves the sockets sees to what was posted meanwhile."""
        while self._sends and self._sockets.acquire(blocking=False):
            try:
                self._do_sends()
                has_unread = self._connections.has_unread and not self._closed
            finally:
                self._sockets.release()
            if has_unread and threading.current_thread() is not self._thread:
                self._wake()

    def _do_sends(self) -> None:
        if self._closed:
            self._sends.clear()
        for _ in range(len(self._sends)):
            send = self._sends.popleft()
            try:
                send()
            except Exception:
                # It may be anybody's: who happens to be here has his own to do.
                logger.exception("not_sent", extra={"deployment": self._deployment, "epoch": self._epoch})

    def _wake(self) -> None:
        with self._waking:
            if not self._is_awake and not self._closed:
                self._is_awake = True
                os.write(self._wake_writer, b"\0")

    # --- the thread --------------------------------------------------------------------------------------------------

    def _run(self) -> None:
        try:
            while not self._stopping:
                self._turn()
        except Exception:
            logger.exception("data_plane_failed", extra={"deployment": self._deployment, "epoch": self._epoch})
            raise
        finally:
            with self._sockets:
                self._closed = True
                self._sends.clear()
                self._connections.close()
            with self._waking:
                os.close(self._wake_reader)
                os.close(self._wake_writer)

    def _turn(self) -> None:
        if self._wake_reader in self._connections.wait(self._patience_ms()):
            # In this order: who posts from now on wakes us again, and what was posted before is done below.
            os.read(self._wake_reader, 64)
            self._is_awake = False
        with self._sockets:
            for _ in range(len(self._calls)):
                self._calls.popleft()()
            self._connections.take(self._traffic.message, self._traffic.connection_changed)
            self._traffic.ask_again()
            self._do_sends()
        self._serve()

    def _patience_ms(self) -> float:
        if self._connections.has_unread or self._calls:
            return 0
        wait_s = min(self._connections.next_s(), self._traffic.next_s()) - time.monotonic()
        return min(max(wait_s, 0.0), _SLEEP_S) * 1e3 + 1

    def _connect(self, peers: Sequence[PeerAddress]) -> None:
        here = {peer.device: peer for peer in peers if peer.device != self._device}
        missing = sorted({link.other for link in self._links.values()} - set(here))
        if missing:
            raise SocketError(f"no address was given of {', '.join(missing)}, which shares a link with {self._device}")
        wanted = {link.other for link in self._links.values() if link.is_ours}
        self._traffic.forget(self._connections.admit(here, wanted - {STUDIO_PEER}))


def _limits(links: Sequence[LinkState]) -> Limits:
    """What sockets must hold for these links, and no more."""
    windows: Dict[str, int] = {}
    unread: Dict[str, int] = {}
    for link in links:
        windows[link.other] = windows.get(link.other, 0) + link.spec.window + 1
        if not link.is_producer:
            whole = (link.spec.window + 1) * (link.frame_bytes + MAX_HEADER_BYTES)
            unread[link.other] = unread.get(link.other, 0) + whole
    return Limits(
        # What waits there is memory, too: a window of each link, once more for what is told again when a connection
        # breaks (ZeroMQ says that there is room again when half of it is), questions and answers.
        queue=4 + 2 * max(windows.values(), default=0),
        part_bytes=1024 + max([MAX_HEADER_BYTES, *(link.frame_bytes for link in links)]),
        # Who sent it, its header, and one more than there should be.
        parts=3 + max((len(link.spec.tensors) for link in links), default=0),
        unread_bytes=max(unread.values(), default=0),
    )
