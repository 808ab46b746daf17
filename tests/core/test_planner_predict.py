"""Predictions reckoned by hand: what each device and link does with a frame, and what limits the whole."""

import math
from dataclasses import replace

import pytest

from partition_agent.protocol import STUDIO_PEER, LinkCodec
from partition_studio.graph.network import Network
from partition_studio.partition.check import require_valid
from partition_studio.partition.partition import partition
from partition_studio.partition.plan import CodecChoice, Plan, ReplicaGroup, SpatialSharding
from partition_studio.partition.plan import Resource as PlanResource
from partition_studio.planner.figures.figures import (
    CarrySpeed,
    DeviceFigures,
    DevicePower,
    Figures,
    LinkFigures,
    LinkTable,
)
from partition_studio.planner.figures.profile import CodecSpeed
from partition_studio.planner.prediction.flow import Resource
from partition_studio.planner.prediction.predict import flow_of, predict
from partition_studio.planner.prediction.prediction import Prediction
from partition_studio.planner.prediction.throughput import predict_flow
from partition_studio.planner.simulation.simulate import simulate

from .networks import load, plan_for, relu_chain
from .planner_worlds import MIB, branch_net, conv_chain, device_for, links_between

#: Bytes of each tensor of `chain()`: small enough for no rate of memory to be told by them.
SIZE = 1000

BYTES_PER_S, LATENCY_S = 1e5, 0.002
CARRY = CarrySpeed(1e-3, 1e-6)
STUDIO = CarrySpeed(2e-3, 0.0)
SESSION_S = 0.001

#: A message of `SIZE` bytes: at a device, at the studio, and on a link.
HERE_S, THERE_S, WIRE_S = 0.002, 0.002, 0.01


def chain(count: int = 3) -> Network:
    return load(relu_chain(count, (1, 10, 5, 5)))


def devices(network: Network, seconds: dict[str, dict[str, float]]) -> dict[str, DeviceFigures]:
    """Devices on which each layer takes its seconds."""
    return {name: device_for(network, name, taken, carry=CARRY, session_s=SESSION_S) for name, taken in seconds.items()}


def figures_of(found: dict[str, DeviceFigures], **interfaces: float) -> Figures:
    return Figures(found, links_between(list(found), BYTES_PER_S, LATENCY_S, interfaces), STUDIO)


def alike(network: Network, seconds: float, *names: str) -> dict[str, dict[str, float]]:
    return {name: {layer.name: seconds for layer in network.layers} for name in names}


def predicted(network: Network, plan: Plan, figures: Figures, **more: object) -> Prediction:
    return predict(partition(network, plan), plan, figures, **more)  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def no_layout() -> float:
    """Seconds of the changes of layout at one border of `chain()`: 1.5 times 1000 bytes at 4 GB/s, in and out."""
    return 1.5 * SIZE / 4e9


def test_a_chain_over_two_devices_takes_what_its_busiest_device_takes(no_layout: float) -> None:
    network = chain()
    figures = figures_of(devices(network, {"a": dict(l0=0.1, l1=0.2, l2=0.4), "b": dict(l0=0.3, l1=0.3, l2=0.25)}))
    plan = plan_for(network, {"l0": "a", "l1": "a", "l2": "b"})
    found = predicted(network, plan, figures)
    a_s, b_s = 0.301 + no_layout, 0.251 + no_layout
    assert found.busy_s == pytest.approx(
        {
            Resource("cores", "a"): a_s + 2 * HERE_S,
            Resource("cores", "b"): b_s + 2 * HERE_S,
            Resource("lane", "a"): a_s,
            Resource("lane", "b"): b_s,
            Resource("link", f"{STUDIO_PEER}->a"): WIRE_S,
            Resource("link", "a->b"): WIRE_S,
            Resource("link", f"b->{STUDIO_PEER}"): WIRE_S,
        }
    )
    assert found.bottleneck == Resource("cores", "a")
    assert found.period_s == pytest.approx(a_s + 2 * HERE_S)
    assert found.throughput_per_s == pytest.approx(1 / found.period_s)
    way_s = WIRE_S + LATENCY_S
    a_begins = THERE_S + way_s + HERE_S
    b_begins = a_begins + a_s + HERE_S + way_s + HERE_S
    assert found.latency_s == pytest.approx(b_begins + b_s + HERE_S + way_s + THERE_S)
    assert (found.stages["a-0"].begin_s, found.stages["a-0"].end_s) == pytest.approx((a_begins, a_begins + a_s))
    assert (found.stages["b-0"].begin_s, found.stages["b-0"].end_s) == pytest.approx((b_begins, b_begins + b_s))


