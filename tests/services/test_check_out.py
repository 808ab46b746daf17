"""What a check found is told to browsers and programs as it was found, and no more."""

import dataclasses

from partition_studio.fleet.check.check import decide
from partition_studio.fleet.check.facts import DeviceFacts, PowerSource, PythonFound
from partition_studio.services.check_out import check_out

FACTS = DeviceFacts(
    home="/home/pi",
    base="/home/pi/.local/share/partition-studio",
    system="Linux",
    machine="aarch64",
    bits=64,
    libc="glibc",
    libc_version=(2, 36),
    os_release="Debian GNU/Linux 12 (bookworm)",
    model="",
    pythons=(
        PythonFound("/usr/bin/python3.11", (3, 11, 2), "CPython", 64),
        PythonFound("/bin/python3.11", (3, 11, 2), "CPython", 64),
        PythonFound("/usr/bin/python3", (3, 11, 2), "CPython", 64),
        PythonFound("/opt/python3.6", (3, 6, 9), "CPython", 64),
    ),
    cores=2.0,
    memory_total_bytes=4_000_000_000,
    memory_available_bytes=None,
    disk_free_bytes=9_000_000_000,
    noexec=False,
    writable=True,
    has_release=False,
    addresses=(),
    broken_pythons=("/usr/local/bin/python3",),
)


def test_one_python_under_several_names_is_told_once_and_each_that_cannot_be_used_with_why() -> None:
    out = check_out(decide(FACTS), None, None)
    assert [(python.path, python.usable) for python in out.pythons] == [
        ("/usr/bin/python3.11", True),
        ("/opt/python3.6", False),
        ("/usr/local/bin/python3", False),
    ]
    assert "too old" in out.pythons[1].why
    assert out.python is not None
    assert out.python.path == "/usr/bin/python3.11"


def test_what_the_person_allowed_bounds_what_may_be_used() -> None:
    out = check_out(decide(FACTS), [3], 1_000_000_000)
    assert (out.usable_cores, out.memory_bytes) == (1, 1_000_000_000)
    assert check_out(decide(FACTS), None, 9_000_000_000).memory_bytes == 4_000_000_000


def test_the_step_of_an_administrator_is_told_with_what_it_exposes() -> None:
    locked = PowerSource("rapl", "package", "counter", False, "only root may read it", "sudo chgrp", "a side channel")
    (source,) = check_out(decide(dataclasses.replace(FACTS, power_sources=(locked,))), None, None).power_sources
    assert source.admin_step is not None
    assert (source.admin_step.command, source.admin_step.exposes) == ("sudo chgrp", "a side channel")
    assert not source.usable


def test_what_is_not_known_is_absent() -> None:
    out = check_out(decide(FACTS), None, None)
    assert (out.model, out.kernel, out.clock_offset_s, out.thermal, out.has_sftp, out.quota_cores) == (None,) * 6
    assert not out.restarts_after_reboot
    assert "could not be looked at" in out.restart_note


def test_limits_that_could_not_be_read_are_told_as_not_known() -> None:
    check = decide(dataclasses.replace(FACTS, limits_known=False))
    out = check_out(check, None, None)
    assert (out.limits_known, out.quota_cores, out.memory_cgroup_bytes) == (False, None, None)
    (reason,) = (reason for reason in out.reasons if reason.code == "limits_unknown")
    assert "--memory" in reason.next_step
    assert check_out(decide(FACTS), None, None).limits_known
    declared = check_out(check, None, 512_000_000)
    assert "limits_unknown" not in [reason.code for reason in declared.reasons], "it was done"
    assert not declared.limits_known
