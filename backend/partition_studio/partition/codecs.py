"""How the tensors of a plan's cuts travel: from the plan's `codecs` to one codec for each tensor of each cut."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from types import MappingProxyType

from partition_agent.protocol import STUDIO_PEER, LinkCodec
from partition_studio.partition.plan import CodecChoice, Plan
from partition_studio.partition.problem import Problem
from partition_studio.partition.stages import SINK, SOURCE, Cut, StageGraph

#: A tensor on a cut: the cut's id and the tensor's name.
OnCut = tuple[str, str]

#: The codec of each tensor that does not travel as it is.
Settled = Mapping[OnCut, LinkCodec]

NOTHING: Settled = MappingProxyType({})

#: Codecs that give back every bit.
LOSSLESS = frozenset({"none", "lz4", "zstd", "rle"})

#: For `producer` and `consumer`: wherever it is.
ANYWHERE = "*"


def settled_codecs(graph: StageGraph, plan: Plan, chosen: Settled = NOTHING) -> Settled:
    """Return how each tensor travels that does not travel as it is.

    Of several entries that fit a tensor the last one counts; one that is `auto` takes the codec from `chosen`, and
    without one there the tensor travels as it is. Cuts inside a device need no codec.
    """
    found: dict[OnCut, LinkCodec] = {}
    for key, choice in _deciding(graph, plan):
        codec = chosen.get(key) if choice.codec == "auto" else LinkCodec(choice.codec, choice.low, choice.high)
        if codec is not None and codec.name != "none":
            found[key] = codec
    return MappingProxyType(found)


def auto_tensors(graph: StageGraph, plan: Plan) -> Mapping[OnCut, CodecChoice]:
    """Return the tensors on cuts that an `auto` entry decides about, with that entry, in the order of the cuts."""
    return {key: choice for key, choice in _deciding(graph, plan) if choice.codec == "auto"}


def codec_names(graph: StageGraph, plan: Plan, cut: Cut) -> dict[str, str]:
    """Return the name of the codec of each tensor of a cut that does not travel as it is; `auto` where it is that."""
    found = {tensor: choice.codec for (_, tensor), choice in _deciding(graph, plan, (cut,))}
    return {tensor: name for tensor, name in found.items() if name != "none"}


def is_lossy(codecs: Settled) -> bool:
    """Say whether any of the codecs changes values."""
    return any(codec.name not in LOSSLESS for codec in codecs.values())


def without_lossy(codecs: Settled) -> Settled:
    """Return only those codecs that give back every bit."""
    return MappingProxyType({key: codec for key, codec in codecs.items() if codec.name in LOSSLESS})


def only_lossy(codecs: Settled) -> Settled:
    """Return only those codecs that change values."""
    return MappingProxyType({key: codec for key, codec in codecs.items() if codec.name not in LOSSLESS})


def crosses_devices(graph: StageGraph, cut: Cut) -> bool:
    """Say whether a cut's tensors leave a device, or the studio; between stages of one group they stay on a replica."""
    source, target = graph.device_of(cut.producer), graph.device_of(cut.consumer)
    return source != target or source is None


def names_of_end(graph: StageGraph, end: str) -> frozenset[str]:
    """Return the names under which an entry of `codecs` may speak of one end of a cut.

    Those are the studio's; or a stage's device, its resource, and its group of replicas with their devices.
    """
    if end in (SOURCE, SINK):
        return frozenset({STUDIO_PEER})
    stage = graph.stage(end)
    return frozenset({stage.device, *stage.devices, *(instance.place for instance in stage.instances)})


