"""Deployments: begun, followed, ended, and found again after a restart."""

import logging
import secrets
import threading
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from typing import Protocol

from sqlalchemy.exc import SQLAlchemyError

from partition_agent.protocol import End
from partition_studio.deployment.deployment import Deployment
from partition_studio.deployment.described import decided, kept_notes
from partition_studio.deployment.dry_run import dry_run
from partition_studio.deployment.errors import (
    AlreadyDeployingError,
    DeployedSinceError,
    NothingToRetryError,
)
from partition_studio.deployment.run import Tensors
from partition_studio.deployment.spec import DeploymentSpec, SettledCodecs
from partition_studio.errors import ConflictError, StudioError
from partition_studio.graph.frames import random_frame, read_frame
from partition_studio.graph.load import original_model
from partition_studio.partition.check import check_plan, crowded_devices, require_valid
from partition_studio.partition.partition import Partition
from partition_studio.partition.plan import Plan
from partition_studio.schemas import (
    PLAINTEXT_NOTE,
    DeploymentMessage,
    DeploymentOut,
    DeploymentState,
    DryRunOut,
)
from partition_studio.services.deployment_history import DeploymentHistory, UnfinishedDeployment
from partition_studio.services.devices import DeviceService
from partition_studio.services.models import ModelService
from partition_studio.telemetry.live import LiveHub

logger = logging.getLogger(__name__)


class SettleCodecs(Protocol):
    """Decides how a plan's tensors travel; takes a while where it says `auto`."""

    def __call__(
        self,
        model_id: str,
        plan: Plan,
        partition: Partition,
        *,
        cancelled: Callable[[], bool],
        on_step: Callable[[str], None],
    ) -> SettledCodecs:
        """Decide. Raises OperationCancelledError once `cancelled()` says so."""


