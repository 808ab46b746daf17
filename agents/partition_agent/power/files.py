"""Files of /sys that hold one number."""

import os
import time
from pathlib import Path
from typing import List, Optional, Sequence

#: How long a counter is watched before it is believed not to move. It moves every millisecond where it works.
PROBE_S = 0.2


class NumberFile:
    """A file with one whole number, kept open: reading it again costs one system call."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._descriptor = -1

    def read(self) -> Optional[int]:
        """Return the number, or None when there is none now."""
        try:
            if self._descriptor < 0:
                self._descriptor = os.open(str(self.path), os.O_RDONLY | os.O_CLOEXEC)
            return int(os.pread(self._descriptor, 64, 0))
        except (OSError, ValueError):
            # The device may have gone and come back under the same name: open it anew next time.
            self.close()
            return None

    def close(self) -> None:
        """Close it; the next read opens it again."""
        descriptor, self._descriptor = self._descriptor, -1
        if descriptor >= 0:
            os.close(descriptor)


def moving(files: Sequence[NumberFile], probe_s: float = PROBE_S) -> List[NumberFile]:
    """Return those counters that move within `probe_s`; it takes as long only where one does not."""
    before = [file.read() for file in files]
    moved = [False] * len(files)
    deadline_s = time.monotonic() + probe_s
    while not all(moved) and time.monotonic() < deadline_s:
        time.sleep(probe_s / 20)
        for index, file in enumerate(files):
            value = file.read()
            moved[index] = moved[index] or (value is not None and before[index] is not None and value != before[index])
    return [file for index, file in enumerate(files) if moved[index]]


def may_not_read(path: Path) -> bool:
    """Return whether the file is there and this user may not read it."""
    try:
        with open(str(path), "rb"):
            return False
    except PermissionError:
        return True
    except OSError:
        return False
