"""Processor time of processes and of their threads, from /proc: what a wall clock cannot tell on a busy machine."""

import os
import resource
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

_TICKS_PER_S = os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True, slots=True)
class Usage:
    """Running totals of one process: seconds in its own code and in the kernel, switches, page faults.

    `threads` has the seconds of each thread that lives now, by number and name.
    """

    user_s: float
    system_s: float
    voluntary: int
    involuntary: int
    faults: int
    threads: Mapping[str, float]

    @property
    def cpu_s(self) -> float:
        """Seconds of processor time."""
        return self.user_s + self.system_s

    def since(self, before: "Usage") -> "Usage":
        """Return what was added since."""
        return Usage(
            self.user_s - before.user_s,
            self.system_s - before.system_s,
            self.voluntary - before.voluntary,
            self.involuntary - before.involuntary,
            self.faults - before.faults,
            {name: seconds - before.threads.get(name, 0.0) for name, seconds in self.threads.items()},
        )

    def per(self, frames: int) -> "Usage":
        """Return the share of one frame; counts are rounded."""
        return Usage(
            self.user_s / frames,
            self.system_s / frames,
            round(self.voluntary / frames),
            round(self.involuntary / frames),
            round(self.faults / frames),
            {name: seconds / frames for name, seconds in self.threads.items()},
        )


def _exact_s(task: Path) -> float:
    """Return a thread's seconds on a processor, in nanoseconds' resolution where the kernel tells."""
    try:
        return int((task / "schedstat").read_text().split()[0]) / 1e9
    except (OSError, ValueError, IndexError):
        fields = (task / "stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / _TICKS_PER_S


def _switches(task: Path) -> tuple[int, int]:
    lines = dict(line.split(":", 1) for line in (task / "status").read_text().splitlines() if ":" in line)
    return int(lines.get("voluntary_ctxt_switches", 0)), int(lines.get("nonvoluntary_ctxt_switches", 0))


def usage_of(pid: int) -> Usage:
    """Return the totals of a process that lives. Threads that have ended count in the seconds, not by name."""
    folder = Path(f"/proc/{pid}")
    fields = (folder / "stat").read_text().rpartition(")")[2].split()
    threads: dict[str, float] = {}
    voluntary = involuntary = 0
    for task in sorted((folder / "task").iterdir()):
        try:
            name = (task / "comm").read_text().strip()
            threads[f"{task.name} {name}"] = _exact_s(task)
            switches = _switches(task)
        except OSError:
            # It ended meanwhile.
            continue
        voluntary, involuntary = voluntary + switches[0], involuntary + switches[1]
    exact_s = sum(threads.values())
    user, system = int(fields[11]) / _TICKS_PER_S, int(fields[12]) / _TICKS_PER_S
    # The kernel splits the exact time between user and system by its ticks.
    scale = exact_s / (user + system) if user + system > 0 else 1.0
    return Usage(user * scale, system * scale, voluntary, involuntary, int(fields[7]) + int(fields[9]), threads)


def pss_bytes(pid: int) -> int:
    """Return a process's proportional set size."""
    for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
        if line.startswith("Pss:"):
            return int(line.split()[1]) * 1024
    return resource.getpagesize() * int(Path(f"/proc/{pid}/statm").read_text().split()[1])
