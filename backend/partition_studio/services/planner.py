"""The planner: predictions at once, searches and fronts as jobs whose best so far can always be asked for."""

import threading
import time
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import assert_never, get_args

import msgspec

from partition_studio.errors import BadInputError, NotFoundError, StudioError
from partition_studio.fleet.errors import OperationCancelledError
from partition_studio.partition.check import require_valid
from partition_studio.partition.codecs import OnCut, Settled, auto_tensors, settled_codecs
from partition_studio.partition.partition import Partition
from partition_studio.partition.plan import CodecName, Plan
from partition_studio.planner.errors import NoPlanError
from partition_studio.planner.next_move import next_move
from partition_studio.planner.predict import flow_of, predict
from partition_studio.planner.search.pose import pose
from partition_studio.planner.search.question import Limits, Objective, Question
from partition_studio.planner.simulate import simulate
from partition_studio.schemas import (
    AnswerOut,
    BaselineOut,
    DeviceOut,
    JobOut,
    LimitsIn,
    ObstacleOut,
    ParetoIn,
    PlanPredictionOut,
    PredictIn,
    QuestionIn,
    SearchMessage,
    SearchOut,
)
from partition_studio.searches.message import BASELINES, FRONT, Failure, Found, Kind, Task
from partition_studio.searches.out import gantt_out, next_move_out, prediction_out
from partition_studio.searches.process import SearchProcess
from partition_studio.services.codecs import CodecService
from partition_studio.services.devices import DeviceNotFoundError, DeviceService
from partition_studio.services.figures import FigureService
from partition_studio.services.jobs import Job, JobService
from partition_studio.services.models import ModelService
from partition_studio.sizes import size_text
from partition_studio.telemetry.live import LiveHub

#: Searches that compute at once: each keeps two cores busy.
AT_ONCE = 2

#: Searches whose results are kept.
KEPT = 32

#: How often a search says how far it is.
_TICK_S = 0.5

#: How often one that waits for another looks whether it was cancelled.
_POLL_S = 0.2


class SearchNotFoundError(NotFoundError):
    """There is no such search, or it was long ago."""

    code = "search_not_found"
    next_step = "Search again; results of long ago are forgotten."


class NoDeviceGivenError(BadInputError):
    """There is no device to plan for."""

    code = "no_device"
    next_step = "Name the devices that may be used, or add one first."


@dataclass(slots=True)
class _Search:
    """A search as far as it is. Guarded by its lock."""

    model_id: str
    kind: Kind
    notes: tuple[str, ...]
    begun_s: float = field(default_factory=time.monotonic)
    ended_s: float | None = None
    found: int = 0
    answer: AnswerOut | None = None
    front: list[AnswerOut] = field(default_factory=list)
    baselines: list[BaselineOut] = field(default_factory=list)
    obstacles: list[ObstacleOut] = field(default_factory=list)
    lock: threading.Lock = field(default_factory=threading.Lock)

    @property
    def newest(self) -> AnswerOut | None:
        """The best answer, or the newest point of a front."""
        return self.answer if self.kind == "best" else self.front[-1] if self.front else None

    def out(self, job: str) -> SearchOut:
        """Describe it."""
        with self.lock:
            return SearchOut(
                job=job,
                model_id=self.model_id,
                kind=self.kind,
                answer=self.answer,
                front=list(self.front),
                baselines=list(self.baselines),
                obstacles=list(self.obstacles),
                elapsed_s=(self.ended_s or time.monotonic()) - self.begun_s,
            )

    def take(self, found: Found) -> bool:
        """Take what was found; say whether it is an answer or a point. Raises StudioError: what went wrong there."""
        data = bytes(found.document)
        with self.lock:
            match found.what:
                case "baselines":
                    self.baselines = BASELINES.validate_json(data)
                    return False
                case "answer":
                    self.answer = self._noted(AnswerOut.model_validate_json(data))
                case "point":
                    self.front = [*self.front, self._noted(AnswerOut.model_validate_json(data))]
                case "front":
                    self.front = [self._noted(point) for point in FRONT.validate_json(data)]
                    return True
                case "failure":
                    self._fail(msgspec.json.decode(data, type=Failure).error())
                case _ as never:
                    assert_never(never)
            self.found += 1
            return True

    def _fail(self, error: StudioError) -> None:
        if isinstance(error, NoPlanError):
            self.obstacles = [ObstacleOut.model_validate(obstacle) for obstacle in error.obstacles]
        raise error

    def _noted(self, answer: AnswerOut) -> AnswerOut:
        return answer.model_copy(update={"notes": [*answer.notes, *self.notes]})


