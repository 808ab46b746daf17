"""The plan document and its check."""

import json
import random

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from onnx import helper

from partition_studio.errors import PlanError
from partition_studio.graph.network import Network
from partition_studio.partition.check import (
    RUNTIME_BYTES,
    DeviceLimits,
    InvalidPlanError,
    check_plan,
    peak_activation_bytes,
    require_valid,
)
from partition_studio.partition.partition import partition
from partition_studio.partition.plan import MalformedPlanError, NetworkRef, OutputChannelSharding, Plan, parse_plan

from .networks import load, make_model, plan_for, relu_chain, value, weight

SHA = "0" * 64
GOOD = {"version": 1, "network": {"sha256": SHA, "name": "n"}, "placement": {"l0": "pi"}}
TENSOR_BYTES = 2 * 4 * 4 * 4


def chain(count: int = 3) -> Network:
    return load(relu_chain(count))


def test_a_plan_survives_its_json() -> None:
    plan = parse_plan(json.dumps({**GOOD, "name": "two boards", "notes": "first try"}))
    assert parse_plan(plan.to_json()) == plan
    assert parse_plan(plan.to_json().encode()) == plan
    assert plan.devices() == ("pi",)


@pytest.mark.parametrize(
    ("document", "words"),
    [
        ("", "not JSON"),
        ("{", "not JSON"),
        ("\x00", "not JSON"),
        (b"\xff\xfe", "not JSON"),
        ("[]", "the document must be an object, not []"),
        ({**GOOD, "version": 3}, "`version` must be 2, not 3"),
        ({**GOOD, "extra": 1}, "the document has an unknown field 'extra'"),
        (
            {**GOOD, "network": {"sha256": "abc", "name": "n"}},
            "`sha256` of `network` must be 64 hexadecimal digits, not 'abc'",
        ),
        ({**GOOD, "network": None}, "`network` must be an object, not None"),
        ({**GOOD, "placement": {"l0": 3}}, "'l0' in `placement` must be text, not 3"),
        ({"version": 1, "network": GOOD["network"]}, "the document lacks the field 'placement'"),
    ],
)
def test_a_malformed_plan_gets_one_sentence_that_says_where(document: object, words: str) -> None:
    text = document if isinstance(document, str | bytes) else json.dumps(document)
    with pytest.raises(MalformedPlanError) as caught:
        parse_plan(text)
    assert words in caught.value.message
    assert "\n" not in caught.value.message


DIVIDED = {"strategy": "output_channels", "layers": ["l0"], "devices": ["a", "b"]}


def with_shard(**fields: object) -> dict[str, object]:
    return {**GOOD, "version": 2, "shards": [{**DIVIDED, **fields}]}


def test_a_plan_of_version_1_is_read_as_one_of_version_2() -> None:
    plan = parse_plan(json.dumps(GOOD))
    assert (plan.version, plan.shards, plan.resources) == (2, [], {})
    assert parse_plan(json.dumps({**GOOD, "version": 2})) == plan


def test_devices_of_parts_are_devices_of_the_plan() -> None:
    plan = parse_plan(json.dumps(with_shard(devices=["pi", "b"])))
    assert plan.devices() == ("pi", "b")
    assert parse_plan(plan.to_json()) == plan


@pytest.mark.parametrize(
    ("document", "words"),
    [
        (with_shard(strategy="diagonal"), "entry 0 of `shards` has the strategy 'diagonal', which there is not"),
        (with_shard(layers=[]), "`layers` of entry 0 of `shards` must have at least 1 entry, not 0"),
        (with_shard(foo=1), "entry 0 of `shards` has an unknown field 'foo'"),
        (with_shard(devices=["a"]), "`devices` of entry 0 of `shards` must have at least 2 entries, not 1"),
        (with_shard(devices=["a"] * 17), "at most 16 entries, not 17"),
        (with_shard(shares=[1]), "as many shares"),
        (with_shard(shares=[1, 0]), "entry 1 of `shares` of entry 0 of `shards` must be a number above 0, not 0"),
        (with_shard(shares=[1, -1]), "must be a number above 0, not -1"),
        (with_shard(unit="size"), "sizes must be given"),
        (with_shard(unit="rows"), "`unit` of entry 0 of `shards` must be 'share' or 'size', not 'rows'"),
        (with_shard(rows=[1, 1]), "has the field 'rows', which only a spatial strategy has"),
        (with_shard(strategy="spatial", rows=[1, 1], columns=[1, 1]), "2 x 2 tiles need 4 devices"),
        (
            with_shard(strategy="spatial_independent", rows=[1, 1], exchange_before=["l0"]),
            "only the strategy `spatial`",
        ),
        (
            {**GOOD, "version": 2, "resources": {"gpu": {"device": "pi", "processor": "npu"}}},
            "`processor` of 'gpu' in `resources` must be",
        ),
        ({**GOOD, "version": 2, "resources": {"gpu": {}}}, "'gpu' in `resources` lacks the field 'device'"),
    ],
)
def test_a_malformed_division_or_resource_is_told_where_it_is(document: dict[str, object], words: str) -> None:
    with pytest.raises(MalformedPlanError) as caught:
        parse_plan(json.dumps(document))
    assert words in caught.value.message
    assert "\n" not in caught.value.message


