"""Lanes: stages of one take turns, the oldest frame first; stages of different ones compute at the same time."""

from pathlib import Path

import numpy as np
import pytest
from tests.agent.by_hand import Studio, deploy, inputs, model, spec
from tests.agent.pipeline_world import tensor
from tests.agent.rig import AgentProcess

from partition_agent.pipeline.pipeline import Instruction, Pipeline, Run, SendLost, check_manifest
from partition_agent.protocol import SINK, SOURCE, STUDIO_PEER, FrameRoute, LinkSpec, StageSpec

ROUTE = FrameRoute()


def stage(name: str, lane: str) -> StageSpec:
    return StageSpec(name, "0" * 64, (spec("x"),), (spec(name),), 1, lane=lane)


def from_source(name: str, window: int = 4) -> LinkSpec:
    return LinkSpec(f"source>{name}", SOURCE, name, STUDIO_PEER, "d", (spec("x"),), window)


def to_sink(name: str, window: int = 4) -> LinkSpec:
    return LinkSpec(f"{name}>sink", name, SINK, "d", STUDIO_PEER, (spec(name),), window)


def beside(*lanes: str) -> Pipeline:
    """Stages `a`, `b` ... side by side, each in its lane."""
    names = "abcd"[: len(lanes)]
    links = [from_source(name) for name in names] + [to_sink(name) for name in names]
    pipeline = Pipeline("d", [stage(name, lane) for name, lane in zip(names, lanes, strict=True)], links)
    for name in names:
        pipeline.credited(f"{name}>sink", 4, 0.0, since=0)
    return pipeline


def begun(instructions: list[Instruction]) -> list[tuple[str, int]]:
    return [(order.stage, frame) for order in instructions if isinstance(order, Run) for frame in order.frames]


def test_stages_of_different_lanes_are_begun_at_once_and_those_of_one_in_turn() -> None:
    pipeline = beside("cpu", "gpu", "cpu")
    x = tensor("x")
    assert begun(pipeline.frame_arrived("source>a", 1, ROUTE, x, 0.0)) == [("a", 1)]
    assert begun(pipeline.frame_arrived("source>b", 1, ROUTE, x, 0.0)) == [("b", 1)]
    assert begun(pipeline.frame_arrived("source>c", 1, ROUTE, x, 0.0)) == []
    assert begun(pipeline.stage_done("b", [tensor("b")], 0.1, 0.0)) == []
    assert begun(pipeline.stage_done("a", [tensor("a")], 0.1, 0.0)) == [("c", 1)]


def test_the_oldest_frame_of_a_lane_goes_first() -> None:
    pipeline = beside("cpu", "cpu")
    x = tensor("x")
    assert begun(pipeline.frame_arrived("source>a", 1, ROUTE, x, 0.0)) == [("a", 1)]
    assert begun(pipeline.frame_arrived("source>a", 3, ROUTE, x, 0.0)) == []
    assert begun(pipeline.frame_arrived("source>b", 2, ROUTE, x, 0.0)) == []
    assert begun(pipeline.stage_done("a", [tensor("a")], 0.1, 0.0)) == [("b", 2)]
    assert begun(pipeline.stage_done("b", [tensor("b")], 0.1, 0.0)) == [("a", 3)]


def test_a_loss_passes_a_lane_that_computes_but_not_a_frame_of_its_own_stage() -> None:
    pipeline = beside("cpu", "cpu")
    assert begun(pipeline.frame_arrived("source>a", 1, ROUTE, tensor("x"), 0.0)) == [("a", 1)]
    lost = SendLost("b>sink", 1, ROUTE, "gone")
    assert lost in pipeline.loss_arrived("source>b", 1, ROUTE, "gone", 0.0)
    assert pipeline.loss_arrived("source>a", 2, ROUTE, "gone", 0.0) == []
    after = pipeline.stage_done("a", [tensor("a")], 0.1, 0.0)
    assert [type(order).__name__ for order in after] == ["Send", "Grant", "SendLost"]


def test_who_asks_for_more_lanes_than_there_can_be_threads_is_refused() -> None:
    stages = [stage(f"s{n}", f"lane {n}") for n in range(65)]
    links = [from_source(s.name) for s in stages]
    assert check_manifest("d", stages[:64], links[:64]) is None
    assert "more than 64 lanes" in str(check_manifest("d", stages, links))


@pytest.mark.parametrize("lanes", [("", "gpu"), ("", "")], ids=["two lanes", "one lane"])
def test_two_lanes_of_a_real_agent_compute_at_the_same_time_and_one_in_turn(
    lanes: tuple[str, str], tmp_path: Path
) -> None:
    """While the slow stage is at its first frame, the fast one ends several: only where it need not wait its turn."""
    links = [from_source("slow"), from_source("fast"), to_sink("slow"), to_sink("fast")]
    with AgentProcess(tmp_path / "d") as agent, Studio(links) as studio:
        digests = [agent.push(model("x", "slow", 0.5, rounds=40_000)), agent.push(model("x", "fast", 0.7))]
        stages = [
            StageSpec(name, digest, (spec("x"),), (spec(name),), 1, lane=lane)
            for name, digest, lane in zip(("slow", "fast"), digests, lanes, strict=True)
        ]
        deploy({"d": agent}, {"d": stages}, links, studio)
        given = inputs(3)
        for frame, array in enumerate(given):
            studio.submit(frame, FrameRoute(frame - 1), {"x": array})
        studio.wait(lambda: len(studio.results) == 6, "all results")
        order = [(link.partition(">")[0], frame) for link, frame, _, _ in studio.results]
        overlapped = order.index(("fast", 2)) < order.index(("slow", 0))
        assert overlapped == (lanes[0] != lanes[1]), order
        for link, frame, tensors, _ in studio.results:
            name, factor = ("slow", 0.5) if link.startswith("slow") else ("fast", 0.7)
            assert tensors is not None
            np.testing.assert_allclose(tensors[name].astype(float), np.sin(given[frame] * factor), rtol=1e-5, atol=1e-6)
