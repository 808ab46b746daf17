"""Poses a question as numbers: from a network, figures and limits to a `Problem`."""

import itertools
import math
from collections.abc import Iterable, Mapping
from dataclasses import replace
from difflib import get_close_matches

import numpy as np

from partition_agent.protocol import STUDIO_PEER
from partition_studio.graph.dtypes import TRAVELLING
from partition_studio.graph.network import Layer, Network
from partition_studio.partition.memory import stage_need
from partition_studio.partition.stages import Stage
from partition_studio.planner.errors import BadFiguresError, ContradictionError, NoPowerError
from partition_studio.planner.figures.checks import require_devices, require_links
from partition_studio.planner.figures.figures import Figures
from partition_studio.planner.figures.profile import Profile
from partition_studio.planner.prediction.stage_time import LAYOUT_PASSES, elementwise_bytes_per_s, has_layout
from partition_studio.planner.search.problem.problem import (
    STUDIO,
    Detail,
    Floats,
    Problem,
    SharedWeight,
    Step,
    Tensor,
    Torn,
)
from partition_studio.planner.search.problem.units import units_of
from partition_studio.planner.search.question import Question

#: Of a device without a limit.
ENDLESS_BYTES = 2**62

#: As `partition.memory` has them.
_MATRIX_KINDS = frozenset(("Gemm", "MatMul"))


def pose(question: Question) -> Problem:
    """Return a question as numbers.

    Raises BadFiguresError for figures that cannot be, ContradictionError for limits that exclude each other, and
    NoPowerError where energy is asked for and a device's power is not known.
    """
    network, limits = question.network, question.limits
    devices = tuple(dict.fromkeys(name for name in question.devices if name not in limits.excluded))
    settled = _settled(question, devices)
    _require_figures(question.figures, devices, network)
    units = units_of(network, (question.figures.devices[name].profile for name in devices), settled)
    known = [question.figures.devices[name] for name in devices]
    seconds = [_compute_s(device.profile, number, units) for number, device in enumerate(known)]
    layers = [[network.layer(name) for name in unit] for unit in units]
    shared = _shared_weights(network, layers)
    needs = [stage_need(network, _alone(network, unit)) for unit in units]
    apart = _shared_bytes(shared, len(units))
    problem = Problem(
        units=tuple(units),
        devices=devices,
        compute_s=np.array([row for row, _ in seconds]).reshape(len(devices), len(units)),
        session_s=np.array([device.profile.session_s for device in known]),
        layout_byte_s=np.array([LAYOUT_PASSES / elementwise_bytes_per_s(d.profile, network) for d in known]),
        cores=np.array([float(device.cores) for device in known]),
        threads=np.array([device.threads for device in known]),
        message_s=np.array([*(device.carry.message_s for device in known), question.figures.studio.message_s]),
        byte_s=np.array([*(device.carry.byte_s for device in known), question.figures.studio.byte_s]),
        beside_byte_s=np.array(
            [*(device.carry.beside_byte_s for device in known), question.figures.studio.beside_byte_s]
        ),
        tensors=_tensors(network, units),
        **_links(question.figures, devices),
        weight_bytes=np.array([n.weight_bytes - all_of for n, (all_of, _) in zip(needs, apart, strict=True)]),
        matrix_bytes=np.array([n.matrix_bytes - matrices for n, (_, matrices) in zip(needs, apart, strict=True)]),
        live_bytes=np.array([need.live_bytes for need in needs]),
        layers=np.array([len(unit) for unit in units]),
        memory_bytes=np.array([_memory_limit(question, name) for name in devices]),
        idle_w=np.array([math.nan if device.power is None else device.power.idle_w for device in known]),
        active_w=np.array([math.nan if device.power is None else device.power.active_w for device in known]),
        allowed=np.array([[all(settled.get(x, name) == name for x in unit) for unit in units] for name in devices]),
        objective=question.objective,
        limits=limits,
        detail=replace(
            _lives(network, units),
            torn=tuple(itertools.chain.from_iterable(torn for _, torn in seconds)),
            shared=tuple(weight for _, weight in shared),
            packing_bytes=tuple(_packing_bytes(unit, {name for name, _ in shared}, network) for unit in layers),
            divided_s=np.array([_divided_s(device.profile, units) for device in known]).reshape(len(devices), -1),
        ),
    )
    _require_power(problem)
    return problem


