"""Networks for benchmarks: long chains with skips, one that no single ONNX file can hold, and known architectures.

The architectures are those of their papers, with random weights of He's deviation: what they compute takes as long as
with trained ones, and about half of what follows a ReLU is zero.
"""

from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import StringStringEntryProto, TensorProto, helper, numpy_helper

_CHANNELS, _SIDE = 8, 8

#: VGG-16, configuration D (Simonyan and Zisserman, Very deep convolutional networks, table 1): channels, convolutions.
_VGG16 = ((64, 2), (128, 2), (256, 3), (512, 3), (512, 3))

#: MobileNetV2 (Sandler et al., Inverted residuals and linear bottlenecks, table 2): t, c, n, s.
_MOBILENET_V2 = (
    (1, 16, 1, 1),
    (6, 24, 2, 2),
    (6, 32, 3, 2),
    (6, 64, 4, 2),
    (6, 96, 3, 1),
    (6, 160, 3, 2),
    (6, 320, 1, 1),
)
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


def residual_chain(nodes: int) -> onnx.ModelProto:
    """Return a network of so many layers in the shape of a long ResNet: blocks of five, and four stages."""
    generator = np.random.default_rng(0)
    body: list[onnx.NodeProto] = []
    weights: list[TensorProto] = []

    def add(kind: str, *inputs: str, **attributes: Any) -> str:
        name = f"{kind.lower()}{len(body)}"
        output = "y" if len(body) == nodes - 1 else f"t{len(body)}"
        body.append(helper.make_node(kind, list(inputs), [output], name=name, **attributes))
        return output

    def conv(tensor: str) -> str:
        kernel = generator.standard_normal((_CHANNELS, _CHANNELS, 1, 1)).astype(np.float32) / _CHANNELS
        weights.append(numpy_helper.from_array(kernel, f"w{len(body)}"))
        return add("Conv", tensor, weights[-1].name)

    tensor = add("Relu", conv("x"))
    blocks = (nodes - len(body)) // 5
    for block in range(blocks):
        inner = add("Relu", conv(tensor))
        tensor = add("Relu", add("Add", conv(inner), tensor))
        # A pool between stages stands in for what is left over; the last few are plain.
        if block % max(blocks // 4, 1) == blocks // 8 and nodes - len(body) > 5 * (blocks - block - 1):
            tensor = add("MaxPool", tensor, kernel_shape=[1, 1])
    while len(body) < nodes:
        tensor = add("Relu", tensor)
    shape = [1, _CHANNELS, _SIDE, _SIDE]
    graph = helper.make_graph(
        body,
        "residual-chain",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, shape)],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, shape)],
        weights,
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)


def relu_chain(nodes: int, floats: int) -> onnx.ModelProto:
    """Return a chain that computes next to nothing and hands so many floats on."""
    names = ["x", *(f"t{index}" for index in range(nodes - 1)), "y"]
    body = [helper.make_node("Relu", [names[i]], [names[i + 1]], name=f"relu{i}") for i in range(nodes)]
    ends = [helper.make_tensor_value_info(name, TensorProto.FLOAT, [1, floats]) for name in ("x", "y")]
    graph = helper.make_graph(body, "relu-chain", ends[:1], ends[1:])
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


