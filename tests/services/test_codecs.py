"""Codecs chosen by the studio: in a job, by measured links; remembered; cancelled; told in the plan's report."""

from pathlib import Path

import pytest

from partition_studio.cli.client import StudioClient
from partition_studio.errors import BadInputError, NotFoundError
from partition_studio.fleet.errors import OperationCancelledError
from partition_studio.partition.codecs import LOSSLESS
from partition_studio.partition.partition import Partition, partition
from partition_studio.partition.plan import CodecChoice, Plan
from partition_studio.schemas import DeviceIn, DeviceOut, JobOut, PlanCodecsOut, PlanReportOut
from partition_studio.store.links import Figure, LinkStore
from tests.studio import RunningStudio, wait_for

#: Slow enough that coding is nothing beside it, so that the outcome hangs on no processor.
SLOW_BYTES_PER_S = 20_000.0


def measured_links(studio: RunningStudio, bytes_per_s: float, *peers: str, method: str = "measured") -> None:
    store = LinkStore(studio.services._database)
    for one in peers:
        for other in peers:
            if one != other:
                rtt_s = None if method == "traffic" else 0.001
                store.keep((one, other), method, Figure(bytes_per_s, rtt_s, rtt_s))


def digits_on(studio: RunningStudio, *entries: CodecChoice, max_change: float = 0.0) -> tuple[str, Plan]:
    """Return the model, and its plan on the devices a and b."""
    model_id = studio.services.models.add_example("digits").id
    for name in ("a", "b"):
        studio.client.post("/api/devices", DeviceOut, DeviceIn(name=name, address="local:"))
    plan = studio.services.plans.spread(model_id, ["a", "b"])
    return model_id, plan.model_copy(update={"codecs": list(entries), "max_change": max_change})


def parted(studio: RunningStudio, model_id: str, plan: Plan) -> Partition:
    return partition(studio.services.models.network(model_id), plan)


def choose(client: StudioClient, model_id: str, plan: Plan) -> PlanCodecsOut:
    job = client.post(f"/api/models/{model_id}/plans/codecs", JobOut, plan)
    assert (job.kind, job.model_id) == ("codecs", model_id)
    ended = wait_for(
        lambda: out if (out := client.get(f"/api/jobs/{job.id}", JobOut)).ended_at else None, what="the job's end"
    )
    assert ended.state == "done", ended.problem
    return client.get(f"/api/models/{model_id}/plans/codecs/{job.id}", PlanCodecsOut)


def test_on_slow_links_auto_takes_the_smallest_that_is_allowed_and_the_report_tells(studio: RunningStudio) -> None:
    model_id, plan = digits_on(studio, CodecChoice(codec="auto"), max_change=0.02)
    measured_links(studio, SLOW_BYTES_PER_S, "studio", "a", "b")
    before = studio.client.post(f"/api/models/{model_id}/plans/check", PlanReportOut, plan)
    assert {codec for cut in before.cuts for codec in cut.codecs.values()} == {"auto"}
    assert {cut.wire_bytes for cut in before.cuts} == {None}

    found = choose(studio.client, model_id, plan)
    assert found.change is not None and 0 < found.change <= 0.02
    assert found.frames > 1
    between = next(cut for cut in found.cuts if cut.producer_device == "a" and cut.consumer_device == "b")
    assert {tensor.codec for tensor in between.tensors} - LOSSLESS
    assert between.wire_bytes < between.size_bytes / 3
    assert between.link_s == pytest.approx(between.wire_bytes / SLOW_BYTES_PER_S)
    assert "0.16 Mbit/s" in between.why[0]
    assert any("allowed 2 %" in sentence for sentence in between.why)
    assert found.period_s < found.period_as_it_is_s / 2
    assert all(entry.codec != "auto" for entry in found.plan.codecs)

    after = studio.client.post(f"/api/models/{model_id}/plans/check", PlanReportOut, plan)
    told = next(cut for cut in after.cuts if cut.producer_device == "a" and cut.consumer_device == "b")
    assert (told.wire_bytes, told.why) == (between.wire_bytes, between.why)
    assert set(told.codecs.values()) == {tensor.codec for tensor in between.tensors}


