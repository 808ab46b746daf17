"""Searches over REST: jobs in processes of their own, whose best can be asked for at any time, and stopped."""

import contextlib
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import psutil
import pytest
from websockets.sync.client import connect

from partition_studio.errors import BadInputError, NotFoundError, StudioError
from partition_studio.partition.codecs import LOSSLESS
from partition_studio.partition.plan import Plan
from partition_studio.planner.search.question import Limits, Question
from partition_studio.planner.search.search import search
from partition_studio.planner.search.strategies.codecs import AUTO_NOTE
from partition_studio.schemas import (
    AnswerOut,
    BatchMessage,
    JobOut,
    LiveEnvelope,
    PlanPredictionOut,
    PredictIn,
    PredictionOut,
    QuestionIn,
    SearchMessage,
    SearchOut,
)
from partition_studio.searches.out import answer_out
from partition_studio.services import Services
from partition_studio.services.search_codecs import CHOSEN_NOTE, NO_HELP_NOTE, with_tried_codecs
from partition_studio.settings import open_data_dir
from tests.core.networks import relu_chain
from tests.planner_studio import add_devices, add_links, add_model, add_profile, branches
from tests.studio import RunningStudio, wait_for

DEVICES = ("a", "b", "c")

#: Between these links are slow.
FAR = ("far", "farther")

#: Nobody waits so long: the tests stop what does not end by itself.
LONG_S = 600.0


@pytest.fixture(scope="module")
def studio(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningStudio]:
    with RunningStudio(tmp_path_factory.mktemp("searches") / "studio") as running:
        add_devices(running.services, [*DEVICES, *FAR])
        peers = ("studio", *DEVICES)
        add_links(running.services, {(one, other): 50e6 for one in peers for other in peers if one != other})
        add_links(running.services, {FAR: 20e3, FAR[::-1]: 20e3})
        add_links(running.services, {way: 50e6 for one in FAR for way in ((one, "studio"), ("studio", one))})
        yield running


@pytest.fixture(scope="module")
def digits(studio: RunningStudio) -> str:
    model_id = studio.services.models.add_example("digits").id
    for number, device in enumerate((*DEVICES, *FAR)):
        add_profile(studio.services, model_id, device, speed=1 - 0.1 * number)
    return model_id


@pytest.fixture(scope="module")
def hard(studio: RunningStudio) -> str:
    """A network for which no search proves anything soon."""
    model_id = add_model(studio.services, branches(4, 12), "hard")
    for number, device in enumerate(DEVICES):
        add_profile(studio.services, model_id, device, speed=1 - 0.17 * number)
    return model_id


def start(studio: RunningStudio, model_id: str, **asked: object) -> JobOut:
    question = QuestionIn.model_validate({"seconds": LONG_S, **asked})
    return studio.client.post(f"/api/models/{model_id}/searches", JobOut, question)


def ended(studio: RunningStudio, job: JobOut) -> JobOut:
    return wait_for(
        lambda: found if (found := studio.client.get(f"/api/jobs/{job.id}", JobOut)).ended_at else None,
        what="the job's end",
    )


def result(studio: RunningStudio, model_id: str, job: JobOut) -> SearchOut:
    return studio.client.get(f"/api/models/{model_id}/searches/{job.id}", SearchOut)


def refused(studio: RunningStudio, model_id: str, **asked: object) -> StudioError:
    with pytest.raises(StudioError) as found:
        start(studio, model_id, **asked)
    return found.value


def searching() -> list[psutil.Process]:
    """Return the processes that this one has started for searches."""
    found = []
    for child in psutil.Process().children():
        with contextlib.suppress(psutil.NoSuchProcess, psutil.ZombieProcess):
            if "partition_studio.searches" in child.cmdline():
                found.append(child)
    return found


