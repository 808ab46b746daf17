"""What each device's agent takes of memory under a plan: the needs of its stages and links, gathered from the graph."""

from collections.abc import Sequence

from partition_studio.graph.network import Network
from partition_studio.partition.codecs import codec_names
from partition_studio.partition.memory import LinkNeed, MemoryBound, StageNeed, link_bytes, memory_bound, stage_need
from partition_studio.partition.plan import Plan
from partition_studio.partition.replicas import ways_of
from partition_studio.partition.stages import Cut, Instance, StageGraph


def stage_needs(network: Network, graph: StageGraph, device: str) -> list[StageNeed]:
    """Return what the stages on a device need, in their order.

    Replicas may be parts of one device: each of them holds the stage.
    """
    found = []
    for stage in graph.on(device):
        need = stage_need(network, stage)
        found += [need for instance in stage.instances if instance.device == device]
    return found


def plan_window(graph: StageGraph, micro_batch: int, cut: Cut) -> int:
    """Return the most frames that may wait on a cut; which stages take several at once is measured later."""
    batches = dict.fromkeys((stage.name for stage in graph.stages), micro_batch) if micro_batch > 1 else None
    return graph.window(cut, batches)


def link_ends(graph: StageGraph) -> list[tuple[Cut, str | None, str | None]]:
    """Return each link of each cut with the devices at its ends; None: the source, or the sink.

    Among replicas a cut has several links, and a frame passes one of them.
    """
    return [(cut, _device(way.producer), _device(way.consumer)) for cut in graph.cuts for way in ways_of(graph, cut)]


def _device(instance: Instance | None) -> str | None:
    return None if instance is None else instance.device


def device_memory(graph: StageGraph, plan: Plan, device: str, needs: Sequence[StageNeed]) -> MemoryBound:
    """Return the bound of a device's agent. `needs` are those of its stages (see `stage_needs`)."""
    ends = link_ends(graph)
    incoming = [
        _link_need(graph, plan, cut, from_here=source == device, to_here=True)
        for cut, source, to in ends
        if to == device
    ]
    outgoing = [
        _link_need(graph, plan, cut, from_here=True, to_here=False)
        for cut, source, to in ends
        if source == device != to
    ]
    return memory_bound(needs, link_bytes(incoming), link_bytes(outgoing), plan.micro_batch)


def _link_need(graph: StageGraph, plan: Plan, cut: Cut, *, from_here: bool, to_here: bool) -> LinkNeed:
    """Return what a link of a cut takes of the device where it begins, ends, or does both."""
    coded = () if from_here and to_here else tuple(codec_names(graph, plan, cut))
    sizes = [graph.tensors[tensor].size_bytes for tensor in coded]
    return LinkNeed(
        frame_bytes=graph.cut_bytes(cut),
        window=plan_window(graph, plan.micro_batch, cut),
        coded_bytes=sum(sizes),
        largest_bytes=max(sizes, default=0),
        batch=plan.micro_batch if from_here else 1,
    )
