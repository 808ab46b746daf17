"""What a device is, and whether the agent can run there.

`check_device` asks; `decide` judges the facts and does nothing else.
"""

import re
from dataclasses import dataclass
from importlib import resources
from typing import Literal

import msgspec

from partition_studio.errors import DeviceError
from partition_studio.fleet.connection import DeviceConnection
from partition_studio.fleet.errors import (
    BadAnswerError,
    DeviceFileError,
    DiskFullError,
    PythonMissingError,
    PythonTooOldError,
    UnsupportedPlatformError,
)
from partition_studio.fleet.text import clean_text, decode_clean

OLDEST_PYTHON = (3, 8)
NEWEST_PYTHON = (3, 14)

#: uname's names of the processors that ONNX Runtime has wheels for, and the wheel tag's name of each.
ARCHITECTURES = {"x86_64": "x86_64", "amd64": "x86_64", "aarch64": "aarch64", "arm64": "aarch64"}

#: The oldest C library that ONNX Runtime's wheels take, and the newest Python of those wheels; later Pythons need more.
OLDEST_GLIBC = (2, 27)
NEWEST_PYTHON_ON_OLDEST_GLIBC = (3, 10)

#: Wheels on their way and unpacked, for the largest lock. An installation knows its need exactly, and asks again.
NEEDED_DISK_BYTES = 350 * 1024 * 1024

#: Where the agent is installed already, only its log and small sub-models need room.
NEEDED_DISK_BYTES_INSTALLED = 16 * 1024 * 1024

_PROBE_S = 60.0

ReasonCode = Literal["python_missing", "python_too_old", "unsupported_platform", "disk_full", "noexec", "not_writable"]


@dataclass(frozen=True, slots=True)
class PythonFound:
    """A Python on the device."""

    path: str
    version: tuple[int, int, int]
    implementation: str
    bits: int


@dataclass(frozen=True, slots=True)
class Reason:
    """Why the agent cannot run there, for programs and for the person."""

    code: ReasonCode
    text: str


@dataclass(frozen=True, slots=True)
class DeviceFacts:
    """What the probe saw. Empty or None where it could not be told."""

    home: str
    base: str
    system: str
    machine: str
    bits: int | None
    libc: Literal["glibc", "musl", "unknown"]
    libc_version: tuple[int, int] | None
    os_release: str
    model: str
    pythons: tuple[PythonFound, ...]
    cores: float | None
    memory_total_bytes: int | None
    memory_available_bytes: int | None
    disk_free_bytes: int | None
    noexec: bool
    writable: bool
    has_release: bool
    addresses: tuple[str, ...]
    has_systemd_user: bool


@dataclass(frozen=True, slots=True)
class DeviceCheck:
    """The facts, the Python that the agent would use, and the verdict."""

    facts: DeviceFacts
    python: PythonFound | None
    verdict: Literal["ready", "cannot"]
    reasons: tuple[Reason, ...]


class _PythonFacts(msgspec.Struct):
    """The probe's one JSON line: limits keep a hostile device from filling our memory."""

    base: str
    has_release: bool
    cores: float
    model: str
    addresses: tuple[str, ...]
    has_systemd_user: bool
    memory_total_bytes: int | None
    memory_available_bytes: int | None
    disk_free_bytes: int
    noexec: bool
    writable: bool


def check_device(connection: DeviceConnection, base_dir: str = "") -> DeviceCheck:
    """Look at a device and judge it; `base_dir` is where the agent would go, by default below the user's home.

    Raises BadAnswerError when it answers nonsense, and what `DeviceConnection.run` raises.
    """
    package = resources.files("partition_studio.fleet")
    script = package.joinpath("probe.sh").read_text()
    python_script = package.joinpath("probe_script.py").read_text()
    # Single quotes keep a shell from reading anything; the variables travel on stdin, not in argv.
    head = f"PROBE={_quoted(python_script)}\nBASE={_quoted(base_dir)}\nexport PROBE BASE\n"
    answer = connection.run(["sh", "-s"], stdin=(head + script).encode(), timeout_s=_PROBE_S)
    said = decode_lines(answer.stdout)
    if "home" not in said:
        complaint = decode_clean(answer.stderr, limit=300) or f"status {answer.returncode}"
        raise BadAnswerError(f"{connection.label}: its shell does not run the check: {complaint}")
    return decide(parse_facts(said, connection.label))


