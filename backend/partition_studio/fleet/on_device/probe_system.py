# ruff: noqa: UP006, UP035, UP045 - this file runs on the device, on Python 3.6.
"""What a device gives a process: cores, memory, addresses, a folder. Python 3.6, no packages.

`root` replaces `/` in the tests.
"""

import os
import re
import socket
import subprocess
from typing import Any, Dict, List, Optional, Tuple

#: cgroup v1 writes "no limit" as a number just below 2^63.
NO_LIMIT_BYTES = 1 << 60

MAX_ADDRESSES = 32

COMMAND_S = 5


def read(path: str) -> str:
    """Return the text of a small file, empty when it cannot be read."""
    try:
        with open(path, encoding="utf-8", errors="replace") as file:
            return file.read(65536)
    except OSError:
        return ""


def number(text: str) -> Optional[int]:
    """Return the integer that `text` is, if it is one."""
    try:
        return int(text.strip())
    except ValueError:
        return None


def cgroup_folders(root: str) -> List[Tuple[str, str]]:
    """Return (controllers, folder) for this process's cgroups, each folder and its ancestors up to the mount.

    `controllers` is empty for cgroup v2.
    """
    own = {}
    for line in read(root + "/proc/self/cgroup").splitlines():
        parts = line.split(":", 2)
        if len(parts) == 3:
            own[parts[1]] = parts[2]
    found = []
    for line in read(root + "/proc/self/mountinfo").splitlines():
        before, _, after = line.partition(" - ")
        fields, kind = before.split(), after.split()
        if len(fields) < 5 or len(kind) < 3 or kind[0] not in ("cgroup", "cgroup2"):
            continue
        for controllers, path in own.items():
            if kind[0] == "cgroup2":
                if controllers:
                    continue
            elif not controllers or not set(controllers.split(",")) <= set(kind[2].split(",")):
                continue
            mounted = fields[3].rstrip("/")
            inner = path[len(mounted) :] if path.startswith(mounted) else ""
            while True:
                found.append((controllers, root + fields[4] + inner.rstrip("/")))
                if not inner.strip("/"):
                    break
                inner = inner.rsplit("/", 1)[0]
    return found


def limits_known(root: str) -> bool:
    """Return whether the cgroups that govern this process's cores and memory can be read, where it is in any.

    Some containers and changed roots hide them: then no limit is seen, and there may be one all the same.
    """
    own = {}
    for line in read(root + "/proc/self/cgroup").splitlines():
        parts = line.split(":", 2)
        if len(parts) == 3:
            own[parts[1]] = parts[2]
    folders = cgroup_folders(root)
    for resource in ("cpu", "memory"):
        governing = next((controllers for controllers in own if resource in controllers.split(",")), "")
        if own.get(governing, "/") == "/":
            continue
        levels = [folder for controllers, folder in folders if controllers == governing]
        if not levels or not all(os.path.isdir(level) and os.access(level, os.R_OK | os.X_OK) for level in levels):
            return False
    return True


def cpu_quota(root: str) -> Optional[float]:
    """Return the number of cores that the cgroups allow, the least of all levels; None without a limit."""
    quotas = []
    for controllers, folder in cgroup_folders(root):
        if not controllers:
            words = read(folder + "/cpu.max").split()
            quota = number(words[0]) if words else None
            period = number(words[1]) if len(words) > 1 else None
        elif "cpu" in controllers.split(","):
            quota = number(read(folder + "/cpu.cfs_quota_us"))
            period = number(read(folder + "/cpu.cfs_period_us"))
        else:
            continue
        if quota is not None and period and quota > 0:
            quotas.append(quota / float(period))
    return min(quotas) if quotas else None


def memory_limit(root: str) -> Tuple[Optional[int], Optional[int]]:
    """Return (limit, available below it) in bytes by the tightest cgroup; None without a limit."""
    tightest: Tuple[Optional[int], Optional[int]] = (None, None)
    for controllers, folder in cgroup_folders(root):
        if not controllers:
            limit, used = number(read(folder + "/memory.max")), number(read(folder + "/memory.current"))
        elif "memory" in controllers.split(","):
            limit = number(read(folder + "/memory.limit_in_bytes"))
            used = number(read(folder + "/memory.usage_in_bytes"))
        else:
            continue
        if limit is None or limit >= NO_LIMIT_BYTES or (tightest[0] is not None and limit >= tightest[0]):
            continue
        match = re.search(r"^(?:total_)?inactive_file (\d+)$", read(folder + "/memory.stat"), re.M)
        reclaimable = int(match.group(1)) if match else 0
        tightest = (limit, max(0, limit - (used or 0) + reclaimable))
    return tightest


