"""Adds a sharding to a plan: the entry itself, and the placement of what it takes apart."""

from typing import Any

from pydantic import TypeAdapter, ValidationError

from partition_studio.graph.network import Network
from partition_studio.partition.between import layers_between
from partition_studio.partition.check import require_network
from partition_studio.partition.draft import ShardError
from partition_studio.partition.missing_layer import ReadOutline, missing_layer, named_shard_error
from partition_studio.partition.partition import divide
from partition_studio.partition.plan import Plan, Sharding
from partition_studio.partition.plan_faults import first_fault

_ENTRY: TypeAdapter[Sharding] = TypeAdapter(Sharding)


def add_sharding(
    network: Network, plan: Plan, sharding: Sharding, *, last: str | None = None, original: ReadOutline | None = None
) -> Plan:
    """Return the plan with one more entry in `shards`; layers that it takes apart leave the placement.

    With `last`, the entry names one layer, and all layers on the ways from it to `last` are divided. `original` reads
    the outline of the network's file: with it, a layer that simplification merged is told as such. Raises
    InvalidPlanError for a plan for another network, ShardError for what cannot be divided so.
    """
    require_network(network, plan)
    if last is not None:
        if len(sharding.layers) != 1:
            raise ShardError("From a layer to another: the entry must name one layer to begin with.")
        layers = _between(network, plan, sharding.layers[0], last, original)
        sharding = sharding.model_copy(update={"layers": layers})
    longer = plan.model_copy(update={"shards": [*plan.shards, sharding]})
    try:
        left = divide(network, longer).network.layers_by_name
    except ShardError as error:
        raise named_shard_error(network, longer, error, original) from error
    gone = {layer for layer in sharding.layers if layer not in left}
    placement = {layer: device for layer, device in plan.placement.items() if layer not in gone}
    return longer.model_copy(update={"placement": placement})


def _between(network: Network, plan: Plan, first: str, last: str, original: ReadOutline | None) -> list[str]:
    # Earlier entries may have made the layers that this one divides.
    present = divide(network, plan).network
    for name in (first, last):
        if name not in present.layers_by_name and name not in network.layers_by_name:
            raise missing_layer(network, name, present.layers_by_name, original)
        if name not in present.layers_by_name:
            raise ShardError(
                f"The layer {name!r} is divided already, by an earlier entry of `shards`.",
                next_step=f"Name one of its parts, as {name + '#0'!r}, or remove that entry.",
                layer=name,
            )
    return layers_between(present, first, last)


def sharding_of(document: dict[str, Any]) -> Sharding:
    """Return the entry of `shards` that a document describes. Raises ShardError, which says what is wrong."""
    try:
        return _ENTRY.validate_python(document)
    except ValidationError as error:
        fault = first_fault(error, whole="the entry")
        match document.get("layers"):
            case [str(layer), *_]:
                what = f"The layer {layer!r}"
            case _:
                what = "The layers"
        raise ShardError(f"{what} cannot be divided so: {fault.sentence}.", next_step=fault.next_step) from error
