"""Every message between the studio and an agent, and the frame format between peers of the data plane.

Two conversations, one module, used by both sides (samples and the headers of the data plane are files of their own):

*Control*: a WebSocket on the device's loopback interface, which the studio reaches through its SSH connection. Every
message is one JSON text: the studio sends a `Call`, the agent answers with a `Reply` of the same `id`, and in between
sends `Event`s. The WebSocket's handshake carries `Authorization: Bearer <token>`; the token lies in the agent's state
file, which only the device's user can read.

*Data*: ZeroMQ multipart messages, CURVE-encrypted with keys made for one deployment. Part 0 is `MAGIC` followed by a
msgpack-encoded `DataMessage`; the parts after it are the tensors' bytes, in the order of `FrameMessage.tensors`.
Who consumes grants credit: a producer may send one frame on a link for each credit that it holds, so every queue is
bounded by the link's `window`.
"""

from typing import Dict, Optional, Tuple, Union

import msgspec

from partition_agent.data_messages import CreditMessage as CreditMessage
from partition_agent.data_messages import DataMessage as DataMessage
from partition_agent.data_messages import FrameMessage as FrameMessage
from partition_agent.data_messages import FrameRoute as FrameRoute
from partition_agent.data_messages import LostMessage as LostMessage
from partition_agent.data_messages import OpenMessage as OpenMessage
from partition_agent.data_messages import TensorHeader as TensorHeader
from partition_agent.samples import LinkSample as LinkSample
from partition_agent.samples import MemorySample as MemorySample
from partition_agent.samples import PowerSample as PowerSample
from partition_agent.samples import StageSample as StageSample
from partition_agent.samples import Telemetry as Telemetry
from partition_agent.samples import ThermalSample as ThermalSample

PROTOCOL_VERSION = 3

#: First bytes of part 0 of every data message. The digit is the data format's version.
MAGIC = b"PSD2"

#: Name of the studio among the peers of a deployment: the source of frames and the sink of results.
STUDIO_PEER = "studio"

#: Names of the two ends of a pipeline where `LinkSpec` names a stage.
SOURCE = "source"
SINK = "sink"

#: No header is longer, whatever it says; read before anything is decoded.
MAX_HEADER_BYTES = 64 * 1024

#: No single tensor is larger. Checked against the announced shape before memory is taken.
MAX_TENSOR_BYTES = 1024 * 1024 * 1024

#: No control message is longer.
MAX_CONTROL_BYTES = 16 * 1024 * 1024


class TensorSpec(msgspec.Struct, frozen=True):
    """Name, dtype and shape of a tensor that crosses a link. `dtype` is numpy's name; `shape` is fully known."""

    name: str
    dtype: str
    shape: Tuple[int, ...]


class StageSpec(msgspec.Struct, frozen=True):
    """One sub-model that an agent runs.

    `digest` is the SHA-256 (hex) of the sub-model's file, which lies in the agent's model folder as `<digest>.onnx`.
    `threads` is the number of intra-op threads; 0 lets the agent use its usable cores. `cores` are those that it
    computes on; empty leaves that to the device. `providers` are ONNX Runtime's names of execution providers by
    preference (empty: the processor); what is not there is told of in `Prepared`. Stages of one `lane` (a resource of
    the device; "" is the device as a whole) take turns, those of different lanes compute at once. `max_batch` is the
    most frames that may be computed in one go: where it is above 1, the first extent of every input and output of the
    sub-model is free. `replica` is (group, index) where the stage is one of several that share the frames.
    """

    name: str
    digest: str
    inputs: Tuple[TensorSpec, ...]
    outputs: Tuple[TensorSpec, ...]
    threads: int = 0
    cores: Tuple[int, ...] = ()
    providers: Tuple[str, ...] = ()
    lane: str = ""
    max_batch: int = 1
    replica: Optional[Tuple[int, int]] = None


