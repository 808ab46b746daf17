"""A plan put onto its devices: brought up, kept, ended.

The order of things: the parts are proven equal to the whole here, while every device is connected, checked and
installed; then the sub-models go over and are loaded; then the devices are connected to one another, and one frame
through all of them is compared with the whole network's answer. Only then is the deployment running, and only then
does the one that it replaces end, so that a deployment that fails leaves the last good one as it was.
"""

import logging
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import FIRST_EXCEPTION, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, TypeVar

import numpy as np
import onnx

from partition_agent.protocol import STUDIO_PEER, Connect, DeploymentInfo, End, PeerAddress, Prepare, Prepared
from partition_agent.protocol import Progress as StageProgress
from partition_studio.deployment.addresses import data_hosts
from partition_studio.deployment.board import Board, DeploymentState
from partition_studio.deployment.errors import (
    DeploymentCancelledError,
    DeviceLostError,
    DevicesDifferError,
)
from partition_studio.deployment.front_door import FrontDoor
from partition_studio.deployment.manifest import DeviceShare, Manifest, build_manifest
from partition_studio.deployment.run import Run, Tensors
from partition_studio.errors import DeploymentError, StudioError
from partition_studio.fleet.errors import OperationCancelledError
from partition_studio.fleet.progress import Progress as FleetProgress
from partition_studio.fleet.session import DeviceSession, SessionStep
from partition_studio.graph.network import Network
from partition_studio.partition.extract import SubModel, submodels
from partition_studio.partition.plan import Plan
from partition_studio.partition.stages import StageGraph
from partition_studio.partition.verify import Verification, verify
from partition_studio.schemas import CutOut, DeploymentOut, ProblemOut, StageOut

logger = logging.getLogger(__name__)

T = TypeVar("T")

#: Devices that are brought up at the same time.
MAX_PARALLEL_DEVICES = 16

PREPARE_S = 180.0
CALL_S = 20.0
PROBE_FRAME_S = 120.0
RUN_END_S = 10.0

#: Processors round differently: the devices' answer may differ from the whole's, run here, by this much of its largest
#: value.
DEVICE_TOLERANCE = {"float16": 2e-2}
DEFAULT_DEVICE_TOLERANCE = 1e-3


def problem_of(error: BaseException) -> ProblemOut:
    """Return what a person is told of an error."""
    if isinstance(error, StudioError):
        return ProblemOut(
            code=error.code, message=error.message, next_step=error.next_step, details=dict(error.details)
        )
    return ProblemOut(
        code="unexpected",
        message=f"something unexpected happened ({type(error).__name__}: {error})",
        next_step=StudioError.next_step,
    )


@dataclass(frozen=True, slots=True)
class DeploymentSpec:
    """What is put where. `test_frame` is what the proofs run on."""

    id: str
    epoch: int
    model_id: str
    model_name: str
    plan: Plan
    network: Network
    original: Callable[[], onnx.ModelProto]
    graph: StageGraph
    test_frame: Tensors
    threads: Mapping[str, int]


