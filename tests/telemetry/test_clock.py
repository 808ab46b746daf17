"""A device's clocks told in the studio's time."""

import random

import pytest

from partition_studio.telemetry.clock import SPAN_S, DeviceClock

BOOT_S = 1_700_000_000.0
HOUR_S = 3600.0


def test_samples_get_the_studios_time_whatever_the_devices_own_clock_says() -> None:
    clock, chance = DeviceClock("i"), random.Random(3)
    last_s = 0.0
    for second in range(60):
        taken_s = BOOT_S + second
        delay_s = 0.01 + chance.random() * 0.4
        last_s = clock.arrived(second, taken_s - HOUR_S, taken_s + delay_s) - taken_s
    assert 0 <= last_s <= 0.1
    assert clock.at(30) == pytest.approx(BOOT_S + 30, abs=0.1)
    assert clock.monotonic(BOOT_S + 30) == pytest.approx(30, abs=0.1)
    assert clock.wall_offset_s == pytest.approx(HOUR_S, abs=0.5)


def test_a_clock_that_runs_slow_is_followed() -> None:
    clock = DeviceClock("i")
    for second in range(int(6 * SPAN_S)):
        clock.arrived(second * 0.999, second * 0.999, BOOT_S + second)
    end_s = 6 * SPAN_S - 1
    # Over two spans such a clock loses six tenths of a second, and no more is off.
    assert clock.at(end_s * 0.999) == pytest.approx(BOOT_S + end_s, abs=0.7)


def test_what_arrives_after_a_silence_is_dated_when_it_was_taken() -> None:
    clock = DeviceClock("i")
    for second in range(10):
        clock.arrived(second, second, BOOT_S + second)
    assert clock.arrived(10, 10, BOOT_S + 25) == pytest.approx(BOOT_S + 10)


@pytest.mark.parametrize("step_s", [-HOUR_S, HOUR_S])
def test_when_the_studios_clock_is_set_samples_follow_it(step_s: float) -> None:
    clock = DeviceClock("i")
    for second in range(10):
        clock.arrived(second, second, BOOT_S + second)
    assert clock.arrived(10, 10, BOOT_S + 10 + step_s) == pytest.approx(BOOT_S + 10 + step_s)


@pytest.mark.parametrize("step_s", [2.0, 25.0])
def test_after_a_step_of_seconds_the_third_sample_sets_the_clock_right(step_s: float) -> None:
    clock, chance = DeviceClock("i"), random.Random(5)
    for second in range(60):
        clock.arrived(second, second, BOOT_S + second + chance.random() * 0.4)
    for second in range(60, 63):
        clock.arrived(second, second, BOOT_S + second + step_s + chance.random() * 0.4)
    assert clock.at(100) == pytest.approx(BOOT_S + 100 + step_s, abs=0.4)
    assert clock.monotonic(BOOT_S + 100 + step_s) == pytest.approx(100, abs=0.4)
    # What lies before the step was then, and is still, where the clock of that time had it.
    assert clock.monotonic(BOOT_S + 30) == pytest.approx(30, abs=0.4)


def test_samples_that_waited_and_come_at_once_set_no_clock() -> None:
    clock = DeviceClock("i")
    for second in range(10):
        clock.arrived(second, second, BOOT_S + second)
    for second in range(10, 26):
        assert clock.arrived(second, second, BOOT_S + 25) == pytest.approx(BOOT_S + second)
    assert clock.monotonic(BOOT_S + 26) == pytest.approx(26)


def test_single_samples_that_are_late_set_no_clock() -> None:
    clock = DeviceClock("i")
    for second in range(60):
        clock.arrived(second, second, BOOT_S + second + (3.0 if second % 3 else 0.0))
    assert clock.monotonic(BOOT_S + 60) == pytest.approx(60)
