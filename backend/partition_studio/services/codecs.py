"""Codecs of plans: `auto` is settled by what was measured of links, devices and the network itself."""

import hashlib
import math
import threading
from collections import OrderedDict
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import TypeVar

from partition_agent.protocol import STUDIO_PEER
from partition_studio.errors import NotFoundError
from partition_studio.fleet.errors import OperationCancelledError
from partition_studio.graph.frames import Frame, random_frame, read_frame
from partition_studio.graph.network import Network
from partition_studio.partition.check import require_valid
from partition_studio.partition.codec_trial import CodecTrial
from partition_studio.partition.codecs import Settled, auto_tensors, settled_codecs
from partition_studio.partition.extract import Contents, submodels
from partition_studio.partition.partition import Partition
from partition_studio.partition.plan import Plan
from partition_studio.planner.codecs.choice import CANDIDATES, CodecDecision, choose_codecs
from partition_studio.planner.codecs.costs import CAUTIOUS_SPEEDS, CodecSpeed, CodecTask
from partition_studio.planner.codecs.reasons import reasons
from partition_studio.planner.codecs.task import Measured, codec_task, resolved_plan
from partition_studio.planner.figures.figures import LinkFigures, Way
from partition_studio.planner.prediction.stage_time import predict_stage_s
from partition_studio.planner.search.strategies.codecs import AUTO
from partition_studio.schemas import CutCodecsOut, JobOut, LinkProfileOut, PlanCodecsOut, TensorCodecOut
from partition_studio.services.devices import DeviceService
from partition_studio.services.jobs import Job, JobService
from partition_studio.services.links import LinkService
from partition_studio.services.models import ModelService
from partition_studio.services.profiles import ProfileService

#: Frames that codecs are tried on: the model's samples, else random ones; fewer where tensors are large.
SAMPLE_FRAMES, RANDOM_FRAMES = 4, 2
MOST_BYTES = 512 * 2**20

#: Choices and answers of jobs that are remembered.
KEPT = 32

#: The studio's machine codes about so much faster than a weak board.
_STUDIO_FACTOR = 4.0

_POLL_S = 0.2

T = TypeVar("T")

_STUDIO_SPEEDS = {
    name: CodecSpeed(_STUDIO_FACTOR * speed.encode_bytes_per_s, _STUDIO_FACTOR * speed.decode_bytes_per_s)
    for name, speed in CAUTIOUS_SPEEDS.items()
}


class CodecsNotFoundError(NotFoundError):
    """No codecs were chosen by that job, or it was long ago."""

    code = "codecs_not_found"
    next_step = "Wait until the job is done, or choose the codecs again."


@dataclass(frozen=True, slots=True)
class SettledCodecs:
    """The codecs of a plan: of each tensor on a cut that does not travel as it is.

    `why` has sentences, by cut, where `auto` decided; `wire_bytes` the bytes of a frame on each cut where they were
    measured; `change` by how much the codecs change the outputs, None where that was not measured or is beyond measure.
    """

    codecs: Settled = field(default_factory=dict)
    why: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    wire_bytes: Mapping[str, int] = field(default_factory=dict)
    change: float | None = None


@dataclass(frozen=True, slots=True)
class _Answer:
    task: CodecTask
    decision: CodecDecision
    frames: int

    def settled(self) -> SettledCodecs:
        wire_bytes: dict[str, int] = {}
        for one in self.decision.tensors:
            wire_bytes[one.cut] = wire_bytes.get(one.cut, 0) + one.option.wire_bytes
        why = reasons(self.task, self.decision)
        change = self.decision.change if math.isfinite(self.decision.change) else None
        return SettledCodecs(self.decision.codecs, why, MappingProxyType(wire_bytes), change)


def _never() -> bool:
    return False


