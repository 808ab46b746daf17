"""From a placement to stages: the largest connected pieces of the network that one device can run in one go.

Going through the layers in topological order, a layer's *level* is the largest of its predecessors' levels, plus one
for a predecessor on another device. Layers of one device and one level form a group; an edge never leads from a level
to a lower one, and between devices always to a higher one, so groups cannot wait for each other in a circle. Each
group then falls into its connected components, two layers being connected by an edge inside the group or by a shared
incoming activation. Every placement works.
"""

import heapq
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from types import MappingProxyType

from partition_agent.gate.dealer import HELD
from partition_studio.errors import NotFoundError, PlanError
from partition_studio.graph.dtypes import TRAVELLING
from partition_studio.graph.network import Layer, Network, TensorType

#: The two ends of a pipeline where a cut names a stage.
SOURCE = "source"
SINK = "sink"

#: No link has more frames waiting; the agents refuse it.
MAX_WINDOW = 1024

#: Where a device has several stages, a frame waits for the turns of the others: so many more may be on each link there.
TURNS = 3


class UnplacedLayerError(PlanError):
    """A layer has no device."""

    code = "unplaced_layer"
    next_step = "Place every layer on a device."


class CutTypeError(PlanError):
    """A tensor of a type that no runtime takes from outside would cross a cut."""

    code = "cut_dtype"
    next_step = "Place the layers that make and read it on the same device, next to each other."


class StageNotFoundError(NotFoundError):
    """There is no stage of that name."""

    code = "stage_not_found"


@dataclass(frozen=True, slots=True)
class Instance:
    """A stage where it runs: its only place, or one of the replicas that share its frames.

    `place` is the plan's name, `device` the registered one. `cores` are those that it computes on (none: the device's
    choice), `providers` ONNX Runtime's names of what computes, by preference (none: the processor). Instances of one
    `lane` of a device take turns ("": the device as a whole), those of different lanes compute at once.
    """

    name: str
    device: str
    place: str
    cores: tuple[int, ...] = ()
    providers: tuple[str, ...] = ()
    lane: str = ""


@dataclass(frozen=True, slots=True)
class Stage:
    """One sub-model: some layers of one device, in topological order.

    `inputs` are activations made elsewhere, in order of first use; `outputs` those of its own that another stage or
    the sink needs, in order of making. Named `<device>-<number>`, counted along the stage order. Where a plan names a
    resource, `device` is the registered one that it is part of, and the stage is named after the resource; `cores` are
    those that it computes on (none: the device's choice). Where it names a group of replicas, `device` is the group,
    and there are several `instances`, in the order of its places.
    """

    name: str
    device: str
    layers: tuple[str, ...]
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    cores: tuple[int, ...] = ()
    instances: tuple[Instance, ...] = ()

    @property
    def group(self) -> str | None:
        """The group of replicas that share its frames; None where it runs in one place."""
        return self.device if len(self.instances) > 1 else None

    @property
    def devices(self) -> tuple[str, ...]:
        """The registered devices that it runs on."""
        return tuple(dict.fromkeys(instance.device for instance in self.instances)) or (self.device,)


@dataclass(frozen=True, slots=True)
class Cut:
    """The tensors that pass from one stage (or SOURCE) to another (or SINK), in the producer's order."""

    producer: str
    consumer: str
    tensors: tuple[str, ...]

    @property
    def id(self) -> str:
        """Name of the cut, unique in its stage graph."""
        return f"{self.producer}->{self.consumer}"