def test_a_search_proves_the_best_plan_tells_of_it_and_is_predicted_alike(studio: RunningStudio, digits: str) -> None:
    headers = {"Authorization": f"Bearer {studio.token}"}
    told: list[SearchMessage] = []
    with connect(f"ws://127.0.0.1:{studio.port}/api/live/ws", additional_headers=headers) as socket:
        job = start(studio, digits, devices=list(DEVICES))
        assert (job.kind, job.devices, job.model_id) == ("search", [], digits)
        done = ended(studio, job)
        while not told:
            message = LiveEnvelope.model_validate_json(socket.recv(timeout=30)).message
            together = message.messages if isinstance(message, BatchMessage) else [message]
            told += [one for one in together if isinstance(one, SearchMessage)]
    assert done.state == "done" and done.unit == "seconds" and done.problem is None
    assert "frames/s" in done.step and "proved" in done.step
    assert told[0].job == job.id and told[0].found >= 1
    found = result(studio, digits, job)
    answer = found.answer
    assert answer is not None and answer.proved and answer.gap <= 1e-4
    assert answer.value == answer.prediction.throughput_per_s
    assert told[0].value is not None and told[0].value <= answer.value
    single, *_ = found.baselines
    assert answer.value > single.prediction.throughput_per_s
    request = PredictIn(plan=answer.plan)
    again = studio.client.post(f"/api/models/{digits}/predictions", PlanPredictionOut, request).prediction
    assert again.throughput_per_s == pytest.approx(answer.value)
    assert not searching()


def test_two_searches_compute_at_once_and_each_that_is_stopped_keeps_its_best(studio: RunningStudio, hard: str) -> None:
    def now(job: JobOut) -> JobOut:
        return studio.client.get(f"/api/jobs/{job.id}", JobOut)

    def best(job: JobOut) -> AnswerOut | None:
        return result(studio, hard, job).answer

    def stop(job: JobOut) -> JobOut:
        studio.client.post(f"/api/jobs/{job.id}/cancel", JobOut)
        return ended(studio, job)

    jobs = [start(studio, hard) for _ in range(3)]
    waiting = wait_for(
        lambda: next((job for job in map(now, jobs) if "waiting" in job.step), None), what="the wait of one"
    )
    wait_for(lambda: len(searching()) == 2, what="the two others")
    # One that waits can be given up, too; it has found nothing.
    assert stop(waiting).state == "cancelled" and best(waiting) is None
    for job in (job for job in jobs if job.id != waiting.id):
        first = wait_for(partial(best, job), what="a first plan")
        done = stop(job)
        assert done.state == "cancelled" and done.problem is None
        answer = best(job)
        assert answer is not None and answer.value >= first.value
        assert sum("The search was stopped" in note for note in answer.notes) == (not answer.proved)
        assert set(answer.plan.placement) == {layer.name for layer in studio.services.models.network(hard).layers}
    assert not searching()


def far_question(studio: RunningStudio, model_id: str, devices: tuple[str, ...]) -> dict[str, Any]:
    """Ask for codecs, where much lies between two layers that are pinned apart."""
    layers = studio.services.models.network(model_id).layers
    pins = {layers[0].name: devices[0], layers[2].name: devices[1]}
    return {"devices": list(devices), "limits": {"pins": pins, "codecs": ["auto"], "contiguous": True}}


def predicted(studio: RunningStudio, model_id: str, plan: Plan) -> PredictionOut:
    request = PredictIn(plan=plan)
    return studio.client.post(f"/api/models/{model_id}/predictions", PlanPredictionOut, request).prediction


def test_codecs_are_tried_at_the_best_plans_cuts_and_named_in_it(studio: RunningStudio, digits: str) -> None:
    job = start(studio, digits, **far_question(studio, digits, FAR))
    assert ended(studio, job).state == "done"
    answer = result(studio, digits, job).answer
    assert answer is not None and answer.space == "one run of layers per device, with codecs"
    named = {entry.codec for entry in answer.plan.codecs}
    assert named and named <= LOSSLESS - {"none"}
    assert CHOSEN_NOTE in answer.notes and AUTO_NOTE not in answer.notes
    # What is proved of tensors as they are is no bound of plans with codecs.
    assert answer.bound >= answer.value and not (answer.proved and answer.gap > 0) and answer.contiguous_bound is None
    # What was measured is known to whoever predicts the plan later.
    assert predicted(studio, digits, answer.plan).throughput_per_s == pytest.approx(answer.value)
    plain = answer.plan.model_copy(update={"codecs": []})
    assert answer.value > 1.1 * predicted(studio, digits, plain).throughput_per_s


