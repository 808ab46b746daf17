"""From two samples of an agent's running totals to the figures that a person reads. Pure."""

from collections.abc import Mapping
from typing import Literal

from partition_agent.protocol import PowerSample, StageSample, Telemetry
from partition_studio.schemas import DeviceLiveOut, PowerOut, StageLiveOut

METHODS: Mapping[str, Literal["counter", "sampled", "estimated"]] = {"counter": "counter", "sampled": "sampled"}


def _power(sample: PowerSample | None) -> PowerOut | None:
    if sample is None:
        return None
    return PowerOut(
        power_w=sample.power_w,
        energy_j=sample.energy_j,
        source=sample.source,
        scope=sample.scope,
        # A device may say what it likes; a method that we do not know is no measurement.
        method=METHODS.get(sample.method, "estimated"),
    )


def _stage(before: StageSample | None, now: StageSample, interval_s: float) -> StageLiveOut:
    if before is None or before.frames > now.frames:
        frames, compute_s, wait_s = now.frames, now.compute_s, now.queue_wait_s
    else:
        frames = now.frames - before.frames
        compute_s = now.compute_s - before.compute_s
        wait_s = now.queue_wait_s - before.queue_wait_s
    return StageLiveOut(
        stage=now.stage,
        frames_per_s=frames / interval_s,
        compute_s=compute_s / frames if frames else None,
        queue_wait_s=wait_s / frames if frames else None,
        queued=now.queued,
        frames=now.frames,
        lost=now.lost,
    )


def device_live(device: str, before: Telemetry | None, now: Telemetry) -> DeviceLiveOut:
    """Return the figures of the interval between two samples of one agent.

    `before` is None for the first sample, and is ignored when it is of another incarnation of the agent: then the rates
    are over the time since the agent started, which is not known, and are given as 0.
    """
    if before is not None and (before.incarnation != now.incarnation or before.monotonic_s >= now.monotonic_s):
        before = None
    interval_s = now.monotonic_s - before.monotonic_s if before is not None else float("inf")
    stages_before = {(s.deployment, s.epoch, s.stage): s for s in before.stages} if before is not None else {}
    stages = [_stage(stages_before.get((s.deployment, s.epoch, s.stage)), s, interval_s) for s in now.stages]
    links_before = {(s.deployment, s.epoch, s.link): s for s in before.links} if before is not None else {}
    received = sent = 0
    for link in now.links:
        old = links_before.get((link.deployment, link.epoch, link.link))
        received += max(link.bytes_received - (old.bytes_received if old else 0), 0)
        sent += max(link.bytes_sent - (old.bytes_sent if old else 0), 0)
    frames_per_s = max((stage.frames_per_s for stage in stages), default=0.0)
    power = _power(now.power)
    energy_per_frame_j = None
    if before is not None and before.power is not None and power is not None and frames_per_s > 0:
        energy_per_frame_j = max(power.energy_j - before.power.energy_j, 0.0) / (frames_per_s * interval_s)
    return DeviceLiveOut(
        device=device,
        unix_s=now.unix_s,
        frames_per_s=frames_per_s,
        cpu_utilisation=now.cpu_utilisation,
        agent_cores=(now.cpu_s - before.cpu_s) / interval_s if before is not None else 0.0,
        usable_cores=now.usable_cores,
        memory_bytes=now.memory_pss_bytes,
        memory_peak_bytes=now.memory_peak_bytes,
        memory_limit_bytes=now.memory_limit_bytes,
        received_bytes_per_s=received / interval_s,
        sent_bytes_per_s=sent / interval_s,
        power=power,
        energy_per_frame_j=energy_per_frame_j,
        stages=stages,
        dropped=dict(now.dropped),
    )
