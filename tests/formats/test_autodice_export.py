"""Plans become AutoDiCE's files; reading them again gives the same plan, and what they cannot say is named."""

import itertools
import json
import random
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from partition_studio.partition.check import InvalidPlanError
from partition_studio.partition.formats.autodice import import_autodice
from partition_studio.partition.formats.autodice_export import export_autodice
from partition_studio.partition.formats.autodice_names import AutodiceError
from partition_studio.partition.formats.outline import Outline
from partition_studio.partition.partition import divide
from partition_studio.partition.plan import (
    IndependentSharding,
    InputChannelSharding,
    OutputChannelSharding,
    Plan,
    Resource,
    Sharding,
    SpatialSharding,
)
from tests.formats.cnn import LAYERS, layer_of, loaded, plan_of

#: Places, and the resources among them.
PLACES = ["pi", "my_board", "nx01_arm0123", "nx01_gpu", "lenovo_cpu7"]
RESOURCES = {
    "nx01_arm0123": Resource(device="jetson", cores=[0, 1, 2, 3], processor="cpu"),
    "nx01_gpu": Resource(device="jetson", processor="gpu"),
    "lenovo_cpu7": Resource(device="lenovo_cpu7", cores=[7], processor="cpu"),
}
SIZES = {"lop": 8, "lip": 8, "height": 4, "width": 4}


def again(plan: Plan) -> Plan:
    """Export a plan and import it, with its resources' devices."""
    network, original = loaded()
    files = export_autodice(network, plan, original=original)
    devices = {name: resource.device for name, resource in plan.resources.items()}
    return import_autodice(network, files, devices=devices, original=original).plan


def sharding_of(mode: str, layer: str, devices: list[str], numbers: list[float], unit: Any) -> Sharding:
    if mode == "lop":
        return OutputChannelSharding(layers=[layer], devices=devices, unit=unit, shares=numbers)
    if mode == "lip":
        return InputChannelSharding(layers=[layer], devices=devices, unit=unit, shares=numbers)
    rows, columns = (numbers, [1.0]) if mode == "height" else ([1.0], numbers)
    return SpatialSharding(layers=[layer], devices=devices, unit=unit, rows=rows, columns=columns)


@st.composite
def plans(draw: st.DrawFn) -> Plan:
    """Return a plan that AutoDiCE's files can say: any placement, and single layers divided into sizes."""
    generator = random.Random(draw(st.integers(0, 2**32)))
    divided = draw(st.lists(st.sampled_from(["net_conv2", "net_pool", "net_relu1"]), max_size=3, unique=True))
    shards: list[Sharding] = []
    for name in divided:
        mode = generator.choice(["lop", "lip"] if name == "net_conv2" else ["lop", "height", "width"])
        total = 8 if name == "net_relu1" else SIZES[mode]
        parts = generator.randint(2, 4)
        ends = [0, *sorted(generator.sample(range(1, total), parts - 1)), total]
        sizes = [float(stop - start) for start, stop in itertools.pairwise(ends)]
        shards.append(sharding_of(mode, layer_of(name), generator.choices(PLACES, k=parts), sizes, "size"))
    placement = {name: generator.choice(PLACES) for name in LAYERS if name not in divided}
    plan = plan_of(placement, shards=shards)
    return plan.model_copy(update={"resources": {k: v for k, v in RESOURCES.items() if k in plan.places()}})


@settings(max_examples=60, deadline=None)
@given(plans())
def test_import_of_an_export_is_the_plan(plan: Plan) -> None:
    assert again(plan) == plan


@pytest.mark.parametrize(("mode", "name"), [("lop", "net_fc"), ("lop", "net_conv3"), ("lip", "net_conv2")])
def test_shares_are_written_as_the_sizes_that_they_come_to(mode: str, name: str) -> None:
    rest = {layer: "p" for layer in LAYERS if layer != name}
    plan = plan_of(rest, shards=[sharding_of(mode, layer_of(name), ["p", "q"], [1, 2], "share")])
    network, _ = loaded()
    assert [layer.output_shapes for layer in divide(network, again(plan)).network.layers] == [
        layer.output_shapes for layer in divide(network, plan).network.layers
    ]
    assert again(again(plan)) == again(plan)


def test_every_node_of_the_file_is_listed_because_their_tool_wants_it_so() -> None:
    """Folded nodes go where they are read; the rule of their consistency check: no name missing, none unknown."""
    network, original = loaded()
    placement = {name: "p" if index < 5 else "q" for index, name in enumerate(LAYERS)}
    files = export_autodice(network, plan_of(placement), original=original)
    mapping = json.loads(files.mapping)
    everything = {node.outputs[0].replace("/", "_") for node in original.nodes}
    assert {name for names in mapping.values() for name in names} == everything
    assert files.horizontal is None
    reshaped = [name for names in mapping.values() for name in names if name.startswith(("net_shape", "net_size"))]
    assert set(reshaped) < set(mapping["q"]), "what makes the shape is listed with the layer that reads it"


