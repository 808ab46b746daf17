"""The verdict over a device is a function of its facts."""

import dataclasses
import json
import sys
from pathlib import Path

import onnxruntime
import pytest

from partition_studio.fleet.check.check import (
    CpuTooOldError,
    DeviceFacts,
    PythonFound,
    check_device,
    decide,
    decode_lines,
    parse_facts,
    require_ready,
)
from partition_studio.fleet.check.facts import Accelerator, PowerSource, Thermal
from partition_studio.fleet.check.parse import Clock
from partition_studio.fleet.errors import (
    BadAnswerError,
    DeviceFileError,
    DiskFullError,
    PythonMissingError,
    PythonTooOldError,
    UnsupportedPlatformError,
)
from partition_studio.fleet.install.autostart import AutostartFacts
from partition_studio.fleet.local import LocalConnection


def python(
    version: tuple[int, int, int], path: str = "/usr/bin/python3", kind: str = "CPython", bits: int = 64
) -> PythonFound:
    return PythonFound(path, version, kind, bits)


PI = DeviceFacts(
    home="/home/pi",
    base="/home/pi/.local/share/partition-studio",
    system="Linux",
    machine="aarch64",
    bits=64,
    libc="glibc",
    libc_version=(2, 36),
    os_release="Debian GNU/Linux 12 (bookworm)",
    model="Raspberry Pi 4 Model B Rev 1.5",
    pythons=(python((3, 11, 2)),),
    cores=4.0,
    memory_total_bytes=4 << 30,
    memory_available_bytes=3 << 30,
    disk_free_bytes=20 << 30,
    noexec=False,
    writable=True,
    has_release=False,
    addresses=("192.0.2.7",),
    autostart=AutostartFacts(
        systemd=252, systemd_full="252.5", user_manager=True, linger=True, crontab=True, cron_runs=True
    ),
)


def test_a_usual_board_is_ready() -> None:
    check = decide(PI)
    assert (check.verdict, check.reasons, check.python) == ("ready", (), PI.pythons[0])
    require_ready(check, "pi")


@pytest.mark.parametrize(
    ("change", "word", "error"),
    [
        ({"machine": "armv7l", "bits": 32}, "32-bit", UnsupportedPlatformError),
        # A 64-bit kernel below a 32-bit system calls itself aarch64: the C library tells.
        ({"bits": 32}, "32-bit", UnsupportedPlatformError),
        ({"machine": "riscv64"}, "riscv64", UnsupportedPlatformError),
        ({"system": "Darwin"}, "Darwin", UnsupportedPlatformError),
        ({"libc": "musl", "libc_version": None}, "musl", UnsupportedPlatformError),
        ({"libc": "unknown", "libc_version": None}, "glibc", UnsupportedPlatformError),
        ({"libc_version": (2, 24)}, "2.24", UnsupportedPlatformError),
        ({"pythons": ()}, "no Python 3", PythonMissingError),
        ({"pythons": (python((3, 7, 3)),)}, "3.7.3", PythonTooOldError),
        ({"pythons": (python((3, 99, 0)),)}, "3.99.0", PythonTooOldError),
        ({"pythons": (python((3, 11, 2), kind="PyPy"),)}, "PyPy", PythonTooOldError),
        ({"pythons": (python((3, 11, 2), bits=32),)}, "32-bit", PythonTooOldError),
        ({"libc_version": (2, 27), "pythons": (python((3, 11, 2)),)}, "3.10", PythonTooOldError),
        ({"pythons": (), "broken_pythons": ("/usr/bin/python3",)}, "no Python 3 that starts", PythonMissingError),
        ({"cores": 0.0}, "no processor core", UnsupportedPlatformError),
        ({"cpu_flags": frozenset({"fp"})}, "lacks asimd", CpuTooOldError),
        ({"machine": "x86_64", "cpu_flags": frozenset({"pni", "sse2"})}, "sse4_2", CpuTooOldError),
        ({"disk_free_bytes": 50 << 20}, "52.43 MB free", DiskFullError),
        ({"noexec": True}, "noexec", DeviceFileError),
        ({"writable": False}, "cannot be written", DeviceFileError),
    ],
)
def test_what_cannot_run_the_agent_is_refused_in_words(
    change: dict[str, object], word: str, error: type[Exception]
) -> None:
    check = decide(dataclasses.replace(PI, **change))  # type: ignore[arg-type]  # one table for fields of many types
    assert check.verdict == "cannot"
    assert word in check.reasons[0].text
    with pytest.raises(error, match="pi cannot run the agent"):
        require_ready(check, "pi")


