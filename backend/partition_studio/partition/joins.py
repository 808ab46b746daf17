"""Shorter ways through the glue: a piece of a join is taken from the joined parts, not out of the join.

A strategy joins every tensor that it divided, and takes the pieces that it needs out of whole tensors. Where both
meet, only what a piece really needs has to travel: nothing, where channel shards match; a halo, between neighbouring
tiles. The rules, applied until nothing changes:

- a piece of a piece is a piece of what that was taken from;
- a piece of a join that lies in one part is a piece of the part, or the part itself;
- a piece that spans several parts is a join of pieces of them;
- a piece of a sum that is read in pieces alone is a sum of pieces;
- two pieces that are the same are one, unless they are of a network's input, which every device gets by itself;
- a join of joins along the same axis is one join;
- two joins of the same parts are the same.
"""

from collections import deque
from collections.abc import Iterable
from itertools import accumulate

import numpy as np
from onnx import NodeProto

from partition_studio.graph.walk import captured_names
from partition_studio.graph.weights import Range
from partition_studio.partition.draft import Draft


def shorten(draft: Draft) -> None:
    """Rewire pieces of joined tensors so that they come from the parts; remove glue that nobody reads any more."""
    _Shortening(draft).run()
    _flatten(draft)
    _unite(draft)
    _remove_unread(draft)


class _Shortening:
    """The work list: pieces that may be taken from farther up, and those that exist already."""

    def __init__(self, draft: Draft) -> None:
        self._draft = draft
        self._pieces: dict[tuple[str, tuple[Range, ...]], str] = {}
        self._summed: dict[str, bool] = {}
        self._waiting = deque(name for name in draft.glue if draft.nodes[name].op_type == "Slice")

    def run(self) -> None:
        while self._waiting:
            name = self._waiting.popleft()
            if name in self._draft.nodes:
                self._move_up(self._draft.nodes[name])

    def _move_up(self, node: NodeProto) -> None:
        """Let one Slice take its piece from what its input is made of, if that is glue."""
        draft, piece = self._draft, node.output[0]
        maker = draft.maker(node.input[0])
        cuts = _cuts(draft, node)
        if maker is None or cuts is None or piece in draft.outputs:
            return
        if maker.name not in draft.glue:
            same = self._pieces.setdefault((node.input[0], cuts), piece)
            if same != piece:
                self._stand_in(piece, same)
        elif maker.op_type == "Slice":
            inner = _cuts(draft, maker)
            if inner is not None:
                draft.remove(node.name)
                self._stand_in(piece, self._take(maker.input[0], _compose(inner, cuts)))
        elif maker.op_type == "Concat":
            axis = _axis(draft, maker)
            sources = _of_parts(draft, list(maker.input), axis, cuts)
            draft.remove(node.name)
            if len(sources) == 1:
                self._stand_in(piece, self._take(*sources[0]))
            else:
                draft.join([self._take(*source) for source in sources], piece, axis)
        elif maker.op_type == "Sum" and self._only_in_pieces(maker.output[0]):
            draft.remove(node.name)
            parts = [self._take(part, cuts) for part in maker.input]
            kind, source = draft.types[piece], draft.source(maker.name)
            draft.add("Sum", parts, {piece: kind}, name=f"join:{piece}", source=source, glue=True)

    def _only_in_pieces(self, total: str) -> bool:
        """Say whether a sum is read in pieces that are together no more than the whole.

        Then each device adds up its piece, instead of one that adds up all and sends the pieces out.
        """
        draft = self._draft
        if total not in self._summed:
            readers = draft.readers(total)
            elements = sum(draft.types[reader.output[0]].elements for reader in readers)
            glued = all(reader.name in draft.glue and reader.op_type == "Slice" for reader in readers)
            within = glued and total not in draft.outputs and elements <= draft.types[total].elements
            self._summed[total] = within
        return self._summed[total]

    def _take(self, tensor: str, cuts: tuple[Range, ...]) -> str:
        shape = self._draft.shape(tensor)
        cuts = tuple(cut for cut in cuts if (cut.start, cut.stop) != (0, shape[cut.axis]))
        if not cuts:
            return tensor
        key = (tensor, cuts)
        if key not in self._pieces:
            where = ",".join(f"{cut.start}:{cut.stop}" for cut in cuts)
            self._pieces[key] = self._draft.take(tensor, cuts, f"{tensor}[{where}]")
            maker = self._draft.maker(self._pieces[key])
            assert maker is not None
            self._waiting.append(maker.name)
        return self._pieces[key]

    def _stand_in(self, piece: str, equal: str) -> None:
        """Let everybody who reads `piece` read its equal instead."""
        for reader in self._draft.readers(piece):
            self._draft.reconnect(reader.name, piece, equal)


