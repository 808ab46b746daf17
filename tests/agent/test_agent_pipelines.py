"""Real agents over the loopback interface: what comes out is what the whole network gives, once and in order."""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import numpy as np
import pytest
from onnx import TensorProto, helper, numpy_helper
from tests.agent.rig import (
    DEADLINE_S,
    AgentProcess,
    Control,
    Network,
    Part,
    Rig,
    assert_same,
    chain,
    frames,
    oracle,
    run_all,
    wait_until,
)

from partition_agent.protocol import (
    SINK,
    SOURCE,
    STUDIO_PEER,
    AgentInfo,
    Connect,
    Done,
    End,
    Hello,
    LinkSpec,
    PeerAddress,
    Prepare,
    Prepared,
    Shutdown,
    StageSpec,
    TensorSpec,
)
from partition_studio.deployment.front_door import (
    DataPlaneError,
    FrameLostError,
    FrontDoor,
    FrontDoorClosedError,
    NoCreditError,
)
from partition_studio.errors import FrameInputError

StartAgents = Callable[..., dict[str, AgentProcess]]


@pytest.fixture
def start(tmp_path: Path) -> Iterator[StartAgents]:
    with ExitStack() as stack:

        def start(*devices: str) -> dict[str, AgentProcess]:
            return {device: stack.enter_context(AgentProcess(tmp_path / device)) for device in devices}

        yield start


#: A skip link over several stages, two branches, devices met twice, two outputs.
BRANCHY = Network(
    parts=[
        Part("a", "one", ("x",), 0.9),
        Part("b", "two", ("a",), 1.1),
        Part("c", "one", ("b",), 0.8),
        Part("d", "three", ("a", "c"), 0.5),
        Part("e", "two", ("x", "d"), 1.3),
        Part("f", "two", ("e", "a"), 0.6),
    ],
    outputs=("f", "c"),
    windows={"source>e": 5, "a>d": 3, "a>f": 5},
)


@pytest.mark.parametrize("network", [chain("one", "two", "three"), BRANCHY], ids=["chain", "branchy"])
def test_two_hundred_frames_come_once_in_order_and_equal_to_the_whole(network: Network, start: StartAgents) -> None:
    rig = Rig(network, start("one", "two", "three"))
    inputs = frames(200)
    door = rig.open()
    try:
        finished: list[int] = []
        futures = [door.submit({"x": array}, timeout_s=DEADLINE_S) for array in inputs]
        for future in futures:
            future.add_done_callback(lambda done: finished.append(done.result().frame))
        results = [future.result(DEADLINE_S) for future in futures]
        assert_same([result.outputs for result in results], oracle(network, inputs))
        assert not np.array_equal(results[0].outputs[network.outputs[0]], results[1].outputs[network.outputs[0]])
        assert len({result.frame for result in results}) == 200
        assert [result.frame for result in results] == sorted(result.frame for result in results)
        stats = door.stats()
        assert (stats.submitted, stats.delivered, stats.lost, stats.in_flight, stats.unexpected) == (200, 200, 0, 0, 0)
    finally:
        door.close()
    for device, agent in rig.agents.items():
        sample = agent.control.telemetry()
        assert {stage.stage: stage.frames for stage in sample.stages} == {
            part.name: 200 for part in network.parts if part.device == device
        }
        assert all(stage.compute_s > 0 and stage.lost == 0 and stage.queued == 0 for stage in sample.stages)
        expected = {k.id for k in rig.request(device).links if k.producer_device != k.consumer_device}
        assert {link.link for link in sample.links} == expected
        assert all(link.frames_sent + link.frames_received == 200 for link in sample.links)
        assert sample.dropped == {}


def test_a_full_pipeline_takes_no_more_until_there_is_room(start: StartAgents) -> None:
    network = chain("one")
    rig = Rig(network, start("one"))
    rig.prepare()
    door = rig.door()
    try:
        with pytest.raises(NoCreditError):
            door.submit({"x": frames(1)[0]}, timeout_s=0.05)
        rig.admit(door.public_key)
        door.connect(rig.peers)
        assert_same(run_all(door, frames(3)), oracle(network, frames(3)))
    finally:
        door.close()
    with pytest.raises(FrontDoorClosedError):
        door.submit({"x": frames(1)[0]})


