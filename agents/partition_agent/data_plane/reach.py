"""Which peers' data sockets can be connected to from here: at the addresses given, and nowhere else."""

import errno
import os
import selectors
import socket
import time
from typing import Dict, Iterable, List, Optional, Tuple

from partition_agent.protocol import PeerAddress, Reach, Reached
from partition_agent.refusal import RefusedError

#: As many peers as any device of a deployment has; each takes a descriptor for the moment.
MAX_PEERS = 256

#: No question takes longer, whatever it asks for.
MAX_TIMEOUT_S = 15.0

#: A data socket says this at once, before it is asked anything (ZMTP 3.1, section 3.1: signature = %xFF 8OCTET %x7F).
_SIGNATURE_FIRST, _SIGNATURE_LAST, _SIGNATURE_BYTES = 0xFF, 0x7F, 10

_UNDER_WAY = (errno.EINPROGRESS, errno.EWOULDBLOCK)


def reach(request: Reach) -> Reached:
    """Answer a studio's question. Raises RefusedError for more peers than a deployment has."""
    if len(request.peers) > MAX_PEERS:
        raise RefusedError("too_many_peers", f"{len(request.peers)} peers are to be reached; {MAX_PEERS} at most")
    return Reached(unreachable_peers(request.peers, request.timeout_s))


def unreachable_peers(peers: Iterable[PeerAddress], timeout_s: float) -> Dict[str, str]:
    """Return the peers whose data socket does not greet within `timeout_s`, each with the reason in words.

    All are tried at once. Names are not looked up: an address is a number. The studio, which listens nowhere (port 0),
    is left out.
    """
    until_s = time.monotonic() + min(max(timeout_s, 0.0), MAX_TIMEOUT_S)
    tries = [_Try(peer) for peer in peers if peer.port != 0]
    with selectors.DefaultSelector() as selector:
        try:
            for attempt in tries:
                attempt.begin(selector)
            while any(attempt.reason is None for attempt in tries):
                left_s = until_s - time.monotonic()
                if left_s <= 0:
                    break
                for key, _ in selector.select(left_s):
                    key.data.go_on(selector)
        finally:
            for attempt in tries:
                attempt.close()
    return {attempt.peer.device: reason for attempt in tries if (reason := attempt.outcome())}


class _Try:
    """One attempt. `reason` is None while it is under way, and empty when the peer's data socket has greeted."""

    def __init__(self, peer: PeerAddress) -> None:
        self.peer = peer
        self.reason: Optional[str] = None
        self._socket: Optional[socket.socket] = None
        self._connected = False
        self._heard = b""

    def begin(self, selector: selectors.BaseSelector) -> None:
        found = _numeric(self.peer)
        if not found:
            self.reason = f"{self.peer.host!r} port {self.peer.port} is no address"
            return
        family, address = found[0]
        try:
            self._socket = socket.socket(family, socket.SOCK_STREAM)
            self._socket.setblocking(False)
            status = self._socket.connect_ex(address)
        except OSError as error:
            self.reason = _words(error.errno or 0)
            return
        if status not in (0, *_UNDER_WAY):
            self.reason = _words(status)
            return
        selector.register(self._socket, selectors.EVENT_WRITE, self)

    def go_on(self, selector: selectors.BaseSelector) -> None:
        if self._socket is None:
            return
        if not self._connected:
            status = self._socket.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
            if status:
                self._end(selector, _words(status))
                return
            self._connected = True
            selector.modify(self._socket, selectors.EVENT_READ, self)
            return
        try:
            data = self._socket.recv(_SIGNATURE_BYTES - len(self._heard))
        except BlockingIOError:
            return
        except OSError as error:
            self._end(selector, _words(error.errno or 0))
            return
        self._heard += data
        if not data:
            self._end(selector, "it hangs up at once")
        elif self._heard[0] != _SIGNATURE_FIRST:
            self._end(selector, "something else answers there")
        elif len(self._heard) == _SIGNATURE_BYTES:
            ours = self._heard[-1] == _SIGNATURE_LAST
            self._end(selector, "" if ours else "something else answers there")

    def outcome(self) -> str:
        if self.reason is not None:
            return self.reason
        return "it takes the connection and says nothing" if self._connected else "timed out"

    def close(self) -> None:
        if self._socket is not None:
            self._socket.close()
            self._socket = None

    def _end(self, selector: selectors.BaseSelector, reason: str) -> None:
        self.reason = reason
        if self._socket is not None:
            selector.unregister(self._socket)
        self.close()


def _numeric(peer: PeerAddress) -> List[Tuple[int, Tuple[object, ...]]]:
    """Return what a socket takes for this address; an IPv6 one may carry its zone (`fe80::1%eth0`)."""
    if not 0 < peer.port < 65536:
        return []
    try:
        found = socket.getaddrinfo(
            peer.host, peer.port, type=socket.SOCK_STREAM, flags=socket.AI_NUMERICHOST | socket.AI_NUMERICSERV
        )
    except (OSError, UnicodeError, OverflowError):
        return []
    return [(family, address) for family, _, _, _, address in found]


def _words(number: int) -> str:
    known = {
        errno.ECONNREFUSED: "refused",
        errno.ETIMEDOUT: "timed out",
        errno.EHOSTUNREACH: "no route",
        errno.ENETUNREACH: "no route",
        errno.EADDRNOTAVAIL: "no route",
        # A blackhole in the routing table says this.
        errno.EINVAL: "no route",
        errno.EACCES: "forbidden by a firewall",
        errno.EPERM: "forbidden by a firewall",
    }
    return known.get(number) or os.strerror(number)