COOL = Thermal(temperature_c=45.0, throttled=(), throttled_before=(), frequency_ratio=1.0)
RAPL = PowerSource("rapl", "package", "counter", usable=True, detail="")
LOCKED = PowerSource("rapl", "package", "counter", False, "only root may read it", "sudo chgrp pi FILE", "PLATYPUS")
ESTIMATE = PowerSource("declared", "model", "estimated", usable=True, detail="")
NO_CRON = AutostartFacts(
    systemd=None, systemd_full="", user_manager=False, linger=False, crontab=False, cron_runs=False
)


@pytest.mark.parametrize(
    ("change", "severity", "code", "word", "step"),
    [
        ({"memory_total_bytes": 400 << 20}, "limit", "little_memory", "419.43 MB", "small stages"),
        ({"quota_cores": 0.5, "cores": 0.5}, "limit", "small_quota", "0.5 of one core", "quota"),
        ({"thermal": dataclasses.replace(COOL, throttled=("throttled",))}, "limit", "throttled", "slowed", "Cool"),
        (
            {"thermal": dataclasses.replace(COOL, throttled=("under_voltage",))},
            "limit",
            "under_voltage",
            "too low now",
            "power supply",
        ),
        (
            {"thermal": dataclasses.replace(COOL, throttled_before=("under_voltage",))},
            "limit",
            "under_voltage",
            "since it was switched on",
            "power supply",
        ),
        ({"pythons": (python((3, 8, 10)),)}, "limit", "old_runtime", "1.19.2, which takes opset 21", "Python 3.11"),
        ({"pythons": (python((3, 10, 12)),)}, "note", "old_runtime", "1.23.2, which takes opset 23", "Python 3.11"),
        (
            {"pythons": (python((3, 10, 12)),), "libc_version": (2, 27)},
            "note",
            "old_runtime",
            "opset",
            "newer system",
        ),
        (
            {"thermal": dataclasses.replace(COOL, throttled_before=("capped",))},
            "note",
            "was_throttled",
            "capped",
            "temperature",
        ),
        ({"cpu_flags": frozenset({"fp", "asimd"})}, "note", "slow_cpu", "asimddp", ""),
        ({"clock_offset_s": 3600.0, "clock_uncertainty_s": 0.1}, "note", "clock_off", "60 min ahead of", "NTP"),
        ({"clock_offset_s": -3.0, "clock_uncertainty_s": 0.1}, "note", "clock_off", "3 s behind", "NTP"),
        ({"power_sources": ()}, "note", "no_sensor", "estimate, or absent", "plug"),
        ({"power_sources": (ESTIMATE,)}, "note", "no_sensor", "estimate, or absent", "plug"),
        ({"power_sources": (LOCKED, RAPL)}, "note", "sensor_locked", "may not read", "sudo chgrp pi FILE"),
        ({"autostart": NO_CRON}, "note", "no_restart", "after a reboot it stays off", "next deployment"),
    ],
)
def test_what_makes_a_board_less_than_expected_is_told_with_what_to_do(
    change: dict[str, object], severity: str, code: str, word: str, step: str
) -> None:
    check = decide(dataclasses.replace(PI, **change))  # type: ignore[arg-type]  # one table for fields of many types
    (reason,) = check.reasons
    assert (reason.severity, reason.code) == (severity, code)
    assert word in reason.text
    assert step in reason.next_step
    assert check.verdict == ("limited" if severity == "limit" else "ready")
    # With limits it runs all the same.
    require_ready(check, "pi")