def test_a_good_plan_has_no_problem_and_says_what_it_costs() -> None:
    network = chain()
    report = check_plan(network, plan_for(network, {"l0": "a", "l1": "b", "l2": "a"}))
    assert (report.ok, report.problems) == (True, ())
    a, b = report.costs
    assert (a.device, a.stages, a.layers) == ("a", ("a-0", "a-1"), 2)
    assert (a.received_bytes, a.sent_bytes) == (2 * TENSOR_BYTES, 2 * TENSOR_BYTES)
    assert (b.received_bytes, b.sent_bytes, b.peak_activation_bytes) == (TENSOR_BYTES, TENSOR_BYTES, 2 * TENSOR_BYTES)
    assert [(c.producer, c.consumer, c.size_bytes) for c in report.cuts] == [
        ("source", "a-0", TENSOR_BYTES),
        ("a-0", "b-0", TENSOR_BYTES),
        ("b-0", "a-1", TENSOR_BYTES),
        ("a-1", "sink", TENSOR_BYTES),
    ]
    assert report.cuts[1].producer_device == "a"
    assert report.cuts[0].producer_device is None


def test_tensors_between_two_stages_of_one_device_are_not_sent() -> None:
    shape = (1, 2, 4, 4)
    pairs = {"a": ["x"], "b": ["a"], "c": ["b", "a"]}
    nodes = [helper.make_node("Sum", sources, [name], name=name) for name, sources in pairs.items()]
    network = load(make_model(nodes, [value("x", shape)], [value("c", shape)]))
    report = check_plan(network, plan_for(network, {"a": "p", "b": "q", "c": "p"}))
    p = report.costs[0]
    assert p.stages == ("p-0", "p-1")
    assert (p.received_bytes, p.sent_bytes) == (2 * TENSOR_BYTES, 2 * TENSOR_BYTES)
    assert any(cut.producer == "p-0" and cut.consumer == "p-1" for cut in report.cuts)


@pytest.mark.parametrize(
    ("placement", "code", "layer", "words"),
    [
        ({"l0": "pi", "l1": "pi"}, "unplaced_layer", "l2", ["'l2'"]),
        ({"l0": "pi", "l1": "pi", "l2": "pi", "l22": "pi"}, "unknown_layer", "l22", ["'l22'", "Did you mean 'l2'"]),
        ({"l0": "pi", "l1": "po", "l2": "pi"}, "unknown_device", "l1", ["'po'", "'l1'", "Did you mean 'pi'"]),
        ({"l0": "pi", "l1": "", "l2": "pi"}, "unknown_device", "l1", ["'l1'", "no device"]),
    ],
)
def test_a_wrong_placement_is_named(placement: dict[str, str], code: str, layer: str, words: list[str]) -> None:
    network = chain()
    report = check_plan(network, plan_for(network, placement), {"pi": DeviceLimits()})
    assert [(p.code, p.severity, p.layer) for p in report.errors] == [(code, "error", layer)]
    assert all(word in report.errors[0].message for word in words)


def test_offline_any_device_name_will_do() -> None:
    network = chain()
    assert check_plan(network, plan_for(network, dict.fromkeys(["l0", "l1", "l2"], "anything"))).ok


def test_a_plan_for_another_file_is_refused() -> None:
    network = chain()
    placement = dict.fromkeys(["l0", "l1", "l2"], "pi")
    plan = Plan(network=NetworkRef(sha256=SHA, name="other"), placement=placement)
    report = check_plan(network, plan)
    assert [p.code for p in report.errors] == ["other_network"]
    assert "'other'" in report.errors[0].message
    assert report.costs, "what it would cost is still told"


def test_an_unknown_device_with_a_name_of_autodice_is_told_what_to_do() -> None:
    network = chain()
    plan = plan_for(network, {"l0": "nx01_arm01", "l1": "pi", "l2": "board"})
    problems = check_plan(network, plan, {"pi": DeviceLimits()}).problems
    assert [problem.device for problem in problems] == ["nx01_arm01", "board"]
    assert "--device nx01=NAME" in (problems[0].next_step or "")
    assert problems[1].next_step is None


