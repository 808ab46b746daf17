"""The files of the ring of samples: records in segments, and the ring's name.

Each record is its length, a CRC-32 and its sequence number, then the sample. What is behind the last whole record of
the newest segment was being written when the power went, and is cut off; an older segment is believed as far as its
records are whole.
"""

import errno
import logging
import os
import struct
import zlib
from pathlib import Path
from typing import Iterator, List, NamedTuple, Optional, Tuple

import msgspec

logger = logging.getLogger(__name__)

MAX_RECORD_BYTES = 1024 * 1024

#: After a loss of power, more sequence numbers are skipped than samples can have been told of and not made durable.
_SKIP = 16
#: No record is shorter: by it is reckoned how many numbers were in what is lost, so that none is given twice.
_LEAST_RECORD_BYTES = 64
_SEGMENTS = 16
#: What keeps a file from being read for a moment: it says nothing of the file.
_FOR_A_MOMENT = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOMEM, errno.EINTR, errno.EAGAIN})
STATE = "ring.json"
_FLAGS = os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_NOFOLLOW
_HEADER = struct.Struct("<IIQ")


class RingState(msgspec.Struct, frozen=True):
    """`ring.json`: the ring's name, and the kernel's run in which it was written last."""

    ring: str
    boot_id: str


class _Segment:
    """One file of records; `first` is the sequence of its first, `last` that of its last (or a bound of it)."""

    def __init__(self, path: Path, first: int, last: int, size_bytes: int) -> None:
        self.path, self.first, self.last, self.size_bytes = path, first, last, size_bytes


class Record(NamedTuple):
    """One sample as it was written."""

    sequence: int
    data: bytes


def _records(path: Path) -> Iterator[Tuple[int, Record]]:
    """Yield the whole records of a segment, each with the offset behind it; end before the first that is not whole."""
    offset = 0
    with open(path, "rb") as file:
        while True:
            header = file.read(_HEADER.size)
            if len(header) < _HEADER.size:
                return
            length, checksum, sequence = _HEADER.unpack(header)
            data = file.read(length) if length <= MAX_RECORD_BYTES else b""
            if len(data) < length or not length or zlib.crc32(data, sequence & 0xFFFFFFFF) != checksum:
                return
            offset += _HEADER.size + length
            yield offset, Record(sequence, data)


