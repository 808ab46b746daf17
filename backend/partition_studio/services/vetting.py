"""Lets a file that a person brings be loaded elsewhere first: a process of its own, with limits on memory and time."""

import json
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

from partition_studio.errors import NetworkError

#: Beside the runtime itself, loading takes some copies of what is not raw data of weights, and maps the weights.
BASE_MEMORY_BYTES = 6 * 1024**3
MEMORY_PER_FILE_BYTE = 4

CPU_S = 240
WALL_S = 300

#: No verdict is longer.
MAX_VERDICT_BYTES = 64 * 1024


class NetworkCrashesError(NetworkError):
    """Loading the file takes too long or too much, or ends the process that tries."""

    code = "network_crashes"
    next_step = "Do not use this file, unless you made it yourself: then report it together with how it was made."


def vet(path: Path, size_bytes: int, dims: Mapping[str, int] | None = None) -> None:
    """Return when the file can be loaded with those sizes of its free dimensions.

    Raises NetworkError with the code of what is wrong, NetworkCrashesError when loading crashes or exceeds a limit.
    """
    memory_bytes = BASE_MEMORY_BYTES + MEMORY_PER_FILE_BYTE * size_bytes
    command = [sys.executable, "-m", "partition_studio.graph", str(path)]
    command += ["--memory-bytes", str(memory_bytes), "--cpu-s", str(CPU_S), "--dims", json.dumps(dict(dims or {}))]
    try:
        done = subprocess.run(command, capture_output=True, stdin=subprocess.DEVNULL, timeout=WALL_S, check=False)
    except subprocess.TimeoutExpired:
        raise NetworkCrashesError(f"{path.name} was not loaded within {WALL_S} s", file=path.name) from None
    if done.returncode == 0:
        return
    if done.returncode == 1 and done.stdout and len(done.stdout) <= MAX_VERDICT_BYTES:
        told = json.loads(done.stdout)
        error = NetworkError(told["message"], next_step=told["next_step"], **{"file": path.name, **told["details"]})
        error.code = told["code"]
        raise error
    how = "took too much memory" if done.returncode == 2 else f"ended by itself (status {done.returncode})"
    raise NetworkCrashesError(f"{path.name} cannot be loaded: the process that tried it {how}", file=path.name)