class Deployment:
    """One deployment and the thread that brings it up. Thread-safe."""

    def __init__(
        self,
        spec: DeploymentSpec,
        sessions: Mapping[str, DeviceSession],
        *,
        replaces: "Deployment | None",
        on_change: Callable[["Deployment"], None],
        created_at: datetime | None = None,
    ) -> None:
        """Take what is to be deployed; `created_at` is that of the request, where it was made to an earlier studio."""
        self.spec = spec
        self.created_at = created_at or datetime.now(UTC)
        self.run: Run | None = None
        self._sessions = sessions
        self._replaces = replaces
        self._cancelled = threading.Event()
        #: Set when nothing more is to be begun: cancelled by the person, or one device failed.
        self._halted = threading.Event()
        self._ended = threading.Event()
        self._ending = threading.Lock()
        self._lock = threading.Lock()
        self._front_door: FrontDoor | None = None
        self._manifest: Manifest | None = None
        self._stages = [StageOut(name=s.name, device=s.device, layers=list(s.layers)) for s in spec.graph.stages]
        self._cuts = _cuts_out(spec.graph)
        self.board = Board(spec.graph.devices, time.monotonic, lambda: on_change(self))

    @property
    def id(self) -> str:
        """Its name."""
        return self.spec.id

    @property
    def state(self) -> DeploymentState:
        """Its state."""
        return self.board.state

    @property
    def is_active(self) -> bool:
        """Whether it holds devices or is about to."""
        return self.state in ("deploying", "running", "stopping")

    @property
    def devices(self) -> tuple[str, ...]:
        """The devices that take part."""
        return self.spec.graph.devices

    @property
    def front_door(self) -> FrontDoor | None:
        """Where frames go in; None unless it runs."""
        with self._lock:
            return self._front_door if self.state == "running" else None

    @property
    def passthrough(self) -> Mapping[str, str]:
        """Outputs that are inputs of the network."""
        return self._manifest.passthrough if self._manifest is not None else {}

    def start(self) -> None:
        """Begin to bring it up."""
        self._begin(self._roll_out)

    def resume(self) -> None:
        """Begin to take it up again: its agents went on while the studio was away."""
        self._begin(self._find_again)

    def _begin(self, work: Callable[[], None]) -> None:
        threading.Thread(target=self._bring_up, args=(work,), name=f"deploy-{self.id}", daemon=True).start()

    def cancel(self) -> None:
        """Give up while it is on its way."""
        self._cancelled.set()
        self._halted.set()

    def wait(self, timeout_s: float) -> bool:
        """Wait until it no longer deploys; return whether that is so."""
        return self._ended.wait(timeout_s)

    # --- bringing up -------------------------------------------------------------------------------------------------

    def _bring_up(self, work: Callable[[], None]) -> None:
        try:
            work()
            self.board.become("running")
        except Exception as error:
            cancelled = self._cancelled.is_set() and isinstance(error, OperationCancelledError)
            if not isinstance(error, StudioError):
                logger.exception("deployment_failed", extra={"deployment_id": self.id})
            self._release()
            problem = problem_of(DeploymentCancelledError("The deployment was cancelled") if cancelled else error)
            self.board.become("cancelled" if cancelled else "failed", problem)
        else:
            if self._replaces is not None:
                self._replaces.end()
        finally:
            self._ended.set()

    def _roll_out(self) -> None:
        spec = self.spec
        parts = submodels(spec.network, spec.graph)
        manifest = build_manifest(spec.graph, {name: part.digest for name, part in parts.items()}, spec.threads)
        self._manifest = manifest
        with ThreadPoolExecutor(MAX_PARALLEL_DEVICES + 1, thread_name_prefix=f"deploy-{self.id}") as pool:
            proof = pool.submit(self._prove, parts)
            self._on_devices(pool, manifest.shares, self._reach, also=(proof,))
            verification = proof.result()
            verification.require_equal()
            self._on_devices(pool, manifest.shares, lambda share: self._push(share, parts))
            hosts = data_hosts({share.device: self._sessions[share.device] for share in manifest.shares})
            prepared = self._on_devices(pool, manifest.shares, lambda share: self._prepare(share, hosts[share.device]))
            peers = [
                PeerAddress(device=device, host=hosts[device], port=answer.data_port, public_key=answer.public_key)
                for device, answer in prepared.items()
            ]
            self._connect(pool, manifest, peers)
        self._try_one_frame(verification)
        for share in manifest.shares:
            self.board.step(share.device, "ready")

    def _find_again(self) -> None:
        """Take hold of the agents that still run this deployment, and become their source and sink with a new key."""
        spec = self.spec
        parts = submodels(spec.network, spec.graph)
        manifest = build_manifest(spec.graph, {name: part.digest for name, part in parts.items()}, spec.threads)
        self._manifest = manifest
        with ThreadPoolExecutor(MAX_PARALLEL_DEVICES, thread_name_prefix=f"resume-{self.id}") as pool:
            held = self._on_devices(pool, manifest.shares, self._find_share)
            hosts = data_hosts({share.device: self._sessions[share.device] for share in manifest.shares})
            peers = [
                PeerAddress(device=device, host=hosts[device], port=info.data_port, public_key=info.public_key)
                for device, info in held.items()
            ]
            self._connect(pool, manifest, peers)
        for share in manifest.shares:
            self.board.step(share.device, "ready")

    def _find_share(self, share: DeviceShare) -> DeploymentInfo:
        self.board.step(share.device, "connect", "looking for its agent")
        info = self._sessions[share.device].reattach(self._holder)
        wanted = {stage.name for stage in share.stages}
        for held in info.deployments if info is not None else ():
            if (held.deployment, held.epoch) == (self.id, self.spec.epoch) and wanted == set(held.stages):
                return held
        raise DeviceLostError(f"{share.device} no longer runs its part of the deployment", device=share.device)

    def _on_devices(
        self,
        pool: ThreadPoolExecutor,
        shares: Sequence[DeviceShare],
        work: Callable[[DeviceShare], T],
        also: Sequence[Future[Verification]] = (),
    ) -> dict[str, T]:
        """Do something on every device at once; the first failure halts the others and is raised."""
        self._check_halted()
        futures = {share.device: pool.submit(self._guarded, share, work) for share in shares}
        everything: list[Future[Any]] = [*futures.values(), *also]
        done, waiting = wait(everything, return_when=FIRST_EXCEPTION)
        failures = [error for future in done if (error := future.exception()) is not None]
        if failures:
            self._halted.set()
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
            self.board.step(share.device, "waiting", "stopped")
            raise
        except Exception as error:
            self.board.fail(share.device, problem_of(error))
            raise

    def _prove(self, parts: Mapping[str, SubModel]) -> Verification:
        spec = self.spec
        return verify(
            spec.original(),
            spec.graph,
            {name: part.data for name, part in parts.items()},
            spec.test_frame,
            on_stage=lambda _stage: self._check_halted(),
        )

    def _reach(self, share: DeviceShare) -> None:
        """Connect, check, install, and start the agent."""

        def on_step(step: SessionStep, text: str) -> None:
            self.board.step(share.device, "install" if step == "start" else step, text)

        def progress(report: FleetProgress) -> None:
            self.board.step(share.device, "install", report.text)
            if report.total_bytes is not None:
                self.board.bytes(share.device, report.done_bytes, report.total_bytes)

        self.board.step(share.device, "connect", "connecting")
        self._sessions[share.device].hold_agent(self._holder, on_step, progress, self._halted.is_set)

    def _push(self, share: DeviceShare, parts: Mapping[str, SubModel]) -> None:
        session = self._sessions[share.device]
        sizes = {stage.digest: len(parts[stage.name].data) for stage in share.stages}
        total, before = sum(sizes.values()), 0
        self.board.step(share.device, "push", f"{len(share.stages)} sub-models")
        for stage in share.stages:
            part = parts[stage.name]
            session.push_model(
                part.data,
                part.digest,
                lambda done, before=before: self.board.bytes(share.device, before + done, total),  # type: ignore[misc]
                self._halted.is_set,
            )
            before += len(part.data)
            self.board.bytes(share.device, before, total)

    def _prepare(self, share: DeviceShare, host: str) -> Prepared:
        self.board.step(share.device, "load", f"{len(share.stages)} stages")
        answer = self._sessions[share.device].call(
            Prepare(
                deployment=self.id,
                epoch=self.spec.epoch,
                device=share.device,
                bind_host=host,
                stages=share.stages,
                links=share.links,
            ),
            PREPARE_S,
        )
        if not isinstance(answer, Prepared):
            raise DeploymentError(f"{share.device} answered the deployment with nonsense")
        self.board.step(share.device, "verify", "waiting for the other devices")
        return answer

    def stage_progress(self, device: str, event: StageProgress) -> None:
        """Take an agent's report of a stage that it loads."""
        if event.deployment == self.id and event.epoch == self.spec.epoch and self.state == "deploying":
            self.board.step(device, "load", f"{event.stage}: {event.step.replace('_', ' ')}")

    def _connect(self, pool: ThreadPoolExecutor, manifest: Manifest, peers: Sequence[PeerAddress]) -> None:
        door = FrontDoor(
            deployment=self.id,
            epoch=self.spec.epoch,
            links=manifest.studio_links,
            inputs=manifest.inputs,
            outputs=manifest.outputs,
        )
        with self._lock:
            self._front_door = door
        everyone = (*peers, PeerAddress(device=STUDIO_PEER, host="", port=0, public_key=door.public_key))

        def connect(share: DeviceShare) -> None:
            self.board.step(share.device, "verify", "connecting to the other devices")
            request = Connect(deployment=self.id, epoch=self.spec.epoch, peers=everyone)
            self._sessions[share.device].call(request, CALL_S)

        self._on_devices(pool, manifest.shares, connect)
        door.connect(peers)

    def _try_one_frame(self, verification: Verification) -> None:
        """Send the test frame through the devices and compare with the whole network. Raises DevicesDifferError."""
        for device in self.devices:
            self.board.step(device, "verify", "comparing one frame with the whole network")
        door, manifest = self._front_door, self._manifest
        if door is None or manifest is None:
            raise AssertionError("connected before")
        inputs = {name: self.spec.test_frame[name] for name in manifest.inputs}
        future = door.submit(inputs, timeout_s=PROBE_FRAME_S)
        deadline_s = time.monotonic() + PROBE_FRAME_S
        while not future.done() and time.monotonic() < deadline_s:
            self._check_halted()
            wait([future], timeout=0.2)
        if not future.done():
            raise DeploymentError(f"No frame came through the devices within {PROBE_FRAME_S:.0f} s")
        for name, array in future.result().outputs.items():
            expected = verification.outputs[name]
            tolerance = DEVICE_TOLERANCE.get(str(expected.dtype), DEFAULT_DEVICE_TOLERANCE)
            scale = float(np.max(np.abs(expected.astype(np.float64)), initial=0.0)) or 1.0
            worst = float(np.max(np.abs(array.astype(np.float64) - expected.astype(np.float64)), initial=0.0)) / scale
            if not worst <= tolerance:
                raise DevicesDifferError(
                    f"The devices' answer {name!r} differs from the whole network's by {worst:.1e} of its largest value"
                    f" (allowed: {tolerance:.0e})",
                    tensor=name,
                )

    # --- ending ------------------------------------------------------------------------------------------------------

    @property
    def _holder(self) -> str:
        return f"{self.id}/{self.spec.epoch}"

    def end(self) -> None:
        """Stop it: its run, its stages, and the agents that nobody else needs. Blocks until all has come to rest."""
        with self._ending:
            if self.state == "deploying":
                self.cancel()
                self._ended.wait()
                return
            if self.state not in ("running", "failed"):
                return
            self.board.become("stopping")
            self._end_run(None)
            self._release()
            self.board.become("stopped")

    @property
    def survives_the_studio(self) -> bool:
        """Whether its agents go on without the studio (those on the studio's own machine end with it)."""
        return self.state == "running" and not any(session.is_local for session in self._sessions.values())

    def leave(self) -> None:
        """Let go of it because the studio ends; its agents go on and wait for the next studio."""
        with self._ending:
            self._end_run(None)
            with self._lock:
                door, self._front_door = self._front_door, None
            if door is not None:
                door.close()

    def device_lost(self, device: str, reason: str) -> None:
        """Fail because a device of it went away; the frames on their way are reported lost."""
        if device not in self.devices:
            return
        error = DeviceLostError(f"{device} was lost: {reason}", device=device)
        if self.state == "deploying":
            self.board.fail(device, problem_of(error))
            self._halted.set()
            return
        with self._ending:
            if self.state != "running":
                return
            logger.warning("deployment_lost_device", extra={"deployment_id": self.id, "device": device})
            self.board.fail(device, problem_of(error))
            self._end_run(problem_of(error))
            self._release()
            self.board.become("failed", problem_of(error))

    def _end_run(self, problem: ProblemOut | None) -> None:
        run, door = self.run, self._front_door
        if problem is not None and door is not None:
            door.fail_in_flight(problem.message)
        if run is not None and run.is_running:
            if problem is not None:
                run.fail(problem)
            else:
                run.stop()
            run.wait(RUN_END_S)

    def _release(self) -> None:
        """Give back everything on every device; one that cannot be reached is left to itself."""
        with self._lock:
            door, self._front_door = self._front_door, None
        if door is not None:
            door.close()

        def release(device: str) -> None:
            try:
                self._sessions[device].release_agent(self._holder, End(deployment=self.id, epoch=self.spec.epoch))
            except StudioError as error:
                logger.warning("release_failed", extra={"device": device, "reason": error.message})

        with ThreadPoolExecutor(MAX_PARALLEL_DEVICES, thread_name_prefix=f"release-{self.id}") as pool:
            wait([pool.submit(release, device) for device in self.devices])

    # --- telling -----------------------------------------------------------------------------------------------------

    def snapshot(self) -> DeploymentOut:
        """Return what a person sees of it now."""
        run = self.run
        return DeploymentOut(
            id=self.id,
            epoch=self.spec.epoch,
            model_id=self.spec.model_id,
            model_name=self.spec.model_name,
            state=self.board.state,
            plan=self.spec.plan,
            stages=self._stages,
            cuts=self._cuts,
            devices=self.board.rows(),
            created_at=self.created_at,
            deploy_s=self.board.deploy_s,
            problem=self.board.problem,
            run=run.snapshot() if run is not None else None,
        )


def _cuts_out(graph: StageGraph) -> list[CutOut]:
    return [
        CutOut(
            producer=cut.producer,
            consumer=cut.consumer,
            producer_device=graph.device_of(cut.producer) or STUDIO_PEER,
            consumer_device=graph.device_of(cut.consumer) or STUDIO_PEER,
            tensors=list(cut.tensors),
            size_bytes=graph.cut_bytes(cut),
        )
        for cut in graph.cuts
    ]
