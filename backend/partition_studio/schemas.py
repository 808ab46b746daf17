"""What travels over REST and the live WebSocket: the one description that OpenAPI and the browser's types come from.

Units are in the names (seconds, bytes, watts, joules). `None` means not known or not measurable, never zero.
"""

from datetime import datetime
from typing import Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field

from partition_studio.errors import StudioError
from partition_studio.graph.blocks import BlockKind
from partition_studio.partition.plan import MAX_PLAN_BYTES, DeviceName, Plan, Sharding


class Schema(BaseModel):
    """Frozen, and strict about unknown fields."""

    model_config = ConfigDict(
        frozen=True, extra="forbid", from_attributes=True, use_attribute_docstrings=True, allow_inf_nan=False
    )


class ProblemOut(Schema):
    """An error for the person, as every failing request answers it (after RFC 9457)."""

    code: str
    """Stable name for programs, such as `unknown_host_key`."""
    message: str
    """What happened, and to which layer, device or file."""
    next_step: str
    """What to do about it."""
    details: dict[str, object] = {}

    @classmethod
    def of(cls, error: BaseException) -> Self:
        """Return what a person is told of an error; one that is not of our family is a fault of ours."""
        if not isinstance(error, StudioError):
            error = StudioError(f"Something unexpected happened ({type(error).__name__})")
        return cls(code=error.code, message=error.message, next_step=error.next_step, details=dict(error.details))


# --- models ----------------------------------------------------------------------------------------------------------


class TensorOut(Schema):
    """An activation: a value on an edge of the network."""

    name: str
    dtype: str
    shape: list[int]
    size_bytes: int


class LayerOut(Schema):
    """One ONNX node."""

    name: str
    op_type: str
    inputs: list[str]
    """Activations that it takes, by tensor name; weights are not among them."""
    outputs: list[str]
    output_shape: list[int]
    """Shape of its first output."""
    macs: int
    parameters: int
    weight_bytes: int
    activation_bytes: int
    """Bytes of all its outputs."""
    attributes: dict[str, str]


class PreprocessingOut(Schema):
    """How an image becomes an input: `(pixel * scale - mean) / std`, per channel."""

    channel_order: Literal["rgb", "bgr"] = "rgb"
    scale: float = 1.0
    mean: list[float] = [0.0]
    std: list[float] = [1.0]


class ModelSummaryOut(Schema):
    """A network that the studio holds."""

    id: str
    """Short name in addresses: the first twelve digits of the digest."""
    name: str
    digest: str
    """SHA-256 of the ONNX file."""
    size_bytes: int
    layer_count: int
    macs: int
    parameters: int
    weight_bytes: int
    inputs: list[TensorOut]
    outputs: list[TensorOut]
    example: str | None
    """Name of the example that it was made from."""
    samples: list[str]
    """Names of images that come with it."""
    trained: bool
    """False where the weights are random (an architecture to try speed and memory on)."""
    simplified: bool
    """Whether its layers are those of the simplified network."""
    simplifiable: bool
    """Whether a simplified form passed the check: then either form may be chosen."""
    simplification: str
    """What simplification gains, or why it is not used; empty where it was never tried."""
    dims: dict[str, int]
    """Size of each free dimension that the person bound."""
    added_at: datetime


class BlockOut(Schema):
    """A named run of layers: connected, and shown as one box."""

    name: str
    kind: BlockKind
    layers: list[str]
    """In topological order."""
    parent: str | None
    """The block that holds it."""


class ModelOut(ModelSummaryOut):
    """A network with its layers in topological order and every activation."""

    layers: list[LayerOut]
    blocks: list[BlockOut]
    """Recognised blocks, outer ones before those in them; at each level, a layer is in one at most."""
    tensors: list[TensorOut]
    preprocessing: PreprocessingOut
    labels: list[str]


class ModelChangeIn(Schema):
    """Choose another form of a network."""

    simplified: bool


