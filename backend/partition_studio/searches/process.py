"""The studio's hold on a process that searches: start it, hear of what it finds, stop it, end it."""

import contextlib
import queue
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from types import TracebackType
from typing import IO, Self

from partition_studio.errors import StudioError
from partition_studio.searches.__main__ import LENGTH, NO_MEMORY
from partition_studio.searches.message import Found, Task, decode_line, encode_task

#: Beside what the network itself takes.
BASE_MEMORY_BYTES = 6 * 1024**3
MEMORY_PER_WEIGHT_BYTE = 4

#: How long it may take to end by itself once it was asked to stop. Then it is killed: what it told is its best.
PROMPT_S = 0.3

#: How long it may take to tell its best when its time is up.
GRACE_S = 6.0

#: Starting, and loading the network, may take so long beside the time of the search.
START_S = 120.0

#: What was told and not heard yet; then it waits.
MOST_WAITING = 64

#: No line is longer.
MAX_LINE_BYTES = 64 * 1024**2

COMMAND = (sys.executable, "-m", "partition_studio.searches")

#: Stands for a line where there is something else to look at.
_LOOK = b""


class SearchCrashedError(StudioError):
    """The process that searched ended without a result."""

    code = "search_crashed"
    next_step = "Search with fewer devices or strategies; if that fails as well, report it with the studio's log."


class SearchProcess:
    """`with SearchProcess(task) as process:` runs it; at the end of the block it is gone, whatever happens."""

    def __init__(self, task: Task, command: Sequence[str] = COMMAND) -> None:
        self._task, self._command = task, command
        self._memory_bytes = BASE_MEMORY_BYTES + MEMORY_PER_WEIGHT_BYTE * task.weight_bytes
        self._lines: queue.Queue[bytes | None] = queue.Queue(MOST_WAITING)
        self._lock = threading.Lock()
        self._stopped_s: float | None = None
        self.was_cut = False

    def __enter__(self) -> Self:
        # In a session of its own: Ctrl+C at the studio's terminal is for the studio, which then stops this.
        self._process = subprocess.Popen(
            self._command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, start_new_session=True
        )
        self._begun_s = time.monotonic()
        assert self._process.stdin is not None and self._process.stdout is not None
        self._requests: IO[bytes] = self._process.stdin
        self._reader = threading.Thread(target=self._read, args=(self._process.stdout,), daemon=True)
        self._reader.start()
        data = encode_task(self._task)
        self._send(LENGTH.pack(self._memory_bytes) + LENGTH.pack(len(data)) + data)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._process.kill()
        # Whoever reads may wait for room; what is left is of no use.
        while self._reader.is_alive():
            self._drain()
            self._reader.join(0.05)
        self._process.wait()
        # What it was sent last, it may never have read.
        with self._lock, contextlib.suppress(BrokenPipeError):
            self._requests.close()
        assert self._process.stdout is not None
        self._process.stdout.close()

    def stop(self) -> None:
        """Ask it to stop and to tell its best; what it is amid of may take longer than anybody waits."""
        if self._stopped_s is None:
            self._stopped_s = time.monotonic()
            self._send(b"s")
            # Where there is no room for it, nobody waits for a line either.
            with contextlib.suppress(queue.Full):
                self._lines.put_nowait(_LOOK)

    def findings(self, tick_s: float) -> Iterator[Found | None]:
        """Yield what it finds until it ends, or does not although it was stopped; None every `tick_s` without anything.

        Afterwards `was_cut` tells whether it was still computing. Raises SearchCrashedError.
        """
        while True:
            left_s = self._deadline_s() - time.monotonic()
            try:
                line = self._lines.get(timeout=max(min(tick_s, left_s), 0.001))
            except queue.Empty:
                if time.monotonic() >= self._deadline_s():
                    if self._stopped_s is None:
                        raise SearchCrashedError("The process that searched went on after its time was up") from None
                    self.was_cut = True
                    return
                line = _LOOK
            if line == _LOOK:
                yield None
                continue
            if line is None:
                break
            yield decode_line(line)
        status = self._process.wait(GRACE_S)
        if status != 0:
            how = "took too much memory" if status == NO_MEMORY else f"ended by itself (status {status})"
            raise SearchCrashedError(f"The process that searched {how}")

    def _deadline_s(self) -> float:
        if self._stopped_s is not None:
            return self._stopped_s + PROMPT_S
        return self._begun_s + START_S + self._task.seconds + GRACE_S

    def _send(self, data: bytes) -> None:
        with self._lock:
            try:
                self._requests.write(data)
                self._requests.flush()
            except (BrokenPipeError, ValueError):
                # It has ended: its status says why.
                return

    def _read(self, told: IO[bytes]) -> None:
        while line := told.readline(MAX_LINE_BYTES):
            self._lines.put(line)
        self._lines.put(None)

    def _drain(self) -> None:
        while True:
            try:
                self._lines.get_nowait()
            except queue.Empty:
                return
