"""Made-up trees of /sys and /proc, in which sensors are tried."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path


def tree(root: Path, files: Mapping[str, object]) -> Path:
    """Write small files below `root`, each with its line's end; return `root`."""
    for name, content in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"{content}\n")
    return root


def vanish(path: Path) -> None:
    """Let a file of /sys go away: also to those who hold it open."""
    os.truncate(path, 0)
    path.unlink()


class Ticking:
    """Moves counter files while a probe looks at them. Numbers keep their length: nobody reads half a one."""

    def __init__(self, *paths: Path) -> None:
        self.paths, self.stop = paths, threading.Event()
        self.thread = threading.Thread(target=self.run)

    def run(self) -> None:
        count = 10**9
        while not self.stop.wait(0.001):
            count += 1
            for path in self.paths:
                with open(path, "r+b") as file:
                    file.write(str(count).encode())

    def __enter__(self) -> Ticking:
        for path in self.paths:
            path.write_text(str(10**9))
        self.thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop.set()
        self.thread.join()


@contextmanager
def as_nobody() -> Iterator[None]:
    """Give up the rights of root for a while, where we have them: root may read everything."""
    if os.geteuid() != 0:
        yield
        return
    os.seteuid(65534)
    try:
        yield
    finally:
        os.seteuid(0)
