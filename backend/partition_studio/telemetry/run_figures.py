"""What stages and devices did during one run, and how fast it went over time: gathered from samples. Pure."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from partition_studio.schemas import DeviceLiveOut, RunDeviceOut, RunPointOut, RunStageOut
from partition_studio.schemas.live import StageLiveOut

#: Of a long run, neighbouring points are merged so that there are always fewer. Even: each has its neighbour.
MAX_POINTS = 240

FIRST_STEP_S = 1.0


@dataclass(slots=True)
class _Mean:
    total: float = 0.0
    weight: float = 0.0

    def take(self, value: float | None, weight: float = 1.0) -> None:
        if value is not None and weight > 0:
            self.total += value * weight
            self.weight += weight

    @property
    def value(self) -> float | None:
        return self.total / self.weight if self.weight else None


@dataclass(slots=True)
class _Stage:
    frames_before: int
    lost_before: int
    frames: int = 0
    lost: int = 0
    compute_s: _Mean = field(default_factory=_Mean)
    queue_wait_s: _Mean = field(default_factory=_Mean)

    def take(self, told: StageLiveOut) -> None:
        # An agent that began anew counts from the beginning.
        new = told.frames - self.frames_before if told.frames >= self.frames_before else told.frames
        lost = told.lost - self.lost_before if told.lost >= self.lost_before else told.lost
        self.frames, self.frames_before = self.frames + new, told.frames
        self.lost, self.lost_before = self.lost + lost, told.lost
        self.compute_s.take(told.compute_s, new)
        self.queue_wait_s.take(told.queue_wait_s, new)


@dataclass(slots=True)
class _Device:
    heard_s: float
    samples: int = 0
    cpu: _Mean = field(default_factory=_Mean)
    received: _Mean = field(default_factory=_Mean)
    sent: _Mean = field(default_factory=_Mean)
    memory_bytes: int | None = None
    limit_bytes: int | None = None
    celsius: float | None = None
    throttled: bool = False

    def take(self, live: DeviceLiveOut) -> None:
        self.heard_s = live.unix_s
        self.samples += 1
        self.cpu.take(live.cpu_utilisation)
        self.received.take(live.received_bytes_per_s)
        self.sent.take(live.sent_bytes_per_s)
        if live.memory_bytes is not None:
            self.memory_bytes = max(self.memory_bytes or 0, live.memory_bytes)
        self.limit_bytes = live.memory_limit_bytes or self.limit_bytes
        if live.thermal is not None:
            if live.thermal.temperature_c is not None:
                celsius = live.thermal.temperature_c
                self.celsius = celsius if self.celsius is None else max(celsius, self.celsius)
            self.throttled = self.throttled or bool(live.thermal.throttled)


class RunTally:
    """Gathers what the devices tell while a run goes on. The first sample of each only tells where it begins."""

    def __init__(self, deployment: str, epoch: int, devices: Iterable[str]) -> None:
        self._deployment, self._epoch = deployment, epoch
        self._mine = frozenset(devices)
        self._devices: dict[str, _Device] = {}
        self._stages: dict[tuple[str, str], _Stage] = {}

    def take(self, told: Iterable[DeviceLiveOut]) -> None:
        """Take the newest samples; one that was taken before is not counted again."""
        for live in told:
            if live.device not in self._mine:
                continue
            known = self._devices.get(live.device)
            if known is None:
                self._devices[live.device] = _Device(live.unix_s)
            elif live.unix_s != known.heard_s:
                # Of another moment, not of a later one: a device's clock may be set back.
                known.take(live)
            else:
                continue
            for stage in live.stages:
                if (stage.deployment, stage.epoch) == (self._deployment, self._epoch):
                    self._take_stage(live.device, stage)

    def _take_stage(self, device: str, stage: StageLiveOut) -> None:
        known = self._stages.get((device, stage.stage))
        if known is None:
            self._stages[device, stage.stage] = _Stage(stage.frames, stage.lost)
        else:
            known.take(stage)

    def stages(self, predicted_s: Mapping[tuple[str, str], float]) -> list[RunStageOut]:
        """Return what each stage did, beside what was predicted of it (by device and name)."""
        return [
            RunStageOut(
                stage=name,
                device=device,
                frames=stage.frames,
                lost=stage.lost,
                compute_s=stage.compute_s.value,
                queue_wait_s=stage.queue_wait_s.value,
                predicted_s=predicted_s.get((device, name)),
            )
            for (device, name), stage in self._stages.items()
        ]

    def devices(self) -> list[RunDeviceOut]:
        """Return what each device did that told anything meanwhile."""
        return [
            RunDeviceOut(
                device=name,
                samples=device.samples,
                cpu_utilisation=device.cpu.value,
                memory_peak_bytes=device.memory_bytes,
                memory_limit_bytes=device.limit_bytes,
                received_bytes_per_s=device.received.value,
                sent_bytes_per_s=device.sent.value,
                temperature_peak_c=device.celsius,
                throttled=device.throttled,
            )
            for name, device in sorted(self._devices.items())
            if device.samples > 0
        ]


class RunSeries:
    """A run's speed over time, in stretches that grow with it."""

    def __init__(self) -> None:
        self.points: list[RunPointOut] = []
        self._step_s = FIRST_STEP_S
        self._begin_s = 0.0
        self._delivered = 0

    def take(self, elapsed_s: float, delivered: int, latency_p50_s: float | None) -> None:
        """Take how far the run is now."""
        span_s = elapsed_s - self._begin_s
        if span_s < self._step_s:
            return
        frames_per_s = (delivered - self._delivered) / span_s
        self._begin_s, self._delivered = elapsed_s, delivered
        self.points.append(RunPointOut(elapsed_s=elapsed_s, frames_per_s=frames_per_s, latency_p50_s=latency_p50_s))
        if len(self.points) == MAX_POINTS:
            self.points = [_merged(a, b) for a, b in zip(self.points[0::2], self.points[1::2], strict=True)]
            self._step_s *= 2


def _merged(a: RunPointOut, b: RunPointOut) -> RunPointOut:
    return RunPointOut(
        elapsed_s=b.elapsed_s,
        frames_per_s=(a.frames_per_s + b.frames_per_s) / 2,
        latency_p50_s=a.latency_p50_s if b.latency_p50_s is None else b.latency_p50_s,
    )
