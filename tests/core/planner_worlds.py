"""Networks with made-up figures: what a planner's tests need of devices, without measuring any."""

import random
from collections.abc import Iterable, Mapping, Sequence
from itertools import pairwise

import numpy as np
import onnx
from onnx import helper

from partition_agent.protocol import STUDIO_PEER
from partition_studio.graph.network import Network
from partition_studio.planner.figures.figures import (
    CarrySpeed,
    DeviceFigures,
    DevicePower,
    Figures,
    LinkFigures,
    LinkTable,
    Way,
)
from partition_studio.planner.figures.profile import (
    KernelFigures,
    LayerFigures,
    Profile,
    ProfileKey,
    network_digest,
)
from tests.core.networks import make_model, value, weight

MIB = 2**20

CARRY = CarrySpeed(1e-4, 1e-9)
POWER = DevicePower(2.0, 3.0)


def profile_for(
    network: Network,
    device: str,
    seconds: Mapping[str, float],
    *,
    fused: Iterable[Sequence[str]] = (),
    session_s: float = 1e-4,
    threads: int = 1,
) -> Profile:
    """Return a profile in which each layer takes its `seconds`; those of a run in `fused` are one kernel."""
    runs = {layers[0]: tuple(layers) for layers in fused}
    inside = {name for layers in runs.values() for name in layers}
    kernels = tuple(
        KernelFigures(runs.get(layer.name, (layer.name,)), _sum(seconds, runs.get(layer.name, (layer.name,))), 0.0, 5)
        for layer in network.layers
        if layer.name in runs or layer.name not in inside
    )
    return Profile(
        key=ProfileKey(network_digest(network), device, "onnxruntime", threads, "CPUExecutionProvider"),
        layers=tuple(
            LayerFigures(layer.name, seconds[layer.name], 0.0, 5, layer.weight_bytes, layer.activation_bytes)
            for layer in network.layers
        ),
        kernels=kernels,
        run_s=sum(kernel.median_s for kernel in kernels) + session_s,
        run_spread_s=0.0,
        runs=5,
        session_s=session_s,
        load_s=0.1,
        weight_bytes=network.weight_bytes,
        peak_bytes=100 * MIB,
        load_peak_bytes=120 * MIB,
        power=None,
        temperature_c=None,
        throttled=(),
        warnings=(),
        pieces=1,
        duration_s=1.0,
    )


def _sum(seconds: Mapping[str, float], layers: Sequence[str]) -> float:
    return sum(seconds[name] for name in layers)


def device_for(
    network: Network,
    name: str,
    seconds: Mapping[str, float],
    *,
    fused: Iterable[Sequence[str]] = (),
    cores: float = 1.0,
    memory_bytes: int | None = None,
    carry: CarrySpeed = CARRY,
    power: DevicePower | None = POWER,
    session_s: float = 1e-4,
) -> DeviceFigures:
    """Return the figures of a device on which each layer takes its `seconds`."""
    threads = max(1, round(cores))
    profile = profile_for(network, name, seconds, fused=fused, session_s=session_s, threads=threads)
    return DeviceFigures(name, cores, threads, memory_bytes, profile, carry, power=power)


def links_between(
    peers: Sequence[str], bytes_per_s: float = 100e6, latency_s: float = 5e-4, interfaces: Mapping[str, float] = {}
) -> LinkTable:
    """Return alike links between all peers and the studio."""
    ends = [*peers, STUDIO_PEER]
    ways: dict[Way, LinkFigures] = {(a, b): LinkFigures(bytes_per_s, latency_s) for a in ends for b in ends if a != b}
    return LinkTable(ways, interfaces)


def layer_seconds(network: Network, macs_per_s: float = 1e9, bytes_per_s: float = 1e9) -> dict[str, float]:
    """Return what each layer takes on a device of that speed."""
    return {
        layer.name: layer.macs / macs_per_s + (layer.activation_bytes + layer.weight_bytes) / bytes_per_s
        for layer in network.layers
    }


def world(
    network: Network,
    speeds: Mapping[str, float],
    *,
    seconds: Mapping[str, float] | None = None,
    fused: Iterable[Sequence[str]] = (),
    links: LinkTable | None = None,
    memory_bytes: Mapping[str, int] = {},
    power: Mapping[str, DevicePower | None] = {},
    carry: CarrySpeed = CARRY,
) -> Figures:
    """Return figures of devices that are so many times as fast as one on which each layer takes its `seconds`."""
    base = layer_seconds(network) if seconds is None else seconds
    fused = tuple(fused)
    devices = {
        name: device_for(
            network,
            name,
            {layer: taken / speed for layer, taken in base.items()},
            fused=fused,
            memory_bytes=memory_bytes.get(name),
            power=power.get(name, POWER),
            carry=carry,
        )
        for name, speed in speeds.items()
    }
    return Figures(devices, links or links_between(list(speeds)), studio=CarrySpeed(2e-5, 3e-10))


