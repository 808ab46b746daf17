"""Energy of one device, live and over a run, from its samples."""

import msgspec
import pytest

from partition_agent.protocol import PowerSample
from partition_studio.telemetry.device import BURST, MAX_SERIES, ReportingDevice
from tests.telemetry.samples import sample

T0 = 1_800_000_000.0


def reporting(seconds: int, *, watts: float = 4.0, rate: int = 10, idle: int = 0) -> ReportingDevice:
    """A device that was idle (1 W) for some seconds, then passed `rate` frames a second."""
    device = ReportingDevice("a")
    energy_j = 0.0
    for second in range(seconds):
        busy = second >= idle
        made = sample(second, frames=max(second - idle + 1, 0) * rate, watts=watts if busy else 1.0)
        energy_j += (watts if busy else 1.0) if second else 0.0
        power = tuple(type(p)(p.power_w, energy_j, p.source, p.scope, p.method, p.uncertainty) for p in made.power)
        device.take(sample(second, frames=max(second - idle + 1, 0) * rate, power=power), T0 + second, busy=False)
    return device


def test_live_energy_is_over_ten_seconds_with_its_frames_and_source() -> None:
    live = reporting(30).live
    assert live is not None
    energy = live.energy
    assert energy is not None
    assert energy.window_s == pytest.approx(10)
    assert energy.frames == 100
    assert energy.gross_j == pytest.approx(40)
    assert energy.gross_per_frame_j == pytest.approx(0.4)
    assert (energy.source, energy.scope, energy.method, energy.coverage) == ("rapl", "board", "counter", 1)
    assert (energy.idle_w, energy.net_j, energy.net_per_frame_j) == (None, None, None)


@pytest.mark.parametrize("idle", [3, 15, 30])
def test_live_energy_of_the_first_seconds_of_a_run_is_without_the_rest_before_it(idle: int) -> None:
    live = reporting(idle + 4, idle=idle).live
    assert live is not None
    assert live.energy is not None
    assert live.energy.gross_per_frame_j == pytest.approx(0.4, rel=0.01)
    assert live.energy.window_s < 10


