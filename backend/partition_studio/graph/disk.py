"""Files whose bytes are read when they are needed: as they were when the network was loaded, or not at all."""

import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from partition_studio.graph.errors import NetworkChangedError

#: No more than this is read from a file at once.
CHUNK_BYTES = 1 << 20

#: Device, inode, size in bytes, time of the last change of the content and of the entry in ns. The second of these can
#: be set by nobody; it stays as it is when a folder above is renamed.
Identity = tuple[int, int, int, int, int]


def identity_of(status: os.stat_result) -> Identity:
    """Return what tells whether a file is still the same, unchanged one."""
    return status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns


def open_plain(path: Path, *, follow: bool) -> int:
    """Open a file for reading; a named pipe in its place does not hang the studio. Raises OSError."""
    flags = os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC
    return os.open(path, flags if follow else flags | os.O_NOFOLLOW)


@dataclass(frozen=True, slots=True)
class DiskFile:
    """A file as it was when the network was loaded. `path` is absolute."""

    path: Path
    identity: Identity

    @property
    def size_bytes(self) -> int:
        """Bytes of the whole file."""
        return self.identity[2]

    @contextmanager
    def open(self) -> Iterator[int]:
        """Give a descriptor of the file. Raises NetworkChangedError where it is not the same, before or afterwards."""
        try:
            descriptor = open_plain(self.path, follow=True)
        except OSError as error:
            raise NetworkChangedError(
                f"{self.path.name} could be read when the network was loaded, and now cannot: {error.strerror}.",
                file=self.path.name,
            ) from error
        try:
            self.check(descriptor)
            yield descriptor
            self.check(descriptor)
        finally:
            os.close(descriptor)

    def check(self, descriptor: int) -> None:
        """Raise NetworkChangedError unless `descriptor` is this file, unchanged."""
        status = os.fstat(descriptor)
        if not stat.S_ISREG(status.st_mode) or identity_of(status) != self.identity:
            raise self.changed()

    def changed(self) -> NetworkChangedError:
        """Return the error that says so."""
        return NetworkChangedError(f"{self.path.name} was changed after the network was loaded.", file=self.path.name)

    def read(self, descriptor: int, offset: int, length: int) -> bytes:
        """Return exactly `length` bytes. Raises NetworkChangedError where the file ends before."""
        data = os.pread(descriptor, length, offset)
        while len(data) < length:
            more = os.pread(descriptor, length - len(data), offset + len(data))
            if not more:
                raise self.changed()
            data += more
        return data

    def chunks(self, offset: int = 0, length: int | None = None) -> Iterator[bytes]:
        """Yield a range of the file (all of it by default), at most `CHUNK_BYTES` at once."""
        stop = self.size_bytes if length is None else offset + length
        with self.open() as descriptor:
            for start in range(offset, stop, CHUNK_BYTES):
                yield self.read(descriptor, start, min(CHUNK_BYTES, stop - start))