class PlannerService:
    """Predicts and searches. Every call may block; thread-safe."""

    def __init__(
        self,
        hub: LiveHub,
        models: ModelService,
        devices: DeviceService,
        figures: FigureService,
        codecs: CodecService,
        jobs: JobService,
    ) -> None:
        self._hub = hub
        self._models = models
        self._devices = devices
        self._figures = figures
        self._codecs = codecs
        self._jobs = jobs
        self._lock = threading.Lock()
        self._slots = threading.Semaphore(AT_ONCE)
        self._searches: OrderedDict[str, _Search] = OrderedDict()

    # --- at once -----------------------------------------------------------------------------------------------------

    def predict(self, model_id: str, request: PredictIn) -> PlanPredictionOut:
        """Predict a plan. Raises InvalidPlanError, DeviceNotFoundError, BadFiguresError."""
        network, plan = self._models.network(model_id), request.plan
        # How much memory there is, is the prediction's business: it tells what does not fit.
        _, partition = require_valid(network, plan)
        known = self._figures.of(model_id, plan.devices())
        codecs, wire_bytes, warnings = self._settled(model_id, plan, partition)
        found = predict(partition, plan, known.figures, codecs, wire_bytes)
        trace = None
        if request.gantt:
            trace = simulate(
                flow_of(partition, known.figures, codecs, wire_bytes, micro_batch=plan.micro_batch), request.gantt
            )
        move = None
        if request.next_move:
            others = [device.name for device in self._devices.all() if device.state != "cannot"]
            names = list(dict.fromkeys([*plan.devices(), *others]))
            move = next_move(network, plan, self._figures.of(model_id, names).figures)
        return PlanPredictionOut(
            prediction=prediction_out(found, [*known.warnings, *warnings]),
            gantt=None if trace is None else gantt_out(trace),
            next_move=None if move is None else next_move_out(move),
        )

    def _settled(
        self, model_id: str, plan: Plan, partition: Partition
    ) -> tuple[Settled, Mapping[OnCut, int], list[str]]:
        """Return a plan's codecs as they are known by now, the bytes that they make, and what is not known."""
        graph = partition.graph
        chosen = self._codecs.known(model_id, plan)
        if chosen is None:
            warnings = []
            if auto_tensors(graph, plan):
                warnings.append("codecs that are `auto` have not been chosen yet: their tensors are taken as they are")
            return settled_codecs(graph, plan), {}, warnings
        wire_bytes: dict[OnCut, int] = {}
        for cut in graph.cuts:
            size, total = graph.cut_bytes(cut), chosen.wire_bytes.get(cut.id)
            if total is None or size == 0:
                continue
            # Only their sum was kept, and only their sum counts: they travel as one message.
            for tensor in cut.tensors:
                wire_bytes[cut.id, tensor] = round(total * graph.tensors[tensor].size_bytes / size)
        return chosen.codecs, wire_bytes, []

    # --- as jobs -----------------------------------------------------------------------------------------------------

    def search(self, model_id: str, request: QuestionIn) -> JobOut:
        """Begin to look for the best plan.

        Raises NotFoundError, NoDeviceGivenError, BadFiguresError, ContradictionError, NoPowerError, JobsBusyError.
        """
        question, notes = self._question(model_id, request.devices, request.objective, request.limits)
        task = Task.of("best", self._models.path(model_id), question, request.seconds)
        return self._start(f"Best plan of {self._models.name(model_id)} ({request.objective})", model_id, task, notes)

    def pareto(self, model_id: str, request: ParetoIn) -> JobOut:
        """Begin to look for the Pareto front; raises what `search` raises."""
        question, notes = self._question(model_id, request.devices, "throughput", request.limits)
        task = Task.of("pareto", self._models.path(model_id), question, request.seconds, request.most)
        return self._start(f"Pareto front of {self._models.name(model_id)}", model_id, task, notes)

    def result(self, model_id: str, job_id: str) -> SearchOut:
        """Return what a search has found so far. Raises SearchNotFoundError, JobNotFoundError."""
        with self._lock:
            found = self._searches.get(job_id)
        if found is None or found.model_id != model_id:
            job = self._jobs.show(job_id)
            raise SearchNotFoundError(f"The job {job_id} ({job.title}, {job.state}) has no plans", job=job_id)
        return found.out(job_id)

    def _question(
        self, model_id: str, names: Sequence[str] | None, objective: Objective, limits: LimitsIn
    ) -> tuple[Question, tuple[str, ...]]:
        network = self._models.network(model_id)
        devices, notes = self._usable(names)
        _check_names(limits, {device.name for device in self._devices.all()})
        known = self._figures.of(model_id, devices)
        question = Question(network, known.figures, tuple(devices), objective, _limits(limits))
        # What is wrong with the question is told before anything begins.
        pose(question)
        return question, (*notes, *known.warnings)

    def _usable(self, names: Sequence[str] | None) -> tuple[list[str], list[str]]:
        """Return the devices that may be used, and what is to be known of them."""
        registered = {device.name: device for device in self._devices.all()}
        if names is None:
            devices = [device.name for device in registered.values() if device.state != "cannot"]
            left = [device for device in registered.values() if device.state == "cannot"]
            notes = [f"{device.name} is left out: it cannot run the agent" for device in left]
        else:
            devices = list(dict.fromkeys(names))
            notes = []
        if not devices:
            raise NoDeviceGivenError("There is no device to plan for")
        for name in devices:
            if name not in registered:
                raise DeviceNotFoundError(f"There is no device {name!r}", device=name)
            notes += _trouble(registered[name])
        return devices, notes

    def _start(self, title: str, model_id: str, task: Task, notes: tuple[str, ...]) -> JobOut:
        search = _Search(model_id, task.kind, notes)
        return self._jobs.start("search", title, [], lambda job: self._work(job, search, task), model_id=model_id)

    # --- in the job's thread -----------------------------------------------------------------------------------------

    def _work(self, job: Job, search: _Search, task: Task) -> None:
        with self._lock:
            self._searches[job.id] = search
            while len(self._searches) > KEPT:
                self._searches.popitem(last=False)
        for note in search.notes:
            job.warn(note)
        while not self._slots.acquire(timeout=_POLL_S):
            job.step("waiting for another search")
            job.stop_if_cancelled()
        try:
            search.begun_s = time.monotonic()
            self._run(job, search, task)
        finally:
            search.ended_s = time.monotonic()
            self._slots.release()
        if job.cancelled():
            # What was found until then is kept.
            raise OperationCancelledError(f"{job.out().title} was stopped")

    def _run(self, job: Job, search: _Search, task: Task) -> None:
        with SearchProcess(task) as process:
            job.on_cancel(process.stop)
            for found in process.findings(_TICK_S):
                if found is not None and search.take(found):
                    self._tell(job.id, search)
                elapsed_s = time.monotonic() - search.begun_s
                job.step(
                    _progress(search), min(int(elapsed_s), int(task.seconds)), max(1, int(task.seconds)), "seconds"
                )

    def _tell(self, job_id: str, search: _Search) -> None:
        newest = search.newest
        value, bound = (None, None) if newest is None else (newest.value, newest.bound)
        self._hub.publish(SearchMessage(job=job_id, found=search.found, value=value, bound=bound))


