"""Blocks: named runs of layers, recognised from the network's structure and names, or set by hand."""

from dataclasses import dataclass
from typing import Literal

from partition_studio.graph.network import Network

BlockKind = Literal["stage", "residual", "inception", "fire", "dense", "branches", "named", "manual"]


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


def find_blocks(network: Network) -> tuple[Block, ...]:
    """Return the blocks of a network, outer ones before those in them."""
    return ()
