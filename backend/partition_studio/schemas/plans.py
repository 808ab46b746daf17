"""Plans: checked, saved, proposed, divided, read from other tools' files."""

from datetime import datetime
from typing import Annotated, Literal

from pydantic import Field

from partition_studio.partition.plan import MAX_PLAN_BYTES, DeviceName, Plan, Sharding
from partition_studio.schemas.base import GivenName, ProblemOut, Schema
from partition_studio.schemas.planner import PredictionOut

PlanFileText = Annotated[str, Field(max_length=MAX_PLAN_BYTES)]
DeviceMap = Annotated[dict[DeviceName, DeviceName], Field(max_length=1000)]


class PlanIn(Schema):
    """A plan to save. `revision` is the one that the edit started from; another one now is a conflict."""

    name: GivenName
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
    bound_bytes: int = 0
    """What its agent takes at most, loading included: the parts below."""
    agent_bytes: int = 0
    """The agent itself with the runtime loaded."""
    load_bytes: int = 0
    """On top of the weights for as long as they are loaded."""
    receive_bytes: int = 0
    """Frames that may wait, by the windows of its links."""
    send_bytes: int = 0


class StageOut(Schema):
    """The largest connected piece that one device runs in one go."""

    name: str
    device: str
    """The device; the replica group's name where several devices share the frames."""
    layers: list[str]
    devices: list[str] = Field(default=[])
    """Where it runs: one device, or those of the group."""
    provider: str = ""
    """Of a deployment: the execution provider that it really runs on."""
    batch: int = 1
    """Of a deployment: how many frames it takes in one go at most."""


class BoundsOut(Schema):
    """Between which values a codec clips; without an upper bound it is the largest value of the frame."""

    low: float
    high: float | None


class CutOut(Schema):
    """The tensors that pass from one stage to another. `source` and `sink` are the studio's ends."""

    producer: str
    consumer: str
    producer_device: str
    consumer_device: str
    tensors: list[str]
    size_bytes: int
    codecs: dict[str, str] = Field(default={})
    """Codec of each tensor that does not travel as it is; `auto` where that is not settled yet."""
    bounds: dict[str, BoundsOut] = Field(default={})
    """Of each tensor that a settled codec clips."""
    wire_bytes: int | None = None
    """Bytes of one frame on the link, by the codecs, as measured on a test frame; None: not known."""
    why: list[str] = Field(default=[])
    """For `auto`: why these codecs, in sentences."""
    way: Literal["direct", "studio", ""] = ""
    """Of a deployment: whether frames go from device to device or through the studio's SSH connections."""


class PlanReportOut(Schema):
    """What is wrong with a plan, or what it costs."""

    problems: list[PlanProblemOut]
    devices: list[DeviceCostOut]
    stages: list[StageOut]
    cuts: list[CutOut]
    shards: list[ShardOut] = Field(default=[])
    divided: list[DividedLayerOut] = Field(default=[])
    """Every divided layer of the network, in topological order; empty where a sharding cannot be applied."""
    prediction: PredictionOut | None = None
    """Where it was asked for, and nothing but too little memory is wrong with the plan."""
    unpredicted: ProblemOut | None = None
    """Why a sound plan could not be predicted."""


class TensorCodecOut(Schema):
    """How one tensor travels on a cut, and what that costs for one frame."""

    tensor: str
    codec: str
    low: float
    high: float | None
    size_bytes: int
    wire_bytes: int
    """Measured on test frames."""
    link_s: float | None
    """Predicted by the measured link; None: it was not measured."""
    encode_s: float
    decode_s: float


class CutCodecsOut(Schema):
    """The codecs of a cut between two devices."""

    cut: str
    producer: str
    consumer: str
    producer_device: str
    consumer_device: str
    size_bytes: int
    wire_bytes: int
    link_s: float | None
    coding_s: float
    """Encoding and decoding; with cautious figures where a device's codecs were not measured."""
    tensors: list[TensorCodecOut]
    why: list[str]


class PlanCodecsOut(Schema):
    """What was chosen where a plan says `auto`, and what all its codecs cost."""

    plan: Plan
    """The plan with the chosen codecs by name."""
    cuts: list[CutCodecsOut]
    change: float | None
    """By how much the codecs change the outputs, as a share of their largest value; None: they spoil them."""
    max_change: float
    frames: int
    """Test frames that it was measured on."""
    period_s: float
    """Predicted time between frames: what the busiest device or link takes for one."""
    period_as_it_is_s: float
    """The same without any codec that was chosen."""
    latency_s: float
    latency_as_it_is_s: float
    bottleneck: str


class AutodiceIn(Schema):
    """AutoDiCE's files, as text."""

    mapping: PlanFileText
    horizontal: PlanFileText | None = None
    platform: PlanFileText | None = None
    devices: DeviceMap = Field(default={})
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
    devices: DeviceMap = Field(default={})
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