class DeploymentService:
    """Bring plans up and down. Thread-safe; nothing blocks for long but `stop`."""

    def __init__(self, history: DeploymentHistory, hub: LiveHub, *, plaintext: bool = False) -> None:
        """Begin with no deployment. `plaintext`: links are not encrypted, as whoever starts the studio chose."""
        #: Decides about codecs; set by the one who makes it, which needs this service itself.
        self.settle: SettleCodecs | None = None
        self._plaintext = plaintext
        if plaintext:
            logger.warning("plaintext_links", extra={"reason": PLAINTEXT_NOTE})
        self.history = history
        self._hub = hub
        self._lock = threading.Lock()
        self._telling = threading.RLock()
        self._live: dict[str, Deployment] = {}
        self._saved_states: dict[str, str] = {}

    def attach(self, models: ModelService, devices: DeviceService) -> None:
        """Take the models and devices; apart from construction because each asks the other."""
        self._models = models
        self._devices = devices

    def all(
        self,
        *,
        model_id: str | None = None,
        state: DeploymentState | None = None,
        offset: int = 0,
        limit: int | None = None,
    ) -> list[DeploymentOut]:
        """List deployments, newest first."""
        # These first: one that ends meanwhile is in the history by then.
        live = {deployment.id: deployment.snapshot() for deployment in list(self._live.values())}
        ended = [out for out in self.history.newest(model_id) if out.id not in live]
        both = sorted([*live.values(), *ended], key=lambda out: out.created_at, reverse=True)
        wanted = [out for out in both if model_id in (None, out.model_id) and state in (None, out.state)]
        return self.history.with_runs(wanted[offset : None if limit is None else offset + limit])

    def forget_run(self, run_id: str) -> None:
        """Show a run that was removed no more with the deployment that it ran on."""
        for live in list(self._live.values()):
            if live.run is not None and live.run.id == run_id:
                live.run = None
                with self._telling:
                    self._publish(live)

    def show(self, deployment_id: str) -> DeploymentOut:
        """Show one deployment. Raises DeploymentNotFoundError."""
        live = self._live.get(deployment_id)
        out = self.history.find(deployment_id) if live is None else live.snapshot()
        return self.history.with_runs([out])[0]

    def live(self, deployment_id: str) -> Deployment:
        """Return a deployment that has not ended. Raises DeploymentNotFoundError, ConflictError for one that has."""
        live = self.live_or_ended(deployment_id)
        if live is None:
            raise ConflictError(
                f"The deployment {deployment_id} has ended", next_step="Deploy its plan again.", id=deployment_id
            )
        return live

    def live_or_ended(self, deployment_id: str) -> Deployment | None:
        """Return a deployment, or None for one that has ended. Raises DeploymentNotFoundError."""
        live = self._live.get(deployment_id)
        if live is None:
            self.show(deployment_id)
        return live

    def active_on(self, device: str) -> str | None:
        """Return the active deployment that a device takes part in."""
        active = [live.id for live in list(self._live.values()) if live.is_active and device in live.devices]
        return active[-1] if active else None

    def active_of(self, model_id: str) -> str | None:
        """Return an active deployment of a network."""
        return next((x.id for x in list(self._live.values()) if x.is_active and x.spec.model_id == model_id), None)

    def deploy(
        self,
        model_id: str,
        plan: Plan,
        plan_name: str | None = None,
        *,
        seen_epoch: int | None = None,
        waits: bool = False,
    ) -> DeploymentOut:
        """Check a plan and begin to bring it up. Raises PlanError, AlreadyDeployingError, DeployedSinceError.

        `seen_epoch` is the newest of the model that the person knows of. `waits`: a device that fails on the way is
        waited for, to be tried again.
        """
        with self._lock:
            of_model = [live for live in self._live.values() if live.spec.model_id == model_id]
            if any(live.state == "deploying" for live in of_model):
                raise AlreadyDeployingError(f"A deployment of {of_model[0].spec.model_name!r} is on its way")
            epoch = self.history.next_epoch(model_id)
            if seen_epoch is not None and seen_epoch < epoch - 1:
                raise DeployedSinceError("Another plan of this network was deployed meanwhile")
            spec = self._spec(secrets.token_hex(4), epoch, model_id, plan)
            spec = replace(spec, plan_name=plan_name or plan.name[:120] or None)
            old = next((live for live in of_model if live.state == "running"), None)
            deployment = Deployment(
                spec,
                {device: self._devices.session(device) for device in spec.graph.devices},
                replaces=old,
                both_fit=old is None or self._both_fit(old.spec, spec),
                on_change=self._changed,
                waits=waits,
            )
            self._live[deployment.id] = deployment
            try:
                self._save(deployment)
            except SQLAlchemyError:
                # It does not begin; who tries again is not told that it is on its way.
                del self._live[deployment.id]
                self._saved_states.pop(deployment.id, None)
                raise
        deployment.start()
        return deployment.snapshot()

    def _spec(self, deployment_id: str, epoch: int, model_id: str, plan: Plan) -> DeploymentSpec:
        """Return what is to be deployed. Raises PlanError, NotFoundError."""
        network = self._models.network(model_id)
        _, partition = require_valid(network, plan, self._devices.limits())
        path = self._models.path(model_id)
        settle = self.settle
        return DeploymentSpec(
            id=deployment_id,
            epoch=epoch,
            model_id=model_id,
            model_name=self._models.name(model_id),
            plan=plan,
            original=lambda: original_model(path, form=network.form),
            partition=partition,
            test_frame=self._test_frame(model_id),
            threads={device: self._devices.threads(device) for device in partition.graph.devices},
            settle=None
            if settle is None
            else lambda cancelled, on_step: settle(model_id, plan, partition, cancelled=cancelled, on_step=on_step),
            plaintext=self._plaintext,
        )

    def _both_fit(self, old: DeploymentSpec, new: DeploymentSpec) -> bool:
        """Return whether every device can hold its part of both at the same time."""
        costs = [check_plan(spec.partition.whole, spec.plan).costs for spec in (old, new)]
        return not crowded_devices(costs[0], costs[1], self._devices.limits())

    def cancel(self, deployment_id: str) -> DeploymentOut:
        """Give up a deployment that is on its way."""
        live = self.live(deployment_id)
        live.cancel()
        live.wait(30)
        return live.snapshot()

    def retry(self, deployment_id: str, device: str | None) -> DeploymentOut:
        """Try a device that failed again, or all that wait for it. Raises NothingToRetryError."""
        live = self.live(deployment_id)
        if not live.retry(device):
            raise NothingToRetryError(f"{device or 'No device'} is not waiting to be tried again")
        return live.snapshot()

    def dry_run(self, model_id: str, plan: Plan) -> DryRunOut:
        """Tell what deploying a plan would send. Raises PlanError."""
        spec = self._spec("", 0, model_id, plan)
        running = [live for live in list(self._live.values()) if live.spec.model_id == model_id]
        old = next((live for live in running if live.state == "running"), None)
        return dry_run(spec, old.spec if old is not None else None)

    def stop(self, deployment_id: str) -> DeploymentOut:
        """End a deployment; one that has ended stays as it is."""
        live = self._live.get(deployment_id)
        if live is None:
            return self.show(deployment_id)
        live.end()
        return live.snapshot()

    def device_lost(self, device: str, reason: str) -> None:
        """Fail every deployment that needs a device which went away."""
        for live in list(self._live.values()):
            if live.is_active:
                live.device_lost(device, reason)

    def each_active(self, act: Callable[[Deployment], None]) -> None:
        """Do something with every active deployment."""
        for live in list(self._live.values()):
            try:
                if live.is_active:
                    act(live)
            except StudioError as error:
                logger.warning("deployment_not_reached", extra={"deployment_id": live.id, "reason": error.message})

    def resume_running(self) -> None:
        """Take up again, at the studio's start, what ran when the last one ended; the rest has ended with it."""
        for earlier in self.history.unfinished():
            if earlier.state == "running" and self._resume(earlier):
                continue
            self.history.note_ended(earlier)
            if earlier.out is not None:
                threading.Thread(
                    target=self._clear_away,
                    args=(earlier.id, earlier.epoch, earlier.out.plan),
                    name=f"clear-{earlier.id}",
                    daemon=True,
                ).start()

    def _clear_away(self, deployment_id: str, epoch: int, plan: Plan) -> None:
        """End on its devices what an earlier studio left and this one does not take up again."""
        holder = f"{deployment_id}/{epoch}"
        for device in plan.devices():
            try:
                session = self._devices.session(device)
                if not session.is_local and session.reattach(holder) is not None:
                    session.release_agent(holder, End(deployment=deployment_id, epoch=epoch))
            except StudioError as error:
                # When it is back, and used again, it is asked to end what nobody holds.
                logger.info("not_cleared_away", extra={"device": device, "reason": error.message})

    def _resume(self, earlier: UnfinishedDeployment) -> bool:
        """Begin to take up a deployment; return whether that can be tried at all."""
        out = earlier.out
        if out is None:
            return False
        try:
            spec = self._spec(earlier.id, earlier.epoch, earlier.model_id, out.plan)
            # As it was brought up, whatever would be decided today.
            spec = replace(spec, plaintext=out.plaintext, before=decided(out.cuts), plan_name=out.plan_name)
            sessions = {device: self._devices.session(device) for device in spec.graph.devices}
        except StudioError as error:
            logger.warning("deployment_not_resumed", extra={"deployment_id": earlier.id, "reason": error.message})
            return False
        if any(session.is_local for session in sessions.values()):
            # Agents on this machine ended with the studio that started them.
            return False
        deployment = Deployment(spec, sessions, replaces=None, on_change=self._changed, created_at=earlier.created_at)
        # What devices said when they loaded it, such as that a stage runs on the CPU instead, is so still.
        deployment.board.describe(stages=out.stages)
        deployment.board.note(kept_notes(out.notes))
        self._live[deployment.id] = deployment
        deployment.resume()
        return True

    def close(self) -> None:
        """End every deployment that cannot go on without the studio, and let go of the others."""
        self.each_active(lambda live: live.leave() if live.survives_the_studio else live.end())

    def _changed(self, deployment: Deployment) -> None:
        if deployment.id not in self._live:
            return
        try:
            with self._telling:
                self._tell(deployment)
        except SQLAlchemyError:
            # What a deployment does must not hang on whether it can be written down just now.
            logger.exception("deployment_not_saved", extra={"deployment_id": deployment.id})

    def _tell(self, deployment: Deployment) -> None:
        """Publish and keep the present state; one after the other, so that nothing older follows."""
        self._publish(deployment)
        if deployment.state != "deploying" and self._saved_states.get(deployment.id) != deployment.state:
            self._save(deployment)
            if not deployment.is_active:
                # It holds a network in memory; what is shown of it from now on is in the database.
                self._live.pop(deployment.id, None)
                self._saved_states.pop(deployment.id, None)
            self._devices.tell(deployment.devices)

    def _publish(self, deployment: Deployment) -> None:
        out = deployment.snapshot()
        # One that deploys tells of every step, and has had no run.
        told = self.history.with_runs([out])[0] if out.state == "running" else out
        self._hub.publish(DeploymentMessage(deployment=told))

    def _save(self, deployment: Deployment) -> None:
        out = deployment.snapshot()
        self._saved_states[deployment.id] = out.state
        self.history.keep(out)

    def _test_frame(self, model_id: str) -> Tensors:
        """Return a real input where the model comes with one, else a random one."""
        network = self._models.network(model_id)
        for name in self._models.sample_names(model_id)[:1]:
            data = self._models.sample(model_id, name)
            return read_frame(data, name, network.inputs, self._models.preprocessing(model_id))
        return random_frame(network.inputs, seed=int(datetime.now(UTC).timestamp()))
