"""Simplification: fewer layers, the same names, the same numbers; and what says so."""

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import onnx
import pytest
from hypothesis import HealthCheck, given, settings
from onnx import TensorProto, helper

from partition_studio.graph.examples import build_example
from partition_studio.graph.frames import random_frame
from partition_studio.graph.load import load_network, original_model
from partition_studio.graph.network import Network, NetworkForm
from partition_studio.graph.simplify import SimplificationFailedError, simplify
from partition_studio.graph.simplify_check import MAX_LAYERS, choose_form, compare_forms
from partition_studio.partition.extract import submodels
from partition_studio.partition.partition import partition
from partition_studio.partition.plan import NetworkRef, Plan
from partition_studio.partition.verify import verify

from .networks import cnn_models, make_model, relu_chain, value, weight

node = helper.make_node
SIMPLIFIED = NetworkForm(simplified=True)


def normal(*shape: int) -> np.ndarray:
    return np.random.default_rng(sum(shape)).standard_normal(shape).astype(np.float32)


def norm_weights(name: str, channels: int, kind: type[np.floating] = np.float32) -> list[onnx.TensorProto]:
    return [weight(f"{name}.{part}", (1 + np.abs(normal(channels))).astype(kind)) for part in ("s", "b", "m", "v")]


def norm(name: str, source: str, output: str) -> onnx.NodeProto:
    return node(
        "BatchNormalization", [source, *(f"{name}.{part}" for part in ("s", "b", "m", "v"))], [output], name=name
    )


def normed(outputs: Sequence[str] = ("y",), kind: type[np.floating] = np.float32, opset: int = 17) -> onnx.ModelProto:
    """Two convolutions with normalisation, an identity at the end."""
    nodes = [
        node("Conv", ["x", "w1"], ["c1"], name="conv1"),
        norm("bn1", "c1", "b1"),
        node("Relu", ["b1"], ["r1"], name="relu1"),
        node("Conv", ["r1", "w2"], ["c2"], name="conv2"),
        norm("bn2", "c2", "b2"),
        node("Identity", ["b2"], ["y"], name="same"),
    ]
    shapes = {"y": (1, 4, 6, 6), "c1": (1, 4, 6, 6), "b1": (1, 4, 6, 6), "c2": (1, 4, 6, 6)}
    number = helper.np_dtype_to_tensor_dtype(np.dtype(kind))
    weights = [weight("w1", normal(4, 3, 3, 3).astype(kind)), weight("w2", normal(4, 4, 1, 1).astype(kind))]
    return make_model(
        nodes,
        [value("x", (1, 3, 8, 8), number)],
        [value(name, shapes[name], number) for name in outputs],
        [*weights, *norm_weights("bn1", 4, kind), *norm_weights("bn2", 4, kind)],
        opset=opset,
    )


@pytest.fixture
def save(tmp_path: Path) -> Callable[[onnx.ModelProto | bytes], Path]:
    def write(model: onnx.ModelProto | bytes) -> Path:
        path = tmp_path / "net.onnx"
        path.write_bytes(model if isinstance(model, bytes) else model.SerializeToString())
        return path

    return write


def names(network: Network) -> list[str]:
    return [layer.name for layer in network.layers]


Save = Callable[[onnx.ModelProto | bytes], Path]


def test_a_normalisation_goes_into_its_convolution_which_keeps_its_name(save: Save) -> None:
    simplified = load_network(save(normed()), form=SIMPLIFIED)
    assert names(simplified) == ["conv1", "relu1", "conv2"]
    assert simplified.form == SIMPLIFIED
    assert list(simplified.outputs) == ["y"]


def test_a_convolution_that_others_read_keeps_its_normalisation(save: Save) -> None:
    simplified = load_network(save(normed(outputs=("y", "c1"))), form=SIMPLIFIED)
    assert {"conv1", "bn1", "relu1", "conv2"} <= set(names(simplified))
    assert choose_form(save(normed(outputs=("y", "c1")))).passes


def test_the_same_network_is_simplified_to_the_same_bytes_and_is_not_changed() -> None:
    model = normed()
    before = model.SerializeToString(deterministic=True)
    first, second = simplify(model, "net.onnx"), simplify(model, "net.onnx")
    assert first.SerializeToString(deterministic=True) == second.SerializeToString(deterministic=True)
    assert model.SerializeToString(deterministic=True) == before


def test_a_network_without_anything_to_gain_stays_as_it_is(save: Save) -> None:
    verdict = choose_form(save(build_example("digits")))
    assert (verdict.passes, verdict.reason, verdict.fewer) == (False, "nothing", 0)
    assert verdict.sentence == "There is nothing to simplify."


@pytest.mark.parametrize("kind", [np.float32, np.float16])
def test_a_simplified_form_that_is_equal_passes(save: Save, kind: type[np.floating]) -> None:
    verdict = choose_form(save(normed(kind=kind)))
    assert (verdict.passes, verdict.reason, verdict.fewer) == (True, "equal", 3)
    assert verdict.sentence.startswith("3 of 6 layers fall away")


