"""Real agents as subprocesses, the calls that bring a pipeline up on them, and tiny networks for it."""

import hashlib
import os
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Self

import msgspec
import numpy as np
import numpy.typing as npt
import onnx
import onnxruntime
from onnx import TensorProto, helper, numpy_helper
from websockets.sync.client import ClientConnection, connect

from partition_agent.protocol import (
    SINK,
    SOURCE,
    STUDIO_PEER,
    AgentState,
    Call,
    Connect,
    Event,
    FromAgent,
    LinkSpec,
    PeerAddress,
    Prepare,
    Prepared,
    Reply,
    Request,
    Result,
    StageSpec,
    Telemetry,
    TensorSpec,
)
from partition_studio.deployment.front_door import FrontDoor

DEADLINE_S = 30.0
Array = npt.NDArray[np.generic]

SHAPE = (1, 4, 8, 8)


def wait_until(is_so: Callable[[], bool], what: str) -> None:
    deadline_s = time.monotonic() + DEADLINE_S
    while not is_so():
        assert time.monotonic() < deadline_s, f"not in time: {what}"
        time.sleep(0.01)


class Control:
    """A studio's conversation with one agent."""

    def __init__(self, state: AgentState) -> None:
        self._open = ExitStack()
        self.socket: ClientConnection = self._open.enter_context(
            connect(
                f"ws://127.0.0.1:{state.control_port}/",
                additional_headers={"Authorization": f"Bearer {state.token}"},
                compression=None,
                proxy=None,
                ping_interval=None,
                max_queue=None,
            )
        )
        self.events: list[Event] = []
        self._number = 0

    def close(self) -> None:
        self._open.close()

    def post(self, request: Request) -> int:
        self._number += 1
        self.socket.send(msgspec.json.encode(Call(self._number, request)).decode())
        return self._number

    def reply(self, number: int) -> Result:
        while True:
            message = self.next()
            if isinstance(message, Reply):
                assert message.id == number
                return message.result
            self.events.append(message)

    def next(self) -> FromAgent:
        message: FromAgent = msgspec.json.decode(self.socket.recv(timeout=DEADLINE_S), type=FromAgent)
        return message

    def call(self, request: Request) -> Result:
        return self.reply(self.post(request))

    def telemetry(self) -> Telemetry:
        """The next sample that is taken from now on; both clocks are this machine's."""
        now_s = time.monotonic()
        while True:
            message = self.next()
            if isinstance(message, Telemetry) and message.monotonic_s >= now_s:
                return message


class AgentProcess:
    """One agent, in a data folder of its own."""

    def __init__(self, data_dir: Path, *options: str) -> None:
        self.data_dir = data_dir
        self.log = data_dir.with_suffix(".log").open("ab")
        self.process = subprocess.Popen(
            [sys.executable, "-m", "partition_agent", "--data-dir", str(data_dir), *options],
            stdout=self.log,
            stderr=self.log,
        )
        wait_until(lambda: self.process.poll() is not None or (data_dir / "agent.json").exists(), "agent.json")
        assert self.process.poll() is None, data_dir.with_suffix(".log").read_text()
        self.state = msgspec.json.decode((data_dir / "agent.json").read_bytes(), type=AgentState)
        self.control = Control(self.state)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.end()

    @property
    def models(self) -> Path:
        return self.data_dir / "models"

    def push(self, data: bytes) -> str:
        digest = hashlib.sha256(data).hexdigest()
        (self.models / f"{digest}.onnx").write_bytes(data)
        return digest

    def threads(self) -> int:
        return len(os.listdir(f"/proc/{self.process.pid}/task"))

    def descriptors(self) -> int:
        return len(os.listdir(f"/proc/{self.process.pid}/fd"))

    def end(self) -> None:
        if self.process.poll() is None:
            self.process.terminate()
            self.process.wait(DEADLINE_S)
        self.control.close()
        self.log.close()


# --- networks --------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Part:
    """A stage: which tensors it adds up, and its own factor. Its output has its name."""

    name: str
    device: str
    inputs: tuple[str, ...]
    factor: float


@dataclass
class Network:
    """Stages in order; `x` comes from the source, the outputs of `outputs` go to the sink."""

    parts: Sequence[Part]
    outputs: tuple[str, ...]
    windows: Mapping[str, int] = field(default_factory=dict)

    def spec(self, name: str) -> TensorSpec:
        return TensorSpec(name, "float32", SHAPE)

    def model(self, part: Part) -> bytes:
        return _model(self._nodes(part), part.inputs, (part.name,))

    def whole(self) -> bytes:
        return _model([node for part in self.parts for node in self._nodes(part)], ("x",), self.outputs)

    def _nodes(self, part: Part) -> list[onnx.NodeProto]:
        factor = numpy_helper.from_array(np.array(part.factor, np.float32), f"{part.name}_factor")
        nodes = [helper.make_node("Constant", [], [f"{part.name}_factor"], value=factor)]
        total = part.inputs[0]
        for name in part.inputs[1:]:
            nodes.append(helper.make_node("Add", [total, name], [f"{part.name}_plus_{name}"]))
            total = f"{part.name}_plus_{name}"
        nodes.append(helper.make_node("Mul", [total, f"{part.name}_factor"], [f"{part.name}_scaled"]))
        nodes.append(helper.make_node("Sin", [f"{part.name}_scaled"], [part.name]))
        return nodes

    def links(self) -> list[LinkSpec]:
        device = {part.name: part.device for part in self.parts}
        links = []

        def add(tensor: str, producer: str, consumer: str) -> None:
            links.append(
                LinkSpec(
                    id=f"{producer}>{consumer}",
                    producer=producer,
                    consumer=consumer,
                    producer_device=device.get(producer, STUDIO_PEER),
                    consumer_device=device.get(consumer, STUDIO_PEER),
                    tensors=(self.spec(tensor),),
                    window=self.windows.get(f"{producer}>{consumer}", 2),
                )
            )

        for part in self.parts:
            for name in part.inputs:
                add(name, SOURCE if name == "x" else name, part.name)
        for name in self.outputs:
            add(name, name, SINK)
        return links


