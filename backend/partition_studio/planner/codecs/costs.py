"""What the codecs of a plan's links cost: how long each device and each link is busy with a frame, and a frame's way.

In a pipeline receiving, computing and sending overlap, so that throughput is what the busiest device or link allows.
Encoding and decoding take time on the cores that compute: a device is busy with its stages and all its coding, as it is
where every device has one core, which is the worst case. A link's direction is busy for the bytes that cross it. One
frame alone waits for everything along the longest way: computing, coding, bytes, and half a round trip for each link.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from partition_agent.protocol import LinkCodec
from partition_studio.partition.codecs import OnCut
from partition_studio.planner.figures.figures import LinkFigures as LinkFigures
from partition_studio.planner.figures.figures import Way
from partition_studio.planner.figures.speeds import CodecSpeed as CodecSpeed

#: Where a device's codecs were not measured: about a quarter of what one core of a server did with tensors of 0.1 to
#: 1 MB (`bench/codecs.py`), as a weak board's.
CAUTIOUS_SPEEDS: Mapping[str, CodecSpeed] = MappingProxyType(
    {
        "lz4": CodecSpeed(200e6, 300e6),
        "zstd": CodecSpeed(80e6, 120e6),
        "rle": CodecSpeed(200e6, 180e6),
        "fp16": CodecSpeed(150e6, 150e6),
        "fp16+lz4": CodecSpeed(110e6, 130e6),
        "fp16+zstd": CodecSpeed(60e6, 80e6),
        "int8": CodecSpeed(130e6, 170e6),
        "int8+lz4": CodecSpeed(100e6, 150e6),
        "int8+zstd": CodecSpeed(60e6, 90e6),
        "clip8+rle": CodecSpeed(90e6, 100e6),
        "clip4+rle": CodecSpeed(90e6, 100e6),
        "clip2+rle": CodecSpeed(90e6, 100e6),
    }
)

#: A codec that even those do not know.
_UNKNOWN = CodecSpeed(50e6, 50e6)


@dataclass(frozen=True, slots=True)
class StageFigures:
    """A stage in one place: the cores that it shares with others (`lane`, of its device), and its predicted time.

    `seconds` None: not known, and left out. `share` is the part of the frames that it takes, below 1 for a replica.
    """

    device: str
    lane: str
    seconds: float | None
    share: float = 1.0


@dataclass(frozen=True, slots=True)
class Hop:
    """One link of a cut: `producer` and `consumer` are stages or the studio's ends, `source` and `target` peers.

    Between replicas a cut has several, and `share` is the part of the frames that cross this one.
    """

    cut: str
    producer: str
    consumer: str
    source: str
    target: str
    share: float = 1.0

    @property
    def way(self) -> Way:
        """The direction between two devices."""
        return self.source, self.target


@dataclass(frozen=True, slots=True)
class Option:
    """One codec for one tensor, and the bytes that it makes of it; `used` is the one that could hold it."""

    codec: LinkCodec
    used: str
    wire_bytes: int


@dataclass(frozen=True, slots=True)
class TensorOptions:
    """A tensor on a cut with what it may travel as; the first option is what it is where nothing is better."""

    cut: str
    tensor: str
    size_bytes: int
    options: tuple[Option, ...]

    @property
    def key(self) -> OnCut:
        """The tensor on its cut."""
        return self.cut, self.tensor


@dataclass(frozen=True, slots=True)
class CodecTask:
    """A plan as the choice of its codecs sees it. `stages` and `hops` are in topological order of the stages.

    `links` has what is known of directions, `speeds` of devices' codecs by name; what is not there is not known.
    `inner` are links inside devices: pairs of stages.
    """

    stages: Mapping[str, StageFigures]
    hops: tuple[Hop, ...]
    tensors: tuple[TensorOptions, ...]
    links: Mapping[Way, LinkFigures]
    speeds: Mapping[str, Mapping[str, CodecSpeed]]
    inner: tuple[tuple[str, str], ...] = ()

    def speed(self, device: str, codec: str) -> CodecSpeed:
        """Return how fast a device encodes and decodes, by its profile or else cautiously."""
        measured = self.speeds.get(device, {}).get(codec)
        return measured or CAUTIOUS_SPEEDS.get(codec, _UNKNOWN)


@dataclass(frozen=True, slots=True)
class TensorCost:
    """Seconds of one tensor of one frame: encoding, bytes on the link, decoding."""

    encode_s: float
    link_s: float
    decode_s: float

    @property
    def coding_s(self) -> float:
        """Encoding and decoding."""
        return self.encode_s + self.decode_s


@dataclass(frozen=True, slots=True)
class PlanCost:
    """`busy_s` is how long each device lane and each link direction is busy with a frame."""

    busy_s: Mapping[str, float]
    latency_s: float

    @property
    def period_s(self) -> float:
        """Seconds between frames at full throughput."""
        return max(self.busy_s.values(), default=0.0)

    @property
    def bottleneck(self) -> str:
        """What is busy longest."""
        return max(self.busy_s, key=lambda name: self.busy_s[name], default="")


class CodecCosts:
    """The costs of every choice of one task."""

    def __init__(self, task: CodecTask) -> None:
        self.task = task
        self._hops: dict[str, list[Hop]] = {}
        self._arriving: dict[str, list[Hop]] = {}
        for hop in task.hops:
            self._hops.setdefault(hop.cut, []).append(hop)
            self._arriving.setdefault(hop.consumer, []).append(hop)
        self._inside: dict[str, list[str]] = {}
        for producer, consumer in task.inner:
            self._inside.setdefault(consumer, []).append(producer)
        #: The sink comes last; its name is no stage's.
        self._ends = [*task.stages, *(end for end in self._arriving if end not in task.stages)]
        self._by_option = [
            [[self._tensor_cost(hop, tensor, option) for hop in self._hops[tensor.cut]] for option in tensor.options]
            for tensor in task.tensors
        ]
        self._shares_of: dict[tuple[int, int], list[tuple[str, float]]] = {}

    def of_tensor(self, tensor: int, option: int) -> TensorCost:
        """Return what one tensor costs with one of its options, both by number, on the slowest link of its cut."""
        return max(self._by_option[tensor][option], key=lambda cost: cost.link_s + cost.coding_s)

    def of(self, choice: tuple[int, ...]) -> PlanCost:
        """Return what the plan costs with an option for every tensor, by number."""
        return PlanCost(self.busy_s(choice), self.latency_s(choice))

    def busy_s(self, choice: tuple[int, ...]) -> dict[str, float]:
        """Return how long each device lane and link direction is busy with a frame."""
        busy: dict[str, float] = {}
        for stage in self.task.stages.values():
            lane = _device_name(stage.device, stage.lane)
            busy[lane] = busy.get(lane, 0.0) + stage.share * (stage.seconds or 0.0)
        for tensor, option in enumerate(choice):
            for name, seconds in self._shares(tensor, option):
                busy[name] = busy.get(name, 0.0) + seconds
        return busy

    def busy_after_s(self, busy_s: Mapping[str, float], tensor: int, old: int, new: int) -> dict[str, float]:
        """Return `busy_s` after one tensor changed its option."""
        busy = dict(busy_s)
        for name, seconds in self._shares(tensor, old):
            busy[name] -= seconds
        for name, seconds in self._shares(tensor, new):
            busy[name] = busy.get(name, 0.0) + seconds
        return busy

    def _shares(self, tensor: int, option: int) -> list[tuple[str, float]]:
        """Return who is busy with a tensor, and for how long on average over the frames."""
        key = tensor, option
        if key not in self._shares_of:
            hops = self._hops[self.task.tensors[tensor].cut]
            found = []
            for hop, cost in zip(hops, self._by_option[tensor][option], strict=True):
                found.append((self._lane(hop.source, hop.producer), hop.share * cost.encode_s))
                found.append((_link_name(*hop.way), hop.share * cost.link_s))
                found.append((self._lane(hop.target, hop.consumer), hop.share * cost.decode_s))
            self._shares_of[key] = found
        return self._shares_of[key]

    def _lane(self, device: str, stage: str) -> str:
        figures = self.task.stages.get(stage)
        return _device_name(device, "" if figures is None else figures.lane)

    def latency_s(self, choice: tuple[int, ...]) -> float:
        """Return the seconds of the longest way of one frame."""
        hop_s: dict[tuple[str, str], float] = {}
        for tensor, costs, option in zip(self.task.tensors, self._by_option, choice, strict=True):
            for hop, cost in zip(self._hops[tensor.cut], costs[option], strict=True):
                ends = hop.producer, hop.consumer
                hop_s[ends] = hop_s.get(ends, 0.0) + cost.link_s + cost.coding_s
        ready: dict[str, float] = {}
        for end in self._ends:
            arrivals = [ready.get(producer, 0.0) for producer in self._inside.get(end, ())]
            for hop in self._arriving.get(end, ()):
                link = self.task.links.get(hop.way)
                wait_s = 0.0 if link is None else link.latency_s
                arrivals.append(ready.get(hop.producer, 0.0) + wait_s + hop_s.get((hop.producer, hop.consumer), 0.0))
            stage = self.task.stages.get(end)
            ready[end] = max(arrivals, default=0.0) + ((stage.seconds or 0.0) if stage is not None else 0.0)
        return max(ready.values(), default=0.0)

    def _tensor_cost(self, hop: Hop, tensor: TensorOptions, option: Option) -> TensorCost:
        link = self.task.links.get(hop.way)
        link_s = 0.0 if link is None else option.wire_bytes / link.bytes_per_s
        if option.codec.name == "none":
            return TensorCost(0.0, link_s, 0.0)
        # What could not be held was tried all the same; it is taken back by the codec that was used.
        encode = self.task.speed(hop.source, option.codec.name).encode_bytes_per_s
        decode_s = 0.0
        if option.used != "none":
            decode_s = tensor.size_bytes / self.task.speed(hop.target, option.used).decode_bytes_per_s
        return TensorCost(tensor.size_bytes / encode, link_s, decode_s)


def _device_name(device: str, lane: str) -> str:
    return f"{device} ({lane})" if lane else device


def _link_name(source: str, target: str) -> str:
    return f"the link from {source} to {target}"