def test_a_form_that_differs_does_not_pass_and_the_tensor_is_named(save: Save, tmp_path: Path) -> None:
    plain = load_network(save(normed()))
    other = normed()
    changed = next(tensor for tensor in other.graph.initializer if tensor.name == "w2")
    changed.CopyFrom(weight("w2", normal(4, 4, 1, 1) * np.float32(1.001)))
    wrong = tmp_path / "other.onnx"
    wrong.write_bytes(other.SerializeToString())
    verdict = compare_forms(plain, load_network(wrong, form=SIMPLIFIED))
    assert (verdict.passes, verdict.reason) == (False, "differs")
    assert "'y'" in verdict.sentence


def test_a_network_with_very_many_layers_is_not_tried(save: Save) -> None:
    verdict = choose_form(save(relu_chain(MAX_LAYERS + 1)))
    assert (verdict.passes, verdict.reason) == (False, "too_large")
    assert str(MAX_LAYERS + 1) in verdict.sentence


def test_quantised_weights_stay_quantised(save: Save) -> None:
    nodes = [
        node("QuantizeLinear", ["x", "s", "z"], ["xq"], name="q"),
        node("DequantizeLinear", ["xq", "s", "z"], ["xd"], name="dq"),
        node("DequantizeLinear", ["wq", "s", "z"], ["w"], name="dqw"),
        node("Conv", ["xd", "w"], ["c"], name="conv"),
        norm("bn", "c", "b"),
        node("Dropout", ["b"], ["y"], name="drop"),
    ]
    integers = np.random.default_rng(0).integers(-100, 100, (4, 3, 3, 3)).astype(np.int8)
    constants = [weight("s", np.float32(0.02)), weight("z", np.int8(0)), weight("wq", integers), *norm_weights("bn", 4)]
    path = save(make_model(nodes, [value("x", (1, 3, 8, 8))], [value("y", (1, 4, 6, 6))], constants))
    simplified = load_network(path, form=SIMPLIFIED)
    assert simplified.weights["wq"].data_type == TensorProto.INT8
    assert "drop" not in names(simplified)
    assert choose_form(path).passes


def test_what_a_branch_captures_is_kept(save: Save) -> None:
    def branch(name: str, operator: str) -> onnx.GraphProto:
        return helper.make_graph([node(operator, ["b", "k"], [name])], name, [], [value(name, (1, 4, 6, 6))])

    nodes = [
        node("Conv", ["x", "w1"], ["c"], name="conv"),
        norm("bn", "c", "b"),
        node("ReduceMax", ["c"], ["top"], name="top", keepdims=0),
        node("Greater", ["top", "k"], ["chosen"], name="greater"),
        node("If", ["chosen"], ["z"], name="if", then_branch=branch("t", "Add"), else_branch=branch("e", "Mul")),
        node("Identity", ["z"], ["y"], name="same"),
    ]
    constants = [weight("w1", normal(4, 3, 3, 3)), weight("k", np.float32(2)), *norm_weights("bn", 4)]
    path = save(make_model(nodes, [value("x", (1, 3, 8, 8))], [value("y", (1, 4, 6, 6))], constants))
    plain, simplified = load_network(path), load_network(path, form=SIMPLIFIED)
    assert {"conv", "bn", "if"} <= set(names(simplified))
    verdict = compare_forms(plain, simplified)
    assert verdict.reason in ("equal", "nothing")


def test_a_plan_for_the_simplified_form_equals_the_network_in_the_file(save: Save) -> None:
    path = save(normed())
    network = load_network(path, form=SIMPLIFIED)
    plan = Plan(network=NetworkRef.of(network), placement={"conv1": "a", "relu1": "b", "conv2": "a"})
    parts = partition(network, plan)
    data = {name: part.data for name, part in submodels(parts.network, parts.graph).items()}
    verify(original_model(path), parts, data, random_frame(network.inputs, 0)).require_equal()


def test_a_network_that_the_library_cannot_take_is_named() -> None:
    model = normed()
    weights = next(tensor for tensor in model.graph.initializer if tensor.name == "w1")
    weights.raw_data = weights.raw_data[:-4]
    with pytest.raises(SimplificationFailedError, match=r"net\.onnx"):
        simplify(model, "net.onnx")


@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(model=cnn_models())
def test_random_networks_are_equal_simplified(save: Save, model: onnx.ModelProto) -> None:
    path = save(model)
    verdict = choose_form(path)
    assert verdict.reason in ("equal", "nothing"), verdict.sentence
    simplified = load_network(path, form=SIMPLIFIED)
    assert len(simplified.layers) + verdict.fewer == len(load_network(path).layers) or not verdict.passes


@pytest.mark.slow
@pytest.mark.parametrize(
    ("example", "fewer"), [("squeezenet", 1), ("shufflenet", 49), ("densenet-121", 177), ("resnet-50", 53)]
)
def test_architectures_are_equal_simplified(save: Save, example: str, fewer: int) -> None:
    verdict = choose_form(save(build_example(example)))
    assert (verdict.passes, verdict.fewer) == (True, fewer), verdict.sentence
