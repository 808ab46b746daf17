"""Sub-models that are optimised ahead: the same answers, only what was made here, nothing left behind."""

from __future__ import annotations

import json
import os
import signal
import threading
from collections.abc import Callable
from pathlib import Path

import onnx
import pytest
from onnx import numpy_helper
from tests.agent.rig import AgentProcess, wait_until
from tests.agent.stores import Store, dense, flip, frames, spec_of
from tests.agent.sysfs import tree

from partition_agent.loading.ahead import MemoryRanOutError, NotOptimisedError, Optimised, forget, optimised_model
from partition_agent.loading.model_store import delete_models, no_check, optimised_folder
from partition_agent.loading.protobuf import ModelFileError
from partition_agent.loading.references import write_references
from partition_agent.loading.stage_errors import CancelledError, StageError
from partition_agent.protocol import (
    SINK,
    SOURCE,
    STUDIO_PEER,
    AgentInfo,
    Failed,
    Hello,
    LinkSpec,
    Prepare,
    StageSpec,
    TensorSpec,
)
from partition_agent.stages import AHEAD_FROM_BYTES, Stage, check_room, load_stages
from partition_studio.graph.examples import build_example

SMALL = ("digits", "squeezenet", "shufflenet")
LARGE = ("inception-v1", "densenet-121", "inception-v2", "resnet-50", "alexnet", "zfnet-512", "vgg-19")
LARGE_ENOUGH = dense(2100)


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path)


def own_children() -> list[int]:
    tasks = Path("/proc/self/task").iterdir()
    return [int(pid) for task in tasks for pid in (task / "children").read_text().split()]


@pytest.mark.parametrize("name", [*SMALL, *(pytest.param(name, marks=pytest.mark.slow) for name in LARGE)])
def test_what_was_optimised_ahead_answers_bit_by_bit_as_what_is_loaded_as_it_came(store: Store, name: str) -> None:
    digest, path = store.put(build_example(name))
    spec = spec_of(path, digest)
    ahead = Stage(spec, path, 1, optimised_model(store.models, digest, path, no_check))
    plain = Stage(spec, path, 1)
    first, second = frames(spec, 2)
    for frame in (first, second):
        there, here = ahead.run(frame), plain.run(frame)
        assert {key: value.tobytes() for key, value in there.items()} == {k: v.tobytes() for k, v in here.items()}
    assert any((plain.run(first)[t.name] != plain.run(second)[t.name]).any() for t in spec.outputs)


def test_a_large_sub_model_is_optimised_ahead_and_a_small_one_is_not(store: Store) -> None:
    for data, made in ((dense(64), []), (LARGE_ENOUGH, ["model.onnx", "record.json", "weights.bin"])):
        digest, path = store.put(data)
        assert (len(data) > AHEAD_FROM_BYTES) == bool(made)
        loaded = load_stages(store.models, (spec_of(path, digest),), 1, lambda stage, step: None, no_check)
        assert loaded.notes == () and list(loaded.stages) == list(loaded.load_s) == ["s"]
        assert store.made() == made
    delete_models(store.models, [digest])
    assert store.made() == [] and not path.exists()


def test_what_is_there_is_used_again(store: Store) -> None:
    digest, path = store.put(LARGE_ENOUGH)
    first = optimised_model(store.models, digest, path, no_check)
    born = first.model.stat().st_ino
    assert optimised_model(store.models, digest, path, no_check).model.stat().st_ino == born


def _tear(ahead: Optimised) -> None:
    os.truncate(ahead.weights, 1000)


def _replace_model(ahead: Optimised) -> None:
    ahead.model.write_bytes(dense(8))


def _link(ahead: Optimised) -> None:
    elsewhere = ahead.weights.with_name("elsewhere")
    ahead.weights.rename(elsewhere)
    ahead.weights.symlink_to(elsewhere)


def _another_processor(ahead: Optimised) -> None:
    record = ahead.model.with_name("record.json")
    told = json.loads(record.read_text())
    record.write_text(json.dumps({**told, "key": told["key"] + "x"}))


def _no_record(ahead: Optimised) -> None:
    ahead.model.with_name("record.json").write_text("[1")


def _unrecorded_weights(ahead: Optimised) -> None:
    record = ahead.model.with_name("record.json")
    told = json.loads(record.read_text())
    del told["files"]["weights.bin"]
    record.write_text(json.dumps(told))


@pytest.mark.parametrize(
    "spoil", [flip, _tear, _replace_model, _link, _another_processor, _no_record, _unrecorded_weights]
)
def test_what_is_not_what_was_made_here_is_made_anew(store: Store, spoil: Callable[[Optimised], None]) -> None:
    digest, path = store.put(dense(300))
    ahead = optimised_model(store.models, digest, path, no_check)
    files = {file.name: file.read_bytes() for file in ahead.model.parent.iterdir()}
    spoil(ahead)
    again = optimised_model(store.models, digest, path, no_check)
    assert {file.name: file.read_bytes() for file in again.model.parent.iterdir()} == files
    assert not again.weights.is_symlink()


def test_giving_up_ends_the_process_at_once_and_leaves_nothing(store: Store) -> None:
    digest, path = store.put(LARGE_ENOUGH)
    before = own_children()

    def check() -> None:
        if set(own_children()) - set(before):
            raise CancelledError

    with pytest.raises(CancelledError):
        optimised_model(store.models, digest, path, check)
    assert own_children() == before and store.made() == []
    assert not list((store.models.parent / "optimised").iterdir())


