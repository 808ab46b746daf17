"""Runs: frames read, sent, reported."""

import logging
import secrets
import threading
import time
from collections.abc import Callable, Mapping, Sequence

from sqlalchemy.exc import SQLAlchemyError

from partition_studio.deployment.deployment import Deployment
from partition_studio.deployment.errors import NotRunningError, RunGoingOnError, RunNotFoundError
from partition_studio.deployment.run import NamedFrame, Run, Tensors
from partition_studio.errors import BadInputError, StudioError
from partition_studio.graph.classes import probability_outputs, top_classes
from partition_studio.graph.frames import random_frame, read_frame
from partition_studio.schemas import ClassScoreOut, RunMessage, RunOut, RunReportOut, RunSource
from partition_studio.services.deployments import DeploymentService
from partition_studio.services.models import ModelService
from partition_studio.services.run_history import RunHistory
from partition_studio.services.run_record import Predict, RunRecord
from partition_studio.services.telemetry import TelemetryService
from partition_studio.sizes import size_text
from partition_studio.telemetry.figures import times_of_stages
from partition_studio.telemetry.live import LiveHub

logger = logging.getLogger(__name__)

#: Different random frames that a run of them goes round.
RANDOM_FRAMES = 8

#: Every frame of a run is read before the first is sent.
MAX_RUN_BYTES = 512 * 1024**2

#: Runs kept in memory, with their outputs.
KEPT_RUNS = 8

#: How often the figures of a run that goes on are written down, for a studio that is killed meanwhile.
KEEP_EVERY_S = 2.0

#: Classes shown for a frame.
SHOWN_CLASSES = 5


class NoSamplesError(BadInputError):
    """The model comes with no images."""

    code = "no_samples"
    next_step = "Choose files, or random frames."


