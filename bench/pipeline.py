"""Throughput of a network cut once over two devices of one core each, against the whole network on one of them.

    python bench/pipeline.py [--example resnet-50] [--rounds 3] [--seconds 8] [--json FILE]

Both are real deployments by the studio on local devices that are pinned to one core each, with one thread. They are
measured in alternation, because the machine's speed drifts; so are the two stages alone, which give the bound: no
pipeline can be faster than 1 / (time of its slowest stage alone). The cut is the best single one: the one-tensor cut
whose slower half, measured, is fastest.
"""

import argparse
import json
import multiprocessing
import os
import statistics
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnxruntime

from partition_studio.graph.network import Network
from partition_studio.partition.extract import submodels
from partition_studio.partition.partition import partition
from partition_studio.partition.plan import NetworkRef, Plan
from partition_studio.schemas import DeploymentOut, DeviceIn
from partition_studio.services import Services
from partition_studio.settings import open_data_dir

DEVICES = ("one", "two")
STAGE_RUNS = 12
WARM_UP_RUNS = 3
POLL_S = 0.05


@dataclass(frozen=True, slots=True)
class Round:
    """One alternation: throughput of the whole and of the pipeline (frames/s), and of each stage alone."""

    whole_per_s: float
    pipeline_per_s: float
    stages_per_s: tuple[float, ...]

    @property
    def bound(self) -> float:
        """How many times the whole's throughput the pipeline could reach."""
        return min(self.stages_per_s) / self.whole_per_s

    @property
    def ratio(self) -> float:
        """How many times the whole's throughput it reached."""
        return self.pipeline_per_s / self.whole_per_s


def _time_alone(part: bytes, core: int, runs: int) -> float:
    """Return the median seconds of a sub-model alone on one core with one thread (in a process of its own)."""
    os.sched_setaffinity(0, {core})
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    session = onnxruntime.InferenceSession(part, options, providers=["CPUExecutionProvider"])
    generator = np.random.default_rng(0)
    frame = {tensor.name: generator.standard_normal(tensor.shape).astype(np.float32) for tensor in session.get_inputs()}
    seconds = []
    for _ in range(WARM_UP_RUNS + runs):
        begin_s = time.perf_counter()
        session.run(None, frame)
        seconds.append(time.perf_counter() - begin_s)
    return statistics.median(seconds[WARM_UP_RUNS:])


def time_alone(part: bytes, core: int, runs: int = STAGE_RUNS) -> float:
    """As `_time_alone`, away from this process."""
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        return pool.apply(_time_alone, (part, core, runs))


def plan_of(network: Network, cut: int) -> Plan:
    """Return the plan that gives the first `cut` layers to the first device."""
    placement = {layer.name: DEVICES[0 if number < cut else 1] for number, layer in enumerate(network.layers)}
    return Plan(network=NetworkRef(sha256=network.digest, name=network.name), placement=placement)


def parts_of(network: Network, plan: Plan) -> list[bytes]:
    """Return the sub-models of a plan, in the order of its stages."""
    parted = partition(network, plan)
    graph = parted.graph
    made = submodels(network, graph)
    return [made[stage.name].data for stage in graph.stages]


def one_tensor_cuts(network: Network) -> list[int]:
    """Return the places where the layers so far hand exactly one tensor to the rest."""
    cuts = []
    for cut in range(1, len(network.layers)):
        parted = partition(network, plan_of(network, cut))
        graph = parted.graph
        crossing = [t for c in graph.cuts if c.producer != "source" and c.consumer != "sink" for t in c.tensors]
        if len(graph.stages) == 2 and len(crossing) == 1:
            cuts.append(cut)
    return cuts


def best_cut(network: Network, core: int) -> int:
    """Return the one-tensor cut whose slower half is fastest; the halves' times are monotonic, so by bisection."""
    cuts = one_tensor_cuts(network)
    low, high = 0, len(cuts) - 1
    measured: dict[int, float] = {}
    while low < high:
        middle = (low + high) // 2
        first, second = (time_alone(part, core) for part in parts_of(network, plan_of(network, cuts[middle])))
        measured[cuts[middle]] = max(first, second)
        if first < second:
            low = middle + 1
        else:
            high = middle
    first, second = (time_alone(part, core) for part in parts_of(network, plan_of(network, cuts[low])))
    measured[cuts[low]] = max(first, second)
    return min(measured, key=lambda cut: measured[cut])


