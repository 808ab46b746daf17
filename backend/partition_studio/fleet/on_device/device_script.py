# ruff: noqa: UP006, UP035, UP045 - this file runs on the device, on Python 3.8.
"""What the studio does on a device, run there by its Python: install, start, find, stop, read the log, remove.

Sent as text on stdin, with the modules that it needs: see `device_python`. Answers one line: a mark and a JSON object,
`{"error": ...}` when it could not. Standard library only, and everything below BASE but what starts the agent.
"""

import contextlib
import json
import os
import sys
from typing import Any, Callable, Dict, List, Optional

from partition_studio.fleet.on_device.device_autostart import (
    add_cron_line,
    autostart_facts,
    read_record,
    start_unit,
    undo,
    undo_linger,
    unit_status,
)
from partition_studio.fleet.on_device.device_files import (
    FULL,
    MARK,
    DeviceProblemError,
    file_trouble,
    locked,
    remove_tree,
)
from partition_studio.fleet.on_device.device_packages import discard, install, look
from partition_studio.fleet.on_device.device_process import (
    log_text,
    prepare_folder,
    read_state,
    start_detached,
    stop_process,
    wait_for_state,
)
from partition_studio.fleet.on_device.device_trial import prove

#: How long the end of another command is waited for before anything is removed.
PATIENCE_S = 2.0


def install_release(base: str, release: str, wheels: List[str], incoming: str) -> Dict[str, Any]:
    """Install a release that passes its trial."""
    return install(base, release, wheels, incoming, prove)


def start(
    data_dir: str, command: List[str], python_path: str, deadline_s: float, autostart: Optional[Dict[str, Any]]
) -> Dict[str, Any]:
    """Start the agent unless one runs, and wait for its state file; `autostart` says how it comes back after a boot."""
    os.makedirs(data_dir, mode=0o700, exist_ok=True)
    with locked(data_dir):
        running = read_state(data_dir)
        if running is not None:
            record = read_record(data_dir)
            return {"state": running, "started": False, "autostart": record["kind"] if record else "none"}
        undo(data_dir)
        begin = prepare_folder(data_dir)
        wanted = autostart["kind"] if autostart else "none"
        if autostart is not None and wanted == "systemd":
            if start_unit(data_dir, autostart):
                try:
                    state = wait_for_state(data_dir, deadline_s, begin, lambda: unit_status(data_dir))
                except DeviceProblemError:
                    undo(data_dir)
                    raise
                return {"state": state, "started": True, "autostart": "systemd"}
            wanted = "none"
        state = start_detached(data_dir, command, python_path, deadline_s, begin)
        if autostart is not None and wanted == "cron" and not add_cron_line(data_dir, autostart):
            wanted = "none"
        return {"state": state, "started": True, "autostart": wanted}


def find(data_dir: str) -> Dict[str, Any]:
    """Tell how to reach the agent that runs here, if one does."""
    return {"state": read_state(data_dir)}


def stop(data_dir: str, grace_s: float) -> Dict[str, Any]:
    """End the agent, by force after `grace_s`, and have nothing start it again."""
    ran = read_state(data_dir) is not None
    if os.path.isdir(data_dir):
        undo(data_dir)
    stop_process(data_dir, grace_s)
    return {"stopped": ran and read_state(data_dir) is None}


def autostart_state(data_dir: str) -> Dict[str, Any]:
    """Tell what could start an agent here, and what is set up to."""
    record = read_record(data_dir)
    return {"facts": autostart_facts(), "in_place": record["kind"] if record else None}


def uninstall(base: str, data_dir: str) -> Dict[str, Any]:
    """Stop the agent and leave nothing of it, nor the folders above that are empty without it.

    What another studio installs or starts here at this moment is left alone, with the code `device_busy`.
    """
    with contextlib.ExitStack() as locks:
        for folder in dict.fromkeys((base, data_dir)):
            if os.path.isdir(folder):
                locks.enter_context(locked(folder, PATIENCE_S))
        _remove_all(base, data_dir)
    return {"removed": True}


def _remove_all(base: str, data_dir: str) -> None:
    stop(data_dir, 5.0)
    undo_linger(data_dir)
    for folder in (data_dir, base):
        remove_tree(folder)
        if os.path.exists(folder):
            raise DeviceProblemError("device_file", f"{folder} cannot be removed completely")
    home = os.path.expanduser("~")
    parent = os.path.dirname(base)
    while parent.startswith(home + os.sep):
        try:
            os.rmdir(parent)
        except OSError:
            break
        parent = os.path.dirname(parent)


def main() -> None:
    """Carry out one command and print its answer."""
    commands: Dict[str, Callable[..., Dict[str, Any]]] = {
        "look": look,
        "install": install_release,
        "discard": discard,
        "start": start,
        "find": find,
        "stop": stop,
        "log": log_text,
        "autostart": autostart_state,
        "uninstall": uninstall,
    }
    os.umask(0o077)
    arguments = json.loads(sys.argv[2])
    try:
        answer = commands[sys.argv[1]](**arguments)
    except DeviceProblemError as problem:
        answer = {"error": problem.code, "message": str(problem)}
    except OSError as problem:
        answer = {"error": "disk_full" if problem.errno in FULL else "device_file", "message": file_trouble(problem)}
    print(MARK + json.dumps(answer))  # noqa: T201 - printing is how it answers
