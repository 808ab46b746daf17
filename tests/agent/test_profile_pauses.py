"""Kernels of a process that a quota stops now and then: pauses count to none of them."""

import threading
import time
from itertools import accumulate, pairwise
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from partition_agent.profiling.kernels import Times, kernel_times
from partition_agent.profiling.measure import ALMOST_EMPTY, MIN_RUNS, Session, clocks_apart_s, sustained, traced
from partition_agent.profiling.pauses import LOOK_S, Look, RunningClock
from partition_agent.protocol import TensorSpec

seconds = st.floats(1e-6, 0.05)


def wall_s(ran_s: float, quota_s: float, pause_s: float) -> float:
    """When a process has run for so long, if each `quota_s` is followed by a pause."""
    return ran_s + int(ran_s / quota_s) * pause_s


@given(kernels=st.lists(seconds, min_size=1, max_size=20), quota_ms=st.integers(1, 50), pause_s=st.floats(0.001, 0.2))
def test_a_kernel_takes_what_it_ran_wherever_pauses_fall(kernels: list[float], quota_ms: int, pause_s: float) -> None:
    quota_s = quota_ms * LOOK_S
    ends = [0.0, *accumulate(kernels)]
    # It looks at every thousandth of a second that it runs; that of a pause's begin comes at the pause's end.
    steps = [LOOK_S * step for step in range(int(ends[-1] / LOOK_S) + 2)]
    looks = [Look(wall_s(ran_s + 1e-9, quota_s, pause_s) - 1e-9, ran_s) for ran_s in steps]
    clock = RunningClock(looks)
    walls = [wall_s(end, quota_s, pause_s) for end in ends]
    found = [clock.between(begin, end) for begin, end in pairwise(walls)]
    assert found == pytest.approx(kernels, abs=1e-7)


@given(
    looks=st.lists(st.tuples(seconds, st.floats(0, 0.2)), min_size=1, max_size=30),
    moments=st.lists(st.floats(-0.1, 2.0), min_size=2, max_size=10),
)
def test_it_never_ran_longer_than_the_wall_clock_says_and_never_backwards(
    looks: list[tuple[float, float]], moments: list[float]
) -> None:
    sums = accumulate(looks, lambda sum_, step: (sum_[0] + step[0], sum_[1] + step[1]))
    clock = RunningClock([Look(*both) for both in sums])
    for begin, end in pairwise(sorted(moments)):
        assert -1e-9 <= clock.between(begin, end) <= end - begin + 1e-9


def test_threads_that_run_at_the_same_time_count_once() -> None:
    clock = RunningClock([Look(0.0, 0.0), Look(0.01, 0.04)])
    assert clock.between(0.002, 0.008) == pytest.approx(0.006)


def test_the_profilers_clock_is_told_by_the_run_that_it_noted_soonest() -> None:
    events = [{"name": "model_run", "ts": ts} for ts in (500, 1_000_100, 2_000_020)]
    assert clocks_apart_s(events, [11.0, 12.0]) == pytest.approx(12.0 - 2.00002)


def test_kernels_last_what_the_clock_that_is_given_says() -> None:
    events = [{"cat": "Node", "name": "a_kernel_time", "ts": 100, "dur": 30, "args": {}}]
    assert kernel_times(events, 1, lambda begin_us, end_us: begin_us * end_us)["a"].seconds == (13_000,)


def test_a_run_that_gets_less_than_its_core_is_taken_to_be_stopped_unless_it_is_known_not_to_be() -> None:
    def run() -> float:
        begin_s = time.perf_counter()
        threading.Event().wait(0.02)
        return time.perf_counter() - begin_s

    assert sustained(run, 0.0, limited=None).paused
    assert not sustained(run, 0.0, limited=False).paused


def test_the_same_kernels_are_traced_with_pauses_as_without(tmp_path: Path) -> None:
    def trace(*, paused: bool) -> dict[str, Times]:
        inputs = (TensorSpec("x", "float32", (1,)),)
        session = Session(ALMOST_EMPTY, inputs, 1, "CPUExecutionProvider", optimised=False, trace=tmp_path / "trace")
        return traced(session, 1, 0.01, paused=paused)

    without, with_pauses = trace(paused=False), trace(paused=True)
    assert with_pauses.keys() == without.keys()
    assert all(len(times.seconds) >= MIN_RUNS and min(times.seconds) >= 0 for times in with_pauses.values())
