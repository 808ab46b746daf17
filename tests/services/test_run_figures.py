"""What is gathered of a run: stages and devices by their samples, its speed over time."""

from itertools import pairwise

from partition_studio.schemas import DeviceLiveOut
from partition_studio.schemas.live import StageLiveOut
from partition_studio.telemetry.run_figures import MAX_POINTS, RunSeries, RunTally


def stage(frames: int, compute_s: float | None, *, lost: int = 0, epoch: int = 1) -> StageLiveOut:
    return StageLiveOut(
        deployment="d",
        epoch=epoch,
        stage="pi-0",
        frames_per_s=0.0,
        compute_s=compute_s,
        queue_wait_s=None,
        queued=0,
        frames=frames,
        lost=lost,
        weight_bytes=0,
        activation_bytes=None,
        arena_bytes=None,
    )


def sample(unix_s: float, *stages: StageLiveOut, cpu: float | None = None, device: str = "pi") -> DeviceLiveOut:
    return DeviceLiveOut(
        device=device,
        unix_s=unix_s,
        frames_per_s=0,
        cpu_utilisation=cpu,
        agent_cores=0,
        usable_cores=1,
        memory_bytes=100,
        memory_unique_bytes=None,
        memory_peak_bytes=0,
        memory_limit_bytes=1000,
        memory_model_bytes=0,
        gpu_memory_bytes=None,
        received_bytes_per_s=0,
        sent_bytes_per_s=0,
        power=None,
        other_power=[],
        energy=None,
        thermal=None,
        stages=list(stages),
        links=[],
        dropped={},
    )


def tally() -> RunTally:
    return RunTally("d", 1, ["pi"])


def test_the_first_sample_only_tells_where_the_run_begins() -> None:
    one = tally()
    one.take([sample(1.0, stage(50, 9.0), cpu=1.0)])
    assert [(told.frames, told.compute_s) for told in one.stages({})] == [(0, None)]
    assert one.devices() == []


def test_a_stage_is_told_by_its_frames_so_that_busy_seconds_count_more() -> None:
    one = tally()
    one.take([sample(1.0, stage(50, None))])
    one.take([sample(2.0, stage(60, 0.1))])
    one.take([sample(3.0, stage(90, 0.2, lost=2), cpu=0.5)])
    (told,) = one.stages({("pi", "pi-0"): 0.15})
    assert (told.frames, told.lost, told.predicted_s) == (40, 2, 0.15)
    assert told.compute_s is not None
    assert abs(told.compute_s - (10 * 0.1 + 30 * 0.2) / 40) < 1e-12
    assert told.queue_wait_s is None


def test_one_sample_is_counted_once_and_those_of_others_not_at_all() -> None:
    one = tally()
    for unix_s, frames in ((1.0, 0), (2.0, 10), (2.0, 10)):
        one.take([sample(unix_s, stage(frames, 0.1)), sample(unix_s, stage(frames, 0.1), device="other")])
    one.take([sample(3.0, stage(99, 0.1, epoch=2))])
    assert [told.frames for told in one.stages({})] == [10]
    assert [told.device for told in one.devices()] == ["pi"]


def test_a_device_whose_clock_is_set_back_meanwhile_is_heard_on() -> None:
    one = tally()
    for unix_s, frames in ((100.0, 0), (101.0, 10), (41.0, 20), (42.0, 30)):
        one.take([sample(unix_s, stage(frames, 0.1))])
    assert [told.frames for told in one.stages({})] == [30]
    assert [told.samples for told in one.devices()] == [3]


def test_a_device_without_a_figure_has_none_and_never_zero() -> None:
    one = tally()
    one.take([sample(1.0)])
    one.take([sample(2.0)])
    (told,) = one.devices()
    assert (told.samples, told.cpu_utilisation, told.temperature_peak_c) == (1, None, None)
    assert (told.memory_peak_bytes, told.memory_limit_bytes) == (100, 1000)


def test_speed_over_time_tells_standstills_and_stays_bounded() -> None:
    series = RunSeries()
    series.take(0.5, 3, None)
    series.take(1.0, 10, 0.2)
    series.take(2.0, 10, 0.2)
    assert [(point.frames_per_s, point.latency_p50_s) for point in series.points] == [(10.0, 0.2), (0.0, 0.2)]
    for second in range(3, 20 * MAX_POINTS):
        series.take(float(second), second * 10, 0.1)
    assert len(series.points) <= MAX_POINTS
    ends = [point.elapsed_s for point in series.points]
    # Stretches of equal length: each is worth as much when they are merged again.
    assert len({after - before for before, after in pairwise([0.0, *ends])}) == 1
    assert [point.frames_per_s for point in series.points[1:]] == [10.0] * (len(series.points) - 1)
