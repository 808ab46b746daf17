"""From the probe's lines to facts. What a device says is bounded, cleaned, and believed only where it can be so."""

import math
import re
from dataclasses import dataclass
from typing import Literal, cast, get_args

import msgspec

from partition_studio.fleet.check.facts import (
    Accelerator,
    DeviceFacts,
    PowerMethod,
    PowerScope,
    PowerSource,
    PythonFound,
    Thermal,
)
from partition_studio.fleet.errors import BadAnswerError
from partition_studio.fleet.install.autostart import AutostartFacts
from partition_studio.fleet.text import clean_text

#: No line of the probe is longer; the longest holds the power sources.
_LINE = 64 * 1024

#: No list is longer.
_ENTRIES = 64

#: A text of a device in a table or a sentence.
_TEXT = 200

_THROTTLING = ("under_voltage", "capped", "throttled", "soft_limit")

#: A clock further off than this says nothing but that it was never set.
_MAX_OFFSET_S = 1e10


@dataclass(frozen=True, slots=True)
class Clock:
    """The studio's time (seconds since 1970) when it asked, and when it had the whole answer."""

    sent_s: float
    answered_s: float

    def offset(self, readings: list[tuple[float, float]]) -> tuple[float | None, float | None]:
        """Return how much later the device's clock is than the studio's, and to plus or minus what that is known.

        Each reading is (seconds, resolution), taken at some time between question and answer: it bounds the offset
        from both sides, and all of them together do so most tightly.
        """
        if not readings:
            return None, None
        lower = max(read_s - self.answered_s for read_s, _ in readings)
        upper = min(read_s + resolution_s - self.sent_s for read_s, resolution_s in readings)
        return (lower + upper) / 2, abs(upper - lower) / 2


class _Told(msgspec.Struct):
    """What a Python there says of itself and its surroundings."""

    base: str
    has_release: bool
    cores: float
    model: str
    addresses: tuple[str, ...]
    memory_total_bytes: int | None
    memory_available_bytes: int | None
    disk_free_bytes: int
    noexec: bool
    writable: bool
    glibc: str = ""
    affinity_cores: int | None = None
    quota_cores: float | None = None
    memory_physical_bytes: int | None = None
    memory_cgroup_bytes: int | None = None
    limits_known: bool = True


class _Cpu(msgspec.Struct):
    vendor: str
    flags: tuple[str, ...] | None


class _Thermal(msgspec.Struct):
    temperature_c: float | None
    throttled: tuple[str, ...]
    throttled_before: tuple[str, ...]
    frequency_ratio: float | None


class _Accelerator(msgspec.Struct):
    kind: str
    name: str
    detail: str


class _Hardware(msgspec.Struct):
    cpu: _Cpu
    thermal: _Thermal
    accelerators: tuple[_Accelerator, ...]


class _Power(msgspec.Struct):
    source: str
    scope: str
    method: str
    usable: bool
    detail: str = ""
    admin_command: str | None = None
    admin_exposes: str | None = None


def decode_lines(stdout: bytes) -> dict[str, list[str]]:
    """Return the probe's values by key, in order; lines that are not the probe's are skipped."""
    said: dict[str, list[str]] = {}
    for line in stdout.decode("utf-8", errors="replace").split("\n"):
        words = line.split("\t", 2)
        if len(words) == 3 and words[0] == "partition-studio":
            values = said.setdefault(words[1][:40], []) if len(said) < _ENTRIES else said.get(words[1], [])
            if len(values) < _ENTRIES:
                values.append(clean_text(words[2], limit=_LINE))
    return said


def parse_facts(said: dict[str, list[str]], label: str, clock: Clock | None = None) -> DeviceFacts:
    """Make facts of what the probe said; `clock` is the studio's time around it.

    Raises BadAnswerError.
    """

    def last(key: str) -> str:
        return said.get(key, [""])[-1]

    try:
        told = msgspec.json.decode(last("facts"), type=_Told) if last("facts") else None
        hardware = msgspec.json.decode(last("hardware"), type=_Hardware) if last("hardware") else None
        autostart = msgspec.json.decode(last("autostart"), type=AutostartFacts | None) if last("autostart") else None
        power = msgspec.json.decode(last("power"), type=tuple[_Power, ...] | None) if last("power") else None
    except (msgspec.DecodeError, RecursionError) as error:
        raise BadAnswerError(f"{label}: its Python answers the check with nonsense ({error})") from error
    libc, libc_version, musl_version = _parse_libc(
        "musl" if last("musl_loader") and not last("libc") else last("libc") or (told.glibc if told else "")
    )
    home = last("home")
    offset_s, uncertainty_s = clock.offset(_clock_readings(said)) if clock else (None, None)
    is_sane_clock = offset_s is not None and abs(offset_s) < _MAX_OFFSET_S
    common = {
        "home": home,
        "system": _text(last("system")),
        "machine": _text(last("machine")),
        "kernel": _text(last("kernel")),
        "bits": _bits(last("bits"), last("elf_class")),
        "libc": libc,
        "libc_version": libc_version,
        "musl_version": musl_version,
        "os_release": _text(last("os_release")),
        "pythons": tuple(dict.fromkeys(found for text in said.get("python", []) if (found := _parse_python(text)))),
        "broken_pythons": tuple(_text(path) for path in said.get("python_broken", [])[:8]),
        "clock_offset_s": offset_s if is_sane_clock else None,
        "clock_uncertainty_s": uncertainty_s if is_sane_clock else None,
    }
    if told is None:
        return DeviceFacts(**common, **_of_shell(said))  # type: ignore[arg-type]  # two parts of one record
    return DeviceFacts(
        **common,  # type: ignore[arg-type]  # two parts of one record
        base=clean_text(told.base, limit=4096),
        model=_text(told.model),
        cores=_number(told.cores, 0, 1e5),
        affinity_cores=_count(told.affinity_cores),
        quota_cores=_number(told.quota_cores, 0, 1e5),
        memory_total_bytes=_count(told.memory_total_bytes),
        memory_available_bytes=_count(told.memory_available_bytes),
        memory_physical_bytes=_count(told.memory_physical_bytes),
        memory_cgroup_bytes=_count(told.memory_cgroup_bytes),
        limits_known=told.limits_known,
        disk_free_bytes=_count(told.disk_free_bytes),
        noexec=told.noexec,
        writable=told.writable,
        has_release=told.has_release,
        addresses=tuple(_text(address) for address in told.addresses[:32]),
        autostart=autostart,
        cpu_vendor=_text(hardware.cpu.vendor) if hardware else "",
        cpu_flags=frozenset(map(_text, hardware.cpu.flags)) if hardware and hardware.cpu.flags is not None else None,
        accelerators=_accelerators(hardware) if hardware else (),
        thermal=_thermal(hardware.thermal) if hardware else None,
        power_sources=None if power is None else tuple(_power(entry) for entry in power[:_ENTRIES]),
    )


