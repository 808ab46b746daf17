"""Live messages over the WebSocket."""

from datetime import datetime
from typing import Annotated, Literal

from pydantic import Field

from partition_studio.schemas.base import Schema
from partition_studio.schemas.deployments import DeploymentOut, RunOut
from partition_studio.schemas.devices import DeviceOut, PowerMethod, PowerScope, ThermalOut
from partition_studio.schemas.energy import EnergyOut, PowerOut
from partition_studio.schemas.jobs import JobOut
from partition_studio.schemas.planner import SearchMessage


class StageLiveOut(Schema):
    """What one stage did during the last interval."""

    deployment: str
    epoch: int
    stage: str
    frames_per_s: float
    compute_s: float | None
    """Mean per frame; absent when no frame passed."""
    queue_wait_s: float | None
    queued: int
    frames: int
    lost: int
    weight_bytes: int
    activation_bytes: int | None
    arena_bytes: int | None
    """What loading and the first run added beyond weights and activations."""


class LinkLiveOut(Schema):
    """What one end of a link did during the last interval, and how it stands."""

    deployment: str
    link: str
    sends: bool | None
    """Whether the link begins at this device; else it ends here. Absent until a frame passes."""
    frames_per_s: float
    bytes_per_s: float
    """Of tensors as they are in memory."""
    wire_bytes_per_s: float
    """Of what the codec made of them."""
    coding_s: float | None
    """Mean per frame that this end took to encode or decode; absent when no frame passed."""
    connected: bool
    reconnects: int
    in_flight: int
    """Frames sent from here that their consumer has not begun."""
    stalled_s: float
    """How long nothing has moved although something was under way."""


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
    memory_unique_bytes: int | None
    """Of it, what is the agent's alone (USS)."""
    memory_peak_bytes: int
    memory_limit_bytes: int
    memory_model_bytes: int
    """The models' own share: weights, activations and what loading added."""
    gpu_memory_bytes: int | None
    """On a Jetson this is part of `memory_bytes`, not on top."""
    received_bytes_per_s: float
    """Over links, as their codecs made it."""
    sent_bytes_per_s: float
    power: PowerOut | None
    """The source with the widest scope."""
    other_power: list[PowerOut]
    energy: EnergyOut | None
    """Over the last ten seconds or so, by `power`."""
    thermal: ThermalOut | None
    stages: list[StageLiveOut]
    links: list[LinkLiveOut]
    dropped: dict[str, int]


class DeviceLiveMessage(Schema):
    """A device's newest figures."""

    type: Literal["device_live"] = "device_live"
    live: DeviceLiveOut


class JobMessage(Schema):
    """A long task moved on or ended."""

    type: Literal["job"] = "job"
    job: JobOut


class LinksMessage(Schema):
    """Link figures changed: fetch them again."""

    type: Literal["links"] = "links"


class ProfilesMessage(Schema):
    """The profiles of a device changed: fetch them again."""

    type: Literal["profiles"] = "profiles"
    device: str


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


OneMessage = Annotated[
    DeviceLiveMessage
    | DeviceMessage
    | DeviceRemovedMessage
    | DeploymentMessage
    | RunMessage
    | ModelsMessage
    | PlansMessage
    | JobMessage
    | LinksMessage
    | ProfilesMessage
    | SearchMessage,
    Field(discriminator="type"),
]


class BatchMessage(Schema):
    """What came together: as one text, and to be shown as one change."""

    type: Literal["batch"] = "batch"
    messages: list[OneMessage]


LiveMessage = Annotated[OneMessage | BatchMessage, Field(discriminator="type")]


class LiveEnvelope(Schema):
    """One WebSocket text; at most ten a second. `sequence` grows by one.

    On a gap, fetch `/api/live` and the lists again.
    """

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


class HistoryPointOut(Schema):
    """One moment of a device's history; a figure that was not measured is None."""

    at: datetime
    frames_per_s: float | None
    cpu_utilisation: float | None
    memory_bytes: int | None
    power_w: float | None
    temperature_c: float | None
    throttled: bool


class HistoryOut(Schema):
    """A device's history. Where nothing was sampled there is a point whose figures are all None: a gap."""

    device: str
    step_s: float
    points: list[HistoryPointOut]
    power_source: str | None
    power_scope: PowerScope | None
    power_method: PowerMethod | None
    missing_samples: int
    """Samples that were taken and are lost (the ring on the device was full)."""