@pytest.mark.parametrize(
    "change",
    [
        {"thermal": COOL, "power_sources": (RAPL,), "quota_cores": 2.0},
        # As far off as the way there takes: nothing is known of the clock.
        {"clock_offset_s": 4.0, "clock_uncertainty_s": 3.0},
        {"cpu_flags": frozenset({"fp", "asimd", "asimddp"})},
        # Old x86 without the second level runs the older packages.
        {
            "machine": "x86_64",
            "cpu_flags": frozenset({"sse2", "pni", "avx", "avx2", "fma"}),
            "pythons": (python((3, 9, 2)),),
        },
    ],
)
def test_what_is_as_it_should_be_is_no_reason_for_less(change: dict[str, object]) -> None:
    check = decide(dataclasses.replace(PI, **change))  # type: ignore[arg-type]  # one table for fields of many types
    assert {reason.code for reason in check.reasons} <= {"old_runtime"}


@pytest.mark.parametrize(
    ("version", "runtime"), [((3, 8, 10), "1.19.2"), ((3, 10, 12), "1.23.2"), ((3, 13, 1), "1.31.1")]
)
def test_the_newest_runtime_is_the_locks_for_that_python(version: tuple[int, int, int], runtime: str) -> None:
    assert decide(dataclasses.replace(PI, pythons=(python(version),))).onnxruntime == runtime


def test_only_the_processor_is_claimed_to_compute_and_what_a_board_could_do_is_said() -> None:
    jetson = dataclasses.replace(PI, accelerators=(Accelerator("jetson", "NVIDIA Jetson GPU", "L4T 35.4.1"),))
    found = {provider.name: provider for provider in decide(jetson).providers}
    assert [name for name, provider in found.items() if provider.works] == ["CPUExecutionProvider"]
    assert "JetPack" in found["CUDAExecutionProvider"].why
    assert "no NVIDIA GPU" in {p.name: p for p in decide(PI).providers}["CUDAExecutionProvider"].why
    broken = decide(dataclasses.replace(PI, libc="musl", libc_version=None))
    assert not any(provider.works for provider in broken.providers)


def test_a_clock_is_bounded_from_both_sides_by_every_reading() -> None:
    # Sent at 100, answered at 104: a device that is 10 s ahead reads 110.5 on the way and 113.9 at its end.
    offset_s, uncertainty_s = Clock(100.0, 104.0).offset([(110.5, 0.0), (113.9, 0.0)])
    assert offset_s is not None
    assert uncertainty_s is not None
    assert abs(offset_s - 10.0) <= uncertainty_s
    assert uncertainty_s == pytest.approx(0.3)
    assert Clock(100.0, 104.0).offset([]) == (None, None)


def test_every_reason_is_told_at_once() -> None:
    check = decide(dataclasses.replace(PI, pythons=(), noexec=True, disk_free_bytes=0))
    assert [reason.code for reason in check.reasons] == ["python_missing", "disk_full", "noexec"]


def test_the_newest_python_that_has_a_runtime_is_chosen_and_the_first_of_equals() -> None:
    found = (
        python((3, 7, 3), "/a"),
        python((3, 99, 0), "/b"),
        python((3, 11, 2), "/c"),
        python((3, 12, 1), "/d"),
        python((3, 12, 9), "/e"),
    )
    chosen = decide(dataclasses.replace(PI, pythons=found)).python
    assert chosen is not None
    assert chosen.path == "/d"


def test_a_board_that_has_the_agent_already_needs_little_room() -> None:
    tight = dataclasses.replace(PI, disk_free_bytes=50 << 20)
    assert decide(tight).verdict == "cannot"
    assert decide(dataclasses.replace(tight, has_release=True)).verdict == "ready"
    assert decide(dataclasses.replace(tight, has_release=True, disk_free_bytes=1 << 20)).verdict == "cannot"


def test_an_unknown_disk_is_no_reason_to_refuse() -> None:
    assert decide(dataclasses.replace(PI, disk_free_bytes=None)).verdict == "ready"


