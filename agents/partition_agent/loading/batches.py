"""How many frames a stage takes in one go: found by measuring, because the processor's caches decide."""

import time
from typing import Callable, List

#: A larger batch has to be this much faster for each frame, or it only adds latency and memory.
_WORTH = 0.95

_RUNS = 3


def best_batch(
    run: Callable[[int], None],
    most: int,
    check: Callable[[], None],
    failed: Callable[[int, str], None] = lambda frames, reason: None,
) -> int:
    """Return the batch among 1, 2, 4 ... `most` with the shortest time for a frame.

    `run(frames)` computes so many at once. Larger ones are not tried once one brings nothing: each takes memory that
    the runtime keeps. One that fails is told to `failed`, and is too large. `check` may raise to give up.
    """
    best, best_s = 1, _frame_s(run, 1, check)
    batch = 2
    while batch <= most:
        try:
            frame_s = _frame_s(run, batch, check)
        except (RuntimeError, MemoryError) as error:
            failed(batch, str(error) or type(error).__name__)
            break
        if frame_s > best_s * _WORTH:
            break
        best, best_s = batch, frame_s
        batch *= 2
    return best


def _frame_s(run: Callable[[int], None], frames: int, check: Callable[[], None]) -> float:
    """Return the shortest time for one frame: what else runs on the device only makes it longer."""
    seconds: List[float] = []
    run(frames)
    for _ in range(_RUNS):
        check()
        begin_s = time.perf_counter()
        run(frames)
        seconds.append(time.perf_counter() - begin_s)
    return min(seconds) / frames
