"""A small picture of a network: its blocks and layers in ranks, as lists show it."""

from collections.abc import Sequence
from dataclasses import dataclass

from partition_studio.graph.blocks import find_blocks
from partition_studio.graph.kinds import PictureKind
from partition_studio.graph.network import Network

#: A longer network is thinned evenly, and a wider rank is cut: it is a picture, no plan.
MAX_RANKS = 200
MAX_IN_RANK = 6

_KINDS: dict[PictureKind, frozenset[str]] = {
    "conv": frozenset({"Conv", "ConvTranspose", "QLinearConv", "ConvInteger"}),
    "dense": frozenset({"Gemm", "MatMul", "QLinearMatMul", "MatMulInteger", "Einsum"}),
    "pool": frozenset({"MaxPool", "AveragePool", "GlobalAveragePool", "GlobalMaxPool", "LpPool", "Resize", "Upsample"}),
    "join": frozenset({"Add", "Sum", "Mul", "Concat", "QLinearAdd", "QLinearConcat"}),
    "norm": frozenset({"BatchNormalization", "InstanceNormalization", "LRN", "Relu", "Clip", "Sigmoid", "HardSwish"}),
}


@dataclass(frozen=True, slots=True)
class PictureItem:
    """A block that lies in no other, or a layer that lies in none."""

    kind: PictureKind
    layers: int


def _kind(op_type: str) -> PictureKind:
    return next((kind for kind, ops in _KINDS.items() if op_type in ops), "other")


def picture_of(network: Network) -> list[list[PictureItem]]:
    """Return the folded network in ranks, from its inputs to its outputs: each item stands below all that it reads."""
    place: dict[str, int] = {}
    items: list[PictureItem] = []
    for block in find_blocks(network):
        if block.parent is None:
            place.update(dict.fromkeys(block.layers, len(items)))
            items.append(PictureItem("block", len(block.layers)))
    for layer in network.layers:
        if layer.name not in place:
            place[layer.name] = len(items)
            items.append(PictureItem(_kind(layer.op_type), 1))
    ranks: list[list[PictureItem]] = []
    for number, rank in enumerate(_ranks(network, place, len(items))):
        while len(ranks) <= rank:
            ranks.append([])
        if len(ranks[rank]) < MAX_IN_RANK:
            ranks[rank].append(items[number])
    return _thinned([rank for rank in ranks if rank])


def _ranks(network: Network, place: dict[str, int], count: int) -> list[int]:
    """Return the longest way to each item."""
    maker = {tensor: place[layer.name] for layer in network.layers for tensor in layer.outputs}
    readers: list[set[int]] = [set() for _ in range(count)]
    for layer in network.layers:
        item = place[layer.name]
        for tensor in layer.inputs:
            source = maker.get(tensor)
            if source is not None and source != item:
                readers[source].add(item)
    waiting = [0] * count
    for targets in readers:
        for target in targets:
            waiting[target] += 1
    rank = [0] * count
    ready = [item for item in range(count) if waiting[item] == 0]
    while ready:
        item = ready.pop()
        for target in readers[item]:
            rank[target] = max(rank[target], rank[item] + 1)
            waiting[target] -= 1
            if waiting[target] == 0:
                ready.append(target)
    return rank


def _thinned(ranks: Sequence[list[PictureItem]]) -> list[list[PictureItem]]:
    if len(ranks) <= MAX_RANKS:
        return list(ranks)
    return [ranks[number * len(ranks) // MAX_RANKS] for number in range(MAX_RANKS)]
