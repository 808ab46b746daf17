"""What a device says of itself is not to be trusted: bounded in number and size before anything is done with it. Pure.

A figure that cannot be is absent; a sample whose name or time cannot be is refused as a whole.
"""

import math

import msgspec

from partition_agent.protocol import LinkSample, MemorySample, PowerSample, StageSample, Telemetry, ThermalSample

MAX_STAGES = 512
MAX_LINKS = 2048
MAX_SOURCES = 16
MAX_DROP_REASONS = 64

#: Longest name of a stage, a link or a deployment, and of a power source.
MAX_NAME = 200
MAX_SOURCE = 40

#: Counters beyond this are no counters; it fits every database's 64-bit integer and JavaScript's numbers.
MAX_COUNT = 2**53

MAX_POWER_W = 1e6
MAX_ENERGY_J = 1e15
MAX_SECONDS = 1e12

#: What a device may say of its throttling.
THROTTLED = ("under_voltage", "capped", "throttled", "soft_limit")


def clean_sample(sample: Telemetry) -> Telemetry | None:
    """Return `sample` with every figure finite, not negative and bounded; None when it has no name or time."""
    monotonic_s = _number(sample.monotonic_s, MAX_SECONDS)
    unix_s = _number(sample.unix_s, MAX_SECONDS)
    named = 0 < len(sample.incarnation) <= 32 and len(sample.ring) <= 32
    if monotonic_s is None or unix_s is None or not named or not 0 <= sample.sequence <= MAX_COUNT:
        return None
    return msgspec.structs.replace(
        sample,
        incarnation=_text(sample.incarnation, 32),
        ring=_text(sample.ring, 32),
        skipped=min(max(sample.skipped, 0), max(sample.sequence - 1, 0)),
        cpu_s=_or_zero(sample.cpu_s, MAX_SECONDS),
        usable_cores=_or_zero(sample.usable_cores, 1e6),
        cpu_utilisation=_share(sample.cpu_utilisation),
        memory=_memory(sample.memory),
        power=tuple(_power(power) for power in sample.power[:MAX_SOURCES]),
        thermal=None if sample.thermal is None else _thermal(sample.thermal),
        stages=tuple(_stage(stage) for stage in sample.stages[:MAX_STAGES]),
        links=tuple(_link(link) for link in sample.links[:MAX_LINKS]),
        dropped={
            _text(reason, MAX_SOURCE): _count(number)
            for reason, number in list(sample.dropped.items())[:MAX_DROP_REASONS]
        },
    )


def _number(value: float | None, most: float, least: float = 0.0) -> float | None:
    return float(value) if value is not None and math.isfinite(value) and least <= value <= most else None


def _or_zero(value: float, most: float) -> float:
    return _number(value, most) or 0.0


def _share(value: float | None) -> float | None:
    return None if value is None or not math.isfinite(value) else min(max(value, 0.0), 1.0)


def _count(value: int) -> int:
    return min(max(value, 0), MAX_COUNT)


def _maybe_count(value: int | None) -> int | None:
    return None if value is None else _count(value)


def _text(text: str, most: int) -> str:
    return "".join(character for character in text[:most] if character.isprintable())


def _memory(memory: MemorySample) -> MemorySample:
    return MemorySample(
        pss_bytes=_maybe_count(memory.pss_bytes),
        uss_bytes=_maybe_count(memory.uss_bytes),
        rss_bytes=_count(memory.rss_bytes),
        peak_bytes=_count(memory.peak_bytes),
        limit_bytes=_count(memory.limit_bytes),
        cgroup_peak_bytes=_maybe_count(memory.cgroup_peak_bytes),
        gpu_bytes=_maybe_count(memory.gpu_bytes),
        gpu_shares_memory=memory.gpu_shares_memory,
    )


def _power(power: PowerSample) -> PowerSample:
    return PowerSample(
        power_w=_number(power.power_w, MAX_POWER_W),
        energy_j=_number(power.energy_j, MAX_ENERGY_J),
        source=_text(power.source, MAX_SOURCE),
        scope=_text(power.scope, MAX_SOURCE),
        method=_text(power.method, MAX_SOURCE),
        uncertainty=_number(power.uncertainty, 10.0),
        coverage=_share(power.coverage) or 0.0,
        covered_s=_number(power.covered_s, MAX_SECONDS),
        told_s=_number(power.told_s, MAX_SECONDS),
    )


def _thermal(thermal: ThermalSample) -> ThermalSample:
    return ThermalSample(
        temperature_c=_number(thermal.temperature_c, 500.0, -100.0),
        throttled=tuple(name for name in THROTTLED if name in thermal.throttled),
        throttled_before=tuple(name for name in THROTTLED if name in thermal.throttled_before),
        frequency_ratio=_number(thermal.frequency_ratio, 10.0),
    )


def _stage(stage: StageSample) -> StageSample:
    return StageSample(
        deployment=_text(stage.deployment, MAX_NAME),
        epoch=_count(stage.epoch),
        stage=_text(stage.stage, MAX_NAME),
        frames=_count(stage.frames),
        lost=_count(stage.lost),
        compute_s=_or_zero(stage.compute_s, MAX_SECONDS),
        queue_wait_s=_or_zero(stage.queue_wait_s, MAX_SECONDS),
        queued=_count(stage.queued),
        weight_bytes=_count(stage.weight_bytes),
        activation_bytes=_maybe_count(stage.activation_bytes),
        arena_bytes=_maybe_count(stage.arena_bytes),
        provider=_text(stage.provider, MAX_SOURCE),
        batch=_count(stage.batch),
    )


def _link(link: LinkSample) -> LinkSample:
    return LinkSample(
        deployment=_text(link.deployment, MAX_NAME),
        epoch=_count(link.epoch),
        link=_text(link.link, MAX_NAME),
        frames_sent=_count(link.frames_sent),
        bytes_sent=_count(link.bytes_sent),
        frames_received=_count(link.frames_received),
        bytes_received=_count(link.bytes_received),
        wire_bytes_sent=_count(link.wire_bytes_sent),
        wire_bytes_received=_count(link.wire_bytes_received),
        encode_s=_or_zero(link.encode_s, MAX_SECONDS),
        decode_s=_or_zero(link.decode_s, MAX_SECONDS),
        connected=link.connected,
        reconnects=_count(link.reconnects),
        in_flight=_count(link.in_flight),
        stalled_s=_or_zero(link.stalled_s, MAX_SECONDS),
    )
