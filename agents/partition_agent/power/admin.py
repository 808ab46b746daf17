"""The one step by which an administrator would open a sensor. It is shown, never run."""

import grp
import os
import pwd
import re
from pathlib import Path
from typing import Tuple

_PLAIN = re.compile(r"[A-Za-z_][A-Za-z0-9_-]*")


def own_group() -> str:
    """Return the name of this user's group, or its number where the name would need quotes."""
    try:
        name = grp.getgrgid(os.getgid()).gr_name
    except KeyError:
        name = ""
    return name if _PLAIN.fullmatch(name) else str(os.getgid())


def own_user() -> str:
    """Return this user's name, or a stand-in for it where it would need quotes."""
    try:
        name = pwd.getpwuid(os.getuid()).pw_name
    except KeyError:
        name = ""
    return name if _PLAIN.fullmatch(name) else '"$USER"'


def open_rapl(root: Path) -> Tuple[str, str]:
    """Return the command that lets this user's group read RAPL, and what that lays open."""
    group = own_group()
    files = "/sys/class/powercap/intel-rapl:*/"
    exposes = (
        f"Whatever runs as group {group} can then read the processor's energy counters. From them a program on the "
        "same device can infer what others compute, keys included (PLATYPUS, CVE-2020-8694)."
    )
    if (root / "run/systemd/system").is_dir():
        rule = "/etc/tmpfiles.d/partition-studio-rapl.conf"
        lines = "\\n".join(f"z {files}{name} 0440 root {group} - -" for name in ("energy_uj", "max_energy_range_uj"))
        return f"sudo sh -c 'printf \"{lines}\\n\" > {rule} && systemd-tmpfiles --create {rule}'", exposes
    both = f"{files}energy_uj {files}max_energy_range_uj"
    return f"sudo sh -c 'chgrp {group} {both} && chmod 0440 {both}'", exposes + " It lasts until the next boot."


def open_file(path: Path) -> Tuple[str, str]:
    """Return the command that lets this user's group read one file of /sys, and what that lays open."""
    group = own_group()
    command = f"sudo sh -c 'chgrp {group} {path} && chmod g+r {path}'"
    return command, f"Whatever runs as group {group} can then read this sensor. It lasts until the next boot."


def join_video() -> Tuple[str, str]:
    """Return the command that lets this user ask a Raspberry Pi's firmware, and what that lays open."""
    return (
        f"sudo usermod -aG video {own_user()}",
        "The user can then talk to the firmware (/dev/vcio) and use camera and display; it holds from the next login.",
    )
