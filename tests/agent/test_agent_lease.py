"""Which studio an agent serves."""

from collections.abc import Callable

import pytest

from partition_agent.lease import RELEASE_S, Lease, Visitor


class Clock:
    """Time that a test lets pass."""

    def __init__(self) -> None:
        self.now_s = 0.0

    def __call__(self) -> float:
        return self.now_s


@pytest.fixture
def clock() -> Clock:
    return Clock()


def lease(clock: Callable[[], float], *, has_deployments: bool = False) -> Lease:
    return Lease(lambda: has_deployments, clock)


def test_the_first_studio_owns_the_agent_until_it_was_away_for_a_while(clock: Clock) -> None:
    made, first, other = lease(clock), Visitor(), Visitor()
    made.hello(first, "A", "a")
    made.hello(other, "B", "b")
    assert (made.held_by(first), made.held_by(other)) == (None, "a")
    made.left(first)
    clock.now_s = RELEASE_S - 1
    assert made.held_by(other) == "a"
    clock.now_s = RELEASE_S + 1
    assert made.held_by(other) is None


def test_a_studio_that_is_gone_keeps_the_agent_as_long_as_it_has_a_deployment_there(clock: Clock) -> None:
    made, first, other = lease(clock, has_deployments=True), Visitor(), Visitor()
    made.hello(first, "A", "a")
    made.left(first)
    clock.now_s = 100 * RELEASE_S
    made.hello(other, "B", "b")
    assert made.held_by(other) == "a"


def test_who_was_refused_and_finds_the_agent_free_owns_it(clock: Clock) -> None:
    made, first, waiting, third = lease(clock), Visitor(), Visitor(), Visitor()
    made.hello(first, "A", "a")
    made.hello(waiting, "B", "b")
    made.left(first)
    clock.now_s = RELEASE_S + 1
    assert made.held_by(waiting) is None
    made.hello(third, "C", "c")
    assert made.held_by(third) == "b"
    clock.now_s = 10 * RELEASE_S
    assert (made.held_by(third), made.held_by(waiting)) == ("b", None)


def test_a_connected_studio_does_not_lose_the_agent_when_an_old_connection_of_its_own_closes(clock: Clock) -> None:
    made, first, refused, proper, third = lease(clock), Visitor(), Visitor(), Visitor(), Visitor()
    made.hello(first, "A", "a")
    made.hello(refused, "B", "b")
    assert made.held_by(refused) == "a"
    made.left(first)
    clock.now_s = RELEASE_S + 1
    made.hello(proper, "B", "b")
    made.left(refused)
    clock.now_s = 3 * RELEASE_S
    made.hello(third, "C", "c")
    assert (made.held_by(proper), made.held_by(third)) == (None, "b")


def test_a_visitor_without_an_id_owns_nothing(clock: Clock) -> None:
    made, nobody, studio = lease(clock), Visitor(), Visitor()
    made.hello(nobody, "", "x")
    assert made.held_by(nobody) is None
    made.hello(studio, "A", "a")
    assert (made.held_by(studio), made.held_by(nobody)) == (None, "a")
