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
from partition_studio.deployment.described import as_carried, cuts_out, stages_out
from partition_studio.deployment.errors import LOADING_NEXT_STEPS
from partition_studio.deployment.front_door import FrontDoor
from partition_studio.deployment.manifest import DeviceShare, Manifest, build_manifest
from partition_studio.deployment.probe import try_all_devices
from partition_studio.deployment.spec import DeploymentSpec, Given, SettledCodecs
from partition_studio.deployment.ways import DataSocket, Everywhere, Ways
from partition_studio.errors import DeviceError
from partition_studio.fleet.errors import AgentFaultError, OperationCancelledError
from partition_studio.fleet.progress import Progress as FleetProgress
from partition_studio.fleet.session.agent_client import Patience
from partition_studio.fleet.session.session import DeviceSession, SessionStep
from partition_studio.fleet.text import clean_text
from partition_studio.partition.micro_batch import free_batches
from partition_studio.partition.runtimes import RuntimeTooOldError, for_runtimes
from partition_studio.partition.submodel import Contents, SubModel, require_deployable, submodels
from partition_studio.partition.verify import Verification, verify
from partition_studio.schemas import PLAINTEXT_NOTE, ProblemOut

logger = logging.getLogger(__name__)

T = TypeVar("T")

#: Devices that are brought up at the same time.
MAX_PARALLEL_DEVICES = 16

#: A device that loads shows progress this often at least: what takes longest is optimising one stage.
PREPARE_SILENCE_S = 180.0
CALL_S = 20.0


