"""Energy over a window: what a source counted, or the trapezoid of its power; never of two sources together."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from partition_studio.telemetry.energy import MAX_POINTS, EnergyWindow, IdleWatch, Series

METER = Series("one", "shelly", "wall", "counter")
SENSOR = Series("one", "ina3221", "module", "sampled")


def window(*readings: tuple[float, float | None, float | None], series: Series = SENSOR) -> EnergyWindow:
    made = EnergyWindow()
    for at_s, power_w, counter_j in readings:
        made.add(series, at_s, power_w, counter_j)
    return made


@settings(deadline=None)
@given(
    power_w=st.floats(0.1, 100),
    begin_s=st.floats(100, 104),
    length_s=st.floats(0.5, 5),
    steps=st.lists(st.floats(0.2, 2), min_size=12, max_size=30),
)
def test_constant_power_gives_power_times_time_wherever_the_edges_lie(
    power_w: float, begin_s: float, length_s: float, steps: list[float]
) -> None:
    at_s, made, readings = 99.0, EnergyWindow(), []
    for step in steps:
        at_s += step
        made.add(SENSOR, at_s, power_w, None)
        readings.append(at_s)
    first, last = max(begin_s, readings[0]), min(begin_s + length_s, readings[-1])
    spent = made.spent(begin_s, begin_s + length_s)
    if last <= first:
        assert spent is None
        return
    assert spent is not None
    assert spent.energy_j == pytest.approx(power_w * (last - first))
    assert spent.coverage == pytest.approx((last - first) / length_s)


def test_a_counter_is_interpolated_at_the_edges_and_holds_over_a_silence() -> None:
    made = window((10, None, 100), (11, None, 104), (60, None, 300), (61, None, 310), series=METER)
    spent = made.spent(10.5, 60.5)
    assert spent is not None
    assert spent.energy_j == pytest.approx(305 - 102)
    assert spent.coverage == 1


def test_between_readings_of_power_that_lie_far_apart_nothing_is_known() -> None:
    made = window((10, 4.0, None), (11, 4.0, None), (31, 4.0, None), (32, 4.0, None))
    spent = made.spent(10, 32)
    assert spent is not None
    assert spent.energy_j == pytest.approx(8)
    assert spent.covered_s == 2
    assert spent.coverage == pytest.approx(2 / 22)


def test_a_counter_that_starts_again_gives_no_energy_for_that_step() -> None:
    made = window((10, None, 100), (11, None, 102), (12, None, 1), (13, None, 4), series=METER)
    spent = made.spent(10, 13)
    assert spent is not None
    assert spent.energy_j == pytest.approx(5)
    assert spent.covered_s == 2


def test_a_source_that_is_silent_covers_nothing() -> None:
    made = window((10, 4.0, 100), (11, 4.0, 104), (12, None, 104), (13, None, 104), (14, 4.0, 108), series=METER)
    spent = made.spent(10, 14)
    assert spent is not None
    assert (spent.energy_j, spent.covered_s) == (8, 2)


def test_another_source_begins_anew_and_is_not_added() -> None:
    made = window((10, 5.0, None), (11, 5.0, None))
    made.add(METER, 12, None, 7_000)
    assert made.spent(10, 12) is None
    made.add(METER, 13, None, 7_009)
    spent = made.spent(10, 13)
    assert spent is not None
    assert spent.energy_j == 9
    assert spent.coverage == pytest.approx(1 / 3)


def test_what_comes_late_or_twice_changes_nothing() -> None:
    made = window((10, 5.0, None), (11, 5.0, None), (11, 500.0, None), (10.5, 500.0, None), (12, 5.0, None))
    spent = made.spent(10, 12)
    assert spent is not None
    assert spent.energy_j == pytest.approx(10)


def test_energy_of_which_the_agent_left_out_gaps_is_that_of_its_covered_time() -> None:
    made = EnergyWindow()
    # 10 W all the time; of each second the agent could read a fifth.
    for second in range(60):
        made.add(SENSOR, second, 10.0, 2.0 * second, 0.2 * second)
    spent = made.spent(1, 59)
    assert spent is not None
    assert spent.mean_w == pytest.approx(10)
    assert spent.coverage == pytest.approx(0.2)


@pytest.mark.parametrize("series", [SENSOR, METER])
def test_over_a_silence_the_agents_own_account_says_of_how_much_its_energy_tells(series: Series) -> None:
    made = EnergyWindow()
    # The sensor was away from 1 s to 301 s, and nobody listened until 601 s.
    for at_s, energy_j, covered_s in ((0, 100, 50), (1, 110, 51), (601, 3110, 351), (602, 3120, 352)):
        made.add(series, at_s, 10.0, energy_j, covered_s)
    spent = made.spent(0, 602)
    assert spent is not None
    assert spent.mean_w == pytest.approx(10)
    assert spent.coverage == pytest.approx(302 / 602)


def test_energy_that_was_added_up_by_an_agent_that_does_not_tell_its_gaps_is_not_believed_over_one() -> None:
    made = window((0, 10.0, 100), (1, 10.0, 110), (601, 10.0, 120), (602, 10.0, 130))
    spent = made.spent(0, 602)
    assert spent is not None
    assert (spent.energy_j, spent.covered_s) == (20, 2)


def test_a_long_run_takes_no_more_memory_and_keeps_its_energy() -> None:
    made = EnergyWindow()
    for second in range(4 * MAX_POINTS):
        made.add(SENSOR, second, 3.0, None)
    assert len(made._points) <= MAX_POINTS
    spent = made.spent(0, 4 * MAX_POINTS - 1)
    assert spent is not None
    assert spent.energy_j == pytest.approx(3.0 * (4 * MAX_POINTS - 1))
    assert spent.coverage == 1


def test_idle_power_is_that_of_seconds_without_frames() -> None:
    watch = IdleWatch()
    for second in range(40):
        frames = min(second, 20)
        watch.add(SENSOR, second, 9.0 if second <= 22 else 2.5, frames, busy=False)
    assert watch.idle_w == 2.5


def test_idle_power_is_unknown_while_frames_pass_or_the_agent_works_and_after_a_new_source() -> None:
    watch = IdleWatch()
    for second in range(30):
        watch.add(SENSOR, second, 9.0, second, busy=False)
    assert watch.idle_w is None
    for second in range(30, 60):
        watch.add(SENSOR, second, 9.0, 30, busy=True)
    assert watch.idle_w is None
    for second in range(60, 80):
        watch.add(SENSOR, second, 2.0, 30, busy=False)
    assert watch.idle_w == 2.0
    watch.add(METER, 80, 5.0, 30, busy=False)
    assert watch.idle_w is None
