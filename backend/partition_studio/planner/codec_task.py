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
    names_of_end,
    settled_codecs,
)
from partition_studio.partition.plan import CodecChoice, Plan
from partition_studio.partition.stages import Cut, StageGraph
from partition_studio.planner.codec_choice import CANDIDATES, worthwhile
from partition_studio.planner.codec_costs import (
    CodecSpeed,
    CodecTask,
    Hop,
    LinkFigures,
    Option,
    StageFigures,
    TensorOptions,
)

AS_IT_IS = LinkCodec()


@dataclass(frozen=True, slots=True)
class Measured:
    """What is known of links (by source and target), of devices' codecs (by device and name), and of stages (seconds).

    What is not there, or None, is not known.
    """

    links: Mapping[tuple[str, str], LinkFigures] = field(default_factory=dict)
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
    hops = {cut.id: _hop(graph, cut) for cut in cuts}
    keys = [(cut.id, tensor) for cut in cuts for tensor in cut.tensors]
    tensors = []
    for number, key in enumerate(keys):
        if on_tensor is not None:
            on_tensor(number, len(keys))
        known = hops[key[0]].way in measured.links
        tried = _tried(auto[key], candidates) if key in auto and known else ()
        first = AS_IT_IS if key in auto else given.get(key, AS_IT_IS)
        tensors.append(_options(key, graph.tensors[key[1]].size_bytes, first, tried, carried))
    inner = tuple((cut.producer, cut.consumer) for cut in graph.cuts if cut.id not in hops)
    stages = {
        stage.name: StageFigures(stage.device, _lane(stage.cores), measured.stage_s.get(stage.name))
        for stage in graph.stages
    }
    return CodecTask(
        MappingProxyType(stages), tuple(hops.values()), tuple(tensors), measured.links, measured.speeds, inner
    )


def _hop(graph: StageGraph, cut: Cut) -> Hop:
    source, target = graph.device_of(cut.producer), graph.device_of(cut.consumer)
    return Hop(cut.id, cut.producer, cut.consumer, source or STUDIO_PEER, target or STUDIO_PEER)


def _lane(cores: Sequence[int]) -> str:
    return f"cores {', '.join(map(str, cores))}" if cores else ""


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
        ends = _place(graph, plan, cuts[cut_id].producer), _place(graph, plan, cuts[cut_id].consumer)
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


def _place(graph: StageGraph, plan: Plan, end: str) -> str:
    """Return the narrowest name of a cut's end: the resource where it is one, else the device."""
    names = names_of_end(graph, plan, end)
    return next((name for name in plan.resources if name in names), graph.device_of(end) or STUDIO_PEER)
