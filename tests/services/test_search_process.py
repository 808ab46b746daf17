"""The process that searches: what is sent to it arrives, and what goes wrong there is told here."""

import signal
import sys
import threading
from pathlib import Path

import msgspec
import pytest

from partition_studio.errors import BadInputError, ConflictError, NotFoundError, StudioError
from partition_studio.planner.errors import ContradictionError, NoPlanError, Obstacle
from partition_studio.planner.figures.figures import (
    CarrySpeed,
    DeviceFigures,
    DevicePower,
    Figures,
    LinkFigures,
    LinkTable,
)
from partition_studio.planner.search.question import Limits, Question
from partition_studio.searches.message import Failure, Task, decode_line, decode_task, encode_task, failure_line
from partition_studio.searches.process import SearchProcess
from partition_studio.searches.stopping import Stopping
from tests.core.networks import load, relu_chain
from tests.planner_studio import made_up_profile


def question() -> Question:
    network = load(relu_chain(2))
    profile = made_up_profile(network, "a")
    device = DeviceFigures("a", 0.5, 1, None, profile, CarrySpeed(1e-4, 1e-9), power=DevicePower(1.0, 2.0))
    figures = Figures({"a": device}, LinkTable({("a", "studio"): LinkFigures(1e6)}, {"a": 2e6}), CarrySpeed(0.0, 0.0))
    limits = Limits(memory_bytes={"a": 10**9}, pins={"l0": "a"}, strategies=frozenset({"layers", "replicas"}))
    return Question(network, figures, ("a",), "max_energy", limits)


def test_a_task_arrives_as_it_was_sent() -> None:
    asked = question()
    task = Task.of("best", Path("net.onnx"), asked, 3.0)
    assert decode_task(encode_task(task)) == task
    assert decode_task(encode_task(task)).question(asked.network) == asked


@pytest.mark.parametrize(
    ("error", "family"),
    [
        (ContradictionError("two pins", layer="l0"), BadInputError),
        (NotFoundError("gone"), NotFoundError),
        (NoPlanError("none", (Obstacle("memory", "a", 1.0, 2.0, "too little"),)), ConflictError),
        (StudioError("a fault"), StudioError),
    ],
)
def test_an_error_there_is_the_same_error_here(error: StudioError, family: type[StudioError]) -> None:
    found = decode_line(failure_line(Failure.of(error)))
    assert found.what == "failure"
    again = Failure.of(error).error()
    assert isinstance(again, family)
    assert (again.code, again.message, again.next_step) == (error.code, error.message, error.next_step)
    assert again.details == error.details
    if isinstance(error, NoPlanError):
        assert isinstance(again, NoPlanError) and again.obstacles == error.obstacles


def test_a_network_that_cannot_be_read_is_told_and_the_process_is_gone(tmp_path: Path) -> None:
    task = Task.of("best", tmp_path / "none.onnx", question(), 5.0)
    with SearchProcess(task) as process:
        told = [found for found in process.findings(60.0) if found is not None]
    assert [found.what for found in told] == ["failure"]
    assert process._process.returncode == 0 and not process.was_cut
    error = msgspec.json.decode(bytes(told[0].document), type=Failure).error()
    assert isinstance(error, BadInputError)
    assert "none.onnx" in error.message


#: Reads its task, tells that it has begun, and computes without ever asking whether it is to stop.
DEAF = """
import os, struct, sys
_, size = struct.unpack("!QQ", sys.stdin.buffer.read(16))
sys.stdin.buffer.read(size)
os.write(1, b'{"what":"baselines","document":[]}\\n')
while True:
    pass
"""


def test_a_search_that_never_asks_ends_when_stopped_and_keeps_what_it_told() -> None:
    task = Task.of("best", Path("net.onnx"), question(), 3600.0)
    told = []
    with SearchProcess(task, [sys.executable, "-c", DEAF]) as process:
        for found in process.findings(600.0):
            if found is not None:
                told.append(found.what)
                process.stop()
        assert process.was_cut
    assert told == ["baselines"] and process._process.returncode == -signal.SIGKILL


def test_what_computes_is_told_again_until_it_has_ended() -> None:
    stopping, told = Stopping(), threading.Semaphore(0)
    with stopping.interrupts(told.release):
        assert not stopping()
        stopping.stop()
        # The first time it may not have begun.
        assert stopping() and told.acquire(timeout=60) and told.acquire(timeout=60)


def test_time_that_is_up_stops_and_interrupts() -> None:
    stopping, told = Stopping(), threading.Event()
    stopping.stop_in(-1.0)
    with stopping.interrupts(told.set):
        assert stopping() and told.wait(60)
