"""Deployments and runs."""

from datetime import datetime
from typing import Literal

from pydantic import Field

from partition_studio.partition.plan import Plan
from partition_studio.schemas.base import GivenName, ModelId, ProblemOut, Schema
from partition_studio.schemas.energy import EnergyOut
from partition_studio.schemas.plans import CutOut, StageOut

#: What is noted of a deployment whose links are not encrypted.
PLAINTEXT_NOTE = (
    "Its links are in plain text: whoever is on the network can read and change the frames. This studio was started so,"
    " for measuring only"
)


class DeploymentIn(Schema):
    """Put a plan onto its devices. A running deployment of the same model is replaced once the new one stands."""

    model_id: ModelId
    plan: Plan
    plan_name: GivenName | None = None
    """What the person calls the plan; shown in the history of runs."""
    seen_epoch: int | None = Field(default=None, ge=0)
    """The newest epoch of this model that the person knows of (0: none). Refused where somebody deployed since."""
    wait_for_retry: bool = False
    """Keep what stands when a device cannot be reached, installed or sent its parts, until it is tried again."""


class SentPartOut(Schema):
    """A sub-model that a device needs."""

    stage: str
    size_bytes: int
    is_there: bool
    """Whether the device has it already, from what runs there now."""


class DeviceDryRunOut(Schema):
    """What one device would be sent."""

    device: str
    parts: list[SentPartOut]
    total_bytes: int
    send_bytes: int
    """Without what is there already."""


class DryRunOut(Schema):
    """What deploying a plan would send. Nothing is touched to find out."""

    devices: list[DeviceDryRunOut]
    send_bytes: int
    replaces: str | None
    """The running deployment of this model, which ends when the new one stands."""
    leaves: list[str]
    """Devices of the running deployment that the plan does not use."""


DeviceStep = Literal["waiting", "connect", "check", "install", "push", "load", "verify", "start", "ready", "failed"]


class DeviceStepOut(Schema):
    """One step that a device has come to. Over all times that it was at it, where it was tried again."""

    step: DeviceStep
    elapsed_s: float
    done_bytes: int | None = None
    total_bytes: int | None = None


class DeviceProgressOut(Schema):
    """How far one device has come with a deployment."""

    device: str
    step: DeviceStep
    detail: str
    done_bytes: int | None = None
    total_bytes: int | None = None
    elapsed_s: float = 0
    problem: ProblemOut | None = None
    steps: list[DeviceStepOut] = Field(default=[])
    """Those it came to, in order; the last one may be going on, or be the one that failed."""


class ClassScoreOut(Schema):
    """A class and its score."""

    index: int
    label: str
    score: float


class FrameResultOut(Schema):
    """What came out for one frame."""

    frame: int
    input_name: str
    latency_s: float
    classes: list[ClassScoreOut]
    """Best first; empty where the network does not classify."""
    outputs: dict[str, list[int]]
    """Shape of each output."""


RunState = Literal["running", "finished", "stopped", "failed", "interrupted"]

RunSource = Literal["samples", "files", "random"]


class RunOut(Schema):
    """Frames sent through a deployment."""

    id: str
    deployment_id: str
    state: RunState
    """`interrupted`: the studio ended in the middle of it; the figures are the last that were kept."""
    source: RunSource
    started_at: datetime
    elapsed_s: float
    in_flight: int | None = None
    """Frames that may be under way at once (1: the parts run one after the other), or None: all that fit."""
    submitted: int
    delivered: int
    lost: int
    frames_per_s: float | None
    """Over the last five seconds while running; over the whole run afterwards."""
    latency_p50_s: float | None
    latency_p95_s: float | None
    problem: ProblemOut | None
    energy: dict[str, EnergyOut] = Field(default_factory=dict)
    """By device, from the first frame in to the last frame out; devices without a figure are left out."""
    recent: list[FrameResultOut]
    """The newest results first; a bounded number."""


DeploymentState = Literal["deploying", "running", "stopping", "stopped", "failed", "cancelled"]


class DeploymentOut(Schema):
    """A plan on its devices."""

    id: str
    epoch: int
    model_id: str
    model_name: str
    state: DeploymentState
    plan: Plan
    plan_name: str | None = None
    """What the person called the plan when it was deployed."""
    stages: list[StageOut]
    cuts: list[CutOut]
    devices: list[DeviceProgressOut]
    created_at: datetime
    deploy_s: float | None
    """Seconds from the request to the first moment that frames could run."""
    problem: ProblemOut | None
    retry_until: datetime | None = None
    """Devices failed, and the others are kept until then for them to be tried again."""
    notes: list[str] = Field(default=[])
    """What the person should know of it: a provider that is not there, links through the studio, links in plaintext."""
    plaintext: bool = False
    """Whether its links are not encrypted: for measuring only."""
    run: RunOut | None
    """The run that is going on, or the last one."""