class RingDisk:
    """The segments of a ring. Every method may raise OSError."""

    def __init__(self, folder: Path, max_bytes: int, max_samples: int) -> None:
        self._folder, self._max_bytes, self._max_samples = folder, max_bytes, max_samples
        self._descriptor = -1
        self._dirty = False
        self.segments: List[_Segment] = []
        #: Whether the files do not show any more which number was given last.
        self.lost_newest = False
        #: Segments that were not whole when they were read.
        self.corrupt = 0
        #: No sample that was told of has a higher sequence.
        self.newest = 0
        #: The newest that was found whole; between the two are numbers of which nothing is known.
        self.last_whole = 0

    def open(self) -> None:
        """Find what is there."""
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        found = sorted(
            (int(path.stem), path) for path in self._folder.glob("*.seg") if path.stem.isdigit() and path.is_file()
        )
        self.segments = []
        for index, (first, path) in enumerate(found):
            behind = found[index + 1][0] - 1 if index + 1 < len(found) else first
            self.segments.append(_Segment(path, first, behind, path.stat().st_size))
        if self.segments:
            self._mend(self.segments[-1])

    def clear(self) -> None:
        """Delete everything."""
        for segment in self.segments:
            segment.path.unlink()
        self.segments, self.newest, self.last_whole = [], 0, 0

    def _mend(self, segment: _Segment) -> None:
        """Cut off what is not whole at the end of the newest segment."""
        whole, last = 0, segment.first - 1
        for offset, record in _records(segment.path):
            whole, last = offset, record.sequence
        cut_bytes = segment.size_bytes - whole
        self.last_whole = last
        self.newest = last + -(-cut_bytes // _LEAST_RECORD_BYTES)
        if not whole:
            segment.path.unlink()
            self.segments.pop()
        elif cut_bytes:
            os.truncate(str(segment.path), whole)
        segment.last, segment.size_bytes = last, whole

    def append(self, record: Record) -> None:
        """Write one record; a part of it does not stay."""
        data = _HEADER.pack(len(record.data), zlib.crc32(record.data, record.sequence & 0xFFFFFFFF), record.sequence)
        data += record.data
        segment = self.segments[-1] if self.segments else None
        if segment is None or segment.size_bytes + len(data) > self._max_bytes // _SEGMENTS:
            segment = self._begin(record.sequence)
        elif self._descriptor < 0:
            self._descriptor = os.open(str(segment.path), _FLAGS, 0o600)
        try:
            written = os.write(self._descriptor, data)
            if written != len(data):
                raise OSError("the disk is full")
        except OSError:
            self._take_back(segment)
            raise
        segment.size_bytes += len(data)
        segment.last = self.newest = record.sequence
        self._dirty, self.lost_newest = True, False
        self._bound()

    def _begin(self, first: int) -> _Segment:
        self.close()
        path = self._folder / f"{first:020d}.seg"
        self._descriptor = os.open(str(path), _FLAGS | os.O_TRUNC, 0o600)
        segment = _Segment(path, first, first - 1, 0)
        self.segments.append(segment)
        _sync_folder(self._folder)
        return segment

    def _take_back(self, segment: _Segment) -> None:
        try:
            os.ftruncate(self._descriptor, segment.size_bytes)
        finally:
            if not segment.size_bytes:
                self.segments.remove(segment)
                segment.path.unlink()
            self.close()

    def _bound(self) -> None:
        """Delete the oldest segments that are too much."""
        while len(self.segments) > 1 and (
            sum(segment.size_bytes for segment in self.segments) > self._max_bytes
            or self.segments[-1].last - self.segments[0].last >= self._max_samples
        ):
            self._drop_oldest()

    def _drop_oldest(self) -> None:
        path = self.segments.pop(0).path
        try:
            path.unlink()
        except OSError as error:
            logger.warning("ring_segment_not_deleted", extra={"segment": path.name, "reason": str(error)})

    def forget(self, upto: int) -> None:
        """Delete the segments that hold nothing newer; the one that is written stays."""
        while len(self.segments) > 1 and self.segments[0].last <= upto:
            self._drop_oldest()

    def read(self, after: int) -> Iterator[Record]:
        """Yield the records after that sequence, oldest first; a segment that cannot be read is given up."""
        for segment in list(self.segments):
            if segment.last <= after:
                continue
            whole, last = 0, segment.first - 1
            try:
                for offset, record in _records(segment.path):
                    whole, last = offset, record.sequence
                    if last > after:
                        yield record
            except OSError as error:
                if error.errno in _FOR_A_MOMENT:
                    raise
                logger.warning("ring_segment_unreadable", extra={"segment": segment.path.name, "reason": str(error)})
            if whole < segment.size_bytes:
                self._distrust(segment, last, whole)

    def _distrust(self, segment: _Segment, last: int, whole: int) -> None:
        """Believe of a damaged segment what came before the damage."""
        self.corrupt += 1
        lost_bytes = segment.size_bytes - whole
        logger.warning("ring_segment_corrupt", extra={"segment": segment.path.name, "lost_bytes": lost_bytes})
        if segment is self.segments[-1]:
            # It is written to no more: what follows goes into a new one.
            self.lost_newest = True
            self.abandon()
        segment.last, segment.size_bytes = last, whole
        try:
            if whole:
                os.truncate(str(segment.path), whole)
                return
            self.segments.remove(segment)
            segment.path.unlink()
        except OSError as error:
            logger.warning("ring_segment_not_mended", extra={"segment": segment.path.name, "reason": str(error)})
            if segment in self.segments:
                self.segments.remove(segment)

    def abandon(self) -> None:
        """Close the segment that is written, whatever becomes of it. Raises nothing."""
        try:
            self.close()
        except OSError as error:
            logger.warning("ring_not_durable", extra={"reason": str(error)})

    def sync_descriptor(self) -> Optional[int]:
        """Return a copy of the file's descriptor when there is something to make durable."""
        if not self._dirty or self._descriptor < 0:
            return None
        self._dirty = False
        return os.dup(self._descriptor)

    def close(self) -> None:
        """Close the segment that is written, and make it durable."""
        descriptor, self._descriptor = self._descriptor, -1
        if descriptor >= 0:
            try:
                if self._dirty:
                    os.fsync(descriptor)
            finally:
                self._dirty = False
                os.close(descriptor)


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(str(folder), os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def ring_of(folder: Path, name: str, boot_id: str, disk: RingDisk) -> str:
    """Return the ring's name and let `disk` go on behind all numbers that may have been told. Raises OSError.

    Segments of which nobody knows the ring, or a ring without any, are no start: everything begins anew.
    """
    try:
        state = msgspec.json.decode((folder / STATE).read_bytes(), type=RingState)
    except (FileNotFoundError, msgspec.DecodeError):
        state = None
    if state is None or not disk.newest:
        disk.clear()
        return name
    if state.boot_id != boot_id:
        disk.newest += _SKIP
    return state.ring


def disown(folder: Path) -> None:
    """Delete the ring's name, durably: the next start begins another ring. Raises OSError."""
    try:
        (folder / STATE).unlink()
    except FileNotFoundError:
        return
    _sync_folder(folder)


def write_state(folder: Path, state: RingState) -> None:
    """Write the ring's name, durably and as a whole. Raises OSError."""
    temporary = folder / (STATE + ".new")
    descriptor = os.open(str(temporary), os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with open(descriptor, "wb") as file:
        file.write(msgspec.json.encode(state))
        file.flush()
        os.fsync(file.fileno())
    os.replace(str(temporary), str(folder / STATE))
    _sync_folder(folder)
