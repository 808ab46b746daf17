"""Dividing layers of a plan: the entry, and what leaves the placement."""

import pytest
from onnx import helper

from partition_studio.graph.network import LayerNotFoundError, Network
from partition_studio.partition.add_shard import add_sharding, sharding_of
from partition_studio.partition.between import layers_between
from partition_studio.partition.check import InvalidPlanError, check_plan
from partition_studio.partition.draft import ShardError
from partition_studio.partition.plan import NetworkRef, OutputChannelSharding, Plan, Sharding, SpatialSharding
from partition_studio.partition.shares import intervals
from tests.core.networks import load, make_model, value
from tests.formats.cnn import LAYERS, layer_of, load_file, loaded, normalised_model, plan_of


def branches() -> Network:
    """`x -> a -> (b -> c, d) -> e`, and `f` beside them."""
    edges = {"a": ["x"], "b": ["a"], "c": ["b"], "d": ["a"], "f": ["a"], "e": ["c", "d"]}
    nodes = [helper.make_node("Sum", sources, [f"{name}"], name=name) for name, sources in edges.items()]
    return load(make_model(nodes, [value("x", (1, 4))], [value("e", (1, 4)), value("f", (1, 4))]))


@pytest.mark.parametrize(
    ("first", "last", "layers"),
    [("a", "e", "abcde"), ("b", "e", "bce"), ("b", "c", "bc"), ("a", "f", "af"), ("d", "d", "d")],
)
def test_from_here_to_there_is_all_on_the_ways_between(first: str, last: str, layers: str) -> None:
    assert sorted(layers_between(branches(), first, last)) == list(layers)


def test_where_no_way_leads_it_is_said() -> None:
    with pytest.raises(ShardError, match="No way leads from the layer 'c' to the layer 'd'") as caught:
        layers_between(branches(), "c", "d")
    assert "branch" in caught.value.next_step
    with pytest.raises(ShardError) as turned:
        layers_between(branches(), "e", "a")
    assert "other way round" in turned.value.next_step
    with pytest.raises(LayerNotFoundError, match="'z'"):
        layers_between(branches(), "a", "z")


def lop(*layers: str, devices: tuple[str, ...] = ("p", "q")) -> Sharding:
    return OutputChannelSharding(layers=list(layers), devices=list(devices))


def tiles(*layers: str) -> Sharding:
    return SpatialSharding(layers=list(layers), devices=["p", "q"], rows=[1.0, 1.0], columns=[1.0])


def test_divided_layers_leave_the_placement_and_the_plan_can_be_applied() -> None:
    network, _ = loaded()
    before = plan_of(dict.fromkeys(LAYERS, "p"))
    after = add_sharding(network, before, tiles(layer_of("net_conv1")), last=layer_of("net_pool"))
    run = [layer_of(name) for name in LAYERS[:3]]
    assert after.shards[0].layers == run
    assert set(before.placement) - set(after.placement) == set(run)
    assert check_plan(network, after).ok
    assert before.shards == []


def test_a_part_can_be_divided_again() -> None:
    network, _ = loaded()
    conv = layer_of("net_conv2")
    once = add_sharding(network, plan_of(dict.fromkeys(LAYERS, "p")), lop(conv))
    twice = add_sharding(network, once, lop(f"{conv}#1", devices=("q", "r")))
    assert [sharding.layers for sharding in twice.shards] == [[conv], [f"{conv}#1"]]
    report = check_plan(network, twice)
    assert report.ok
    assert report.division is not None
    assert {f"{conv}#0", f"{conv}#1#0", f"{conv}#1#1"} <= set(report.division.network.layers_by_name)


@pytest.mark.parametrize(
    ("sharding", "last", "words"),
    [
        (lop("nowhere"), None, "'nowhere'"),
        (lop(layer_of("y")), None, "Softmax_y"),
        (lop(layer_of("net_conv1"), devices=("p",) * 9), None, "8 output channels"),
        (tiles(layer_of("net_conv1"), layer_of("net_relu1")), layer_of("net_pool"), "one layer"),
    ],
)
def test_what_cannot_be_divided_is_named(sharding: Sharding, last: str | None, words: str) -> None:
    with pytest.raises(ShardError, match=words):
        add_sharding(loaded()[0], plan_of(dict.fromkeys(LAYERS, "p")), sharding, last=last)


