"""Groups of replicas: what is wrong with those of a plan, and the links between the instances of its stages.

A stage on a group runs once on each of its places. The links of a cut lead from each instance of its producer to each
of its consumer, except inside one group: there a frame stays on the replica that it was dealt to.
"""

from collections.abc import Container, Iterator, Sequence
from dataclasses import dataclass
from itertools import product

from partition_studio.partition.plan import Plan
from partition_studio.partition.problem import Problem
from partition_studio.partition.stages import SINK, SOURCE, Cut, Instance, StageGraph


@dataclass(frozen=True, slots=True)
class Way:
    """One link of a cut: from one instance (None: the source) to another (None: the sink).

    `routes` names (group, replica) for each end that is one of several: only frames that were dealt so pass.
    """

    cut: Cut
    producer: Instance | None
    consumer: Instance | None
    routes: tuple[tuple[int, int], ...]

    @property
    def id(self) -> str:
        """Name of the link, unique in its deployment."""
        producer = SOURCE if self.producer is None else self.producer.name
        return f"{producer}->{SINK if self.consumer is None else self.consumer.name}"


def ways_of(graph: StageGraph, cut: Cut) -> tuple[Way, ...]:
    """Return the links of a cut."""
    return tuple(
        Way(cut, producer, consumer, routes)
        for (producer, made_in), (consumer, read_in) in product(_ends(graph, cut.producer), _ends(graph, cut.consumer))
        if (routes := _routes(made_in, read_in)) is not None
    )


def replica_of(graph: StageGraph, stage: str, instance: Instance) -> tuple[int, int] | None:
    """Return (group, index) of an instance; None where the stage runs in one place."""
    return next((route for found, route in _ends(graph, stage) if found is instance), None)


def _ends(graph: StageGraph, end: str) -> Sequence[tuple[Instance | None, tuple[int, int] | None]]:
    if end in (SOURCE, SINK):
        return [(None, None)]
    stage = graph.stage(end)
    if stage.group is None:
        return [(instance, None) for instance in stage.instances]
    group = graph.groups.index(stage.group)
    return [(instance, (group, index)) for index, instance in enumerate(stage.instances)]


def _routes(*ends: tuple[int, int] | None) -> tuple[tuple[int, int], ...] | None:
    """Return what a frame's route must say to pass between two ends; None where no frame passes."""
    routes = tuple(dict.fromkeys(end for end in ends if end is not None))
    groups = {group for group, _ in routes}
    return routes if len(groups) == len(routes) else None


def replica_problems(plan: Plan, devices: Container[str] | None) -> Iterator[Problem]:
    """Say what is wrong with a plan's groups of replicas. `devices` are the registered ones, where they are known."""
    placed = set(plan.placement.values())
    divided = {place: sharding.layers[0] for sharding in plan.shards for place in sharding.devices}
    for name, group in plan.replicas.items():
        if name in plan.resources or (devices is not None and name in devices):
            what = "resource" if name in plan.resources else "device"
            yield _fault(name, f"has the name of a {what}", "Give the group a name of its own.")
        if name in divided:
            message = f"cannot hold a part of the divided layer {divided[name]!r}: parts run on devices and resources"
            yield _fault(name, message, "Put the part on one of them.", layer=divided[name])
        nested = [place for place in group.places if place in plan.replicas]
        for place in nested:
            yield _fault(name, f"has the group {place!r} among its places", "Name the places of that group instead.")
        yield from _places_problems(plan, name, group.places)
        if devices is not None:
            for place in group.places:
                device = plan.device_of(place)
                if place not in nested and device not in devices and (name not in placed):
                    yield _fault(name, f"names {device!r}, and there is no such device", "Register it, or correct it.")


def _places_problems(plan: Plan, name: str, places: Sequence[str]) -> Iterator[Problem]:
    seen: dict[object, str] = {}
    for place in places:
        resource = plan.resources.get(place)
        key: object = place if resource is None else resource.model_dump_json()
        if seen.get(key) == place:
            yield _fault(name, f"names {place!r} twice", "Name each place once.")
        elif key in seen:
            message = f"names the same part of {plan.device_of(place)!r} twice, as {seen[key]!r} and {place!r}"
            yield _fault(name, message, "Leave one of them out.")
        seen.setdefault(key, place)


def _fault(name: str, what: str, step: str, *, layer: str | None = None) -> Problem:
    message = f"The group of replicas {name!r} {what}."
    return Problem("replicas", "error", message, layer=layer, device=name, next_step=step)


def group_stages(graph: StageGraph) -> tuple[tuple[tuple[str, ...], ...], ...]:
    """Return, for each group and each of its replicas, the names of the instances that a frame passes there."""
    return tuple(
        tuple(zip(*([i.name for i in stage.instances] for stage in graph.stages if stage.group == group), strict=True))
        for group in graph.groups
    )
