"""Weights are not held: neither while a network is loaded nor while its sub-models are written."""

import hashlib
import io
import json
import random
import subprocess
import sys
import time
import tracemalloc
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from partition_studio.errors import NetworkError
from partition_studio.graph.disk import DiskFile, identity_of
from partition_studio.graph.external import take_in_all
from partition_studio.graph.frames import random_frame
from partition_studio.graph.load import load_network, original_model
from partition_studio.graph.network import Network
from partition_studio.graph.read import LoadLimits, read_network
from partition_studio.graph.runtime import open_session, run_model, set_weights_folder
from partition_studio.graph.weights import HELD_BYTES, Held, OnDisk, Weight
from partition_studio.partition.extract import (
    Contents,
    SubModel,
    extract,
    require_deployable,
    submodel,
    submodels,
    write_submodels,
)
from partition_studio.partition.partition import Partition, partition
from partition_studio.partition.plan import NetworkRef, Plan
from partition_studio.partition.submodel import StageTooLargeError
from partition_studio.partition.verify import verify

from .networks import make_model, relu_chain, value, weight

node = helper.make_node
generator = np.random.default_rng(3)


def gemms(count: int, width: int, path: Path, *, external: bool = False, zeros: bool = False) -> int:
    """Write a network of `count` square products; return the bytes of all its files. `zeros` makes them sparse."""
    weights, nodes, tensor = [], [], "x"
    size_bytes = width * width * 4
    data = path.with_name(path.name + ".data")
    if zeros:
        with data.open("wb") as stream:
            stream.truncate(count * size_bytes)
    for index in range(count):
        name = f"w{index}"
        if zeros:
            tensor_proto = TensorProto(name=name, data_type=TensorProto.FLOAT, dims=[width, width])
            tensor_proto.data_location = TensorProto.EXTERNAL
            for key, text in (("location", data.name), ("offset", index * size_bytes), ("length", size_bytes)):
                tensor_proto.external_data.add(key=key, value=str(text))
            weights.append(tensor_proto)
        else:
            values = generator.standard_normal((width, width), np.float32) * np.float32(width**-0.5)
            weights.append(numpy_helper.from_array(values, name=name))
        nodes.append(node("Gemm", [tensor, name], [f"t{index}"], name=f"gemm{index}"))
        tensor = f"t{index}"
    model = make_model(nodes, [value("x", ("N", width))], [value(tensor, ("N", width))], weights)
    if external:
        onnx.save(model, path, save_as_external_data=True, location=data.name)
    else:
        path.write_bytes(model.SerializeToString())
    return sum(file.stat().st_size for file in path.parent.glob(path.name + "*"))


def in_stages(network: Network, count: int) -> Partition:
    layers = len(network.layers)
    placement = {layer.name: f"d{index * count // layers}" for index, layer in enumerate(network.layers)}
    plan = Plan(network=NetworkRef(sha256=network.digest, name=network.name), placement=placement)
    return partition(network, plan)


# --- reading --------------------------------------------------------------------------------------------------------


def typed(kind: Any, field: str) -> TensorProto:
    values = generator.standard_normal((40, 120)).astype(kind)
    tensor = TensorProto(name="w", data_type=helper.np_dtype_to_tensor_dtype(values.dtype), dims=values.shape)
    getattr(tensor, field).extend(values.reshape(-1).tolist())
    return tensor


def in_constant(tensor: TensorProto) -> onnx.ModelProto:
    nodes = [node("Constant", [], ["w"], value=tensor), node("MatMul", ["x", "w"], ["y"])]
    return make_model(nodes, [value("x", (1, 40))], [helper.make_tensor_value_info("y", tensor.data_type, None)])


def with_weight(tensor: TensorProto) -> onnx.ModelProto:
    nodes = [node("MatMul", ["x", "w"], ["y"], name="product")]
    kind = tensor.data_type
    y = helper.make_tensor_value_info("y", kind, None)
    return make_model(nodes, [value("x", (1, 40), kind)], [y], [tensor])


LARGE = weight("w", generator.standard_normal((40, 120)).astype(np.float32))


def in_two_graphs() -> bytes:
    """A message whose graph is in two pieces: protobuf joins them."""
    model = with_weight(LARGE)
    first = model.SerializeToString()
    second = onnx.ModelProto()
    second.graph.initializer.append(weight("v", generator.standard_normal((90, 90)).astype(np.float32)))
    return bytes(first + second.SerializeToString())


