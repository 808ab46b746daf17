"""First placements and the best single cut."""

from itertools import combinations, pairwise

import numpy as np
import onnx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from onnx import helper

from partition_studio.partition.check import check_plan
from partition_studio.planner.spread import SLACK, NoDeviceError, best_single_cut, layer_cost, live_bytes, spread

from .networks import cnn_models, load, make_model, relu_chain, value, weight


@settings(deadline=None, max_examples=40)
@given(model=cnn_models(), count=st.integers(1, 4))
def test_the_busiest_device_has_as_little_as_any_contiguous_placement_could_give(
    model: onnx.ModelProto, count: int
) -> None:
    network = load(model)
    devices = [f"d{i}" for i in range(count)]
    plan = spread(network, devices)
    assert check_plan(network, plan).ok
    used = [plan.placement[layer.name] for layer in network.layers]
    assert used == sorted(used), "contiguous, in the order of the devices"
    costs = [layer_cost(network, layer) for layer in network.layers]
    parts = min(count, len(costs))
    assert len(set(used)) == parts, "no device is left out"

    def worst(ends: tuple[int, ...]) -> int:
        bounds = (0, *ends, len(costs))
        return max(sum(costs[a:b]) for a, b in pairwise(bounds))

    choices = list(combinations(range(1, len(costs)), parts - 1))
    best = min(map(worst, choices))
    ends = tuple(i for i in range(1, len(used)) if used[i] != used[i - 1])
    assert worst(ends) <= best * (1 + SLACK)
    sizes = live_bytes(network)
    cheapest = min(sum(sizes[e] for e in c) for c in choices if worst(c) <= best * (1 + SLACK))
    assert sum(sizes[e] for e in ends) == cheapest


def test_no_device_is_an_error() -> None:
    with pytest.raises(NoDeviceError):
        spread(load(relu_chain()), [])


def test_devices_beyond_the_number_of_layers_stay_empty() -> None:
    assert spread(load(relu_chain(2)), ["a", "b", "c"]).devices() == ("a", "b")


def test_a_network_of_many_layers_is_spread_over_many_devices() -> None:
    network = load(relu_chain(700))
    plan = spread(network, [f"d{i:02d}" for i in range(16)])
    assert len(plan.devices()) == 16


def test_the_single_cut_balances_measured_seconds() -> None:
    network = load(relu_chain(4))
    cut = best_single_cut(network, {"l0": 1.0, "l1": 1.0, "l2": 1.0, "l3": 3.0}, ("a", "b"))
    assert (cut.index, cut.first_s, cut.second_s, cut.tensors) == (3, 3.0, 3.0, ("t2",))
    assert cut.plan.placement == {"l0": "a", "l1": "a", "l2": "a", "l3": "b"}
    assert cut.cut_bytes == network.tensors["t2"].size_bytes


def test_equal_cuts_are_decided_by_bytes() -> None:
    wide, narrow = (1, 4, 8, 8), (1, 1, 8, 8)
    nodes = [
        helper.make_node("Relu", ["x"], ["a"], name="l0"),
        helper.make_node("Conv", ["a", "w"], ["b"], name="l1"),
        helper.make_node("Relu", ["b"], ["y"], name="l2"),
    ]
    w = weight("w", np.ones((1, 4, 1, 1), np.float32))
    network = load(make_model(nodes, [value("x", wide)], [value("y", narrow)], [w]))
    assert best_single_cut(network, {"l0": 1.0, "l1": 0.0, "l2": 1.0}, ("a", "b")).tensors == ("b",)
