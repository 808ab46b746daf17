"""From a network and a plan to the partition: the rewritten graph, its complete placement, stages and cuts."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from types import MappingProxyType

from partition_studio.graph.network import Network
from partition_studio.partition.device_memory import stage_needs
from partition_studio.partition.draft import Draft, Origin, ShardError
from partition_studio.partition.glue import place_glue
from partition_studio.partition.joins import shorten
from partition_studio.partition.memory import StageNeed
from partition_studio.partition.plan import (
    IndependentSharding,
    InputChannelSharding,
    OutputChannelSharding,
    Plan,
    Sharding,
    SpatialSharding,
)
from partition_studio.partition.resources import on_devices
from partition_studio.partition.stages import StageGraph, build_stages
from partition_studio.partition.strategies import independent_tiles, input_channels, output_channels, spatial


@dataclass(frozen=True, eq=False)
class Division:
    """A network after all shardings of a plan.

    Attributes:
        network: the rewritten network; the very same object where nothing is divided.
        devices: the device of every layer that the shardings placed, joins and pieces included.
        origins: for each tensor of a part that is a piece of a tensor of the whole: which piece.
        approximate: tensors that differ from the whole's on purpose, directly or by what they are made of.
        sources: for each layer made by a sharding, the layer of the whole network that it comes from.
    """

    network: Network
    devices: Mapping[str, str]
    origins: Mapping[str, Origin]
    approximate: frozenset[str]
    sources: Mapping[str, str]


@dataclass(frozen=True, eq=False)
class Partition:
    """A whole network divided and placed: what is extracted, verified and deployed.

    `placement` has the plan's names (devices, resources and groups of replicas); `graph` the registered devices.
    """

    whole: Network
    division: Division
    placement: Mapping[str, str]
    graph: StageGraph

    @property
    def network(self) -> Network:
        """The rewritten network, whose layers the stages hold."""
        return self.division.network

    @cached_property
    def needs(self) -> Mapping[str, Sequence[StageNeed]]:
        """What the stages on each device take of its memory, in their order."""
        return {device: stage_needs(self.network, self.graph, device) for device in self.graph.devices}


def partition(network: Network, plan: Plan) -> Partition:
    """Divide and place a network.

    Raises ShardError for a layer that cannot be divided as asked, UnplacedLayerError for one without a device. Unknown
    names in the placement are the business of `partition.check`.
    """
    return place(network, divide(network, plan), plan)


def place(network: Network, division: Division, plan: Plan) -> Partition:
    """Return the partition of a divided network. Raises UnplacedLayerError."""
    placement = {**plan.placement, **division.devices, **_overrides(division, plan)}
    graph = on_devices(build_stages(division.network, placement), plan.resources, plan.replicas)
    return Partition(network, division, MappingProxyType(placement), graph)


def divide(network: Network, plan: Plan) -> Division:
    """Apply a plan's shardings in their order. Raises ShardError, which names the layer."""
    if not plan.shards:
        return Division(network, {}, {}, frozenset(), {})
    draft = Draft(network)
    for number, sharding in enumerate(plan.shards):
        try:
            apply_sharding(draft, sharding)
        except ShardError as error:
            error.details = {"shard": number, **error.details}
            raise
    shorten(draft)
    place_glue(draft, plan.placement)
    rewritten = draft.finish()
    devices = {name: device for name, device in draft.devices.items() if name in rewritten.layers_by_name}
    return Division(
        network=rewritten,
        devices=MappingProxyType(devices),
        origins=MappingProxyType({t: draft.origins[t] for t in rewritten.tensors if t in draft.origins}),
        approximate=_affected(rewritten, draft.approximate),
        sources=MappingProxyType({n: draft.sources[n] for n in rewritten.layers_by_name if n in draft.sources}),
    )


def apply_sharding(draft: Draft, sharding: Sharding) -> None:
    """Rewrite a draft as one entry of `shards` says. Raises ShardError."""
    match sharding:
        case SpatialSharding():
            spatial.apply(draft, sharding)
        case IndependentSharding():
            independent_tiles.apply(draft, sharding)
        case OutputChannelSharding():
            output_channels.apply(draft, sharding)
        case InputChannelSharding():
            input_channels.apply(draft, sharding)


def _overrides(division: Division, plan: Plan) -> dict[str, str]:
    """Return the devices that the plan itself gives to layers which shardings made."""
    return {name: plan.placement[name] for name in division.devices if name in plan.placement}


def _affected(network: Network, seeds: set[str]) -> frozenset[str]:
    """Return `seeds` and every tensor made of them."""
    affected = set(seeds)
    for layer in network.layers:
        if affected.intersection(layer.inputs):
            affected.update(layer.outputs)
    return frozenset(affected)
