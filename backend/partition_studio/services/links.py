"""Links between devices: measured on request, in the background, and seen in the traffic."""

import itertools
import logging
import secrets
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime

from sqlalchemy.exc import SQLAlchemyError

from partition_agent.protocol import STUDIO_PEER, End, LinkMeasured, Telemetry
from partition_studio.deployment.addresses import HasAddresses, data_hosts
from partition_studio.errors import BadInputError, ConflictError, DeviceError, NotFoundError, StudioError
from partition_studio.fleet.errors import OperationCancelledError
from partition_studio.fleet.links.measure import AgentEnd, LinkEnd, LinkNotMeasuredError, StudioEnd, measure_link
from partition_studio.fleet.links.traffic import TrafficWatch, Way
from partition_studio.fleet.session.session import DeviceSession
from partition_studio.partition.replicas import ways_of
from partition_studio.schemas import JobOut, LinkFailureOut, LinksIn, LinksMessage, LinksOut
from partition_studio.services.deployments import DeploymentService
from partition_studio.services.devices import DeviceService
from partition_studio.services.jobs import Job, JobService
from partition_studio.store.database import Database
from partition_studio.store.links import Figure, LinkStore
from partition_studio.telemetry.live import LiveHub

logger = logging.getLogger(__name__)

#: How often links are measured without being asked for, and with how many bytes for both directions together.
BACKGROUND_EVERY_S = 900.0
BACKGROUND_BYTES = 1024 * 1024
BACKGROUND_S = 1.0

#: The most that one direction takes when a person asks.
MEASURE_BYTES = 64 * 1024 * 1024

#: How often what was seen in the traffic is written down.
_TICK_S = 2.0

#: Agents that are brought up at the same time.
_MAX_PARALLEL = 8

_CLOSE_S = 10.0

#: Deployments whose links are remembered.
_KEPT_DEPLOYMENTS = 16


@dataclass(frozen=True, slots=True)
class Pair:
    """Two peers and who of them connects to whom."""

    caller: LinkEnd
    listener: LinkEnd
    host: str