class ExampleOut(Schema):
    """A network that the studio can make on request."""

    id: str
    title: str
    description: str
    trained: bool
    size_bytes: int
    model_id: str | None
    """Set when it has been added already."""


# --- plans -----------------------------------------------------------------------------------------------------------

PlanFileText = Annotated[str, Field(max_length=MAX_PLAN_BYTES)]
DeviceMap = Annotated[dict[DeviceName, DeviceName], Field(max_length=1000)]


class PlanIn(Schema):
    """A plan to save. `revision` is the one that the edit started from; another one now is a conflict."""

    name: str = Field(min_length=1, max_length=120)
    plan: Plan
    revision: int | None = None


class SavedPlanOut(Schema):
    """A plan kept for a model."""

    id: int
    model_id: str
    name: str
    revision: int
    plan: Plan
    updated_at: datetime


class SpreadIn(Schema):
    """Ask for a first placement: contiguous runs of layers, balanced by estimated cost, in the order of `devices`."""

    devices: list[str] = Field(min_length=1, max_length=100)


class PlanProblemOut(Schema):
    """Something wrong with a plan, at the layer or device that it speaks of."""

    code: str
    severity: Literal["error", "warning"]
    message: str
    layer: str | None = None
    device: str | None = None
    next_step: str | None = None
    """What to do about it, where there is something particular."""


class PartOut(Schema):
    """One layer of the rewritten network that a sharding made of a layer of the network."""

    name: str
    device: str
    op_type: str
    glue: bool
    """Whether it only takes a tensor apart or joins its parts."""


class DividedLayerOut(Schema):
    """A layer of the network that is divided, and what it became."""

    layer: str
    shards: list[int]
    """Indices of the plan's shardings that divide it or a part of it, in order."""
    parts: list[PartOut]


class ShardOut(Schema):
    """One entry of the plan's `shards`."""

    index: int
    strategy: Literal["spatial", "spatial_independent", "output_channels", "input_channels"]
    layers: list[str]
    """As the entry names them: layers of the network, or parts that an earlier entry made (`conv1#0`)."""
    whole_layers: list[str]
    """The layers of the network that they come from."""
    devices: list[str]
    """The device of each part."""


class DeviceCostOut(Schema):
    """What a plan asks of one device, per frame."""

    device: str
    layers: int
    macs: int
    parameters: int
    weight_bytes: int
    activation_bytes: int
    """Estimated bytes of the activations that are alive at once."""
    likely_memory_bytes: int
    """Estimate of the memory that the device will need, the runtime included."""
    received_bytes: int
    sent_bytes: int


class StageOut(Schema):
    """The largest connected piece that one device runs in one go."""

    name: str
    device: str
    layers: list[str]


class CutOut(Schema):
    """The tensors that pass from one stage to another. `source` and `sink` are the studio's ends."""

    producer: str
    consumer: str
    producer_device: str
    consumer_device: str
    tensors: list[str]
    size_bytes: int


class PlanReportOut(Schema):
    """What is wrong with a plan, or what it costs."""

    problems: list[PlanProblemOut]
    devices: list[DeviceCostOut]
    stages: list[StageOut]
    cuts: list[CutOut]
    shards: list[ShardOut] = []
    divided: list[DividedLayerOut] = []
    """Every divided layer of the network, in topological order; empty where a sharding cannot be applied."""


class AutodiceIn(Schema):
    """AutoDiCE's files, as text."""

    mapping: PlanFileText
    horizontal: PlanFileText | None = None
    platform: PlanFileText | None = None
    devices: DeviceMap = {}
    """Registered device for a name in the files: a host (`nx01`) or a host with resource (`nx01_gpu`)."""


class AutodiceOut(Schema):
    """AutoDiCE's files of a plan, as text."""

    mapping: str
    horizontal: str | None
    """Left out where no layer is divided."""
    devices: dict[str, str]
    """Registered device for a name in the files, where they differ: what an import needs to give the same plan."""