@pytest.mark.parametrize(
    ("text", "libc", "version"),
    [
        ("glibc 2.36", "glibc", (2, 36)),
        ("ldd (Debian GLIBC 2.31-13+deb11u5) 2.31 Copyright", "glibc", (2, 31)),
        ("ldd (Ubuntu GLIBC 2.27-3ubuntu1.6) 2.27", "glibc", (2, 27)),
        ("ldd (GNU libc) 2.17", "glibc", (2, 17)),
        ("musl libc (aarch64) Version 1.2.4", "musl", None),
        ("", "unknown", None),
    ],
)
def test_the_c_library_is_read_from_what_the_system_says(text: str, libc: str, version: tuple[int, int] | None) -> None:
    facts = parse_facts({"home": ["/h"], "libc": [text]}, "pi")
    assert (facts.libc, facts.libc_version) == (libc, version)


def test_noise_of_a_login_is_not_read_as_facts() -> None:
    said = decode_lines(b"Welcome!\tfoo\tbar\npartition-studio\thome\t/home/\x1b[31mpi\nx")
    assert said == {"home": ["/home/pi"]}


@pytest.mark.parametrize("facts", ["{", "[]", '{"base": 1}', '{"cores": "many"}'])
def test_nonsense_of_a_device_is_an_error_that_names_it(facts: str) -> None:
    with pytest.raises(BadAnswerError, match="pi"):
        parse_facts({"home": ["/h"], "facts": [facts]}, "pi")


def test_this_machine_is_seen_as_it_is(tmp_path: Path) -> None:
    check = check_device(LocalConnection(tmp_path), str(tmp_path / "not" / "yet"))
    # The agent there is a process of the studio, by its Python and its packages.
    assert check.python is not None
    assert (check.python.path, check.python.version) == (sys.executable, sys.version_info[:3])
    assert check.onnxruntime == onnxruntime.__version__
    assert check.autostart is not None and "ends with it" in check.autostart.note
    assert check.facts.base == str(tmp_path / "not" / "yet")
    assert check.facts.disk_free_bytes
    assert not (tmp_path / "not").exists()


TOLD = {
    "base": "/h/x",
    "has_release": False,
    "cores": 4,
    "model": "Board \x1b[31mred\n",
    "addresses": ["192.0.2.1"],
    "memory_total_bytes": 1,
    "memory_available_bytes": 1,
    "disk_free_bytes": 1,
    "noexec": False,
    "writable": True,
}


def told(key: str, value: object, **changed: object) -> dict[str, list[str]]:
    return {"home": ["/h"], "facts": [json.dumps({**TOLD, **changed})], key: [json.dumps(value)]}


def test_texts_inside_of_a_devices_json_are_cleaned_too() -> None:
    assert parse_facts(told("other", None), "pi").model == "Board red"


@pytest.mark.parametrize(
    ("field", "value"),
    [("cores", -1), ("cores", 1e300), ("quota_cores", -2), ("memory_total_bytes", -5), ("disk_free_bytes", 1 << 63)],
)
def test_a_figure_that_cannot_be_is_no_figure(field: str, value: float) -> None:
    assert getattr(parse_facts(told("other", None, **{field: value}), "pi"), field) is None


def test_endless_lists_of_a_device_are_cut() -> None:
    part = {"kind": "npu", "name": "x" * 9000, "detail": ""}
    hardware = {
        "cpu": {"vendor": "", "flags": None},
        "thermal": {
            "temperature_c": 1e9,
            "throttled": ["throttled", "evil"],
            "throttled_before": [],
            "frequency_ratio": -1,
        },
        "accelerators": [part] * 5000,
    }
    facts = parse_facts({**told("hardware", hardware), "python": ["3.11.2 CPython 64 /a"] * 10**4}, "pi")
    assert len(facts.accelerators) <= 64
    assert len(facts.accelerators[0].name) <= 200
    assert facts.thermal == Thermal(None, ("throttled",), (), None)


def test_a_power_source_in_words_that_nobody_knows_is_not_used() -> None:
    good = {"source": "rapl", "scope": "package", "method": "counter", "usable": True, "detail": "x"}
    odd = {**good, "scope": "galaxy"}
    sources = parse_facts(told("power", [good, odd]), "pi").power_sources
    assert sources is not None
    assert [source.usable for source in sources] == [True, False]
