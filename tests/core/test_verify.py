"""The proof itself: what it must notice, what it must not mind, and what it says."""

import math
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from onnx import TensorProto, helper, numpy_helper
from PIL import Image

from partition_studio.graph.frames import random_frame
from partition_studio.graph.network import Network
from partition_studio.partition.accuracy import AccuracyChange, NoClassesError, accuracy_change
from partition_studio.partition.extract import submodels
from partition_studio.partition.labelled import LabelledSetError, read_labelled
from partition_studio.partition.partition import Partition, partition
from partition_studio.partition.plan import InputChannelSharding, NetworkRef, OutputChannelSharding, Plan
from partition_studio.partition.verify import TensorDifference, run_stages_on, stepped_tensors, verify

from .networks import cnn_models, load_both, make_model, plan_for, random_plan, relu_chain, value, weight


def parts_of(parted: Partition) -> dict[str, bytes]:
    return {name: part.data for name, part in submodels(parted.network, parted.graph).items()}


def damaged(part: bytes, operator: str, *, node: int = 0) -> bytes:
    model = onnx.ModelProto.FromString(part)
    model.graph.node[node].op_type = operator
    return bytes(model.SerializeToString())


# --- what is compared, and how strictly ----------------------------------------------------------------------------


@settings(deadline=None, max_examples=30)
@given(model=cnn_models(), devices=st.integers(1, 4), seed=st.integers(0, 10**6))
def test_without_optimisation_a_placement_is_equal_to_the_last_bit(
    model: onnx.ModelProto, devices: int, seed: int
) -> None:
    network, original = load_both(model)
    parted = partition(network, random_plan(network, devices, seed))
    result = verify(original, parted, parts_of(parted), random_frame(network.inputs, seed), optimise=False)
    assert [(d.tensor, d.max_abs) for d in result.per_tensor if d.max_abs] == []
    assert {d.tolerance for d in result.per_tensor} == {0.0}


@pytest.mark.parametrize("optimise", [False, True])
def test_float16_is_rounded_at_each_cut_and_so_is_what_is_made_of_it(optimise: bool) -> None:
    generator = np.random.default_rng(3)
    nodes, weights = [], []
    for index in range(4):
        kernel = (generator.standard_normal((8, 8, 3, 3)) / 8).astype(np.float16)
        weights.append(numpy_helper.from_array(kernel, name=f"w{index}"))
        source = f"t{index - 1}" if index else "x"
        nodes.append(helper.make_node("Conv", [source, f"w{index}"], [f"t{index}"], name=f"c{index}", pads=[1] * 4))
    nodes.append(helper.make_node("Cast", ["t3"], ["y"], name="out", to=TensorProto.FLOAT))
    x, y = value("x", (1, 8, 9, 9), TensorProto.FLOAT16), value("y", (1, 8, 9, 9))
    network, original = load_both(make_model(nodes, [x], [y], weights))
    placement = {layer.name: f"d{number}" for number, layer in enumerate(network.layers)}
    parted = partition(network, plan_for(network, placement))
    result = verify(original, parted, parts_of(parted), random_frame(network.inputs, 0), optimise=optimise)
    assert result.ok, result.first_difference
    assert 0 < result.tolerance < 0.1


def test_the_first_tensor_that_differs_is_named_not_the_last() -> None:
    network, original = load_both(relu_chain(5))
    parted = partition(network, plan_for(network, {f"l{i}": "ab"[i % 2] for i in range(5)}))
    parts = parts_of(parted)
    parts["b-0"] = damaged(parts["b-0"], "Sigmoid")
    result = verify(original, parted, parts, random_frame(network.inputs, 1))
    first = result.first_difference
    assert first is not None
    assert (first.tensor, first.made_by, first.is_output) == ("t1", "b-0", False)
    assert [d.tensor for d in result.per_tensor if not d.ok] == ["t1", "t2", "t3", "y"]


def test_a_difference_that_later_layers_hide_is_noticed_at_the_cut() -> None:
    """`Neg` then `Relu` of positive numbers: the output is 0 whatever the part did before."""
    model = relu_chain(3)
    model.graph.node[1].op_type = "Neg"
    network, original = load_both(model)
    parted = partition(network, plan_for(network, {"l0": "a", "l1": "b", "l2": "c"}))
    parts = parts_of(parted)
    parts["a-0"] = damaged(parts["a-0"], "Sigmoid")
    result = verify(original, parted, parts, random_frame(network.inputs, 1))
    assert result.max_abs == 0.0
    assert result.first_difference is not None and result.first_difference.tensor == "t0"
    assert not result.ok


