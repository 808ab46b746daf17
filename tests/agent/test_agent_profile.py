"""The agent's profiles: what is measured, that they can be ended at any time, and that nothing of them is left."""

import os
import signal
from collections.abc import Iterator
from pathlib import Path

import onnx
import pytest
from onnx import TensorProto, helper
from tests.agent.rig import AgentProcess, wait_until

from partition_agent.codecs import CODECS
from partition_agent.profiling.graph import Graph, Node, read_graph
from partition_agent.profiling.kernels import Times, fused_times, kernel_times
from partition_agent.profiling.measure import Run, calm
from partition_agent.profiling.watch import Watch
from partition_agent.protocol import (
    AgentInfo,
    CancelJob,
    Failed,
    Hello,
    JobProgress,
    MemorySample,
    PowerSample,
    Profile,
    Profiled,
    Reply,
    Result,
    Telemetry,
    TensorSpec,
    WeightFill,
)
from partition_studio.fleet.profiling.model import build_piece
from partition_studio.graph.examples import EXAMPLES, build_example
from partition_studio.graph.load import load_network
from partition_studio.graph.network import Network

BUDGET_S = 0.5


@pytest.fixture(scope="module")
def agent(tmp_path_factory: pytest.TempPathFactory) -> Iterator[AgentProcess]:
    """One for all tests that do not end it."""
    with AgentProcess(tmp_path_factory.mktemp("profile") / "agent") as running:
        yield running


@pytest.fixture
def own_agent(tmp_path: Path) -> Iterator[AgentProcess]:
    with AgentProcess(tmp_path / "agent") as running:
        yield running


@pytest.fixture(scope="module")
def digits(tmp_path_factory: pytest.TempPathFactory) -> Network:
    file = tmp_path_factory.mktemp("digits") / "digits.onnx"
    file.write_bytes(build_example("digits"))
    return load_network(file)


def wide_convolution(agent: AgentProcess, *, channels: int = 256, side: int = 96, op_type: str = "Conv") -> Profile:
    """A request that takes seconds at least; its weights are made on the device."""
    count = channels * channels * 9
    weight = TensorProto(
        name="w", data_type=TensorProto.FLOAT, dims=[channels, channels, 3, 3], data_location=TensorProto.EXTERNAL
    )
    for key, text in (("location", "weights.bin"), ("offset", "0"), ("length", str(4 * count))):
        weight.external_data.add(key=key, value=text)
    x, y = (helper.make_tensor_value_info(name, TensorProto.FLOAT, [1, channels, side, side]) for name in "xy")
    node = helper.make_node(op_type, ["x", "w"], ["y"], name="wide", pads=[1, 1, 1, 1])
    graph = helper.make_graph([node], "g", [x], [y], [weight])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    return Profile(
        job="job-1",
        digest=agent.push(model.SerializeToString()),
        inputs=(TensorSpec("x", "float32", (1, channels, side, side)),),
        fills=(WeightFill(0, count, "float32", 0.03),),
        threads=1,
        budget_s=30.0,
    )


def begun(agent: AgentProcess, request: Profile, step: str = "warming up") -> int:
    """Begin a profile and wait until that step; return the number of its call."""
    number = agent.control.post(request)
    while True:
        message = agent.control.next()
        if isinstance(message, JobProgress) and message.text == step:
            return number


def answer_to(agent: AgentProcess, number: int) -> Result:
    """Return the answer to that call; others that come before it are left out."""
    while True:
        message = agent.control.next()
        if isinstance(message, Reply) and message.id == number:
            return message.result


def children(pid: int) -> list[int]:
    found = []
    for task in Path(f"/proc/{pid}/task").iterdir():
        found += [int(child) for child in (task / "children").read_text().split()]
    return found


def is_gone(pid: int) -> bool:
    try:
        return (Path("/proc") / str(pid) / "stat").read_text().rpartition(")")[2].split()[0] in "ZX"
    except OSError:
        return True