@pytest.mark.parametrize(
    ("codecs", "why"), [(["none", "zstd"], [NO_HELP_NOTE]), (["none", "auto"], [NO_HELP_NOTE]), (["none"], [])]
)
def test_codecs_that_help_nothing_or_may_not_be_used_are_not_in_the_plan(
    studio: RunningStudio, digits: str, codecs: list[str], why: list[str]
) -> None:
    services = studio.services
    network = services.models.network(digits)
    pins = {network.layers[0].name: "a", network.layers[2].name: "b"}
    limits = Limits(pins=pins, codecs=frozenset(codecs), contiguous=True)
    question = Question(network, services.planner._figures.of(digits, ["a", "b"]).figures, ("a", "b"), limits=limits)
    found = answer_out(search(question, stop=lambda: False, seconds=LONG_S, on_answer=lambda _: None))
    assert found.space.endswith("whose tensors travel as they are") == (codecs != ["none"])
    answer = with_tried_codecs(found, question, digits, services.planner._codecs, lambda: False, lambda _: None)
    assert answer.plan.codecs == [] and answer.value == found.value
    assert answer.notes == why


def test_a_network_of_one_layer_on_more_devices_than_layers_lies_on_one(studio: RunningStudio) -> None:
    model_id = add_model(studio.services, relu_chain(1), "one-layer")
    job = start(studio, model_id, objective="latency", seconds=20)
    assert ended(studio, job).state == "done"
    found = result(studio, model_id, job)
    assert found.answer is not None and found.answer.proved
    assert len(found.answer.plan.devices()) == 1
    # Nothing was profiled: that is said with the answer, and on the job.
    assert found.answer.prediction.estimated
    told = [*found.answer.notes, *found.answer.prediction.warnings]
    assert sum("not profiled" in note for note in told) == 1
    assert not any("profile it first." in note for note in told) and len(set(told)) == len(told)


@pytest.mark.parametrize(
    ("asked", "code", "named"),
    [
        ({"devices": ["a", "nobody"]}, "device_not_found", "nobody"),
        ({"devices": []}, "no_device", "no device"),
        ({"limits": {"excluded": [*DEVICES, *FAR]}}, "contradiction", "device"),
        ({"limits": {"pins": {"conv9000": "a"}}}, "contradiction", "conv9000"),
        ({"limits": {"excluded": ["ghost"]}}, "device_not_found", "ghost"),
        ({"limits": {"codecs": ["mp3"]}}, "bad_input", "mp3"),
        ({"limits": {"max_devices": 0}}, "bad_request", "max_devices"),
        ({"limits": {"min_throughput_per_s": "NaN"}}, "bad_request", "min_throughput_per_s"),
        ({"seconds": -1}, "bad_request", "seconds"),
    ],
)
def test_what_cannot_be_asked_is_refused_before_anything_begins(
    studio: RunningStudio, digits: str, asked: dict[str, object], code: str, named: str
) -> None:
    with studio.http(**studio.bearer) as http:
        answer = http.post(f"/api/models/{digits}/searches", json={"seconds": LONG_S, **asked})
    problem = answer.json()
    assert answer.status_code in (404, 422) and problem["code"] == code
    assert named in problem["message"] and problem["next_step"]


def test_pins_that_exclude_each_other_are_refused_by_layer_and_device(studio: RunningStudio, digits: str) -> None:
    first = studio.services.models.network(digits).layers[0].name
    limits = {"pins": {first: "b"}, "input_on": "a"}
    error = refused(studio, digits, limits=limits)
    assert isinstance(error, BadInputError) and error.code == "contradiction"
    assert first in error.message and "'a'" in error.message and "'b'" in error.message


def test_a_search_of_another_model_or_job_is_not_found(studio: RunningStudio, digits: str) -> None:
    with pytest.raises(NotFoundError) as found:
        studio.client.get(f"/api/models/{digits}/searches/job-unknown", SearchOut)
    assert found.value.code == "job_not_found"


def test_a_studio_that_ends_takes_its_searches_with_it(tmp_path: Path) -> None:
    services = Services(open_data_dir(tmp_path / "studio"))
    try:
        add_devices(services, ["a"])
        model_id = services.models.add_example("digits").id
        services.planner.search(model_id, QuestionIn(seconds=LONG_S))
        [process] = wait_for(lambda: searching() or None, what="the process")
    finally:
        services.close()
    assert not process.is_running()
