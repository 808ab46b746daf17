"""How long a flow keeps each resource busy with a frame, and how long a frame that is alone takes.

In a pipeline everything works at once, so the time between frames is what the busiest resource needs for one. A frame
alone waits for the longest way: the works on it, and for each transfer on it sending, the bytes on the link, the link's
latency, and receiving. Replicas are alternatives: a frame alone goes to the one that brings it soonest, as the source
of frames deals it.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple

from partition_studio.partition.stages import SINK, SOURCE
from partition_studio.planner.prediction.flow import Flow, Resource, Transfer, Work

#: Begin and end, in seconds after the frame was there.
Span = tuple[float, float]


class FlowTimes(NamedTuple):
    """Seconds that each resource is busy with a frame, seconds between frames, and those of a frame that is alone."""

    busy_s: dict[Resource, float]
    period_s: float
    latency_s: float


@dataclass(frozen=True, slots=True)
class Alone:
    """The way of a frame that is alone: when each work begins and ends, and when the last result is there."""

    spans: Mapping[str, Span]
    latency_s: float


def lane_of(work: Work) -> Resource:
    """Return the lane that a work takes turns in."""
    return Resource("lane", f"{work.device}/{work.lane}" if work.lane else work.device)


def predict_flow(flow: Flow) -> FlowTimes:
    """Return busy seconds, period and latency of a flow. Without anything that takes time, the period is 0."""
    busy_s = busy_of(flow)
    return FlowTimes(busy_s, max(busy_s.values(), default=0.0), alone(flow).latency_s)


def busy_of(flow: Flow) -> dict[Resource, float]:
    """Return the seconds that each resource is busy with a frame: cores first, then lanes, links and interfaces."""
    cpu_s: dict[str, float] = {}
    lanes: dict[Resource, float] = {}
    for work in flow.works:
        cpu_s[work.device] = cpu_s.get(work.device, 0.0) + work.share * work.cpu_s
        lane = lane_of(work)
        lanes[lane] = lanes.get(lane, 0.0) + work.share * work.seconds
    wires: dict[tuple[str, str], float] = {}
    for transfer in flow.transfers:
        source, target = way = transfer.source, transfer.target
        if source == target:
            continue
        share = transfer.share
        cpu_s[source] = cpu_s.get(source, 0.0) + share * transfer.send_s
        cpu_s[target] = cpu_s.get(target, 0.0) + share * transfer.receive_s
        wires[way] = wires.get(way, 0.0) + share * transfer.wire_bytes
    busy = {Resource("cores", peer): s / flow.cores[peer] for peer, s in cpu_s.items() if peer in flow.cores}
    busy.update(lanes)
    busy.update(
        (Resource("link", f"{s}->{t}"), size / flow.links.of(s, t).bytes_per_s) for (s, t), size in wires.items()
    )
    busy.update(_interfaces(flow, wires))
    return busy


def _interfaces(flow: Flow, wires: Mapping[tuple[str, str], float]) -> dict[Resource, float]:
    if not flow.links.interfaces:
        return {}
    busy: dict[Resource, float] = {}
    for (source, target), size in wires.items():
        for peer, way in ((source, "out"), (target, "in")):
            bytes_per_s = flow.links.interfaces.get(peer)
            if bytes_per_s is not None:
                resource = Resource("interface", f"{peer} {way}")
                busy[resource] = busy.get(resource, 0.0) + size / bytes_per_s
    return busy


def alone(flow: Flow) -> Alone:
    """Return the way of a frame that finds the pipeline empty."""
    stage_of = {work.name: work.stage for work in flow.works}
    arriving: dict[str, list[Transfer]] = {}
    for transfer in flow.transfers:
        arriving.setdefault(transfer.consumer, []).append(transfer)
    spans: dict[str, Span] = {}
    for work in flow.works:
        begin_s = _arrival_s(flow, arriving.get(work.name, ()), spans, stage_of)
        spans[work.name] = (begin_s, begin_s + work.seconds)
    return Alone(spans, _arrival_s(flow, arriving.get(SINK, ()), spans, stage_of))


def _arrival_s(
    flow: Flow, transfers: list[Transfer] | tuple[()], spans: Mapping[str, Span], stage_of: Mapping[str, str]
) -> float:
    """Return when all of a frame is there: of each stage that it comes from, from the replica that is done first."""
    soonest: dict[str, float] = {}
    for transfer in transfers:
        producer = transfer.producer
        sent_s = 0.0 if producer == SOURCE else spans[producer][1]
        there_s = sent_s + travel_s(flow, transfer)
        stage = stage_of.get(producer, SOURCE)
        if stage not in soonest or there_s < soonest[stage]:
            soonest[stage] = there_s
    return max(soonest.values(), default=0.0)


def travel_s(flow: Flow, transfer: Transfer) -> float:
    """Return the seconds from the end of a work to where its tensors are ready to be computed with."""
    if transfer.source == transfer.target:
        return 0.0
    link = flow.links.of(transfer.source, transfer.target)
    wire_s = transfer.wire_bytes / link.bytes_per_s
    return transfer.ends_s + wire_s + link.latency_s