def test_an_input_that_does_not_fit_is_refused_by_name(start: StartAgents) -> None:
    door = Rig(chain("one"), start("one")).open()
    try:
        with pytest.raises(FrameInputError, match="'x' is float64"):
            door.submit({"x": frames(1)[0].astype(np.float64)})
        with pytest.raises(FrameInputError, match="lacks the input 'x'"):
            door.submit({})
    finally:
        door.close()


def test_a_studio_that_comes_back_with_another_key_goes_on(start: StartAgents) -> None:
    network = BRANCHY
    rig = Rig(network, start("one", "two", "three"))
    inputs = frames(20)
    first = rig.open()
    run_all(first, inputs)
    for array in inputs[:3]:
        first.submit({"x": array}, timeout_s=DEADLINE_S)
    # Gone in the middle, without a word to the agents.
    first.close()
    assert first.stats().in_flight == 0
    second = rig.door()
    try:
        rig.admit(second.public_key)
        second.connect(rig.peers)
        assert_same(run_all(second, inputs), oracle(network, inputs))
        assert second.stats().lost == 0
    finally:
        second.close()


def test_a_studio_whose_clock_was_set_back_goes_on_above_the_frames_of_its_earlier_life(start: StartAgents) -> None:
    network = BRANCHY
    rig = Rig(network, start("one", "two", "three"))
    inputs = frames(5)
    ahead = time.time_ns() + 10**18
    rig.prepare()
    for _ in range(2):
        door = rig.door(last_frame=ahead)
        try:
            rig.admit(door.public_key)
            door.connect(rig.peers)
            assert_same(run_all(door, inputs), oracle(network, inputs))
        finally:
            door.close()
        infos = [agent.control.call(Hello()) for agent in rig.agents.values()]
        last = [held.last_frame for info in infos if isinstance(info, AgentInfo) for held in info.deployments]
        assert len(last) == 3 and min(last) > ahead
        ahead = max(last)
    with pytest.raises(DataPlaneError, match="no studio gives"):
        rig.door(last_frame=2**63 - 1)


def test_another_connection_of_the_same_studio_leaves_the_frames_alone(start: StartAgents) -> None:
    network = chain("one", "two")
    rig = Rig(network, start("one", "two"))
    door = rig.open()
    try:
        run_all(door, frames(5))
        rig.admit(door.public_key)
        other = Control(rig.agents["one"].state)
        assert_same(run_all(door, frames(50)), oracle(network, frames(50)))
        other.close()
        assert door.stats().lost == 0
    finally:
        door.close()


def test_frames_in_a_killed_agent_are_each_reported_lost_once(start: StartAgents) -> None:
    rig = Rig(chain("one", "two", "three"), start("one", "two", "three"))
    door = rig.open()
    try:
        run_all(door, frames(10))
        rig.agents["two"].process.kill()
        rig.agents["two"].process.wait()
        waiting = []
        for array in frames(20):
            try:
                waiting.append(door.submit({"x": array}, timeout_s=0.3))
            except NoCreditError:
                break
        # The windows bound how many could go in.
        assert 0 < len(waiting) < 20
        door.fail_in_flight("two is gone")
        for future in waiting:
            with pytest.raises(FrameLostError, match="two is gone"):
                future.result(0)
        door.fail_in_flight("again")
        stats = door.stats()
        assert (stats.delivered, stats.lost, stats.in_flight) == (10, len(waiting), 0)
    finally:
        door.close()


def test_a_newer_epoch_runs_beside_the_older_until_that_ends(start: StartAgents) -> None:
    agents = start("one", "two")
    network = chain("one", "two")
    old, new = Rig(network, agents, epoch=1), Rig(network, agents, epoch=2)
    old_door, new_door = old.open(), new.open()
    try:
        assert_same(run_all(new_door, frames(5)), oracle(network, frames(5)))
        assert_same(run_all(old_door, frames(5)), oracle(network, frames(5)))
        for agent in agents.values():
            assert agent.control.call(End("d", 1)) == Done()
            assert agent.control.call(End("d", 1)) == Done()
            assert list(agent.models.iterdir()), "the newer epoch still uses the sub-model"
        assert_same(run_all(new_door, frames(5)), oracle(network, frames(5)))
    finally:
        old_door.close()
        new_door.close()


