"""The pipeline's state machine by stimulus, and on random graphs: every frame that enters comes out once, in order."""

from collections.abc import Sequence
from random import Random

from hypothesis import event, given, settings
from hypothesis import strategies as st
from tests.agent.pipeline_world import Graph, World, graphs, leads_over, spec, tensor

from partition_agent.pipeline.pipeline import Grant, Instruction, Pipeline, Refuse, Run, SendLost, check_manifest
from partition_agent.protocol import SINK, STUDIO_PEER, FrameRoute, LinkSpec, StageSpec

ROUTE = FrameRoute()


def stage(name: str, *inputs: str) -> StageSpec:
    return StageSpec(name, "0" * 64, tuple(map(spec, inputs)), (spec(name),))


def link(tensor: str, producer: str, consumer: str, devices: str, window: int = 2) -> LinkSpec:
    made, used = devices.split(">")
    return LinkSpec(f"{producer}>{consumer}", producer, consumer, made, used, (spec(tensor),), window)


def kinds(instructions: Sequence[Instruction]) -> list[str]:
    return [type(instruction).__name__ for instruction in instructions]


def joining() -> Pipeline:
    """One stage with inputs from two devices."""
    return Pipeline("d", [stage("j", "a", "b")], [link("a", "a", "j", "p>d"), link("b", "b", "j", "q>d"), TO_SINK])


TO_SINK = LinkSpec("j>sink", "j", SINK, "d", STUDIO_PEER, (spec("j"),), 2)


def test_a_stage_begins_when_every_input_is_there_and_there_is_room() -> None:
    pipeline = joining()
    assert pipeline.frame_arrived("a>j", 1, ROUTE, tensor("a"), 0.0) == []
    assert pipeline.frame_arrived("b>j", 1, ROUTE, tensor("b"), 0.0) == []
    begun = pipeline.credited("j>sink", 2, 0.0, since=0)
    assert kinds(begun) == ["Grant", "Grant", "Run"]
    assert isinstance(begun[2], Run) and set(begun[2].inputs[0]) == {"a", "b"}
    assert kinds(pipeline.stage_done("j", [tensor("j")], 0.1, 1.0)) == ["Send"]


def test_a_stage_that_fails_reports_its_frame_lost_and_goes_on() -> None:
    pipeline = joining()
    pipeline.credited("j>sink", 2, 0.0, since=0)
    for frame in (1, 2):
        pipeline.frame_arrived("a>j", frame, ROUTE, tensor("a"), 0.0)
        pipeline.frame_arrived("b>j", frame, ROUTE, tensor("b"), 0.0)
    after = pipeline.stage_failed("j", "broken", 1.0)
    assert after[0] == SendLost("j>sink", 1, ROUTE, "broken")
    assert kinds(after[1:]) == ["Grant", "Grant", "Run"]


def test_a_loss_on_one_input_is_passed_on_and_the_other_input_dropped() -> None:
    pipeline = joining()
    pipeline.credited("j>sink", 2, 0.0, since=0)
    assert pipeline.loss_arrived("a>j", 1, ROUTE, "gone", 0.0) == []
    out = pipeline.frame_arrived("b>j", 1, ROUTE, tensor("b"), 0.0)
    assert out == [Grant("a>j", 1), Grant("b>j", 1), SendLost("j>sink", 1, ROUTE, "gone")]


def test_a_loss_does_not_overtake_the_frame_that_is_computed() -> None:
    pipeline = joining()
    pipeline.credited("j>sink", 2, 0.0, since=0)
    pipeline.frame_arrived("a>j", 1, ROUTE, tensor("a"), 0.0)
    pipeline.frame_arrived("b>j", 1, ROUTE, tensor("b"), 0.0)
    pipeline.loss_arrived("a>j", 2, ROUTE, "gone", 0.0)
    assert pipeline.loss_arrived("b>j", 2, ROUTE, "gone", 0.0) == []
    after = pipeline.stage_done("j", [tensor("j")], 0.1, 1.0)
    assert kinds(after) == ["Send", "Grant", "Grant", "SendLost"]


def test_a_frame_that_was_overtaken_on_a_link_is_lost_before_the_next_goes_on() -> None:
    pipeline = joining()
    pipeline.credited("j>sink", 2, 0.0, since=0)
    pipeline.frame_arrived("a>j", 1, ROUTE, tensor("a"), 0.0)
    pipeline.frame_arrived("a>j", 2, ROUTE, tensor("a"), 0.0)
    out = pipeline.frame_arrived("b>j", 2, ROUTE, tensor("b"), 0.0)
    assert kinds(out) == ["Grant", "SendLost", "Grant", "Grant", "Run"]
    assert isinstance(out[1], SendLost) and out[1].frame == 1
    # What comes after all is not passed on; that a connection broke is told of frames that were given up, too.
    assert pipeline.frame_arrived("b>j", 1, ROUTE, tensor("b"), 0.0) == [Refuse("b>j", 1, "out_of_order")]
    assert pipeline.loss_arrived("b>j", 1, ROUTE, "broken", 0.0) == []


def test_a_frame_that_comes_twice_is_refused_and_a_loss_of_what_came_is_nothing() -> None:
    pipeline = joining()
    pipeline.frame_arrived("a>j", 1, ROUTE, tensor("a"), 0.0)
    assert pipeline.frame_arrived("a>j", 1, ROUTE, tensor("a"), 0.0) == [Refuse("a>j", 1, "duplicate")]
    assert pipeline.loss_arrived("a>j", 1, ROUTE, "broken", 0.0) == []
    assert pipeline.queued("a>j") == 1


