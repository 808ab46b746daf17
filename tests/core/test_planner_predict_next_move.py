"""The next move is the best single one, is what it says, and names what limits the plan."""

from dataclasses import replace

import onnx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from partition_agent.protocol import STUDIO_PEER
from partition_studio.graph.network import Network
from partition_studio.partition.partition import partition
from partition_studio.partition.plan import CodecChoice, Plan, ReplicaGroup
from partition_studio.planner.errors import BadFiguresError
from partition_studio.planner.figures.figures import CarrySpeed, Figures, LinkFigures, LinkTable
from partition_studio.planner.prediction.flow import Resource
from partition_studio.planner.prediction.next_move import limit_text, next_move
from partition_studio.planner.prediction.predict import predict

from .networks import cnn_models, load, plan_for, random_plan, relu_chain
from .planner_worlds import MIB, random_world, world


def chain_world(count: int, seconds: list[float], **speeds: float) -> tuple[Network, Figures]:
    network = load(relu_chain(count, (1, 10, 5, 5)))
    names = [layer.name for layer in network.layers]
    return network, world(network, speeds, seconds=dict(zip(names, seconds, strict=True)), carry=CarrySpeed(0, 0))


def split_at(network: Network, index: int, first: str = "a", second: str = "b") -> Plan:
    return plan_for(network, {layer.name: first if i < index else second for i, layer in enumerate(network.layers)})


def moved(plan: Plan, after: Plan) -> dict[str, str]:
    return {layer: device for layer, device in after.placement.items() if plan.placement[layer] != device}


def test_a_boundary_moves_to_where_both_sides_are_equally_busy() -> None:
    network, figures = chain_world(6, [0.1] * 6, a=1.0, b=1.0)
    plan = split_at(network, 5)
    found = next_move(network, plan, figures)
    assert found is not None
    assert moved(plan, found.plan) == {"l3": "b", "l4": "b"}
    assert found.gain == pytest.approx(5 / 3, rel=0.01)
    assert found.text == "Move 'l3' to 'l4' (2 layers) from 'a' to 'b': the processor of 'a' limits this plan"
    assert found.prediction == predict(partition(network, found.plan), found.plan, figures)
    assert found.throughput_per_s == found.prediction.throughput_per_s


def test_a_device_before_the_bottleneck_takes_its_first_layers() -> None:
    network, figures = chain_world(4, [0.1] * 4, a=1.0, b=1.0)
    plan = split_at(network, 1)
    found = next_move(network, plan, figures)
    assert found is not None
    assert moved(plan, found.plan) == {"l1": "a"}
    assert found.text.startswith("Move 'l1' from 'b' to 'a': ")


def test_an_idle_device_takes_half() -> None:
    network, figures = chain_world(4, [0.1] * 4, a=1.0, idle=1.0, slow=0.1)
    plan = split_at(network, 4)
    found = next_move(network, plan, figures)
    assert found is not None
    assert set(moved(plan, found.plan).values()) == {"idle"}
    assert found.gain == pytest.approx(2.0, rel=0.01)


def test_of_a_long_stage_exactly_the_best_number_of_layers_moves() -> None:
    network, figures = chain_world(70, [0.01] * 70, a=1.0, b=1.0)
    plan = split_at(network, 57)
    found = next_move(network, plan, figures)
    assert found is not None
    assert len(moved(plan, found.plan)) == 22
    assert found.gain == pytest.approx(57 / 35, rel=0.01)


def test_a_slow_link_is_avoided_and_named() -> None:
    network, figures = chain_world(4, [0.1] * 4, a=1.0, b=1.0)
    links = {**figures.links.links, ("a", "b"): LinkFigures(100.0)}
    plan = split_at(network, 2)
    found = next_move(network, plan, replace(figures, links=LinkTable(links)))
    assert found is not None
    assert found.text.endswith("the link from 'a' to 'b' limits this plan")
    assert len(set(found.plan.placement.values())) == 1
    assert found.prediction.throughput_per_s == pytest.approx(2.5, rel=0.01)