@dataclass(frozen=True, eq=False)
class StageGraph:
    """All stages in topological order, and all cuts between them.

    `tensors` holds the type of every tensor that is in a cut. `inputs` and `outputs` are the network's.
    """

    stages: tuple[Stage, ...]
    cuts: tuple[Cut, ...]
    tensors: Mapping[str, TensorType]
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]

    @cached_property
    def _by_name(self) -> Mapping[str, Stage]:
        return {stage.name: stage for stage in self.stages}

    @cached_property
    def stage_of_layer(self) -> Mapping[str, Stage]:
        """The stage of each layer."""
        return MappingProxyType({layer: stage for stage in self.stages for layer in stage.layers})

    @property
    def order(self) -> tuple[str, ...]:
        """Names of the stages, each after all that it depends on."""
        return tuple(stage.name for stage in self.stages)

    @cached_property
    def position(self) -> Mapping[str, int]:
        """Place of each stage in the order."""
        return MappingProxyType({name: index for index, name in enumerate(self.order)})

    @property
    def devices(self) -> tuple[str, ...]:
        """The registered devices in use, in order of their first stage."""
        return tuple(dict.fromkeys(device for stage in self.stages for device in stage.devices))

    @cached_property
    def groups(self) -> tuple[str, ...]:
        """The groups of replicas in use, in order of their first stage."""
        return tuple(dict.fromkeys(stage.group for stage in self.stages if stage.group is not None))

    def on(self, device: str) -> tuple[Stage, ...]:
        """Return the stages of which there is an instance on a device, in order."""
        return tuple(stage for stage in self.stages if device in stage.devices)

    def stage(self, name: str) -> Stage:
        """Return the stage of that name. Raises StageNotFoundError."""
        try:
            return self._by_name[name]
        except KeyError:
            raise StageNotFoundError(f"There is no stage {name!r}.", stage=name) from None

    def cut_bytes(self, cut: Cut) -> int:
        """Return the bytes of one frame's tensors on a cut."""
        return sum(self.tensors[tensor].size_bytes for tensor in cut.tensors)

    def device_of(self, end: str) -> str | None:
        """Return the device at one end of a cut, or the group of replicas; None for SOURCE and SINK."""
        return None if end in (SOURCE, SINK) else self.stage(end).device

    def devices_of(self, end: str) -> tuple[str, ...]:
        """Return the registered devices at one end of a cut; none for SOURCE and SINK."""
        return () if end in (SOURCE, SINK) else self.stage(end).devices

    def window(self, cut: Cut, batches: Mapping[str, int] | None = None) -> int:
        """Return how many frames may wait on a cut (between replicas: on each of its links).

        A frame on a short branch must be able to wait for its other half on the long one without halting the stage
        that feeds both: the window is the most frames that the longest way around the cut holds, plus one. A stage
        holds one frame, or `batches` of them where it computes several in one go; k replicas hold k. Where a way leaves
        a group of replicas, frames of the fast ones wait for earlier frames of the slow ones: `HELD` of each replica,
        as many as the source of frames reckons with when it deals them (see the agent's `dealer`). A link into a group
        carries only its own replica's frames, and counts that one alone. At both ends of a link a device may have
        several stages, which take turns or share its cores: `TURNS` more frames wait while others have theirs, so that
        nobody runs out of work. (Simulated, 99 in 100 such plans by chance are as fast as their busiest resource allows
        with 3 more, 98 with 2, 96 with 1.)

        Smaller windows would cost throughput and nothing else. A stage that waits for its predecessor waits for a
        frame that was sent on the link of another replica before whatever fills that link: along the order of frames
        the oldest one always has room before it.
        """
        if not batches:
            return self._windows[cut.id]
        return self._windows_with(batches)[cut.id]

    @cached_property
    def _windows(self) -> Mapping[str, int]:
        return self._windows_with({})

    def _windows_with(self, batches: Mapping[str, int]) -> Mapping[str, int]:
        reach = self._most_held(batches)
        return {
            cut.id: min(
                max(2, reach[cut.producer][cut.consumer] + 1 - self._of_other_replicas(cut, batches))
                + (TURNS if self._taking_turns.intersection((cut.producer, cut.consumer)) else 0),
                MAX_WINDOW,
            )
            for cut in self.cuts
        }

    @cached_property
    def _taking_turns(self) -> frozenset[str]:
        """Stages on devices that have several."""
        on: dict[str, int] = {}
        devices = {stage.name: frozenset(stage.devices) for stage in self.stages}
        for names in devices.values():
            for device in names:
                on[device] = on.get(device, 0) + 1
        return frozenset(stage for stage, names in devices.items() if any(on[device] > 1 for device in names))

    def _group_of(self, end: str) -> str | None:
        return None if end in (SOURCE, SINK) else self.stage(end).group

    def _of_other_replicas(self, cut: Cut, batches: Mapping[str, int]) -> int:
        """Return how many frames the other replicas hold, where a cut leads into a group."""
        group = self._group_of(cut.consumer)
        if group is None or group == self._group_of(cut.producer):
            return 0
        return (len(self.stage(cut.consumer).instances) - 1) * batches.get(cut.consumer, 1)

    def _held(self, cut: Cut, batches: Mapping[str, int]) -> int:
        """Return how many frames a cut and the stage behind it hold."""
        group = self._group_of(cut.producer)
        leaves = group is not None and group != self._group_of(cut.consumer)
        own = batches.get(cut.consumer, 1) + self._of_other_replicas(cut, batches)
        return own + (HELD if leaves else 0)

    def _most_held(self, batches: Mapping[str, int]) -> Mapping[str, Mapping[str, int]]:
        """For each end of a cut, the most frames that a way from there to each end that it reaches holds."""
        following: dict[str, list[Cut]] = {}
        for cut in self.cuts:
            following.setdefault(cut.producer, []).append(cut)
        most: dict[str, dict[str, int]] = {}
        for end in (SINK, *reversed(self.order), SOURCE):
            reached: dict[str, int] = {}
            for cut in following.get(end, []):
                held = self._held(cut, batches)
                reached[cut.consumer] = max(reached.get(cut.consumer, 0), held)
                for farther, count in most[cut.consumer].items():
                    reached[farther] = max(reached.get(farther, 0), count + held)
            most[end] = reached
        return most


