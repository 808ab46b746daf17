"""Predictions of plans, searches for the best one, and what stands in the way."""

from typing import Annotated, Literal

from pydantic import Field

from partition_studio.partition.plan import Plan
from partition_studio.planner.search.question import Objective, Strategy
from partition_studio.schemas.base import Schema

Positive = Annotated[float, Field(gt=0, allow_inf_nan=False)]

PlannerDevice = Annotated[str, Field(min_length=1, max_length=200)]


class ResourceOut(Schema):
    """Something that works on one frame at a time, and for how long."""

    kind: Literal["cores", "lane", "link", "interface"]
    name: str
    """The device; of a lane `device/lane`; of a link `source->target`; of an interface `device in` or `device out`."""
    busy_s: float
    utilisation: float
    """Share of the time between two frames, 0 to 1."""


class DevicePredictionOut(Schema):
    """What a plan asks of one device, for each frame at full throughput."""

    device: str
    busy_s: float
    compute_s: float
    carry_s: float
    """Receiving, sending, encryption."""
    coding_s: float
    utilisation: float
    energy_j: float | None
    """All that it takes between two frames; None where its power is not known."""
    active_j: float | None
    memory_bytes: int
    memory_limit_bytes: int | None
    sent_bytes: int
    received_bytes: int
    estimated: list[str]
    """Of what nothing was measured: `compute`, `carry`, `codecs`, `power`."""


class PlannedLinkOut(Schema):
    """What a plan sends over one direction between two peers, for each frame."""

    source: str
    target: str
    wire_bytes: float
    busy_s: float
    utilisation: float
    estimated: bool


class PlannedStageOut(Schema):
    """One stage in one place."""

    stage: str
    device: str
    seconds: float
    begin_s: float
    """When it begins and ends with a frame that is alone in the pipeline."""
    end_s: float
    warnings: list[str]


class BarOut(Schema):
    """A stretch of the Gantt chart: what a resource did with a frame."""

    resource: str
    what: str
    frame: int
    begin_s: float
    end_s: float


class GanttOut(Schema):
    """A plan's first frames, simulated. `fill_s` is until the first result, `drain_s` after the last frame went in."""

    bars: list[BarOut]
    throughput_per_s: float
    fill_s: float
    drain_s: float
    queues: dict[str, int]
    """The most frames that ever waited on each link, by cut."""


class NextMoveOut(Schema):
    """The one change of a plan that brings most."""

    text: str
    plan: Plan
    throughput_per_s: float
    gain: float
    """Throughput with it, over that without."""


class PredictionOut(Schema):
    """What is predicted of a plan."""

    throughput_per_s: float
    period_s: float
    latency_s: float
    bottleneck: ResourceOut
    resources: list[ResourceOut]
    """The busiest first."""
    stages: list[PlannedStageOut]
    devices: list[DevicePredictionOut]
    links: list[PlannedLinkOut]
    max_energy_j: float | None
    total_energy_j: float | None
    max_memory_bytes: int
    estimated: bool
    """Whether any figure was estimated: devices that were not profiled, links that were not measured."""
    warnings: list[str]


class PredictIn(Schema):
    """Predict a plan. `gantt` frames are simulated; `next_move`: also look for the change that brings most."""

    plan: Plan
    gantt: int = Field(default=0, ge=0, le=64)
    next_move: bool = False


class PlanPredictionOut(Schema):
    """A prediction, with what was asked for besides."""

    prediction: PredictionOut
    gantt: GanttOut | None
    next_move: NextMoveOut | None


class LimitsIn(Schema):
    """What a plan must keep; what is left out is not limited."""

    min_throughput_per_s: Positive | None = None
    max_latency_s: Positive | None = None
    max_energy_j: Positive | None = None
    """Joules per frame of each device."""
    max_total_energy_j: Positive | None = None
    memory_bytes: dict[PlannerDevice, Annotated[int, Field(gt=0, le=2**50)]] = Field(default={}, max_length=1000)
    pins: dict[str, PlannerDevice] = Field(default={}, max_length=10_000)
    """Layers that must lie on a device."""
    excluded: list[PlannerDevice] = Field(default=[], max_length=1000)
    max_devices: int | None = Field(default=None, ge=1, le=1000)
    input_on: PlannerDevice | None = None
    """The network's inputs reach this device alone."""
    strategies: list[Strategy] = Field(default=["layers"], max_length=6)
    contiguous: bool = False
    """Each device computes one run of the layers in their order; no other strategy goes with it."""
    codecs: list[Annotated[str, Field(max_length=40)]] = Field(default=["none"], max_length=20)
    max_change: float = Field(default=0.0, ge=0, le=10, allow_inf_nan=False)


class QuestionIn(Schema):
    """Look for the best plan. `devices`: those that may be used, all registered ones where left out."""

    devices: list[PlannerDevice] | None = Field(default=None, max_length=1000)
    objective: Objective = "throughput"
    limits: LimitsIn = LimitsIn()
    seconds: float = Field(default=60.0, gt=0, le=3600, allow_inf_nan=False)
    """The longest that the search may take; what is best by then counts."""


class ParetoIn(Schema):
    """Look for the plans among which none is better in throughput, largest energy and largest memory per device."""

    devices: list[PlannerDevice] | None = Field(default=None, max_length=1000)
    limits: LimitsIn = LimitsIn()
    seconds: float = Field(default=60.0, gt=0, le=3600, allow_inf_nan=False)
    most: int = Field(default=40, ge=2, le=200)
    """At most so many points."""


class AnswerOut(Schema):
    """The best plan so far, and its proof. `value` and `bound` are in the objective's unit: frames/s, s, J, bytes."""

    plan: Plan
    prediction: PredictionOut
    objective: Objective
    value: float
    bound: float
    """What no plan of the searched space beats."""
    gap: float
    """How much better than this one a plan could be at most, as a share."""
    proved: bool
    space: str
    """Which plans were searched."""
    method: str
    notes: list[str]
    contiguous_bound: float | None
    """What no plan beats in which each device computes one run of layers; None where that is not known."""


class ObstacleOut(Schema):
    """A limit that stands in the way of any plan."""

    limit: str
    subject: str
    allowed: float | None
    needed: float | None
    text: str


class BaselineOut(Schema):
    """What there is to compare with: the best single device, or the whole network on every device at once."""

    name: str
    plan: Plan
    prediction: PredictionOut
    notes: list[str] = Field(default=[])


class SearchOut(Schema):
    """A search, as far as it is. `answer` is the best so far; `front` the points so far of a Pareto search.

    `obstacles` say why there is no plan. The job tells whether it goes on.
    """

    job: str
    model_id: str
    kind: Literal["best", "pareto"]
    answer: AnswerOut | None
    front: list[AnswerOut]
    baselines: list[BaselineOut]
    obstacles: list[ObstacleOut]
    elapsed_s: float


class SearchMessage(Schema):
    """A search has found something better, or a point; ask for it (`GET /api/models/{id}/searches/{job}`)."""

    type: Literal["search"] = "search"
    job: str
    found: int
    """Answers or points until now."""
    value: float | None
    bound: float | None
