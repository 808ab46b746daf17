"""Replicas: a frame takes the way that its route says, and a stage that merges replicas begins frames in order."""

from pathlib import Path

import numpy as np
import pytest
from tests.agent.by_hand import Studio, deploy, inputs, model, spec
from tests.agent.pipeline_world import tensor
from tests.agent.rig import AgentProcess

from partition_agent.pipeline.pipeline import Grant, Instruction, Pipeline, Refuse, Run, Send, SendLost, check_manifest
from partition_agent.protocol import SINK, SOURCE, STUDIO_PEER, FrameRoute, LinkSpec, StageSpec


def link(
    producer: str, consumer: str, devices: str, carried: str, *routes: tuple[int, int], window: int = 4
) -> LinkSpec:
    made, used = devices.split(">")
    return LinkSpec(f"{producer}>{consumer}", producer, consumer, made, used, (spec(carried),), window, (), routes)


def stage(name: str, takes: str, makes: str, replica: tuple[int, int] | None = None) -> StageSpec:
    return StageSpec(name, "0" * 64, (spec(takes),), (spec(makes),), 1, replica=replica)


MERGE = [
    link("r@0", "m", "p>d", "r", (0, 0)),
    link("r@1", "m", "q>d", "r", (0, 1)),
    link("r@2", "m", "s>d", "r", (0, 2)),
    link("m", SINK, f"d>{STUDIO_PEER}", "m"),
]


def merging() -> Pipeline:
    """A stage that gets its frames from three replicas on other devices."""
    assert check_manifest("d", [stage("m", "r", "m")], MERGE) is None
    pipeline = Pipeline("d", [stage("m", "r", "m")], MERGE)
    pipeline.credited("m>sink", 4, 0.0, since=0)
    return pipeline


class Dealt:
    """The routes of frames that a source deals to the replicas of one group."""

    def __init__(self) -> None:
        self.last = -1
        self.there: dict[int, int] = {}

    def route(self, frame: int, replica: int) -> FrameRoute:
        route = FrameRoute(self.last, (replica,), (self.there.get(replica, -1),))
        self.last = self.there[replica] = frame
        return route


def came(pipeline: Pipeline, frame: int, route: FrameRoute) -> list[Instruction]:
    return pipeline.frame_arrived(f"r@{route.replicas[0]}>m", frame, route, tensor("r", frame), 0.0)


def begun(instructions: list[Instruction]) -> list[int]:
    return [frame for order in instructions if isinstance(order, Run) for frame in order.frames]


def done(pipeline: Pipeline) -> list[Instruction]:
    return pipeline.stage_done("m", [tensor("m")], 0.0, 0.0)


def test_a_frame_is_held_back_until_the_one_before_it_was_begun() -> None:
    pipeline, dealt = merging(), Dealt()
    first, second, third = dealt.route(5, 0), dealt.route(9, 1), dealt.route(10, 2)
    assert came(pipeline, 10, third) == []
    assert came(pipeline, 9, second) == []
    assert begun(came(pipeline, 5, first)) == [5]
    assert begun(done(pipeline)) == [9]
    assert begun(done(pipeline)) == [10]


def test_a_frame_goes_on_when_the_one_before_it_is_lost_and_the_loss_goes_first() -> None:
    pipeline, dealt = merging(), Dealt()
    first, second = dealt.route(1, 0), dealt.route(2, 1)
    assert came(pipeline, 2, second) == []
    out = pipeline.loss_arrived("r@0>m", 1, first, "gone", 0.0)
    assert out == [Grant("r@0>m", 1), SendLost("m>sink", 1, first, "gone"), Grant("r@1>m", 1), out[-1]]
    assert begun(out) == [2]


def test_a_frame_goes_on_when_every_link_that_could_bring_the_one_before_it_has_brought_a_later_one() -> None:
    pipeline, dealt = merging(), Dealt()
    dealt.route(1, 0)
    second, third, fourth = dealt.route(2, 1), dealt.route(3, 0), dealt.route(4, 2)
    assert came(pipeline, 2, second) == []
    assert came(pipeline, 3, third) == []
    assert begun(came(pipeline, 4, fourth)) == [2]
    assert begun(done(pipeline)) == [3]