def test_a_devices_parts_add_up_and_its_bytes_are_those_of_its_links(no_layout: float) -> None:
    network = chain()
    plan = plan_for(network, {"l0": "a", "l1": "b", "l2": "b"})
    found = predicted(network, plan, figures_of(devices(network, alike(network, 0.1, "a", "b"))))
    a, b = found.devices["a"], found.devices["b"]
    assert (a.compute_s, a.carry_s, a.coding_s) == pytest.approx((0.101 + no_layout, 2 * HERE_S, 0.0))
    assert a.busy_s == pytest.approx(a.compute_s + a.carry_s)
    assert (a.received_bytes, a.sent_bytes, b.received_bytes, b.sent_bytes) == (SIZE,) * 4
    assert b.utilisation == 1.0
    assert a.utilisation == pytest.approx(a.busy_s / b.busy_s)
    link = found.links["a", "b"]
    assert (link.wire_bytes, link.estimated) == (SIZE, False)
    assert link.busy_s == pytest.approx(WIRE_S)
    assert link.utilisation == pytest.approx(WIRE_S / b.busy_s)


def test_a_link_slower_than_the_devices_limits_the_plan() -> None:
    network = chain()
    plan = plan_for(network, {"l0": "a", "l1": "b", "l2": "b"})
    figures = figures_of(devices(network, alike(network, 0.001, "a", "b")))
    links = dict(figures.links.links)
    links["a", "b"] = LinkFigures(2000.0, 0.0)
    found = predicted(network, plan, replace(figures, links=LinkTable(links)))
    assert (found.bottleneck, found.period_s) == (Resource("link", "a->b"), 0.5)


def test_a_link_whose_window_is_too_short_for_its_latency_is_told() -> None:
    network = chain()
    plan = plan_for(network, {"l0": "a", "l1": "b", "l2": "b"})
    figures = figures_of(devices(network, alike(network, 0.01, "a", "b")))
    near = predicted(network, plan, figures)
    assert (near.warnings, near.window_limit, near.steady_period_s) == ((), None, near.period_s)
    links = {**figures.links.links, ("a", "b"): LinkFigures(BYTES_PER_S, 0.5)}
    far = replace(figures, links=LinkTable(links))
    limited = predicted(network, plan, far)
    [warning] = limited.warnings
    # 11 ms of computing, 14 ms of carrying, 0.5 s there and 2 ms back; two frames in that time.
    assert warning.startswith("a-0->b-0: at most 3.8 frames/s pass, since no more than 2 are on their way")
    # Frames come two by two: of many the line through them is even.
    found = simulate(flow_of(partition(network, plan), far), 600)
    assert found.throughput_per_s == pytest.approx(2 / 0.527, rel=0.001)
    assert limited.steady_period_s == pytest.approx(0.527 / 2)


def test_branches_on_two_devices_run_beside_each_other() -> None:
    network = load(branch_net(2))
    seconds = {"stem": 0.01, "c0": 0.2, "c1": 0.5, "join": 0.03}
    found = devices(network, {name: seconds for name in ("ends", "short", "long")})
    free = {name: replace(device, carry=CarrySpeed(0, 0)) for name, device in found.items()}
    figures = Figures(free, LinkTable({}, default=LinkFigures(math.inf)))
    plan = plan_for(network, {"stem": "ends", "c0": "short", "c1": "long", "join": "ends"})
    spans = {name: (stage.begin_s, stage.end_s) for name, stage in predicted(network, plan, figures).stages.items()}
    assert spans["short-0"][0] == spans["long-0"][0] == spans["ends-0"][1] == pytest.approx(0.011, rel=1e-3)
    assert spans["short-0"][1] == pytest.approx(0.212, rel=1e-3)
    assert spans["ends-1"][0] == spans["long-0"][1] == pytest.approx(0.512, rel=1e-3)
    assert predicted(network, plan, figures).latency_s == spans["ends-1"][1] == pytest.approx(0.543, rel=1e-3)


