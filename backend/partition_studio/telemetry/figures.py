"""From two samples of an agent's running totals to the figures that a person reads. Pure."""

from collections.abc import Iterable, Mapping

from partition_agent.protocol import LinkSample, PowerSample, StageSample, Telemetry, ThermalSample
from partition_studio.schemas import (
    DeviceLiveOut,
    EnergyOut,
    LinkLiveOut,
    PowerMethod,
    PowerOut,
    PowerScope,
    StageLiveOut,
    ThermalOut,
)
from partition_studio.telemetry.energy import MIN_COVERAGE, Spent

METHODS: Mapping[str, PowerMethod] = {"counter": "counter", "sampled": "sampled"}


#: The widest first: what one of them tells contains what those behind it tell.
SCOPES: Mapping[str, PowerScope] = {
    "wall": "wall",
    "board": "board",
    "module": "module",
    "rails": "rails",
    "package": "package",
    "gpu": "gpu",
    "battery": "battery",
}

_WIDTH = {name: place for place, name in enumerate(SCOPES)}


def scope_of(name: str) -> PowerScope:
    """Return what a source covers. A device may say what it likes: what we do not know is no measurement."""
    return SCOPES.get(name, "model")


def width_of(name: str) -> int:
    """Return the place of a scope among all, the widest (0) first and what is no measurement last."""
    return _WIDTH.get(name, len(_WIDTH))


def method_of(name: str) -> PowerMethod:
    """Return how a source comes to its figures; what we do not know is no measurement."""
    return METHODS.get(name, "estimated")


def power_of(sample: PowerSample) -> PowerOut:
    """Describe a power sample."""
    return PowerOut(
        power_w=sample.power_w,
        energy_j=sample.energy_j,
        source=sample.source,
        scope=scope_of(sample.scope),
        method=method_of(sample.method),
        uncertainty=sample.uncertainty,
        coverage=min(max(sample.coverage, 0.0), 1.0),
    )


def thermal_of(sample: ThermalSample) -> ThermalOut:
    """Describe heat and throttling."""
    return ThermalOut(
        temperature_c=sample.temperature_c,
        throttled=list(sample.throttled),
        throttled_before=list(sample.throttled_before),
        frequency_ratio=sample.frequency_ratio,
    )


def energy_of(spent: Spent, power: PowerSample, *, frames: int, idle_w: float | None) -> EnergyOut:
    """Describe the energy of a window of `frames` frames, of which `power` is the newest sample of its source.

    Where the source tells of too little of the window, the energy is that of what it told of, and what a frame took is
    not known. Else it is of the whole window: a counter counts on by itself, of others the mean power stands for the
    rest.
    """
    is_whole = spent.coverage >= MIN_COVERAGE
    gross_j, told_s = spent.energy_j, spent.covered_s
    if is_whole:
        gross_j = gross_j if power.method == "counter" else spent.mean_w * spent.window_s
        told_s = spent.window_s
    net_j = None if idle_w is None else gross_j - idle_w * told_s
    told = frames if is_whole else 0
    return EnergyOut(
        gross_j=gross_j,
        net_j=net_j,
        idle_w=idle_w,
        gross_per_frame_j=gross_j / told if told else None,
        net_per_frame_j=net_j / told if told and net_j is not None else None,
        window_s=spent.window_s,
        frames=frames,
        source=power.source,
        scope=scope_of(power.scope),
        method=method_of(power.method),
        uncertainty=power.uncertainty,
        coverage=spent.coverage,
    )


def _stage(before: StageSample | None, now: StageSample, interval_s: float) -> StageLiveOut:
    if before is None or before.frames > now.frames:
        frames, compute_s, wait_s = now.frames, now.compute_s, now.queue_wait_s
    else:
        frames = now.frames - before.frames
        compute_s = max(now.compute_s - before.compute_s, 0.0)
        wait_s = max(now.queue_wait_s - before.queue_wait_s, 0.0)
    return StageLiveOut(
        deployment=now.deployment,
        epoch=now.epoch,
        stage=now.stage,
        frames_per_s=frames / interval_s,
        compute_s=compute_s / frames if frames else None,
        queue_wait_s=wait_s / frames if frames else None,
        queued=now.queued,
        frames=now.frames,
        lost=now.lost,
        weight_bytes=now.weight_bytes,
        activation_bytes=now.activation_bytes,
        arena_bytes=now.arena_bytes,
    )


