"""Figures that cannot be are refused and named; better ones never make a prediction worse."""

import math
import random
from dataclasses import replace

import onnx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from partition_studio.partition.partition import partition
from partition_studio.partition.plan import ReplicaGroup
from partition_studio.partition.stages import SINK, SOURCE
from partition_studio.planner.errors import BadFiguresError
from partition_studio.planner.figures.figures import CarrySpeed, DevicePower, Figures, LinkFigures, LinkTable
from partition_studio.planner.figures.profile import CodecSpeed
from partition_studio.planner.prediction.predict import flow_of
from partition_studio.planner.prediction.throughput import predict_flow

from .networks import cnn_models, load, plan_for, random_plan
from .planner_worlds import device_for, random_world
from .test_planner_predict import alike, chain, devices, figures_of, predicted

NO_NUMBER = math.nan


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"cores": 0.0}, "the number of cores is 0"),
        ({"cores": NO_NUMBER}, "the number of cores is not a number"),
        ({"carry": CarrySpeed(-1e-3, 0)}, "carrying a message is -0.001"),
        ({"carry": CarrySpeed(0, NO_NUMBER)}, "carrying a byte is not a number"),
        ({"carry": CarrySpeed(0, 1e-9, 2e-9)}, "carrying a byte beside the wire is 2e-09"),
        ({"power": DevicePower(-1, 1)}, "power when idle is -1"),
        ({"power": DevicePower(1, math.inf)}, "power of a busy core is inf"),
        ({"codecs": {"lz4": CodecSpeed(0, 1)}}, "encoding with lz4 is 0"),
        ({"memory_bytes": -5}, "the memory is -5"),
    ],
)
def test_a_figure_that_cannot_be_is_refused_and_names_the_device(changed: dict[str, object], message: str) -> None:
    network = chain(2)
    found = devices(network, alike(network, 0.1, "a", "b"))
    found["b"] = replace(found["b"], **changed)  # type: ignore[arg-type]
    with pytest.raises(BadFiguresError, match=message) as caught:
        predicted(network, plan_for(network, {"l0": "a", "l1": "b"}), figures_of(found))
    assert "'b'" in caught.value.message
    assert caught.value.details["device"] == "b"
    predicted(network, plan_for(network, {"l0": "a", "l1": "a"}), figures_of(found))


@pytest.mark.parametrize("seconds", [-0.1, NO_NUMBER, math.inf])
def test_a_time_that_cannot_be_is_refused_and_names_the_layer(seconds: float) -> None:
    network = chain(2)
    found = devices(network, {"a": {"l0": 0.1, "l1": seconds}})
    with pytest.raises(BadFiguresError, match="'a', the time of the layer 'l1'"):
        predicted(network, plan_for(network, {"l0": "a", "l1": "a"}), figures_of(found))


@pytest.mark.parametrize(
    ("link", "message"),
    [
        (LinkFigures(0.0), "The bandwidth of the link from 'a' to 'b' is 0: it carries nothing"),
        (LinkFigures(-1.0), "is -1 bytes/s"),
        (LinkFigures(NO_NUMBER), "is not a number bytes/s"),
        (LinkFigures(1e6, -0.1), "The latency of the link from 'a' to 'b' is -0.1 s"),
    ],
)
def test_a_link_that_cannot_be_is_refused_and_named(link: LinkFigures, message: str) -> None:
    network = chain(2)
    figures = figures_of(devices(network, alike(network, 0.1, "a", "b")))
    figures = replace(figures, links=LinkTable({**figures.links.links, ("a", "b"): link}))
    with pytest.raises(BadFiguresError, match=message) as caught:
        predicted(network, plan_for(network, {"l0": "a", "l1": "b"}), figures)
    assert caught.value.details == {"source": "a", "target": "b"}
    predicted(network, plan_for(network, {"l0": "b", "l1": "a"}), figures)


def test_an_unknown_device_and_an_interface_of_nothing_are_refused() -> None:
    network = chain(2)
    found = devices(network, alike(network, 0.1, "a", "b"))
    with pytest.raises(BadFiguresError, match="'nowhere'"):
        predicted(network, plan_for(network, {"l0": "a", "l1": "nowhere"}), figures_of(found))
    with pytest.raises(BadFiguresError, match="The interface of 'b'"):
        predicted(network, plan_for(network, {"l0": "a", "l1": "b"}), figures_of(found, b=0.0))


