"""A plan that runs by the whole studio: how many frames a second, how long one takes, what its agents hold."""

import statistics
import threading
import time
from collections.abc import Iterator, Mapping
from concurrent.futures import Future
from contextlib import contextmanager
from dataclasses import dataclass, field

import numpy as np

from partition_studio.deployment.front_door import FrameResult, FrontDoor
from partition_studio.graph.frames import Frame, random_frame
from partition_studio.graph.network import Network
from partition_studio.partition.plan import Plan
from partition_studio.schemas import JobOut
from partition_studio.services import Services

_POLL_S = 0.05
_JOB_S = 900.0
_FRAME_S = 120.0

#: Frames before those that count: all queues are full then.
_WARM_UP, _LEAST = 12, 8

_ALONE = 9

#: The pipeline is full by then; and a sample tells of the second before it.
_FULL_S = 2.0


class RunError(Exception):
    """What was to be measured does not run; the message says why."""


@dataclass(frozen=True, slots=True)
class Measured:
    """`per_s` between the first and last frame that count; `latency_s` of a frame alone; the rest by device.

    Memory is the highest resident size of an agent, which is started for the plan and ended after it. The process that
    optimises a large stage before it is loaded is not in it. `cpu_s` is an agent's processor time for each frame while
    the pipeline is full; devices that told nothing meanwhile are left out.
    """

    per_s: float
    latency_s: float
    memory_bytes: Mapping[str, int]
    cpu_s: Mapping[str, float]


def ended(services: Services, job: JobOut) -> JobOut:
    """Wait for a job. Raises RunError when it fails."""
    out = services.jobs.wait(job.id, _JOB_S)
    if out.state != "done":
        raise RunError(f"{out.title}: {out.state}, {out.problem}")
    return out


def run_plan(services: Services, model_id: str, plan: Plan, seconds: float) -> Measured:
    """Deploy a plan, run it at full speed for a while, then a few frames one by one. Raises RunError."""
    network = services.models.network(model_id)
    with _Agents(services) as agents, _deployed(services, model_id, plan) as door:
        begin_s = time.time()
        per_s = _throughput(door, network, seconds)
        cores = agents.cores_between(begin_s, time.time())
        latency_s = _latency(door, network)
        agents.wait_for_another()
    used = set(plan.placement.values())
    return Measured(
        per_s,
        latency_s,
        {name: size for name, size in agents.most_bytes.items() if name in used},
        {name: busy / per_s for name, busy in cores.items() if name in used},
    )


@contextmanager
def _deployed(services: Services, model_id: str, plan: Plan) -> Iterator[FrontDoor]:
    deployment = services.deployments.deploy(model_id, plan)
    try:
        while deployment.state == "deploying":
            time.sleep(_POLL_S)
            deployment = services.deployments.show(deployment.id)
        door = services.deployments.live(deployment.id).front_door if deployment.state == "running" else None
        if door is None:
            raise RunError(f"the deployment failed: {deployment.problem}")
        yield door
    finally:
        services.deployments.stop(deployment.id)


def _frames(network: Network) -> list[Frame]:
    return [random_frame(network.inputs, seed) for seed in range(4)]


@dataclass
class _Arrivals:
    """Moments at which results came, and the first failure."""

    at_s: list[float] = field(default_factory=list)
    failure: BaseException | None = None
    change: threading.Condition = field(default_factory=threading.Condition)

    def take(self, done: "Future[FrameResult]") -> None:
        error = done.exception()
        with self.change:
            self.at_s.append(time.perf_counter())
            self.failure = self.failure or error
            self.change.notify_all()


def _throughput(door: FrontDoor, network: Network, seconds: float) -> float:
    frames, arrivals, submitted, begin_s = _frames(network), _Arrivals(), 0, float("inf")
    while time.perf_counter() - begin_s < seconds or len(arrivals.at_s) < _WARM_UP + _LEAST:
        future = door.submit(frames[submitted % len(frames)], timeout_s=_FRAME_S, keep=False)
        future.add_done_callback(arrivals.take)
        submitted += 1
        if arrivals.failure is not None:
            raise RunError(f"frames were lost: {arrivals.failure}")
        if begin_s == float("inf") and len(arrivals.at_s) >= _WARM_UP:
            begin_s = time.perf_counter()
    counted = arrivals.at_s[_WARM_UP - 1 :]
    with arrivals.change:
        if not arrivals.change.wait_for(lambda: len(arrivals.at_s) == submitted, _FRAME_S) or arrivals.failure:
            raise RunError(f"frames were lost: {arrivals.failure or 'no answer'}")
    return (len(counted) - 1) / (counted[-1] - counted[0])


def _latency(door: FrontDoor, network: Network) -> float:
    frames, seconds = _frames(network), []
    for number in range(_ALONE + 2):
        begin_s = time.perf_counter()
        door.submit(frames[number % len(frames)], timeout_s=_FRAME_S).result(_FRAME_S)
        seconds.append(time.perf_counter() - begin_s)
    return float(np.median(seconds[2:]))


class _Agents:
    """Watches what the agents hold, and how much of their cores they take."""

    def __init__(self, services: Services) -> None:
        self.most_bytes: dict[str, int] = {}
        self._cores: dict[str, dict[float, float]] = {}
        self._services = services
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)

    def __enter__(self) -> "_Agents":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()

    def cores_between(self, begin_s: float, end_s: float) -> dict[str, float]:
        """Return the mean of the cores that each agent took while the pipeline was full, between two moments."""
        return means_between(self._cores, begin_s + _FULL_S, end_s)

    def wait_for_another(self) -> None:
        """Wait until there are figures that are newer than now."""
        now_s = time.time()
        while any(live.unix_s < now_s for live in self._services.telemetry.live()) and time.time() < now_s + 3:
            time.sleep(_POLL_S)

    def _watch(self) -> None:
        while not self._over.wait(_POLL_S):
            for live in self._services.telemetry.live():
                self.most_bytes[live.device] = max(self.most_bytes.get(live.device, 0), live.memory_peak_bytes)
                self._cores.setdefault(live.device, {})[live.unix_s] = live.agent_cores


def means_between(told: Mapping[str, Mapping[float, float]], begin_s: float, end_s: float) -> dict[str, float]:
    """Return the mean of what each device told between two moments, by when; those that told nothing are left out."""
    within = {
        name: [what for at_s, what in list(by.items()) if begin_s <= at_s <= end_s] for name, by in list(told.items())
    }
    return {name: statistics.fmean(values) for name, values in within.items() if values}


def median_and_worst(errors: list[float]) -> tuple[float, float]:
    """Return the median and the largest size of some errors."""
    sizes = [abs(error) for error in errors]
    return statistics.median(sizes), max(sizes)
