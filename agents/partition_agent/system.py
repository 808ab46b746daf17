"""What the device gives this process: cores, memory, time. Read from /proc and /sys; `root` is where those lie.

Inside a container or a slice of a desktop session the machine's totals mislead: what counts is what may be used.
"""

import hashlib
import os
import time
from pathlib import Path
from typing import Dict, List, NamedTuple, Optional, Sequence, Tuple

ROOT = Path("/")

#: A cgroup limit above this is how version 1 says that there is none.
_NO_LIMIT_BYTES = 1 << 60


def read_text(path: Path) -> Optional[str]:
    """Return a small file's text, or None when it cannot be read."""
    try:
        with open(path, encoding="utf-8", errors="replace") as file:
            return file.read(65536).strip()
    except OSError:
        return None


def read_int(path: Path) -> Optional[int]:
    """Return the number in a file, or None when there is none."""
    try:
        return int(read_text(path) or "")
    except ValueError:
        return None


def board_model(root: Path = ROOT) -> str:
    """Return what the board's device tree calls it, empty where there is none."""
    return (read_text(root / "proc/device-tree/model") or "").strip("\0 \n")


def _cgroup_folders(root: Path, controller: str) -> List[Path]:
    """Return this process's folders of a controller, its own first, then those around it; version 2, then 1."""
    groups = dict.fromkeys(_cgroup_lines(root))
    folders: List[Path] = []
    for names, path in groups:
        if names == "":
            base = root / "sys/fs/cgroup"
        elif controller in names.split(","):
            base = root / "sys/fs/cgroup" / controller
        else:
            continue
        parts = [part for part in path.split("/") if part not in ("", "..")]
        # In a container the path may be that outside of it, where only the base is to be seen.
        folders += [base.joinpath(*parts[:length]) for length in range(len(parts), -1, -1)]
    return folders


def _cgroup_lines(root: Path) -> List[Tuple[str, str]]:
    lines = (read_text(root / "proc/self/cgroup") or "0::/").splitlines()
    return [(fields[1], fields[2]) for fields in (line.split(":", 2) for line in lines) if len(fields) == 3]


def memory_limit_bytes(root: Path = ROOT) -> int:
    """Return the memory that this process may use: the least of its cgroups' limits and the machine's memory."""
    limits = [_physical_bytes(root)]
    for folder in _cgroup_folders(root, "memory"):
        for name in ("memory.max", "memory.limit_in_bytes"):
            value = read_int(folder / name)
            if value is not None and 0 < value < _NO_LIMIT_BYTES:
                limits.append(value)
    return min(limits)


def _physical_bytes(root: Path) -> int:
    for line in (read_text(root / "proc/meminfo") or "").splitlines():
        if line.startswith("MemTotal:"):
            return int(line.split()[1]) * 1024
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")


def cpu_quota_cores(root: Path = ROOT) -> Optional[float]:
    """Return the cores that the cgroups' quota allows, or None when there is no quota."""
    quotas = []
    for folder in _cgroup_folders(root, "cpu"):
        fields = (read_text(folder / "cpu.max") or "").split()
        if len(fields) == 2 and fields[0].isdigit() and int(fields[1]) > 0:
            quotas.append(int(fields[0]) / int(fields[1]))
        quota, period = read_int(folder / "cpu.cfs_quota_us"), read_int(folder / "cpu.cfs_period_us")
        if quota is not None and period is not None and quota > 0 and period > 0:
            quotas.append(quota / period)
    return min(quotas, default=None)


def usable_cores(affinity: Sequence[int], root: Path = ROOT) -> float:
    """Return how many cores' worth of time this process may take."""
    quota = cpu_quota_cores(root)
    return min(float(len(affinity)), quota) if quota is not None else float(len(affinity))


def cgroup_cpu_s(root: Path = ROOT) -> Optional[float]:
    """Return the CPU time that the cgroup with the quota has taken, or None when it does not say."""
    for folder in _cgroup_folders(root, "cpu"):
        for line in (read_text(folder / "cpu.stat") or "").splitlines():
            if line.startswith("usage_usec "):
                return int(line.split()[1]) / 1e6
    for folder in _cgroup_folders(root, "cpuacct"):
        usage_ns = read_int(folder / "cpuacct.usage")
        if usage_ns is not None:
            return usage_ns / 1e9
    return None


def core_times(root: Path = ROOT) -> Dict[int, Tuple[int, int]]:
    """Return for each core its busy and total time in ticks since boot."""
    times = {}
    for line in (read_text(root / "proc/stat") or "").splitlines():
        name, _, rest = line.partition(" ")
        if name.startswith("cpu") and name[3:].isdigit():
            # user nice system idle iowait irq softirq steal; guest time is in user already.
            ticks = [int(field) for field in rest.split()[:8]]
            times[int(name[3:])] = (sum(ticks) - sum(ticks[3:5]), sum(ticks))
    return times


