"""The samples that devices took: filed once each, found by time, thinned and deleted with age."""

import logging
import queue
import threading
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, Integer, and_, delete, func, literal, not_, select
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.exc import DataError, DBAPIError, SQLAlchemyError, StatementError
from sqlalchemy.orm import Session, aliased

from partition_studio.store.database import Database
from partition_studio.store.tables import MeterReadingRow, TelemetryRow

logger = logging.getLogger(__name__)

#: Samples that may wait to be written: some seconds of a hundred devices. Of more, the newest are dropped and counted.
MAX_WAITING = 2000

#: Written together at most, and at least so often.
BATCH_ROWS = 500
BATCH_EVERY_S = 1.0

#: Rows deleted by one statement, so that nobody waits long for the database.
DELETE_ROWS = 5000


@dataclass(frozen=True, slots=True)
class StoredSample:
    """A row of the table."""

    device: str
    ring: str
    sequence: int
    at_s: float
    incarnation: str
    figures: Mapping[str, Any]


class SampleStore:
    """The table of samples. Thread-safe; every call asks the database."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def add(self, samples: Sequence[StoredSample]) -> None:
        """File samples; one that is there already stays as it is. Raises SQLAlchemyError."""
        if not samples:
            return
        rows = [
            {
                "device": sample.device,
                "ring": sample.ring,
                "sequence": sample.sequence,
                "at_s": sample.at_s,
                "incarnation": sample.incarnation,
                "figures": dict(sample.figures),
            }
            for sample in samples
        ]
        dialect = postgresql if self._database.engine.dialect.name == "postgresql" else sqlite
        with self._database.session() as session, session.begin():
            session.execute(dialect.insert(TelemetryRow).on_conflict_do_nothing(), rows)

    def between(self, device: str, begin_s: float, end_s: float, *, every: int = 1) -> list[StoredSample]:
        """Return a device's samples of `[begin_s, end_s)` in the order of time; of `every` so many, one."""
        row = TelemetryRow
        query = (
            select(row.device, row.ring, row.sequence, row.at_s, row.incarnation, row.figures)
            .where(row.device == device, row.at_s >= begin_s, row.at_s < end_s)
            .order_by(row.at_s)
        )
        if every > 1:
            query = query.where(_is_one_of(every))
        with self._database.session() as session:
            return [StoredSample(*found) for found in session.execute(query)]

    def each(self, device: str, begin_s: float, end_s: float) -> Iterator[StoredSample]:
        """Yield a device's samples of `[begin_s, end_s)` in the order of time: all of them, few at the same time."""
        row = TelemetryRow
        query = (
            select(row.device, row.ring, row.sequence, row.at_s, row.incarnation, row.figures)
            .where(row.device == device, row.at_s >= begin_s, row.at_s < end_s)
            .order_by(row.at_s)
            .execution_options(yield_per=BATCH_ROWS)
        )
        with self._database.session() as session:
            for found in session.execute(query):
                yield StoredSample(*found)

    def first_missing(self, device: str, ring: str, oldest: int) -> int:
        """Return the first sequence number from `oldest` on that is not here, and was not left out by the device."""
        while True:
            found = self._first_gap(device, ring, oldest)
            behind = self._behind_skip(device, ring, found)
            if behind is None:
                return found
            oldest = behind

    def _behind_skip(self, device: str, ring: str, sequence: int) -> int | None:
        """Return the sample before which the device left out this number; None where it did not."""
        row = TelemetryRow
        skipped = row.figures["skipped"].as_integer()
        query = select(func.max(row.sequence)).where(
            row.device == device, row.ring == ring, row.sequence > sequence, row.sequence - skipped <= sequence
        )
        with self._database.session() as session:
            return session.scalar(query)

    def _first_gap(self, device: str, ring: str, oldest: int) -> int:
        row, following = TelemetryRow, aliased(TelemetryRow)
        with self._database.session() as session:
            if session.get(row, (device, ring, oldest)) is None:
                return oldest
            query = (
                select(func.min(row.sequence))
                .outerjoin(
                    following,
                    and_(
                        following.device == device,
                        following.ring == ring,
                        following.sequence == row.sequence + 1,
                    ),
                )
                .where(row.device == device, row.ring == ring, row.sequence >= oldest, following.sequence.is_(None))
            )
            last = session.scalar(query)
        return oldest if last is None else int(last) + 1

    def missing(self, device: str, begin_s: float, lost_before: Mapping[str, int]) -> int:
        """Count samples that were taken since `begin_s`, between others that are here, and are not here.

        `lost_before` tells for a ring from which sequence number on the device still has them. Numbers that the device
        left out (`skipped`) are no samples.
        """
        row = TelemetryRow
        mine = (row.device == device, row.at_s >= begin_s)
        spans = select(row.ring, func.min(row.sequence), func.max(row.sequence)).where(*mine).group_by(row.ring)
        total = 0
        with self._database.session() as session:
            for ring, first, last in session.execute(spans).all():
                end = max(min(last + 1, lost_before.get(ring, last + 1)), first)
                here = select(func.count()).where(*mine, row.ring == ring, row.sequence < end)
                gaps = end - first - (session.scalar(here) or 0)
                total += gaps and gaps - self._left_out(session, device, ring, first, end)
        return total

    @staticmethod
    def _left_out(session: Session, device: str, ring: str, first: int, end: int) -> int:
        """Count the numbers of `[first, end)` that the device left out, and nobody heard of."""
        row = TelemetryRow
        mine = (row.device == device, row.ring == ring)
        skipped = row.figures["skipped"].as_integer()
        query = select(row.sequence, skipped).where(*mine, row.sequence > first, skipped > 0).order_by(row.sequence)
        total, counted = 0, first
        for sequence, count in session.execute(query).all():
            begin, stop = max(sequence - count, counted), min(sequence, end)
            if begin < stop:
                here = select(func.count()).where(*mine, row.sequence >= begin, row.sequence < stop)
                total += stop - begin - (session.scalar(here) or 0)
                counted = stop
        return total

    def thin(self, before_s: float, *, keep_every: int) -> None:
        """Keep every so manieth of the samples older than `before_s`."""
        self._delete(and_(TelemetryRow.at_s < before_s, not_(_is_one_of(keep_every))))

    def delete_before(self, before_s: float) -> None:
        """Delete the samples older than that."""
        self._delete(TelemetryRow.at_s < before_s)

    def keep_devices(self, names: Sequence[str]) -> None:
        """Delete the samples, and the meter readings, of all other devices."""
        self._delete(TelemetryRow.device.not_in(names))
        with self._database.session() as session, session.begin():
            session.execute(delete(MeterReadingRow).where(MeterReadingRow.device.not_in(names)))

    def forget(self, device: str) -> None:
        """Delete the samples of a device."""
        self._delete(TelemetryRow.device == device)

    def _delete(self, condition: ColumnElement[bool]) -> None:
        row = TelemetryRow
        while True:
            with self._database.session() as session, session.begin():
                found = session.execute(
                    select(row.device, row.ring, row.sequence).where(condition).limit(DELETE_ROWS)
                ).all()
                by_ring: dict[tuple[str, str], list[int]] = {}
                for device, ring, sequence in found:
                    by_ring.setdefault((device, ring), []).append(sequence)
                for (device, ring), sequences in by_ring.items():
                    session.execute(
                        delete(row).where(
                            row.device == device,
                            row.ring == ring,
                            row.sequence.between(min(sequences), max(sequences)),
                            condition,
                        )
                    )
            if len(found) < DELETE_ROWS:
                return