class PlacementMapIn(Schema):
    """A JSON object `{node: device}`, as text."""

    map: PlanFileText
    devices: DeviceMap = {}
    """Registered device for a name in the map."""


class CutListIn(Schema):
    """Tensors at which the network is cut, in order: each part is all that its tensor needs and no earlier part has."""

    cuts: list[Annotated[str, Field(min_length=1, max_length=1000)]] = Field(max_length=1000)
    devices: list[DeviceName] = Field(min_length=1, max_length=1001)
    """One more than cuts."""


class ImportedPlanOut(Schema):
    """A plan made of another tool's files."""

    plan: Plan
    notes: list[str]
    """What a person should know of it: sentences."""


class ShardIn(Schema):
    """Divide layers of a plan."""

    plan: Plan
    sharding: Sharding
    last: str | None = None
    """When given, `sharding.layers` names one layer, and all layers on the ways from it to this one are divided."""


# --- devices ---------------------------------------------------------------------------------------------------------


class DeviceIn(Schema):
    """A device to register."""

    name: str
    address: str
    """`ssh://user@host[:port]`, or `local:` for a process on the studio's own machine."""
    key_file: str | None = None
    """Private key on the studio's machine. Without it: the ssh-agent and the user's usual keys."""
    password: str | None = Field(default=None, repr=False)
    """Kept in memory until the studio ends; written nowhere."""
    trusted_fingerprint: str | None = None
    """The host key's fingerprint that the person has compared and accepted (`SHA256:...`)."""
    cpus: list[int] | None = None
    """Cores that the agent may use; all usable ones when left out."""
    memory_bytes: int | None = Field(default=None, gt=0, lt=2**63)
    """Memory that may be used, where it is less than the device itself can tell."""
    idle_power_w: float | None = Field(default=None, ge=0)
    busy_power_w: float | None = Field(default=None, ge=0)


class PythonOut(Schema):
    """A Python found on a device."""

    path: str
    version: str


class DeviceCheckOut(Schema):
    """What a device is and can do, as found by its last check."""

    verdict: Literal["ready", "cannot"]
    reasons: list[str]
    checked_at: datetime
    os: str
    architecture: str
    model: str | None
    libc: str | None
    python: PythonOut | None
    """The one that the agent would use."""
    pythons: list[PythonOut]
    usable_cores: float
    memory_bytes: int
    """Usable memory: the control group's limit where there is one, else the machine's."""
    memory_available_bytes: int | None
    disk_free_bytes: int | None


class DeviceOut(Schema):
    """A registered device."""

    name: str
    kind: Literal["ssh", "local"]
    address: str
    state: Literal["unknown", "ready", "cannot", "unreachable"]
    check: DeviceCheckOut | None
    problem: ProblemOut | None
    """Why it is not ready."""
    cpus: list[int] | None
    memory_bytes: int | None
    """Memory that the person allowed."""
    idle_power_w: float | None
    busy_power_w: float | None
    agent_running: bool
    deployment_id: str | None
    """The deployment that it takes part in now."""


class LogOut(Schema):
    """The last lines of a device's agent log."""

    device: str
    lines: list[str]


# --- deployments and runs --------------------------------------------------------------------------------------------


class DeploymentIn(Schema):
    """Put a plan onto its devices. A running deployment of the same model is replaced once the new one stands."""

    model_id: str
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
    state: Literal["running", "finished", "stopped", "failed"]
    source: Literal["samples", "files", "random"]
    started_at: datetime
    elapsed_s: float
    in_flight: int | None = None
    """Frames that may be under way at once; 1: the parts run one after the other. None: as many as the pipeline takes."""
    submitted: int
    delivered: int
    lost: int
    frames_per_s: float | None
    """Over the last five seconds while running; over the whole run afterwards."""
    latency_p50_s: float | None
    latency_p95_s: float | None
    problem: ProblemOut | None
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
    run: RunOut | None
    """The run that is going on, or the last one."""


# --- live ------------------------------------------------------------------------------------------------------------


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
