"""Whether a device's stages and links fit together: what an agent is told is not believed."""

from typing import Dict, FrozenSet, List, Mapping, Optional, Sequence, Set, Tuple

from partition_agent.protocol import LinkSpec, StageSpec

#: More frames than this never wait on a link, nor are computed in one go.
MAX_WINDOW = 1024
MAX_BATCH = 256

#: Each lane has a thread.
MAX_LANES = 64

#: Groups of replicas of one pipeline, and replicas of one group.
MAX_REPLICAS = 1024


def check_manifest(device: str, stages: Sequence[StageSpec], links: Sequence[LinkSpec]) -> Optional[str]:
    """Return what is wrong with a device's stages and links, or None."""
    by_name = {stage.name: stage for stage in stages}
    if len(by_name) != len(stages) or len({link.id for link in links}) != len(links):
        return "two stages or two links have the same name"
    if len({stage.lane for stage in stages}) > MAX_LANES:
        return f"the stages are in more than {MAX_LANES} lanes"
    fed: Dict[str, List[LinkSpec]] = {name: [] for name in by_name}
    made = {stage.name: {spec.name for spec in stage.outputs} for stage in stages}
    for link in links:
        problem = _check_link(device, link, by_name, made)
        if problem is not None:
            return problem
        if link.consumer_device == device:
            fed[link.consumer].append(link)
    for stage in stages:
        problem = _check_stage(stage, fed[stage.name])
        if problem is not None:
            return problem
    return None


def _check_link(
    device: str, link: LinkSpec, stages: Mapping[str, StageSpec], made: Mapping[str, Set[str]]
) -> Optional[str]:
    carried = {spec.name for spec in link.tensors}
    if not 1 <= link.window <= MAX_WINDOW or not link.tensors:
        return f"the link {link.id!r} has no tensors, or a window that is not from 1 to {MAX_WINDOW}"
    if len(carried) != len(link.tensors):
        return f"the link {link.id!r} carries a tensor twice"
    if device not in (link.producer_device, link.consumer_device):
        return f"the link {link.id!r} does not concern this device"
    if link.producer_device == device and not carried <= made.get(link.producer, set()):
        return f"the link {link.id!r} carries what the stage {link.producer!r} does not make"
    if link.consumer_device == device and link.consumer not in stages:
        return f"the link {link.id!r} leads to the unknown stage {link.consumer!r}"
    return _check_routes(device, link, stages)


def _check_routes(device: str, link: LinkSpec, stages: Mapping[str, StageSpec]) -> Optional[str]:
    groups = [group for group, _ in link.routes]
    if any(not 0 <= number < MAX_REPLICAS for entry in link.routes for number in entry):
        return f"the link {link.id!r} has a route whose numbers are not from 0 to {MAX_REPLICAS - 1}"
    if len(set(groups)) != len(groups):
        return f"the link {link.id!r} names two replicas of one group, so that no frame could pass it"
    for end, where in ((link.producer, link.producer_device), (link.consumer, link.consumer_device)):
        own = stages[end].replica if where == device else None
        if own is not None and own not in link.routes:
            return f"the link {link.id!r} is at the stage {end!r}, and does not say which replica that is"
    return None


def _check_stage(stage: StageSpec, links: Sequence[LinkSpec]) -> Optional[str]:
    if not 1 <= stage.max_batch <= MAX_BATCH:
        return f"the stage {stage.name!r} takes {stage.max_batch} frames in one go, not from 1 to {MAX_BATCH}"
    if stage.replica is not None and any(not 0 <= number < MAX_REPLICAS for number in stage.replica):
        return f"the stage {stage.name!r} is a replica whose numbers are not from 0 to {MAX_REPLICAS - 1}"
    # Links from the replicas of one stage carry the same; each frame comes on one of them.
    sets: Dict[FrozenSet[str], List[LinkSpec]] = {}
    for link in links:
        sets.setdefault(frozenset(spec.name for spec in link.tensors), []).append(link)
    if sorted(name for names in sets for name in names) != sorted(spec.name for spec in stage.inputs) or not sets:
        return f"the links into the stage {stage.name!r} do not bring exactly its inputs"
    for alike in sets.values():
        routes: Set[Tuple[Tuple[int, int], ...]] = {tuple(sorted(link.routes)) for link in alike}
        if len(routes) != len(alike) or len({tuple(group for group, _ in route) for route in routes}) != 1:
            return f"two links bring the same tensors of one frame to the stage {stage.name!r}"
    return None
