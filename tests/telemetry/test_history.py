"""A device's history: steps, gaps, rates, one source of power."""

import pytest

from partition_agent.protocol import PowerSample
from partition_studio.schemas import HistoryOut
from partition_studio.telemetry.history import (
    SAMPLES_PER_STEP,
    THIN_EVERY,
    KeptSample,
    frames_between,
    frames_of,
    history_of,
    kept_figures,
    step_of,
    stride_of,
)
from tests.telemetry.samples import sample

END_S = 1_800_000_000.0


def kept(second: int, **more: object) -> KeptSample:
    made = sample(second, **more)  # type: ignore[arg-type]  # what a sample is made of is the helper's to say
    return KeptSample("ring", made.sequence, END_S - 60 + second, made.incarnation, kept_figures(made))


def history(samples: list[KeptSample], seconds: float = 60, points: int = 30) -> HistoryOut:
    return history_of("a", samples, end_s=END_S, seconds=seconds, points=points, missing=0)


def test_what_was_not_sampled_is_a_gap_and_not_nothing() -> None:
    found = history([kept(second, frames=second * 5, watts=3.0) for second in range(60) if not 20 <= second < 40])
    assert (found.step_s, len(found.points)) == (2, 30)
    for number, point in enumerate(found.points):
        if 10 <= number < 20:
            assert (point.frames_per_s, point.cpu_utilisation, point.memory_bytes, point.power_w) == (None,) * 4
        else:
            assert (point.cpu_utilisation, point.memory_bytes, point.power_w) == (0.5, 90, 3)
    rates = [point.frames_per_s for point in found.points if point.frames_per_s is not None]
    assert rates == pytest.approx([5] * len(rates))
    assert len(rates) == 20


def test_a_step_is_never_finer_than_the_samples_lie() -> None:
    assert history([kept(1)], seconds=10, points=1000).step_s == 2
    assert history([kept(1)], seconds=7 * 86400, points=2000).step_s > 60


@pytest.mark.parametrize("seconds", [60, 600, 3600, 86400, 7 * 86400])
@pytest.mark.parametrize("points", [2, 60, 300, 2000])
def test_every_step_has_samples_enough_and_none_has_far_too_many(seconds: float, points: int) -> None:
    step_s = step_of(seconds, points)
    stride = stride_of(step_s)
    assert THIN_EVERY % stride == 0
    assert stride == 1 or step_s / stride >= SAMPLES_PER_STEP


def test_power_of_another_source_is_left_out_of_the_line() -> None:
    samples = [
        kept(second, watts=3.0 if second < 30 else 50.0, source="a" if second < 30 else "b") for second in range(60)
    ]
    found = history(samples)
    assert (found.power_source, found.power_scope, found.power_method) == ("b", "board", "counter")
    assert {point.power_w for point in found.points} == {None, 50}


def test_a_device_that_never_reported_has_no_points() -> None:
    found = history([])
    assert (found.points, found.power_source) == ([], None)


def test_a_restart_of_the_agent_is_no_burst_of_frames() -> None:
    samples = [kept(second, frames=second * 5) for second in range(30)]
    samples += [kept(second, frames=(second - 30) * 5, incarnation="j") for second in range(30, 60)]
    assert max(point.frames_per_s or 0 for point in history(samples).points) == pytest.approx(5)


def test_frames_are_counted_over_deployments_that_come_and_go() -> None:
    assert frames_between({"d/1": 10}, {"d/1": 14, "e/1": 3}) == 7
    assert frames_between({"d/1": 10}, {}) == 0
    assert frames_between({"d/1": 10}, {"d/1": 4}) == 4
    assert frames_of([]) is None
    assert frames_of([kept(0, frames=7)]) is None
    assert frames_of([kept(0, frames=7), kept(1, frames=9), kept(2, frames=2)]) == 4


def test_frames_of_a_deployment_that_ended_and_of_an_agent_that_started_again_are_all_counted() -> None:
    first = [kept(second, frames=100 + 10 * second) for second in range(10)]
    # It starts again, and has done more before it is heard than the first had.
    again = [kept(second, frames=10 * second, incarnation="j") for second in range(30, 40)]
    assert frames_of([*first, *again]) == 90 + 390


def test_a_sample_that_is_dated_among_later_ones_is_counted_once() -> None:
    taken = [kept(second, frames=100 + 10 * second) for second in range(10)]
    assert frames_of([*taken[:5], taken[6], taken[5], *taken[7:]]) == 90


def test_a_plug_that_is_not_reached_at_the_end_is_still_the_line_of_power() -> None:
    def told(second: int) -> KeptSample:
        plug, model = PowerSample(9.0, 0.0, "shelly", "wall", "counter"), PowerSample(3.0, 0.0, "declared", "model", "")
        return kept(second, power=(model, plug) if second > 57 else (plug, model))

    found = history([told(second) for second in range(60)])
    assert (found.power_source, found.power_scope) == ("shelly", "wall")
    assert found.points[-1].power_w is None
    assert found.points[0].power_w == 9
