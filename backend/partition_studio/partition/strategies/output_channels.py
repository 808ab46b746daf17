"""Output channels (layer output partitioning, LOP): each part holds a slice of the filters; joined by Concat.

Going through the run, a layer with filters is divided anew: its parts read the whole input, or of a grouped
convolution the channels of their groups. A layer that works per channel is divided as its input is. Every tensor that
must be whole is joined; pieces that are taken out of such joins are later taken from the parts (`partition.joins`).
"""

from functools import partial

from onnx import NodeProto

from partition_studio.graph.weights import Range
from partition_studio.partition.draft import Draft
from partition_studio.partition.plan import OutputChannelSharding
from partition_studio.partition.run import find_run
from partition_studio.partition.shares import intervals
from partition_studio.partition.strategies.channels_filters import FilterLayer, Segment, filter_layer, weight_ranges
from partition_studio.partition.strategies.channels_layers import divide_alike, join_channels, require_divisible
from partition_studio.partition.strategies.channels_work import Bounds, ChannelWork, Split


def apply(draft: Draft, sharding: OutputChannelSharding) -> None:
    """Divide a run by output channels. Raises ShardError, which names the layer."""
    work = ChannelWork(draft, find_run(draft, sharding.layers), sharding.devices)
    require_divisible(work)
    for node in work.run.nodes:
        layer = filter_layer(work, node)
        if layer is not None:
            bounds = inherited_bounds(work, layer) or _anew(sharding, layer)
            divide_filters(work, layer, bounds)
        elif not join_channels(work, node):
            divide_alike(work, node, partial(_chosen, sharding, node))
    work.finish()


def _anew(sharding: OutputChannelSharding, layer: FilterLayer) -> list[Bounds]:
    # Whoever gives shares does not mind where they are rounded: a depthwise convolution is cut between its groups.
    between_groups = layer.depthwise and sharding.unit == "share" and layer.groups >= len(sharding.devices)
    return intervals(
        layer.filters,
        sharding.shares or [1.0] * len(sharding.devices),
        unit=sharding.unit,
        what="output channels",
        layer=layer.node.name,
        step=layer.group_filters if between_groups else 1,
    )


def _chosen(sharding: OutputChannelSharding, node: NodeProto, total: int) -> list[Bounds]:
    shares = sharding.shares or [1.0] * len(sharding.devices)
    return intervals(total, shares, unit=sharding.unit, what="channels", layer=node.name)


def inherited_bounds(work: ChannelWork, layer: FilterLayer) -> list[Bounds] | None:
    """Return the division that a depthwise convolution takes over from its input."""
    split = work.splits.get(layer.x)
    if split is None or not layer.depthwise or split.axis != layer.axis_in:
        return None
    return [(start * layer.group_filters, stop * layer.group_filters) for start, stop in split.bounds]


def divide_filters(work: ChannelWork, layer: FilterLayer, bounds: list[Bounds]) -> None:
    """Put parts of a layer, each with some of its filters, in its place."""
    output = work.output(layer.node)
    names = []
    for part in work.parts:
        segments = layer.segments(bounds[part], layer.group_filters)
        name = work.part_of(output, f"{output}#{part}", layer.axis_out, bounds[part])
        label = f"{layer.node.name}#{part}"
        if len(segments) == 1:
            _add_segment(work, layer, segments[0], part, label, name)
        else:
            _add_segments(work, layer, segments, part, label, name)
        names.append(name)
    work.made(output, Split(layer.axis_out, tuple(bounds), tuple(names)))


def _add_segments(
    work: ChannelWork, layer: FilterLayer, segments: list[Segment], part: int, label: str, name: str
) -> None:
    """Compute a part that ends inside a group: one convolution for each kind of group, joined where they run."""
    output = layer.node.output[0]
    pieces = []
    for index, segment in enumerate(segments):
        bounds = (segment.start, segment.stop)
        piece = work.part_of(output, f"{name}.{index}", layer.axis_out, bounds)
        _add_segment(work, layer, segment, part, f"{label}.{index}", piece)
        pieces.append(piece)
    shape = list(work.draft.types[output].shape)
    work.draft.add(
        "Concat",
        pieces,
        {name: work.kind(output, layer.axis_out, (segments[0].start, segments[-1].stop))},
        name=f"join:{name}",
        attributes={"axis": layer.axis_out % len(shape)},
        device=work.devices[part],
        source=work.draft.source(layer.node.name),
        glue=True,
    )


def _add_segment(work: ChannelWork, layer: FilterLayer, segment: Segment, part: int, label: str, name: str) -> None:
    node, places = layer.node, layer.places
    output = node.output[0]
    rank, bounds = len(work.shape(output)), (segment.start, segment.stop)
    inputs = layer.scalars(work)
    if layer.groups > 1:
        size = layer.group_channels
        inputs[places.x] = work.piece(layer.x, Range(layer.axis_in, segment.first * size, segment.last * size))
    else:
        inputs[places.x] = work.full(layer.x)
    inputs[places.weight] = work.piece(layer.weight, *weight_ranges(layer, segment, of_filters=True))
    for place in (places.bias, *places.per_filter):
        if 0 <= place < len(node.input):
            # The bias of a convolution is a vector, that of a product broadcasts: both end with the filters.
            inputs[place] = work.operand(node.input[place], rank - 1, rank, layer.filters, bounds)
    if 0 <= places.residual < len(node.input):
        inputs[places.residual] = work.operand(node.input[places.residual], layer.axis_out, rank, layer.filters, bounds)
    work.draft.add_like(
        node,
        layer.with_inputs(inputs),
        {name: work.kind(output, layer.axis_out, bounds)},
        name=label,
        attributes=layer.attributes(segment),
        device=work.devices[part],
    )
