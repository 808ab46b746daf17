"""Plans of chains: which device has which run of layers."""

import itertools

from bench.pipeline.harness.deployment import Cut
from partition_studio.graph.network import Network
from partition_studio.partition.extract import submodel
from partition_studio.partition.partition import partition
from partition_studio.partition.plan import NetworkRef, Plan


def chain_plan(network: Network, ends: tuple[int, ...], devices: list[str]) -> Plan:
    """Return the plan that gives each device one run of layers."""
    bounds = [0, *ends, len(network.layers)]
    placement = {
        layer.name: device
        for device, (begin, end) in zip(devices, itertools.pairwise(bounds), strict=True)
        for layer in network.layers[begin:end]
    }
    return Plan(network=NetworkRef.of(network), placement=placement)


def whole_on(network: Network, device: str) -> Cut:
    """Return the cut that is none: everything on one device."""
    return Cut.of(network, chain_plan(network, (), [device]))


def span_of(network: Network, begin: int, end: int) -> bytes:
    """Return the sub-model of some layers."""
    names = ["before"] * begin + ["span"] * (end - begin) + ["after"] * (len(network.layers) - end)
    placement = {layer.name: name for layer, name in zip(network.layers, names, strict=True)}
    graph = partition(network, Plan(network=NetworkRef.of(network), placement=placement)).graph
    stages = [stage for stage in graph.stages if stage.device == "span"]
    if len(stages) != 1:
        raise ValueError(f"layers {begin} to {end} are {len(stages)} stages, not one")
    return submodel(network, stages[0], graph).data
