"""The page of a check tells everything, in at most 100 columns, and takes nothing of a device for markup."""

import io
import re
from datetime import UTC, datetime

from rich.console import Console

from partition_studio.cli.device_check import WIDTH, check_page
from partition_studio.schemas import (
    AcceleratorOut,
    AdminStepOut,
    DeviceCheckOut,
    PowerSourceOut,
    ProviderOut,
    PythonOut,
    ReasonOut,
    ThermalOut,
)

CHECK = DeviceCheckOut(
    verdict="limited",
    reasons=[
        ReasonOut(code="throttled", severity="limit", text="it is slowed down " * 12, next_step="Cool it."),
        ReasonOut(code="no_sensor", severity="note", text="no sensor", next_step=""),
    ],
    checked_at=datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC),
    os="Debian [bold red]12[/]",
    architecture="aarch64",
    bits=64,
    model="Raspberry Pi 5",
    kernel="6.6.1",
    libc="glibc 2.36",
    python=PythonOut(path="/usr/bin/python3.11", version="3.11.2"),
    pythons=[
        PythonOut(path="/usr/bin/python3.11", version="3.11.2"),
        PythonOut(path="/opt/python3.6", version="3.6.9", usable=False, why="too old"),
    ],
    usable_cores=0.5,
    affinity_cores=4,
    quota_cores=0.5,
    memory_bytes=512_000_000,
    memory_physical_bytes=8_000_000_000,
    memory_cgroup_bytes=512_000_000,
    memory_available_bytes=400_000_000,
    disk_free_bytes=9_000_000_000,
    clock_offset_s=-3600.25,
    clock_uncertainty_s=0.03,
    cpu_flags_missing=["asimddp"],
    accelerators=[AcceleratorOut(kind="hailo", name="Hailo NPU", detail="/dev/hailo0")],
    providers=[ProviderOut(name="CPUExecutionProvider", works=True, why="in the package")],
    thermal=ThermalOut(temperature_c=71.5, throttled=["soft_limit"], throttled_before=[], frequency_ratio=0.6),
    power_sources=[
        PowerSourceOut(
            source="rapl",
            scope="package",
            method="counter",
            usable=False,
            detail="only root may read it",
            admin_step=AdminStepOut(command="sudo sh -c '" + "x" * 150 + "'", exposes="a side channel"),
        )
    ],
    addresses=["192.0.2.7", "2001:db8::7"],
    has_sftp=False,
    starts_by="systemd",
    restarts_after_reboot=True,
    restart_note="a unit",
    onnxruntime="1.31.1",
)


def page(check: DeviceCheckOut) -> str:
    out = io.StringIO()
    Console(file=out, width=WIDTH).print(check_page("pi", "ssh://pi@192.0.2.7", check))
    return out.getvalue()


def test_everything_that_was_found_is_on_the_page() -> None:
    text = page(CHECK)
    for word in (
        "ready with limits",
        "Cool it.",
        "Debian [bold red]12[/]",
        "aarch64, 64-bit",
        "glibc 2.36",
        "-3600.250 s",
        "0.5 (4 by affinity, 0.5 by quota)",
        "512.00 MB by its control group",
        "/usr/bin/python3.11 (used)",
        "not usable: too old",
        "1.31.1",
        "asimddp",
        "/dev/hailo0",
        "yes: in the package",
        "package, counter, not usable",
        "a side channel",
        "71.5 °C",
        "60 % of the highest",
        "soft limit",
        "2001:db8::7",
        "shell channel",
    ):
        assert word in text


def test_no_line_is_wider_than_the_page() -> None:
    assert max(len(line.rstrip()) for line in page(CHECK).splitlines()) <= WIDTH


def test_limits_that_could_not_be_read_are_not_passed_over() -> None:
    unread = CHECK.model_copy(update={"limits_known": False, "quota_cores": None, "memory_cgroup_bytes": None})
    text = page(unread)
    assert "quota not known" in text
    assert "limit not known" in text


def test_where_nothing_is_known_nothing_is_claimed() -> None:
    bare = CHECK.model_copy(
        update={
            "reasons": [],
            "python": None,
            "pythons": [],
            "thermal": None,
            "has_sftp": None,
            "clock_offset_s": None,
            "onnxruntime": None,
            "power_sources": [],
            "accelerators": [],
            "cpu_flags_missing": [],
        }
    )
    text = page(bare)
    for word in ("Heat", "SFTP", "clock"):
        assert word not in text


def test_what_was_looked_for_in_vain_is_told() -> None:
    text = page(CHECK.model_copy(update={"power_sources": [], "accelerators": [], "cpu_flags_missing": []}))
    for title in ("Accelerators", "Power sources", "CPU flags"):
        assert re.search(rf"^{title}\n  none (found|missing)", text, re.MULTILINE)
