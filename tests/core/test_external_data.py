"""Weights in other files: taken from plain files in the network's folder, from nowhere else."""

import os
import time
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from partition_studio.errors import NetworkError
from partition_studio.graph.load import load_network, original_model
from partition_studio.graph.read import LoadLimits
from partition_studio.graph.weights import OnDisk

from .networks import make_model, value

VALUES = np.arange(32, dtype=np.float32).reshape(1, 2, 4, 4)


def write_network(folder: Path, *, location: str = "w.bin", offset: str = "0", length: str = "128") -> Path:
    tensor = TensorProto(name="w", data_type=TensorProto.FLOAT, dims=VALUES.shape)
    tensor.data_location = TensorProto.EXTERNAL
    for key, text in (("location", location), ("offset", offset), ("length", length)):
        entry = tensor.external_data.add()
        entry.key, entry.value = key, text
    nodes = [helper.make_node("Add", ["x", "w"], ["y"], name="sum")]
    model = make_model(nodes, [value("x", VALUES.shape)], [value("y", VALUES.shape)], [tensor])
    path = folder / "net.onnx"
    path.write_bytes(model.SerializeToString())
    return path


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    inside = tmp_path / "inside"
    (inside / "sub").mkdir(parents=True)
    (inside / "w.bin").write_bytes(VALUES.tobytes())
    (inside / "sub" / "w.bin").write_bytes(bytes(16) + VALUES.tobytes())
    (tmp_path / "secret.bin").write_bytes(VALUES.tobytes())
    return inside


@pytest.mark.parametrize(("location", "offset"), [("w.bin", "0"), ("sub/w.bin", "16"), ("./w.bin", "0")])
def test_weights_beside_the_network_are_taken_in(folder: Path, location: str, offset: str) -> None:
    path = write_network(folder, location=location, offset=offset)
    tensor = original_model(path).graph.initializer[0]
    assert tensor.data_location == TensorProto.DEFAULT
    assert np.array_equal(numpy_helper.to_array(tensor), VALUES)
    assert np.array_equal(load_network(path).weights["w"].array(), VALUES)


def test_the_digest_covers_external_weights(folder: Path) -> None:
    path = write_network(folder)
    before = load_network(path).digest
    (folder / "w.bin").write_bytes((VALUES + 1).tobytes())
    assert load_network(path).digest != before


@pytest.mark.parametrize(
    ("location", "code"),
    [
        ("../secret.bin", "external_data_outside"),
        ("sub/../../secret.bin", "external_data_outside"),
        ("..\\secret.bin", "external_data_outside"),
        ("/etc/hostname", "external_data_outside"),
        ("C:\\secret.bin", "external_data_outside"),
        ("", "external_data_outside"),
        ("w\0.bin", "external_data_outside"),
        ("symlink.bin", "external_data_link"),
        ("linked_folder/secret.bin", "external_data_link"),
        ("hardlink.bin", "external_data_link"),
        ("pipe", "external_data_link"),
        ("sub", "external_data_link"),
        ("gone.bin", "external_data_missing"),
    ],
)
def test_weights_elsewhere_are_refused(folder: Path, location: str, code: str) -> None:
    (folder / "symlink.bin").symlink_to(folder.parent / "secret.bin")
    (folder / "linked_folder").symlink_to(folder.parent)
    os.link(folder.parent / "secret.bin", folder / "hardlink.bin")
    os.mkfifo(folder / "pipe")
    path = write_network(folder, location=location)
    for load in (load_network, original_model):
        with pytest.raises(NetworkError, match="'w'") as caught:
            load(path)
        assert caught.value.code == code


@pytest.mark.parametrize(
    ("offset", "length"),
    [("1", "128"), ("0", "64"), ("0", "256"), ("-1", "128"), ("0x1", "128"), ("9" * 30, "128"), ("0", "")],
)
def test_a_range_that_does_not_fit_is_refused(folder: Path, offset: str, length: str) -> None:
    path = write_network(folder, offset=offset, length=length)
    with pytest.raises(NetworkError, match="'w'") as caught:
        load_network(path)
    assert caught.value.code == "external_data_range"


