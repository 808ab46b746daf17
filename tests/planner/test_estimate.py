"""What is estimated where nobody measured: plausible kernels, by rooflines that profiles bring to their height."""

import math

import numpy as np
import onnx
import pytest
from hypothesis import given, settings
from onnx import helper

from partition_studio.graph.network import Network
from partition_studio.planner.figures.estimate import (
    CAUTIOUS,
    DESKTOP,
    ESTIMATE,
    STUDIO_CARRY,
    Roofline,
    estimate_profile,
    estimated_carry,
    fused,
    over_network,
    scaled,
    typical_roofline,
)
from partition_studio.planner.figures.figures import CarrySpeed
from partition_studio.planner.figures.profile import network_digest, profile_of_json, profile_to_json
from partition_studio.planner.prediction.stage_time import predict_stage_s
from tests.core.networks import cnn_models, load, make_model, value, weight

PLAIN = Roofline(1e9, 1e9, 1e-5, 1e-4)


def conv(name: str, source: str, target: str, kernel: str = "w") -> onnx.NodeProto:
    return helper.make_node("Conv", [source, kernel], [target], name=name, kernel_shape=[3, 3], pads=[1, 1, 1, 1])


def residual() -> Network:
    """`x -> c1 -> b1 -> r1 -> c2 -> add(x) -> r2 -> y`, and `r1` read twice."""
    shape = (1, 4, 8, 8)
    nodes = [
        conv("c1", "x", "t1"),
        helper.make_node("BatchNormalization", ["t1", "s", "s", "s", "v"], ["t2"], name="b1"),
        helper.make_node("Relu", ["t2"], ["t3"], name="r1"),
        conv("c2", "t3", "t4"),
        helper.make_node("Add", ["t4", "t3"], ["t5"], name="add"),
        helper.make_node("Relu", ["t5"], ["y"], name="r2"),
    ]
    ones = np.ones(4, np.float32)
    weights = [
        weight("w", np.full((4, 4, 3, 3), 0.1, np.float32)),
        weight("s", ones),
        weight("v", ones),
    ]
    return load(make_model(nodes, [value("x", shape)], [value("y", shape)], weights))


def kernels(network: Network) -> list[tuple[str, ...]]:
    return [tuple(layer.name for layer in run) for run in fused(network)]


def test_a_convolution_takes_normalisation_addition_and_activation_with_it() -> None:
    assert kernels(residual()) == [("c1", "b1", "r1"), ("c2", "add", "r2")]


def test_what_another_layer_reads_as_well_ends_a_kernel() -> None:
    nodes = [
        helper.make_node("Gemm", ["x", "w"], ["t"], name="g"),
        helper.make_node("Relu", ["t"], ["y"], name="r"),
        helper.make_node("Sigmoid", ["t"], ["z"], name="s"),
    ]
    network = load(
        make_model(
            nodes,
            [value("x", (1, 4))],
            [value("y", (1, 4)), value("z", (1, 4))],
            [weight("w", np.eye(4, dtype=np.float32))],
        )
    )
    assert kernels(network) == [("g",), ("r",), ("s",)]


@settings(max_examples=40, deadline=None)
@given(model=cnn_models())
def test_every_layer_is_in_one_kernel_and_the_parts_add_up(model: onnx.ModelProto) -> None:
    network = load(model)
    profile = estimate_profile(network, "a", PLAIN, 1)
    named = [name for kernel in profile.kernels for name in kernel.layers]
    assert sorted(named) == sorted(network.layers_by_name)
    assert [layer.layer for layer in profile.layers] == [layer.name for layer in network.layers]
    assert all(layer.median_s > 0 for layer in profile.layers)
    assert math.isclose(profile.run_s, profile.kernels_s + profile.session_s)
    # It may be kept, and predicted with, as any profile.
    assert profile_of_json(profile_to_json(profile)) == profile
    whole = predict_stage_s(profile, network, [layer.name for layer in network.layers])
    assert math.isclose(whole.seconds, profile.run_s) and not whole.warnings


def test_an_estimate_says_that_it_is_one() -> None:
    network = residual()
    profile = estimate_profile(network, "a", CAUTIOUS, 2)
    assert profile.key.provider == ESTIMATE and profile.key.network_digest == network_digest(network)
    assert profile.runs == 0 and profile.key.threads == 2
    assert "estimated" in profile.warnings[0]


def test_a_kernel_takes_what_its_arithmetic_or_its_bytes_take_whichever_is_more() -> None:
    assert math.isclose(PLAIN.seconds(1e9, 1e6, 1), 1.0 + 1e-5)
    assert math.isclose(PLAIN.seconds(1e6, 1e9, 1), 1.0 + 1e-5)


@pytest.mark.parametrize(("cores", "threads", "times"), [(0.5, 1, 0.5), (1, 1, 1), (4, 1, 1), (4, 2, 1.8)])
def test_arithmetic_is_shared_by_the_cores_that_compute(cores: float, threads: int, times: float) -> None:
    with_cores = PLAIN.with_cores(cores)
    assert math.isclose(with_cores.seconds(1e12, 1, threads), PLAIN.seconds(1e12, 1, 1) / times, rel_tol=1e-3)


def test_a_profile_of_a_network_brings_the_roofline_to_its_height() -> None:
    network = residual()
    for slower in (0.3, 1.0, 20.0):
        kernels_s = slower * estimate_profile(network, "a", PLAIN, 1).kernels_s
        brought = scaled(PLAIN, network, 1, kernels_s, kernels_s + 0.002)
        again = estimate_profile(network, "a", brought, 1)
        assert math.isclose(again.kernels_s, kernels_s, rel_tol=1e-9)
        assert math.isclose(again.session_s, 0.002, rel_tol=1e-9)


def test_boards_are_known_by_their_model_and_others_are_taken_to_be_slow() -> None:
    assert typical_roofline("x86_64", None) == DESKTOP
    assert typical_roofline("riscv64", None) == CAUTIOUS
    pi5, pi4 = (typical_roofline("aarch64", f"Raspberry Pi {n} Model B Rev 1.1") for n in (5, 4))
    assert DESKTOP.macs_per_s > pi5.macs_per_s > pi4.macs_per_s


def test_messages_cost_a_weak_board_several_times_what_they_cost_a_desktop() -> None:
    assert estimated_carry(DESKTOP) == STUDIO_CARRY
    weak = estimated_carry(CAUTIOUS)
    assert 2 < weak.byte_s / STUDIO_CARRY.byte_s <= 6


def test_over_a_network_bytes_cost_more_than_over_the_loopback_and_messages_the_same() -> None:
    near = CarrySpeed(2e-4, 1e-9)
    far = over_network(near)
    assert far.message_s == near.message_s
    assert 1 < far.byte_s / near.byte_s < 4
    assert far.byte_s - far.beside_byte_s == pytest.approx(near.byte_s)
