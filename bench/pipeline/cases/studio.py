"""ResNet-50 on two local devices by the whole studio: services, telemetry, history, results, as a person runs it.

The other cases have the studio's own parts without its services; this one tells what those cost.
"""

import time
from collections.abc import Iterator
from contextlib import ExitStack

from bench.pipeline.bench import Bench
from bench.pipeline.figures import Bar, Outcome
from bench.pipeline.harness.alone import AloneWorker
from bench.pipeline.harness.deployment import Cut
from bench.pipeline.harness.frames import LostFramesError
from bench.pipeline.harness.plans import chain_plan
from partition_studio.partition.plan import Plan
from partition_studio.schemas import DeploymentOut, DeviceIn
from partition_studio.services import Services
from partition_studio.settings import open_data_dir

NAME = "studio"
LIMIT = 0.96
DEVICES = ("one", "two")
_POLL_S = 0.05


def measure(bench: Bench) -> Iterator[Outcome]:
    """Whole and pipeline are deployed anew in each round, as a person would change a plan."""
    services = Services(open_data_dir(bench.folder / "studio"))
    try:
        yield _measure(bench, services)
    finally:
        services.close()


def _measure(bench: Bench, services: Services) -> Bar:
    for number, name in enumerate(DEVICES):
        services.devices.add(DeviceIn(name=name, address="local:", cpus=[*bench.cpu(number)]))
    model = services.models.add_example("resnet-50")
    network = services.models.network(model.id)
    cuts = bench.cuts(network, [1.0, 1.0])
    plan = chain_plan(network, cuts.ends, list(DEVICES))
    whole = plan.model_copy(update={"placement": dict.fromkeys(plan.placement, DEVICES[0])})
    cut = Cut.of(network, plan)
    wholes: list[float] = []
    pipelines: list[float] = []
    bounds: list[float] = []
    deploy_s: list[float] = []
    with ExitStack() as stack:
        workers = []
        for number, stage in enumerate(cut.parted.graph.stages):
            path = stack.enter_context(bench.written(cut.parts[stage.name]))
            workers.append(stack.enter_context(AloneWorker(path, bench.cpu(number))))
        for _ in range(bench.rounds):
            wholes.append(throughput(services, deploy(services, model.id, whole), bench.seconds))
            deployment = deploy(services, model.id, plan)
            pipelines.append(throughput(services, deployment, bench.seconds))
            deploy_s.append(deployment.deploy_s or 0.0)
            services.deployments.stop(deployment.id)
            bounds.append(min(worker.run(bench.seconds / 2).per_s for worker in workers))
    return Bar(
        case=NAME,
        name="ResNet-50, 2 local devices, by the whole studio",
        unit="of the bound",
        values=tuple(ours / bound for ours, bound in zip(pipelines, bounds, strict=True)),
        limit=LIMIT,
        facts={
            "whole, frames/s": tuple(wholes),
            "pipeline, frames/s": tuple(pipelines),
            "bound, frames/s": tuple(bounds),
            "times the whole": tuple(ours / alone for ours, alone in zip(pipelines, wholes, strict=True)),
            "a changed plan ran after, s": tuple(deploy_s),
        },
        notes=(f"cut after layer {cuts.ends[0]}; {cut.crossing_bytes / 1e6:.2f} MB cross it",),
    )


def deploy(services: Services, model_id: str, plan: Plan) -> DeploymentOut:
    """Deploy and wait until it runs. Raises RuntimeError when it fails."""
    deployment = services.deployments.deploy(model_id, plan)
    while deployment.state == "deploying":
        time.sleep(_POLL_S)
        deployment = services.deployments.show(deployment.id)
    if deployment.state != "running":
        raise RuntimeError(f"the deployment failed: {deployment.problem}")
    return deployment


def throughput(services: Services, deployment: DeploymentOut, seconds: float) -> float:
    """Return the frames/s of a run of random frames. Raises LostFramesError."""
    run = services.runs.start(deployment.id, source="random", repeat=True, seconds=seconds)
    while run.state == "running":
        time.sleep(_POLL_S)
        run = services.runs.show(run.id)
    if run.lost or run.frames_per_s is None:
        raise LostFramesError(f"the run lost {run.lost} frames")
    return run.frames_per_s
