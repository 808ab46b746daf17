"""From a network and a plan to the partition: the rewritten graph, its complete placement, stages and cuts."""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from partition_studio.graph.network import Network
from partition_studio.partition.draft import Draft, Origin, ShardError
from partition_studio.partition.joins import shorten
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

    `placement` has the plan's names (devices and resources); `graph` the registered devices.
    """

    whole: Network
    division: Division
    placement: Mapping[str, str]
    graph: StageGraph

    @property
    def network(self) -> Network:
        """The rewritten network, whose layers the stages hold."""
        return self.division.network


def partition(network: Network, plan: Plan) -> Partition:
    """Divide and place a network.

    Raises ShardError for a layer that cannot be divided as asked, UnplacedLayerError for one without a device. Unknown
    names in the placement are the business of `partition.check`.
    """
    return place(network, divide(network, plan), plan)


def place(network: Network, division: Division, plan: Plan) -> Partition:
    """Return the partition of a divided network. Raises UnplacedLayerError."""
    placement = {**plan.placement, **division.devices, **_overrides(division, plan)}
    graph = on_devices(build_stages(division.network, placement), plan.resources)
    return Partition(network, division, MappingProxyType(placement), graph)


def divide(network: Network, plan: Plan) -> Division:
    """Apply a plan's shardings in their order. Raises ShardError, which names the layer."""
    if not plan.shards:
        return Division(network, {}, {}, frozenset(), {})
    draft = Draft(network)
    for number, sharding in enumerate(plan.shards):
        try:
            _apply(draft, sharding)
        except ShardError as error:
            error.details = {"shard": number, **error.details}
            raise
    shorten(draft)
    rewritten = draft.finish()
    devices = _place_glue(rewritten, draft, plan.placement)
    return Division(
        network=rewritten,
        devices=MappingProxyType(devices),
        origins=MappingProxyType({t: draft.origins[t] for t in rewritten.tensors if t in draft.origins}),
        approximate=_affected(rewritten, draft.approximate),
        sources=MappingProxyType({n: draft.sources[n] for n in rewritten.layers_by_name if n in draft.sources}),
    )


def _apply(draft: Draft, sharding: Sharding) -> None:
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


def _place_glue(network: Network, draft: Draft, placement: Mapping[str, str]) -> dict[str, str]:
    """Return the device of every layer made by a sharding.

    A join runs where its first reader runs, so that parts go there directly; a piece is cut off where the tensor is
    made, so that only the piece travels. At the network's ends it is the other way round.
    """
    devices = {name: device for name, device in draft.devices.items() if name in network.layers_by_name}
    known = {**placement, **devices}
    glue = [layer for layer in network.layers if layer.name in draft.glue]
    for layer in reversed(glue):
        if layer.name not in known and layer.op_type != "Slice":
            device = _device_after(network, layer.outputs, known)
            if device is not None:
                devices[layer.name] = known[layer.name] = device
    for layer in glue:
        if layer.name not in known:
            makers = [known[m.name] for m in network.predecessors(layer) if m.name in known]
            device = makers[0] if makers else _device_after(network, layer.outputs, known)
            if device is not None:
                devices[layer.name] = known[layer.name] = device
    return devices


def _device_after(network: Network, tensors: tuple[str, ...], known: Mapping[str, str]) -> str | None:
    """Return the device of the first layer that is placed and reads one of `tensors`, directly or through glue."""
    pending = list(tensors)
    seen: set[str] = set()
    while pending:
        tensor = pending.pop(0)
        for reader in network.consumers[tensor]:
            if reader.name in known:
                return known[reader.name]
            if reader.name not in seen:
                seen.add(reader.name)
                pending.extend(reader.outputs)
    return None


def _affected(network: Network, seeds: set[str]) -> frozenset[str]:
    """Return `seeds` and every tensor made of them."""
    affected = set(seeds)
    for layer in network.layers:
        if affected.intersection(layer.inputs):
            affected.update(layer.outputs)
    return frozenset(affected)
