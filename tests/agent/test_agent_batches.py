"""Micro-batches: what is ready is computed in one go, nothing waits for it, and only the culprit of a failure goes."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
from onnx import TensorProto, helper, numpy_helper
from tests.agent.by_hand import Studio, inputs, model, spec
from tests.agent.pipeline_world import tensor
from tests.agent.rig import wait_until

from partition_agent.data_plane.wire import Tensors
from partition_agent.pipeline.pipeline import Grant, Instruction, Pipeline, Run, Send, SendLost, check_manifest
from partition_agent.pipeline.runner import Runner
from partition_agent.protocol import (
    SINK,
    SOURCE,
    STUDIO_PEER,
    Connect,
    Fault,
    FrameRoute,
    LinkSpec,
    PeerAddress,
    Prepare,
    StageSpec,
    TensorSpec,
)
from partition_agent.stages import Stage

ROUTE = FrameRoute()


def links(taken: TensorSpec, made: TensorSpec, window: int = 8) -> tuple[LinkSpec, LinkSpec]:
    return (
        LinkSpec("in", SOURCE, "s", STUDIO_PEER, "d", (taken,), window),
        LinkSpec("out", "s", SINK, "d", STUDIO_PEER, (made,), window),
    )


def several(batch: int, max_batch: int = 4) -> Pipeline:
    stage = StageSpec("s", "0" * 64, (spec("x"),), (spec("y"),), 1, max_batch=max_batch)
    assert check_manifest("d", [stage], links(spec("x"), spec("y"))) is None
    return Pipeline("d", [stage], links(spec("x"), spec("y")), {"s": batch})


def begun(instructions: Sequence[Instruction]) -> list[tuple[int, ...]]:
    return [order.frames for order in instructions if isinstance(order, Run)]


def enter(pipeline: Pipeline, *frames: int) -> list[Instruction]:
    return [order for frame in frames for order in pipeline.frame_arrived("in", frame, ROUTE, tensor("x"), 0.0)]


def test_frames_that_are_ready_are_taken_in_one_go_and_none_is_waited_for() -> None:
    pipeline = several(3)
    pipeline.credited("out", 8, 0.0, since=0)
    assert begun(enter(pipeline, 1)) == [(1,)]
    assert begun(enter(pipeline, 2, 3, 4, 5)) == []
    out = pipeline.stage_done("s", [tensor("y")], 0.0, 0.0)
    assert begun(out) == [(2, 3, 4)]
    assert Grant("in", 3) in out
    out = pipeline.stage_done("s", [tensor("y", value) for value in (2, 3, 4)], 0.0, 0.0)
    assert [order.frame for order in out if isinstance(order, Send)] == [2, 3, 4]
    assert begun(out) == [(5,)]


def test_no_more_are_taken_than_there_is_room_for() -> None:
    pipeline = several(4)
    enter(pipeline, 1, 2, 3, 4)
    assert begun(pipeline.credited("out", 2, 0.0, since=0)) == [(1, 2)]
    assert begun(pipeline.stage_done("s", [tensor("y")] * 2, 0.0, 0.0)) == []
    assert begun(pipeline.credited("out", 8, 0.0)) == [(3, 4)]


def test_a_lost_frame_ends_a_batch_and_keeps_its_place() -> None:
    pipeline = several(4)
    enter(pipeline, 1, 2)
    pipeline.loss_arrived("in", 3, ROUTE, "gone", 0.0)
    enter(pipeline, 4)
    assert begun(pipeline.credited("out", 8, 0.0, since=0)) == [(1, 2)]
    out = pipeline.stage_done("s", [tensor("y")] * 2, 0.0, 0.0)
    told = [order.frame for order in out if isinstance(order, (Send, SendLost))]
    assert told == [1, 2, 3]
    assert begun(out) == [(4,)]


def test_frames_of_a_batch_may_end_one_by_one_and_the_lane_is_free_after_the_last() -> None:
    pipeline = several(4)
    enter(pipeline, 1, 2, 3, 4, 5)
    pipeline.credited("out", 8, 0.0, since=0)
    out = pipeline.stage_done("s", [tensor("y")], 0.0, 0.0)
    out += pipeline.stage_failed("s", "broken", 0.0)
    out += pipeline.stage_done("s", [tensor("y")], 0.0, 0.0)
    assert [type(order).__name__ for order in out] == ["Send", "SendLost", "Send"]
    assert begun(pipeline.stage_done("s", [tensor("y")], 0.0, 0.0)) == [(5,)]


def test_no_more_are_taken_than_the_manifest_allows_whatever_was_measured() -> None:
    pipeline = several(64, max_batch=2)
    enter(pipeline, 1, 2, 3)
    assert begun(pipeline.credited("out", 8, 0.0, since=0)) == [(1, 2)]


@pytest.mark.parametrize("max_batch", [0, -1, 257])
def test_a_batch_that_cannot_be_is_refused(max_batch: int) -> None:
    stage = StageSpec("s", "0" * 64, (spec("x"),), (spec("y"),), 1, max_batch=max_batch)
    assert f"takes {max_batch} frames in one go" in str(check_manifest("d", [stage], links(spec("x"), spec("y"))))


# --- on a device -----------------------------------------------------------------------------------------------------


class WatchedStage(Stage):
    """A stage that notes how many frames it was given at once, and takes so many whatever was measured."""

    def __init__(self, spec: StageSpec, path: Path) -> None:
        super().__init__(spec, path, 1)
        self.batch = spec.max_batch
        self.batches: list[int] = []

    def run_batch(self, inputs: Sequence[Tensors]) -> list[dict[str, npt.NDArray[np.generic]]]:
        self.batches.append(len(inputs))
        return super().run_batch(inputs)


class Device:
    """A stage on a device, between a source and a sink."""

    def __init__(self, path: Path, taken: TensorSpec, made: TensorSpec, max_batch: int) -> None:
        stage = StageSpec("s", "0" * 64, (taken,), (made,), 1, max_batch=max_batch)
        self.taken, self.made = taken.name, made.name
        self.stage, self.faults = WatchedStage(stage, path), list[Fault]()
        self.is_heard = True
        ends = links(taken, made)
        self.studio = Studio(ends, stingy=True)
        request = Prepare("d", 1, "d", "127.0.0.1", (stage,), ends)
        self.runner = Runner(request, {"s": self.stage}, self._hear)
        peer = PeerAddress("d", "127.0.0.1", self.runner.data_port, self.runner.public_key)
        self.runner.connect(Connect("d", 1, (peer, PeerAddress(STUDIO_PEER, "", 0, self.studio.plane.public_key))))
        self.studio.plane.connect([peer])

    def _hear(self, fault: Fault) -> None:
        assert self.is_heard, "the control connection is gone"
        self.faults.append(fault)

    def compute(self, arrays: Sequence[npt.NDArray[np.generic]]) -> list[npt.NDArray[np.generic] | str]:
        """Return what comes of frames that are all there before the first may be begun: its outputs, or why not."""
        first = len(self.studio.results)
        for number, array in enumerate(arrays, first):
            self.studio.submit(number, FrameRoute(number - 1), {self.taken: array})
        wait_until(lambda: self.runner.samples()[0][0].queued == len(arrays), "all frames are there")
        self.studio.allow("out", len(arrays))
        self.studio.wait(lambda: len(self.studio.results) == first + len(arrays), "all results")
        came = self.studio.results[first:]
        assert [frame for _, frame, _, _ in came] == list(range(first, first + len(arrays)))
        return [reason if tensors is None else tensors[self.made] for _, _, tensors, reason in came]


@contextmanager
def device(path: Path, data: bytes, taken: TensorSpec, made: TensorSpec, max_batch: int = 4) -> Iterator[Device]:
    path.write_bytes(data)
    one = Device(path, taken, made, max_batch)
    try:
        yield one
    finally:
        one.studio.plane.close()
        one.runner.close()


def whole(result: npt.NDArray[np.generic] | str) -> npt.NDArray[np.float64]:
    assert not isinstance(result, str), result
    return result.astype(np.float64)


def test_frames_that_are_computed_in_one_go_are_what_they_are_one_by_one(tmp_path: Path) -> None:
    given = inputs(8)
    data = model("x", "y", 0.7, rounds=3)
    with device(tmp_path / "a.onnx", data, spec("x"), spec("y")) as together:
        results = together.compute(given)
        assert together.stage.batches == [4, 4]
        ((sample,), _) = together.runner.samples()
        assert (sample.frames, sample.lost, sample.batch) == (8, 0, 4)
        assert sample.provider == "CPUExecutionProvider"
    with device(tmp_path / "b.onnx", data, spec("x"), spec("y"), max_batch=1) as alone:
        singly = alone.compute(given)
        assert alone.stage.batches == []
    for number, result in enumerate(results):
        assert np.array_equal(whole(result), whole(singly[number]))
        np.testing.assert_allclose(whole(result), np.sin(given[number] * 0.7), rtol=1e-5, atol=1e-6)


def looked_up(*, rows: bool) -> tuple[bytes, TensorSpec, TensorSpec]:
    """`Gather`: fails on an index out of range. With `rows` the result is made to be one row: several frames fail."""
    nodes = [helper.make_node("Gather", ["table", "x"], ["found"])]
    nodes += [helper.make_node("Reshape" if rows else "Identity", ["found", "row"][: 1 + rows], ["y"])]
    graph = helper.make_graph(
        nodes,
        "g",
        [helper.make_tensor_value_info("x", TensorProto.INT64, ["n", 2])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["n", 2])],
        [
            numpy_helper.from_array(np.arange(4, dtype=np.float32), "table"),
            numpy_helper.from_array(np.array([1, 2], np.int64), "row"),
        ][: 1 + rows],
    )
    made = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    return made.SerializeToString(), TensorSpec("x", "int64", (1, 2)), TensorSpec("y", "float32", (1, 2))


def test_only_the_frame_that_makes_a_batch_fail_is_lost(tmp_path: Path) -> None:
    data, taken, made = looked_up(rows=False)
    with device(tmp_path / "a.onnx", data, taken, made) as one:
        given = [np.array([pair], np.int64) for pair in ([0, 1], [2, 9], [3, 3], [1, 0])]
        results = one.compute(given)
        assert one.stage.batches == [4]
        assert isinstance(results[1], str) and "d: the stage 's' failed" in results[1]
        for number in (0, 2, 3):
            assert whole(results[number]).tolist() == given[number].tolist()
        ((sample,), _) = one.runner.samples()
        assert (sample.frames, sample.lost, sample.batch) == (3, 1, 4), "what one frame does is not the others' fault"
        assert [fault.stage for fault in one.faults] == ["s"]


def test_a_stage_that_fails_only_for_several_frames_gets_them_one_by_one_from_then_on(tmp_path: Path) -> None:
    data, taken, made = looked_up(rows=True)
    with device(tmp_path / "a.onnx", data, taken, made) as one:
        given = [np.array([[number % 4, 1]], np.int64) for number in range(8)]
        results = one.compute(given)
        assert [whole(result).tolist() for result in results] == [array.tolist() for array in given]
        before = list(one.stage.batches)
        assert before and set(before) == {4}
        one.compute(given)
        assert one.stage.batches == before
        ((sample,), _) = one.runner.samples()
        assert (sample.frames, sample.lost, sample.batch) == (16, 0, 1)
        assert one.faults == []


#: 256 TiB for who writes it down: more than any process can address.
ENDLESS = np.broadcast_to(np.float32(1), (1, 1 << 46))


def test_frames_for_which_there_is_no_memory_are_lost_alone_and_told_of(tmp_path: Path) -> None:
    """Neither together, nor each alone; the thread that computes goes on with those that come later."""
    data = model("x", "y", 0.7)
    with device(tmp_path / "a.onnx", data, spec("x"), spec("y")) as one:
        good = inputs(3)
        one.runner.credited("out", 1, None)
        for number, array in enumerate([good[0], ENDLESS, ENDLESS, good[1]]):
            one.runner.frame_arrived("in", number, FrameRoute(number - 1), {"x": array})
        one.runner.credited("out", 4, None)
        one.studio.wait(lambda: len(one.studio.results) == 4, "all results")
        results = [tensors for _, _, tensors, _ in one.studio.results]
        assert [tensors is None for tensors in results] == [False, True, True, False]
        for number, tensors in ((0, results[0]), (1, results[3])):
            assert tensors is not None
            np.testing.assert_allclose(whole(tensors["y"]), np.sin(good[number] * 0.7), rtol=1e-5, atol=1e-6)
        assert one.stage.batches == [3]
        wait_until(lambda: len(one.faults) == 1, "the studio is told")


def test_a_stage_goes_on_though_nobody_can_be_told_that_it_failed(tmp_path: Path) -> None:
    data, taken, made = looked_up(rows=False)
    with device(tmp_path / "a.onnx", data, taken, made) as one:
        one.is_heard = False
        for _ in range(2):
            results = one.compute([np.array([pair], np.int64) for pair in ([0, 1], [2, 9], [3, 3])])
            assert [isinstance(result, str) for result in results] == [False, True, False]