def with_two_data_fields() -> bytes:
    """Two pieces of `float_data`: protobuf joins them, so they cannot stay where they are."""
    tensor = typed(np.float32, "float_data")
    model = with_weight(tensor)
    rest = model.graph.initializer[0].float_data[4795:]
    del model.graph.initializer[0].float_data[4795:]
    piece = TensorProto(float_data=rest).SerializeToString()
    inner = model.graph.initializer[0].SerializeToString() + piece
    del model.graph.initializer[:]
    head = model.graph.SerializeToString() + b"\x2a" + varint(len(inner)) + inner
    model.ClearField("graph")
    return bytes(model.SerializeToString() + b"\x3a" + varint(len(head)) + head)


def in_a_constant_twice() -> bytes:
    """A constant's tensor in two pieces, each with data: protobuf merges them, and the last data counts."""
    first = TensorProto(dims=LARGE.dims, data_type=1, raw_data=LARGE.raw_data[::-1]).SerializeToString()
    second = TensorProto(raw_data=LARGE.raw_data).SerializeToString()
    pieces = b"".join(b"\x2a" + varint(len(piece)) + piece for piece in (first, second))
    attribute = b"\x0a\x05value" + pieces + b"\xa0\x01\x04"
    constant = b"\x12\x01w\x22\x08Constant" + b"\x2a" + varint(len(attribute)) + attribute
    model = with_weight(LARGE)
    del model.graph.initializer[:]
    graph = b"\x0a" + varint(len(constant)) + constant + model.graph.SerializeToString()
    model.ClearField("graph")
    return bytes(model.SerializeToString() + b"\x3a" + varint(len(graph)) + graph)


def varint(number: int) -> bytes:
    encoded = b""
    while number > 0x7F:
        encoded += bytes([number & 0x7F | 0x80])
        number >>= 7
    return encoded + bytes([number])


LAYOUTS: dict[str, tuple[Callable[[], bytes], bool]] = {
    "raw": (lambda: with_weight(LARGE).SerializeToString(), True),
    "float32 elements": (lambda: with_weight(typed(np.float32, "float_data")).SerializeToString(), True),
    "float64 elements": (lambda: with_weight(typed(np.float64, "double_data")).SerializeToString(), True),
    "float16 elements": (
        lambda: with_weight(
            TensorProto(name="w", data_type=TensorProto.FLOAT16, dims=[40, 400], int32_data=[1] * 16000)
        ).SerializeToString(),
        False,
    ),
    "in a constant": (lambda: in_constant(LARGE).SerializeToString(), True),
    "in a constant, its data given twice": (in_a_constant_twice, False),
    "in two graphs": (in_two_graphs, True),
    "in two pieces": (with_two_data_fields, False),
    "small": (lambda: with_weight(weight("w", np.ones((40, 2), np.float32))).SerializeToString(), False),
}


@pytest.mark.parametrize("layout", LAYOUTS)
def test_a_file_means_what_protobuf_says_wherever_its_weights_are(tmp_path: Path, layout: str) -> None:
    make, stays = LAYOUTS[layout]
    data = make()
    path = tmp_path / "net.onnx"
    path.write_bytes(data)
    raw = read_network(path, LoadLimits())
    assert raw.digest == hashlib.sha256(data).hexdigest()
    assert bool(raw.files) == stays
    assert raw.model.ByteSize() < HELD_BYTES or not stays
    take_in_all(raw.model, raw.files)
    plain = onnx.ModelProto.FromString(data)
    for model in (raw.model, plain):
        for tensor in (*model.graph.initializer, *(a.t for n in model.graph.node for a in n.attribute)):
            tensor.CopyFrom(numpy_helper.from_array(numpy_helper.to_array(tensor), tensor.name))
    assert raw.model == plain


def test_large_weights_are_on_disk_and_small_ones_held(tmp_path: Path) -> None:
    weights = [weight("w", np.ones((64, 128), np.float32)), weight("b", np.ones(128, np.float32))]
    model = make_model([node("Gemm", ["x", "w", "b"], ["y"])], [value("x", (1, 64))], [value("y", (1, 128))], weights)
    path = tmp_path / "net.onnx"
    path.write_bytes(model.SerializeToString())
    network = load_network(path)
    place = network.weights["w"].data
    assert isinstance(place, OnDisk)
    assert (place.file.path, place.length) == (path, 64 * 128 * 4)
    assert isinstance(network.weights["b"].data, Held)
    assert np.array_equal(network.weights["w"].array(), np.ones((64, 128), np.float32))


def test_damaged_files_are_read_or_refused_and_nothing_else(tmp_path: Path) -> None:
    data = bytearray(with_weight(LARGE).SerializeToString())
    place = bytes(data).index(LARGE.raw_data)
    around = [*range(place), *range(place + len(LARGE.raw_data), len(data))]
    chooser = random.Random(5)
    path = tmp_path / "net.onnx"
    refused = 0
    for _ in range(600):
        damaged = bytearray(data)
        for position in chooser.sample(around, chooser.randint(1, 3)):
            damaged[position] = chooser.choice([0, 0x7F, 0x80, 0xFF, chooser.randrange(256)])
        path.write_bytes(damaged)
        try:
            read_network(path, LoadLimits())
        except NetworkError as error:
            refused += 1
            assert error.message
    assert 60 < refused < 600