def decode_lines(stdout: bytes) -> dict[str, list[str]]:
    """Return the probe's values by key, in order; lines that are not the probe's are skipped."""
    said: dict[str, list[str]] = {}
    for line in stdout.decode("utf-8", errors="replace").split("\n"):
        words = line.split("\t", 2)
        if len(words) == 3 and words[0] == "partition-studio":
            said.setdefault(words[1], []).append(clean_text(words[2], limit=16_384))
    return said


def parse_facts(said: dict[str, list[str]], label: str) -> DeviceFacts:
    """Make facts of what the probe said.

    Raises BadAnswerError.
    """

    def last(key: str) -> str:
        return said.get(key, [""])[-1]

    try:
        told = msgspec.json.decode(last("facts"), type=_PythonFacts) if last("facts") else None
    except msgspec.DecodeError as error:
        raise BadAnswerError(f"{label}: its Python answers the check with nonsense ({error})") from error
    libc, libc_version = _parse_libc(last("libc"))
    home = last("home")
    return DeviceFacts(
        home=home,
        base=told.base if told else f"{home}/.local/share/partition-studio",
        system=last("system"),
        machine=last("machine"),
        bits=_int(last("bits")),
        libc=libc,
        libc_version=libc_version,
        os_release=last("os_release")[:200],
        model=told.model[:200] if told else "",
        pythons=tuple(dict.fromkeys(found for text in said.get("python", [])[:64] if (found := _parse_python(text)))),
        cores=told.cores if told else _float(last("cores")),
        memory_total_bytes=told.memory_total_bytes if told else _int(last("memory_total_bytes")),
        memory_available_bytes=told.memory_available_bytes if told else None,
        disk_free_bytes=told.disk_free_bytes if told else _int(last("disk_free_bytes")),
        noexec=told.noexec if told else False,
        writable=told.writable if told else True,
        has_release=told.has_release if told else False,
        addresses=told.addresses[:32] if told else (),
        has_systemd_user=told.has_systemd_user if told else False,
    )


def decide(facts: DeviceFacts) -> DeviceCheck:
    """Judge the facts: which Python the agent would use, and every reason why it cannot run."""
    platform = _platform_reason(facts)
    python, python_reason = _choose_python(facts)
    reasons = [reason for reason in (platform, python_reason, *_folder_reasons(facts)) if reason is not None]
    return DeviceCheck(facts, python, "cannot" if reasons else "ready", tuple(reasons))


def require_ready(check: DeviceCheck, label: str) -> None:
    """Return when the agent can run there.

    Raises the DeviceError of the first reason, with all of them in its message.
    """
    if check.verdict == "ready":
        return
    errors: dict[ReasonCode, type[DeviceError]] = {
        "python_missing": PythonMissingError,
        "python_too_old": PythonTooOldError,
        "unsupported_platform": UnsupportedPlatformError,
        "disk_full": DiskFullError,
        "noexec": DeviceFileError,
        "not_writable": DeviceFileError,
    }
    texts = "; ".join(reason.text for reason in check.reasons)
    raise errors[check.reasons[0].code](f"{label} cannot run the agent: {texts}", path=check.facts.base)


