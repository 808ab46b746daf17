"""`python -m partition_studio.searches`: one search, told of on standard input, whose findings go to standard output.

The studio starts it for every search. A byte on standard input asks it to stop and to tell its best; when standard
input ends, the studio has, and so does this.
"""

import os
import resource
import struct
import sys
import threading
import time
from pathlib import Path
from typing import BinaryIO

from partition_studio.searches.stopping import Stopping

#: The studio and whoever uses the machine go first.
NICE = 10

#: How long this may go on after the studio has ended.
GRACE_S = 10.0

LENGTH = struct.Struct("!Q")

_STDIN = 0

#: Status when there was not enough memory.
NO_MEMORY = 2


class Teller:
    """Writes lines, whichever thread has something to say."""

    def __init__(self, out: BinaryIO) -> None:
        self._out = out
        self._lock = threading.Lock()

    def tell(self, line: bytes) -> None:
        """Write one line at once."""
        with self._lock:
            self._out.write(line)
            self._out.flush()


def main() -> None:
    """Read the task, search, tell."""
    os.nice(NICE)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    # Whatever a library prints must not get among the lines.
    out = os.fdopen(os.dup(sys.stdout.fileno()), "wb")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
    memory_bytes, size = (LENGTH.unpack(_read(LENGTH.size))[0] for _ in range(2))
    resource.setrlimit(resource.RLIMIT_AS, (memory_bytes, memory_bytes))
    task = _read(size)
    stopping = Stopping()
    threading.Thread(target=_listen, args=(stopping,), daemon=True).start()
    try:
        _search(task, Teller(out), stopping)
    except MemoryError:
        sys.exit(NO_MEMORY)
    except BrokenPipeError:
        # The studio has ended.
        sys.exit(1)
    # All is told; tidying up would only keep the person waiting.
    os._exit(0)


def _read(size: int) -> bytes:
    """Return so many bytes of standard input, without a buffer: its lock would not outlive the listening thread."""
    data = b""
    while len(data) < size:
        part = os.read(_STDIN, size - len(data))
        if not part:
            # The studio ended before it had told the task.
            sys.exit(1)
        data += part
    return data


def _listen(stopping: Stopping) -> None:
    asked = os.read(_STDIN, 1)
    stopping.stop()
    if not asked:
        time.sleep(GRACE_S)
        os._exit(1)


def _search(data: bytes, teller: Teller, stop: Stopping) -> None:
    begun_s = time.monotonic()
    # Imported under the limits.
    from partition_studio.errors import StudioError
    from partition_studio.graph.load import load_network
    from partition_studio.planner.search.baselines import baselines
    from partition_studio.planner.search.front.pareto import pareto
    from partition_studio.planner.search.search import search
    from partition_studio.searches.message import (
        Failure,
        answer_line,
        baselines_line,
        decode_task,
        failure_line,
        front_line,
    )

    task = decode_task(data)
    try:
        question = task.question(load_network(Path(task.path), form=task.form))
        teller.tell(baselines_line(baselines(question)))
        # Getting ready counts, but leaves some time in any case.
        seconds = max(task.seconds - (time.monotonic() - begun_s), task.seconds / 2)
        stop.stop_in(seconds)
        if task.kind == "best":
            best = search(
                question,
                stop=stop,
                seconds=seconds,
                on_answer=lambda answer: teller.tell(answer_line("answer", answer)),
            )
            teller.tell(answer_line("answer", best))
        else:
            front = pareto(
                question,
                stop=stop,
                seconds=seconds,
                most=task.most,
                on_point=lambda point: teller.tell(answer_line("point", point)),
            )
            teller.tell(front_line(front))
    except StudioError as error:
        teller.tell(failure_line(Failure.of(error)))


if __name__ == "__main__":
    main()
