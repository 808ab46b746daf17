"""The door of an exported package deals frames to replicas as it is told."""

import threading
from collections.abc import Mapping
from pathlib import Path

import numpy as np
from tests.agent.by_hand import Array, inputs, model, spec
from tests.agent.rig import DEADLINE_S, AgentProcess

from partition_agent.protocol import (
    SINK,
    SOURCE,
    STUDIO_PEER,
    Connect,
    Done,
    LinkSpec,
    PeerAddress,
    Prepare,
    Prepared,
    StageSpec,
)
from partition_agent.standalone_door import Door


def link(producer: str, consumer: str, ends: str, tensor: str, *routes: tuple[int, int]) -> LinkSpec:
    made, used = ends.split(">")
    return LinkSpec(f"{producer}>{consumer}", producer, consumer, made, used, (spec(tensor),), 4, routes=routes)


def test_frames_take_the_replicas_they_are_to_and_else_those_that_are_told_to_be_fast(tmp_path: Path) -> None:
    """Two replicas and the stage that merges them, all on one device; the door sees the last one alone."""
    links = [link(SOURCE, f"r@{n}", f"{STUDIO_PEER}>d", "x", (0, n)) for n in range(2)]
    links += [link(f"r@{n}", "m", "d>d", "r", (0, n)) for n in range(2)]
    links += [link("m", SINK, f"d>{STUDIO_PEER}", "m")]
    came: dict[int, Mapping[str, Array] | None] = {}
    change = threading.Condition()

    def ended(frame: int, _latency_s: float, outputs: Mapping[str, Array] | None, _lost: str) -> None:
        with change:
            came[frame] = outputs
            change.notify()

    given = inputs(40)
    door = Door(
        "d", 1, [each for each in links if STUDIO_PEER in (each.producer_device, each.consumer_device)], [2], ended
    )
    with AgentProcess(tmp_path) as agent:
        try:
            replica, merge = agent.push(model("x", "r", 0.5)), agent.push(model("r", "m", 2.0))
            stages = [
                *(StageSpec(f"r@{n}", replica, (spec("x"),), (spec("r"),), 1, replica=(0, n)) for n in range(2)),
                StageSpec("m", merge, (spec("r"),), (spec("m"),), 1),
            ]
            answer = agent.control.call(Prepare("d", 1, "d", "127.0.0.1", tuple(stages), tuple(links)))
            assert isinstance(answer, Prepared), answer
            there = PeerAddress("d", "127.0.0.1", answer.data_port, answer.public_key)
            studio = PeerAddress(STUDIO_PEER, "", 0, door.public_key)
            assert agent.control.call(Connect("d", 1, (there, studio))) == Done()
            door.connect([there])

            def send(first: int, count: int, through: tuple[int, ...] = ()) -> dict[str, int]:
                for frame in range(first, first + count):
                    door.put(frame, {"x": given[frame]}, through)
                    with change:
                        assert change.wait_for(lambda: frame in came, DEADLINE_S), frame  # noqa: B023
                return {sample.stage: sample.frames for sample in agent.control.telemetry().stages}

            assert send(0, 5, (1,)) == {"r@0": 0, "r@1": 5, "m": 5}
            door.tell([[0.01, 1.0]])
            assert send(5, 30) == {"r@0": 30, "r@1": 5, "m": 35}
            assert send(35, 5, (1,)) == {"r@0": 30, "r@1": 10, "m": 40}
        finally:
            door.close()
    for frame, outputs in came.items():
        assert outputs is not None
        expected = np.sin(np.sin(given[frame] * 0.5) * 2.0)
        np.testing.assert_allclose(outputs["m"].astype(float), expected, rtol=1e-5, atol=1e-6)
