"""A device that fails while a deployment comes up waits to be tried again; the others go on."""

import threading

import pytest

from partition_studio.deployment.board import Board
from partition_studio.deployment.manifest import DeviceShare
from partition_studio.deployment.retries import MOST_WAITING, Retries, patiently
from partition_studio.fleet.errors import AgentUnreachableError, OperationCancelledError
from tests.studio import wait_for


def share(device: str) -> DeviceShare:
    return DeviceShare(device=device, stages=(), links=())


class Halting:
    def __init__(self) -> None:
        self.halted = threading.Event()

    def check(self) -> None:
        if self.halted.is_set():
            raise OperationCancelledError("cancelled")


def test_a_device_that_failed_is_tried_again_when_it_is_asked_for() -> None:
    board = Board(["a"], lambda: 0.0, lambda: None)
    retries = Retries(lambda: None)
    tries: list[str] = []

    def work(given: DeviceShare) -> str:
        tries.append(given.device)
        if len(tries) == 1:
            raise AgentUnreachableError("a: no answer")
        return "there"

    results: list[str] = []
    thread = threading.Thread(target=lambda: results.append(patiently(work, retries, board, lambda: None)(share("a"))))
    thread.start()
    wait_for(lambda: retries.until, what="the waiting")
    (row,) = board.rows()
    assert row.step == "failed" and row.problem is not None and row.problem.message == "a: no answer"
    assert not retries.ask("b")
    assert retries.ask("a")
    thread.join(10)
    assert results == ["there"] and tries == ["a", "a"]
    assert retries.until is None and board.rows()[0].step == "waiting"


def test_what_is_given_up_waits_no_more() -> None:
    board = Board(["a"], lambda: 0.0, lambda: None)
    retries, halting = Retries(lambda: None), Halting()
    raised: list[BaseException] = []

    def work(_: DeviceShare) -> None:
        raise AgentUnreachableError("a: no answer")

    def run() -> None:
        try:
            patiently(work, retries, board, halting.check)(share("a"))
        except OperationCancelledError as error:
            raised.append(error)

    thread = threading.Thread(target=run)
    thread.start()
    wait_for(lambda: retries.until, what="the waiting")
    halting.halted.set()
    retries.halt()
    thread.join(10)
    assert len(raised) == 1
    assert not retries.ask(None)


def test_who_is_never_asked_for_is_given_up_with_what_went_wrong() -> None:
    def work(_: DeviceShare) -> None:
        raise AgentUnreachableError("a: no answer")

    board = Board(["a"], lambda: 0.0, lambda: None)
    with pytest.raises(AgentUnreachableError):
        patiently(work, Retries(lambda: None, patience_s=0.0), board, lambda: None)(share("a"))


def test_no_more_wait_than_there_are_workers_to_spare() -> None:
    retries = Retries(lambda: None)
    threads = [threading.Thread(target=retries.wait, args=(f"d{number}",)) for number in range(MOST_WAITING)]
    for thread in threads:
        thread.start()
    wait_for(lambda: len(retries._until) == MOST_WAITING or None, what="the waiting")
    assert not retries.wait("one-more")
    assert retries.ask(None)
    for thread in threads:
        thread.join(10)
        assert not thread.is_alive()