def _platform_reason(facts: DeviceFacts) -> Reason | None:
    what: str | None = None
    if facts.system != "Linux":
        what = f"its system is {facts.system or 'unknown'}, and the agent runs on Linux"
    elif facts.bits == 32 or facts.machine.startswith(("armv6", "armv7", "i386", "i686")):
        what = f"its system is 32-bit ({facts.machine}), and ONNX Runtime has no package for it: install a 64-bit one"
    elif facts.machine not in ARCHITECTURES:
        what = f"ONNX Runtime has no package for the processor {facts.machine or 'unknown'}"
    elif facts.libc == "musl":
        what = "its C library is musl (Alpine), and ONNX Runtime needs glibc"
    elif facts.libc_version is None:
        what = "its C library cannot be told, and ONNX Runtime needs glibc"
    elif facts.libc_version < OLDEST_GLIBC:
        what = (
            f"its glibc is {_dotted(facts.libc_version)}, and ONNX Runtime needs {_dotted(OLDEST_GLIBC)} or later: "
            "install a newer system"
        )
    return None if what is None else Reason("unsupported_platform", what)


def _choose_python(facts: DeviceFacts) -> tuple[PythonFound | None, Reason | None]:
    """Choose the newest CPython that the lock covers; of equals, the one that came first on the path."""
    if not facts.pythons:
        return None, Reason("python_missing", "it has no Python 3")
    on_oldest = facts.libc_version is not None and facts.libc_version <= OLDEST_GLIBC
    newest = NEWEST_PYTHON_ON_OLDEST_GLIBC if on_oldest else NEWEST_PYTHON
    usable = [
        python
        for python in facts.pythons
        if python.implementation == "CPython" and python.bits == 64 and OLDEST_PYTHON <= python.version[:2] <= newest
    ]
    if usable:
        return max(usable, key=lambda python: python.version[:2]), None
    seen = ", ".join(
        f"{python.path} ({python.implementation} {_dotted(python.version)}, {python.bits}-bit)"
        for python in facts.pythons[:5]
    )
    wanted = f"64-bit CPython {_dotted(OLDEST_PYTHON)} to {_dotted(newest)}"
    return None, Reason("python_too_old", f"it needs a {wanted}, and has only {seen}")


def _folder_reasons(facts: DeviceFacts) -> list[Reason]:
    reasons = []
    needed = NEEDED_DISK_BYTES_INSTALLED if facts.has_release else NEEDED_DISK_BYTES
    if facts.disk_free_bytes is not None and facts.disk_free_bytes < needed:
        text = f"{facts.base} has {_mib(facts.disk_free_bytes)} free, and the agent needs {_mib(needed)}"
        reasons.append(Reason("disk_full", text))
    if facts.noexec:
        reasons.append(Reason("noexec", f"{facts.base} is on a file system mounted noexec"))
    if not facts.writable:
        reasons.append(Reason("not_writable", f"{facts.base} cannot be written by this user"))
    return reasons


def _parse_libc(text: str) -> tuple[Literal["glibc", "musl", "unknown"], tuple[int, int] | None]:
    if "musl" in text.lower():
        return "musl", None
    match = re.search(r"(?:glibc|GLIBC|GNU libc|ldd)\D{0,40}?(\d{1,3})\.(\d{1,3})", text)
    return ("glibc", (int(match[1]), int(match[2]))) if match else ("unknown", None)


def _parse_python(text: str) -> PythonFound | None:
    match = re.fullmatch(r"(\d{1,3})\.(\d{1,3})\.(\d{1,3}) (\w{1,32}) (\d{1,3}) (/.{1,4000})", text)
    if match is None:
        return None
    return PythonFound(match[6], (int(match[1]), int(match[2]), int(match[3])), match[4], int(match[5]))


def _quoted(text: str) -> str:
    return "'" + text.replace("'", "'\\''") + "'"


def _int(text: str) -> int | None:
    return int(text) if text.isascii() and text.isdigit() and len(text) < 20 else None


def _float(text: str) -> float | None:
    whole = _int(text)
    return None if whole is None else float(whole)


def _dotted(version: tuple[int, ...]) -> str:
    return ".".join(str(part) for part in version)


def _mib(count_bytes: int) -> str:
    return f"{count_bytes / 1024 / 1024:.0f} MiB"
