"""Pieces of constants: slices of weights, also of those that stand behind nodes (dequantisation) which are kept."""

from collections.abc import Sequence

from onnx import NodeProto

from partition_studio.graph.weights import Range
from partition_studio.partition.draft import Draft, ShardError

_PLAIN = {"Identity", "Cast"}
_QUANTISING = {"DequantizeLinear", "QuantizeLinear"}


def attribute_int(node: NodeProto, name: str, default: int) -> int:
    """Return an integer attribute of a node."""
    return next((int(a.i) for a in node.attribute if a.name == name), default)


def attribute_ints(node: NodeProto, name: str) -> list[int] | None:
    """Return a list of integers that is an attribute of a node; None where it is not there."""
    return next((list(a.ints) for a in node.attribute if a.name == name), None)


def shape_of(draft: Draft, name: str) -> tuple[int, ...]:
    """Return the shape of an activation or constant. Raises ShardError for a constant made in an unknown way."""
    if name in draft.types or name in draft.weights:
        return draft.shape(name)
    maker = _maker(draft, name)
    if maker.op_type in _PLAIN | _QUANTISING:
        return shape_of(draft, maker.input[0])
    if maker.op_type == "Transpose":
        shape = shape_of(draft, maker.input[0])
        return tuple(shape[axis] for axis in _order(maker, len(shape)))
    raise _unknown(maker)


def cut_constant(draft: Draft, name: str, ranges: Sequence[Range], wanted: str) -> str:
    """Return the name of a piece of a constant; the constant itself where the ranges cover it.

    A weight is cut when it is written. The nodes that make a constant are repeated for the piece, with pieces of what
    they read: scales and zero points too. Raises ShardError where that cannot be done.
    """
    shape = shape_of(draft, name)
    cuts = [cut for cut in ranges if (cut.start, cut.stop) != (0, shape[cut.axis])]
    if not cuts:
        return name
    if name in draft.weights:
        return draft.weight_part(name, wanted, *cuts)
    maker = _maker(draft, name)
    inputs = list(maker.input)
    if maker.op_type == "Transpose":
        order = _order(maker, len(shape))
        cuts = [Range(order[cut.axis], cut.start, cut.stop) for cut in cuts]
    elif maker.op_type in _QUANTISING:
        for index in range(1, len(inputs)):
            if inputs[index]:
                inner = _of_scale(draft, maker, inputs[index], shape, cuts)
                inputs[index] = cut_constant(draft, inputs[index], inner, f"{wanted}/{index}")
    elif maker.op_type not in _PLAIN:
        raise _unknown(maker)
    inputs[0] = cut_constant(draft, inputs[0], cuts, f"{wanted}/0")
    piece = draft.fresh(wanted)
    draft.add_like(maker, inputs, {piece: None}, name=f"{maker.name}:{piece}")
    return piece


def _of_scale(draft: Draft, maker: NodeProto, scale: str, shape: tuple[int, ...], cuts: Sequence[Range]) -> list[Range]:
    """Return the ranges of a scale or zero point that belong to ranges of what is (de)quantised."""
    dims = shape_of(draft, scale)
    axis = attribute_int(maker, "axis", 1)
    axis += len(shape) if axis < 0 else 0
    block = attribute_int(maker, "block_size", 0)
    if block:
        return [_of_blocks(maker, cut, block) if cut.axis == axis else cut for cut in cuts]
    if not dims or dims == (1,):
        return []
    return [Range(0, cut.start, cut.stop) for cut in cuts if cut.axis == axis]


def _of_blocks(maker: NodeProto, cut: Range, block: int) -> Range:
    if cut.start % block:
        raise ShardError(
            f"The weights that {maker.name!r} dequantises in blocks of {block} cannot be cut at {cut.start}.",
            next_step=f"Choose sizes that are multiples of {block}.",
            layer=maker.name,
        )
    return Range(cut.axis, cut.start // block, -(-cut.stop // block))


def _maker(draft: Draft, name: str) -> NodeProto:
    maker = draft.maker(name)
    assert maker is not None, f"{name!r} is neither an activation, nor a weight, nor made by a node"
    return maker


def _order(transpose: NodeProto, rank: int) -> list[int]:
    return attribute_ints(transpose, "perm") or list(range(rank))[::-1]


def _unknown(maker: NodeProto) -> ShardError:
    return ShardError(f"The constants that {maker.name!r} makes ({maker.op_type}) cannot be cut.", layer=maker.name)
