"""The choice of codecs: every regime by figures, and never slower than the best codec for all links alike."""

from collections.abc import Callable, Mapping

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from partition_agent.protocol import LinkCodec
from partition_studio.partition.codecs import LOSSLESS, Settled
from partition_studio.planner.codecs.choice import (
    TIE,
    CodecDecision,
    choose_codecs,
    worthwhile,
)
from partition_studio.planner.codecs.costs import (
    CAUTIOUS_SPEEDS,
    CodecCosts,
    CodecSpeed,
    CodecTask,
    Hop,
    LinkFigures,
    Option,
    StageFigures,
    TensorOptions,
)
from partition_studio.planner.codecs.reasons import reasons

MEGABIT = 125_000.0

#: Measured ratios of activations behind a Relu, and of sums of residuals, which hardly shrink without loss.
AFTER_RELU = {"lz4": 1.8, "zstd": 2.1, "rle": 1.9, "fp16": 2.0, "int8": 4.0, "int8+zstd": 7.9, "clip4+rle": 12.0}
RESIDUAL = {"lz4": 1.0, "zstd": 1.01, "rle": 0.99, "fp16": 2.0, "int8": 4.0, "int8+zstd": 4.5, "clip4+rle": 6.0}

#: How much each codec changes the outputs where it is used once.
CHANGES = {"fp16": 0.0004, "int8": 0.004, "int8+zstd": 0.004, "clip4+rle": 0.08}

RESNET_CUT_BYTES = 802_816


def options(cut: str, tensor: str, size_bytes: int, ratios: Mapping[str, float]) -> TensorOptions:
    coded = [Option(LinkCodec(name), name, max(1, int(size_bytes / ratio))) for name, ratio in ratios.items()]
    return worthwhile(TensorOptions(cut, tensor, size_bytes, (Option(LinkCodec(), "none", size_bytes), *coded)))


def two_stages(
    megabits: float | None,
    *,
    ratios: Mapping[str, float] = AFTER_RELU,
    stage_s: float | None = 0.024,
    speeds: Mapping[str, CodecSpeed] | None = None,
    latency_s: float = 0.0003,
) -> CodecTask:
    """ResNet-50 in two balanced stages, with its 0.8 MB cut."""
    links = {} if megabits is None else {("a", "b"): LinkFigures(megabits * MEGABIT, latency_s)}
    measured = dict(CAUTIOUS_SPEEDS if speeds is None else speeds)
    return CodecTask(
        stages={"a-0": StageFigures("a", "", stage_s), "b-0": StageFigures("b", "", stage_s)},
        hops=(Hop("a-0->b-0", "a-0", "b-0", "a", "b"),),
        tensors=(options("a-0->b-0", "t", RESNET_CUT_BYTES, ratios),),
        links=links,
        speeds={"a": measured, "b": measured},
    )


def change_of(changes: Mapping[str, float] = CHANGES) -> Callable[[Settled], float]:
    return lambda codecs: sum(changes[codec.name] for codec in codecs.values())


def chosen(decision: CodecDecision) -> list[str]:
    return [one.option.codec.name for one in decision.tensors]


def test_on_a_fast_link_nothing_is_worth_its_coding() -> None:
    decision = choose_codecs(two_stages(10_000), 0.05, change_of())
    assert chosen(decision) == ["none"]
    assert decision.codecs == {}
    assert decision.cost == decision.as_it_is


def test_on_a_slow_link_the_smallest_that_is_allowed_wins() -> None:
    assert chosen(choose_codecs(two_stages(10), 0.01, change_of())) == ["int8+zstd"]
    assert chosen(choose_codecs(two_stages(10), 0.1, change_of())) == ["clip4+rle"]


def test_where_no_change_is_allowed_only_lossless_codecs_are_taken_and_nothing_is_run() -> None:
    def never(codecs: Settled) -> float:
        raise AssertionError("a change was measured")

    assert chosen(choose_codecs(two_stages(10), 0.0, never)) == ["zstd"]


def test_sums_of_residuals_travel_as_they_are_without_loss_and_small_with() -> None:
    without = choose_codecs(two_stages(100, ratios=RESIDUAL), 0.0, change_of())
    assert chosen(without) == ["none"]
    assert chosen(choose_codecs(two_stages(100, ratios=RESIDUAL), 0.01, change_of())) != ["none"]


def test_a_slow_processor_takes_the_cheap_codec_not_the_small_one() -> None:
    slow = {name: CodecSpeed(8e6, 16e6) for name in CAUTIOUS_SPEEDS}
    slow["fp16"] = slow["lz4"] = CodecSpeed(200e6, 400e6)
    decision = choose_codecs(two_stages(100, speeds=slow), 0.05, change_of())
    assert chosen(decision) == ["fp16"]
    assert chosen(choose_codecs(two_stages(100, speeds=slow), 0.0, change_of())) == ["lz4"]