def test_what_a_slow_pipeline_takes_between_two_frames_is_theirs() -> None:
    device = ReportingDevice("a")
    for second in range(60):
        made = sample(second, frames=second // 4, watts=4.0)
        power = tuple(type(p)(p.power_w, 4.0 * second, p.source, p.scope, p.method, p.uncertainty) for p in made.power)
        device.take(sample(second, frames=second // 4, power=power), T0 + second, busy=False)
        if second >= 15:
            assert device.live is not None
            assert device.live.energy is not None
            assert device.live.energy.window_s == pytest.approx(10)


def test_net_energy_is_without_what_the_device_took_when_idle_in_the_same_session() -> None:
    live = reporting(40, idle=15).live
    assert live is not None
    assert live.energy is not None
    assert live.energy.idle_w == 1
    assert live.energy.net_per_frame_j == pytest.approx((40 - 10) / 100)


def test_idle_power_of_an_estimate_is_that_of_its_own_model_and_of_nothing_else() -> None:
    device = ReportingDevice("a")
    device.model_idle_w = 2.0
    for second in range(20):
        made = sample(second, frames=second * 10, watts=4.0)
        estimated = tuple(type(p)(p.power_w, p.energy_j, "declared", "model", "estimated") for p in made.power)
        device.take(sample(second, frames=second * 10, power=estimated), T0 + second, busy=False)
    assert device.live is not None
    assert device.live.energy is not None
    assert device.live.energy.idle_w == 2
    measured = reporting(20)
    measured.model_idle_w = 2.0
    assert measured.live is not None
    assert measured.live.energy is not None
    assert measured.live.energy.idle_w is None


def test_energy_of_a_run_is_between_its_first_and_last_frame() -> None:
    device = reporting(30)
    energy = device.energy(T0 + 5.25, T0 + 12.75, 75)
    assert energy is not None
    assert energy.window_s == pytest.approx(7.5)
    assert energy.gross_j == pytest.approx(30)
    assert energy.gross_per_frame_j == pytest.approx(0.4)
    assert device.heard_until(T0 + 29)
    assert not device.heard_until(T0 + 29.5)


def test_a_run_of_which_the_source_tells_too_little_has_no_energy_per_frame() -> None:
    energy = reporting(10).energy(T0 + 5, T0 + 25, 75)
    assert energy is not None
    assert energy.coverage == pytest.approx(0.2)
    assert (energy.gross_per_frame_j, energy.net_per_frame_j) == (None, None)


def test_a_run_shorter_than_the_samples_lie_apart_has_no_energy() -> None:
    assert reporting(10).energy(T0 + 5, T0 + 5.5, 3) is None


def test_a_device_without_power_is_not_waited_for_and_has_no_energy() -> None:
    device = ReportingDevice("a")
    for second in range(10):
        device.take(sample(second, frames=second), T0 + second, busy=False)
    assert device.heard_until(T0 + 1000)
    assert device.energy(T0 + 1, T0 + 9, 8) is None


def test_a_new_start_of_the_agent_is_not_compared_with_the_old_one() -> None:
    device = reporting(10)
    for second in range(5):
        device.take(sample(second, frames=second, watts=4.0, incarnation="j"), T0 + 20 + second, busy=False)
    assert device.live is not None
    assert device.live.energy is not None
    assert device.live.energy.window_s == pytest.approx(4)
    assert device.energy(T0 + 1, T0 + 9, 10) is None


def test_a_sample_that_jumps_back_changes_no_figure() -> None:
    device = reporting(20)
    before = device.live
    device.take(sample(3, frames=10**9, watts=1e5), T0 + 20, busy=False)
    assert device.live == before


def test_who_talks_without_end_is_not_listened_to() -> None:
    device = ReportingDevice("a")
    heard = sum(device.may_speak(T0) for _ in range(10_000))
    assert heard == BURST
    assert not device.may_speak(T0)
    assert device.may_speak(T0 + 1)


def test_a_board_that_can_be_read_for_a_part_of_the_time_has_its_mean_power_and_no_energy_per_frame() -> None:
    device = ReportingDevice("a")
    for second in range(60):
        power = PowerSample(10.0, 2.0 * second, "ina3221", "board", "sampled", None, 0.2, 0.2 * second, float(second))
        device.take(sample(second, frames=second * 10, power=(power,)), T0 + second, busy=False)
    energy = device.energy(T0 + 10, T0 + 50, 400)
    assert energy is not None
    assert energy.coverage == pytest.approx(0.2)
    assert energy.gross_j == pytest.approx(80), "of eight seconds of which is told"
    assert energy.gross_per_frame_j is None


def test_short_gaps_of_a_sampled_source_take_nothing_off_the_energy() -> None:
    device = ReportingDevice("a")
    for second in range(60):
        covered_s = 0.97 * second
        power = PowerSample(10.0, 10 * covered_s, "ina3221", "board", "sampled", None, 0.97, covered_s, float(second))
        device.take(sample(second, frames=second * 10, power=(power,)), T0 + second, busy=False)
    energy = device.energy(T0 + 10, T0 + 50, 400)
    assert energy is not None
    assert energy.gross_j == pytest.approx(400)
    assert energy.coverage == pytest.approx(0.97)
    assert energy.gross_per_frame_j == pytest.approx(1)


def test_a_source_that_is_asked_seldom_tells_of_the_time_until_it_was_asked() -> None:
    device = ReportingDevice("a")
    for second in range(40):
        told_s = second // 2 * 2 - 0.5
        power = PowerSample(5.0, 5 * told_s + 50, "shelly", "wall", "counter", None, 1.0, told_s + 1, max(told_s, 0.0))
        device.take(sample(second, frames=second * 10, power=(power,)), T0 + second, busy=False)
        if second > 15:
            assert device.live is not None
            assert device.live.energy is not None
            assert device.live.energy.coverage == pytest.approx(1)
            assert device.live.energy.gross_j == pytest.approx(50)
    assert not device.heard_until(T0 + 39)
    assert device.heard_until(T0 + 37)


def test_a_short_dropout_of_the_widest_source_costs_the_run_nothing() -> None:
    device = ReportingDevice("a")
    for second in range(1, 603):
        gone = second in (500, 501)
        plug = PowerSample(
            None if gone else 10.0, 10.0 * (499 if gone else second), "shelly", "wall", "counter", 0.02, 1.0
        )
        model = PowerSample(3.0, 3.0 * second, "declared", "model", "estimated")
        power = (model, plug) if gone else (plug, model)
        device.take(sample(second, frames=second, power=power), T0 + second, busy=False)
        if gone:
            assert device.live is not None
            assert device.live.energy is not None
            assert device.live.energy.source == "shelly"
            assert device.live.power is not None
            assert (device.live.power.source, device.live.power.power_w) == ("shelly", None)
            assert [other.source for other in device.live.other_power] == ["declared"]
    energy = device.energy(T0 + 1, T0 + 601, 600)
    assert energy is not None
    assert (energy.source, energy.scope) == ("shelly", "wall")
    assert energy.gross_j == pytest.approx(6000)
    assert energy.gross_per_frame_j == pytest.approx(10)


def test_when_the_widest_source_is_gone_for_long_the_next_one_is_shown_with_its_own_past() -> None:
    device = ReportingDevice("a")
    for second in range(1, 100):
        gone = second > 50
        plug = PowerSample(None if gone else 10.0, 10.0 * min(second, 50), "shelly", "wall", "counter")
        board = PowerSample(3.0, 3.0 * second, "ina3221", "board", "sampled", None, 1.0, float(second), float(second))
        power = (board, plug) if gone else (plug, board)
        device.take(sample(second, frames=second, power=power), T0 + second, busy=False)
    energy = device.energy(T0 + 10, T0 + 90, 80)
    assert energy is not None
    assert (energy.source, energy.coverage) == ("ina3221", 1)
    assert energy.gross_j == pytest.approx(240)


def test_sources_without_end_are_not_remembered_without_end() -> None:
    device = ReportingDevice("a")
    for second in range(100):
        power = tuple(PowerSample(1.0, float(second), f"{second} {n}", "board", "counter") for n in range(MAX_SERIES))
        device.take(sample(second, power=power), T0 + second, busy=False)
    assert len(device._energy) == len(device._idle) == MAX_SERIES


@pytest.mark.parametrize("step_s", [5e-324, 1e-12, 9e-4, 0.0, -1.0])
def test_a_step_of_the_clock_that_is_none_changes_no_figure(step_s: float) -> None:
    device = ReportingDevice("a")
    device.take(sample(0, frames=1, watts=1.0), T0, busy=False)
    before = device.live
    made = msgspec.structs.replace(sample(0, frames=2**53, watts=1.0), monotonic_s=step_s, cpu_s=1e12)
    device.take(made, T0 + 1, busy=False)
    assert device.live == before


def test_the_smallest_step_with_the_largest_figures_can_be_told() -> None:
    device = ReportingDevice("a")
    device.take(sample(0, watts=1.0), T0, busy=False)
    made = msgspec.structs.replace(sample(0, frames=2**53, watts=1.0), monotonic_s=1e-3, cpu_s=1e12)
    device.take(made, T0 + 1, busy=False)
    assert device.live is not None
    assert device.live.frames_per_s == pytest.approx(2**53 / 1e-3)
    device.live.model_dump_json()


def test_energy_of_a_run_after_and_over_a_suspension_of_the_device_is_that_of_its_time() -> None:
    device, energy_j = ReportingDevice("a"), 0.0
    for second in range(240):
        watts = 22.0 if 40 < second <= 70 or 160 < second <= 190 else 2.0
        energy_j += watts
        power = PowerSample(watts, energy_j, "rapl", "board", "counter")
        slept_s = 25.0 if second >= 60 else 0.0
        device.take(sample(second, power=(power,)), T0 + second + slept_s, busy=False)
    over = device.energy(T0 + 40, T0 + 70 + 25, 300)
    after = device.energy(T0 + 160 + 25, T0 + 190 + 25, 300)
    assert over is not None
    assert after is not None
    assert over.gross_j == pytest.approx(660)
    assert after.gross_j == pytest.approx(660)
