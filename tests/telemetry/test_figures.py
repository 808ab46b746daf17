"""Rates are differences of running totals."""

import msgspec
import pytest

from partition_agent.protocol import LinkSample, MemorySample, PowerSample, StageSample, Telemetry
from partition_studio.telemetry.figures import device_live, times_of_stages

STAGE = StageSample("d", 1, "a-0", frames=100, lost=0, compute_s=5.0, queue_wait_s=1.0, queued=1)
LINK = LinkSample(
    "d", 1, "l", frames_sent=10, bytes_sent=1000, frames_received=0, bytes_received=0, wire_bytes_sent=500
)
INTO = LinkSample(
    "d", 1, "m", frames_sent=0, bytes_sent=0, frames_received=10, bytes_received=4000, wire_bytes_received=4000
)
BEFORE = Telemetry(
    incarnation="i",
    sequence=7,
    monotonic_s=50.0,
    unix_s=1000.0,
    cpu_s=10.0,
    usable_cores=2.0,
    cpu_utilisation=0.5,
    memory=MemorySample(90, 80, 100, 110, 1000),
    power=(PowerSample(4.0, 30.0, "declared", "model", "estimated"),),
    thermal=None,
    stages=(STAGE,),
    links=(LINK, INTO),
    dropped={},
)
NOW = msgspec.structs.replace(
    BEFORE,
    monotonic_s=52.0,
    cpu_s=11.0,
    power=(PowerSample(5.0, 40.0, "declared", "model", "estimated"),),
    stages=(msgspec.structs.replace(STAGE, frames=120, compute_s=6.0, queue_wait_s=1.5),),
    links=(
        msgspec.structs.replace(
            LINK, frames_sent=30, bytes_sent=9000, wire_bytes_sent=4500, encode_s=0.1, in_flight=2, stalled_s=0.5
        ),
        msgspec.structs.replace(INTO, bytes_received=4500, wire_bytes_received=4500, connected=False, reconnects=3),
    ),
)


def test_rates_are_over_the_interval_between_the_samples() -> None:
    live = device_live("a", BEFORE, NOW)
    assert live.frames_per_s == 10
    assert live.agent_cores == 0.5
    assert (live.sent_bytes_per_s, live.received_bytes_per_s) == (2000, 250)
    assert live.stages[0].compute_s == pytest.approx(0.05)
    assert live.stages[0].queue_wait_s == pytest.approx(0.025)


def test_each_end_of_a_link_tells_what_passed_it_and_how_it_stands() -> None:
    out, into = device_live("a", BEFORE, NOW).links
    assert (out.deployment, out.link, out.sends, into.sends) == ("d", "l", True, False)
    assert (out.frames_per_s, out.bytes_per_s, out.wire_bytes_per_s) == (10, 4000, 2000)
    assert out.coding_s == pytest.approx(0.005)
    assert (out.connected, out.in_flight, out.stalled_s) == (True, 2, 0.5)
    assert (into.connected, into.reconnects, into.coding_s) == (False, 3, None)


def test_without_a_frame_there_is_no_time_per_frame() -> None:
    idle = msgspec.structs.replace(NOW, stages=(STAGE,))
    live = device_live("a", BEFORE, idle)
    assert (live.frames_per_s, live.stages[0].compute_s) == (0, None)


@pytest.mark.parametrize("before", [None, msgspec.structs.replace(BEFORE, incarnation="older")])
def test_the_first_sample_of_an_agent_has_no_rates(before: Telemetry | None) -> None:
    live = device_live("a", before, NOW)
    assert (live.frames_per_s, live.sent_bytes_per_s) == (0, 0)
    assert live.memory_bytes == 90


def test_a_new_epoch_of_a_stage_begins_at_nothing() -> None:
    newer = msgspec.structs.replace(NOW, stages=(msgspec.structs.replace(STAGE, epoch=2, frames=4, compute_s=0.2),))
    assert device_live("a", BEFORE, newer).frames_per_s == 2


def test_missing_power_stays_missing() -> None:
    assert device_live("a", BEFORE, msgspec.structs.replace(NOW, power=())).power is None


def test_a_method_that_is_not_known_is_not_taken_for_a_measurement() -> None:
    odd = msgspec.structs.replace(NOW, power=(PowerSample(5.0, 40.0, "x", "y", "precise, believe me"),))
    live = device_live("a", BEFORE, odd)
    assert live.power is not None
    assert live.power.method == "estimated"


def test_times_of_stages_are_those_of_one_deployment_and_of_the_device_that_tells_them() -> None:
    others = (
        msgspec.structs.replace(STAGE, deployment="e", compute_s=90.0),
        msgspec.structs.replace(STAGE, epoch=0, compute_s=90.0),
    )
    now = msgspec.structs.replace(NOW, stages=(*NOW.stages, *others))
    live = [device_live("a", BEFORE, now), device_live("b", None, now)]
    idle = device_live("c", NOW, msgspec.structs.replace(NOW, monotonic_s=53.0))
    assert times_of_stages([*live, idle], "d", 1) == {("a", "a-0"): pytest.approx(0.05), ("b", "a-0"): 0.05}
    assert times_of_stages(live, "f", 1) == {}
