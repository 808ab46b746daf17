"""Input channels (layer input partitioning, LIP): each part holds a slice of each kernel's input channels.

Every part filters its slice of the input; the partial sums are added up, and the bias is in one of them. A grouped
convolution is cut at group borders where the intervals allow it: such parts compute whole outputs, which are joined
instead; only a group that lies in several parts is summed. A run may begin with layers that work per channel: they
are divided as the input of the layer with filters is. Nothing may follow that layer, since nothing but another sum
can be computed of partial sums.
"""

from dataclasses import dataclass

import numpy as np

from partition_studio.graph.weights import Range
from partition_studio.partition.draft import Draft, ShardError
from partition_studio.partition.plan import InputChannelSharding
from partition_studio.partition.run import find_run
from partition_studio.partition.shares import intervals
from partition_studio.partition.strategies.channels_filters import FilterLayer, Segment, filter_layer, weight_ranges
from partition_studio.partition.strategies.channels_layers import divide_alike
from partition_studio.partition.strategies.channels_work import Bounds, ChannelWork, refuse
from partition_studio.partition.strategies.output_channels import divide_filters, inherited_bounds

_ONE = "An entry for input channels is one layer with filters, and before it layers that work per channel."


@dataclass(frozen=True, slots=True)
class _Partial:
    """A tensor that holds the filters of groups `[first, last)`, summed over all or some of their input channels."""

    name: str
    first: int
    last: int
    complete: bool


def apply(draft: Draft, sharding: InputChannelSharding) -> None:
    """Divide a layer by input channels, and the layers before it. Raises ShardError, which names the layer."""
    work = ChannelWork(draft, find_run(draft, sharding.layers), sharding.devices)
    layer = _last(work)
    bounds = _bounds(work, layer, sharding)
    for node in work.run.nodes[:-1]:
        before = filter_layer(work, node)
        inherited = inherited_bounds(work, before) if before is not None else None
        if before is not None and inherited is not None:
            divide_filters(work, before, inherited)
        elif before is not None and before.depthwise and before.x not in work.splits:
            divide_filters(work, before, _start(bounds, work, layer, before.filters))
        else:
            divide_alike(work, node, lambda total: _start(bounds, work, layer, total))
    _add_parts(work, layer, bounds)
    work.finish()


def _last(work: ChannelWork) -> FilterLayer:
    """Return the layer that is divided; check that the run is it and what leads to it."""
    nodes = work.run.nodes
    layers = [(node, filter_layer(work, node)) for node in nodes]
    layer = layers[-1][1]
    found = next((node for node, held in layers[:-1] if held is not None and not held.depthwise), None)
    if found is not None:
        refuse(nodes[nodes.index(found) + 1], f"it needs whole sums, and {found.name!r} gives partial ones", step=_ONE)
    if layer is None:
        wanted = next((node for node, held in layers if held is not None), None)
        if wanted is None:
            refuse(nodes[-1], "it has no filters, so there are no sums over input channels", step=_ONE)
        after = nodes[nodes.index(wanted) + 1]
        refuse(after, f"it needs whole sums, and {wanted.name!r} gives partial ones", step=_ONE)
    if layer.places.requantises:
        refuse(
            layer.node,
            "it quantises its result, which cannot be done to partial sums",
            step="Divide it by output channels.",
        )
    if layer.places.residual >= 0:
        refuse(
            layer.node,
            "it applies an activation to its result, which cannot be done to partial sums",
            step="Divide it by output channels.",
        )
    return layer


def _bounds(work: ChannelWork, layer: FilterLayer, sharding: InputChannelSharding) -> list[Bounds]:
    """Return the intervals of the layer's input channels; layers before it must be cut at whole channels too."""
    first = work.run.nodes[0]
    step = 1
    if first is not layer.node and layer.x in work.run.inputs:
        refuse(first, f"nothing that it makes is the input of {layer.node.name!r}", step=_ONE)
    if first is not layer.node:
        shape = work.shape(first.input[0])
        step = layer.channels // shape[1] if len(shape) > 1 and layer.channels % shape[1] == 0 else 1
    return intervals(
        layer.channels,
        sharding.shares or [1.0] * len(sharding.devices),
        unit=sharding.unit,
        what="input channels",
        layer=layer.node.name,
        step=step,
    )


