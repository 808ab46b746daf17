"""Whatever the chain, the shares and the order of divisions: the parts equal the whole."""

import random
from typing import Any

import onnx
import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from partition_studio.graph.frames import random_frame
from partition_studio.graph.network import Network
from partition_studio.partition.draft import ShardError
from partition_studio.partition.extract import submodels
from partition_studio.partition.plan import InputChannelSharding, OutputChannelSharding, Sharding
from partition_studio.partition.verify import verify
from tests.core.networks import load_both

from .channels import Builder, check_submodels, divided, weight_elements
from .plans import explains

relaxed = settings(deadline=None, max_examples=50, suppress_health_check=[HealthCheck.too_slow])

FILTERS = ("Conv", "ConvTranspose", "Gemm")


def add_convolution(builder: Builder, name: str, x: str, channels: int, generator: random.Random) -> tuple[str, int]:
    groups = generator.choice([number for number in (1, 1, 1, 2, 3, channels) if channels % number == 0])
    filters = groups * generator.randint(1, max(1, 12 // groups))
    attributes: dict[str, Any] = {"group": groups, "strides": [generator.choice((1, 1, 2))] * 2, "pads": [1] * 4}
    if generator.random() < 0.2:
        held = [builder.random(f"{name}.w", channels, filters // groups, 3, 3), builder.random(f"{name}.b", filters)]
        return builder.add("ConvTranspose", name, [x, *held], **attributes), filters
    bias = generator.random() < 0.7
    return builder.conv(name, x, (filters, channels // groups, 3, 3), bias=bias, **attributes), filters


@st.composite
def chains(draw: st.DrawFn) -> onnx.ModelProto:
    """Return a chain of convolutions, pools, normalisations and activations, with a side branch, perhaps a Gemm."""
    seed = draw(st.integers(0, 2**32 - 1))
    generator, builder = random.Random(seed), Builder(seed)
    channels = generator.randint(2, 6)
    t = builder.input("x", (generator.choice((1, 1, 2)), channels, 7, 7))
    for index in range(draw(st.integers(2, 8))):
        name = f"n{index}"
        kind = generator.choice(("conv", "conv", "conv", "norm", "act", "pool", "gate", "residual"))
        if kind == "conv":
            t, channels = add_convolution(builder, name, t, channels, generator)
        elif kind == "norm":
            t = builder.batch_norm(name, t, channels)
        elif kind == "act":
            t = builder.add(generator.choice(("Relu", "Sigmoid", "LeakyRelu", "HardSwish")), name, [t])
        elif kind == "pool":
            op_type = generator.choice(("MaxPool", "AveragePool"))
            t = builder.add(op_type, name, [t], kernel_shape=[3, 3], pads=[1] * 4, strides=[1, 1])
        elif kind == "gate":
            t = builder.add("Mul", name, [t, builder.add("GlobalAveragePool", f"{name}g", [t])])
        else:
            t = builder.add("Add", name, [t, builder.conv(f"{name}s", t, (channels, channels, 1, 1))])
    if generator.random() < 0.3:
        t = builder.add("Flatten", "flatten", [builder.add("GlobalMaxPool", "pool", [t])])
        t = builder.add("Gemm", "fc", [t, builder.random("fc.w", channels, 5), builder.random("fc.b", 5)])
    return builder.model(t)


def random_division(network: Network, generator: random.Random, strategy: str) -> Sharding:
    """Return a run of neighbouring layers in 2 to 6 unequal parts; often of layers that are parts already."""
    layers = [layer for layer in network.layers if layer.op_type not in ("Concat", "Slice", "Sum")]
    if strategy == "input_channels":
        layers = [layer for layer in layers if layer.op_type in FILTERS] or layers
    divided_before = [layer for layer in layers if "#" in layer.name]
    first = generator.choice(divided_before if divided_before and generator.random() < 0.4 else layers)
    run = [first]
    if strategy == "input_channels":
        while generator.random() < 0.5 and len(makers := network.predecessors(run[-1])) == 1:
            run.append(makers[0])
    else:
        while generator.random() < 0.7:
            following = [r for layer in run for t in layer.outputs for r in network.consumers[t] if r not in run]
            if not following:
                break
            run.append(min(following, key=lambda layer: network.position[layer.name]))
    parts = generator.choice((2, 2, 3, 3, 4, 5, 6))
    names = sorted((layer.name for layer in run), key=lambda name: network.position[name])
    shares = [float(generator.choice((1, 1, 2, 3, 5))) for _ in range(parts)]
    devices = [f"d{generator.randrange(4)}" for _ in range(parts)]
    if strategy == "output_channels":
        return OutputChannelSharding(layers=names, devices=devices, shares=shares)
    return InputChannelSharding(layers=names, devices=devices, shares=shares)


def prove_random_divisions(model: onnx.ModelProto, seed: int, most: int) -> None:
    network, original = load_both(model)
    generator = random.Random(seed)
    shards: list[Sharding] = []
    parted = divided(network, shards)
    for _ in range(most):
        # Later entries may divide what earlier ones made: `n1#0`, but no glue.
        candidate = random_division(parted.network, generator, generator.choice(("output_channels", "input_channels")))
        try:
            parted = divided(network, [*shards, candidate])
        except ShardError as error:
            assert explains(error)
        else:
            shards.append(candidate)
    assume(shards)
    check_submodels(parted)
    parts = {name: part.data for name, part in submodels(parted.network, parted.graph).items()}
    result = verify(original, parted, parts, random_frame(network.inputs, seed))
    assert result.first_difference is None, (shards, result.first_difference)
    for layer in network.layers:
        if layer.op_type in FILTERS and layer.name not in parted.network.layers_by_name:
            assert weight_elements(parted, layer.name) == layer.parameters, "each weight is held once"


@relaxed
@given(model=chains(), seed=st.integers(0, 10**6))
def test_any_chain_divided_by_channels_in_any_way_equals_the_whole(model: onnx.ModelProto, seed: int) -> None:
    prove_random_divisions(model, seed, most=4)


@pytest.mark.slow
@settings(deadline=None, max_examples=300, suppress_health_check=[HealthCheck.too_slow])
@given(model=chains(), seed=st.integers(0, 10**6))
def test_many_chains_divided_many_times_equal_the_whole(model: onnx.ModelProto, seed: int) -> None:
    prove_random_divisions(model, seed, most=12)


@settings(deadline=None, max_examples=20, suppress_health_check=[HealthCheck.too_slow])
@given(model=chains(), seed=st.integers(0, 10**6))
def test_the_same_plan_always_makes_the_same_bytes(model: onnx.ModelProto, seed: int) -> None:
    digests = []
    for _ in range(2):
        network, _ = load_both(model)
        sharding = random_division(network, random.Random(seed), "output_channels")
        try:
            parted = divided(network, [sharding])
        except ShardError:
            assume(False)
        digests.append({name: part.digest for name, part in submodels(parted.network, parted.graph).items()})
    assert digests[0] == digests[1]
