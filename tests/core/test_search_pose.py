"""A question becomes numbers, or an error that says what of it cannot be."""

import math
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from onnx import helper

from partition_agent.protocol import STUDIO_PEER
from partition_studio.graph.network import Network
from partition_studio.planner.errors import BadFiguresError, ContradictionError, NoPowerError
from partition_studio.planner.figures.figures import CarrySpeed, Figures, LinkFigures, LinkTable
from partition_studio.planner.prediction.stage_time import predict_stage_s
from partition_studio.planner.search.problem.pose import ENDLESS_BYTES, pose
from partition_studio.planner.search.problem.problem import STUDIO
from partition_studio.planner.search.question import Limits, Objective, Question
from tests.core.networks import cnn_models, load, make_model, value
from tests.core.planner_worlds import conv_chain, random_world, residual_net, world

FUSED = (("c0", "r0"), ("c1", "r1"), ("c2", "r2"), ("c3", "r3"))


@pytest.fixture(scope="module")
def chain() -> Network:
    return load(conv_chain())


def ask(network: Network, figures: Figures, **limits: Any) -> Question:
    return Question(network, figures, tuple(figures.devices), limits=Limits(**limits))


def test_what_runs_as_one_kernel_is_one_unit(chain: Network) -> None:
    problem = pose(ask(chain, world(chain, {"a": 1.0, "b": 2.0}, fused=FUSED)))
    assert problem.units == FUSED
    assert problem.detail.torn == ()
    assert [(t.producer, t.consumers, t.is_output) for t in problem.tensors] == [
        (STUDIO, (0,), False),
        (0, (1,), False),
        (1, (2,), False),
        (2, (3,), False),
        (3, (), True),
    ]


def test_kernels_of_different_devices_make_units_of_both(chain: Network) -> None:
    one, other = world(chain, {"a": 1.0}, fused=FUSED), world(chain, {"b": 1.0}, fused=[("r0", "c1")])
    figures = replace(one, devices={**one.devices, **other.devices})
    assert pose(ask(chain, figures)).units == (("c0", "r0", "c1", "r1"), ("c2", "r2"), ("c3", "r3"))


def test_a_kernel_that_waits_for_another_branch_is_torn_there() -> None:
    """`down` may lie anywhere, and then the sum is of a later level than the convolution that it is fused with."""
    nodes = [
        helper.make_node("Relu", ["x"], ["a"], name="a"),
        helper.make_node("Relu", ["a"], ["b"], name="b"),
        helper.make_node("Sigmoid", ["a"], ["c"], name="down"),
        helper.make_node("Add", ["b", "c"], ["d"], name="add"),
        helper.make_node("Relu", ["d"], ["y"], name="last"),
    ]
    shape = (1, 2, 4, 4)
    network = load(make_model(nodes, [value("x", shape)], [value("y", shape)]))
    seconds = {"a": 1.0, "b": 5.0, "down": 1.0, "add": 0.5, "last": 0.25}
    problem = pose(ask(network, world(network, {"p": 1.0}, seconds=seconds, fused=[("b", "add", "last")])))
    assert problem.units == (("a",), ("b",), ("down",), ("add", "last"))
    assert [(t.head, t.unit, t.extra_s) for t in problem.detail.torn] == [(1, 3, 0.75)]
    assert list(problem.compute_s[0]) == [1.0, 5.75, 1.0, 0.0]


def test_a_kernel_around_a_skip_stays_whole() -> None:
    network = load(residual_net(1))
    problem = pose(ask(network, world(network, {"a": 1.0}, fused=[("b0c1", "b0add", "b0relu")])))
    assert ("b0c1", "b0add", "b0relu") in problem.units


def test_pins_that_differ_take_a_kernel_apart(chain: Network) -> None:
    figures = world(chain, {"a": 1.0, "b": 2.0}, fused=FUSED)
    problem = pose(ask(chain, figures, pins={"c1": "a", "r1": "b"}))
    assert problem.units == (("c0", "r0"), ("c1",), ("r1",), ("c2", "r2"), ("c3", "r3"))
    assert problem.allowed[:, 1:3].tolist() == [[True, False], [False, True]]


@settings(deadline=None, max_examples=40)
@given(model=cnn_models(), seed=st.integers(0, 2**32 - 1))
def test_units_are_in_topological_order_and_hold_every_layer_once(model: Any, seed: int) -> None:
    network = load(model)
    names = [layer.name for layer in network.layers]
    fused = [tuple(names[start : start + 1 + seed % 4]) for start in range(0, len(names), 1 + seed % 4)]
    problem = pose(ask(network, world(network, {"a": 1.0}, fused=fused)))
    assert sorted(name for unit in problem.units for name in unit) == sorted(names)
    for tensor in problem.tensors:
        assert all(tensor.producer < unit for unit in tensor.consumers)


