"""A studio with devices, ready to deploy."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from partition_studio.partition.plan import Plan
from partition_studio.schemas import (
    DeploymentIn,
    DeploymentOut,
    DeviceIn,
    DeviceOut,
    ModelSummaryOut,
    RunOut,
    SpreadIn,
)
from tests.studio import RunningStudio, wait_for


class Desk:
    """A person at the studio: the few things that he does, each waiting for its end."""

    def __init__(self, studio: RunningStudio) -> None:
        self.studio = studio
        self.client = studio.client

    def example(self, name: str = "digits") -> ModelSummaryOut:
        return self.client.post(f"/api/examples/{name}", ModelSummaryOut)

    def local_devices(self, *names: str, idle_power_w: float | None = None, busy_power_w: float | None = None) -> None:
        for name in names:
            request = DeviceIn(name=name, address="local:", idle_power_w=idle_power_w, busy_power_w=busy_power_w)
            self.client.post("/api/devices", DeviceOut, request)

    def spread(self, model: ModelSummaryOut, *devices: str) -> Plan:
        return self.client.post(f"/api/models/{model.id}/plans/spread", Plan, SpreadIn(devices=list(devices)))

    def begin(self, model: ModelSummaryOut, plan: Plan) -> DeploymentOut:
        return self.client.post("/api/deployments", DeploymentOut, DeploymentIn(model_id=model.id, plan=plan))

    def shown(self, deployment: DeploymentOut) -> DeploymentOut:
        return self.client.get(f"/api/deployments/{deployment.id}", DeploymentOut)

    def settled(self, deployment: DeploymentOut) -> DeploymentOut:
        def look() -> DeploymentOut | None:
            now = self.shown(deployment)
            return None if now.state == "deploying" else now

        return wait_for(look, what="the deployment's end", deadline_s=180)

    def deploy(self, model: ModelSummaryOut, plan: Plan) -> DeploymentOut:
        deployment = self.settled(self.begin(model, plan))
        assert deployment.state == "running", deployment.problem
        return deployment

    def begin_run(self, deployment: DeploymentOut, **form: str) -> RunOut:
        return self.client.post_form(f"/api/deployments/{deployment.id}/runs", RunOut, form, [])

    def ended(self, run: RunOut) -> RunOut:
        def look() -> RunOut | None:
            now = self.client.get(f"/api/runs/{run.id}", RunOut)
            return None if now.state == "running" else now

        return wait_for(look, what="the run's end", deadline_s=120)

    def run(self, deployment: DeploymentOut, **form: str) -> RunOut:
        return self.ended(self.begin_run(deployment, **form))

    def stop(self, deployment: DeploymentOut) -> DeploymentOut:
        return self.client.post(f"/api/deployments/{deployment.id}/stop", DeploymentOut)


@pytest.fixture
def desk(studio: RunningStudio) -> Desk:
    return Desk(studio)


@pytest.fixture
def new_desk(tmp_path: Path) -> Iterator[Callable[[], Desk]]:
    """Start studios on one and the same data folder, one after the other; each ends when the next begins."""
    running: list[RunningStudio] = []

    def start() -> Desk:
        while running:
            running.pop().__exit__(None, None, None)
        studio = RunningStudio(tmp_path / "studio")
        studio.__enter__()
        running.append(studio)
        return Desk(studio)

    try:
        yield start
    finally:
        while running:
            running.pop().__exit__(None, None, None)
