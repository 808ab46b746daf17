# ruff: noqa: UP006, UP035, UP045 - this file runs on the device, on Python 3.8.
"""Having the system start the agent: a systemd user unit or a crontab line, without root. See `device_script`.

What the studio decided is written to `autostart.json` in the agent's folder, so that the end knows what to undo.
"""

import contextlib
import json
import os
import shutil
import subprocess
from typing import Any, Dict, List, Optional

from partition_studio.fleet.on_device.device_files import DeviceProblemError, names_in, remove

RECORD = "autostart.json"
LINGER = "linger-was-enabled"
STARTER = "start-agent.sh"
#: Also the beginning of a command that asks a bus which does not answer.
_TOOL_S = 10.0


def _environment() -> Dict[str, str]:
    """Return ours, with the user's runtime folder: logins without PAM do not set it."""
    runtime = f"/run/user/{os.getuid()}"
    environment = dict(os.environ, LC_ALL="C")
    if "XDG_RUNTIME_DIR" not in environment and os.path.isdir(runtime):
        environment["XDG_RUNTIME_DIR"] = runtime
    return environment


def _run(command: List[str], text: Optional[str] = None) -> "subprocess.CompletedProcess[str]":
    """Run a tool of the system; one that is not there or hangs has failed."""
    try:
        return subprocess.run(
            command,
            input=text,
            stdin=None if text is not None else subprocess.DEVNULL,
            capture_output=True,
            env=_environment(),
            timeout=_TOOL_S,
            check=False,
            text=True,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        return subprocess.CompletedProcess(command, 127, "", str(error))


def autostart_facts() -> Dict[str, Any]:
    """Tell what could start the agent here; nothing is changed."""
    systemd = _run(["systemctl", "--version"]) if shutil.which("systemctl") else None
    first = systemd.stdout.split() if systemd is not None and systemd.returncode == 0 else []
    version = first[1] if len(first) > 1 and first[0] == "systemd" and first[1].isdigit() else ""
    minor = first[2].strip("()").partition("-")[0] if len(first) > 2 else ""
    manager = bool(version) and _run(["systemctl", "--user", "show-environment"]).returncode == 0
    linger = _run(["loginctl", "show-user", str(os.getuid()), "--property=Linger"]).stdout.strip() if manager else ""
    return {
        "systemd": int(version) if version else None,
        "systemd_full": minor or version,
        "user_manager": manager,
        "linger": linger == "Linger=yes",
        "crontab": shutil.which("crontab") is not None and _crontab() is not None,
        "cron_runs": _cron_runs(),
    }


def _cron_runs() -> bool:
    for pid in names_in("/proc"):
        if pid.isdigit():
            with contextlib.suppress(OSError), open(f"/proc/{pid}/comm") as file:
                if file.read().strip() in ("cron", "crond", "anacron", "fcron"):
                    return True
    return False


def _crontab() -> Optional[List[str]]:
    """Return the lines of the user's crontab; None when it cannot be read."""
    listed = _run(["crontab", "-l"])
    if listed.returncode == 0:
        return listed.stdout.splitlines()
    return [] if "no crontab" in listed.stderr.lower() else None


def _write_crontab(lines: List[str]) -> bool:
    if not lines:
        return _run(["crontab", "-r"]).returncode == 0
    return _run(["crontab", "-"], "\n".join(lines) + "\n").returncode == 0


def read_record(data_dir: str) -> Optional[Dict[str, Any]]:
    """Return what is set up to start the agent of a folder, if anything is."""
    try:
        with open(os.path.join(data_dir, RECORD)) as file:
            record = json.load(file)
    except (OSError, ValueError):
        return None
    return _checked(record) if isinstance(record, dict) else None


def _checked(record: Dict[str, Any]) -> Dict[str, Any]:
    """Return a record with what can be made use of: whatever else is there is not ours."""
    kind, unit, folders = record.get("kind"), record.get("unit"), record.get("folders")
    plain = isinstance(unit, str) and unit == os.path.basename(unit) and unit not in ("", ".", "..")
    return {
        "kind": kind if kind in ("systemd", "cron") else "none",
        "unit": unit if plain else "",
        "folders": [path for path in folders if isinstance(path, str)] if isinstance(folders, list) else [],
        "mark": str(record.get("mark") or ""),
    }


def _write_record(data_dir: str, record: Dict[str, Any]) -> None:
    os.makedirs(data_dir, mode=0o700, exist_ok=True)
    with open(os.path.join(data_dir, RECORD), "w") as file:
        json.dump(record, file)


def unit_folder() -> str:
    """Return where the user's units are."""
    config = os.environ.get("XDG_CONFIG_HOME") or os.path.join(os.path.expanduser("~"), ".config")
    return os.path.join(config, "systemd", "user")


def start_unit(data_dir: str, plan: Dict[str, Any]) -> bool:
    """Write the unit, and start it now and after each boot; False when systemd or polkit does not let us.

    The record is written first: what a cut-off attempt left is undone by the next.
    """
    made: List[str] = []
    folder = unit_folder()
    for parent in (folder, os.path.dirname(folder), os.path.dirname(os.path.dirname(folder))):
        if not os.path.isdir(parent):
            made.append(parent)
    _write_record(data_dir, {"kind": "systemd", "unit": plan["unit_name"], "folders": made, "text": plan["unit"]})
    if plan["enable_linger"]:
        if _run(["loginctl", "--no-ask-password", "enable-linger"]).returncode != 0:
            undo(data_dir)
            return False
        with open(os.path.join(data_dir, LINGER), "w"):
            pass
    os.makedirs(folder, exist_ok=True)
    with open(os.path.join(folder, plan["unit_name"]), "w") as file:
        file.write(plan["unit"])
    reloaded = _run(["systemctl", "--user", "daemon-reload"])
    if reloaded.returncode != 0 or _run(["systemctl", "--user", "enable", "--now", plan["unit_name"]]).returncode != 0:
        undo(data_dir)
        return False
    return True


def unit_status(data_dir: str) -> Optional[int]:
    """Return the exit status of the unit's process when it ended for good, for `wait_for_state`."""
    record = read_record(data_dir) or {}
    shown = _run(["systemctl", "--user", "show", record.get("unit") or "", "--property=ActiveState,ExecMainStatus"])
    facts = dict(line.split("=", 1) for line in shown.stdout.splitlines() if "=" in line)
    if facts.get("ActiveState") not in ("failed", "inactive"):
        return None
    status = facts.get("ExecMainStatus", "")
    return int(status) if status.isdigit() else -1


def add_cron_line(data_dir: str, plan: Dict[str, Any]) -> bool:
    """Have cron start the agent after each boot; False when it does not take the line."""
    lines = _crontab()
    if lines is None:
        return False
    script = os.path.join(data_dir, STARTER)
    # `text` names the release, which is thereby kept.
    _write_record(data_dir, {"kind": "cron", "mark": plan["mark"], "text": plan["script"]})
    with open(script, "w") as file:
        file.write(plan["script"])
    others = [line for line in lines if plan["mark"] not in line]
    if _write_crontab([*others, plan["line"]]):
        return True
    undo(data_dir)
    return False


def undo(data_dir: str) -> None:
    """Have nothing start the agent any more; a unit's agent ends with it."""
    record = read_record(data_dir)
    if record is None:
        return
    if record.get("kind") == "systemd":
        _undo_unit(record)
    elif record.get("kind") == "cron":
        lines, mark = _crontab(), record["mark"]
        others = [line for line in lines or () if not mark or mark not in line]
        if others != (lines or []) and not _write_crontab(others):
            raise DeviceProblemError("device_file", "the crontab's line of the agent cannot be removed")
        remove(os.path.join(data_dir, STARTER))
    remove(os.path.join(data_dir, RECORD))


def _undo_unit(record: Dict[str, Any]) -> None:
    unit, folder = record["unit"], unit_folder()
    if unit:
        _run(["systemctl", "--user", "disable", "--now", unit])
        remove(os.path.join(folder, unit))
        remove(os.path.join(folder, "default.target.wants", unit))
        _run(["systemctl", "--user", "daemon-reload"])
        _run(["systemctl", "--user", "reset-failed", unit])
    # Others may have put something there since; then they stay.
    for path in (os.path.join(folder, "default.target.wants"), *record["folders"]):
        with contextlib.suppress(OSError):
            os.rmdir(path)


def undo_linger(data_dir: str) -> None:
    """Take lingering back when it was we who asked for it."""
    if os.path.exists(os.path.join(data_dir, LINGER)):
        _run(["loginctl", "--no-ask-password", "disable-linger"])
