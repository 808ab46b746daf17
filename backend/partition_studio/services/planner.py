"""The planner: predictions at once, searches and fronts as jobs whose best so far can always be asked for."""

import threading
import time
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from typing import NamedTuple, get_args

from partition_studio.errors import BadInputError, NotFoundError, StudioError
from partition_studio.fleet.errors import OperationCancelledError
from partition_studio.partition.check import require_valid
from partition_studio.partition.codecs import OnCut, Settled, auto_tensors, settled_codecs
from partition_studio.partition.partition import Partition
from partition_studio.partition.plan import CodecName, Plan
from partition_studio.planner.prediction.next_move import next_move
from partition_studio.planner.prediction.predict import flow_of, predict
from partition_studio.planner.search.baselines import baselines
from partition_studio.planner.search.problem.pose import pose
from partition_studio.planner.search.question import Limits, Objective, Question
from partition_studio.planner.search.strategies.codecs import AUTO
from partition_studio.planner.simulation.simulate import simulate
from partition_studio.schemas import (
    BaselineOut,
    DeviceOut,
    JobOut,
    LimitsIn,
    ParetoIn,
    PlanPredictionOut,
    PlanReportOut,
    PredictIn,
    PredictionOut,
    ProblemOut,
    QuestionIn,
    SearchMessage,
    SearchOut,
)
from partition_studio.searches.message import Task
from partition_studio.searches.out import baseline_out, gantt_out, next_move_out, prediction_out
from partition_studio.searches.process import SearchProcess
from partition_studio.services.codecs import CodecService
from partition_studio.services.devices import DeviceNotFoundError, DeviceService
from partition_studio.services.figures import FigureService, Known
from partition_studio.services.jobs import Job, JobService
from partition_studio.services.models import ModelService
from partition_studio.services.search_codecs import bytes_of_tensors, with_tried_codecs
from partition_studio.services.search_state import SearchState
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


#: Errors in a report that do not keep a plan from being predicted.
_BESIDE = ("over_memory", "device_cannot")


class _Settled(NamedTuple):
    """The codecs of a plan as they are known by now, the bytes that they make, and what is not known."""

    codecs: Settled
    wire_bytes: Mapping[OnCut, int]
    warnings: list[str]