def test_a_plan_of_which_nothing_takes_time_has_no_throughput() -> None:
    network = chain(2)
    free = device_for(network, "a", {"l0": 0.0, "l1": 0.0}, carry=CarrySpeed(0, 0), session_s=0.0)
    figures = Figures({"a": free}, LinkTable({}, default=LinkFigures(math.inf)))
    with pytest.raises(BadFiguresError, match="takes any time"):
        predicted(network, plan_for(network, {"l0": "a", "l1": "a"}), figures)


@settings(max_examples=40, deadline=None)
@given(model=cnn_models(), seed=st.integers(0, 2**16), factor=st.floats(1.0, 50.0))
def test_more_bandwidth_is_never_worse(model: onnx.ModelProto, seed: int, factor: float) -> None:
    network = load(model)
    figures, plan = random_world(network, 3, seed), random_plan(network, 3, seed)
    generator = random.Random(seed)
    links = {
        way: replace(link, bytes_per_s=link.bytes_per_s * generator.choice([factor, 1.0]))
        for way, link in figures.links.links.items()
    }
    before, after = (
        predicted(network, plan, each)
        for each in (figures, replace(figures, links=LinkTable(links, figures.links.interfaces)))
    )
    assert after.period_s <= before.period_s
    assert after.latency_s <= before.latency_s
    assert max(after.busy_s.values()) == after.period_s == after.busy_s[after.bottleneck]
    assert after.latency_s >= max(stage.end_s for stage in after.stages.values())


@settings(max_examples=40, deadline=None)
@given(model=cnn_models(), seed=st.integers(0, 2**16), factor=st.floats(0.1, 10.0))
def test_all_times_scaled_scale_the_period_and_the_latency(model: onnx.ModelProto, seed: int, factor: float) -> None:
    network = load(model)
    plan = random_plan(network, 3, seed)
    flow = flow_of(partition(network, plan), random_world(network, 3, seed))
    slower = replace(
        flow,
        works=tuple(replace(w, seconds=w.seconds * factor, cpu_s=w.cpu_s * factor) for w in flow.works),
        transfers=tuple(
            replace(
                t,
                send_s=t.send_s * factor,
                receive_s=t.receive_s * factor,
                send_beside_s=t.send_beside_s * factor,
                receive_beside_s=t.receive_beside_s * factor,
            )
            for t in flow.transfers
        ),
        links=LinkTable(
            {
                way: LinkFigures(link.bytes_per_s / factor, link.latency_s * factor)
                for way, link in flow.links.links.items()
            },
            {name: bytes_per_s / factor for name, bytes_per_s in flow.links.interfaces.items()},
        ),
    )
    before, after = predict_flow(flow), predict_flow(slower)
    assert after.period_s == pytest.approx(factor * before.period_s)
    assert after.latency_s == pytest.approx(factor * before.latency_s)
    ends = {work.name for work in flow.works} | {SOURCE, SINK}
    assert all({t.producer, t.consumer} <= ends for t in flow.transfers)


@settings(max_examples=30, deadline=None)
@given(speeds=st.lists(st.floats(0.01, 100.0), min_size=2, max_size=6))
def test_shares_of_replicas_sum_to_one_and_make_them_equally_busy(speeds: list[float]) -> None:
    network = chain(2)
    names = [f"d{number}" for number in range(len(speeds))]
    found = devices(network, {name: {"l0": 1 / s, "l1": 1 / s} for name, s in zip(names, speeds, strict=True)})
    plan = plan_for(network, {"l0": "all", "l1": "all"}).model_copy(
        update={"replicas": {"all": ReplicaGroup(places=names)}}
    )
    flow = flow_of(partition(network, plan), figures_of(found))
    assert math.fsum(work.share for work in flow.works) == pytest.approx(1)
    busy = [work.share * work.seconds for work in flow.works]
    assert max(busy) == pytest.approx(min(busy))