@pytest.mark.parametrize(
    ("document", "words"),
    [
        ({"strategy": "diagonal"}, "the entry has the strategy 'diagonal', which there is not"),
        ({"strategy": "spatial", "layers": ["a"], "devices": ["p", "q"], "rows": [1.0] * 3}, "3 x 1 tiles need 3"),
        ({"strategy": "output_channels", "layers": ["a"], "devices": ["p"]}, "'a' .*`devices` must have at least 2"),
        (
            {"strategy": "output_channels", "layers": ["a"], "devices": ["p", "q"], "shares": [0.0, 1.0]},
            "entry 0 of `shares` must be a number above 0, not 0.0",
        ),
        (
            {"strategy": "input_channels", "layers": ["a"], "devices": ["p", "q"], "shares": [1, 2, 3]},
            "2 devices need as many shares, one each, not 3",
        ),
        (
            {"strategy": "spatial_independent", "layers": ["a"], "devices": ["p"] * 2, "exchange_before": ["a"]},
            "the field 'exchange_before', which only the strategy `spatial` has",
        ),
    ],
)
def test_an_entry_that_is_none_is_told_in_one_sentence(document: dict[str, object], words: str) -> None:
    with pytest.raises(ShardError, match=words) as caught:
        sharding_of(document)
    assert "\n" not in caught.value.message
    assert not any(word in caught.value.message for word in ("validation", "tag", "permitted", "Value error"))


def test_a_plan_for_another_network_is_refused_before_anything_is_divided() -> None:
    plan = plan_of(dict.fromkeys(LAYERS, "p"))
    foreign = plan.model_copy(update={"network": NetworkRef(sha256="0" * 64, name="other")})
    with pytest.raises(InvalidPlanError, match="for another network: 'other'"):
        add_sharding(loaded()[0], foreign, lop("nowhere"))


@pytest.mark.parametrize("last", [None, "relu"])
def test_a_layer_that_loading_merged_or_removed_is_told_with_the_one_that_does_its_work(last: str | None) -> None:
    network, original = load_file(normalised_model("first", "norm1", "relu"), simplified=True)
    plan = Plan(network=NetworkRef.of(network), placement=dict.fromkeys(network.layers_by_name, "p"))
    with pytest.raises(
        ShardError, match=r"no layer 'norm1' any more: simplification merged it.*'first' does"
    ) as caught:
        add_sharding(network, plan, lop("norm1"), last=last, original=lambda: original)
    assert caught.value.next_step == "Name 'first'."


@pytest.mark.parametrize("last", [None, "net_pool"])
def test_an_unknown_layer_gets_a_suggestion(last: str | None) -> None:
    network, original = loaded()
    plan = plan_of(dict.fromkeys(LAYERS, "p"))
    with pytest.raises(
        ShardError, match=r"no layer 'Conv_net/conv9' to divide\. Did you mean 'Conv_net/conv"
    ) as caught:
        add_sharding(network, plan, lop("Conv_net/conv9"), last=last, original=lambda: original)
    assert caught.value.details["layer"] == "Conv_net/conv9"
    with pytest.raises(ShardError, match="'Shape_net/size' is computed or removed when the network is loaded"):
        add_sharding(network, plan, lop("Shape_net/size"), last=last, original=lambda: original)


@pytest.mark.parametrize("last", [None, "net_pool"])
def test_a_layer_that_is_divided_already_is_told_as_such(last: str | None) -> None:
    network, _ = loaded()
    once = add_sharding(network, plan_of(dict.fromkeys(LAYERS, "p")), lop(layer_of("net_conv1")))
    with pytest.raises(ShardError, match="divided"):
        add_sharding(network, once, lop(layer_of("net_conv1")), last=last)


def test_a_single_row_is_spoken_of_as_one() -> None:
    with pytest.raises(ShardError, match="has 1 row: it cannot be divided into 2 parts"):
        intervals(1, [1, 1], unit="share", what="rows", layer="a")
