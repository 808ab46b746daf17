"""A device may say what it likes; nothing of it harms."""

import math

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from partition_agent.protocol import (
    LinkSample,
    MemorySample,
    PowerSample,
    StageSample,
    Telemetry,
    ThermalSample,
)
from partition_studio.telemetry.clean import MAX_COUNT, MAX_SOURCES, MAX_STAGES, clean_sample
from partition_studio.telemetry.device import ReportingDevice
from partition_studio.telemetry.history import kept_figures
from tests.telemetry.samples import SAMPLE, sample

NASTY = st.one_of(
    st.floats(allow_nan=True, allow_infinity=True), st.sampled_from([math.nan, math.inf, -math.inf, -1.0, 1e300])
)
COUNTS = st.one_of(st.integers(-(2**80), 2**80), st.sampled_from([-1, 2**63, 2**64]))
TEXTS = st.one_of(st.text(max_size=40), st.sampled_from(["", "\x1b[2J", "\u202e", "x" * 500, "\ud800"]))


@st.composite
def nasty_samples(draw: st.DrawFn) -> Telemetry:
    maybe, count = st.none() | NASTY, st.none() | COUNTS
    stage = st.builds(StageSample, TEXTS, COUNTS, TEXTS, COUNTS, COUNTS, NASTY, NASTY, COUNTS, COUNTS, count, count)
    link = st.builds(
        LinkSample,
        *(TEXTS, COUNTS, TEXTS, COUNTS, COUNTS, COUNTS, COUNTS, COUNTS, COUNTS, NASTY, NASTY),
        *(st.booleans(), COUNTS, COUNTS, NASTY),
    )
    power = st.builds(PowerSample, maybe, maybe, TEXTS, TEXTS, TEXTS, maybe, NASTY)
    names = st.lists(TEXTS, max_size=3).map(tuple)
    return Telemetry(
        incarnation=draw(st.sampled_from(["i", "j", "", "x" * 33])),
        sequence=draw(COUNTS),
        monotonic_s=draw(NASTY),
        unix_s=draw(NASTY),
        cpu_s=draw(NASTY),
        usable_cores=draw(NASTY),
        cpu_utilisation=draw(maybe),
        memory=draw(st.builds(MemorySample, count, count, COUNTS, COUNTS, COUNTS, count, count)),
        power=tuple(draw(st.lists(power, max_size=3))),
        thermal=draw(st.none() | st.builds(ThermalSample, maybe, names, names, maybe)),
        stages=tuple(draw(st.lists(stage, max_size=3))),
        links=tuple(draw(st.lists(link, max_size=3))),
        dropped=draw(st.dictionaries(TEXTS, COUNTS, max_size=3)),
        ring=draw(st.sampled_from(["r", "", "y" * 33])),
    )


@settings(deadline=None, max_examples=60, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(nasty_samples(), max_size=4))
def test_any_sample_is_refused_or_gives_figures_that_can_be_shown_and_kept(samples: list[Telemetry]) -> None:
    device = ReportingDevice("a")
    for number, made in enumerate([sample(0, watts=3.0), *samples, sample(2, watts=3.0)]):
        clean = clean_sample(made)
        if clean is not None:
            at_s = device.take(clean, 1_800_000_000.0 + number, busy=False)
            assert math.isfinite(at_s)
            msgspec.json.encode(kept_figures(clean))
    assert device.live is not None
    device.live.model_dump_json()


@pytest.mark.parametrize("wrong", [{"sequence": -1}, {"sequence": 2**70}, {"monotonic_s": math.nan}, {"unix_s": -5.0}])
def test_a_sample_without_a_place_or_a_time_is_refused(wrong: dict[str, float]) -> None:
    assert clean_sample(msgspec.structs.replace(SAMPLE, **wrong)) is None


def test_what_cannot_be_is_absent_and_not_nothing() -> None:
    power = PowerSample(math.nan, -3.0, "rapl", "board", "counter", math.inf, math.nan)
    clean = clean_sample(msgspec.structs.replace(SAMPLE, power=(power,), cpu_utilisation=math.nan))
    assert clean is not None
    assert (clean.power[0].power_w, clean.power[0].energy_j, clean.power[0].uncertainty) == (None, None, None)
    assert clean.cpu_utilisation is None


def test_what_there_is_too_much_of_is_cut() -> None:
    stage = StageSample("d", 1, "\x1b[31m" + "s" * 10_000, 2**90, 0, 0.0, 0.0, 0)
    many = msgspec.structs.replace(
        SAMPLE,
        stages=(stage,) * 100_000,
        power=(PowerSample(1.0, 1.0, "x" * 999, "board", "counter"),) * 1000,
        dropped={f"reason {n}": n for n in range(10_000)},
    )
    clean = clean_sample(many)
    assert clean is not None
    assert (len(clean.stages), len(clean.power), len(clean.dropped)) == (MAX_STAGES, MAX_SOURCES, 64)
    assert clean.stages[0].frames == MAX_COUNT
    assert "\x1b" not in clean.stages[0].stage
    assert len(clean.stages[0].stage) <= 200


def test_no_more_numbers_are_left_out_than_there_were() -> None:
    kept = {}
    for skipped in (-1, 0, 3, 2**70):
        clean = clean_sample(sample(9, skipped=skipped))
        assert clean is not None
        kept[skipped] = kept_figures(clean).get("skipped")
    assert kept == {-1: None, 0: None, 3: 3, 2**70: 9}