def _link(before: LinkSample | None, now: LinkSample, interval_s: float) -> LinkLiveOut:
    frames, tensor_bytes, wire_bytes, coding_s = (
        new if before is None else max(new - old, 0)
        for new, old in zip(_moved(now), _moved(before or now), strict=True)
    )
    return LinkLiveOut(
        deployment=now.deployment,
        link=now.link,
        sends=_sends(now),
        frames_per_s=frames / interval_s,
        bytes_per_s=tensor_bytes / interval_s,
        wire_bytes_per_s=wire_bytes / interval_s,
        coding_s=coding_s / frames if frames else None,
        connected=now.connected,
        reconnects=now.reconnects,
        in_flight=now.in_flight,
        stalled_s=now.stalled_s,
    )


def _sends(link: LinkSample) -> bool | None:
    if link.frames_sent or link.in_flight:
        return True
    return False if link.frames_received else None


def _moved(link: LinkSample) -> tuple[float, float, float, float]:
    """Return the totals of a link at the end that was sampled: frames, bytes, bytes on the wire, seconds of coding."""
    return (
        link.frames_sent + link.frames_received,
        link.bytes_sent + link.bytes_received,
        link.wire_bytes_sent + link.wire_bytes_received,
        link.encode_s + link.decode_s,
    )


def times_of_stages(live: Iterable[DeviceLiveOut], deployment: str, epoch: int) -> dict[tuple[str, str], float]:
    """Return the mean seconds for a frame of each stage of one deployment, by the device that tells it and the name."""
    return {
        (each.device, stage.stage): stage.compute_s
        for each in live
        for stage in each.stages
        if (stage.deployment, stage.epoch) == (deployment, epoch) and stage.compute_s is not None
    }


def device_live(
    device: str, before: Telemetry | None, now: Telemetry, energy: EnergyOut | None = None
) -> DeviceLiveOut:
    """Return the figures of the interval between two samples of one agent, and what is known of the last ten seconds.

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
        received += max(link.wire_bytes_received - (old.wire_bytes_received if old else 0), 0)
        sent += max(link.wire_bytes_sent - (old.wire_bytes_sent if old else 0), 0)
    frames_per_s = max((stage.frames_per_s for stage in stages), default=0.0)
    powers = [power_of(sample) for sample in now.power]
    return DeviceLiveOut(
        device=device,
        unix_s=now.unix_s,
        frames_per_s=frames_per_s,
        cpu_utilisation=now.cpu_utilisation,
        agent_cores=max(now.cpu_s - before.cpu_s, 0.0) / interval_s if before is not None else 0.0,
        usable_cores=now.usable_cores,
        memory_bytes=now.memory.pss_bytes,
        memory_unique_bytes=now.memory.uss_bytes,
        memory_peak_bytes=now.memory.peak_bytes,
        memory_limit_bytes=now.memory.limit_bytes,
        memory_model_bytes=sum(
            stage.weight_bytes + (stage.activation_bytes or 0) + (stage.arena_bytes or 0) for stage in now.stages
        ),
        gpu_memory_bytes=now.memory.gpu_bytes,
        received_bytes_per_s=received / interval_s,
        sent_bytes_per_s=sent / interval_s,
        power=powers[0] if powers else None,
        other_power=powers[1:],
        energy=energy,
        thermal=None if now.thermal is None else thermal_of(now.thermal),
        stages=stages,
        links=[
            _link(links_before.get((link.deployment, link.epoch, link.link)), link, interval_s) for link in now.links
        ],
        dropped=dict(now.dropped),
    )
