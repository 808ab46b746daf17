"""The agent's samples on the device's disk: bounded, and there again after a crash.

Written at once, made durable every few seconds: after a loss of power the last seconds may be missing, after a crash of
the agent nothing is. The files are those of `ring_disk`.
"""

import logging
import os
import secrets
import threading
from collections import deque
from pathlib import Path
from typing import Deque, Iterator, List, Optional, Tuple

import msgspec

from partition_agent.protocol import Telemetry
from partition_agent.ring.disk import MAX_RECORD_BYTES, Record, RingDisk, RingState, disown, ring_of, write_state

logger = logging.getLogger(__name__)

MAX_BYTES = 16 * 1024 * 1024
#: A day of samples, one a second. Counted, for the clock of a board without a battery jumps by years.
MAX_SAMPLES = 24 * 3600
SYNC_S = 5.0
#: Without a disk: about ten minutes.
MAX_IN_MEMORY = 600
#: How often a disk that refused is tried again.
RETRY_S = 60.0

_MAX_REPLY_BYTES = 4 * 1024 * 1024


class Ring:
    """Samples that the studio may not have seen. Thread-safe. Where the disk refuses, it goes on in memory."""

    def __init__(
        self,
        folder: Optional[Path],
        boot_id: str = "",
        max_bytes: int = MAX_BYTES,
        max_samples: int = MAX_SAMPLES,
        retry_s: float = RETRY_S,
    ) -> None:
        """Open the ring of that folder, or begin one; without a folder it is in memory alone."""
        self._lock = threading.Lock()
        self._memory: Deque[Record] = deque(maxlen=MAX_IN_MEMORY)
        self._decoder = msgspec.msgpack.Decoder(Telemetry)
        self._retry_s = retry_s
        self._retry_at_s = float("inf")
        self._folder = folder
        self._state: Optional[RingState] = None
        self._disk: Optional[RingDisk] = None
        self._refused = False
        self._newest = 0
        #: Numbers right before the next one that were left out: nobody knows whether a sample had them.
        self.skipped = 0
        self.name = secrets.token_hex(8)
        self._stop = threading.Event()
        self._syncing: Optional[threading.Thread] = None
        if folder is not None:
            try:
                disk = RingDisk(folder, max_bytes, max_samples)
                disk.open()
                self._state = RingState(ring_of(folder, self.name, boot_id, disk), boot_id)
                write_state(folder, self._state)
                self.name, self._newest, self._disk = self._state.ring, disk.newest, disk
                self.skipped = disk.newest - disk.last_whole
            except OSError as error:
                self._tell(error)

    @property
    def next_sequence(self) -> int:
        """The number that the next sample gets."""
        return self._newest + 1

    def start(self) -> None:
        """Make samples durable every few seconds, in a thread of its own: a slow disk holds up nobody."""
        self._syncing = threading.Thread(target=self._sync, name="ring", daemon=True)
        self._syncing.start()

    def append(self, sample: Telemetry, now_s: float) -> Telemetry:
        """Keep a sample; return it as it is kept, which is with another ring's name where this one had to end."""
        record = Record(sample.sequence, msgspec.msgpack.encode(sample))
        with self._lock:
            self._newest, self.skipped = record.sequence, 0
            if len(record.data) > MAX_RECORD_BYTES:
                return sample
            if self._disk is None or (self._refused and now_s < self._retry_at_s):
                self._memory.append(record)
                return sample
            try:
                while self._memory:
                    self._disk.append(self._memory[0])
                    self._memory.popleft()
                self._disk.append(record)
                if self._refused and self._folder is not None and self._state is not None:
                    write_state(self._folder, self._state)
                    self._refused = False
                    logger.info("ring_on_disk_again")
            except OSError as error:
                if self._disk.newest < record.sequence:
                    self._memory.append(record)
                if not self._refuse(error, now_s + self._retry_s):
                    return self._begin_in_memory(sample)
        return sample

    def after(self, ring: str, sequence: int, limit: int) -> Tuple[int, int, Tuple[Telemetry, ...]]:
        """Return the oldest and the newest sequence (0: none) and the samples after one, oldest first.

        What that ring's reader acknowledges so may be thrown away. Of another ring everything is returned.
        """
        mine = ring == self.name
        after = max(sequence, 0) if mine else 0
        with self._lock:
            if mine and after <= self._newest:
                self._forget(after)
            samples: List[Telemetry] = []
            size_bytes = 0
            for record in self._read(after):
                sample = self._decoded(record)
                size_bytes += len(record.data)
                if sample is not None:
                    samples.append(sample)
                if len(samples) >= max(limit, 1) or size_bytes > _MAX_REPLY_BYTES:
                    break
            if self._disk is not None and self._disk.lost_newest and self._folder is not None:
                # The next sample is written anew, and the name with it.
                self._refused, self._retry_at_s = True, float("-inf")
                _try_to_disown(self._folder)
            oldest = self._oldest()
            return oldest, self._newest if oldest else 0, tuple(samples)

    @property
    def corrupt_segments(self) -> int:
        """How many segments were found damaged since the start."""
        return 0 if self._disk is None else self._disk.corrupt

    def close(self) -> None:
        """Make everything durable."""
        self._stop.set()
        if self._syncing is not None:
            self._syncing.join()
        with self._lock:
            try:
                if self._disk is not None:
                    self._disk.close()
            except OSError as error:
                logger.warning("ring_not_durable", extra={"reason": str(error)})

    # --- with the lock -----------------------------------------------------------------------------------------------

    def _read(self, after: int) -> Iterator[Record]:
        if self._disk is not None:
            try:
                yield from self._disk.read(after)
            except OSError as error:
                # What follows is not told either: who has it would acknowledge what could not be read.
                logger.warning("ring_not_read", extra={"reason": str(error)})
                return
        yield from (record for record in self._memory if record.sequence > after)

    def _forget(self, upto: int) -> None:
        while self._memory and self._memory[0].sequence <= upto:
            self._memory.popleft()
        try:
            if self._disk is not None:
                self._disk.forget(upto)
        except OSError as error:
            logger.warning("ring_not_shortened", extra={"reason": str(error)})

    def _oldest(self) -> int:
        if self._disk is not None and self._disk.segments:
            return self._disk.segments[0].first
        return self._memory[0].sequence if self._memory else 0

    def _decoded(self, record: Record) -> Optional[Telemetry]:
        try:
            return self._decoder.decode(record.data)
        except msgspec.DecodeError as error:
            # Written by an agent whose samples were others.
            logger.debug("ring_sample_unreadable", extra={"sequence": record.sequence, "reason": str(error)})
            return None

    def _refuse(self, error: OSError, retry_at_s: float) -> bool:
        """Go on in memory for a while; return False where a start of the agent in the meantime would not see that.

        Else the next start begins a new ring: it could not know which numbers were given while the disk refused.
        """
        self._retry_at_s = retry_at_s
        self._tell(error)
        return self._folder is None or _try_to_disown(self._folder)

    def _begin_in_memory(self, sample: Telemetry) -> Telemetry:
        """Go on in memory for good, as another ring: no number is given twice in the one that stays on the disk."""
        if self._disk is not None:
            self._disk.abandon()
        self._disk, self.name = None, secrets.token_hex(8)
        renamed = msgspec.structs.replace(sample, ring=self.name)
        self._memory.clear()
        self._memory.append(Record(sample.sequence, msgspec.msgpack.encode(renamed)))
        return renamed

    def _tell(self, error: OSError) -> None:
        if not self._refused:
            self._refused = True
            logger.warning("ring_in_memory", extra={"reason": str(error), "samples": MAX_IN_MEMORY})

    # --- a thread of its own -----------------------------------------------------------------------------------------

    def _sync(self) -> None:
        while not self._stop.wait(SYNC_S):
            with self._lock:
                descriptor = None if self._disk is None else self._disk.sync_descriptor()
            if descriptor is None:
                continue
            try:
                os.fsync(descriptor)
            except OSError as error:
                logger.warning("ring_not_durable", extra={"reason": str(error)})
            finally:
                os.close(descriptor)


def _try_to_disown(folder: Path) -> bool:
    try:
        disown(folder)
    except OSError as error:
        logger.warning("ring_not_disowned", extra={"reason": str(error)})
        return False
    return True
