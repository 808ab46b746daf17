"""States and steps of a deployment, by stimulus."""

import pytest

from partition_studio.deployment.board import TRANSITIONS, Board, InvalidTransitionError
from partition_studio.schemas import DeploymentState, ProblemOut

PROBLEM = ProblemOut(code="x", message="it broke", next_step="mend it")


class Clock:
    def __init__(self) -> None:
        self.now_s = 100.0

    def __call__(self) -> float:
        return self.now_s


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def board(clock: Clock) -> Board:
    return Board(["a", "b"], clock, lambda: None)


def test_a_device_waits_until_its_first_step(board: Board) -> None:
    assert [(row.device, row.step, row.elapsed_s) for row in board.rows()] == [("a", "waiting", 0), ("b", "waiting", 0)]


def test_time_stands_still_once_a_device_is_ready(board: Board, clock: Clock) -> None:
    board.step("a", "connect")
    clock.now_s += 3
    board.step("a", "ready")
    clock.now_s += 10
    assert board.rows()[0].elapsed_s == 3


def test_bytes_of_one_step_are_not_shown_with_the_next(board: Board) -> None:
    board.step("a", "push")
    board.bytes("a", 5, 10)
    assert (board.rows()[0].done_bytes, board.rows()[0].total_bytes) == (5, 10)
    board.step("a", "load")
    assert board.rows()[0].total_bytes is None


def test_each_step_keeps_its_time_and_bytes(board: Board, clock: Clock) -> None:
    board.step("a", "connect")
    clock.now_s += 1
    board.step("a", "push")
    board.bytes("a", 5, 10)
    clock.now_s += 2
    board.step("a", "load")
    clock.now_s += 4
    steps = board.rows()[0].steps
    assert [(s.step, s.elapsed_s, s.done_bytes) for s in steps] == [
        ("connect", 1, None),
        ("push", 2, 5),
        ("load", 4, None),
    ]


def test_a_device_that_failed_shows_where_and_may_be_tried_again(board: Board, clock: Clock) -> None:
    board.step("a", "connect")
    clock.now_s += 3
    board.fail("a", PROBLEM)
    clock.now_s += 50
    failed = board.rows()[0]
    assert (failed.step, failed.elapsed_s, [(s.step, s.elapsed_s) for s in failed.steps]) == (
        "failed",
        3,
        [("connect", 3)],
    )
    board.again("a")
    assert (board.rows()[0].step, board.rows()[0].problem) == ("waiting", None)
    board.step("a", "connect")
    clock.now_s += 2
    board.step("a", "ready")
    # The time that a person took to think is not the step's.
    assert [(s.step, s.elapsed_s) for s in board.rows()[0].steps] == [("connect", 5)]


def test_a_failed_device_stays_failed_with_its_first_problem(board: Board) -> None:
    board.fail("b", PROBLEM)
    board.step("b", "ready")
    board.fail("b", PROBLEM.model_copy(update={"message": "later"}))
    assert (board.rows()[1].step, board.rows()[1].problem) == ("failed", PROBLEM)
    assert board.rows()[0].problem is None


def test_the_deploy_time_is_from_the_request_to_running(board: Board, clock: Clock) -> None:
    clock.now_s += 4
    board.become("running")
    clock.now_s += 5
    assert board.deploy_s == 4


def test_every_change_is_told(clock: Clock) -> None:
    told: list[None] = []
    board = Board(["a"], clock, lambda: told.append(None))
    board.step("a", "connect")
    board.bytes("a", 1, 2)
    board.fail("a", PROBLEM)
    board.become("failed", PROBLEM)
    assert len(told) == 4


@pytest.mark.parametrize("start", TRANSITIONS)
def test_only_the_listed_transitions_are_possible(start: DeploymentState, clock: Clock) -> None:
    ways: dict[DeploymentState, list[DeploymentState]] = {
        "deploying": [],
        "running": ["running"],
        "stopping": ["running", "stopping"],
        "stopped": ["running", "stopping", "stopped"],
        "failed": ["failed"],
        "cancelled": ["cancelled"],
    }
    for finish in TRANSITIONS:
        board = Board([], clock, lambda: None)
        for state in ways[start]:
            board.become(state)
        if finish in TRANSITIONS[start]:
            board.become(finish)
            assert board.state == finish
        else:
            with pytest.raises(InvalidTransitionError):
                board.become(finish)
            assert board.state == start
