"""What starts the agent on a device, and again after a reboot: decided here, carried out by `device_autostart`."""

import hashlib
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import msgspec

from partition_studio.fleet.connection import DeviceConnection
from partition_studio.fleet.install.device_python import call_device
from partition_studio.fleet.on_device.device_files import agent_environment

AutostartKind = Literal["systemd", "cron", "none"]

#: The first systemd that can append a unit's output to a file.
_OLDEST_SYSTEMD = 240

#: From here until 256.3 systemd may end a user's services at the last logout in spite of lingering (systemd#43361).
_LOGOUT_BUG_FROM, _LOGOUT_BUG_TO = (255, 0), (256, 3)

_LOOK_S = 60.0


@dataclass(frozen=True, slots=True)
class Autostart:
    """How the agent is started. `survives_reboot` is whether it comes back by itself; `note` says why (not)."""

    kind: AutostartKind
    survives_reboot: bool
    note: str


class AutostartFacts(msgspec.Struct, frozen=True):
    """What a device has that could start the agent."""

    systemd: int | None
    systemd_full: str
    user_manager: bool
    linger: bool
    crontab: bool
    cron_runs: bool


class _State(msgspec.Struct):
    facts: AutostartFacts
    in_place: AutostartKind | None


def decide_autostart(facts: AutostartFacts) -> Autostart:
    """Choose between a systemd user unit, a crontab line, and starting it only by the studio."""
    unit_reason = _no_unit(facts)
    if unit_reason is None:
        text = "a systemd user unit starts it again after a failure and after a reboot"
        if not facts.linger:
            text += " (lingering is switched on for this user, and off again when the device is removed)"
        return Autostart("systemd", True, text)
    if facts.crontab and facts.cron_runs:
        return Autostart("cron", True, f"a line in this user's crontab starts it after a reboot ({unit_reason})")
    cron_reason = "its cron does not run" if facts.crontab else "this user has no crontab"
    return Autostart(
        "none",
        False,
        f"after a reboot it stays off until the studio needs it again: {unit_reason}, and {cron_reason}",
    )


def _no_unit(facts: AutostartFacts) -> str | None:
    """Return why a systemd user unit cannot be used; None when it can."""
    if facts.systemd is None:
        return "it has no systemd"
    if not facts.user_manager:
        return "systemd does not manage this user's services"
    if facts.systemd < _OLDEST_SYSTEMD:
        return f"its systemd {facts.systemd} is older than {_OLDEST_SYSTEMD}"
    if _LOGOUT_BUG_FROM <= _version(facts.systemd_full) < _LOGOUT_BUG_TO:
        return f"its systemd {facts.systemd_full} may end services at logout"
    return None


def _version(text: str) -> tuple[int, int]:
    major, _, minor = text.partition(".")
    digits = "".join(character for character in minor.split(".")[0] if character.isdigit())
    return (int(major) if major.isdigit() else 0, int(digits or 0))


def look_autostart(connection: DeviceConnection, python: str, data_dir: str) -> tuple[AutostartFacts, Autostart]:
    """Ask a device what could start its agent; return that and what is, or would be, used. Nothing is changed.

    Raises the errors of `call_device`.
    """
    state = call_device(connection, python, "autostart", {"data_dir": data_dir}, answer=_State, timeout_s=_LOOK_S)
    decided = decide_autostart(state.facts)
    if state.in_place is not None and state.in_place != decided.kind:
        return state.facts, fallen_back(state.in_place)
    return state.facts, decided


def fallen_back(kind: AutostartKind) -> Autostart:
    """Return what to say of a device that did not take what was decided for it."""
    if kind == "none":
        return Autostart(
            "none",
            False,
            "after a reboot it stays off until the studio needs it again: the device did "
            "not let this user set up a service (lingering may need an administrator)",
        )
    return Autostart(kind, True, "the device starts it again after a reboot")


def autostart_plan(
    decided: Autostart,
    facts: AutostartFacts,
    *,
    data_dir: str,
    site_dir: str,
    command: Sequence[str],
    memory_bytes: int | None,
) -> dict[str, object]:
    """Return what `device_autostart` needs to carry out a decision."""
    name = hashlib.sha256(data_dir.encode()).hexdigest()[:12]
    environment = agent_environment(site_dir, f"{data_dir}/cache")
    if decided.kind == "systemd":
        return {
            "kind": "systemd",
            "unit_name": f"partition-studio-agent-{name}.service",
            "unit": unit_text(data_dir, command, environment, memory_bytes),
            "enable_linger": not facts.linger,
        }
    if decided.kind == "cron":
        mark = f"# partition-studio-agent-{name}"
        script = shlex.quote(f"{data_dir}/start-agent.sh").replace("%", "\\%")
        return {
            "kind": "cron",
            "mark": mark,
            "line": f"@reboot /bin/sh {script} {mark}",
            "script": script_text(data_dir, command, environment),
        }
    return {"kind": "none"}


def unit_text(data_dir: str, command: Sequence[str], environment: Mapping[str, str], memory_bytes: int | None) -> str:
    """Return a systemd user unit that keeps an agent running. `memory_bytes` is the most that it may take."""
    lines = [
        "[Unit]",
        "Description=Partition Studio agent",
        "StartLimitIntervalSec=300",
        "StartLimitBurst=5",
        "",
        "[Service]",
        "Type=simple",
        f"WorkingDirectory={_escaped(data_dir)}",
        *(f"Environment={_word(f'{name}={value}')}" for name, value in sorted(environment.items())),
        f"ExecStart={' '.join(_word(word) for word in command)}",
        f"StandardOutput=append:{_escaped(data_dir)}/agent.log",
        f"StandardError=append:{_escaped(data_dir)}/agent.log",
        "UMask=0077",
        "NoNewPrivileges=yes",
        *([] if memory_bytes is None else [f"MemoryMax={memory_bytes}"]),
        "Restart=on-failure",
        "RestartSec=2",
        "TimeoutStopSec=15",
        "",
        "[Install]",
        "WantedBy=default.target",
    ]
    return "\n".join(lines) + "\n"


def script_text(data_dir: str, command: Sequence[str], environment: Mapping[str, str]) -> str:
    """Return the shell script by which cron starts an agent after a boot."""
    words = [f"{name}={value}" for name, value in sorted(environment.items())]
    started = shlex.join(["env", *words, *command])
    return f"umask 077\ncd {shlex.quote(data_dir)} || exit 1\nexec {started} >>agent.log 2>&1 </dev/null\n"


def _escaped(text: str) -> str:
    """Return a path as a unit takes it: no specifiers."""
    return text.replace("%", "%%")


def _word(text: str) -> str:
    """Return one word of a unit's command or environment, quoted; `$` and `%` mean themselves."""
    quoted = text.replace("\\", "\\\\").replace('"', '\\"').replace("%", "%%").replace("$", "$$")
    return f'"{quoted}"'
