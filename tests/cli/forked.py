"""Calls of the command without the seconds that loading its code takes: a process loads it, each call is a fork of it.

Each call is a process of its own, with its own arguments, environment, folder and output, and ends as the command ends.
`tests/cli/test_start.py` and those that start the command themselves see how it begins.
"""

import atexit
import functools
import gc
import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

#: What commands load when they need it. Not what starts threads, which a fork has not: they would be waited for.
_HEAVY = (
    "numpy",
    "onnx",
    "partition_studio.cli.main",
    "partition_studio.export",
    "partition_studio.graph.examples",
    "partition_studio.graph.simplify",
    "partition_studio.partition.verify",
    "partition_studio.services",
    "onnxslim",
    "rich.markdown",
)


def call_command(
    words: Sequence[str], environment: Mapping[str, str], *, timeout_s: float
) -> subprocess.CompletedProcess[str]:
    """Run the command to its end with nothing on its standard input. Raises TimeoutError; it is killed then."""
    with tempfile.TemporaryDirectory(prefix="studio-call-") as folder, socket.socket(socket.AF_UNIX) as asking:
        asking.settimeout(timeout_s)
        asking.connect(_loaded())
        order = {"words": list(words), "environment": dict(environment), "cwd": str(Path.cwd()), "folder": folder}
        asking.sendall(json.dumps(order).encode() + b"\n")
        with asking.makefile() as answers:
            pid = int(answers.readline())
            try:
                code = int(answers.readline())
            except TimeoutError:
                os.kill(pid, signal.SIGKILL)
                raise
        out, err = ((Path(folder) / name).read_text() for name in ("out", "err"))
    return subprocess.CompletedProcess(["partition-studio", *words], code, out, err)


@functools.cache
def _loaded() -> str:
    """Return the address of the process that has loaded the command; it ends with this one."""
    folder = tempfile.TemporaryDirectory(prefix="studio-forks-")
    address = str(Path(folder.name) / "socket")
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.cli.forked", address],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env={**os.environ, "OPENBLAS_NUM_THREADS": "1"},
    )
    assert process.stdin is not None
    assert process.stdout is not None
    assert process.stdout.readline() == b"loaded\n"

    def end() -> None:
        process.communicate()
        folder.cleanup()

    atexit.register(end)
    return address


def _serve(address: str) -> None:
    """Fork for each call until standard input ends. Returns in the process of a call, which is the command then."""
    for name in _HEAVY:
        __import__(name)
    assert len(list(Path("/proc/self/task").iterdir())) == 1, f"one of {_HEAVY} starts threads"
    gc.freeze()
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(address)
        listening.listen()
        sys.stdout.write("loaded\n")
        sys.stdout.flush()
        watch = os.fork()
        if watch == 0:
            sys.stdin.buffer.read()
            os.kill(os.getppid(), signal.SIGTERM)
            os._exit(0)
        while True:
            asked, _ = listening.accept()
            if os.fork() != 0:
                asked.close()
                continue
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
            order = json.loads(asked.makefile().readline())
            pid = os.fork()
            if pid == 0:
                asked.close()
                break
            asked.sendall(f"{pid}\n".encode())
            _, status = os.waitpid(pid, 0)
            asked.sendall(f"{os.waitstatus_to_exitcode(status)}\n".encode())
            os._exit(0)
    _become(order)


def _become(order: Mapping[str, object]) -> None:
    """Take over what a call says: its output goes into files of its folder."""
    folder = Path(str(order["folder"]))
    for descriptor, path, flags in (
        (0, Path(os.devnull), os.O_RDONLY),
        (1, folder / "out", os.O_WRONLY | os.O_CREAT),
        (2, folder / "err", os.O_WRONLY | os.O_CREAT),
    ):
        os.dup2(os.open(path, flags), descriptor)
    os.chdir(str(order["cwd"]))
    os.environ.clear()
    os.environ.update(order["environment"])  # type: ignore[call-overload]  # JSON has no types
    sys.argv = ["partition-studio", *order["words"]]  # type: ignore[misc]  # JSON has no types


if __name__ == "__main__":
    _serve(sys.argv[1])
    from partition_studio.cli.main import main

    main()
