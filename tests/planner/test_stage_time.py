"""Predictions follow from the profile: what was measured as it is counts as it is, the rest is reckoned and said so."""

from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from partition_studio.graph.examples import build_example
from partition_studio.graph.load import load_network
from partition_studio.graph.network import Network, NetworkForm
from partition_studio.partition.partition import divide
from partition_studio.partition.plan import NetworkRef, OutputChannelSharding, Plan
from partition_studio.planner.figures.profile import (
    KernelFigures,
    LayerFigures,
    Profile,
    ProfileKey,
    network_digest,
    profile_of_json,
    profile_to_json,
)
from partition_studio.planner.prediction.stage_time import predict_stage_s

SESSION_S = 0.001


@pytest.fixture(scope="module")
def digits(tmp_path_factory: pytest.TempPathFactory) -> Network:
    file: Path = tmp_path_factory.mktemp("digits") / "digits.onnx"
    file.write_bytes(build_example("digits"))
    return load_network(file)


def profile_of(network: Network, *, fused: int = 3) -> Profile:
    """Layer n takes n + 1 seconds alone; `fused` layers in a row are one kernel of half their sum."""
    names = [layer.name for layer in network.layers]
    alone = {name: float(place + 1) for place, name in enumerate(names)}
    groups = [tuple(names[start : start + fused]) for start in range(0, len(names), fused)]
    kernels = tuple(KernelFigures(group, sum(alone[name] for name in group) / 2, 0.0, 5) for group in groups)
    return Profile(
        key=ProfileKey(network_digest(network), "board", "1.0", 1, "CPUExecutionProvider"),
        layers=tuple(
            LayerFigures(layer.name, alone[layer.name], 0.0, 5, layer.weight_bytes, layer.activation_bytes)
            for layer in network.layers
        ),
        kernels=kernels,
        run_s=sum(kernel.median_s for kernel in kernels) + SESSION_S,
        run_spread_s=0.0,
        runs=5,
        session_s=SESSION_S,
        load_s=0.0,
        weight_bytes=network.weight_bytes,
        peak_bytes=1,
        load_peak_bytes=1,
        power=None,
        temperature_c=None,
        throttled=(),
        warnings=(),
        pieces=1,
        duration_s=1.0,
    )


def test_the_whole_network_is_predicted_to_take_what_it_took(digits: Network) -> None:
    profile = profile_of(digits)
    predicted = predict_stage_s(profile, digits, [layer.name for layer in digits.layers])
    assert predicted.seconds == pytest.approx(profile.run_s)
    assert predicted.cut_s == predicted.layout_s == 0.0
    assert predicted.warnings == ()


def test_kernels_inside_a_stage_count_as_measured(digits: Network) -> None:
    profile = profile_of(digits)
    kernel = profile.kernels[1]
    assert predict_stage_s(profile, digits, kernel.layers).measured_s == pytest.approx(kernel.median_s)


def test_of_a_cut_kernel_the_heaviest_layers_side_takes_all_and_the_rest_what_it_took_alone(digits: Network) -> None:
    profile = profile_of(digits)
    kernel = profile.kernels[1]
    light, heavy = kernel.layers[0], kernel.layers[-1]
    assert predict_stage_s(profile, digits, [heavy]).cut_s == pytest.approx(kernel.median_s)
    assert predict_stage_s(profile, digits, [light]).cut_s == pytest.approx(profile.alone_s[light])


def test_what_is_mostly_reckoned_is_said_to_be(digits: Network) -> None:
    profile = profile_of(digits)
    assert any("reckoned" in text for text in predict_stage_s(profile, digits, [profile.kernels[1].layers[0]]).warnings)


def test_layers_that_were_not_profiled_are_named(digits: Network) -> None:
    profile = profile_of(digits)
    predicted = predict_stage_s(profile, digits, ["nowhere"])
    assert predicted.seconds == SESSION_S
    assert any("nowhere" in text for text in predicted.warnings)


@settings(max_examples=30, deadline=None)
@given(cuts=st.sets(st.integers(1, 6), max_size=4), fused=st.integers(1, 5))
def test_no_stage_is_predicted_to_take_less_than_its_whole_kernels(digits: Network, cuts: set[int], fused: int) -> None:
    profile = profile_of(digits, fused=fused)
    names = [layer.name for layer in digits.layers]
    edges = [0, *sorted(cut for cut in cuts if cut < len(names)), len(names)]
    stages = [names[start:stop] for start, stop in pairwise(edges)]
    predicted = [predict_stage_s(profile, digits, stage) for stage in stages]
    inside = sum(k.median_s for k in profile.kernels for stage in stages if set(k.layers) <= set(stage))
    assert sum(each.measured_s for each in predicted) == pytest.approx(inside)
    # Cutting never makes a network faster.
    assert sum(each.seconds for each in predicted) >= profile.run_s - 1e-9


def test_shards_take_their_layers_time_by_their_share_of_its_work(digits: Network) -> None:
    layer = next(layer for layer in digits.layers if layer.op_type == "Conv")
    plan = Plan(
        network=NetworkRef.of(digits),
        placement={other.name: "a" for other in digits.layers},
        shards=[OutputChannelSharding(layers=[layer.name], devices=["a", "b"])],
    )
    division = divide(digits, plan)
    profile = profile_of(digits, fused=1)
    parts = [
        name
        for name, source in division.sources.items()
        if source == layer.name and division.network.layer(name).macs > 0
    ]
    assert len(parts) == 2
    predicted = [predict_stage_s(profile, division.network, [name], division.sources) for name in parts]
    kernel = next(kernel for kernel in profile.kernels if kernel.layers == (layer.name,))
    assert sum(each.cut_s for each in predicted) == pytest.approx(kernel.median_s)
    macs = [division.network.layer(name).macs for name in parts]
    assert predicted[0].cut_s / predicted[1].cut_s == pytest.approx(macs[0] / macs[1])


def test_a_profile_comes_back_from_its_document(digits: Network) -> None:
    profile = profile_of(digits)
    assert profile_of_json(profile_to_json(profile)) == profile


@pytest.mark.parametrize("document", [{}, None, {"format": 99}, "text"])
def test_documents_of_another_format_are_no_profile(document: object) -> None:
    assert profile_of_json(document) is None


def test_forms_of_a_file_have_digests_of_their_own(digits: Network) -> None:
    forms = [NetworkForm(), NetworkForm(simplified=True), NetworkForm(dims=(("N", 2),)), NetworkForm(dims=(("N", 3),))]
    digests = [network_digest(replace(digits, form=form)) for form in forms]
    assert len(set(digests)) == len(forms)
    assert digests[0] == digits.digest
    assert all(len(digest) == 64 for digest in digests)