def _predict(plan: Plan, partition: Partition, known: Known, settled: _Settled) -> PredictionOut:
    found = predict(partition, plan, known.figures, settled.codecs, settled.wire_bytes)
    return prediction_out(found, [*known.warnings, *settled.warnings])


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
        self._searches: OrderedDict[str, SearchState] = OrderedDict()

    # --- at once -----------------------------------------------------------------------------------------------------

    def predict(self, model_id: str, request: PredictIn) -> PlanPredictionOut:
        """Predict a plan. Raises InvalidPlanError, DeviceNotFoundError, BadFiguresError."""
        network, plan = self._models.network(model_id), request.plan
        # How much memory there is, is the prediction's business: it tells what does not fit.
        _, partition = require_valid(network, plan)
        known = self._figures.of(model_id, plan.devices())
        settled = self._settled(model_id, plan, partition)
        trace = None
        if request.gantt:
            flow = flow_of(partition, known.figures, settled.codecs, settled.wire_bytes, micro_batch=plan.micro_batch)
            trace = simulate(flow, request.gantt)
        move = None
        if request.next_move:
            others = [device.name for device in self._devices.all() if device.state != "cannot"]
            names = list(dict.fromkeys([*plan.devices(), *others]))
            move = next_move(network, plan, self._figures.of(model_id, names).figures)
        return PlanPredictionOut(
            prediction=_predict(plan, partition, known, settled),
            gantt=None if trace is None else gantt_out(trace),
            next_move=None if move is None else next_move_out(move),
        )

    def with_prediction(
        self, model_id: str, plan: Plan, report: PlanReportOut, partition: Partition | None
    ) -> PlanReportOut:
        """Return the report on a plan with what is predicted of it, where nothing but too little memory is wrong."""
        barring = [each for each in report.problems if each.severity == "error" and each.code not in _BESIDE]
        if partition is None or barring:
            return report
        try:
            known = self._figures.of(model_id, plan.devices())
            prediction = _predict(plan, partition, known, self._settled(model_id, plan, partition))
        except StudioError as error:
            return report.model_copy(update={"unpredicted": ProblemOut.of(error)})
        return report.model_copy(update={"prediction": prediction})

    def baselines(self, model_id: str) -> list[BaselineOut]:
        """Predict the plans that need no search, on every device that may be used.

        Raises NoDeviceGivenError, BadFiguresError.
        """
        question, _ = self._question(model_id, None, "throughput", LimitsIn())
        return [baseline_out(found) for found in baselines(question)]

    def _settled(self, model_id: str, plan: Plan, partition: Partition) -> _Settled:
        """Return a plan's codecs as they are known by now."""
        graph = partition.graph
        chosen = self._codecs.known(model_id, plan)
        if chosen is None:
            warnings = []
            if auto_tensors(graph, plan):
                warnings.append("codecs that are `auto` have not been chosen yet: their tensors are taken as they are")
            return _Settled(settled_codecs(graph, plan), {}, warnings)
        return _Settled(chosen.codecs, bytes_of_tensors(graph, chosen.wire_bytes), [])

    # --- as jobs -----------------------------------------------------------------------------------------------------

    def search(self, model_id: str, request: QuestionIn) -> JobOut:
        """Begin to look for the best plan.

        Raises NotFoundError, NoDeviceGivenError, BadFiguresError, ContradictionError, NoPowerError, JobsBusyError.
        """
        question, notes = self._question(model_id, request.devices, request.objective, request.limits)
        task = Task.of("best", self._models.path(model_id), question, request.seconds)
        title = f"Best plan of {self._models.name(model_id)} ({request.objective})"
        return self._start(title, model_id, task, notes, question)

    def pareto(self, model_id: str, request: ParetoIn) -> JobOut:
        """Begin to look for the Pareto front; raises what `search` raises."""
        question, notes = self._question(model_id, request.devices, "throughput", request.limits)
        task = Task.of("pareto", self._models.path(model_id), question, request.seconds, request.most)
        return self._start(f"Pareto front of {self._models.name(model_id)}", model_id, task, notes, question)

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

    def _start(self, title: str, model_id: str, task: Task, notes: tuple[str, ...], question: Question) -> JobOut:
        search = SearchState(model_id, task.kind, notes)

        def work(job: Job) -> None:
            self._work(job, search, task, question)

        job = self._jobs.start("search", title, [], work, model_id=model_id)
        self._keep(job.id, search)
        return job

    def _keep(self, job_id: str, search: SearchState) -> None:
        """Have a search found by its job; whoever knows the job first calls this."""
        with self._lock:
            self._searches[job_id] = search
            while len(self._searches) > KEPT:
                self._searches.popitem(last=False)

    # --- in the job's thread -----------------------------------------------------------------------------------------

    def _work(self, job: Job, search: SearchState, task: Task, question: Question) -> None:
        self._keep(job.id, search)
        for note in search.notes:
            job.warn(note)
        while not self._slots.acquire(timeout=_POLL_S):
            job.step("waiting for another search")
            job.stop_if_cancelled()
        try:
            search.begun_s = time.monotonic()
            self._run(job, search, task)
            if task.kind == "best":
                self._try_codecs(job, search, question)
        finally:
            search.ended_s = time.monotonic()
            self._slots.release()
        if job.cancelled():
            # What was found until then is kept.
            raise OperationCancelledError(f"{job.out().title} was stopped")

    def _run(self, job: Job, search: SearchState, task: Task) -> None:
        with SearchProcess(task) as process:
            job.on_cancel(process.stop)
            for found in process.findings(_TICK_S):
                if found is not None and search.take(found):
                    self._tell(job.id, search)
                elapsed_s = time.monotonic() - search.begun_s
                job.step(search.progress, min(int(elapsed_s), int(task.seconds)), max(1, int(task.seconds)), "seconds")
            if process.was_cut:
                search.cut_short()

    def _try_codecs(self, job: Job, search: SearchState, question: Question) -> None:
        """Have the best plan say by name which codecs it uses, where any may be used."""
        answer = search.answer
        if answer is None or job.cancelled():
            return
        found = with_tried_codecs(answer, question, search.model_id, self._codecs, job.cancelled, job.step)
        if found is not answer:
            search.settle(found)
            self._tell(job.id, search)
            job.step(search.progress, 1, 1)

    def _tell(self, job_id: str, search: SearchState) -> None:
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
    codecs = (*get_args(CodecName), AUTO)
    for codec in limits.codecs:
        if codec not in codecs:
            raise BadInputError(f"There is no codec {codec!r}", next_step=f"Choose among {', '.join(codecs)}.")


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
        contiguous=limits.contiguous,
        codecs=frozenset({"none", *limits.codecs}),
        max_change=limits.max_change,
    )