class _Sequence:
    """A network written layer after layer; batch normalisations are folded into the convolutions, as for inference."""

    def __init__(self, name: str, shape: tuple[int, int, int, int], seed: int = 0) -> None:
        self._name, self._input = name, list(shape)
        self._generator = np.random.default_rng(seed)
        self._nodes: list[onnx.NodeProto] = []
        self._weights: list[onnx.TensorProto] = []
        self.last, self.channels = "x", shape[1]

    def add(self, op_type: str, *others: str, **attributes: int | list[int]) -> str:
        """Add a layer that reads the last tensor (and `others`); return its output."""
        number = len(self._nodes)
        output = f"t{number}"
        name = f"{op_type.lower()}{number}"
        node = helper.make_node(op_type, [self.last, *others], [output], name=name)
        node.attribute.extend(helper.make_attribute(key, value) for key, value in attributes.items())
        self._nodes.append(node)
        self.last = output
        return output

    def _weight(self, shape: tuple[int, ...], gain: float) -> str:
        name = f"w{len(self._weights)}"
        deviation = np.float32(gain / np.sqrt(np.prod(shape[1:])))
        values = self._generator.standard_normal(shape, dtype=np.float32) * deviation
        self._weights.append(numpy_helper.from_array(values, name))
        return name

    def _bias(self, channels: int) -> str:
        name = f"b{len(self._weights)}"
        values = self._generator.standard_normal(channels, dtype=np.float32) * np.float32(0.05)
        self._weights.append(numpy_helper.from_array(values, name))
        return name

    def _number(self, value: float) -> str:
        name = f"c{value:g}"
        if all(weight.name != name for weight in self._weights):
            self._weights.append(numpy_helper.from_array(np.array(value, np.float32), name))
        return name

    def conv(self, channels: int, kernel: int, *, stride: int = 1, group: int = 1, gain: float = 2.0**0.5) -> None:
        """Add a convolution with bias that keeps the size but for its stride."""
        weight = self._weight((channels, self.channels // group, kernel, kernel), gain)
        self.add(
            "Conv",
            weight,
            self._bias(channels),
            kernel_shape=[kernel, kernel],
            pads=[kernel // 2] * 4,
            strides=[stride, stride],
            group=group,
        )
        self.channels = channels

    def relu6(self) -> None:
        """Add a ReLU that ends at 6."""
        self.add("Clip", self._number(0.0), self._number(6.0))

    def dense(self, inputs: int, outputs: int, gain: float = 2.0**0.5) -> None:
        """Add a fully connected layer."""
        weight = self._weight((outputs, inputs), gain)
        self.add("Gemm", weight, self._bias(outputs), transB=1)

    def model(self, shape: tuple[int, ...]) -> onnx.ModelProto:
        """Return the network; its last tensor has that shape."""
        self._nodes[-1].output[0] = "y"
        graph = helper.make_graph(
            self._nodes,
            self._name,
            [helper.make_tensor_value_info("x", TensorProto.FLOAT, self._input)],
            [helper.make_tensor_value_info("y", TensorProto.FLOAT, list(shape))],
            self._weights,
        )
        return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)


def vgg16(blocks: int = 5, side: int = 224) -> onnx.ModelProto:
    """Return VGG-16, or only its first `blocks` blocks of convolutions, each with the pooling that ends it."""
    net = _Sequence("vgg16", (1, 3, side, side))
    for channels, convolutions in _VGG16[:blocks]:
        for _ in range(convolutions):
            net.conv(channels, 3)
            net.add("Relu")
        net.add("MaxPool", kernel_shape=[2, 2], strides=[2, 2])
        side //= 2
    if blocks < len(_VGG16):
        return net.model((1, net.channels, side, side))
    net.add("Flatten")
    net.dense(net.channels * side * side, 4096)
    net.add("Relu")
    net.dense(4096, 4096)
    net.add("Relu")
    net.dense(4096, 1000, gain=1.0)
    return net.model((1, 1000))


def mobilenet_v2(side: int = 224) -> onnx.ModelProto:
    """Return MobileNetV2 of width 1: inverted residuals of expansion, depthwise convolution and linear bottleneck."""
    net = _Sequence("mobilenet-v2", (1, 3, side, side))
    net.conv(32, 3, stride=2)
    net.relu6()
    for expansion, channels, repeats, first_stride in _MOBILENET_V2:
        for repeat in range(repeats):
            stride = first_stride if repeat == 0 else 1
            came, came_channels = net.last, net.channels
            if expansion > 1:
                net.conv(came_channels * expansion, 1)
                net.relu6()
            net.conv(net.channels, 3, stride=stride, group=net.channels)
            net.relu6()
            # A branch that is added is scaled down, so that sums do not grow with depth.
            net.conv(channels, 1, gain=0.5)
            if stride == 1 and came_channels == channels:
                net.add("Add", came)
    net.conv(1280, 1)
    net.relu6()
    net.add("GlobalAveragePool")
    net.add("Flatten")
    net.dense(1280, 1000, gain=1.0)
    return net.model((1, 1000))