class LinkCodec(msgspec.Struct, frozen=True):
    """How a tensor travels on a link: the name of a codec (see `codecs`), and the bounds of those that clip.

    `high` None: the largest value of each frame. A tensor that the codec cannot hold travels without loss; its header
    says how.
    """

    name: str = "none"
    low: float = 0.0
    high: Optional[float] = None


class LinkSpec(msgspec.Struct, frozen=True):
    """The tensors that pass from one stage to another, and how many frames may wait on the way.

    `producer` and `consumer` are stage names, or `SOURCE` and `SINK`, which are on the peer `STUDIO_PEER`.
    `window` is the number of frames that may be sent and not yet begun by the consumer; at least the number of stages
    on the longest way from producer to consumer plus one, so that a branch that is short does not stall a long one.
    `codecs` has one for each of `tensors`, or is empty: none. `routes` names (group, replica) for each end that is one
    of several replicas: only frames whose route says so pass here.
    """

    id: str
    producer: str
    consumer: str
    producer_device: str
    consumer_device: str
    tensors: Tuple[TensorSpec, ...]
    window: int = 2
    codecs: Tuple[LinkCodec, ...] = ()
    routes: Tuple[Tuple[int, int], ...] = ()

    def carries(self, replicas: Tuple[int, ...]) -> bool:
        """Return whether a frame passes here that was dealt to these replicas, one of each group."""
        return all(group < len(replicas) and replicas[group] == index for group, index in self.routes)


class PeerAddress(msgspec.Struct, frozen=True):
    """Where a peer's data socket listens, and its CURVE public key (Z85). The studio listens nowhere: port 0."""

    device: str
    host: str
    port: int
    public_key: str


# --- calls: what the studio asks of an agent -------------------------------------------------------------------------


class Hello(msgspec.Struct, frozen=True, tag="hello"):
    """Ask who is there. Answered with `AgentInfo`.

    `studio` names the studio that asks (random, kept in its data folder) and `studio_host` says to a person where it
    runs. An agent serves one studio at a time: while another one holds it, everything but `Hello` is answered with
    `Failed("held")`.
    """

    protocol_version: int = PROTOCOL_VERSION
    studio: str = ""
    studio_host: str = ""


class PowerModel(msgspec.Struct, frozen=True):
    """`P = idle_w + (busy_w - idle_w) * u`, where u is the utilisation of the usable cores times their frequency.

    `source` is `declared` (the person's figures) or `calibrated` (fitted to a meter); `residual_w` is then the largest
    distance of a measured point from the line.
    """

    idle_w: float
    busy_w: float
    source: str = "declared"
    residual_w: Optional[float] = None


class MeterSpec(msgspec.Struct, frozen=True):
    """A plug that measures the device at the wall, read over HTTP. `kind` is `shelly` or `tasmota`."""

    kind: str
    host: str
    port: int = 80
    user: str = ""
    password: str = ""

    def __repr__(self) -> str:
        """Hide the password from logs."""
        return f"MeterSpec({self.kind!r}, {self.host!r}, {self.port})"


class Configure(msgspec.Struct, frozen=True, tag="configure"):
    """Tell the agent what the person declared about its device. Answered with `Done`.

    Replaces what was told before. `shunt_ohm` is the resistance of the shunt of an INA219 or INA226.
    """

    device: str
    power_model: Optional[PowerModel] = None
    meter: Optional[MeterSpec] = None
    shunt_ohm: Optional[float] = None


class History(msgspec.Struct, frozen=True, tag="history"):
    """Ask for samples that the studio has not seen, oldest first. Answered with `HistoryChunk`.

    `ring` is the ring that `after` counts in; of another ring the agent sends from its oldest sample on. What was
    answered for an `after` is known to have arrived, and may be thrown away.
    """

    ring: str
    after: int
    limit: int = 500