class LinkService:
    """Measure and keep link figures. Thread-safe."""

    def __init__(
        self,
        database: Database,
        hub: LiveHub,
        devices: DeviceService,
        jobs: JobService,
        deployments: DeploymentService,
        *,
        background_every_s: float | None = BACKGROUND_EVERY_S,
    ) -> None:
        """Take up what was measured before; None measures nothing in the background."""
        self._store = LinkStore(database)
        self._hub = hub
        self._devices = devices
        self._jobs = jobs
        self._deployments = deployments
        self._every_s = background_every_s
        self._studio = StudioEnd()
        #: One pair at a time, whoever wants it measured.
        self._measuring = threading.Lock()
        self._lock = threading.Lock()
        self._failures: dict[Way, LinkFailureOut] = {}
        self._traffic = TrafficWatch()
        self._ways: dict[str, Mapping[str, Way]] = {}
        self._unwritten: dict[Way, float] = {}
        self._closed = threading.Event()
        self._thread = threading.Thread(target=self._run, name="links", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Measure no more; what was seen is written down."""
        self._closed.set()
        self._studio.close()
        self._thread.join(_CLOSE_S)

    # --- on request --------------------------------------------------------------------------------------------------

    def measure(self, request: LinksIn) -> JobOut:
        """Begin to measure every pair. Raises BadInputError, NotFoundError, JobsBusyError."""
        names = list(dict.fromkeys(self._devices.names() if request.devices is None else request.devices))
        if not names:
            raise BadInputError("There is no device to measure a link to", next_step="Add a device first.")
        sessions = {name: self._devices.session(name) for name in names}
        title = f"Links of {', '.join(names)}" if len(names) <= 4 else f"Links of {len(names)} devices"
        return self._jobs.start("links", title, names, lambda job: self._measure_all(job, sessions, request.seconds))

    def all(self) -> LinksOut:
        """Return the newest figures of every direction.

        What was measured goes before what was seen in traffic, save where the traffic proves it to be more.
        """
        names = {STUDIO_PEER, *self._devices.names()}
        with self._lock:
            failures = [out for way, out in self._failures.items() if names.issuperset(way)]
        links = [out for out in self._store.best() if out.source in names and out.target in names]
        return LinksOut(links=links, failures=failures, background_every_s=self._every_s)

    def _measure_all(self, job: Job, sessions: Mapping[str, DeviceSession], seconds: float) -> None:
        self._warn_of_traffic(job, list(sessions))
        ends: list[LinkEnd] = [self._studio, *(AgentEnd(session) for session in sessions.values())]
        job.on_cancel(lambda: _cancel(ends, job.id))
        try:
            problems = self._bring_up(job, sessions)
            pairs = list(itertools.combinations(ends, 2))
            measured = 0
            for number, (one, other) in enumerate(pairs):
                job.stop_if_cancelled()
                job.step(f"{one.name} - {other.name}", number, len(pairs))
                problem = problems.get(one.name) or problems.get(other.name)
                problem = problem or self._try_pair(job, one, other, sessions, seconds)
                measured += problem is None
                if problem is not None:
                    job.warn(f"{one.name} - {other.name}: {problem.message}")
                    self._note_failure(one.name, other.name, problem.message)
                self._hub.publish(LinksMessage())
            job.step("done", len(pairs), len(pairs))
            if not measured:
                raise LinkNotMeasuredError(f"No link could be measured: {job.out().warnings[-1]}")
        finally:
            for session in sessions.values():
                self._release(session, job.id)

    def _warn_of_traffic(self, job: Job, names: Sequence[str]) -> None:
        for name in names:
            deployment = self._deployments.active_on(name)
            if deployment is not None:
                job.warn(f"{name} takes part in the deployment {deployment}: its frames and this disturb each other")

    def _bring_up(self, job: Job, sessions: Mapping[str, DeviceSession]) -> dict[str, StudioError]:
        """Have every agent run; return what is wrong with those that do not."""
        job.step("starting the agents")

        def hold(name: str) -> tuple[str, StudioError | None]:
            def tell(_step: object, text: str) -> None:
                job.step(f"{name}: {text}")

            try:
                sessions[name].hold_agent(job.id, tell, lambda report: tell(None, report.text), job.cancelled)
            except StudioError as error:
                return name, error
            return name, None

        with ThreadPoolExecutor(_MAX_PARALLEL, thread_name_prefix=job.id) as pool:
            problems = {name: problem for name, problem in pool.map(hold, sessions) if problem is not None}
        job.stop_if_cancelled()
        return problems

    def _try_pair(
        self, job: Job, one: LinkEnd, other: LinkEnd, sessions: Mapping[str, DeviceSession], seconds: float
    ) -> StudioError | None:
        """Measure a pair and keep the figures; return what went wrong."""
        try:
            pair = pair_of(one, other, sessions)
            with self._measuring:
                measured = measure_link(job.id, pair.caller, pair.listener, pair.host, seconds, MEASURE_BYTES)
        except OperationCancelledError:
            raise
        except StudioError as error:
            job.stop_if_cancelled()
            return error
        self._keep(pair, measured, "measured")
        return None

    def _release(self, session: DeviceSession, job_id: str) -> None:
        try:
            session.release_agent(job_id, End(deployment=job_id))
        except StudioError as error:
            # What is left there is ended when the device is used again.
            logger.warning("agent_not_released", extra={"device": session.spec.name, "reason": error.message})

    # --- figures -----------------------------------------------------------------------------------------------------

    def _keep(self, pair: Pair, measured: LinkMeasured, method: str) -> None:
        there = Way(pair.caller.name, pair.listener.name)
        back = Way(there.target, there.source)
        rtt_s, rtt_min_s = measured.rtt_s, measured.rtt_min_s
        self._store.keep(there, method, Figure(measured.to_peer.bytes_per_s, rtt_s, rtt_min_s))
        self._store.keep(back, method, Figure(measured.from_peer.bytes_per_s, rtt_s, rtt_min_s))
        with self._lock:
            self._failures.pop(there, None)
            self._failures.pop(back, None)

    def _note_failure(self, one: str, other: str, reason: str) -> None:
        at = datetime.now(UTC)
        with self._lock:
            for way in (Way(one, other), Way(other, one)):
                self._failures[way] = LinkFailureOut(source=way.source, target=way.target, reason=reason, at=at)

    def forget(self, device: str) -> None:
        """Forget the links of a device that is removed."""
        with self._lock:
            for known in (self._failures, self._unwritten):
                for way in [way for way in known if device in way]:
                    del known[way]
            self._traffic.forget(device)
        self._store.forget(device)
        self._hub.publish(LinksMessage())

    # --- from the traffic --------------------------------------------------------------------------------------------

    def seen(self, device: str, sample: Telemetry) -> None:
        """Take a device's newest totals; called by the thread that reads its conversation, which never waits here."""
        if not sample.links:
            return
        with self._lock:
            for deployment in {link.deployment for link in sample.links} - set(self._ways):
                try:
                    self._ways[deployment] = self._ways_of(deployment)
                except SQLAlchemyError as error:
                    # The next sample asks again.
                    logger.warning("link_ways_unknown", extra={"deployment": deployment, "reason": str(error)[:500]})
                    continue
                while len(self._ways) > _KEPT_DEPLOYMENTS:
                    del self._ways[next(iter(self._ways))]
            self._unwritten.update(self._traffic.seen(device, sample, self._ways))

    def _ways_of(self, deployment: str) -> Mapping[str, Way]:
        """Return the direction of each link between two peers of a deployment."""
        try:
            graph = self._deployments.live(deployment).spec.graph
        except (NotFoundError, ConflictError):
            return {}
        ways = {}
        for link in (link for cut in graph.cuts for link in ways_of(graph, cut)):
            ways[link.id] = Way(
                STUDIO_PEER if link.producer is None else link.producer.device,
                STUDIO_PEER if link.consumer is None else link.consumer.device,
            )
        return {link: way for link, way in ways.items() if way.source != way.target}

    # --- in the background -------------------------------------------------------------------------------------------

    def _run(self) -> None:
        due_s = time.monotonic() + (self._every_s or 0.0)
        while not self._closed.wait(min(_TICK_S, self._every_s or _TICK_S)):
            self._write_traffic()
            if self._every_s is not None and time.monotonic() >= due_s:
                self._guarded(self._round)
                due_s = time.monotonic() + self._every_s
        self._write_traffic()

    def _guarded(self, work: Callable[[], None]) -> None:
        try:
            work()
        except Exception:  # the boundary of a task: the next round may do better
            logger.exception("link_background_failed")

    def _write_traffic(self) -> None:
        with self._lock:
            unwritten, self._unwritten = self._unwritten, {}
        if not unwritten:
            return
        self._guarded(lambda: self._write(unwritten))

    def _write(self, bounds: Mapping[Way, float]) -> None:
        for way, rate in bounds.items():
            self._store.keep(way, "traffic", Figure(rate, None, None))
        self._hub.publish(LinksMessage())

    def _round(self) -> None:
        """Measure every pair of those devices whose agents run and are idle, one after the other."""
        names = self._idle()
        if len(names) < 2:
            return
        for one, other in itertools.combinations([STUDIO_PEER, *names], 2):
            if self._closed.is_set():
                return
            if {one, other} <= {STUDIO_PEER, *self._idle()}:
                self._look_at(one, other)
        self._hub.publish(LinksMessage())

    def _idle(self) -> list[str]:
        """Return the devices whose agents run, and which are in no job and no run."""
        return [name for name in self._devices.names() if self._is_idle(name)]

    def _is_idle(self, name: str) -> bool:
        try:
            if not self._devices.session(name).agent_running or self._jobs.of_device(name) is not None:
                return False
            deployment = self._deployments.active_on(name)
            if deployment is None:
                return True
            out = self._deployments.show(deployment)
        except StudioError:
            # It was removed, or it ended, in this moment; or it cannot be used as it is.
            return False
        return out.state == "running" and (out.run is None or out.run.state != "running")

    def _look_at(self, one: str, other: str) -> None:
        job = f"background-{secrets.token_hex(4)}"
        try:
            sessions = {name: self._devices.session(name) for name in (one, other) if name != STUDIO_PEER}
            ends = [self._studio if name == STUDIO_PEER else AgentEnd(sessions[name]) for name in (one, other)]
            pair = pair_of(ends[0], ends[1], sessions)
            with self._measuring:
                half = BACKGROUND_BYTES // 2
                measured = measure_link(job, pair.caller, pair.listener, pair.host, BACKGROUND_S, half)
        except StudioError as error:
            # Nobody asked: what was measured before stands, and is shown with its age.
            logger.info("link_not_measured", extra={"source": one, "target": other, "reason": error.message})
            return
        self._keep(pair, measured, "background")


def pair_of(one: LinkEnd, other: LinkEnd, sessions: Mapping[str, HasAddresses]) -> Pair:
    """Say who connects to whom: the studio to a device, a process on the studio's machine to a device elsewhere."""
    two = {end.name: sessions[end.name] for end in (one, other) if end.name != STUDIO_PEER}
    hosts = data_hosts(two)
    listener = other
    if other.name == STUDIO_PEER or (one.name in two and two[other.name].is_local and not two[one.name].is_local):
        listener = one
    caller = other if listener is one else one
    return Pair(caller, listener, hosts[listener.name])


def _cancel(ends: Sequence[LinkEnd], job: str) -> None:
    for end in ends:
        try:
            end.cancel(job)
        except DeviceError:
            # No agent runs there (any more): so nothing does.
            continue