def test_a_piece_is_measured_by_the_largest_value_of_the_whole_tensor() -> None:
    """A dark channel's rounding is no fault: only what is large in the whole tensor would be."""
    kernel = np.random.default_rng(1).standard_normal((4, 3, 3, 3)).astype(np.float32)
    kernel[2:] *= 1e-7
    nodes = [helper.make_node("Conv", ["x", "w"], ["y"], name="conv", pads=[1] * 4)]
    model = make_model(nodes, [value("x", (1, 3, 8, 8))], [value("y", (1, 4, 8, 8))], [weight("w", kernel)])
    network, original = load_both(model)
    sharding = OutputChannelSharding(layers=["conv"], devices=["a", "b"])
    parted = partition(network, Plan(network=NetworkRef.of(network), placement={}, shards=[sharding]))
    parts = parts_of(parted)
    dark = next(stage.name for stage in parted.graph.stages if "conv#1" in stage.layers)
    shifted = onnx.ModelProto.FromString(parts[dark])
    held = shifted.graph.initializer[[t.dims[:] for t in shifted.graph.initializer].index([2, 3, 3, 3])]
    array = onnx.numpy_helper.to_array(held) * np.float32(1.001)
    held.CopyFrom(onnx.numpy_helper.from_array(array, held.name))
    parts[dark] = shifted.SerializeToString()
    result = verify(original, parted, parts, random_frame(network.inputs, 1))
    inner = next(d for d in result.per_tensor if d.made_by == dark)
    assert inner.tensor == "y#1"
    assert 0 < inner.max_rel < 1e-6
    assert result.ok


def test_what_is_approximate_may_differ_by_any_amount_but_not_in_shape_or_to_infinity() -> None:
    def found(max_abs: float, max_rel: float) -> TensorDifference:
        return TensorDifference("t", "a-0", True, max_abs, max_rel, math.inf, "t")

    assert found(5.0, 2.0).ok and found(5.0, 2.0).approximate
    assert found(1e-9, math.inf).ok, "the whole is all zeros there"
    assert not found(math.inf, math.inf).ok


def test_stages_run_in_order_and_give_what_they_made() -> None:
    network, _ = load_both(relu_chain(4))
    parted = partition(network, plan_for(network, {f"l{i}": "ab"[i % 2] for i in range(4)}))
    frame = random_frame(network.inputs, 1)
    stages = run_stages_on(parted.graph, parts_of(parted), [frame])
    assert [(stage.name, [list(made) for made in each]) for stage, each in stages] == [
        ("a-0", [["t0"]]),
        ("b-0", [["t1"]]),
        ("a-1", [["t2"]]),
        ("b-1", [["y"]]),
    ]
    assert list(frame) == ["x"], "the caller's frame is untouched"


# --- quantised networks -------------------------------------------------------------------------------------------


def quantised_cnn(layers: int = 4, seed: int = 0) -> onnx.ModelProto:
    """Return a chain of convolutions as quantisers write it: every activation and kernel in a pair of Q and DQ."""
    generator = np.random.default_rng(seed)
    nodes: list[onnx.NodeProto] = []
    weights = [weight("s", np.float32(0.05)), weight("z", np.int8(0)), weight("ws", np.float32(0.02))]
    source = "x"

    def pair(name: str, tensor: str) -> str:
        nodes.append(helper.make_node("QuantizeLinear", [tensor, "s", "z"], [f"{name}.q"], name=f"{name}.quantise"))
        nodes.append(helper.make_node("DequantizeLinear", [f"{name}.q", "s", "z"], [f"{name}.d"], name=f"{name}.deq"))
        return f"{name}.d"

    source = pair("in", "x")
    for index in range(layers):
        kernel = generator.integers(-9, 9, (4, 4, 3, 3)).astype(np.int8)
        weights.append(weight(f"w{index}", kernel))
        nodes.append(helper.make_node("DequantizeLinear", [f"w{index}", "ws", "z"], [f"w{index}.d"], name=f"w{index}"))
        inputs = [source, f"w{index}.d"]
        nodes.append(helper.make_node("Conv", inputs, [f"c{index}"], name=f"conv{index}", pads=[1] * 4))
        source = pair(f"l{index}", f"c{index}")
    nodes.append(helper.make_node("Identity", [source], ["y"], name="last"))
    return make_model(nodes, [value("x", (1, 4, 8, 8))], [value("y", (1, 4, 8, 8))], weights)


