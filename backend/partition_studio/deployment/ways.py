"""Which way frames go from peer to peer of a deployment: from device to device, or through the studio.

Who sends connects to who receives; the studio, which listens nowhere, connects to every device that it shares a link
with. Where that cannot be done (a firewall, a jump host, an address behind another one), a relay carries the connection
over the studio's SSH connections. Every way is tried before a frame is sent, so that none of it has to be guessed.
"""

import logging
import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, Protocol, TypeVar

from partition_agent.data_plane.reach import unreachable_peers
from partition_agent.data_plane.sockets import KeyPair
from partition_agent.protocol import (
    STUDIO_PEER,
    CancelJob,
    LinkListen,
    LinkListening,
    LinkSpec,
    PeerAddress,
    Reach,
    Reached,
    Request,
    Result,
)
from partition_studio.deployment.addresses import LOOPBACK, HasAddresses, data_hosts, seen_from, zone
from partition_studio.deployment.relay import Relay, Relays
from partition_studio.errors import DeploymentError, DeviceError
from partition_studio.fleet.errors import AgentFaultError, AgentUnreachableError
from partition_studio.fleet.ssh.forwarding import ForwardingForbiddenError
from partition_studio.fleet.stream import ByteStream, Listening, LocalListening, StreamCallback
from partition_studio.fleet.text import clean_text

logger = logging.getLogger(__name__)

T = TypeVar("T")

#: How long a data socket may take to greet; the answer to the question itself comes a little later.
REACH_S = 3.0
_CALL_S = REACH_S + 15.0

#: A socket that was opened to try the ways closes by itself after this.
_TRIAL_S = 60.0

#: The agent's word for an address that it cannot bind.
_NO_SOCKET = "no_link_socket"

#: First byte of a data socket's greeting (ZMTP 3.1, section 3.1).
_SIGNATURE = 0xFF

#: Does something for each of some devices at once; the first failure is raised when all have come to rest.
Everywhere = Callable[[Sequence[str], Callable[[str], None]], None]

WayName = Literal["direct", "studio"]


class NoWayError(DeploymentError):
    """Frames can go from one peer to another neither directly nor through the studio."""

    code = "no_way_between_devices"
    next_step = "Let the two reach each other, or allow the studio to forward connections on both."


class Peer(HasAddresses, Protocol):
    """What is needed of a device's session here."""

    def call(self, request: Request, timeout_s: float = ...) -> Result:
        """Ask its agent."""

    def forward_to(self, host: str, port: int) -> ByteStream:
        """Connect to what the device itself reaches."""

    def listen_on_device(self, on_stream: StreamCallback, port: int = 0) -> Listening:
        """Listen on its loopback address."""


@dataclass(frozen=True, slots=True)
class Pair:
    """Who connects to whom."""

    caller: str
    listener: str


@dataclass(frozen=True, slots=True)
class Obstacle:
    """Where a caller found no data socket, and why in words. `address` is as the caller writes it."""

    address: str
    reason: str


@dataclass(frozen=True, slots=True)
class DataSocket:
    """Where a device's data socket listens. `hosts` are the addresses that it may be bound to, the likely one first."""

    hosts: tuple[str, ...]
    port: int
    public_key: str