class Rollout:
    """One attempt. Its steps go onto `board`; `front_door` is there once the devices are connected."""

    def __init__(
        self, spec: DeploymentSpec, sessions: Mapping[str, DeviceSession], board: Board, make_room: Callable[[], None]
    ) -> None:
        """Prepare an attempt; `make_room` is called when all devices are reached and nothing has been sent yet."""
        self._make_room = make_room
        self.spec = spec
        self.front_door: FrontDoor | None = None
        self._manifest: Manifest | None = None
        self._sessions = sessions
        self._board = board
        #: Set when nothing more is to be begun: cancelled by the person, or one device failed.
        self._halted = threading.Event()
        #: Devices that are loading their stages now.
        self._loading: set[str] = set()
        #: How long each of them is waited for.
        self._patience = {device: Patience() for device in sessions}
        self._settled: SettledCodecs = Given()
        #: How many frames a stage may compute in one go, where its sub-model allows more than one.
        self._batches: Mapping[str, int] = {}
        self._ways: Ways | None = None

    @property
    def manifest(self) -> Manifest:
        """What each agent is told; there once the rollout has begun."""
        if self._manifest is None:
            raise AssertionError("not begun")
        return self._manifest

    def _cut(self) -> Mapping[str, SubModel]:
        """Make the sub-models, whose weights stay on disk, and the manifest. Raises StageTooLargeError."""
        parts = submodels(self.spec.partition.network, self.spec.graph, annotated=False)
        require_deployable(parts)
        self._tell(parts)
        return parts

    def _tell(self, parts: Mapping[str, SubModel]) -> None:
        """Make the manifest of these sub-models."""
        digests = {name: part.digest for name, part in parts.items()}
        self._manifest = build_manifest(
            self.spec.graph, digests, self.spec.threads, codecs=self._settled.codecs, batches=self._batches
        )

    def _for_runtimes(self, parts: Mapping[str, SubModel], agents: Mapping[str, AgentInfo]) -> Mapping[str, SubModel]:
        """Return the sub-models as the devices' runtimes take them: the same ones where they do so already.

        Raises RuntimeTooOldError.
        """
        runtimes = {device: info.onnxruntime_version for device, info in agents.items()}
        try:
            written = for_runtimes(parts, self.spec.graph, runtimes)
        except RuntimeTooOldError as error:
            self._board.fail(str(error.details["device"]), ProblemOut.of(error))
            raise
        if written is not parts:
            self._tell(written)
        return written

    def roll_out(self) -> None:
        """Bring it up from nothing. Raises StudioError; what is on the devices by then is the caller's to release."""
        parts = self._cut()
        with ThreadPoolExecutor(MAX_PARALLEL_DEVICES + 1, thread_name_prefix=f"deploy-{self.spec.id}") as pool:
            proof = pool.submit(self._settle_and_prove, parts)
            agents = self._on_devices(pool, self._reach, also=(proof,))
            parts, verification = proof.result()
            verification.require_equal()
            self._tell(parts)
            written = self._for_runtimes(parts, agents)
            if written is not parts:
                # What is proved is what is sent.
                for device in self.spec.graph.devices:
                    self._board.step(device, "push", "proving the parts anew, written for the oldest runtime")
                verification = self._prove(written)
                verification.require_equal()
            self._make_room()
            self._on_devices(pool, lambda share: self._push(share, written))
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
        self._settled = Given(self.spec.settled_before())
        self._tell(self._free_batches(self._cut()))
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
    def is_halted(self) -> bool:
        """Whether nothing more is to be begun."""
        return self._halted.is_set()

    def _all_ready(self) -> None:
        self._check_halted()
        for share in self.manifest.shares:
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
        shares = [share for share in self.manifest.shares if only is None or share.device in only]
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
        if self._halted.is_set():
            raise OperationCancelledError("The deployment was cancelled")

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

    def _settle_and_prove(self, parts: Mapping[str, SubModel]) -> tuple[Mapping[str, SubModel], Verification]:
        """Decide how tensors travel and how frames are computed together; return what is sent, and its proof."""
        self._settled = self.spec.settled(self._halted.is_set, self._tell_of_proof)
        freed = self._free_batches(parts)
        proof = self._prove(freed)
        self._settled, notes = as_carried(self.spec.graph, self._settled, proof.codec_effect)
        self._board.describe(cuts=cuts_out(self.spec.graph, self._settled))
        self._board.note(notes)
        return freed, proof

    def _free_batches(self, parts: Mapping[str, SubModel]) -> Mapping[str, SubModel]:
        freed = free_batches(self.spec.partition, parts, self.spec.plan.micro_batch, self._check_halted)
        self._batches = freed.batches
        self._board.note(f"{stage} computes its frames one by one: {why}" for stage, why in freed.refused.items())
        return freed.parts

    def _tell_of_proof(self, text: str) -> None:
        logger.info("codecs_settled", extra={"deployment_id": self.spec.id, "step": text})

    def _prove(self, parts: Mapping[str, SubModel]) -> Verification:
        spec = self.spec
        return verify(
            spec.original(),
            spec.partition,
            Contents(parts),
            spec.test_frame,
            codecs=self._settled.codecs,
            on_stage=lambda _stage: self._check_halted(),
        )

    def _reach(self, share: DeviceShare) -> AgentInfo:
        """Connect, check, install, and start the agent."""

        def on_step(step: SessionStep, text: str) -> None:
            self._board.step(share.device, "install" if step == "start" else step, text)

        def progress(report: FleetProgress) -> None:
            self._board.step(share.device, "install", report.text)
            if report.total_bytes is not None:
                self._board.bytes(share.device, report.done_bytes, report.total_bytes)

        self._board.step(share.device, "connect", "connecting")
        return self._sessions[share.device].hold_agent(self.spec.holder, on_step, progress, self._halted.is_set)

    def _push(self, share: DeviceShare, parts: Mapping[str, SubModel]) -> None:
        session = self._sessions[share.device]
        stage_of = self.manifest.stage_of
        sizes = {stage.digest: parts[stage_of[stage.name]].size_bytes for stage in share.stages}
        total, before = sum(sizes.values()), 0
        self._board.step(share.device, "push", f"{len(share.stages)} sub-models")
        for stage in share.stages:
            part = parts[stage_of[stage.name]]
            session.push_model(
                self.spec.holder,
                part.data,
                part.digest,
                lambda done, before=before: self._board.bytes(share.device, before + done, total),  # type: ignore[misc]
                self._halted.is_set,
            )
            before += part.size_bytes
            self._board.bytes(share.device, before, total)

    def _prepare(self, share: DeviceShare, host: str) -> Prepared:
        self._board.step(share.device, "load", f"{len(share.stages)} stages")
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
        self._board.step(share.device, "verify", "waiting for the other devices")
        return prepared

    def stage_progress(self, device: str, event: StageProgress) -> None:
        """Take an agent's report of a stage that it loads."""
        if (event.deployment, event.epoch) == (self.spec.id, self.spec.epoch):
            self._patience[device].note()
            self._board.step(device, "load", clean_text(f"{event.stage}: {event.step.replace('_', ' ')}", limit=300))

    # --- the ways between devices ------------------------------------------------------------------------------------

    def _find_ways(self) -> Ways:
        self._ways = ways = Ways(self.manifest.links, self._sessions, self._tell_of_peers)
        return ways

    def _connect(self, pool: ThreadPoolExecutor, sockets: Mapping[str, DataSocket], last_frame: int = -1) -> None:
        """Connect all devices to their peers, and the studio to them, which have seen no frame after this one yet."""
        manifest, ways = self.manifest, self._ways
        if ways is None:
            raise AssertionError("found before")
        require_own_keys({device: socket.public_key for device, socket in sockets.items()})
        for device in sockets:
            self._board.step(device, "verify", "looking for a way to the other devices")
        ways.settle(self._everywhere(pool), sockets)
        self._board.describe(cuts=cuts_out(self.spec.graph, self._settled, ways.way))
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
        inputs = {name: self.spec.test_frame[name] for name in self.manifest.inputs}
        self._board.note(try_all_devices(self.front_door, inputs, verification, self._check_halted))
