"""What a simulated flow does, event by event, where it can be reckoned by hand."""

import itertools
import time
from collections.abc import Mapping, Sequence
from dataclasses import replace

import pytest

from partition_agent.protocol import STUDIO_PEER
from partition_studio.partition.stages import SINK, SOURCE
from partition_studio.planner.figures.figures import LinkFigures, LinkTable
from partition_studio.planner.prediction.flow import Flow, Transfer, Work
from partition_studio.planner.prediction.throughput import predict_flow
from partition_studio.planner.simulation.simulate import simulate
from partition_studio.planner.simulation.trace import Bar, Trace

from .random_flows import flow_by_chance

#: Bytes per second of every link here.
SPEED = 1e6


def work(name: str, seconds: float, device: str | None = None, *, lane: str = "", share: float = 1.0) -> Work:
    return Work(name, name.partition("@")[0], device or name, lane, seconds, seconds, share)


def transfer(
    producer: str, consumer: str, source: str, target: str, *, ms: float = 0.0, window: int = 2, share: float = 1.0
) -> Transfer:
    """One that takes so many milliseconds on its link."""
    cut = f"{producer.partition('@')[0]}->{consumer.partition('@')[0]}"
    size = round(ms * SPEED / 1000)
    return Transfer(cut, producer, consumer, source, target, size, size, 0.0, 0.0, window, share)


def flow(
    works: Sequence[Work],
    transfers: Sequence[Transfer],
    *,
    latency_s: float = 0.0,
    cores: float = 1.0,
    interfaces: Mapping[str, float] = {},
) -> Flow:
    ways = {(t.source, t.target) for t in transfers} | {(t.target, t.source) for t in transfers}
    links = LinkTable({way: LinkFigures(SPEED, latency_s) for way in ways}, interfaces)
    return Flow(tuple(works), tuple(transfers), dict.fromkeys((w.device for w in works), cores), links)


def chain(*seconds: float, latency_s: float = 0.0, window: int = 2, ms: float = 0.0) -> Flow:
    """Stages `a`, `b`, ... in a row, each on its own device."""
    names = [chr(ord("a") + number) for number in range(len(seconds))]
    ends = [(SOURCE, STUDIO_PEER), *zip(names, names, strict=True), (SINK, STUDIO_PEER)]
    transfers = [
        transfer(producer, consumer, source, target, window=window, ms=ms)
        for (producer, source), (consumer, target) in itertools.pairwise(ends)
    ]
    works = [work(name, taken) for name, taken in zip(names, seconds, strict=True)]
    return flow(works, transfers, latency_s=latency_s)


def of(trace: Trace, what: str) -> list[Bar]:
    return [bar for bar in trace.bars if bar.what == what]


def spans(trace: Trace, what: str) -> list[tuple[float, float]]:
    """Begin and end in milliseconds of all that was done of one thing."""
    return [(round(bar.begin_s * 1e3, 6), round(bar.end_s * 1e3, 6)) for bar in of(trace, what)]


def test_frames_follow_each_other_at_the_pace_of_the_slowest_stage() -> None:
    trace = simulate(chain(0.010, 0.030, 0.020), 50)
    assert trace.fill_s == pytest.approx(0.060)
    assert trace.throughput_per_s == pytest.approx(1 / 0.030)
    assert [b - a for a, b in itertools.pairwise(trace.done_s)] == pytest.approx([0.030] * 49)
    assert spans(trace, "b")[:2] == [(10, 40), (40, 70)]


def test_fast_stages_before_a_slow_one_stop_when_its_window_is_full() -> None:
    trace = simulate(chain(0.001, 0.030, window=3), 30)
    assert trace.queues == {"source->a": 3, "a->b": 3, "b->sink": 0}
    # When b begins its third frame, a has computed three more, which wait, and begins another one only then.
    assert [frame for frame, (begin_ms, _) in enumerate(spans(trace, "a")) if begin_ms == 61] == [5]
    assert spans(trace, "b")[2] == (61, 91)


def test_what_enters_last_drains() -> None:
    trace = simulate(chain(0.010, 0.010), 10)
    assert trace.drain_s == pytest.approx(trace.done_s[-1] - trace.entered_s[-1])
    assert trace.drain_s >= 0.020 - 1e-9
    assert simulate(chain(0.010, 0.010), 1).drain_s == pytest.approx(0.020)


