"""A stage's own share of the agent's memory."""

import ctypes
import gc
import threading
from typing import NamedTuple, Optional

from partition_agent.loading.model_file import ModelMemory
from partition_agent.system import anonymous_bytes


class StageMemory(NamedTuple):
    """A stage's own share of the agent's memory; see `StageSample`."""

    weight_bytes: int
    activation_bytes: Optional[int]
    arena_bytes: Optional[int]


class Growth:
    """How much memory loading takes: what the process has more after it than before, if nothing else was loaded."""

    _lock = threading.Lock()
    _under_way = 0
    _begun = 0

    def __init__(self) -> None:
        give_back_memory()
        with Growth._lock:
            Growth._under_way += 1
            Growth._begun += 1
            self._alone, self._number = Growth._under_way == 1, Growth._begun
        self._before = anonymous_bytes()

    def end(self) -> Optional[int]:
        """Return the bytes; None where the kernel does not say, or two loads cannot be told apart."""
        give_back_memory()
        after = anonymous_bytes()
        with Growth._lock:
            Growth._under_way -= 1
            alone = self._alone and Growth._begun == self._number
        return after - self._before if alone and after is not None and self._before is not None else None


def stage_memory(file: ModelMemory, growth_bytes: Optional[int]) -> StageMemory:
    """Return what of the growth is weights, activations, and neither."""
    rest = None
    if growth_bytes is not None:
        rest = max(growth_bytes - file.weight_bytes - (file.activation_bytes or 0), 0)
    return StageMemory(file.weight_bytes, file.activation_bytes, rest)


def give_back_memory() -> None:
    """Return freed memory to the system, where the C library can."""
    gc.collect()
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    if trim is not None:
        trim(0)
