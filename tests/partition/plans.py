"""Random plans with divided layers, and the whole network's every tensor to hold parts against."""

import random
from collections.abc import Sequence

import onnx

from partition_studio.errors import PlanError
from partition_studio.graph.difference import difference
from partition_studio.graph.frames import random_frame
from partition_studio.graph.network import Network, value_info
from partition_studio.graph.runtime import Arrays, run_model
from partition_studio.partition.draft import ShardError
from partition_studio.partition.extract import submodels
from partition_studio.partition.partition import Partition, divide
from partition_studio.partition.plan import (
    IndependentSharding,
    InputChannelSharding,
    NetworkRef,
    OutputChannelSharding,
    Plan,
    Sharding,
    SpatialSharding,
)

STRATEGIES = ("spatial", "spatial_independent", "output_channels", "input_channels")


def whole_tensors(network: Network, original: onnx.ModelProto, seed: int = 0) -> Arrays:
    """Run the whole once without graph optimisation and return every activation by name, inputs included."""
    frame = random_frame(network.inputs, seed)
    model = onnx.ModelProto()
    model.CopyFrom(original)
    makes = {name for node in model.graph.node for name in node.output}
    listed = {value.name for value in model.graph.output}
    inner = [name for name in network.tensors if name in makes and name not in listed]
    model.graph.output.extend(value_info(name, network.tensors[name]) for name in inner)
    return {**frame, **run_model(model, frame, optimise=False)}


def unequal_tensors(parted: Partition, tensors: Arrays) -> list[str]:
    """Run every stage by itself on the whole's tensors; return its outputs that are not equal to the last bit.

    Networks that compute in float16 are rounded at every cut, and may differ by some units of its precision.
    """
    allowed = 1e-2 if any(kind.dtype == "float16" for kind in parted.network.tensors.values()) else 0.0
    wrong = []
    parts = submodels(parted.network, parted.graph)
    for stage in parted.graph.stages:
        made = run_model(
            parts[stage.name].data, {name: tensors[name] for name in stage.inputs}, stage.outputs, optimise=False
        )
        wrong += [name for name, array in made.items() if difference(array, tensors[name])[1] > allowed]
    return wrong


def random_run(network: Network, generator: random.Random, longest: int) -> list[str]:
    """Return a connected run: a layer, and a random walk to layers that read what it holds."""
    layer = generator.choice(network.layers)
    run = {layer.name: layer}
    for _ in range(generator.randrange(longest)):
        following = [r for held in run.values() for t in held.outputs for r in network.consumers[t]]
        following = [reader for reader in following if reader.name not in run]
        if not following:
            break
        chosen = min(following, key=lambda reader: network.position[reader.name])
        run[chosen.name] = chosen
    return sorted(run, key=lambda name: network.position[name])


def random_sharding(layers: Sequence[str], devices: int, generator: random.Random, strategy: str) -> Sharding:
    """Divide some layers in a random way: equal or unequal shares, rows, columns or a grid."""
    parts = generator.randint(2, 4)
    names = [f"d{generator.randrange(devices)}" for _ in range(parts)]
    shares = [float(generator.choice((1, 1, 1, 2, 3))) for _ in range(parts)]
    if strategy == "output_channels":
        return OutputChannelSharding(layers=list(layers), devices=names, shares=shares)
    if strategy == "input_channels":
        return InputChannelSharding(layers=list(layers), devices=names, shares=shares)
    shape = generator.choice(("rows", "columns", "grid") if parts == 4 else ("rows", "columns"))
    rows = {"rows": shares, "columns": [1.0], "grid": shares[:2]}[shape]
    columns = {"rows": [1.0], "columns": shares, "grid": shares[2:]}[shape]
    if strategy == "spatial_independent":
        return IndependentSharding(layers=list(layers), devices=names, rows=rows, columns=columns)
    exchange = [name for name in layers[1:] if generator.random() < 0.2]
    return SpatialSharding(layers=list(layers), devices=names, rows=rows, columns=columns, exchange_before=exchange)


def random_divided_plan(
    network: Network,
    devices: int,
    seed: int,
    *,
    most: int = 4,
    longest: int = 5,
    strategies: Sequence[str] = STRATEGIES,
) -> tuple[Plan, list[ShardError]]:
    """Return a plan with up to `most` shardings, and the errors of those that were refused.

    Later shardings may divide what earlier ones made. Layers that are not divided are placed at random.
    """
    generator = random.Random(seed)
    refused: list[ShardError] = []
    ref = NetworkRef.of(network)
    plan = Plan(network=ref, placement={})
    for _ in range(generator.randint(1, most)):
        current = divide(network, plan)
        run = random_run(current.network, generator, longest)
        sharding = random_sharding(run, devices, generator, generator.choice(strategies))
        candidate = Plan(network=ref, placement={}, shards=[*plan.shards, sharding])
        try:
            divide(network, candidate)
        except ShardError as error:
            refused.append(error)
        else:
            plan = candidate
    division = divide(network, plan)
    placement = {
        layer.name: f"d{generator.randrange(devices)}"
        for layer in division.network.layers
        if layer.name not in division.devices
    }
    return Plan(network=ref, placement=placement, shards=plan.shards), refused


def explains(error: PlanError) -> bool:
    """Say whether an error names a layer and a next step, as every refusal of a division must."""
    return isinstance(error.details.get("layer"), str) and repr(error.details["layer"])[1:-1] in error.message
