"""A plan on its devices, from the request to its end.

The one that it replaces ends only when it runs, so that a deployment that fails leaves the last good one as it was.
"""

import logging
import threading
import time
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor, wait
from datetime import UTC, datetime

from partition_agent.protocol import End
from partition_agent.protocol import Progress as StageProgress
from partition_studio.deployment.board import Board
from partition_studio.deployment.described import cuts_out, stages_out
from partition_studio.deployment.errors import (
    DeploymentCancelledError,
    DeviceLostError,
)
from partition_studio.deployment.front_door import FrontDoor
from partition_studio.deployment.retries import Retries
from partition_studio.deployment.rollout import MAX_PARALLEL_DEVICES, Rollout
from partition_studio.deployment.run import Run, Tensors
from partition_studio.deployment.spec import DeploymentSpec
from partition_studio.errors import StudioError
from partition_studio.fleet.errors import OperationCancelledError
from partition_studio.fleet.session.session import DeviceSession
from partition_studio.schemas import DeploymentOut, DeploymentState, ProblemOut

logger = logging.getLogger(__name__)

#: How long frames that are on their way are waited for when a run is ended.
RUN_END_S = 10.0

#: How long a deployment that was cancelled is waited for.
GIVE_UP_S = 60.0


class Deployment:
    """One deployment and the thread that brings it up. Thread-safe."""

    def __init__(
        self,
        spec: DeploymentSpec,
        sessions: Mapping[str, DeviceSession],
        *,
        replaces: "Deployment | None",
        both_fit: bool = True,
        on_change: Callable[["Deployment"], None],
        created_at: datetime | None = None,
        waits: bool = False,
    ) -> None:
        """Take what is to be deployed.

        `replaces` ends when this one runs; or before anything is sent, unless `both_fit` on their devices.
        `created_at` is the moment of the request, where that was made to an earlier studio. `waits`: a device that
        fails on the way is waited for, to be tried again.
        """
        self.spec = spec
        self.created_at = created_at or datetime.now(UTC)
        self.run: Run | None = None
        self._sessions = sessions
        self._replaces = replaces
        self._cancelled = threading.Event()
        #: Why it cannot come up, when a device was lost on the way.
        self._lost: ProblemOut | None = None
        self._ended = threading.Event()
        self._ending = threading.Lock()
        self.board = Board(spec.graph.devices, time.monotonic, lambda: on_change(self))
        self.board.describe(stages_out(spec.graph, {}), cuts_out(spec.graph))
        self._both_fit = both_fit
        self._retries = Retries(lambda: on_change(self)) if waits else None
        self._rollout = Rollout(spec, sessions, self.board, self._make_room, self._retries)

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
        return self._rollout.front_door if self.state == "running" else None

    @property
    def passthrough(self) -> Mapping[str, str]:
        """Outputs that are inputs of the network."""
        return self._rollout.parts.manifest.passthrough

    def constant_outputs(self) -> Tensors:
        """Return the outputs that are the same for every input. Raises NetworkChangedError."""
        return {name: weight.array() for name, weight in self.spec.partition.network.constant_outputs.items()}

    def start(self) -> None:
        """Begin to bring it up."""
        self._begin(self._rollout.roll_out)

    def resume(self) -> None:
        """Begin to take it up again: its agents went on while the studio was away."""
        self._begin(self._rollout.find_again)

    def _begin(self, work: Callable[[], None]) -> None:
        threading.Thread(target=self._bring_up, args=(work,), name=f"deploy-{self.id}", daemon=True).start()

    def cancel(self) -> None:
        """Give up while it is on its way."""
        self._cancelled.set()
        self._rollout.halt()

    def retry(self, device: str | None) -> bool:
        """Try a device that failed again, or all of them; return whether any waits for it."""
        return self._retries is not None and self._retries.ask(device)

    def wait(self, timeout_s: float) -> bool:
        """Wait until it no longer deploys; return whether that is so."""
        return self._ended.wait(timeout_s)

    # --- bringing up -------------------------------------------------------------------------------------------------

    def _bring_up(self, work: Callable[[], None]) -> None:
        try:
            work()
            with self._ending:
                # A device may have been lost after the last step.
                if self._rollout.is_halted:
                    raise OperationCancelledError("The deployment was cancelled")
                self.board.become("running")
        except Exception as error:
            if not isinstance(error, StudioError):
                logger.exception("deployment_failed", extra={"deployment_id": self.id})
            self._release()
            for device in self.devices:
                # Where nothing went wrong, nothing stands either.
                self.board.step(device, "waiting", "stopped")
            if self._cancelled.is_set() and isinstance(error, OperationCancelledError):
                problem = ProblemOut.of(DeploymentCancelledError("The deployment was cancelled"))
                self.board.become("cancelled", problem)
            else:
                self.board.become("failed", self._lost or ProblemOut.of(error))
        else:
            if self._replaces is not None:
                self._replaces.end()
        finally:
            self._ended.set()

    def _make_room(self) -> None:
        if self._replaces is not None and not self._both_fit:
            logger.info("deployment_makes_room", extra={"deployment_id": self.id, "ends": self._replaces.id})
            self._replaces.end()

    def stage_progress(self, device: str, event: StageProgress) -> None:
        """Take an agent's report of a stage that it loads."""
        if self.state == "deploying":
            self._rollout.stage_progress(device, event)

    # --- ending ------------------------------------------------------------------------------------------------------

    def end(self) -> None:
        """Stop it: its run, its stages, and the agents that nobody else needs. Blocks until all has come to rest."""
        with self._ending:
            if self.state == "deploying":
                self.cancel()
        if not self._ended.wait(GIVE_UP_S):
            logger.error("deployment_does_not_end", extra={"deployment_id": self.id})
            return
        with self._ending:
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
            self._close_door()

    def device_lost(self, device: str, reason: str) -> None:
        """Fail because a device of it went away; the frames on their way are reported lost."""
        if device not in self.devices:
            return
        problem = ProblemOut.of(DeviceLostError(f"{device} was lost: {reason}", device=device))
        with self._ending:
            if self.state == "deploying" and self._rollout.bears_loss:
                logger.info("deployment_bears_loss", extra={"deployment_id": self.id, "device": device})
            elif self.state == "deploying":
                self._lost = problem
                self.board.fail(device, problem)
                self._rollout.halt()
            elif self.state == "running":
                logger.warning("deployment_lost_device", extra={"deployment_id": self.id, "device": device})
                self.board.fail(device, problem)
                self._end_run(problem)
                self._release()
                self.board.become("failed", problem)

    def _end_run(self, problem: ProblemOut | None) -> None:
        run, door = self.run, self._rollout.front_door
        if problem is not None and door is not None:
            door.fail_in_flight(problem.message)
        if run is not None and run.is_running:
            if problem is not None:
                run.fail(problem)
            else:
                run.stop()
            run.wait(RUN_END_S)

    def _close_door(self) -> None:
        self._rollout.close()

    def _release(self) -> None:
        """Give back everything on every device; one that cannot be reached is left to itself."""
        self._close_door()

        def release(device: str) -> None:
            try:
                self._sessions[device].release_agent(self.spec.holder, End(deployment=self.id, epoch=self.spec.epoch))
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
            plan_name=self.spec.plan_name,
            stages=self.board.stages,
            cuts=self.board.cuts,
            devices=self.board.rows(),
            created_at=self.created_at,
            deploy_s=self.board.deploy_s,
            problem=self.board.problem,
            retry_until=None if self._retries is None else self._retries.until,
            notes=self.board.notes,
            plaintext=self.spec.plaintext,
            run=run.snapshot() if run is not None else None,
        )
