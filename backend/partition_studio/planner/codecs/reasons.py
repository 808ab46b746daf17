"""Why these codecs: sentences with figures, for each cut."""

import math
from collections.abc import Iterator, Mapping, Sequence
from types import MappingProxyType

from partition_studio.planner.codecs.choice import ChosenCodec as Chosen
from partition_studio.planner.codecs.choice import CodecDecision, Refused
from partition_studio.planner.codecs.costs import CodecTask, Hop
from partition_studio.sizes import size_text

#: What a link without figures is told.
MEASURE_LINK = "Measure it first (`partition-studio device links --measure`), then choose again."


def reasons(task: CodecTask, decision: CodecDecision) -> Mapping[str, tuple[str, ...]]:
    """Return the sentences of each cut that an automatic choice was made for."""
    found: dict[str, list[Chosen]] = {}
    for chosen in decision.tensors:
        found.setdefault(chosen.cut, []).append(chosen)
    return MappingProxyType(
        {cut: tuple(_of_cut(task, decision, _slowest(task, cut), tensors)) for cut, tensors in found.items()}
    )


def _slowest(task: CodecTask, cut: str) -> Hop:
    """Return the slowest link of a cut; one that was not measured goes first."""

    def bytes_per_s(hop: Hop) -> float:
        link = task.links.get(hop.way)
        return -1.0 if link is None else link.bytes_per_s

    return min((hop for hop in task.hops if hop.cut == cut), key=bytes_per_s)


def _of_cut(task: CodecTask, decision: CodecDecision, hop: Hop, tensors: Sequence[Chosen]) -> Iterator[str]:
    link = task.links.get(hop.way)
    if link is None:
        yield f"As it is: the link from {hop.source} to {hop.target} was not measured. {MEASURE_LINK}"
        return
    size_bytes = sum(one.size_bytes for one in tensors)
    raw_s = size_bytes / link.bytes_per_s
    head = f"{_rate(link.bytes_per_s)}: {size_text(size_bytes)} as it is takes {_ms(raw_s)}"
    coded = [one for one in tensors if one.option.codec.name != "none"]
    if coded:
        names = " and ".join(dict.fromkeys(one.option.codec.name for one in coded))
        wire_bytes = sum(one.option.wire_bytes for one in tensors)
        link_s = sum(one.cost.link_s for one in tensors)
        coding_s = sum(one.cost.coding_s for one in tensors)
        yield f"{head}; {names} {size_text(wire_bytes)}, {_ms(link_s)} and {_ms(coding_s)} of coding."
        yield from _change(decision)
    else:
        yield f"{head}; no codec makes frames come faster{_why_none(task, decision, hop)}."
    yield from (_refusal(decision, decision.refused[key]) for key in _refused_here(decision, tensors))
    yield from _unknown(task, hop, bool(coded))


def _change(decision: CodecDecision) -> Iterator[str]:
    if decision.change > 0:
        yield (
            f"All codecs together change the outputs by {_share(decision.change)} "
            f"(allowed {_share(decision.max_change)})."
        )


def _why_none(task: CodecTask, decision: CodecDecision, hop: Hop) -> str:
    """Say what else is slower than the link, where that is so."""
    slowest, busy_s = decision.cost.bottleneck, decision.cost.period_s
    here = f"the link from {hop.source} to {hop.target}"
    if slowest == here or busy_s <= 0:
        return ""
    return f": {slowest} is busy with a frame for {_ms(busy_s)}, the link for {_ms(decision.cost.busy_s[here])}"


def _refused_here(decision: CodecDecision, tensors: Sequence[Chosen]) -> list[tuple[str, str]]:
    """Return one refused codec of the cut, as one sentence is enough."""
    return [(one.cut, one.tensor) for one in tensors if (one.cut, one.tensor) in decision.refused][:1]


def _refusal(decision: CodecDecision, refused: Refused) -> str:
    if decision.max_change <= 0:
        return f"{refused.codec} would be faster but changes values, and no change is allowed."
    if math.isinf(refused.change):
        return f"{refused.codec} would be faster but was not tried any more, or spoils the outputs."
    return (
        f"{refused.codec} would be faster but would change the outputs by {_share(refused.change)} "
        f"(allowed {_share(decision.max_change)})."
    )


def _unknown(task: CodecTask, hop: Hop, coded: bool) -> Iterator[str]:
    """Tell what the choice had to do without."""
    unprofiled = [
        task.stages[end].device
        for end in (hop.producer, hop.consumer)
        if end in task.stages and task.stages[end].seconds is None
    ]
    if unprofiled:
        names = " and ".join(dict.fromkeys(unprofiled))
        yield f"The network was not profiled on {names}: what it computes there is left out."
    slow = [device for device in (hop.source, hop.target) if not task.speeds.get(device)]
    if slow and coded:
        yield f"The speed of codecs on {' and '.join(slow)} was not measured: a weak board's is assumed."


def _rate(bytes_per_s: float) -> str:
    bits = bytes_per_s * 8
    return f"{bits / 1e9:.3g} Gbit/s" if bits >= 1e9 else f"{bits / 1e6:.3g} Mbit/s"


def _ms(seconds: float) -> str:
    return f"{seconds * 1e3:.2g} ms" if seconds < 0.0995 else f"{seconds * 1e3:.0f} ms"


def _share(change: float) -> str:
    return f"{100 * change:.2g} %"
