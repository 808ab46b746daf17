"""Retrains the digits network for tiles that know nothing of each other, and measures what the engine makes of them.

FDSP and its progressive retraining are those of ADCNN (Zhang, Lin, Zhang: "Adaptive Distributed Convolutional Neural
Network Inference at the Network Edge with ADCNN", ICPP 2020): the trained network goes on training with its map in
tiles, then with a clipped ReLU where the tiles end, then with what the tiles hand on rounded to a few bits.

Run `python scripts/train_fdsp.py` where the dependency group `train` is installed; it takes some minutes on two cores.
It needs torch only to train: a test measures the committed files again with `engine_accuracy`.
"""

import argparse
import json
import tempfile
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import numpy_helper

from partition_studio.graph.frames import Frame
from partition_studio.graph.load import load_network, original_model
from partition_studio.partition.accuracy import AccuracyChange, accuracy_change
from partition_studio.partition.extract import submodels
from partition_studio.partition.partition import partition
from partition_studio.partition.plan import IndependentSharding, NetworkRef, Plan
from train_digits import (
    DATA_FOLDER,
    LAYERS,
    PREPROCESSING,
    SEED,
    Array,
    Digit,
    Layer,
    augment,
    build_onnx,
    network_inputs,
    split_digits,
)

Tiles = tuple[int, int]

#: Rows and columns of tiles. The first half of the network ends on a map of 16 x 16, all of it on one of 8 x 8.
TILINGS: tuple[Tiles, ...] = ((2, 1), (2, 2), (4, 2), (4, 4))
WHOLE: Tiles = (1, 1)

#: The last layer of the tiles: of the first layer blocks, as ADCNN divides; or of all that comes before the Flatten.
FIRST_BLOCKS, ALL_BLOCKS = "block1.relu2", "block2.relu2"

#: The three steps of the progressive retraining; the next starts from the network of the one before.
STEPS = ("tiles", "clipped", "quantised")
EPOCHS = {"tiles": 30, "clipped": 6, "quantised": 6}
RATES = {"tiles": 4e-3, "clipped": 1e-3, "quantised": 1e-3}

#: What the tiles hand on has this many bits.
BITS = 4

#: The clipped ReLU begins and ends at these quantiles of what is above 0.
CLIP_QUANTILES = (0.1, 0.999)


@dataclass(frozen=True, slots=True)
class Form:
    """What is done where the tiles end: the interval of the clipped ReLU, and whether its result is rounded."""

    end: str
    clip: tuple[float, float] | None = None
    quantised: bool = False

    @property
    def step(self) -> float:
        """The difference of two neighbouring values that the tiles may hand on."""
        assert self.clip is not None
        return (self.clip[1] - self.clip[0]) / (2**BITS - 1)


@dataclass(frozen=True, slots=True)
class Row:
    """One measurement in ONNX Runtime: share of held-out digits that are recognised.

    `network` is `digits` or `digits-fdsp`, of which the last step is kept as a file, or one that is not kept.
    """

    network: str
    step: str
    end: str
    tiles: Tiles
    accuracy: float


def run_of(end: str, layers: Sequence[Layer] = LAYERS) -> list[str]:
    """Return the names of the layers that a tile holds: up to `end`, and its rounding where there is one."""
    names = [layer.name for layer in layers]
    last = f"{end}.quantise" if f"{end}.quantise" in names else end
    return names[: names.index(last) + 1]


def layers_of(form: Form) -> tuple[Layer, ...]:
    """Return the layers of a form: the ReLU at the end of the tiles becomes a Clip, with rounding behind it."""
    if form.clip is None:
        return LAYERS
    made: list[Layer] = []
    rounded = f"{form.end}.dequantise"
    behind = False
    for layer in LAYERS:
        if behind and form.quantised:
            layer = replace(layer, inputs=tuple(rounded if name == form.end else name for name in layer.inputs))
        made.append(replace(layer, op="Clip") if layer.name == form.end else layer)
        if layer.name == form.end:
            behind = True
            if form.quantised:
                made.append(Layer(f"{form.end}.quantise", "QuantizeLinear", (form.end,)))
                made.append(Layer(rounded, "DequantizeLinear", (f"{form.end}.quantise",)))
    return tuple(made)


def constants_of(weights: dict[str, Array], form: Form) -> dict[str, Array]:
    """Return the weights as the file holds them; the clipped ReLU's lower end goes into the bias before it."""
    if form.clip is None:
        return weights
    low, high = form.clip
    bias = f"{form.end.split('.')[0]}.conv2.bias"
    made = {**weights, bias: (weights[bias] - np.float32(low)).astype(np.float32)}
    made[f"{form.end}.min"] = np.array(0, np.float32)
    made[f"{form.end}.max"] = np.array(high - low, np.float32)
    if form.quantised:
        for layer in (f"{form.end}.quantise", f"{form.end}.dequantise"):
            made[f"{layer}.scale"] = np.array(form.step, np.float32)
            made[f"{layer}.zero_point"] = np.array(0, np.uint8)
    return made