def test_latency_delays_and_keeps_no_link_busy() -> None:
    trace = simulate(chain(0.010, 0.010, latency_s=0.1, window=100, ms=5), 200)
    assert trace.fill_s == pytest.approx(0.020 + 3 * (0.1 + 0.005))
    assert trace.throughput_per_s == pytest.approx(1 / 0.010, rel=0.001)
    assert max(bar.end_s - bar.begin_s for bar in of(trace, "a->b")) == pytest.approx(0.005)


def test_a_short_window_over_a_long_way_sets_the_pace() -> None:
    trace = simulate(chain(0.010, 0.010, latency_s=0.1, window=2, ms=5), 200)
    # A place is taken while a frame is computed, carried, and until word comes back: 10 + 5 + 100 + 100 ms.
    assert trace.period_s == pytest.approx(0.215 / 2, rel=0.001)


def test_a_link_carries_one_message_after_the_other() -> None:
    both = [transfer(SOURCE, name, STUDIO_PEER, "d", ms=10) for name in "ab"]
    ends = [transfer(name, SINK, "d", STUDIO_PEER, ms=10) for name in "ab"]
    trace = simulate(flow([work("a", 0.001, "d"), work("b", 0.001, "d")], [*both, *ends]), 20)
    assert (spans(trace, "source->a")[0], spans(trace, "source->b")[0]) == ((0, 10), (10, 20))
    assert trace.period_s == pytest.approx(0.020, rel=0.001)


def test_links_of_one_interface_share_it() -> None:
    works = [work("a", 0.001), work("b", 0.001)]
    transfers = [transfer(SOURCE, name, STUDIO_PEER, name, ms=10) for name in "ab"]
    transfers += [transfer(name, SINK, name, STUDIO_PEER) for name in "ab"]
    alone = simulate(flow(works, transfers), 20)
    shared = simulate(flow(works, transfers, interfaces={STUDIO_PEER: SPEED}), 20)
    assert alone.fill_s == pytest.approx(0.011)
    assert alone.period_s == pytest.approx(0.010)
    assert shared.fill_s == pytest.approx(0.021)
    assert shared.period_s == pytest.approx(0.020)


def test_stages_of_one_lane_take_turns_the_oldest_frame_first() -> None:
    works = [work("a", 0.010, "d"), work("b", 0.020, "d")]
    transfers = [
        transfer(SOURCE, "a", STUDIO_PEER, "d"),
        transfer("a", "b", "d", "d"),
        transfer("b", SINK, "d", STUDIO_PEER),
    ]
    trace = simulate(flow(works, transfers, cores=2.0), 3)
    assert [bar.what for bar in trace.bars] == ["a", "b"] * 3
    assert trace.done_s == pytest.approx([0.030, 0.060, 0.090])
    apart = simulate(flow([works[0], replace(works[1], lane="other")], transfers, cores=2.0), 3)
    assert apart.done_s == pytest.approx([0.030, 0.050, 0.070])
    assert {bar.resource for bar in apart.bars} == {"d", "d/other"}


def test_lanes_that_want_more_cores_than_there_are_slow_each_other_down() -> None:
    works = [work("a", 0.010, "d"), work("b", 0.020, "d", lane="other")]
    transfers = [
        transfer(SOURCE, "a", STUDIO_PEER, "d"),
        transfer("a", "b", "d", "d"),
        transfer("b", SINK, "d", STUDIO_PEER),
    ]
    assert simulate(flow(works, transfers, cores=2.0), 60).period_s == pytest.approx(0.020)
    assert simulate(flow(works, transfers, cores=1.0), 60).period_s == pytest.approx(0.030)
    assert simulate(flow(works, transfers, cores=1.5), 60).period_s == pytest.approx(0.020)


def test_carrying_takes_time_of_the_cores_that_compute() -> None:
    plain = chain(0.010, 0.010)
    heavy = [replace(t, send_s=0.004, receive_s=0.003) if t.cut == "a->b" else t for t in plain.transfers]
    trace = simulate(replace(plain, transfers=tuple(heavy)), 100)
    assert trace.fill_s == pytest.approx(0.027)
    assert trace.period_s == pytest.approx(0.014)
    assert {(bar.resource, bar.what) for bar in trace.bars if "carrying" in bar.resource} == {
        ("a carrying", "send a->b"),
        ("b carrying", "receive a->b"),
    }
    with_cores = replace(plain, transfers=tuple(heavy), cores={"a": 2.0, "b": 2.0})
    # The cores have time for more, but two frames on their way, of 17 ms each, are all that the window lets through.
    assert simulate(with_cores, 100).period_s == pytest.approx(0.010, rel=0.001)


