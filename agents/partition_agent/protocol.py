"""Every message between the studio and an agent, and the frame format between peers of the data plane.

Two conversations, one module, used by both sides:

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

PROTOCOL_VERSION = 1

#: First bytes of part 0 of every data message. The digit is the data format's version.
MAGIC = b"PSD1"

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
    computes on; empty leaves that to the device.
    """

    name: str
    digest: str
    inputs: Tuple[TensorSpec, ...]
    outputs: Tuple[TensorSpec, ...]
    threads: int = 0
    cores: Tuple[int, ...] = ()


class LinkSpec(msgspec.Struct, frozen=True):
    """The tensors that pass from one stage to another, and how many frames may wait on the way.

    `producer` and `consumer` are stage names, or `SOURCE` and `SINK`, which are on the peer `STUDIO_PEER`.
    `window` is the number of frames that may be sent and not yet begun by the consumer; at least the number of stages
    on the longest way from producer to consumer plus one, so that a branch that is short does not stall a long one.
    """

    id: str
    producer: str
    consumer: str
    producer_device: str
    consumer_device: str
    tensors: Tuple[TensorSpec, ...]
    window: int = 2


class PeerAddress(msgspec.Struct, frozen=True):
    """Where a peer's data socket listens, and its CURVE public key (Z85). The studio listens nowhere: port 0."""

    device: str
    host: str
    port: int
    public_key: str


# --- calls: what the studio asks of an agent -------------------------------------------------------------------------


class Hello(msgspec.Struct, frozen=True, tag="hello"):
    """Ask who is there. Answered with `AgentInfo`."""

    protocol_version: int = PROTOCOL_VERSION


class Configure(msgspec.Struct, frozen=True, tag="configure"):
    """Tell the agent what the person declared about its device. Answered with `Done`."""

    device: str
    idle_power_w: Optional[float] = None
    busy_power_w: Optional[float] = None


class Prepare(msgspec.Struct, frozen=True, tag="prepare"):
    """Verify and load the stages of one deployment, open its data socket on `bind_host`. Answered with `Prepared`.

    An older epoch of the same deployment goes on until `End` names it. `Progress` events tell each step.
    """

    deployment: str
    epoch: int
    device: str
    bind_host: str
    stages: Tuple[StageSpec, ...]
    links: Tuple[LinkSpec, ...]


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


Request = Union[Hello, Configure, Prepare, Connect, End, Shutdown]


class Call(msgspec.Struct, frozen=True):
    """A request with the number that its reply carries."""

    id: int
    request: Request


# --- replies ---------------------------------------------------------------------------------------------------------


class DeploymentInfo(msgspec.Struct, frozen=True):
    """A deployment that an agent holds."""

    deployment: str
    epoch: int
    stages: Tuple[str, ...]
    data_port: int
    public_key: str


class AgentInfo(msgspec.Struct, frozen=True, tag="agent_info"):
    """Who the agent is. `incarnation` is new at every start, so that a restart is told from a reconnect."""

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


class Prepared(msgspec.Struct, frozen=True, tag="prepared"):
    """The stages are loaded and warm; the data socket listens."""

    data_port: int
    public_key: str
    load_s: Dict[str, float]


class Done(msgspec.Struct, frozen=True, tag="done"):
    """The request was carried out."""


class Failed(msgspec.Struct, frozen=True, tag="failed"):
    """The request was not carried out; nothing of it remains. `code` is stable, `message` is for the person."""

    code: str
    message: str
    stage: Optional[str] = None


Result = Union[AgentInfo, Prepared, Done, Failed]


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


class PowerSample(msgspec.Struct, frozen=True):
    """Power of the device now, and energy since the agent started.

    `source`: which sensor or model (`rapl`, `hwmon`, `declared` ...). `scope`: what it covers (`package`, `board`,
    `model` ...). `method`: `counter`, `sampled` or `estimated`. Only equal scopes may ever be added.
    """

    power_w: float
    energy_j: float
    source: str
    scope: str
    method: str


class StageSample(msgspec.Struct, frozen=True):
    """Running totals of one stage since it was loaded; a rate is the difference of two samples."""

    deployment: str
    epoch: int
    stage: str
    frames: int
    lost: int
    compute_s: float
    queue_wait_s: float
    queued: int


class LinkSample(msgspec.Struct, frozen=True):
    """Running totals of one link at this end of it. Bytes are those of tensors, before encryption."""

    deployment: str
    epoch: int
    link: str
    frames_sent: int
    bytes_sent: int
    frames_received: int
    bytes_received: int


class Telemetry(msgspec.Struct, frozen=True, tag="telemetry"):
    """One sample, once a second. Missing means not measurable here; it is never 0 in its stead.

    `cpu_s` is the agent's CPU time since it started; `cpu_utilisation` that of all the usable cores, by anybody, over
    the last interval (0 to 1). `dropped` counts data messages refused, by reason, since the agent started.
    """

    incarnation: str
    sequence: int
    monotonic_s: float
    unix_s: float
    cpu_s: float
    usable_cores: float
    cpu_utilisation: Optional[float]
    memory_pss_bytes: Optional[int]
    memory_rss_bytes: int
    memory_peak_bytes: int
    memory_limit_bytes: int
    power: Optional[PowerSample]
    stages: Tuple[StageSample, ...]
    links: Tuple[LinkSample, ...]
    dropped: Dict[str, int]


class Fault(msgspec.Struct, frozen=True, tag="fault"):
    """Something went wrong outside of any call."""

    code: str
    message: str
    deployment: Optional[str] = None
    stage: Optional[str] = None


Event = Union[Progress, Telemetry, Fault]
FromAgent = Union[Reply, Progress, Telemetry, Fault]


# --- the data plane --------------------------------------------------------------------------------------------------


class TensorHeader(msgspec.Struct, frozen=True, array_like=True):
    """One tensor part of a frame. `codec` names how its bytes were encoded (`raw`: C order, little-endian)."""

    name: str
    dtype: str
    shape: Tuple[int, ...]
    codec: str
    byte_length: int


class OpenMessage(msgspec.Struct, frozen=True, array_like=True, tag=1):
    """Producer to consumer: this link is here; grant credit."""

    deployment: str
    epoch: int
    link: str


class CreditMessage(msgspec.Struct, frozen=True, array_like=True, tag=2):
    """Consumer to producer: `count` more frames may be sent. With `reset`, `count` replaces what was held."""

    deployment: str
    epoch: int
    link: str
    count: int
    reset: bool = False


class FrameMessage(msgspec.Struct, frozen=True, array_like=True, tag=3):
    """Producer to consumer: the tensors of one frame follow."""

    deployment: str
    epoch: int
    link: str
    frame: int
    tensors: Tuple[TensorHeader, ...]


class LostMessage(msgspec.Struct, frozen=True, array_like=True, tag=4):
    """Producer to consumer: this frame will not come, because of `reason`. It takes a credit as a frame does."""

    deployment: str
    epoch: int
    link: str
    frame: int
    reason: str


DataMessage = Union[OpenMessage, CreditMessage, FrameMessage, LostMessage]


class AgentState(msgspec.Struct, frozen=True):
    """The agent's state file `agent.json` in its data folder (mode 0600): how to reach the agent that runs there."""

    protocol_version: int
    pid: int
    pid_start_ticks: int
    control_port: int
    token: str
    incarnation: str