def test_no_move_fills_a_memory_beyond_its_limit() -> None:
    network, figures = chain_world(6, [0.1] * 6, a=1.0, b=1.0)
    tight = {**figures.devices, "b": replace(figures.devices["b"], memory_bytes=10 * MIB)}
    plan = split_at(network, 6)
    assert next_move(network, plan, figures) is not None
    assert next_move(network, plan, replace(figures, devices=tight)) is None


def test_a_balanced_plan_has_no_next_move() -> None:
    network, figures = chain_world(4, [0.1] * 4, a=1.0, b=1.0)
    assert next_move(network, split_at(network, 2), figures) is None
    alone = replace(figures, devices={"a": figures.devices["a"]})
    assert next_move(network, split_at(network, 4), alone) is None


def test_idle_devices_of_which_nonsense_is_known_are_passed_over() -> None:
    network, figures = chain_world(4, [0.1] * 4, a=1.0, b=1.0, c=1.0)
    bad = {**figures.devices, "b": replace(figures.devices["b"], cores=0.0)}
    found = next_move(network, split_at(network, 4), replace(figures, devices=bad))
    assert found is not None
    assert set(found.plan.placement.values()) == {"a", "c"}
    with pytest.raises(BadFiguresError, match="'b'"):
        next_move(network, split_at(network, 2), replace(figures, devices=bad))


def test_plans_that_are_not_plain_have_none() -> None:
    network, figures = chain_world(4, [0.1] * 4, a=1.0, b=1.0)
    plan = split_at(network, 4)
    for update in ({"codecs": [CodecChoice(codec="lz4")]}, {"micro_batch": 2}):
        assert next_move(network, plan.model_copy(update=update), figures) is None
    group = {"a": ReplicaGroup(places=["b", "c"])}
    assert next_move(network, plan.model_copy(update={"replicas": group}), figures) is None


@pytest.mark.parametrize(
    ("resource", "text"),
    [
        (Resource("lane", "pi/left"), "computing on 'pi/left'"),
        (Resource("interface", "my pi in"), "what enters 'my pi'"),
        (Resource("interface", "pi out"), "what leaves 'pi'"),
        (Resource("link", f"pi->{STUDIO_PEER}"), "the link from 'pi' to 'studio'"),
    ],
)
def test_every_bottleneck_has_words(resource: Resource, text: str) -> None:
    assert limit_text(resource) == text


@settings(max_examples=40, deadline=None)
@given(model=cnn_models(), seed=st.integers(0, 2**16), devices=st.integers(1, 4))
def test_a_move_brings_what_it_says(model: onnx.ModelProto, seed: int, devices: int) -> None:
    network = load(model)
    figures, plan = random_world(network, devices, seed), random_plan(network, devices, seed)
    before = predict(partition(network, plan), plan, figures)
    found = next_move(network, plan, figures)
    if found is None:
        return
    after = predict(partition(network, found.plan), found.plan, figures)
    assert found.prediction == after
    assert found.gain == after.throughput_per_s / before.throughput_per_s > 1
    assert len(set(moved(plan, found.plan).values())) == 1


@settings(max_examples=25, deadline=None)
@given(seconds=st.lists(st.floats(0.01, 1.0), min_size=2, max_size=9), data=st.data())
def test_no_other_boundary_of_a_chain_on_two_devices_is_better(seconds: list[float], data: st.DataObject) -> None:
    network, figures = chain_world(len(seconds), seconds, a=1.0, b=1.7)
    plan = split_at(network, data.draw(st.integers(1, len(seconds) - 1)))

    def period_s(boundary: int) -> float:
        other = split_at(network, boundary)
        return predict(partition(network, other), other, figures).period_s

    best_s = min(period_s(boundary) for boundary in range(len(seconds) + 1))
    now_s = predict(partition(network, plan), plan, figures).period_s
    found = next_move(network, plan, figures)
    reached_s = now_s if found is None else found.prediction.period_s
    assert reached_s <= best_s * 1.002
    assert reached_s <= now_s