def test_a_quantised_network_is_proven_to_the_last_bit_whatever_the_runtime_fuses() -> None:
    network, original = load_both(quantised_cnn())
    assert {"in.q", "c1", "y"} <= stepped_tensors(network)
    apart = []
    for seed in range(8):
        parted = partition(network, random_plan(network, 3, seed))
        result = verify(original, parted, parts_of(parted), random_frame(network.inputs, seed))
        assert {d.max_abs for d in result.per_tensor} == {0.0}
        apart.append(result.optimised_max_rel)
    assert any(apart), "the runtime's fusing shows in none of the placements: this test proves nothing"


@pytest.mark.parametrize("kind", [TensorProto.INT4, TensorProto.UINT8])
def test_a_product_with_dequantised_weights_is_judged_without_what_the_runtime_makes_of_it(kind: int) -> None:
    """The runtime turns it into one of its own that quantises the activations: the whole differs from itself."""
    generator = np.random.default_rng(3)
    kernel = helper.make_tensor("q", kind, (256, 61), generator.integers(0, 8, 256 * 61).tolist())
    weights = [kernel, weight("s", generator.uniform(0.1, 1, 61).astype(np.float32))]
    nodes = [
        helper.make_node("DequantizeLinear", ["q", "s"], ["w"], axis=1),
        helper.make_node("MatMul", ["x", "w"], ["y"], name="product"),
    ]
    model = make_model(nodes, [value("x", (3, 256))], [value("y", (3, 61))], weights, opset=21, ir=10)
    network, original = load_both(model)
    sharding = InputChannelSharding(layers=["product"], devices=["a", "b"], unit="size", shares=[31, 225])
    parted = partition(network, Plan(network=NetworkRef.of(network), placement={}, shards=[sharding]))
    result = verify(original, parted, parts_of(parted), random_frame(network.inputs, 1))
    assert result.ok and 0 < result.max_rel <= result.tolerance == 1e-4
    assert result.optimised_max_rel is not None and result.optimised_max_rel > result.tolerance


def test_one_weight_that_is_one_step_off_in_a_quantised_network_is_noticed() -> None:
    network, original = load_both(quantised_cnn())
    placement = {layer.name: "a" if index < 6 else "b" for index, layer in enumerate(network.layers)}
    parted = partition(network, plan_for(network, placement))
    parts = parts_of(parted)
    model = onnx.ModelProto.FromString(parts["b-0"])
    kernel = next(tensor for tensor in model.graph.initializer if len(tensor.dims) == 4)
    array = onnx.numpy_helper.to_array(kernel).copy()
    array[0, 0, 1, 1] += 1
    kernel.CopyFrom(onnx.numpy_helper.from_array(array, kernel.name))
    parts["b-0"] = model.SerializeToString()
    result = verify(original, parted, parts, random_frame(network.inputs, 1))
    assert not result.ok
    assert result.first_difference is not None and result.first_difference.made_by == "b-0"


# --- accuracy -------------------------------------------------------------------------------------------------------


def classifier() -> tuple[Network, onnx.ModelProto, Partition]:
    """Return a network that calls a frame after its largest number, in two parts."""
    network, original = load_both(relu_chain(2, (1, 4)))
    return network, original, partition(network, plan_for(network, {"l0": "a", "l1": "b"}))


def labelled_file(folder: Path, frames: Any, labels: Any, **more: Any) -> Path:
    file = folder / "set.npz"
    np.savez(file, x=frames, y=labels, **more)
    return file