class Ways:
    """The ways of one deployment, found before it runs and kept open while it does.

    `on_moved` is told of a device whose relay listens elsewhere now: it has to be told of its peers again.
    """

    def __init__(
        self, links: Iterable[LinkSpec], sessions: Mapping[str, Peer], on_moved: Callable[[str], None]
    ) -> None:
        self._pairs = pairs_of(links)
        self._sessions = sessions
        self._hosts: dict[str, str] = {}
        self._sockets: dict[str, DataSocket] = {}
        self._obstacles: dict[Pair, Obstacle] = {}
        self._relayed: dict[Pair, Relay] = {}
        self._lock = threading.Lock()
        self._relays = Relays(lambda relay: on_moved(relay.caller))

    # --- what was found ----------------------------------------------------------------------------------------------

    def bind_host(self, device: str) -> str:
        """Return where the data socket of a device is to listen: on loopback where no peer reaches it otherwise."""
        callers = [pair for pair in self._pairs if pair.listener == device]
        if callers and all(pair in self._obstacles for pair in callers):
            return LOOPBACK
        return self._hosts[device]

    def peers_of(self, peer: str) -> tuple[PeerAddress, ...]:
        """Return the devices' data sockets as one peer has to connect to them."""
        found = []
        for device, socket in self._sockets.items():
            relay = self._relayed.get(Pair(peer, device))
            if relay is not None:
                host, port = LOOPBACK, relay.port
            else:
                host, port = self._address(peer, device), socket.port
            found.append(PeerAddress(device=device, host=host, port=port, public_key=socket.public_key))
        return tuple(found)

    def way(self, producer: str, consumer: str) -> WayName:
        """Return the way of frames between two peers."""
        pair = Pair(producer, consumer) if consumer != STUDIO_PEER else Pair(STUDIO_PEER, producer)
        return "studio" if pair in self._obstacles else "direct"

    def notes(self) -> list[str]:
        """Say which frames go through the studio, and why."""
        return [_note(pair, obstacle) for pair, obstacle in sorted(self._obstacles.items(), key=lambda item: str(item))]

    @property
    def relays(self) -> Sequence[Relay]:
        """The relays that there are."""
        return self._relays.all

    def close(self) -> None:
        """End every relay. May be called again."""
        self._relays.close()

    # --- finding -----------------------------------------------------------------------------------------------------

    def survey(self, everywhere: Everywhere, job: str) -> None:
        """Find out, before any data socket is there, which devices can be reached at their addresses at all."""
        self._hosts = data_hosts(self._sessions)
        if self._all_here:
            return
        listeners = sorted({pair.listener for pair in self._pairs})
        key = KeyPair().public
        trials: dict[str, int] = {}

        def listen(device: str) -> None:
            try:
                answer = self._sessions[device].call(LinkListen(job, self._hosts[device], key, _TRIAL_S), _CALL_S)
            except AgentFaultError as error:
                if error.code == _NO_SOCKET:
                    here = Obstacle(self._hosts[device], "the device cannot listen there")
                    self._obstacles |= {pair: here for pair in self._pairs if pair.listener == device}
                # Else its one place for such a socket is taken by a measurement: then it is found out later.
                logger.info("way_not_tried", extra={"device": device, "reason": error.message})
                return
            if isinstance(answer, LinkListening):
                trials[device] = answer.port

        def cancel(device: str) -> None:
            self._sessions[device].call(CancelJob(job), _CALL_S)

        try:
            everywhere(listeners, listen)
            self._sockets = {device: DataSocket((self._hosts[device],), port, "") for device, port in trials.items()}
            # Whoever finds no way to a device now will find none to the socket that frames take.
            self._try(everywhere, [pair for pair in self._pairs if pair.listener in trials], is_trial=True)
        finally:
            self._sockets = {}
            for device in trials:
                try:
                    cancel(device)
                except DeviceError as error:
                    logger.info("trial_not_ended", extra={"device": device, "reason": error.message})

    def settle(self, everywhere: Everywhere, sockets: Mapping[str, DataSocket]) -> None:
        """Try every way to the data sockets, and make relays where there is none. Raises NoWayError, DeviceError."""
        self._hosts = self._hosts or data_hosts(self._sessions)
        self._sockets = dict(sockets)
        if self._all_here:
            return
        self._try(everywhere, [pair for pair in self._pairs if pair not in self._obstacles])
        blocked: dict[str, list[Pair]] = {}
        for pair in self._obstacles:
            blocked.setdefault(pair.caller, []).append(pair)

        def relay(caller: str) -> None:
            for pair in blocked[caller]:
                self._relay(pair)

        everywhere([caller for caller in blocked if caller != STUDIO_PEER], relay)
        if STUDIO_PEER in blocked:
            relay(STUDIO_PEER)
        everywhere([caller for caller in blocked if caller != STUDIO_PEER], lambda caller: self._check(blocked[caller]))

    @property
    def _all_here(self) -> bool:
        return all(session.is_local for session in self._sessions.values())

    def _address(self, caller: str, listener: str) -> str:
        """Return the address of a device as `caller` writes it; empty where it means nothing there."""
        host = self._sockets[listener].hosts[0]
        if caller == STUDIO_PEER:
            own = zone(self._sessions[listener].studio_host)
        elif self._sessions[caller].is_local:
            own = zone(self._hosts[caller]) or zone(self._sessions[listener].studio_host)
        else:
            own = zone(self._sessions[caller].data_host)
        return seen_from(host, own) or ""

    def _try(self, everywhere: Everywhere, pairs: Sequence[Pair], *, is_trial: bool = False) -> None:
        """Note the obstacles of these pairs; the port of a trial is nothing to speak of."""
        wanted: dict[str, list[PeerAddress]] = {}
        for pair in pairs:
            host, port = self._address(pair.caller, pair.listener), self._sockets[pair.listener].port
            if host:
                wanted.setdefault(pair.caller, []).append(PeerAddress(pair.listener, host, port, ""))
            else:
                bare = self._sockets[pair.listener].hosts[0].partition("%")[0]
                self._obstacles[pair] = Obstacle(bare, "a link-local address of another network")

        def ask(caller: str) -> None:
            self._note(caller, wanted[caller], self._ask(caller, wanted[caller]), is_trial)

        everywhere([caller for caller in wanted if caller != STUDIO_PEER], ask)
        if STUDIO_PEER in wanted:
            peers = wanted[STUDIO_PEER]
            self._note(STUDIO_PEER, peers, unreachable_peers(peers, REACH_S), is_trial)

    def _ask(self, caller: str, peers: Sequence[PeerAddress]) -> Mapping[str, str]:
        answer = self._sessions[caller].call(Reach(tuple(peers), REACH_S), _CALL_S)
        return answer.unreachable if isinstance(answer, Reached) else {}

    def _note(self, caller: str, peers: Sequence[PeerAddress], unreachable: Mapping[str, str], is_trial: bool) -> None:
        with self._lock:
            for peer in peers:
                if peer.device in unreachable:
                    reason = clean_text(unreachable[peer.device], limit=200)
                    self._obstacles[Pair(caller, peer.device)] = Obstacle(
                        peer.host if is_trial else _with_port(peer), reason
                    )

    # --- relays ------------------------------------------------------------------------------------------------------

    def _relay(self, pair: Pair) -> None:
        """Make a relay for a pair. Raises NoWayError."""
        socket, session = self._sockets[pair.listener], self._sessions[pair.listener]
        try:
            host = self._greeting_host(session, socket)
            if pair.caller == STUDIO_PEER:
                relay = Relay(
                    pair.caller,
                    pair.listener,
                    lambda taken, _port: LocalListening(taken),
                    lambda: session.forward_to(host, socket.port),
                )
            else:
                caller = self._sessions[pair.caller]
                relay = Relay(
                    pair.caller,
                    pair.listener,
                    caller.listen_on_device,
                    lambda: session.forward_to(host, socket.port),
                )
        except (ForwardingForbiddenError, AgentUnreachableError) as error:
            raise self._no_way(pair, error.message, error.next_step) from error
        with self._lock:
            self._relayed[pair] = relay
        self._relays.add(relay)
        logger.info("relay_opened", extra={"caller": pair.caller, "listener": pair.listener, "port": relay.port})

    def _greeting_host(self, session: Peer, socket: DataSocket) -> str:
        """Return the address at which the device itself finds its data socket. Raises DeviceError."""
        failure: DeviceError = AgentUnreachableError("its data socket does not answer", port=socket.port)
        for host in socket.hosts:
            try:
                if _greets(session.forward_to(host, socket.port)):
                    return host
            except (ForwardingForbiddenError, AgentUnreachableError) as error:
                failure = error
        raise failure

    def _check(self, pairs: Sequence[Pair]) -> None:
        """See that a device reaches its relays, and through them the data sockets. Raises NoWayError."""
        peers = [PeerAddress(pair.listener, LOOPBACK, self._relayed[pair].port, "") for pair in pairs]
        unreachable = self._ask(pairs[0].caller, peers)
        for pair in pairs:
            if pair.listener in unreachable:
                reason = clean_text(unreachable[pair.listener], limit=200)
                raise self._no_way(
                    pair, f"{pair.caller} does not get through to it by port {self._relayed[pair].port} ({reason})", ""
                )

    def _no_way(self, pair: Pair, reason: str, next_step: str) -> NoWayError:
        obstacle = self._obstacles[pair]
        return NoWayError(
            f"{_sentence(pair, obstacle)}, and through the studio no frame can go from {pair.caller} to "
            f"{pair.listener} either: {reason}",
            next_step=f"Let {pair.caller} reach {obstacle.address}. Or else: {next_step or NoWayError.next_step}",
            producer=pair.caller,
            consumer=pair.listener,
        )


