"""What is kept of a sample, and what a person sees of many. Pure."""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from partition_agent.protocol import Telemetry
from partition_studio.schemas import HistoryOut, HistoryPointOut
from partition_studio.telemetry.figures import method_of, scope_of, width_of

#: Samples come once a second; a finer step would show gaps that are none.
MIN_STEP_S = 2.0

#: Samples older than `FULL_S` are thinned to one of `THIN_EVERY`, and those older than `KEPT_S` are deleted.
FULL_S = 24 * 3600.0
KEPT_S = 7 * 24 * 3600.0
THIN_EVERY = 60

_DIVISORS = [divisor for divisor in range(1, THIN_EVERY + 1) if THIN_EVERY % divisor == 0]

#: More samples make the mean of a step no better than a person sees.
SAMPLES_PER_STEP = 20

#: Deployments on one device whose frames are counted.
MAX_DEPLOYMENTS = 16

#: Between two samples that lie farther apart no rate is told.
MAX_RATE_S = 90.0

#: A source of power that told something so lately is still the one that is shown.
LATE_S = 10.0
LATE_SAMPLES = 100

Figures = Mapping[str, Any]
PowerName = tuple[str, str, str]


@dataclass(frozen=True, slots=True)
class KeptSample:
    """A sample as it is kept: when (the studio's time), whose, and a few figures as JSON values."""

    ring: str
    sequence: int
    at_s: float
    incarnation: str
    figures: Figures


def frames_out(sample: Telemetry) -> dict[str, int]:
    """Return the frames that left the device's last stage, for each deployment since its stages were loaded."""
    frames: dict[str, int] = {}
    for stage in sample.stages:
        name = f"{stage.deployment}/{stage.epoch}"
        if name in frames or len(frames) < MAX_DEPLOYMENTS:
            frames[name] = max(frames.get(name, 0), stage.frames)
    return frames


def frames_between(before: Mapping[str, int], now: Mapping[str, int]) -> int:
    """Return how many frames passed from one count to the next."""
    total = 0
    for name, frames in now.items():
        old = before.get(name, 0)
        total += frames - old if frames >= old else frames
    return total


def kept_figures(sample: Telemetry) -> dict[str, Any]:
    """Return what is kept of a cleaned sample: of several power sources the first, which covers most."""
    figures: dict[str, Any] = {"frames": frames_out(sample), "memory": sample.memory.pss_bytes}
    if sample.cpu_utilisation is not None:
        figures["cpu"] = round(sample.cpu_utilisation, 4)
    if sample.thermal is not None:
        figures["celsius"] = sample.thermal.temperature_c
        figures["throttled"] = bool(sample.thermal.throttled)
    if sample.skipped:
        figures["skipped"] = sample.skipped
    if sample.power:
        power = sample.power[0]
        figures["power"] = [power.source, power.scope, power.method, power.power_w, power.energy_j]
    return figures


def frames_of(samples: Iterable[KeptSample]) -> int | None:
    """Return how many frames passed while `samples` (in the order of time) were taken; None without two samples.

    Counts are running totals of one start of the agent: between two samples of it none is lost however far apart they
    lie, and what a later start counted passed since.
    """
    newest: dict[str, KeptSample] = {}
    total = number = 0
    for sample in samples:
        number += 1
        before = newest.get(sample.incarnation)
        if before is not None and sample.sequence <= before.sequence:
            # Dated anew: it is counted already.
            continue
        if number > 1:
            total += frames_between(
                {} if before is None else before.figures.get("frames", {}), sample.figures.get("frames", {})
            )
        newest[sample.incarnation] = sample
    return total if number > 1 else None


