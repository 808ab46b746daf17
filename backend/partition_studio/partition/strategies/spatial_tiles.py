"""What exact and independent tiles share: which layers are tiled, how a part is planned, and how it is written."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from onnx import NodeProto

from partition_studio.graph.network import TensorType
from partition_studio.graph.weights import Range
from partition_studio.partition.draft import Draft, ShardError, within
from partition_studio.partition.halo import Affine, Box, Interval, full_box, hull, lengths
from partition_studio.partition.plan import IndependentSharding, SpatialSharding
from partition_studio.partition.run import Run
from partition_studio.partition.strategies.channels_constants import cut_constant
from partition_studio.partition.strategies.spatial_layers import Axes, IndivisibleError, LayerView, Rule, Step
from partition_studio.partition.strategies.spatial_rules import rule_of


@dataclass(frozen=True, slots=True)
class Side:
    """One of the two directions of a grid: what its tiles are called, and their numbers."""

    what: Literal["rows", "columns"]
    numbers: tuple[float, ...]

    @property
    def offset(self) -> int:
        """Its place among the axes of a map."""
        return 0 if self.what == "rows" else 1


@dataclass(frozen=True, slots=True)
class Grid:
    """The directions that are divided, rows first; the parts are numbered row by row."""

    sides: tuple[Side, ...]
    unit: Literal["share", "size"]
    devices: tuple[str, ...]

    @staticmethod
    def of(sharding: SpatialSharding | IndependentSharding) -> "Grid":
        """Return the grid that an entry of the plan asks for."""
        sides = (Side("rows", tuple(sharding.rows)), Side("columns", tuple(sharding.columns)))
        return Grid(tuple(s for s in sides if len(s.numbers) > 1), sharding.unit, tuple(sharding.devices))

    @property
    def tiles(self) -> list[tuple[int, ...]]:
        """For each part, its place on each divided side."""
        places: list[tuple[int, ...]] = [()]
        for side in self.sides:
            places = [(*place, index) for place in places for index in range(len(side.numbers))]
        return places

    @property
    def axes(self) -> Axes:
        """Return the divided axes of a map `[batch, channels, rows, columns]`."""
        return tuple(2 + side.offset for side in self.sides)

    def cells(self, shape: Sequence[int], axes: Axes, cuts: Sequence[Sequence[Interval]]) -> list[Box]:
        """Return the box of each part on a tensor; `cuts` are the intervals of each divided side."""
        boxes = []
        for place in self.tiles:
            box = list(full_box(shape))
            for axis, intervals, index in zip(axes, cuts, place, strict=True):
                box[axis] = intervals[index]
            boxes.append(tuple(box))
        return boxes


@dataclass(frozen=True)
class Layer:
    """A layer of the run with its rule; without one it is computed whole, and `reason` says why."""

    view: LayerView
    rule: Rule | None
    reason: str = ""

    @property
    def name(self) -> str:
        """The node's name."""
        return self.view.name

    def step(self, wanted: Sequence[Box], limits: Mapping[str, Box] | None = None) -> Step:
        """Return how to compute `wanted`. Raises ShardError, which names the layer."""
        assert self.rule is not None
        try:
            return self.rule.step(self.view, wanted, limits)
        except IndivisibleError as error:
            raise self._refusal(error) from None

    def border(self, index: int, axis: int) -> Affine:
        """Return how borders between tiles move from an axis of one of its inputs to its outputs. Raises ShardError."""
        assert self.rule is not None
        try:
            return self.rule.border(self.view, index, axis)
        except IndivisibleError as error:
            raise self._refusal(error) from None

    def _refusal(self, error: IndivisibleError) -> ShardError:
        return ShardError(
            f"The layer {self.name!r} ({self.view.node.op_type}) cannot be divided into these tiles: {error}.",
            next_step="Divide into fewer tiles, or leave this layer out of the run.",
            layer=self.name,
        )

    def reads(self) -> Iterator[tuple[int, str]]:
        """Yield each activation among its inputs, with its index."""
        for index, tensor in enumerate(self.view.node.input):
            if self.view.is_activation(index):
                yield index, tensor


@dataclass(frozen=True)
class TiledRun:
    """A run whose layers are known to be divisible or not, with the divided axes of every tensor that has some."""

    run: Run
    grid: Grid
    layers: tuple[Layer, ...]
    axes: Mapping[str, Axes]