def codec_problems(graph: StageGraph, plan: Plan) -> tuple[Problem, ...]:
    """Say what is wrong with a plan's codecs, and whether they change what the network answers."""
    problems: list[Problem] = []
    known = {ANYWHERE, STUDIO_PEER, *plan.resources, *plan.replicas, *plan.devices(), *graph.devices}
    known |= {place for group in plan.replicas.values() for place in group.places}
    for index, choice in enumerate(plan.codecs):
        problems += _entry_problems(graph, plan, index, choice, known)
    lossy = {key: codec.name for key, codec in settled_codecs(graph, plan).items() if codec.name not in LOSSLESS}
    if lossy:
        (cut, tensor), codec = next(iter(lossy.items()))
        others = f" (and {len(lossy) - 1} more)" if len(lossy) > 1 else ""
        message = f"The codec {codec} of {tensor!r} on {cut}{others} changes values: the outputs are approximate."
        step = "`partition-studio verify` tells by how much; codecs without loss are none, lz4, zstd and rle."
        problems.append(Problem("lossy_codec", "warning", message, next_step=step))
    return tuple(problems)


def _entry_problems(
    graph: StageGraph, plan: Plan, index: int, choice: CodecChoice, known: set[str]
) -> Iterator[Problem]:
    where = f"The entry {index} of `codecs` ({choice.codec})"
    if choice.high is not None and choice.high <= choice.low:
        message = f"{where} clips to {choice.low:g} ... {choice.high:g}: the upper bound must be above the lower one."
        yield Problem("codec_bounds", "error", message, next_step="Give a `high` above `low`, or leave it out.")
    if not choice.codec.startswith(("clip", "auto")) and (choice.low, choice.high) != (0.0, None):
        message = f"{where} has bounds, and only codecs that clip have any."
        yield Problem("codec_bounds", "warning", message, next_step="Leave `low` and `high` out, or choose clip*.")
    unknown = [place for place in (choice.producer, choice.consumer) if place not in known]
    for place in unknown:
        message = f"{where} names {place!r}, which is no device, resource or replica group of the plan."
        yield Problem("codec_place", "warning", message, device=place, next_step="Correct the name, or remove it.")
    missing = [tensor for tensor in choice.tensors if tensor not in graph.tensors]
    for tensor in missing:
        message = f"{where} names the tensor {tensor!r}, which passes between no two stages."
        yield Problem("codec_tensor", "warning", message, next_step="Correct the name, or remove it.")
    if not unknown and len(missing) == len(choice.tensors) and missing:
        return
    if not unknown and not any(_fits(graph, choice, cut, tensor) for cut, tensor in _crossing(graph, graph.cuts)):
        message = f"{where} fits nothing: no tensor of its passes from {choice.producer!r} to {choice.consumer!r}."
        yield Problem("codec_unused", "warning", message, next_step="Correct its places, or remove it.")


def _crossing(graph: StageGraph, cuts: Iterable[Cut]) -> Iterator[tuple[Cut, str]]:
    for cut in cuts:
        if crosses_devices(graph, cut):
            for tensor in cut.tensors:
                yield cut, tensor


def _deciding(graph: StageGraph, plan: Plan, cuts: Sequence[Cut] | None = None) -> Iterator[tuple[OnCut, CodecChoice]]:
    """Yield each tensor that an entry fits, with the last such entry."""
    if not plan.codecs:
        return
    cuts = graph.cuts if cuts is None else cuts
    ends = {end: names_of_end(graph, end) for cut in cuts for end in (cut.producer, cut.consumer)}
    chosen = [(choice, frozenset(choice.tensors)) for choice in reversed(plan.codecs)]
    for cut, tensor in _crossing(graph, cuts):
        for choice, tensors in chosen:
            if (
                choice.producer in (ANYWHERE, *ends[cut.producer])
                and choice.consumer in (ANYWHERE, *ends[cut.consumer])
                and (not tensors or tensor in tensors)
            ):
                yield (cut.id, tensor), choice
                break


def _fits(graph: StageGraph, choice: CodecChoice, cut: Cut, tensor: str) -> bool:
    return (
        choice.producer in (ANYWHERE, *names_of_end(graph, cut.producer))
        and choice.consumer in (ANYWHERE, *names_of_end(graph, cut.consumer))
        and (not choice.tensors or tensor in choice.tensors)
    )
