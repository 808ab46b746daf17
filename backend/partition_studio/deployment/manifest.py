"""From stages and sub-models to what each agent is told. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass

from partition_agent.protocol import SINK, SOURCE, STUDIO_PEER, LinkCodec, LinkSpec, StageSpec, TensorSpec
from partition_studio.graph.network import TensorType
from partition_studio.partition.replicas import Way, group_stages, replica_of, ways_of
from partition_studio.partition.stages import Instance, Stage, StageGraph

_AS_IT_IS = LinkCodec()


@dataclass(frozen=True, slots=True)
class DeviceShare:
    """What one device gets of a deployment: its stages, and every link that begins or ends there."""

    device: str
    stages: tuple[StageSpec, ...]
    links: tuple[LinkSpec, ...]


@dataclass(frozen=True, slots=True)
class Manifest:
    """A deployment as its agents and the studio's front door see it.

    `passthrough` names each output that is an input of the network (with that input's name): no device sees it.
    `replicas` has, for each group and each of its replicas, the names of the instances that a frame passes there.
    `stage_of` names the stage of the graph (and so the sub-model) of each instance: they differ where it is replicated.
    """

    shares: tuple[DeviceShare, ...]
    links: tuple[LinkSpec, ...]
    inputs: Mapping[str, TensorSpec]
    outputs: Mapping[str, TensorSpec]
    passthrough: Mapping[str, str]
    replicas: tuple[tuple[tuple[str, ...], ...], ...]
    stage_of: Mapping[str, str]

    @property
    def studio_links(self) -> tuple[LinkSpec, ...]:
        """The links that the studio feeds or drains."""
        return tuple(link for link in self.links if STUDIO_PEER in (link.producer_device, link.consumer_device))


def tensor_spec(name: str, kind: TensorType) -> TensorSpec:
    """Describe a tensor for the wire."""
    return TensorSpec(name=name, dtype=kind.dtype, shape=kind.shape)


def build_manifest(
    graph: StageGraph,
    digests: Mapping[str, str],
    threads: Mapping[str, int],
    *,
    codecs: Mapping[tuple[str, str], LinkCodec] | None = None,
    batches: Mapping[str, int] | None = None,
) -> Manifest:
    """Return what each agent is told.

    `digests` holds the SHA-256 of each stage's sub-model; `threads` the intra-op threads of each device (0 or left
    out: the agent's own choice). An instance that the plan puts on certain cores gets as many threads. `codecs` says
    how a tensor travels, by the cut's id and its name (left out: as it is), and `batches` how many frames a stage may
    compute in one go, where its sub-model allows it (left out: 1).
    """
    return _Builder(graph, digests, threads, codecs or {}, batches or {}).build()


@dataclass(frozen=True)
class _Builder:
    graph: StageGraph
    digests: Mapping[str, str]
    threads: Mapping[str, int]
    codecs: Mapping[tuple[str, str], LinkCodec]
    batches: Mapping[str, int]

    def build(self) -> Manifest:
        graph = self.graph
        spec = {name: tensor_spec(name, kind) for name, kind in graph.tensors.items()}
        links = tuple(
            self._link(way, spec)
            for cut in graph.cuts
            if (cut.producer, cut.consumer) != (SOURCE, SINK)
            for way in ways_of(graph, cut)
        )
        shares = tuple(
            DeviceShare(
                device=device,
                stages=tuple(
                    self._stage(stage, instance, spec)
                    for stage in graph.stages
                    for instance in stage.instances
                    if instance.device == device
                ),
                links=tuple(link for link in links if device in (link.producer_device, link.consumer_device)),
            )
            for device in graph.devices
        )
        passthrough = {name: name for name in graph.outputs if name in graph.inputs}
        unread = _unread(graph)
        return Manifest(
            shares=shares,
            links=links,
            inputs={name: spec[name] for name in graph.inputs if name in spec and name not in unread},
            outputs={name: spec[name] for name in graph.outputs if name not in passthrough},
            passthrough=passthrough,
            replicas=group_stages(graph),
            stage_of={instance.name: stage.name for stage in graph.stages for instance in stage.instances},
        )

    def _stage(self, stage: Stage, instance: Instance, spec: Mapping[str, TensorSpec]) -> StageSpec:
        return StageSpec(
            name=instance.name,
            digest=self.digests[stage.name],
            inputs=tuple(spec[name] for name in stage.inputs),
            outputs=tuple(spec[name] for name in stage.outputs),
            threads=len(instance.cores) or self.threads.get(instance.device, 0),
            cores=instance.cores,
            providers=instance.providers,
            lane=instance.lane,
            max_batch=self.batches.get(stage.name, 1),
            replica=replica_of(self.graph, stage.name, instance),
        )

    def _link(self, way: Way, spec: Mapping[str, TensorSpec]) -> LinkSpec:
        producer_device = way.producer.device if way.producer is not None else STUDIO_PEER
        consumer_device = way.consumer.device if way.consumer is not None else STUDIO_PEER
        codecs = tuple(self.codecs.get((way.cut.id, name), _AS_IT_IS) for name in way.cut.tensors)
        # Inside a device tensors are handed over in memory.
        travels = producer_device != consumer_device and any(codec.name != "none" for codec in codecs)
        return LinkSpec(
            id=way.id,
            producer=way.producer.name if way.producer is not None else SOURCE,
            consumer=way.consumer.name if way.consumer is not None else SINK,
            producer_device=producer_device,
            consumer_device=consumer_device,
            tensors=tuple(spec[name] for name in way.cut.tensors),
            window=self.graph.window(way.cut, self.batches),
            codecs=codecs if travels else (),
            routes=way.routes,
        )


def _unread(graph: StageGraph) -> set[str]:
    """Return the network's inputs that no stage reads."""
    read = {name for cut in graph.cuts if cut.producer == SOURCE and cut.consumer != SINK for name in cut.tensors}
    return set(graph.inputs) - read
