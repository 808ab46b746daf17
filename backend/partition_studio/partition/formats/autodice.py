"""AutoDiCE's files: the mapping of layers to hosts, the horizontal file that divides layers, and the platform file."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from partition_studio.graph.network import Network
from partition_studio.partition.draft import ShardError
from partition_studio.partition.formats.autodice_horizontal import read_entry
from partition_studio.partition.formats.autodice_names import (
    AutodiceError,
    HostResource,
    host_resource,
    layers_by_their_names,
    plain,
)
from partition_studio.partition.formats.autodice_notes import host_notes
from partition_studio.partition.formats.autodice_platform import check_keys, read_platform
from partition_studio.partition.formats.imported import (
    NAME_LENGTH,
    Imported,
    folded_note,
    listed,
    read_object,
    shown,
    suggestion,
)
from partition_studio.partition.formats.outline import Outline
from partition_studio.partition.partition import divide
from partition_studio.partition.plan import NetworkRef, Plan, Resource, Sharding


@dataclass(frozen=True, slots=True)
class AutodiceFiles:
    """The text of each file; `horizontal` divides layers, `platform` describes the hosts."""

    mapping: str
    horizontal: str | None = None
    platform: str | None = None


def import_autodice(
    network: Network, files: AutodiceFiles, *, devices: Mapping[str, str] | None = None, original: Outline
) -> Imported:
    """Return the plan that AutoDiCE's files describe.

    `devices` gives the registered device for a host (`nx01`) or a key of the mapping (`nx01_gpu`); others keep their
    names. `original` is the outline of the network's file: nodes of it that loading folded away need no device. Raises
    AutodiceError, which names the layer, host or line at fault.
    """
    mapping = _read_mapping(files.mapping)
    horizontal = read_object(files.horizontal, "horizontal file", AutodiceError) if files.horizontal is not None else {}
    hosts = {key: host_resource(key) for key in mapping}
    if files.platform is not None:
        check_keys(read_platform(files.platform), mapping)
    places, resources = _places(hosts, devices or {})
    known = layers_by_their_names(network, original)
    folded = {plain(node.outputs[0]) for node in original.nodes if node.outputs} - set(known)
    holders = _holders(network, mapping, known, folded)
    _check_horizontal_names(network, horizontal, known, folded)
    shards: list[Sharding] = []
    for name, entry in horizontal.items():
        sharding = read_entry(network, network.layer(known[name]), name, entry, places)
        _check_holders(name, entry[2], holders.get(name, []))
        shards.append(sharding)
    placement = _placement(known, holders, horizontal, places)
    passed_over = len(folded.intersection(name for names in mapping.values() for name in names))
    plan = Plan(
        network=NetworkRef.of(network),
        placement={layer.name: placement[layer.name] for layer in network.layers if layer.name in placement},
        shards=shards,
        resources=resources,
    )
    _check_divisible(network, plan)
    folded_notes = (folded_note(passed_over),) if passed_over else ()
    return Imported(plan, (*folded_notes, *host_notes(hosts, plan)))


def _check_divisible(network: Network, plan: Plan) -> None:
    try:
        divide(network, plan)
    except ShardError as error:
        raise AutodiceError(error.message, next_step=error.next_step, **error.details) from error


def _read_mapping(text: str) -> dict[str, list[str]]:
    mapping = read_object(text, "mapping", AutodiceError)
    if not mapping:
        raise AutodiceError("The mapping is empty.")
    for key, names in mapping.items():
        if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
            raise AutodiceError(f"The mapping must give {shown(key)} a list of layers.", host=key[:NAME_LENGTH])
        if not 0 < len(key) <= 200:
            raise AutodiceError(
                f"The mapping has a host whose name is empty or too long: {shown(key)}.", host=key[:NAME_LENGTH]
            )
    return mapping


def _places(
    hosts: Mapping[str, HostResource], devices: Mapping[str, str]
) -> tuple[dict[str, str], dict[str, Resource]]:
    """Return the plan's name for each key of the mapping, and the resources among those names."""
    everything = {*hosts, *(host.host for host in hosts.values())}
    for theirs in devices:
        if not 0 < len(devices[theirs]) <= 200:
            raise AutodiceError(f"The name of the device for {theirs!r} is empty or too long.", host=theirs)
        if theirs not in everything:
            raise AutodiceError(
                f"The mapping has no host {theirs!r} to be {devices[theirs]!r}.{suggestion(theirs, everything)}",
                host=theirs,
            )
    places: dict[str, str] = {}
    resources: dict[str, Resource] = {}
    for key, host in hosts.items():
        ours = devices.get(key, devices.get(host.host, key))
        if host.processor:
            places[key] = key
            resources[key] = Resource(device=ours, cores=list(host.cores), processor=host.processor)
        else:
            places[key] = ours
    for key, place in places.items():
        if place != key and place in resources:
            raise AutodiceError(
                f"{key!r} cannot become the device {place!r}: the mapping has a resource of that name.", host=key
            )
    return places, resources


