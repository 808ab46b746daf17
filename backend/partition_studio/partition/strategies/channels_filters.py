"""Layers with filters: convolutions and products with constant weights, and how their channels hang together."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from onnx import NodeProto

from partition_studio.graph.weights import Range
from partition_studio.partition.strategies.channels_constants import attribute_int
from partition_studio.partition.strategies.channels_work import Bounds, ChannelWork, refuse


@dataclass(frozen=True, slots=True)
class _Inputs:
    """Places of a layer's inputs: data, weight, bias, vectors with an element per filter, a residual sum."""

    kind: str
    x: int = 0
    weight: int = 1
    bias: int = 2
    per_filter: tuple[int, ...] = ()
    residual: int = -1
    requantises: bool = False


_PLACES = {
    ("", "Conv"): _Inputs("convolution"),
    ("", "ConvTranspose"): _Inputs("transposed"),
    ("", "ConvInteger"): _Inputs("convolution", bias=-1, per_filter=(3,)),
    ("", "QLinearConv"): _Inputs("convolution", weight=3, bias=8, per_filter=(4, 5), requantises=True),
    ("com.microsoft", "FusedConv"): _Inputs("convolution", residual=3),
    ("", "Gemm"): _Inputs("product"),
    ("", "MatMul"): _Inputs("product", bias=-1),
    ("", "MatMulInteger"): _Inputs("product", bias=-1, per_filter=(3,)),
    ("", "QLinearMatMul"): _Inputs("product", weight=3, bias=-1, per_filter=(4, 5), requantises=True),
    ("com.microsoft", "QGemm"): _Inputs("product", weight=3, bias=6, per_filter=(4, 5), requantises=True),
}


@dataclass(frozen=True, slots=True)
class Segment:
    """Channels `[start, stop)` that lie in groups `[first, last)`, whole ones or a part of one."""

    start: int
    stop: int
    first: int
    last: int


@dataclass(frozen=True, slots=True)
class FilterLayer:
    """A layer with filters.

    Attributes:
        channels, filters: numbers of input and output channels.
        axis_in, axis_out: axes of the channels in the input and the output.
        weight_in, weight_out: axes of the weight that go along with them; in a grouped convolution one of the two
            counts within a group.
        groups: of a convolution; 1 elsewhere.
    """

    node: NodeProto
    places: _Inputs
    channels: int
    filters: int
    axis_in: int
    axis_out: int
    weight_in: int
    weight_out: int
    groups: int

    @property
    def x(self) -> str:
        """The data that is filtered."""
        return str(self.node.input[self.places.x])

    @property
    def weight(self) -> str:
        """The filters."""
        return str(self.node.input[self.places.weight])

    @property
    def depthwise(self) -> bool:
        """Whether every filter reads one channel of its own."""
        return self.groups > 1 and self.groups == self.channels

    @property
    def group_channels(self) -> int:
        """Input channels of a group."""
        return self.channels // self.groups

    @property
    def group_filters(self) -> int:
        """Filters of a group."""
        return self.filters // self.groups

    def segments(self, bounds: Bounds, size: int) -> list[Segment]:
        """Cut an interval of channels, `size` to a group, at group borders: a partial group, whole ones, a partial one.

        Neighbouring whole groups stay together.
        """
        start, stop = bounds
        found: list[Segment] = []
        while start < stop:
            group = start // size
            if start % size or stop < (group + 1) * size:
                end = min(stop, (group + 1) * size)
                found.append(Segment(start, end, group, group + 1))
            else:
                end = stop // size * size
                found.append(Segment(start, end, group, end // size))
            start = end
        return found

    def attributes(self, segment: Segment) -> dict[str, Any]:
        """Return the attributes of the copy that computes a segment."""
        return {"group": segment.last - segment.first} if self.groups > 1 else {}

    def with_inputs(self, changed: dict[int, str]) -> list[str]:
        """Return the layer's inputs with some changed, without empty ones at the end."""
        inputs = [changed.get(index, name) for index, name in enumerate(self.node.input)]
        while inputs and not inputs[-1]:
            inputs.pop()
        return inputs

    def scalars(self, work: ChannelWork) -> dict[int, str]:
        """Return the inputs that are no channels and are read as a whole, as they are now named."""
        held = {self.places.x, self.places.weight, self.places.bias, self.places.residual, *self.places.per_filter}
        return {i: work.full(name) for i, name in enumerate(self.node.input) if i not in held}


def filter_layer(work: ChannelWork, node: NodeProto) -> FilterLayer | None:
    """Return how the channels of a layer with filters hang together; None for other layers.

    Raises ShardError where the weights are no constants, or the layer has no output channels.
    """
    places = _PLACES.get((node.domain, node.op_type))
    if places is None or node.input[places.x] not in work.draft.types:
        return None
    weight = node.input[places.weight]
    if weight in work.draft.types:
        if places.kind == "product" and node.op_type != "Gemm":
            refuse(node, f"its second factor {weight!r} is computed and not a constant")
        refuse(node, f"its weight {weight!r} is computed and not a constant")
    dims, shape = work.shape(weight), work.shape(node.input[places.x])
    rank = len(work.shape(node.output[0]))
    groups = attribute_int(node, "group", 1)
    if places.kind == "convolution":
        return FilterLayer(node, places, shape[1], dims[0], 1, 1, 1, 0, groups)
    if places.kind == "transposed":
        return FilterLayer(node, places, shape[1], dims[1] * groups, 1, 1, 0, 1, groups)
    if len(dims) < 2 or len(shape) < 2:
        refuse(node, "one of its factors is a vector")
    flipped = attribute_int(node, "transB", 0)
    weight_in, weight_out = (len(dims) - 1, len(dims) - 2) if flipped else (len(dims) - 2, len(dims) - 1)
    axis_in = len(shape) - (2 if attribute_int(node, "transA", 0) else 1)
    return FilterLayer(
        node, places, dims[weight_in], dims[weight_out], axis_in, rank - 1, weight_in, weight_out, groups=1
    )


def weight_ranges(layer: FilterLayer, segment: Segment, *, of_filters: bool) -> Iterator[Range]:
    """Yield the ranges of the weight that a segment of filters, or of input channels, needs."""
    size = layer.group_filters if of_filters else layer.group_channels
    other = layer.group_channels if of_filters else layer.group_filters
    own = layer.weight_out if of_filters else layer.weight_in
    # One axis of a convolution's weight counts over all groups, the other within one.
    over_all = 0
    if layer.groups == 1 or own == over_all:
        yield Range(own, segment.start, segment.stop)
        return
    yield Range(over_all, segment.first * other, segment.last * other)
    if (segment.stop - segment.start) < (segment.last - segment.first) * size:
        yield Range(own, segment.start - segment.first * size, segment.stop - segment.first * size)