def _is_one_of(every: int) -> ColumnElement[bool]:
    remainder: ColumnElement[int] = TelemetryRow.sequence % literal(every, Integer)
    return remainder == 0


def _is_of_a_sample(error: Exception) -> bool:
    """Whether it is what was to be written that is at fault, and not the database."""
    if isinstance(error, DBAPIError):
        return isinstance(error, DataError)
    return isinstance(error, StatementError) or not isinstance(error, SQLAlchemyError)


class SampleWriter:
    """Writes samples in batches in a thread of its own, so that a slow disk holds up nobody."""

    def __init__(self, store: SampleStore) -> None:
        self._store = store
        self._queue: queue.Queue[StoredSample | None] = queue.Queue(MAX_WAITING)
        #: Samples that found no room, or that the database refused.
        self.dropped = 0
        self._is_full = False
        self._written = threading.Condition()
        self._pending = 0
        self._closing = threading.Event()
        self._thread = threading.Thread(target=self._run, name="samples", daemon=True)
        self._thread.start()

    def put(self, sample: StoredSample) -> None:
        """Take a sample; never waits: where there is no room it is dropped and counted."""
        with self._written:
            self._pending += 1
        try:
            self._queue.put_nowait(sample)
            self._is_full = False
        except queue.Full:
            self._done(1)
            self._drop(1)

    def flush(self, timeout_s: float) -> bool:
        """Wait until what was put is written; return whether it is."""
        with self._written:
            return self._written.wait_for(lambda: self._pending == 0, timeout_s)

    def close(self) -> None:
        """Write what waits, and end."""
        self._closing.set()
        self._queue.put(None)
        self._thread.join()

    def _drop(self, count: int) -> None:
        self.dropped += count
        if not self._is_full:
            self._is_full = True
            logger.warning("samples_dropped", extra={"dropped": self.dropped})

    def _done(self, count: int) -> None:
        with self._written:
            self._pending -= count
            self._written.notify_all()

    def _run(self) -> None:
        while True:
            batch, ends = self._batch()
            self._write(batch)
            self._done(len(batch))
            if ends:
                return

    def _write(self, batch: Sequence[StoredSample]) -> None:
        try:
            self._store.add(batch)
        except Exception as error:  # the boundary of a task: whatever one sample is, the others are to be written
            if _is_of_a_sample(error) and len(batch) > 1:
                for sample in batch:
                    self._write([sample])
                return
            # They are in the device's ring still, and asked for again when its conversation opens anew.
            logger.warning("samples_not_written", extra={"reason": str(error)[:500]})
            self._drop(len(batch))

    def _batch(self) -> tuple[list[StoredSample], bool]:
        """Return what has come during `BATCH_EVERY_S` after the first sample."""
        first = self._queue.get()
        if first is None:
            return [], True
        batch = [first]
        self._closing.wait(BATCH_EVERY_S)
        while len(batch) < BATCH_ROWS:
            try:
                sample = self._queue.get_nowait()
            except queue.Empty:
                break
            if sample is None:
                return batch, True
            batch.append(sample)
        return batch, False
