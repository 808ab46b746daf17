"""Stages as they are loaded: weights that several use, providers, frames computed in one go."""

from __future__ import annotations

import time
from pathlib import Path

import numpy as np
import onnxruntime
import pytest
from onnx import TensorProto, helper, numpy_helper
from tests.agent.stores import Store, dense, flip, frames, spec_of

from partition_agent.loading.ahead import Optimised, optimised_model
from partition_agent.loading.batches import best_batch
from partition_agent.loading.model_store import delete_models, no_check
from partition_agent.stages import Stage, load_stages


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path)


# --- weights that several stages use ---------------------------------------------------------------------------------


def convolution(seed: int, tail: str) -> bytes:
    """A 1x1 convolution of 4 MB, and one layer after it."""
    x, y = (helper.make_tensor_value_info(name, TensorProto.FLOAT, (1, 1024, 2, 2)) for name in "xy")
    values = np.random.default_rng(seed).standard_normal((1024, 1024, 1, 1)).astype(np.float32)
    nodes = [helper.make_node("Conv", ["x", "w"], ["t"]), helper.make_node(tail, ["t"], ["y"])]
    graph = helper.make_graph(nodes, "g", [x], [y], [numpy_helper.from_array(values, "w")])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    return bytes(model.SerializeToString())


def mapped_pss(folder: Path) -> int:
    """What this process holds of the files in a folder, each page once."""
    held, inside = 0, False
    for line in Path("/proc/self/smaps").read_text().splitlines():
        fields = line.split(None, 5)
        if "-" in fields[0] and not fields[0].endswith(":"):
            inside = len(fields) == 6 and fields[5].startswith(str(folder))
        elif inside and fields[0] == "Pss:":
            held += int(fields[1]) * 1024
    return held


def ahead_of(store: Store, data: bytes) -> tuple[Stage, Optimised, str]:
    digest, path = store.put(data)
    spec = spec_of(path, digest)
    ahead = optimised_model(store.models, digest, path, no_check)
    stage = Stage(spec, path, 1, ahead)
    for frame in frames(spec, 2):
        assert stage.run(frame)["y"].tobytes() == Stage(spec, path, 1).run(frame)["y"].tobytes()
    return stage, ahead, digest


def test_weights_that_two_stages_use_are_in_memory_once(store: Store) -> None:
    first = ahead_of(store, convolution(0, "Sigmoid"))
    once = mapped_pss(store.models.parent)
    second = ahead_of(store, convolution(0, "Tanh"))
    assert once > 4_000_000
    assert mapped_pss(store.models.parent) < 1.1 * once
    assert (second[1].model.parent / "shared-0.bin").samefile(first[1].weights)


def test_weights_that_differ_are_not_shared(store: Store) -> None:
    ahead_of(store, convolution(0, "Sigmoid"))
    _, ahead, _ = ahead_of(store, convolution(1, "Tanh"))
    assert not list(ahead.model.parent.glob("shared-*"))


def test_shared_weights_stay_when_the_model_they_came_with_is_deleted(store: Store) -> None:
    _, _, first = ahead_of(store, convolution(0, "Sigmoid"))
    _, ahead, digest = ahead_of(store, convolution(0, "Tanh"))
    born = ahead.model.stat().st_ino
    delete_models(store.models, [first])
    path = store.models / f"{digest}.onnx"
    again = optimised_model(store.models, digest, path, no_check)
    assert again.model.stat().st_ino == born, "it is whole"
    Stage(spec_of(path, digest), path, 1, again)


def test_shared_weights_that_were_changed_are_found_out(store: Store) -> None:
    _, _, _ = ahead_of(store, convolution(0, "Sigmoid"))
    _, ahead, digest = ahead_of(store, convolution(0, "Tanh"))
    flip(Optimised(ahead.model, ahead.model.parent / "shared-0.bin"))
    again = optimised_model(store.models, digest, store.models / f"{digest}.onnx", no_check)
    assert not list(again.model.parent.glob("shared-*")), "made anew, and no longer equal to the other's"


# --- providers and batches -------------------------------------------------------------------------------------------