def test_without_figures_of_links_everything_stays_as_it_is_and_the_person_is_told(studio: RunningStudio) -> None:
    model_id, plan = digits_on(studio, CodecChoice(codec="auto"), max_change=0.1)
    # What was seen in traffic only tells how fast a link is at least.
    measured_links(studio, SLOW_BYTES_PER_S, "studio", "a", "b", method="traffic")
    found = choose(studio.client, model_id, plan)
    assert found.change == 0.0
    assert {tensor.codec for cut in found.cuts for tensor in cut.tensors} == {"none"}
    assert {cut.link_s for cut in found.cuts} == {None}
    assert all("was not measured" in cut.why[0] for cut in found.cuts)


def test_without_auto_codecs_are_settled_at_once_and_as_the_plan_says(studio: RunningStudio) -> None:
    model_id, plan = digits_on(studio, CodecChoice(producer="a", consumer="b", codec="int8"))
    settled = studio.services.codecs.settle(model_id, plan, parted(studio, model_id, plan), cancelled=lambda: True)
    assert {codec.name for codec in settled.codecs.values()} == {"int8"}
    assert (settled.why, settled.wire_bytes, settled.change) == ({}, {}, None)


def test_a_choice_is_made_once_until_the_links_change(studio: RunningStudio) -> None:
    model_id, plan = digits_on(studio, CodecChoice(codec="auto"))
    parts = parted(studio, model_id, plan)
    measured_links(studio, SLOW_BYTES_PER_S, "studio", "a", "b")
    steps: list[str] = []

    def settle(plan: Plan) -> int:
        steps.clear()
        studio.services.codecs.settle(model_id, plan, parts, on_step=steps.append)
        return len([step for step in steps if step.startswith("running")])

    assert settle(plan) > 0
    assert settle(plan) == 0
    # Neither its name, nor a figure that is hardly another, makes another choice.
    assert settle(plan.model_copy(update={"name": "other", "notes": "mine"})) == 0
    measured_links(studio, SLOW_BYTES_PER_S * 1.001, "studio", "a", "b")
    assert settle(plan) == 0
    measured_links(studio, SLOW_BYTES_PER_S * 10, "studio", "a", "b")
    assert settle(plan) > 0
    assert settle(plan.model_copy(update={"max_change": 0.01})) > 0


def test_whoever_cancels_is_obeyed_before_the_next_step(studio: RunningStudio) -> None:
    model_id, plan = digits_on(studio, CodecChoice(codec="auto"))
    measured_links(studio, SLOW_BYTES_PER_S, "studio", "a", "b")
    parts, steps = parted(studio, model_id, plan), list[str]()
    with pytest.raises(OperationCancelledError):
        studio.services.codecs.settle(model_id, plan, parts, cancelled=lambda: len(steps) >= 2, on_step=steps.append)
    assert len(steps) == 2
    assert studio.services.codecs.known(model_id, plan) is None


def test_a_plan_that_is_wrong_and_a_job_that_chose_nothing_are_refused(studio: RunningStudio) -> None:
    model_id, plan = digits_on(studio, CodecChoice(codec="clip4+rle", low=2, high=1))
    with pytest.raises(BadInputError, match="must be above"):
        studio.client.post(f"/api/models/{model_id}/plans/codecs", JobOut, plan)
    with pytest.raises(NotFoundError):
        studio.client.get(f"/api/models/{model_id}/plans/codecs/job-0", PlanCodecsOut)


def test_codecs_by_hand_are_priced_too(studio: RunningStudio, tmp_path: Path) -> None:
    model_id, plan = digits_on(studio, CodecChoice(producer="a", consumer="b", codec="int8"))
    measured_links(studio, SLOW_BYTES_PER_S, "studio", "a", "b")
    found = choose(studio.client, model_id, plan)
    between = next(cut for cut in found.cuts if cut.producer_device == "a" and cut.consumer_device == "b")
    assert {tensor.codec for tensor in between.tensors} == {"int8"}
    assert found.change is not None and found.change > 0
    assert found.plan == plan
