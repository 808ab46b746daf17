"""What a person sees of a deployment's stages and cuts. Pure."""

from collections.abc import Callable, Iterable, Mapping, Sequence

from partition_agent.protocol import STUDIO_PEER, LinkCodec, Prepared
from partition_studio.deployment.spec import Given, SettledCodecs
from partition_studio.deployment.ways import WayName, is_way_note
from partition_studio.partition.carry import CodecEffect
from partition_studio.partition.codecs import Settled
from partition_studio.partition.stages import Cut, Stage, StageGraph
from partition_studio.schemas import BoundsOut, CutOut, StageOut


def stages_out(graph: StageGraph, prepared: Mapping[str, Prepared]) -> list[StageOut]:
    """Describe the stages, with what their devices said of them when they were loaded."""
    return [_stage_out(stage, prepared) for stage in graph.stages]


def _stage_out(stage: Stage, prepared: Mapping[str, Prepared]) -> StageOut:
    providers: dict[str, None] = {}
    batch = 1
    for name, device in [(i.name, i.device) for i in stage.instances] or [(stage.name, stage.device)]:
        answer = prepared.get(device)
        if answer is not None:
            providers[answer.providers.get(name, "")] = None
            batch = max(batch, answer.batches.get(name, 1))
    return StageOut(
        name=stage.name,
        device=stage.device,
        layers=list(stage.layers),
        devices=list(stage.devices),
        provider=", ".join(name for name in providers if name),
        batch=batch,
    )


def cuts_out(
    graph: StageGraph, settled: SettledCodecs | None = None, way: Callable[[str, str], WayName] | None = None
) -> list[CutOut]:
    """Describe the cuts, with their codecs and the way of their frames where those are known.

    `way` tells it of a producer's device and a consumer's. Of replicas, one whose frames go through the studio counts.
    """
    return [_cut_out(graph, cut, settled or Given(), way) for cut in graph.cuts]


def kept_notes(notes: Iterable[str]) -> tuple[str, ...]:
    """Return what an earlier studio noted of a deployment and is so still: what devices said when they loaded it."""
    return tuple(note for note in notes if not is_way_note(note))


def as_carried(
    graph: StageGraph, settled: SettledCodecs, effect: CodecEffect | None
) -> tuple[SettledCodecs, tuple[str, ...]]:
    """Return the codecs with the bytes of a frame on each cut as the proof saw them, and what a person should know."""
    if effect is None:
        return settled, ()
    wire_bytes = dict(settled.wire_bytes)
    for cut in graph.cuts:
        carried = [effect.carried.get((cut.id, tensor)) for tensor in cut.tensors]
        if any(carried):
            plain = graph.cut_bytes(cut) - sum(each.size_bytes for each in carried if each is not None)
            wire_bytes[cut.id] = plain + sum(each.wire_bytes for each in carried if each is not None)
    notes = () if effect.max_rel == 0 else (_CHANGED.format(effect.max_rel),)
    return Given(settled.codecs, settled.why, wire_bytes), notes


_CHANGED = "The codecs changed the outputs by up to {:.1e} of their largest value, on the frame that it was tried with."


def decided(cuts: Sequence[CutOut]) -> Settled:
    """Return the codecs with which a deployment was brought up, as far as they were written down."""
    found = {}
    for cut in cuts:
        for tensor, name in cut.codecs.items():
            if name != "auto":
                bounds = cut.bounds.get(tensor)
                codec = LinkCodec(name) if bounds is None else LinkCodec(name, bounds.low, bounds.high)
                found[f"{cut.producer}->{cut.consumer}", tensor] = codec
    return found


def _cut_out(graph: StageGraph, cut: Cut, settled: SettledCodecs, way: Callable[[str, str], WayName] | None) -> CutOut:
    producers = graph.devices_of(cut.producer) or (STUDIO_PEER,)
    consumers = graph.devices_of(cut.consumer) or (STUDIO_PEER,)
    ways = {way(p, c) for p in producers for c in consumers if p != c} if way is not None else set()
    return CutOut(
        producer=cut.producer,
        consumer=cut.consumer,
        producer_device=graph.device_of(cut.producer) or STUDIO_PEER,
        consumer_device=graph.device_of(cut.consumer) or STUDIO_PEER,
        tensors=list(cut.tensors),
        size_bytes=graph.cut_bytes(cut),
        codecs={t: settled.codecs[cut.id, t].name for t in cut.tensors if (cut.id, t) in settled.codecs},
        bounds={
            t: BoundsOut(low=codec.low, high=codec.high)
            for t in cut.tensors
            if (codec := settled.codecs.get((cut.id, t))) is not None and codec.name.startswith("clip")
        },
        wire_bytes=settled.wire_bytes.get(cut.id),
        why=list(settled.why.get(cut.id, ())),
        way="studio" if "studio" in ways else "direct" if ways else "",
    )