class WeightFill(msgspec.Struct, frozen=True):
    """Weights that the device makes up itself: `count` elements of `dtype`, normal with deviation `std`, at `offset`.

    The time of a layer does not depend on its weights' values, and they are what makes a network large.
    """

    offset: int
    count: int
    dtype: str
    std: float


class Profile(msgspec.Struct, frozen=True, tag="profile"):
    """Measure every layer of a sub-model on the device. Answered with `Profiled`; `JobProgress` events tell the steps.

    `digest` is the sub-model's file among the agent's models; its large weights are external data at
    `weights/<digest>.bin`, which the agent makes of `fills` and removes afterwards. `threads` 0 means the usable cores.
    `budget_s` bounds the measuring itself.
    """

    job: str
    digest: str
    inputs: Tuple[TensorSpec, ...]
    fills: Tuple[WeightFill, ...]
    threads: int = 0
    provider: str = "CPUExecutionProvider"
    budget_s: float = 20.0


class Load(msgspec.Struct, frozen=True, tag="load"):
    """Keep a share of the usable cores busy for some seconds, for the calibration of power. Answered with `Loaded`."""

    job: str
    level: float
    seconds: float


class LinkListen(msgspec.Struct, frozen=True, tag="link_listen"):
    """Open a socket on `bind_host` for one link measurement by the peer with `peer_key`. Answered with `LinkListening`.

    It closes after `seconds` or by `CancelJob`.
    """

    job: str
    bind_host: str
    peer_key: str
    seconds: float = 30.0


class LinkKey(msgspec.Struct, frozen=True, tag="link_key"):
    """Make the key pair with which this agent will measure. Answered with `LinkKeyMade`."""

    job: str


class LinkMeasure(msgspec.Struct, frozen=True, tag="link_measure"):
    """Measure round trips and both directions to a peer that listens. Answered with `LinkMeasured`.

    Each direction takes at most `budget_s` and `max_bytes`.
    """

    job: str
    peer: PeerAddress
    budget_s: float = 1.0
    max_bytes: int = 64 * 1024 * 1024


class CancelJob(msgspec.Struct, frozen=True, tag="cancel_job"):
    """End a `Profile`, `Load`, `LinkListen` or `LinkMeasure` that is under way. Answered with `Done`, always."""

    job: str


class Prepare(msgspec.Struct, frozen=True, tag="prepare"):
    """Verify and load the stages of one deployment, open its data socket on `bind_host`. Answered with `Prepared`.

    An older epoch of the same deployment goes on until `End` names it. `Progress` events tell each step. `plaintext`:
    neither encryption nor keys on the links, which is for measuring what they cost and for nothing else.
    """

    deployment: str
    epoch: int
    device: str
    bind_host: str
    stages: Tuple[StageSpec, ...]
    links: Tuple[LinkSpec, ...]
    plaintext: bool = False


class Reach(msgspec.Struct, frozen=True, tag="reach"):
    """Ask which of these peers' data sockets the device can connect to. Answered with `Reached`."""

    peers: Tuple[PeerAddress, ...]
    timeout_s: float = 3.0


class Connect(msgspec.Struct, frozen=True, tag="connect"):
    """Admit exactly these peers (the studio among them) and connect to those that consume. Answered with `Done`.

    May be sent again with other keys: a studio that was restarted comes back with a new one.
    """

    deployment: str
    epoch: int
    peers: Tuple[PeerAddress, ...]


class End(msgspec.Struct, frozen=True, tag="end"):
    """Stop the stages of a deployment, close its socket, forget its keys, delete models that nobody uses.

    Answered with `Done`, also when it is not there. Without `epoch`, every epoch of the deployment ends. `keep` holds
    the digests of sub-models that were sent and not prepared yet; with it, all others that nobody uses are deleted,
    whoever left them.
    """

    deployment: str
    epoch: Optional[int] = None
    keep: Optional[Tuple[str, ...]] = None


