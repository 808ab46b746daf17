# ruff: noqa: UP006, UP035, UP045 - this file runs on the device, on Python 3.6.
"""What a device's own Python tells about it; sent there as text, so standard library and Python 3.6 only.

Usage: python - BASE [ROOT]. BASE is where the agent would be installed; ROOT replaces `/` for tests.
"""

import importlib
import json
import os
import platform
import sys
import time
from pathlib import Path
from typing import Any, Dict, List, Optional

from partition_studio.fleet.on_device import probe_accelerators, probe_hardware, probe_system

#: No list is longer, and no text: a device with a thousand sensors is told of in part.
MAX_ENTRIES = 64
MAX_TEXT = 500


def facts(base: str, root: str) -> Dict[str, Any]:
    """Return what a process gets there."""
    found: Dict[str, Any] = {
        "model": probe_system.model(root),
        "addresses": probe_system.addresses(root),
        "glibc": " ".join(platform.libc_ver()),
        "limits_known": probe_system.limits_known(root),
    }
    found.update(probe_system.cores(root))
    found.update(probe_system.memory(root))
    found.update(probe_system.folder_facts(base))
    return found


def hardware(root: str) -> Dict[str, Any]:
    """Return what the machine is made of, and how warm it is."""
    return {
        "cpu": probe_hardware.cpu(root),
        "thermal": probe_hardware.thermal(root),
        "accelerators": probe_accelerators.accelerators(root)[:MAX_ENTRIES],
    }


def power(root: str) -> Optional[List[Dict[str, object]]]:
    """Return the power sources as the agent's own readers see them; None where this Python is too old for them."""
    if sys.version_info < (3, 8):  # noqa: UP036 - the device's Python, not ours
        return None
    # By name: this file lies beside the studio's modules, and those import nothing of the agent but its wire.
    describe = importlib.import_module("partition_agent.power.describe").describe
    sources: List[Dict[str, object]] = describe(Path(root or "/"))
    return sources[:MAX_ENTRIES]


def autostart(root: str) -> Optional[Dict[str, Any]]:
    """Return what could start the agent after a reboot, as the installation sees it."""
    if sys.version_info < (3, 8) or root:
        return None
    # Not at the top: it is written for Python 3.8.
    from partition_studio.fleet.on_device.device_autostart import autostart_facts

    return autostart_facts()


def bounded(value: Any) -> Any:
    """Return `value` with its texts cut."""
    if isinstance(value, str):
        return value[:MAX_TEXT]
    if isinstance(value, dict):
        return {key: bounded(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [bounded(inner) for inner in value]
    return value


def tell(key: str, value: Any) -> None:
    """Print one line for the studio."""
    print("partition-studio\t{}\t{}".format(key, json.dumps(bounded(value))), flush=True)  # noqa: T201, UP032


def main() -> None:
    """Print every fact; what cannot be looked at is said, and the rest told all the same."""
    base = sys.argv[1] or os.path.expanduser("~/.local/share/partition-studio")
    root = sys.argv[2] if len(sys.argv) > 2 else ""
    tell("facts", facts(base, root))
    for key, look in (("hardware", hardware), ("power", power), ("autostart", autostart)):
        try:
            tell(key, look(root))
        except Exception as error:  # Boundary: a board that nobody foresaw must not hide what else is known of it.
            tell(key + "_failed", "{}: {}".format(type(error).__name__, error))  # noqa: UP032
    tell("clock", time.time())


if __name__ == "__main__":
    main()