def build_stages(network: Network, placement: Mapping[str, str]) -> StageGraph:
    """Return the stages and cuts that a placement makes. Raises UnplacedLayerError, CutTypeError."""
    groups = _groups(network, placement)
    stages = _name_stages(network, _in_order(network, groups), placement)
    return _connect(network, stages)


def _groups(network: Network, placement: Mapping[str, str]) -> list[list[Layer]]:
    """Return the layers of each stage-to-be, each in topological order."""
    at: dict[str, tuple[str, int]] = {}
    parent: dict[str, str] = {}
    first_reader: dict[tuple[tuple[str, int], str], str] = {}

    def root(name: str) -> str:
        while parent[name] != name:
            parent[name] = parent[parent[name]]
            name = parent[name]
        return name

    producers = network.producers
    for layer in network.layers:
        name = layer.name
        device = placement.get(name)
        if device is None:
            raise UnplacedLayerError(f"The layer {name!r} is not placed on any device.", layer=name)
        level = 0
        for maker in network.predecessors(layer):
            made_on, made_at = at[maker.name]
            level = max(level, made_at + (made_on != device))
        here = at[name] = (device, level)
        parent[name] = name
        for tensor in layer.inputs:
            source = producers.get(tensor)
            if source is not None and at[source.name] == here:
                other = source.name
            else:
                other = first_reader.setdefault((here, tensor), name)
            parent[root(name)] = root(other)
    groups: dict[str, list[Layer]] = {}
    for layer in network.layers:
        groups.setdefault(root(layer.name), []).append(layer)
    return list(groups.values())


def _in_order(network: Network, groups: list[list[Layer]]) -> list[list[Layer]]:
    """Return the groups in topological order, by their first layer among those that are ready."""
    owner = {layer.name: index for index, layers in enumerate(groups) for layer in layers}
    waiting = [
        {owner[m.name] for layer in layers for m in network.predecessors(layer)} - {index}
        for index, layers in enumerate(groups)
    ]
    followers: list[list[int]] = [[] for _ in groups]
    for index, makers in enumerate(waiting):
        for maker in makers:
            followers[maker].append(index)
    # Groups come in the order of their first layers, so a group's number is its rank among the ready.
    ready = [index for index, makers in enumerate(waiting) if not makers]
    order: list[int] = []
    while ready:
        index = heapq.heappop(ready)
        order.append(index)
        for follower in followers[index]:
            waiting[follower].discard(index)
            if not waiting[follower]:
                heapq.heappush(ready, follower)
    return [groups[index] for index in order]


def _name_stages(network: Network, groups: list[list[Layer]], placement: Mapping[str, str]) -> list[Stage]:
    counts: dict[str, int] = {}
    stages = []
    for layers in groups:
        device = placement[layers[0].name]
        number = counts.get(device, 0)
        counts[device] = number + 1
        made = {tensor for layer in layers for tensor in layer.outputs}
        members = {layer.name for layer in layers}
        inputs = dict.fromkeys(tensor for layer in layers for tensor in layer.inputs if tensor not in made)
        outputs = [
            tensor
            for layer in layers
            for tensor in layer.outputs
            if tensor in network.outputs or any(r.name not in members for r in network.consumers[tensor])
        ]
        names = tuple(layer.name for layer in layers)
        name = f"{device}-{number}"
        only = Instance(name, device, device)
        stages.append(Stage(name, device, names, tuple(inputs), tuple(outputs), instances=(only,)))
    return stages


def _connect(network: Network, stages: list[Stage]) -> StageGraph:
    maker = {tensor: SOURCE for tensor in network.inputs}
    maker.update((tensor, stage.name) for stage in stages for tensor in stage.outputs)
    crossing: dict[tuple[str, str], list[str]] = {}
    for stage in stages:
        for tensor in stage.inputs:
            crossing.setdefault((maker[tensor], stage.name), []).append(tensor)
    for tensor in network.outputs:
        crossing.setdefault((maker[tensor], SINK), []).append(tensor)
    for (producer, consumer), crossed in crossing.items():
        _require_travelling(network, crossed, producer, consumer)
    cuts = tuple(Cut(producer, consumer, tuple(tensors)) for (producer, consumer), tensors in crossing.items())
    names = dict.fromkeys(tensor for cut in cuts for tensor in cut.tensors)
    return StageGraph(
        stages=tuple(stages),
        cuts=cuts,
        tensors=MappingProxyType({name: network.tensors[name] for name in names}),
        inputs=tuple(network.inputs),
        outputs=tuple(network.outputs),
    )


def _require_travelling(network: Network, names: list[str], producer: str, consumer: str) -> None:
    for name in names:
        dtype = network.tensors[name].dtype
        if dtype not in TRAVELLING:
            layer = network.producers[name].name
            raise CutTypeError(
                f"The tensor {name!r} of the layer {layer!r} is {dtype}, which cannot pass from the stage {producer!r} "
                f"to {consumer!r}: ONNX Runtime does not take it as an input.",
                layer=layer,
                tensor=name,
            )
