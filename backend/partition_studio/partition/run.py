"""A run: the connected layers that one sharding divides together, and the tensors at its borders."""

from collections.abc import Sequence
from dataclasses import dataclass

from onnx import NodeProto

from partition_studio.partition.draft import Draft, ShardError


@dataclass(frozen=True, slots=True)
class Run:
    """Some layers of a draft.

    Attributes:
        nodes: in topological order.
        inputs: activations that come from outside, in order of first use.
        outputs: activations of its own that are read outside, or are outputs of the network, in order of making.
    """

    nodes: tuple[NodeProto, ...]
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]

    @property
    def names(self) -> tuple[str, ...]:
        """The layers' names."""
        return tuple(node.name for node in self.nodes)


def find_run(draft: Draft, layers: Sequence[str]) -> Run:
    """Return the run of those layers.

    Raises ShardError for a layer that is not there, stands twice, or makes constants only; for layers that do not hang
    together; and for a run that something outside leads out of and back into (it could not be computed in one go).
    """
    twice = next((name for name in layers if layers.count(name) > 1), None) if len(set(layers)) < len(layers) else None
    if twice is not None:
        raise ShardError(f"The layer {twice!r} stands twice in one entry of `shards`.", layer=twice)
    members = {name: draft.node(name) for name in layers}
    for name, node in members.items():
        if not any(tensor in draft.types for tensor in node.output):
            raise ShardError(f"The layer {name!r} makes constants only: there is nothing to divide.", layer=name)
    nodes = _in_order(draft, members)
    _check_connected(draft, nodes)
    _check_convex(draft, members)
    made = {tensor for node in nodes for tensor in node.output if tensor}
    inputs = dict.fromkeys(t for node in nodes for t in draft.activations(node) if t not in made)
    outputs = [
        tensor
        for node in nodes
        for tensor in node.output
        if tensor and (tensor in draft.outputs or any(r.name not in members for r in draft.readers(tensor)))
    ]
    return Run(tuple(nodes), tuple(inputs), tuple(outputs))


def _in_order(draft: Draft, members: dict[str, NodeProto]) -> list[NodeProto]:
    """Return the members so that each comes after those that it reads from."""
    order: dict[str, NodeProto] = {}
    pending = [(name, False) for name in reversed(members)]
    while pending:
        name, ready = pending.pop()
        if name in order:
            continue
        if ready:
            order[name] = members[name]
            continue
        pending.append((name, True))
        makers = [draft.maker(tensor) for tensor in draft.activations(members[name])]
        pending.extend((m.name, False) for m in reversed(makers) if m is not None and m.name in members)
    return list(order.values())


def _check_connected(draft: Draft, nodes: Sequence[NodeProto]) -> None:
    """Two layers hang together by an edge, or by reading the same activation."""
    parent = {node.name: node.name for node in nodes}

    def root(name: str) -> str:
        while parent[name] != name:
            parent[name] = parent[parent[name]]
            name = parent[name]
        return name

    first: dict[str, str] = {}
    for node in nodes:
        for tensor in [*draft.activations(node), *(name for name in node.output if name)]:
            parent[root(node.name)] = root(first.setdefault(tensor, node.name))
    roots = {root(node.name): node.name for node in nodes}
    if len(roots) > 1:
        apart = list(roots.values())
        raise ShardError(
            f"The layers {apart[0]!r} and {apart[1]!r} are not connected: they cannot be divided together.",
            next_step="Make an entry in `shards` for each connected run.",
            layer=apart[1],
        )


def _check_convex(draft: Draft, members: dict[str, NodeProto]) -> None:
    """Walk from the run along all edges that leave it; none may lead back. Behind its last layer nothing can."""
    outside: dict[str, str] = {}
    places = [draft.place(name) for name in members]
    last = max((place for place in places if place is not None), default=None)
    if None in places:
        last = None
    pending = [
        (reader.name, name)
        for name, node in members.items()
        for tensor in node.output
        if tensor
        for reader in draft.readers(tensor)
        if reader.name not in members
    ]
    while pending:
        name, left = pending.pop()
        place = draft.place(name)
        if name in outside or (last is not None and place is not None and place > last):
            continue
        outside[name] = left
        for tensor in draft.nodes[name].output:
            for reader in draft.readers(tensor) if tensor else []:
                if reader.name in members:
                    raise ShardError(
                        f"The run leaves at {left!r} and comes back at {reader.name!r}, with {name!r} between, which "
                        "is not part of it.",
                        next_step=f"Add the layers between {left!r} and {reader.name!r} to the entry, or divide less.",
                        layer=name,
                    )
                pending.append((reader.name, left))