def _model(nodes: Sequence[onnx.NodeProto], inputs: Sequence[str], outputs: Sequence[str]) -> bytes:
    def value(name: str) -> onnx.ValueInfoProto:
        return helper.make_tensor_value_info(name, TensorProto.FLOAT, SHAPE)

    graph = helper.make_graph(nodes, "g", [value(n) for n in inputs], [value(n) for n in outputs])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    onnx.checker.check_model(model)
    data: bytes = model.SerializeToString()
    return data


def chain(*devices: str) -> Network:
    parts = [
        Part(f"s{n}", device, ("x" if n == 0 else f"s{n - 1}",), 0.7 + 0.1 * n) for n, device in enumerate(devices)
    ]
    return Network(parts, (parts[-1].name,))


def frames(count: int) -> list[Array]:
    generator = np.random.default_rng(7)
    return [generator.standard_normal(SHAPE).astype(np.float32) for _ in range(count)]


def oracle(network: Network, inputs: Sequence[Array]) -> list[dict[str, Array]]:
    session = onnxruntime.InferenceSession(network.whole(), providers=["CPUExecutionProvider"])
    names = list(network.outputs)
    return [dict(zip(names, session.run(names, {"x": array}), strict=True)) for array in inputs]


# --- deployments -----------------------------------------------------------------------------------------------------


class Rig:
    """A network on agents: prepared, connected, with a front door."""

    def __init__(self, network: Network, agents: Mapping[str, AgentProcess], name: str = "d", epoch: int = 1) -> None:
        self.network, self.agents, self.name, self.epoch = network, agents, name, epoch
        self.peers: list[PeerAddress] = []

    def request(self, device: str, *, push: bool = True) -> Prepare:
        agent = self.agents[device]
        stages = []
        for part in self.network.parts:
            if part.device == device:
                data = self.network.model(part)
                digest = agent.push(data) if push else hashlib.sha256(data).hexdigest()
                inputs = tuple(self.network.spec(name) for name in part.inputs)
                stages.append(StageSpec(part.name, digest, inputs, (self.network.spec(part.name),), 1))
        links = [k for k in self.network.links() if device in (k.producer_device, k.consumer_device)]
        return Prepare(self.name, self.epoch, device, "127.0.0.1", tuple(stages), tuple(links))

    def prepare(self) -> None:
        for device, agent in self.agents.items():
            answer = agent.control.call(self.request(device))
            assert isinstance(answer, Prepared), answer
            self.peers.append(PeerAddress(device, "127.0.0.1", answer.data_port, answer.public_key))

    def door(self, last_frame: int = -1) -> FrontDoor:
        links = [k for k in self.network.links() if STUDIO_PEER in (k.producer_device, k.consumer_device)]
        return FrontDoor(
            deployment=self.name,
            epoch=self.epoch,
            links=links,
            inputs={"x": self.network.spec("x")},
            outputs={name: self.network.spec(name) for name in self.network.outputs},
            last_frame=last_frame,
        )

    def admit(self, studio_key: str, extra: Sequence[PeerAddress] = ()) -> None:
        everyone = (*self.peers, PeerAddress(STUDIO_PEER, "", 0, studio_key), *extra)
        for agent in self.agents.values():
            answer = agent.control.call(Connect(self.name, self.epoch, everyone))
            assert type(answer).__name__ == "Done", answer

    def open(self) -> FrontDoor:
        self.prepare()
        door = self.door()
        self.admit(door.public_key)
        door.connect(self.peers)
        return door


def run_all(door: FrontDoor, inputs: Sequence[Array]) -> list[Mapping[str, Array]]:
    futures = [door.submit({"x": array}, timeout_s=DEADLINE_S) for array in inputs]
    try:
        return [future.result(DEADLINE_S).outputs for future in futures]
    except TimeoutError:
        # Where they are stuck is of more use than that they are.
        done = [future.done() for future in futures]
        raise AssertionError(f"frames do not come: done {done}, {door.stats()}") from None


def assert_close(found: Array, expected: Array) -> None:
    np.testing.assert_allclose(found.astype(np.float64), expected.astype(np.float64), rtol=1e-6, atol=1e-7)


def assert_same(found: Sequence[Mapping[str, Array]], expected: Sequence[Mapping[str, Array]]) -> None:
    assert len(found) == len(expected)
    for have, want in zip(found, expected, strict=True):
        assert have.keys() == want.keys()
        for name, array in want.items():
            assert_close(have[name], array)
