"""Links between devices of this machine, measured by the studio."""

from pathlib import Path

import pytest
from sqlalchemy import select

from partition_studio.errors import BadInputError, ConflictError, NotFoundError
from partition_studio.schemas import JobOut, LinkProfileOut, LinksIn, LinksOut, RunOut
from partition_studio.services.links import LinkService
from partition_studio.store.links import LinkStore
from partition_studio.store.tables import LinkProfileRow
from tests.studio import RunningStudio, wait_for
from tests.system.conftest import Desk


def measure(desk: Desk, *devices: str, seconds: float = 0.2) -> JobOut:
    request = LinksIn(devices=list(devices) or None, seconds=seconds)
    return desk.client.post("/api/links", JobOut, request)


def ended(desk: Desk, job: JobOut) -> JobOut:
    def look() -> JobOut | None:
        now = desk.client.get(f"/api/jobs/{job.id}", JobOut)
        return now if now.ended_at else None

    return wait_for(look, what="the job's end", deadline_s=120)


def known(desk: Desk) -> dict[tuple[str, str], LinkProfileOut]:
    return {(link.source, link.target): link for link in desk.client.get("/api/links", LinksOut).links}


def test_every_pair_is_measured_both_ways_the_studio_too_and_kept(tmp_path: Path) -> None:
    with RunningStudio(tmp_path / "studio") as studio:
        desk = Desk(studio)
        desk.local_devices("a", "b")
        job = ended(desk, measure(desk))
        assert (job.state, job.done, job.total, job.warnings) == ("done", 3, 3, []), job
        links = known(desk)
        names = ("studio", "a", "b")
        assert set(links) == {(one, other) for one in names for other in names if one != other}
        for link in links.values():
            assert link.method == "measured"
            # Loopback carries far more; a busy machine does not fall below this.
            assert link.bytes_per_s > 1e6
            assert link.rtt_s is not None
            assert link.rtt_min_s is not None
            assert 0 < link.rtt_min_s <= link.rtt_s
        out = desk.client.get("/api/links", LinksOut)
        assert out.failures == []
        assert out.background_every_s is not None
        # Nobody needs the agents any more.
        assert not any(device.agent_running for device in studio.services.devices.all())
    with RunningStudio(tmp_path / "studio") as studio:
        desk = Desk(studio)
        assert known(desk) == links
        desk.client.delete("/api/devices/a")
        assert set(known(desk)) == {("studio", "b"), ("b", "studio")}


def test_a_device_that_cannot_be_reached_fails_with_its_pairs_and_the_others_are_measured(desk: Desk) -> None:
    desk.local_devices("a", "b", "broken")
    services = desk.studio.services
    folder = desk.studio.data_dir.local_devices / "broken"
    assert not folder.is_dir() or not any(folder.iterdir())
    folder.parent.mkdir(parents=True, exist_ok=True)
    if folder.is_dir():
        folder.rmdir()
    folder.write_text("no folder")
    job = ended(desk, measure(desk))
    assert job.state == "done", job.problem
    assert len(job.warnings) == 3
    assert set(known(desk)) == {(x, y) for x in ("studio", "a", "b") for y in ("studio", "a", "b") if x != y}
    failures = {(out.source, out.target): out.reason for out in services.links.all().failures}
    assert set(failures) == {pair for other in ("studio", "a", "b") for pair in ((other, "broken"), ("broken", other))}
    assert all(failures.values())


@pytest.mark.slow
def test_a_job_of_links_can_be_cancelled_and_leaves_no_agent(desk: Desk) -> None:
    desk.local_devices("a", "b")
    job = measure(desk, seconds=10)

    def has_begun() -> bool:
        return " - " in desk.client.get(f"/api/jobs/{job.id}", JobOut).step

    wait_for(has_begun, what="the first pair", deadline_s=60)
    desk.client.post(f"/api/jobs/{job.id}/cancel", JobOut)
    assert ended(desk, job).state == "cancelled"
    assert not any(device.agent_running for device in desk.studio.services.devices.all())
    # And it can be done at once again.
    assert ended(desk, measure(desk, "a")).state == "done"


def test_who_cannot_be_measured_is_said_at_once(desk: Desk) -> None:
    with pytest.raises(BadInputError):
        measure(desk)
    desk.local_devices("a")
    with pytest.raises(NotFoundError):
        measure(desk, "a", "nobody")
    first = measure(desk, "a", "a")
    assert first.devices == ["a"]
    with pytest.raises(ConflictError):
        measure(desk, "a")
    assert ended(desk, first).state == "done"


def test_a_deployment_is_measured_while_it_is_idle_and_its_frames_tell_what_a_link_carries_at_least(desk: Desk) -> None:
    desk.local_devices("a", "b", "idle")
    model = desk.example()
    deployment = desk.deploy(model, desk.spread(model, "a", "b"))
    services = desk.studio.services
    # A link service that looks around all the time, beside the studio's own.
    watching = LinkService(
        services._database, services.hub, services.devices, services.jobs, services.deployments, background_every_s=0.05
    )
    try:
        links = wait_for(lambda: known(desk) if ("b", "a") in known(desk) else None, what="the background's figures")
        assert {link.method for link in links.values()} == {"background"}
        # No agent was started for it.
        assert not any("idle" in way for way in links)
        assert watching.all().failures == []
        run = desk.begin_run(deployment, source="random", repeat="true", seconds="30")
    finally:
        watching.close()
    bounds = LinkStore(services._database)
    wait_for(lambda: {("studio", "a"), ("a", "b")} <= bounds.ways("traffic"), what="figures from traffic")
    assert ("b", "a") not in bounds.ways("traffic")

    def more_is_shown() -> bool:
        with services._database.session() as session:
            query = select(LinkProfileRow).filter_by(source="a", target="b")
            rates = {row.method: row.bytes_per_s for row in session.scalars(query)}
        shown = known(desk)["a", "b"]
        return shown.method == max(sorted(rates), key=rates.__getitem__) and shown.bytes_per_s == rates[shown.method]

    # As a rule what was measured is more, but not of a machine that was busy then. What frames prove grows meanwhile.
    wait_for(lambda: more_is_shown() or None, what="the larger of what was measured and what traffic proves")
    desk.client.post(f"/api/runs/{run.id}/stop", RunOut)
    # A person may insist: it is measured, and said that frames disturb it.
    job = ended(desk, measure(desk, "a", "b"))
    assert job.state == "done"
    assert any("takes part in the deployment" in warning for warning in job.warnings)
    assert known(desk)["a", "b"].method == "measured"
    desk.stop(deployment)