def _of_shell(said: dict[str, list[str]]) -> dict[str, object]:
    """Return the rest of the facts where no Python was there to tell them."""

    def last(key: str) -> str:
        return said.get(key, [""])[-1]

    memory = _count(_int(last("memory_total_bytes")))
    cores = _int(last("cores"))
    return {
        "base": f"{last('home')}/.local/share/partition-studio",
        "model": _text(last("model")),
        "cores": _number(float(cores), 0, 1e5) if cores is not None else None,
        "affinity_cores": cores,
        "memory_total_bytes": memory,
        "memory_physical_bytes": memory,
        "memory_available_bytes": _count(_int(last("memory_available_bytes"))),
        # A shell alone does not look at control groups.
        "limits_known": False,
        "disk_free_bytes": _count(_int(last("disk_free_bytes"))),
        "noexec": False,
        "writable": last("writable") != "0",
        "has_release": False,
        "addresses": tuple(last("addresses").split()[:32]),
    }


def _clock_readings(said: dict[str, list[str]]) -> list[tuple[float, float]]:
    """Return the device's readings of its clock, each with its resolution in seconds."""
    readings = []
    for key in ("clock_begin", "clock", "clock_end"):
        match = re.match(r"(\d{1,12})(\.\d{1,9})?", said.get(key, [""])[-1])
        if match:
            readings.append((float(match[0]), 0.0 if match[2] else 1.0))
    return readings


def _accelerators(hardware: _Hardware) -> tuple[Accelerator, ...]:
    return tuple(
        Accelerator(_text(entry.kind), _text(entry.name), _text(entry.detail))
        for entry in hardware.accelerators[:_ENTRIES]
    )


def _thermal(told: _Thermal) -> Thermal:
    return Thermal(
        temperature_c=_number(told.temperature_c, -60, 200),
        throttled=tuple(name for name in _THROTTLING if name in told.throttled),
        throttled_before=tuple(name for name in _THROTTLING if name in told.throttled_before),
        frequency_ratio=_number(told.frequency_ratio, 0, 1),
    )


def _power(told: _Power) -> PowerSource:
    """Make a source of what was said; what is said in words that nobody knows is a source that cannot be used."""
    is_known = told.scope in get_args(PowerScope) and told.method in get_args(PowerMethod)
    return PowerSource(
        source=_text(told.source),
        scope=cast(PowerScope, told.scope) if told.scope in get_args(PowerScope) else "model",
        method=cast(PowerMethod, told.method) if told.method in get_args(PowerMethod) else "estimated",
        usable=told.usable and is_known,
        detail=clean_text(told.detail, limit=500),
        admin_command=clean_text(told.admin_command or "", limit=500),
        admin_exposes=clean_text(told.admin_exposes or "", limit=500),
    )


def _parse_libc(text: str) -> tuple[Literal["glibc", "musl", "unknown"], tuple[int, int] | None, str]:
    if "musl" in text.lower():
        version = re.search(r"\d{1,3}(?:\.\d{1,3}){1,2}", text)
        return "musl", None, version[0] if version else ""
    match = re.search(r"(?:glibc|GLIBC|GNU libc|ldd)\D{0,40}?(\d{1,3})\.(\d{1,3})", text)
    return ("glibc", (int(match[1]), int(match[2])), "") if match else ("unknown", None, "")


def _parse_python(text: str) -> PythonFound | None:
    match = re.fullmatch(r"(\d{1,3})\.(\d{1,3})\.(\d{1,3}) (\w{1,32}) (\d{1,3}) (/.{1,4000})", text)
    if match is None:
        return None
    return PythonFound(match[6], (int(match[1]), int(match[2]), int(match[3])), match[4], int(match[5]))


def _bits(long_bit: str, elf_class: str) -> int | None:
    """Return the word size of the programs there: below a 64-bit kernel they may be 32-bit."""
    by_loader = {"1": 32, "2": 64}.get(elf_class)
    by_getconf = _int(long_bit)
    sizes = [size for size in (by_loader, by_getconf) if size in (32, 64)]
    return min(sizes) if sizes else None


def _text(text: str) -> str:
    return clean_text(text, limit=_TEXT)


def _int(text: str) -> int | None:
    return int(text) if text.isascii() and text.isdigit() and len(text) < 20 else None


def _count(value: int | None) -> int | None:
    return value if value is not None and 0 <= value < 1 << 62 else None


def _number(value: float | None, low: float, high: float) -> float | None:
    return value if value is not None and math.isfinite(value) and low <= value <= high else None