class Shutdown(msgspec.Struct, frozen=True, tag="shutdown"):
    """End every deployment, then the agent itself. Answered with `Done` before the process exits."""


Request = Union[
    Hello,
    Configure,
    Prepare,
    Reach,
    Connect,
    End,
    Shutdown,
    History,
    Profile,
    Load,
    LinkKey,
    LinkListen,
    LinkMeasure,
    CancelJob,
]


class Call(msgspec.Struct, frozen=True):
    """A request with the number that its reply carries."""

    id: int
    request: Request


# --- replies ---------------------------------------------------------------------------------------------------------


class DeploymentInfo(msgspec.Struct, frozen=True):
    """A deployment that an agent holds. `last_frame` is the latest that came to it; a source's numbers have to rise."""

    deployment: str
    epoch: int
    stages: Tuple[str, ...]
    data_port: int
    public_key: str
    last_frame: int = -1


class AgentInfo(msgspec.Struct, frozen=True, tag="agent_info"):
    """Who the agent is. `incarnation` is new at every start, so that a restart is told from a reconnect.

    `boot_id` is the kernel's, empty where it does not say. `ring` names the ring of samples on the device's disk.
    `held_by` is the host of another studio that holds the agent now, or empty.
    """

    protocol_version: int
    agent_version: str
    incarnation: str
    pid: int
    python_version: str
    onnxruntime_version: str
    providers: Tuple[str, ...]
    usable_cores: float
    memory_limit_bytes: int
    deployments: Tuple[DeploymentInfo, ...]
    models: Tuple[str, ...]
    boot_id: str = ""
    ring: str = ""
    held_by: str = ""


class Prepared(msgspec.Struct, frozen=True, tag="prepared"):
    """The stages are loaded and warm; the data socket listens.

    By stage: `load_s`, the execution provider that it really runs on, and how many frames it takes in one go, as was
    measured. `notes` are sentences for the person, such as that a provider is not there and what is used instead.
    """

    data_port: int
    public_key: str
    load_s: Dict[str, float]
    providers: Dict[str, str] = {}
    batches: Dict[str, int] = {}
    notes: Tuple[str, ...] = ()


class Reached(msgspec.Struct, frozen=True, tag="reached"):
    """The peers that cannot be connected to, and why."""

    unreachable: Dict[str, str]


class Done(msgspec.Struct, frozen=True, tag="done"):
    """The request was carried out."""


class Failed(msgspec.Struct, frozen=True, tag="failed"):
    """The request was not carried out; nothing of it remains. `code` is stable, `message` is for the person."""

    code: str
    message: str
    stage: Optional[str] = None


class LayerTime(msgspec.Struct, frozen=True):
    """Time of one layer (or of one kernel that several layers were fused into), over the measured runs.

    `layers` are ONNX node names of the sub-model; one name where nothing was fused. `spread_s` is the distance between
    the quartiles. `output_bytes` is what it writes.
    """

    layers: Tuple[str, ...]
    median_s: float
    spread_s: float
    runs: int
    weight_bytes: int
    output_bytes: int


class CodecFigures(msgspec.Struct, frozen=True):
    """How fast the device encodes and decodes, in bytes of the tensor as it is in memory; on one core."""

    codec: str
    encode_bytes_per_s: float
    decode_bytes_per_s: float


class CarryFigures(msgspec.Struct, frozen=True):
    """Processor seconds that the device spends on one message at its end of a link, and on each of its bytes.

    Encryption included, codecs apart; over all threads that have to do with it.
    """

    message_s: float
    byte_s: float


class PowerOfRun(msgspec.Struct, frozen=True):
    """Mean power while the whole sub-model ran, and while nothing did, from one source."""

    busy_w: float
    idle_w: Optional[float]
    source: str
    scope: str
    method: str
    uncertainty: Optional[float]