@dataclass(slots=True)
class _Bucket:
    samples: int = 0
    frames: int = 0
    rate_s: float = 0.0
    sums: dict[str, float] = field(default_factory=dict)
    counts: dict[str, int] = field(default_factory=dict)
    throttled: bool = False

    def take(self, name: str, value: object) -> None:
        if isinstance(value, int | float):
            self.sums[name] = self.sums.get(name, 0.0) + value
            self.counts[name] = self.counts.get(name, 0) + 1

    def mean(self, name: str) -> float | None:
        return self.sums[name] / self.counts[name] if name in self.counts else None

    def point(self, at_s: float) -> HistoryPointOut:
        memory_bytes = self.mean("memory")
        return HistoryPointOut(
            at=datetime.fromtimestamp(at_s, UTC),
            frames_per_s=self.frames / self.rate_s if self.rate_s > 0 else None,
            cpu_utilisation=self.mean("cpu"),
            memory_bytes=None if memory_bytes is None else int(memory_bytes),
            power_w=self.mean("power"),
            temperature_c=self.mean("celsius"),
            throttled=self.throttled,
        )


def step_of(seconds: float, points: int) -> float:
    """Return the distance of the points: no finer than the samples lie, so that a point without any is a gap."""
    thin_s = 1.5 * THIN_EVERY if seconds > FULL_S else 0.0
    return max(seconds / points, MIN_STEP_S, thin_s)


def stride_of(step_s: float) -> int:
    """Return of how many samples one is enough for points that lie so far apart; the samples that are kept have it."""
    return max(divisor for divisor in _DIVISORS if divisor <= max(step_s / SAMPLES_PER_STEP, 1.0))


def history_of(
    device: str, samples: Sequence[KeptSample], *, end_s: float, seconds: float, points: int, missing: int
) -> HistoryOut:
    """Return the last `seconds` before `end_s` in steps; `samples` are in the order of time.

    Means over each step. Power is that of one source alone, the widest of the last seconds: others are left out, not
    mixed in.
    """
    step_s = step_of(seconds, points)
    count = max(math.ceil(seconds / step_s), 1)
    begin_s = end_s - count * step_s
    power = _widest_of_late(samples)
    buckets = [_Bucket() for _ in range(count)]
    before: KeptSample | None = None
    for sample in samples:
        place = int((sample.at_s - begin_s) / step_s)
        if 0 <= place < count:
            _fill(buckets[place], before, sample, power)
        before = sample
    return HistoryOut(
        device=device,
        step_s=step_s,
        points=[bucket.point(begin_s + (n + 0.5) * step_s) for n, bucket in enumerate(buckets)] if samples else [],
        power_source=None if power is None else power[0],
        power_scope=None if power is None else scope_of(power[1]),
        power_method=None if power is None else method_of(power[2]),
        missing_samples=missing,
    )


def _widest_of_late(samples: Sequence[KeptSample]) -> PowerName | None:
    """Return the source of power to show: one that is not reached for a moment is not given up for a narrower one."""
    told = [(sample.at_s, name) for sample in samples[-LATE_SAMPLES:] if (name := _power_name(sample.figures))]
    late = [name for at_s, name in reversed(told) if at_s >= told[-1][0] - LATE_S]
    return min(late, key=lambda name: width_of(name[1]), default=None)


def _power_name(figures: Figures) -> PowerName | None:
    power = figures.get("power")
    return (power[0], power[1], power[2]) if power else None


def _fill(bucket: _Bucket, before: KeptSample | None, sample: KeptSample, power: PowerName | None) -> None:
    figures = sample.figures
    bucket.samples += 1
    for name in ("cpu", "memory", "celsius"):
        bucket.take(name, figures.get(name))
    bucket.throttled = bucket.throttled or bool(figures.get("throttled"))
    if _power_name(figures) == power and power is not None:
        bucket.take("power", figures["power"][3])
    if before is not None and before.incarnation == sample.incarnation:
        span_s = sample.at_s - before.at_s
        if 0 < span_s <= MAX_RATE_S:
            bucket.frames += frames_between(before.figures.get("frames", {}), figures.get("frames", {}))
            bucket.rate_s += span_s
