"""Layers that stay divided: which operators work channel by channel, and what each part of them reads."""

from collections.abc import Callable
from typing import cast

from onnx import NodeProto

from partition_studio.graph.weights import Range
from partition_studio.partition.strategies.channels_constants import attribute_int
from partition_studio.partition.strategies.channels_rules import ELEMENTWISE, RULES, elementwise
from partition_studio.partition.strategies.channels_work import Bounds, ChannelWork, Split, refuse

#: From a number of channels to the intervals of the parts.
Choose = Callable[[int], list[Bounds]]


def divide_alike(work: ChannelWork, node: NodeProto, choose: Choose) -> None:
    """Divide a layer as its input is divided, or as `choose` says where its input is whole.

    Raises ShardError for a layer whose channels depend on one another.
    """
    key = (node.domain, node.op_type)
    if key == ("", "LRN"):
        _divide_lrn(work, node, choose)
        return
    if key not in ELEMENTWISE and key not in RULES:
        refuse(node, "each of its results needs values of several channels, or it is not known which")
    if key in ELEMENTWISE:
        axis, split = _leading_operand(work, node)
        size = work.shape(node.output[0])[axis]
        recipe = elementwise(work, node, axis)
    else:
        axis, split = _leading_input(work, node)
        size = work.shape(node.input[0])[axis]
        recipe = RULES[key](work, node, axis)
    bounds = list(split.bounds) if split is not None else choose(size)
    made = [(recipe.at(node, start), recipe.at(node, stop)) for start, stop in bounds]
    work.each(
        node,
        recipe.axis,
        made,
        lambda part: recipe.inputs(bounds[part]),
        lambda part: recipe.attributes(bounds[part]),
    )


def _leading_operand(work: ChannelWork, node: NodeProto) -> tuple[int, Split | None]:
    """Return the axis of the output along which an operand is divided; else the axis of its channels."""
    output = work.shape(node.output[0])
    for name in node.input:
        split = work.splits.get(name)
        if split is not None:
            rank = len(work.shape(name))
            axis = split.axis + len(output) - rank
            if work.shape(name)[split.axis] == output[axis]:
                return axis, split
    if len(output) < 2:
        refuse(node, "it has no channels")
    return 1, None


def _leading_input(work: ChannelWork, node: NodeProto) -> tuple[int, Split | None]:
    split = work.splits.get(node.input[0])
    if split is not None:
        return split.axis, split
    if len(work.shape(node.input[0])) < 2:
        refuse(node, "it has no channels")
    return 1, None


def _divide_lrn(work: ChannelWork, node: NodeProto, choose: Choose) -> None:
    """Let each part also read the neighbouring channels that local response normalisation sums over."""
    x, output = node.input[0], work.output(node)
    split = work.splits.get(x)
    if split is not None and split.axis != 1:
        refuse(node, "its input is divided otherwise")
    channels = work.shape(x)[1]
    bounds = list(split.bounds) if split is not None else choose(channels)
    around = attribute_int(node, "size", 1) - 1
    names = []
    for part, (start, stop) in enumerate(bounds):
        first, last = max(0, start - around // 2), min(channels, stop + (around + 1) // 2)
        trimmed = (first, last) != (start, stop)
        wide = work.draft.fresh(f"{output}#{part}:wide" if trimmed else f"{output}#{part}")
        work.draft.add_like(
            node,
            [work.piece(x, Range(1, first, last))],
            {wide: work.kind(output, 1, (first, last))},
            name=f"{node.name}#{part}",
            device=work.devices[part],
        )
        name = wide
        if trimmed:
            name = work.draft.take(wide, [Range(1, start - first, stop - first)], f"{output}#{part}")
            work.draft.devices[cast(NodeProto, work.draft.maker(name)).name] = work.devices[part]
        names.append(work.note(output, name, 1, (start, stop)))
    work.made(output, Split(1, tuple(bounds), tuple(names)))


def joins_channels(work: ChannelWork, node: NodeProto) -> bool:
    """Say whether a layer is a Concat along the axis that is divided."""
    if (node.domain, node.op_type) != ("", "Concat"):
        return False
    split = next((work.splits[name] for name in node.input if name in work.splits), None)
    rank = len(work.shape(node.output[0]))
    return attribute_int(node, "axis", 1) % rank == (1 if split is None else split.axis)


def join_channels(work: ChannelWork, node: NodeProto) -> bool:
    """Let a Concat on channels become a join of the parts before it; False for any other layer."""
    if not joins_channels(work, node):
        return False
    if any(name not in work.draft.types for name in node.input):
        refuse(node, "it joins channels, and some of them are constants")
    axis = attribute_int(node, "axis", 1) % len(work.shape(node.output[0]))
    work.draft.join([work.whole(name) for name in node.input], node.output[0], axis)
    return True


def require_divisible(work: ChannelWork) -> None:
    """Refuse a run that only joins channels. Raises ShardError."""
    if all(joins_channels(work, node) for node in work.run.nodes):
        refuse(work.run.nodes[0], "it only joins channels, and holds none of its own")
