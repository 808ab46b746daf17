"""Trains the demo's digits network on scikit-learn's handwritten digits and writes it, with samples, for the studio.

Run `python scripts/train_digits.py` where the dependency group `train` is installed. It needs torch only to train; the
held-out split and the pictures are importable without it, so that a test can measure the committed file again.
"""

import argparse
import io
import json
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any, Literal

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper
from PIL import Image
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split

from partition_studio.graph.frames import Preprocessing, read_frame
from partition_studio.graph.network import TensorType
from partition_studio.graph.runtime import open_session

DATA_FOLDER = Path(__file__).resolve().parent.parent / "backend" / "partition_studio" / "graph" / "data"
SEED = 8400
HELD_OUT = 360
SAMPLES_PER_DIGIT = 3
#: Side of the pictures and of the network's input, in pixels. scikit-learn's digits are 8 x 8 with values 0 to 16.
PICTURE_SIDE, INPUT_SIDE = 64, 32
PREPROCESSING = Preprocessing(scale=1 / 255, mean=(0.5,), std=(0.5,))

Array = np.ndarray[Any, Any]


@dataclass(frozen=True, slots=True)
class Layer:
    """One ONNX node to be; `channels`, `kernel` and `stride` are those of convolutions, poolings and the last layer."""

    name: str
    op: Literal[
        "Conv",
        "Relu",
        "Clip",
        "MaxPool",
        "AveragePool",
        "Add",
        "Concat",
        "QuantizeLinear",
        "DequantizeLinear",
        "GlobalAveragePool",
        "Flatten",
        "Gemm",
    ]
    inputs: tuple[str, ...]
    channels: int = 0
    kernel: int = 0
    stride: int = 1


def _layers() -> Iterator[Layer]:
    """List the network: two residual blocks around a branched one, so that there is something to cut."""
    yield from _conv("conv1", "image", 16, 3)
    yield from _conv("conv2", "relu1", 16, 3)
    yield Layer("pool1", "MaxPool", ("relu2",), kernel=2, stride=2)
    yield from _residual("block1", "pool1", 16)
    yield from _conv("branch.a.conv", "block1.relu2", 8, 1)
    yield from _conv("branch.b.conv1", "block1.relu2", 8, 1)
    yield from _conv("branch.b.conv2", "branch.b.relu1", 20, 3)
    yield Layer("branch.c.pool", "AveragePool", ("block1.relu2",), kernel=3)
    yield from _conv("branch.c.conv", "branch.c.pool", 8, 1)
    yield Layer("branch.concat", "Concat", ("branch.a.relu", "branch.b.relu2", "branch.c.relu"))
    yield from _conv("conv3", "branch.concat", 36, 3, stride=2)
    yield from _residual("block2", "relu3", 36)
    yield Layer("pool2", "GlobalAveragePool", ("block2.relu2",))
    yield Layer("flatten", "Flatten", ("pool2",))
    yield Layer("fc", "Gemm", ("flatten",), channels=10)


def _conv(name: str, source: str, channels: int, kernel: int, *, stride: int = 1) -> Iterator[Layer]:
    yield Layer(name, "Conv", (source,), channels, kernel, stride)
    yield Layer(name.replace("conv", "relu"), "Relu", (name,))


def _residual(name: str, source: str, channels: int) -> Iterator[Layer]:
    yield from _conv(f"{name}.conv1", source, channels, 3)
    yield Layer(f"{name}.conv2", "Conv", (f"{name}.relu1",), channels, 3)
    yield Layer(f"{name}.add", "Add", (f"{name}.conv2", source))
    yield Layer(f"{name}.relu2", "Relu", (f"{name}.add",))


LAYERS = tuple(_layers())


@dataclass(frozen=True, slots=True)
class Digit:
    """One handwritten digit: its place in scikit-learn's set, what it shows, and its picture as the bytes of a PNG."""

    index: int
    label: int
    png: bytes


def split_digits() -> tuple[list[Digit], list[Digit]]:
    """Return the digits to train on and those held out: always the same, every class in the same share."""
    images, labels = load_digits(return_X_y=True)
    train, held_out = train_test_split(
        np.arange(len(labels)), test_size=HELD_OUT, stratify=labels, random_state=SEED, shuffle=True
    )

    def drawn(part: Array) -> list[Digit]:
        return [Digit(int(i), int(labels[i]), _png(images[i])) for i in part]

    return drawn(train), drawn(held_out)


def _png(values: Array) -> bytes:
    """Draw 64 values of 0 to 16 as a smooth grey picture, white on black."""
    pixels = np.rint(values.reshape(8, 8) * (255 / 16)).astype(np.uint8)
    buffer = io.BytesIO()
    image = Image.fromarray(pixels).resize((PICTURE_SIDE, PICTURE_SIDE), Image.Resampling.BICUBIC)
    image.save(buffer, "PNG", optimize=True)
    return buffer.getvalue()