@dataclass(frozen=True, slots=True)
class _Digits:
    """Digits as the engine takes labelled frames."""

    digits: tuple[Digit, ...]

    @property
    def labels(self) -> tuple[int, ...]:
        return tuple(digit.label for digit in self.digits)

    def frame(self, index: int) -> Frame:
        return {"image": network_inputs([self.digits[index]])}


def tiled_plan(path: Path, run: Sequence[str], tiles: Tiles) -> Plan:
    """Return the plan of a file whose layers `run` are in independent tiles, each on a device of its own."""
    network = load_network(path)
    if tiles == WHOLE:
        placement = {layer.name: "central" for layer in network.layers}
        return Plan(network=NetworkRef.of(network), placement=placement)
    rows, columns = tiles
    sharding = IndependentSharding(
        layers=list(run),
        devices=[f"tile{number}" for number in range(rows * columns)],
        rows=[1.0] * rows,
        columns=[1.0] * columns,
    )
    placement = {layer.name: "central" for layer in network.layers if layer.name not in run}
    return Plan(network=NetworkRef.of(network), placement=placement, shards=[sharding])


def engine_accuracy(model: bytes, run: Sequence[str], tiles: Tiles, digits: Sequence[Digit]) -> AccuracyChange:
    """Divide a network by the studio's engine, run its parts in ONNX Runtime, and count."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "network.onnx"
        path.write_bytes(model)
        parted = partition(load_network(path), tiled_plan(path, run, tiles))
        parts = {name: part.data for name, part in submodels(parted.network, parted.graph).items()}
        return accuracy_change(original_model(path), parted, parts, _Digits(tuple(digits)))


def read_weights(model: bytes) -> dict[str, Array]:
    """Return the weights of an ONNX file by name."""
    return {t.name: numpy_helper.to_array(t) for t in onnx.ModelProto.FromString(model).graph.initializer}


class Retraining:
    """The digits network in torch, its map in tiles up to a layer."""

    def __init__(self, weights: dict[str, Array], digits: Sequence[Digit]) -> None:
        self._torch: Any = import_module("torch")
        self._torch.use_deterministic_algorithms(True)
        # Sums are added in another order with another number of threads, and the network comes out another one.
        self._torch.set_num_threads(2)
        self._parameters = {
            name: self._torch.nn.Parameter(self._torch.from_numpy(array.copy())) for name, array in weights.items()
        }
        self._images = self._torch.from_numpy(network_inputs(list(digits)))
        self._labels = self._torch.tensor([digit.label for digit in digits])

    def weights(self) -> dict[str, Array]:
        """Return the weights by name."""
        return {name: parameter.detach().numpy().copy() for name, parameter in self._parameters.items()}

    def train(self, form: Form, tilings: Sequence[Tiles], epochs: int, rate: float) -> None:
        """Go on training with these tiles, taken in turn."""
        torch = self._torch
        torch.manual_seed(SEED)
        batch = 64
        optimiser = torch.optim.AdamW(self._parameters.values(), lr=rate, weight_decay=0.02)
        steps = epochs * -(-len(self._images) // batch)
        schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, max_lr=rate, total_steps=steps)
        for _ in range(epochs):
            for number, chosen in enumerate(torch.randperm(len(self._images)).split(batch)):
                images = augment(torch, self._images[chosen])
                logits = self._forward(images, tilings[number % len(tilings)], form)["fc"]
                loss = torch.nn.functional.cross_entropy(logits, self._labels[chosen], label_smoothing=0.05)
                optimiser.zero_grad()
                loss.backward()
                optimiser.step()
                schedule.step()

    def clip(self, form: Form, tiles: Tiles) -> tuple[float, float]:
        """Return where the clipped ReLU should begin and end, by what the tiles hand on for the training digits."""
        with self._torch.no_grad():
            handed = self._forward(self._images, tiles, form)[form.end]
        above = handed[handed > 0].numpy()
        low, high = (float(np.quantile(above, quantile)) for quantile in CLIP_QUANTILES)
        return low, high

    def _forward(self, images: Any, tiles: Tiles, form: Form) -> dict[str, Any]:
        rows, columns = tiles
        count, channels, height, width = images.shape
        grid = images.reshape(count, channels, rows, height // rows, columns, width // columns)
        values = {"image": grid.permute(0, 2, 4, 1, 3, 5).reshape(-1, channels, height // rows, width // columns)}
        for layer in LAYERS:
            made = self._run(layer, [values[name] for name in layer.inputs], form)
            if layer.name == form.end:
                _, channels, height, width = made.shape
                grid = made.reshape(count, rows, columns, channels, height, width).permute(0, 3, 1, 4, 2, 5)
                made = grid.reshape(count, channels, rows * height, columns * width)
            values[layer.name] = made
        return values

    def _run(self, layer: Layer, inputs: list[Any], form: Form) -> Any:
        functional = self._torch.nn.functional
        weight, bias = (self._parameters.get(f"{layer.name}.{end}") for end in ("weight", "bias"))
        match layer.op:
            case "Conv":
                return functional.conv2d(inputs[0], weight, bias, layer.stride, layer.kernel // 2)
            case "Gemm":
                return functional.linear(inputs[0], weight, bias)
            case "Relu" if layer.name == form.end and form.clip is not None:
                return self._clipped(inputs[0], form)
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
        raise AssertionError(layer.op)

    def _clipped(self, values: Any, form: Form) -> Any:
        assert form.clip is not None
        low, high = form.clip
        clipped = (values - low).clamp(0, high - low)
        if not form.quantised:
            return clipped
        rounded = (clipped / form.step).round() * form.step
        # Rounding has no slope: the way back goes past it.
        return clipped + (rounded - clipped).detach()


def retrain(
    weights: dict[str, Array], digits: Sequence[Digit], end: str, tilings: Sequence[Tiles]
) -> dict[str, tuple[bytes, Form]]:
    """Return the ONNX file after each step of the progressive retraining."""
    retraining = Retraining(weights, digits)
    form = Form(end)
    made = {}
    for step in STEPS:
        if step == "clipped":
            form = replace(form, clip=retraining.clip(form, tilings[-1]))
        elif step == "quantised":
            form = replace(form, quantised=True)
        retraining.train(form, tilings, EPOCHS[step], RATES[step])
        made[step] = build_onnx(constants_of(retraining.weights(), form), layers_of(form)), form
    return made


def measure(name: str, step: str, model: bytes, form: Form, tilings: Sequence[Tiles], digits: list[Digit]) -> list[Row]:
    """Return a row for each tiling."""
    run = run_of(form.end, layers_of(form))
    return [
        Row(name, step, form.end, tiles, round(engine_accuracy(model, run, tiles, digits).parts, 4))
        for tiles in tilings
    ]


def table(rows: Sequence[Row]) -> str:
    """Return measurements as the documentation shows them: a line for each tiling, a column for each step."""
    steps = list(dict.fromkeys(row.step for row in rows))
    found = {(row.step, row.tiles): row.accuracy for row in rows}
    lines = ["| tiles | " + " | ".join(HEADINGS[step] for step in steps) + " |", "|---" * (len(steps) + 1) + "|"]
    for tiles in dict.fromkeys(row.tiles for row in rows):
        cells = [f"{100 * found[step, tiles]:.1f} %" if (step, tiles) in found else "" for step in steps]
        lines.append(f"| {'none' if tiles == WHOLE else f'{tiles[0]} x {tiles[1]}'} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


HEADINGS = {
    "untouched": "not retrained",
    "tiles": "retrained with tiles",
    "clipped": "and with clipped ReLU",
    "quantised": f"and with {BITS} bits handed on",
}


def write_files(folder: Path, model: bytes, form: Form, first: list[Row], every: list[Row], held_out: int) -> None:
    """Write the network that one plan in tiles is made for, and all that was measured."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "digits-fdsp.onnx").write_bytes(model)
    document = {
        "title": "Handwritten digits, retrained for independent tiles",
        "labels": [str(digit) for digit in range(10)],
        "preprocessing": asdict(PREPROCESSING),
        "held_out_images": held_out,
        "seed": SEED,
        "tile_layers": run_of(form.end, layers_of(form)),
        "first_blocks": [asdict(row) for row in first],
        "all_blocks": [asdict(row) for row in every],
    }
    (folder / "digits-fdsp.json").write_text(json.dumps(document, indent=2) + "\n", encoding="utf-8")


def main() -> None:
    """Retrain, measure and write."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=DATA_FOLDER, help="folder to write to")
    options = parser.parse_args()
    training, held_out = split_digits()
    digits = (DATA_FOLDER / "digits.onnx").read_bytes()
    weights = read_weights(digits)
    first = measure("digits", "untouched", digits, Form(FIRST_BLOCKS), (WHOLE, *TILINGS), held_out)
    shipped = retrain(weights, training, FIRST_BLOCKS, (WHOLE, *TILINGS))
    for step, (model, form) in shipped.items():
        first += measure("digits-fdsp", step, model, form, (WHOLE, *TILINGS), held_out)
    every = measure("digits", "untouched", digits, Form(ALL_BLOCKS), (WHOLE, *TILINGS), held_out)
    for tiles in TILINGS:
        for step, (model, form) in retrain(weights, training, ALL_BLOCKS, [tiles]).items():
            every += measure("one for each tiling", step, model, form, [tiles], held_out)
    write_files(options.out, *shipped["quantised"], first, every, len(held_out))
    for rows in (first, every):
        print(f"tiles up to {rows[0].end}\n{table(rows)}\n")  # noqa: T201 - its output


if __name__ == "__main__":
    main()
