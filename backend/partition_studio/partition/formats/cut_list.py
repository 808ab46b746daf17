"""An ordered list of tensors at which a network is cut, with a device for each part."""

from collections.abc import Sequence

from partition_studio.errors import PlanError
from partition_studio.graph.network import Layer, Network
from partition_studio.partition.formats.imported import Imported, listed, shown, suggestion
from partition_studio.partition.plan import NetworkRef, Plan


class CutListError(PlanError):
    """The cuts do not divide the network as they stand."""

    code = "bad_cuts"
    next_step = "Name tensors that layers make, in the order of the network, and one device more than tensors."


def import_cuts(network: Network, cuts: Sequence[str], devices: Sequence[str]) -> Imported:
    """Return the plan that cuts a network at some tensors, in order.

    The first device runs all that the first tensor depends on, each next one all that its tensor depends on besides;
    the last device runs the rest. Raises CutListError for a tensor that is unknown or stands where everything that it
    depends on is in earlier parts already.
    """
    if len(devices) != len(cuts) + 1:
        raise CutListError(
            f"{len(cuts)} {'cut makes' if len(cuts) == 1 else 'cuts make'} {len(cuts) + 1} part{'s' if cuts else ''}: "
            f"that many devices are needed, not {len(devices)}."
        )
    placement: dict[str, str] = {}
    for number, tensor in enumerate(cuts):
        maker = _maker(network, tensor)
        if maker.name in placement:
            raise CutListError(_contradiction(network, cuts, number, maker), tensor=tensor)
        placement.update((name, devices[number]) for name in _needed(network, maker) if name not in placement)
    rest = [layer.name for layer in network.layers if layer.name not in placement]
    if not rest:
        raise CutListError(
            f"After the cut at {cuts[-1]!r} nothing is left for the device {devices[-1]!r}.",
            next_step="Leave out the last cut and its device.",
            tensor=cuts[-1],
        )
    placement.update(dict.fromkeys(rest, devices[-1]))
    in_order = {layer.name: placement[layer.name] for layer in network.layers}
    return Imported(Plan(network=NetworkRef.of(network), placement=in_order))


def _maker(network: Network, tensor: str) -> Layer:
    maker = network.producers.get(tensor)
    if maker is not None:
        return maker
    if tensor in network.inputs:
        raise CutListError(f"The tensor {tensor!r} is an input: nothing comes before it.", tensor=tensor)
    if tensor in network.weights or tensor in network.weight_nodes:
        raise CutListError(f"The tensor {tensor!r} is a weight: it does not pass from layer to layer.", tensor=tensor)
    layer = network.layers_by_name.get(tensor)
    if layer is not None:
        raise CutListError(
            f"{tensor!r} is a layer, not a tensor; it makes {listed(list(layer.outputs))}.", tensor=tensor
        )
    hint = suggestion(tensor, network.producers)
    step = "Name a tensor of the simplified network, or use the network as it is in the file."
    raise CutListError(
        f"The network {network.name!r} has no tensor {shown(tensor)}.{hint}",
        next_step=step if network.form.simplified else None,
        tensor=tensor,
    )


def _needed(network: Network, last: Layer) -> list[str]:
    found = {last.name}
    pending = [last]
    while pending:
        for maker in network.predecessors(pending.pop()):
            if maker.name not in found:
                found.add(maker.name)
                pending.append(maker)
    return list(found)


def _contradiction(network: Network, cuts: Sequence[str], number: int, maker: Layer) -> str:
    tensor = cuts[number]
    if tensor in cuts[:number]:
        return f"The cut at {tensor!r} stands twice."
    later = next(cut for cut in cuts[:number] if maker.name in _needed(network, network.producers[cut]))
    if network.producers[later].name == maker.name:
        return f"The cuts at {later!r} and {tensor!r} are the same: the layer {maker.name!r} makes both."
    return f"The cut at {tensor!r} must come before the one at {later!r}, which depends on it."