def test_what_a_source_sends_after_it_began_anew_does_not_wait_for_what_was_before() -> None:
    pipeline, dealt = merging(), Dealt()
    dealt.route(1, 0)
    old = dealt.route(2, 1)
    assert came(pipeline, 2, old) == []
    again = Dealt()
    out = came(pipeline, 100, again.route(100, 2))
    assert begun(out) == [100]
    assert SendLost("m>sink", 2, old, "its source began anew") in out


def test_what_is_told_of_a_frame_after_later_ones_is_passed_on_once() -> None:
    """After a connection broke, the news that a frame is lost may come behind frames that waited to be sent."""
    pipeline, dealt = merging(), Dealt()
    first, second, third = dealt.route(1, 0), dealt.route(2, 0), dealt.route(3, 1)
    assert came(pipeline, 2, second) == []
    assert came(pipeline, 3, third) == []
    out = pipeline.loss_arrived("r@0>m", 1, first, "broken", 0.0)
    assert SendLost("m>sink", 1, first, "broken") in out
    assert begun(out) == [2]
    assert pipeline.loss_arrived("r@0>m", 1, first, "broken", 0.0) == []
    assert pipeline.loss_arrived("r@0>m", 2, second, "broken", 0.0) == []


def test_a_frame_on_a_way_that_is_not_its_own_is_refused() -> None:
    pipeline, dealt = merging(), Dealt()
    route = dealt.route(1, 0)
    refused = [Refuse("r@1>m", 1, "wrong_route")]
    assert pipeline.frame_arrived("r@1>m", 1, route, tensor("r"), 0.0) == refused
    assert pipeline.frame_arrived("r@1>m", 1, FrameRoute(), tensor("r"), 0.0) == refused
    assert pipeline.frame_arrived("r@1>m", 1, FrameRoute(7, (1,), (-1,)), tensor("r"), 0.0) == refused
    assert begun(came(pipeline, 1, route)) == [1]


def test_a_frame_leaves_on_the_links_of_its_route_alone_and_only_those_need_room() -> None:
    links = [link(SOURCE, "s", f"{STUDIO_PEER}>d", "x"), link("s", "r@0", "d>p", "s", (0, 0))]
    links.append(link("s", "r@1", "d>d", "s", (0, 1), window=1))
    links.append(link("r@1", SINK, f"d>{STUDIO_PEER}", "r", (0, 1)))
    stages = [stage("s", "x", "s"), stage("r@1", "s", "r", (0, 1))]
    assert check_manifest("d", stages, links) is None
    pipeline, dealt = Pipeline("d", stages, links), Dealt()
    pipeline.credited("r@1>sink", 4, 0.0, since=0)

    def enters(frame: int, replica: int) -> list[Instruction]:
        return pipeline.frame_arrived(f"{SOURCE}>s", frame, dealt.route(frame, replica), tensor("x"), 0.0)

    # There is no credit for replica 0, which is elsewhere: only its frames wait.
    assert begun(enters(1, 1)) == [1]
    out = pipeline.stage_done("s", [tensor("s")], 0.0, 0.0)
    assert [(order.stage, order.frames) for order in out if isinstance(order, Run)] == [("r@1", (1,))]
    assert not any(isinstance(order, Send) for order in out)
    pipeline.stage_done("r@1", [tensor("r")], 0.0, 0.0)
    assert begun(enters(2, 0)) == []
    assert begun(pipeline.credited("s>r@0", 1, 0.0)) == [2]
    sent = [order for order in pipeline.stage_done("s", [tensor("s")], 0.0, 0.0) if isinstance(order, Send)]
    assert [(order.link, order.frame) for order in sent] == [("s>r@0", 2)]


def test_a_producer_that_keeps_to_no_window_fills_no_memory_while_frames_are_held_back() -> None:
    pipeline, dealt = merging(), Dealt()
    dealt.route(0, 0)
    for frame in range(1, 100):
        came(pipeline, frame, dealt.route(frame, 1))
    ((_, _, held),) = pipeline.totals()
    assert held == pipeline.queued("r@1>m") == 2 * MERGE[1].window


