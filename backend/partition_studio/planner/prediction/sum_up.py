"""Sums a flow up: what each device and link has to do for a frame, and what limits the whole.

That is the busiest resource. Where the windows of links let fewer frames through, the prediction says so beside it.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from partition_studio.partition.memory import MemoryBound
from partition_studio.planner.errors import BadFiguresError
from partition_studio.planner.figures.figures import DeviceFigures, Figures, Way
from partition_studio.planner.prediction.flow import Flow, Resource
from partition_studio.planner.prediction.prediction import DevicePrediction, LinkPrediction, Prediction, StagePrediction
from partition_studio.planner.prediction.throughput import Alone, alone, busy_of
from partition_studio.planner.prediction.window_bound import WindowLimit, window_limit

#: What the windows of links cost less than this, as a share of the period, is not told.
_SLACK = 0.01


@dataclass(slots=True)
class _Load:
    """What one device does for a frame, in processor seconds and bytes."""

    compute_s: float = 0.0
    carry_s: float = 0.0
    coding_s: float = 0.0
    sent_bytes: float = 0.0
    received_bytes: float = 0.0


def sum_up(
    flow: Flow,
    figures: Figures,
    memory: Mapping[str, MemoryBound],
    notes: Mapping[str, tuple[str, ...]],
    warnings: Sequence[str] = (),
) -> Prediction:
    """Return the prediction of a flow. `memory` is by device, `notes` are the warnings of each instance.

    Raises BadFiguresError where nothing takes any time.
    """
    busy_s = busy_of(flow)
    period_s = max(busy_s.values(), default=0.0)
    if period_s <= 0:
        raise BadFiguresError("Nothing of the plan takes any time by what was measured: no throughput follows.")
    limit = window_limit(flow, period_s)
    if limit is not None and limit.period_s > period_s * (1 + _SLACK):
        warnings = *warnings, _window_warning(limit)
    way = alone(flow)
    loads = _loads(flow, figures)
    return Prediction(
        throughput_per_s=1 / period_s,
        period_s=period_s,
        latency_s=way.latency_s,
        bottleneck=max(busy_s, key=busy_s.__getitem__),
        busy_s=busy_s,
        stages=_stages(flow, way, notes),
        devices={d: _device(figures.devices[d], loads[d], period_s, bound) for d, bound in memory.items()},
        links=_links(flow, period_s, busy_s),
        warnings=(
            *(f"{name}: {text}" for name, note in notes.items() for text in note),
            *warnings,
        ),
        window_limit=limit,
    )


def _loads(flow: Flow, figures: Figures) -> dict[str, _Load]:
    loads = {device: _Load() for device in flow.cores}
    for work in flow.works:
        loads[work.device].compute_s += work.share * work.cpu_s
    for transfer in flow.transfers:
        if transfer.source == transfer.target:
            continue
        share, size = transfer.share, transfer.wire_bytes
        sender, receiver = loads.get(transfer.source), loads.get(transfer.target)
        if sender is not None:
            carry_s = figures.carry_of(transfer.source).seconds(size)
            sender.carry_s += share * carry_s
            sender.coding_s += share * max(transfer.send_s - carry_s, 0.0)
            sender.sent_bytes += share * size
        if receiver is not None:
            carry_s = figures.carry_of(transfer.target).seconds(size)
            receiver.carry_s += share * carry_s
            receiver.coding_s += share * max(transfer.receive_s - carry_s, 0.0)
            receiver.received_bytes += share * size
    return loads


def _device(figures: DeviceFigures, load: _Load, period_s: float, memory: MemoryBound) -> DevicePrediction:
    cores = figures.cores
    cpu_s = load.compute_s + load.carry_s + load.coding_s
    active_j = energy_j = None
    if figures.power is not None:
        active_j = figures.power.active_w * cpu_s
        energy_j = figures.power.idle_w * period_s + active_j
    return DevicePrediction(
        busy_s=cpu_s / cores,
        compute_s=load.compute_s / cores,
        carry_s=load.carry_s / cores,
        coding_s=load.coding_s / cores,
        utilisation=min(cpu_s / cores / period_s, 1.0),
        energy_j=energy_j,
        active_j=active_j,
        memory=memory,
        memory_limit_bytes=figures.memory_bytes,
        sent_bytes=round(load.sent_bytes),
        received_bytes=round(load.received_bytes),
        estimated=figures.estimated,
    )


def _stages(flow: Flow, way: Alone, notes: Mapping[str, tuple[str, ...]]) -> dict[str, StagePrediction]:
    return {
        work.name: StagePrediction(work.device, work.seconds, *way.spans[work.name], notes.get(work.name, ()))
        for work in flow.works
    }


def _links(flow: Flow, period_s: float, busy_s: Mapping[Resource, float]) -> dict[Way, LinkPrediction]:
    wires: dict[Way, float] = {}
    for transfer in flow.transfers:
        if transfer.source != transfer.target:
            way = transfer.source, transfer.target
            wires[way] = wires.get(way, 0.0) + transfer.share * transfer.wire_bytes
    found = {}
    for (source, target), wire_bytes in wires.items():
        spent_s = busy_s[Resource("link", f"{source}->{target}")]
        estimated = flow.links.of(source, target).estimated
        found[source, target] = LinkPrediction(wire_bytes, spent_s, spent_s / period_s, estimated)
    return found


def _window_warning(limit: WindowLimit) -> str:
    """Say that a link's window lets fewer frames through than everything else does."""
    return (
        f"{limit.transfer.cut}: at most {1 / limit.period_s:.3g} frames/s pass, since no more than {limit.frames:.3g} "
        f"are on their way at once, and each takes {limit.round_s:.3g} s"
    )