def _settled(question: Question, devices: tuple[str, ...]) -> dict[str, str]:
    """Return the device of each layer that a pin or privacy gives it. Raises ContradictionError."""
    network, limits = question.network, question.limits
    if not devices:
        raise ContradictionError(
            "No device is left to place the layers on.", next_step="Name a device, or exclude fewer."
        )
    if limits.contiguous and (others := limits.strategies - {"layers"}):
        raise ContradictionError(
            f"One run of layers for each device, and {' and '.join(sorted(others))}, exclude each other.",
            next_step="Leave out one of them.",
        )
    for pinned, device in limits.pins.items():
        if pinned not in network.layers_by_name:
            message = f"The pinned layer {pinned!r} is not in the network.{_suggest(pinned, network.layers_by_name)}"
            raise ContradictionError(message, next_step="Pin a layer of this network.", layer=pinned)
        _require_usable(question, devices, device, f"the layer {pinned!r} is pinned to")
    settled = dict(limits.pins)
    if limits.input_on is not None:
        _require_usable(question, devices, limits.input_on, "the network's inputs must stay on")
        for layer in _readers_of_inputs(network):
            if settled.setdefault(layer.name, limits.input_on) != limits.input_on:
                raise ContradictionError(
                    f"The layer {layer.name!r} reads the network's input, which must stay on {limits.input_on!r}, "
                    f"and is pinned to {settled[layer.name]!r}.",
                    layer=layer.name,
                    device=settled[layer.name],
                )
    _require_together(network, settled)
    least = max(len(set(settled.values())), 1)
    if limits.max_devices is not None and limits.max_devices < least:
        names = ", ".join(sorted(set(settled.values())))
        why = f"; layers are pinned to {least} ({names})" if settled else ""
        raise ContradictionError(f"At most {limits.max_devices} devices may be used{why}.")
    return settled


def _require_usable(question: Question, devices: tuple[str, ...], device: str, what: str) -> None:
    if device in question.limits.excluded:
        raise ContradictionError(f"The device {device!r} is left out, but {what} it.", device=device)
    if device not in devices:
        message = f"The device that {what}, {device!r}, is not among those to plan for.{_suggest(device, devices)}"
        raise ContradictionError(message, next_step="Add the device, or choose another.", device=device)


def _require_together(network: Network, settled: Mapping[str, str]) -> None:
    """Refuse pins that would send a tensor that cannot travel."""
    for name, readers in network.consumers.items():
        maker = network.producers.get(name)
        if maker is None or maker.name not in settled or network.tensors[name].dtype in TRAVELLING:
            continue
        for reader in readers:
            if settled.get(reader.name, settled[maker.name]) != settled[maker.name]:
                raise ContradictionError(
                    f"The layers {maker.name!r} and {reader.name!r} are pinned to different devices, but the tensor "
                    f"between them is {network.tensors[name].dtype}, which no runtime takes from outside.",
                    layer=reader.name,
                )


def _readers_of_inputs(network: Network) -> Iterable[Layer]:
    return (layer for layer in network.layers if any(tensor in network.inputs for tensor in layer.inputs))


def _suggest(name: str, known: Iterable[str]) -> str:
    close = get_close_matches(name, list(known), n=3, cutoff=0.5)
    return f" Did you mean {' or '.join(repr(other) for other in close)}?" if close else ""


def _require_figures(figures: Figures, devices: tuple[str, ...], network: Network) -> None:
    require_devices(figures, devices)
    peers = (*devices, STUDIO_PEER)
    require_links(figures, itertools.permutations(peers, 2))
    for name in devices:
        profile = figures.devices[name].profile
        if not any(layer.name in profile.alone_s for layer in network.layers):
            raise BadFiguresError(f"The profile of {name!r} has no layer of this network.", device=name)


def _require_power(problem: Problem) -> None:
    if not problem.needs_power:
        return
    unknown = [name for name, idle_w in zip(problem.devices, problem.idle_w, strict=True) if math.isnan(idle_w)]
    if unknown:
        names = ", ".join(repr(name) for name in unknown)
        raise NoPowerError(f"Energy is asked for, and the power of {names} is not known.", devices=unknown)


def _compute_s(profile: Profile, device: int, units: list[tuple[str, ...]]) -> tuple[list[float], list[Torn]]:
    """Return the seconds of each unit on one device, and what kernels that lie in several units add to that.

    For a stage of whole kernels and for one that tears them, this adds up to what `predict_stage_s` says of it.
    """
    unit_of = {layer: unit for unit, layers in enumerate(units) for layer in layers}
    alone = profile.alone_s
    seconds, torn = [0.0] * len(units), []
    for kernel in profile.kernels:
        heaviest = max(kernel.layers, key=lambda name: alone.get(name, 0.0))
        parts: dict[int, float] = {}
        for layer in kernel.layers:
            if layer in unit_of and layer in alone:
                parts[unit_of[layer]] = parts.get(unit_of[layer], 0.0) + alone[layer]
        if heaviest not in unit_of or heaviest not in alone:
            continue
        head = unit_of[heaviest]
        seconds[head] += kernel.median_s
        torn += [Torn(device, head, unit, extra_s) for unit, extra_s in parts.items() if unit != head]
    return seconds, torn


def _divided_s(profile: Profile, units: list[tuple[str, ...]]) -> list[float]:
    """Return what each unit takes at least, in all, where its layers are divided: see `stage_time`.

    Of a kernel, a layer takes its share of it where it is divided; where it is not and another one is, what it took
    alone, or, if it is the heaviest, all that the kernel took.
    """
    unit_of = {layer: unit for unit, layers in enumerate(units) for layer in layers}
    alone = profile.alone_s
    seconds = [0.0] * len(units)
    for kernel in profile.kernels:
        total = sum(alone.get(name, 0.0) for name in kernel.layers)
        heaviest = max(kernel.layers, key=lambda name: alone.get(name, 0.0))
        for name in kernel.layers:
            if total > 0 and name in unit_of:
                share_s = kernel.median_s * alone.get(name, 0.0) / total
                seconds[unit_of[name]] += share_s if name == heaviest else min(share_s, alone.get(name, 0.0))
    return seconds