def meminfo(root: str, key: str) -> Optional[int]:
    """Return a line of /proc/meminfo in bytes."""
    match = re.search("^" + key + r":\s+(\d+) kB", read(root + "/proc/meminfo"), re.M)
    return int(match.group(1)) * 1024 if match else None


def memory(root: str) -> Dict[str, Optional[int]]:
    """Return the memory that this process may use, why, and what of it is free, in bytes."""
    total, available = meminfo(root, "MemTotal"), meminfo(root, "MemAvailable")
    limit, below_limit = memory_limit(root)
    totals = [value for value in (total, limit) if value is not None]
    frees = [value for value in (available, below_limit) if value is not None]
    return {
        "memory_total_bytes": min(totals) if totals else None,
        "memory_available_bytes": min(frees) if frees else None,
        "memory_physical_bytes": total,
        "memory_cgroup_bytes": limit,
    }


def cores(root: str) -> Dict[str, Any]:
    """Return the cores that this process may use, and its affinity and its cgroups' quota apart."""
    affinity, quota = len(os.sched_getaffinity(0)), cpu_quota(root)
    return {
        "cores": float(affinity) if quota is None else min(float(affinity), quota),
        "affinity_cores": affinity,
        "quota_cores": quota,
    }


def model(root: str) -> str:
    """Return what the board or machine calls itself."""
    for path in ("/proc/device-tree/model", "/sys/class/dmi/id/product_name"):
        text = read(root + path).strip("\0 \n")
        if text:
            return text
    match = re.search(r"^(?:Model|model name)\s*:\s*(.+)$", read(root + "/proc/cpuinfo"), re.M)
    return match.group(1).strip() if match else ""


def addresses(root: str) -> List[str]:
    """Return the device's own addresses, IPv4 first; loopback and link-local ones left out."""
    return (_ipv4(root) + _ipv6(root))[:MAX_ADDRESSES]


def _ipv4(root: str) -> List[str]:
    found: List[str] = []
    candidate = ""
    for line in read(root + "/proc/net/fib_trie").splitlines():
        match = re.search(r"\|-- (\d+\.\d+\.\d+\.\d+)", line)
        if match:
            candidate = match.group(1)
        elif "/32 host LOCAL" in line and not candidate.startswith(("127.", "169.254.")) and candidate not in found:
            found.append(candidate)
    return found


def _ipv6(root: str) -> List[str]:
    found: List[str] = []
    for line in read(root + "/proc/net/if_inet6").splitlines():
        fields = line.split()
        # Scope 0x10 is the loopback's, 0x20 link-local.
        if len(fields) == 6 and len(fields[0]) == 32 and fields[3] == "00":
            packed = socket.inet_ntop(socket.AF_INET6, bytes.fromhex(fields[0]))
            found.append(packed)
    return found


def folder_facts(base: str) -> Dict[str, Any]:
    """Return what can be done in BASE or its nearest parent that exists."""
    folder = base
    while not os.path.isdir(folder) and folder != os.path.dirname(folder):
        folder = os.path.dirname(folder)
    status = os.statvfs(folder)
    return {
        "base": base,
        "disk_free_bytes": status.f_bavail * status.f_frsize,
        "noexec": bool(status.f_flag & os.ST_NOEXEC),
        "writable": os.access(folder, os.W_OK | os.X_OK),
        "has_release": os.path.exists(os.path.join(base, "current", "complete")),
    }


def said(argv: List[str]) -> str:
    """Return what a command says, empty when it fails or takes more than some seconds."""
    try:
        done = subprocess.run(
            argv, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, timeout=COMMAND_S
        )
    except (OSError, subprocess.SubprocessError):
        return ""
    return done.stdout[:4096].decode("utf-8", "replace")