def network_inputs(digits: list[Digit]) -> Array:
    """Turn pictures into the network's input, by the code that the studio uses for a user's images."""
    inputs = {"image": TensorType("float32", (1, 1, INPUT_SIDE, INPUT_SIDE))}
    return np.concatenate([read_frame(d.png, f"{d.index}.png", inputs, PREPROCESSING)["image"] for d in digits])


def accuracy(model: bytes, digits: list[Digit]) -> float:
    """Return the share of digits that the ONNX file names correctly in ONNX Runtime."""
    (logits,) = open_session(model).run(["logits"], {"image": network_inputs(digits)})
    return float((logits.argmax(axis=1) == [digit.label for digit in digits]).mean())


def train(digits: list[Digit], epochs: int) -> dict[str, Array]:
    """Train with batch normalisation after every convolution, and return plain weights and biases by layer name."""
    torch: Any = import_module("torch")
    torch.manual_seed(SEED)
    torch.use_deterministic_algorithms(True)
    network = _TorchNetwork(torch)
    images = torch.from_numpy(network_inputs(digits))
    labels = torch.tensor([digit.label for digit in digits])
    optimiser = torch.optim.AdamW(network.parameters(), lr=3e-3, weight_decay=0.02)
    batch = 64
    steps = epochs * math.ceil(len(digits) / batch)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, max_lr=6e-3, total_steps=steps)
    for _ in range(epochs):
        for chosen in torch.randperm(len(digits)).split(batch):
            logits = network.forward(augment(torch, images[chosen]), training=True)
            loss = torch.nn.functional.cross_entropy(logits, labels[chosen], label_smoothing=0.05)
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
            schedule.step()
    return network.folded()


def augment(torch: Any, images: Any) -> Any:
    """Turn, scale, shear, shift and dim each picture a little, so that digits drawn by others are recognised too."""
    count = len(images)

    def uniform(low: float, high: float) -> Any:
        return torch.empty(count).uniform_(low, high)

    angle, size, shear = uniform(-0.2, 0.2), uniform(0.85, 1.2), uniform(-0.15, 0.15)
    cos, sin = torch.cos(angle) * size, torch.sin(angle) * size
    rows = [torch.stack([cos, shear - sin, uniform(-0.12, 0.12)], 1), torch.stack([sin, cos, uniform(-0.12, 0.12)], 1)]
    grid = torch.nn.functional.affine_grid(torch.stack(rows, 1), list(images.shape), align_corners=False)
    # Black is -1 after preprocessing, and what lies outside the picture is black.
    moved = torch.nn.functional.grid_sample(images + 1, grid, align_corners=False)
    noise = torch.randn_like(images) * 0.05
    return moved * uniform(0.7, 1.05).reshape(-1, 1, 1, 1) - 1 + noise


