"""Brings a deployment up on its devices, or takes it up again.

The order of things: the parts are proven equal to the whole here, while every device is connected, checked and
installed; then the sub-models go over and are loaded; then the devices are connected to one another, and one frame
through all of them (with replicas, one through each of those) is compared with the whole network's answer. Only then is
the deployment running.
"""

import logging
import threading
from collections.abc import Callable, Collection, Mapping, Sequence
from concurrent.futures import FIRST_EXCEPTION, Future, ThreadPoolExecutor, wait
from typing import Any, TypeVar

from partition_agent.protocol import (
    STUDIO_PEER,
    AgentInfo,
    Connect,
    DeploymentInfo,
    End,
    PeerAddress,
    Prepare,
    Prepared,
)
from partition_agent.protocol import Progress as StageProgress
from partition_studio.deployment.addresses import LOOPBACK
from partition_studio.deployment.answers import clean_prepared, find_held, require_own_keys
from partition_studio.deployment.board import Board
from partition_studio.deployment.described import cuts_out, stages_out
from partition_studio.deployment.errors import LOADING_NEXT_STEPS
from partition_studio.deployment.front_door import FrontDoor
from partition_studio.deployment.manifest import DeviceShare
from partition_studio.deployment.parts import Parts
from partition_studio.deployment.probe import try_all_devices
from partition_studio.deployment.retries import Retries, patiently
from partition_studio.deployment.spec import DeploymentSpec
from partition_studio.deployment.ways import DataSocket, Everywhere, Ways
from partition_studio.errors import DeviceError
from partition_studio.fleet.errors import AgentFaultError, OperationCancelledError
from partition_studio.fleet.progress import Progress as FleetProgress
from partition_studio.fleet.progress import stop_if_cancelled
from partition_studio.fleet.session.agent_client import Patience
from partition_studio.fleet.session.session import DeviceSession, SessionStep
from partition_studio.fleet.session.software import ModelFile
from partition_studio.fleet.text import clean_text
from partition_studio.partition.verify import Verification
from partition_studio.schemas import PLAINTEXT_NOTE, ProblemOut

logger = logging.getLogger(__name__)

T = TypeVar("T")

#: Devices that are brought up at the same time.
MAX_PARALLEL_DEVICES = 16

#: A device that loads shows progress this often at least: what takes longest is optimising one stage.
PREPARE_SILENCE_S = 180.0
CALL_S = 20.0


def _count(things: Collection[object], name: str) -> str:
    return f"1 {name}" if len(things) == 1 else f"{len(things)} {name}s"


