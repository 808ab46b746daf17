"""A studio whose every frame, route and credit is chosen by hand, and sub-models that are as slow as a test needs."""

import threading
from collections.abc import Callable, Mapping, Sequence
from types import TracebackType
from typing import Self

import numpy as np
import numpy.typing as npt
from onnx import TensorProto, helper, numpy_helper
from tests.agent.rig import DEADLINE_S, AgentProcess

from partition_agent.data_plane.links import DataPlane
from partition_agent.protocol import (
    STUDIO_PEER,
    Connect,
    Done,
    FrameRoute,
    LinkSpec,
    PeerAddress,
    Prepare,
    Prepared,
    StageSpec,
    TensorSpec,
)

Array = npt.NDArray[np.generic]

#: Of `x` and of what each sub-model makes.
WIDTH = 8


def spec(name: str) -> TensorSpec:
    return TensorSpec(name, "float32", (1, WIDTH))


def model(source: str, made: str, factor: float, *, rounds: int = 0) -> bytes:
    """`made = sin(source * factor)`, after so many rounds of work that changes nothing; any number of rows."""
    size = 128
    rounded = np.random.default_rng(3).standard_normal((size, size)).astype(np.float32) / size
    body = helper.make_graph(
        [
            helper.make_node("Identity", ["go"], ["goes"]),
            helper.make_node("MatMul", ["state", "weights"], ["mixed"]),
            helper.make_node("Tanh", ["mixed"], ["next"]),
        ],
        "round",
        [
            helper.make_tensor_value_info("round_number", TensorProto.INT64, []),
            helper.make_tensor_value_info("go", TensorProto.BOOL, []),
            helper.make_tensor_value_info("state", TensorProto.FLOAT, [None, size]),
        ],
        [
            helper.make_tensor_value_info("goes", TensorProto.BOOL, []),
            helper.make_tensor_value_info("next", TensorProto.FLOAT, [None, size]),
        ],
    )
    nodes = [
        helper.make_node("MatMul", [source, "widen"], ["begin"]),
        helper.make_node("Loop", ["rounds", "", "begin"], ["end"], body=body),
        helper.make_node("MatMul", ["end", "nothing"], ["zero"]),
        helper.make_node("Mul", [source, "factor"], ["scaled"]),
        helper.make_node("Sin", ["scaled"], ["sine"]),
        helper.make_node("Add", ["sine", "zero"], [made]),
    ]
    graph = helper.make_graph(
        nodes,
        "g",
        [helper.make_tensor_value_info(source, TensorProto.FLOAT, ["n", WIDTH])],
        [helper.make_tensor_value_info(made, TensorProto.FLOAT, ["n", WIDTH])],
        [
            numpy_helper.from_array(np.array(rounds, np.int64), "rounds"),
            numpy_helper.from_array(np.array(factor, np.float32), "factor"),
            numpy_helper.from_array(np.ones((WIDTH, size), np.float32), "widen"),
            numpy_helper.from_array(np.zeros((size, WIDTH), np.float32), "nothing"),
            numpy_helper.from_array(rounded, "weights"),
        ],
    )
    data: bytes = helper.make_model(
        graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8
    ).SerializeToString()
    return data


def inputs(count: int) -> list[npt.NDArray[np.float32]]:
    generator = np.random.default_rng(5)
    return [generator.standard_normal((1, WIDTH)).astype(np.float32) for _ in range(count)]


class Studio:
    """Source and sink of a pipeline. `stingy`: a sink link gets credit only by `allow`."""

    def __init__(self, links: Sequence[LinkSpec], *, stingy: bool = False) -> None:
        self.links = {link.id: link for link in links if STUDIO_PEER in (link.producer_device, link.consumer_device)}
        self._change = threading.Condition()
        self._stingy = stingy
        self._limit = dict.fromkeys(self.links, 0)
        self._sent = dict.fromkeys(self.links, 0)
        self._opened: set[str] = set()
        #: `(link, frame, tensors or None, reason)`, as it comes.
        self.results: list[tuple[str, int, Mapping[str, Array] | None, str]] = []
        self.plane = DataPlane(
            device=STUDIO_PEER, deployment="d", epoch=1, links=list(self.links.values()), handler=self, bind_host=None
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.plane.close()

    # What the data plane tells.

    def frame_arrived(self, link: str, frame: int, route: FrameRoute, tensors: Mapping[str, Array]) -> None:
        self._arrived(link, frame, tensors, "")

    def loss_arrived(self, link: str, frame: int, route: FrameRoute, reason: str) -> None:
        self._arrived(link, frame, None, reason)

    def _arrived(self, link: str, frame: int, tensors: Mapping[str, Array] | None, reason: str) -> None:
        with self._change:
            self.results.append((link, frame, tensors, reason))
            self._change.notify_all()
        if not self._stingy:
            self.plane.grant(link, 1)

    def credited(self, link: str, count: int, since: int | None) -> None:
        with self._change:
            limit = (self._limit[link] if since is None else since) + count
            self._limit[link] = min(limit, self._sent[link] + self.links[link].window)
            self._change.notify_all()

    def link_opened(self, link: str) -> None:
        self.plane.grant(link, 0 if self._stingy else self.links[link].window, reset=True)
        with self._change:
            self._opened.add(link)
            self._change.notify_all()

    # What a test does.

    def submit(self, frame: int, route: FrameRoute, tensors: Mapping[str, Array]) -> None:
        """Send a frame on the links of its way, as soon as there is credit on them."""
        way = [
            link
            for link in self.links.values()
            if link.producer_device == STUDIO_PEER and all(route.replicas[g] == index for g, index in link.routes)
        ]
        self.wait(lambda: all(self._sent[link.id] < self._limit[link.id] for link in way), f"credit for frame {frame}")
        for link in way:
            self._sent[link.id] += 1
            self.plane.send(link.id, frame, route, {tensor.name: tensors[tensor.name] for tensor in link.tensors})

    def allow(self, link: str, count: int) -> None:
        self.wait(lambda: link in self._opened, f"{link} is open")
        self.plane.grant(link, count)

    def wait(self, is_so: Callable[[], bool], what: str) -> None:
        with self._change:
            assert self._change.wait_for(is_so, DEADLINE_S), f"not in time: {what}; came: {self.results}"


def deploy(
    agents: Mapping[str, AgentProcess],
    stages: Mapping[str, Sequence[StageSpec]],
    links: Sequence[LinkSpec],
    studio: Studio,
) -> dict[str, Prepared]:
    """Prepare each agent with its stages, and connect all; return what they answered."""
    prepared = {}
    peers = [PeerAddress(STUDIO_PEER, "", 0, studio.plane.public_key)]
    for device, agent in agents.items():
        own = tuple(link for link in links if device in (link.producer_device, link.consumer_device))
        answer = agent.control.call(Prepare("d", 1, device, "127.0.0.1", tuple(stages[device]), own))
        assert isinstance(answer, Prepared), answer
        prepared[device] = answer
        peers.append(PeerAddress(device, "127.0.0.1", answer.data_port, answer.public_key))
    for agent in agents.values():
        assert agent.control.call(Connect("d", 1, tuple(peers))) == Done()
    studio.plane.connect(peers)
    return prepared
