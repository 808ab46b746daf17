"""Long tasks (profile, links, calibration): each in a thread of its own, with progress, to be cancelled."""

import logging
import secrets
import threading
import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime

from partition_studio.errors import ConflictError, NotFoundError, StudioError
from partition_studio.fleet.errors import OperationCancelledError
from partition_studio.schemas import JobKind, JobMessage, JobOut, JobUnit, ProblemOut
from partition_studio.telemetry.live import LiveHub

logger = logging.getLogger(__name__)

#: Jobs that may be under way at once; one more is refused.
MAX_RUNNING = 8

#: Ended jobs that can still be asked for.
KEPT_ENDED = 50

#: Progress is told at most so often.
TELL_EVERY_S = 0.2

#: How long `close` waits for jobs that were cancelled.
CLOSE_S = 20.0


class JobNotFoundError(NotFoundError):
    """There is no such job."""

    code = "job_not_found"
    next_step = "List the jobs; those that ended long ago are forgotten."


class JobsBusyError(ConflictError):
    """Too many jobs, or one of the devices is in another."""

    code = "job_busy"
    next_step = "Wait for the job that is going on, or cancel it."


class Job:
    """One task, as its own code sees it: report with `step`, look at `cancelled`."""

    def __init__(self, out: JobOut, tell: Callable[[JobOut], None]) -> None:
        self._lock = threading.Lock()
        self._telling = threading.Lock()
        self._out = out
        self._tell = tell
        self._told_s = 0.0
        self._late: threading.Timer | None = None
        self._cancel = threading.Event()
        self._on_cancel: list[Callable[[], None]] = []
        self.ended = threading.Event()

    @property
    def id(self) -> str:
        """The job's name; also the name under which it holds agents and speaks of itself to them."""
        return self._out.id

    def cancelled(self) -> bool:
        """Whether the person cancelled it."""
        return self._cancel.is_set()

    def stop_if_cancelled(self) -> None:
        """Raise OperationCancelledError when the person cancelled it."""
        if self._cancel.is_set():
            raise OperationCancelledError(f"{self._out.title} was cancelled")

    def on_cancel(self, act: Callable[[], None]) -> None:
        """Have `act` called (in a thread of its own) when the job is cancelled; at once when it is already."""
        with self._lock:
            self._on_cancel.append(act)
            late = self._cancel.is_set()
        if late:
            self._run(act)

    def step(self, text: str, done: int = 0, total: int | None = None, unit: JobUnit = "steps") -> None:
        """Say what is done now, and how much of it in that unit."""
        self._change(step=text, done=done, total=total, unit=unit)

    def warn(self, text: str) -> None:
        """Say something that the person should know of the result."""
        self._change(warning=text)

    def out(self) -> JobOut:
        """Return the job as it is now."""
        with self._lock:
            return self._out

    def cancel(self) -> None:
        """Ask it to end."""
        with self._lock:
            if self._cancel.is_set():
                return
            self._cancel.set()
            acts = list(self._on_cancel)
        for act in acts:
            self._run(act)

    def _run(self, act: Callable[[], None]) -> None:
        threading.Thread(target=act, name=f"cancel-{self.id}", daemon=True).start()

    def _change(self, *, at_once: bool = False, warning: str | None = None, **values: object) -> None:
        with self._lock:
            if warning is not None:
                values["warnings"] = [*self._out.warnings, warning]
            self._out = self._out.model_copy(update=values)
            wait_s = 0.0 if at_once else self._told_s + TELL_EVERY_S - time.monotonic()
            if wait_s > 0:
                if self._late is None:
                    # Nothing else may happen for long, and the person is to see where it stands.
                    self._late = threading.Timer(wait_s, self._tell_now)
                    self._late.daemon = True
                    self._late.start()
                return
        self._tell_now()

    def _tell_now(self) -> None:
        """Tell the present state; one after the other, so that nothing older follows what is newer."""
        with self._telling:
            with self._lock:
                self._told_s = time.monotonic()
                late, self._late = self._late, None
                out = self._out
            if late is not None:
                late.cancel()
            self._tell(out)

    def _run_to_end(self, work: Callable[["Job"], None]) -> None:
        state, problem = "done", None
        try:
            self.stop_if_cancelled()
            self._change(at_once=True, state="running")
            work(self)
        except OperationCancelledError:
            state = "cancelled"
        except Exception as error:  # the boundary of a task: whatever it is, the job ends and says so
            if self._cancel.is_set() and isinstance(error, StudioError):
                state = "cancelled"
            else:
                if not isinstance(error, StudioError):
                    logger.exception("job_failed", extra={"job": self.id})
                state, problem = "failed", ProblemOut.of(error)
        self._change(at_once=True, state=state, problem=problem, ended_at=datetime.now(UTC))
        self.ended.set()


