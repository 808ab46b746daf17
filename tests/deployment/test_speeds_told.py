"""What is expected of replicas counts until they were measured."""

from collections.abc import Iterator

import pytest

from partition_agent.protocol import SINK, SOURCE, STUDIO_PEER, LinkSpec, TensorSpec
from partition_studio.deployment.front_door import FrontDoor

X = TensorSpec("x", "float32", (1,))


def link(producer: str, consumer: str, ends: str, *routes: tuple[int, int]) -> LinkSpec:
    made, used = ends.split(">")
    return LinkSpec(f"{producer}>{consumer}", producer, consumer, made, used, (X,), 2, routes=routes)


@pytest.fixture
def door() -> Iterator[FrontDoor]:
    """Two replicas between two devices: nobody but them sees how long they take."""
    links = [link(SOURCE, "a", f"{STUDIO_PEER}>a"), link("d", SINK, f"d>{STUDIO_PEER}")]
    made = FrontDoor(
        deployment="d",
        epoch=1,
        links=links,
        inputs={"x": X},
        outputs={"x": X},
        replicas=[[["s@b", "t@b"], ["s@c", "t@c"]]],
    )
    yield made
    made.close()


def test_expected_times_are_added_up_for_each_replica_and_give_way_to_measured_ones(door: FrontDoor) -> None:
    assert door.wants_measurements
    assert door.speeds() == [[None, None]]
    door.expected({"s@b": 0.1, "t@b": 0.1, "s@c": 0.3, "t@c": 0.2})
    assert door.speeds() == [[pytest.approx(5.0), pytest.approx(2.0)]]
    door.measured({"s@b": 0.3, "t@b": 0.7})
    assert door.speeds() == [[pytest.approx(1.0), pytest.approx(2.0)]]
    door.expected({"s@b": 0.1, "t@b": 0.1, "s@c": 0.1, "t@c": 0.1})
    assert door.speeds() == [[pytest.approx(1.0), pytest.approx(2.0)]]


def test_a_replica_of_which_not_every_stage_is_known_is_not_told_of(door: FrontDoor) -> None:
    door.expected({"s@b": 0.1, "t@b": 0.1, "s@c": 0.3})
    assert door.speeds() == [[pytest.approx(5.0), None]]