def left_over(agent: AgentProcess) -> list[str]:
    return [path.name for path in agent.data_dir.rglob("*") if "weights" in path.name or "profiling" in path.name]


def test_every_layer_is_measured_alone_and_in_exactly_one_kernel(agent: AgentProcess, digits: Network) -> None:
    piece = build_piece(digits, 0, len(digits.layers))
    request = Profile("job-1", agent.push(piece.data), piece.inputs, piece.fills, threads=1, budget_s=BUDGET_S)
    answer = agent.control.call(request)
    assert isinstance(answer, Profiled), answer
    names = [layer.name for layer in digits.layers]
    assert [name for time in answer.layers for name in time.layers] == names
    assert sorted(name for kernel in answer.kernels for name in kernel.layers) == sorted(names)
    assert len(answer.kernels) < len(names)
    assert sum(kernel.median_s for kernel in answer.kernels) == pytest.approx(answer.run_s - answer.session_s, rel=1e-6)
    assert all(time.median_s > 0 and time.runs >= 1 for time in (*answer.layers, *answer.kernels))
    assert answer.threads == 1
    assert answer.peak_bytes > 0
    steps = [event.text for event in agent.control.events if isinstance(event, JobProgress)]
    assert steps[-7:] == [
        *["making weights", "loading", "warming up", "whole runs", "fused kernels", "single layers", "codecs"]
    ]
    assert [figures.codec for figures in answer.codecs] == list(CODECS)
    speeds = {figures.codec: figures for figures in answer.codecs}
    assert all(1e5 < speed < 1e14 for f in answer.codecs for speed in (f.encode_bytes_per_s, f.decode_bytes_per_s))
    # What only hands bytes on is faster than what reads them all.
    assert speeds["none"].encode_bytes_per_s > 3 * speeds["zstd"].encode_bytes_per_s
    assert answer.carry is not None
    assert 0 < answer.carry.message_s < 1
    assert 0 < answer.carry.byte_s < 1e-5
    assert left_over(agent) == []


def test_a_second_profile_is_refused_while_one_is_measured_and_cancelling_leaves_nothing(agent: AgentProcess) -> None:
    request = wide_convolution(agent)
    number = begun(agent, request)
    (child,) = children(agent.process.pid)
    assert left_over(agent)
    second = agent.control.post(Profile("job-2", request.digest, request.inputs, request.fills))
    refused = answer_to(agent, second)
    assert isinstance(refused, Failed)
    assert refused.code == "busy"
    agent.control.post(CancelJob("job-1"))
    cancelled = answer_to(agent, number)
    assert isinstance(cancelled, Failed)
    assert cancelled.code == "cancelled"
    wait_until(lambda: is_gone(child), "the measuring process ends")
    assert left_over(agent) == []
    assert isinstance(answer_to(agent, agent.control.post(Hello())), AgentInfo)


@pytest.mark.slow
def test_another_jobs_cancelling_does_not_end_a_profile(agent: AgentProcess, digits: Network) -> None:
    piece = build_piece(digits, 0, len(digits.layers))
    number = begun(
        agent, Profile("job-1", agent.push(piece.data), piece.inputs, piece.fills, threads=1, budget_s=BUDGET_S)
    )
    agent.control.post(CancelJob("job-7"))
    assert isinstance(answer_to(agent, number), Profiled)


@pytest.mark.parametrize("end", [signal.SIGTERM, signal.SIGKILL])
def test_the_measuring_process_does_not_outlive_the_agent(own_agent: AgentProcess, end: signal.Signals) -> None:
    agent = own_agent
    begun(agent, wide_convolution(agent))
    (child,) = children(agent.process.pid)
    agent.process.send_signal(end)
    agent.process.wait(30)
    wait_until(lambda: is_gone(child), "the measuring process ends")
    if end == signal.SIGTERM:
        assert left_over(agent) == []
    agent.control.close()
    # An agent that was killed cannot clean up; the next one does.
    (agent.data_dir / "agent.json").unlink(missing_ok=True)
    with AgentProcess(agent.data_dir) as next_agent:
        assert left_over(next_agent) == []


