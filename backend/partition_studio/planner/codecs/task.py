"""From a plan, and what was measured of its tensors, links and devices, to the task of choosing its codecs."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType

from partition_agent.protocol import STUDIO_PEER, LinkCodec
from partition_studio.partition.carry import Carried
from partition_studio.partition.codecs import (
    LOSSLESS,
    OnCut,
    auto_tensors,
    crosses_devices,
    settled_codecs,
)
from partition_studio.partition.plan import CodecChoice, Plan
from partition_studio.partition.replicas import ways_of
from partition_studio.partition.stages import SINK, SOURCE, Cut, Instance, StageGraph
from partition_studio.planner.codecs.choice import CANDIDATES, worthwhile
from partition_studio.planner.codecs.costs import (
    CodecSpeed,
    CodecTask,
    Hop,
    Option,
    StageFigures,
    TensorOptions,
)
from partition_studio.planner.figures.figures import LinkFigures, Way

AS_IT_IS = LinkCodec()


@dataclass(frozen=True, slots=True)
class Measured:
    """What is known of links (by source and target), of devices' codecs (by device and name), and of stages (seconds).

    What is not there, or None, is not known.
    """

    links: Mapping[Way, LinkFigures] = field(default_factory=dict)
    speeds: Mapping[str, Mapping[str, CodecSpeed]] = field(default_factory=dict)
    stage_s: Mapping[str, float | None] = field(default_factory=dict)


def codec_task(
    graph: StageGraph,
    plan: Plan,
    measured: Measured,
    carried: Callable[[OnCut, LinkCodec], Carried],
    *,
    candidates: Sequence[LinkCodec] = CANDIDATES,
    on_tensor: Callable[[int, int], None] | None = None,
) -> CodecTask:
    """Return the task of a plan's codecs. What `auto` does not decide about has one option, which is the plan's.

    `carried` tells how a tensor travels with a codec; it is asked for every candidate, where the link is known.
    `on_tensor` is told how many of the tensors are done, and may raise to cancel.
    """
    auto, given = auto_tensors(graph, plan), settled_codecs(graph, plan)
    cuts = [cut for cut in graph.cuts if crosses_devices(graph, cut)]
    hops = {cut.id: _hops(graph, cut) for cut in cuts}
    keys = [(cut.id, tensor) for cut in cuts for tensor in cut.tensors]
    tensors = []
    for number, key in enumerate(keys):
        if on_tensor is not None:
            on_tensor(number, len(keys))
        known = all(hop.way in measured.links for hop in hops[key[0]])
        usable = [codec for codec in candidates if all(_can(measured, hop, codec) for hop in hops[key[0]])]
        tried = _tried(auto[key], usable) if key in auto and known else ()
        first = AS_IT_IS if key in auto else given.get(key, AS_IT_IS)
        tensors.append(_options(key, graph.tensors[key[1]].size_bytes, first, tried, carried))
    stages = {
        instance.name: StageFigures(
            instance.device, instance.lane, measured.stage_s.get(instance.name), 1 / len(stage.instances)
        )
        for stage in graph.stages
        for instance in stage.instances
    }
    return CodecTask(
        MappingProxyType(stages),
        tuple(hop for cut in cuts for hop in hops[cut.id]),
        tuple(tensors),
        measured.links,
        measured.speeds,
        tuple(_inside(graph)),
    )


def _hops(graph: StageGraph, cut: Cut) -> list[Hop]:
    """Return the links of a cut that lead from one peer to another; replicas are taken to be equally fast."""
    ways = [(_end(SOURCE, way.producer), _end(SINK, way.consumer)) for way in ways_of(graph, cut)]
    return [
        Hop(cut.id, producer, consumer, source, target, 1 / len(ways))
        for (producer, source), (consumer, target) in ways
        if source != target or source == STUDIO_PEER
    ]


def _inside(graph: StageGraph) -> Iterator[tuple[str, str]]:
    """Yield the links inside devices."""
    for cut in graph.cuts:
        for way in ways_of(graph, cut):
            if way.producer is not None and way.consumer is not None and way.producer.device == way.consumer.device:
                yield way.producer.name, way.consumer.name


def _end(studio: str, instance: Instance | None) -> tuple[str, str]:
    """Return the name of a link's end, and the peer that it is on."""
    return (studio, STUDIO_PEER) if instance is None else (instance.name, instance.device)


def _can(measured: Measured, hop: Hop, codec: LinkCodec) -> bool:
    """Say whether both devices can use a codec; where its speed was measured for others and not for it, they cannot."""
    found = (measured.speeds.get(device, {}) for device in hop.way)
    return all(not speeds or codec.name in speeds or codec.name == "none" for speeds in found)


def _tried(choice: CodecChoice, candidates: Sequence[LinkCodec]) -> Iterator[LinkCodec]:
    """Yield the candidates for a tensor; those that clip have the bounds of the entry."""
    for codec in candidates:
        if codec.name.startswith("clip"):
            yield _bounded(codec, choice)
        elif codec.name != "none":
            yield codec


def _bounded(codec: LinkCodec, choice: CodecChoice) -> LinkCodec:
    """Return a codec with the bounds that an entry of the plan gives."""
    return LinkCodec(codec.name, choice.low, choice.high)


def _options(
    key: OnCut,
    size_bytes: int,
    first: LinkCodec,
    tried: Iterator[LinkCodec] | tuple[()],
    carried: Callable[[OnCut, LinkCodec], Carried],
) -> TensorOptions:
    plain = Option(first, "none", size_bytes)
    if first.name != "none":
        held = carried(key, first)
        plain = Option(first, held.codec, held.wire_bytes)
    options = [plain]
    for codec in tried:
        held = carried(key, codec)
        # One that could not hold the tensor is another one, which stands for itself.
        if held.codec == codec.name or held.codec not in LOSSLESS:
            options.append(Option(codec, held.codec, held.wire_bytes))
    return worthwhile(TensorOptions(*key, size_bytes, tuple(options)))


def resolved_plan(plan: Plan, graph: StageGraph, codecs: Mapping[OnCut, LinkCodec]) -> Plan:
    """Return a plan that says by name what was chosen for `auto`; entries that say `auto` are gone."""
    entries: dict[tuple[str, str, LinkCodec], list[str]] = {}
    cuts = {cut.id: cut for cut in graph.cuts}
    for cut_id, tensor in auto_tensors(graph, plan):
        ends = _place(graph, cuts[cut_id].producer), _place(graph, cuts[cut_id].consumer)
        codec = codecs.get((cut_id, tensor), AS_IT_IS)
        tensors = entries.setdefault((*ends, codec), [])
        if tensor not in tensors:
            tensors.append(tensor)
    chosen = [
        CodecChoice.model_validate(
            {
                "producer": producer,
                "consumer": consumer,
                "tensors": tensors,
                "codec": codec.name,
                "low": codec.low,
                "high": codec.high,
            }
        )
        for (producer, consumer, codec), tensors in entries.items()
    ]
    kept = [choice for choice in plan.codecs if choice.codec != "auto"]
    return plan.model_copy(update={"codecs": [*kept, *chosen]})


def _place(graph: StageGraph, end: str) -> str:
    """Return the plan's own name of a cut's end: a device, resource or group of replicas."""
    if end in (SOURCE, SINK):
        return STUDIO_PEER
    stage = graph.stage(end)
    return stage.instances[0].place if len(stage.instances) == 1 else stage.device