class Rollout:
    """One attempt. Its steps go onto `board`; `front_door` is there once the devices are connected."""

    def __init__(
        self,
        spec: DeploymentSpec,
        sessions: Mapping[str, DeviceSession],
        board: Board,
        make_room: Callable[[], None],
        retries: Retries | None = None,
    ) -> None:
        """Prepare an attempt; `make_room` is called when all devices are reached and nothing has been sent yet.

        With `retries`, a device that cannot be reached or sent its parts waits there, while the others go on.
        """
        self._make_room = make_room
        self._retries = retries
        self.spec = spec
        self.front_door: FrontDoor | None = None
        self._sessions = sessions
        self._board = board
        #: Set when nothing more is to be begun: cancelled by the person, or one device failed.
        self._halted = threading.Event()
        #: Devices that are loading their stages now.
        self._loading: set[str] = set()
        #: How long each of them is waited for.
        self._patience = {device: Patience() for device in sessions}
        self._ways: Ways | None = None
        self._are_parts_sent = False
        self.parts = Parts(spec, board, self._halted.is_set)

    def roll_out(self) -> None:
        """Bring it up from nothing. Raises StudioError; what is on the devices by then is the caller's to release."""
        self.parts.cut()
        with ThreadPoolExecutor(MAX_PARALLEL_DEVICES + 1, thread_name_prefix=f"deploy-{self.spec.id}") as pool:
            proof = pool.submit(self.parts.settle_and_prove)
            agents = self._on_devices(pool, self._patient(self._reach), also=(proof,))
            verification = self.parts.write_for(agents, proof.result())
            for share in self.parts.manifest.shares:
                for part in self.parts.of(share):
                    # Before another deployment ends: what both have need not be sent again.
                    self._sessions[share.device].keep_model(self.spec.holder, part.digest)
            self._make_room()
            self._push_everywhere(pool)
            ways = self._find_ways()
            ways.survey(self._everywhere(pool), f"ways-{self.spec.id}")
            prepared = self._on_devices(pool, lambda share: self._prepare(share, ways.bind_host(share.device)))
            self._board.describe(stages=stages_out(self.spec.graph, prepared))
            self._board.note(f"{device}: {note}" for device, answer in prepared.items() for note in answer.notes)
            sockets = {
                device: DataSocket((ways.bind_host(device),), answer.data_port, answer.public_key)
                for device, answer in prepared.items()
            }
            self._connect(pool, sockets)
        self._try_all_devices(verification)
        self._all_ready()

    def find_again(self) -> None:
        """Take hold of the agents that still run it, and become their source and sink with a new key."""
        self.parts.cut_again()
        with ThreadPoolExecutor(MAX_PARALLEL_DEVICES, thread_name_prefix=f"resume-{self.spec.id}") as pool:
            held = self._on_devices(pool, self._find_share)
            self._find_ways().survey(self._everywhere(pool), f"ways-{self.spec.id}")
            # Where the agents' sockets are bound was found out by an earlier studio.
            sockets = {
                device: DataSocket((self._sessions[device].data_host, LOOPBACK), info.data_port, info.public_key)
                for device, info in held.items()
            }
            self._connect(pool, sockets, max(info.last_frame for info in held.values()))
        self._all_ready()

    def close(self) -> None:
        """Leave the pipeline, and carry nothing for it any more. May be called again."""
        door, self.front_door = self.front_door, None
        if door is not None:
            door.close()
        if self._ways is not None:
            self._ways.close()

    def halt(self) -> None:
        """Begin nothing more, and have devices give up what they load: the person cancelled, or a device is gone."""
        self._halted.set()
        if self._retries is not None:
            self._retries.halt()
        end = End(deployment=self.spec.id, epoch=self.spec.epoch)
        for device in list(self._loading):
            threading.Thread(target=self._give_up, args=(device, end), name=f"halt-{device}", daemon=True).start()

    def _give_up(self, device: str, end: End) -> None:
        try:
            self._sessions[device].call(end, CALL_S)
        except DeviceError as error:
            # What is left there is released, or the device is lost; either is told elsewhere.
            logger.info("halt_not_answered", extra={"device": device, "reason": error.message})

    @property
    def bears_loss(self) -> bool:
        """Whether a device that is lost now is reached again, or waits to be tried again."""
        return self._retries is not None and not self._are_parts_sent

    @property
    def is_halted(self) -> bool:
        """Whether nothing more is to be begun."""
        return self._halted.is_set()

    def _all_ready(self) -> None:
        self._check_halted()
        for share in self.parts.manifest.shares:
            self._board.step(share.device, "start", "taking frames")
        for share in self.parts.manifest.shares:
            self._board.step(share.device, "ready")

    def _find_share(self, share: DeviceShare) -> DeploymentInfo:
        self._board.step(share.device, "connect", "looking for its agent")
        there = info.deployments if (info := self._sessions[share.device].reattach(self.spec.holder)) else ()
        return find_held(there, share, self.spec.id, self.spec.epoch, plaintext=self.spec.plaintext)

    def _on_devices(
        self,
        pool: ThreadPoolExecutor,
        work: Callable[[DeviceShare], T],
        also: Sequence[Future[Any]] = (),
        only: Collection[str] | None = None,
    ) -> dict[str, T]:
        """Do something on every device (of `only` these) at once; the first failure halts the others and is raised."""
        self._check_halted()
        shares = [share for share in self.parts.manifest.shares if only is None or share.device in only]
        futures = {share.device: pool.submit(self._guarded, share, work) for share in shares}
        everything: list[Future[Any]] = [*futures.values(), *also]
        done, waiting = wait(everything, return_when=FIRST_EXCEPTION)
        failures = [error for future in done if (error := future.exception()) is not None]
        if failures:
            self.halt()
            wait(waiting)
            raise next((e for e in failures if not isinstance(e, OperationCancelledError)), failures[0])
        self._check_halted()
        return {device: future.result() for device, future in futures.items()}

    def _check_halted(self) -> None:
        stop_if_cancelled(self._halted.is_set, "The deployment")

    def _patient(self, work: Callable[[DeviceShare], T]) -> Callable[[DeviceShare], T]:
        if self._retries is None:
            return work
        return patiently(work, self._retries, self._board, self._check_halted)

    def _guarded(self, share: DeviceShare, work: Callable[[DeviceShare], T]) -> T:
        try:
            return work(share)
        except OperationCancelledError:
            self._board.step(share.device, "waiting", "stopped")
            raise
        except Exception as error:
            if self._halted.is_set() and isinstance(error, DeviceError):
                # It was made to give up.
                self._board.step(share.device, "waiting", "stopped")
                raise OperationCancelledError("The deployment was cancelled") from error
            self._board.fail(share.device, ProblemOut.of(error))
            raise

    def _everywhere(self, pool: ThreadPoolExecutor) -> Everywhere:
        def run(devices: Sequence[str], work: Callable[[str], None]) -> None:
            if devices:
                self._on_devices(pool, lambda share: work(share.device), only=devices)

        return run

    def _reach(self, share: DeviceShare) -> AgentInfo:
        """Connect, check, install, and start the agent."""

        def on_step(step: SessionStep, text: str) -> None:
            self._board.step(share.device, "install" if step == "start" else step, text)

        def progress(report: FleetProgress) -> None:
            self._board.step(share.device, "install", report.text)
            if report.total_bytes is not None:
                self._board.bytes(share.device, report.done_bytes, report.total_bytes)

        self._board.step(share.device, "connect", "connecting")
        info = self._sessions[share.device].hold_agent(self.spec.holder, on_step, progress, self._halted.is_set)
        self._wait_for_others(share)
        return info

    def _wait_for_others(self, share: DeviceShare) -> None:
        self._board.step(share.device, "waiting", "waiting for the other devices")

    def _push_everywhere(self, pool: ThreadPoolExecutor) -> None:
        """Send the parts; again to a device that was lost while others were waited for."""
        missing = self.spec.graph.devices
        while missing:
            self._on_devices(pool, self._patient(self._push), only=missing)
            missing = tuple(device for device in self._sessions if not self._sessions[device].holds(self.spec.holder))
        self._are_parts_sent = True

    def _push(self, share: DeviceShare) -> None:
        session, parts = self._sessions[share.device], self.parts.of(share)
        if not session.holds(self.spec.holder):
            # It was lost since it was reached.
            self._reach(share)
        total, before = sum(part.size_bytes for part in parts), 0
        self._board.step(share.device, "push", _count(parts, "sub-model"))
        for part in parts:
            # Read as it goes out: many devices are sent theirs at once, and each may be of gigabytes.
            with part.open() as source:
                session.push_model(
                    self.spec.holder,
                    ModelFile(source, part.size_bytes, part.digest),
                    lambda done, before=before: self._board.bytes(share.device, before + done, total),  # type: ignore[misc]
                    self._halted.is_set,
                )
            before += part.size_bytes
            self._board.bytes(share.device, before, total)
        self._wait_for_others(share)

    def _prepare(self, share: DeviceShare, host: str) -> Prepared:
        self._board.step(share.device, "load", _count(share.stages, "stage"))
        self._loading.add(share.device)
        self._patience[share.device].note()
        try:
            # Looked at only now: whoever halts from here on sees this device among those that load.
            self._check_halted()
            answer = self._sessions[share.device].call(
                Prepare(
                    deployment=self.spec.id,
                    epoch=self.spec.epoch,
                    device=share.device,
                    bind_host=host,
                    stages=share.stages,
                    links=share.links,
                    plaintext=self.spec.plaintext,
                ),
                PREPARE_SILENCE_S,
                self._patience[share.device],
            )
        except AgentFaultError as error:
            error.next_step = LOADING_NEXT_STEPS.get(error.code, error.next_step)
            raise
        finally:
            self._loading.discard(share.device)
        prepared = clean_prepared(answer, share, plaintext=self.spec.plaintext)
        self._wait_for_others(share)
        return prepared

    def stage_progress(self, device: str, event: StageProgress) -> None:
        """Take an agent's report of a stage that it loads."""
        if (event.deployment, event.epoch) == (self.spec.id, self.spec.epoch):
            self._patience[device].note()
            self._board.step(device, "load", clean_text(f"{event.stage}: {event.step.replace('_', ' ')}", limit=300))

    # --- the ways between devices ------------------------------------------------------------------------------------

    def _find_ways(self) -> Ways:
        self._ways = ways = Ways(self.parts.manifest.links, self._sessions, self._tell_of_peers)
        return ways

    def _connect(self, pool: ThreadPoolExecutor, sockets: Mapping[str, DataSocket], last_frame: int = -1) -> None:
        """Connect all devices to their peers, and the studio to them, which have seen no frame after this one yet."""
        manifest, ways = self.parts.manifest, self._ways
        if ways is None:
            raise AssertionError("found before")
        require_own_keys({device: socket.public_key for device, socket in sockets.items()})
        for device in sockets:
            self._board.step(device, "verify", "looking for a way to the other devices")
        ways.settle(self._everywhere(pool), sockets)
        self._board.describe(cuts=cuts_out(self.spec.graph, self.parts.settled, ways.way))
        self._board.note([*ways.notes(), *([PLAINTEXT_NOTE] if self.spec.plaintext else [])])
        door = FrontDoor(
            deployment=self.spec.id,
            epoch=self.spec.epoch,
            links=manifest.studio_links,
            inputs=manifest.inputs,
            outputs=manifest.outputs,
            replicas=manifest.replicas,
            plaintext=self.spec.plaintext,
            last_frame=last_frame,
        )
        self.front_door = door

        def connect(share: DeviceShare) -> None:
            self._board.step(share.device, "verify", "connecting to the other devices")
            self._tell_of_peers(share.device)

        self._on_devices(pool, connect)
        door.connect(ways.peers_of(STUDIO_PEER))

    def _tell_of_peers(self, device: str) -> None:
        """Tell a device where it finds its peers; again, when a relay that it uses listens elsewhere now."""
        door, ways = self.front_door, self._ways
        if door is None or ways is None:
            # It ends, or was not told of the old place yet.
            return
        studio = PeerAddress(device=STUDIO_PEER, host="", port=0, public_key=door.public_key)
        peers = (*ways.peers_of(device), studio)
        self._sessions[device].call(Connect(deployment=self.spec.id, epoch=self.spec.epoch, peers=peers), CALL_S)

    def _try_all_devices(self, verification: Verification) -> None:
        """Send the test frame through the devices and compare with the whole network. Raises DevicesDifferError."""
        for device in self.spec.graph.devices:
            self._board.step(device, "verify", "comparing one frame with the whole network")
        if self.front_door is None:
            raise AssertionError("connected before")
        inputs = {name: self.spec.test_frame[name] for name in self.parts.manifest.inputs}
        self._board.note(try_all_devices(self.front_door, inputs, verification, self._check_halted))
