"""Files that must be refused, each with its code and a sentence that names what is at fault."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

from partition_studio.errors import NetworkError
from partition_studio.graph.load import load_network
from partition_studio.graph.read import LoadLimits

from .networks import make_model, relu_chain, value, weight

Maker = Callable[[], bytes]
SHAPE = (1, 2, 4, 4)
X, Y = value("x", SHAPE), value("y", SHAPE)


def model_bytes(*nodes: onnx.NodeProto, weights: tuple[onnx.TensorProto, ...] = (), **rest: Any) -> bytes:
    return bytes(make_model(nodes, [X], [Y], weights, **rest).SerializeToString())


def node(operator: str, inputs: list[str], outputs: list[str], **attributes: Any) -> onnx.NodeProto:
    return helper.make_node(operator, inputs, outputs, **attributes)


def chain() -> bytes:
    return bytes(relu_chain(30).SerializeToString())


def no_opset() -> bytes:
    model = relu_chain()
    del model.opset_import[:]
    return bytes(model.SerializeToString())


def newer_opset() -> bytes:
    model = relu_chain()
    model.opset_import[0].version = 999
    return bytes(model.SerializeToString())


def newer_format() -> bytes:
    model = relu_chain()
    model.ir_version = 99
    return bytes(model.SerializeToString())


def input_of(shape: list[int | str | None] | None, kind: int = TensorProto.FLOAT) -> Maker:
    def make() -> bytes:
        nodes = [node("Identity", ["x"], ["y"], name="same")]
        y = helper.make_tensor_value_info("y", kind, None)
        return bytes(make_model(nodes, [value("x", shape, kind)], [y]).SerializeToString())

    return make


def constant_output() -> bytes:
    nodes = [node("Relu", ["x"], ["z"]), node("Relu", ["w"], ["always"])]
    outputs = [value("always", (2,))]
    return bytes(make_model(nodes, [X], outputs, [weight("w", np.ones(2, np.float32))]).SerializeToString())


def huge_constant() -> bytes:
    shape = weight("how_much", np.array([10**6, 10**6], np.int64))
    nodes = [
        node("ConstantOfShape", ["how_much"], ["bomb"], name="bomb_maker"),
        node("ReduceSum", ["bomb"], ["one"], keepdims=0),
        node("Add", ["x", "one"], ["y"]),
    ]
    return model_bytes(*nodes, weights=(shape,))


def sparse() -> bytes:
    model = relu_chain()
    entry = model.graph.sparse_initializer.add()
    entry.values.CopyFrom(weight("thin", np.ones(1, np.float32)))
    return bytes(model.SerializeToString())


BAD: dict[str, tuple[Maker, str, tuple[str, ...]]] = {
    "empty": (lambda: b"", "not_onnx", ("net.onnx", "empty")),
    "a picture": (lambda: b"\x89PNG\r\n\x1a\n" + bytes(64), "not_onnx", ("net.onnx",)),
    "text": (lambda: b"Dear reader,\nthis is no network.\n", "not_onnx", ("net.onnx",)),
    "noise": (lambda: np.random.default_rng(3).bytes(4096), "not_onnx", ("net.onnx",)),
    "zeros": (lambda: bytes(1000), "not_onnx", ("net.onnx",)),
    "truncated": (lambda: chain()[:-300], "truncated_network", ("net.onnx", "truncated")),
    "truncated in its first half": (lambda: chain()[:200], "truncated_network", ("net.onnx", "truncated")),
    "truncated after its graph": (no_opset, "truncated_network", ("net.onnx", "operator sets")),
    "newer opset": (newer_opset, "unsupported_version", ("opset 999",)),
    "newer format": (newer_format, "unsupported_version", ("99",)),
    "unknown operator": (
        lambda: model_bytes(node("Frobnicate", ["x"], ["y"], name="frob_1")),
        "unknown_op",
        ("Frobnicate", "'frob_1'"),
    ),
    "unknown operator of a nameless node": (
        lambda: model_bytes(node("Frobnicate", ["x"], ["y"])),
        "unknown_op",
        ("Frobnicate", "nameless", "'y'"),
    ),
    "operator newer than its opset": (
        lambda: model_bytes(node("Gelu", ["x"], ["y"], name="g"), opset=13),
        "unknown_op",
        ("Gelu", "'g'", "13"),
    ),
    "several operators that nobody knows": (
        lambda: model_bytes(
            node("Frobnicate", ["x"], ["t"], name="frob_1"), node("Trick", ["t"], ["y"], name="t", domain="my.shop")
        ),
        "unknown_op",
        ("Frobnicate", "'frob_1'", "1 more node is refused"),
    ),
    "foreign domain": (
        lambda: model_bytes(node("Trick", ["x"], ["y"], name="t", domain="my.shop"), domains=("my.shop",)),
        "unsupported_domain",
        ("'t'", "my.shop"),
    ),
    "two makers of a tensor": (
        lambda: model_bytes(node("Relu", ["x"], ["y"]), node("Abs", ["x"], ["y"])),
        "duplicate_name",
        ("'y'",),
    ),
    "a weight and a node of one name": (
        lambda: model_bytes(
            node("Relu", ["x"], ["t"]), node("Relu", ["t"], ["y"]), weights=(weight("t", np.ones(1, np.float32)),)
        ),
        "duplicate_name",
        ("'t'",),
    ),
    "a circle": (
        lambda: model_bytes(
            node("Add", ["x", "b"], ["a"], name="n1"),
            node("Relu", ["a"], ["b"], name="n2"),
            node("Relu", ["b"], ["y"], name="n3"),
        ),
        "cyclic_graph",
        ("'n1'",),
    ),
    "a tensor that nobody makes": (
        lambda: model_bytes(node("Add", ["x", "ghost"], ["y"], name="sum")),
        "undefined_tensor",
        ("'sum'", "'ghost'"),
    ),
    "an output that nobody makes": (
        lambda: model_bytes(node("Relu", ["x"], ["t"])),
        "undefined_tensor",
        ("'y'",),
    ),
    "text as input": (input_of([1, 2], TensorProto.STRING), "unsupported_dtype", ("'x'", "string")),
    "bfloat16 as input": (input_of([1, 2], TensorProto.BFLOAT16), "unsupported_dtype", ("'x'", "bfloat16")),
    "a sparse weight": (sparse, "unsupported_dtype", ("'thin'", "sparse")),
    "free height": (input_of([1, 3, "height", 8]), "unbound_dimension", ("'x'", "dimension 2", "'height'")),
    "free width without a name": (input_of([1, 3, 8, None]), "unbound_dimension", ("'x'", "dimension 3")),
    "no input shape": (input_of(None), "unbound_dimension", ("'x'", "no shape")),
    "a shape that depends on values": (
        lambda: make_model(
            [node("NonZero", ["x"], ["where"], name="find")], [X], [value("where", None, TensorProto.INT64)]
        ).SerializeToString(),
        "unresolved_shape",
        ("'where'", "'find'"),
    ),
    "nothing but a constant output": (constant_output, "constant_output", ("'always'",)),
    "random values": (
        lambda: model_bytes(node("RandomNormalLike", ["x"], ["y"], name="dice")),
        "random_layer",
        ("'dice'", "RandomNormalLike"),
    ),
    "a constant that unfolds to terabytes": (huge_constant, "network_too_large", ("'bomb_maker'",)),
    "an input of terabytes": (input_of([1, 10**6, 10**6]), "network_too_large", ("'x'", "[1, 1000000, 1000000]")),
    "types that contradict each other": (
        lambda: model_bytes(
            node("Add", ["x", "w"], ["y"], name="mixed"), weights=(weight("w", np.ones(1, np.float64)),)
        ),
        "not_runnable",
        ("net.onnx", "mixed"),
    ),
    "shapes that contradict each other": (
        lambda: model_bytes(
            node("Conv", ["x", "w"], ["y"], name="c"), weights=(weight("w", np.ones((3, 5, 1, 1), np.float32)),)
        ),
        "not_runnable",
        ("net.onnx", "'c'"),
    ),
    "a required attribute lacks": (
        lambda: model_bytes(node("Concat", ["x", "x"], ["y"], name="glue")),
        "invalid_network",
        ("net.onnx", "axis"),
    ),
}


@pytest.mark.parametrize("case", BAD)
def test_a_bad_file_is_refused_by_name(case: str, tmp_path: Path) -> None:
    make, code, words = BAD[case]
    path = tmp_path / "net.onnx"
    path.write_bytes(make())
    with pytest.raises(NetworkError) as caught:
        load_network(path)
    assert caught.value.code == code, caught.value.message
    missing = [word for word in words if word not in caught.value.message]
    assert not missing, caught.value.message
    assert caught.value.next_step.endswith(".")
    assert "\n" not in caught.value.message


def test_every_truncation_of_a_file_is_refused_as_a_network_error(tmp_path: Path) -> None:
    data = bytes(relu_chain(2).SerializeToString())
    path = tmp_path / "net.onnx"
    for length in range(len(data)):
        path.write_bytes(data[:length])
        with pytest.raises(NetworkError):
            load_network(path)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(NetworkError, match=r"nowhere\.onnx") as caught:
        load_network(tmp_path / "nowhere.onnx")
    assert caught.value.code == "network_file_missing"


def test_a_file_over_the_limit_is_not_read(tmp_path: Path) -> None:
    path = tmp_path / "net.onnx"
    path.write_bytes(chain())
    with pytest.raises(NetworkError, match="the limit is 100") as caught:
        load_network(path, limits=LoadLimits(model_bytes=100))
    assert caught.value.code == "network_too_large"


def test_too_many_nodes_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "net.onnx"
    path.write_bytes(chain())
    with pytest.raises(NetworkError, match="30 nodes"):
        load_network(path, limits=LoadLimits(nodes=10))