def test_what_is_carried_beside_the_wire_keeps_the_cores_busy_and_makes_no_frame_late() -> None:
    plain = chain(0.010, 0.010, ms=8.0)
    heavy = [replace(t, send_s=0.004, receive_s=0.005) if t.cut == "a->b" else t for t in plain.transfers]
    beside = [replace(t, send_beside_s=0.003, receive_beside_s=0.004) if t.cut == "a->b" else t for t in heavy]
    late, soon = replace(plain, transfers=tuple(heavy)), replace(plain, transfers=tuple(beside))
    assert simulate(late, 1).fill_s == pytest.approx(predict_flow(late).latency_s) == pytest.approx(0.053)
    assert simulate(soon, 1).fill_s == pytest.approx(predict_flow(soon).latency_s) == pytest.approx(0.046)
    assert predict_flow(soon).period_s == predict_flow(late).period_s == pytest.approx(0.015)
    assert simulate(soon, 100).period_s == pytest.approx(0.015)


def test_a_stage_waits_for_all_its_inputs() -> None:
    works = [work("a", 0.010), work("b", 0.002), work("c", 0.005), work("d", 0.001)]
    transfers = [
        transfer(SOURCE, "a", STUDIO_PEER, "a"),
        transfer("a", "b", "a", "b"),
        transfer("a", "c", "a", "c", ms=3),
        transfer("b", "d", "b", "d"),
        transfer("c", "d", "c", "d"),
        transfer("d", SINK, "d", STUDIO_PEER),
    ]
    trace = simulate(flow(works, transfers), 20)
    assert trace.fill_s == pytest.approx(0.019)
    assert trace.period_s == pytest.approx(0.010)
    assert spans(trace, "d")[0] == (18, 19)
    assert trace.queues["b->d"] == 1
    assert trace.queues["c->d"] == 0


def replicas(*seconds: float, behind: float = 0.0001) -> Flow:
    """A stage `r` on devices that take so long, then one that brings its frames together."""
    total = sum(1 / taken for taken in seconds)
    works = [work(f"r@{n}", taken, f"d{n}", share=1 / taken / total) for n, taken in enumerate(seconds)]
    transfers = [transfer(SOURCE, w.name, STUDIO_PEER, w.device, share=w.share) for w in works]
    transfers += [transfer(w.name, "z", w.device, "z", share=w.share, window=10) for w in works]
    return flow([*works, work("z", behind)], [*transfers, transfer("z", SINK, "z", STUDIO_PEER)])


def test_replicas_get_frames_as_they_are_fast_and_results_keep_the_order() -> None:
    trace = simulate(replicas(0.010, 0.020, 0.040), 280)
    assert [len(of(trace, f"r@{n}")) for n in range(3)] == [160, 80, 40]
    assert [bar.frame for bar in of(trace, "z")] == list(range(280))
    assert list(trace.done_s) == sorted(trace.done_s)
    assert trace.throughput_per_s == pytest.approx(175, rel=0.005)


def test_a_frame_that_overtook_waits_for_those_before_it() -> None:
    trace = simulate(replicas(0.010, 0.019), 3)
    # Frame 0 and frame 2 go to the fast one; frame 2 is there at 20 ms, and goes on at once, as frame 1 did at 19 ms.
    assert [bar.frame for bar in of(trace, "r@0")] == [0, 2]
    assert [round(done_s, 4) for done_s in trace.done_s] == [0.0101, 0.0191, 0.0201]
    uneven = [replace(w, share=share) for w, share in zip(replicas(0.010, 0.019).works, (0.5, 0.5, 1.0), strict=True)]
    slow = [replace(w, seconds=0.050, cpu_s=0.050) if w.name == "r@1" else w for w in uneven]
    late = simulate(replace(replicas(0.010, 0.019), works=tuple(slow)), 3)
    # Now frame 1 is there at 50 ms only, and frame 2 has waited for it since 20 ms.
    assert [round(done_s, 4) for done_s in late.done_s] == [0.0101, 0.0501, 0.0502]
    assert late.queues["r->z"] == 1


def test_stages_of_one_group_stay_on_the_replica_that_a_frame_was_dealt_to() -> None:
    works = [work(f"{stage}@{n}", 0.010, f"d{n}", share=0.5) for stage in "rs" for n in range(2)]
    transfers = [transfer(SOURCE, f"r@{n}", STUDIO_PEER, f"d{n}", share=0.5) for n in range(2)]
    transfers += [transfer(f"r@{n}", f"s@{n}", f"d{n}", f"d{n}", share=0.5) for n in range(2)]
    transfers += [transfer(f"s@{n}", SINK, f"d{n}", STUDIO_PEER, share=0.5, window=9) for n in range(2)]
    trace = simulate(flow(works, transfers), 40)
    for n in range(2):
        assert [bar.frame for bar in of(trace, f"r@{n}")] == [bar.frame for bar in of(trace, f"s@{n}")]
    assert trace.period_s == pytest.approx(0.010, rel=0.005)


