"""Writes a plan as AutoDiCE's files; reading them again gives the same placement, division and resources.

A device that is called like a resource (`pi_cpu0`) comes back as one: the files have no other word for it.
"""

import json
from collections.abc import Mapping

from partition_studio.graph.network import Network
from partition_studio.partition.check import require_valid
from partition_studio.partition.formats.autodice import AutodiceFiles
from partition_studio.partition.formats.autodice_horizontal import entry_of, unsayable
from partition_studio.partition.formats.autodice_names import (
    AutodiceError,
    HostResource,
    host_resource,
    layers_by_their_names,
    plain,
)
from partition_studio.partition.formats.outline import Outline, RawNode
from partition_studio.partition.plan import Plan, Resource


def export_autodice(network: Network, plan: Plan, *, original: Outline) -> AutodiceFiles:
    """Return the mapping of a plan, and the horizontal file where layers are divided.

    Nodes of the ONNX file that loading folded away are listed with what reads them, because AutoDiCE's tool wants
    every node placed. Names, notes and blocks of the plan have no place in them. Raises InvalidPlanError for a plan
    that cannot be applied, AutodiceError for what the files cannot say.
    """
    require_valid(network, plan)
    names = {layer: name for name, layer in layers_by_their_names(network, original).items()}
    _check_placement(network, plan)
    for place in plan.places():
        _check_place(place, plan.resources.get(place))
    homes = {names[layer]: [place] for layer, place in plan.placement.items()}
    horizontal: dict[str, list[object]] = {}
    for number, sharding in enumerate(plan.shards):
        layer = _only_layer(network, plan, number)
        mode, numbers = entry_of(network, sharding)
        horizontal[names[layer]] = [mode, numbers, list(sharding.devices)]
        homes[names[layer]] = list(dict.fromkeys(sharding.devices))
    for made in network.layers:
        # What simplification computed into a layer stays with it: the last such node makes the layer's output.
        homes.setdefault(plain(made.outputs[0]), homes[names[made.name]][:1])
    order = _with_folded(homes, original)
    mapping: dict[str, list[str]] = {place: [] for place in plan.places()}
    for name in order:
        for place in homes[name]:
            mapping[place].append(name)
    return AutodiceFiles(
        json.dumps(mapping, indent=1) + "\n", json.dumps(horizontal, indent=1) + "\n" if horizontal else None
    )


def _check_placement(network: Network, plan: Plan) -> None:
    shared = next((layer for layer, place in plan.placement.items() if place in plan.replicas), None)
    if shared is not None:
        raise AutodiceError(
            f"AutoDiCE's files cannot say that several devices share the frames, as {shared!r} on "
            f"{plan.placement[shared]!r} has it.",
            next_step="Place the layer on one device, or divide it.",
            layer=shared,
        )
    made = next((name for name in plan.placement if name not in network.layers_by_name), None)
    if made is not None:
        raise AutodiceError(
            f"AutoDiCE's files cannot say where {made!r} runs: it is no layer of the network, but made by a division.",
            next_step="Take it out of the plan's placement.",
            layer=made,
        )


def _check_place(place: str, resource: Resource | None) -> None:
    """Check that a name of the plan says what its resource is."""
    if resource is None:
        return
    said = host_resource(place)
    meant = HostResource(said.host, tuple(resource.cores), resource.processor)
    if said != meant:
        raise AutodiceError(
            f"AutoDiCE's files cannot say what {place!r} is: its name stands for {_words(said)}, the plan's resource "
            f"is {_words(meant)}.",
            next_step="Name the resource after its host and cores (single digits): `nx01_cpu0123`, or `nx01_gpu`.",
            device=place,
        )


def _words(resource: HostResource) -> str:
    if resource.cores:
        return f"core{'s' if len(resource.cores) > 1 else ''} {', '.join(map(str, resource.cores))}"
    return {"cpu": "a CPU", "gpu": "a GPU", "": "a whole device"}[resource.processor]


def _only_layer(network: Network, plan: Plan, number: int) -> str:
    """Return the single layer of the network that a sharding divides. Raises AutodiceError."""
    sharding = plan.shards[number]
    layer = sharding.layers[0]
    if len(sharding.layers) > 1:
        raise unsayable(layer, f"it is divided together with {len(sharding.layers) - 1} more as one run")
    if layer not in network.layers_by_name:
        raise unsayable(layer, "it is a part of a layer that is divided already")
    if sharding.strategy == "spatial" and sharding.exchange_before:
        raise unsayable(layer, "halos are exchanged before it")
    return layer


def _with_folded(homes: dict[str, list[str]], original: Outline) -> list[str]:
    """Give every node of the file a home, that of its first reader, and return all names in the file's order."""
    readers: dict[str, list[RawNode]] = {}
    makers: dict[str, RawNode] = {}
    for node in original.nodes:
        makers.update(dict.fromkeys(node.outputs, node))
        for tensor in node.inputs:
            readers.setdefault(tensor, []).append(node)
    folded = [node for node in original.nodes if node.outputs and plain(node.outputs[0]) not in homes]
    # From back to front: what reads a node has its home already.
    for node in reversed(folded):
        near = [reader for tensor in node.outputs for reader in readers.get(tensor, [])]
        home = _first_home(near, homes)
        if home is not None:
            homes[plain(node.outputs[0])] = [home]
    for node in folded:
        if plain(node.outputs[0]) not in homes:
            near = [makers[tensor] for tensor in node.inputs if tensor in makers]
            homes[plain(node.outputs[0])] = [_first_home(near, homes) or next(iter(homes.values()))[0]]
    in_file = [plain(node.outputs[0]) for node in original.nodes if node.outputs]
    return list(dict.fromkeys([*(name for name in in_file if name in homes), *homes]))


def _first_home(nodes: list[RawNode], homes: Mapping[str, list[str]]) -> str | None:
    return next((homes[plain(n.outputs[0])][0] for n in nodes if n.outputs and plain(n.outputs[0]) in homes), None)
