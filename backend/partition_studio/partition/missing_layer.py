"""Says why a layer that `shards` name is not there to be divided, and what the person may have meant."""

from collections.abc import Callable, Collection
from difflib import get_close_matches

from partition_studio.graph.network import Network
from partition_studio.partition.draft import ShardError
from partition_studio.partition.formats.outline import Outline
from partition_studio.partition.partition import divide
from partition_studio.partition.plan import Plan

#: Asked only when something is wrong: it reads the file again.
ReadOutline = Callable[[], Outline]

_NAME_ANOTHER = (
    "Name a layer of the network (`partition-studio model show MODEL`), or a part that an earlier entry made."
)


def named_shard_error(
    network: Network, plan: Plan, error: ShardError, original: ReadOutline | None = None
) -> ShardError:
    """Return the error of dividing a plan, with a better message where a layer that an entry names is not there.

    `original` reads the outline of the network's file: with it, nodes that loading merged or removed are told as such.
    """
    number, layer = error.details.get("shard"), error.details.get("layer")
    if not isinstance(number, int) or not isinstance(layer, str) or layer not in plan.shards[number].layers:
        return error
    try:
        before = plan.model_copy(update={"shards": plan.shards[:number]})
        present = divide(network, before).network.layers_by_name
    except ShardError:
        return error
    if layer in present or layer in network.layers_by_name:
        # It is there and cannot be divided, or an earlier entry divided it, as the error says.
        return error
    found = missing_layer(network, layer, {*present, *network.layers_by_name}, original)
    return ShardError(found.message, next_step=found.next_step, **error.details)


def missing_layer(
    network: Network, layer: str, known: Collection[str], original: ReadOutline | None = None
) -> ShardError:
    """Return the error that says why there is no layer of that name; `known` are the names that there are."""
    message, step = _why(network, layer, known, original)
    return ShardError(message, next_step=step, layer=layer)


def _why(network: Network, layer: str, known: Collection[str], original: ReadOutline | None) -> tuple[str, str]:
    outline = None if original is None else original()
    if outline is not None and layer in outline.layer_names:
        heir = outline.heir(layer, network.layers)
        if heir is None:
            return f"The layer {layer!r} is computed or removed when the network is loaded.", _NAME_ANOTHER
        how = "simplification merged it" if network.form.simplified else "it was merged when the network was loaded"
        return f"There is no layer {layer!r} any more: {how}. The layer {heir!r} does its work.", f"Name {heir!r}."
    close = get_close_matches(layer, known, n=3, cutoff=0.5)
    hint = f" Did you mean {' or '.join(repr(other) for other in close)}?" if close else ""
    return f"The network {network.name!r} has no layer {layer!r} to divide.{hint}", _NAME_ANOTHER
