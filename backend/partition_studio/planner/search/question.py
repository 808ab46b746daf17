"""What a person asks the planner for: what is to be best, and within which limits."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal, get_args

if TYPE_CHECKING:
    # Commands know the objectives, and must not wait until ONNX is loaded.
    from partition_studio.graph.network import Network
    from partition_studio.planner.figures.figures import Figures

Objective = Literal["throughput", "latency", "max_energy", "total_energy", "max_memory"]
"""What is to be best: frames a second; seconds of one frame alone; the largest joules per frame of a device; the joules
per frame of all; the largest bytes of a device. All but the first are minimised."""

OBJECTIVES: tuple[Objective, ...] = get_args(Objective)

Strategy = Literal["layers", "replicas", "spatial", "spatial_independent", "output_channels", "input_channels"]
"""How layers may be given to devices: whole (always allowed), a run of them on several devices that share the frames,
or divided as the plan's shards are."""

STRATEGIES: tuple[Strategy, ...] = get_args(Strategy)


@dataclass(frozen=True)
class Limits:
    """What a plan must keep. None and empty: no limit.

    Attributes:
        min_throughput_per_s, max_latency_s, max_energy_j (of each device), max_total_energy_j: of the prediction.
        memory_bytes: by device, instead of what its figures say.
        pins: layers that must lie on a device.
        excluded: devices that get nothing.
        max_devices: at most so many get something.
        input_on: the network's inputs reach this device alone (privacy): every layer that reads one lies on it.
        strategies: the allowed ones; "layers" is always among them.
        contiguous: each device computes one run of the layers in their order, and none is divided or has replicas:
            plans of few messages, among which the best is proved soon.
        codecs: names of codecs that links may use; "none" is always among them. Only those without loss are taken
            unless `max_change` allows a change (see `planner/codecs/choice`).
    """

    min_throughput_per_s: float | None = None
    max_latency_s: float | None = None
    max_energy_j: float | None = None
    max_total_energy_j: float | None = None
    memory_bytes: Mapping[str, int] = field(default_factory=dict)
    pins: Mapping[str, str] = field(default_factory=dict)
    excluded: frozenset[str] = frozenset()
    max_devices: int | None = None
    input_on: str | None = None
    strategies: frozenset[Strategy] = frozenset({"layers"})
    contiguous: bool = False
    codecs: frozenset[str] = frozenset({"none"})
    max_change: float = 0.0


@dataclass(frozen=True)
class Question:
    """A network, what is known of the devices that may be used, what is to be best, and the limits.

    `devices` is the order in which a person named them; where nothing else decides, earlier ones are used first.
    """

    network: "Network"
    figures: "Figures"
    devices: tuple[str, ...]
    objective: Objective = "throughput"
    limits: Limits = Limits()
