"""What a channel sharding knows while it rewrites a run: which tensors exist as parts, how to get pieces."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NoReturn

from onnx import NodeProto

from partition_studio.graph.network import TensorType
from partition_studio.graph.weights import Range
from partition_studio.partition.draft import Draft, Origin, ShardError
from partition_studio.partition.run import Run
from partition_studio.partition.strategies.channels_constants import cut_constant, shape_of

#: Half-open interval of channels.
Bounds = tuple[int, int]


@dataclass(frozen=True, slots=True)
class Split:
    """A tensor that exists as parts: part i is the tensor `names[i]` and holds `bounds[i]` along `axis`."""

    axis: int
    bounds: tuple[Bounds, ...]
    names: tuple[str, ...]


class ChannelWork:
    """A run while it is divided by channels, layer after layer.

    The run's layers are taken out first; whoever divides them says what stands in their place with `made`.
    """

    def __init__(self, draft: Draft, run: Run, devices: Sequence[str]) -> None:
        self.draft = draft
        self.devices = tuple(devices)
        self.run = run
        self.splits: dict[str, Split] = {}
        self._members = set(run.names)
        self._pieces: dict[tuple[str, tuple[Range, ...]], str] = {}
        self._joined: set[str] = set()
        for node in run.nodes:
            draft.remove(node.name)

    @property
    def parts(self) -> range:
        """Numbers of the parts."""
        return range(len(self.devices))

    def shape(self, name: str) -> tuple[int, ...]:
        """Return the shape of an activation or constant."""
        return shape_of(self.draft, name)

    def made(self, tensor: str, split: Split) -> None:
        """Note that a tensor of the run now exists as parts."""
        self.splits[tensor] = split

    def whole(self, tensor: str) -> str:
        """Return a tensor's name, and see to it that it exists as a whole."""
        if tensor in self.splits and tensor not in self._joined:
            split = self.splits[tensor]
            self.draft.join(split.names, tensor, split.axis)
            self._joined.add(tensor)
        return tensor

    def piece(self, name: str, *cuts: Range) -> str:
        """Return the name of a piece of an activation or constant; "" for an input that is left out."""
        if not name:
            return ""
        if name not in self.draft.types:
            return self._constant_piece(name, cuts)
        split = self.splits.get(name)
        if split is not None and len(cuts) == 1 and cuts[0].axis == split.axis:
            bounds = (cuts[0].start, cuts[0].stop)
            if bounds in split.bounds:
                return split.names[split.bounds.index(bounds)]
        key = (self.whole(name), cuts)
        if key not in self._pieces:
            where = ",".join(f"{cut.start}:{cut.stop}" for cut in cuts)
            self._pieces[key] = self.draft.take(name, cuts, f"{name}[{where}]")
        return self._pieces[key]

    def _constant_piece(self, name: str, cuts: tuple[Range, ...]) -> str:
        key = (name, cuts)
        if key not in self._pieces:
            where = ",".join(f"{cut.start}:{cut.stop}" for cut in cuts)
            self._pieces[key] = cut_constant(self.draft, name, cuts, f"{name}[{where}]")
        return self._pieces[key]

    def operand(self, name: str, axis: int, rank: int, size: int, bounds: Bounds) -> str:
        """Return the piece of an operand that broadcasts to a tensor of `rank`, which is cut to `bounds` of `size`."""
        if not name:
            return ""
        shape = self.shape(name)
        own = axis - (rank - len(shape))
        if own < 0 or shape[own] != size:
            return self.full(name)
        return self.piece(name, Range(own, *bounds))

    def full(self, name: str) -> str:
        """Return the name of an input that is read as a whole; "" for one that is left out."""
        return self.whole(name) if name in self.draft.types else name

    def kind(self, tensor: str, axis: int, bounds: Bounds) -> TensorType:
        """Return the type of a piece of a tensor."""
        whole = self.draft.types[tensor]
        return TensorType(whole.dtype, (*whole.shape[:axis], bounds[1] - bounds[0], *whole.shape[axis + 1 :]))

    def part_of(self, tensor: str, wanted: str, axis: int, bounds: Bounds) -> str:
        """Return a name for a tensor that will equal a piece of `tensor`, and note where it lies in the whole."""
        return self.note(tensor, self.draft.fresh(wanted), axis, bounds)

    def note(self, tensor: str, name: str, axis: int, bounds: Bounds) -> str:
        """Note that the tensor `name` equals a piece of `tensor`; return it."""
        origin = self.draft.origin(tensor)
        if origin is not None:
            self.draft.origins[name] = _inside(origin, Range(axis, *bounds))
        return self.inherit(tensor, name)

    def inherit(self, tensor: str, name: str) -> str:
        """Mark `name` approximate where the tensor that it is a part of is; return it."""
        if tensor in self.draft.approximate:
            self.draft.approximate.add(name)
        return name

    def output(self, node: NodeProto) -> str:
        """Return the one output of a layer that somebody reads.

        Raises ShardError for a layer of which several are read; unread ones vanish with it.
        """
        others = [t for t in node.output[1:] if t and (t in self.draft.outputs or self._is_read(t))]
        if others:
            refuse(node, f"its output {others[0]!r} is read, which cannot be computed by channel")
        return str(node.output[0])

    def _is_read(self, tensor: str) -> bool:
        return bool(self.draft.readers(tensor)) or any(tensor in node.input for node in self.run.nodes)

    def each(
        self,
        node: NodeProto,
        axis: int,
        bounds: Sequence[Bounds],
        inputs: Callable[[int], Sequence[str]],
        attributes: Callable[[int], Mapping[str, Any]] = lambda part: {},
    ) -> None:
        """Put one copy of a layer for each part in its place; part i makes `bounds[i]` of the output along `axis`."""
        output = self.output(node)
        names = []
        for part in self.parts:
            read = list(inputs(part))
            name = self.part_of(output, f"{output}#{part}", axis, bounds[part])
            self.draft.add_like(
                node,
                read,
                {name: self.kind(output, axis, bounds[part])},
                name=f"{node.name}#{part}",
                attributes=attributes(part),
                device=self.devices[part],
            )
            names.append(name)
        self.made(output, Split(axis, tuple(bounds), tuple(names)))

    def finish(self) -> None:
        """Join what is read outside the run."""
        for tensor in self.run.outputs:
            self.whole(tensor)


def refuse(node: NodeProto, why: str, *, step: str = "Leave it out of the entry, or divide it spatially.") -> NoReturn:
    """Raise the ShardError of a layer that cannot be divided by channel."""
    raise ShardError(
        f"The layer {node.name!r} ({node.op_type}) cannot be divided by channel: {why}.",
        next_step=step,
        layer=node.name,
    )


def _inside(origin: Origin, cut: Range) -> Origin:
    """Return the origin of a piece of something that has an origin itself."""
    ranges = {known.axis: known for known in origin.ranges}
    first = ranges[cut.axis].start if cut.axis in ranges else 0
    ranges[cut.axis] = Range(cut.axis, first + cut.start, first + cut.stop)
    return Origin(origin.whole, tuple(ranges[axis] for axis in sorted(ranges)))
