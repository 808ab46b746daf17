"""Keep one core busy for a share of its time until stdin ends: `python -m partition_agent.load.burn CORE SHARE`.

The work is small matrix products where numpy is there: they use the vector units, as a network does.
"""

import os
import select
import sys
import time
from typing import Callable

#: Busy and idle take turns in slices of this length.
SLICE_S = 0.1

#: What could not be had is caught up with, but for no more than this.
DEBT_S = 0.1

#: Above the priority of what measures, nothing can be asked of the device any more.
NICENESS = 5


def _work() -> Callable[[], object]:
    """Return something that takes well below a millisecond."""
    try:
        import numpy
    except ImportError:
        return lambda: sum(number * number for number in range(500))
    left = numpy.ones((96, 96), numpy.float32)
    out = numpy.empty_like(left)
    return lambda: numpy.matmul(left, left, out=out)


def main() -> int:
    """Run until whoever started this closes the pipe, or is gone."""
    core, share = int(sys.argv[1]), float(sys.argv[2])
    try:
        os.sched_setaffinity(0, [core])
        os.nice(NICENESS)
    except OSError:
        # It stays where the device lets it run.
        pass
    work = _work()
    wanted_s, used_s = 0.0, time.process_time()
    while True:
        begin_s = time.monotonic()
        wanted_s = min(wanted_s, DEBT_S) + share * SLICE_S
        while wanted_s > 0 and time.monotonic() - begin_s < SLICE_S:
            work()
            now_s = time.process_time()
            wanted_s, used_s = wanted_s - (now_s - used_s), now_s
        pause_s = max(SLICE_S - (time.monotonic() - begin_s), 0.0)
        if select.select([0], [], [], pause_s)[0] and not os.read(0, 1):
            return 0


if __name__ == "__main__":
    sys.exit(main())
