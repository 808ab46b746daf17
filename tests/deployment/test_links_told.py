"""What a person is told of links: their ways, and those that stand still."""

from collections.abc import Sequence
from concurrent.futures import Future
from concurrent.futures import TimeoutError as FutureTimeoutError
from datetime import UTC, datetime, timedelta

import pytest

from partition_agent.protocol import STUDIO_PEER, LinkSpec
from partition_studio.cli.deployment_show import newest_named, stalled_sentences
from partition_studio.deployment.ways import Pair, pairs_of
from partition_studio.fleet.session.agent_client import Patience
from partition_studio.partition.plan import Plan
from partition_studio.schemas import CutOut, DeploymentOut, DeviceLiveOut, LinkLiveOut, StageOut


def spec(producer: str, consumer: str) -> LinkSpec:
    return LinkSpec(f"{producer}>{consumer}", "p", "c", producer, consumer, ())


def test_who_sends_connects_the_studio_to_everybody_and_each_pair_is_tried_once() -> None:
    links = [
        spec(STUDIO_PEER, "a"),
        spec("a", "b"),
        spec("a", "b"),
        spec("a", "a"),
        spec("b", "a"),
        spec("b", STUDIO_PEER),
        spec("a", STUDIO_PEER),
    ]
    assert pairs_of(links) == (Pair(STUDIO_PEER, "a"), Pair("a", "b"), Pair("b", "a"), Pair(STUDIO_PEER, "b"))


def deployment() -> DeploymentOut:
    stages = [StageOut(name=n, device=d, layers=[]) for n, d in (("a-0", "a"), ("twins-0", "twins"))]
    cuts = [
        CutOut(producer=p, consumer=c, producer_device=f, consumer_device=t, tensors=[], size_bytes=1)
        for p, c, f, t in (
            ("source", "a-0", "studio", "a"),
            ("a-0", "twins-0", "a", "twins"),
            ("twins-0", "sink", "twins", "studio"),
        )
    ]
    return DeploymentOut(
        id="d",
        epoch=1,
        model_id="m",
        model_name="m",
        state="running",
        plan=Plan(network={"sha256": "0" * 64, "name": "m"}, placement={}),  # type: ignore[arg-type]  # as a file says it
        stages=stages,
        cuts=cuts,
        devices=[],
        created_at=datetime.now(UTC),
        deploy_s=None,
        problem=None,
        run=None,
    )


def live(device: str, *links: LinkLiveOut) -> DeviceLiveOut:
    return DeviceLiveOut.model_construct(device=device, links=list(links))


def link(name: str, stalled_s: float = 0.0, *, connected: bool = True, of: str = "d") -> LinkLiveOut:
    return LinkLiveOut.model_construct(deployment=of, link=name, stalled_s=stalled_s, connected=connected)


@pytest.mark.parametrize(
    ("devices", "told"),
    [
        ([live("a", link("source->a-0", 1.0), link("a-0->twins-0@b", 0.0))], []),
        # Both ends tell of it: it is said once, of the longer time.
        (
            [live("a", link("a-0->twins-0@b", 12.3)), live("b", link("a-0->twins-0@b", 11.0))],
            ["a -> b: nothing has moved for 12 s"],
        ),
        ([live("b", link("twins-0@b->sink", 5.0))], ["b -> studio: nothing has moved for 5 s"]),
        ([live("a", link("source->a-0", 3.0, connected=False))], ["studio -> a: nothing has moved for 3 s"]),
        ([live("a", link("source->a-0", connected=False))], ["studio -> a: not connected"]),
        ([live("a", link("source->a-0", 60.0, of="another"))], []),
    ],
)
def test_a_link_that_stands_still_is_told_of_by_its_devices(devices: Sequence[DeviceLiveOut], told: list[str]) -> None:
    assert stalled_sentences(deployment(), list(devices)) == told


def test_what_makes_progress_is_waited_for_and_what_does_not_is_given_up() -> None:
    patience = Patience()
    future: Future[str] = Future()
    waits: list[float] = []

    class Slow(Future[str]):
        """A load that shows progress three times, each time just before it would be given up."""

        def result(self, timeout: float | None = None) -> str:
            assert timeout is not None
            waits.append(timeout)
            if len(waits) <= 3:
                patience.note()
                raise FutureTimeoutError
            return "loaded"

    assert patience.wait(Slow(), 0.5) == "loaded"
    assert len(waits) == 4
    assert all(0 < wait <= 0.5 for wait in waits)
    with pytest.raises(FutureTimeoutError):
        patience.wait(future, 0.01)
    future.set_exception(ValueError("broken"))
    with pytest.raises(ValueError, match="broken"):
        patience.wait(future, 0.01)


def test_a_deployment_that_failed_is_found_by_its_models_name_and_as_the_latest() -> None:
    old = deployment().model_copy(update={"state": "failed"})
    new = old.model_copy(update={"id": "e", "created_at": old.created_at + timedelta(seconds=1)})
    other = new.model_copy(update={"id": "f", "model_id": "n", "model_name": "n"})
    assert newest_named([old, new, other], "m") == new
    assert newest_named([new, old], "latest") == new
    assert newest_named([old, new], "x") is None