def test_what_is_wrong_with_routes_is_said() -> None:
    stages = [stage("m", "r", "m")]

    def problem(*links: LinkSpec) -> str:
        return str(check_manifest("d", stages, [*links, MERGE[-1]]))

    twice = link("t@1", "m", "q>d", "r", (0, 0))
    assert "two links bring the same tensors" in problem(MERGE[0], twice)
    assert "two links bring the same tensors" in problem(MERGE[0], link("t", "m", "q>d", "r"))
    assert "two links bring the same tensors" in problem(MERGE[0], link("t", "m", "q>d", "r", (1, 1)))
    assert "two replicas of one group" in problem(link("r@0", "m", "p>d", "r", (0, 0), (0, 1)))
    assert "numbers are not from 0" in problem(link("r@0", "m", "p>d", "r", (0, -1)))
    assert "numbers are not from 0" in problem(link("r@0", "m", "p>d", "r", (5000, 0)))
    own = [stage("m", "r", "m", (1, 0))]
    assert "does not say which replica" in str(check_manifest("d", own, MERGE))
    assert "window" in problem(link("r@0", "m", "p>d", "r", (0, 0), window=1025))


def test_replicas_of_very_unequal_speed_on_real_agents_give_their_results_in_order(tmp_path: Path) -> None:
    """One replica is some thousand times slower: nothing of the other is begun out of turn, nothing is lost."""
    links = [
        link(SOURCE, "r@0", f"{STUDIO_PEER}>one", "x", (0, 0), window=2),
        link(SOURCE, "r@1", f"{STUDIO_PEER}>two", "x", (0, 1), window=8),
        link("r@0", "m", "one>two", "r", (0, 0), window=8),
        link("r@1", "m", "two>two", "r", (0, 1), window=8),
        link("m", SINK, f"two>{STUDIO_PEER}", "m"),
    ]
    with AgentProcess(tmp_path / "one") as one, AgentProcess(tmp_path / "two") as two, Studio(links) as studio:
        slow, fast = model("x", "r", 0.5, rounds=4000), model("x", "r", 0.5)
        merge = StageSpec("m", two.push(model("r", "m", 2.0)), (spec("r"),), (spec("m"),), 1)
        replicas = [
            StageSpec(f"r@{index}", agent.push(data), (spec("x"),), (spec("r"),), 1, replica=(0, index))
            for index, (agent, data) in enumerate([(one, slow), (two, fast)])
        ]
        deploy({"one": one, "two": two}, {"one": replicas[:1], "two": [replicas[1], merge]}, links, studio)
        dealt, given = Dealt(), inputs(60)
        for frame, array in enumerate(given):
            studio.submit(frame, dealt.route(frame, 0 if frame % 6 == 0 else 1), {"x": array})
        studio.wait(lambda: len(studio.results) == len(given), "all results")
        assert [frame for _, frame, _, _ in studio.results] == list(range(len(given)))
        for _, frame, tensors, reason in studio.results:
            assert tensors is not None, reason
            expected = np.sin(np.sin(given[frame] * 0.5) * 2.0)
            np.testing.assert_allclose(tensors["m"].astype(float), expected, rtol=1e-5, atol=1e-6)
        counts = {s.stage: s.frames for agent in (one, two) for s in agent.control.telemetry().stages}
        assert counts == {"r@0": 10, "r@1": 50, "m": 60}


@pytest.mark.parametrize("replica", [0, 1])
def test_a_stage_of_a_group_begins_the_frames_of_its_replica_without_waiting_for_the_others(replica: int) -> None:
    links = [link(SOURCE, "r", f"{STUDIO_PEER}>d", "x", (0, replica)), link("r", "m", "d>p", "r", (0, replica))]
    pipeline, dealt = Pipeline("d", [stage("r", "x", "r", (0, replica))], links), Dealt()
    pipeline.credited("r>m", 4, 0.0, since=0)
    for frame in range(3):
        dealt.route(frame, 1 - replica)
    assert begun(pipeline.frame_arrived(f"{SOURCE}>r", 7, dealt.route(7, replica), tensor("x"), 0.0)) == [7]