def read_run(draft: Draft, run: Run, grid: Grid) -> TiledRun:
    """Find out what each layer of a run can do, from its inputs on. Raises ShardError where the run reads no map."""
    rank = max((len(draft.shape(tensor)) for tensor in run.inputs), default=0)
    _check_rank(run, grid, rank)
    axes = {tensor: grid.axes for tensor in run.inputs if len(draft.shape(tensor)) == rank}
    layers = []
    for node in run.nodes:
        view = LayerView(draft, node)
        outputs = [t for t in view.outputs if t in draft.types]
        try:
            rule = rule_of(view)
            kept = rule.carry(view, {i: axes[t] for i, t in enumerate(node.input) if t in axes})
            if all(draft.shape(tensor)[axis] == 1 for tensor in outputs for axis in kept):
                raise IndivisibleError(f"its output has one {'row' if kept[0] == 2 else 'column'} only")
            layers.append(Layer(view, rule))
            axes.update((tensor, kept) for tensor in outputs)
        except IndivisibleError as error:
            layers.append(Layer(view, None, str(error)))
            axes.update((t, grid.axes) for t in outputs if len(draft.shape(t)) == rank)
    return TiledRun(run, grid, tuple(layers), axes)


def _check_rank(run: Run, grid: Grid, rank: int) -> None:
    first = run.nodes[0].name
    if rank < 3 or rank > 4:
        kind = "no map of rows and columns" if rank < 3 else f"a map of {rank - 2} dimensions"
        raise ShardError(
            f"The run that begins at {first!r} reads {kind}; tiles are for one or two dimensions.",
            next_step="Divide its channels, or other layers.",
            layer=first,
        )
    if rank == 3 and any(side.what == "columns" for side in grid.sides):
        raise ShardError(
            f"The run that begins at {first!r} reads a map of one dimension, which has rows only.",
            next_step="Divide it into `rows`.",
            layer=first,
        )


@dataclass(frozen=True)
class Part:
    """One part of some layers: how each computes its piece, and which box of each tensor the part has or takes."""

    steps: Mapping[str, Step]
    boxes: Mapping[str, Box]


def plan_part(tiled: TiledRun, layers: Sequence[Layer], outputs: Mapping[str, Box]) -> Part:
    """Go backward from the boxes of the outputs to what every layer must compute. Raises ShardError."""
    boxes: dict[str, Box] = dict(outputs)
    steps: dict[str, Step] = {}
    for layer in reversed(layers):
        wanted = _wanted(tiled, layer, boxes)
        if wanted is None:
            continue
        step = steps[layer.name] = layer.step(wanted)
        for index, tensor in layer.reads():
            needed = step.reads.get(index, full_box(layer.view.shape(index)))
            boxes[tensor] = hull(boxes.get(tensor), needed) or needed
    return Part(steps, boxes)


def _wanted(tiled: TiledRun, layer: Layer, boxes: Mapping[str, Box]) -> list[Box] | None:
    """Return the box of each output; those that nobody wants are made along with the others."""
    needed = [boxes[tensor] for tensor in layer.view.outputs if tensor in boxes]
    if not needed:
        return None
    axes = tiled.axes[layer.view.outputs[0]]
    wanted = []
    for tensor in layer.view.outputs:
        box = list(boxes.get(tensor) or full_box(layer.view.shape_of(tensor)))
        for axis in axes if tensor not in boxes else ():
            box[axis] = Interval(min(n[axis].start for n in needed), max(n[axis].stop for n in needed))
        wanted.append(tuple(box))
    return wanted


