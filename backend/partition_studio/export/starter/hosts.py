# ruff: noqa: UP006, UP035, UP045 - this file runs on Python 3.8.
"""`hosts.json`: where each device of the plan is."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Dict, Optional, Sequence, Tuple

from partition_studio.export.starter.errors import UsageError

KEYS = ("ssh", "port", "address", "python", "cores")
_STEP = "Correct hosts.json; README.md says what may stand there."


@dataclass(frozen=True)
class Host:
    """One device.

    `ssh` is what one gives to `ssh` (`user@host` or an alias of one's own); `address` is where the other devices reach
    it; `cores` are those that its stages may use (empty: all).
    """

    name: str
    ssh: str
    port: Optional[int] = None
    address: Optional[str] = None
    python: Optional[str] = None
    cores: Tuple[int, ...] = ()


def read_hosts(path: Path, devices: Sequence[str]) -> Dict[str, Host]:
    """Return the host of each device of the plan. Raises UsageError."""
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
        entries = document["devices"]
        given = {str(name): dict(entry) for name, entry in entries.items()}
    except OSError as error:
        raise UsageError(
            f"{path} cannot be read: {error.strerror}", "Give the hosts' file with --hosts FILE."
        ) from error
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise UsageError(f"{path} is no hosts file: {error}", _STEP) from error
    missing = [name for name in devices if name not in given]
    if missing:
        raise UsageError(f"{path.name} does not say where {missing[0]!r} is", _STEP)
    return {name: _host(name, given[name]) for name in devices}


def _host(name: str, entry: Dict[str, Any]) -> Host:
    unknown = sorted(set(entry) - set(KEYS))
    if unknown:
        raise UsageError(f"{name}: {unknown[0]!r} is not one of {', '.join(KEYS)}", _STEP)
    target = entry.get("ssh") or name
    if not _is_word(target) or target.startswith("-"):
        raise UsageError(f"{name}: {target!r} is nothing that ssh connects to", _STEP)
    port, cores = entry.get("port"), entry.get("cores") or []
    if port is not None and not (isinstance(port, int) and 0 < port < 65536):
        raise UsageError(f"{name}: {port!r} is no port", _STEP)
    if not isinstance(cores, list) or not all(isinstance(core, int) and core >= 0 for core in cores):
        raise UsageError(f"{name}: {cores!r} is no list of cores such as [0, 1]", _STEP)
    for key in ("address", "python"):
        if entry.get(key) is not None and not _is_word(entry[key]):
            raise UsageError(f"{name}: {entry[key]!r} is no {key}", _STEP)
    return Host(name, target, port, entry.get("address"), entry.get("python"), tuple(cores))


def _is_word(value: object) -> bool:
    return isinstance(value, str) and value != "" and value.isprintable() and " " not in value