def test_two_stages_of_one_device_share_its_time_and_carry_nothing_between_them(no_layout: float) -> None:
    network = chain()
    plan = plan_for(network, {"l0": "a", "l1": "b", "l2": "a"})
    figures = figures_of(devices(network, alike(network, 0.1, "a", "b")))
    found = predicted(network, plan, figures)
    assert found.busy_s[Resource("lane", "a")] == pytest.approx(2 * (0.101 + no_layout))
    assert found.busy_s[Resource("cores", "a")] == pytest.approx(2 * (0.101 + no_layout) + 4 * HERE_S)
    skip = load(branch_net(2))
    plan = plan_for(skip, {"stem": "a", "c0": "b", "c1": "a", "join": "a"})
    flow = flow_of(partition(skip, plan), figures_of(devices(skip, alike(skip, 0.1, "a", "b"))))
    inner = [t for t in flow.transfers if t.source == t.target]
    assert inner
    assert all(t.wire_bytes == 0 and t.send_s == t.receive_s == 0 and t.raw_bytes > 0 for t in inner)
    assert not any(resource.name == "a->a" for resource in predict_flow(flow).busy_s)


def test_a_stage_with_fewer_threads_than_cores_leaves_the_others_to_carrying(no_layout: float) -> None:
    network = chain(2)
    one = device_for(network, "a", {"l0": 0.1, "l1": 0.1}, cores=4.0, carry=CARRY, session_s=SESSION_S)
    plan = plan_for(network, {"l0": "a", "l1": "a"})
    for threads, cpu in ((4, 4), (1, 1), (8, 4)):
        found = predicted(network, plan, figures_of({"a": replace(one, threads=threads)}))
        assert found.busy_s[Resource("lane", "a")] == pytest.approx(0.201)
        assert found.busy_s[Resource("cores", "a")] == pytest.approx((0.201 * cpu + 2 * HERE_S) / 4)


def test_a_profile_under_a_quota_is_of_seconds_by_the_clock() -> None:
    network = chain(2)
    half = device_for(network, "a", {"l0": 0.1, "l1": 0.1}, cores=0.5, carry=CARRY, session_s=SESSION_S)
    found = predicted(network, plan_for(network, {"l0": "a", "l1": "a"}), figures_of({"a": half}))
    assert found.devices["a"].compute_s == pytest.approx(0.201)
    assert found.devices["a"].carry_s == pytest.approx(2 * HERE_S / 0.5)


def test_resources_of_a_device_compute_at_once_with_as_much_processor_time_as_was_measured(no_layout: float) -> None:
    network = chain(2)
    plan = plan_for(network, {"l0": "left", "l1": "right"}).model_copy(
        update={
            "resources": {
                "left": PlanResource(device="a", cores=[0]),
                "right": PlanResource(device="a", cores=[1, 2, 3]),
            }
        }
    )
    four = device_for(network, "a", {"l0": 0.1, "l1": 0.3}, cores=4.0, carry=CARRY, session_s=SESSION_S)
    found = predicted(network, plan, figures_of({"a": four}))
    left_s, right_s = (0.101 + no_layout) * 4, (0.301 + no_layout) * 4 / 3
    assert found.busy_s[Resource("lane", "a/left")] == pytest.approx(left_s)
    assert found.busy_s[Resource("lane", "a/right")] == pytest.approx(right_s)
    assert found.devices["a"].compute_s == pytest.approx((left_s + 3 * right_s) / 4)
    assert any("left-0: profiled with 4 threads, it will run with 1" in text for text in found.warnings)


def replicated(network: Network) -> Plan:
    plan = plan_for(network, {layer.name: "both" for layer in network.layers})
    return plan.model_copy(update={"replicas": {"both": ReplicaGroup(places=["a", "b"])}})


def test_replicas_share_the_frames_by_their_speed() -> None:
    network = chain(2)
    figures = figures_of(devices(network, {"a": dict(l0=0.1, l1=0.099), "b": dict(l0=0.3, l1=0.299)}))
    found = predicted(network, replicated(network), figures)
    assert found.busy_s[Resource("lane", "a")] == pytest.approx(0.75 * 0.2)
    assert found.busy_s[Resource("lane", "b")] == pytest.approx(0.25 * 0.6)
    assert found.busy_s[Resource("cores", "a")] == pytest.approx(0.75 * (0.2 + 2 * HERE_S))
    assert found.busy_s[Resource("link", f"{STUDIO_PEER}->b")] == pytest.approx(0.25 * WIRE_S)
    alone_s = THERE_S + WIRE_S + LATENCY_S + HERE_S + 0.2 + HERE_S + WIRE_S + LATENCY_S + THERE_S
    assert found.latency_s == pytest.approx(alone_s), "a frame alone goes to the fast one"


