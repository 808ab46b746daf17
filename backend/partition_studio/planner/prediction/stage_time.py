"""Predict what a stage takes on a device from the profile of the whole network there.

A kernel that lies in the stage as a whole takes what it took in the whole network. Of one that the stage's border cuts,
the part with its heaviest layer takes what the kernel took, since what was fused into it cost next to nothing; the
other parts take what their layers took alone. On top comes what every run of the runtime takes, and what the runtime
takes to bring activations at the borders from its own memory layout into the usual one, or back: as long as reading
and writing them, whose rate the profile itself tells (layers that do nothing but that were measured alone).
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from statistics import median

from partition_studio.graph.network import Layer, Network
from partition_studio.planner.figures.profile import KernelFigures, Profile

#: Layers that only read and write every element once: what they take is the rate of the memory.
_ELEMENTWISE = frozenset({"Relu", "Add", "Sum", "Mul", "Clip", "LeakyRelu", "BatchNormalization", "Identity"})

#: Layers that the runtime runs in its own memory layout, or passes through in it.
_LAID_OUT = frozenset(
    {"Conv", "MaxPool", "AveragePool", "GlobalAveragePool", "GlobalMaxPool", "Relu", "Clip", "Sigmoid", "Tanh"}
    | {"BatchNormalization", "Add", "Sum", "Concat", "Mul", "Dropout"}
)

#: What a change of layout takes, in reads and writes of the tensor by an elementwise layer.
LAYOUT_PASSES = 1.5

#: Without any elementwise layer in the profile; of little weight, for such a network has hardly a layout to change.
_BYTES_PER_S = 4e9

#: Bytes below which a layer's time tells of the runtime, not of the memory.
_TELLING_BYTES = 1 << 16

#: A prediction of which more than this share is reckoned and not measured is said to be uncertain.
_UNSURE = 0.25


@dataclass(frozen=True, slots=True)
class StageTime:
    """Predicted seconds of one frame in a stage, its parts, and what the person should know of it.

    `measured_s` is the sum of kernels that were measured as they are; `cut_s` what the parts of cut kernels take;
    `layout_s` the changes of memory layout at the borders; `session_s` the runtime's own.
    """

    seconds: float
    measured_s: float
    cut_s: float
    layout_s: float
    session_s: float
    warnings: tuple[str, ...] = ()


def predict_stage_s(
    profile: Profile, network: Network, layers: Iterable[str], sources: Mapping[str, str] | None = None
) -> StageTime:
    """Return the predicted time of a stage that runs `layers`.

    `network` is the one that the layers are of. Where it was divided, `sources` names for each layer made by a division
    the layer of the profiled network that it comes from: it takes that layer's time by its share of the
    multiply-accumulates, or of the output where there are none.
    """
    stage = dict.fromkeys(layers)
    sources = sources or {}
    whole = {name for name in stage if name not in sources and name in profile.alone_s}
    made = [name for name in stage if name not in whole]
    measured_s = cut_s = 0.0
    for kernel in profile.kernels:
        inside = [name for name in kernel.layers if name in whole]
        if len(inside) == len(kernel.layers):
            measured_s += kernel.median_s
        elif inside:
            cut_s += part_s(profile, kernel, inside)
    shards_s, unknown = _made_s(profile, network, made, sources)
    cut_s += shards_s
    layout_s = _layout_s(profile, network, stage)
    seconds = measured_s + cut_s + layout_s + profile.session_s
    warnings = stage_warnings(unknown, cut_s + layout_s, seconds)
    return StageTime(seconds, measured_s, cut_s, layout_s, profile.session_s, warnings)


def stage_warnings(unknown: Sequence[str], reckoned_s: float, seconds: float) -> tuple[str, ...]:
    """Return what to say of a stage with layers that were not profiled, and of which so much was not measured."""
    warnings = []
    if len(unknown) > 1:
        warnings.append(f"{unknown[0]} and {len(unknown) - 1} more layers were not profiled")
    elif unknown:
        warnings.append(f"{unknown[0]} was not profiled")
    if reckoned_s > _UNSURE * seconds:
        share = reckoned_s / seconds
        warnings.append(f"{share:.0%} of it is reckoned: the stage's borders cut what the runtime runs as one")
    return tuple(warnings)


def part_s(profile: Profile, kernel: KernelFigures, inside: Sequence[str]) -> float:
    """Return what some of a kernel's layers take."""
    alone = profile.alone_s
    heaviest = max(kernel.layers, key=lambda name: alone.get(name, 0.0))
    if heaviest in inside:
        return kernel.median_s
    # What was fused is not faster than the memory, but not slower than alone either.
    return sum(alone.get(name, 0.0) for name in inside)