def test_twenty_five_cycles_leave_no_thread_descriptor_or_file(start: StartAgents) -> None:
    agents = start("one", "two")
    network = chain("one", "two", "one")
    threads: list[dict[str, int]] = []
    descriptors: list[dict[str, int]] = []
    for agent in agents.values():
        # From the first sample on, the file that samples go to is open.
        agent.control.telemetry()
    for epoch in range(25):
        door = Rig(network, agents, epoch=epoch).open()
        assert_same(run_all(door, frames(4)), oracle(network, frames(4)))
        door.close()
        for agent in agents.values():
            assert agent.control.call(End("d")) == Done()
            assert list(agent.models.iterdir()) == []
        threads.append({device: agent.threads() for device, agent in agents.items()})
        descriptors.append({device: agent.descriptors() for device, agent in agents.items()})
    for device in agents:
        # The pool of the calls' threads fills in the first cycles, and then it is done.
        assert threads[-1][device] <= threads[0][device] + 16
        # It may fill late on a busy machine; a leak would be a thread for every cycle.
        assert max(t[device] for t in threads[20:]) < max(t[device] for t in threads[12:18]) + 4
        # What takes samples opens a file now and then; a leak would be a descriptor for every cycle.
        assert min(d[device] for d in descriptors[20:]) < max(d[device] for d in descriptors[2:8]) + 4


def test_shutdown_ends_the_process_and_leaves_nothing(start: StartAgents) -> None:
    agents = start("one")
    door = Rig(chain("one"), agents).open()
    run_all(door, frames(2))
    agent = agents["one"]
    assert agent.control.call(Shutdown()) == Done()
    assert agent.process.wait(DEADLINE_S) == 0
    door.close()
    assert not (agent.data_dir / "agent.json").exists()
    assert list(agent.models.iterdir()) == []


def test_the_front_door_leaves_no_thread(start: StartAgents) -> None:
    rig = Rig(chain("one"), start("one"))
    before = {thread.name for thread in threading.enumerate()}
    door: FrontDoor = rig.open()
    run_all(door, frames(2))
    door.close()
    door.close()
    wait_until(lambda: {thread.name for thread in threading.enumerate()} <= before, "threads of the front door end")


def test_a_stage_that_cannot_compute_a_frame_loses_that_frame_only(start: StartAgents) -> None:
    """`Gather` fails on an index out of range: an input that the shapes cannot rule out."""
    agents = start("one")
    model = helper.make_model(
        helper.make_graph(
            [
                helper.make_node(
                    "Constant", [], ["table"], value=numpy_helper.from_array(np.arange(4, dtype=np.float32))
                ),
                helper.make_node("Gather", ["table", "x"], ["y"]),
            ],
            "g",
            [helper.make_tensor_value_info("x", TensorProto.INT64, [2])],
            [helper.make_tensor_value_info("y", TensorProto.FLOAT, [2])],
        ),
        opset_imports=[helper.make_opsetid("", 17)],
        ir_version=8,
    )
    x, y = TensorSpec("x", "int64", (2,)), TensorSpec("y", "float32", (2,))
    stage = StageSpec("look", agents["one"].push(model.SerializeToString()), (x,), (y,))
    links = (
        LinkSpec("in", SOURCE, "look", STUDIO_PEER, "one", (x,)),
        LinkSpec("out", "look", SINK, "one", STUDIO_PEER, (y,)),
    )
    control = agents["one"].control
    prepared = control.call(Prepare("d", 1, "one", "127.0.0.1", (stage,), links))
    assert isinstance(prepared, Prepared)
    peer = PeerAddress("one", "127.0.0.1", prepared.data_port, prepared.public_key)
    door = FrontDoor(deployment="d", epoch=1, links=links, inputs={"x": x}, outputs={"y": y})
    try:
        studio = PeerAddress(STUDIO_PEER, "", 0, door.public_key)
        assert control.call(Connect("d", 1, (peer, studio))) == Done()
        door.connect([peer])
        indices = [[0, 1], [9, 9], [2, 3], [1, 9], [3, 0]]
        futures = [door.submit({"x": np.array(pair, np.int64)}, timeout_s=DEADLINE_S) for pair in indices]
        for pair, future in zip(indices, futures, strict=True):
            if 9 in pair:
                with pytest.raises(FrameLostError, match="one: the stage 'look' failed"):
                    future.result(DEADLINE_S)
            else:
                assert future.result(DEADLINE_S).outputs["y"].tolist() == pair
        assert (door.stats().delivered, door.stats().lost) == (3, 2)
        (sample,) = control.telemetry().stages
        assert (sample.frames, sample.lost) == (3, 2)
    finally:
        door.close()
