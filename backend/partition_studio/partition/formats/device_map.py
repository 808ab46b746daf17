"""A plain `{node: device}` map, as many tools and scripts write it."""

from collections.abc import Collection, Mapping

from partition_studio.errors import PlanError
from partition_studio.graph.network import Network
from partition_studio.partition.formats.imported import (
    NAME_LENGTH,
    Imported,
    folded_note,
    listed,
    read_object,
    shown,
    suggestion,
)
from partition_studio.partition.plan import NetworkRef, Plan


class DeviceMapError(PlanError):
    """The map does not place the network's layers."""

    code = "bad_device_map"
    next_step = "Correct the map: one JSON object with a device for every layer (see `partition-studio model show`)."


def import_map(
    network: Network, text: str, *, devices: Mapping[str, str] | None = None, original: Collection[str] = ()
) -> Imported:
    """Return the plan of a map `{node: device}`.

    `devices` gives the registered device for a name in the map. `original` holds the names of the file's own nodes:
    those that loading folded away are passed over, and counted in a note. Raises DeviceMapError for what is no such
    map, and for layers that are left out or unknown.
    """
    document = read_object(text, "map", DeviceMapError)
    if not document:
        raise DeviceMapError("The map is empty.")
    for layer, device in document.items():
        if not isinstance(device, str) or not 0 < len(device) <= 200:
            raise DeviceMapError(f"The map must give {shown(layer)} the name of a device.", layer=layer[:NAME_LENGTH])
    unknown_hosts = [name for name in devices or {} if name not in document.values()]
    if unknown_hosts:
        raise DeviceMapError(f"The map does not speak of the device {listed(unknown_hosts)}.", device=unknown_hosts[0])
    known = network.layers_by_name
    folded = [name for name in document if name not in known and name in original]
    unknown = [name for name in document if name not in known and name not in original]
    if unknown and len(unknown) * 2 > len(document):
        raise DeviceMapError(
            f"The map is for another network: {len(unknown)} of its {len(document)} layers are not in {network.name!r}."
        )
    if unknown:
        hint = suggestion(unknown[0], known)
        raise DeviceMapError(
            f"The network {network.name!r} has no {listed(unknown)}.{hint}", layer=unknown[0][:NAME_LENGTH]
        )
    missing = [name for name in known if name not in document]
    if missing:
        raise DeviceMapError(f"The map leaves out {listed(missing)}.", layer=missing[0])
    names = devices or {}
    placement = {name: names.get(document[name], document[name]) for name in known}
    notes = (folded_note(len(folded)),) if folded else ()
    return Imported(Plan(network=NetworkRef.of(network), placement=placement), notes)