def test_a_weight_of_too_little_data_is_named(tmp_path: Path) -> None:
    model = with_weight(LARGE)
    model.graph.initializer[0].dims[0] = 39
    path = tmp_path / "net.onnx"
    path.write_bytes(model.SerializeToString())
    with pytest.raises(NetworkError, match="'w'") as caught:
        load_network(path)
    assert caught.value.code == "invalid_network"


def test_what_must_be_held_has_a_limit_of_its_own(tmp_path: Path) -> None:
    path = tmp_path / "net.onnx"
    path.write_bytes(LAYOUTS["float16 elements"][0]())
    with pytest.raises(NetworkError, match="beside the raw data") as caught:
        load_network(path, limits=LoadLimits(held_bytes=10_000))
    assert caught.value.code == "network_too_large"
    path.write_bytes(LAYOUTS["raw"][0]())
    load_network(path, limits=LoadLimits(held_bytes=10_000))


# --- writing --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("external", [False, True])
def test_what_is_streamed_is_the_sub_model(tmp_path: Path, external: bool) -> None:
    path = tmp_path / "net.onnx"
    gemms(4, 80, path, external=external)
    network = load_network(path)
    parted = in_stages(network, 2)
    for stage in parted.graph.stages:
        part = submodel(network, stage, parted.graph)
        stream = io.BytesIO()
        assert part.write_to(stream) == part.digest == hashlib.sha256(part.data).hexdigest()
        assert stream.getvalue() == part.data == b"".join(part.chunks())
        assert part.size_bytes == len(part.data)
        with part.open() as file:
            assert file.read() == part.data
            # As an upload that finds a beginning of something else on the device.
            file.seek(0)
            assert b"".join(iter(lambda: file.read(7919), b"")) == part.data
            file.seek(1000)
            assert (file.read(3), file.tell()) == (part.data[1000:1003], 1003)
            file.seek(10)
            assert file.read(5) == part.data[10:15]
        assert len(part.streamed) == 2
        read = onnx.ModelProto.FromString(part.data)
        whole = extract(network, stage)
        assert [t.name for t in read.graph.initializer] == [t.name for t in whole.graph.initializer]
        onnx.checker.check_model(read, full_check=True)
    parts = submodels(network, parted.graph)
    assert dict(Contents(parts)) == {name: part.data for name, part in parts.items()}
    assert (
        verify(original_model(path), parted, Contents(parts), random_frame(network.inputs, 0)).first_difference is None
    )


def test_a_sub_model_that_is_sent_is_not_held(tmp_path: Path) -> None:
    path = tmp_path / "net.onnx"
    gemms(2, 1600, path)
    network = load_network(path)
    parted = in_stages(network, 1)
    part = submodel(network, parted.graph.stages[0], parted.graph)
    tracemalloc.start()
    try:
        with part.open() as file:
            sent = sum(len(piece) for piece in iter(lambda: file.read(100_000), b""))
        held_bytes = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert sent == part.size_bytes > 20_000_000
    assert held_bytes < 5_000_000


def test_the_oracle_of_a_very_large_network_reads_its_weights_where_they_are(tmp_path: Path) -> None:
    """What `original_model` gives above its limit, made here of a small network."""
    path = tmp_path / "net.onnx"
    gemms(2, 80, path)
    inline = original_model(path, form=None)
    raw = read_network(path, LoadLimits())
    raw.model.graph.input[0].type.tensor_type.shape.dim[0].dim_value = 1
    raw.model.graph.output[0].type.tensor_type.shape.dim[0].dim_value = 1
    set_weights_folder(raw.model, path.parent)
    assert raw.model.ByteSize() < 5_000
    frame = {"x": generator.standard_normal((1, 80)).astype(np.float32)}
    assert np.array_equal(run_model(raw.model, frame)["t1"], run_model(inline, frame)["t1"])


def test_a_file_that_changes_leaves_no_folder(tmp_path: Path) -> None:
    path = tmp_path / "net.onnx"
    gemms(4, 80, path)
    network = load_network(path)
    gemms(4, 80, path)
    with pytest.raises(NetworkError, match=r"net\.onnx was changed"):
        write_submodels(network, in_stages(network, 2).graph, tmp_path / "out")
    assert list(tmp_path.iterdir()) == [path]


