"""All layers on the ways from one layer to another: what a person means by "from here to there"."""

from partition_studio.graph.network import Network
from partition_studio.partition.draft import ShardError


def layers_between(network: Network, first: str, last: str) -> list[str]:
    """Return all layers on any way from `first` to `last`, both included, in topological order.

    Raises LayerNotFoundError for a name that is not there, ShardError where no way leads from one to the other.
    """
    start, end = network.layer(first), network.layer(last)
    after = {start.name}
    for layer in network.layers[network.position[start.name] :]:
        if any(maker.name in after for maker in network.predecessors(layer)):
            after.add(layer.name)
    if end.name not in after:
        turned = network.position[end.name] < network.position[start.name]
        step = "Give them the other way round." if turned else "Name two layers of one branch, or list the layers."
        raise ShardError(f"No way leads from the layer {first!r} to the layer {last!r}.", next_step=step, layer=last)
    before = {end.name}
    pending = [end]
    while pending:
        for maker in network.predecessors(pending.pop()):
            if maker.name in after and maker.name not in before:
                before.add(maker.name)
                pending.append(maker)
    return sorted(before, key=network.position.__getitem__)
