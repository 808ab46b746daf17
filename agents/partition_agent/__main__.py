"""Start an agent: `python -m partition_agent --data-dir DIR [--cpus 0,1] [--parent-pid N]`.

It says where it listens in `DIR/agent.json`, which only this user can read, and logs to stderr, which the starter makes
`DIR/agent.log`. SIGTERM and SIGINT end it.
"""

import argparse
import ctypes
import os
import sys
from pathlib import Path
from typing import List, Optional, Tuple

from partition_agent import log
from partition_agent.agent import Settings, run_agent

#: Of glibc's <malloc.h>: M_ARENA_MAX, M_MMAP_THRESHOLD, M_TRIM_THRESHOLD, and what they are set to. With one heap for
#: each thread, freed memory lies idle. Messages of some megabytes (those of ResNet-50 have up to 3.2) are to find the
#: memory of the one before: by default theirs is given back and taken again for every frame, which took 1,570 page
#: faults and 4 of 7 ms of the thread that encrypts them.
_HEAP = ((-8, 2), (-3, 16 << 20), (-1, 32 << 20))


def _cpus(text: str) -> Tuple[int, ...]:
    try:
        cpus = tuple(int(part) for part in text.split(","))
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is no list of cores such as 0,1") from None
    missing = sorted(set(cpus) - os.sched_getaffinity(0))
    if missing:
        raise argparse.ArgumentTypeError(f"core {missing[0]} is not one that this process may use")
    return cpus


def settings_of(arguments: Optional[List[str]] = None) -> Settings:
    """Return the settings that a command line gives; exits with a message when it is wrong."""
    parser = argparse.ArgumentParser(prog="partition-agent", description="Runs stages of a network on this device.")
    parser.add_argument("--data-dir", type=Path, required=True, help="the agent's folder; one agent runs in each")
    parser.add_argument("--cpus", type=_cpus, default=(), help="run on these cores only, for example 0,1")
    parser.add_argument("--parent-pid", type=int, default=None, help="end when this process has ended")
    given = parser.parse_args(arguments)
    return Settings(data_dir=given.data_dir.absolute(), cpus=given.cpus, parent_pid=given.parent_pid)


def _set_up_heap() -> None:
    """Tell the C library how to keep memory, where it can be told."""
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:
        for option, value in _HEAP:
            mallopt(option, value)


def main() -> int:
    """Run the agent; the exit status is 0 after an orderly end."""
    settings = settings_of()
    _set_up_heap()
    log.set_up(settings.data_dir)
    return run_agent(settings)


if __name__ == "__main__":
    sys.exit(main())