def test_a_stage_takes_the_frames_that_are_ready_in_one_go_and_waits_for_none() -> None:
    plain = chain(0.010, 0.030, window=8)
    both = replace(plain, works=(plain.works[0], replace(plain.works[1], holds=4)))
    trace = simulate(both, 200)
    assert spans(trace, "b")[0] == (10, 40)
    assert spans(trace, "b")[1:4] == [(40, 130)] * 3
    assert spans(trace, "b")[4:8] == [(130, 250)] * 4
    assert trace.period_s == pytest.approx(0.030, rel=0.01)


def test_an_accelerator_computes_without_the_cores() -> None:
    plain = chain(0.010)
    flow_there = replace(plain, works=(replace(plain.works[0], cpu_s=0.0),))
    assert simulate(flow_there, 30).period_s == pytest.approx(0.010)


def test_a_stage_without_inputs_waits_for_nobody() -> None:
    plain = chain(0.010, 0.002)
    constant = transfer("c", "b", "c", "b")
    trace = simulate(replace(plain, works=(*plain.works, work("c", 0.005)), transfers=(*plain.transfers, constant)), 20)
    assert trace.fill_s == pytest.approx(0.012)
    assert trace.period_s == pytest.approx(0.010)
    assert spans(trace, "c")[:2] == [(0, 5), (5, 10)]


def test_no_resource_does_two_things_at_once() -> None:
    for seed in range(12):
        trace = simulate(flow_by_chance(seed), 40)
        rows: dict[str, list[Bar]] = {}
        for bar in trace.bars:
            if not bar.resource.endswith(" carrying"):
                rows.setdefault(bar.resource, []).append(bar)
        for row in rows.values():
            for before, after in itertools.pairwise(sorted(row, key=lambda bar: (bar.begin_s, bar.end_s))):
                assert after.begin_s >= before.end_s - 1e-12


def test_every_frame_passes_every_stage_once_in_order() -> None:
    for seed in range(12):
        run = flow_by_chance(seed, batches=True)
        trace = simulate(run, 40)
        passed: dict[str, list[int]] = {}
        for bar in sorted(trace.bars, key=lambda bar: (bar.begin_s, bar.end_s)):
            passed.setdefault(bar.what, []).append(bar.frame)
        for name in {w.name for w in run.works}:
            assert passed.get(name, []) == sorted(set(passed.get(name, []))), name
        for stage in {w.stage for w in run.works}:
            names = [w.name for w in run.works if w.stage == stage]
            assert sorted(frame for name in names for frame in passed.get(name, [])) == list(range(40))
        assert len(trace.done_s) == 40
        assert list(trace.done_s) == sorted(trace.done_s)


def test_no_more_frames_wait_than_a_window_holds() -> None:
    for seed in range(12):
        run = flow_by_chance(seed)
        windows = {t.cut: t.window for t in run.transfers}
        trace = simulate(run, 60)
        assert all(trace.queues[cut] <= window for cut, window in windows.items())


def test_the_same_flow_gives_the_same_trace() -> None:
    assert simulate(flow_by_chance(5), 30) == simulate(flow_by_chance(5), 30)


def test_what_cannot_run_is_refused() -> None:
    with pytest.raises(ValueError, match="0 frames"):
        simulate(chain(0.01), 0)
    with pytest.raises(ValueError, match="the window of source->a is 0"):
        simulate(chain(0.01, window=0), 1)


def test_without_anything_that_takes_time_throughput_has_no_limit() -> None:
    trace = simulate(chain(0.0, 0.0), 5)
    assert trace.period_s == 0
    assert trace.throughput_per_s == float("inf")


def test_what_a_frame_costs_to_simulate_does_not_grow() -> None:
    run = flow_by_chance(3, stages=16, devices=6)

    def cost_s(frames: int) -> float:
        least_s = float("inf")
        for _ in range(3):
            begin_s = time.process_time()
            simulate(run, frames)
            least_s = min(least_s, time.process_time() - begin_s)
        return least_s

    assert cost_s(200) < 3 * 4 * cost_s(50)