class JobService:
    """The long tasks of a studio. Thread-safe."""

    def __init__(self, hub: LiveHub) -> None:
        self._hub = hub
        self._lock = threading.Lock()
        self._jobs: dict[str, Job] = {}
        self._closed = False

    def start(
        self,
        kind: JobKind,
        title: str,
        devices: Sequence[str],
        work: Callable[[Job], None],
        *,
        model_id: str | None = None,
    ) -> JobOut:
        """Begin a task; `work` raises StudioError when it fails. Raises JobsBusyError.

        A device takes part in one job at a time: measurements would disturb each other.
        """
        out = JobOut(
            id=f"job-{secrets.token_hex(4)}",
            kind=kind,
            title=title,
            devices=list(devices),
            model_id=model_id,
            state="waiting",
            step="",
            done=0,
            total=None,
            started_at=datetime.now(UTC),
            ended_at=None,
            problem=None,
            warnings=[],
        )
        job = Job(out, self._publish)
        with self._lock:
            running = [other for other in self._jobs.values() if not other.ended.is_set()]
            if self._closed:
                raise JobsBusyError("The studio is ending", next_step="Start it again, then begin the job.")
            if len(running) >= MAX_RUNNING:
                raise JobsBusyError(f"{len(running)} jobs are going on already")
            for other in running:
                shared = sorted(set(devices) & set(other.out().devices))
                if shared:
                    raise JobsBusyError(f"{shared[0]} takes part in a job: {other.out().title}", job=other.id)
            self._jobs[job.id] = job
            ended = [old for old in self._jobs.values() if old.ended.is_set()]
            for old in ended[: max(0, len(ended) - KEPT_ENDED)]:
                del self._jobs[old.id]
        self._publish(out)
        threading.Thread(target=job._run_to_end, args=(work,), name=job.id, daemon=True).start()
        return out

    def all(self) -> list[JobOut]:
        """List the jobs, newest first."""
        with self._lock:
            return [job.out() for job in reversed(self._jobs.values())]

    def show(self, job_id: str) -> JobOut:
        """Return a job. Raises JobNotFoundError."""
        return self._job(job_id).out()

    def wait(self, job_id: str, timeout_s: float) -> JobOut:
        """Wait until a job has ended, or for `timeout_s`; return it. Raises JobNotFoundError."""
        job = self._job(job_id)
        job.ended.wait(timeout_s)
        return job.out()

    def cancel(self, job_id: str) -> JobOut:
        """Ask a job to end; one that has ended stays as it is. Raises JobNotFoundError."""
        job = self._job(job_id)
        if not job.ended.is_set():
            job.cancel()
        return job.out()

    def of_device(self, device: str) -> str | None:
        """Return the id of the job that a device takes part in now."""
        with self._lock:
            for job in self._jobs.values():
                if not job.ended.is_set() and device in job.out().devices:
                    return job.id
        return None

    def close(self) -> None:
        """Cancel every job and wait for their ends."""
        with self._lock:
            self._closed = True
            running = [job for job in self._jobs.values() if not job.ended.is_set()]
        for job in running:
            job.cancel()
        deadline_s = time.monotonic() + CLOSE_S
        for job in running:
            if not job.ended.wait(max(0.0, deadline_s - time.monotonic())):
                logger.warning("job_does_not_end", extra={"job": job.id})

    def _job(self, job_id: str) -> Job:
        with self._lock:
            job = self._jobs.get(job_id)
        if job is None:
            raise JobNotFoundError(f"There is no job {job_id!r}")
        return job

    def _publish(self, out: JobOut) -> None:
        self._hub.publish(JobMessage(job=out))
