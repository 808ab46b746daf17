"""Deployments and runs."""

from datetime import datetime
from typing import Literal

from pydantic import Field

from partition_studio.partition.plan import Plan
from partition_studio.schemas.base import ModelId, ProblemOut, Schema
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


DeviceStep = Literal["waiting", "connect", "check", "install", "push", "load", "verify", "start", "ready", "failed"]


class DeviceProgressOut(Schema):
    """How far one device has come with a deployment."""

    device: str
    step: DeviceStep
    detail: str
    done_bytes: int | None = None
    total_bytes: int | None = None
    elapsed_s: float = 0
    problem: ProblemOut | None = None


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


class RunOut(Schema):
    """Frames sent through a deployment."""

    id: str
    deployment_id: str
    state: Literal["running", "finished", "stopped", "failed", "interrupted"]
    """`interrupted`: the studio ended in the middle of it; the figures are the last that were kept."""
    source: Literal["samples", "files", "random"]
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


class DeploymentOut(Schema):
    """A plan on its devices."""

    id: str
    epoch: int
    model_id: str
    model_name: str
    state: Literal["deploying", "running", "stopping", "stopped", "failed", "cancelled"]
    plan: Plan
    stages: list[StageOut]
    cuts: list[CutOut]
    devices: list[DeviceProgressOut]
    created_at: datetime
    deploy_s: float | None
    """Seconds from the request to the first moment that frames could run."""
    problem: ProblemOut | None
    notes: list[str] = Field(default=[])
    """What the person should know of it: a provider that is not there, links through the studio, links in plaintext."""
    plaintext: bool = False
    """Whether its links are not encrypted: for measuring only."""
    run: RunOut | None
    """The run that is going on, or the last one."""
