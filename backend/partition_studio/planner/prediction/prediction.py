"""What is predicted of a plan. Made by `predict`; shown beside what is measured, never mixed with it."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from partition_studio.partition.memory import MemoryBound
from partition_studio.planner.figures.figures import Way
from partition_studio.planner.prediction.flow import Resource
from partition_studio.planner.prediction.window_bound import WindowLimit


@dataclass(frozen=True, slots=True)
class DevicePrediction:
    """One device, for each frame that passes the pipeline at full throughput.

    `busy_s` is of its cores: `compute_s`, `carry_s` and `coding_s` are its parts, in seconds of all its cores.
    `energy_j` is all that it takes in the time between two frames, `active_j` that beyond idling; None where its power
    is not known. `estimated` as in `DeviceFigures`.
    """

    busy_s: float
    compute_s: float
    carry_s: float
    coding_s: float
    utilisation: float
    energy_j: float | None
    active_j: float | None
    memory: MemoryBound
    memory_limit_bytes: int | None
    sent_bytes: int
    received_bytes: int
    estimated: tuple[str, ...] = ()

    @property
    def fits(self) -> bool:
        """Whether its agent stays within the device's limit."""
        return self.memory_limit_bytes is None or self.memory.bound_bytes <= self.memory_limit_bytes


@dataclass(frozen=True, slots=True)
class LinkPrediction:
    """One direction between two peers, per frame: bytes on the wire, seconds that they take, share of the time."""

    wire_bytes: float
    busy_s: float
    utilisation: float
    estimated: bool


@dataclass(frozen=True, slots=True)
class StagePrediction:
    """One stage in one place: seconds of a frame, and when it begins and ends in a pipeline that is empty else."""

    device: str
    seconds: float
    begin_s: float
    end_s: float
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True)
class Prediction:
    """A plan's throughput (frames a second), latency (of a frame that is alone), and where the time goes.

    `period_s` is between frames at full throughput; `bottleneck` is what is busy all of it. `busy_s` has every
    resource, `stages` are by name of their instances. `window_limit`: where windows of links let fewer frames through
    than that, what they allow (told in the warnings, too, where it costs over 1 %).
    """

    throughput_per_s: float
    period_s: float
    latency_s: float
    bottleneck: Resource
    busy_s: Mapping[Resource, float]
    stages: Mapping[str, StagePrediction]
    devices: Mapping[str, DevicePrediction]
    links: Mapping[Way, LinkPrediction]
    warnings: tuple[str, ...] = ()
    window_limit: WindowLimit | None = None

    @property
    def steady_period_s(self) -> float:
        """Seconds between frames in steady state, with the plan's own windows."""
        return self.period_s if self.window_limit is None else self.window_limit.period_s

    @property
    def is_estimated(self) -> bool:
        """Whether any figure that it rests on was estimated."""
        return any(d.estimated for d in self.devices.values()) or any(link.estimated for link in self.links.values())

    @property
    def max_energy_j(self) -> float | None:
        """The largest energy per device and frame; None where one is not known."""
        return _all_known([device.energy_j for device in self.devices.values()], max)

    @property
    def total_energy_j(self) -> float | None:
        """The energy of all devices per frame; None where one is not known."""
        return _all_known([device.energy_j for device in self.devices.values()], sum)

    @property
    def max_memory_bytes(self) -> int:
        """The largest memory per device."""
        return max((device.memory.bound_bytes for device in self.devices.values()), default=0)


def _all_known(figures: list[float | None], combine: Callable[[list[float]], float]) -> float | None:
    known = [figure for figure in figures if figure is not None]
    return combine(known) if known and len(known) == len(figures) else None
