"""Several frames in one go: which sub-models take them, that each gets what it gets alone, and why others do not."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from partition_studio.graph.difference import difference
from partition_studio.graph.dtypes import NUMPY_NAMES
from partition_studio.graph.examples import EXAMPLES, build_example
from partition_studio.graph.frames import random_frame
from partition_studio.graph.load import load_network
from partition_studio.graph.network import Network, TensorType
from partition_studio.graph.runtime import Arrays, run_model
from partition_studio.partition.extract import submodels
from partition_studio.partition.micro_batch import FixedBatchError, free_batch, free_batches, prove_batch
from partition_studio.partition.partition import Partition, partition
from partition_studio.partition.plan import NetworkRef, Plan, SpatialSharding
from partition_studio.partition.submodel import SubModel

ARCHITECTURES = [candidate.id for candidate in EXAMPLES]
QUICK = ("digits", "digits-fdsp", "squeezenet", "shufflenet")

X = (1, 4, 6, 6)


def part_of(
    *nodes: onnx.NodeProto,
    shape: Sequence[int] = X,
    weights: Mapping[str, Any] | None = None,
    opset: int = 18,
    dtype: int = TensorProto.FLOAT,
    others: Mapping[str, Sequence[int]] | None = None,
) -> SubModel:
    """Make a sub-model that reads `x` (and `others`) and makes `y`."""
    inputs = [helper.make_tensor_value_info("x", dtype, shape)]
    inputs += [helper.make_tensor_value_info(name, TensorProto.FLOAT, dims) for name, dims in (others or {}).items()]
    constants = [numpy_helper.from_array(np.asarray(array), name) for name, array in (weights or {}).items()]
    for number, node in enumerate(nodes):
        node.name = node.name or f"layer{number}"
    graph = helper.make_graph(list(nodes), "g", inputs, [helper.make_empty_tensor_value_info("y")], constants)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=8)
    inferred = onnx.shape_inference.infer_shapes(model, strict_mode=True, data_prop=True)
    assert inferred.graph.output[0].type.tensor_type.HasField("shape")
    return SubModel("stage", inferred, ())


def node(op_type: str, *inputs: str, **attributes: Any) -> onnx.NodeProto:
    return helper.make_node(op_type, [*(inputs or ("x",))], ["y"], **attributes)


def f32(*shape: int) -> Any:
    return np.random.default_rng(7).uniform(0.2, 1, shape).astype(np.float32)


def i64(*values: int) -> Any:
    return np.array(values, np.int64)


def assert_frames_are_apart(fixed: SubModel, free: SubModel, frames: int = 3) -> None:
    """Run frames together and each alone: every frame gets its own result, and no two get the same."""
    kinds = {
        info.name: TensorType(
            NUMPY_NAMES[info.type.tensor_type.elem_type],
            tuple(dim.dim_value for dim in info.type.tensor_type.shape.dim),
        )
        for info in fixed.model.graph.input
    }
    single = [random_frame(kinds, seed) for seed in range(frames)]
    alone: list[Arrays] = [run_model(fixed.data, frame) for frame in single]
    together = run_model(free.data, {name: np.concatenate([frame[name] for frame in single]) for name in kinds})
    for name, batch in together.items():
        assert batch.shape[0] == frames
        for number in range(frames):
            assert difference(batch[number : number + 1], alone[number][name])[1] <= 1e-5
        assert batch.dtype.kind != "f" or difference(alone[0][name], alone[1][name])[1] > 1e-4


def cut_in(network: Network, count: int) -> Partition:
    names = [layer.name for layer in network.layers]
    placement = {name: f"device{index * count // len(names)}" for index, name in enumerate(names)}
    return partition(network, Plan(network=NetworkRef(sha256=network.digest, name=network.name), placement=placement))


@pytest.fixture(scope="module")
def networks(tmp_path_factory: pytest.TempPathFactory) -> Mapping[str, Path]:
    folder = tmp_path_factory.mktemp("networks")
    return {name: folder / f"{name}.onnx" for name in ARCHITECTURES}


@pytest.mark.parametrize("name", [n if n in QUICK else pytest.param(n, marks=pytest.mark.slow) for n in ARCHITECTURES])
def test_every_stage_of_every_architecture_takes_several_frames(networks: Mapping[str, Path], name: str) -> None:
    networks[name].write_bytes(build_example(name))
    network = load_network(networks[name])
    parted = cut_in(network, 3)
    parts = submodels(network, parted.graph, annotated=False)
    freed = free_batches(parted, parts, 8)
    assert freed.refused == {}
    assert freed.batches == {stage.name: 8 for stage in parted.graph.stages}
    for stage in parted.graph.stages:
        assert_frames_are_apart(parts[stage.name], freed.parts[stage.name])
        assert freed.parts[stage.name].streamed == parts[stage.name].streamed


def test_without_micro_batches_the_parts_are_left_as_they_are(networks: Mapping[str, Path]) -> None:
    networks["digits"].write_bytes(build_example("digits"))
    network = load_network(networks["digits"])
    parted = cut_in(network, 2)
    parts = submodels(network, parted.graph)
    freed = free_batches(parted, parts, 1)
    assert freed.parts is parts
    assert (freed.batches, freed.refused) == ({}, {})


def test_spatial_tiles_take_several_frames_and_a_check_may_end_it(networks: Mapping[str, Path]) -> None:
    networks["squeezenet"].write_bytes(build_example("squeezenet"))
    network = load_network(networks["squeezenet"])
    run = [layer.name for layer in network.layers[:6]]
    sharding = SpatialSharding(layers=run, devices=["a", "b"], rows=[1.0, 1.0])
    rest = {layer.name: "a" for layer in network.layers if layer.name not in run}
    reference = NetworkRef(sha256=network.digest, name=network.name)
    parted = partition(network, Plan(network=reference, placement=rest, shards=[sharding]))
    assert {layer.op_type for layer in parted.network.layers} >= {"Slice", "Concat"}
    parts = submodels(parted.network, parted.graph)
    freed = free_batches(parted, parts, 4)
    assert freed.refused == {}
    assert len(freed.batches) == len(parted.graph.stages) > 2

    class HaltedError(Exception):
        pass

    def halt() -> None:
        raise HaltedError

    with pytest.raises(HaltedError):
        free_batches(parted, parts, 4, halt)


def test_the_file_of_a_freed_sub_model_names_the_free_extent_and_keeps_all_others() -> None:
    fixed = part_of(helper.make_node("Relu", ["x"], ["h"]), node("Flatten", "h"))
    graph = free_batch(fixed).model.graph
    for info in (*graph.input, *graph.output, *graph.value_info):
        first, *others = info.type.tensor_type.shape.dim
        assert first.dim_param == "frames"
        assert all(dim.dim_value > 0 for dim in others)
    assert fixed.model.graph.input[0].type.tensor_type.shape.dim[0].dim_value == 1
    assert free_batch(fixed).digest != fixed.digest


TAKEN = {
    "relu": part_of(node("Relu")),
    "clip": part_of(node("Clip", "x", "low", "high"), weights={"low": np.float32(0.1), "high": np.float32(0.7)}),
    "conv": part_of(node("Conv", "x", "w", "b"), weights={"w": f32(8, 4, 3, 3), "b": f32(8)}),
    "depthwise": part_of(node("Conv", "x", "w", group=4, pads=[1, 1, 1, 1]), weights={"w": f32(4, 1, 3, 3)}),
    "transposed": part_of(node("ConvTranspose", "x", "w", strides=[2, 2]), weights={"w": f32(4, 2, 3, 3)}),
    "batch normalisation": part_of(
        node("BatchNormalization", "x", "s", "b", "m", "v"), weights=dict(zip("sbmv", [f32(4)] * 4, strict=True))
    ),
    "instance normalisation": part_of(
        node("InstanceNormalization", "x", "s", "b"), weights={"s": f32(4), "b": f32(4)}
    ),
    "layer normalisation": part_of(node("LayerNormalization", "x", "s", axis=1), weights={"s": f32(4, 6, 6)}),
    "local response": part_of(node("LRN", size=3)),
    "max pool": part_of(node("MaxPool", kernel_shape=[2, 2], strides=[2, 2])),
    "global pool": part_of(node("GlobalAveragePool")),
    "softmax": part_of(node("Softmax", axis=1)),
    "softmax of an older opset": part_of(node("Softmax", axis=2), opset=11),
    "softmax by default": part_of(node("Softmax")),
    "softmax by the older default": part_of(node("Softmax"), opset=11),
    "sum of activations": part_of(node("Add", "x", "z"), others={"z": (1, 4, 1, 1)}),
    "channel factors": part_of(node("Mul", "x", "w"), weights={"w": f32(4, 1, 1)}),
    "factors with a batch of one": part_of(node("Mul", "w", "x"), weights={"w": f32(1, 4, 1, 1)}),
    "concat": part_of(node("Concat", "x", "z", axis=1), others={"z": (1, 2, 6, 6)}),
    "concat from behind": part_of(node("Concat", "x", "x", axis=-1)),
    "split": part_of(helper.make_node("Split", ["x"], ["y", "z"], axis=1, num_outputs=2)),
    "gather": part_of(node("Gather", "x", "i", axis=1), weights={"i": i64(3, 0, 1)}),
    "slice": part_of(node("Slice", "x", "s", "e", "a"), weights={"s": i64(1), "e": i64(3), "a": i64(1)}),
    "slice that takes the whole batch": part_of(
        node("Slice", "x", "s", "e"), weights={"s": i64(0, 1), "e": i64(2**31 - 1, 3)}
    ),
    "pad": part_of(node("Pad", "x", "p"), weights={"p": i64(0, 0, 1, 1, 0, 0, 2, 2)}),
    "pad of axes": part_of(node("Pad", "x", "p", "", "a"), weights={"p": i64(1, 1), "a": i64(-1)}),
    "transpose": part_of(node("Transpose", perm=[0, 2, 3, 1])),
    "flatten": part_of(node("Flatten")),
    "reshape with one in front": part_of(node("Reshape", "x", "s"), weights={"s": i64(1, 2, -1)}),
    "reshape with the rest in front": part_of(node("Reshape", "x", "s"), weights={"s": i64(-1, 144)}),
    "reshape that copies": part_of(node("Reshape", "x", "s"), weights={"s": i64(0, -1, 0)}),
    "reshape where zero is zero": part_of(node("Reshape", "x", "s", allowzero=1), weights={"s": i64(1, 144)}),
    "two reshapes by one shape": part_of(
        helper.make_node("Reshape", ["x", "s"], ["h"]), node("Reshape", "h", "s"), weights={"s": i64(1, 16, 9)}
    ),
    "squeeze": part_of(node("Squeeze", "x", "a"), shape=(1, 4, 1, 6), weights={"a": i64(2)}),
    "unsqueeze": part_of(node("Unsqueeze", "x", "a"), weights={"a": i64(1, -1)}),
    "mean over the map": part_of(node("ReduceMean", "x", "a", keepdims=0), weights={"a": i64(-1, 2)}),
    "mean of an older opset": part_of(node("ReduceMean", axes=[2, 3]), opset=13),
    "fully connected": part_of(node("Gemm", "x", "w", "b"), shape=(1, 9), weights={"w": f32(9, 5), "b": f32(5)}),
    "fully connected with a row": part_of(
        node("Gemm", "x", "w", "b", transB=1), shape=(1, 9), weights={"w": f32(5, 9), "b": f32(1, 5)}
    ),
    "product with weights": part_of(node("MatMul", "x", "w"), weights={"w": f32(6, 3)}),
    "product of weights": part_of(node("MatMul", "w", "x"), weights={"w": f32(3, 6)}),
    "product of activations": part_of(node("MatMul", "x", "z"), others={"z": (1, 4, 6, 2)}),
    "row by matrix": part_of(node("MatMul", "x", "w"), shape=(1, 6), weights={"w": f32(6, 3)}),
    "resize": part_of(
        node("Resize", "x", "", "s", mode="nearest"), weights={"s": np.array([1, 1, 2, 2], np.float32)}
    ),
    "resize of axes": part_of(
        node("Resize", "x", "", "", "s", axes=[2, 3], mode="linear"), weights={"s": i64(9, 9)}
    ),
    "expand": part_of(node("Expand", "x", "s"), shape=(1, 4, 1, 1), weights={"s": i64(1, 4, 3, 2)}),
    "tile": part_of(node("Tile", "x", "s"), weights={"s": i64(1, 2, 1, 1)}),
    "argmax": part_of(node("ArgMax", axis=1)),
    "largest": part_of(helper.make_node("TopK", ["x", "k"], ["y", "i"]), weights={"k": i64(2)}),
    "dropout": part_of(node("Dropout")),
    "weights made of weights": part_of(
        helper.make_node("DequantizeLinear", ["q", "f"], ["w"]),
        node("Mul", "x", "w"),
        weights={"q": np.arange(4, dtype=np.int8).reshape(4, 1, 1) + np.int8(1), "f": np.float32(0.5)},
    ),
    "quantised and back": part_of(
        helper.make_node("QuantizeLinear", ["x", "f", "o"], ["h"]),
        node("DequantizeLinear", "h", "f", "o"),
        weights={"f": np.float32(0.05), "o": np.uint8(100)},
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", TAKEN)
def test_a_layer_that_computes_each_frame_by_itself_takes_several(name: str) -> None:
    free = free_batch(TAKEN[name])
    prove_batch(TAKEN[name], free)
    assert_frames_are_apart(TAKEN[name], free)


REFUSED = {
    "softmax along the batch": (part_of(node("Softmax", axis=0)), "along the batch"),
    "softmax along the batch from behind": (part_of(node("Softmax", axis=-4)), "along the batch"),
    "flatten of all": (part_of(node("Flatten", axis=0)), "joins the batch"),
    "flatten of the batch": (part_of(node("Flatten", axis=2), shape=(1, 1, 6, 6)), "joins the batch"),
    "concat of frames": (part_of(helper.make_node("Concat", ["x", "x"], ["h"], axis=0), node("ReduceMean", "h", "a"),
                                 weights={"a": i64(0)}), "batch"),
    "a class token": (part_of(node("Concat", "t", "x", axis=1), weights={"t": f32(1, 1, 6, 6)}), "constant 't'"),
    "transpose of the batch": (part_of(node("Transpose", perm=[1, 0, 2, 3]), shape=(1, 1, 6, 6)), "moves the batch"),
    "transpose of everything": (part_of(node("Transpose"), shape=(1, 6, 6, 1)), "moves the batch"),
    "mean of all": (part_of(node("ReduceMean")), "every axis"),
    "mean of frames": (part_of(node("ReduceMean", "x", "a"), weights={"a": i64(0, 1)}), "along the batch"),
    "squeeze of the batch": (part_of(node("Squeeze", "x", "a"), shape=(1, 1, 6), weights={"a": i64(0)}), "the batch"),
    "squeeze of every one": (part_of(node("Squeeze"), shape=(1, 1, 1)), "batch|every axis"),
    "an axis before the batch": (part_of(node("Unsqueeze", "x", "a"), weights={"a": i64(0)}), "before the batch"),
    "slice of the batch": (
        part_of(node("Slice", "x", "s", "e", "a"), weights={"s": i64(0), "e": i64(1), "a": i64(-4)}), "the batch"),
    "gather of frames": (part_of(node("Gather", "x", "i"), weights={"i": i64(0)}), "along the batch"),
    "pad of the batch": (
        part_of(helper.make_node("Pad", ["x", "p"], ["h"]), node("ReduceMean", "h", "a"),
                weights={"p": i64(0, 0, 0, 0, 1, 0, 0, 0), "a": i64(0)}), "batch"),
    "factors for each frame": (
        part_of(node("Add", "x", "w"), shape=(1, 6), weights={"w": f32(1, 1, 6)}), "reaches into|fewer axes"),
    "broadcast over the batch": (part_of(node("Add", "x", "z"), others={"z": (1, 6)}), "fewer axes"),
    "turned fully connected": (
        part_of(node("Gemm", "x", "w", transA=1), shape=(1, 1), weights={"w": f32(1, 5)}), "another axis"),
    "learned weights": (part_of(node("Gemm", "x", "z"), shape=(1, 1), others={"z": (1, 5)}), "no constant"),
    "resize by sizes": (part_of(node("Resize", "x", "", "", "s"), weights={"s": i64(1, 4, 9, 9)}), "batch"),
    "shape of what it reads": (
        part_of(helper.make_node("Shape", ["x"], ["h"]), node("Reshape", "x", "h")), "not known|batch"),
    "indices over the batch": (
        part_of(helper.make_node("MaxPool", ["x"], ["y", "i"], kernel_shape=[2, 2])), "across the batch"),
    "scale of all frames": (
        part_of(helper.make_node("DynamicQuantizeLinear", ["x"], ["q", "f", "o"]),
                node("DequantizeLinear", "q", "f", "o")),
        "not known|batch"),
    "recurrent": (
        part_of(helper.make_node("LSTM", ["x", "w", "r"], ["y"], hidden_size=2), shape=(1, 1, 3),
                weights={"w": f32(1, 8, 3), "r": f32(1, 8, 2)}), "not known"),
    "no batch": (part_of(node("Relu"), shape=(4, 6)), "no batch of one"),
}  # fmt: skip


@pytest.mark.parametrize("name", REFUSED)
def test_a_layer_that_mixes_frames_is_refused_by_name(name: str) -> None:
    part, reason = REFUSED[name]
    with pytest.raises(FixedBatchError, match=reason) as caught:
        free_batch(part)
    assert "layer" in str(caught.value) or "tensor" in str(caught.value)


def test_an_operator_of_another_domain_is_refused() -> None:
    part = part_of(node("Relu"))
    part.model.graph.node[0].domain = "com.example"
    with pytest.raises(FixedBatchError, match=r"'layer0' \(Relu\) .*not known"):
        free_batch(part)


@pytest.mark.parametrize("op_type", ["ReduceMean", "Softmax"])
def test_the_proof_finds_a_layer_that_mixes_frames_whatever_the_rules_say(op_type: str) -> None:
    inner = {
        "ReduceMean": helper.make_node("ReduceMean", ["x", "a"], ["h"]),
        "Softmax": helper.make_node("Softmax", ["x"], ["h"], axis=0),
    }[op_type]
    fixed = part_of(inner, node("Add", "x", "h"), weights={"a": i64(0)})
    free = onnx.ModelProto()
    free.CopyFrom(fixed.model)
    for info in (*free.graph.input, *free.graph.output):
        info.type.tensor_type.shape.dim[0].dim_param = "frames"
    del free.graph.value_info[:]
    with pytest.raises(FixedBatchError, match="differs by"):
        prove_batch(fixed, SubModel("stage", free, ()))


def test_the_proof_finds_a_sub_model_that_does_not_run_with_several_frames() -> None:
    fixed = part_of(node("Reshape", "x", "s"), weights={"s": i64(1, 144)})
    free = free_batch(fixed).model
    free.graph.node[0].input[1] = "s"
    free.graph.initializer.append(numpy_helper.from_array(i64(1, 144), "s"))
    with pytest.raises(FixedBatchError, match="does not run with several frames"):
        prove_batch(fixed, SubModel("stage", free, ()))


def test_a_sub_model_that_cannot_be_tried_is_refused() -> None:
    division = part_of(
        helper.make_node("Cast", ["x"], ["h"], to=TensorProto.INT32), node("Div", "h", "w"), weights={"w": np.int32(0)}
    )
    with pytest.raises(FixedBatchError, match=r"could not be tried .*division by zero"):
        prove_batch(division, free_batch(division))
    halves = part_of(helper.make_node("Cast", ["x"], ["y"], to=TensorProto.FLOAT), dtype=TensorProto.BFLOAT16)
    with pytest.raises(FixedBatchError, match="'x' is of a type"):
        prove_batch(halves, free_batch(halves))


def test_a_stage_that_takes_one_frame_at_a_time_leaves_the_others_their_batches(tmp_path: Path) -> None:
    relu, mean = helper.make_node("Relu", ["x"], ["h"], name="relu"), node("Softmax", "h", axis=0, name="across")
    file = tmp_path / "mixed.onnx"
    onnx.save(part_of(relu, mean).model, file)
    network = load_network(file)
    placement = {layer.name: layer.name for layer in network.layers}
    plan = Plan(network=NetworkRef(sha256=network.digest, name=network.name), placement=placement)
    parted = partition(network, plan)
    parts = submodels(network, parted.graph)
    freed = free_batches(parted, parts, 4)
    assert freed.batches == {"relu-0": 4}
    assert freed.refused.keys() == {"across-0"}
    assert "'across'" in freed.refused["across-0"]
    assert freed.parts["across-0"] is parts["across-0"]