def test_coding_counts_as_work_of_the_stage_that_computes_on_the_same_core() -> None:
    # 0.8 MB in 64 ms: a codec that brings the link to 32 ms costs more than it saves where it takes 60 ms on top of 24.
    dear = {name: CodecSpeed(RESNET_CUT_BYTES / 0.06, 1e9) for name in CAUTIOUS_SPEEDS}
    assert chosen(choose_codecs(two_stages(100, speeds=dear), 0.0, change_of())) == ["none"]
    cheap = {name: CodecSpeed(RESNET_CUT_BYTES / 0.02, 1e9) for name in CAUTIOUS_SPEEDS}
    decision = choose_codecs(two_stages(100, speeds=cheap), 0.0, change_of())
    assert chosen(decision) == ["zstd"]
    assert decision.cost.busy_s["a"] == pytest.approx(0.044)


def test_among_equal_throughputs_the_shorter_way_of_a_frame_decides() -> None:
    # The stages are the bottleneck with and without; on b, which is not busy, a codec would only lengthen the way.
    task = two_stages(1000, stage_s=0.024)
    decision = choose_codecs(task, 0.0, change_of())
    assert decision.cost.period_s <= decision.as_it_is.period_s * (1 + TIE)
    assert decision.cost.latency_s <= decision.as_it_is.latency_s


def test_what_is_as_good_without_loss_is_taken_without_loss() -> None:
    ratios = {"lz4": 3.98, "int8": 4.0}
    speeds = {name: CodecSpeed(1e9, 1e9) for name in CAUTIOUS_SPEEDS}
    task = two_stages(10, ratios=ratios, speeds=speeds)
    assert chosen(choose_codecs(task, 0.05, change_of())) == ["lz4"]
    task = two_stages(10, ratios={**ratios, "lz4": 3.5}, speeds=speeds)
    assert chosen(choose_codecs(task, 0.05, change_of())) == ["int8"]


def test_without_figures_of_the_link_nothing_is_chosen_and_the_person_is_told_to_measure() -> None:
    task = two_stages(None)
    decision = choose_codecs(task, 0.05, change_of())
    assert chosen(decision) == ["none"]
    (sentence,) = reasons(task, decision)["a-0->b-0"]
    assert "from a to b was not measured" in sentence
    assert "device links" in sentence


def test_the_reasons_have_the_figures() -> None:
    task = two_stages(10)
    said = " ".join(reasons(task, choose_codecs(task, 0.01, change_of()))["a-0->b-0"])
    assert "10 Mbit/s: 802.82 KB as it is takes 642 ms; int8+zstd 101.62 KB, 81 ms and 22 ms of coding." in said
    assert "change the outputs by 0.4 % (allowed 1 %)" in said


def test_a_codec_that_was_refused_is_named_with_what_it_would_have_changed() -> None:
    task = two_stages(10)
    said = " ".join(reasons(task, choose_codecs(task, 0.01, change_of()))["a-0->b-0"])
    assert "clip4+rle would be faster but would change the outputs by 8 % (allowed 1 %)" in said
    strict = " ".join(reasons(task, choose_codecs(task, 0.0, change_of()))["a-0->b-0"])
    assert "no change is allowed" in strict


def test_a_stage_that_was_not_profiled_is_left_out_and_said_so() -> None:
    task = two_stages(100, stage_s=None, speeds={})
    said = " ".join(reasons(task, choose_codecs(task, 0.01, change_of()))["a-0->b-0"])
    assert "not profiled on a and b" in said
    assert "speed of codecs on a and b was not measured" in said


def test_what_a_person_chose_by_hand_stays_and_takes_part_of_the_allowed_change() -> None:
    by_hand = TensorOptions("in", "x", 10**6, (Option(LinkCodec("int8"), "int8", 250_000),))
    task = CodecTask(
        stages={"a-0": StageFigures("a", "", 0.01), "b-0": StageFigures("b", "", 0.01)},
        hops=(Hop("in", "source", "a-0", "studio", "a"), Hop("a-0->b-0", "a-0", "b-0", "a", "b")),
        tensors=(by_hand, options("a-0->b-0", "t", RESNET_CUT_BYTES, AFTER_RELU | {"fp16": 3.0})),
        links={("a", "b"): LinkFigures(10 * MEGABIT), ("studio", "a"): LinkFigures(10 * MEGABIT)},
        speeds={},
    )
    assert chosen(choose_codecs(task, 0.005, change_of())) == ["int8", "fp16"]
    assert chosen(choose_codecs(task, 0.01, change_of())) == ["int8", "int8+zstd"]
    # Its own change alone is more than is allowed: the automatic ones stay lossless.
    assert chosen(choose_codecs(task, 0.001, change_of())) == ["int8", "zstd"]
    assert chosen(choose_codecs(task, 0.0, change_of())) == ["int8", "zstd"]