def _compose(outer: Iterable[Range], inner: Iterable[Range]) -> tuple[Range, ...]:
    """Return the ranges, in the first tensor, of a piece `inner` of its piece `outer`."""
    ranges = {cut.axis: cut for cut in outer}
    for cut in inner:
        first = ranges[cut.axis].start if cut.axis in ranges else 0
        ranges[cut.axis] = Range(cut.axis, first + cut.start, first + cut.stop)
    return tuple(ranges[axis] for axis in sorted(ranges))


def _of_parts(draft: Draft, parts: list[str], axis: int, cuts: Iterable[Range]) -> list[tuple[str, tuple[Range, ...]]]:
    """Return which ranges of which parts of a join make up a piece of it, in order."""
    ranges = {cut.axis: cut for cut in cuts}
    ends = list(accumulate(draft.shape(part)[axis] for part in parts))
    wanted = ranges.get(axis, Range(axis, 0, ends[-1]))
    found = []
    for part, end in zip(parts, ends, strict=True):
        begin = end - draft.shape(part)[axis]
        start, stop = max(wanted.start, begin), min(wanted.stop, end)
        if start < stop:
            own = {**ranges, axis: Range(axis, start - begin, stop - begin)}
            found.append((part, tuple(own[key] for key in sorted(own))))
    return found


def _flatten(draft: Draft) -> None:
    """Let a join read the parts of the joins that it reads, where both are along the same axis."""
    done: dict[str, list[str]] = {}

    def parts_of(node: NodeProto) -> list[str]:
        pending, order = [node], []
        while pending:
            current = pending.pop()
            if current.name in done:
                continue
            inner = [_joined_alike(draft, tensor, current) for tensor in current.input]
            left = [maker for maker in inner if maker is not None and maker.name not in done]
            if left:
                pending += [current, *left]
                continue
            order.append(current)
            done[current.name] = [
                part
                for tensor, maker in zip(current.input, inner, strict=True)
                for part in (done[maker.name] if maker is not None else [tensor])
            ]
        return done[node.name]

    for name in [name for name in draft.glue if draft.nodes[name].op_type == "Concat"]:
        node = draft.nodes[name]
        parts = parts_of(node)
        if parts != list(node.input):
            output, device = node.output[0], draft.devices.get(name)
            draft.remove(name)
            draft.join(parts, output, _axis(draft, node))
            maker = draft.maker(output)
            if device is not None and maker is not None:
                draft.devices[maker.name] = device


def _joined_alike(draft: Draft, tensor: str, node: NodeProto) -> NodeProto | None:
    """Return the join along the same axis that makes a tensor, if there is one."""
    maker = draft.maker(tensor)
    if maker is None or maker.name not in draft.glue or maker.op_type != "Concat":
        return None
    return maker if _axis(draft, maker) == _axis(draft, node) else None


def _unite(draft: Draft) -> None:
    """Let one of several joins of the same parts stand for all; that of a network's output, if there is one."""
    known: dict[tuple[int, tuple[str, ...]], str] = {}
    joins = [draft.nodes[name] for name in draft.glue if draft.nodes[name].op_type == "Concat"]
    for node in sorted(joins, key=lambda node: node.output[0] not in draft.outputs):
        output = node.output[0]
        same = known.setdefault((_axis(draft, node), tuple(node.input)), output)
        captured = any(output in captured_names(reader) for reader in draft.readers(output))
        if same != output and output not in draft.outputs and not captured:
            for reader in draft.readers(output):
                draft.reconnect(reader.name, output, same)


def _remove_unread(draft: Draft) -> None:
    pending = list(draft.glue)
    while pending:
        name = pending.pop()
        if name not in draft.glue:
            continue
        node = draft.nodes[name]
        if any(tensor in draft.outputs or draft.readers(tensor) for tensor in node.output):
            continue
        makers = [draft.maker(tensor) for tensor in node.input]
        draft.remove(name)
        pending += [maker.name for maker in makers if maker is not None]


def _axis(draft: Draft, join: NodeProto) -> int:
    axis = next(int(a.i) for a in join.attribute if a.name == "axis")
    return axis % len(draft.shape(join.output[0]))


def _cuts(draft: Draft, node: NodeProto) -> tuple[Range, ...] | None:
    """Return what a Slice takes; None where it does more than to take half-open intervals."""
    if len(node.input) > 4:
        return None
    if len(node.input) == 1:
        fields = {attribute.name: list(attribute.ints) for attribute in node.attribute}
        starts, stops, axes = fields["starts"], fields["ends"], fields["axes"]
    else:
        starts, stops, axes = (
            [int(number) for number in np.ravel(draft.weights[name].array())] for name in node.input[1:4]
        )
    cuts = [Range(axis, start, stop) for axis, start, stop in zip(axes, starts, stops, strict=True)]
    return tuple(sorted(cuts, key=lambda cut: cut.axis))