def test_a_provider_that_is_not_there_or_computes_nothing_is_told_and_the_processor_computes(store: Store) -> None:
    digest, path = store.put(dense(16))
    there = onnxruntime.get_available_providers()
    wished = ("CUDAExecutionProvider", *(name for name in there if name == "AzureExecutionProvider"))
    assert "CUDAExecutionProvider" not in there
    spec = spec_of(path, digest, providers=wished)
    loaded = load_stages(store.models, (spec,), 1, lambda stage, step: None, no_check)
    assert loaded.stages["s"].provider == "CPUExecutionProvider"
    assert loaded.notes[0] == (
        "the stage 's' runs on the CPU: CUDAExecutionProvider is not in the device's ONNX Runtime "
        f"(it has {', '.join(there)})"
    )
    assert list(loaded.notes[1:]) == [
        f"the stage 's' runs on the CPU: {name} computes none of its layers" for name in wished[1:]
    ]


def test_what_comes_after_the_processor_in_the_wish_list_is_not_missed(store: Store) -> None:
    digest, path = store.put(dense(16))
    spec = spec_of(path, digest, providers=("CPUExecutionProvider", "CUDAExecutionProvider"))
    assert load_stages(store.models, (spec,), 1, lambda stage, step: None, no_check).notes == ()


def test_frames_computed_in_one_go_give_what_each_gives_alone(store: Store) -> None:
    digest, path = store.put(dense(32, batch="n"))
    spec = spec_of(path, digest, max_batch=4)
    stage = load_stages(store.models, (spec,), 1, lambda stage, step: None, no_check).stages["s"]
    assert stage.batch in (1, 2, 4)
    inputs = frames(spec, 3)
    together = stage.run_batch(inputs)
    assert len(together) == 3
    for frame, outputs in zip(inputs, together, strict=True):
        assert outputs["y"].shape == (1, 32)
        np.testing.assert_allclose(outputs["y"], stage.run(frame)["y"], rtol=1e-5, atol=1e-5)
    assert (together[0]["y"] != together[1]["y"]).any()


def test_a_sub_model_of_fixed_shapes_takes_one_frame_at_a_time_and_says_so(store: Store) -> None:
    digest, path = store.put(dense(16))
    loaded = load_stages(store.models, (spec_of(path, digest, max_batch=8),), 1, lambda stage, step: None, no_check)
    assert loaded.stages["s"].batch == 1
    assert loaded.notes == ("the stage 's' takes one frame at a time: the first extent of its tensors is fixed",)


def only_one() -> bytes:
    """A network that says that it takes any number of frames, and fails for more than one."""
    x, y = (helper.make_tensor_value_info(name, TensorProto.FLOAT, ("n", 4)) for name in "xy")
    table = numpy_helper.from_array(np.ones(2, np.float32), "table")
    nodes = [
        helper.make_node("Shape", ["x"], ["n"], start=0, end=1),
        helper.make_node("Gather", ["table", "n"], ["factor"]),
        helper.make_node("Mul", ["x", "factor"], ["y"]),
    ]
    graph = helper.make_graph(nodes, "g", [x], [y], [table])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    return bytes(model.SerializeToString())


def test_a_batch_for_which_there_is_no_memory_is_told_and_smaller_ones_do() -> None:
    told: list[tuple[int, str]] = []

    def two_at_most(frames: int) -> None:
        time.sleep(0.01)
        # 256 TiB: more than any process can address.
        np.empty(1 << 48 if frames > 2 else 1, np.uint8)

    assert best_batch(two_at_most, 32, no_check, lambda frames, reason: told.append((frames, reason))) == 2
    ((frames, reason),) = told
    assert frames == 4
    assert "Unable to allocate" in reason


def test_a_stage_that_fails_for_several_frames_is_ready_for_one_at_a_time_and_says_so(store: Store) -> None:
    digest, path = store.put(only_one())
    loaded = load_stages(store.models, (spec_of(path, digest, max_batch=8),), 1, lambda stage, step: None, no_check)
    assert loaded.stages["s"].batch == 1
    (note,) = loaded.notes
    assert note.startswith("the stage 's' does not compute 2 frames in one go: the stage 's' failed")


def test_a_larger_batch_counts_only_where_each_frame_takes_clearly_less(store: Store) -> None:
    tried: list[int] = []

    def constant(frames: int) -> None:
        tried.append(frames)
        time.sleep(0.02)

    assert best_batch(constant, 4, no_check) == 4
    tried.clear()

    def proportional(frames: int) -> None:
        tried.append(frames)
        time.sleep(0.02 * frames)

    assert best_batch(proportional, 64, no_check) == 1
    assert max(tried) == 2, "what brings nothing is not made larger still"
