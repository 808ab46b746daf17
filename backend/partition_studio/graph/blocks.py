"""Blocks: named runs of layers, recognised from the network's structure and names, or set by hand.

A block lies between a fork of the data and the place where all of it is added or concatenated again
(`graph.regions`): a residual block, a fire or inception module, a dense layer. Blocks that follow one another at the
same resolution make a stage. Where the structure has no branches, names with a common folder (`/features/3/`) do it.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

from partition_studio.errors import PlanError
from partition_studio.graph.block_names import BlockNames
from partition_studio.graph.kinds import BlockKind
from partition_studio.graph.network import Layer, Network
from partition_studio.graph.regions import Flow, Region

_SUMS = {"Add", "Sum", "Mean", "Max", "QLinearAdd"}
_JOINS = {*_SUMS, "Concat", "QLinearConcat"}

#: What may follow a join and still belong to its block.
_ACTIVATIONS = {
    *("Relu", "LeakyRelu", "PRelu", "Elu", "Selu", "Clip", "Sigmoid", "HardSigmoid", "HardSwish", "Tanh", "Softplus"),
    *("Gelu", "Celu", "Mish", "ThresholdedRelu"),
}

#: A skip around these is no dense layer's.
_RESIZING = {"MaxPool", "AveragePool", "Resize", "Upsample", "ConvTranspose"}

#: A region with more others inside than this is no block but a part of the network.
_MOST_WITHIN = 2


class BlockError(PlanError):
    """A block names layers that cannot be one."""

    code = "bad_block"
    next_step = "Correct the plan's `blocks`: each is a connected run of layers, and no layer is in two of them."


@dataclass(frozen=True, slots=True)
class Block:
    """A named run of layers.

    Attributes:
        name: unique among the blocks of a network.
        layers: in topological order; connected, and nothing outside leads out of them and back in.
        kind: what it was recognised as.
        parent: name of the block that holds it; None at the top.
    """

    name: str
    layers: tuple[str, ...]
    kind: BlockKind
    parent: str | None = None


@dataclass(slots=True)
class _Found:
    """A block before it has a name: positions of its layers, in order, and of the layer that feeds it."""

    kind: BlockKind
    layers: list[int]
    fork: int


def find_blocks(network: Network) -> tuple[Block, ...]:
    """Return the blocks of a network: stages, each followed by what it holds, and blocks outside of stages.

    Each layer is in at most one stage and in at most one other block.
    """
    flow = Flow(network)
    found = _modules(network, flow)
    names = BlockNames(network)
    taken = {index for block in found for index in block.layers}
    for layers in names.folders(taken):
        if is_run(network, [network.layers[index].name for index in layers]):
            found.append(_Found("named", layers, -1))
    found.sort(key=lambda block: block.layers[0])
    blocks: list[Block] = []
    for stage, members in _stages(network, flow, found):
        parent = None
        if stage is not None:
            parent = names.name("stage", stage)
            blocks.append(Block(parent, _names(network, stage), "stage"))
        for block in members:
            blocks.append(
                Block(names.name(block.kind, block.layers), _names(network, block.layers), block.kind, parent)
            )
    return tuple(blocks)


def _names(network: Network, layers: Sequence[int]) -> tuple[str, ...]:
    return tuple(network.layers[index].name for index in layers)


def _modules(network: Network, flow: Flow) -> list[_Found]:
    """Return the regions that are blocks, with the layers beside them that belong to them."""
    found: list[_Found] = []
    pending = [flow.regions()]
    while pending:
        region = pending.pop()
        within = _joined(network, region)
        is_whole = region.join == flow.sink
        # One that is little more than another is the skip of a U-shaped network.
        is_around = any(2 * inner.size > region.size for inner in within)
        if is_whole or is_around or len(within) > _MOST_WITHIN:
            pending += within
        else:
            found.append(_module(network, flow, region))
    taken = {index for block in found for index in block.layers}
    for block in found:
        _take_activation(network, flow, block, taken)
        _take_squeeze(network, flow, block, taken)
    return found


def _joined(network: Network, region: Region) -> list[Region]:
    """Return the regions in one that could be blocks; those that end in a product (swish, gates) could not."""
    found, pending = [], list(region.within)
    while pending:
        inner = pending.pop()
        if network.layers[inner.join].op_type in _JOINS and inner.macs:
            found.append(inner)
        else:
            pending += inner.within
    return found


def _module(network: Network, flow: Flow, region: Region) -> _Found:
    layers = region.all_layers()
    if region.fork != flow.source and network.layers[region.fork].op_type == "Split":
        layers.insert(0, region.fork)
    return _Found(_kind(network, flow, region), layers, region.fork)


def _kind(network: Network, flow: Flow, region: Region) -> BlockKind:
    if network.layers[region.join].op_type in _SUMS:
        return "residual"
    if region.fork in flow.fed_by[region.join]:
        resizes = any(network.layers[index].op_type in _RESIZING for index in region.all_layers())
        return "branches" if resizes else "dense"
    branches = len(flow.feeds[region.fork])
    if branches > 2:
        return "inception"
    squeeze = _squeeze(network, flow, region.fork)
    expands = all(network.layers[index].op_type == "Conv" for index in flow.feeds[region.fork])
    return "fire" if squeeze and expands else "branches"


def _squeeze(network: Network, flow: Flow, fork: int) -> list[int]:
    """Return the convolution of 1 x 1 at a fork, with its activation; empty where there is none."""
    found: list[int] = []
    index = fork
    while index != flow.source:
        layer = network.layers[index]
        found.insert(0, index)
        if layer.op_type == "Conv":
            return found if _is_pointwise(network, layer) else []
        if layer.op_type not in {*_ACTIVATIONS, "BatchNormalization"} or len(flow.fed_by[index]) != 1:
            return []
        index = flow.fed_by[index][0]
        if len(flow.feeds[index]) != 1:
            return []
    return []


def _is_pointwise(network: Network, layer: Layer) -> bool:
    dims = network.weights[layer.weights[0]].dims if layer.weights else ()
    return len(dims) > 2 and all(size == 1 for size in dims[2:])


def _take_squeeze(network: Network, flow: Flow, block: _Found, taken: set[int]) -> None:
    if block.kind == "fire":
        squeeze = _squeeze(network, flow, block.fork)
        if not taken.intersection(squeeze):
            block.layers[:0] = squeeze
            taken.update(squeeze)


def _take_activation(network: Network, flow: Flow, block: _Found, taken: set[int]) -> None:
    last = block.layers[-1]
    follows = flow.feeds[last]
    if len(follows) == 1 and follows[0] != flow.sink and follows[0] not in taken:
        index = follows[0]
        if network.layers[index].op_type in _ACTIVATIONS and flow.fed_by[index] == [last]:
            block.layers.append(index)
            taken.add(index)


def _stages(network: Network, flow: Flow, found: list[_Found]) -> list[tuple[list[int] | None, list[_Found]]]:
    """Group blocks that follow one another at one resolution: (all layers of the stage or None, its blocks)."""
    chains: list[list[_Found]] = []
    for block in found:
        last = chains[-1][-1] if chains else None
        if last is not None and _go_on(network, flow, last, block):
            chains[-1].append(block)
        else:
            chains.append([block])
    if len(chains) < 2:
        return [(None, found)]
    groups: list[tuple[list[int] | None, list[_Found]]] = []
    for chain in chains:
        if len(chain) < 2:
            groups.append((None, chain))
            continue
        between = (_link(flow, first, second) or [] for first, second in pairwise(chain))
        layers = {index for block in chain for index in block.layers}.union(*between)
        groups.append((sorted(layers), chain))
    return groups


def _go_on(network: Network, flow: Flow, first: _Found, second: _Found) -> bool:
    return _resolution(network, first) == _resolution(network, second) and _link(flow, first, second) is not None


def _link(flow: Flow, first: _Found, second: _Found) -> list[int] | None:
    """Return the layers from the end of one block to the start of the next; None where they are not in a row."""
    end, start = first.layers[-1], second.fork
    if start < 0 or start == flow.source:
        return None
    return [] if end == start else flow.between(end, start)


def _resolution(network: Network, block: _Found) -> tuple[int, ...]:
    shapes = network.layers[block.layers[-1]].output_shapes
    return shapes[0][2:] if shapes else ()


def is_run(network: Network, layers: Sequence[str]) -> bool:
    """Say whether layers hang together, with nothing outside that leads out of them and back in."""
    return not _fault(network, layers)


def _fault(network: Network, layers: Sequence[str]) -> str:
    """Return why layers are no run; empty where they are one."""
    order = sorted(network.position[name] for name in layers)
    members = {network.layers[index].name for index in order}
    apart = _apart(network, order)
    if apart:
        return f"{apart!r} is not connected with {network.layers[order[0]].name!r}"
    # Only what lies between the first and the last layer can lead out and back in.
    outside: set[str] = set()
    for layer in network.layers[order[0] : order[-1] + 1]:
        feeders = {maker.name for maker in network.predecessors(layer)}
        if layer.name not in members and feeders & (members | outside):
            outside.add(layer.name)
        elif layer.name in members and feeders & outside:
            return f"data leaves them and comes back by {min(feeders & outside)!r}, which is not among them"
    return ""


def _apart(network: Network, order: Sequence[int]) -> str:
    """Return a layer that does not hang together with the first one: by an edge, or by a common input."""
    touching: dict[str, list[int]] = {}
    for index in order:
        layer = network.layers[index]
        for tensor in (*layer.inputs, *layer.outputs):
            touching.setdefault(tensor, []).append(index)
    pending, seen = [order[0]], {order[0]}
    while pending:
        layer = network.layers[pending.pop()]
        for tensor in (*layer.inputs, *layer.outputs):
            new = [index for index in touching.pop(tensor, []) if index not in seen]
            seen.update(new)
            pending += new
    return next((network.layers[index].name for index in order if index not in seen), "")


def with_manual(network: Network, blocks: Sequence[Block], manual: Mapping[str, Sequence[str]]) -> tuple[Block, ...]:
    """Return the blocks with those set by hand, which replace every recognised one that they overlap with.

    A stage that holds a block set by hand stays, as its parent. Raises BlockError for a block without layers, a layer
    that is unknown or in two blocks, and layers that are no connected run.
    """
    owner: dict[str, str] = {}
    made: list[Block] = []
    for name, layers in manual.items():
        if not layers:
            raise BlockError(f"The block {name!r} has no layers.", block=name)
        for layer in layers:
            if layer not in network.position:
                raise BlockError(f"The block {name!r} names the unknown layer {layer!r}.", block=name, layer=layer)
            if layer in owner:
                raise BlockError(
                    f"The layer {layer!r} is in the blocks {owner[layer]!r} and {name!r}.", block=name, layer=layer
                )
            owner[layer] = name
        fault = _fault(network, layers)
        if fault:
            raise BlockError(f"The layers of the block {name!r} are no connected run: {fault}.", block=name)
        made.append(Block(name, tuple(sorted(layers, key=network.position.__getitem__)), "manual"))
    stages = [b for b in blocks if b.kind == "stage" and _whole(b, owner)]
    parents = {layer: stage.name for stage in stages for layer in stage.layers}
    kept = [b for b in blocks if b in stages or not owner.keys() & set(b.layers)]
    names = {b.name for b in kept}
    both = [replace(b, parent=b.parent if b.parent in names else None) for b in kept if b.name not in manual]
    both += [replace(b, parent=parents.get(b.layers[0])) for b in made]
    return tuple(sorted(both, key=lambda b: (network.position[b.layers[0]], -len(b.layers))))


def _whole(stage: Block, owner: Mapping[str, str]) -> bool:
    """Say whether every block set by hand is inside or outside of a stage."""
    members = set(stage.layers)
    inside = {owner[layer] for layer in members & owner.keys()}
    return all(layer in members for layer, name in owner.items() if name in inside)


def expand(blocks: Sequence[Block], names: Sequence[str]) -> list[str]:
    """Return a list of layers in which each `block:NAME` is replaced by the block's layers, each layer once.

    Raises BlockError for an unknown block.
    """
    known = {block.name: block.layers for block in blocks}
    found: dict[str, None] = {}
    for name in names:
        called = name.removeprefix("block:")
        if called == name:
            found[name] = None
        elif called in known:
            found.update(dict.fromkeys(known[called]))
        else:
            raise BlockError(
                f"There is no block {called!r}.",
                next_step="List the blocks with `partition-studio model show`.",
                block=called,
            )
    return list(found)
