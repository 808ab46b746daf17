"""Networks that cannot be taken: each is refused by the name of what is at fault, before anything else happens."""

from collections.abc import Callable

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

from partition_studio.errors import NetworkError

from .networks import load, make_model, value, weight

SHAPE = (1, 2, 4, 4)
X, Y = value("x", SHAPE), value("y", SHAPE)
FREE = helper.make_tensor_value_info("y", TensorProto.FLOAT, None)
node = helper.make_node


def typed(kind: onnx.TypeProto, name: str) -> onnx.ValueInfoProto:
    return onnx.ValueInfoProto(name=name, type=kind)


FLOATS = helper.make_tensor_type_proto(TensorProto.FLOAT, SHAPE)


def training() -> onnx.ModelProto:
    nodes = [node("Gradient", ["x"], ["y"], name="grad", domain="ai.onnx.preview.training", xs=["x"], y="x")]
    return make_model(nodes, [X], [Y], domains=["ai.onnx.preview.training"])


def boxes() -> onnx.ModelProto:
    nodes = [node("NonMaxSuppression", ["boxes", "scores"], ["y"], name="nms")]
    inputs = [value("boxes", (1, 8, 4)), value("scores", (1, 2, 8))]
    return make_model(nodes, inputs, [helper.make_tensor_value_info("y", TensorProto.INT64, None)])


def of_type(number: int, opset: int) -> onnx.ModelProto:
    """A network that makes a tensor of a type inside."""
    nodes = [
        node("Cast", ["x"], ["t"], name="to", to=number),
        node("Cast", ["t"], ["y"], name="back", to=TensorProto.FLOAT),
    ]
    return make_model(nodes, [X], [Y], opset=opset, ir=8 if opset < 19 else 9 if opset < 21 else 10)


def sequence_inside() -> onnx.ModelProto:
    nodes = [
        node("SplitToSequence", ["x"], ["list"], name="split", axis=1),
        node("ConcatFromSequence", ["list"], ["y"], name="join", axis=1),
    ]
    return make_model(nodes, [X], [FREE])


def sparse_constant() -> onnx.ModelProto:
    thin = helper.make_sparse_tensor(weight("v", np.ones(1, np.float32)), weight("i", np.array([3], np.int64)), [32])
    nodes = [node("Constant", [], ["c"], name="thin", sparse_value=thin), node("Add", ["x", "c"], ["y"], name="sum")]
    return make_model(nodes, [X], [FREE])


def optional_input() -> onnx.ModelProto:
    kind = helper.make_optional_type_proto(FLOATS)
    nodes = [node("OptionalGetElement", ["x"], ["y"], name="get")]
    return make_model(nodes, [typed(kind, "x")], [FREE])


def sequence_input() -> onnx.ModelProto:
    kind = helper.make_sequence_type_proto(FLOATS)
    return make_model([node("ConcatFromSequence", ["x"], ["y"], name="join", axis=1)], [typed(kind, "x")], [FREE])


REFUSED: dict[str, tuple[Callable[[], onnx.ModelProto], str, tuple[str, ...]]] = {
    "a sequence as input": (sequence_input, "unsupported_dtype", ("'x'", "sequence")),
    "an optional value as input": (optional_input, "unsupported_dtype", ("'x'", "optional")),
    "a sequence inside": (sequence_inside, "unsupported_dtype", ("'list'", "'split'", "sequence")),
    "text inside": (lambda: of_type(TensorProto.STRING, 17), "unsupported_dtype", ("'t'", "'to'", "string")),
    "eight-bit floats inside": (
        lambda: of_type(TensorProto.FLOAT8E4M3FN, 19),
        "unsupported_dtype",
        ("'t'", "'to'", "float8e4m3fn"),
    ),
    "four-bit integers inside": (lambda: of_type(TensorProto.INT4, 21), "unsupported_dtype", ("'t'", "'to'", "int4")),
    "bfloat16 as output": (
        lambda: make_model(
            [node("Cast", ["x"], ["y"], name="it", to=TensorProto.BFLOAT16)],
            [X],
            [value("y", SHAPE, TensorProto.BFLOAT16)],
        ),
        "unsupported_dtype",
        ("'y'", "'it'", "bfloat16", "output"),
    ),
    "complex numbers inside": (
        lambda: make_model(
            [node("Cast", ["x"], ["y"], name="it", to=TensorProto.COMPLEX64)],
            [X],
            [value("y", SHAPE, TensorProto.COMPLEX64)],
        ),
        "unsupported_dtype",
        ("'y'", "complex64"),
    ),
    "a node that trains": (training, "unsupported_domain", ("'grad'", "Gradient", "ai.onnx.preview.training")),
    "a sparse constant": (sparse_constant, "unsupported_dtype", ("'thin'", "sparse")),
    "boxes, as many as there are": (boxes, "unresolved_shape", ("'y'", "'nms'")),
    "an operator of somebody's own": (
        lambda: make_model([node("Trick", ["x"], ["y"], name="it", domain="our.lab")], [X], [Y], domains=["our.lab"]),
        "unsupported_domain",
        ("'it'", "'Trick'", "'our.lab'"),
    ),
    "a type for which the runtime has no convolution": (
        lambda: make_model(
            [node("Conv", ["x", "w"], ["y"], name="it")],
            [value("x", SHAPE, TensorProto.DOUBLE)],
            [helper.make_tensor_value_info("y", TensorProto.DOUBLE, None)],
            [weight("w", np.ones((300, 2, 3, 3)))],
        ),
        "not_runnable",
        ("Conv", "'it'"),
    ),
    "the same, without a name": (
        lambda: make_model(
            [node("Conv", ["x", "w"], ["t"]), node("Cast", ["t"], ["y"], to=TensorProto.FLOAT)],
            [value("x", SHAPE, TensorProto.DOUBLE)],
            [FREE],
            [weight("w", np.ones((3, 2, 3, 3)))],
        ),
        "not_runnable",
        ("Conv", "'Conv_t'"),
    ),
    "the same, of weights alone": (
        lambda: make_model(
            [node("Conv", ["v", "w"], ["t"]), node("Add", ["x", "t"], ["y"])],
            [value("x", (1, 3, 2, 2), TensorProto.DOUBLE)],
            [helper.make_tensor_value_info("y", TensorProto.DOUBLE, None)],
            [weight("v", np.ones(SHAPE)), weight("w", np.ones((3, 2, 3, 3)))],
        ),
        "not_runnable",
        ("nameless Conv", "'t'"),
    ),
    "a nameless node without the inputs that it needs": (
        lambda: make_model([node("Relu", ["x"], ["t"]), node("RoiAlign", [], ["y"])], [X], [FREE]),
        "invalid_network",
        ("nameless RoiAlign", "'y'"),
    ),
    "no layers": (lambda: make_model([node("Relu", ["x"], ["z"])], [X], [X]), "no_layers", ("no layers",)),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_cannot_be_taken_is_refused_by_name(case: str) -> None:
    make, code, words = REFUSED[case]
    with pytest.raises(NetworkError) as caught:
        load(make())
    assert (caught.value.code, "\n" in caught.value.message) == (code, False), caught.value.message
    assert [word for word in words if word not in caught.value.message] == [], caught.value.message
