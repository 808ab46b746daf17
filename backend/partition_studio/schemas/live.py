"""Live messages over the WebSocket."""

from typing import Annotated, Literal

from pydantic import Field

from partition_studio.schemas.base import Schema
from partition_studio.schemas.deployments import DeploymentOut, RunOut
from partition_studio.schemas.devices import DeviceOut


class PowerOut(Schema):
    """Power of a device, and where the figure comes from."""

    power_w: float
    energy_j: float
    """Since the agent started."""
    source: str
    scope: str
    method: Literal["counter", "sampled", "estimated"]


class StageLiveOut(Schema):
    """What one stage did during the last interval."""

    stage: str
    frames_per_s: float
    compute_s: float | None
    """Mean per frame; absent when no frame passed."""
    queue_wait_s: float | None
    queued: int
    frames: int
    lost: int


class DeviceLiveOut(Schema):
    """What one device did during the last interval (about a second)."""

    device: str
    unix_s: float
    frames_per_s: float
    """Frames that left its last stage."""
    cpu_utilisation: float | None
    """Of all its usable cores, by anybody: 0 to 1."""
    agent_cores: float
    """Cores that the agent itself kept busy."""
    usable_cores: float
    memory_bytes: int | None
    """The agent's proportional set size (PSS)."""
    memory_peak_bytes: int
    memory_limit_bytes: int
    received_bytes_per_s: float
    sent_bytes_per_s: float
    power: PowerOut | None
    energy_per_frame_j: float | None
    stages: list[StageLiveOut]
    dropped: dict[str, int]


class DeviceLiveMessage(Schema):
    """A device's newest figures."""

    type: Literal["device_live"] = "device_live"
    live: DeviceLiveOut


class DeviceMessage(Schema):
    """A device was added, checked, lost or found again."""

    type: Literal["device"] = "device"
    device: DeviceOut


class DeviceRemovedMessage(Schema):
    """A device was removed."""

    type: Literal["device_removed"] = "device_removed"
    name: str


class DeploymentMessage(Schema):
    """A deployment changed: state, progress, or its run."""

    type: Literal["deployment"] = "deployment"
    deployment: DeploymentOut


class RunMessage(Schema):
    """A run's newest figures and results; several a second at most."""

    type: Literal["run"] = "run"
    run: RunOut


class ModelsMessage(Schema):
    """The list of models changed: fetch it again."""

    type: Literal["models"] = "models"


class PlansMessage(Schema):
    """The saved plans of a model changed: fetch them again."""

    type: Literal["plans"] = "plans"
    model_id: str


LiveMessage = Annotated[
    DeviceLiveMessage
    | DeviceMessage
    | DeviceRemovedMessage
    | DeploymentMessage
    | RunMessage
    | ModelsMessage
    | PlansMessage,
    Field(discriminator="type"),
]


class LiveEnvelope(Schema):
    """One WebSocket text. `sequence` grows by one; on a gap, fetch `/api/live` and the lists again."""

    sequence: int
    message: LiveMessage


class LiveSnapshotOut(Schema):
    """The newest figures of every device that reports."""

    devices: list[DeviceLiveOut]


class StudioOut(Schema):
    """Who answers."""

    version: str
    demo_model_id: str | None
    """Set when the studio was started by `partition-studio demo`: what to open first."""
