"""A studio with a pipeline that has run, for tests of the pages around the editor."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from playwright.sync_api import Browser, Page

from partition_studio.partition.plan import Plan
from partition_studio.schemas import DeploymentIn, DeploymentOut, DeviceIn, PlanIn, RunOut, SpreadIn
from tests.browser.conftest import open_page
from tests.studio import RunningStudio, wait_for

#: A name as nobody gives it on purpose.
HOSTILE: Final = "<img src=x onerror=alert(1)> " + "very-long-name-" * 6


@dataclass(frozen=True)
class Workshop:
    """A studio with a pipeline that ran twice."""

    studio: RunningStudio
    deployment: DeploymentOut
    runs: tuple[RunOut, RunOut]


def run_for(studio: RunningStudio, deployment: str, **form: str) -> RunOut:
    """Run random frames, for three seconds or as the form says, to their end."""
    fields = {"source": "random", "repeat": "true", "seconds": "3", **form}
    begun = studio.client.post_form(f"/api/deployments/{deployment}/runs", RunOut, fields, [])

    def ended() -> RunOut | None:
        now = studio.client.get(f"/api/runs/{begun.id}", RunOut)
        return None if now.state == "running" else now

    return wait_for(ended, what="the run's end")


@contextmanager
def open_workshop(folder: Path) -> Iterator[Workshop]:
    """Keep a studio in a folder, whose network runs on two devices and has run twice."""
    with RunningStudio(folder) as studio:
        model = studio.services.models.add_example("digits")
        for name in ("desk-1", "desk-2"):
            idle, busy = (2.0, 6.0) if name == "desk-1" else (None, None)
            device = DeviceIn(name=name, address="local:", idle_power_w=idle, busy_power_w=busy)
            studio.services.devices.add(device)
        plan = studio.client.post(f"/api/models/{model.id}/plans/spread", Plan, SpreadIn(devices=["desk-1", "desk-2"]))
        studio.services.plans.create(model.id, PlanIn(name=HOSTILE, plan=plan))
        wanted = DeploymentIn(model_id=model.id, plan=plan, plan_name=HOSTILE)
        begun = studio.client.post("/api/deployments", DeploymentOut, wanted)

        def settled() -> DeploymentOut | None:
            now = studio.client.get(f"/api/deployments/{begun.id}", DeploymentOut)
            return None if now.state == "deploying" else now

        deployment = wait_for(settled, what="the deployment", deadline_s=120)
        assert deployment.state == "running", deployment.problem
        # The first figure of power is there a moment after the agent.
        wait_for(
            lambda: any(live.device == "desk-1" and live.power for live in studio.services.telemetry.live()) or None,
            what="the first figure of power",
        )
        runs = (run_for(studio, deployment.id), run_for(studio, deployment.id, in_flight="1"))
        yield Workshop(studio, deployment, runs)


def at(browser: Browser, workshop: Workshop, path: str, **options: object) -> tuple[Page, list[str]]:
    """Open a page of the workshop in a fresh browser; returns it and the errors that it reports."""
    _, page, errors = open_page(browser, workshop.studio, **options)
    page.goto(f"{workshop.studio.url}{path}")
    return page, errors