def test_the_runtimes_own_words_say_which_operator_it_does_not_know(agent: AgentProcess) -> None:
    answer = agent.control.call(wide_convolution(agent, channels=16, side=8, op_type="NoSuchOperator"))
    assert isinstance(answer, Failed)
    assert answer.code == "stage_not_loaded"
    assert "NoSuchOperator" in answer.message
    assert left_over(agent) == []


@pytest.mark.parametrize(
    ("fills", "code"),
    [
        ((WeightFill(0, 1 << 50, "float32", 1.0),), "disk_full"),
        ((WeightFill(-4096, 8, "float32", 1.0),), "bad_profile"),
        ((WeightFill(0, 8, "object", 1.0),), "bad_profile"),
    ],
)
def test_weights_that_find_no_room_or_are_none_are_refused_before_they_are_made(
    agent: AgentProcess, fills: tuple[WeightFill, ...], code: str
) -> None:
    request = wide_convolution(agent, channels=16, side=8)
    answer = agent.control.call(Profile("job-1", request.digest, request.inputs, fills))
    assert isinstance(answer, Failed)
    assert answer.code == code
    assert left_over(agent) == []


def test_a_model_that_is_not_there_is_said_to_be_missing(agent: AgentProcess) -> None:
    answer: Result = agent.control.call(Profile("job-1", "0" * 64, (), ()))
    assert isinstance(answer, Failed)
    assert answer.code == "model_missing"


# --- the parts -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "example", [e for e in EXAMPLES if e.available and e.kind == "architecture"], ids=lambda e: e.id
)
def test_the_small_reader_of_onnx_files_reads_what_onnx_reads(example: object) -> None:
    data = example.path.read_bytes()  # type: ignore[attr-defined] # a parameter
    expected = onnx.ModelProto.FromString(data).graph
    found = read_graph(data)
    assert [(n.name, n.op_type, list(n.outputs)) for n in found.nodes] == [
        (n.name, n.op_type, list(n.output)) for n in expected.node
    ]
    assert found.initializers == {tensor.name for tensor in expected.initializer}
    assert list(found.inputs) == [value.name for value in expected.input]


@pytest.mark.parametrize("length", [1, 7, 100, 1000])
def test_a_file_that_ends_too_early_is_no_model(length: int) -> None:
    data = EXAMPLES[2].path.read_bytes()[:length]
    with pytest.raises(ValueError, match=r"ONNX|field"):
        read_graph(data)


def event(name: str, start_us: int, long_us: int) -> dict[str, object]:
    return {"cat": "Node", "name": f"{name}_kernel_time", "ts": start_us, "dur": long_us, "args": {}}


def test_kernels_inside_a_loop_are_in_the_loops_time_and_not_counted_again() -> None:
    events = [event("loop", 0, 100), event("inner", 10, 20), event("inner", 40, 20), event("after", 110, 5)]
    times = kernel_times(events, runs=1)
    assert {name: value.seconds for name, value in times.items()} == {"loop": (100e-6,), "after": (5e-6,)}


def test_kernels_that_share_a_name_add_up_in_each_run() -> None:
    events = [event("a", start, 10 + run) for run in range(2) for start in (run * 100, run * 100 + 50)]
    assert kernel_times(events, runs=2)["a"].seconds == pytest.approx((20e-6, 22e-6))