def test_external_weights_count_towards_the_limit(folder: Path) -> None:
    path = write_network(folder)
    with pytest.raises(NetworkError) as caught:
        load_network(path, limits=LoadLimits(model_bytes=path.stat().st_size + 100))
    assert caught.value.code == "network_too_large"


def test_a_network_saved_by_the_onnx_package_with_external_weights_loads(tmp_path: Path) -> None:
    nodes = [helper.make_node("Add", ["x", "w"], ["y"], name="sum")]
    big = np.random.default_rng(0).standard_normal((1, 4, 32, 32)).astype(np.float32)
    model = make_model(
        nodes, [value("x", big.shape)], [value("y", big.shape)], [numpy_helper.from_array(big, name="w")]
    )
    onnx.save(model, tmp_path / "net.onnx", save_as_external_data=True, location="net.onnx.data")
    assert load_network(tmp_path / "net.onnx").weight_bytes == big.nbytes


def test_large_external_weights_stay_in_their_file_and_one_that_changed_is_refused(folder: Path) -> None:
    big = np.random.default_rng(0).standard_normal((1, 8, 32, 32)).astype(np.float32)
    (folder / "sub" / "w.bin").write_bytes(bytes(3) + big.tobytes())
    tensor = TensorProto(name="w", data_type=TensorProto.FLOAT, dims=big.shape, data_location=TensorProto.EXTERNAL)
    for key, text in (("location", "./sub/w.bin"), ("offset", "3")):
        tensor.external_data.add(key=key, value=text)
    nodes = [helper.make_node("Add", ["x", "w"], ["y"], name="sum")]
    model = make_model(nodes, [value("x", big.shape)], [value("y", big.shape)], [tensor])
    (folder / "net.onnx").write_bytes(model.SerializeToString())
    weight = load_network(folder / "net.onnx").weights["w"]
    assert isinstance(weight.data, OnDisk)
    assert (weight.data.file.path, weight.data.offset) == (folder / "sub" / "w.bin", 3)
    assert np.array_equal(weight.array(), big)
    (folder / "sub" / "w.bin").unlink()
    (folder / "sub" / "w.bin").symlink_to(folder / "w.bin")
    with pytest.raises(NetworkError, match=r"w\.bin") as caught:
        weight.array()
    assert caught.value.code == "network_changed"


def test_a_file_that_was_rewritten_is_noticed_though_its_size_and_time_were_put_back(tmp_path: Path) -> None:
    nodes = [helper.make_node("Add", ["x", "w"], ["y"], name="sum")]
    big = np.random.default_rng(0).standard_normal((1, 8, 32, 32)).astype(np.float32)
    weights = [numpy_helper.from_array(big, name="w")]
    (tmp_path / "first").mkdir()
    path = tmp_path / "first" / "net.onnx"
    path.write_bytes(make_model(nodes, [value("x", big.shape)], [value("y", big.shape)], weights).SerializeToString())
    weight = load_network(path).weights["w"]
    before = path.stat()
    # A folder may be moved away and back: that is no change of what it holds.
    os.rename(tmp_path / "first", tmp_path / "second")
    os.rename(tmp_path / "second", tmp_path / "first")
    assert np.array_equal(weight.array(), big)
    deadline = time.monotonic() + 10
    while path.stat().st_ctime_ns == before.st_ctime_ns and time.monotonic() < deadline:
        path.write_bytes(path.read_bytes()[::-1])
        os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    with pytest.raises(NetworkError, match=r"net\.onnx") as caught:
        weight.array()
    assert caught.value.code == "network_changed"


def test_the_weights_of_a_link_to_a_network_are_looked_for_beside_the_link(tmp_path: Path, folder: Path) -> None:
    write_network(folder)
    (tmp_path / "link.onnx").symlink_to("inside/net.onnx")
    with pytest.raises(NetworkError, match=r"'w\.bin'.*link\.onnx is a link") as caught:
        load_network(tmp_path / "link.onnx")
    assert caught.value.code == "external_data_missing"
    (tmp_path / "w.bin").write_bytes(VALUES.tobytes())
    assert load_network(tmp_path / "link.onnx").weight_bytes == VALUES.nbytes