class CodecService:
    """Chooses codecs and remembers the choices. Thread-safe."""

    def __init__(
        self,
        models: ModelService,
        devices: DeviceService,
        profiles: ProfileService,
        links: LinkService,
        jobs: JobService,
    ) -> None:
        self._models = models
        self._devices = devices
        self._profiles = profiles
        self._links = links
        self._jobs = jobs
        self._lock = threading.Lock()
        #: One trial at a time: each holds about what the whole network takes in memory.
        self._trying = threading.Lock()
        self._answers: OrderedDict[str, _Answer] = OrderedDict()
        self._results: OrderedDict[str, tuple[str, PlanCodecsOut]] = OrderedDict()

    def settle(
        self,
        model_id: str,
        plan: Plan,
        partition: Partition,
        *,
        cancelled: Callable[[], bool] = _never,
        on_step: Callable[[str], None] | None = None,
    ) -> SettledCodecs:
        """Return the codecs of a plan: at once where none is `auto`, else after they were tried, once for each plan.

        Runs in the caller's thread. Raises OperationCancelledError once `cancelled` says so, PartNotRunnableError.
        """
        if not auto_tensors(partition.graph, plan):
            return SettledCodecs(settled_codecs(partition.graph, plan))

        def step(text: str, _done: int = 0, _total: int | None = None) -> None:
            if cancelled():
                raise OperationCancelledError("The choice of codecs was cancelled")
            if on_step is not None:
                on_step(text)

        return self._answer(model_id, plan, partition, step).settled()

    def resolve(
        self,
        model_id: str,
        plan: Plan,
        partition: Partition,
        *,
        among: Collection[str],
        cancelled: Callable[[], bool],
        on_step: Callable[[str], None],
    ) -> tuple[Plan, SettledCodecs]:
        """Return a plan with names for `auto`, chosen `among` some codecs (`auto`: all), and what they make of frames.

        What was measured is remembered for the plan with the names, too. Runs in the caller's thread, and raises as
        `settle` does.
        """

        def step(text: str, _done: int = 0, _total: int | None = None) -> None:
            if cancelled():
                raise OperationCancelledError("The choice of codecs was cancelled")
            on_step(text)

        answer = self._answer(model_id, plan, partition, step, among)
        named = resolved_plan(plan, partition.graph, answer.decision.codecs)
        # What no entry speaks of travels as it is anyway.
        named = named.model_copy(update={"codecs": [entry for entry in named.codecs if entry.codec != "none"]})
        with self._lock:
            _keep(self._answers, self._key(model_id, named), answer)
        return named, answer.settled()

    def known(self, model_id: str, plan: Plan) -> SettledCodecs | None:
        """Return what was chosen for a plan before, under the same conditions; None where nothing was."""
        if not plan.codecs or not self._answers:
            return None
        with self._lock:
            found = self._answers.get(self._key(model_id, plan))
        return None if found is None else found.settled()

    def start(self, model_id: str, plan: Plan) -> JobOut:
        """Begin to choose the codecs of a plan. Raises InvalidPlanError, NotFoundError, JobsBusyError."""
        _, partition = require_valid(self._models.network(model_id), plan, self._devices.limits())
        title = f"Codecs for {self._models.name(model_id)}"
        return self._jobs.start(
            "codecs", title, [], lambda job: self._work(job, model_id, plan, partition), model_id=model_id
        )

    def result(self, model_id: str, job_id: str) -> PlanCodecsOut:
        """Return what a job chose. Raises CodecsNotFoundError, JobNotFoundError."""
        with self._lock:
            found = self._results.get(job_id)
        if found is None or found[0] != model_id:
            job = self._jobs.show(job_id)
            raise CodecsNotFoundError(f"The job {job_id} ({job.title}, {job.state}) has chosen no codecs", job=job_id)
        return found[1]

    # --- in the job's or the rollout's thread -------------------------------------------------------------------------

    def _work(self, job: Job, model_id: str, plan: Plan, partition: Partition) -> None:
        def step(text: str, done: int = 0, total: int | None = None) -> None:
            job.stop_if_cancelled()
            job.step(text, done, total)

        answer = self._answer(model_id, plan, partition, step)
        with self._lock:
            _keep(self._results, job.id, (model_id, _out(plan, partition, answer)))
        job.step("chosen", 1, 1)

    def _answer(
        self,
        model_id: str,
        plan: Plan,
        partition: Partition,
        step: Callable[..., None],
        among: Collection[str] = (AUTO,),
    ) -> _Answer:
        key = self._key(model_id, plan)
        if AUTO not in among:
            key += f" among {', '.join(sorted(among))}"
        step("waiting for another choice of codecs")
        while not self._trying.acquire(timeout=_POLL_S):
            step("waiting for another choice of codecs")
        try:
            with self._lock:
                found = self._answers.get(key)
            if found is None:
                found = self._try(model_id, plan, partition, step, among)
                with self._lock:
                    _keep(self._answers, key, found)
            return found
        finally:
            self._trying.release()

    def _try(
        self, model_id: str, plan: Plan, partition: Partition, step: Callable[..., None], among: Collection[str]
    ) -> _Answer:
        graph = partition.graph
        parts = Contents(submodels(partition.network, graph, annotated=False))
        frames = self._frames(model_id, graph_bytes=sum(kind.size_bytes for kind in graph.tensors.values()))
        trial = CodecTrial(graph, parts, frames, on_stage=lambda stage: step(f"running {stage}"))
        measured = self._measured(plan, partition)
        task = codec_task(
            graph,
            plan,
            measured,
            trial.carried,
            candidates=[one for one in CANDIDATES if AUTO in among or one.name in {*among, "none"}],
            on_tensor=lambda done, total: step("encoding what crosses the cuts", done, total),
        )
        step("choosing")
        return _Answer(task, choose_codecs(task, plan.max_change, trial.change), len(frames))

    def _frames(self, model_id: str, *, graph_bytes: int) -> list[Frame]:
        network = self._models.network(model_id)
        most = max(1, MOST_BYTES // max(1, graph_bytes))
        names = self._models.sample_names(model_id)[: min(SAMPLE_FRAMES, most)]
        if names:
            how = self._models.preprocessing(model_id)
            return [read_frame(self._models.sample(model_id, name), name, network.inputs, how) for name in names]
        return [random_frame(network.inputs, seed) for seed in range(min(RANDOM_FRAMES, most))]

    # --- what was measured --------------------------------------------------------------------------------------------

    def _measured(self, plan: Plan, partition: Partition) -> Measured:
        speeds: dict[str, Mapping[str, CodecSpeed]] = {STUDIO_PEER: _STUDIO_SPEEDS}
        for device in plan.devices():
            profile = self._profiles.newest(device)
            if profile is not None:
                speeds[device] = profile.codecs
        division = partition.division
        stage_s: dict[str, float | None] = {}
        for stage in partition.graph.stages:
            for place in stage.instances:
                threads = self._devices.threads(place.device) or len(place.cores)
                found = self._profiles.best(place.device, partition.whole, threads)
                if found is not None:
                    predicted = predict_stage_s(found, division.network, stage.layers, division.sources)
                    stage_s[place.name] = predicted.seconds
        return Measured(self._link_figures(), speeds, stage_s)

    def _link_figures(self) -> dict[Way, LinkFigures]:
        return {
            (link.source, link.target): LinkFigures(link.bytes_per_s, (link.rtt_min_s or link.rtt_s or 0.0) / 2)
            for link in self._links.all().links
            if _tells(link)
        }

    def _key(self, model_id: str, plan: Plan) -> str:
        """Return what a choice hangs on: the plan, and what was measured of its links and devices, roughly."""
        network: Network = self._models.network(model_id)
        peers = {STUDIO_PEER, *plan.devices()}
        told: list[object] = [network.digest, network.form, self._models.sample_names(model_id)]
        told.append(plan.model_dump_json(exclude={"name", "notes", "blocks"}))
        for way, figures in sorted(self._link_figures().items()):
            if peers.issuperset(way):
                told.append((way, f"{figures.bytes_per_s:.1e}", f"{figures.latency_s:.0e}"))
        for device in plan.devices():
            newest = max((one.measured_at for one in self._profiles.all(device=device)), default=None)
            told.append((device, self._devices.threads(device), newest))
        return hashlib.sha256(repr(told).encode()).hexdigest()


def _tells(link: LinkProfileOut) -> bool:
    """Say whether a figure tells how fast a link is, and not only how fast it is at least."""
    return link.bytes_per_s > 0 and (link.method != "traffic" or link.rtt_s is not None)


def _keep(kept: OrderedDict[str, T], key: str, value: T) -> None:
    kept[key] = value
    while len(kept) > KEPT:
        kept.popitem(last=False)


def _out(plan: Plan, partition: Partition, answer: _Answer) -> PlanCodecsOut:
    decision = answer.decision
    why = reasons(answer.task, decision)
    cuts = []
    graph = partition.graph
    for cut in graph.cuts:
        tensors = [one for one in decision.tensors if one.cut == cut.id]
        if not tensors:
            continue
        known = all(hop.way in answer.task.links for hop in answer.task.hops if hop.cut == cut.id)
        out = [
            TensorCodecOut(
                tensor=one.tensor,
                codec=one.option.codec.name,
                low=one.option.codec.low,
                high=one.option.codec.high,
                size_bytes=one.size_bytes,
                wire_bytes=one.option.wire_bytes,
                link_s=one.cost.link_s if known else None,
                encode_s=one.cost.encode_s,
                decode_s=one.cost.decode_s,
            )
            for one in tensors
        ]
        cuts.append(
            CutCodecsOut(
                cut=cut.id,
                producer=cut.producer,
                consumer=cut.consumer,
                producer_device=graph.device_of(cut.producer) or STUDIO_PEER,
                consumer_device=graph.device_of(cut.consumer) or STUDIO_PEER,
                size_bytes=sum(one.size_bytes for one in out),
                wire_bytes=sum(one.wire_bytes for one in out),
                link_s=sum(one.cost.link_s for one in tensors) if known else None,
                coding_s=sum(one.cost.coding_s for one in tensors),
                tensors=out,
                why=list(why.get(cut.id, ())),
            )
        )
    return PlanCodecsOut(
        plan=resolved_plan(plan, partition.graph, decision.codecs),
        cuts=cuts,
        change=decision.change if math.isfinite(decision.change) else None,
        max_change=decision.max_change,
        frames=answer.frames,
        period_s=decision.cost.period_s,
        period_as_it_is_s=decision.as_it_is.period_s,
        latency_s=decision.cost.latency_s,
        latency_as_it_is_s=decision.as_it_is.latency_s,
        bottleneck=decision.cost.bottleneck,
    )
