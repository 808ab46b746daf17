"""The bound of an agent's memory: a sum whose terms are known, and never less than what it is made of."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from partition_studio.deployment.manifest import build_manifest
from partition_studio.partition.check import check_plan, require_valid
from partition_studio.partition.memory import (
    AGENT_BYTES,
    AHEAD_FROM_BYTES,
    CODEC_BYTES,
    CODEC_SCRATCH,
    MIB,
    StageNeed,
    memory_bound,
)
from partition_studio.partition.plan import CodecChoice, ReplicaGroup, Resource

from .networks import load, plan_for, relu_chain

sizes = st.integers(0, 600 * MIB)


@st.composite
def needs(draw: st.DrawFn) -> StageNeed:
    weights = draw(sizes)
    matrices = draw(st.integers(0, weights))
    return StageNeed(weights, matrices, draw(st.integers(0, matrices)), draw(sizes), draw(st.integers(1, 900)))


@given(st.lists(needs(), max_size=4), sizes, sizes, st.integers(1, 8))
def test_the_bound_is_the_sum_of_its_parts_and_holds_weights_activations_and_frames(
    stages: list[StageNeed], receive: int, send: int, batch: int
) -> None:
    bound = memory_bound(stages, receive, send, batch)
    parts = (bound.agent_bytes, bound.stage_bytes, bound.load_bytes, bound.receive_bytes, bound.send_bytes)
    assert bound.bound_bytes == sum(parts) and min(parts) >= 0
    needed = sum(stage.weight_bytes + stage.live_bytes * batch for stage in stages)
    assert bound.bound_bytes >= AGENT_BYTES + needed + receive + send


@given(st.lists(needs(), min_size=1, max_size=4))
def test_no_moment_of_loading_is_above_the_bound(stages: list[StageNeed]) -> None:
    bound = memory_bound(stages, 0, 0)
    for number, stage in enumerate(stages):
        before = sum(other.held_bytes() for other in stages[:number])
        assert bound.bound_bytes >= AGENT_BYTES + before + stage.load_peak_bytes()


@given(needs(), st.integers(1, 7))
def test_more_frames_at_once_never_take_less(need: StageNeed, batch: int) -> None:
    assert memory_bound([need], 0, 0, batch + 1).bound_bytes >= memory_bound([need], 0, 0, batch).bound_bytes


def test_a_matrix_is_held_twice_while_it_is_packed_and_convolutions_while_they_are_fused() -> None:
    weights = 400 * MIB
    matrix = memory_bound([StageNeed(weights, weights, 2 * weights, MIB, 1)], 0, 0)
    convolutions = memory_bound([StageNeed(weights, 0, 0, MIB, 1)], 0, 0)
    assert matrix.load_bytes > 0.9 * weights and convolutions.load_bytes > 1.7 * weights
    assert weights > AHEAD_FROM_BYTES


def test_frames_that_wait_at_links_are_counted_where_they_wait() -> None:
    network = load(relu_chain(3))
    report = check_plan(network, plan_for(network, {"l0": "a", "l1": "b", "l2": "b"}))
    a, b = report.costs
    sent = {cut.producer_device: cut.size_bytes * cut.window for cut in report.cuts}
    received = {cut.consumer_device: cut.size_bytes * cut.window for cut in report.cuts}
    assert (a.bound.receive_bytes, a.bound.send_bytes) == (received["a"], sent["a"])
    assert (b.bound.receive_bytes, b.bound.send_bytes) == (received["b"], sent["b"])
    assert a.likely_memory_bytes == a.bound.bound_bytes > a.least_memory_bytes - a.bound.receive_bytes


def test_replicas_that_are_parts_of_one_device_each_take_memory() -> None:
    network = load(relu_chain(3))
    resources = {f"half{number}": Resource(device="a", cores=[number]) for number in range(2)}
    groups = {"g": ReplicaGroup(places=list(resources))}
    alone = plan_for(network, dict.fromkeys(network.layers_by_name, "a"))
    twice = alone.model_copy(
        update={
            "placement": dict.fromkeys(network.layers_by_name, "g"),
            "resources": resources,
            "replicas": groups,
        }
    )
    (one,), (both,) = (check_plan(network, plan).costs for plan in (alone, twice))
    assert both.bound.stage_bytes == 2 * one.bound.stage_bytes
    assert both.bound.receive_bytes >= 2 * one.bound.receive_bytes > 0
    assert (both.macs, both.sent_bytes) == (one.macs, one.sent_bytes)


def test_what_coding_takes_is_counted_at_both_ends_of_a_link_that_is_coded() -> None:
    network = load(relu_chain(3))
    plain = plan_for(network, {"l0": "a", "l1": "b", "l2": "b"})
    coded = plain.model_copy(update={"codecs": [CodecChoice(producer="a", consumer="b", codec="auto")]})
    (a, b), (coded_a, coded_b) = (check_plan(network, plan).costs for plan in (plain, coded))
    size = next(cut.size_bytes for cut in check_plan(network, plain).cuts if cut.producer_device == "a")
    coding = size + int(CODEC_SCRATCH * size) + CODEC_BYTES
    assert (coded_a.bound.send_bytes - a.bound.send_bytes, coded_a.bound.receive_bytes) == (
        coding,
        a.bound.receive_bytes,
    )
    assert (coded_b.bound.receive_bytes - b.bound.receive_bytes, coded_b.bound.send_bytes) == (
        coding,
        b.bound.send_bytes,
    )


def test_micro_batches_are_counted_with_the_windows_that_are_deployed() -> None:
    network = load(relu_chain(3))
    one = plan_for(network, {"l0": "a", "l1": "b", "l2": "b"})
    report = check_plan(network, one.model_copy(update={"micro_batch": 8}))
    _, partition = require_valid(network, one)
    graph = partition.graph
    manifest = build_manifest(
        graph, {s.name: "0" * 64 for s in graph.stages}, {}, batches={s.name: 8 for s in graph.stages}
    )
    windows = {link.producer_device: link.window for link in manifest.links}
    for cost in report.costs:
        cut = next(cut for cut in report.cuts if cut.producer_device == cost.device)
        assert cut.window == windows[cost.device]
        assert cost.bound.send_bytes == cut.size_bytes * (windows[cost.device] + 7)
    assert windows["a"] > 8
    # Which stages take several at once is measured later: what is certainly needed is as before.
    assert [c.least_memory_bytes for c in report.costs] == [
        c.least_memory_bytes for c in check_plan(network, one).costs
    ]