def test_a_folder_with_weights_of_an_earlier_split_is_replaced(tmp_path: Path) -> None:
    path, out = tmp_path / "net.onnx", tmp_path / "out"
    gemms(2, 80, path)
    network = load_network(path)
    write_submodels(network, in_stages(network, 1).graph, out)
    (out / "01-pi-0.onnx.data").write_bytes(b"weights")
    write_submodels(network, in_stages(network, 1).graph, out)
    assert sorted(file.name for file in out.iterdir()) == ["00-d0-0.onnx", "manifest.json"]


def too_large(path: Path) -> SubModel:
    path.write_bytes(b"")
    file = DiskFile(path, identity_of(path.stat()))
    held = Weight("w", TensorProto.FLOAT, (1 << 15, 1 << 15), OnDisk(file, 0, 1 << 32))
    return SubModel("pi-3", relu_chain(1), (held,))


def test_a_stage_that_one_file_cannot_hold_is_refused_by_name_for_a_device(tmp_path: Path) -> None:
    part = too_large(tmp_path / "data")
    for refuse in (lambda: part.data, lambda: require_deployable({"pi-3": part})):
        with pytest.raises(StageTooLargeError, match="'pi-3'") as caught:
            refuse()
        assert "Cut the stage" in caught.value.next_step


@pytest.mark.slow
def test_a_stage_above_two_gib_is_written_with_its_weights_beside_it(tmp_path: Path) -> None:
    path = tmp_path / "net.onnx"
    gemms(9, 8192, path, zeros=True)
    network = load_network(path)
    out = tmp_path / "out"
    files = write_submodels(network, in_stages(network, 1).graph, out)
    assert sorted(file.name for file in out.iterdir()) == ["00-d0-0.onnx", "00-d0-0.onnx.data", "manifest.json"]
    entry = json.loads((out / "manifest.json").read_text())["stages"][0]
    data = out / entry["data"]["file"]
    assert data.stat().st_size == entry["data"]["bytes"] > 2**31
    with data.open("rb") as stream:
        assert hashlib.file_digest(stream, "sha256").hexdigest() == entry["data"]["sha256"]
    session = open_session(files["d0-0"])
    (answer,) = session.run(None, {"x": np.ones((1, 8192), np.float32)})
    assert not answer.any()


# --- memory and time ------------------------------------------------------------------------------------------------

MEASURE = """
import resource, sys
from pathlib import Path
from tests.core.test_streaming import in_stages
from partition_studio.graph.load import load_network
from partition_studio.partition.extract import write_submodels

def split(model):
    network = load_network(Path(model))
    write_submodels(network, in_stages(network, 8).graph, Path(model).with_suffix(".out"))

split(sys.argv[1])
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
split(sys.argv[2])
print((resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) * 1024)
"""


def peak_bytes(tmp_path: Path, count: int, width: int, *, external: bool) -> tuple[int, int]:
    """Return how much a process of its own grows by loading and splitting a network, and the network's bytes."""
    gemms(8, 80, tmp_path / "small.onnx", external=external)
    size_bytes = gemms(count, width, tmp_path / "net.onnx", external=external)
    command = [sys.executable, "-c", MEASURE, str(tmp_path / "small.onnx"), str(tmp_path / "net.onnx")]
    root = Path(__file__).parents[2]
    done = subprocess.run(command, capture_output=True, text=True, cwd=root, check=True)
    written = sum(file.stat().st_size for file in (tmp_path / "net.out").glob("*.onnx"))
    assert written > count * width * width * 4
    return int(done.stdout), size_bytes


@pytest.mark.parametrize(("external", "most"), [(False, 1.3), (True, 0.3)])
def test_splitting_takes_less_memory_than_the_network(tmp_path: Path, external: bool, most: float) -> None:
    grown, size_bytes = peak_bytes(tmp_path, 15, 1024, external=external)
    assert size_bytes > 60_000_000
    assert grown <= most * size_bytes


@pytest.mark.slow
@pytest.mark.parametrize("external", [False, True])
def test_splitting_a_larger_network_takes_no_more_memory(tmp_path: Path, external: bool) -> None:
    grown, size_bytes = peak_bytes(tmp_path, 18, 2048, external=external)
    assert size_bytes > 300_000_000
    assert grown <= 0.1 * size_bytes


def split_chain(count: int, folder: Path) -> float:
    path = folder / f"{count}.onnx"
    path.write_bytes(relu_chain(count).SerializeToString())
    begin_s = time.perf_counter()
    network = load_network(path)
    write_submodels(network, in_stages(network, 8).graph, folder / str(count))
    return time.perf_counter() - begin_s


@pytest.mark.slow
def test_time_grows_with_the_network_and_no_faster(tmp_path: Path) -> None:
    split_chain(100, tmp_path)
    short_s = min(split_chain(2_000, tmp_path) for _ in range(3))
    long_s = min(split_chain(10_000, tmp_path) for _ in range(2))
    assert long_s < 2 * 5 * short_s
