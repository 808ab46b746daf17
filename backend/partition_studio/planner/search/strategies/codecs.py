"""Codecs on a plan's cuts: by how much smaller they make tensors where that is known, else left to `auto`.

What a codec makes of a tensor hangs on its values, which no search knows. A caller that has measured it on frames gives
the ratios; without them a plan says `auto`, and the codec is chosen when frames are there (see `codec_choice`).
"""

import math
from collections.abc import Callable, Mapping
from types import MappingProxyType

from partition_agent.protocol import STUDIO_PEER, LinkCodec
from partition_studio.partition.codecs import LOSSLESS, OnCut, crosses_devices
from partition_studio.partition.plan import CodecChoice
from partition_studio.partition.stages import Cut
from partition_studio.planner.search.question import Limits
from partition_studio.planner.search.strategies.judge import Judge, Judged

#: Bytes that travel of one byte of a tensor, by codec.
Ratios = Mapping[str, float]

NO_RATIOS: Ratios = MappingProxyType({})

AS_IT_IS = "none"

#: Allowed as a codec: whichever is best.
AUTO = "auto"

AUTO_NOTE = (
    "Codecs are chosen when the plan is deployed (`auto`), by what they make of real frames: the figures are of "
    "tensors that travel as they are, and can only get better."
)
UNKNOWN_NOTE = (
    "No codec is used: what {names} make of the network's tensors was not measured. Allow all codecs without loss, and "
    "one is chosen when the plan is deployed."
)


def with_codecs(
    judge: Judge, judged: Judged, ratios: Ratios, stop: Callable[[], bool]
) -> tuple[Judged, tuple[str, ...]]:
    """Return the plan with codecs, as far as they are allowed and help, and what is to be said of them."""
    limits = judge.question.limits
    usable = usable_codecs(limits)
    if not usable or not any(crosses_devices(judged.partition.graph, cut) for cut in judged.partition.graph.cuts):
        return judged, ()
    known = [name for name in usable if 0 < ratios.get(name, math.inf) < math.inf]
    if known:
        return _chosen(judge, judged, {name: ratios[name] for name in known}, stop), ()
    if AUTO not in usable and not limits.codecs >= LOSSLESS - {AS_IT_IS}:
        return judged, (UNKNOWN_NOTE.format(names=", ".join(usable)),)
    change = {"codecs": [CodecChoice(codec="auto")], "max_change": limits.max_change}
    automatic = judge.judge(judged.plan.model_copy(update=change))
    return (judged, ()) if automatic is None else (automatic, (AUTO_NOTE,))


def usable_codecs(limits: Limits) -> tuple[str, ...]:
    """Return the codecs that a plan may use; those that change values only where a change is allowed."""
    return tuple(
        name
        for name in sorted(limits.codecs)
        if name in LOSSLESS - {AS_IT_IS} or name == AUTO or (name != AS_IT_IS and limits.max_change > 0)
    )


def _chosen(judge: Judge, judged: Judged, ratios: Ratios, stop: Callable[[], bool]) -> Judged:
    """Begin with the best codec for all ways alike, then change that of single ways as long as that helps."""
    ways = list(_ways(judged))
    best, chosen = judged, dict.fromkeys(ways, AS_IT_IS)
    alike = [dict.fromkeys(ways, name) for name in ratios]
    single = [{way: name} for way in ways for name in (AS_IT_IS, *ratios)]
    improved = True
    while improved:
        improved = False
        for change in (*alike, *single):
            if stop():
                return best
            codecs = {**chosen, **change}
            tried = None if codecs == chosen else _with(judge, judged, codecs, ratios)
            if tried is not None and tried.keeps_limits and tried.cost < best.cost * (1 - 1e-9):
                best, chosen, improved = tried, codecs, True
        alike = []
    return best


def _ways(judged: Judged) -> dict[tuple[str, str], list[Cut]]:
    """Return the cuts that leave a device, by the names of their ends in the plan."""
    graph = judged.partition.graph
    found: dict[tuple[str, str], list[Cut]] = {}
    for cut in graph.cuts:
        if crosses_devices(graph, cut):
            ends = graph.device_of(cut.producer) or STUDIO_PEER, graph.device_of(cut.consumer) or STUDIO_PEER
            found.setdefault(ends, []).append(cut)
    return found


def _with(judge: Judge, judged: Judged, chosen: Mapping[tuple[str, str], str], ratios: Ratios) -> Judged | None:
    graph, ways = judged.partition.graph, _ways(judged)
    coded = {way: codec for way, codec in chosen.items() if codec != AS_IT_IS}
    entries = [
        CodecChoice.model_validate({"producer": producer, "consumer": consumer, "codec": codec})
        for (producer, consumer), codec in coded.items()
    ]
    codecs: dict[OnCut, LinkCodec] = {
        (cut.id, tensor): LinkCodec(codec)
        for way, codec in coded.items()
        for cut in ways[way]
        for tensor in cut.tensors
    }
    sizes = {key: math.ceil(graph.tensors[key[1]].size_bytes * ratios[codec.name]) for key, codec in codecs.items()}
    return judge.judge(judged.plan.model_copy(update={"codecs": entries}), codecs, sizes)