def test_a_divided_layer_is_listed_under_each_device_that_holds_a_part() -> None:
    network, original = loaded()
    rest = {name: "p" for name in LAYERS if name != "net_conv2"}
    sharding = sharding_of("lop", layer_of("net_conv2"), ["p", "q"], [6, 2], "size")
    files = export_autodice(network, plan_of(rest, shards=[sharding]), original=original)
    assert files.horizontal is not None
    assert json.loads(files.horizontal) == {"net_conv2": ["lop", [6, 8], ["p", "q"]]}
    mapping = json.loads(files.mapping)
    assert "net_conv2" in mapping["p"]
    assert mapping["q"] == ["net_conv2"]


def everywhere(*without: str) -> dict[str, str]:
    return {name: "p" for name in LAYERS if name not in without}


def run_of(first: str, second: str, **fields: Any) -> SpatialSharding:
    return SpatialSharding(
        layers=[layer_of(first), layer_of(second)], devices=["p", "q"], rows=[1.0, 1.0], columns=[1.0], **fields
    )


def unsayable() -> list[tuple[str, Plan, list[str]]]:
    conv1, conv3 = layer_of("net_conv1"), layer_of("net_conv3")
    alone, grid = everywhere("net_conv1"), ["p", "q", "p", "q"]
    lop = sharding_of("lop", conv1, ["p", "q"], [4, 4], "size")
    nested = sharding_of("lop", f"{conv1}#0", ["p", "q"], [2, 2], "size")
    independent = IndependentSharding(layers=[conv1], devices=["p", "q"], rows=[1, 1], columns=[1])
    exchanged = SpatialSharding(layers=[conv1], devices=["p", "q"], rows=[1, 1], exchange_before=[conv1])
    tiles = SpatialSharding(layers=[conv1], devices=grid, rows=[1, 1], columns=[1, 1])
    grouped = sharding_of("lip", conv3, ["p", "q"], [1, 1], "share")
    resource = {"p": Resource(device="pi", cores=[0, 1])}
    other = {"p_cpu01": Resource(device="pi", cores=[2, 3], processor="cpu")}
    moved = {name: "p_cpu01" for name in LAYERS}
    return [
        ("run", plan_of(everywhere("net_conv1", "net_relu1"), shards=[run_of("net_conv1", "net_relu1")]), ["1 more"]),
        ("nested", plan_of(alone, shards=[lop, nested]), [f"'{conv1}#0'", "divided already"]),
        ("grid", plan_of(alone, shards=[tiles]), [conv1, "rows and columns"]),
        ("independent", plan_of(alone, shards=[independent]), [conv1, "independent"]),
        ("exchange", plan_of(alone, shards=[exchanged]), [conv1, "exchanged"]),
        ("grouped", plan_of(everywhere("net_conv3"), shards=[grouped]), [conv3, "grouped"]),
        ("unnamed resource", plan_of(everywhere(), resources=resource), ["'p'", "cores 0, 1", "whole device"]),
        ("other cores", plan_of(moved, resources=other), ["'p_cpu01'", "cores 0, 1", "cores 2, 3"]),
    ]


@pytest.mark.parametrize(("plan", "words"), [pytest.param(p, w, id=name) for name, p, w in unsayable()])
def test_what_the_files_cannot_say_is_an_error_that_names_it(plan: Plan, words: list[str]) -> None:
    network, original = loaded()
    with pytest.raises(AutodiceError) as caught:
        export_autodice(network, plan, original=original)
    assert all(word in caught.value.message for word in words), caught.value.message


def test_placement_of_a_part_cannot_be_said() -> None:
    network, original = loaded()
    conv1 = layer_of("net_conv1")
    plan = plan_of(everywhere("net_conv1"), shards=[sharding_of("lop", conv1, ["p", "q"], [4, 4], "size")])
    plan = plan.model_copy(update={"placement": {**plan.placement, f"{conv1}#1": "r"}})
    with pytest.raises(AutodiceError, match=f"where '{conv1}#1' runs"):
        export_autodice(network, plan, original=original)


def test_a_plan_that_cannot_be_applied_is_not_exported() -> None:
    network, _ = loaded()
    with pytest.raises(InvalidPlanError, match="is not placed"):
        export_autodice(network, plan_of(everywhere("net_pool")), original=Outline())
