"""`device links` and `jobs` at a person's shell."""

import os
import signal
import subprocess
import sys
from datetime import UTC, datetime, timedelta

import pytest

from partition_studio.cli.device_links import age_text, link_text, rate_text
from partition_studio.schemas import DeviceIn, DeviceOut, JobOut, LinkProfileOut, ModelSummaryOut, ProfileSummaryOut
from tests.cli.conftest import Command
from tests.studio import RunningStudio, wait_for

NOW = datetime(2026, 1, 2, tzinfo=UTC)


def add(studio: RunningStudio, *names: str) -> None:
    for name in names:
        studio.client.post("/api/devices", DeviceOut, DeviceIn(name=name, address="local:"))


def test_links_are_measured_shown_as_a_matrix_and_the_job_is_listed(command: Command, studio: RunningStudio) -> None:
    add(studio, "a", "b")
    measured = command("device", "links", "a", "--measure", "--seconds", "0.2", "--json")
    assert measured.code == 0, measured.err
    assert {(link["source"], link["target"]) for link in measured.document["links"]} == {
        ("studio", "a"),
        ("a", "studio"),
    }
    shown = command("device", "links").out.splitlines()
    assert shown[0].split() == ["from", "\\", "to", "studio", "a", "b"]
    assert "Mbit/s" in shown[1]
    assert " ms" in shown[1]
    assert "measured" in shown[2]
    assert "ago" in shown[2]
    (job,) = command("jobs", "list", "--json").document
    assert (job["kind"], job["state"], job["devices"]) == ("links", "done", ["a"])
    assert "Links of a" in command("jobs", "show", job["id"]).out
    # One that has ended stays as it is.
    assert command("jobs", "cancel", job["id"], "--json").document == job


def test_unknown_devices_and_jobs_are_said_so(command: Command) -> None:
    assert command("device", "links", "nobody").code == 3
    nothing = command("device", "links")
    assert nothing.code == 0
    assert "--measure" in nothing.out
    assert command("jobs", "cancel", "job-0", "--json").error["code"] == "job_not_found"


@pytest.mark.parametrize(
    ("words", "step"),
    [
        (("links", "--measure", "--seconds", "10"), " - "),
        (("profile", "a", "digits"), ""),
        (("calibrate", "a", "--ask", "--seconds", "120"), ""),
    ],
    ids=lambda value: value[0] if isinstance(value, tuple) else "",
)
def test_control_c_cancels_the_job(studio: RunningStudio, words: tuple[str, ...], step: str) -> None:
    add(studio, "a", "b")
    studio.client.post("/api/examples/digits", ModelSummaryOut)
    environment = {**os.environ, "PARTITION_STUDIO_URL": studio.url, "PARTITION_STUDIO_TOKEN": studio.token}
    with subprocess.Popen(
        [sys.executable, "-m", "partition_studio.cli.main", "device", *words],
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:

        def goes_on() -> bool:
            return any(job.step and step in job.step for job in studio.client.get("/api/jobs", list[JobOut]))

        wait_for(goes_on, what="the job's first step", deadline_s=60)
        process.send_signal(signal.SIGINT)
        _, said = process.communicate(timeout=60)
    assert process.returncode == 130, said
    assert "Traceback" not in said
    assert "cancelled" in said
    (job,) = studio.client.get("/api/jobs", list[JobOut])
    assert job.state == "cancelled"
    assert studio.client.get("/api/profiles", list[ProfileSummaryOut]) == []
    assert not any(device.agent_running for device in studio.client.get("/api/devices", list[DeviceOut]))


def test_a_bound_is_called_one_and_ages_are_readable() -> None:
    link = LinkProfileOut(
        source="a",
        target="b",
        bytes_per_s=11.75e6,
        rtt_s=None,
        rtt_min_s=None,
        method="traffic",
        measured_at=NOW - timedelta(minutes=3),
    )
    assert link_text(link, NOW) == ["at least 94 Mbit/s", "from traffic, 3 min ago"]
    known = link.model_copy(update={"method": "measured", "rtt_s": 0.0105})
    assert link_text(known, NOW) == ["94 Mbit/s, 10.5 ms", "measured, 3 min ago"]
    assert rate_text(1.25e9) == "10,000 Mbit/s"
    assert rate_text(62_500) == "0.5 Mbit/s"


@pytest.mark.parametrize(
    ("seconds", "text"), [(-5, "0 s ago"), (59, "59 s ago"), (60, "1 min ago"), (7200, "2 h ago"), (200_000, "2 d ago")]
)
def test_ages(seconds: int, text: str) -> None:
    assert age_text(NOW, NOW - timedelta(seconds=seconds)) == text
