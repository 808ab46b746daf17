"""The energy counter of discrete NVIDIA GPUs, by the driver's own library. The rest of the machine is not in it.

On a Jetson the library can be opened too and counts a GPU, but knows no power: only a real reading tells.
"""

import ctypes
import os
from pathlib import Path
from typing import Any, Callable, List, Optional, Sequence

from partition_agent.power.reader import Finding, PowerReader, Reading, found
from partition_agent.system import ROOT

_LIBRARY = "libnvidia-ml.so.1"
_MOST_PROCESSES = 64


class _Process(ctypes.Structure):
    """`nvmlProcessInfo_v2_t`."""

    _fields_ = (
        ("pid", ctypes.c_uint),
        ("used_bytes", ctypes.c_ulonglong),
        ("gpu_instance", ctypes.c_uint),
        ("compute_instance", ctypes.c_uint),
    )


class Library:
    """NVML, opened; every call answers None where it does not succeed."""

    def __init__(self, library: Any) -> None:
        """Take hold of all the GPUs. Raises OSError when there is none."""
        self._library = library
        if library.nvmlInit_v2() != 0:
            raise OSError("NVML does not start")
        count = ctypes.c_uint()
        if library.nvmlDeviceGetCount_v2(ctypes.byref(count)) != 0 or count.value == 0:
            library.nvmlShutdown()
            raise OSError("NVML knows no GPU")
        self._gpus = [gpu for gpu in map(self._gpu, range(count.value)) if gpu is not None]

    def _gpu(self, index: int) -> Optional[ctypes.c_void_p]:
        gpu = ctypes.c_void_p()
        return gpu if self._library.nvmlDeviceGetHandleByIndex_v2(index, ctypes.byref(gpu)) == 0 else None

    @property
    def count(self) -> int:
        """How many GPUs there are."""
        return len(self._gpus)

    def energy_j(self) -> Optional[float]:
        """Return the sum of the energy counters (Volta and later)."""
        total_mj = 0
        for gpu in self._gpus:
            value = ctypes.c_ulonglong()
            if self._library.nvmlDeviceGetTotalEnergyConsumption(gpu, ctypes.byref(value)) != 0:
                return None
            total_mj += value.value
        return total_mj / 1e3 if self._gpus else None

    def power_w(self) -> Optional[float]:
        """Return the sum of the GPUs' power."""
        total_mw = 0
        for gpu in self._gpus:
            value = ctypes.c_uint()
            if self._library.nvmlDeviceGetPowerUsage(gpu, ctypes.byref(value)) != 0:
                return None
            total_mw += value.value
        return total_mw / 1e3 if self._gpus else None

    def process_bytes(self) -> Optional[int]:
        """Return the GPU memory that this process holds, 0 when none; None where the driver does not tell."""
        total = 0
        for gpu in self._gpus:
            count = ctypes.c_uint(_MOST_PROCESSES)
            processes = (_Process * _MOST_PROCESSES)()
            try:
                code = self._library.nvmlDeviceGetComputeRunningProcesses_v3(gpu, ctypes.byref(count), processes)
            except AttributeError:
                return None
            if code != 0:
                return None
            mine = [p.used_bytes for p in processes[: min(count.value, _MOST_PROCESSES)] if p.pid == os.getpid()]
            # All ones is how it says that it does not know.
            total += sum(used for used in mine if used != ctypes.c_ulonglong(-1).value)
        return total if self._gpus else None

    def close(self) -> None:
        """Let it go."""
        self._gpus = []
        self._library.nvmlShutdown()


class Nvml(PowerReader):
    """All the GPUs together: their counters, or where these are missing their power."""

    source, scope = "nvml", "gpu"

    def __init__(self, library: Library) -> None:
        self.library = library
        if library.energy_j() is not None:
            self.method, self.interval_s, self.max_gap_s = "counter", 1.0, float("inf")

    def read(self, utilisation: Optional[float]) -> Optional[Reading]:
        """Return the energy since the driver was loaded, or the power now."""
        del utilisation
        if self.method == "counter":
            energy_j = self.library.energy_j()
            return None if energy_j is None else Reading(None, energy_j)
        power_w = self.library.power_w()
        return None if power_w is None else Reading(power_w)

    def close(self) -> None:
        """Let the library go."""
        self.library.close()


def _load() -> Any:
    return ctypes.CDLL(_LIBRARY)


def find(root: Path, load: Optional[Callable[[], Any]] = None) -> List[Finding]:
    """Return the GPUs' energy; nothing where there is no such driver. `load` opens the library."""
    if load is None and root != ROOT:
        return []
    try:
        library = Library((load or _load)())
    except (OSError, AttributeError):
        return []
    reader = Nvml(library)
    try:
        reading = reader.read(None)
    except AttributeError:
        reading = None
    if reading is None:
        library.close()
        return [Finding(reader.source, reader.scope, reader.method, "the driver's library knows no power of this GPU")]
    return [found(reader, f"{library.count} GPU{'s' if library.count > 1 else ''}; processor and board are not in it")]


def gpu_library(findings: Sequence[Finding]) -> Optional[Library]:
    """Return the library that one of the findings holds open."""
    for finding in findings:
        if isinstance(finding.reader, Nvml):
            return finding.reader.library
    return None
