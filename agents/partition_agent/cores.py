"""The cores that a stage computes on, where the plan names some."""

import os
from contextlib import contextmanager
from typing import Iterator, List, Sequence


def missing_cores(cores: Sequence[int]) -> List[int]:
    """Return those of `cores` that this process may not use."""
    return sorted(set(cores) - os.sched_getaffinity(os.getpid()))


@contextmanager
def bound_to(cores: Sequence[int]) -> Iterator[None]:
    """Keep the calling thread, and threads that it starts meanwhile, on some cores; on no names, change nothing."""
    if not cores:
        yield
        return
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, cores)
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)
