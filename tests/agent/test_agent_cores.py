"""A stage computes on the cores that the plan names, and nothing else is bound to them."""

import os
import threading
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

from partition_agent.cores import bound_to
from partition_agent.protocol import StageSpec, TensorSpec
from partition_agent.stages import Stage, StageError

X, Y = TensorSpec("x", "float32", (4,)), TensorSpec("y", "float32", (4,))


@pytest.fixture
def part(tmp_path: Path) -> Path:
    value = [helper.make_tensor_value_info(name, TensorProto.FLOAT, [4]) for name in "xy"]
    graph = helper.make_graph([helper.make_node("Relu", ["x"], ["y"])], "g", value[:1], value[1:])
    onnx.save(
        helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), tmp_path / "part.onnx"
    )
    return tmp_path / "part.onnx"


def allowed_cores() -> dict[int, set[int]]:
    """The cores of every thread of this process, by its number."""
    return {int(task): os.sched_getaffinity(int(task)) for task in os.listdir("/proc/self/task")}


def test_a_thread_is_bound_with_those_that_it_starts_and_free_again_afterwards() -> None:
    before = os.sched_getaffinity(0)
    core = max(before)
    seen = []
    with bound_to([core]):
        seen.append(os.sched_getaffinity(0))
        started = threading.Thread(target=lambda: seen.append(os.sched_getaffinity(0)))
        started.start()
        started.join()
    assert seen == [{core}, {core}]
    assert os.sched_getaffinity(0) == before


def test_the_threads_of_a_stage_are_on_its_cores_and_the_loading_thread_is_not(part: Path) -> None:
    before = allowed_cores()
    core = max(os.sched_getaffinity(0))
    stage = Stage(StageSpec("s", "", (X,), (Y,), cores=(core,)), part, threads=3)
    own = [cores for task, cores in allowed_cores().items() if task not in before]
    assert own == [{core}, {core}]
    outputs = stage.run({"x": np.array([-1, 0, 1, 2], np.float32)})
    assert outputs["y"].tolist() == [0, 0, 1, 2]
    assert os.sched_getaffinity(0) == before[threading.get_native_id()]


def test_cores_that_are_not_there_are_named(part: Path) -> None:
    missing = max(os.sched_getaffinity(0)) + 1000
    with pytest.raises(StageError, match=f"'s' on cores {missing}") as caught:
        Stage(StageSpec("s", "", (X,), (Y,), cores=(missing,)), part, threads=1)
    assert caught.value.code == "cores_missing"
