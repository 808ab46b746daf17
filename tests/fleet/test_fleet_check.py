"""The verdict over a device is a function of its facts."""

import dataclasses
import sys
from pathlib import Path

import pytest

from partition_studio.fleet.autostart import AutostartFacts
from partition_studio.fleet.check import (
    DeviceFacts,
    PythonFound,
    check_device,
    decide,
    decode_lines,
    parse_facts,
    require_ready,
)
from partition_studio.fleet.errors import (
    BadAnswerError,
    DeviceFileError,
    DiskFullError,
    PythonMissingError,
    PythonTooOldError,
    UnsupportedPlatformError,
)
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
        ({"disk_free_bytes": 50 << 20}, "50 MiB free", DiskFullError),
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
    here = {found.version for found in check.facts.pythons}
    assert sys.version_info[:3] in here
    assert check.facts.base == str(tmp_path / "not" / "yet")
    assert check.facts.disk_free_bytes
    assert not (tmp_path / "not").exists()
