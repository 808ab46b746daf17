"""What is gathered beside a run while it goes on, so that its report can be read whenever."""

import logging
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from partition_studio.deployment.deployment import Deployment
from partition_studio.errors import StudioError
from partition_studio.graph.network import Network
from partition_studio.partition.plan import Plan
from partition_studio.schemas import (
    DeploymentOut,
    DeviceLiveOut,
    PredictionOut,
    RunNetworkOut,
    RunOut,
    RunReportOut,
)
from partition_studio.services.model_out import tensor_out
from partition_studio.telemetry.run_figures import RunSeries, RunTally

logger = logging.getLogger(__name__)

#: Predicts a plan of a network, by its id. Raises StudioError.
Predict = Callable[[str, Plan], PredictionOut]


def network_out(network: Network) -> RunNetworkOut:
    """Describe the network that runs."""
    return RunNetworkOut(
        digest=network.digest,
        simplified=network.form.simplified,
        dims=dict(network.form.dims),
        layer_count=len(network.layers),
        macs=network.macs,
        parameters=network.parameters,
        weight_bytes=network.weight_bytes,
        inputs=[tensor_out(name, kind) for name, kind in network.inputs.items()],
        outputs=[tensor_out(name, kind) for name, kind in network.outputs.items()],
    )


@dataclass
class RunRecord:
    """One run's surroundings. All but `predict` is called under the lock of whoever tells of the run."""

    model_id: str
    deployment: DeploymentOut
    network: RunNetworkOut
    tally: RunTally
    series: RunSeries = field(default_factory=RunSeries)
    prediction: PredictionOut | None = None
    prediction_missing: str | None = None

    @classmethod
    def of(cls, deployment: Deployment) -> "RunRecord":
        """Begin the record of a run that is about to start."""
        spec = deployment.spec
        return cls(
            model_id=spec.model_id,
            deployment=deployment.snapshot().model_copy(update={"run": None}),
            network=network_out(spec.partition.whole),
            tally=RunTally(spec.id, spec.epoch, deployment.devices),
        )

    def take(self, run: RunOut, told: Iterable[DeviceLiveOut]) -> None:
        """Take how far the run is, and what the devices tell."""
        self.tally.take(told)
        self.series.take(run.elapsed_s, run.delivered, run.latency_p50_s)

    def predict(self, predict: Predict) -> None:
        """Keep what is predicted of the plan, once."""
        if self.prediction is not None or self.prediction_missing is not None:
            return
        try:
            self.prediction = predict(self.model_id, self.deployment.plan)
        except StudioError as error:
            self.prediction_missing = error.message
        except Exception:  # the boundary: the run's own figures are worth more than this one
            logger.exception("run_not_predicted", extra={"deployment_id": self.deployment.id})
            self.prediction_missing = "The studio could not predict this plan."

    def about(self) -> dict[str, object]:
        """Return what the list of runs shows beside the run's own figures."""
        return {
            "model_name": self.deployment.model_name,
            "plan_name": self.deployment.plan_name,
            "predicted_frames_per_s": None if self.prediction is None else self.prediction.throughput_per_s,
        }

    def report(self, run: RunOut) -> RunReportOut:
        """Return the report as it is now."""
        planned = [] if self.prediction is None else self.prediction.stages
        return RunReportOut(
            run=run,
            model_id=self.model_id,
            model_name=self.deployment.model_name,
            plan_name=self.deployment.plan_name,
            network=self.network,
            deployment=self.deployment,
            prediction=self.prediction,
            prediction_missing=self.prediction_missing,
            stages=self.tally.stages({(stage.device, stage.stage): stage.seconds for stage in planned}),
            devices=self.tally.devices(),
            points=list(self.series.points),
        )
