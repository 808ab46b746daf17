"""The process that optimises one sub-model and ends: `python -m partition_agent.loading.optimise`, in its folder.

What optimising takes (the graph twice, fused and re-ordered weights) goes back to the system as a whole when it ends;
in the agent it would stay as holes in the heap.
"""

import ctypes
import os
import signal
import sys
from pathlib import Path

from partition_agent.loading.options import saving_options
from partition_agent.loading.protobuf import ModelFileError
from partition_agent.loading.references import write_references
from partition_agent.loading.stage_errors import first_line

#: The sub-model, and the same with its weights left there.
SOURCE, REFERRING = "source.onnx", "referring.onnx"

#: Exit status when the reason lies in the last line of stderr.
REFUSED = 3

_SET_PARENT_DEATH_SIGNAL = 1


def _end_with(parent_pid: int) -> None:
    """Be killed when the parent ends, and before it when memory runs out."""
    prctl = getattr(ctypes.CDLL(None), "prctl", None)
    if prctl is not None:
        prctl(_SET_PARENT_DEATH_SIGNAL, signal.SIGKILL, 0, 0, 0)
    if os.getppid() != parent_pid:
        os._exit(REFUSED)
    try:
        Path("/proc/self/oom_score_adj").write_text("1000", encoding="ascii")
    except OSError:
        # Then the kernel chooses by size.
        return


def optimise() -> None:
    """Write `OPTIMISED` of `SOURCE` in the working folder. Raises ModelFileError, OSError, ONNX Runtime's errors."""
    import onnxruntime

    write_references(Path(SOURCE), Path(REFERRING), SOURCE)
    onnxruntime.InferenceSession(REFERRING, saving_options(), providers=["CPUExecutionProvider"])


def main() -> int:
    """Run in the process of its own, whose only argument is the parent's process id."""
    _end_with(int(sys.argv[1]))
    try:
        optimise()
    except (ModelFileError, OSError) as error:
        sys.stderr.write(f"{error}\n")
        return REFUSED
    except Exception as error:  # the boundary of the process; ONNX Runtime has no common base of its errors
        sys.stderr.write(f"{first_line(error)}\n")
        return REFUSED
    return 0


if __name__ == "__main__":
    status = main()
    sys.stderr.flush()
    # Nothing is left to tidy up, and tearing the session down takes time.
    os._exit(status)
