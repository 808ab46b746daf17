"""Long tasks: told as they go, cancelled when asked, one for each device, and none left behind."""

import threading
from collections.abc import Callable, Iterator

import pytest

from partition_studio.errors import ConflictError, DeviceError, NotFoundError
from partition_studio.fleet.errors import OperationCancelledError
from partition_studio.schemas import JobMessage, JobOut, LiveMessage
from partition_studio.services.jobs import KEPT_ENDED, MAX_RUNNING, Job, JobService
from partition_studio.telemetry.live import LiveHub
from tests.studio import wait_for

WAIT_S = 30.0


class Ear(LiveHub):
    """Hears everything that is published."""

    def __init__(self) -> None:
        super().__init__()
        self.heard: list[JobOut] = []

    def publish(self, message: LiveMessage) -> None:
        assert isinstance(message, JobMessage)
        self.heard.append(message.job)


@pytest.fixture
def ear() -> Ear:
    return Ear()


@pytest.fixture
def jobs(ear: Ear) -> Iterator[JobService]:
    service = JobService(ear)
    yield service
    service.close()


def until_cancelled(job: Job) -> None:
    done = threading.Event()
    job.on_cancel(done.set)
    assert done.wait(WAIT_S)
    job.stop_if_cancelled()


def begin(jobs: JobService, work: Callable[[Job], None], *devices: str) -> JobOut:
    return jobs.start("links", "a task", devices, work)


def test_every_state_is_told_in_order_and_the_end_always(jobs: JobService, ear: Ear) -> None:
    def work(job: Job) -> None:
        for number in range(1000):
            job.step(f"step {number}", number, 1000)
        job.warn("one thing")
        job.warn("another")

    out = jobs.wait(begin(jobs, work).id, WAIT_S)
    assert (out.state, out.step, out.done, out.total) == ("done", "step 999", 999, 1000)
    assert out.warnings == ["one thing", "another"]
    assert out.ended_at is not None
    assert ear.heard[-1] == out
    assert [told.state for told in ear.heard[:2]] == ["waiting", "running"]
    assert [told.done for told in ear.heard] == sorted(told.done for told in ear.heard)
    # A thousand steps in a moment are not a thousand messages.
    assert len(ear.heard) < 100


def test_the_last_step_is_told_though_nothing_follows_for_long(jobs: JobService, ear: Ear) -> None:
    def work(job: Job) -> None:
        for number in range(5):
            job.step(f"step {number}", number, 5, "bytes")
        until_cancelled(job)

    begun = begin(jobs, work)
    wait_for(lambda: ear.heard[-1].step == "step 4" or None, what="the last step")
    assert (ear.heard[-1].state, ear.heard[-1].unit) == ("running", "bytes")
    jobs.cancel(begun.id)


def test_warnings_of_many_threads_are_all_kept(jobs: JobService) -> None:
    def work(job: Job) -> None:
        def warn() -> None:
            for _ in range(50):
                job.warn("w")

        threads = [threading.Thread(target=warn) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

    assert len(jobs.wait(begin(jobs, work).id, WAIT_S).warnings) == 400


def test_a_cancelled_job_is_cancelled_and_nothing_else(jobs: JobService) -> None:
    begun = begin(jobs, until_cancelled, "a")
    assert jobs.of_device("a") == begun.id
    jobs.cancel(begun.id)
    jobs.cancel(begun.id)
    out = jobs.wait(begun.id, WAIT_S)
    assert (out.state, out.problem) == ("cancelled", None)
    assert jobs.of_device("a") is None
    assert jobs.cancel(begun.id) == out


def test_what_fails_because_it_was_cancelled_is_cancelled(jobs: JobService) -> None:
    def work(job: Job) -> None:
        with pytest.raises(OperationCancelledError):
            until_cancelled(job)
        raise DeviceError("the agent hung up")

    begun = begin(jobs, work)
    jobs.cancel(begun.id)
    assert jobs.wait(begun.id, WAIT_S).state == "cancelled"


def test_an_action_given_after_the_cancelling_is_done_at_once(jobs: JobService) -> None:
    cancelled, acted = threading.Event(), threading.Event()

    def work(job: Job) -> None:
        job.on_cancel(cancelled.set)
        assert cancelled.wait(WAIT_S)
        job.on_cancel(acted.set)
        assert acted.wait(WAIT_S)

    begun = begin(jobs, work)
    jobs.cancel(begun.id)
    # It ended by itself: what it did is done.
    assert jobs.wait(begun.id, WAIT_S).state == "done"
    assert acted.is_set()


@pytest.mark.parametrize(
    ("error", "code"), [(DeviceError("no route"), "device_error"), (ValueError("a fault of ours"), "studio_error")]
)
def test_a_job_that_fails_says_why(jobs: JobService, error: Exception, code: str) -> None:
    def work(_job: Job) -> None:
        raise error

    out = jobs.wait(begin(jobs, work).id, WAIT_S)
    assert out.state == "failed"
    assert out.problem is not None
    assert out.problem.code == code


def test_a_device_is_in_one_job_at_a_time(jobs: JobService) -> None:
    first = begin(jobs, until_cancelled, "a", "b")
    with pytest.raises(ConflictError, match="b takes part in a job") as caught:
        begin(jobs, until_cancelled, "b", "c")
    assert caught.value.details["job"] == first.id
    other = begin(jobs, until_cancelled, "c")
    jobs.cancel(first.id)
    jobs.wait(first.id, WAIT_S)
    again = begin(jobs, until_cancelled, "b")
    assert [out.id for out in jobs.all()] == [again.id, other.id, first.id]


def test_jobs_are_bounded_and_old_ones_forgotten(jobs: JobService) -> None:
    begun = [begin(jobs, until_cancelled) for _ in range(MAX_RUNNING)]
    with pytest.raises(ConflictError):
        begin(jobs, until_cancelled)
    for out in begun:
        jobs.cancel(out.id)
        jobs.wait(out.id, WAIT_S)
    ids = []
    for _ in range(KEPT_ENDED + 3):
        ids.append(begin(jobs, lambda _job: None).id)
        jobs.wait(ids[-1], WAIT_S)
    assert len(jobs.all()) <= KEPT_ENDED + 1
    with pytest.raises(NotFoundError):
        jobs.show(begun[0].id)
    assert jobs.show(ids[-1]).state == "done"


def test_closing_cancels_every_job_waits_for_its_end_and_takes_no_more(ear: Ear) -> None:
    jobs = JobService(ear)
    running = [begin(jobs, until_cancelled, name) for name in "abc"]
    jobs.close()
    assert {jobs.show(out.id).state for out in running} == {"cancelled"}
    with pytest.raises(ConflictError, match="The studio is ending"):
        begin(jobs, until_cancelled)