class CpuMeter:
    """Utilisation of the usable cores between two calls."""

    def __init__(self, affinity: Sequence[int], root: Path = ROOT) -> None:
        self._affinity, self._root = tuple(affinity), root
        self._quota = cpu_quota_cores(root)
        self._limited = self._quota is not None and self._quota < len(self._affinity)
        self._cores = core_times(root)
        self._cgroup_s, self._at_s = cgroup_cpu_s(root), time.monotonic()
        #: How busy each usable core was between the last two calls, 0 to 1, by anybody.
        self.busy: Dict[int, float] = {}

    def utilisation(self, now_s: float) -> Optional[float]:
        """Return the share of the usable cores' time that was used since the last call, 0 to 1; None if unknown."""
        of_cores = self._of_cores()
        share = self._of_quota(now_s) if self._limited else of_cores
        return None if share is None else min(max(share, 0.0), 1.0)

    def _of_quota(self, now_s: float) -> Optional[float]:
        used_s, before_s = cgroup_cpu_s(self._root), self._cgroup_s
        span_s = now_s - self._at_s
        self._cgroup_s, self._at_s = used_s, now_s
        if used_s is None or before_s is None or self._quota is None or span_s <= 0:
            return None
        return (used_s - before_s) / (span_s * self._quota)

    def _of_cores(self) -> Optional[float]:
        before, self._cores = self._cores, core_times(self._root)
        mine = [core for core in self._affinity if core in before and core in self._cores]
        busy = {core: self._cores[core][0] - before[core][0] for core in mine}
        total = {core: self._cores[core][1] - before[core][1] for core in mine}
        self.busy = {core: busy[core] / total[core] for core in mine if total[core] > 0}
        whole = sum(total.values())
        return sum(busy.values()) / whole if whole > 0 else None


class ProcessMemory(NamedTuple):
    """Memory of this process in bytes.

    `pss` shares out what several processes map, `uss` is what no other maps (None: the kernel is too old).
    """

    pss_bytes: Optional[int]
    uss_bytes: Optional[int]
    rss_bytes: int
    peak_bytes: int


def process_memory(root: Path = ROOT) -> ProcessMemory:
    """Return the memory of this process."""
    status = _kilobytes(root / "proc/self/status")
    rollup = _kilobytes(root / "proc/self/smaps_rollup")
    own = [value for name, value in rollup.items() if name.startswith("Private_")]
    return ProcessMemory(rollup.get("Pss"), sum(own) if own else None, status.get("VmRSS", 0), status.get("VmHWM", 0))


def anonymous_bytes(root: Path = ROOT) -> Optional[int]:
    """Return how much memory of this process no file is behind; None where the kernel does not say."""
    return _kilobytes(root / "proc/self/status").get("RssAnon")


def mapped_bytes(file: Path, root: Path = ROOT) -> int:
    """Return how much of a file this process has in memory through mappings of it."""
    held, inside = 0, False
    try:
        with open(root / "proc/self/smaps", encoding="utf-8", errors="replace") as smaps:
            for line in smaps:
                fields = line.split(None, 5)
                if "-" in fields[0] and not fields[0].endswith(":"):
                    inside = len(fields) == 6 and fields[5].rstrip("\n") == str(file)
                elif inside and fields[0] == "Rss:":
                    held += int(fields[1]) * 1024
    except OSError:
        return 0
    return held


def processor_identity(root: Path = ROOT) -> str:
    """Return what tells processors apart that compute differently: machine, models and instruction sets."""
    lines = set()
    for line in (read_text(root / "proc/cpuinfo") or "").splitlines():
        name, _, value = line.partition(":")
        if name.strip() in ("model name", "flags", "Features", "CPU implementer", "CPU part", "CPU variant", "isa"):
            lines.add(f"{name.strip()}={value.strip()}")
    text = "\n".join((os.uname().machine, *sorted(lines)))
    return hashlib.sha256(text.encode()).hexdigest()


def cgroup_peak_file(root: Path = ROOT) -> Optional[Path]:
    """Return where the highest memory use of this process's control group stands, the page cache in it, or None."""
    for folder in _cgroup_folders(root, "memory"):
        for name in ("memory.peak", "memory.max_usage_in_bytes"):
            if read_int(folder / name) is not None:
                return folder / name
    return None


def cgroup_peak_bytes(root: Path = ROOT) -> Optional[int]:
    """Return the highest memory use of this process's control group, the page cache in it; None if unknown."""
    file = cgroup_peak_file(root)
    return None if file is None else read_int(file)


def gpu_shares_memory(root: Path = ROOT) -> bool:
    """Return whether the GPU works in the same memory as the processor (NVIDIA Tegra, as on a Jetson)."""
    return (root / "etc/nv_tegra_release").exists() or "nvidia,tegra" in (
        read_text(root / "proc/device-tree/compatible") or ""
    )


def boot_id(root: Path = ROOT) -> str:
    """Return what the kernel calls this run of itself, empty where it does not say."""
    return read_text(root / "proc/sys/kernel/random/boot_id") or ""


class MemoryMeter:
    """Memory of this process; what is expensive to ask is asked more rarely the longer it takes."""

    #: The kernel walks every page for PSS: no more than this share of the time goes into it.
    _SHARE = 0.0005

    def __init__(self, root: Path = ROOT) -> None:
        self._root = root
        self._memory: Optional[ProcessMemory] = None
        self._next_s = 0.0

    def read(self, now_s: float) -> ProcessMemory:
        """Return the memory now; PSS and USS may be older by some seconds in a large process."""
        if self._memory is None or now_s >= self._next_s:
            begin_s = time.thread_time()
            self._memory = process_memory(self._root)
            self._next_s = now_s + (time.thread_time() - begin_s) / self._SHARE
            return self._memory
        status = _kilobytes(self._root / "proc/self/status")
        return self._memory._replace(rss_bytes=status.get("VmRSS", 0), peak_bytes=status.get("VmHWM", 0))


def _kilobytes(path: Path) -> Dict[str, int]:
    values = {}
    for line in (read_text(path) or "").splitlines():
        name, _, rest = line.partition(":")
        fields = rest.split()
        if len(fields) == 2 and fields[1] == "kB" and fields[0].isdigit():
            values[name] = int(fields[0]) * 1024
    return values


def process_start_ticks(pid: int, root: Path = ROOT) -> Optional[int]:
    """Return when a process started, in clock ticks since boot; None when it is gone or a zombie."""
    fields = (read_text(root / "proc" / str(pid) / "stat") or "").rpartition(")")[2].split()
    return int(fields[19]) if len(fields) > 19 and fields[0] not in "ZX" else None
