"""Samples on disk: each once, gaps found and counted, old ones thinned, a full queue waits for nobody."""

import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from sqlalchemy import text

from partition_studio.store.database import Database, open_in
from partition_studio.store.samples import BATCH_ROWS, MAX_WAITING, SampleStore, SampleWriter, StoredSample


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    opened = open_in(tmp_path)
    try:
        yield opened
    finally:
        opened.close()


@pytest.fixture
def store(database: Database) -> SampleStore:
    return SampleStore(database)


def stored(sequence: int, *, device: str = "a", ring: str = "r", at_s: float | None = None) -> StoredSample:
    return StoredSample(device, ring, sequence, sequence if at_s is None else at_s, "i", {"cpu": 0.5})


def sequences(store: SampleStore, device: str = "a") -> list[int]:
    return [sample.sequence for sample in store.between(device, 0, 1e9)]


def test_a_sample_is_kept_once(store: SampleStore) -> None:
    store.add([stored(n) for n in (1, 2, 3)])
    store.add([stored(n, at_s=99) for n in (2, 3, 4)])
    store.add([])
    assert [(s.sequence, s.at_s) for s in store.between("a", 0, 1e9)] == [(1, 1), (2, 2), (3, 3), (4, 99)]


def test_the_first_missing_sample_is_found(store: SampleStore) -> None:
    store.add([stored(n) for n in (1, 2, 3, 6, 7, 10)])
    store.add([stored(n, ring="other") for n in range(1, 30)])
    found = [store.first_missing("a", "r", first) for first in (1, 3, 4, 6, 8, 10, 20)]
    assert found == [4, 4, 4, 8, 8, 11, 20]
    assert store.first_missing("b", "r", 1) == 1


def test_what_is_missing_is_counted_but_for_what_the_device_still_has(store: SampleStore) -> None:
    store.add([stored(n) for n in (1, 2, 5, 6, 10)])
    store.add([stored(n, ring="next") for n in (1, 2, 4)])
    assert store.missing("a", 0, {}) == 2 + 3 + 1
    assert store.missing("a", 0, {"r": 7}) == 2 + 1
    assert store.missing("a", 0, {"r": 9}) == 2 + 2 + 1
    assert store.missing("a", 0, {"r": 0}) == 1
    assert store.missing("a", 5, {}) == 3
    assert store.missing("b", 0, {}) == 0


def test_numbers_that_the_device_left_out_are_no_samples(store: SampleStore) -> None:
    def after_skip(sequence: int, skipped: int) -> StoredSample:
        return StoredSample("a", "r", sequence, sequence, "i", {"cpu": 0.5, "skipped": skipped})

    store.add([stored(n) for n in (1, 2, 3, 5)])
    # Six numbers left out, of which the first had been told of; then the power went again.
    store.add([after_skip(11, 7), after_skip(16, 8), stored(18)])
    assert store.missing("a", 0, {}) == 1, "17; what lies before 16 was left out or is here"
    assert store.missing("a", 0, {"r": 14}) == 0
    assert store.missing("a", 11, {}) == 1
    assert store.missing("a", 16, {}) == 1
    # They are not asked for again and again.
    assert [store.first_missing("a", "r", oldest) for oldest in (1, 5, 18)] == [17, 17, 19]


def test_of_many_samples_some_are_enough(store: SampleStore) -> None:
    store.add([stored(n) for n in range(25)])
    assert [sample.sequence for sample in store.between("a", 0, 1e9, every=10)] == [0, 10, 20]


def test_old_samples_are_thinned_then_deleted_and_those_of_removed_devices_too(store: SampleStore) -> None:
    store.add([stored(n) for n in range(200)])
    store.add([stored(n, device="gone") for n in range(3)])
    store.thin(150, keep_every=60)
    assert sequences(store) == [0, 60, 120, *range(150, 200)]
    store.delete_before(100)
    assert sequences(store) == [120, *range(150, 200)]
    store.keep_devices(["a"])
    assert sequences(store, "gone") == []
    assert len(sequences(store)) == 51


def test_a_database_that_hangs_holds_up_nobody_and_what_has_no_room_is_counted(database: Database) -> None:
    store = SampleStore(database)
    writer = SampleWriter(store)
    holds, may_go = threading.Event(), threading.Event()

    def hold() -> None:
        with database.engine.connect() as connection:
            connection.execute(text("BEGIN IMMEDIATE"))
            holds.set()
            may_go.wait(30)
            connection.execute(text("ROLLBACK"))

    holder = threading.Thread(target=hold)
    holder.start()
    try:
        assert holds.wait(10)
        for n in range(MAX_WAITING + 700):
            writer.put(stored(n))
        assert 0 < writer.dropped <= 700
    finally:
        may_go.set()
        holder.join()
    assert writer.flush(20)
    writer.close()
    assert len(sequences(store)) == MAX_WAITING + 700 - writer.dropped


def test_what_waits_at_the_end_is_written(database: Database) -> None:
    store = SampleStore(database)
    writer = SampleWriter(store)
    for n in range(10):
        writer.put(stored(n))
    writer.close()
    assert sequences(store) == list(range(10))


@pytest.mark.parametrize("wrong", [{"sequence": 2**63}, {"ring": "\ud800"}, {"figures": {"cpu": object()}}])
def test_a_sample_that_no_database_takes_is_counted_and_all_others_are_written(
    database: Database, wrong: dict[str, object], caplog: pytest.LogCaptureFixture
) -> None:
    store = SampleStore(database)
    writer = SampleWriter(store)
    for made in (stored(1), replace(stored(2), **wrong), stored(3)):  # type: ignore[arg-type] # whatever it may be
        writer.put(made)
    assert writer.flush(20)
    assert writer.dropped == 1
    assert "samples_not_written" in caplog.text
    writer.put(stored(4))
    assert writer.flush(20)
    writer.close()
    assert sequences(store) == [1, 3, 4]


def test_all_samples_of_a_long_time_are_gone_through(store: SampleStore) -> None:
    store.add([stored(n) for n in range(3 * BATCH_ROWS)])
    store.add([stored(n, device="b") for n in range(3)])
    assert [sample.sequence for sample in store.each("a", 1, 3 * BATCH_ROWS - 1)] == list(range(1, 3 * BATCH_ROWS - 1))