def _start(bounds: list[Bounds], work: ChannelWork, layer: FilterLayer, total: int) -> list[Bounds]:
    """Return the intervals of `total` channels of an earlier layer that become `bounds` of the layer's input."""
    scaled = [(start * total, stop * total) for start, stop in bounds]
    if any(number % layer.channels for pair in scaled for number in pair):
        first = work.run.nodes[0]
        raise ShardError(
            f"The {total} channels of {first.name!r} cannot be cut where the {layer.channels} input channels of "
            f"{layer.node.name!r} are.",
            next_step=f"Leave {first.name!r} out of the entry, or choose other sizes.",
            layer=first.name,
        )
    return [(start // layer.channels, stop // layer.channels) for start, stop in scaled]


def _add_parts(work: ChannelWork, layer: FilterLayer, bounds: list[Bounds]) -> None:
    output = work.output(layer.node)
    begun: set[int] = set()
    partials: list[_Partial] = []
    for part in work.parts:
        segments = layer.segments(bounds[part], layer.group_channels)
        for index, segment in enumerate(segments):
            suffix = f"#{part}" if len(segments) == 1 else f"#{part}.{index}"
            partials.append(_add_segment(work, layer, segment, part, suffix, with_bias=segment.first not in begun))
            begun.add(segment.first)
    _assemble(work, layer, output, partials)


def _add_segment(
    work: ChannelWork, layer: FilterLayer, segment: Segment, part: int, suffix: str, *, with_bias: bool
) -> _Partial:
    node, places = layer.node, layer.places
    output, rank = node.output[0], len(work.shape(node.output[0]))
    size = layer.group_filters
    bounds = (segment.first * size, segment.last * size)
    complete = segment.stop - segment.start == (segment.last - segment.first) * layer.group_channels
    inputs = layer.scalars(work)
    inputs[places.x] = work.piece(layer.x, Range(layer.axis_in, segment.start, segment.stop))
    inputs[places.weight] = work.piece(layer.weight, *weight_ranges(layer, segment, of_filters=False))
    for place in (places.bias, *places.per_filter):
        if 0 <= place < len(node.input):
            inputs[place] = work.operand(node.input[place], rank - 1, rank, layer.filters, bounds)
    if not with_bias and 0 <= places.bias < len(node.input):
        inputs[places.bias] = _no_bias(work, layer)
    wanted = f"{output}{suffix}"
    if complete:
        name = work.part_of(output, wanted, layer.axis_out, bounds)
    else:
        name = work.inherit(output, work.draft.fresh(wanted))
    work.draft.add_like(
        node,
        layer.with_inputs(inputs),
        {name: work.kind(output, layer.axis_out, bounds)},
        name=f"{node.name}{suffix}",
        attributes=layer.attributes(segment),
        device=work.devices[part],
    )
    return _Partial(name, segment.first, segment.last, complete)


def _no_bias(work: ChannelWork, layer: FilterLayer) -> str:
    """Return what stands for a bias that another part adds: nothing, or a zero where the operator demands one."""
    if layer.node.op_type != "Gemm" or work.draft.opset >= 11:
        return ""
    dtype = work.draft.types[layer.node.output[0]].dtype
    return work.draft.add_weight(f"{layer.node.name}/zero", np.zeros((1, 1), dtype))


def _assemble(work: ChannelWork, layer: FilterLayer, output: str, partials: list[_Partial]) -> None:
    """Add up what belongs to the same group, and join the groups."""
    size = layer.group_filters
    regions: list[list[_Partial]] = []
    for partial in partials:
        if regions and not partial.complete and not regions[-1][0].complete and regions[-1][0].first == partial.first:
            regions[-1].append(partial)
        else:
            regions.append([partial])
    if len(regions) == 1:
        _add_up(work, layer, [partial.name for partial in regions[0]], output)
        return
    pieces = []
    for region in regions:
        name = region[0].name
        if not region[0].complete:
            bounds = (region[0].first * size, region[0].last * size)
            name = work.part_of(output, f"{output}[{bounds[0]}:{bounds[1]}]", layer.axis_out, bounds)
            work.draft.types[name] = work.kind(output, layer.axis_out, bounds)
            _add_up(work, layer, [partial.name for partial in region], name)
        pieces.append(name)
    work.draft.join(pieces, output, layer.axis_out)


def _add_up(work: ChannelWork, layer: FilterLayer, names: list[str], total: str) -> None:
    """Make `total` by one Sum, or a chain of Add where the elements are whole numbers, which Sum does not take."""
    draft, kind = work.draft, work.draft.types[total]
    source = draft.source(layer.node.name)
    if kind.dtype.startswith("float"):
        draft.add("Sum", names, {total: kind}, name=f"join:{total}", source=source, glue=True)
        return
    held = names[0]
    for index, name in enumerate(names[1:], start=2):
        made = total if index == len(names) else draft.fresh(f"{total}/{index}")
        draft.add("Add", [held, name], {made: kind}, name=f"join:{made}", source=source, glue=True)
        held = made
