"""Example networks: a small trained one of our own, and the architectures that ship in the `onnx` package.

The latter have constant weights: every output is the same for every input, so that any split of them would seem right.
`randomise_weights` gives them weights with which two inputs give clearly different outputs.
"""

import hashlib
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from math import prod, sqrt
from pathlib import Path
from typing import Any, Literal

import numpy as np
import onnx
from onnx import NodeProto, numpy_helper

from partition_studio.errors import NotFoundError
from partition_studio.graph.frames import Preprocessing, random_frame
from partition_studio.graph.network import TensorType
from partition_studio.graph.runtime import run_model

_LIGHT_FOLDER = Path(onnx.__file__).parent / "backend" / "test" / "data" / "light"
_OWN_FOLDER = Path(__file__).parent / "data"

#: Standard deviation that the logits get, for one seeded frame: a softmax of them is neither flat nor saturated.
_LOGIT_DEVIATION = 1.5


class ExampleNotFoundError(NotFoundError):
    """There is no example of that name, or its file did not come with this installation."""

    code = "example_not_found"
    next_step = "List the examples, and use one of those names."


@dataclass(frozen=True, slots=True)
class Example:
    """One network to start with. `trained` ones answer correctly; an `architecture` has random weights.

    `approximate_bytes` is the size of the ONNX file that `build_example` returns; `samples` the set of images that
    come with it, if any.
    """

    id: str
    title: str
    kind: Literal["trained", "architecture"]
    file_name: str
    approximate_bytes: int
    samples: str | None = None

    @property
    def path(self) -> Path:
        """Where the example's own file lies."""
        return (_OWN_FOLDER if self.kind == "trained" else _LIGHT_FOLDER) / self.file_name

    @property
    def sample_files(self) -> list[Path]:
        """The images that come with it."""
        return sorted((_OWN_FOLDER / f"{self.samples}-samples").glob("*.png")) if self.samples else []

    @property
    def available(self) -> bool:
        """Whether the file came with this installation."""
        return self.path.is_file()


EXAMPLES: tuple[Example, ...] = (
    Example("digits", "Handwritten digits", "trained", "digits.onnx", 180_000, "digits"),
    Example(
        "digits-fdsp", "Handwritten digits, for independent tiles", "trained", "digits-fdsp.onnx", 182_000, "digits"
    ),
    Example("squeezenet", "SqueezeNet 1.0", "architecture", "light_squeezenet.onnx", 5_000_000),
    Example("shufflenet", "ShuffleNet", "architecture", "light_shufflenet.onnx", 5_800_000),
    Example("inception-v1", "Inception v1 (GoogLeNet)", "architecture", "light_inception_v1.onnx", 28_000_000),
    Example("densenet-121", "DenseNet-121", "architecture", "light_densenet121.onnx", 33_000_000),
    Example("inception-v2", "Inception v2", "architecture", "light_inception_v2.onnx", 45_000_000),
    Example("resnet-50", "ResNet-50", "architecture", "light_resnet50.onnx", 102_000_000),
    Example("alexnet", "AlexNet", "architecture", "light_bvlc_alexnet.onnx", 244_000_000),
    Example("zfnet-512", "ZFNet-512", "architecture", "light_zfnet512.onnx", 349_000_000),
    Example("vgg-19", "VGG-19", "architecture", "light_vgg19.onnx", 575_000_000),
)


def example(example_id: str) -> Example:
    """Return the example of that id. Raises ExampleNotFoundError."""
    for candidate in EXAMPLES:
        if candidate.id == example_id and candidate.available:
            return candidate
    raise ExampleNotFoundError(f"There is no example network {example_id!r}.", example=example_id)


def preprocessing_of_file(digest: str) -> Preprocessing | None:
    """Return how images become inputs of one of our own trained networks, by the SHA-256 of its file."""
    for candidate in EXAMPLES:
        ours = candidate.kind == "trained" and candidate.available
        if ours and hashlib.sha256(candidate.path.read_bytes()).hexdigest() == digest:
            told = json.loads(candidate.path.with_suffix(".json").read_text())["preprocessing"]
            return Preprocessing(told["channel_order"], told["scale"], tuple(told["mean"]), tuple(told["std"]))
    return None


def build_example(example_id: str, *, seed: int = 0) -> bytes:
    """Return an example as the bytes of an ONNX file; the same seed gives the same bytes.

    Raises ExampleNotFoundError.
    """
    chosen = example(example_id)
    data = chosen.path.read_bytes()
    if chosen.kind == "trained":
        return data
    model = randomise_weights(onnx.ModelProto.FromString(data), seed)
    return bytes(model.SerializeToString(deterministic=True))