def deploy(services: Services, model_id: str, plan: Plan) -> DeploymentOut:
    """Deploy and wait until it runs."""
    deployment = services.deployments.deploy(model_id, plan)
    while deployment.state == "deploying":
        time.sleep(POLL_S)
        deployment = services.deployments.show(deployment.id)
    if deployment.state != "running":
        raise SystemExit(f"the deployment failed: {deployment.problem}")
    return deployment


def throughput(services: Services, deployment: DeploymentOut, seconds: float) -> float:
    """Return the frames/s of a run of random frames."""
    run = services.runs.start(deployment.id, source="random", repeat=True, seconds=seconds)
    while run.state == "running":
        time.sleep(POLL_S)
        run = services.runs.show(run.id)
    if run.lost or run.frames_per_s is None:
        raise SystemExit(f"the run lost {run.lost} frames")
    return run.frames_per_s


def measure(
    services: Services, example: str, rounds: int, seconds: float
) -> tuple[int, Plan, list[Round], list[float]]:
    """Return the cut, its plan, every round, and how long each deployment took."""
    cores = sorted(os.sched_getaffinity(0))
    if len(cores) < len(DEVICES):
        raise SystemExit("this benchmark needs two cores")
    for name, core in zip(DEVICES, cores, strict=False):
        services.devices.add(DeviceIn(name=name, address="local:", cpus=[core]))
    model = services.models.add_example(example)
    network = services.models.network(model.id)
    cut = best_cut(network, cores[0])
    plan = plan_of(network, cut)
    whole = plan.model_copy(update={"placement": dict.fromkeys(plan.placement, DEVICES[0])})
    parts = parts_of(network, plan)
    results, deploy_s = [], []
    for _ in range(rounds):
        deployments = deploy(services, model.id, whole)
        whole_per_s = throughput(services, deployments, seconds)
        deployments = deploy(services, model.id, plan)
        pipeline_per_s = throughput(services, deployments, seconds)
        deploy_s.append(deployments.deploy_s or 0.0)
        services.deployments.stop(deployments.id)
        stages = tuple(1 / time_alone(part, core, STAGE_RUNS * 2) for part, core in zip(parts, cores, strict=False))
        results.append(Round(whole_per_s, pipeline_per_s, stages))
    return cut, plan, results, deploy_s


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--example", default="resnet-50")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=8.0)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        services = Services(open_data_dir(Path(folder)))
        try:
            cut, plan, rounds, deploy_s = measure(services, options.example, options.rounds, options.seconds)
        finally:
            services.close()
    print(f"{options.example}: cut after layer {cut} of {len(plan.placement)}, 2 local devices of one core and thread")
    print(f"{'round':>6} {'whole /s':>9} {'pipeline /s':>12} {'ratio':>6} {'bound':>6} {'of bound':>9}")
    for number, one in enumerate(rounds, 1):
        print(
            f"{number:>6} {one.whole_per_s:>9.2f} {one.pipeline_per_s:>12.2f} {one.ratio:>6.2f} {one.bound:>6.2f} "
            f"{one.ratio / one.bound:>9.2f}"
        )
    ratio, bound = (statistics.median(getattr(one, name) for one in rounds) for name in ("ratio", "bound"))
    print(
        f"median ratio {ratio:.2f} (bound {bound:.2f}); a changed plan was running after {max(deploy_s):.1f} s at most"
    )
    print(f"load average {os.getloadavg()[0]:.1f} on {len(os.sched_getaffinity(0))} cores")
    if options.json is not None:
        document = {
            "example": options.example,
            "cut": cut,
            "rounds": [
                {"whole_per_s": r.whole_per_s, "pipeline_per_s": r.pipeline_per_s, "stages_per_s": r.stages_per_s}
                for r in rounds
            ],
            "median_ratio": ratio,
            "median_bound": bound,
            "deploy_s": deploy_s,
        }
        options.json.write_text(json.dumps(document, indent=2) + "\n")


if __name__ == "__main__":
    main()