class Profiled(msgspec.Struct, frozen=True, tag="profiled"):
    """What a sub-model takes on this device.

    `layers` were measured one by one without fusion; `kernels` as the runtime really runs them. `run_s` is the median
    of whole runs without a profiler, one after the other; where a quota stops the process now and then that is in it.
    `session_s` is what a run of an almost empty model takes. `peak_bytes` is the process's peak while it ran.
    `temperature_c` and `throttled` are of the end; a throttled profile is no measure of the device at its best.
    """

    layers: Tuple[LayerTime, ...]
    kernels: Tuple[LayerTime, ...]
    run_s: float
    run_spread_s: float
    runs: int
    session_s: float
    load_s: float
    weight_bytes: int
    peak_bytes: int
    load_peak_bytes: int
    power: Optional[PowerOfRun]
    threads: int
    provider: str
    onnxruntime_version: str
    temperature_c: Optional[float]
    throttled: Tuple[str, ...]
    warnings: Tuple[str, ...] = ()
    codecs: Tuple[CodecFigures, ...] = ()
    carry: Optional[CarryFigures] = None


class Loaded(msgspec.Struct, frozen=True, tag="loaded"):
    """What was seen while the cores were kept busy: utilisation as the power model counts it, and watts by scope."""

    utilisation: Optional[float]
    power: Tuple[PowerSample, ...]


class LinkKeyMade(msgspec.Struct, frozen=True, tag="link_key_made"):
    """The public key (Z85) with which this agent will measure."""

    public_key: str


class LinkListening(msgspec.Struct, frozen=True, tag="link_listening"):
    """Where the peer is to connect, and with which key (Z85)."""

    port: int
    public_key: str


class LinkFigures(msgspec.Struct, frozen=True):
    """One direction: tensor bytes per second as frames would get them, and how much was sent in how long."""

    bytes_per_s: float
    sent_bytes: int
    seconds: float


class LinkMeasured(msgspec.Struct, frozen=True, tag="link_measured"):
    """A link as its caller saw it. `rtt_s` is the median of small round trips, `rtt_min_s` the shortest."""

    rtt_s: float
    rtt_min_s: float
    to_peer: LinkFigures
    from_peer: LinkFigures


Result = Union[
    AgentInfo,
    Prepared,
    Reached,
    Done,
    Failed,
    "HistoryChunk",
    Profiled,
    Loaded,
    LinkKeyMade,
    LinkListening,
    LinkMeasured,
]


class Reply(msgspec.Struct, frozen=True, tag="reply"):
    """The answer to the call of the same `id`."""

    id: int
    result: Result


# --- events ----------------------------------------------------------------------------------------------------------


class Progress(msgspec.Struct, frozen=True, tag="progress"):
    """A step of `Prepare`: `verify`, `load`, `warm_up` or `ready`, for one stage."""

    deployment: str
    epoch: int
    stage: str
    step: str


class JobProgress(msgspec.Struct, frozen=True, tag="job_progress"):
    """How far a `Profile` or `Load` has come: `done` of `total` steps, and what it does now."""

    job: str
    text: str
    done: int
    total: int


class HistoryChunk(msgspec.Struct, frozen=True, tag="history_chunk"):
    """Samples of the ring, oldest first. `oldest` and `newest` are what it holds now (0 when it is empty)."""

    ring: str
    oldest: int
    newest: int
    samples: Tuple[Telemetry, ...]


class Fault(msgspec.Struct, frozen=True, tag="fault"):
    """Something went wrong outside of any call."""

    code: str
    message: str
    deployment: Optional[str] = None
    stage: Optional[str] = None


Event = Union[Progress, JobProgress, Telemetry, Fault]
FromAgent = Union[Reply, Progress, JobProgress, Telemetry, Fault]


class AgentState(msgspec.Struct, frozen=True):
    """The agent's state file `agent.json` in its data folder (mode 0600): how to reach the agent that runs there."""

    protocol_version: int
    pid: int
    pid_start_ticks: int
    control_port: int
    token: str
    incarnation: str
