"""From stages and sub-models to what each agent is told. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass

from partition_agent.protocol import SINK, SOURCE, STUDIO_PEER, LinkSpec, StageSpec, TensorSpec
from partition_studio.graph.network import TensorType
from partition_studio.partition.stages import Cut, StageGraph


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
    """

    shares: tuple[DeviceShare, ...]
    links: tuple[LinkSpec, ...]
    inputs: Mapping[str, TensorSpec]
    outputs: Mapping[str, TensorSpec]
    passthrough: Mapping[str, str]

    @property
    def studio_links(self) -> tuple[LinkSpec, ...]:
        """The links that the studio feeds or drains."""
        return tuple(link for link in self.links if STUDIO_PEER in (link.producer_device, link.consumer_device))


def tensor_spec(name: str, kind: TensorType) -> TensorSpec:
    """Describe a tensor for the wire."""
    return TensorSpec(name=name, dtype=kind.dtype, shape=kind.shape)


def build_manifest(graph: StageGraph, digests: Mapping[str, str], threads: Mapping[str, int]) -> Manifest:
    """Return what each agent is told.

    `digests` holds the SHA-256 of each stage's sub-model; `threads` the intra-op threads of each device (0 or left
    out: the agent's own choice). A stage that the plan puts on certain cores gets as many threads.
    """
    spec = {name: tensor_spec(name, kind) for name, kind in graph.tensors.items()}
    links = tuple(_link(graph, cut, spec) for cut in graph.cuts if (cut.producer, cut.consumer) != (SOURCE, SINK))
    shares = tuple(
        DeviceShare(
            device=device,
            stages=tuple(
                StageSpec(
                    name=stage.name,
                    digest=digests[stage.name],
                    inputs=tuple(spec[name] for name in stage.inputs),
                    outputs=tuple(spec[name] for name in stage.outputs),
                    threads=len(stage.cores) or threads.get(device, 0),
                    cores=stage.cores,
                )
                for stage in graph.stages
                if stage.device == device
            ),
            links=tuple(link for link in links if device in (link.producer_device, link.consumer_device)),
        )
        for device in graph.devices
    )
    passthrough = {name: name for name in graph.outputs if name in graph.inputs}
    return Manifest(
        shares=shares,
        links=links,
        inputs={name: spec[name] for name in graph.inputs if name in spec and name not in _unread(graph)},
        outputs={name: spec[name] for name in graph.outputs if name not in passthrough},
        passthrough=passthrough,
    )


def _unread(graph: StageGraph) -> set[str]:
    """Return the network's inputs that no stage reads."""
    read = {name for cut in graph.cuts if cut.producer == SOURCE and cut.consumer != SINK for name in cut.tensors}
    return set(graph.inputs) - read


def _link(graph: StageGraph, cut: Cut, spec: Mapping[str, TensorSpec]) -> LinkSpec:
    return LinkSpec(
        id=cut.id,
        producer=cut.producer,
        consumer=cut.consumer,
        producer_device=graph.device_of(cut.producer) or STUDIO_PEER,
        consumer_device=graph.device_of(cut.consumer) or STUDIO_PEER,
        tensors=tuple(spec[name] for name in cut.tensors),
        window=graph.window(cut),
    )
