# ruff: noqa: UP006, UP035, UP045 - this file runs on the device, on Python 3.8.
"""The agent's process, seen from the device: start, find, stop, read the log. See `device_script`."""

import contextlib
import json
import os
import signal
import subprocess
import time
from typing import Any, Callable, Dict, List, Optional

from partition_studio.fleet.on_device.device_files import DeviceProblemError, agent_environment, remove, start_ticks

LOG_ROTATE_BYTES = 4 * 1024 * 1024
_POLL_S = 0.02


def read_state(data_dir: str) -> Optional[Dict[str, Any]]:
    """Return the agent's state file when the process that it names is alive."""
    try:
        with open(os.path.join(data_dir, "agent.json")) as file:
            state = json.load(file)
        alive = start_ticks(int(state["pid"])) == int(state["pid_start_ticks"])
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return state if alive else None


def prepare_folder(data_dir: str) -> int:
    """Make the agent's folder ready for a start; return the length of its log."""
    os.makedirs(data_dir, mode=0o700, exist_ok=True)
    os.chmod(data_dir, 0o700)
    remove(os.path.join(data_dir, "agent.json"))
    log_path = os.path.join(data_dir, "agent.log")
    if not os.path.exists(log_path):
        return 0
    if os.path.getsize(log_path) > LOG_ROTATE_BYTES:
        os.replace(log_path, log_path + ".1")
        return 0
    return os.path.getsize(log_path)


def spawn(data_dir: str, command: List[str], python_path: str) -> "subprocess.Popen[bytes]":
    """Start the agent in a session of its own; what it says goes to its log."""
    environment = dict(os.environ, **agent_environment(python_path, os.path.join(data_dir, "cache")))
    descriptor = os.open(os.path.join(data_dir, "agent.log"), os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    try:
        return subprocess.Popen(
            command,
            cwd=data_dir,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=descriptor,
            stderr=descriptor,
            start_new_session=True,
        )
    finally:
        os.close(descriptor)


def start_detached(
    data_dir: str, command: List[str], python_path: str, deadline_s: float, begin: int
) -> Dict[str, Any]:
    """Start the agent and return the state that it writes; end it when it does not."""
    process = spawn(data_dir, command, python_path)

    def status() -> Optional[int]:
        return process.poll()

    try:
        return wait_for_state(data_dir, deadline_s, begin, status)
    except DeviceProblemError:
        kill_group(process.pid)
        process.wait()
        raise


def wait_for_state(data_dir: str, deadline_s: float, begin: int, status: Callable[[], Optional[int]]) -> Dict[str, Any]:
    """Return the state of the agent that is coming up; `status` is its exit status once it has one."""
    deadline = time.monotonic() + deadline_s
    while time.monotonic() < deadline:
        state = read_state(data_dir)
        if state is not None:
            return state
        ended = status()
        if ended is not None:
            said = log_text(data_dir, begin, 40)["text"]
            raise DeviceProblemError("agent_ended", f"status {ended}\n{said}")
        time.sleep(_POLL_S)
    raise DeviceProblemError("agent_silent", log_text(data_dir, begin, 40)["text"])


def stop_process(data_dir: str, grace_s: float) -> bool:
    """Ask the agent to end, and after `grace_s` make it; a process that only has its number is left alone.

    Returns whether one ran and is gone.
    """
    state = read_state(data_dir)
    if state is None:
        return False
    pid, ticks = int(state["pid"]), int(state["pid_start_ticks"])
    if grace_s > 0:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGTERM)
        _wait_until_gone(pid, ticks, grace_s)
    if start_ticks(pid) == ticks:
        kill_group(pid)
        _wait_until_gone(pid, ticks, 5.0)
    remove(os.path.join(data_dir, "agent.json"))
    return start_ticks(pid) != ticks


def _wait_until_gone(pid: int, ticks: int, patience_s: float) -> None:
    deadline = time.monotonic() + patience_s
    while start_ticks(pid) == ticks and time.monotonic() < deadline:
        time.sleep(_POLL_S)


def kill_group(pid: int) -> None:
    """Kill a process and what it started; the agent leads a group of its own."""
    with contextlib.suppress(ProcessLookupError, PermissionError):
        if os.getpgid(pid) == pid:
            os.killpg(pid, signal.SIGKILL)
        else:
            os.kill(pid, signal.SIGKILL)


def log_text(data_dir: str, begin: int, lines: int) -> Dict[str, Any]:
    """Return the last lines of the agent's log, not before the offset `begin`."""
    try:
        with open(os.path.join(data_dir, "agent.log"), "rb") as file:
            size = file.seek(0, os.SEEK_END)
            file.seek(max(begin, size - 256 * 1024))
            text = file.read().decode("utf-8", "replace")
    except FileNotFoundError:
        text = ""
    return {"text": "\n".join(text.splitlines()[-lines:])}
