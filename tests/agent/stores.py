"""Sub-models for the tests of loading, and an agent's folder of models without an agent."""

from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np
import onnxruntime
from onnx import TensorProto, helper, numpy_helper

from partition_agent.loading.ahead import Optimised
from partition_agent.protocol import (
    StageSpec,
    TensorSpec,
)


def dense(size: int, *, batch: int | str = 1) -> bytes:
    """A network of one matrix product and its Relu."""
    x, y = (helper.make_tensor_value_info(name, TensorProto.FLOAT, (batch, size)) for name in "xy")
    weight = numpy_helper.from_array(np.random.default_rng(0).standard_normal((size, size)).astype(np.float32), "w")
    nodes = [helper.make_node("MatMul", ["x", "w"], ["t"]), helper.make_node("Relu", ["t"], ["y"])]
    graph = helper.make_graph(nodes, "g", [x], [y], [weight])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    return bytes(model.SerializeToString())


class Store:
    """An agent's folder of models, without an agent."""

    def __init__(self, folder: Path) -> None:
        self.models = folder / "models"
        self.models.mkdir()

    def put(self, data: bytes) -> tuple[str, Path]:
        digest = hashlib.sha256(data).hexdigest()
        path = self.models / f"{digest}.onnx"
        path.write_bytes(data)
        return digest, path

    def made(self) -> list[str]:
        return sorted(path.name for path in (self.models.parent / "optimised").rglob("*") if path.is_file())


def spec_of(path: Path, digest: str, **fields: object) -> StageSpec:
    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])

    def tensors(nodes: list[onnxruntime.NodeArg]) -> tuple[TensorSpec, ...]:
        shapes = {node.name: tuple(n if isinstance(n, int) else 1 for n in node.shape) for node in nodes}
        return tuple(TensorSpec(node.name, "float32", shapes[node.name]) for node in nodes)

    spec = StageSpec("s", digest, tensors(session.get_inputs()), tensors(session.get_outputs()), threads=1)
    return StageSpec(**{**{f: getattr(spec, f) for f in spec.__struct_fields__}, **fields})


def frames(spec: StageSpec, count: int = 1) -> list[dict[str, np.ndarray[tuple[int, ...], np.dtype[np.float32]]]]:
    generator = np.random.default_rng(3)
    return [{t.name: generator.random(t.shape, dtype=np.float32) for t in spec.inputs} for _ in range(count)]


def flip(ahead: Optimised) -> None:
    data = bytearray(ahead.weights.read_bytes())
    data[100] ^= 1
    ahead.weights.write_bytes(data)
