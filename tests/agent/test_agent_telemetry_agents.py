"""Real agents: samples outlive them, and stages tell their share of memory."""

import hashlib
import threading
from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper
from tests.agent.rig import AgentProcess, Rig, chain, wait_until
from tests.agent.test_agent_power_plug import SHELLY, Server, port_of

from partition_agent.loading.growth import StageMemory, stage_memory
from partition_agent.loading.model_file import ModelMemory
from partition_agent.protocol import (
    AgentInfo,
    Configure,
    Done,
    Hello,
    History,
    HistoryChunk,
    MeterSpec,
    PowerModel,
    StageSpec,
    TensorSpec,
)
from partition_agent.stages import load_stages


def info(agent: AgentProcess) -> AgentInfo:
    answer = agent.control.call(Hello())
    assert isinstance(answer, AgentInfo)
    return answer


def history(agent: AgentProcess, ring: str, after: int) -> HistoryChunk:
    answer = agent.control.call(History(ring, after))
    assert isinstance(answer, HistoryChunk)
    return answer


def test_samples_survive_the_agent_and_their_numbers_go_on(tmp_path: Path) -> None:
    agent = AgentProcess(tmp_path / "agent")
    ring = info(agent).ring
    live = [agent.control.telemetry() for _ in range(2)]
    assert ring and {sample.ring for sample in live} == {ring}
    agent.process.kill()
    agent.process.wait()
    agent.end()
    (tmp_path / "agent" / "agent.json").unlink()
    with AgentProcess(tmp_path / "agent") as again:
        assert info(again).ring == ring and info(again).boot_id
        kept = history(again, ring, 0).samples
        assert [sample for sample in kept if sample.incarnation == live[0].incarnation][: live[1].sequence][-2:] == live
        newer = again.control.telemetry()
        assert newer.sequence > live[-1].sequence and newer.incarnation != live[0].incarnation
        told = [sample.sequence for sample in history(again, ring, 0).samples]
        assert told == sorted(set(told)) and newer.sequence in told
        assert all(sample.sequence > newer.sequence for sample in history(again, ring, newer.sequence).samples)


def test_a_declared_model_gives_power_and_what_was_declared_can_be_taken_back(tmp_path: Path) -> None:
    with AgentProcess(tmp_path / "agent") as agent:
        assert agent.control.call(Configure("d", PowerModel(2.0, 6.0))) == Done()
        wait_until(lambda: any(power.scope == "model" for power in agent.control.telemetry().power), "a model's power")
        (power,) = [power for power in agent.control.telemetry().power if power.scope == "model"]
        assert (power.source, power.method, power.uncertainty) == ("declared", "estimated", 0.3)
        assert power.power_w is not None and 2.0 <= power.power_w <= 6.0
        assert agent.control.call(Configure("d")) == Done()
        wait_until(lambda: all(p.scope != "model" for p in agent.control.telemetry().power), "no model's power")


def test_a_plug_is_asked_by_the_agent_and_comes_before_the_model(tmp_path: Path) -> None:
    with Server(lambda handler: handler.reply(200, SHELLY)) as server, AgentProcess(tmp_path / "agent") as agent:
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        meter = MeterSpec("shelly", "127.0.0.1", port_of(server))
        assert agent.control.call(Configure("d", PowerModel(2.0, 6.0), meter)) == Done()
        wait_until(
            lambda: [power.power_w for power in agent.control.telemetry().power if power.scope == "wall"] == [8.9],
            "the plug's power",
        )
        sources = [power.source for power in agent.control.telemetry().power]
        assert sources[0] == "shelly" and sources[-1] == "declared"
        server.shutdown()


def test_a_stage_tells_its_own_share_of_the_memory(tmp_path: Path) -> None:
    with AgentProcess(tmp_path / "agent") as agent:
        rig = Rig(chain("one"), {"one": agent})
        rig.prepare()
        wait_until(lambda: bool(agent.control.telemetry().stages), "a stage's sample")
        (stage,) = agent.control.telemetry().stages
        # Its one number is a constant, no weight; and the file does not tell the shape in the middle.
        assert stage.weight_bytes == 0 and stage.activation_bytes is None
        assert stage.arena_bytes is not None and stage.arena_bytes >= 0


def dense(tmp_path: Path, size: int) -> StageSpec:
    """A sub-model of one matrix product, its file among the models."""
    x, y = (helper.make_tensor_value_info(name, TensorProto.FLOAT, (1, size)) for name in "xy")
    weight = numpy_helper.from_array(np.random.default_rng(0).standard_normal((size, size)).astype(np.float32), "w")
    graph = helper.make_graph([helper.make_node("MatMul", ["x", "w"], ["y"])], "g", [x], [y], [weight])
    data = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8).SerializeToString()
    digest = hashlib.sha256(data).hexdigest()
    (tmp_path / f"{digest}.onnx").write_bytes(data)
    assert onnx.load_from_string(data).graph.initializer[0].name == "w"
    tensors = [(TensorSpec(name, "float32", (1, size)),) for name in "xy"]
    return StageSpec("s", digest, tensors[0], tensors[1], 1)


def test_weights_activations_and_the_rest_are_what_loading_takes(tmp_path: Path) -> None:
    size = 1000
    stages = load_stages(tmp_path, (dense(tmp_path, size),), 1, lambda stage, step: None, lambda: None).stages
    memory = stages["s"].memory
    assert memory.weight_bytes == 4 * size * size and memory.activation_bytes == 2 * 4 * size
    # The runtime keeps the weights once, or twice where it packs them.
    assert memory.arena_bytes is not None and memory.arena_bytes < 16 * size * size


def test_the_rest_is_never_negative_and_unknown_where_the_growth_is() -> None:
    assert stage_memory(ModelMemory(100, 20), 150) == StageMemory(100, 20, 30)
    assert stage_memory(ModelMemory(100, 20), 50) == StageMemory(100, 20, 0)
    assert stage_memory(ModelMemory(100, None), 150) == StageMemory(100, None, 50)
    assert stage_memory(ModelMemory(100, 20), None) == StageMemory(100, 20, None)
