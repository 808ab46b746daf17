"""A device that says nonsense, or the same again, or too much, harms neither the studio nor another device."""

import math
import time

import msgspec
import pytest
from sqlalchemy import text

from partition_agent.protocol import HistoryChunk, LinkSample, PowerSample, StageSample
from partition_studio.errors import StudioError
from partition_studio.schemas import DeviceIn, DeviceOut, HistoryOut, LiveSnapshotOut
from partition_studio.services.telemetry import TelemetryService, _chunk, _stored
from partition_studio.telemetry.device import BURST, RATE_PER_S
from tests.studio import RunningStudio
from tests.telemetry.samples import SAMPLE, sample


def test_nonsense_is_dropped_and_the_studio_goes_on(studio: RunningStudio) -> None:
    telemetry = studio.services.telemetry
    for name in ("a", "b"):
        studio.client.post("/api/devices", DeviceOut, DeviceIn(name=name, address="local:"))
        telemetry.take(name, sample(100, frames=5, watts=3.0))
    stage = StageSample("d", 2**80, "\x1b[2J" * 9000, -5, 2**70, math.nan, math.inf, -1)
    power = PowerSample(math.inf, -math.inf, "\u202e" * 900, "everything", "by heart", math.nan, 9e99)
    for wrong in (
        {"monotonic_s": math.nan},
        {"unix_s": math.inf},
        {"sequence": -7},
        {"sequence": 2**80},
        {"sequence": 3},
        {"monotonic_s": 1.0},
        {"incarnation": "x" * 5000},
        {"ring": "y" * 5000},
        {"stages": (stage,) * 5000, "power": (power,) * 5000},
        {"monotonic_s": 100.0 + 2e-14, "stages": (stage,), "cpu_s": 1e12},
        {"monotonic_s": 103.0, "stages": (stage,), "power": (power,), "cpu_utilisation": math.nan, "cpu_s": -1.0},
    ):
        telemetry.take("a", msgspec.structs.replace(sample(102, frames=6, watts=3.0), **wrong))
    telemetry.take("b", sample(101, frames=15, watts=3.0))
    live = {shown.device: shown for shown in studio.client.get("/api/live", LiveSnapshotOut).devices}
    assert live["b"].frames_per_s == 10
    assert live["a"].power is None or live["a"].power.power_w is None
    for name in live:
        studio.client.get(f"/api/devices/{name}/history", HistoryOut, seconds=600)


def test_the_same_again_and_too_much_is_not_kept(studio: RunningStudio) -> None:
    studio.client.post("/api/devices", DeviceOut, DeviceIn(name="a", address="local:"))
    telemetry = studio.services.telemetry
    begin_s = time.monotonic()
    for second in range(2000):
        telemetry.take("a", sample(second))
        telemetry.take("a", sample(second))
    spent_s = time.monotonic() - begin_s
    assert telemetry._writer.flush(30)
    kept = telemetry._store.between("a", 0, 1e12)
    assert len({row.sequence for row in kept}) == len(kept)
    assert len(kept) <= BURST + RATE_PER_S * spent_s + 1


def test_of_a_history_only_what_was_asked_for_is_taken() -> None:
    mine = [msgspec.structs.replace(SAMPLE, sequence=n) for n in range(1, 9)]
    odd = [mine[3], mine[2], mine[4], msgspec.structs.replace(mine[6], ring="other"), mine[4], mine[7]]
    taken = TelemetryService._in_order(HistoryChunk("ring", 1, 8, tuple(odd)), 2)
    assert [found.sequence for found in taken] == [4, 5, 8]
    for wrong in (
        HistoryChunk("other", 1, 8, ()),
        HistoryChunk("ring", 9, 8, ()),
        HistoryChunk("ring", -1, 8, ()),
        HistoryChunk("ring", 1, 2**80, ()),
        SAMPLE,
    ):
        with pytest.raises(StudioError):
            _chunk(wrong, "ring")


def test_samples_of_a_ring_are_dated_by_the_studio_though_the_devices_clock_is_an_hour_off(
    studio: RunningStudio,
) -> None:
    telemetry = studio.services.telemetry
    now_s = time.time()
    telemetry.take("a", msgspec.structs.replace(sample(500), unix_s=now_s - 3600))
    same_start = msgspec.structs.replace(sample(440), unix_s=12345.0)
    assert telemetry._time_of("a", same_start) == pytest.approx(now_s - 60, abs=5)
    earlier_start = msgspec.structs.replace(sample(99_000, incarnation="earlier"), unix_s=now_s - 3600 - 120)
    assert telemetry._time_of("a", earlier_start) == pytest.approx(now_s - 120, abs=5)
    for odd_s in (0.0, 9e11):
        odd = msgspec.structs.replace(earlier_start, unix_s=odd_s)
        assert now_s - 8 * 86400 < telemetry._time_of("a", odd) <= time.time()


def test_a_database_that_fails_does_not_reach_the_thread_that_reads_the_conversation(studio: RunningStudio) -> None:
    studio.client.post("/api/devices", DeviceOut, DeviceIn(name="a", address="local:"))
    services = studio.services
    link = LinkSample("d", 1, "a>b", 1, 100, 0, 0)
    with services._database.session() as session, session.begin():
        # A database that is broken, whoever asks.
        session.execute(text("ALTER TABLE deployments RENAME TO elsewhere"))
    try:
        services._on_event("a", msgspec.structs.replace(sample(100, watts=3.0), links=(link,)))
        services.links.seen("a", msgspec.structs.replace(sample(101, watts=3.0), links=(link,)))
    finally:
        with services._database.session() as session, session.begin():
            session.execute(text("ALTER TABLE elsewhere RENAME TO deployments"))
    (live,) = studio.client.get("/api/live", LiveSnapshotOut).devices
    assert live.power is not None


def test_frames_between_readings_of_a_meter_that_lie_hours_apart_are_all_counted(studio: RunningStudio) -> None:
    studio.client.post("/api/devices", DeviceOut, DeviceIn(name="a", address="local:"))
    telemetry, begin_s = studio.services.telemetry, time.time() - 3 * 3600
    samples = [sample(second, frames=0) for second in range(0, 3 * 3600, 60)]
    # A deployment of nine seconds, of which no tenth sample tells.
    samples += [sample(second, frames=5 * (second - 5000)) for second in range(5001, 5010)]
    rows = [_stored("a", made, begin_s + made.monotonic_s) for made in sorted(samples, key=lambda s: s.monotonic_s)]
    telemetry._store.add(rows)
    assert telemetry.frames("a", begin_s, begin_s + 3 * 3600) == 45
