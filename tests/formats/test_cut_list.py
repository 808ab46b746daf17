"""An ordered list of cut tensors with devices becomes a plan."""

import numpy as np
import pytest
from onnx import helper

from partition_studio.graph.network import Network
from partition_studio.partition.formats.cut_list import CutListError, import_cuts
from partition_studio.partition.partition import partition
from tests.core.networks import load, make_model, relu_chain, value, weight


def diamond() -> Network:
    """`x -> a -> (b -> c, d) -> e -> y`, two outputs from `s`."""
    shape = (1, 4)
    nodes = [
        helper.make_node("Relu", ["x"], ["ta"], name="a"),
        helper.make_node("Abs", ["ta"], ["tb"], name="b"),
        helper.make_node("Neg", ["tb"], ["tc"], name="c"),
        helper.make_node("Mul", ["ta", "w"], ["td"], name="d"),
        helper.make_node("Add", ["tc", "td"], ["te"], name="e"),
        helper.make_node("Split", ["te"], ["s0", "s1"], name="s", axis=1),
    ]
    outputs = [value("s0", (1, 2)), value("s1", (1, 2))]
    return load(make_model(nodes, [value("x", shape)], outputs, [weight("w", np.ones((1, 4), np.float32))], opset=11))


def test_a_chain_falls_into_the_runs_between_its_cuts() -> None:
    plan = import_cuts(load(relu_chain(5)), ["t0", "t2"], ["a", "b", "c"]).plan
    assert plan.placement == {"l0": "a", "l1": "b", "l2": "b", "l3": "c", "l4": "c"}


def test_all_that_a_cut_depends_on_is_in_the_parts_before_it() -> None:
    network = diamond()
    plan = import_cuts(network, ["tb", "te"], ["p", "q", "r"]).plan
    assert plan.placement == {"a": "p", "b": "p", "c": "q", "d": "q", "e": "q", "s": "r"}
    assert partition(network, plan).graph.order == ("p-0", "q-0", "r-0")


def test_branches_may_be_cut_in_either_order() -> None:
    network = diamond()
    assert import_cuts(network, ["tc", "td"], ["p", "q", "r"]).plan.placement["d"] == "q"
    assert import_cuts(network, ["td", "tc"], ["p", "q", "r"]).plan.placement == {
        "a": "p",
        "b": "q",
        "c": "q",
        "d": "p",
        "e": "r",
        "s": "r",
    }


def test_without_cuts_one_device_runs_everything() -> None:
    assert set(import_cuts(diamond(), [], ["p"]).plan.placement.values()) == {"p"}


def test_a_device_may_come_twice() -> None:
    plan = import_cuts(load(relu_chain(3)), ["t0", "t1"], ["a", "b", "a"]).plan
    assert plan.placement == {"l0": "a", "l1": "b", "l2": "a"}


@pytest.mark.parametrize(
    ("cuts", "devices", "words"),
    [
        (["tb"], ["p"], ["1 cut makes 2 parts", "not 1"]),
        (["tb"], ["p", "q", "r"], ["not 3"]),
        (["nowhere"], ["p", "q"], ["no tensor 'nowhere'"]),
        (["tbb"], ["p", "q"], ["no tensor 'tbb'", "Did you mean 'tb'"]),
        (["a"], ["p", "q"], ["'a' is a layer", "'ta'"]),
        (["x"], ["p", "q"], ["'x' is an input"]),
        (["w"], ["p", "q"], ["'w' is a weight"]),
        (["tc", "ta"], ["p", "q", "r"], ["'ta' must come before", "'tc'"]),
        (["te", "td"], ["p", "q", "r"], ["'td' must come before", "'te'"]),
        (["tb", "tb"], ["p", "q", "r"], ["'tb' stands twice"]),
        (["s0", "s1"], ["p", "q", "r"], ["'s0' and 's1'", "'s'"]),
        (["s0"], ["p", "q"], ["'s0'", "nothing is left", "'q'"]),
    ],
)
def test_cuts_that_are_unknown_or_against_the_graph_are_named(
    cuts: list[str], devices: list[str], words: list[str]
) -> None:
    with pytest.raises(CutListError) as caught:
        import_cuts(diamond(), cuts, devices)
    assert caught.value.code == "bad_cuts"
    assert all(word in caught.value.message for word in words), caught.value.message
