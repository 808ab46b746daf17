"""The history of runs, and the report of one."""

from datetime import datetime

from pydantic import Field

from partition_studio.schemas.base import ProblemOut, Schema
from partition_studio.schemas.deployments import DeploymentOut, RunOut, RunSource, RunState
from partition_studio.schemas.energy import EnergyOut
from partition_studio.schemas.models import TensorOut
from partition_studio.schemas.planner import PredictionOut


class RunSummaryOut(Schema):
    """A run in the history. What an older studio did not keep is None."""

    id: str
    deployment_id: str
    model_id: str | None
    model_name: str | None
    plan_name: str | None
    devices: list[str]
    state: RunState
    source: RunSource
    started_at: datetime
    elapsed_s: float
    delivered: int
    lost: int
    frames_per_s: float | None
    latency_p50_s: float | None
    latency_p95_s: float | None
    energy: dict[str, EnergyOut]
    """By device; figures of different devices and scopes never add."""
    predicted_frames_per_s: float | None
    problem: ProblemOut | None


class RunListOut(Schema):
    """A page of the history, newest first."""

    total: int
    """Of all pages, with the filters that were asked for."""
    runs: list[RunSummaryOut]


class RunNetworkOut(Schema):
    """The network that ran, as it was then."""

    digest: str
    simplified: bool
    dims: dict[str, int]
    layer_count: int
    macs: int
    parameters: int
    weight_bytes: int
    inputs: list[TensorOut]
    outputs: list[TensorOut]


class RunStageOut(Schema):
    """What one stage in one place did during a run: means over its frames."""

    stage: str
    device: str
    frames: int
    lost: int
    compute_s: float | None
    queue_wait_s: float | None
    predicted_s: float | None
    """Its computation, as predicted."""


class RunDeviceOut(Schema):
    """What one device did during a run: means over its samples, and the most of what has a limit."""

    device: str
    samples: int
    cpu_utilisation: float | None
    memory_peak_bytes: int | None
    memory_limit_bytes: int | None
    received_bytes_per_s: float | None
    sent_bytes_per_s: float | None
    temperature_peak_c: float | None
    throttled: bool


class RunPointOut(Schema):
    """A stretch of a run, told at its end."""

    elapsed_s: float
    frames_per_s: float
    latency_p50_s: float | None


class RunReportOut(Schema):
    """Everything that is known of one run."""

    run: RunOut
    model_id: str | None
    model_name: str | None
    plan_name: str | None
    network: RunNetworkOut | None
    deployment: DeploymentOut | None
    """What ran, as it stood when the run began; None where an older studio kept none."""
    prediction: PredictionOut | None
    prediction_missing: str | None = None
    """Why there is no prediction."""
    stages: list[RunStageOut] = Field(default=[])
    """Empty where the run was too short to hear of its stages."""
    devices: list[RunDeviceOut] = Field(default=[])
    points: list[RunPointOut] = Field(default=[])
    """Over time, in stretches of equal length at the most 240."""