def pairs_of(links: Iterable[LinkSpec]) -> tuple[Pair, ...]:
    """Return who connects to whom, each pair once, in the order of the links."""
    found: dict[Pair, None] = {}
    for link in links:
        ends = {link.producer_device, link.consumer_device}
        if len(ends) == 1:
            continue
        if STUDIO_PEER in ends:
            pair = Pair(STUDIO_PEER, next(iter(ends - {STUDIO_PEER})))
        else:
            pair = Pair(link.producer_device, link.consumer_device)
        found[pair] = None
    return tuple(found)


def _greets(stream: ByteStream) -> bool:
    """Return whether a data socket is at the other end, and hang up."""
    guard = threading.Timer(REACH_S, stream.close)
    guard.daemon = True
    guard.start()
    try:
        return stream.recv()[:1] == bytes([_SIGNATURE])
    except (OSError, EOFError):
        return False
    finally:
        guard.cancel()
        stream.close()


def _with_port(peer: PeerAddress) -> str:
    return f"[{peer.host}]:{peer.port}" if ":" in peer.host else f"{peer.host}:{peer.port}"


def _sentence(pair: Pair, obstacle: Obstacle) -> str:
    who = "the studio" if pair.caller == STUDIO_PEER else pair.caller
    return f"{who} cannot reach {obstacle.address} of {pair.listener} ({obstacle.reason})"


def is_way_note(note: str) -> bool:
    """Say whether a note tells of a way; those are found anew with every studio."""
    return note.startswith(_FRAMES)


_FRAMES = "Frames "


def _note(pair: Pair, obstacle: Obstacle) -> str:
    if pair.caller == STUDIO_PEER:
        way = f"{_FRAMES}between the studio and {pair.listener} go through its SSH connection, which is slower"
    else:
        way = f"{_FRAMES}from {pair.caller} to {pair.listener} go through the studio, which is slower"
    return f"{way}: {_sentence(pair, obstacle)}"