def randomise_weights(model: onnx.ModelProto, seed: int) -> onnx.ModelProto:
    """Return a copy whose `ConstantOfShape` weights are stored, seeded and random.

    Convolution and matrix weights are normal with He's deviation sqrt(2 / fan-in); normalisations get a scale near 1,
    small shifts and means, and a variance near 1; biases are small. Residual branches are scaled down so that sums do
    not grow with depth. Then the last weighted layer is scaled so that a softmax does not saturate.
    """
    copy = onnx.ModelProto()
    copy.CopyFrom(model)
    graph = copy.graph
    generator = np.random.default_rng(seed)
    shapes = {t.name: tuple(int(n) for n in numpy_helper.to_array(t)) for t in graph.initializer if t.data_type == 7}
    uses = {name: (node, place) for node in graph.node for place, name in enumerate(node.input)}
    kept, made = [], []
    for node in graph.node:
        if node.op_type != "ConstantOfShape" or node.input[0] not in shapes:
            kept.append(node)
            continue
        fill = _filler(node, uses)
        values = fill(generator, shapes[node.input[0]]).astype(np.float32)
        made.append(numpy_helper.from_array(values, name=node.output[0]))
    del graph.node[:]
    graph.node.extend(kept)
    graph.initializer.extend(made)
    read = {name for node in graph.node for name in node.input}
    weights = [tensor for tensor in graph.initializer if tensor.name in read]
    del graph.initializer[:]
    graph.initializer.extend(weights)
    stored = {tensor.name for tensor in weights}
    inputs = [value for value in graph.input if value.name in read and value.name not in stored]
    del graph.input[:]
    graph.input.extend(inputs)
    copy.ir_version = max(copy.ir_version, 4)
    _scale_logits(copy, seed)
    return copy


def _scale_logits(model: onnx.ModelProto, seed: int) -> None:
    """Scale the weights and bias of the last weighted layer so that its output has `_LOGIT_DEVIATION`, in place."""
    graph = model.graph
    uses = {name: (node, place) for node in graph.node for place, name in enumerate(node.input)}
    last = [node for node in graph.node if node.op_type in ("Conv", "Gemm") and _is_last(node, uses, graph)]
    if len(last) != 1:
        return
    weighted = list(last[0].input[1:])
    inputs = {
        v.name: TensorType("float32", tuple(d.dim_value for d in v.type.tensor_type.shape.dim)) for v in graph.input
    }
    logits = last[0].output[0]
    listed = logits in {value.name for value in graph.output}
    if not listed:
        graph.output.append(onnx.ValueInfoProto(name=logits))
    deviation = float(run_model(model, random_frame(inputs, seed), [logits])[logits].std())
    if not listed:
        del graph.output[-1]
    for tensor in graph.initializer:
        if tensor.name in weighted and deviation > 0:
            values = numpy_helper.to_array(tensor) * np.float32(_LOGIT_DEVIATION / deviation)
            tensor.CopyFrom(numpy_helper.from_array(values, name=tensor.name))


_Filler = Callable[[np.random.Generator, tuple[int, ...]], np.ndarray[Any, Any]]


def _normal(mean: float, deviation: float) -> _Filler:
    return lambda generator, shape: mean + deviation * generator.standard_normal(shape, dtype=np.float32)


def _uniform(low: float, high: float) -> _Filler:
    return lambda generator, shape: generator.uniform(low, high, shape)


def _filler(node: NodeProto, uses: Mapping[str, tuple[NodeProto, int]]) -> _Filler:
    """Choose the distribution of a weight from the operator that reads it, and at which place."""
    reader, place = uses[node.output[0]]
    if reader.op_type == "Unsqueeze":
        # DenseNet's and Inception's normalisation is spread over Mul and Add of an unsqueezed vector.
        reader, _ = uses[reader.output[0]]
        return _uniform(0.7, 1.3) if reader.op_type == "Mul" else _normal(0.0, 0.1)
    if reader.op_type in ("Conv", "Gemm") and place == 1:
        return _he
    if reader.op_type == "BatchNormalization":
        small = _ends_residual_branch(reader, uses)
        scale = _uniform(0.2, 0.4) if small else _uniform(0.7, 1.3)
        return (_normal(0.0, 0.1), scale, _normal(0.0, 0.1), _normal(0.0, 0.1), _uniform(0.7, 1.3))[place]
    return _normal(0.0, 0.05)


def _he(generator: np.random.Generator, shape: tuple[int, ...]) -> np.ndarray[Any, Any]:
    """Draw weights of deviation sqrt(2 / fan-in), each output's weights summing to 0.

    After a ReLU all activations are positive. Without the zero sum their common mean, which is nearly the same for
    every input, would drown what differs.
    """
    fan_in = prod(shape[1:])
    weights = generator.standard_normal(shape, dtype=np.float32) * np.float32(sqrt(2.0 / max(fan_in, 1)))
    if fan_in > 1:
        weights -= weights.mean(axis=tuple(range(1, len(shape))), keepdims=True)
    return weights


def _ends_residual_branch(node: NodeProto, uses: Mapping[str, tuple[NodeProto, int]]) -> bool:
    reader = uses.get(node.output[0])
    return reader is not None and reader[0].op_type in ("Sum", "Add")


def _is_last(node: NodeProto, uses: Mapping[str, tuple[NodeProto, int]], graph: onnx.GraphProto) -> bool:
    """Say whether no other weighted layer follows before the network's output."""
    outputs = {value.name for value in graph.output}
    name = node.output[0]
    while name not in outputs:
        if name not in uses:
            return False
        reader, _ = uses[name]
        if reader.op_type in ("Conv", "Gemm", "MatMul"):
            return False
        name = reader.output[0]
    return True