def _trouble(device: DeviceOut) -> list[str]:
    if device.state not in ("cannot", "unreachable"):
        return []
    why = "cannot run the agent" if device.state == "cannot" else "could not be reached when it was last looked at"
    return [f"{device.name} {why}: a plan for it cannot be deployed as it is"]


def _check_names(limits: LimitsIn, registered: set[str]) -> None:
    """Refuse limits that speak of what is not there. Raises DeviceNotFoundError, BadInputError."""
    for name in [*limits.memory_bytes, *limits.excluded]:
        if name not in registered:
            raise DeviceNotFoundError(f"There is no device {name!r}", device=name)
    for codec in limits.codecs:
        if codec not in get_args(CodecName):
            raise BadInputError(
                f"There is no codec {codec!r}", next_step=f"Choose among {', '.join(get_args(CodecName))}."
            )


def _limits(limits: LimitsIn) -> Limits:
    return Limits(
        min_throughput_per_s=limits.min_throughput_per_s,
        max_latency_s=limits.max_latency_s,
        max_energy_j=limits.max_energy_j,
        max_total_energy_j=limits.max_total_energy_j,
        memory_bytes=dict(limits.memory_bytes),
        pins=dict(limits.pins),
        excluded=frozenset(limits.excluded),
        max_devices=limits.max_devices,
        input_on=limits.input_on,
        strategies=frozenset({"layers", *limits.strategies}),
        codecs=frozenset({"none", *limits.codecs}),
        max_change=limits.max_change,
    )


def _progress(search: _Search) -> str:
    """Say how far a search is, in the objective's unit."""
    if search.kind == "pareto":
        count = len(search.front)
        return f"{count} point{'' if count == 1 else 's'}" if count else "looking for the first point"
    answer = search.answer
    if answer is None:
        return "looking for a first plan"
    value, bound = value_text(answer.objective, answer.value), value_text(answer.objective, answer.bound)
    return f"{value}, bound {bound}, " + ("proved" if answer.proved else f"gap {share_text(answer.gap)}")


def share_text(share: float) -> str:
    """Return a share in per cent, with as many digits as tell something."""
    return f"{100 * share:.0f} %" if share >= 0.1 else f"{100 * share:.2g} %"


def value_text(objective: Objective, value: float) -> str:
    """Return a figure of an objective with its unit."""
    match objective:
        case "throughput":
            return f"{value:.4g} frames/s"
        case "latency":
            return f"{1e3 * value:.4g} ms"
        case "max_energy" | "total_energy":
            return f"{value:.4g} J"
        case "max_memory":
            return size_text(value)
        case _ as never:
            assert_never(never)
