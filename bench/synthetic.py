"""Networks for benchmarks: long chains with skips, and one that no single ONNX file can hold."""

from pathlib import Path

import numpy as np
import onnx
from onnx import StringStringEntryProto, TensorProto, helper, numpy_helper

_CHANNELS, _SIDE = 8, 8
_HUGE_CHANNELS = 2048


def skip_chain(nodes: int) -> onnx.ModelProto:
    """Return a chain of Conv, Relu and Add; each Add also reads what was made six layers before."""
    generator = np.random.default_rng(0)
    made, names, weights = ["x"], [], []
    body = []
    for index in range(nodes):
        kind = ("Conv", "Relu", "Add")[index % 3]
        inputs = [made[-1]]
        if kind == "Conv":
            kernel = generator.standard_normal((_CHANNELS, _CHANNELS, 1, 1)).astype(np.float32) / 8
            weights.append(numpy_helper.from_array(kernel, f"w{index}"))
            inputs.append(f"w{index}")
        elif kind == "Add":
            inputs.append(made[max(0, len(made) - 7)])
        names.append(f"n{index}")
        made.append("y" if index == nodes - 1 else f"t{index}")
        body.append(helper.make_node(kind, inputs, [made[-1]], name=names[-1]))
    shape = [1, _CHANNELS, _SIDE, _SIDE]
    graph = helper.make_graph(
        body,
        "chain",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, shape)],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, shape)],
        weights,
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)


def write_external(path: Path, out: Path) -> None:
    """Write a network again with its weights in a file beside it."""
    out.parent.mkdir(parents=True, exist_ok=True)
    onnx.save_model(onnx.load(path), out, save_as_external_data=True, location=out.name + ".data", size_threshold=1024)


def write_huge(folder: Path, size_bytes: int) -> Path:
    """Write a chain of convolutions with about that many bytes of external weights, never holding more than one."""
    folder.mkdir(parents=True)
    kernel = np.random.default_rng(0).standard_normal((_HUGE_CHANNELS, _HUGE_CHANNELS, 1, 1)).astype(np.float32)
    kernel *= np.float32((2 / _HUGE_CHANNELS) ** 0.5)
    count = -(-size_bytes // kernel.nbytes)
    shape = [1, _HUGE_CHANNELS, 2, 2]
    body, weights, source = [], [], "x"
    with (folder / "huge.onnx.data").open("wb") as data:
        for index in range(count):
            # Turned by one row each, so that no two weights are the same.
            data.write(np.roll(kernel, index, axis=0).tobytes())
            place = {"location": "huge.onnx.data", "offset": str(index * kernel.nbytes), "length": str(kernel.nbytes)}
            tensor = TensorProto(
                name=f"w{index}", data_type=TensorProto.FLOAT, dims=kernel.shape, data_location=TensorProto.EXTERNAL
            )
            tensor.external_data.extend(StringStringEntryProto(key=key, value=text) for key, text in place.items())
            weights.append(tensor)
            target = "y" if index == count - 1 else f"t{index}"
            body.append(helper.make_node("Conv", [source, f"w{index}"], [target], name=f"conv{index}"))
            source = target
    graph = helper.make_graph(
        body,
        "huge",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, shape)],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, shape)],
        weights,
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    path = folder / "huge.onnx"
    path.write_bytes(model.SerializeToString())
    return path