def test_links_that_are_equally_slow_are_all_relieved() -> None:
    hops = tuple(Hop(f"{i}->{i + 1}", f"s{i}", f"s{i + 1}", f"d{i}", f"d{i + 1}") for i in range(3))
    task = CodecTask(
        stages={f"s{i}": StageFigures(f"d{i}", "", 0.01) for i in range(4)},
        hops=hops,
        tensors=tuple(options(hop.cut, f"t{i}", 10**6, AFTER_RELU) for i, hop in enumerate(hops)),
        links={hop.way: LinkFigures(10 * MEGABIT) for hop in hops},
        speeds={},
    )
    assert chosen(choose_codecs(task, 0.02, change_of())) == ["int8+zstd"] * 3
    # Not enough is allowed for all of them: some take less, and the measured change of all stays within.
    decision = choose_codecs(task, 0.009, change_of())
    assert 0 < decision.change <= 0.009
    assert set(chosen(decision)) >= {"int8+zstd"}


def test_replicas_share_what_there_is_to_do() -> None:
    ways = [Hop(f"a-0->g-0@{place}", "a-0", f"g-0@{place}", "a", place, share=0.5) for place in ("b", "c")]
    task = CodecTask(
        stages={
            "a-0": StageFigures("a", "", 0.01),
            **{f"g-0@{place}": StageFigures(place, "", 0.02, share=0.5) for place in ("b", "c")},
        },
        hops=tuple(ways),
        tensors=tuple(options(hop.cut, "t", 10**6, {}) for hop in ways),
        links={hop.way: LinkFigures(100 * MEGABIT) for hop in ways},
        speeds={},
    )
    cost = CodecCosts(task).of((0, 0))
    assert cost.busy_s["b"] == pytest.approx(0.01)
    assert cost.busy_s["the link from a to b"] == pytest.approx(0.04)
    assert cost.latency_s == pytest.approx(0.01 + 0.08 + 0.02)


NAMES = ("none", "lz4", "zstd", "fp16", "int8", "int8+zstd")


@st.composite
def tasks(draw: st.DrawFn) -> tuple[CodecTask, dict[tuple[str, str], float]]:
    """A chain of stages with one or two tensors on each cut, and what each lossy codec there changes."""
    count = draw(st.integers(2, 5))
    devices = [draw(st.sampled_from("abcd")) for _ in range(count)]
    seconds = st.one_of(st.none(), st.floats(1e-4, 0.2))
    stages = {f"s{i}": StageFigures(device, "", draw(seconds)) for i, device in enumerate(devices)}
    hops, tensors, changes = [], [], {}
    for i in range(count - 1):
        if devices[i] == devices[i + 1]:
            continue
        hops.append(Hop(f"c{i}", f"s{i}", f"s{i + 1}", devices[i], devices[i + 1]))
        for number in range(draw(st.integers(1, 2))):
            size_bytes = draw(st.integers(10, 5_000_000))
            ratios = {name: draw(st.floats(0.8, 10)) for name in NAMES[1:]}
            tensors.append(options(f"c{i}", f"t{number}", size_bytes, ratios))
            for name in NAMES:
                changes[f"c{i}/t{number}", name] = 0.0 if name in LOSSLESS else draw(st.floats(0, 0.02))
    links = {hop.way: LinkFigures(draw(st.floats(1e5, 1e10)), 0.001) for hop in hops if draw(st.integers(0, 9))}
    inner = tuple((f"s{i}", f"s{i + 1}") for i in range(count - 1) if devices[i] == devices[i + 1])
    scale = draw(st.floats(0.05, 20))
    speeds = {
        name: CodecSpeed(speed.encode_bytes_per_s * scale, speed.decode_bytes_per_s * scale)
        for name, speed in CAUTIOUS_SPEEDS.items()
    }
    return CodecTask(stages, tuple(hops), tuple(tensors), links, {"a": speeds}, inner), changes


@settings(deadline=None, max_examples=60)
@given(made=tasks(), max_change=st.sampled_from([0.0, 0.005, 0.02, 1.0]))
def test_it_is_never_slower_than_the_best_fixed_codec_that_is_allowed(
    made: tuple[CodecTask, dict[tuple[str, str], float]], max_change: float
) -> None:
    task, changes = made

    def change(codecs: Settled) -> float:
        return sum(changes[f"{cut}/{tensor}", codec.name] for (cut, tensor), codec in codecs.items())

    decision = choose_codecs(task, max_change, change)
    assert decision.change <= max_change
    assert decision.change == pytest.approx(change(decision.codecs))
    costs = CodecCosts(task)
    for name in NAMES:
        fixed = tuple(
            next((n for n, option in enumerate(tensor.options) if option.codec.name == name), 0)
            for tensor in task.tensors
        )
        codecs = {tensor.key: tensor.options[n].codec for tensor, n in zip(task.tensors, fixed, strict=True) if n}
        # Where no change is allowed, lossy codecs are not even tried, however little they change.
        tried = max_change > 0 or all(codec.name in LOSSLESS for codec in codecs.values())
        if tried and change(codecs) <= max_change:
            assert decision.cost.period_s <= costs.of(fixed).period_s * (1 + TIE) + 1e-12, name