def random_world(network: Network, devices: int, seed: int, *, with_limits: bool = False) -> Figures:
    """Return figures of unequal devices and links, each layer by chance faster here or there: nothing is alike."""
    generator = random.Random(seed)
    names = [f"d{number}" for number in range(devices)]
    base = {layer.name: generator.uniform(0.2e-3, 8e-3) for layer in network.layers}
    found = {}
    for number, name in enumerate(names):
        speed = generator.uniform(0.4, 2.5)
        found[name] = device_for(
            network,
            name,
            {layer: taken / speed * generator.uniform(0.7, 1.4) for layer, taken in base.items()},
            cores=generator.choice([1.0, 1.0, 2.0, 0.5]),
            memory_bytes=generator.randint(85, 140) * MIB if with_limits else None,
            carry=_carry(generator.uniform(2e-5, 3e-4), generator.uniform(2e-10, 4e-9), beside=number % 2 / 2),
            power=DevicePower(generator.uniform(0.5, 5), generator.uniform(0.5, 5)),
            session_s=generator.uniform(5e-5, 3e-4),
        )
    ends = [*names, STUDIO_PEER]
    ways = {
        (a, b): LinkFigures(generator.uniform(5e6, 200e6), generator.uniform(1e-4, 2e-3))
        for a in ends
        for b in ends
        if a != b
    }
    interfaces = {name: generator.uniform(20e6, 200e6) for name in names if generator.random() < 0.3}
    return Figures(found, LinkTable(ways, interfaces), studio=CarrySpeed(2e-5, 3e-10))


def _carry(message_s: float, byte_s: float, beside: float) -> CarrySpeed:
    return CarrySpeed(message_s, byte_s, byte_s * beside)


def conv_chain(channels: Sequence[int] = (3, 8, 8, 16, 16), size: int = 16) -> onnx.ModelProto:
    """`x -> c0 -> r0 -> c1 -> r1 ... -> y`: convolutions, each with its Relu."""
    nodes, weights, last = [], [], "x"
    for index, (read, made) in enumerate(pairwise(channels)):
        weights.append(_random_weight(f"w{index}", (made, read, 3, 3), index))
        ended = "y" if index == len(channels) - 2 else f"t{index}"
        nodes.append(helper.make_node("Conv", [last, f"w{index}"], [f"s{index}"], name=f"c{index}", pads=[1] * 4))
        nodes.append(helper.make_node("Relu", [f"s{index}"], [ended], name=f"r{index}"))
        last = ended
    shape = (1, channels[0], size, size)
    return make_model(nodes, [value("x", shape)], [value("y", (1, channels[-1], size, size))], weights)


def residual_net(blocks: int = 2, channels: int = 4, size: int = 8) -> onnx.ModelProto:
    """Blocks of two convolutions with a way around them, and a classifier behind."""
    weights = [_random_weight("w", (channels, 3, 3, 3), 0)]
    nodes, last = [helper.make_node("Conv", ["x", "w"], ["t"], name="stem", pads=[1] * 4)], "t"
    for block in range(blocks):
        read = last
        for index in range(2):
            name = f"b{block}c{index}"
            weights.append(_random_weight(f"{name}_w", (channels, channels, 3, 3), 2 * block + index + 1))
            nodes.append(helper.make_node("Conv", [last, f"{name}_w"], [name], name=name, pads=[1] * 4))
            last = name
        nodes.append(helper.make_node("Add", [last, read], [f"b{block}a"], name=f"b{block}add"))
        nodes.append(helper.make_node("Relu", [f"b{block}a"], [f"b{block}"], name=f"b{block}relu"))
        last = f"b{block}"
    weights.append(_random_weight("fc_w", (channels, 10), 99))
    nodes.append(helper.make_node("GlobalAveragePool", [last], ["p"], name="pool"))
    nodes.append(helper.make_node("Flatten", ["p"], ["f"], name="flat"))
    nodes.append(helper.make_node("MatMul", ["f", "fc_w"], ["y"], name="fc"))
    return make_model(nodes, [value("x", (1, 3, size, size))], [value("y", (1, 10))], weights)


def branch_net(branches: int = 3, channels: int = 4, size: int = 8) -> onnx.ModelProto:
    """A layer, `branches` convolutions side by side, and their concatenation."""
    weights = [_random_weight(f"w{index}", (channels, 3, 3, 3), index) for index in range(branches)]
    nodes = [helper.make_node("Relu", ["x"], ["t"], name="stem")]
    for index in range(branches):
        nodes.append(helper.make_node("Conv", ["t", f"w{index}"], [f"t{index}"], name=f"c{index}", pads=[1] * 4))
    nodes.append(helper.make_node("Concat", [f"t{index}" for index in range(branches)], ["y"], name="join", axis=1))
    shape = (1, branches * channels, size, size)
    return make_model(nodes, [value("x", (1, 3, size, size))], [value("y", shape)], weights)


def _random_weight(name: str, shape: tuple[int, ...], seed: int) -> onnx.TensorProto:
    array = np.random.default_rng(seed).standard_normal(shape).astype(np.float32)
    return weight(name, (array / np.sqrt(np.prod(shape[1:]))).astype(np.float32))