def _alone(network: Network, unit: tuple[str, ...]) -> Stage:
    """Return a unit as a stage of its own."""
    layers = [network.layer(name) for name in unit]
    made = {tensor for layer in layers for tensor in layer.outputs}
    inputs = dict.fromkeys(tensor for layer in layers for tensor in layer.inputs if tensor not in made)
    inside = set(unit)
    outputs = [
        tensor
        for layer in layers
        for tensor in layer.outputs
        if tensor in network.outputs or any(reader.name not in inside for reader in network.consumers[tensor])
    ]
    return Stage("", "", unit, tuple(inputs), tuple(outputs))


def _tensors(network: Network, units: list[tuple[str, ...]]) -> tuple[Tensor, ...]:
    unit_of = {layer: unit for unit, layers in enumerate(units) for layer in layers}
    found = []
    for name, kind in network.tensors.items():
        maker = network.producers.get(name)
        producer = STUDIO if maker is None else unit_of[maker.name]
        readers = [reader for reader in network.consumers[name] if unit_of[reader.name] != producer]
        consumers = sorted({unit_of[reader.name] for reader in readers})
        is_output = name in network.outputs
        if not consumers and not is_output:
            continue
        in_layout = {unit_of[r.name] for r in readers if maker is not None and has_layout(network, maker, r, name)}
        is_laid_out = bool(consumers) and len(in_layout) == len(consumers)
        found.append(
            Tensor(
                name=name,
                size_bytes=kind.size_bytes,
                producer=producer,
                consumers=tuple(consumers),
                is_output=is_output,
                is_laid_out=is_laid_out,
                laid_out_for=() if is_laid_out else tuple(sorted(in_layout)),
                travels=kind.dtype in TRAVELLING,
            )
        )
    return tuple(found)


def _links(figures: Figures, devices: tuple[str, ...]) -> dict[str, Floats]:
    peers = (*devices, STUDIO_PEER)
    links = [[figures.links.of(source, target) for target in peers] for source in peers]
    return {
        "link_bytes_per_s": np.array([[link.bytes_per_s for link in row] for row in links], dtype=np.float64),
        "link_latency_s": np.array([[link.latency_s for link in row] for row in links], dtype=np.float64),
        "interface_bytes_per_s": np.array([figures.links.interfaces.get(peer, math.inf) for peer in peers]),
    }


def _memory_limit(question: Question, device: str) -> int:
    limit = question.limits.memory_bytes.get(device, question.figures.devices[device].memory_bytes)
    return ENDLESS_BYTES if limit is None else limit


def _shared_weights(network: Network, units: list[list[Layer]]) -> list[tuple[str, SharedWeight]]:
    """Return the weights that several units read."""
    readers: dict[str, set[int]] = {}
    matrices: set[str] = set()
    for unit, layers in enumerate(units):
        for layer in layers:
            for name in layer.weights:
                readers.setdefault(name, set()).add(unit)
                if layer.op_type in _MATRIX_KINDS:
                    matrices.add(name)
    return [
        (name, SharedWeight(network.weight_sizes[name], name in matrices, tuple(sorted(of))))
        for name, of in readers.items()
        if len(of) > 1
    ]


def _shared_bytes(shared: list[tuple[str, SharedWeight]], units: int) -> list[tuple[int, int]]:
    """Return, of each unit, the bytes of its shared weights and of those that are matrices."""
    found = [(0, 0)] * units
    for _, weight in shared:
        for unit in weight.units:
            total, matrices = found[unit]
            found[unit] = total + weight.size_bytes, matrices + weight.is_matrix * weight.size_bytes
    return found


def _packing_bytes(layers: list[Layer], shared: set[str], network: Network) -> int:
    names = dict.fromkeys(n for x in layers if x.op_type in _MATRIX_KINDS for n in x.weights if n not in shared)
    packed = packing = 0
    for name in names:
        packing = max(packing, packed + 2 * network.weight_sizes[name])
        packed += network.weight_sizes[name]
    return packing


def _lives(network: Network, units: list[tuple[str, ...]]) -> Detail:
    """Return which activations each layer reads and makes."""
    unit_of = {layer: unit for unit, layers in enumerate(units) for layer in layers}
    number = {name: place for place, name in enumerate(network.tensors)}
    return Detail(
        steps=tuple(
            Step(unit_of[x.name], tuple(number[t] for t in x.inputs), tuple(number[t] for t in x.outputs))
            for x in network.layers
        ),
        activation_bytes=tuple(kind.size_bytes for kind in network.tensors.values()),
        output_activations=frozenset(number[name] for name in network.outputs),
    )
