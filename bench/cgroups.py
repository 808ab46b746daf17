"""A share of a core for one process: a CPU quota of a control group, version 1 or 2."""

import os
import sys
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

ROOT = Path("/sys/fs/cgroup")

#: Short, so that a device is slow all the time: with the usual 100 ms it is fast, then stands still.
PERIOD_US = 10_000

#: The kernel takes no quota below this.
_MIN_QUOTA_US = 1_000

#: Moves itself into the group before it becomes the program: the program sees its quota from its first moment.
_ENTER = 'echo $$ > "$0" && exec "$@"'


class NoQuotaError(Exception):
    """Quotas cannot be set here; the message says why and is for the person."""


def _base() -> tuple[Path, int]:
    """Return where groups with a CPU quota can be made, and the version of control groups."""
    if (ROOT / "cpu" / "cpu.cfs_quota_us").exists() or (ROOT / "cpu" / "tasks").exists():
        return ROOT / "cpu", 1
    for folder in (ROOT, ROOT / "unified"):
        if (folder / "cgroup.controllers").exists():
            own = next(
                (line[3:] for line in Path("/proc/self/cgroup").read_text().splitlines() if line[:3] == "0::"), "/"
            )
            for place in (folder / own.strip("/"), folder):
                children = place / "cgroup.subtree_control"
                if children.exists() and "cpu" in children.read_text().split():
                    return place, 2
            raise NoQuotaError(
                f"the cpu controller is not enabled for groups below {folder}: see cgroup.subtree_control"
            )
    raise NoQuotaError(f"there are no control groups below {ROOT}")


class QuotaGroup:
    """A group whose processes together get `cores` cores' worth of time. Removed at the end, when they have ended."""

    def __init__(self, name: str, cores: float, period_us: int = PERIOD_US) -> None:
        """Make the group. Raises NoQuotaError."""
        if cores <= 0:
            raise ValueError("a quota is above 0")
        base, self._version = _base()
        self.cores = cores
        self._folder = base / f"partition-bench-{os.getpid()}-{name}"
        quota_us = round(cores * period_us)
        if quota_us < _MIN_QUOTA_US:
            period_us = round(period_us * _MIN_QUOTA_US / quota_us)
            quota_us = _MIN_QUOTA_US
        try:
            self._folder.mkdir()
            if self._version == 1:
                (self._folder / "cpu.cfs_period_us").write_text(str(period_us))
                (self._folder / "cpu.cfs_quota_us").write_text(str(quota_us))
            else:
                (self._folder / "cpu.max").write_text(f"{quota_us} {period_us}")
        except OSError as error:
            self.close()
            raise NoQuotaError(
                f"no quota can be set in {base} ({error.strerror}): run as root, or have the group delegated"
            ) from error

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def command(self, argv: Sequence[str]) -> list[str]:
        """Return the command that runs `argv` inside the group."""
        return ["/bin/sh", "-c", _ENTER, str(self._folder / "cgroup.procs"), *argv]

    def throttled(self) -> tuple[int, float]:
        """Return in how many periods the group was stopped, and for how many seconds in all."""
        fields = dict(line.split() for line in (self._folder / "cpu.stat").read_text().splitlines())
        seconds = (
            int(fields["throttled_time"]) / 1e9 if "throttled_time" in fields else int(fields["throttled_usec"]) / 1e6
        )
        return int(fields["nr_throttled"]), seconds

    def close(self) -> None:
        """Remove the group; one that still has processes stays, and is told of."""
        try:
            self._folder.rmdir()
        except FileNotFoundError:
            return
        except OSError as error:
            print(f"the control group {self._folder} could not be removed: {error.strerror}", file=sys.stderr)


def why_not() -> str | None:
    """Return why quotas cannot be set here, or None where they can."""
    try:
        with QuotaGroup("try", 0.5):
            return None
    except NoQuotaError as error:
        return str(error)