def test_change_of_accuracy_counts_who_is_right_and_who_is_called_otherwise(tmp_path: Path) -> None:
    network, original, parted = classifier()
    frames = np.eye(4, dtype=np.float32)[[0, 1, 2, 3, 0]]
    labelled = read_labelled(labelled_file(tmp_path, frames, [0, 1, 2, 3, 1]), network.inputs)
    parts = parts_of(parted)
    same = accuracy_change(original, parted, parts, labelled)
    assert same == AccuracyChange(whole=0.8, parts=0.8, frames=5, flipped=0)
    worse = accuracy_change(original, parted, {**parts, "b-0": damaged(parts["b-0"], "Neg")}, labelled)
    # The smallest number of the first frame, and of the last, is at place 1: wrong for one and right for the other.
    assert worse == AccuracyChange(whole=0.8, parts=0.2, frames=5, flipped=5)
    assert worse.change == pytest.approx(-0.6)


def test_folders_that_are_called_by_numbers_are_those_classes_others_are_counted_in_order(tmp_path: Path) -> None:
    inputs = load_both(relu_chain(1, (1, 3, 4, 4)))[0].inputs
    for names, classes in ((("7", "10"), [10, 7]), (("dog", "cat", "ape"), [0, 1, 2])):
        folder = tmp_path / "-".join(names)
        for name in names:
            (folder / name).mkdir(parents=True)
            Image.new("RGB", (9, 9), "white").save(folder / name / "one.png")
            (folder / name / "notes.txt").write_text("no frame")
        found = read_labelled(folder, inputs)
        assert list(found.labels) == classes
        assert found.frame(0)["x"].shape == (1, 3, 4, 4)


@pytest.mark.parametrize(
    ("frames", "labels", "named"),
    [
        (np.zeros((2, 5), np.float32), [0, 1], r"\[2, 5\]; 2 frames"),
        (np.zeros((3, 4), np.float32), [0, 1], r"\[3, 4\]; 2 frames"),
        (np.zeros((2, 4)), [0, 1], "float64"),
        (np.zeros((2, 4), np.float32), [0, -1], "`y`"),
        (np.zeros((2, 4), np.float32), [0.5, 1.0], "`y`"),
        (np.zeros((0, 4), np.float32), np.zeros(0, np.int64), "`y`"),
    ],
)
def test_a_labelled_set_that_does_not_fit_is_refused_by_name(
    tmp_path: Path, frames: Any, labels: Any, named: str
) -> None:
    network, _, _ = classifier()
    with pytest.raises(LabelledSetError, match=named):
        read_labelled(labelled_file(tmp_path, frames, labels), network.inputs)


def test_what_is_no_labelled_set_is_refused_by_name(tmp_path: Path) -> None:
    network, _, _ = classifier()
    text = tmp_path / "set.npz"
    text.write_text("no archive")
    empty = tmp_path / "empty"
    empty.mkdir()
    for path in (text, empty, tmp_path / "gone", tmp_path / "set.csv"):
        with pytest.raises(LabelledSetError, match=path.name):
            read_labelled(path, network.inputs)


def test_labels_beyond_the_classes_and_outputs_that_are_no_classes_are_refused(tmp_path: Path) -> None:
    network, original, parted = classifier()
    beyond = read_labelled(labelled_file(tmp_path, np.eye(4, dtype=np.float32), [0, 1, 2, 4]), network.inputs)
    with pytest.raises(NoClassesError, match="go up to 4"):
        accuracy_change(original, parted, parts_of(parted), beyond)
    image, whole = load_both(relu_chain(2))
    pictures = partition(image, plan_for(image, {"l0": "a", "l1": "b"}))
    maps = read_labelled(labelled_file(tmp_path, np.zeros((1, 2, 4, 4), np.float32), [0]), image.inputs)
    with pytest.raises(NoClassesError, match="No output"):
        accuracy_change(whole, pictures, parts_of(pictures), maps)


def test_a_bool_is_compared_like_any_other_tensor() -> None:
    nodes = [
        helper.make_node("Greater", ["x", "zero"], ["b"], name="greater"),
        helper.make_node("Not", ["b"], ["y"], name="not"),
    ]
    outputs = [value("y", (1, 2, 4, 4), TensorProto.BOOL)]
    model = make_model(nodes, [value("x", (1, 2, 4, 4))], outputs, [weight("zero", np.float32(0))])
    network, original = load_both(model)
    parted = partition(network, plan_for(network, {"greater": "a", "not": "b"}))
    parts = parts_of(parted)
    assert verify(original, parted, parts, random_frame(network.inputs, 1)).max_abs == 0.0
    parts["b-0"] = damaged(parts["b-0"], "Identity")
    assert not verify(original, parted, parts, random_frame(network.inputs, 1)).ok