@settings(deadline=None, max_examples=30)
@given(model=cnn_models(), seed=st.integers(0, 2**32 - 1))
def test_units_of_a_stage_take_what_is_predicted_of_it(model: Any, seed: int) -> None:
    network = load(model)
    figures = random_world(network, 2, seed)
    problem = pose(ask(network, figures))
    whole = predict_stage_s(figures.devices["d0"].profile, network, [layer.name for layer in network.layers])
    assert problem.compute_s[0].sum() + problem.session_s[0] == pytest.approx(whole.seconds)


def test_a_device_without_a_limit_has_a_very_large_one(chain: Network) -> None:
    figures = world(chain, {"a": 1.0, "b": 1.0, "c": 1.0}, memory_bytes={"a": 5, "b": 6})
    assert pose(ask(chain, figures, memory_bytes={"b": 7})).memory_bytes.tolist() == [5, 7, ENDLESS_BYTES]


def test_excluded_devices_are_no_choice(chain: Network) -> None:
    problem = pose(ask(chain, world(chain, {"a": 1.0, "b": 1.0}), excluded=frozenset({"a"})))
    assert problem.devices == ("b",)


def test_readers_of_the_input_stay_where_the_input_must(chain: Network) -> None:
    problem = pose(ask(chain, world(chain, {"a": 1.0, "b": 1.0}), input_on="b"))
    assert problem.allowed.sum(axis=0).tolist() == [1, *[2] * (len(problem.units) - 1)]
    assert problem.allowed[1, 0]


CONTRADICTIONS: list[tuple[dict[str, Any], str]] = [
    ({"pins": {"c9": "a"}}, "'c9' is not in the network. Did you mean"),
    ({"pins": {"c0": "z"}}, "'z', is not among those to plan for"),
    ({"pins": {"c0": "a"}, "excluded": frozenset({"a"})}, "'a' is left out, but the layer 'c0' is pinned to it"),
    ({"pins": {"c0": "a"}, "input_on": "b"}, "'c0' reads the network's input, which must stay on 'b'"),
    ({"input_on": "z"}, "'z', is not among those to plan for"),
    ({"input_on": "a", "excluded": frozenset({"a"})}, "'a' is left out, but the network's inputs must stay on it"),
    ({"pins": {"c0": "a", "c1": "b"}, "max_devices": 1}, r"At most 1 devices may be used; layers .* 2 \(a, b\)"),
    ({"max_devices": 0}, "At most 0 devices"),
    ({"excluded": frozenset({"a", "b"})}, "No device is left"),
]


@pytest.mark.parametrize(("limits", "message"), CONTRADICTIONS)
def test_limits_that_exclude_each_other_are_refused(chain: Network, limits: Mapping[str, Any], message: str) -> None:
    with pytest.raises(ContradictionError, match=message):
        pose(ask(chain, world(chain, {"a": 1.0, "b": 1.0}), **limits))


@pytest.mark.parametrize("objective", ["max_energy", "total_energy"])
def test_energy_is_refused_without_power(chain: Network, objective: Objective) -> None:
    figures = world(chain, {"a": 1.0, "b": 1.0}, power={"b": None})
    with pytest.raises(NoPowerError, match="'b'"):
        pose(replace(ask(chain, figures), objective=objective))
    with pytest.raises(NoPowerError, match="'b'"):
        pose(ask(chain, figures, max_energy_j=1.0))
    assert pose(replace(ask(chain, figures, excluded=frozenset({"b"})), objective=objective)).devices == ("a",)
    assert math.isnan(pose(ask(chain, figures)).idle_w[1])


def test_figures_that_cannot_be_are_refused_by_name(chain: Network) -> None:
    figures = world(chain, {"a": 1.0, "b": 1.0})
    bad = replace(figures.devices["b"], carry=CarrySpeed(math.nan, 0.0))
    with pytest.raises(BadFiguresError, match="'b'"):
        pose(ask(chain, replace(figures, devices={**figures.devices, "b": bad})))
    links = {**figures.links.links, ("a", "b"): LinkFigures(0.0)}
    with pytest.raises(BadFiguresError, match="from 'a' to 'b' is 0"):
        pose(ask(chain, replace(figures, links=LinkTable(links))))
    slow = {**figures.links.links, (STUDIO_PEER, "b"): LinkFigures(1.0, -1.0)}
    with pytest.raises(BadFiguresError, match="'b'"):
        pose(ask(chain, replace(figures, links=LinkTable(slow))))
    with pytest.raises(BadFiguresError, match="'z'"):
        pose(replace(ask(chain, figures), devices=("a", "z")))


def test_a_profile_of_another_network_is_refused(chain: Network) -> None:
    other = load(residual_net(1))
    figures, strange = world(chain, {"a": 1.0, "b": 1.0}), world(other, {"b": 1.0})
    with pytest.raises(BadFiguresError, match="'b' has no layer of this network"):
        pose(ask(chain, replace(figures, devices={"a": figures.devices["a"], "b": strange.devices["b"]})))