def test_a_process_that_the_system_ended_is_memory_that_ran_out(store: Store) -> None:
    digest, path = store.put(LARGE_ENOUGH)
    before = set(own_children())

    def check() -> None:
        for pid in set(own_children()) - before:
            os.kill(pid, signal.SIGKILL)

    with pytest.raises(MemoryRanOutError):
        optimised_model(store.models, digest, path, check)
    assert store.made() == []


def test_when_memory_runs_out_the_agent_says_so_and_lives(tmp_path: Path) -> None:
    x, y = (TensorSpec(name, "float32", (1, 2100)) for name in "xy")
    with AgentProcess(tmp_path / "agent") as agent:
        stage = StageSpec("big", agent.push(LARGE_ENOUGH), (x,), (y,), threads=1)
        links = (
            LinkSpec("in", SOURCE, "big", STUDIO_PEER, "d", (x,)),
            LinkSpec("out", "big", SINK, "d", STUDIO_PEER, (y,)),
        )
        number = agent.control.post(Prepare("p", 1, "d", "127.0.0.1", (stage,), links))
        killed = threading.Event()

        def kill() -> None:
            for task in Path(f"/proc/{agent.process.pid}/task").iterdir():
                for pid in (task / "children").read_text().split():
                    os.kill(int(pid), signal.SIGKILL)
                    killed.set()

        def tried() -> bool:
            kill()
            return killed.is_set()

        wait_until(tried, "a process that optimises")
        answer = agent.control.reply(number)
        assert isinstance(answer, Failed) and (answer.code, answer.stage) == ("out_of_memory", "big")
        assert "ran out of memory" in answer.message
        assert isinstance(agent.control.call(Hello()), AgentInfo)
        assert not list((agent.data_dir / "optimised").glob("*"))


def test_weights_that_find_no_room_are_refused_before_they_are_loaded(tmp_path: Path) -> None:
    root = tree(tmp_path, {"proc/meminfo": "MemTotal: 400000 kB", "proc/self/status": "RssAnon: 100000 kB"})
    check_room("s", 300_000 * 1024, root)
    with pytest.raises(StageError) as error:
        check_room("s", 300_001 * 1024, root)
    assert error.value.code == "out_of_memory"
    assert error.value.message == (
        "the weights of the stage 's' take 307 MB; of the 410 MB that the agent may use, it holds 102 MB already"
    )


def test_what_cannot_be_optimised_is_loaded_as_it_came_and_a_note_says_why(store: Store) -> None:
    digest, path = store.put(LARGE_ENOUGH)
    # The place where its folder would be is taken by a file.
    (store.models.parent / "optimised").write_text("")
    loaded = load_stages(store.models, (spec_of(path, digest),), 1, lambda stage, step: None, no_check)
    (note,) = loaded.notes
    assert note.startswith("the stage 's' was not optimised ahead, and takes more memory while it is loaded: ")
    assert loaded.stages["s"].run(frames(loaded.stages["s"].spec)[0])["y"].shape == (1, 2100)


def test_what_is_no_network_is_not_optimised_and_the_reason_is_told(store: Store) -> None:
    digest, path = store.put(b"\x08\x08" + b"no network" * 10)
    with pytest.raises(NotOptimisedError) as error:
        optimised_model(store.models, digest, path, no_check)
    assert str(error.value) and store.made() == []
    forget(store.models, digest)
    assert not optimised_folder(store.models, digest).exists()


# --- weights that stay where they are --------------------------------------------------------------------------------


def test_a_network_written_again_refers_to_the_weights_of_the_first(tmp_path: Path) -> None:
    source, target = tmp_path / "source.onnx", tmp_path / "target.onnx"
    source.write_bytes(build_example("digits"))
    referred = write_references(source, target, "source.onnx")
    again, before = onnx.load(target), onnx.load(source)
    for there, here in zip(again.graph.initializer, before.graph.initializer, strict=True):
        assert (
            there.name == here.name and numpy_helper.to_array(there).tobytes() == numpy_helper.to_array(here).tobytes()
        )
    for model in (again, before):
        del model.graph.initializer[:]
    assert again == before, "the rest is the same"
    assert 0 < referred < source.stat().st_size and target.stat().st_size < source.stat().st_size - referred + 4096


def test_a_network_whose_weights_lie_elsewhere_already_is_refused(tmp_path: Path) -> None:
    source = tmp_path / "source.onnx"
    onnx.save(
        onnx.load_from_string(dense(64)), source, save_as_external_data=True, location="other.bin", size_threshold=1024
    )
    with pytest.raises(ModelFileError, match="another file"):
        write_references(source, tmp_path / "target.onnx", "source.onnx")


def test_a_tensor_that_has_its_data_twice_is_refused(tmp_path: Path) -> None:
    model = onnx.load_from_string(dense(64))
    twice = model.graph.initializer[0].SerializeToString() * 2
    del model.graph.initializer[:]
    graph = model.graph.SerializeToString() + b"\x2a" + _length(len(twice)) + twice
    model.ClearField("graph")
    source = tmp_path / "source.onnx"
    source.write_bytes(model.SerializeToString() + b"\x3a" + _length(len(graph)) + graph)
    assert onnx.load(source).graph.initializer[0].name == "w", "protobuf reads it"
    with pytest.raises(ModelFileError, match="twice"):
        write_references(source, tmp_path / "target.onnx", "source.onnx")


def _length(value: int) -> bytes:
    return bytes([value & 0x7F | 0x80, value >> 7 & 0x7F | 0x80, value >> 14])