def test_frames_that_two_groups_deal_take_every_way_between_them() -> None:
    network = chain(4)
    plan = plan_for(network, {"l0": "one", "l1": "one", "l2": "two", "l3": "last"}).model_copy(
        update={"replicas": {"one": ReplicaGroup(places=["a", "b"]), "two": ReplicaGroup(places=["c", "d"])}}
    )
    seconds = alike(network, 0.1, "a", "b", "c", "d", "last")
    seconds["d"] = {name: taken / 3 for name, taken in seconds["d"].items()}
    flow = flow_of(partition(network, plan), figures_of(devices(network, seconds)))
    shares = {(t.source, t.target): t.share for t in flow.transfers}
    d_share = shares["d", "last"]
    assert d_share == pytest.approx(0.75, rel=0.02)
    assert shares["a", "d"] == pytest.approx(0.5 * d_share)
    assert shares[STUDIO_PEER, "a"] == pytest.approx(0.5)
    for name in ("one-0", "two-0"):
        assert math.fsum(work.share for work in flow.works if work.stage == name) == pytest.approx(1)
    for cut in {t.cut for t in flow.transfers}:
        assert math.fsum(t.share for t in flow.transfers if t.cut == cut) == pytest.approx(1)


def test_codecs_cost_both_ends_and_spare_the_link() -> None:
    network = chain(2)
    plan = plan_for(network, {"l0": "a", "l1": "b"})
    found = devices(network, alike(network, 0.1, "a", "b"))
    fast = {"fp16": CodecSpeed(1e5, 2e5), "zstd": CodecSpeed(1e4, 1e4)}
    figures = figures_of({name: replace(device, codecs=fast) for name, device in found.items()})
    coded = plan.model_copy(update={"codecs": [CodecChoice(producer="a", consumer="b", codec="fp16")]})
    half = predicted(network, coded, figures)
    assert half.links["a", "b"].wire_bytes == SIZE / 2
    assert half.devices["a"].coding_s == pytest.approx(0.01)
    assert half.devices["b"].coding_s == pytest.approx(0.005)
    assert half.devices["a"].carry_s == pytest.approx(HERE_S + CARRY.seconds(SIZE / 2))
    assert any("was not measured: reckoned by the codec's bits" in text for text in half.warnings)
    key = ("a-0->b-0", "t0")
    chosen = predicted(network, plan, figures, codecs={key: LinkCodec("zstd")}, wire_bytes={key: 123})
    assert chosen.links["a", "b"].wire_bytes == 123
    assert chosen.devices["b"].coding_s == pytest.approx(0.1)
    assert chosen.warnings == ()


def test_what_auto_chose_counts_where_the_plan_leaves_it_open() -> None:
    network = chain(2)
    plan = plan_for(network, {"l0": "a", "l1": "b"}).model_copy(update={"codecs": [CodecChoice(codec="auto")]})
    figures = figures_of(devices(network, alike(network, 0.1, "a", "b")))
    open_ = predicted(network, plan, figures)
    settled = predicted(network, plan, figures, codecs={("a-0->b-0", "t0"): LinkCodec("int8")})
    assert open_.links["a", "b"].wire_bytes == SIZE
    assert settled.links["a", "b"].wire_bytes == SIZE / 4


def test_links_that_share_an_interface_take_their_time_together() -> None:
    network = load(branch_net(3, channels=10, size=5))
    names = ["hub", "p", "q", "r"]
    figures = figures_of(devices(network, alike(network, 0.001, *names)), hub=1e4)
    plan = plan_for(network, {"stem": "hub", "c0": "p", "c1": "q", "c2": "r", "join": "hub"})
    found = predicted(network, plan, figures)
    stem, branch = 3 * 25 * 4, SIZE
    out, inwards = 3 * stem + 3 * branch, stem + 3 * branch
    assert found.busy_s[Resource("interface", "hub out")] == pytest.approx(out / 1e4)
    assert found.busy_s[Resource("interface", "hub in")] == pytest.approx(inwards / 1e4)
    assert found.bottleneck == Resource("interface", "hub out")
    assert Resource("interface", "p in") not in found.busy_s