class RunService:
    """Start, follow and stop runs. Thread-safe."""

    def __init__(
        self,
        history: RunHistory,
        hub: LiveHub,
        models: ModelService,
        deployments: DeploymentService,
        telemetry: TelemetryService,
    ) -> None:
        self.history = history
        self._hub = hub
        self._models = models
        self._deployments = deployments
        self._telemetry = telemetry
        self._lock = threading.Lock()
        self._telling = threading.Lock()
        self._runs: dict[str, Run] = {}
        self._records: dict[str, RunRecord] = {}
        #: When each was last written down (monotonic).
        self._kept_s: dict[str, float] = {}
        #: Tells what the stages of a deployment are expected to take for a frame, by name.
        self.expected_s: Callable[[str], Mapping[str, float]] | None = None
        #: Predicts a plan of a network, for the report.
        self.predict: Predict | None = None

    def start(
        self,
        deployment_id: str,
        *,
        source: RunSource,
        repeat: bool,
        seconds: float | None,
        in_flight: int | None = None,
        files: Sequence[tuple[str, bytes]] = (),
    ) -> RunOut:
        """Begin to send frames. Raises FrameInputError for a file that does not fit, NotRunningError, RunGoingOnError.

        Every file is read before the first frame is sent.
        """
        deployment = self._deployments.live(deployment_id)
        self._tell_expected(deployment)
        frames = self._frames(deployment.spec.model_id, source, files)
        labels = self._models.labels(deployment.spec.model_id)
        probabilities = probability_outputs(deployment.spec.partition.whole)

        def classify(outputs: Tensors) -> list[ClassScoreOut]:
            for name, output in outputs.items():
                scores = top_classes(output, labels or None, SHOWN_CLASSES, are_probabilities=name in probabilities)
                if scores:
                    return [
                        ClassScoreOut(index=s.index, label=s.label or f"class {s.index}", score=s.score) for s in scores
                    ]
            return []

        with self._lock:
            door = deployment.front_door
            if door is None:
                raise NotRunningError(f"The deployment {deployment_id} is {deployment.state}")
            if deployment.run is not None and deployment.run.is_running:
                raise RunGoingOnError(f"The run {deployment.run.id} is going on in the deployment {deployment_id}")
            run = Run(
                run_id=secrets.token_hex(4),
                deployment_id=deployment_id,
                source=source,
                frames=frames,
                repeat=repeat,
                seconds=seconds,
                in_flight=in_flight,
                front_door=door,
                passthrough=deployment.passthrough,
                constants=deployment.constant_outputs(),
                classify=classify,
                on_change=self._changed,
                energy=lambda begin_s, end_s, frames: self._telemetry.energy(
                    deployment.devices, begin_s, end_s, frames
                ),
            )
            deployment.run = run
            self._records[run.id] = RunRecord.of(deployment)
            self._records[run.id].tally.take(self._telemetry.live())
            self._runs[run.id] = run
            ended = [old.id for old in self._runs.values() if not old.is_running]
            for old_id in ended[: max(0, len(self._runs) - KEPT_RUNS)]:
                del self._runs[old_id]
                del self._records[old_id]
                self._kept_s.pop(old_id, None)
        # From now on it is known to have been begun, whatever becomes of the studio.
        self._keep(run, run.snapshot())
        run.start()
        return run.snapshot()

    def show(self, run_id: str) -> RunOut:
        """Show a run."""
        run = self._runs.get(run_id)
        return self.history.find(run_id) if run is None else run.snapshot()

    def report(self, run_id: str) -> RunReportOut:
        """Return everything that is known of a run. Raises RunNotFoundError."""
        run, record = self._runs.get(run_id), self._records.get(run_id)
        if run is None or record is None:
            return self.history.report(run_id)
        self._predict(record)
        with self._telling:
            return record.report(run.snapshot())

    def remove(self, run_id: str) -> None:
        """Forget a run that has ended. Raises RunNotFoundError, RunGoesOnError."""
        with self._telling:
            self.history.remove(run_id)
            with self._lock:
                self._runs.pop(run_id, None)
                self._records.pop(run_id, None)
                self._kept_s.pop(run_id, None)
        self._deployments.forget_run(run_id)

    def _predict(self, record: RunRecord) -> None:
        if self.predict is not None:
            record.predict(self.predict)

    def stop(self, run_id: str) -> RunOut:
        """Stop a run; what is on its way still arrives."""
        run = self._run(run_id)
        run.stop()
        run.wait(10)
        return run.snapshot()

    def outputs_npz(self, run_id: str) -> bytes:
        """Return the outputs of a run of files."""
        return self._run(run_id).outputs_npz()

    def _run(self, run_id: str) -> Run:
        run = self._runs.get(run_id)
        if run is None:
            raise RunNotFoundError(f"There is no run {run_id!r} in this studio's memory")
        return run

    def _frames(self, model_id: str, source: RunSource, files: Sequence[tuple[str, bytes]]) -> list[NamedFrame]:
        network = self._models.network(model_id)
        if source == "random":
            return [NamedFrame(f"random {n}", random_frame(network.inputs, seed=n)) for n in range(RANDOM_FRAMES)]
        if source == "samples":
            files = [(name, self._models.sample(model_id, name)) for name in self._models.sample_names(model_id)]
            if not files:
                raise NoSamplesError(f"The model {network.name!r} comes with no sample images")
        if not files:
            raise BadInputError("No file was given", next_step="Choose at least one image or tensor file.")
        frame_bytes = sum(kind.size_bytes for kind in network.inputs.values())
        if len(files) * frame_bytes > MAX_RUN_BYTES:
            raise BadInputError(
                f"{len(files)} frames of {size_text(frame_bytes)} are more than a run takes "
                f"({size_text(MAX_RUN_BYTES)})",
                next_step=f"Send at most {MAX_RUN_BYTES // frame_bytes} at once.",
            )
        preprocessing = self._models.preprocessing(model_id)
        return [NamedFrame(name, read_frame(data, name, network.inputs, preprocessing)) for name, data in files]

    def _changed(self, run: Run) -> None:
        with self._telling:
            # Taken and published in one, so that nothing older follows what is newer.
            out = run.snapshot()
            self._hub.publish(RunMessage(run=out))
            record = self._records.get(run.id)
            if record is not None:
                record.take(out, self._telemetry.live())
        if out.state != "running":
            if not run.is_kept and record is not None:
                self._keep(run, out)
                # Takes a moment, and what was measured is safe by now.
                self._predict(record)
                self._keep(run, out)
            return
        if time.monotonic() - self._kept_s.get(run.id, 0.0) > KEEP_EVERY_S:
            self._keep(run, out)
        self._tell_speeds(run)

    def _tell_expected(self, deployment: Deployment) -> None:
        """Tell the source of frames what the replicas are expected to take, before they have taken any."""
        door = deployment.front_door
        if door is not None and door.wants_measurements and self.expected_s is not None:
            door.expected(self.expected_s(deployment.id))

    def _tell_speeds(self, run: Run) -> None:
        """Tell the source of frames how long the replicas take, where it cannot see that itself."""
        if not run.front_door.wants_measurements:
            return
        try:
            spec = self._deployments.live(run.deployment_id).spec
        except StudioError:
            # It ends.
            return
        times = times_of_stages(self._telemetry.live(), spec.id, spec.epoch)
        instances = (instance for stage in spec.graph.stages for instance in stage.instances)
        run.front_door.measured(
            {at.name: times[at.device, at.name] for at in instances if (at.device, at.name) in times}
        )

    def _keep(self, run: Run, out: RunOut) -> None:
        """Write down the figures of a run as they were; not over newer ones, nor of a run that was removed since.

        What a run does must not hang on whether it can be written down just now: where not, that is logged alone.
        """
        with self._telling:
            record = self._records.get(run.id)
            if record is None or (run.is_kept and out.state == "running"):
                return
            run.is_kept = out.state != "running"
            self._kept_s[run.id] = time.monotonic()
            try:
                self.history.keep(out, record)
                if run.is_kept:
                    self.history.prune()
            except SQLAlchemyError:
                logger.exception("run_not_saved", extra={"run_id": run.id})