def test_who_sends_without_credit_is_refused() -> None:
    pipeline = joining()
    refused = [r for frame in range(10) for r in pipeline.frame_arrived("a>j", frame, ROUTE, tensor("a"), 0.0)]
    assert refused and all(isinstance(r, Refuse) and r.reason == "over_window" for r in refused)
    assert pipeline.queued("a>j") <= 4
    assert pipeline.room("a>j") == 0


def test_no_consumer_can_grant_more_than_its_window() -> None:
    pipeline = joining()
    for _ in range(9):
        pipeline.credited("j>sink", 2, 0.0)
    sent = 0
    for frame in range(2):
        pipeline.frame_arrived("a>j", frame, ROUTE, tensor("a"), 0.0)
        pipeline.frame_arrived("b>j", frame, ROUTE, tensor("b"), 0.0)
        sent += kinds(pipeline.stage_done("j", [tensor("j")], 0.1, 1.0)).count("Send")
    assert sent == 2
    pipeline.frame_arrived("a>j", 7, ROUTE, tensor("a"), 0.0)
    assert pipeline.frame_arrived("b>j", 7, ROUTE, tensor("b"), 0.0) == []


def test_frames_of_a_source_that_is_gone_give_their_places_to_those_of_the_next() -> None:
    """It died before it had sent the other halves: no later frame could come to tell that they are lost."""
    pipeline = joining()
    pipeline.credited("j>sink", 2, 0.0, since=0)
    for frame in (1, 2):
        pipeline.frame_arrived("a>j", frame, ROUTE, tensor("a"), 0.0)
    assert pipeline.room("a>j") == 0
    lost = [SendLost("j>sink", frame, ROUTE, "its source began anew") for frame in (1, 2)]
    assert [order for order in pipeline.source_began_anew(0.0) if isinstance(order, SendLost)] == lost
    assert pipeline.room("a>j") == 2


def test_what_is_wrong_with_a_manifest_is_said() -> None:
    good = [link("a", "a", "j", "p>d"), link("b", "b", "j", "q>d"), TO_SINK]
    stages = [stage("j", "a", "b")]
    assert check_manifest("d", stages, good) is None
    assert "do not bring exactly its inputs" in str(check_manifest("d", stages, good[1:]))
    assert "unknown stage" in str(check_manifest("d", stages, [*good, link("a", "a", "k", "p>d")]))
    assert "does not concern this device" in str(check_manifest("e", stages, good))
    assert "does not make" in str(check_manifest("d", stages, [*good, link("z", "j", "q", "d>q")]))
    assert "same name" in str(check_manifest("d", stages * 2, good))
    assert "window" in str(check_manifest("d", stages, [link("a", "a", "j", "p>d", window=0)]))


# --- random graphs ---------------------------------------------------------------------------------------------------


#: What happens next is not drawn one by one: those are too many draws to be made smaller.
SEEDS = st.integers(0, 2**32 - 1)


def run(world: World, *, frames: int, breaks: float = 0.0, restarts: int = 0) -> None:
    """Let everything happen that can, in any order, until all frames are in and nothing moves any more."""
    submitted, random = 0, world.random
    restart_at = sorted(random.randrange(1, frames) for _ in range(restarts)) if frames > 1 else []
    while world.step(may_submit=submitted < frames):
        submitted = len(world.routes)
        if restart_at and submitted >= restart_at[0]:
            world.restart_source()
            restart_at.pop(0)
        for ends in world.ends.values():
            if ends.spec.consumer != SINK and random.random() < breaks:
                world.break_connection(ends)
    assert len(world.routes) == frames, "the pipeline stalled"


@settings(max_examples=150, deadline=None)
@given(graphs(), st.integers(1, 12), SEEDS, st.sampled_from([0.0, 0.2]))
def test_on_any_graph_every_frame_that_enters_comes_out_once_in_order(
    graph: Graph, frames: int, seed: int, fails: float
) -> None:
    event("with replicas" if graph.replicas else "without")
    world = World(graph, Random(seed), fails=fails)
    run(world, frames=frames)
    world.check_results()
    world.check_nothing_waits()
    for name, results in world.results.items():
        due = [f for f, route in world.routes.items() if leads_over(route, world.ends[name].spec)]
        assert [frame for frame, _ in results] == due, "each frame is answered, also if it is lost"


@settings(max_examples=150, deadline=None)
@given(graphs(), st.integers(1, 12), SEEDS)
def test_connections_that_break_lose_only_what_was_on_them(graph: Graph, frames: int, seed: int) -> None:
    world = World(graph, Random(seed), asks=True)
    run(world, frames=frames, breaks=0.02)
    event("broken" if world.suspect else "whole")
    world.check_results()
    world.check_nothing_waits()


@settings(max_examples=100, deadline=None)
@given(graphs(), st.integers(2, 12), SEEDS)
def test_a_source_that_begins_anew_gets_all_its_frames_in_order(graph: Graph, frames: int, seed: int) -> None:
    world = World(graph, Random(seed), asks=True)
    run(world, frames=frames, restarts=2)
    world.check_results()