class _TorchNetwork:
    """`LAYERS` in torch, with batch normalisation between each convolution and what reads it."""

    def __init__(self, torch: Any) -> None:
        self._torch = torch
        self._modules: dict[str, Any] = {}
        self._norms: dict[str, Any] = {}
        channels = {"image": 1}
        for layer in LAYERS:
            before = [channels[name] for name in layer.inputs]
            if layer.op == "Conv":
                self._modules[layer.name] = torch.nn.Conv2d(
                    before[0], layer.channels, layer.kernel, layer.stride, layer.kernel // 2, bias=False
                )
                self._norms[layer.name] = torch.nn.BatchNorm2d(layer.channels)
            elif layer.op == "Gemm":
                self._modules[layer.name] = torch.nn.Linear(before[0], layer.channels)
            channels[layer.name] = layer.channels or (sum(before) if layer.op == "Concat" else before[0])

    def parameters(self) -> list[Any]:
        return [p for module in (*self._modules.values(), *self._norms.values()) for p in module.parameters()]

    def forward(self, images: Any, *, training: bool) -> Any:
        for norm in self._norms.values():
            norm.train(training)
        values = {"image": images}
        for layer in LAYERS:
            values[layer.name] = self._run(layer, [values[name] for name in layer.inputs])
        return values[LAYERS[-1].name]

    def _run(self, layer: Layer, inputs: list[Any]) -> Any:
        functional = self._torch.nn.functional
        match layer.op:
            case "Conv":
                return self._norms[layer.name](self._modules[layer.name](inputs[0]))
            case "Gemm":
                return self._modules[layer.name](inputs[0])
            case "Relu":
                return functional.relu(inputs[0])
            case "MaxPool":
                return functional.max_pool2d(inputs[0], layer.kernel, layer.stride)
            case "AveragePool":
                return functional.avg_pool2d(inputs[0], layer.kernel, 1, layer.kernel // 2, count_include_pad=False)
            case "Add":
                return inputs[0] + inputs[1]
            case "Concat":
                return self._torch.cat(inputs, 1)
            case "GlobalAveragePool":
                return inputs[0].mean((2, 3), keepdim=True)
            case "Flatten":
                return inputs[0].flatten(1)

    def folded(self) -> dict[str, Array]:
        """Return `NAME.weight` and `NAME.bias`, each normalisation folded into the convolution before it."""
        weights: dict[str, Array] = {}
        for name, module in self._modules.items():
            weight, bias, norm = module.weight.detach().double(), module.bias, self._norms.get(name)
            if norm is not None:
                factor = norm.weight.detach().double() / (norm.running_var.double() + norm.eps).sqrt()
                weight = weight * factor.reshape(-1, 1, 1, 1)
                bias = norm.bias.double() - norm.running_mean.double() * factor
            weights[f"{name}.weight"] = weight.float().numpy()
            weights[f"{name}.bias"] = bias.detach().float().numpy()
        return weights


def build_onnx(weights: dict[str, Array], layers: Sequence[Layer] = LAYERS) -> bytes:
    """Write layers with these weights as the bytes of an ONNX file; each tensor is called after its layer."""
    last = layers[-1].name
    nodes = [_node(layer, "logits" if layer.name == last else layer.name) for layer in layers]
    graph = helper.make_graph(
        nodes,
        "digits",
        [helper.make_tensor_value_info("image", TensorProto.FLOAT, ["N", 1, INPUT_SIDE, INPUT_SIDE])],
        [helper.make_tensor_value_info("logits", TensorProto.FLOAT, ["N", 10])],
        [numpy_helper.from_array(array, name) for name, array in weights.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], producer_name="partition-studio")
    model.ir_version = 8
    onnx.checker.check_model(model, full_check=True)
    data: bytes = model.SerializeToString(deterministic=True)
    return data


#: What each kind of layer reads besides activations, by the end of its name.
_CONSTANTS = {
    "Conv": ("weight", "bias"),
    "Gemm": ("weight", "bias"),
    "Clip": ("min", "max"),
    "QuantizeLinear": ("scale", "zero_point"),
    "DequantizeLinear": ("scale", "zero_point"),
}


def _node(layer: Layer, output: str) -> onnx.NodeProto:
    attributes: dict[str, Any] = {}
    inputs = [*layer.inputs, *(f"{layer.name}.{end}" for end in _CONSTANTS.get(layer.op, ()))]
    if layer.op in ("Conv", "MaxPool", "AveragePool"):
        padding = 0 if layer.op == "MaxPool" else layer.kernel // 2
        attributes = {"kernel_shape": [layer.kernel] * 2, "strides": [layer.stride] * 2, "pads": [padding] * 4}
    elif layer.op == "Gemm":
        attributes = {"transB": 1}
    elif layer.op == "Concat":
        attributes = {"axis": 1}
    return helper.make_node(layer.op, inputs, [output], name=layer.name, **attributes)


def write_files(folder: Path, model: bytes, held_out: list[Digit], measured: float) -> None:
    """Write the network, its description and the sample pictures, the first few held-out ones of each digit."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "digits.onnx").write_bytes(model)
    described = {
        "title": "Handwritten digits",
        "labels": [str(digit) for digit in range(10)],
        "preprocessing": {
            "channel_order": PREPROCESSING.channel_order,
            "scale": PREPROCESSING.scale,
            "mean": PREPROCESSING.mean,
            "std": PREPROCESSING.std,
        },
        "held_out_accuracy": round(measured, 4),
        "held_out_images": len(held_out),
        "seed": SEED,
    }
    (folder / "digits.json").write_text(json.dumps(described, indent=2) + "\n", encoding="utf-8")
    samples = folder / "digits-samples"
    samples.mkdir(exist_ok=True)
    for old in samples.glob("*.png"):
        old.unlink()
    for label in range(10):
        for digit in [digit for digit in held_out if digit.label == label][:SAMPLES_PER_DIGIT]:
            (samples / f"{digit.label}_{digit.index}.png").write_bytes(digit.png)


def main() -> None:
    """Train, measure and write."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--epochs", type=int, default=80)
    parser.add_argument("--out", type=Path, default=DATA_FOLDER, help="folder to write to")
    options = parser.parse_args()
    training, held_out = split_digits()
    model = build_onnx(train(training, options.epochs))
    measured = accuracy(model, held_out)
    write_files(options.out, model, held_out, measured)
    print(f"{len(model)} bytes, held-out accuracy {measured:.2%} of {len(held_out)} digits")  # noqa: T201 - its output


if __name__ == "__main__":
    main()
