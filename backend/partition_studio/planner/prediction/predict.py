"""Predicts a plan: from the partition that it makes, and the figures of devices and links, to throughput and costs.

A stage in one place takes what `predict_stage_s` says by the profile of its device. Where a plan gives it other cores
than the profile was made with, it takes as much processor time on these. Each link carries all tensors of its cut in
one message. Frames are dealt among replicas by their speed, as the source of frames does.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType

from partition_agent.protocol import STUDIO_PEER, LinkCodec
from partition_studio.graph.network import TensorType
from partition_studio.partition.codecs import LOSSLESS, NOTHING, OnCut, Settled, settled_codecs
from partition_studio.partition.device_memory import device_memory, plan_window
from partition_studio.partition.partition import Partition
from partition_studio.partition.plan import Plan
from partition_studio.partition.replicas import Way, replica_of, ways_of
from partition_studio.partition.stages import SINK, SOURCE, Cut, Instance, StageGraph
from partition_studio.planner.codecs.costs import CAUTIOUS_SPEEDS
from partition_studio.planner.figures.checks import require_devices, require_links
from partition_studio.planner.figures.figures import DeviceFigures, Figures
from partition_studio.planner.figures.profile import CodecSpeed
from partition_studio.planner.prediction.flow import Flow, Transfer, Work
from partition_studio.planner.prediction.prediction import Prediction
from partition_studio.planner.prediction.stage_time import StageTime, predict_stage_s
from partition_studio.planner.prediction.sum_up import sum_up

#: Where nobody measured what a codec makes of a tensor: bytes that it makes of one of 32-bit floats. Packers without
#: loss are not reckoned with, since what they make hangs on the values.
_WIRE_BYTES_PER_FLOAT: Mapping[str, float] = MappingProxyType(
    {"fp16": 2.0, "int8": 1.0, "clip8": 1.0, "clip4": 0.5, "clip2": 0.25}
)

_UNKNOWN_CODEC = CodecSpeed(50e6, 50e6)

_ON_GPU = frozenset({"CUDAExecutionProvider", "TensorrtExecutionProvider"})

NO_BYTES: Mapping[OnCut, int] = MappingProxyType({})


@dataclass(frozen=True, slots=True)
class PlacedTime:
    """What a frame of a stage takes in one place: by the clock, of the processor, and what to know of it."""

    seconds: float
    cpu_s: float
    warnings: tuple[str, ...]


def predict(
    partition: Partition,
    plan: Plan,
    figures: Figures,
    codecs: Settled = NOTHING,
    wire_bytes: Mapping[OnCut, int] = NO_BYTES,
) -> Prediction:
    """Return what a plan will do. `partition` is the plan's.

    `codecs` are those that were chosen where the plan says `auto`, and go before what it names; `wire_bytes` what was
    measured to travel of each tensor on each cut. Raises BadFiguresError.
    """
    graph = partition.graph
    settled = {**settled_codecs(graph, plan, codecs), **codecs}
    times = placed_times(partition, figures)
    flow = _flow(partition, figures, times, settled, wire_bytes, plan.micro_batch)
    memory = {device: device_memory(graph, plan, device, needs) for device, needs in partition.needs.items()}
    notes = {name: time.warnings for name, time in times.items()}
    return sum_up(flow, figures, memory, notes, _codec_warnings(settled, wire_bytes))


def flow_of(
    partition: Partition,
    figures: Figures,
    codecs: Settled = NOTHING,
    wire_bytes: Mapping[OnCut, int] = NO_BYTES,
    *,
    micro_batch: int = 1,
) -> Flow:
    """Return a placed network as work that flows.

    `codecs` has each tensor that does not travel as it is (`settled_codecs` tells them of a plan). Raises
    BadFiguresError.
    """
    return _flow(partition, figures, placed_times(partition, figures), codecs, wire_bytes, micro_batch)


def placed_times(partition: Partition, figures: Figures) -> dict[str, PlacedTime]:
    """Return what each instance of each stage takes, by its name. Raises BadFiguresError."""
    graph = partition.graph
    require_devices(figures, graph.devices)
    times: dict[str, PlacedTime] = {}
    for stage in graph.stages:
        measured: dict[str, StageTime] = {}
        for instance in stage.instances:
            device = figures.devices[instance.device]
            if device.name not in measured:
                measured[device.name] = predict_stage_s(
                    device.profile, partition.network, stage.layers, partition.division.sources
                )
            times[instance.name] = placed_time(device, instance, measured[device.name])
    return times


def placed_time(device: DeviceFigures, instance: Instance, time: StageTime) -> PlacedTime:
    """Return what a stage takes in its place, by what it takes as the device was profiled.

    On other cores than were profiled it takes the same processor time; on a GPU one core waits for it.
    """
    seconds, warnings = time.seconds, time.warnings
    used = min(device.threads, device.cores)
    if instance.cores and len(instance.cores) != device.threads:
        profiled, used = used, min(len(instance.cores), device.cores)
        seconds *= profiled / used
        warnings = (*warnings, f"profiled with {device.threads} threads, it will run with {len(instance.cores)}")
    profiled_on = device.profile.key.provider
    if instance.providers and profiled_on not in instance.providers:
        warnings = (*warnings, f"profiled on {profiled_on}, it will run on {instance.providers[0]} where that is there")
    elif instance.providers and profiled_on in _ON_GPU:
        used = min(1.0, device.cores)
    return PlacedTime(seconds, seconds * used, warnings)


def _flow(
    partition: Partition,
    figures: Figures,
    times: Mapping[str, PlacedTime],
    codecs: Settled,
    wire_bytes: Mapping[OnCut, int],
    micro_batch: int,
) -> Flow:
    graph = partition.graph
    shares = _shares(graph, times)
    works = tuple(
        Work(
            instance.name,
            stage.name,
            instance.device,
            instance.lane,
            times[instance.name].seconds,
            times[instance.name].cpu_s,
            _share_of(shares, replica_of(graph, stage.name, instance)),
            micro_batch,
        )
        for stage in graph.stages
        for instance in stage.instances
    )
    transfers = []
    for cut in graph.cuts:
        message = _Message(graph, cut, codecs, wire_bytes)
        window = plan_window(graph, micro_batch, cut)
        for way in ways_of(graph, cut):
            share = math.prod(_share_of(shares, route) for route in way.routes)
            transfers.append(_transfer(figures, message, way, window, share))
    require_links(figures, {(t.source, t.target): None for t in transfers if t.source != t.target})
    cores = {device: figures.devices[device].cores for device in graph.devices}
    return Flow(works, tuple(transfers), cores, figures.links)


def _shares(graph: StageGraph, times: Mapping[str, PlacedTime]) -> dict[tuple[int, int], float]:
    """Return the part of the frames that each replica of each group gets: by its speed through all its stages."""
    spent: dict[tuple[int, int], float] = {}
    for stage in graph.stages:
        for instance in stage.instances:
            replica = replica_of(graph, stage.name, instance)
            if replica is not None:
                spent[replica] = spent.get(replica, 0.0) + times[instance.name].seconds
    shares: dict[tuple[int, int], float] = {}
    for group in {group for group, _ in spent}:
        members = [replica for replica in spent if replica[0] == group]
        # One that takes no time at all would get everything, and two of them would divide by it.
        known = all(spent[replica] > 0 for replica in members)
        speeds = {replica: 1 / spent[replica] if known else 1.0 for replica in members}
        total = math.fsum(speeds.values())
        shares.update((replica, speed / total) for replica, speed in speeds.items())
    return shares


def _share_of(shares: Mapping[tuple[int, int], float], replica: tuple[int, int] | None) -> float:
    return 1.0 if replica is None else shares[replica]


class _Message:
    """The tensors of a cut as they travel together."""

    def __init__(self, graph: StageGraph, cut: Cut, codecs: Settled, wire_bytes: Mapping[OnCut, int]) -> None:
        self.cut = cut.id
        self.raw_bytes = graph.cut_bytes(cut)
        self.wire_bytes = 0
        self._coded: list[tuple[str, int]] = []
        for tensor in cut.tensors:
            kind, codec = graph.tensors[tensor], codecs.get((cut.id, tensor))
            if codec is None or codec.name == "none":
                self.wire_bytes += kind.size_bytes
                continue
            self._coded.append((codec.name, kind.size_bytes))
            measured = wire_bytes.get((cut.id, tensor))
            self.wire_bytes += _usual_bytes(kind, codec) if measured is None else measured

    def encode_s(self, figures: Figures, peer: str) -> float:
        """Return the processor seconds of encoding it."""
        return sum(size / _speed(figures, peer, codec).encode_bytes_per_s for codec, size in self._coded)

    def decode_s(self, figures: Figures, peer: str) -> float:
        """Return the processor seconds of decoding it."""
        return sum(size / _speed(figures, peer, codec).decode_bytes_per_s for codec, size in self._coded)


def _usual_bytes(kind: TensorType, codec: LinkCodec) -> int:
    per_float = _WIRE_BYTES_PER_FLOAT.get(codec.name.partition("+")[0])
    if per_float is None or kind.dtype != "float32":
        return kind.size_bytes
    return math.ceil(kind.elements * per_float)


def _speed(figures: Figures, peer: str, codec: str) -> CodecSpeed:
    """Return how fast a peer encodes and decodes, cautiously where it was not measured."""
    device = figures.devices.get(peer)
    measured = None if device is None else device.codecs.get(codec)
    return measured or CAUTIOUS_SPEEDS.get(codec, _UNKNOWN_CODEC)


def _transfer(figures: Figures, message: _Message, way: Way, window: int, share: float) -> Transfer:
    producer, source = _end(SOURCE, way.producer)
    consumer, target = _end(SINK, way.consumer)
    wire_bytes, send_s, receive_s, send_beside_s, receive_beside_s = 0, 0.0, 0.0, 0.0, 0.0
    if source != target:
        wire_bytes = message.wire_bytes
        sending, receiving = figures.carry_of(source), figures.carry_of(target)
        send_s = sending.seconds(wire_bytes) + message.encode_s(figures, source)
        receive_s = receiving.seconds(wire_bytes) + message.decode_s(figures, target)
        send_beside_s, receive_beside_s = sending.beside_byte_s * wire_bytes, receiving.beside_byte_s * wire_bytes
    return Transfer(
        message.cut,
        producer,
        consumer,
        source,
        target,
        message.raw_bytes,
        wire_bytes,
        send_s,
        receive_s,
        window,
        share,
        send_beside_s,
        receive_beside_s,
    )


def _end(studio: str, instance: Instance | None) -> tuple[str, str]:
    """Return the name of a link's end, and the peer that it is on."""
    return (studio, STUDIO_PEER) if instance is None else (instance.name, instance.device)


def _codec_warnings(codecs: Settled, wire_bytes: Mapping[OnCut, int]) -> Sequence[str]:
    """Say that nobody measured what codecs make of their tensors, where that is so."""
    unmeasured = [key for key, codec in codecs.items() if key not in wire_bytes and codec.name != "none"]
    if not unmeasured:
        return ()
    (cut, tensor), others = unmeasured[0], len(unmeasured) - 1
    more = f" and {others} more tensors" if others else ""
    packed = any(codecs[key].name in LOSSLESS for key in unmeasured)
    how = "taken to get no smaller by packing" if packed else "reckoned by the codec's bits"
    return (f"What travels of {tensor!r} on {cut}{more} was not measured: {how}",)