def _holders(
    network: Network, mapping: Mapping[str, list[str]], known: Mapping[str, str], folded: set[str]
) -> dict[str, list[str]]:
    """Return the keys that list each layer, by AutoDiCE's name. Raises AutodiceError for unknown layers."""
    holders: dict[str, list[str]] = {}
    unknown: dict[str, None] = {}
    for key, names in mapping.items():
        for name in names:
            if name in known:
                if key in holders.setdefault(name, []):
                    raise AutodiceError(f"The mapping lists {name!r} twice under {key!r}.", layer=known[name], host=key)
                holders[name].append(key)
            elif name not in folded:
                unknown[name] = None
    count = len({name for names in mapping.values() for name in names})
    if unknown and len(unknown) * 2 > count:
        raise AutodiceError(
            f"The mapping is for another network: {len(unknown)} of its {count} layers are not in {network.name!r}, "
            f"such as {shown(next(iter(unknown)))}.",
            next_step="Import it for the network that it was made for.",
        )
    if unknown:
        names_alike = suggestion(next(iter(unknown)), known)
        raise AutodiceError(
            f"The network {network.name!r} has no {listed(list(unknown))}, which the mapping lists.{names_alike}",
            layer=next(iter(unknown))[:NAME_LENGTH],
            unknown=[name[:NAME_LENGTH] for name in list(unknown)[:100]],
        )
    return holders


def _check_horizontal_names(
    network: Network, horizontal: Mapping[str, Any], known: Mapping[str, str], folded: set[str]
) -> None:
    for name in horizontal:
        if name in folded:
            raise AutodiceError(
                f"{name!r} cannot be divided: it is computed or removed when the network is loaded.", layer=name
            )
        if name not in known:
            raise AutodiceError(
                f"The network {network.name!r} has no {shown(name)}, which the horizontal file divides."
                f"{suggestion(name, known)}",
                layer=name[:NAME_LENGTH],
            )


def _check_holders(name: str, keys: list[str], holders: list[str]) -> None:
    """Check that a divided layer is listed under exactly the devices that hold its parts."""
    without = [key for key in dict.fromkeys(keys) if key not in holders]
    if without:
        raise AutodiceError(
            f"The horizontal file gives a part of {name!r} to {listed(without)}, where the mapping does not list it.",
            layer=name,
            host=without[0],
        )
    more = [key for key in holders if key not in keys]
    if more:
        raise AutodiceError(
            f"The mapping lists {name!r} under {listed(more)}, to which the horizontal file gives no part of it.",
            layer=name,
            host=more[0],
        )


def _placement(
    known: Mapping[str, str],
    holders: Mapping[str, list[str]],
    horizontal: Mapping[str, Any],
    places: Mapping[str, str],
) -> dict[str, str]:
    """Return where each whole layer runs. Raises AutodiceError for layers that are left out, or listed twice."""
    missing = [name for name in known if name not in holders]
    if missing:
        raise AutodiceError(
            f"The mapping leaves out {listed(missing)}.", layer=known[missing[0]], missing=missing[:100]
        )
    twice = [name for name, keys in holders.items() if len(keys) > 1 and name not in horizontal]
    if twice:
        keys = listed(holders[twice[0]])
        raise AutodiceError(
            f"The mapping lists {listed(twice)} twice ({twice[0]!r} under {keys}), and the horizontal file does not "
            "divide it.",
            layer=known[twice[0]],
            twice=twice[:100],
        )
    return {known[name]: places[keys[0]] for name, keys in holders.items() if name not in horizontal}
