"""Adds a sharding to a plan: the entry itself, and the placement of what it takes apart."""

from typing import Any

from pydantic import TypeAdapter, ValidationError

from partition_studio.graph.network import Network
from partition_studio.partition.between import layers_between
from partition_studio.partition.draft import ShardError
from partition_studio.partition.partition import divide
from partition_studio.partition.plan import Plan, Sharding

_ENTRY: TypeAdapter[Sharding] = TypeAdapter(Sharding)


def add_sharding(network: Network, plan: Plan, sharding: Sharding, *, last: str | None = None) -> Plan:
    """Return the plan with one more entry in `shards`; layers that it takes apart leave the placement.

    With `last`, the entry names one layer, and all layers on the ways from it to `last` are divided. Raises ShardError
    for what cannot be divided so, LayerNotFoundError for a `last` that is not there.
    """
    if last is not None:
        if len(sharding.layers) != 1:
            raise ShardError("From a layer to another: the entry must name one layer to begin with.")
        # Earlier entries may have made the layers that this one divides.
        present = divide(network, plan).network
        sharding = sharding.model_copy(update={"layers": layers_between(present, sharding.layers[0], last)})
    longer = plan.model_copy(update={"shards": [*plan.shards, sharding]})
    left = divide(network, longer).network.layers_by_name
    gone = {layer for layer in sharding.layers if layer not in left}
    placement = {layer: device for layer, device in plan.placement.items() if layer not in gone}
    return longer.model_copy(update={"placement": placement})


def sharding_of(document: dict[str, Any]) -> Sharding:
    """Return the entry of `shards` that a document describes. Raises ShardError, which says what is wrong."""
    try:
        return _ENTRY.validate_python(document)
    except ValidationError as error:
        fault = error.errors(include_url=False, include_context=False, include_input=False)[0]
        place = ".".join(str(part) for part in fault["loc"][1:])
        raise ShardError(f"The layers cannot be divided so{f' ({place})' if place else ''}: {fault['msg']}.") from error
