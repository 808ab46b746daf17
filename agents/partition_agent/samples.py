"""What an agent measures of its device once a second, as it travels to the studio and lies in the ring."""

from typing import Dict, Optional, Tuple

import msgspec


class PowerSample(msgspec.Struct, frozen=True):
    """Mean power since the sample before, and energy since the agent started, from one source.

    `power_w` is None while the source does not tell (a battery on mains, a plug that is not reached); `energy_j` then
    stays, and never goes back while the agent lives. A counter tells of gaps by itself; a gap of a sampled source adds
    no energy and lowers `coverage`.

    `source`: which sensor or model (`rapl`, `ina3221`, `shelly`, `declared` ...). `scope`: what it covers (`board`,
    `module`, `package`, `rails`, `battery`, `wall`, `gpu`, `model`). `method`: `counter`, `sampled` or `estimated`.
    `uncertainty` is the assumed relative error (0.05: 5 %), None where nobody states one. `coverage` is the share of
    the time since the agent started of which `energy_j` tells, `covered_s` that time in seconds, and `told_s` the
    monotonic time up to which it tells. Different scopes are never added. Absent is None.
    """

    power_w: Optional[float]
    energy_j: Optional[float]
    source: str
    scope: str
    method: str
    uncertainty: Optional[float] = None
    coverage: float = 1.0
    covered_s: Optional[float] = None
    told_s: Optional[float] = None


class ThermalSample(msgspec.Struct, frozen=True):
    """Heat and what the device does about it. Names: `under_voltage`, `capped`, `throttled`, `soft_limit`.

    `throttled` holds what is so now, `throttled_before` what was since boot. `frequency_ratio` is the present frequency
    of the usable cores as a share of their highest.
    """

    temperature_c: Optional[float]
    throttled: Tuple[str, ...]
    throttled_before: Tuple[str, ...]
    frequency_ratio: Optional[float]


class MemorySample(msgspec.Struct, frozen=True):
    """Memory of the agent and what bounds it, in bytes.

    `pss_bytes` shares out what several processes map, `uss_bytes` is the agent's alone (None: the kernel does not
    say). `peak_bytes` is the highest resident size, `cgroup_peak_bytes` that of its control group. `gpu_bytes` is what
    the agent holds of a GPU's own memory; where `gpu_shares_memory` (Jetson) it is part of `rss_bytes`, not on top.
    """

    pss_bytes: Optional[int]
    uss_bytes: Optional[int]
    rss_bytes: int
    peak_bytes: int
    limit_bytes: int
    cgroup_peak_bytes: Optional[int] = None
    gpu_bytes: Optional[int] = None
    gpu_shares_memory: bool = False


class StageSample(msgspec.Struct, frozen=True):
    """Running totals of one stage since it was loaded; a rate is the difference of two samples.

    The model's own share of memory, taken when it was loaded: `weight_bytes` (initialisers of the sub-model's file),
    `activation_bytes` (the largest set of activations alive at once, by the shapes and the order of the graph as it is
    written: a runtime that fuses layers needs less), `arena_bytes` (by how much more the process's anonymous memory was
    after loading and the first run than before: packed weights, the arena's slack, threads; at least 0). None: not
    known; for the arena also where another stage was loaded meanwhile. `provider` is what it runs on; `batch` how many
    frames it takes in one go at most.
    """

    deployment: str
    epoch: int
    stage: str
    frames: int
    lost: int
    compute_s: float
    queue_wait_s: float
    queued: int
    weight_bytes: int = 0
    activation_bytes: Optional[int] = None
    arena_bytes: Optional[int] = None
    provider: str = ""
    batch: int = 1


class LinkSample(msgspec.Struct, frozen=True):
    """Running totals of one link at this end of it, and its state now.

    `bytes_` are those of tensors as they are in memory, `wire_bytes_` those that a codec made of them, both before
    encryption. `encode_s` and `decode_s` are the seconds that the codecs took. `in_flight` frames were sent and are
    not begun by the consumer yet; `stalled_s` is how long nothing has moved although something was under way.
    """

    deployment: str
    epoch: int
    link: str
    frames_sent: int
    bytes_sent: int
    frames_received: int
    bytes_received: int
    wire_bytes_sent: int = 0
    wire_bytes_received: int = 0
    encode_s: float = 0.0
    decode_s: float = 0.0
    connected: bool = True
    reconnects: int = 0
    in_flight: int = 0
    stalled_s: float = 0.0


class Telemetry(msgspec.Struct, frozen=True, tag="telemetry"):
    """One sample, once a second. Missing means not measurable here; it is never 0 in its stead.

    `cpu_s` is the agent's CPU time since it started; `cpu_utilisation` that of all the usable cores, by anybody, over
    the last interval (0 to 1). `dropped` counts data messages refused, by reason, since the agent started. `power` has
    one sample of each source: those that tell something now first, among them the widest scope first (wall, board,
    module, rails, package, gpu, battery) and the model last. `ring` and `sequence` name the sample for good:
    `sequence` counts on over restarts of the agent for as long as the ring on its disk lives. After a loss of power it
    leaves out numbers that may have been told of: the next sample has in `skipped` how many right before its own.
    """

    incarnation: str
    sequence: int
    monotonic_s: float
    unix_s: float
    cpu_s: float
    usable_cores: float
    cpu_utilisation: Optional[float]
    memory: MemorySample
    power: Tuple[PowerSample, ...]
    thermal: Optional[ThermalSample]
    stages: Tuple[StageSample, ...]
    links: Tuple[LinkSample, ...]
    dropped: Dict[str, int]
    ring: str = ""
    skipped: int = 0
