"""The program by which a Raspberry Pi's firmware is asked."""

import os
import shutil
import subprocess
from pathlib import Path
from typing import NamedTuple, Optional, Sequence

from partition_agent.system import ROOT

_TIMEOUT_S = 2.0
_PLACES = ("usr/bin/vcgencmd", "opt/vc/bin/vcgencmd")


class Answer(NamedTuple):
    """What it printed, and whether it succeeded."""

    ok: bool
    text: str


def find_command(root: Path) -> Optional[str]:
    """Return the program's path, or None where there is none."""
    for place in _PLACES:
        if os.access(str(root / place), os.X_OK):
            return str(root / place)
    return shutil.which("vcgencmd") if root == ROOT else None


def ask(command: str, arguments: Sequence[str]) -> Answer:
    """Run it once."""
    try:
        # With `close_fds` the whole process would be forked; ours are all closed on exec anyway.
        done = subprocess.run(
            [command, *arguments],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            timeout=_TIMEOUT_S,
            close_fds=False,
        )
    except (OSError, subprocess.SubprocessError) as error:
        return Answer(False, str(error))
    return Answer(done.returncode == 0, done.stdout[:16384].decode("utf-8", "replace"))