def test_energy_is_idling_over_the_period_and_what_work_adds() -> None:
    network = chain(2)
    plan = plan_for(network, {"l0": "a", "l1": "b"})
    found = devices(network, {"a": dict(l0=0.1, l1=0.1), "b": dict(l0=0.4, l1=0.4)})
    a = replace(found["a"], power=DevicePower(2.0, 5.0), cores=2.0, threads=2)
    powered = predicted(network, plan, figures_of({"a": a, "b": found["b"]}))
    cpu_s = powered.devices["a"].busy_s * 2
    assert powered.devices["a"].active_j == pytest.approx(5.0 * cpu_s)
    assert powered.devices["a"].energy_j == pytest.approx(2.0 * powered.period_s + 5.0 * cpu_s)
    energies = [device.energy_j or 0.0 for device in powered.devices.values()]
    assert powered.total_energy_j == pytest.approx(sum(energies))
    assert powered.max_energy_j == max(energies)
    unknown = predicted(network, plan, figures_of({"a": replace(a, power=None), "b": found["b"]}))
    assert unknown.devices["a"].energy_j is None
    assert unknown.devices["b"].energy_j is not None
    assert (unknown.total_energy_j, unknown.max_energy_j) == (None, None)


def test_memory_is_what_the_check_of_the_plan_says() -> None:
    network = load(conv_chain((3, 8, 8, 16), size=16))
    plan = plan_for(network, {"c0": "a", "r0": "a", "c1": "both", "r1": "both", "c2": "b", "r2": "a"}).model_copy(
        update={
            "replicas": {"both": ReplicaGroup(places=["a", "b"])},
            "codecs": [CodecChoice(codec="int8+zstd")],
            "micro_batch": 4,
        }
    )
    figures = figures_of(devices(network, alike(network, 0.1, "a", "b")))
    report, parted = require_valid(network, plan)
    found = predict(parted, plan, figures)
    assert {d: p.memory for d, p in found.devices.items()} == {cost.device: cost.bound for cost in report.costs}
    assert found.devices["a"].memory.receive_bytes > 0
    assert found.max_memory_bytes == max(cost.likely_memory_bytes for cost in report.costs)
    windows = {t.cut: t.window for t in flow_of(parted, figures, micro_batch=4).transfers}
    assert windows == {cut.id: cut.window for cut in report.cuts}


def test_a_limit_below_the_memory_does_not_fit() -> None:
    network = chain(2)
    found = devices(network, alike(network, 0.1, "a", "b"))
    plan = plan_for(network, {"l0": "a", "l1": "b"})
    limits = {"a": replace(found["a"], memory_bytes=70 * MIB), "b": replace(found["b"], memory_bytes=900 * MIB)}
    predictions = predicted(network, plan, figures_of(limits)).devices
    assert (predictions["a"].fits, predictions["b"].fits) == (False, True)


def test_parts_of_a_divided_layer_are_predicted_from_the_whole_ones_time() -> None:
    network = load(conv_chain((3, 8, 8), size=16))
    taken = {"c0": 0.8, "r0": 0.001, "c1": 0.1, "r1": 0.001}
    figures = figures_of(devices(network, {"a": taken, "b": taken}))
    plan = plan_for(network, {"r0": "a", "c1": "a", "r1": "a"}).model_copy(
        update={"shards": [SpatialSharding(layers=["c0"], devices=["a", "b"], rows=[1, 1])]}
    )
    found = predicted(network, plan, figures)
    assert found.devices["b"].compute_s == pytest.approx(0.4, rel=0.05)
    assert found.devices["a"].compute_s == pytest.approx(0.5, rel=0.05)


def test_a_layer_that_was_not_profiled_is_told() -> None:
    network, known = chain(3), chain(2)
    figures = figures_of(devices(known, alike(known, 0.1, "a")))
    found = predicted(network, plan_for(network, dict.fromkeys(("l0", "l1", "l2"), "a")), figures)
    assert found.warnings == ("a-0: l2 was not profiled",)
    assert found.stages["a-0"].warnings == ("l2 was not profiled",)


def test_estimates_are_told() -> None:
    network = chain(2)
    figures = figures_of(devices(network, alike(network, 0.1, "a", "b")))
    plan = plan_for(network, {"l0": "a", "l1": "b"})
    assert not predicted(network, plan, figures).is_estimated
    guessed = {**figures.devices, "a": replace(figures.devices["a"], estimated=("compute",))}
    assert predicted(network, plan, replace(figures, devices=guessed)).devices["a"].estimated == ("compute",)
    assert predicted(network, plan, replace(figures, links=LinkTable({}))).links["a", "b"].estimated