class PartWriter:
    """Writes one part of some layers into the draft."""

    def __init__(self, draft: Draft, number: int, device: str) -> None:
        self._draft, self._number, self._device = draft, number, device
        self._have: dict[str, tuple[str, Box]] = {}
        self._pieces: dict[tuple[str, Box], str] = {}

    def write(self, layers: Sequence[Layer], part: Part, inexact: frozenset[str] = frozenset()) -> None:
        """Add a copy of each layer; `inexact` are layers whose pieces differ from the whole's on purpose."""
        made = {tensor for layer in layers for tensor in layer.view.outputs}
        for layer in layers:
            if layer.name not in part.steps:
                continue
            for _, tensor in layer.reads():
                if tensor not in made and tensor not in self._have:
                    box = part.boxes[tensor]
                    name = self._draft.take(tensor, self._ranges(tensor, box), self._named(tensor))
                    self._have[tensor] = (name, box)
            self._copy(layer, part.steps[layer.name], inexact=layer.name in inexact)

    def piece(self, tensor: str, box: Box) -> str:
        """Return the name of a piece of a tensor that the part has, cut out of it if need be."""
        name, have = self._have[tensor]
        if box == have:
            return name
        if (tensor, box) not in self._pieces:
            cuts = [
                Range(axis, wanted.start - whole.start, wanted.stop - whole.start)
                for axis, (wanted, whole) in enumerate(zip(box, have, strict=True))
            ]
            self._pieces[tensor, box] = self._draft.take(name, cuts, self._named(tensor))
        return self._pieces[tensor, box]

    def _copy(self, layer: Layer, step: Step, *, inexact: bool) -> None:
        view, node = layer.view, layer.view.node
        inputs = [self._input(layer, step, index) for index in range(len(node.input))]
        for index in sorted(step.constants):
            inputs.extend("" for _ in range(index + 1 - len(inputs)))
            inputs[index] = self._draft.add_weight(f"{self._named(layer.name)}/{index}", step.constants[index])
        inexact = inexact or any(name in self._draft.approximate for name in inputs)
        keeps = step.keeps or step.makes
        outputs: dict[str, TensorType | None] = {}
        crops = []
        for tensor, made, kept in zip(view.outputs, step.makes, keeps, strict=True):
            cropped = made != kept
            name = self._draft.fresh(f"{self._named(tensor)}/uncropped" if cropped else self._named(tensor))
            outputs[name] = TensorType(self._draft.types[tensor].dtype, lengths(made))
            if inexact:
                self._draft.approximate.add(name)
            if cropped:
                crops.append((tensor, name, made, kept))
            else:
                self._has(tensor, name, made)
        copy = self._draft.add_like(
            node, inputs, outputs, name=self._named(layer.name), attributes=step.attributes, device=self._device
        )
        _leave_out(copy, node)
        for tensor, name, made, kept in crops:
            cuts = [
                Range(a, k.start - m.start, k.stop - m.start) for a, (k, m) in enumerate(zip(kept, made, strict=True))
            ]
            self._has(tensor, self._draft.take(name, cuts, self._named(tensor)), kept)

    def _input(self, layer: Layer, step: Step, index: int) -> str:
        tensor: str = layer.view.node.input[index]
        if layer.view.is_activation(index):
            return self.piece(tensor, step.reads.get(index, full_box(layer.view.shape(index))))
        box = step.reads.get(index)
        if box is None or box == full_box(layer.view.shape(index)):
            return tensor
        ranges = [Range(axis, place.start, place.stop) for axis, place in enumerate(box)]
        return cut_constant(self._draft, tensor, ranges, self._named(tensor))

    def _has(self, tensor: str, name: str, box: Box) -> None:
        self._have[tensor] = (name, box)
        origin = self._draft.origin(tensor)
        if origin is not None:
            self._draft.origins[name] = within(origin, self._ranges(tensor, box))
        if tensor in self._draft.approximate:
            self._draft.approximate.add(name)

    def _ranges(self, tensor: str, box: Box) -> list[Range]:
        whole = full_box(self._draft.shape(tensor))
        return [
            Range(axis, place.start, place.stop)
            for axis, (place, all_of_it) in enumerate(zip(box, whole, strict=True))
            if place != all_of_it
        ]

    def _named(self, name: str) -> str:
        return f"{name}#{self._number}"


def _leave_out(copy: NodeProto, node: NodeProto) -> None:
    """Leave the outputs that `node` leaves out away from its copy too: the others keep their places."""
    names = iter(list(copy.output))
    places = [next(names) if tensor else "" for tensor in node.output]
    del copy.output[:]
    copy.output.extend(places)


def write_parts(
    draft: Draft,
    tiled: TiledRun,
    layers: Sequence[Layer],
    parts: Sequence[Part],
    outputs: Mapping[str, Sequence[Box]],
    inexact: Sequence[frozenset[str]] = (),
) -> None:
    """Replace layers by their parts; `outputs` gives, for each tensor that is read elsewhere, the box of each part."""
    for layer in layers:
        draft.remove(layer.name)
    writers = []
    for number, part in enumerate(parts):
        writer = PartWriter(draft, number, tiled.grid.devices[number])
        writer.write(layers, part, inexact[number] if inexact else frozenset())
        writers.append(writer)
    for tensor, boxes in outputs.items():
        pieces = [writer.piece(tensor, box) for writer, box in zip(writers, boxes, strict=True)]
        _join(draft, tensor, pieces, tiled)


def _join(draft: Draft, tensor: str, pieces: Sequence[str], tiled: TiledRun) -> None:
    """Make a tensor of its tiles: the columns of each row first, then the rows."""
    axes = tiled.axes[tensor]
    if len(axes) == 1:
        draft.join(pieces, tensor, axes[0])
        return
    across = len(tiled.grid.sides[1].numbers)
    rows = []
    first = 0
    for index in range(0, len(pieces), across):
        row = draft.fresh(f"{tensor}#row{index // across}")
        draft.join(pieces[index : index + across], row, axes[1])
        height = draft.shape(row)[axes[0]]
        origin = draft.origin(tensor)
        if origin is not None:
            draft.origins[row] = within(origin, [Range(axes[0], first, first + height)])
        first += height
        rows.append(row)
    draft.join(rows, tensor, axes[0])