def test_a_plan_for_another_file_is_told_before_its_divisions_are_tried() -> None:
    network = chain()
    entry = OutputChannelSharding(layers=["conv1"], devices=["a", "b"])
    plan = Plan(network=NetworkRef(sha256=SHA, name="other"), placement={"fc": "a"}, shards=[entry])
    report = check_plan(network, plan)
    assert [problem.code for problem in report.problems] == ["other_network"]
    with pytest.raises(InvalidPlanError, match="for another network: 'other'"):
        require_valid(network, plan)


def test_an_unknown_layer_of_a_division_gets_a_suggestion() -> None:
    network = chain()
    plan = plan_for(network, dict.fromkeys(["l0", "l1", "l2"], "a"))
    report = check_plan(
        network, plan.model_copy(update={"shards": [OutputChannelSharding(layers=["l9"], devices=["a", "b"])]})
    )
    (problem,) = report.problems
    assert (problem.code, problem.layer) == ("bad_shard", "l9")
    assert "no layer 'l9'" in problem.message
    assert "Did you mean 'l" in problem.message


def heavy() -> Network:
    weights = weight("w", np.zeros((512, 512, 8, 8), np.float32))
    nodes = [helper.make_node("Conv", ["x", "w"], ["y"], name="big"), helper.make_node("Relu", ["y"], ["z"], name="r")]
    return load(make_model(nodes, [value("x", (1, 512, 8, 8))], [value("z", (1, 512, 1, 1))], [weights]))


def test_what_does_not_fit_is_an_error_and_what_hardly_fits_a_warning() -> None:
    network = heavy()
    plan = plan_for(network, {"big": "tiny", "r": "tiny"})
    needed = network.weight_bytes + RUNTIME_BYTES
    for memory_bytes, codes in (
        (needed - 1, ["over_memory"]),
        (needed * 3 // 2, ["tight_memory"]),
        (4 * needed, []),
        (None, []),
    ):
        report = check_plan(network, plan, {"tiny": DeviceLimits(memory_bytes)})
        assert [p.code for p in report.problems] == codes
        assert all("'tiny'" in p.message and p.device == "tiny" and " MB" in p.message for p in report.problems)
        assert report.ok == (codes != ["over_memory"])


def test_a_valid_plan_is_returned_with_its_stages_and_an_invalid_one_raised() -> None:
    network = chain()
    report, parted = require_valid(network, plan_for(network, {"l0": "a", "l1": "b", "l2": "b"}))
    assert report.stages == parted.graph.stages
    with pytest.raises(InvalidPlanError, match=r"'l1'.*\(1 more problem\.\)") as caught:
        require_valid(network, plan_for(network, {"l0": "a"}))
    assert isinstance(caught.value, PlanError)
    assert caught.value.details["layer"] == "l1"


def test_a_tensor_that_is_needed_later_stays_in_the_peak() -> None:
    shape = (1, 2, 4, 4)
    edges = {"a": ["x"], "b": ["a"], "c": ["b"], "d": ["c", "a"]}
    nodes = [helper.make_node("Sum", sources, [name], name=name) for name, sources in edges.items()]
    network = load(make_model(nodes, [value("x", shape)], [value("d", shape)]))
    stage = partition(network, plan_for(network, dict.fromkeys(edges, "p"))).graph.stages[0]
    assert peak_activation_bytes(network, stage) == 3 * TENSOR_BYTES


@given(seed=st.integers(0, 2**32 - 1))
@settings(max_examples=40, deadline=None)
def test_the_peak_is_what_is_alive_at_once_layer_by_layer(seed: int) -> None:
    generator = random.Random(seed)
    tensors, edges = ["x", "x2"], {}
    for number in range(generator.randint(1, 12)):
        edges[f"t{number}"] = generator.sample(tensors, min(len(tensors), generator.randint(1, 3)))
        tensors.append(f"t{number}")
    nodes = [helper.make_node("Sum", sources, [name], name=name) for name, sources in edges.items()]
    ends = generator.sample(list(edges), generator.randint(1, len(edges)))
    shape = (1, 2, 4, 4)
    network = load(make_model(nodes, [value(x, shape) for x in ("x", "x2")], [value(end, shape) for end in ends]))
    parted = partition(network, plan_for(network, {layer.name: generator.choice("pq") for layer in network.layers}))
    for stage in parted.graph.stages:
        alive, most = set(stage.inputs), len(stage.inputs)
        for place, name in enumerate(stage.layers):
            alive |= set(network.layer(name).outputs)
            most = max(most, len(alive))
            later = {tensor for after in stage.layers[place + 1 :] for tensor in network.layer(after).inputs}
            alive &= later | set(stage.outputs)
        assert peak_activation_bytes(network, stage) == most * TENSOR_BYTES