def test_layers_of_fused_kernels_follow_from_their_tensors_and_no_time_is_lost() -> None:
    original = Graph(
        (
            Node("conv", "Conv", ("x",), ("a",)),
            Node("bn", "BatchNormalization", ("a",), ("b",)),
            Node("relu", "Relu", ("b",), ("c",)),
            Node("drop", "Dropout", ("c",), ("d",)),
            Node("fc", "Gemm", ("d",), ("e",)),
            Node("last", "Identity", ("e",), ("y",)),
        ),
        frozenset(),
        ("x",),
        ("y",),
    )
    optimised = Graph(
        (
            Node("ReorderInput", "ReorderInput", ("x",), ("reorder",)),
            Node("c_nchwc", "Conv", ("reorder",), ("reorder_token_0",)),
            Node("ReorderOutput", "ReorderOutput", ("reorder_token_0",), ("c",)),
            Node("fc", "Gemm", ("c",), ("e",)),
        ),
        frozenset(),
        ("x",),
        ("y",),
    )
    names = ("ReorderInput", "c_nchwc", "ReorderOutput", "fc")
    times = {name: Times((2.0**place,), 0, 0) for place, name in enumerate(names)}
    kernels = fused_times(original, optimised, times, 1.0)
    assert [(kernel.layers, kernel.median_s) for kernel in kernels] == [
        (("conv", "bn", "relu"), 7.0),
        (("drop", "fc", "last"), 8.0),
    ]


def test_many_short_runs_are_looked_through_once() -> None:
    """A tiny network runs a hundred thousand times: to compare each with all would take minutes."""
    runs = [Run(2e-5, 2e-5), Run(3e-5, 1e-5)] * 100_000
    assert calm(runs) == list(range(0, 200_000, 2))


def sample(at_s: float, *power: PowerSample) -> Telemetry:
    memory = MemorySample(None, None, 1, 1, 1)
    return Telemetry("i", int(at_s), at_s, at_s, 0.0, 1.0, None, memory, power, None, (), (), {})


def test_power_of_a_run_is_its_counted_energy_by_its_time() -> None:
    watch = Watch()
    for second in range(6):
        # The moment's watts mislead; the counter does not.
        watch.note(sample(10.0 + second, PowerSample(99.0, 4.0 * second, "rapl", "package", "counter", 0.03)))
    power = watch.power((10.5, 15.5), PowerSample(1.5, None, "rapl", "package", "counter"))
    assert power is not None
    assert (power.busy_w, power.idle_w, power.source, power.scope, power.method) == (
        4.0,
        1.5,
        "rapl",
        "package",
        "counter",
    )


def test_idle_power_of_another_source_is_not_taken_off() -> None:
    watch = Watch()
    watch.note(sample(10.0, PowerSample(5.0, None, "shelly", "wall", "sampled")))
    power = watch.power((9.0, 11.0), PowerSample(1.5, None, "rapl", "package", "counter"))
    assert power is not None
    assert power.idle_w is None


def test_without_a_sample_in_the_window_there_is_no_power() -> None:
    watch = Watch()
    watch.note(sample(10.0, PowerSample(5.0, None, "shelly", "wall", "sampled")))
    assert watch.power((11.0, 12.0), None) is None


def test_the_process_that_measures_is_the_first_to_be_ended_when_memory_runs_out(agent: AgentProcess) -> None:
    number = begun(agent, wide_convolution(agent))
    (child,) = children(agent.process.pid)
    own = int(Path(f"/proc/{os.getpid()}/oom_score_adj").read_text())
    assert int(Path(f"/proc/{child}/oom_score_adj").read_text()) == 1000 > own
    agent.control.post(CancelJob("job-1"))
    assert isinstance(answer_to(agent, number), Failed)


def test_power_of_a_run_on_a_sensor_with_gaps_is_over_the_time_of_which_it_tells() -> None:
    watch = Watch()
    for second in range(6):
        told = PowerSample(10.0, 2.0 * second, "ina3221", "board", "sampled", None, 0.2, 0.2 * second, 10.0 + second)
        watch.note(sample(10.0 + second, told))
    power = watch.power((10.5, 15.5), None)
    assert power is not None
    assert power.busy_w == pytest.approx(10)