def _made_s(
    profile: Profile, network: Network, made: Sequence[str], sources: Mapping[str, str]
) -> tuple[float, list[str]]:
    """Return what layers of a divided network take, and those of which nothing is known."""
    if not made:
        return 0.0, []
    share, bytes_per_s = _shares(profile), elementwise_bytes_per_s(profile, network)
    weighed: dict[str, float] = {}
    for name, source in sources.items():
        layer = network.layers_by_name.get(name)
        if layer is not None:
            weighed[source] = weighed.get(source, 0.0) + _weight(layer)
    seconds, unknown = 0.0, []
    for name in made:
        origin, layer = sources.get(name), network.layers_by_name.get(name)
        if origin is None or origin not in profile.alone_s or layer is None:
            unknown.append(name)
            continue
        total = weighed.get(origin, 0.0)
        if layer.macs == 0 and total >= 1:
            # Joins and windows around a divided layer only move bytes.
            seconds += layer.activation_bytes / bytes_per_s
            continue
        seconds += share(origin) * (_weight(layer) / total if total > 0 else 0.0)
    return seconds, unknown


def _weight(layer: Layer) -> float:
    return float(layer.macs) or layer.activation_bytes * 1e-9


def _shares(profile: Profile) -> Callable[[str], float]:
    """Return each layer's own share of the kernel that it is fused into."""
    kernel_of = {name: kernel for kernel in profile.kernels for name in kernel.layers}
    alone = profile.alone_s

    def share(name: str) -> float:
        kernel = kernel_of.get(name)
        if kernel is None:
            return alone.get(name, 0.0)
        total = sum(alone.get(other, 0.0) for other in kernel.layers)
        return kernel.median_s * alone.get(name, 0.0) / total if total > 0 else 0.0

    return share


def _layout_s(profile: Profile, network: Network, stage: Mapping[str, None]) -> float:
    """Return the seconds of the changes of memory layout at a stage's borders that the whole network has not."""
    entering, leaving = set(), set()
    for name in stage:
        layer = network.layers_by_name.get(name)
        if layer is None:
            continue
        for tensor in layer.inputs:
            maker = network.producers.get(tensor)
            if maker is not None and maker.name not in stage and has_layout(network, maker, layer, tensor):
                entering.add(tensor)
        for tensor in layer.outputs:
            readers = [r for r in network.consumers[tensor] if r.name not in stage]
            if any(has_layout(network, layer, reader, tensor) for reader in readers):
                leaving.add(tensor)
    moved = sum(network.tensors[tensor].size_bytes for tensor in [*entering, *leaving])
    return LAYOUT_PASSES * moved / elementwise_bytes_per_s(profile, network) if moved else 0.0


def has_layout(network: Network, maker: Layer, reader: Layer, tensor: str) -> bool:
    """Return whether a tensor passes from maker to reader in the runtime's own layout when both are in one stage."""
    shape = network.tensors[tensor].shape
    return len(shape) == 4 and maker.op_type in _LAID_OUT and reader.op_type in _LAID_OUT


def elementwise_bytes_per_s(profile: Profile, network: Network) -> float:
    """Return how many bytes of output the device's elementwise layers make in a second, measured alone."""
    layers = network.layers_by_name
    rates = [
        figures.output_bytes / figures.median_s
        for figures in profile.layers
        if figures.output_bytes >= _TELLING_BYTES
        and figures.median_s > 0
        and (layer := layers.get(figures.layer)) is not None
        and layer.op_type in _ELEMENTWISE
    ]
    return median(rates) if rates else _BYTES_PER_S
