"""The agent's process on a device: start, find, stop, read its log."""

from collections.abc import Sequence

import msgspec

from partition_agent.protocol import PROTOCOL_VERSION, AgentState
from partition_studio.fleet.connection import DeviceConnection
from partition_studio.fleet.errors import AgentStartError
from partition_studio.fleet.install.autostart import Autostart, AutostartKind, autostart_plan, look_autostart
from partition_studio.fleet.install.device_python import call_device
from partition_studio.fleet.install.install import Installed
from partition_studio.fleet.local import LocalConnection
from partition_studio.fleet.text import clean_text

START_DEADLINE_S = 30.0
STOP_GRACE_S = 10.0

#: What the device script itself needs beside what it waits for.
_OVERHEAD_S = 30.0


class _Started(msgspec.Struct):
    state: AgentState
    started: bool
    autostart: AutostartKind


class _Found(msgspec.Struct):
    state: AgentState | None


class _Stopped(msgspec.Struct):
    stopped: bool


class _Log(msgspec.Struct):
    text: str


def start_agent(
    connection: DeviceConnection,
    installed: Installed,
    *,
    cpus: Sequence[int] = (),
    parent_pid: int | None = None,
    memory_bytes: int | None = None,
    deadline_s: float = START_DEADLINE_S,
) -> AgentState:
    """Start the agent, detached from everything, and return how to reach it; one that runs already is returned as is.

    On an SSH device it is started so that it comes back after a reboot, where the device allows that: see `autostart`.
    `memory_bytes` is the most that it may take, where systemd holds it to that.
    Raises AgentStartError with the last lines of its log when it does not come up within `deadline_s`.
    """
    command = [installed.python, "-m", "partition_agent", "--data-dir", installed.data_dir]
    if cpus:
        command += ["--cpus", ",".join(str(cpu) for cpu in cpus)]
    if parent_pid is not None:
        command += ["--parent-pid", str(parent_pid)]
    arguments: dict[str, object] = {
        "data_dir": installed.data_dir,
        "command": command,
        "python_path": installed.site_dir or "",
        "deadline_s": deadline_s,
        "autostart": None,
    }
    if parent_pid is None and not isinstance(connection, LocalConnection):
        facts, decided = look_autostart(connection, installed.python, installed.data_dir)
        arguments["autostart"] = autostart_plan(
            decided,
            facts,
            data_dir=installed.data_dir,
            site_dir=installed.site_dir or "",
            command=command,
            memory_bytes=memory_bytes,
        )
    answer = call_device(
        connection, installed.python, "start", arguments, answer=_Started, timeout_s=deadline_s + _OVERHEAD_S
    )
    if answer.state.protocol_version != PROTOCOL_VERSION:
        raise AgentStartError(
            f"{connection.label}: an agent of another version runs there (protocol {answer.state.protocol_version}, "
            f"this studio speaks {PROTOCOL_VERSION})",
            next_step="Stop that agent (`partition-studio device remove NAME` does), then try again.",
        )
    return answer.state


def autostart_of(connection: DeviceConnection, installed: Installed) -> Autostart:
    """Return what starts the agent of a device, or would: for the person to see. Nothing is changed."""
    if isinstance(connection, LocalConnection):
        return Autostart("none", False, "it is a part of the studio, and starts when it is needed")
    return look_autostart(connection, installed.python, installed.data_dir)[1]


def find_running(connection: DeviceConnection, installed: Installed) -> AgentState | None:
    """Return how to reach the agent that runs on the device, if one does: the very process, not one of its number."""
    return call_device(
        connection,
        installed.python,
        "find",
        {"data_dir": installed.data_dir},
        answer=_Found,
        timeout_s=_OVERHEAD_S,
    ).state


def stop_agent(connection: DeviceConnection, installed: Installed, *, grace_s: float = STOP_GRACE_S) -> bool:
    """End the agent, by force after `grace_s`; return whether one ran."""
    return call_device(
        connection,
        installed.python,
        "stop",
        {"data_dir": installed.data_dir, "grace_s": grace_s},
        answer=_Stopped,
        timeout_s=grace_s + _OVERHEAD_S,
    ).stopped


def kill_agent(connection: DeviceConnection, installed: Installed) -> bool:
    """End the agent by force and at once; return whether one ran."""
    return stop_agent(connection, installed, grace_s=0.0)


def read_log(connection: DeviceConnection, installed: Installed, lines: int = 200) -> str:
    """Return the last lines of the agent's log, made harmless; empty when there is none."""
    bounded = max(1, min(lines, 5000))
    answer = call_device(
        connection,
        installed.python,
        "log",
        {"data_dir": installed.data_dir, "begin": 0, "lines": bounded},
        answer=_Log,
        timeout_s=_OVERHEAD_S,
    )
    return clean_text(answer.text, keep_lines=True, limit=256 * 1024)
